"""How folded days are written as rows.

A row's body is JSON bytes, of things and entries ready to be answered once names of other subjects are put in beside
their references; of ties, which have most rows, as short as can be (see `projections.engine.row_codecs`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any

import orjson

from domain.agreement import AgreementSigned
from domain.corrections import Fact
from domain.edtf import AFTER, BEFORE, UNKNOWN, span_of
from domain.list_items import STATUS_ORDER, ItemPeriod
from domain.membership import FOREVER, LEAVING_TYPES, ORDER_OF_STATUSES, Force, Lifespan, MembershipPeriod
from domain.platform import MemberJoined
from domain.subject_state import STATUSES, StatePeriod
from domain.values import texts_of
from projections.engine.bitemporal import COLLECTIONS
from projections.engine.buffer import Row
from projections.engine.row_codecs import write_thing, write_tie

OPENING_TYPES = frozenset(("agreement.commitment-made", "lab.recruitment-opened", "agreement.declaration-made"))

_SPOKEN_OF = {
    "agreement.commitment-made": ("commitments", "commitment"),
    "agreement.commitment-updated": ("commitments", "commitment"),
    "lab.recruitment-opened": ("calls", "call"),
    "lab.recruitment-closed": ("calls", "call"),
    "lab.phase-started": ("phases", "phase"),
    "lab.phase-completed": ("phases", "phase"),
}
"""The section of the entry that a fact names by its slug, and the field in which it does."""
_MADE_AT = {"agreements": "signed", "labs": "founded", "platforms": "launched", "documents": "published"}


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry's days, the fact that opened it, and its place in its list."""

    days: ItemPeriod
    opening: Fact
    label: str


@cache
def possible_statuses_mask(statuses: tuple[str, ...], order: tuple[str, ...]) -> int:
    """A set of statuses as bits."""
    return sum(1 << order.index(status) for status in statuses)


def subject_state_row(collection: str, days: StatePeriod, lifespan: Lifespan, signed: int, ref: int | None) -> Row:
    """The columns of a thing after its subject; `signed` is the last day on which an agreement may have been signed."""
    order = STATUSES[collection]
    fields = days.fields
    name = fields.get("name", fields.get("title"))
    stated = fields.get(_MADE_AT.get(collection, ""))
    span = lifespan.birth if collection == "parties" else span_of(stated)
    upto = span.hi
    if collection == "agreements":
        upto = min(upto, signed) if "signed" in days.provenance else -1
    return (
        COLLECTIONS.index(collection),
        days.since,
        days.until,
        int(days.last),
        order.index(days.status),
        possible_statuses_mask(days.statuses, order),
        int(days.certain),
        possible_statuses_mask(days.ever, order),
        fields.get("kind"),
        fields.get("jurisdiction"),
        next(iter(texts_of(name)), "").casefold()[:200],
        span.sort_key[0],
        upto,
        ref,
        orjson.dumps(name),
        write_thing(fields, days.provenance),
    )


MembershipDraft = tuple[Row, bytes, Mapping[str, bytes]]
"""A row of a tie as it is for every party whose tie rests on the same facts: its columns from `interval` to `category`,
its body, and the role in which each party signed, where one is given, as JSON."""


def membership_drafts(
    own: Sequence[Fact],
    whole: Sequence[Fact],
    lifespan: Lifespan,
    ranges: Sequence[MembershipPeriod],
    dissolved: Sequence[Fact] = (),
) -> list[MembershipDraft]:
    """The rows of a tie over its days, from its own facts, those that bear on all ties of its subject, and those by
    which its party was `dissolved`.
    """
    facts = {fact.position: fact for fact in (*dissolved, *whole, *own)}
    steps_of = _by_interval(own, lifespan, ranges)
    drafts: list[MembershipDraft] = []
    for interval, alike in groupby(ranges, key=attrgetter("interval")):
        steps = steps_of[interval]
        first = next(alike)  # what began an interval, and ended it, did so on each of its days
        opened = facts.get(first.opened) if first.opened is not None else None
        closed = facts.get(first.closed) if first.closed is not None else None
        waited = facts.get(first.waited) if first.waited is not None else None
        category, roles = _said(steps)
        beside = [*whole, closed] if closed is not None and closed in dissolved else whole
        body = write_tie(steps, beside, waited or opened, closed, category)
        began = waited.effective if waited is not None else opened.span if opened is not None else UNKNOWN
        at = began.sort_key[0]
        categories = "\n".join([text.casefold() for text in texts_of(category)]) or None
        for days in (first, *alike):
            told = _told(days.status, days.statuses, days.certain, days.ever, days.force)
            columns = (interval, days.since, days.until, int(days.last), *told, days.bearer or 0, at, categories)
            drafts.append((columns, body, roles))
    return drafts


@cache
def _told(status: str, statuses: tuple[str, ...], certain: bool, ever: tuple[str, ...], force: Force) -> Row:
    """The columns of a tie from `status` to `force`."""
    in_force, suspended, neither = force
    order = ORDER_OF_STATUSES
    kept = in_force | suspended << 1 | neither << 2
    return (
        order.index(status),
        possible_statuses_mask(statuses, order),
        int(certain),
        possible_statuses_mask(ever, order),
        kept,
    )


