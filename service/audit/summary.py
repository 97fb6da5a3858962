"""Summaries of batches: the facts about many passing events that the later checks need.

A process can make a summary and send it to the audit. The events themselves are read again only where a later check
fails.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import cached_property, partial
from typing import NamedTuple

from domain.merkle import HASH_BYTES, leaf_hash
from domain.values import MAX_INTEGER
from service.audit.event_checks import flaws, invalid
from service.audit.event_rows import Row
from service.audit.history import noted_of


class Wanted(NamedTuple):
    """The optional parts of a summary."""

    evidence: bool
    """Whether events that only cite documents are noted."""
    rules: bool
    """Whether data is checked by the rules for its type."""


class Summary(NamedTuple):
    """A batch in which every event passes by itself and follows the one before. Only its first event may not follow the
    batch before."""

    first: int
    """The position of the first event."""
    events: int
    recorded: tuple[str, str]
    """When the first and the last event were recorded."""
    since: dict[str, int]
    """The first version of each subject."""
    until: dict[str, int]
    """The last version of each subject."""
    names: list[tuple[str, str]]
    """The source and id of each event."""
    erased: int
    """The number of events without data."""
    noted: list[Row]
    """The events that later ones may depend on."""
    are_valid: bool
    """Whether the data of every event obeys the rules for its type; False if this was not wanted."""
    hashes: bytes
    """The leaf hashes, one after the other."""


class Batch:
    """Successive events. `summary` is None where each event must be checked to name its faults."""

    def __init__(self, summary: Summary | None, read: Callable[[], list[Row]]) -> None:
        self.summary = summary
        self._read = read

    @property
    def count(self) -> int:
        """The number of events."""
        return len(self.rows) if self.summary is None else self.summary.events

    def leaves(self, first: int, count: int) -> list[bytes]:
        """Return the leaf hashes of `count` events from index `first` on."""
        if self.summary is None:
            return [leaf_hash(row.entry) for row in self.rows[first : first + count]]
        hashes = self.summary.hashes
        return [
            hashes[at : at + HASH_BYTES] for at in range(first * HASH_BYTES, (first + count) * HASH_BYTES, HASH_BYTES)
        ]

    @cached_property
    def rows(self) -> list[Row]:
        """The events. Reading them raises what the source raises."""
        return self._read()


Batches = Generator[Batch, None, None]
"""Batches in order. Closing the generator frees what it uses."""


def summarize(rows: Sequence[Row], wanted: Wanted) -> Summary | None:
    """Return the summary of a batch, or None if it is empty or one of its events fails a check."""
    if not rows or any(map(flaws, rows)):
        return None
    versions, recorded = _versions(rows), [row.recorded for row in rows]
    if versions is None or recorded != sorted(recorded):
        return None
    return Summary(
        rows[0].position,
        len(rows),
        (recorded[0], recorded[-1]),
        *versions,
        [row[4:6] for row in rows],
        sum(not row.data for row in rows),
        noted_of(rows, evidence=wanted.evidence),
        wanted.rules and not any(row.data and invalid(row) is not None for row in rows),
        b"".join([leaf_hash(row.entry) for row in rows]),
    )


def batches(some: Iterable[list[Row]], wanted: Wanted) -> Batches:
    """Yield a batch for each list of events, summarized in this process."""
    for rows in some:
        yield Batch(summarize(rows, wanted), partial(list, rows))


def _versions(rows: Sequence[Row]) -> tuple[dict[str, int], dict[str, int]] | None:
    """Return the first and the last version of each subject, or None if positions or versions do not follow."""
    since: dict[str, int] = {}
    until: dict[str, int] = {}
    for position, row in enumerate(rows, rows[0].position):
        subject, version = row.subject, row.version
        before = until.get(subject)
        if row.position != position or version > MAX_INTEGER or (before is not None and version != before + 1):
            return None
        since.setdefault(subject, version)
        until[subject] = version
    return since, until
