"""Folds one view from the first event of the log anew, apart from the stored views: for whoever would rather compare
than believe. It is folded by the code that folds all of them, without what only others rest on; a list whose lines each
rest on one subject's events, one subject after the other.

As a command, `python -m service.replay`, it is a process of its own that writes one view to standard output: it takes
what the server leaves of the processor, can be ended at any moment, and leaves nothing behind. It only reads the log,
and never looks at the stored views.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from domain.facts import Event
from projections.alone import Alone
from projections.digests import written
from projections.portions import PORTIONS
from projections.reading import Reader
from projections.views import Views
from service.entries import event_of
from service.files import LOG, VIEWS, remove
from service.follower import catch_up
from service.log import LogReader

_NICE = 10
_AT_ONCE = 64 * 1024


class ShortLog(Exception):
    """The log ends before the position up to which it was to be folded."""


@contextmanager
def replayed(
    log: LogReader, view: str, until: int, folder: Path, report: Callable[[int], None] | None = None
) -> Iterator[Reader]:
    """A reader of what one view rests on, folded from the first event to the one at `until`; it is to be asked for the
    view's lines as of then. `report` hears, now and again, how many events were taken.

    What is folded is in a file in `folder` that has no name from the start, so that it goes with this process, however
    that ends. Raises ShortLog, and whatever LogReader does.
    """
    head = log.head()
    if head < until:
        raise ShortLog(f"the log ends at position {head}, before {until}")
    portion = PORTIONS[view]
    with TemporaryDirectory(prefix="folding-", dir=folder) as made:
        path = Path(made) / VIEWS
        folding = Alone(path, portion) if portion.by_subject else Views(path, building=True, portion=portion)
        reader = Reader(path)
        reader.head()  # from here on both have the file open
        remove(path)
    with closing(folding), closing(reader):
        if isinstance(folding, Alone):
            folding.fold(_Told(log, until, report), until)
        else:
            catch_up(log, folding, report, until=until)
            folding.finish()
        yield reader


class _Told:
    """A log up to a position, event by event."""

    def __init__(self, log: LogReader, until: int, report: Callable[[int], None] | None) -> None:
        self._log = log
        self._until = until
        self._report = report
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
        found = self._log.by_subject(collections, None, self._until)
        while found:
            if self._report is not None:
                self._count += len(found)
                self._report(self._count)
            yield from map(event_of, found)
            found = self._log.by_subject(collections, found[-1], self._until)

    def of_subject(self, subject: str) -> Iterator[Event]:
        position = 0
        while found := self._log.read(position, self._until, subject=subject):
            yield from map(event_of, found)
            position = found[-1].position


def lines(reader: Reader, view: str, until: int) -> Iterator[bytes]:
    """The lines of a view, some thousands of bytes at a time, and last the line that closes them: the position, and
    the digest of all bytes before it."""
    digest, chunk = sha256(), bytearray()
    for line in reader.lines(view, until):
        chunk += line
        if len(chunk) >= _AT_ONCE:
            digest.update(chunk)
            yield bytes(chunk)
            chunk.clear()
    digest.update(chunk)
    closing_line = {"position": until, "digest": written(digest.digest())}
    yield bytes(chunk) + orjson.dumps(closing_line, option=orjson.OPT_APPEND_NEWLINE)


def main(arguments: Sequence[str]) -> None:
    """Writes a view as of a position. The arguments: data directory, folder for files, view, position."""
    data, folder, view, until = arguments
    os.nice(_NICE)
    parent = os.getppid()

    def report(_: int) -> None:
        if os.getppid() != parent:  # whoever asked is gone
            raise SystemExit(1)

    with closing(LogReader(Path(data) / LOG)) as log, replayed(log, view, int(until), Path(folder), report) as reader:
        for chunk in lines(reader, view, int(until)):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
