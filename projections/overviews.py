"""Overviews: who is tied to whom and by what, as a graph; and how much there is of everything, as counts."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from domain.entries import STATUS_ORDER
from domain.things import STATUSES
from domain.ties import ORDER_OF_STATUSES
from domain.times import AFTER, day_text
from projections.ledger import KINDS, Ledger
from projections.questions import Question
from projections.rows import COLLECTIONS, SECTIONS, TERM_KINDS, read_tie
from projections.states import States, claim, claims, rectangle, tie_columns, times

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
        subject, name = self._states.named(self._ledger.name(number), question)
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
        counted: dict[str, Any] = {"events": self._events(question)}
        things = self._db.execute(
            "SELECT collection, kind, status, COUNT(*) FROM things t"
            f" WHERE {rectangle('t', question)} GROUP BY 1, 2, 3",
            times(question),
        ).fetchall()
        for at, collection in enumerate(COLLECTIONS):
            kinds: Counter[str] = Counter()
            statuses: Counter[str] = Counter()
            for _, kind, status, count in (row for row in things if row[0] == at):
                statuses[STATUSES[collection][status]] += count
                if kind is not None:
                    kinds[kind] += count
            counted[collection] = {"total": sum(statuses.values()), "status": dict(sorted(statuses.items()))}
            if kinds:
                counted[collection]["kind"] = dict(sorted(kinds.items()))
        counted["agreements"]["year"] = self._years(question)
        counted["memberships"] = self._ties(question)
        counted["commitments"] = self._commitments(question)
        counted["party"] = self._parties(question)
        return counted

    def _events(self, question: Question) -> dict[str, Any]:
        by_type = {
            KINDS[rank].name: count
            for rank, count in self._db.execute(
                "SELECT rank, COUNT(*) FROM events WHERE position <= ? GROUP BY rank", (question.as_of,)
            )
        }
        years: Counter[str] = Counter()
        for at, count in self._db.execute(
            # In the order of the table: by the index on `at`, each row would be looked up on its own.
            f"SELECT at, COUNT(*) FROM facts WHERE p0 <= ? AND p1 > ? AND +at < {AFTER} GROUP BY +at",
            (question.as_of, question.as_of),
        ):
            years[_year(at)] += count
        return {"total": question.as_of, "type": dict(sorted(by_type.items())), "year": dict(sorted(years.items()))}

    def _years(self, question: Question) -> dict[str, int]:
        years: Counter[str] = Counter()
        rows = self._db.execute(
            f"SELECT at, COUNT(*) FROM things t WHERE collection = ? AND upto >= 0 AND at < {AFTER}"
            f" AND {rectangle('t', question)} GROUP BY at",
            (COLLECTIONS.index("agreements"), *times(question)),
        )
        for at, count in rows:
            years[_year(at)] += count
        return dict(sorted(years.items()))

    def _ties(self, question: Question) -> dict[str, Any]:
        rows = self._db.execute(
            f"SELECT status, COUNT(*) FROM ties t WHERE {rectangle('t', question)} GROUP BY 1", times(question)
        ).fetchall()
        statuses = {ORDER_OF_STATUSES[status]: count for status, count in rows}
        return {"total": sum(statuses.values()), "status": dict(sorted(statuses.items()))}

    def _commitments(self, question: Question) -> dict[str, Any]:
        rows = self._db.execute(
            "SELECT kind, status, COUNT(*) FROM entries t"
            f" WHERE section = 0 AND {rectangle('t', question)} GROUP BY 1, 2",
            times(question),
        ).fetchall()
        kinds: Counter[str] = Counter()
        statuses: Counter[str] = Counter()
        for kind, status, count in rows:
            kinds[kind] += count
            statuses[STATUS_ORDER[status]] += count
        return {
            "total": sum(statuses.values()),
            "kind": dict(sorted(kinds.items())),
            "status": dict(sorted(statuses.items())),
        }

    def _parties(self, question: Question) -> list[dict[str, Any]]:
        rows = self._db.execute(
            f"SELECT party, COUNT(*) FROM ties t WHERE {rectangle('t', question)} GROUP BY 1 ORDER BY 2 DESC LIMIT ?",
            (*times(question), MOST_PARTIES),
        ).fetchall()
        found = []
        for party, count in rows:
            subject, name = self._states.named(self._ledger.name(party), question)
            found.append({"party": {"subject": subject, "name": name}, "ties": count})
        return sorted(found, key=lambda item: (-item["ties"], item["party"]["subject"]))


def _year(day: int) -> str:
    return day_text(day)[:4]
