"""Memberships: the filters and orders of their list, over all agreements, labs and platforms."""

from __future__ import annotations

from domain.membership import ORDER_OF_STATUSES
from projections.engine.filters import CERTAINTY, WORDS, Filter, SubjectOf, Word, of_status
from projections.engine.planner import Planner
from projections.engine.query_parts import Order, by_date, places
from projections.engine.specification import Items, Listing, Rows, RowView
from projections.engine.time_slices import as_of_and_on, holds, tie, tie_columns, times

_ENDED_TOO = " Without it, those that have ended are left out unless `on=any`; with it they are listed under theirs."


def _by_party(planner: Planner, party: str) -> None:
    group = planner.cluster(party)
    is_narrow = len(group) > 1 or "in" in planner.filters
    planner.query.add(f"t.party IN ({places(group)})", *group, narrow=is_narrow)


def _by_category(planner: Planner, category: str) -> None:
    """Select memberships of a category; a row holds it in every language in which it was given, a line each."""
    known, last = [], ""
    while row := planner.first("SELECT category FROM memberships WHERE category > ? ORDER BY category LIMIT 1", last):
        last = row[0]
        known += [last] if category in last.split("\n") else []
    if not planner.among(f"SELECT id FROM memberships WHERE category IN ({places(known)})", *known):
        planner.query.add(f"+t.category IN ({places(known)})", *known)


def _query(planner: Planner) -> Listing:
    """Return the query in the order of container, party and interval, as far as a filter leaves these open."""
    query, question, filters = planner.query, planner.question, planner.filters
    listed = as_of_and_on if "status" in filters else holds
    query.add(listed("t", question), *times(question))
    columns = ["t.container_name", "t.party_name", "t.interval"]
    if "party" in filters and len(planner.cluster(filters["party"][0])) == 1:
        columns.remove("t.party_name")
    if "in" in filters:
        columns.remove("t.container_name")
    plain = "+" if query.narrow else ""
    source = "memberships t"
    is_by_name = planner.sort == "in"
    if is_by_name and len(columns) == 3 and not query.narrow:  # a walk through all containers by name
        source, columns[0] = "subjects s CROSS JOIN memberships t ON t.container = s.id", "s.name"
        query.add("s.name NOT BETWEEN 'parties/' AND 'parties0'")
    types = {name: int if name == "t.interval" else str for name in columns}
    if is_by_name:
        order = Order((f"{plain}{columns[0]}", *columns[1:]), (*types.values(),), planner.is_descending)
    else:
        order = by_date(f"{plain}t.at", types, descending=planner.is_descending)

    def items(rows: Rows) -> Items:
        for row in rows:
            planner.index.remember(row[0], row[-2])
            planner.index.remember(row[1], row[-1])
        return planner.certified([tie(row[:-2]) for row in rows], rows, 2)

    return Listing(f"{tie_columns('t', question)}, t.party, t.container FROM {source}", order, items)


MEMBERSHIPS = RowView(
    name="memberships",
    sorts=("in", "from"),
    table="memberships",
    condition="1",
    query=_query,
    filters=(
        WORDS,
        Filter(
            "party",
            SubjectOf(("parties",)),
            "The party.",
            lambda planner, values: _by_party(planner, values[0]),
        ),
        Filter(
            "in",
            SubjectOf(("agreements", "labs", "platforms")),
            "The agreement, lab or platform.",
            lambda planner, values: planner.query.add("t.container = ?", planner.number(values[0])),
        ),
        Filter(
            "category",
            Word(),
            "The category of a platform's member, in any language.",
            lambda planner, values: _by_category(planner, values[0].casefold()),
        ),
        of_status(ORDER_OF_STATUSES, _ENDED_TOO),
        CERTAINTY,
    ),
)
