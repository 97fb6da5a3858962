"""States put together from rows: a thing's own fields, the beginnings of its lists, the names of others, disputes and
evidence. Reads only; one picture for single states, items of lists and histories."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from domain.entries import STATUS_ORDER
from domain.events import CATALOGUE
from domain.passages import status_of
from domain.things import STATUSES
from domain.ties import ORDER_OF_STATUSES
from domain.times import day_text
from projections.documents import Held, Texts
from projections.ledger import REMARKS, Ledger
from projections.questions import LISTS, Gone, Merged, NotFound, Page, Question, State
from projections.rows import COLLECTIONS, SECTIONS, read_tie

IN_STATE = 100
IN_ITEM = 10

_ENTERED = {name: index for index, name in enumerate(SECTIONS)}
_TIES = {"agreements": "parties", "labs": "founders", "platforms": "members"}
_DISPUTED = CATALOGUE["event.disputed"].rank
_HOLDING = sum(1 << index for index, name in enumerate(ORDER_OF_STATUSES) if name not in ("withdrawn", "left", "ended"))


class States:
    """States as of a question, on one connection."""

    def __init__(self, db: sqlite3.Connection, ledger: Ledger) -> None:
        self._db = db
        self._ledger = ledger
        self.texts = Texts(db)

    # one

    def state(self, subject: str, question: Question, *, evidence: bool = False, bare: bool = False) -> State:
        """The state of a subject. Raises NotFound, Gone, Merged. `bare` leaves out the names of others."""
        number = self.number(subject, question)
        row = self._db.execute(
            f"SELECT {thing_columns(question)} FROM things t WHERE t.subject = ? AND {rectangle('t', question)}",
            (number, *times(question)),
        ).fetchone()
        if row is None:
            raise NotFound(self._absence(number, subject, question))
        body = self.thing(row, question, IN_STATE)
        self.name_others([body], question, names=not bare)
        if evidence:
            self.cite([body], question)
        return State(body, body["version"])

    def number(self, subject: str, question: Question) -> int:
        """The number of a subject that facts stand about. Raises NotFound, Gone, Merged."""
        number = self._ledger.find(subject)
        if number is None or self.last_event(number, question.as_of) is None:
            raise NotFound(f"there is no {subject}" + self._as_of(question))
        kept = self._ledger.survivor(number, question.as_of)
        if kept != number:
            raise Merged(self._ledger.name(kept))
        known = self._db.execute(
            "SELECT 1 FROM things WHERE subject = ? AND p0 <= ? AND p1 > ? LIMIT 1",
            (number, question.as_of, question.as_of),
        ).fetchone()
        if known is None:
            raise Gone(f"every fact about {subject} was retracted")
        return number

    def _member(self, number: int, as_of: int) -> tuple[int, int, int]:
        """Version and position of a subject's last event up to a position (0 where there is none); what it holds."""
        version, last, holds = self._db.execute(
            "SELECT version, last, holds FROM subjects WHERE id = ?", (number,)
        ).fetchone()
        if last > as_of:
            version, last = self.last_event(number, as_of) or (0, 0)
        return version, last, holds

    def last_event(self, number: int, as_of: int) -> tuple[int, int] | None:
        """Version and position of a subject's last event up to a position."""
        found: tuple[int, int] | None = self._db.execute(
            "SELECT version, position FROM events WHERE subject = ? AND position <= ? ORDER BY position DESC LIMIT 1",
            (number, as_of),
        ).fetchone()
        return found

    def _absence(self, number: int, subject: str, question: Question) -> str:
        (first,) = self._db.execute(
            "SELECT MIN(d0) FROM things WHERE subject = ? AND p0 <= ? AND p1 > ?",
            (number, question.as_of, question.as_of),
        ).fetchone()
        assert question.on is not None
        return f"{subject} had not come about on {day_text(question.on)}; it did no earlier than {day_text(first)}"

    @staticmethod
    def _as_of(question: Question) -> str:
        return f" as of position {question.as_of}"

    # parts of a state

    def thing(self, row: Sequence[Any], question: Question, most: int) -> dict[str, Any]:
        """The state of a row of things (of `thing_columns`), its lists cut after `most` entries."""
        number, collection_at, status, mask, certain, stored = row
        collection = COLLECTIONS[collection_at]
        group = self._ledger.one_with(number, question.as_of) if collection == "parties" else [number]
        members = [self._member(member, question.as_of) for member in group]
        lasts = [(version, position) for version, position, _ in members if version]
        holds = members[0][2]
        kept = orjson.loads(stored)
        body: dict[str, Any] = {
            "subject": self._ledger.name(number),
            "version": lasts[0][0],
            "position": max(position for _, position in lasts),
            **kept["fields"],
            **claim(STATUSES[collection], status, mask, certain),
        }
        if collection == "documents" and (held := self.texts.held(number, question.as_of)) is not None:
            body["text"] = {"characters": held.characters}
            kept["events"]["text"] = [held.position]
        more: dict[str, str] = {}
        for name in LISTS[collection]:
            if name in _ENTERED and not holds >> _ENTERED[name] & 1:
                body[name] = []
                continue
            page = self.section(number, name, question, most, None)
            body[name] = page.items
            if name == "other_names":
                body[name] = [item["name"] for item in page.items]
                bearing = sorted({position for item in page.items for position in item["events"]})
                if bearing:
                    kept["events"][name] = bearing
            if page.after is not None:
                on = "any" if question.on is None else day_text(question.on)
                more[name] = f"/v1/{body['subject']}/{name}?as_of={question.as_of}&on={on}"
        if more:
            body["more"] = more
        body["events"] = kept["events"]
        disputed = [
            each
            for member, (_, _, held) in zip(group, members, strict=True)
            if held & REMARKS
            for each in self._disputes_of(member, question.as_of)
        ]
        if disputed:
            body["disputed"] = disputed
            for name in LISTS[collection]:
                for item in body[name] if name != "other_names" else ():
                    own = [each for each in disputed if each["event"] in item["events"]]
                    if own:
                        item["disputed"] = own
        return body

    def section(self, number: int, name: str, question: Question, limit: int, after: Sequence[Any] | None) -> Page:
        """Entries of one list inside a state, in its order. Names of others are not yet in. Raises NotFound."""
        collection = self._ledger.name(number).partition("/")[0]
        if name not in LISTS[collection]:
            raise NotFound(f"a state of {collection} has no list {name}")
        if name == _TIES.get(collection):
            return self._ties(number, collection, question, limit, after)
        label, parameters = "", [number, *times(question)]
        if after is not None:
            label = " AND (r.at, r.label, r.id) > (?, ?, ?)"
            parameters += list(after)
        rows = self._db.execute(
            f"SELECT r.at, r.label, r.id, {claims('r', question)}, r.body FROM entries r"
            f" WHERE r.subject = ? AND r.section = {SECTIONS.index(name)} AND {rectangle('r', question)}{label}"
            " ORDER BY r.at, r.label, r.id LIMIT ?",
            (*parameters, limit + 1),
        ).fetchall()
        items = [entry(row[3:], question) for row in rows[:limit]]
        return Page(items, list(rows[limit - 1][:3]) if len(rows) > limit else None)

    def _ties(self, number: int, collection: str, question: Question, limit: int, after: Sequence[Any] | None) -> Page:
        condition, parameters = "", [number, *times(question)]
        if collection == "platforms" and question.on is not None:
            condition = f" AND r.mask & {_HOLDING}"
        if after is not None:
            condition += " AND (r.at, r.label) > (?, ?)"
            parameters += list(after)
        rows = self._db.execute(
            f"SELECT r.at, r.label, {tie_columns('r', question)} FROM ties r"
            f" WHERE r.container = ? AND {rectangle('r', question)}{condition} ORDER BY r.at, r.label LIMIT ?",
            (*parameters, limit + 1),
        ).fetchall()
        items = []
        for row in rows[:limit]:
            item = tie(row[2:], self._ledger.name)
            del item["in"]
            if collection == "labs":
                item = {**item.pop("party"), **item}
            if collection != "agreements":
                item.pop("steps")
            if collection != "platforms":
                item.pop("category")
            items.append(item)
        return Page(items, list(rows[limit - 1][:2]) if len(rows) > limit else None)

    # what stands beside facts

    def _disputes_of(self, number: int, as_of: int) -> list[dict[str, Any]]:
        rows = self._db.execute(
            "SELECT * FROM events WHERE subject = ? AND rank = ? AND about IS NOT NULL AND position <= ?"
            " ORDER BY position LIMIT ?",
            (number, _DISPUTED, as_of, IN_STATE),
        ).fetchall()
        found: list[dict[str, Any]] = []
        for row in rows:
            event = self._ledger.decoded(row)
            standing = self._ledger.standing(event, as_of)
            if standing.retracted_by(event) is not None:
                continue
            claimed = standing.meaning(event).data.get("claims", ())
            if event.about is not None and claimed and self._stands(event.about, as_of):
                found += [{**each, "position": event.position, "event": event.about} for each in claimed]
        return found

    def _stands(self, position: int, as_of: int) -> bool:
        event = self._ledger.event(position)
        return event is not None and self._ledger.standing(event, as_of).retracted_by(event) is None

    def show_disputes(self, items: Iterable[dict[str, Any]], as_of: int) -> None:
        """Put standing disputes beside items that stand for themselves, by the events that bear them."""
        for item in items:
            disputed: list[dict[str, Any]] = []
            for position in item["events"]:
                for (by,) in self._db.execute(
                    "SELECT position FROM events WHERE about = ? AND rank = ? AND position <= ? ORDER BY position",
                    (position, _DISPUTED, as_of),
                ).fetchall():
                    event = self._ledger.event(by)
                    if event is not None:
                        standing = self._ledger.standing(event, as_of)
                        if standing.retracted_by(event) is None:
                            claims = standing.meaning(event).data.get("claims", ())
                            disputed += [{**claimed, "position": by, "event": position} for claimed in claims]
            if disputed:
                item["disputed"] = disputed

    def cite(self, items: Iterable[dict[str, Any]], question: Question) -> None:
        """Put the passages cited for each item's events beside them, as `evidence` by position."""
        verified = self.verifying(question)
        for item in items:
            cited: dict[str, list[dict[str, Any]]] = {}
            for position in sorted(_positions(item)):
                event = self._ledger.event(position)
                if event is None:
                    continue
                passages = self._ledger.standing(event, question.as_of).passages(event)
                if passages:
                    cited[str(position)] = [{**verified(passage), "event": by} for by, passage in passages]
            item["evidence"] = cited
            self.name_others([cited], question)

    def verifying(self, question: Question) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """A function that gives a passage its `status` as of the question, and its document as a reference."""
        known: dict[str, Held | None] = {}

        def verified(passage: Mapping[str, Any]) -> dict[str, Any]:
            document = passage["document"]
            if document not in known:
                number = self._ledger.find(document)
                known[document] = None if number is None else self.texts.own(number, question.as_of)
            held = known[document]
            text = None if held is None else self.texts.text(held)
            return {**passage, "document": {"subject": document}, "status": status_of(passage, text)}

        return verified

    def name_others(self, items: Iterable[Any], question: Question, *, names: bool = True) -> None:
        """Put the survivor and its name, as of the question, into every reference {"subject": ...}."""
        named: dict[str, tuple[str, Any]] = {}
        pending: list[Any] = []
        for item in items:
            pending += _nested(item)
        while pending:
            value = pending.pop()
            if type(value) is list:
                pending += _nested(value)
                continue
            subject = value.get("subject")
            if isinstance(subject, str) and "name" not in value:
                if subject not in named:
                    named[subject] = self.named(subject, question)
                rest = {key: part for key, part in value.items() if key != "subject"}
                value.clear()
                value["subject"], name = named[subject]
                if names:
                    value["name"] = name
                value.update(rest)
            pending += _nested(value)

    def named(self, subject: str, question: Question) -> tuple[str, Any]:
        """The subject that answers for this one, and its name on the day."""
        number = self._ledger.find(subject)
        if number is None:
            return subject, None
        number = self._ledger.survivor(number, question.as_of)
        row = self._db.execute(
            f"SELECT name FROM things t WHERE t.subject = ? AND {rectangle('t', question)}",
            (number, *times(question)),
        ).fetchone()
        if row is None:
            row = self._db.execute(
                "SELECT name FROM things WHERE subject = ? AND p0 <= ? AND p1 > ? ORDER BY d0 LIMIT 1",
                (number, question.as_of, question.as_of),
            ).fetchone()
        return self._ledger.name(number), orjson.loads(row[0]) if row else None


