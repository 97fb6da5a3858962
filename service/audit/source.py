"""The port of an audit: a data directory, a server or an exported directory that gives bytes and claims.

A source checks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from service.audit.checkpoints import CannotAudit, Signed
from service.audit.document_texts import ReadText
from service.audit.event_rows import Row
from service.audit.summary import Batches, Wanted
from service.audit.tree import StoredTiles

__all__ = ["CannotAudit", "Source", "StoredViews", "Unreadable"]


class Unreadable(Exception):
    """The source is damaged from here on, which is a finding. The argument says why."""


class StoredViews(Protocol):
    """The stored or served views, to compare with the audit's own."""

    position: int
    """The position of their last event."""
    any_position: bool
    """Whether digests are available as of any other position."""
    path: Path | None
    """Their file, or None."""

    def digests(self, as_of: int, views: Sequence[str]) -> Mapping[str, str]:
        """Return the digests of views as of a position. Raises Unreadable, CannotAudit."""

    def lines(self, view: str, as_of: int) -> Iterator[bytes] | None:
        """Return the canonical rows of a view; None if only digests are available. Raises Unreadable."""

    def rows(self, table: str, as_of: int) -> Iterator[dict[str, Any]]:
        """Return every row of a table with a system time up to a position, if available. Raises Unreadable."""

    def stored(self, table: str) -> Iterator[list[tuple[Any, ...]]] | None:
        """Return the rows of a table as they are stored; None if only digests are available. Raises Unreadable."""

    def values(self, table: str) -> Iterator[tuple[Any, ...]]:
        """Return the rows of a table in the order of their values; none without rows. Raises Unreadable."""

    def broken_indexes(self) -> Sequence[str]:
        """Return the text indexes that differ from their tables; none without rows. Raises Unreadable."""

    def reason_to_repeat(self) -> str | None:
        """Return why the views changed during the comparison, which makes it inconclusive; None if they did not."""


class DigestsOnly:
    """Stored views of which only digests are available. The subclasses say which."""

    path: Path | None = None

    def lines(self, view: str, as_of: int) -> Iterator[bytes] | None:
        del view, as_of
        return None

    def rows(self, table: str, as_of: int) -> Iterator[dict[str, Any]]:
        del table, as_of
        return iter(())

    def stored(self, table: str) -> Iterator[list[tuple[Any, ...]]] | None:
        del table
        return None

    def values(self, table: str) -> Iterator[tuple[Any, ...]]:
        del table
        return iter(())

    def broken_indexes(self) -> Sequence[str]:
        return ()


class Source(Protocol):
    """One log and the files beside it, at one moment. Every method may raise CannotAudit."""

    target: str
    """Its name for people."""
    signed: Signed
    """The newest checkpoint."""
    origin: str | None
    """The name of the log outside the checkpoint, if there is one."""
    head: int
    """The last position to read."""
    has_files: bool
    """Whether it has database files."""

    def key(self) -> tuple[str, str]:
        """Return the text of the log's verifier key, and its place."""

    def rows(self) -> Iterator[list[Row]]:
        """Yield all events up to `head`, in order, as lists. Raises Unreadable."""

    def batches(self, wanted: Wanted) -> Batches:
        """Yield all events up to `head`, in order, as batches. Raises Unreadable."""

    def damages(self) -> Mapping[str, Sequence[str]]:
        """Return the damages of the structure of each file."""

    def later_redactions(self) -> Mapping[int, int]:
        """Return the redactions after `head`: positions of redacted events, and of their redactions."""

    def tiles(self) -> StoredTiles:
        """Yield the stored or served tiles."""

    def text_reader(self) -> ReadText | str:
        """Return a reader of texts of documents, or how to make them available."""

    def views(self) -> StoredViews | str:
        """Return the stored views, or why there are none to compare."""

    def recall(self, position: int, row: Row | None) -> Mapping[str, Any] | None:
        """Return an event as the stored views hold it, or None: it may show the change in the log.

        `row` is the event at the position in the log, if there is one.
        """

    def finish(self) -> None:
        """Raise CannotAudit if the source changed during the audit."""

    def close(self) -> None:
        """Close the files and connections."""


Progress = Callable[[int], None]
"""Receives the number of events since its last call."""
