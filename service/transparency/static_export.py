"""A log as files that any reader of tlog-tiles takes, served by any file server, with what an audit needs beside them
(see `service.transparency.static_files`).

The order of writing is the promise: the checkpoint comes last, so that what was broken off is never taken for whole,
and the next export goes on from there. Tiles are written once and never changed. What was redacted from the log since
is redacted from the events, which are then written anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import orjson

from domain.merkle import root
from domain.tlog_formats import TILE_WIDTH, Checkpoint, NoteError, Tile, entry_bundle, parse_checkpoint, parse_note
from projections.digests import VIEWS
from projections.engine.database import connect, fold
from projections.reader import Reader
from service import data_directory
from service.commands.log_entry import answered_lines
from service.event_log import LogReader
from service.exports import NothingHere
from service.settings import Settings
from service.transparency.checkpoint import Published, read_kept
from service.transparency.signing import is_signed, read_key
from service.transparency.static_files import CHECKPOINT, DIGESTS, EVENTS, TEXTS, VKEY, text_path

AT_ONCE = 1000
PUBLIC_MODE = 0o644
"""Of files that any file server may serve."""
_STORED = "document.text-stored"


class CannotExport(Exception):
    """The directory cannot take this log. One line that says what would be right."""


class TileLog:
    """The log of a data directory, as far as it is signed, on its way into another directory.

    Reads the data directory also while it is served; one export into a directory at a time.
    """

    def __init__(self, settings: Settings, directory: Path) -> None:
        """Writes nothing yet. Raises NothingHere, CannotExport, CannotSign, LogFormatError, LogUnavailable, OSError."""
        data = settings.data
        for name in (data_directory.LOG, data_directory.VIEWS):
            if not (data / name).exists():
                raise NothingHere(f"there is no {name} in {data}; --data names the directory")
        self._directory = directory
        with ExitStack() as opened:
            self._log = opened.enter_context(closing(LogReader(data / data_directory.LOG)))
            self._reader = opened.enter_context(closing(Reader(data / data_directory.VIEWS)))
            origin = self._log.meta("origin")
            kept = read_kept(data, origin)
            if kept is None or origin is None:
                raise NothingHere(f"the log in {data} was never signed: registry serve does that")
            self._signed: Published = kept
            self._verifier = read_key(settings.signing_key or data / data_directory.SIGNING_KEY, origin).verifier
            self._check_log()
            self._check_views(data / data_directory.VIEWS)
            self._old = self._check_directory()
            self._held = opened.pop_all()

    @property
    def size(self) -> int:
        """How many events the checkpoint covers."""
        return self._signed.size

    def write(self, report: Callable[[int], object], *, texts: bool) -> None:
        """Bring the directory to the checkpoint; `report` hears how many events were taken since it was last called.

        The order is the promise: each step leaves a directory that is either whole, as of one checkpoint, or is seen
        not to be.

        1. The key, by which the next export knows the directory as its own. From here on to step 6 it has the old
           checkpoint, or none: then it is no export yet.
        2. The tiles that the old checkpoint does not cover. Nobody asks for them before step 6.
        3. The events: what is new is appended, and not read before step 6. If something was erased since, the digests
           go first, which says that the export is not whole, and all events are written anew.
        4. The texts; and gone are those that were erased.
        5. The digests, which say of which size they are.
        6. All of it on disk, the checkpoint takes the place of the old one.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        erasures = self._log.erasures()
        data_directory.replace(self._directory / VKEY, f"{self._verifier.text}\n".encode(), PUBLIC_MODE)
        self._write_tiles()
        self._write_events(erasures, report)
        self._write_texts(texts)
        self._write_digests(erasures)
        if self._log.erasures() != erasures:
            raise CannotExport("something was erased from the log during the export: export it again")
        os.sync()
        data_directory.replace(self._directory / CHECKPOINT, self._signed.note.signed.encode(), PUBLIC_MODE)

    def close(self) -> None:
        """Lets go of log and views."""
        self._held.close()

    # before

    def _check_log(self) -> None:
        signed, reader = self._signed, self._reader
        if not is_signed(signed.note, self._verifier):
            raise CannotExport("the last checkpoint is not signed by the log's key: registry audit says more")
        if reader.head() < signed.size or root(signed.size, reader.hashes) != signed.checkpoint.root:
            raise CannotExport("the log is not the one that was signed: registry audit says more")

    def _check_views(self, path: Path) -> None:
        with closing(connect(path, read_only=True)) as db:
            said = dict(db.execute("SELECT name, value FROM meta"))
        if said["fold"] != fold():
            raise NothingHere(f"{path} was folded by another version of the registry: registry rebuild folds it anew")
        if int(said["erasures"]) != self._log.erasures():
            raise NothingHere(f"something was erased from the log that is still in {path}: export again later")

    def _check_directory(self) -> Checkpoint | None:
        """What was exported into the directory before. Raises CannotExport where that is not of this log."""
        directory = self._directory
        if not directory.is_dir() or not any(directory.iterdir()):
            return None
        try:
            is_ours = (directory / VKEY).read_text().strip() == self._verifier.text
        except (OSError, UnicodeDecodeError):
            is_ours = False
        if not is_ours:
            raise CannotExport(f"{directory} holds something else than an export of this log: name another directory")
        try:
            note = parse_note((directory / CHECKPOINT).read_text())
            old = parse_checkpoint(note.text)
        except FileNotFoundError:
            return None
        except (NoteError, UnicodeDecodeError) as error:
            raise CannotExport(f"{directory / CHECKPOINT} is no checkpoint: {error}") from None
        if not is_signed(note, self._verifier) or old.size > self.size or self._root(old.size) != old.root:
            raise CannotExport(f"{directory} holds another history than this log has: compare them with registry audit")
        return old

    def _root(self, size: int) -> bytes:
        return root(size, self._reader.hashes)

    # the steps

    def _write_tiles(self) -> None:
        old = 0 if self._old is None else self._old.size
        level: int | None = None
        while level is None or self.size >> 8 * level:
            was, now = (size >> 8 * (level or 0) for size in (old, self.size))
            for number in range(was // TILE_WIDTH, -(-now // TILE_WIDTH)):
                self._write_tile(Tile(level, number, min(TILE_WIDTH, now - number * TILE_WIDTH)))
            level = 0 if level is None else level + 1

    def _write_tile(self, tile: Tile) -> None:
        path = self._directory / tile.path
        first = tile.number * TILE_WIDTH
        if tile.level is None:
            parts = self._log.entries(first, first + tile.width)
            content = entry_bundle(parts)
        else:
            parts = self._reader.hashes(tile.level, first, tile.width)
            content = b"".join(parts)
        if len(parts) != tile.width:
            raise CannotExport("the stored tree lacks what was signed: registry rebuild makes it anew")
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_bytes(content)
        fresh.rename(path)

    def _write_events(self, erasures: int, report: Callable[[int], object]) -> None:
        path, digests = self._directory / EVENTS, self._directory / DIGESTS
        old = 0 if self._old is None else self._old.size
        if self._old is not None and self._said(digests) == (old, erasures) and path.exists():
            with path.open("r+b") as file:
                file.truncate(_length(path, old))
                file.seek(0, os.SEEK_END)
                report(old)
                for count, lines in self._events(old):
                    file.write(lines)
                    report(count)
            return
        digests.unlink(missing_ok=True)
        fresh = path.with_name(f"{path.name}.new")
        with fresh.open("wb") as file:
            for count, lines in self._events(0):
                file.write(lines)
                report(count)
        fresh.rename(path)

    def _events(self, after: int) -> Iterator[tuple[int, bytes]]:
        while rows := self._log.pieces(after, self.size, AT_ONCE):
            yield len(rows), answered_lines(self._log, rows)
            after = rows[-1][0]

    def _said(self, path: Path) -> tuple[Any, Any] | None:
        """Of which size, and after how many erasures, the digests in the directory are."""
        try:
            said = orjson.loads(path.read_bytes())
            return said["position"], said["erasures"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write_texts(self, wanted: bool) -> None:
        folder = self._directory / TEXTS
        held: set[str] = set()
        position = 0
        while events := self._log.read(position, self.size, AT_ONCE, type=_STORED):
            for event in events:
                text = self._log.text(event.position)
                if text is not None and event.data:
                    path = text_path(self._directory, orjson.loads(event.data).get("sha256"))
                    if path is None:
                        raise CannotExport(f"the text at position {event.position} has no SHA-256: audit the log")
                    held.add(path.name)
                    if wanted:
                        data_directory.replace(_made(folder) / path.name, text.encode(), PUBLIC_MODE)
            position = events[-1].position
        if wanted:
            _made(folder)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in held:
                path.unlink()

    def _write_digests(self, erasures: int) -> None:
        digests = {view: self._reader.digest(view, self.size) for view in VIEWS}
        said = {"position": self.size, "digests": digests, "fold": fold(), "erasures": erasures}
        content = orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        data_directory.replace(self._directory / DIGESTS, content, PUBLIC_MODE)


def _length(path: Path, lines: int) -> int:
    """How many bytes the first lines of a file take."""
    with path.open("rb") as file:
        return sum(len(line) for _, line in zip(range(lines), file, strict=False))


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
