"""Replay: one view folded again from the first event of the log, apart from the stored views.

A view whose rows each depend on one subject's events is folded subject by subject, by several processes if that is
worth their start. The code that folds is the code that folds all views.

`python -m service.views.replay` is a process that writes one view to standard output. It can be ended at any moment. It
only reads the log, and never reads the stored views.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import orjson

from domain.corrections import Event
from projections.digests import PARTS, SCOPES, Digests, written
from projections.engine.database import connect
from projections.single_view import SingleViewReplay
from projections.views import Views
from service.commands.log_entry import event_of
from service.data_directory import LOG, VIEWS, remove
from service.event_log import ALL_SUBJECTS, LogReader, SubjectRange
from service.jobs import end_with
from service.views.follower import AT_ONCE, catch_up, with_rare_garbage_collection
from service.worker_pool import worker_pool

_NICE = 10
"""The replay takes the processor time that the server leaves."""
_CHUNK = 64 * 1024
_POLL_SECONDS = 0.5

Report = Callable[[int], None]
"""Takes the number of events read so far, from time to time."""


class ShortLog(Exception):
    """The log ends before the position up to which it was to be folded."""


@contextmanager
def replayed(
    log: LogReader,
    view: str,
    until: int,
    folder: Path,
    report: Report | None = None,
    subjects: SubjectRange = ALL_SUBJECTS,
) -> Iterator[Digests]:
    """Fold one view up to position `until`, and yield the rows to read as of that position.

    If the view is folded by subject, only the `subjects` are folded. The database is a file in `folder` that
    loses its name at the start, so it goes with this process however that ends. Raises ShortLog, and what LogReader
    raises.
    """
    head = log.head()
    if head < until:
        raise ShortLog(f"the log ends at position {head}, before {until}")
    scope = SCOPES[view]
    with TemporaryDirectory(prefix="folding-", dir=folder) as directory:
        path = Path(directory) / VIEWS
        views = SingleViewReplay(path, scope) if scope.by_subject else Views(path, building=True, scope=scope)
        db = connect(path, read_only=True)
        db.execute("SELECT 1 FROM meta").fetchone()  # from here on both have the file open
        remove(path)
    with closing(views), closing(db):
        if isinstance(views, SingleViewReplay):
            views.fold(_LogUntil(log, until, report, subjects), until)
        else:
            catch_up(log, views, report, until=until)
            views.finish()
        yield Digests(db)


class _LogUntil:
    """The events of a log up to a position; `of_collections` yields those of the subjects of one range."""

    def __init__(self, log: LogReader, until: int, report: Report | None, subjects: SubjectRange) -> None:
        self._log = log
        self._until = until
        self._report = report
        self._subjects = subjects
        self._count = 0

    def subjects(self) -> Iterator[str]:
        found = self._log.subjects()
        while found:
            yield from found
            found = self._log.subjects(found[-1])

    def of_types(self, types: Collection[str]) -> Iterator[Event]:
        position = 0
        while found := self._log.select_notifications(position + 1, AT_ONCE, self._until, [*types]):
            yield from map(event_of, found)
            position = found[-1].position

    def of_collections(self, collections: Collection[str]) -> Iterator[Event]:
        found = self._log.by_subject(collections, None, self._until, subject_range=self._subjects)
        while found:
            if self._report is not None:
                self._count += len(found)
                self._report(self._count)
            yield from map(event_of, found)
            found = self._log.by_subject(collections, found[-1], self._until, subject_range=self._subjects)

    def of_subject(self, subject: str) -> Iterator[Event]:
        position = 0
        while found := self._log.select_notifications(position + 1, AT_ONCE, self._until, subject=subject):
            yield from map(event_of, found)
            position = found[-1].position


def parts(
    path: Path, view: str, until: int, folder: Path, report: Report | None = None, subjects: SubjectRange = ALL_SUBJECTS
) -> Iterator[Iterator[bytes]]:
    """Yield the lines of each part of a view of the log at `path`, in chunks.

    If the view is folded by subject, they are the lines of one range. Lines that every range has are in the first
    one only.
    """
    with (
        with_rare_garbage_collection(),
        closing(LogReader(path)) as log,
        replayed(log, view, until, folder, report, subjects) as digests,
    ):
        for index, part in enumerate(PARTS[view]):
            is_first = subjects.after is None
            yield _chunks(digests.part(view, index, until)) if is_first or not part.is_everywhere else iter(())


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    chunk = bytearray()
    for line in lines:
        chunk += line
        if len(chunk) >= _CHUNK:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


def view_lines(path: Path, view: str, until: int, folder: Path, processes: int, report: Report) -> Iterator[bytes]:
    """Yield the lines of a view of the log at `path`, in order and in chunks, folded by at most `processes` processes.

    Raises what `replayed` raises, and BrokenProcessPool.
    """
    scope = SCOPES[view]
    ranges = [ALL_SUBJECTS]
    if scope.by_subject and processes > 1:
        with closing(LogReader(path)) as log:
            ranges = log.subject_ranges(scope.folded, processes)
    if len(ranges) == 1:
        for part in parts(path, view, until, folder, report):
            yield from part
        return
    with worker_pool(len(ranges)) as pool:
        shares = [pool.submit(_write_parts, path, view, until, folder, subjects) for subjects in ranges]
        for index in range(len(PARTS[view])):
            for share in shares:
                yield from _read(_result(share, report)[index])


def _write_parts(path: Path, view: str, until: int, folder: Path, subjects: SubjectRange) -> list[Path]:
    """Write the parts of one range into files in `folder`, and return their paths."""
    directory = Path(mkdtemp(dir=folder))
    paths = []
    for index, part in enumerate(parts(path, view, until, folder, subjects=subjects)):
        paths.append(directory / str(index))
        with paths[-1].open("wb") as file:
            file.writelines(part)
    return paths


def _result(share: Future[list[Path]], report: Report) -> list[Path]:
    while not wait([share], _POLL_SECONDS).done:
        report(0)
    return share.result()


def _read(path: Path) -> Iterator[bytes]:
    """Yield a file in chunks, and remove it."""
    with path.open("rb") as file:
        path.unlink()
        while chunk := file.read(_CHUNK):
            yield chunk


def with_digest(chunks: Iterable[bytes], until: int) -> Iterator[bytes]:
    """Yield the chunks of a view, then its last line: the position, and the digest of all bytes before the line."""
    digest = sha256()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    last = {"position": until, "digest": written(digest.digest())}
    yield orjson.dumps(last, option=orjson.OPT_APPEND_NEWLINE)


def main(arguments: Sequence[str]) -> None:
    """Write a view as of a position. The arguments: data directory, folder for files, view, position, processes."""
    data, folder, view, until, processes = arguments
    os.nice(_NICE)
    report = end_with(os.getppid())
    chunks = view_lines(Path(data) / LOG, view, int(until), Path(folder), int(processes), report)
    for chunk in with_digest(chunks, int(until)):
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
