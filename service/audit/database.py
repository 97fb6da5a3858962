"""A data directory or a log's file as the source of an audit, also while a server runs on it.

It changes no file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import orjson

from domain.corrections import Event
from domain.tlog_formats import TILE_WIDTH
from projections import table_comparison
from projections.digests import Digests
from projections.engine import merkle_tree
from projections.engine.database import create, fold
from projections.engine.tracking import ViewsTracking
from projections.views import INDEXES, SCHEMAS
from service.audit.checkpoints import MOST_NOTE_BYTES, CannotAudit, read_file, read_signed
from service.audit.document_texts import ReadText
from service.audit.event_rows import Row, stored
from service.audit.history import about_of
from service.audit.source import StoredViews, Unreadable
from service.audit.summary import Batch, Batches, Wanted, batches
from service.audit.tree import StoredTiles, tiles_of
from service.audit.workers import processes, summaries
from service.data_directory import CHECKPOINT, LOG, SIGNING_KEY, VIEWS, wal_of
from service.event_log import LogError
from service.event_log.scan import Damaged, Inspection, Scan, difference, read_only, schema
from service.transparency.signing import CannotSign, read_key

AT_ONCE = 4 * TILE_WIDTH


class Database:
    """A log's file, with the views, the checkpoint and the key beside it."""

    def __init__(self, path: Path, signing_key: Path | None = None) -> None:
        """`path` is a data directory or a log's file; `signing_key` is the file of its key, if that is elsewhere.

        Raises CannotAudit.
        """
        self._path = path / LOG if path.is_dir() else path
        self._folder = self._path.parent
        self._views_path = self._folder / VIEWS
        self._quiet = [each for each in (self._path, self._views_path) if not wal_of(each).exists()]
        self._signing_key = signing_key or self._folder / SIGNING_KEY
        self._inspection = Inspection()
        self.target = str(path)
        self.has_files = True
        try:
            content = read_file(self._folder / CHECKPOINT, MOST_NOTE_BYTES)
        except FileNotFoundError:
            raise CannotAudit(
                f"there is no {self._folder / CHECKPOINT}: the log was never signed (`registry serve` signs it), or the"
                " file is lost"
            ) from None
        except OSError as error:
            raise CannotAudit(f"{self._folder / CHECKPOINT}: {error.strerror}") from None
        self.signed = read_signed(content, str(self._folder / CHECKPOINT))
        try:
            # The log comes last: while a server runs, it holds every event that the views and the checkpoint hold.
            self._views: _Views | str = _Views.opened(self._views_path)
            self._log = Scan(self._path)
            self.head = self._log.head()
            self.origin = self._log.meta("origin")
            self._erasures = self._log.meta("erasures") or "0"
        except (LogError, Damaged) as error:
            raise CannotAudit(f"{self._path}: {error}") from None
        if isinstance(self._views, _Views):
            self._views.log = self

    def key(self) -> tuple[str, str]:
        path = self._signing_key
        reason = ""
        for name in dict.fromkeys((self.origin, self.signed.checkpoint.origin)):
            try:
                return read_key(path, name or "").verifier.text, path.name
            except (CannotSign, OSError) as error:
                reason = reason or (f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error))
        raise CannotAudit(f"{reason}; or give the log's verifier key with --vkey")

    def rows(self) -> Iterator[list[Row]]:
        for position in range(0, self.head, AT_ONCE):
            yield self._some(position)

    def batches(self, wanted: Wanted) -> Batches:
        count = processes(self.head)
        if not count:
            yield from batches(self.rows(), wanted)
            return
        with closing(summaries(self._path, self.head, AT_ONCE, wanted, count)) as found:
            for position, summary in zip(range(0, self.head, AT_ONCE), found, strict=True):
                yield Batch(summary, partial(self._some, position))

    def _some(self, position: int) -> list[Row]:
        """Return the next events after a position. Raises Unreadable."""
        try:
            return stored(self._log.rows(position, min(position + AT_ONCE, self.head)))
        except Damaged as error:
            raise Unreadable(f"{self._path.name} cannot be read after position {position}: {error}") from None

    def damages(self) -> Mapping[str, Sequence[str]]:
        views = [self._views_path] if isinstance(self._views, _Views) else []
        found = {path.name: self._inspection.damages(path) for path in (self._path, *views)}
        if isinstance(self._views, _OtherSchema):
            found[self._views_path.name] = [self._views]
        return found

    def later_redactions(self) -> Mapping[int, int]:
        found: dict[int, int] = {}
        position, head = self.head, self._log.head()
        while position < head:
            until = min(position + AT_ONCE, head)
            for row in stored(self._log.rows(position, until)):
                if row.type == "event.redacted" and (about := about_of(row.data)) is not None:
                    found[about] = row.position
            position = until
        return found

    def tiles(self) -> StoredTiles:
        if isinstance(self._views, str):
            return
        for tile in tiles_of(self._views.position):
            if tile.level is not None:
                yield tile, self._views.hashes(tile.level, tile.number * TILE_WIDTH, tile.width)

    def text_reader(self) -> ReadText | str:
        def read(event: Event) -> bytes | None:
            try:
                text = self._log.text(event.position)
            except Damaged as error:
                raise CannotAudit(f"the texts in {self._path.name} cannot be read: {error}") from None
            return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text

        return read

    def views(self) -> StoredViews | str:
        return self._views

    def recall(self, position: int, row: Row | None) -> Mapping[str, Any] | None:
        del row
        return None if isinstance(self._views, str) else self._views.recall(position)

    def erasures(self) -> tuple[str, str]:
        """Return the number of erasures from the log: at the start of the audit, and now."""
        return self._erasures, self._log.meta("erasures") or "0"

    def finish(self) -> None:
        if any(wal_of(path).exists() for path in self._quiet if path.exists()):
            raise CannotAudit(f"{self._folder} was used by a server during the audit: audit it again")

    def close(self) -> None:
        self._inspection.end()
        self._log.close()
        if isinstance(self._views, _Views):
            self._views.close()


