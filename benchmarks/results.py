"""What a run finds out: turns, rows of turns, single figures, what a registry weighs. It only holds them; nothing is
left out and nothing is averaged away here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

LIMIT = "the limit"
ALL = "all of it"
"""After which a registry has been asked in every way."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn. Times are seconds; shares are of one core; None is what this machine or this turn does not tell."""

    count: int
    per_second: float
    cpu: float | None
    """Processor time of the one measured, for each of what was counted."""
    load: float | None
    """What making the load took of its core."""
    others: float | None
    """What took of the measured one's core and was not it."""
    median: float | None = None
    p95: float | None = None
    p99: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """The turns of one contestant, and those of what it is held against in the same rounds, if anything."""

    measure: str
    contestant: str
    clients: int | None
    samples: Sequence[Sample]
    limits: Sequence[Sample] = ()
    against: str = LIMIT
    size: int | None = None
    """Events in the registry, where it was made to hold so many."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that is no rate: what it is of, what it says, its unit, and its value in each round."""

    measure: str
    name: str
    unit: str
    values: Sequence[float]
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a registry holds at the end: bytes of memory (now, at most), and of files once it has stopped."""

    after: str
    events: int
    memory: tuple[int, int] | None
    files: Mapping[str, int]
    raw: float | None = None
    """Bytes of JSON of one event as it was posted, on average."""
    size: int | None = None

    @property
    def of_raw(self) -> float | None:
        """Bytes on disk for each byte that was posted."""
        return None if self.raw is None else sum(self.files.values()) / (self.raw * self.events)


@dataclass(slots=True)
class Results:
    """Everything that was measured, and what is to be said about it."""

    rows: list[Row] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def row(self, measure: str, contestant: str, clients: int | None = None, against: str = LIMIT) -> Row | None:
        """The row of that name, at the largest size there is."""
        found = [
            row
            for row in self.rows
            if (row.measure, row.contestant, row.against) == (measure, contestant, against)
            and clients in (None, row.clients)
        ]
        return max(found, key=lambda row: row.size or 0, default=None)

    def figure(self, measure: str, name: str) -> Figure | None:
        """The figure of that name, at the largest size there is."""
        found = [each for each in self.figures if (each.measure, each.name) == (measure, name)]
        return max(found, key=lambda each: each.size or 0, default=None)
