"""How much a run does: the small one that is run often, and the large one whose figures are published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Great:
    """How great the greatest subjects are."""

    events: int
    """Of one agreement."""
    members: int
    """Of one platform."""
    ties: int
    """Of one party."""
    posts: int
    """In one turn of posting to it, or to others."""
    questions: int
    """In one turn of asking for it, or for others."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done. Times are seconds."""

    rounds: int
    repeats: int
    """Turns of what takes long by itself. A large log is read once."""
    seconds: float
    """A turn that is one of many."""
    longer: float
    """A turn of what is slow by the piece."""
    sustained: float
    """A turn of what is to be kept up."""
    signed: int
    """Agreements in an import of agreements signed."""
    lives: int
    """Agreements in an import of their whole lives, six events each."""
    stores: tuple[int, ...]
    """Events of the registries that are asked and read as a whole."""
    great: Great
    warm: float = 0.2
    """Before a turn of a server, and not counted."""
    clients: tuple[int, ...] = (1, 16, 64, 256)
    asking: tuple[int, ...] = (1, 64)
    """Clients that ask for states."""
    readers: int = 100
    """Of the live stream."""
    crowd: int = 1_024
    """Clients that overload."""

    def rounds_of(self, events: int) -> int:
        """How often something is done that takes its time with so many events."""
        return self.repeats if events <= 20_000 else 1


QUICK = Sizes(
    rounds=3,
    repeats=1,
    seconds=0.4,
    longer=1.2,
    sustained=0.6,
    signed=1_000,
    lives=250,
    stores=(10_000,),
    great=Great(events=2_000, members=1_000, ties=2_000, posts=300, questions=25),
    warm=0.1,
)
FULL = Sizes(
    rounds=3,
    repeats=3,
    seconds=5.0,
    longer=10.0,
    sustained=30.0,
    signed=100_000,
    lives=17_000,
    stores=(10_000, 100_000, 1_000_000),
    great=Great(events=100_000, members=50_000, ties=100_000, posts=5_000, questions=300),
    asking=(1, 16, 64),
)
PARTIES = 200
"""Parties that the agreements posted and imported speak of."""
