"""Results of a run: turns, rows of turns, single figures, footprints. Nothing is left out or averaged here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

LIMIT = "the limit"
ALL = "all measures"
"""The name of the footprint of a registry after all measures."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn. Times are seconds; shares are of one core; None if this machine or this turn does not show a value."""

    count: int
    per_second: float
    cpu: float | None
    """Processor time of the measured process, for each counted event."""
    load: float | None
    """The share of its core that the load used."""
    others: float | None
    """The share of the measured process's core that other processes used."""
    median: float | None = None
    p95: float | None = None
    p99: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """The turns of one contestant, and those of its limit in the same rounds, if any."""

    measure: str
    contestant: str
    clients: int | None
    samples: Sequence[Sample]
    limits: Sequence[Sample] = ()
    against: str = LIMIT
    size: int | None = None
    """Events in the registry, if it was made with so many."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that is no rate: its measure, its name, its unit, and its value in each round."""

    measure: str
    name: str
    unit: str
    values: Sequence[float]
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Footprint:
    """A registry at the end: bytes of memory (now, at most), and of files after it has stopped."""

    after: str
    events: int
    memory: tuple[int, int] | None
    files: Mapping[str, int]
    raw: float | None = None
    """Mean bytes of JSON of one posted event."""
    size: int | None = None

    @property
    def of_raw(self) -> float | None:
        """Bytes on disk for each posted byte."""
        return None if self.raw is None else sum(self.files.values()) / (self.raw * self.events)


@dataclass(slots=True)
class Results:
    """All measurements of a run, and notes on them."""

    rows: list[Row] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def row(self, measure: str, contestant: str, clients: int | None = None, against: str = LIMIT) -> Row | None:
        """Return the row of that name, at the largest size."""
        found = [
            row
            for row in self.rows
            if (row.measure, row.contestant, row.against) == (measure, contestant, against)
            and clients in (None, row.clients)
        ]
        return max(found, key=lambda row: row.size or 0, default=None)

    def figure(self, measure: str, name: str) -> Figure | None:
        """Return the figure of that name, at the largest size."""
        found = [each for each in self.figures if (each.measure, each.name) == (measure, name)]
        return max(found, key=lambda each: each.size or 0, default=None)
