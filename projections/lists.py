"""Lists: things, ties and commitments by filter, in an order, from a key on. Each is one SQL query over rectangles.

What narrows a list most (a party, a parent, an identifier, words) drives the query; without one it walks the order's
index. Nothing counts and nothing skips by offset.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from domain.edtf import parse_day
from domain.list_items import STATUS_ORDER
from domain.membership import ORDER_OF_STATUSES
from domain.subject_state import STATUSES
from projections.engine.bitemporal import COLLECTIONS, TERM_KINDS
from projections.engine.event_index import EventIndex
from projections.engine.query_parts import Order, Part, Query, Tied, by_date, places
from projections.engine.query_types import SORTS, Page, TimeSlice, check_after
from projections.engine.reference_values import Reference
from projections.engine.time_slices import as_of_and_on, claims, entry, holds, thing_columns, tie, tie_columns, times
from projections.planner import Planner, PlanTooSlow
from projections.query_checks import check
from projections.states import IN_ITEM, States

_ENDED_COMMITMENTS = sum(1 << STATUS_ORDER.index(status) for status in ("fulfilled", "cancelled"))
_ALL = 2**30 - 1

Rows = Sequence[tuple[Any, ...]]
Items = list[dict[str, Any]]


class Lists:
    """The lists of things, ties and commitments, on one connection."""

    def __init__(self, db: sqlite3.Connection, ledger: EventIndex, states: States) -> None:
        self._db = db
        self._ledger = ledger
        self._states = states

    def page(
        self,
        view: str,
        question: TimeSlice,
        filters: Mapping[str, Sequence[str]],
        *,
        sort: str | None,
        limit: int,
        after: Sequence[Any] | None,
    ) -> Page:
        """One page of a list. Raises BadQuestion."""
        check(view, filters, sort)
        try:
            rows, width, shape = self._found(view, question, filters, sort or SORTS[view][0], limit, after)
        except PlanTooSlow:
            rows, width, shape = self._found(
                view, question, filters, sort or SORTS[view][0], limit, after, gathers=True
            )
        items = shape([row[width:] for row in rows[:limit]])
        return Page(items, list(rows[limit - 1][:width]) if len(rows) > limit else None)

    def _found(
        self,
        view: str,
        question: TimeSlice,
        filters: Mapping[str, Sequence[str]],
        sort: str,
        limit: int,
        after: Sequence[Any] | None,
        *,
        gathers: bool = False,
    ) -> tuple[Rows, int, Callable[[Rows], Items]]:
        """The rows of a page and one more, how many columns of each are its key, and what makes items of the others."""
        query = Query()
        narrowing = Planner(self._db, question, query, gathers=gathers)
        if view in COLLECTIONS:
            query.add(as_of_and_on("t", question), *times(question))
            found = self._things(view, question, filters, sort, query, narrowing)
        elif view == "memberships":
            listed = as_of_and_on if "status" in filters else holds
            query.add(listed("t", question), *times(question))
            found = self._ties(question, filters, sort, query, narrowing)
        else:
            query.add("t.section = 0")
            query.add(as_of_and_on("t", question), *times(question))
            found = self._commitments(question, filters, sort, query, narrowing)
        source, order, shape = found
        check_after(after, *order.types)
        rows: list[tuple[Any, ...]] = []
        with narrowing.searching():
            for part in order.parts(after):
                for numbers in [None] if query.few is None else self._in_pieces(query.few, order, after, limit):
                    if len(rows) <= limit:
                        rows += self._some(source, query, order, part, numbers, limit + 1 - len(rows))
        return rows, len(order.columns), shape

    def _some(
        self, source: str, query: Query, order: Order, part: Part, numbers: str | None, most: int
    ) -> list[tuple[Any, ...]]:
        among = [] if numbers is None else ["t.subject IN (SELECT value FROM json_each(?))"]
        values = [*query.values, *([] if numbers is None else [numbers]), *part.values, most]
        return self._db.execute(
            f"SELECT {', '.join(order.columns)}, {source} WHERE"
            f" {' AND '.join([*query.conditions, *among, *part.conditions])} ORDER BY {part.clause} LIMIT ?",
            values,
        ).fetchall()

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
        self,
        view: str,
        question: TimeSlice,
        filters: Mapping[str, Sequence[str]],
        sort: str,
        query: Query,
        narrowing: Planner,
    ) -> tuple[str, Order, Callable[[Rows], Items]]:
        own = f"collection = {COLLECTIONS.index(view)}"
        for name, given in filters.items():
            match name:
                case "kind":
                    narrowing.by_kind("subject_states", own, given)
                case "status":
                    narrowing.by_status("subject_states", own, STATUSES[view], given)
                case _:
                    for value in given:
                        self._filter_things(view, question, name, value, sort, query, narrowing)
        certainties = filters.get("certainty", ())
        narrowing.by_certainty("subject_states", "collection = ?", certainties, COLLECTIONS.index(view))
        name, descending = sort.removeprefix("-"), sort.startswith("-")
        walked = self._tie_things(question, query, narrowing, by_subject=name == "subject")
        plain = "+" if query.narrow else ""
        if walked is not None:
            query.add("r.container_name > ? AND r.container_name < ?", f"{view}/", f"{view}0")
            order = Order(("r.container_name",), (str,), descending)
        elif name == "subject":
            order = Order((f"{plain}s.name",), (str,), descending)
        elif name in ("name", "title"):
            order = Order((f"{plain}t.sort", f"{plain}s.name"), (str, str), descending)
        else:
            order = by_date(f"{plain}t.at", sort, {f"{plain}s.name": str})
        leads = not query.narrow and walked is None and name != "subject"
        query.add(f"{'' if leads else '+'}t.collection = ?", COLLECTIONS.index(view))
        if walked is not None:
            source = f"{thing_columns(question)} FROM {walked} CROSS JOIN subjects s ON s.id = t.subject"
        elif name == "subject" and not query.narrow:
            query.add("s.name > ? AND s.name < ?", f"{view}/", f"{view}0")
            source = f"{thing_columns(question)} FROM subjects s CROSS JOIN subject_states t ON t.subject = s.id"
        else:
            source = f"{thing_columns(question)} FROM subject_states t CROSS JOIN subjects s ON s.id = t.subject"

        def shape(rows: Rows) -> Items:
            return _certified(query, question, self._states.states(rows, question, IN_ITEM), rows, 2)

        return source, order, shape

    def _filter_things(
        self, view: str, question: TimeSlice, name: str, value: str, sort: str, query: Query, narrowing: Planner
    ) -> None:
        match name:
            case "jurisdiction":
                query.add("t.jurisdiction = ?", value)
            case "part_of" | "under":
                group = self._group(value, question)
                query.add(f"t.ref IN ({places(group)})", *group, narrow=True)
            case "scope" | "field":
                term = (TERM_KINDS["scope" if name == "scope" else "fields"], value.casefold())
                if narrowing.is_common("terms WHERE kind = ? AND value = ?", *term):
                    query.add(
                        "EXISTS (SELECT 1 FROM terms x WHERE x.kind = ? AND x.value = ? AND x.owner = t.id)", *term
                    )
                else:
                    query.add("t.id IN (SELECT owner FROM terms WHERE kind = ? AND value = ?)", *term, narrow=True)
            case "identifier":
                query.add(
                    "t.subject IN (SELECT e.subject FROM list_items e JOIN terms x ON x.owner = e.id"
                    " WHERE x.kind = ? AND x.value = ? AND e.system_from <= ? AND e.system_to > ?)",
                    TERM_KINDS["identifier"],
                    value,
                    question.as_of,
                    question.as_of,
                    narrow=True,
                )
            case "party" | "founder" | "member":
                query.tied.append(Tied(self._group(value, question)))
            case "supporter":
                group = self._group(value, question)
                query.add(
                    "t.subject IN (SELECT r.subject FROM list_items r JOIN terms x ON x.owner = r.id"
                    f" WHERE x.kind = ? AND x.value IN ({places(group)}) AND {as_of_and_on('r', question)})",
                    TERM_KINDS["supporter"],
                    *map(str, group),
                    *times(question),
                    narrow=True,
                )
            case "signed_from":
                narrowing.signed_from(parse_day(value), leads=sort == "signed")
            case "signed_to":
                narrowing.signed_to(parse_day(value))
            case "q":
                narrowing.by_words(view, value)

    def _tie_things(self, question: TimeSlice, query: Query, narrowing: Planner, *, by_subject: bool) -> str | None:
        """Ask for things that these parties are tied to, once it is known whether other filters leave few.

        By subject, the ties of the one that has fewest are gone through, as they come in that order; then the tables to
        do so in.
        """
        tied = sorted(query.tied, key=lambda each: self._count(each, 1_000) if len(query.tied) > 1 else 0)
        walked = None
        for at, each in enumerate(tied):
            ties = f"memberships r WHERE r.party IN ({places(each.group)}) AND {holds('r', question)}"
            values = (*each.group, *times(question))
            if at == 0 and by_subject and not query.narrow and len(each.group) == 1:
                walked = "memberships r CROSS JOIN subject_states t ON t.subject = r.container"
                query.add(f"r.party = ? AND {holds('r', question)}", *values)
                same = "e.container = r.container AND e.party = r.party AND e.interval < r.interval"
                indexed = "memberships e INDEXED BY memberships_of_container"
                earlier = f"SELECT 1 FROM {indexed} WHERE {same} AND {holds('e', question)}"
                query.add(f"(r.interval = 0 OR NOT EXISTS ({earlier}))", *times(question))
            elif query.narrow or walked is not None or narrowing.is_common(ties, *values):
                query.add(f"EXISTS (SELECT 1 FROM {ties} AND r.container = t.subject)", *values)
            else:
                query.add(f"t.subject IN (SELECT r.container FROM {ties})", *values, narrow=True)
        return walked

    def _count(self, tied: Tied, most: int) -> int:
        """How many ties these parties ever had, at most so many."""
        sql = f"SELECT COUNT(*) FROM (SELECT 1 FROM memberships WHERE party IN ({places(tied.group)}) LIMIT ?)"
        return int(self._db.execute(sql, (*tied.group, most)).fetchone()[0])

    # ties

    def _ties(
        self, question: TimeSlice, filters: Mapping[str, Sequence[str]], sort: str, query: Query, narrowing: Planner
    ) -> tuple[str, Order, Callable[[Rows], Items]]:
        is_by_name = sort.removeprefix("-") == "in"
        names = ["t.container_name", "t.party_name", "t.interval"]
        for name, given in filters.items():
            for value in given:
                match name:
                    case "party":
                        group = self._group(value, question)
                        query.add(f"t.party IN ({places(group)})", *group, narrow=len(group) > 1 or "in" in filters)
                        if len(group) == 1:
                            names.remove("t.party_name")
                    case "in":
                        number = self._ledger.find(value)
                        query.add("t.container = ?", -1 if number is None else number)
                        names.remove("t.container_name")
                    case "category":
                        narrowing.by_category(value.casefold())
                    case "q":
                        narrowing.by_words("memberships", value)
        if "status" in filters:
            narrowing.by_status("memberships", "1", ORDER_OF_STATUSES, filters["status"])
        narrowing.by_certainty("memberships", "1", filters.get("certainty", ()))
        plain = "+" if query.narrow else ""
        source = "memberships t"
        if is_by_name and len(names) == 3 and not query.narrow:  # all of them, as their containers come by name
            source, names[0] = "subjects s CROSS JOIN memberships t ON t.container = s.id", "s.name"
            query.add("s.name NOT BETWEEN 'parties/' AND 'parties0'")
        types = {name: int if name == "t.interval" else str for name in names}
        if is_by_name:
            order = Order((f"{plain}{names[0]}", *names[1:]), (*types.values(),), sort.startswith("-"))
        else:
            order = by_date(f"{plain}t.at", sort, types)

        def shape(rows: Rows) -> Items:
            for row in rows:
                self._ledger.remember(row[0], row[-2])
                self._ledger.remember(row[1], row[-1])
            return _certified(query, question, [tie(row[:-2]) for row in rows], rows, 2)

        return f"{tie_columns('t', question)}, t.party, t.container FROM {source}", order, shape

    # commitments

    def _commitments(
        self, question: TimeSlice, filters: Mapping[str, Sequence[str]], sort: str, query: Query, narrowing: Planner
    ) -> tuple[str, Order, Callable[[Rows], Items]]:
        by_label = sort.removeprefix("-") == "agreement"
        for name, given in filters.items():
            for value in given:
                match name:
                    case "party":
                        group = self._group(value, question)
                        terms = f"terms x WHERE x.kind = ? AND x.value IN ({places(group)})"
                        values = (TERM_KINDS["party"], *map(str, group))
                        if "agreement" in filters or narrowing.is_common(terms, *values):
                            query.add(f"EXISTS (SELECT 1 FROM {terms} AND x.owner = t.id)", *values)
                        else:
                            query.add(f"t.id IN (SELECT x.owner FROM {terms})", *values, narrow=True)
                    case "agreement" if by_label:
                        query.add("t.label > ? AND t.label < ?", f"{value} ", f"{value}!")
                    case "agreement":
                        number = self._ledger.find(value)
                        query.add("t.subject = ?", -1 if number is None else number)
                    case "due_before":
                        narrowing.due_before(parse_day(value), leads=sort.removeprefix("-") == "due")
                    case "q":
                        narrowing.by_words("commitments", value)
        if "kind" in filters:
            narrowing.by_kind("list_items", "section = 0", filters["kind"])
        if "status" in filters:
            narrowing.by_status("list_items", "section = 0", STATUS_ORDER, filters["status"])
        if "status" not in filters and question.on is not None:
            query.add("t.mask & ?", _ALL ^ _ENDED_COMMITMENTS)
        narrowing.by_certainty("list_items", "section = 0", filters.get("certainty", ()))
        plain = "+" if query.narrow else ""
        match sort.removeprefix("-"):
            case "agreement":
                order = Order((f"{plain}t.label",), (str,), sort.startswith("-"))
            case "due":
                order = by_date("t.due", sort, {"t.label": str})
            case _:
                order = by_date("t.at", sort, {"t.label": str})

        def shape(rows: Rows) -> Items:
            items = [{"agreement": Reference(self._ledger.name(row[0])), **entry(row[1:], question)} for row in rows]
            return _certified(query, question, items, rows, 1)

        return f"t.subject, {claims('t', question)}, t.body FROM list_items t", order, shape

    def _group(self, subject: str, question: TimeSlice) -> list[int]:
        number = self._ledger.find(subject)
        return [-1] if number is None else self._ledger.cluster_of(number, question.as_of)


def _certified(query: Query, question: TimeSlice, items: Items, rows: Rows, at: int) -> Items:
    """Items of which each is as certain as the statuses are that were asked for; from `at` on, their rows have a claim.

    On a day a claim of several statuses does not say whether it might be none yet, so that it counts as possible.
    """
    if query.statuses is not None:
        for item, row in zip(items, rows, strict=True):
            _, mask, certain = row[at : at + 3]
            is_certain = (certain or question.on is None) and not mask & ~query.statuses
            item["certainty"] = "certain" if is_certain else "possible"
    return items