_NESTING = frozenset((dict, list))


def _nested(value: Any) -> list[Any]:
    """The objects and arrays in an object or array, but for the positions of events."""
    if type(value) is list:
        return [part for part in value if type(part) in _NESTING]
    return [part for key, part in value.items() if type(part) in _NESTING and key != "events"]


def rectangle(table: str, question: Question) -> str:
    """The condition that a row was known then and held on the day; its values are `times`."""
    if question.on is None:
        return f"{table}.p0 <= ? AND {table}.p1 > ? AND {table}.last"
    return f"{table}.p0 <= ? AND {table}.p1 > ? AND {table}.d0 <= ? AND {table}.d1 > ?"


def times(question: Question) -> tuple[int, ...]:
    """The values for `rectangle`."""
    if question.on is None:
        return (question.as_of, question.as_of)
    return (question.as_of, question.as_of, question.on, question.on)


def claims(table: str, question: Question) -> str:
    """The columns that `claim` takes: the status, all that may be, whether it is certain."""
    if question.on is None:
        return f"{table}.status, {may_be(table, question)}, {table}.ever = 1 << {table}.status"
    return f"{table}.status, {may_be(table, question)}, {table}.certain"


def may_be(table: str, question: Question) -> str:
    """The column of all statuses that may be, as bits."""
    return f"{table}.mask" if question.on is not None else f"{table}.ever"


