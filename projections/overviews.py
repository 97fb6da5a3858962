"""Overviews: who is tied to whom and by what, as a graph; and how much there is of everything, as counts."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from typing import Any

import orjson

from domain.entries import STATUS_ORDER
from domain.things import STATUSES
from domain.ties import ORDER_OF_STATUSES
from projections.cuts import claim, claims, rectangle, tie_columns, times
from projections.ledger import KINDS, Ledger
from projections.questions import Question
from projections.rows import COLLECTIONS, SECTIONS, TERM_KINDS, read_tie
from projections.states import States
from projections.tallies import tally

MOST_PARTIES = 100


class Overviews:
    """Graph and statistics, on one connection."""

    def __init__(self, db: sqlite3.Connection, ledger: Ledger, states: States) -> None:
        self._db = db
        self._ledger = ledger
        self._states = states

    def graph(self, center: str | None, depth: int, question: Question, limit: int) -> dict[str, Any]:
        """Subjects within `depth` ties of the center, or of all without one, at most `limit`; `truncated` if more.

        Raises NotFound, Gone, Merged.
        """
        if center is None:
            rows = self._db.execute(
                f"SELECT DISTINCT subject FROM things t WHERE {rectangle('t', question)} AND collection <> ? LIMIT ?",
                (*times(question), COLLECTIONS.index("documents"), limit + 1),
            ).fetchall()
            reached = dict.fromkeys(row[0] for row in rows[:limit])
            truncated, frontier, depth = len(rows) > limit, list(reached), 1
        else:
            reached = {self._states.number(center, question): None}
            truncated, frontier = False, list(reached)
        edges: dict[tuple[int, int, str], dict[str, Any]] = {}
        for _ in range(depth):
            following: list[int] = []
            for number in frontier:
                for source, target, kind, claimed in self._edges(number, question, limit):
                    edges[source, target, kind] = claimed
                    for other in (source, target):
                        if other not in reached and center is not None:
                            if len(reached) >= limit:
                                truncated = True
                                continue
                            reached[other] = None
                            following.append(other)
            frontier = following
        nodes = [self._node(number, question) for number in reached]
        shown = [
            {"source": self._ledger.name(source), "target": self._ledger.name(target), "type": kind, **claimed}
            for (source, target, kind), claimed in edges.items()
            if source in reached and target in reached
        ]
        nodes.sort(key=lambda node: str(node["subject"]))
        shown.sort(key=lambda edge: (edge["source"], edge["target"], edge["type"]))
        return {"nodes": nodes, "edges": shown, "truncated": truncated}

    def _node(self, number: int, question: Question) -> dict[str, Any]:
        row = self._db.execute(
            f"SELECT t.kind, {claims('t', question)} FROM things t WHERE subject = ? AND {rectangle('t', question)}",
            (number, *times(question)),
        ).fetchone()
        subject, name = self._states.references.named(self._ledger.name(number), question)
        node: dict[str, Any] = {"subject": subject, "name": name, "collection": subject.partition("/")[0]}
        if row is not None:
            if row[0] is not None:
                node["kind"] = row[0]
            node |= claim(STATUSES[node["collection"]], *row[1:])
        return node

    def _edges(self, number: int, question: Question, limit: int) -> list[tuple[int, int, str, dict[str, Any]]]:
        found: list[tuple[int, int, str, dict[str, Any]]] = []
        for column in ("party", "container"):
            rows = self._db.execute(
                f"SELECT r.interval, {tie_columns('r', question)} FROM ties r"
                f" WHERE r.{column} = ? AND {rectangle('r', question)} LIMIT ?",
                (number, *times(question), limit),
            ).fetchall()
            for _, party, container, status, mask, certain, stored in sorted(rows, key=lambda row: row[:3]):
                claimed = claim(ORDER_OF_STATUSES, status, mask, certain)
                body = read_tie(stored)
                kind = {"agreements": "party", "labs": "founder", "platforms": "member"}
                name = kind[self._ledger.name(container).partition("/")[0]]
                claimed |= {"from": body["from"], "to": body["to"], "events": body["events"]}
                found.append((party, container, name, claimed))
        numbers = self._ledger.one_with(number, question.as_of)
        for column, others in (("subject", [number]), ("ref", numbers)):
            for each in others:
                found += self._references(column, each, question, limit)
        supporters = self._db.execute(
            "SELECT r.at, r.label, r.subject, r.body FROM entries r WHERE r.subject = ?"
            f" AND r.section = {SECTIONS.index('supporters')} AND {rectangle('r', question)} LIMIT ?",
            (number, *times(question), limit),
        ).fetchall()
        for each in numbers:
            supporters += self._db.execute(
                "SELECT r.at, r.label, r.subject, r.body FROM terms x JOIN entries r ON r.id = x.owner"
                f" WHERE x.kind = {TERM_KINDS['supporter']} AND x.value = ? AND {rectangle('r', question)} LIMIT ?",
                (str(each), *times(question), limit),
            ).fetchall()
        for *_, platform, stored in sorted(supporters, reverse=True):  # of several by one party the first is shown
            body = orjson.loads(stored)
            party = self._ledger.must_find(body["party"]["subject"])
            claimed = {name: body[name] for name in ("support", "occurred", "events") if name in body}
            found.append((self._ledger.survivor(party, question.as_of), platform, "supporter", claimed))
        return found

    def _references(
        self, column: str, number: int, question: Question, limit: int
    ) -> Iterator[tuple[int, int, str, dict[str, Any]]]:
        """What a thing is part of or was signed under, or (`column` ref) what is so of it."""
        rows = self._db.execute(
            f"SELECT t.subject, t.ref, t.collection, t.body FROM things t WHERE t.{column} = ?"
            f" AND t.ref IS NOT NULL AND {rectangle('t', question)} LIMIT ?",
            (number, *times(question), limit),
        ).fetchall()
        for subject, ref, collection, stored in rows:
            kind = "part-of" if COLLECTIONS[collection] == "parties" else "under"
            bearing = orjson.loads(stored)["events"].get(kind.replace("-", "_"), [])
            yield subject, self._ledger.survivor(ref, question.as_of), kind, {"events": bearing}

    def statistics(self, question: Question) -> dict[str, Any]:
        """Counts by type, kind, status, year and party; each status as `status` claims it."""
        counts: dict[str, list[tuple[list[str], int]]] = {}
        for what, count in tally(self._db, question.as_of, question.on).items():
            name, *rest = what.split(" ")
            counts.setdefault(name, []).append((rest, count))
        types = _summed((KINDS[int(rank)].name, count) for (rank,), count in counts.get("event", ()))
        years = _summed((year, count) for (year,), count in counts.get("year", ()))
        counted: dict[str, Any] = {"events": {"total": question.as_of, "type": types, "year": years}}
        things = counts.get("thing", ())
        for at, collection in enumerate(COLLECTIONS):
            own = [(status, kind, count) for (other, status, kind), count in things if other == str(at)]
            counted[collection] = _by_status(STATUSES[collection], own)
        counted["agreements"]["year"] = _summed((year, count) for (year,), count in counts.get("signed", ()))
        ties = [(status, "", count) for (status,), count in counts.get("tie", ())]
        counted["memberships"] = _by_status(ORDER_OF_STATUSES, ties)
        commitments = [(status, kind, count) for (status, kind), count in counts.get("commitment", ())]
        counted["commitments"] = {"kind": {}} | _by_status(STATUS_ORDER, commitments)
        counted["party"] = self._most_tied(
            ((int(party), count) for (party,), count in counts.get("party", ())), question
        )
        return counted

    def _most_tied(self, parties: Iterable[tuple[int, int]], question: Question) -> list[dict[str, Any]]:
        found = []
        for party, count in nsmallest(MOST_PARTIES, parties, key=lambda each: (-each[1], each[0])):
            subject, name = self._states.references.named(self._ledger.name(party), question)
            found.append({"party": {"subject": subject, "name": name}, "ties": count})
        return sorted(found, key=lambda item: (-item["ties"], item["party"]["subject"]))


def _by_status(order: Sequence[str], counts: Iterable[tuple[str, str, int]]) -> dict[str, Any]:
    """Counts of (status, kind or nothing), in all, by status and by kind."""
    counts = list(counts)
    counted: dict[str, Any] = {
        "total": sum(count for *_, count in counts),
        "status": _summed((order[int(status)], count) for status, _, count in counts),
    }
    if kinds := _summed((kind, count) for _, kind, count in counts if kind):
        counted["kind"] = kinds
    return counted


def _summed(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for what, count in counts:
        found[what] += count
    return dict(sorted(found.items()))
