"""What happened: the timeline over all subjects in the order of valid time, and the history of one in the order of the
log, with the change that each event made."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from jsonpatch import make_patch

from domain.events import CATALOGUE
from domain.times import AFTER, BEFORE, parse_day
from domain.values import is_subject
from projections.filtering import matching
from projections.ledger import KINDS, Ledger
from projections.lists import check
from projections.questions import BadQuestion, Difference, Gone, Merged, NotFound, Page, Question
from projections.states import States

_REFERRING = frozenset(
    ("party", "part_of", "into", "successors", "under", "by", "with", "superseded_by", "founders", "convened_by")
)


class Pasts:
    """Timeline and histories, on one connection."""

    def __init__(self, db: sqlite3.Connection, ledger: Ledger, states: States) -> None:
        self._db = db
        self._ledger = ledger
        self._states = states

    def timeline(
        self,
        question: Question,
        filters: Mapping[str, Sequence[str]],
        *,
        sort: str | None,
        limit: int,
        after: Sequence[Any] | None,
    ) -> Page:
        """Facts as they stood at the question's position, each once. Raises BadQuestion."""
        check("timeline", filters, sort)
        conditions, values = ["f.p0 <= ? AND f.p1 > ?"], [question.as_of, question.as_of]
        first, last = BEFORE, AFTER
        if question.on is not None:
            last = question.on
        for name, given in filters.items():
            value = given[0]
            match name:
                case "from":
                    first = max(first, parse_day(value))
                case "to":
                    last = min(last, parse_day(value))
                case "type" if value not in CATALOGUE:
                    raise BadQuestion({"type": "is not a type the registry knows"})
                case "type":
                    conditions.append("f.rank = ?")
                    values.append(CATALOGUE[value].rank)
                case "subject":
                    group = self._group(value, question)
                    conditions.append(f"f.subject IN ({_places(group)})")
                    values += group
                case "party":
                    group = self._group(value, question)
                    conditions.append(
                        f"f.id IN (SELECT fact FROM links WHERE key IN ({_places(group)})"
                        f" UNION SELECT id FROM facts WHERE subject IN ({_places(group)}))"
                    )
                    values += [*group, *group]
                case "q":
                    condition = matching(self._db, value, "timeline", question.as_of)
                    conditions.append(condition.sql)
                    values += condition.values
        if first != BEFORE:
            conditions.append("f.hi >= ?")
            values.append(first)
        if last != AFTER:
            conditions.append("f.lo <= ?")
            values.append(last)
        columns, turn = _order(sort or "occurred")
        if after is not None:
            if len(after) != len(columns):
                raise BadQuestion({"cursor": "is not one of this list"})
            conditions.append(f"({', '.join(columns)}) {'<' if turn else '>'} ({_places(columns)})")
            values += after
        rows = self._db.execute(
            f"SELECT {', '.join(columns)}, f.position, f.rank, f.subject, f.lo, f.hi, f.meaning FROM facts f"
            f" WHERE {' AND '.join(conditions)} ORDER BY {', '.join(column + turn for column in columns)} LIMIT ?",
            (*values, limit + 1),
        ).fetchall()
        items = [self._happening(row[len(columns) :], first, last) for row in rows[:limit]]
        return Page(items, list(rows[limit - 1][: len(columns)]) if len(rows) > limit else None)

    def _happening(self, row: Sequence[Any], first: int, last: int) -> dict[str, Any]:
        position, rank, subject, lo, hi, meaning = row
        event = self._ledger.event(position)
        assert event is not None
        occurred, positions, data = event.occurred, [position], event.plain
        if meaning is not None:
            occurred, positions, data = orjson.loads(meaning)
        data.pop("evidence", None)
        return {
            "position": position,
            "subject": {"subject": self._ledger.name(subject)},
            "type": KINDS[rank].name,
            "occurred": occurred,
            "certainty": "certain" if first <= lo and hi <= last else "possible",
            "data": refer(data),
            "source": event.source,
            "id": event.id,
            "recorded": event.recorded,
            "events": positions,
        }

    def history(self, subject: str, question: Question, *, limit: int, after: Sequence[Any] | None) -> Page:
        """Every event about a subject, and about those it is one with, up to the question's position; also those by
        which parties it names became one or were parted.

        `patch` (RFC 6902) turns the state before, as of the item before it, into the state after, both on the
        question's day and without the names of others; before the first event the state is null. Raises NotFound,
        Merged.
        """
        group = self._ledger.one_with(self._number(subject, question), question.as_of)
        since = int(after[0]) if after else 0
        positions = self._told(group, since, question.as_of, limit + 1)
        state = self._bare(subject, since, question) if since else None
        verified = self._states.verifying(question)
        items = []
        for position in positions[:limit]:
            event = self._ledger.event(position)
            assert event is not None
            following = self._bare(subject, event.position, question)
            data = event.plain
            evidence = data.pop("evidence", [])
            items.append(
                {
                    "position": event.position,
                    "version": event.version,
                    "subject": {"subject": event.subject},
                    "type": event.type,
                    "source": event.source,
                    "id": event.id,
                    "time": event.time,
                    "occurred": event.occurred,
                    "recorded": event.recorded,
                    "actor": event.actor,
                    "data": refer(data),
                    "evidence": [verified(passage) for passage in evidence],
                    "events": [event.position],
                    "patch": patch(state, following),
                    **({"redacted": by} if event.erased and (by := self._ledger.redacted_by(event.position)) else {}),
                }
            )
            state = following
        return Page(items, [positions[limit - 1]] if len(positions) > limit else None)

    def difference(self, subject: str, first: Question, second: Question, most: int) -> Difference:
        """What turns a subject's state as one question has it into that of another, without the names of others; a side
        on which there is no state (not yet known or come about, gone, merged) is null.

        Of the events of its history between the two positions there are `most`, the earliest. Raises NotFound or Merged
        where neither side has a state and its history is not to be had either.
        """
        before, after = (self._bare(subject, side.as_of, side) for side in (first, second))
        since, until = sorted((first.as_of, second.as_of))
        if before is None and after is None:
            self._number(subject, Question(until, None))
        number = self._ledger.must_find(subject)
        group = {member for as_of in (since, until) for member in self._ledger.one_with(number, as_of)}
        events = self._told(group, since, until, most + 1)
        return Difference(patch(before, after), events[:most], len(events) > most)

    def mementos(self, subject: str, as_of: int, since: int, limit: int) -> list[tuple[int, str]]:
        """The positions of a subject's history after `since`, and when each was recorded. Raises NotFound, Merged."""
        group = self._ledger.one_with(self._number(subject, Question(as_of, None)), as_of)
        positions = self._told(group, since, as_of, limit)
        return self._db.execute(
            f"SELECT position, recorded FROM events WHERE position IN ({_places(positions)}) ORDER BY position",
            positions,
        ).fetchall()

    def recorded(self, position: int) -> str | None:
        """When the event at a position was recorded; None where there is none."""
        row = self._db.execute("SELECT recorded FROM events WHERE position = ?", (position,)).fetchone()
        return None if row is None else str(row[0])

    def _number(self, subject: str, question: Question) -> int:
        """The number of a subject that has a history. Raises NotFound, Merged."""
        try:
            return self._states.number(subject, question)
        except Gone:
            return self._ledger.must_find(subject)

    def _told(self, group: Collection[int], since: int, until: int, limit: int) -> list[int]:
        """The first positions, after one and up to another, of events about these subjects, and of those by which
        parties they name became one or were parted."""
        rows = self._db.execute(
            f"SELECT position FROM events WHERE subject IN ({_places(group)}) AND position > ? AND position <= ?"
            " ORDER BY position LIMIT ?",
            (*group, since, until, limit),
        ).fetchall()
        last = rows[-1][0] if len(rows) == limit else until
        mergers = (position for position in self._mergers_of(group) if since < position <= last)
        return sorted({row[0] for row in rows}.union(mergers))[:limit]

    def _mergers_of(self, group: Collection[int]) -> set[int]:
        """The positions at which parties that these subjects' facts name became one or were parted."""
        found: set[int] = set()
        for loser, kept, since, until in self._db.execute("SELECT loser, survivor, p0, p1 FROM mergers").fetchall():
            parties = {kept, *self._ledger.one_with(loser, since - 1)}
            named = self._db.execute(
                f"SELECT 1 FROM links WHERE key IN ({_places(parties)}) AND subject IN ({_places(group)}) LIMIT 1",
                (*parties, *group),
            ).fetchone()
            if named is not None:
                found.update((since, until))
        return found

    def _bare(self, subject: str, as_of: int, question: Question) -> dict[str, Any] | None:
        try:
            return self._states.state(subject, Question(as_of, question.on), bare=True).body
        except (NotFound, Gone, Merged):
            return None

    def _group(self, subject: str, question: Question) -> list[int]:
        number = self._ledger.find(subject)
        return [-1] if number is None else self._ledger.one_with(number, question.as_of)


def patch(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The RFC 6902 operations that turn one state into another; null stands for no state."""
    if before is None or after is None:
        return [] if before is after else [{"op": "replace", "path": "", "value": after}]
    operations: list[dict[str, Any]] = make_patch(before, after).patch
    return operations


def refer(value: Any, name: str = "") -> Any:
    """Data with each reference as {"subject": ...}, ready for the names of others."""
    if isinstance(value, dict):
        return {key: refer(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [refer(part, name) for part in value]
    if isinstance(value, str) and (name in _REFERRING or name == "document") and is_subject(value):
        return {"subject": value}
    return value


def _order(sort: str) -> tuple[tuple[str, ...], str]:
    turn = " DESC" if sort.startswith("-") else ""
    if sort.removeprefix("-") == "position":
        return ("f.position",), turn
    if turn:
        return (f"CASE WHEN f.at = {AFTER} THEN -1 ELSE f.at END", "f.hi", "f.rank", "f.label"), turn
    return ("f.at", "f.hi", "f.rank", "f.label"), turn


def _places(values: Collection[Any]) -> str:
    return ", ".join("?" * len(values))
