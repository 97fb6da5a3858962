"""Refusals, as a small tree of exceptions. It knows nothing of HTTP: the service maps them to statuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flaw:
    """One error in a posted document.

    `pointer` is an RFC 6901 JSON Pointer into that document; `""` is the document itself.
    """

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Facts that cannot all be true, by `positions`."""

    detail: str
    positions: tuple[int, ...]


MOST_NAMED = 100
"""Most positions that one conflict names."""


class Refused(Exception):
    """A fact is refused. `positions` are the conflicting events, ascending."""

    code = "refused"

    def __init__(self, detail: str, flaws: Sequence[Flaw] = (), positions: Sequence[int] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.flaws = tuple(flaws)
        self.positions = tuple(sorted(set(positions)))


class Invalid(Refused):
    """The data does not match the type of the event, or refers to a subject or event that does not exist."""

    code = "invalid-event"


class Contradiction(Refused):
    """The fact cannot be true together with the recorded ones."""

    code = "contradiction"


class DifferentContent(Refused):
    """The same (`source`, `id`) was recorded with other content."""

    code = "different-content"


class VersionMismatch(Refused):
    """The subject is not at the version that the client demanded."""

    code = "version-mismatch"


class NotAllowed(Refused):
    """The client may not post events of this type."""

    code = "not-allowed"
