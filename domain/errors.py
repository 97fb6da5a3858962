"""What the registry can refuse, as a small tree of kinds. Knows nothing of HTTP: the service maps kinds to statuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong with a posted document.

    `pointer` is an RFC 6901 JSON Pointer into that document; `""` is the document itself.
    """

    pointer: str
    detail: str


class Refused(Exception):
    """A fact the registry does not take. `positions` are the events in the way, ascending."""

    code = "refused"

    def __init__(self, detail: str, flaws: Sequence[Flaw] = (), positions: Sequence[int] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.flaws = tuple(flaws)
        self.positions = tuple(sorted(set(positions)))


class Invalid(Refused):
    """The event is not of its type's shape, or speaks of something that does not exist."""

    code = "invalid-event"


class Contradiction(Refused):
    """The fact cannot be true beside those already recorded."""

    code = "contradiction"


class DifferentContent(Refused):
    """The same (`source`, `id`) was recorded with other content."""

    code = "different-content"


class VersionMismatch(Refused):
    """The subject does not stand at the version the client demanded."""

    code = "version-mismatch"


class NotAllowed(Refused):
    """Whoever posted it may not post events of this type."""

    code = "not-allowed"
