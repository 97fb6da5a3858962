"""A log's file looked at by processes of their own, as many as the machine has cores for: each reads every so many-th
batch by itself and hands over what there is to know of it. What follows from the order of batches is not theirs.

`python -m service.audit.workers` runs one of them. It changes nothing, needs no more memory than a batch
takes, and ends as soon as nobody reads what it writes, however that came about.
"""

from __future__ import annotations

import gc
import pickle
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

from service.audit.checkpoints import CannotAudit
from service.audit.event_rows import stored
from service.audit.summary import Summary, Wanted, summarize
from service.event_log.scan import Damaged, Scan
from service.worker_pool import cores

Summaries = Generator[Summary | None, None, None]

OBJECTS = 100_000
"""Objects made between two searches for garbage: events come by thousands, and searching takes a tenth of the time."""
LEAST = 100_000
"""Events that make up for starting processes."""


def processes(events: int) -> int:
    """How many to look at so many events with; none where it is as fast to do so here."""
    count = cores()
    return count if count > 1 and events >= LEAST else 0


def looked_at(path: Path, until: int, at_once: int, wanted: Wanted, count: int) -> Summaries:
    """What there is to know of each batch of `at_once` positions, in order, by `count` processes; None where its events
    have to be looked at one by one.

    The processes end with the generator. Raises CannotAudit where one of them does before.
    """
    with ExitStack() as held:
        started = []
        for number in range(count):
            arguments = (path, until, at_once, int(wanted.evidence), int(wanted.rules), number, count)
            command = (sys.executable, "-P", "-m", "service.audit.workers", *map(str, arguments))
            process = held.enter_context(
                Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, process_group=0)  # noqa: S603 - of our own
            )
            held.callback(process.kill)
            started.append(process)
        for batch in range(-(-until // at_once)):
            yield _told(started[batch % count])


def _told(process: Popen[bytes]) -> Summary | None:
    """The next thing that one of the processes says."""
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        summary: Summary | None = pickle.load(process.stdout)  # noqa: S301 - by a process of ours, of what it has checked
    except (EOFError, pickle.UnpicklingError):
        *_, said = ["", *process.stderr.read().decode(errors="replace").splitlines()]
        raise CannotAudit(f"a process of the audit ended, with status {process.wait()} {said}".rstrip()) from None
    return summary


def main(arguments: Sequence[str]) -> None:
    """Writes what there is to know of its batches. The arguments: the log's file, its last position, positions of a
    batch, what is wanted (see `Wanted`), the number of this process, and of how many."""
    path, *numbers = arguments
    until, at_once, evidence, rules, number, count = map(int, numbers)
    gc.set_threshold(OBJECTS, 50, 50)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    wanted = Wanted(evidence=bool(evidence), rules=bool(rules))
    with closing(Scan(Path(path))) as scan, closing(sys.stdout.buffer) as output:
        for position in range(number * at_once, until, count * at_once):
            summary = None
            with suppress(Damaged):  # which whoever looks at its events will find too
                summary = summarize(stored(scan.rows(position, min(position + at_once, until))), wanted)
            pickle.dump(summary, output, pickle.HIGHEST_PROTOCOL)
            output.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