def thing_columns(question: Question) -> str:
    """The columns of `things t` that a state is made of."""
    return f"t.subject, t.collection, {claims('t', question)}, t.body"


def claim(order: Sequence[str], status: int, mask: int, certain: int) -> dict[str, Any]:
    """A status as answered."""
    claimed: dict[str, Any] = {"status": order[status]}
    if mask & (mask - 1):
        claimed["statuses"] = [name for index, name in enumerate(order) if mask >> index & 1]
    claimed["certainty"] = "certain" if certain else "possible"
    return claimed


def tie_columns(table: str, question: Question) -> str:
    """The columns that `tie` takes."""
    return f"{table}.party, {table}.container, {claims(table, question)}, {table}.body"


def tie(row: Sequence[Any], name: Callable[[int], str]) -> dict[str, Any]:
    """A tie as answered, from `tie_columns`; `name` gives the subject of a number."""
    party, container, status, mask, certain, stored = row
    return {
        "party": {"subject": name(party)},
        "in": {"subject": name(container)},
        **claim(ORDER_OF_STATUSES, status, mask, certain),
        **read_tie(stored),
    }


def entry(row: Sequence[Any], question: Question) -> dict[str, Any]:
    """An entry as answered, from `claims` and the body."""
    status, mask, certain, stored = row
    body: dict[str, Any] = orjson.loads(stored)
    if status is not None:
        body |= claim(STATUS_ORDER, status, mask, certain)
    elif question.on is not None and not certain:
        body["certainty"] = "possible"
    return body


def _positions(value: Any) -> set[int]:
    found: set[int] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            for name, part in item.items():
                if name == "events":
                    lists = part.values() if isinstance(part, dict) else [part]
                    found.update(position for positions in lists for position in positions)
                else:
                    pending.append(part)
        elif isinstance(item, list):
            pending += item
    return found
