"""Lists: things, ties and commitments by filter, in an order, from a key on. Each is one SQL query over rectangles.

What narrows a list most (a party, a parent, an identifier, words) drives the query; without one it walks the order's
index. Nothing counts and nothing skips by offset.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isqrt
from typing import Any

import orjson

from domain.entries import STATUS_ORDER
from domain.things import STATUSES
from domain.ties import ORDER_OF_STATUSES
from domain.times import AFTER, BEFORE, parse_day
from projections.checks import check
from projections.cuts import claims, entry, may_be, rectangle, thing_columns, tie, tie_columns, times
from projections.filtering import matching
from projections.ledger import Ledger
from projections.questions import SORTS, BadQuestion, Page, Question
from projections.rows import COLLECTIONS, TERM_KINDS
from projections.states import IN_ITEM, States

_ENDED_TIES = sum(1 << ORDER_OF_STATUSES.index(status) for status in ("withdrawn", "left", "ended"))
_ENDED_COMMITMENTS = sum(1 << STATUS_ORDER.index(status) for status in ("fulfilled", "cancelled"))
_ALL = 2**30 - 1

Rows = Sequence[Sequence[Any]]
Items = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Tied:
    """That a thing has a tie to one of these parties, which are one; perhaps one as a member."""

    group: list[int]
    is_member: bool

    def held(self, table: str, question: Question) -> str:
        """The condition that the tie of a row holds; its values are `times`."""
        member = f" AND {may_be(table, question)} & {1 << ORDER_OF_STATUSES.index('member')}"
        return rectangle(table, question) + (member if self.is_member else "")


@dataclass(slots=True)
class Query:
    """A query in the making: conditions with their values, and whether one of them narrows it well."""

    conditions: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    narrow: bool = False
    status: int | None = None
    tied: list[Tied] = field(default_factory=list)
    few: set[int] | None = None
    """The only things that hold the words asked for, where they are few."""

    def add(self, condition: str, *values: Any, narrow: bool = False) -> None:
        self.conditions.append(condition)
        self.values += values
        self.narrow = self.narrow or narrow


@dataclass(frozen=True, slots=True)
class Order:
    """Columns to sort by, all ascending or all descending, that together name a row."""

    columns: tuple[str, ...]
    descending: bool = False
    labelled: str | None = None
    """A column that begins with the only one of `columns` and a space, where an index has rows by it."""

    @property
    def clause(self) -> str:
        turn = " DESC" if self.descending else ""
        return ", ".join(column + turn for column in ((self.labelled,) if self.labelled else self.columns))

    @property
    def later(self) -> str:
        if self.labelled:
            return f"{self.labelled} < ?" if self.descending else f"{self.labelled} > ? || '!'"
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
        rows: list[tuple[Any, ...]] = []
        for numbers in [None] if query.few is None else self._in_pieces(query.few, order, after, limit):
            conditions = [*query.conditions, *(["t.subject IN (SELECT value FROM json_each(?))"] if numbers else [])]
            rows += self._db.execute(
                f"SELECT {', '.join(order.columns)}, {source} WHERE {' AND '.join(conditions)}"
                f" ORDER BY {order.clause} LIMIT ?",
                (*query.values, *([numbers] if numbers else []), limit + 1 - len(rows)),
            ).fetchall()
            if len(rows) > limit:
                break
        width = len(order.columns)
        items = shape([row[width:] for row in rows[:limit]])
        return Page(items, list(rows[limit - 1][:width]) if len(rows) > limit else None)

    def _in_pieces(self, few: set[int], order: Order, after: Sequence[Any] | None, limit: int) -> Iterator[str]:
        """These things, as JSON, a part at a time where they are sorted by what is known without reading them."""
        numbers = orjson.dumps(sorted(few)).decode()
        if order.columns != ("+s.name",):
            yield numbers
            return
        named = self._db.execute(
            "SELECT s.name, s.id FROM json_each(?) j CROSS JOIN subjects s ON s.id = j.value", (numbers,)
        ).fetchall()
        named.sort(reverse=order.descending)
        start = 0
        if after is not None:
            start = sum(name >= after[0] if order.descending else name <= after[0] for name, _ in named)
        while start < len(named):
            yield orjson.dumps([number for _, number in named[start : start + 2 * limit]]).decode()
            start += 2 * limit

    # things

    def _things(
        self, view: str, question: Question, filters: Mapping[str, Sequence[str]], sort: str, query: Query
    ) -> tuple[str, Order, Callable[[Rows], Items]]:
        for name, given in filters.items():
            for value in given:
                self._filter_things(view, question, name, value, query)
        name, descending = sort.removeprefix("-"), sort.startswith("-")
        walked = self._tie_things(question, query, by_subject=name == "subject")
        plain = "+" if query.narrow else ""
        if walked is not None:
            query.add("r.label > ? AND r.label < ?", f"{view}/", f"{view}0")
            order = Order(("s.name",), descending, "r.label")
        elif name == "subject":
            order = Order((f"{plain}s.name",), descending)
        elif name in ("name", "title"):
            order = Order(("t.sort", f"{plain}s.name"), descending)
        else:
            order = _by_date("t.at", sort, f"{plain}s.name")
        if walked is not None:
            source = f"{thing_columns(question)} FROM {walked} CROSS JOIN subjects s ON s.id = t.subject"
        elif name == "subject" and not query.narrow:
            query.add("s.name > ? AND s.name < ?", f"{view}/", f"{view}0")
            source = f"{thing_columns(question)} FROM subjects s CROSS JOIN things t ON t.subject = s.id"
        else:
            source = f"{thing_columns(question)} FROM things t CROSS JOIN subjects s ON s.id = t.subject"

        def shape(rows: Rows) -> Items:
            return _certified(query, self._states.states(rows, question, IN_ITEM), rows, 2)

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
                query.tied.append(Tied(self._group(value, question), name == "member"))
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
                condition = matching(self._db, value, view, question.as_of)
                query.few, query.narrow = condition.few, query.narrow or condition.narrow
                if not condition.narrow:
                    query.add(condition.sql, *condition.values)

    def _tie_things(self, question: Question, query: Query, *, by_subject: bool) -> str | None:
        """Ask for things that these parties are tied to, once it is known whether other filters leave few.

        By subject, the ties of the one that has fewest are gone through, as they come in that order; then the tables to
        do so in.
        """
        tied = sorted(query.tied, key=lambda each: self._count(each, 1_000) if len(query.tied) > 1 else 0)
        walked = None
        for at, each in enumerate(tied):
            ties = f"ties r WHERE r.party IN ({_places(each.group)}) AND {each.held('r', question)}"
            values = (*each.group, *times(question))
            if at == 0 and by_subject and not query.narrow and len(each.group) == 1:
                walked = "ties r CROSS JOIN things t ON t.subject = r.container"
                query.add(f"r.party = ? AND {each.held('r', question)}", *values)
                same = (
                    "SELECT 1 FROM ties e WHERE e.container = r.container AND e.party = r.party AND e.label < r.label"
                )
                query.add(f"NOT EXISTS ({same} AND {each.held('e', question)})", *times(question))
            elif query.narrow or walked is not None or self._is_common(ties, *values):
                query.add(f"EXISTS (SELECT 1 FROM {ties} AND r.container = t.subject)", *values)
            else:
                query.add(f"t.subject IN (SELECT r.container FROM {ties})", *values, narrow=True)
        return walked

    def _count(self, tied: Tied, most: int) -> int:
        """How many ties these parties ever had, at most so many."""
        sql = f"SELECT COUNT(*) FROM (SELECT 1 FROM ties WHERE party IN ({_places(tied.group)}) LIMIT ?)"
        return int(self._db.execute(sql, (*tied.group, most)).fetchone()[0])

    # ties

    def _ties(
        self, question: Question, filters: Mapping[str, Sequence[str]], sort: str, query: Query
    ) -> tuple[str, Order, Callable[[Rows], Items]]:
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

        def shape(rows: Rows) -> Items:
            return _certified(query, [tie(row, self._ledger.name) for row in rows], rows, 2)

        return f"{tie_columns('t', question)} FROM ties t", order, shape

    # commitments

    def _commitments(
        self, question: Question, filters: Mapping[str, Sequence[str]], sort: str, query: Query
    ) -> tuple[str, Order, Callable[[Rows], Items]]:
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

        def shape(rows: Rows) -> Items:
            items = [{"agreement": {"subject": self._ledger.name(row[0])}, **entry(row[1:], question)} for row in rows]
            return _certified(query, items, rows, 1)

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


def _certified(query: Query, items: Items, rows: Rows, at: int) -> Items:
    """Items of which each is as certain as the status is that was asked for; from `at` on, their rows have a claim."""
    if query.status is not None:
        for item, row in zip(items, rows, strict=True):
            status, mask, certain = row[at : at + 3]
            is_certain = certain and query.status == status and mask == 1 << status
            item["certainty"] = "certain" if is_certain else "possible"
    return items


def _by_date(column: str, sort: str, label: str) -> Order:
    """By a date, unbounded last either way."""
    if not sort.startswith("-"):
        return Order((column, label))  # `AFTER` is past every day; an index may serve
    return Order((f"CASE WHEN {column} = {AFTER} THEN {AFTER} ELSE -{column} END", label))


def _places(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
