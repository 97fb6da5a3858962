"""Sizes of a run: the small run that is made often, and the large run whose figures are published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LargeSubjects:
    """Sizes of the largest subjects."""

    events: int
    """Events of one agreement."""
    members: int
    """Members of one platform."""
    ties: int
    """Memberships of one party."""
    posts: int
    """Posts in one turn about it, or about others."""
    questions: int
    """Queries in one turn about it, or about others."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The size of a run. Times are seconds."""

    rounds: int
    repeats: int
    """Turns of operations that take long. A large log is read once."""
    seconds: float
    """The duration of a usual turn."""
    longer: float
    """The duration of a turn of slow requests."""
    sustained: float
    """The duration of a sustained turn."""
    signed: int
    """Agreements in an import of signed agreements."""
    lifespans: int
    """Agreements in an import of whole lifespans, six events each."""
    stores: tuple[int, ...]
    """Events of the registries that are queried and read completely."""
    large: LargeSubjects
    warm: float = 0.2
    """The time before a turn that does not count."""
    clients: tuple[int, ...] = (1, 16, 64, 256)
    asking: tuple[int, ...] = (1, 64)
    """Clients that request states."""
    readers: int = 100
    """Readers of the live stream."""
    crowd: int = 1_024
    """Clients of the overload."""

    def rounds_of(self, events: int) -> int:
        """Return the number of turns of a long operation on so many events."""
        return self.repeats if events <= 20_000 else 1


QUICK = Sizes(
    rounds=3,
    repeats=1,
    seconds=0.4,
    longer=1.2,
    sustained=0.6,
    signed=1_000,
    lifespans=250,
    stores=(10_000,),
    large=LargeSubjects(events=2_000, members=1_000, ties=2_000, posts=300, questions=25),
    warm=0.1,
)
FULL = Sizes(
    rounds=3,
    repeats=3,
    seconds=5.0,
    longer=10.0,
    sustained=30.0,
    signed=100_000,
    lifespans=17_000,
    stores=(10_000, 100_000, 1_000_000),
    large=LargeSubjects(events=100_000, members=50_000, ties=100_000, posts=5_000, questions=300),
    asking=(1, 16, 64),
)
PARTIES = 200
"""Parties of the agreements that are posted and imported."""
