"""States of subjects, put together from rows: attributes, the beginnings of lists, names of others, disputes, evidence.

Single states, items of lists and histories are all made here. A page of states reads each table in one query, and of
each list no more than it shows. Reads only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from domain.attributes import REFERENCES
from domain.edtf import day_text
from domain.membership import ORDER_OF_STATUSES
from domain.subject_state import STATUSES
from domain.values import Reference
from projections.annotations import DISPUTED, Annotations, address, shown
from projections.catalogue import ITEM_LISTS, SUBJECT_VIEWS
from projections.documents import DocumentTexts
from projections.engine.bitemporal import COLLECTIONS
from projections.engine.database import AS_OF, first_after
from projections.engine.event_index import REMARKS, EventIndex
from projections.engine.item_lists import ItemList, MembershipList
from projections.engine.query_types import Gone, Merged, NotFound, Page, State, TimeSlice, check_after
from projections.engine.reference_values import refer, references_in
from projections.engine.references import References
from projections.engine.row_codecs import NAMED, decode_membership, decode_subject_state, roles_of
from projections.engine.time_limit import Limit
from projections.engine.time_slices import (
    as_of_and_on,
    claim,
    claim_columns,
    holds,
    is_certain,
    list_item,
    subject_state_columns,
    times,
)
from projections.parties import OTHER_NAMES

IN_STATE = 100
"""The most items of a list inside a state."""
IN_ITEM = 10
"""The same where the state is an item of a list."""
_NAMES = 1_000
"""The most names of a party that are read to show each text once."""

_NUMBERS = max(ITEM_LISTS) + 1
"""More than any number of a list, so that one number encodes a subject and a list."""
_MENTIONS_SUBJECT = b'"subject"'
_IN_ORDER, _BY_SYSTEM_TIME = "in_order", "as_known"
_FIRST_THREE = itemgetter(0, 1, 2)

Row = tuple[Any, ...]
Found = dict[tuple[int, ItemList | MembershipList], list[Row]]
"""Rows of lists inside states, by the number of the subject and the list."""
Beginning = tuple[list[dict[str, Any]], bool]
"""The beginning of a list inside a state, and whether there is more of it."""


Decoded = dict[Row, tuple[dict[str, Any], dict[str, Any]]]
"""The fields of memberships by the columns they come from, before the role of the party and after it."""


class _Subject(NamedTuple):
    """A subject of a page: the version and position of the last event about it or about those merged with it.

    `members` are all of these, itself first, each with the bits of what it holds.
    """

    number: int
    name: str
    collection: str
    version: int
    position: int
    members: Sequence[tuple[int, int]]
    is_young: bool
    """Whether few of today's many rows were known then: to sort them is faster than to find them in a list's order."""

    @property
    def holds(self) -> int:
        return self.members[0][1]


class States:
    """States of subjects, on one connection."""

    def __init__(self, db: sqlite3.Connection, index: EventIndex) -> None:
        self._db = db
        self._index = index
        self.texts = DocumentTexts(db)
        self.references = References(db, index)
        self.limit = Limit()
        """The time limit of a state."""
        self.annotations = Annotations(db, index, self.references, self.texts, self.limit)

    # one

    def state(
        self, subject: str, question: TimeSlice, *, evidence: bool = False, bare: bool = False, most: int = IN_STATE
    ) -> State:
        """Return the state of a subject; `bare` leaves out the names of others. Raise NotFound, Gone or Merged.

        Its lists are cut after `most` items.
        """
        row = self._db.execute(
            f"SELECT {subject_state_columns(question)} FROM subjects s CROSS JOIN subject_states t ON t.subject = s.id"
            f" WHERE s.name = ? AND {as_of_and_on('t', question)}",
            (subject, *times(question)),
        ).fetchone()
        if row is None:
            raise NotFound(self._absence(self.number(subject, question), subject, question))
        (body,) = self.states([row], question, most, names=not bare)
        if evidence:
            self.annotations.cite([body], question)
        return State(body, body["version"])

    def number(self, subject: str, question: TimeSlice) -> int:
        """Return the number of a subject that has current facts. Raise NotFound, Gone or Merged."""
        number = self._index.find(subject)
        if number is None or self.last_event(number, question.as_of) is None:
            raise NotFound(f"there is no {subject}" + self._as_of(question))
        survivor = self._index.survivor(number, question.as_of)
        if survivor != number:
            raise Merged(self._index.name(survivor))
        known = self._db.execute(
            f"SELECT 1 FROM subject_states WHERE subject = ? AND {AS_OF} LIMIT 1",
            (number, question.as_of, question.as_of),
        ).fetchone()
        if known is None:
            raise Gone(f"every fact about {subject} was retracted")
        return number

    def last_event(self, number: int, as_of: int) -> tuple[int, int] | None:
        """Return version and position of a subject's last event up to a position."""
        found: tuple[int, int] | None = self._db.execute(
            "SELECT version, position FROM events WHERE subject = ? AND position <= ? ORDER BY position DESC LIMIT 1",
            (number, as_of),
        ).fetchone()
        return found

    def _absence(self, number: int, subject: str, question: TimeSlice) -> str:
        (first,) = self._db.execute(
            f"SELECT MIN(valid_from) FROM subject_states WHERE subject = ? AND {AS_OF}",
            (number, question.as_of, question.as_of),
        ).fetchone()
        assert question.on is not None
        return f"{subject} had not come about on {day_text(question.on)}; it did no earlier than {day_text(first)}"

    @staticmethod
    def _as_of(question: TimeSlice) -> str:
        return f" as of position {question.as_of}"

    # many

    def states(
        self, rows: Sequence[Row], question: TimeSlice, most: int, *, names: bool = True
    ) -> list[dict[str, Any]]:
        """Return the states of rows with `subject_state_columns`, their lists cut after `most` items."""
        subjects = [self._subject(row, question.as_of, most) for row in rows]
        references: list[dict[str, Any]] = []
        lists = self._beginnings(subjects, question, most, references)
        bodies = [
            self._state(each, row, question, lists, references, most) for each, row in zip(subjects, rows, strict=True)
        ]
        self.references.name(references, question, names=names)
        return bodies

    def _subject(self, row: Row, as_of: int, most: int) -> _Subject:
        number, at, *_, name, now, last, holds = row
        collection = COLLECTIONS[at]
        self._index.remember(name, number)
        version, position = (now, last) if last <= as_of else self.last_event(number, as_of) or (0, 0)
        is_young = position < last and now > 2 * most and version * version < most * now
        members = [(number, holds)]
        for member in self._index.cluster_of(number, as_of)[1:] if collection == "parties" else ():
            now, last, holds = self._db.execute(
                "SELECT version, last, holds FROM subjects WHERE id = ?", (member,)
            ).fetchone()
            other = (now, last) if last <= as_of else self.last_event(member, as_of) or (0, 0)
            version, position = version or other[0], max(position, other[1])
            members.append((member, holds))
        return _Subject(number, name, collection, version, position, members, is_young)

    def _state(
        self,
        subject: _Subject,
        row: Row,
        question: TimeSlice,
        lists: dict[tuple[int, str], Beginning],
        references: list[dict[str, Any]],
        most: int,
    ) -> dict[str, Any]:
        status, possible, certain, name, stored = row[2:7]
        fields, provenance = decode_subject_state(stored, NAMED[subject.collection], name)
        if _MENTIONS_SUBJECT in stored:
            references += references_in([refer(fields, REFERENCES)])
        body: dict[str, Any] = {
            "subject": subject.name,
            "version": subject.version,
            "position": subject.position,
            **fields,
            **claim(STATUSES[subject.collection], status, possible, certain),
        }
        if (
            subject.collection == "documents"
            and (held := self.texts.stored(subject.number, question.as_of)) is not None
        ):
            body["text"] = {"characters": held.characters}
            provenance["text"] = [held.position]
        more: dict[str, str] = {}
        names = SUBJECT_VIEWS[subject.collection].by_name
        for name in names:
            body[name], is_cut = lists.get((subject.number, name), ([], False))
            if name == "other_names" and body[name]:
                others = _named_once(body[name], fields.get("name"))
                is_cut = is_cut or len(others) > most
                if others:
                    provenance[name] = sorted({position for item in others[:most] for position in item["events"]})
                body[name] = [item["name"] for item in others[:most]]
            if is_cut:
                more[name] = address(subject.name, name, question)
        body["events"] = provenance
        remarked = [member for member, holds in subject.members if holds & REMARKS]
        disputes = self.annotations.disputes_of(remarked, question, most)
        if disputes:
            body["disputed"] = shown(disputes[:most])
            if len(disputes) > most:
                more["disputed"] = address(subject.name, DISPUTED, question)
            listed = [body[name] for name in names if name != "other_names"]
            self.annotations.show_disputes([item for items in listed for item in items], question)
        if more:
            body["more"] = more
        return body

    def _beginnings(
        self, subjects: Sequence[_Subject], question: TimeSlice, most: int, references: list[dict[str, Any]]
    ) -> dict[tuple[int, str], Beginning]:
        """Return the beginnings of the lists inside these subjects' states; add the references in them."""
        found: Found = {}
        for is_young in {each.is_young for each in subjects}:
            some = [each for each in subjects if each.is_young is is_young]
            self._find(some, question, most, found, _BY_SYSTEM_TIME if is_young else _IN_ORDER)
        beginnings: dict[tuple[int, str], Beginning] = {}
        decoded: Decoded = {}
        for (number, each), rows_of_one in found.items():
            if len(rows_of_one) > 1:
                rows_of_one.sort(key=_FIRST_THREE)
            shown = rows_of_one[: _most_rows(each.name, most)]
            if isinstance(each, ItemList):
                items = [list_item(row[5:], question, each.item.references) for row in self.limit.each(shown)]
                references += references_in(
                    [[item for item, row in zip(items, shown, strict=True) if _MENTIONS_SUBJECT in row[-1]]]
                )
            else:
                items = [_membership_item(row[4:-1], each, decoded, references) for row in self.limit.each(shown)]
            beginnings[number, each.name] = items, len(rows_of_one) > len(shown)
        return beginnings

    def _find(
        self,
        subjects: Sequence[_Subject],
        question: TimeSlice,
        most: int,
        found: Found,
        by: str,
    ) -> None:
        """Add to `found` the first `most` + 1 rows of the lists inside these subjects' states.

        `by` names the indexes: those in the order of the lists, which are slow where most rows were not known yet, or
        those by transaction time, whose rows are then sorted.
        """
        until = " AND x.id < ?" if by == _BY_SYSTEM_TIME else ""
        for collection in {each.collection for each in subjects}:
            numbers = _json(each.number for each in subjects if each.collection == collection)
            for memberships in SUBJECT_VIEWS[collection].membership_lists:
                own, other = memberships.own, memberships.other
                index = "of_party" if memberships.is_of_member else by
                rows = self._db.execute(
                    f"SELECT r.at, r.{other}_name, r.interval, r.{own}, {_membership_columns(memberships, question)},"
                    f" r.{other} FROM json_each(?) j CROSS JOIN memberships r"
                    f" ON r.id IN (SELECT x.id FROM memberships x INDEXED BY memberships_{index}"
                    f" WHERE {memberships.condition('x').format('j.value')}{until}"
                    f" AND {_shown('x', memberships, question)}"
                    f" ORDER BY x.at, x.{other}_name, x.interval LIMIT ?)",
                    (numbers, *self._until("memberships", question, by), *times(question), most + 1),
                )
                for row in self.limit.each(rows):
                    self._index.remember(row[1], row[-1])
                    found.setdefault((row[3], memberships), []).append(row)
        places: dict[int, list[int]] = {}
        for each in subjects:
            for items in SUBJECT_VIEWS[each.collection].item_lists:
                if each.holds >> items.number & 1:
                    place = each.number * _NUMBERS + items.number
                    places.setdefault(_most_rows(items.name, most), []).append(place)
        for most_rows, some in places.items():
            rows = self._db.execute(
                f"SELECT r.at, r.label, r.id, r.subject, r.section, {claim_columns('r', question)}, r.body"
                " FROM json_each(?) j CROSS JOIN list_items r ON r.id IN ("
                f"SELECT x.id FROM list_items x INDEXED BY list_items_{by}"
                f" WHERE x.subject = j.value / {_NUMBERS} AND x.section = j.value % {_NUMBERS}"
                f"{until} AND {as_of_and_on('x', question)} ORDER BY x.at, x.label, x.id LIMIT ?)",
                (_json(some), *self._until("list_items", question, by), *times(question), most_rows + 1),
            )
            for row in self.limit.each(rows):
                found.setdefault((row[3], ITEM_LISTS[row[4]]), []).append(row)

    def _until(self, table: str, question: TimeSlice, by: str) -> tuple[int, ...]:
        """Return the values of the condition that rows were recorded by the position of the query."""
        return (first_after(self._db, table, question.as_of),) if by == _BY_SYSTEM_TIME else ()

    def list_page(
        self,
        number: int,
        name: str,
        question: TimeSlice,
        certainties: Sequence[str],
        limit: int,
        after: Sequence[Any] | None,
        events: Sequence[int] = (),
    ) -> Page:
        """Return a page of one list inside a state, with these `certainties` alone, where some are given.

        References have no names yet. Raise NotFound.
        """
        if name == DISPUTED:
            return self.annotations.page(self._index.cluster_of(number, question.as_of), question, limit, after, events)
        check_after(after, int, str, int)
        collection = self._index.name(number).partition("/")[0]
        listed = SUBJECT_VIEWS[collection].by_name.get(name)
        if listed is None:
            raise NotFound(f"a state of {collection} has no list {name}")
        if name == "other_names":
            return self._names_page(number, question, limit, after)
        if isinstance(listed, MembershipList):
            source = f"memberships r WHERE {listed.condition('r').format('?')} AND {_shown('r', listed, question)}"
            order = f"r.at, r.{listed.other}_name, r.interval"
            columns = _membership_columns(listed, question)
        else:
            source = (
                f"list_items r WHERE r.subject = ? AND r.section = {listed.number} AND {as_of_and_on('r', question)}"
            )
            order, columns = "r.at, r.label, r.id", f"{claim_columns('r', question)}, r.body"
        if len(set(certainties)) == 1:
            source += f" AND {'NOT ' if 'possible' in certainties else ''}{is_certain('r', question)}"
        keys = order.split(", ")
        follows = f" AND ({order}) > ({', '.join('?' * len(keys))})" if after is not None else ""
        rows = self._db.execute(
            f"SELECT {order}, {columns} FROM {source}{follows} ORDER BY {order} LIMIT ?",
            (number, *times(question), *(after or ()), limit + 1),
        ).fetchall()
        shown = [row[len(keys) :] for row in rows[:limit]]
        if isinstance(listed, MembershipList):
            decoded: Decoded = {}
            items = [_membership_item(row, listed, decoded, []) for row in shown]
        else:
            items = [list_item(row, question, listed.item.references) for row in shown]
        return Page(items, list(rows[limit - 1][: len(keys)]) if len(rows) > limit else None)

    def _names_page(self, number: int, question: TimeSlice, limit: int, after: Sequence[Any] | None) -> Page:
        """Return a page of the other names of a party, each text once, for which all names are read."""
        rows = self._db.execute(
            f"SELECT r.at, r.label, r.id, {claim_columns('r', question)}, r.body FROM list_items r WHERE r.subject = ?"
            f" AND r.section = {OTHER_NAMES.number} AND {as_of_and_on('r', question)}"
            " ORDER BY r.at, r.label, r.id",
            (number, *times(question)),
        ).fetchall()
        named = self._db.execute(
            f"SELECT t.name FROM subject_states t WHERE t.subject = ? AND {as_of_and_on('t', question)}",
            (number, *times(question)),
        ).fetchone()
        items = [{**list_item(row[3:], question, OTHER_NAMES.item.references), "key": row[:3]} for row in rows]
        others = _named_once(items, orjson.loads(named[0]) if named is not None else None)
        keys = [item.pop("key") for item in others]
        start = sum(key <= tuple(after) for key in keys) if after is not None else 0
        end = start + limit
        return Page(others[start:end], list(keys[end - 1]) if len(others) > end else None)