class _OtherSchema(str):
    """The reason why views with an unexpected schema are not read."""

    __slots__ = ()


class _Views:
    """The views' file of a data directory."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path: Path | None = path
        self._db = db
        self._digests = Digests(db)
        self.any_position = True
        self.position = ViewsTracking(db).position()
        self._erasures = self._meta("erasures")
        self.log: Database | None = None

    @classmethod
    def opened(cls, path: Path) -> _Views | str:
        """Return the views in a file, or why they cannot be used."""
        if not path.exists():
            return f"there are none in {path.parent}; `registry rebuild` makes them from the log"
        try:
            db = read_only(path)
        except sqlite3.Error as error:
            return f"{path.name} cannot be opened: {error}"
        try:
            views = cls(path, db)
            reason: str
            if views._meta("fold") == fold():
                name = difference(schema(db), _expected_schema())
                if name is None:
                    return views
                reason = _OtherSchema(f"the schema of its {name} differs")
            else:
                reason = f"{path.name} was folded by another version of the registry than this command is"
        except (sqlite3.Error, LookupError, ValueError) as error:
            reason = f"{path.name} cannot be read: {error}"
        db.close()
        return reason

    def digests(self, as_of: int, views: Sequence[str]) -> Mapping[str, str]:
        with _Reading():
            return {view: self._digests.digest(view, as_of) for view in views}

    def lines(self, view: str, as_of: int) -> Iterator[bytes]:
        with _Reading():
            yield from self._digests.lines(view, as_of)

    def rows(self, table: str, as_of: int) -> Iterator[dict[str, Any]]:
        with _Reading():
            yield from table_comparison.rows(self._db, table, as_of)

    def stored(self, table: str) -> Iterator[list[tuple[Any, ...]]]:
        with _Reading():
            yield from table_comparison.stored(self._db, table)

    def values(self, table: str) -> Iterator[tuple[Any, ...]]:
        with _Reading():
            yield from table_comparison.values(self._db, table)

    def broken_indexes(self) -> Sequence[str]:
        with _Reading():
            return [index.name for index in INDEXES if not index.is_complete(self._db)]

    def reason_to_repeat(self) -> str | None:
        assert self.log is not None
        before, now = self.log.erasures()
        if before != now:
            return "data was erased during the audit: audit it again"
        if self._erasures != before:
            return "data erased from the log is not yet erased from the views: start the registry, which erases it"
        return None

    def hashes(self, level: int, first: int, count: int) -> bytes:
        """Return stored hashes of the tree in the form of a tile. Raises Unreadable."""
        try:
            return b"".join(merkle_tree.hashes(self._db, level, first, count))
        except (sqlite3.Error, TypeError) as error:
            raise Unreadable(f"the stored tree cannot be read: {error}") from None

    def recall(self, position: int) -> Mapping[str, Any] | None:
        """Return an event as the views hold it, or None."""
        with suppress(Exception):
            lines = self._digests.some("history", position, (0, position - 1), 1).lines
            found: Mapping[str, Any] = orjson.loads(lines[0])
            return found
        return None

    def close(self) -> None:
        self._db.close()

    def _meta(self, name: str) -> str:
        (value,) = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone() or (None,)
        if value is None:
            raise LookupError(f"it has no {name}")
        return str(value)


@lru_cache(maxsize=1)
def _expected_schema() -> dict[str, str]:
    """Return the schema of views that this version of the registry folds."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        create(db, SCHEMAS)
        return schema(db)


class _Reading:
    """A context that turns every error into Unreadable: the views are untrusted."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            raise Unreadable(f"the stored views cannot be read: {error}") from error
