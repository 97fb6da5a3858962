"""Lists: things, ties and commitments by filter, in an order, from a key on. Each is one SQL query over rectangles.

What narrows a list most (a party, a parent, an identifier, words) drives the query; without one it walks the order's
index. Nothing counts and nothing skips by offset.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isqrt
from typing import Any

from domain.entries import COMMITMENT_STATUSES, STATUS_ORDER
from domain.events import AgreementKind, CommitmentKind, PartyKind
from domain.things import STATUSES
from domain.ties import ORDER_OF_STATUSES
from domain.times import AFTER, BEFORE, parse_day
from domain.values import is_subject
from projections.filtering import matching
from projections.ledger import Ledger
from projections.questions import FILTERS, SORTS, BadQuestion, Page, Question
from projections.rows import COLLECTIONS, TERM_KINDS
from projections.states import IN_ITEM, States, claims, entry, may_be, rectangle, thing_columns, tie, tie_columns, times

KINDS_OF = {
    "parties": PartyKind.__args__,  # type: ignore[attr-defined]
    "agreements": AgreementKind.__args__,  # type: ignore[attr-defined]
    "commitments": CommitmentKind.__args__,  # type: ignore[attr-defined]
}
STATUSES_OF: dict[str, tuple[str, ...]] = {
    **STATUSES,
    "memberships": ORDER_OF_STATUSES,
    "commitments": COMMITMENT_STATUSES,
}
_ENDED_TIES = sum(1 << ORDER_OF_STATUSES.index(status) for status in ("withdrawn", "left", "ended"))
_ENDED_COMMITMENTS = sum(1 << STATUS_ORDER.index(status) for status in ("fulfilled", "cancelled"))
_ALL = 2**30 - 1


@dataclass(slots=True)
class Query:
    """A query in the making: conditions with their values, and whether one of them narrows it well."""

    conditions: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    narrow: bool = False
    status: int | None = None

    def add(self, condition: str, *values: Any, narrow: bool = False) -> None:
        self.conditions.append(condition)
        self.values += values
        self.narrow = self.narrow or narrow


@dataclass(frozen=True, slots=True)
class Order:
    """Columns to sort by, all ascending or all descending, that together name a row."""

    columns: tuple[str, ...]
    descending: bool = False

    @property
    def clause(self) -> str:
        turn = " DESC" if self.descending else ""
        return ", ".join(column + turn for column in self.columns)

    @property
    def later(self) -> str:
        places = ", ".join("?" * len(self.columns))
        return f"({', '.join(self.columns)}) {'<' if self.descending else '>'} ({places})"


class Lists:
    """The lists of things, ties and commitments, on one connection."""

    def __init__(self, db: sqlite3.Connection, ledger: Ledger, states: States) -> None:
        self._db = db
        self._ledger = ledger
        self._states = states

    def page(
        self,
        view: str,
        question: Question,
        filters: Mapping[str, Sequence[str]],
        *,
        sort: str | None,
        limit: int,
        after: Sequence[Any] | None,
    ) -> Page:
        """One page of a list. Raises BadQuestion."""
        check(view, filters, sort)
        query = Query()
        if view in COLLECTIONS:
            query.add("t.collection = ?", COLLECTIONS.index(view))
            query.add(rectangle("t", question), *times(question))
            found = self._things(view, question, filters, sort or SORTS[view][0], query)
        elif view == "memberships":
            query.add(rectangle("t", question), *times(question))
            found = self._ties(question, filters, sort or SORTS[view][0], query)
        else:
            query.add("t.section = 0")
            query.add(rectangle("t", question), *times(question))
            found = self._commitments(question, filters, sort or SORTS[view][0], query)
        source, order, shape = found
        if after is not None:
            if len(after) != len(order.columns):
                raise BadQuestion({"cursor": "is not one of this list"})
            query.add(order.later, *after)
        sql = f"SELECT {', '.join(order.columns)}, {source} WHERE {' AND '.join(query.conditions)}"
        rows = self._db.execute(f"{sql} ORDER BY {order.clause} LIMIT ?", (*query.values, limit + 1)).fetchall()
        width = len(order.columns)
        items = [shape(row[width:]) for row in rows[:limit]]
        return Page(items, list(rows[limit - 1][:width]) if len(rows) > limit else None)

    # things

    def _things(
        self, view: str, question: Question, filters: Mapping[str, Sequence[str]], sort: str, query: Query
    ) -> tuple[str, Order, Callable[[Sequence[Any]], dict[str, Any]]]:
        for name, given in filters.items():
            for value in given:
                self._filter_things(view, question, name, value, query)
        plain = "+" if query.narrow else ""
        name, descending = sort.removeprefix("-"), sort.startswith("-")
        if name == "subject":
            order = Order((f"{plain}s.name",), descending)
        elif name in ("name", "title"):
            order = Order(("t.sort", f"{plain}s.name"), descending)
        else:
            order = _by_date("t.at", sort, f"{plain}s.name")
        if name == "subject" and not query.narrow:
            query.add("s.name > ? AND s.name < ?", f"{view}/", f"{view}0")
            source = f"{thing_columns(question)} FROM subjects s CROSS JOIN things t ON t.subject = s.id"
        else:
            source = f"{thing_columns(question)} FROM things t CROSS JOIN subjects s ON s.id = t.subject"

        def shape(row: Sequence[Any]) -> dict[str, Any]:
            body = self._states.thing(row, question, IN_ITEM)
            if query.status is not None:
                body["certainty"] = _certainty(query.status, *row[2:5])
            return body

        return source, order, shape

    def _filter_things(self, view: str, question: Question, name: str, value: str, query: Query) -> None:
        match name:
            case "kind" | "jurisdiction":
                query.add(f"t.{name} = ?", value)
            case "status":
                query.status = STATUSES[view].index(value)
                query.add(f"{may_be('t', question)} & ?", 1 << query.status)
            case "part_of" | "under":
                self._among("t.ref", value, question, query)
            case "scope" | "field":
                term = (TERM_KINDS["scope" if name == "scope" else "fields"], value.casefold())
                if self._is_common("terms WHERE kind = ? AND value = ?", *term):
                    query.add(
                        "EXISTS (SELECT 1 FROM terms x WHERE x.kind = ? AND x.value = ? AND x.owner = t.id)", *term
                    )
                else:
                    query.add("t.id IN (SELECT owner FROM terms WHERE kind = ? AND value = ?)", *term, narrow=True)
            case "identifier":
                query.add(
                    "t.subject IN (SELECT e.subject FROM entries e JOIN terms x ON x.owner = e.id"
                    " WHERE x.kind = ? AND x.value = ? AND e.p0 <= ? AND e.p1 > ?)",
                    TERM_KINDS["identifier"],
                    value,
                    question.as_of,
                    question.as_of,
                    narrow=True,
                )
            case "party" | "founder" | "member":
                held = (
                    f" AND {may_be('r', question)} & {1 << ORDER_OF_STATUSES.index('member')}"
                    if name == "member"
                    else ""
                )
                group = self._group(value, question)
                ties = f"ties r WHERE r.party IN ({_places(group)}) AND {rectangle('r', question)}{held}"
                if self._is_common(ties, *group, *times(question)):
                    query.add(f"EXISTS (SELECT 1 FROM {ties} AND r.container = t.subject)", *group, *times(question))
                else:
                    query.add(f"t.subject IN (SELECT r.container FROM {ties})", *group, *times(question), narrow=True)
            case "supporter":
                group = self._group(value, question)
                query.add(
                    "t.subject IN (SELECT r.subject FROM entries r JOIN terms x ON x.owner = r.id"
                    f" WHERE x.kind = ? AND x.value IN ({_places(group)}) AND {rectangle('r', question)})",
                    TERM_KINDS["supporter"],
                    *map(str, group),
                    *times(question),
                    narrow=True,
                )
            case "signed_from":
                query.add("t.upto >= ?", parse_day(value))
            case "signed_to":
                query.add(
                    f"t.upto >= 0 AND (CASE WHEN t.at = {AFTER} THEN {BEFORE} ELSE t.at END) <= ?", parse_day(value)
                )
            case "q":
                self._words(view, value, question, query)

    # ties

    def _ties(
        self, question: Question, filters: Mapping[str, Sequence[str]], sort: str, query: Query
    ) -> tuple[str, Order, Callable[[Sequence[Any]], dict[str, Any]]]:
        for name, given in filters.items():
            for value in given:
                match name:
                    case "party":
                        self._among("t.party", value, question, query)
                    case "in":
                        number = self._ledger.find(value)
                        query.add("t.container = ?", -1 if number is None else number, narrow=True)
                    case "category":
                        query.add(
                            "instr(char(10) || t.category || char(10), char(10) || ? || char(10))", value.casefold()
                        )
                    case "status":
                        query.status = ORDER_OF_STATUSES.index(value)
                        query.add(f"{may_be('t', question)} & ?", 1 << query.status)
                    case "q":
                        self._words("memberships", value, question, query)
        if query.status is None and question.on is not None:
            query.add("t.mask & ?", _ALL ^ _ENDED_TIES)
        plain = "+" if query.narrow else ""
        if sort.removeprefix("-") == "in":
            order = Order((f"{plain}t.label",), sort.startswith("-"))
        else:
            order = _by_date("t.at", sort, "t.label")

        def shape(row: Sequence[Any]) -> dict[str, Any]:
            item = tie(row, self._ledger.name)
            if query.status is not None:
                item["certainty"] = _certainty(query.status, *row[2:5])
            return item

        return f"{tie_columns('t', question)} FROM ties t", order, shape

    # commitments

    def _commitments(
        self, question: Question, filters: Mapping[str, Sequence[str]], sort: str, query: Query
    ) -> tuple[str, Order, Callable[[Sequence[Any]], dict[str, Any]]]:
        for name, given in filters.items():
            for value in given:
                match name:
                    case "party":
                        group = self._group(value, question)
                        query.add(
                            f"t.id IN (SELECT owner FROM terms WHERE kind = ? AND value IN ({_places(group)}))",
                            TERM_KINDS["party"],
                            *map(str, group),
                            narrow=True,
                        )
                    case "agreement":
                        number = self._ledger.find(value)
                        query.add("t.subject = ?", -1 if number is None else number, narrow=True)
                    case "kind":
                        query.add("t.kind = ?", value)
                    case "status":
                        query.status = STATUS_ORDER.index(value)
                        query.add(f"{may_be('t', question)} & ?", 1 << query.status)
                    case "due_before":
                        due = "t.due" if sort.removeprefix("-") == "due" else "+t.due"  # else it would drive the query
                        query.add(f"{due} > ? AND {due} < ?", BEFORE, parse_day(value))
                    case "q":
                        self._words("commitments", value, question, query)
        if query.status is None and question.on is not None:
            query.add("t.mask & ?", _ALL ^ _ENDED_COMMITMENTS)
        plain = "+" if query.narrow else ""
        match sort.removeprefix("-"):
            case "agreement":
                order = Order((f"{plain}t.label",), sort.startswith("-"))
            case "due":
                order = _by_date("t.due", sort, "t.label")
            case _:
                order = _by_date("t.at", sort, "t.label")

        def shape(row: Sequence[Any]) -> dict[str, Any]:
            item = {"agreement": {"subject": self._ledger.name(row[0])}, **entry(row[1:], question)}
            if query.status is not None:
                item["certainty"] = _certainty(query.status, *row[1:4])
            return item

        return f"t.subject, {claims('t', question)}, t.body FROM entries t", order, shape

    # filters

    def _is_common(self, rows: str, *values: Any) -> bool:
        """Whether so many things match that going through all in their order finds a page sooner than sorting these.

        Of M things and N that match, a page comes after some 50 M / N looks at things, or after sorting N of them, each
        of which costs ten times such a look.
        """
        (last,) = self._db.execute("SELECT max(id) FROM things").fetchone()
        most = isqrt(5 * (last or 0))
        (count,) = self._db.execute(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM {rows} LIMIT ?)", (*values, most + 1)
        ).fetchone()
        return bool(count > most)

    def _group(self, subject: str, question: Question) -> list[int]:
        number = self._ledger.find(subject)
        return [-1] if number is None else self._ledger.one_with(number, question.as_of)

    def _among(self, column: str, subject: str, question: Question, query: Query) -> None:
        group = self._group(subject, question)
        query.add(f"{column} IN ({_places(group)})", *group, narrow=True)

    def _words(self, view: str, words: str, question: Question, query: Query) -> None:
        condition = matching(self._db, words, view, question.as_of)
        query.add(condition.sql, *condition.values, narrow=condition.narrow)


def check(view: str, filters: Mapping[str, Sequence[str]], sort: str | None) -> None:
    """Whether a list takes these filters, values and this order. Raises BadQuestion."""
    flaws: dict[str, str] = {}
    for name, given in filters.items():
        if name not in FILTERS[view]:
            flaws[name] = f"is no filter of {view}"
            continue
        if len(given) > 1 and (view, name) != ("agreements", "party"):
            flaws[name] = "is given once"
        for value in given:
            if (flaw := _flaw(view, name, value)) is not None:
                flaws[name] = flaw
    if sort is not None and sort.removeprefix("-") not in SORTS[view]:
        flaws["sort"] = f"is one of {', '.join(SORTS[view])}, with or without - before it"
    if flaws:
        raise BadQuestion(flaws)


def _flaw(view: str, name: str, value: str) -> str | None:
    match name:
        case "status" if value not in STATUSES_OF[view]:
            return f"is one of {', '.join(STATUSES_OF[view])}"
        case "kind" if value not in KINDS_OF[view]:
            return f"is one of {', '.join(KINDS_OF[view])}"
        case "party" | "part_of" | "founder" | "member" | "supporter" if not (
            is_subject(value) and value.startswith("parties/")
        ):
            return "is a party, parties/<slug>"
        case "under" | "agreement" if not (is_subject(value) and value.startswith("agreements/")):
            return "is an agreement, agreements/<slug>"
        case "in" | "subject" if not is_subject(value):
            return "is a subject, <collection>/<slug>"
        case "identifier" if ":" not in value:
            return "is <scheme>:<value>"
        case "signed_from" | "signed_to" | "due_before" | "from" | "to":
            try:
                parse_day(value)
            except ValueError:
                return "is a day, YYYY-MM-DD"
        case "q" if not value.strip() or len(value) > 1000:
            return "is 1 to 1000 characters"
    return None


def _certainty(asked: int, status: int, mask: int, certain: int) -> str:
    return "certain" if certain and asked == status and mask == 1 << asked else "possible"


def _by_date(column: str, sort: str, label: str) -> Order:
    """By a date, unbounded last either way."""
    if not sort.startswith("-"):
        return Order((column, label))  # `AFTER` is past every day; an index may serve
    return Order((f"CASE WHEN {column} = {AFTER} THEN {AFTER} ELSE -{column} END", label))


def _places(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