def _said(steps: Iterable[Fact]) -> tuple[Any, dict[str, bytes]]:
    """The category in which a member joined last, and the role in which each party signed last, where one is given."""
    category: Any = None
    roles: dict[str, bytes] = {}
    for fact in steps:
        data = fact.data
        if isinstance(data, MemberJoined) and data.category is not None:
            category = data.category
        elif isinstance(data, AgreementSigned):
            for signatory in data.parties:
                if signatory.role is not None:
                    roles[signatory.party] = orjson.dumps(signatory.role)
    return category, roles


def _by_interval(
    own: Sequence[Fact], lifespan: Lifespan, ranges: Sequence[MembershipPeriod]
) -> Mapping[int, Sequence[Fact]]:
    """The facts of each interval of a tie: those that take effect from its first day to the next one's, and of the
    first interval those before it too. A leaving on the first day of an interval is of the one before.
    """
    starts = {days.interval: days for days in reversed(ranges)}
    if len(starts) < 2:
        return dict.fromkeys(starts, own)
    intervals = sorted(starts)
    days = [starts[interval].since for interval in intervals]
    known = {
        position: at
        for at, interval in enumerate(intervals)
        for position in (starts[interval].opened, starts[interval].closed)
        if position is not None
    }
    notices = [fact for fact in own if fact.position in {first.waited for first in starts.values()}]
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


def list_item_row(subject: str, section: int, entry: Entry) -> Row:
    """The columns of an entry after its subject, section and key."""
    days = entry.days
    due = _due(days.value["due"]) if "due" in days.value else AFTER
    return (
        days.since,
        days.until,
        int(days.last),
        STATUS_ORDER.index(days.status) if days.status is not None else None,
        possible_statuses_mask(days.statuses, STATUS_ORDER),
        int(days.certain),
        possible_statuses_mask(days.ever, STATUS_ORDER),
        days.value.get("kind"),
        due,
        entry.opening.span.sort_key[0],
        f"{subject} {entry.label}" if section == 0 else entry.label,
        orjson.dumps(days.value),
    )


def _due(text: str) -> int:
    """The day by which a commitment is due: the earliest it may mean, or else the latest."""
    lo, hi = span_of(text)
    return lo if lo != BEFORE else hi


def entry_keys(fact: Fact) -> list[tuple[str, str]]:
    """The entries, by section and key, that a fact makes or changes."""
    data: Any = fact.data
    if (spoken_of := _SPOKEN_OF.get(fact.type)) is not None:
        section, field = spoken_of
        return [(section, f"{field}:{getattr(data, field)}")]
    match fact.type:
        case "agreement.declaration-made":
            return [("declarations", f"declaration:{fact.position}")]
        case "agreement.declaration-withdrawn":
            return [("declarations", f"declaration:{data.event}")]
        case "lab.founded":
            return [("phases", f"phase:{phase.phase}") for phase in data.phases or ()]
    return list(simple_entries(fact))


def simple_entries(fact: Fact) -> dict[tuple[str, str], dict[str, Any]]:
    """The entries that come with one fact and stay, by section and key."""
    data: Any = fact.data
    at = fact.position
    match fact.type:
        case "agreement.amended":
            value = {
                "summary": data.summary,
                "title": data.title,
                "scope_added": list(data.scope_added) if data.scope_added is not None else None,
                "scope_removed": list(data.scope_removed) if data.scope_removed is not None else None,
                "until": data.until,
                "by": {"subject": data.by} if data.by else None,
            }
            return {("amendments", f"amendment:{at}"): _dated(fact, value)}
        case "platform.supporter-added":
            value = {"party": {"subject": data.party}, "support": data.support}
            return {("supporters", f"supporter:{at}"): _dated(fact, value)}
        case "platform.document-adopted":
            return {("documents", f"document:{at}"): _dated(fact, {"title": data.title, "kind": data.kind})}
        case "party.name-added":
            return {("other_names", f"name:{at}:0"): {"name": data.name}}
        case "party.identified":
            return {("identifiers", f"identifier:{at}:0"): {"scheme": data.scheme, "value": data.value}}
        case "party.registered":
            names = {
                ("other_names", f"name:{at}:{index}"): {"name": name}
                for index, name in enumerate(data.other_names or ())
            }
            identifiers = {
                ("identifiers", f"identifier:{at}:{index}"): {"scheme": each.scheme, "value": each.value}
                for index, each in enumerate(data.identifiers or ())
            }
            return {**names, **identifiers}
    return {}


def _dated(fact: Fact, value: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: each for name, each in value.items() if each is not None}
    return {**kept, "occurred": fact.occurred} if fact.occurred is not None else kept


def former_names(facts: Sequence[Fact], things: Sequence[StatePeriod]) -> dict[str, list[Entry]]:
    """The names a party bears beside the one it goes by, by key, on the days on which it goes by another."""
    found: dict[str, list[Entry]] = {}
    for fact in facts:
        name = getattr(fact.data, "name", None)
        if name is None or not fact.type.startswith("party."):
            continue
        runs: list[tuple[int, int]] = []
        for days in things:
            if days.fields.get("name") != name and (fact.creates or not fact.is_dated or fact.span.lo <= days.since):
                if runs and runs[-1][1] == days.since:
                    runs[-1] = (runs[-1][0], days.until)
                else:
                    runs.append((days.since, days.until))
        value = {"name": name, "events": list(fact.positions)}
        found[f"former:{fact.position}"] = [
            Entry(
                ItemPeriod(since, until, None, (), True, index == len(runs) - 1 and until == FOREVER, (), value),
                fact,
                f"{fact.span.sort_key[0]:07} {fact.source} {fact.id}",
            )
            for index, (since, until) in enumerate(runs)
        ]
    return found
