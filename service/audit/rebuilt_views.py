"""The audit's own views: the same loop that folds every log folds the events that the audit has read.

The fold stops at the first fault of the log, as views cannot be right after it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from domain.corrections import Event
from projections import table_comparison
from projections.digests import written
from projections.reader import Reader
from projections.views import Views
from service.audit.checkpoints import CannotAudit
from service.audit.document_texts import ReadText
from service.audit.event_checks import invalid
from service.audit.event_rows import Row
from service.audit.report import Check, Finding
from service.audit.row_comparison import have_equal_rows
from service.audit.summary import Batch
from service.data_directory import VIEWS
from service.event_log import LoggedEvent
from service.event_log.scan import read_only
from service.views.follower import AT_ONCE, catch_up


class RebuiltViews:
    """The audit's own views, while they are folded."""

    def __init__(self, check: Check, folder: Path, origin: str, read: ReadText | None) -> None:
        """Events that cannot be folded are findings of the check. `read` is None if texts are not available."""
        self._check = check
        self._path = folder / VIEWS
        self._views = Views(self._path, building=True)
        self._feed = _Feed(origin, read)
        self.broken: str | None = None
        """The reason why the fold stopped, or None."""

    @property
    def position(self) -> int:
        """The position of the last folded event."""
        return self._views.position

    def take(self, batch: Batch) -> None:
        """Fold the next events. Each of them must pass by itself, and none may be missing."""
        are_valid = batch.summary is not None and batch.summary.are_valid
        for first in range(0, len(batch.rows) if self.broken is None else 0, AT_ONCE):
            some = batch.rows[first : first + AT_ONCE]
            for index, row in enumerate(() if are_valid else some):
                if row.data and (finding := invalid(row)) is not None:
                    self._fold(some[:index])
                    self._stop(finding)
                    break
            else:
                self._fold(some)
            if self.broken is not None:
                return

    def stop(self, reason: str) -> None:
        """Stop the fold."""
        self.broken = self.broken or reason

    def reader(self) -> RebuiltViewsReader:
        """End the fold and return its reader. The caller closes the reader."""
        self._views.finish()
        return RebuiltViewsReader(self._path, self._feed)

    def close(self) -> None:
        """Close the file."""
        self._views.close()

    def _fold(self, rows: Sequence[Row]) -> None:
        self._feed.events = [_logged(row) for row in rows]
        try:
            catch_up(self._feed, self._views)
            self._feed.forget_erased()
        except sqlite3.OperationalError as error:  # for example a full disk, which is no fault of the log
            raise CannotAudit(f"the views cannot be folded again in {self._path.parent}: {error}") from None
        except Exception as error:  # noqa: BLE001 - untrusted events decide which error it is
            if len(rows) == 1:
                says = f"cannot be folded: {type(error).__name__} {error}".rstrip()
                self._stop(Finding(says, rows[0].position, rows[0].subject, "event"))
            for row in rows if len(rows) > 1 else ():
                if self.broken is None:
                    self._fold([row])

    def _stop(self, finding: Finding) -> None:
        self._check.find(finding)
        self.stop(f"position {finding.position} cannot be folded")


