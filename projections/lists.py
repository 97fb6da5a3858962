"""Lists over all subjects: one page by filters, in an order, from a key on. Each page is one SQL query over rows.

The filter that leaves the fewest rows (a party, a parent, an identifier, words) leads the query; without one the query
walks the index of the order. Nothing is counted, and nothing is skipped by offset.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from projections.catalogue import LIST_VIEWS
from projections.engine.bitemporal import COLLECTIONS
from projections.engine.event_index import EventIndex
from projections.engine.filters import CERTAINTY, check
from projections.engine.planner import Planner, PlanTooSlow
from projections.engine.query_parts import MemberCondition, Order, Part, Query, by_date, places
from projections.engine.query_types import Page, TimeSlice, check_after
from projections.engine.specification import Items, Listing, Rows, RowView, SubjectView, View
from projections.engine.time_slices import as_of_and_on, holds, subject_state_columns, times
from projections.states import IN_ITEM, States


class Lists:
    """The lists of subjects, memberships and commitments, on one connection."""

    def __init__(self, db: sqlite3.Connection, index: EventIndex, states: States) -> None:
        self._db = db
        self._index = index
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
        """Return one page of a list. Raise BadQuestion."""
        found = LIST_VIEWS[view]
        check(view, found.filters, found.sorts, filters, sort)
        order = sort or found.sorts[0]
        try:
            return self._page(self._planner(found, question, filters, order), found, limit, after)
        except PlanTooSlow:
            planner = self._planner(found, question, filters, order, materialises=True)
            return self._page(planner, found, limit, after)

    def _planner(
        self,
        view: View,
        question: TimeSlice,
        filters: Mapping[str, Sequence[str]],
        sort: str,
        *,
        materialises: bool = False,
    ) -> Planner:
        """Return a plan to which every filter has added its condition."""
        if isinstance(view, RowView):
            table, condition = view.table, view.condition
        else:
            table, condition = "subject_states", f"collection = {COLLECTIONS.index(view.name)}"
        planner = Planner(
            self._db,
            self._index,
            question,
            view=view.name,
            table=table,
            condition=condition,
            filters=filters,
            sort=sort,
            materialises=materialises,
        )
        declared = {each.name: each for each in view.filters}
        for name in sorted(filters, key=CERTAINTY.name.__eq__):  # certainty last
            if (narrow := declared[name].narrow) is not None:
                narrow(planner, filters[name])
        return planner

    def _page(self, planner: Planner, view: View, limit: int, after: Sequence[Any] | None) -> Page:
        if isinstance(view, SubjectView):
            listing = self._subjects(planner, view)
        else:
            assert isinstance(view, RowView)
            listing = view.query(planner)
        query, order = planner.query, listing.order
        check_after(after, *order.types)
        rows: list[tuple[Any, ...]] = []
        with planner.searching():
            for part in order.parts(after):
                for numbers in [None] if query.few is None else self._chunks(query.few, order, after, limit):
                    if len(rows) <= limit:
                        rows += self._rows(listing, query, part, numbers, limit + 1 - len(rows))
        width = len(order.columns)
        items = listing.items([row[width:] for row in rows[:limit]])
        return Page(items, list(rows[limit - 1][:width]) if len(rows) > limit else None)

    def _rows(self, listing: Listing, query: Query, part: Part, numbers: str | None, most: int) -> Rows:
        among = [] if numbers is None else ["t.subject IN (SELECT value FROM json_each(?))"]
        values = [*query.values, *([] if numbers is None else [numbers]), *part.values, most]
        return self._db.execute(
            f"SELECT {', '.join(listing.order.columns)}, {listing.source} WHERE"
            f" {' AND '.join([*query.conditions, *among, *part.conditions])} ORDER BY {part.clause} LIMIT ?",
            values,
        ).fetchall()

    def _chunks(self, few: set[int], order: Order, after: Sequence[Any] | None, limit: int) -> Iterator[str]:
        """Yield the numbers of these subjects as JSON; by name in chunks, as names are known without reading rows."""
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

    # lists of subjects

    def _subjects(self, planner: Planner, view: SubjectView) -> Listing:
        query, question = planner.query, planner.question
        query.add(as_of_and_on("t", question), *times(question))
        by_subject = planner.sort == "subject"
        walked = self._add_members(planner, by_subject=by_subject)
        plain = "+" if query.narrow else ""
        if walked is not None:
            query.add("r.container_name > ? AND r.container_name < ?", f"{view.name}/", f"{view.name}0")
            order = Order(("r.container_name",), (str,), planner.is_descending)
        elif by_subject:
            order = Order((f"{plain}s.name",), (str,), planner.is_descending)
        elif planner.sort == view.aggregate.name_field:
            order = Order((f"{plain}t.sort", f"{plain}s.name"), (str, str), planner.is_descending)
        else:
            order = by_date(f"{plain}t.at", {f"{plain}s.name": str}, descending=planner.is_descending)
        leads = not query.narrow and walked is None and not by_subject
        query.add(f"{'' if leads else '+'}t.collection = ?", COLLECTIONS.index(view.name))
        if walked is not None:
            source = f"{subject_state_columns(question)} FROM {walked} CROSS JOIN subjects s ON s.id = t.subject"
        elif by_subject and not query.narrow:
            query.add("s.name > ? AND s.name < ?", f"{view.name}/", f"{view.name}0")
            source = (
                f"{subject_state_columns(question)} FROM subjects s CROSS JOIN subject_states t ON t.subject = s.id"
            )
        else:
            source = (
                f"{subject_state_columns(question)} FROM subject_states t CROSS JOIN subjects s ON s.id = t.subject"
            )

        def items(rows: Rows) -> Items:
            return planner.certified(self._states.states(rows, question, IN_ITEM), rows, 2)

        return Listing(source, order, items)

    def _add_members(self, planner: Planner, *, by_subject: bool) -> str | None:
        """Select subjects in which the requested parties have memberships, once it is known which filters are narrow.

        By subject, the query walks the memberships of the party with the fewest, as they come in that order: return the
        tables of that walk, else None.
        """
        query, question = planner.query, planner.question
        members = sorted(planner.members, key=lambda each: self._count(each, 1_000) if len(planner.members) > 1 else 0)
        walked = None
        for at, each in enumerate(members):
            memberships = f"memberships r WHERE r.party IN ({places(each.group)}) AND {holds('r', question)}"
            values = (*each.group, *times(question))
            if at == 0 and by_subject and not query.narrow and len(each.group) == 1:
                walked = "memberships r CROSS JOIN subject_states t ON t.subject = r.container"
                query.add(f"r.party = ? AND {holds('r', question)}", *values)
                same = "e.container = r.container AND e.party = r.party AND e.interval < r.interval"
                indexed = "memberships e INDEXED BY memberships_of_container"
                earlier = f"SELECT 1 FROM {indexed} WHERE {same} AND {holds('e', question)}"
                query.add(f"(r.interval = 0 OR NOT EXISTS ({earlier}))", *times(question))
            elif query.narrow or walked is not None or planner.is_common(memberships, *values):
                query.add(f"EXISTS (SELECT 1 FROM {memberships} AND r.container = t.subject)", *values)
            else:
                query.add(f"t.subject IN (SELECT r.container FROM {memberships})", *values, narrow=True)
        return walked

    def _count(self, condition: MemberCondition, most: int) -> int:
        """Return how many memberships these parties ever had, at most `most`."""
        sql = f"SELECT COUNT(*) FROM (SELECT 1 FROM memberships WHERE party IN ({places(condition.group)}) LIMIT ?)"
        return int(self._db.execute(sql, (*condition.group, most)).fetchone()[0])