def _most_rows(name: str, most: int) -> int:
    """Return how many rows of a list are read to show `most` items."""
    return max(most, _NAMES) if name == "other_names" else most


def _named_once(items: Iterable[dict[str, Any]], name: Any) -> list[dict[str, Any]]:
    """Return the items with other names than `name`, each text once, with the events of all equal items."""
    found: dict[bytes, dict[str, Any]] = {}
    for item in items:
        text = orjson.dumps(item["name"], option=orjson.OPT_SORT_KEYS)
        same = found.setdefault(text, item)
        if same is not item:
            same["events"] = sorted({*same["events"], *item["events"]})
            if "certainty" not in item:
                same.pop("certainty", None)
    found.pop(orjson.dumps(name, option=orjson.OPT_SORT_KEYS), None)
    return list(found.values())


def _json(numbers: Iterable[int]) -> str:
    return orjson.dumps(list(numbers)).decode()


def _membership_item(
    row: Row, listed: MembershipList, decoded: Decoded, references: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return a membership as an item of a list inside a state, from `_membership_columns`; add its reference."""
    reference = Reference(row[0])
    role, columns = row[1], row[2:]
    if columns not in decoded:
        status, possible, certain, stored = columns
        claimed, rest = claim(ORDER_OF_STATUSES, status, possible, certain), decode_membership(stored)
        category = rest.pop("category")
        if listed.has_category:
            claimed["category"] = category
        if listed.has_steps:
            references += references_in(rest["steps"])
        else:
            del rest["steps"]
        decoded[columns] = claimed, rest
    claimed, rest = decoded[columns]
    if role is not None:
        claimed = {**claimed, **roles_of(role)}
    references.append(reference)
    if not listed.is_inline:
        return {"party": reference, **claimed, **rest}
    reference.update({**claimed, **rest})
    return reference


def _membership_columns(listed: MembershipList, question: TimeSlice) -> str:
    """Return the columns of `memberships r` that an item of a list inside a state is made of."""
    return f"r.{listed.other}_name, r.role, {claim_columns('r', question)}, r.body"


def _shown(table: str, listed: MembershipList, question: TimeSlice) -> str:
    """Return the condition that a membership is shown in a list inside a state."""
    return (holds if listed.is_current else as_of_and_on)(table, question)
