"""Folds one view from the first event of the log anew, apart from the stored views: for whoever would rather compare
than believe. It is folded by the code that folds all of them, without what only others rest on; a list whose lines each
rest on one subject's events, one subject after the other, by several processes where that is worth it.

`python -m service.views.replay` is a process of its own that writes one view to standard output: it takes
what the server leaves of the processor, can be ended at any moment, and leaves nothing behind. It only reads the log,
and never looks at the stored views.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from domain.corrections import Event
from projections.canonical_rows import PARTS
from projections.digests import Digests, written
from projections.engine.database import connect
from projections.scopes import PORTIONS
from projections.single_view import SingleViewReplay
from projections.views import Views
from service.commands.log_entry import event_of
from service.data_directory import LOG, VIEWS, remove
from service.event_log import ALL, LogReader, Stretch
from service.views.follower import catch_up, with_rare_collections
from service.views.shared_work import shared

_NICE = 10
_AT_ONCE = 64 * 1024

Report = Callable[[int], None]
"""Hears, now and again, how many events were taken."""


class ShortLog(Exception):
    """The log ends before the position up to which it was to be folded."""


@contextmanager
def replayed(
    log: LogReader, view: str, until: int, folder: Path, report: Report | None = None, stretch: Stretch = ALL
) -> Iterator[Digests]:
    """What one view rests on, folded from the first event to the one at `until`; it is to be asked for the view's lines
    as of then. Of a view that is folded by subject these are the lines of a stretch alone.

    What is folded is in a file in `folder` that has no name from the start, so that it goes with this process, however
    that ends. Raises ShortLog, and whatever LogReader does.
    """
    head = log.head()
    if head < until:
        raise ShortLog(f"the log ends at position {head}, before {until}")
    portion = PORTIONS[view]
    with TemporaryDirectory(prefix="folding-", dir=folder) as made:
        path = Path(made) / VIEWS
        folding = SingleViewReplay(path, portion) if portion.by_subject else Views(path, building=True, portion=portion)
        db = connect(path, read_only=True)
        db.execute("SELECT 1 FROM meta").fetchone()  # from here on both have the file open
        remove(path)
    with closing(folding), closing(db):
        if isinstance(folding, SingleViewReplay):
            folding.fold(_Told(log, until, report, stretch), until)
        else:
            catch_up(log, folding, report, until=until)
            folding.finish()
        yield Digests(db)


class _Told:
    """A log up to a position, event by event; of collections, the events of a stretch of their subjects."""

    def __init__(self, log: LogReader, until: int, report: Report | None, stretch: Stretch) -> None:
        self._log = log
        self._until = until
        self._report = report
        self._stretch = stretch
        self._count = 0

    def subjects(self) -> Iterator[str]:
        found = self._log.subjects()
        while found:
            yield from found
            found = self._log.subjects(found[-1])

    def of_types(self, types: Collection[str]) -> Iterator[Event]:
        position = 0
        while found := self._log.read(position, self._until, type=[*types]):
            yield from map(event_of, found)
            position = found[-1].position

    def of_collections(self, collections: Collection[str]) -> Iterator[Event]:
        found = self._log.by_subject(collections, None, self._until, stretch=self._stretch)
        while found:
            if self._report is not None:
                self._count += len(found)
                self._report(self._count)
            yield from map(event_of, found)
            found = self._log.by_subject(collections, found[-1], self._until, stretch=self._stretch)

    def of_subject(self, subject: str) -> Iterator[Event]:
        position = 0
        while found := self._log.read(position, self._until, subject=subject):
            yield from map(event_of, found)
            position = found[-1].position


def lines(chunks: Iterable[bytes], until: int) -> Iterator[bytes]:
    """The lines of a view, some thousands of bytes at a time, and last the line that closes them: the position, and
    the digest of all bytes before it."""
    digest = sha256()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    closing_line = {"position": until, "digest": written(digest.digest())}
    yield orjson.dumps(closing_line, option=orjson.OPT_APPEND_NEWLINE)


def parts(
    path: Path, view: str, until: int, folder: Path, report: Report, stretch: Stretch = ALL
) -> Iterator[Iterator[bytes]]:
    """The lines of each part of a view, of a stretch alone where it is folded by subject, some thousands of bytes at a
    time. What every stretch would tell alike, the first one tells."""
    with (
        with_rare_collections(),
        closing(LogReader(path)) as log,
        replayed(log, view, until, folder, report, stretch) as digests,
    ):
        for index, part in enumerate(PARTS[view]):
            is_told = stretch.after is None or not part.is_everywhere
            yield _packed(digests.part(view, index, until)) if is_told else iter(())


def _packed(lines: Iterable[bytes]) -> Iterator[bytes]:
    chunk = bytearray()
    for line in lines:
        chunk += line
        if len(chunk) >= _AT_ONCE:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


def _while_heard(parent: int) -> Report:
    """Ends this process once the one that started it, by its id, is gone."""

    def report(_: int) -> None:
        if os.getppid() != parent:
            raise SystemExit(1)

    return report


def told(path: Path, view: str, until: int, folder: Path, processes: int, report: Report) -> Iterator[bytes]:
    """The lines of a view of the log at a path, in order, some thousands of bytes at a time, folded by so many
    processes at most. Raises as `replayed` does, and SharerFailed."""
    portion = PORTIONS[view]
    stretches = [ALL]
    if portion.by_subject and processes > 1:
        with closing(LogReader(path)) as log:
            stretches = log.stretches(portion.folded, processes)
    if len(stretches) == 1:
        for part in parts(path, view, until, folder, report):
            yield from part
        return
    mine = _while_heard(os.getpid())
    work = [partial(parts, path, view, until, folder, mine, stretch) for stretch in stretches]
    yield from shared(work, len(PARTS[view]), partial(report, 0))


def main(arguments: Sequence[str]) -> None:
    """Writes a view as of a position. The arguments: data directory, folder for files, view, position, processes."""
    data, folder, view, until, processes = arguments
    os.nice(_NICE)
    chunks = told(Path(data) / LOG, view, int(until), Path(folder), int(processes), _while_heard(os.getppid()))
    for chunk in lines(chunks, int(until)):
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
