"""Subsidiaries: the parties that are part of a party or that it owns, directly or through others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from projections.engine.database import AS_OF
from projections.engine.event_index import EventIndex
from projections.engine.query_types import BadQuestion, TimeSlice
from projections.engine.time_slices import as_of_and_on, holds, times

INCLUDE = "include"
"""The name of the filter that adds subsidiaries to the filter `party`."""
MOST = 1_000
"""The most parties that one query selects: a party, its subsidiaries, and those merged with one of them."""


def requested_parties(index: EventIndex, filters: Mapping[str, Sequence[str]], question: TimeSlice) -> list[int]:
    """Return the numbers of the parties that the filters `party` and `include` select; -1, which no party has, if none.

    Raise BadQuestion if there are too many.
    """
    number = index.find(filters["party"][0])
    if number is None:
        return [-1]
    group = index.cluster_of(number, question.as_of)
    return _with_subsidiaries(index, group, question) if INCLUDE in filters else group


def _with_subsidiaries(index: EventIndex, group: Sequence[int], question: TimeSlice) -> list[int]:
    """Return a group of merged parties, its subsidiaries, and all parties merged with one of these.

    On a day, a subsidiary is one that may be so on that day; without a day, one that may be so on some day. Parties may
    own each other, so each is followed once.
    """
    reached = dict.fromkeys(group)
    frontier = list(group)
    while frontier:
        following: list[int] = []
        for other in _direct_subsidiaries(index, frontier, question):
            if other not in reached:
                cluster = index.cluster_of(other, question.as_of)
                reached |= dict.fromkeys(cluster)
                following += cluster
        if len(reached) > MOST:
            raise BadQuestion({INCLUDE: f"would select more than {MOST:,} parties"})
        frontier = following
    return list(reached)


def _direct_subsidiaries(index: EventIndex, parties: Sequence[int], question: TimeSlice) -> list[int]:
    """Return the parties that are part of these or that these own, at most `MOST` and one more."""
    is_part = AS_OF if question.on is None else as_of_and_on("t", question)
    parts = f"SELECT t.subject FROM json_each(?) j CROSS JOIN subject_states t ON t.ref = j.value WHERE {is_part}"
    owned = (
        "SELECT r.container FROM json_each(?) j CROSS JOIN memberships r ON r.party = j.value"
        f" AND r.container_name > 'parties/' AND r.container_name < 'parties0' WHERE {holds('r', question)}"
    )
    values = (orjson.dumps(parties).decode(), *times(question))
    rows = index.db.execute(f"{parts} UNION {owned} LIMIT ?", (*values, *values, MOST + 1))
    return [row[0] for row in rows]
