"""Static export: writes a log as files for any reader of tlog-tiles and any file server (C2SP tlog-tiles).

Files that an audit needs stand beside them (`service.transparency.static_files`). The checkpoint is written last, so an
interrupted export is never taken for a complete one, and the next export continues it. Tiles are written once. If data
was redacted since the last export, all events are written again without it.
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
from service.exports import NothingToExport
from service.settings import Settings
from service.transparency.checkpoint import Published, read_checkpoint
from service.transparency.signing import is_signed, read_key
from service.transparency.static_files import CHECKPOINT, DIGESTS, EVENTS, TEXTS, VKEY, text_path

BATCH = 1000
PUBLIC_MODE = 0o644
"""The mode of files that any file server may serve."""
_STORED = "document.text-stored"


class CannotExport(Exception):
    """The log cannot be exported into this directory. The text is one line that says what to do."""


class TileLog:
    """The export of the signed part of a log into a directory.

    The data directory is only read, also while it is served. One export into a directory at a time.
    """

    def __init__(self, settings: Settings, directory: Path) -> None:
        """Check both directories. Raises NothingToExport, CannotExport, CannotSign, LogError, OSError."""
        data = settings.data
        for name in (data_directory.LOG, data_directory.VIEWS):
            if not (data / name).exists():
                raise NothingToExport(f"there is no {name} in {data}; --data names the directory")
        self._directory = directory
        with ExitStack() as opened:
            self._log = opened.enter_context(closing(LogReader(data / data_directory.LOG)))
            self._reader = opened.enter_context(closing(Reader(data / data_directory.VIEWS)))
            origin = self._log.meta("origin")
            signed = read_checkpoint(data, origin)
            if signed is None or origin is None:
                raise NothingToExport(f"the log in {data} was never signed: registry serve does that")
            self._signed: Published = signed
            self._verifier = read_key(settings.signing_key or data / data_directory.SIGNING_KEY, origin).verifier
            self._check_log()
            self._check_views(data / data_directory.VIEWS)
            self._old = self._check_directory()
            self._open = opened.pop_all()

    @property
    def size(self) -> int:
        """The number of events the checkpoint covers."""
        return self._signed.size

    def write(self, report: Callable[[int], object], *, texts: bool) -> None:
        """Write the export up to the checkpoint; `report` takes the number of events written since its last call.

        The order makes an interruption harmless: after each step the directory is either complete as of one checkpoint,
        or recognisably incomplete.

        1. The key, which marks the directory as an export of this log. Until step 6 the directory has the old
           checkpoint, or none, and then it is not an export yet.
        2. The tiles that the old checkpoint does not cover. Nobody reads them before step 6.
        3. The events. New events are appended, and not read before step 6. If data was erased since, the digests are
           removed first, which marks the export as incomplete, and all events are written again.
        4. The texts. Erased texts are removed.
        5. The digests, with their size.
        6. All files are flushed to disk, then the checkpoint replaces the old one.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        erasures = self._log.erasures()
        data_directory.replace(self._directory / VKEY, f"{self._verifier.text}\n".encode(), PUBLIC_MODE)
        self._write_tiles()
        self._write_events(erasures, report)
        self._write_texts(texts)
        self._write_digests(erasures)
        if self._log.erasures() != erasures:
            raise CannotExport("data was erased from the log during the export: export it again")
        os.sync()
        data_directory.replace(self._directory / CHECKPOINT, self._signed.note.signed.encode(), PUBLIC_MODE)

    def close(self) -> None:
        """Close the log and the views."""
        self._open.close()

    def _check_log(self) -> None:
        signed, reader = self._signed, self._reader
        if not is_signed(signed.note, self._verifier):
            raise CannotExport("the last checkpoint is not signed by the log's key: run registry audit")
        if reader.head() < signed.size or root(signed.size, reader.hashes) != signed.checkpoint.root:
            raise CannotExport("the log is not the one that was signed: run registry audit")

    def _check_views(self, path: Path) -> None:
        with closing(connect(path, read_only=True)) as db:
            meta = dict(db.execute("SELECT name, value FROM meta"))
        if meta["fold"] != fold():
            raise NothingToExport(f"{path} was folded by another version of the registry: run registry rebuild")
        if int(meta["erasures"]) != self._log.erasures():
            raise NothingToExport(f"data that was erased from the log is still in {path}: export again later")

    def _check_directory(self) -> Checkpoint | None:
        """Return the checkpoint of an earlier export in the directory. Raises CannotExport if it is of another log."""
        directory = self._directory
        if not directory.is_dir() or not any(directory.iterdir()):
            return None
        try:
            is_ours = (directory / VKEY).read_text().strip() == self._verifier.text
        except (OSError, UnicodeDecodeError):
            is_ours = False
        if not is_ours:
            raise CannotExport(f"{directory} is not an export of this log: name another directory")
        try:
            note = parse_note((directory / CHECKPOINT).read_text())
            old = parse_checkpoint(note.text)
        except FileNotFoundError:
            return None
        except (NoteError, UnicodeDecodeError) as error:
            raise CannotExport(f"{directory / CHECKPOINT} is not a checkpoint: {error}") from None
        if not is_signed(note, self._verifier) or old.size > self.size or self._root(old.size) != old.root:
            raise CannotExport(f"{directory} has another history than this log: compare them with registry audit")
        return old

    def _root(self, size: int) -> bytes:
        return root(size, self._reader.hashes)

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
            raise CannotExport("the stored tree lacks hashes that were signed: run registry rebuild")
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_bytes(content)
        fresh.rename(path)

    def _write_events(self, erasures: int, report: Callable[[int], object]) -> None:
        path, digests = self._directory / EVENTS, self._directory / DIGESTS
        old = 0 if self._old is None else self._old.size
        if self._old is not None and self._digests_state(digests) == (old, erasures) and path.exists():
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
        while rows := self._log.select_parts(after, self.size, BATCH):
            yield len(rows), answered_lines(self._log, rows)
            after = rows[-1][0]

    def _digests_state(self, path: Path) -> tuple[Any, Any] | None:
        """Return the size and the number of erasures of the digests in the directory; None if there are none."""
        try:
            state = orjson.loads(path.read_bytes())
            return state["position"], state["erasures"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write_texts(self, wanted: bool) -> None:
        folder = self._directory / TEXTS
        stored: set[str] = set()
        position = 0
        while events := self._log.select_notifications(position + 1, BATCH, self.size, (_STORED,)):
            for event in events:
                text = self._log.text(event.position)
                if text is not None and event.data:
                    path = text_path(self._directory, orjson.loads(event.data).get("sha256"))
                    if path is None:
                        raise CannotExport(f"the text at position {event.position} has no SHA-256: audit the log")
                    stored.add(path.name)
                    if wanted:
                        data_directory.replace(_directory(folder) / path.name, text.encode(), PUBLIC_MODE)
            position = events[-1].position
        if wanted:
            _directory(folder)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in stored:
                path.unlink()

    def _write_digests(self, erasures: int) -> None:
        digests = {view: self._reader.digest(view, self.size) for view in VIEWS}
        state = {"position": self.size, "digests": digests, "fold": fold(), "erasures": erasures}
        content = orjson.dumps(state, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        data_directory.replace(self._directory / DIGESTS, content, PUBLIC_MODE)


def _length(path: Path, lines: int) -> int:
    """Return the size in bytes of the first lines of a file."""
    with path.open("rb") as file:
        return sum(len(line) for _, line in zip(range(lines), file, strict=False))


def _directory(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
