"""What an audit reads from: a data directory, a server, or an exported directory. Each gives bytes and claims; none of
them judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from service.audit.checkpoints import CannotAudit, Signed
from service.audit.document_texts import ReadText
from service.audit.event_rows import Row
from service.audit.summary import Batches, Wanted
from service.audit.tree import ResponseCache

__all__ = ["CannotAudit", "Source", "StoredViews", "Unreadable"]


class Unreadable(Exception):
    """What is kept cannot be read any further, so it does not fit. The argument says why."""


class StoredViews(Protocol):
    """The views that are kept or served, to be compared with those folded anew."""

    position: int
    """The last event they hold, or that they are asked about."""
    any_position: bool
    """Whether digests are to be had as of any other position."""
    path: Path | None
    """The file that they are in, where there is one to be compared."""

    def digests(self, as_of: int, views: Sequence[str]) -> Mapping[str, str]:
        """The digests of views as of a position. Raises Unreadable, CannotAudit."""

    def lines(self, view: str, as_of: int) -> Iterator[bytes] | None:
        """What a view holds; None where only digests are to be had. Raises Unreadable."""

    def rows(self, table: str, as_of: int) -> Iterator[dict[str, Any]]:
        """Every row known up to a position (see `rectangles`), where lines are to be had. Raises Unreadable."""

    def stored(self, table: str) -> Iterator[list[tuple[Any, ...]]] | None:
        """The rows of a table as they are stored (see `rectangles`); None where lines are not to be had, or these rows
        are of another position than any that is asked for. Raises Unreadable."""

    def values(self, table: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a table in the order of their values (see `rectangles.values`), where lines are to be had. Raises
        Unreadable."""

    def broken_indexes(self) -> Sequence[str]:
        """The indexes of words that do not hold what their tables do, where lines are to be had. Raises Unreadable."""

    def is_passing(self) -> str | None:
        """Why they were others while they were compared, if they were: nothing can be said about them then."""


class Source(Protocol):
    """One log with what is kept beside it, as it was at one moment. Every method may raise CannotAudit."""

    target: str
    """How people call it."""
    signed: Signed
    """The newest checkpoint."""
    origin: str | None
    """How the log is named elsewhere than in the checkpoint."""
    head: int
    """The last position that is read."""
    has_files: bool
    """Whether there are databases whose structure can be checked."""

    def key(self) -> tuple[str, str]:
        """The text of the log's verifier key as it is found there, and where."""

    def rows(self) -> Iterator[list[Row]]:
        """Every event up to `head`, some at a time, in order. Raises Unreadable."""

    def batches(self, wanted: Wanted) -> Batches:
        """The same, looked at one by one wherever that is done. Raises Unreadable."""

    def damages(self) -> Mapping[str, Sequence[str]]:
        """What is wrong with the structure of each file."""

    def later(self) -> Mapping[int, int]:
        """Redactions that were recorded after `head`: the event that each names, and its own position."""

    def kept(self) -> ResponseCache:
        """The tiles that are kept or served."""

    def reading(self) -> ReadText | str:
        """How texts of documents are read; or how they would be to be had."""

    def views(self) -> StoredViews | str:
        """The stored views; or why there are none to compare with."""

    def recalled(self, position: int, row: Row | None) -> Mapping[str, Any] | None:
        """How the stored views keep an event, as far as that can be looked up: it may tell what was changed in the log.

        `row` is what the log has at the position, if anything.
        """

    def finish(self) -> None:
        """Raises CannotAudit where it was not the same from beginning to end."""

    def close(self) -> None:
        """Lets go of what is open."""


Progress = Callable[[int], None]
"""Hears how many events were taken since it was last called."""
