"""Overviews: who is tied to whom and by what, as a graph; and how much there is of everything, as counts."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from heapq import nsmallest
from typing import Any

import orjson

from domain.list_items import STATUS_ORDER
from domain.membership import ORDER_OF_STATUSES
from domain.subject_state import STATUSES
from projections.engine.bitemporal import COLLECTIONS, SECTIONS, TERM_KINDS
from projections.engine.event_index import KINDS, EventIndex
from projections.engine.query_types import CERTAINTIES, TimeSlice
from projections.engine.reference_values import Reference
from projections.engine.rollups import tally
from projections.engine.row_codecs import read_span, read_unnamed
from projections.engine.time_slices import as_of_and_on, claim, claims, holds, times
from projections.states import States

MOST_PARTIES = 100
_FEW_PARTIES = 4


class Overviews:
    """Graph and statistics, on one connection."""

    def __init__(self, db: sqlite3.Connection, ledger: EventIndex, states: States) -> None:
        self._db = db
        self._ledger = ledger
        self._states = states

    def graph(self, center: str | None, depth: int, question: TimeSlice, limit: int) -> dict[str, Any]:
        """Subjects within `depth` ties of the center, or of all without one, at most `limit`; `truncated` if more.

        Ties between two of them are shown, but for those between two that are `depth` away. Raises NotFound, Gone,
        Merged.
        """
        if center is None:
            rows = self._db.execute(
                f"SELECT DISTINCT subject FROM subject_states t WHERE {as_of_and_on('t', question)} AND collection <> ?"
                " LIMIT ?",
                (*times(question), COLLECTIONS.index("documents"), limit + 1),
            ).fetchall()
            reached = dict.fromkeys(row[0] for row in rows[:limit])
            truncated, inner = len(rows) > limit, set(reached)
        else:
            reached, inner, truncated = self._within(self._states.number(center, question), depth, question, limit)
        edges: dict[tuple[int, int, str], dict[str, Any]] = {}
        for source, target, kind, claimed in self._edges(reached.keys(), inner, question, limit):
            if (source in inner or target in inner) and source in reached and target in reached:
                edges[source, target, kind] = claimed
        shown = [
            {"source": self._ledger.name(source), "target": self._ledger.name(target), "type": kind, **claimed}
            for (source, target, kind), claimed in edges.items()
        ]
        shown.sort(key=lambda edge: (edge["source"], edge["target"], edge["type"]))
        return {"nodes": self._nodes(reached, question), "edges": shown, "truncated": truncated}

    def _within(
        self, center: int, depth: int, question: TimeSlice, limit: int
    ) -> tuple[dict[int, None], set[int], bool]:
        """The subjects within `depth` ties, those of them whose ties lead on, and whether there are more."""
        reached: dict[int, None] = {center: None}
        inner: set[int] = set()
        frontier = [center]
        for _ in range(depth):
            inner.update(frontier)
            following: list[int] = []
            for other in self._neighbours(frontier, question):
                if other not in reached:
                    if len(reached) >= limit:
                        return reached, inner, True
                    reached[other] = None
                    following.append(other)
            frontier = following
        return reached, inner, False

    def _nodes(self, numbers: Iterable[int], question: TimeSlice) -> list[dict[str, Any]]:
        nodes: dict[int, dict[str, Any]] = {number: Reference(self._ledger.name(number)) for number in numbers}
        self._states.references.name(nodes.values(), question)
        for node in nodes.values():
            node["collection"] = node["subject"].partition("/")[0]
        rows = self._db.execute(
            f"SELECT t.subject, t.kind, {claims('t', question)} FROM json_each(?) j CROSS JOIN subject_states t"
            f" ON t.subject = j.value WHERE {as_of_and_on('t', question)}",
            (_json(nodes), *times(question)),
        )
        for number, kind, *claimed in rows:
            node = nodes[number]
            node |= ({} if kind is None else {"kind": kind}) | claim(STATUSES[node["collection"]], *claimed)
        return sorted(nodes.values(), key=lambda node: str(node["subject"]))

    def _neighbours(self, numbers: Sequence[int], question: TimeSlice) -> Iterator[int]:
        """Who and what these subjects are tied to, read as it is asked for; some several times."""
        collections: dict[str, list[int]] = {}
        for number in numbers:
            collections.setdefault(self._ledger.name(number).partition("/")[0], []).append(number)
        parties = [
            each for party in collections.get("parties", ()) for each in self._ledger.cluster_of(party, question.as_of)
        ]
        platforms = collections.get("platforms", [])
        containers = [*collections.get("agreements", ()), *collections.get("labs", ()), *platforms]
        supporters = f"x.kind = {TERM_KINDS['supporter']} AND r.section = {SECTIONS.index('supporters')}"
        supported = (
            f"terms x ON x.value = CAST(j.value AS TEXT) CROSS JOIN list_items r ON r.id = x.owner AND {supporters}"
        )
        supporting = f"list_items r ON r.subject = j.value CROSS JOIN terms x ON x.owner = r.id AND {supporters}"
        held, known = holds("r", question), as_of_and_on("r", question)
        sources: tuple[tuple[str, str, Sequence[int]], ...] = (
            ("r.container FROM json_each(?) j CROSS JOIN memberships r ON r.party = j.value", held, parties),
            ("r.party FROM json_each(?) j CROSS JOIN memberships r ON r.container = j.value", held, containers),
            (
                "r.ref FROM json_each(?) j CROSS JOIN subject_states r ON r.subject = j.value AND r.ref IS NOT NULL",
                known,
                numbers,
            ),
            (
                "r.subject FROM json_each(?) j CROSS JOIN subject_states r ON r.ref = j.value",
                known,
                [*parties, *containers],
            ),
            (f"x.value + 0 FROM json_each(?) j CROSS JOIN {supporting}", known, platforms),
            (f"r.subject FROM json_each(?) j CROSS JOIN {supported}", known, parties),
        )
        for sql, condition, values in sources:
            if values:
                rows = self._db.execute(f"SELECT {sql} WHERE {condition}", (_json(values), *times(question)))
                for (other,) in rows:
                    yield self._ledger.survivor(other, question.as_of)

    def _edges(
        self, numbers: Collection[int], inner: Collection[int], question: TimeSlice, limit: int
    ) -> Iterator[tuple[int, int, str, dict[str, Any]]]:
        """What ties these subjects to the inner ones among them; also some ties to others, or between others."""
        for party, container, claimed, stored in self._ties_among(numbers, inner, question, limit):
            if party in numbers:
                kind = {"agreements": "party", "labs": "founder", "platforms": "member"}
                name = kind[self._ledger.name(container).partition("/")[0]]
                yield party, container, name, claim(ORDER_OF_STATUSES, *claimed) | read_span(stored)
        rows = self._db.execute(
            "SELECT t.subject, t.ref, t.collection, t.body FROM json_each(?) j CROSS JOIN subject_states t"
            f" ON t.subject = j.value WHERE t.ref IS NOT NULL AND {as_of_and_on('t', question)}",
            (_json(numbers), *times(question)),
        )
        for subject, ref, collection, stored in rows.fetchall():
            kind_of = "part-of" if COLLECTIONS[collection] == "parties" else "under"
            provenance = read_unnamed(stored)[1].get(kind_of.replace("-", "_"), [])
            yield subject, self._ledger.survivor(ref, question.as_of), kind_of, {"events": provenance}
        parties = {each for number in numbers for each in self._ledger.cluster_of(number, question.as_of)}
        supporters = self._db.execute(
            "SELECT r.at, r.label, r.subject, r.body FROM json_each(?) j CROSS JOIN terms x ON x.kind ="
            f" {TERM_KINDS['supporter']} AND x.value = CAST(j.value AS TEXT) CROSS JOIN list_items r ON r.id = x.owner"
            f" WHERE {as_of_and_on('r', question)}",
            (_json(parties), *times(question)),
        ).fetchall()
        for *_, platform, stored in sorted(supporters, reverse=True):  # of several by one party the first is shown
            body = orjson.loads(stored)
            party = self._ledger.must_find(body["party"]["subject"])
            told = {name: body[name] for name in ("support", "occurred", "events") if name in body}
            yield self._ledger.survivor(party, question.as_of), platform, "supporter", told

    def _ties_among(
        self, reached: Collection[int], inner: Collection[int], question: TimeSlice, limit: int
    ) -> list[tuple[int, int, tuple[int, int, int], bytes]]:
        """The ties of which either end is of the inner ones, perhaps others too; the later intervals last."""
        tied = {each for each in reached if self._ledger.name(each).startswith(("agreements/", "labs/", "platforms/"))}
        parties = [each for each in inner if each not in tied]
        apart = tied.difference(inner) if len(parties) <= _FEW_PARTIES else set()
        columns = f"r.interval, r.party, r.container, {claims('r', question)}, r.body"
        rows = self._db.execute(
            f"SELECT {columns} FROM json_each(?) j CROSS JOIN memberships r ON r.id IN"
            f" (SELECT x.id FROM memberships x WHERE x.container = j.value AND {holds('x', question)} LIMIT ?)",
            (_json(tied - apart), *times(question), limit + 1),
        ).fetchall()
        counted = Counter(row[2] for row in rows)
        great = {container for container, count in counted.items() if count > limit}
        rows = [row for row in rows if row[2] not in great]
        for containers, others in ((great, reached), (apart, parties)):
            rows += self._db.execute(
                f"SELECT {columns} FROM json_each(?) j CROSS JOIN json_each(?) p CROSS JOIN memberships r"
                f" ON r.container = j.value AND r.party = p.value WHERE {holds('r', question)}",
                (_json(containers), _json(others), *times(question)),
            ).fetchall()
        rows.sort(key=lambda row: row[:3])
        return [(party, container, (*claimed,), stored) for _, party, container, *claimed, stored in rows]

    def statistics(self, question: TimeSlice) -> dict[str, Any]:
        """Counts by type, kind, status, year and party; each status as `status` claims it, and what is certain and what
        is possible apart."""
        counts: dict[str, list[tuple[list[str], int]]] = {}
        for what, count in tally(self._db, question.as_of, question.on).items():
            name, *rest = what.split(" ")
            counts.setdefault(name, []).append((rest, count))
        types = _summed((KINDS[int(rank)].name, count) for (rank,), count in counts.get("event", ()))
        counted: dict[str, Any] = {"events": {"total": question.as_of, "type": types}}
        _add_years(counted["events"], counts.get("year", ()))
        things = counts.get("thing", ())
        for at, collection in enumerate(COLLECTIONS):
            own = [(claimed, count) for (other, *claimed), count in things if other == str(at)]
            counted[collection] = _apart(STATUSES[collection], own)
        _add_years(counted["agreements"], counts.get("signed", ()))
        ties = [([status, "", certain], count) for (status, certain), count in counts.get("tie", ())]
        counted["memberships"] = _apart(ORDER_OF_STATUSES, ties)
        counted["commitments"] = {"kind": {}} | _apart(STATUS_ORDER, counts.get("commitment", ()))
        counted["party"] = self._most_tied(counts.get("party", ()), question)
        return counted

    def _most_tied(self, counts: Iterable[tuple[list[str], int]], question: TimeSlice) -> list[dict[str, Any]]:
        """The parties with the most ties, how many these are and how many of them are certain and possible."""
        ties: dict[int, dict[str, int]] = {}
        for (party, certain), count in counts:
            ties.setdefault(int(party), {}).update({_CERTAINTY[certain]: count})
        most = nsmallest(MOST_PARTIES, ties.items(), key=lambda each: (-sum(each[1].values()), each[0]))
        found: list[dict[str, Any]] = [
            {
                "party": Reference(self._ledger.name(party)),
                "ties": sum(count.values()),
                **{certainty: count.get(certainty, 0) for certainty in CERTAINTIES},
            }
            for party, count in most
        ]
        self._states.references.name_others(found, question)
        return sorted(found, key=lambda item: (-item["ties"], item["party"]["subject"]))


def _json(numbers: Iterable[int]) -> str:
    return orjson.dumps(list(numbers)).decode()


_CERTAINTY = {"1": "certain", "0": "possible"}


def _apart(order: Sequence[str], counts: Iterable[tuple[list[str], int]]) -> dict[str, Any]:
    """Counts of (status, kind or nothing, whether it is certain): of all, and apart of what is certain and possible."""
    counts = list(counts)
    counted = _by_status(order, counts)
    for said, certainty in _CERTAINTY.items():
        counted[certainty] = _by_status(order, [each for each in counts if each[0][-1] == said])
    return counted


def _by_status(order: Sequence[str], counts: Iterable[tuple[list[str], int]]) -> dict[str, Any]:
    """Counts of (status, kind or nothing, whether it is certain), in all, by status and by kind."""
    counts = list(counts)
    counted: dict[str, Any] = {
        "total": sum(count for _, count in counts),
        "status": _summed((order[int(status)], count) for (status, *_), count in counts),
    }
    if kinds := _summed((kind, count) for (_, kind, _), count in counts if kind):
        counted["kind"] = kinds
    return counted


def _add_years(counted: dict[str, Any], counts: Iterable[tuple[list[str], int]]) -> None:
    """Add counts of (year, whether it is certain) to others: of all, and apart of what is certain and possible."""
    counts = list(counts)
    counted["year"] = _summed((year, count) for (year, _), count in counts)
    for said, certainty in _CERTAINTY.items():
        own = _summed((year, count) for (year, is_certain), count in counts if is_certain == said)
        counted.setdefault(certainty, {})["year"] = own


def _summed(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for what, count in counts:
        found[what] += count
    return dict(sorted(found.items()))
