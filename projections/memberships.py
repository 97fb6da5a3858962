"""Memberships: how their periods become rows, the filters and orders of their list, and its digest."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Any, NotRequired, cast

import orjson
from pydantic import Field
from typing_extensions import TypedDict

from domain.agreement import AgreementSigned, Signatory
from domain.corrections import Fact
from domain.edtf import UNKNOWN
from domain.membership import (
    LEAVING_TYPES,
    MEMBERSHIP_STATUSES,
    ORDER_OF_STATUSES,
    InForcePossibilities,
    Lifespan,
    MembershipPeriod,
    parties_of,
)
from domain.party import OwnerAdded
from domain.platform import MemberChanged, MemberJoined
from domain.values import Reference, Text, texts_of
from projections.engine import bitemporal
from projections.engine.buffer import Row
from projections.engine.canonical_rows import MEMBERSHIP_ROWS, OF_NO_PARTY
from projections.engine.filters import CERTAINTY, SUBSIDIARIES, WORDS, Filter, SubjectOf, Word, of_status
from projections.engine.item_lists import ItemType, MembershipSteps, Role, Roles
from projections.engine.planner import Planner
from projections.engine.query_parts import Order, by_date, places
from projections.engine.row_codecs import encode_membership, possible_statuses_mask
from projections.engine.specification import Digest, Items, Listing, Rows, RowView, Scope
from projections.engine.time_slices import as_of_and_on, holds, membership, membership_columns, times

_ENDED_TOO = " Without it, those that have ended are left out unless `on=any`; with it they are listed under theirs."

# rows

MembershipDraft = tuple[Row, bytes, Mapping[str, bytes]]
"""A row as it is for every party whose membership rests on the same facts: its columns from `interval` to `category`,
its body, and by party the role in which it signed, as JSON."""


def membership_drafts(
    own: Sequence[Fact],
    whole: Sequence[Fact],
    lifespan: Lifespan,
    ranges: Sequence[MembershipPeriod],
    dissolved: Sequence[Fact] = (),
) -> list[MembershipDraft]:
    """Return the rows of a membership from its own facts, the agreement-wide ones (`whole`), and those by which its
    party was `dissolved`; `ranges` are its periods.
    """
    if any(fact.kind.reinstates for fact in whole):
        whole = [fact for fact in whole if not fact.kind.reinstates or not parties_of(fact) or fact in own]
    facts = {fact.position: fact for fact in (*dissolved, *whole, *own)}
    steps_of = _by_interval(own, lifespan, ranges)
    drafts: list[MembershipDraft] = []
    former: Sequence[Fact] = ()
    for interval, alike in groupby(ranges, key=attrgetter("interval")):
        steps = steps_of[interval]
        first = next(alike)  # what began an interval, and ended it, did so on each of its days
        opened = facts.get(first.begun_by) if first.begun_by is not None else None
        closed = facts.get(first.ended_by) if first.ended_by is not None else None
        waited_for = facts.get(first.waited_for) if first.waited_for is not None else None
        if opened is not None and opened in whole and opened not in own:  # reinstated: what the party did counts again
            steps = [*former, *steps]
        former = steps
        category, share, roles = _category_share_and_roles(steps)
        others = [*whole, closed] if closed is not None and closed in dissolved else whole
        began = waited_for.effective if waited_for is not None else opened.span if opened is not None else UNKNOWN
        at = began.sort_key[0]
        for changed_by, of_category in groupby((first, *alike), key=attrgetter("changed_by")):
            if changed_by is not None:
                category = cast("MemberChanged", facts[changed_by].data).category
            body = encode_membership(steps, others, waited_for or opened, closed, category, share)
            categories = "\n".join([text.casefold() for text in texts_of(category)]) or None
            for each in of_category:
                status = _status_columns(each.status, each.statuses, each.is_certain, each.final_statuses, each.force)
                columns = (
                    interval,
                    each.valid_from,
                    each.valid_to,
                    int(each.is_final_period),
                    *status,
                    each.source_event or 0,
                    at,
                    categories,
                )
                drafts.append((columns, body, roles))
    return drafts


@cache
def _status_columns(
    status: str, statuses: tuple[str, ...], certain: bool, final_statuses: tuple[str, ...], force: InForcePossibilities
) -> Row:
    """Return the columns from `status` to `force`."""
    in_force, suspended, neither = force
    order = ORDER_OF_STATUSES
    return (
        order.index(status),
        possible_statuses_mask(statuses, order),
        int(certain),
        possible_statuses_mask(final_statuses, order),
        in_force | suspended << 1 | neither << 2,
    )


def _category_share_and_roles(steps: Iterable[Fact]) -> tuple[Any, str | None, dict[str, bytes]]:
    """Return the last category in which a member joined, the last share of an owner, and by party the role in which it
    last signed, as JSON; of several roles in one signing the list.
    """
    category: Any = None
    share: str | None = None
    roles: dict[str, bytes] = {}
    for fact in steps:
        data = fact.data
        if isinstance(data, MemberJoined) and data.category is not None:
            category = data.category
        elif isinstance(data, OwnerAdded) and data.share is not None:
            share = data.share
        elif isinstance(data, AgreementSigned):
            signed_as: dict[str, list[Any]] = {}
            for signatory in data.parties:
                if signatory.role is not None:
                    signed_as.setdefault(signatory.party, []).append(signatory.role)
            for party, each in signed_as.items():
                roles[party] = orjson.dumps(each if len(each) > 1 else each[0])
    return category, share, roles


def _by_interval(
    own: Sequence[Fact], lifespan: Lifespan, ranges: Sequence[MembershipPeriod]
) -> Mapping[int, Sequence[Fact]]:
    """Return the facts of each interval: those that take effect from its first day until the first day of the next.

    The first interval has earlier facts, too. A leaving on the first day of an interval belongs to the one before.
    """
    starts = {days.interval: days for days in reversed(ranges)}
    if len(starts) < 2:
        return dict.fromkeys(starts, own)
    intervals = sorted(starts)
    days = [starts[interval].valid_from for interval in intervals]
    known = {
        position: at
        for at, interval in enumerate(intervals)
        for position in (starts[interval].begun_by, starts[interval].ended_by)
        if position is not None
    }
    notices = [fact for fact in own if fact.position in {first.waited_for for first in starts.values()}]
    found: dict[int, list[Fact]] = {interval: [] for interval in intervals}
    for fact in own:
        day = lifespan.clip(fact.effective).lo
        is_leaving = fact.type in LEAVING_TYPES
        for notice in () if is_leaving else notices:
            if notice.span.lo <= day < notice.effective.lo:
                day = notice.effective.lo
        at = (bisect_left if is_leaving else bisect_right)(days, day) - 1
        found[intervals[max(known.get(fact.position, at), 0)]].append(fact)
    return found


# the list


def _by_party(planner: Planner) -> None:
    """Select memberships of the requested parties. Those of one party have an index in the order by container."""
    group = planner.parties
    of_group = f"party IN ({places(group)})"
    is_walked = False
    is_narrow = "in" in planner.filters
    if len(group) > 1 and not is_narrow:
        is_walked = planner.is_common(f"memberships WHERE {of_group}", *group)
        is_narrow = not is_walked
    planner.query.add(f"{'+' if is_walked else ''}t.{of_group}", *group, narrow=is_narrow)


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
    query.add(f"{listed('t', question)} AND {OF_NO_PARTY.format('t.container_name')}", *times(question))
    columns = ["t.container_name", "t.party_name", "t.interval"]
    if "party" in filters and len(planner.parties) == 1:
        columns.remove("t.party_name")
    if "in" in filters:
        columns.remove("t.container_name")
    plain = "+" if query.narrow else ""
    source = "memberships t"
    is_by_name = planner.sort == "in"
    if is_by_name and len(columns) == 3 and not query.narrow:  # a walk through all containers by name
        source, columns[0] = "subjects s CROSS JOIN memberships t ON t.container = s.id", "s.name"
        query.add(OF_NO_PARTY.format("s.name"))
    types = {name: int if name == "t.interval" else str for name in columns}
    if is_by_name:
        order = Order((f"{plain}{columns[0]}", *columns[1:]), (*types.values(),), planner.is_descending)
    else:
        order = by_date(f"{plain}t.at", types, descending=planner.is_descending)

    def items(rows: Rows) -> Items:
        for row in rows:
            planner.index.remember(row[0], row[-2])
            planner.index.remember(row[1], row[-1])
        return planner.certified([membership(row[:-2]) for row in rows], rows, 2)

    return Listing(f"{membership_columns('t', question)}, t.party, t.container FROM {source}", order, items)


_Container = TypedDict(  # in this form for the keyword `in`
    "_Container", {"party": Reference, "in": Annotated[Reference, Field(description="The agreement, lab or platform.")]}
)


class MembershipItem(_Container):
    """A party in an agreement, a lab or a platform, over one interval."""

    category: Text | None
    role: NotRequired[Role]
    roles: NotRequired[Roles]


MEMBERSHIPS = RowView(
    name="memberships",
    item=ItemType(MembershipItem, MEMBERSHIP_STATUSES, MembershipSteps, (MemberJoined, Signatory)),
    sorts=("in", "from"),
    table="memberships",
    condition="1",
    query=_query,
    digest=Digest(
        (MEMBERSHIP_ROWS,),
        Scope(
            frozenset(("agreements", "labs", "platforms")), frozenset((bitemporal.MEMBERSHIPS.name,)), by_subject=True
        ),
    ),
    filters=(
        WORDS,
        Filter(
            "party",
            SubjectOf(("parties",)),
            "The party.",
            lambda planner, _: _by_party(planner),
        ),
        SUBSIDIARIES,
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
        of_status(MEMBERSHIP_STATUSES, _ENDED_TOO, ORDER_OF_STATUSES),
        CERTAINTY,
    ),
)