class RebuiltViewsReader:
    """Reads the audit's own views."""

    def __init__(self, path: Path, feed: _Feed) -> None:
        """`feed` holds the texts that were not available."""
        self._reader = Reader(path)
        self._db = read_only(path)
        self._feed = feed
        self.position = self._reader.head()
        """The position of the last folded event."""
        self.lacks_texts = feed.lacks_texts
        """Whether texts of documents were not available."""

    def lines(self, view: str, as_of: int) -> Iterator[bytes]:
        """Return the canonical rows of a view as of a position."""
        lines = self._reader.lines(view, as_of)
        if view != "documents" or not self._feed.lacks_texts:
            return lines
        return (line for each in lines if (line := self._with_text(each, as_of)))

    def digest(self, view: str, as_of: int) -> str:
        """Return the digest of a view as of a position."""
        digest = sha256()
        for line in self.lines(view, as_of):
            digest.update(line)
        return written(digest.digest())

    def tables(self) -> list[str]:
        """Return the bitemporal tables."""
        return table_comparison.tables(self._db)

    def rows(self, table: str, as_of: int) -> Iterator[dict[str, Any]]:
        """Return every row of a table with a system time up to a position."""
        return table_comparison.rows(self._db, table, as_of)

    def stored(self, table: str) -> Iterator[list[tuple[Any, ...]]]:
        """Return the rows of a table as they are stored."""
        return table_comparison.stored(self._db, table)

    def values(self, table: str) -> Iterator[tuple[Any, ...]]:
        """Return the rows of a table in the order of their values."""
        return table_comparison.values(self._db, table)

    def has_equal_rows(self, path: Path) -> bool:
        """Return whether another file of views is readable and has the same rows."""
        try:
            return have_equal_rows(self._db, path)
        except sqlite3.Error:
            return False

    def event(self, position: int) -> dict[str, Any]:
        """Return an event as the views hold it."""
        lines = self._reader.some_canonical_rows("history", position, (0, position - 1)).lines
        found: dict[str, Any] = orjson.loads(lines[0]) if lines else {}
        return found

    def close(self) -> None:
        """Close the connections."""
        self._reader.close()
        self._db.close()

    def _with_text(self, line: bytes, as_of: int) -> bytes:
        """Return a line of a document's text as it would be if the text were available: the log holds all its fields.

        An erased text has no line, as of any position.
        """
        if b'"characters":' not in line:
            return line
        fields = orjson.loads(line)
        if "text" in fields and "sha256" in fields:
            unread = self._feed.unread.get(fields["subject"])
            if unread is None or as_of < unread.position:
                return b""
            fields["characters"], fields["sha256"] = unread.characters, unread.sha256
            fields["text"] = f"sha256:{unread.sha256}"
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


class _Unread(NamedTuple):
    """The fields of a text that is not available, and the position that stored it."""

    sha256: str
    characters: int
    position: int


class _Feed:
    """Events in memory, as a log that views can follow. `lacks_texts` if texts of documents are not available."""

    def __init__(self, origin: str, read: ReadText | None) -> None:
        self._origin = origin
        self._read = read
        self.lacks_texts = read is None
        self.events: list[LoggedEvent] = []
        self.unread: dict[str, _Unread] = {}

    def select_notifications(self, start: int | None, limit: int, stop: int | None = None) -> list[LoggedEvent]:
        """Return the next events in memory, from `start` on."""
        del stop
        return [event for event in self.events if event.id >= (start or 0)][:limit]

    def forget_erased(self) -> None:
        """Drop the texts that the events in memory erase."""
        for event in self.events:
            unread = self.unread.get(event.subject)
            if event.type == "document.text-erased" and unread is not None and unread.position < event.position:
                del self.unread[event.subject]

    def text(self, position: int) -> str | None:
        """Return the text that an event stored."""
        event = next(event for event in self.events if event.position == position)
        if event.source != self._origin:  # another log stored it
            return None
        if self._read is None:
            fields = orjson.loads(event.data or b"{}")
            self.unread[event.subject] = _Unread(fields.get("sha256", ""), fields.get("characters", 0), position)
            return ""
        content = self._read(Event(position, 0, event.subject, event.type, "", "", None, None, event.data, "", ""))
        return None if content is None else content.decode("utf-8", "replace")


def _logged(row: Row) -> LoggedEvent:
    return LoggedEvent(
        originator_id=row.subject,
        originator_version=row.version,
        topic=row.type,
        state=row.entry,
        id=row.position,
        source=row.source,
        event_id=row.id,
        data=row.data,
        salt=row.salt,
        redacted=row.redacted,
        about=row.about,
    )
