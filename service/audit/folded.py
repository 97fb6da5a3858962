"""The views, folded anew from the events that the audit has read, by the one loop that folds any log into any views. It
stops where the log does not fit, for from there on the views cannot either."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from domain.events import CATALOGUE
from domain.facts import Event
from domain.posting import canonical, checked
from projections import rectangles
from projections.digests import written
from projections.reading import Reader
from projections.views import Views
from service.audit.checkpoints import CannotAudit
from service.audit.report import Check, Finding
from service.audit.rows import Row
from service.audit.texts import ReadText
from service.files import VIEWS
from service.follower import AT_ONCE, catch_up
from service.log import LoggedEvent
from service.log.scan import read_only


class Folded:
    """Views of the audit's own."""

    def __init__(self, check: Check, folder: Path, read: ReadText | None) -> None:
        """What no view can be folded from goes to the check; `read` is None where no texts are to be had."""
        self._check = check
        self._path = folder / VIEWS
        self._views = Views(self._path)
        self._feed = _Feed(read)
        self.broken: str | None = None
        """Why no more is folded, if so."""

    @property
    def position(self) -> int:
        """The last event folded in."""
        return self._views.position

    def take(self, rows: Sequence[Row]) -> None:
        """Fold in the next events, each of which fits by itself, and none is missing."""
        for first in range(0, len(rows) if self.broken is None else 0, AT_ONCE):
            some = rows[first : first + AT_ONCE]
            for index, row in enumerate(some):
                if row.data and (finding := _invalid(row)) is not None:
                    self._fold(some[:index])
                    self._stop(finding)
                    break
            else:
                self._fold(some)
            if self.broken is not None:
                return

    def stop(self, reason: str) -> None:
        """Fold nothing more."""
        self.broken = self.broken or reason

    def reader(self) -> FoldedReader:
        """What was folded. Whoever asked for it closes it."""
        return FoldedReader(self._path, self._feed.unread)

    def close(self) -> None:
        """Closes the file."""
        self._views.close()

    def _fold(self, rows: Sequence[Row]) -> None:
        self._feed.events = [_logged(row) for row in rows]
        try:
            catch_up(self._feed, self._views)
        except sqlite3.OperationalError as error:  # a full disk, for one, is not the log's fault
            raise CannotAudit(f"the views cannot be folded anew in {self._path.parent}: {error}") from None
        except Exception as error:  # noqa: BLE001 - whatever it is, these events do it
            if len(rows) == 1:
                says = f"cannot be folded: {type(error).__name__} {error}".rstrip()
                self._stop(Finding(says, rows[0].position, rows[0].subject, "event"))
            for row in rows if len(rows) > 1 else ():
                if self.broken is None:
                    self._fold([row])

    def _stop(self, finding: Finding) -> None:
        self._check.find(finding)
        self.stop(f"position {finding.position} cannot be folded")


class FoldedReader:
    """Asks views that were folded anew."""

    def __init__(self, path: Path, unread: dict[str, tuple[str, int]]) -> None:
        """`unread` are texts that were not to be had: by document, the SHA-256 and the number of characters."""
        self._reader = Reader(path)
        self._db = read_only(path)
        self._unread = unread

    def lines(self, view: str, as_of: int) -> Iterator[bytes]:
        """What a view holds as of a position."""
        lines = self._reader.lines(view, as_of)
        return lines if not self._unread or view != "documents" else map(self._with_text, lines)

    def digest(self, view: str, as_of: int) -> str:
        """The digest of those lines."""
        digest = sha256()
        for line in self.lines(view, as_of):
            digest.update(line)
        return written(digest.digest())

    def tables(self) -> list[str]:
        """The tables whose rows are known from one position to another."""
        return rectangles.tables(self._db)

    def rows(self, table: str, as_of: int) -> Iterator[dict[str, Any]]:
        """Every row that was known up to a position."""
        return rectangles.rows(self._db, table, as_of)

    def event(self, position: int) -> dict[str, Any]:
        """An event as the views keep it."""
        lines = self._reader.some_lines("history", position, (0, position - 1)).lines
        found: dict[str, Any] = orjson.loads(lines[0]) if lines else {}
        return found

    def close(self) -> None:
        """Closes the connections."""
        self._reader.close()
        self._db.close()

    def _with_text(self, line: bytes) -> bytes:
        """A line as it would be with the text of a document, of which all that stands in it is in the log."""
        if b'"characters":' not in line:
            return line
        said = orjson.loads(line)
        if said["subject"] in self._unread and "text" in said:
            digest, said["characters"] = self._unread[said["subject"]]
            said["sha256"], said["text"] = digest, f"sha256:{digest}"
        return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


class _Feed:
    """Events that were read already, as a log to catch up with."""

    def __init__(self, read: ReadText | None) -> None:
        self._read = read
        self.events: list[LoggedEvent] = []
        self.unread: dict[str, tuple[str, int]] = {}

    def read(self, after: int = 0, until: int | None = None, limit: int = AT_ONCE) -> list[LoggedEvent]:
        """The events that wait, once."""
        del until
        return [event for event in self.events if event.position > after][:limit]

    def text(self, position: int) -> str | None:
        """The text that an event says is stored."""
        event = next(event for event in self.events if event.position == position)
        said = orjson.loads(event.data)
        stored = Event(position, 0, event.subject, event.type, "", "", None, None, event.data, "", "")
        if self._read is None:
            self.unread[event.subject] = str(said["sha256"]), int(said["characters"])
            return ""
        content = self._read(stored)
        return None if content is None else content.decode("utf-8", "replace")


def _invalid(row: Row) -> Finding | None:
    """What is wrong with the data of an event, which is as it was recorded."""
    said = orjson.loads(row.data)
    if canonical(said) != row.data:
        return Finding("is not in RFC 8785 form", row.position, row.subject, "data")
    _, flaws = checked(CATALOGUE[row.type], said)
    if flaws:
        return Finding(flaws[0].detail, row.position, row.subject, f"/data{flaws[0].pointer}")
    return None


def _logged(row: Row) -> LoggedEvent:
    return LoggedEvent(
        row.position,
        row.version,
        row.subject,
        row.type,
        row.source,
        row.id,
        row.entry,
        row.data,
        row.salt,
        row.redacted,
        row.about,
    )
