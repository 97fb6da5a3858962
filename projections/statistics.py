"""The statistics: how many subjects, memberships, commitments and events there are, from rollups."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import nsmallest
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from domain.list_items import STATUS_ORDER
from domain.membership import ORDER_OF_STATUSES
from domain.payload import Count
from domain.subject_state import STATUSES
from domain.values import Reference
from projections.engine.answer_fields import AsOf
from projections.engine.bitemporal import COLLECTIONS
from projections.engine.event_index import KINDS, EventIndex
from projections.engine.query_types import CERTAINTIES, TimeSlice
from projections.engine.references import References
from projections.engine.rollups import tally

MOST_PARTIES = 100
_CERTAINTY = {"1": "certain", "0": "possible"}


Number = Annotated[Count, Field(description="How many there are.")]


class _Numbers(TypedDict, total=False):
    status: Annotated[dict[str, Count], Field(description="How many have each status.")]
    kind: Annotated[dict[str, Count], Field(description="How many are of each kind.")]
    type: Annotated[dict[str, Count], Field(description="How many events are of each type.")]
    year: Annotated[dict[str, Count], Field(description="How many are of each year.")]


class CountsOf(_Numbers):
    """Counts of the certain items, or of the possible ones."""

    total: NotRequired[Number]


class Counts(_Numbers):
    """How many there are; of a year, whether it is certain that it is that year."""

    total: Number
    certain: NotRequired[Annotated[CountsOf, Field(description="The same of what is certain.")]]
    possible: NotRequired[Annotated[CountsOf, Field(description="The same of what is possible.")]]


class PartyCounts(TypedDict):
    """How many memberships a party has."""

    party: Annotated[Reference, Field(description="The party.")]
    ties: Annotated[Count, Field(description="How many memberships it has.")]
    certain: Annotated[Count, Field(description="How many of them are certain.")]
    possible: Annotated[Count, Field(description="How many of them are possible.")]


class StatisticsBody(TypedDict):
    """How many there are of everything."""

    parties: Annotated[Counts, Field(description="Parties.")]
    agreements: Annotated[Counts, Field(description="Agreements; `year` is that of the signature.")]
    labs: Annotated[Counts, Field(description="Labs.")]
    platforms: Annotated[Counts, Field(description="Platforms.")]
    documents: Annotated[Counts, Field(description="Documents.")]
    memberships: Annotated[Counts, Field(description="Memberships of parties.")]
    commitments: Annotated[Counts, Field(description="Commitments of agreements.")]
    events: Annotated[Counts, Field(description="Recorded events.")]
    party: Annotated[list[PartyCounts], Field(description="Those with the most memberships, at most 100.")]
    position: AsOf


class Statistics:
    """The statistics, on one connection."""

    def __init__(self, db: sqlite3.Connection, index: EventIndex, references: References) -> None:
        self._db = db
        self._index = index
        self._references = references

    def statistics(self, question: TimeSlice) -> dict[str, Any]:
        """Return counts by type, kind, status, year and party, each in total and by certainty.

        An item with several possible statuses is counted under its default status.
        """
        counts: dict[str, list[tuple[list[str], int]]] = {}
        for what, count in tally(self._db, question.as_of, question.on).items():
            name, *rest = what.split(" ")
            counts.setdefault(name, []).append((rest, count))
        types = _summed((KINDS[int(rank)].name, count) for (rank,), count in counts.get("event", ()))
        counted: dict[str, Any] = {"events": {"total": question.as_of, "type": types}}
        _add_years(counted["events"], counts.get("year", ()))
        states = counts.get("subject", ())
        for at, collection in enumerate(COLLECTIONS):
            own = [(claimed, count) for (other, *claimed), count in states if other == str(at)]
            counted[collection] = _by_certainty(STATUSES[collection], own)
        _add_years(counted["agreements"], counts.get("signed", ()))
        memberships = [([status, "", certain], count) for (status, certain), count in counts.get("membership", ())]
        counted["memberships"] = _by_certainty(ORDER_OF_STATUSES, memberships)
        counted["commitments"] = {"kind": {}} | _by_certainty(STATUS_ORDER, counts.get("commitment", ()))
        counted["party"] = self._largest_parties(counts.get("party", ()), question)
        return counted

    def _largest_parties(self, counts: Iterable[tuple[list[str], int]], question: TimeSlice) -> list[dict[str, Any]]:
        """Return the parties with the most memberships, with the number of these in total and by certainty."""
        memberships: dict[int, dict[str, int]] = {}
        for (party, certain), count in counts:
            memberships.setdefault(int(party), {}).update({_CERTAINTY[certain]: count})
        most = nsmallest(MOST_PARTIES, memberships.items(), key=lambda each: (-sum(each[1].values()), each[0]))
        found: list[dict[str, Any]] = [
            {
                "party": Reference(self._index.name(party)),
                "ties": sum(count.values()),
                **{certainty: count.get(certainty, 0) for certainty in CERTAINTIES},
            }
            for party, count in most
        ]
        self._references.name_others(found, question)
        return sorted(found, key=lambda item: (-item["ties"], item["party"]["subject"]))


def _by_certainty(order: Sequence[str], counts: Iterable[tuple[list[str], int]]) -> dict[str, Any]:
    """Return counts of (status, kind or nothing, "1" if certain): of all, and separately by certainty."""
    counts = list(counts)
    counted = _by_status(order, counts)
    for flag, certainty in _CERTAINTY.items():
        counted[certainty] = _by_status(order, [each for each in counts if each[0][-1] == flag])
    return counted


def _by_status(order: Sequence[str], counts: Iterable[tuple[list[str], int]]) -> dict[str, Any]:
    """Return counts of (status, kind or nothing, "1" if certain): in total, by status and by kind."""
    counts = list(counts)
    counted: dict[str, Any] = {
        "total": sum(count for _, count in counts),
        "status": _summed((order[int(status)], count) for (status, *_), count in counts),
    }
    if kinds := _summed((kind, count) for (_, kind, _), count in counts if kind):
        counted["kind"] = kinds
    return counted


def _add_years(counted: dict[str, Any], counts: Iterable[tuple[list[str], int]]) -> None:
    """Add counts of (year, "1" if certain) to others: of all, and separately by certainty."""
    counts = list(counts)
    counted["year"] = _summed((year, count) for (year, _), count in counts)
    for flag, certainty in _CERTAINTY.items():
        own = _summed((year, count) for (year, is_certain), count in counts if is_certain == flag)
        counted.setdefault(certainty, {})["year"] = own


def _summed(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for what, count in counts:
        found[what] += count
    return dict(sorted(found.items()))
