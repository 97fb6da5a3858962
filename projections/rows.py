"""How folded days are written as rows, and how a tie is read from one.

A row's body is JSON bytes, of things and entries ready to be answered once names of other subjects are put in beside
their references; of ties, which have most rows, as short as can be (`read_tie`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import orjson

from domain.entries import STATUS_ORDER, EntryDays
from domain.events import AgreementAcceded, AgreementRatified, AgreementSigned, MemberJoined, TakesEffect
from domain.facts import Fact
from domain.things import STATUSES, ThingDays
from domain.ties import FOREVER, ORDER_OF_STATUSES, Life, TieDays
from domain.times import AFTER, span_of
from domain.values import texts_of
from projections.tables import COLLECTIONS
from projections.writing import Row

OPENINGS = frozenset(("agreement.commitment-made", "lab.recruitment-opened", "agreement.declaration-made"))

_MADE_AT = {"agreements": "signed", "labs": "founded", "platforms": "launched", "documents": "published"}


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry's days, the fact that opened it, and its place in its list."""

    days: EntryDays
    opening: Fact
    label: str


@cache
def mask_of(statuses: tuple[str, ...], order: tuple[str, ...]) -> int:
    """A set of statuses as bits."""
    return sum(1 << order.index(status) for status in statuses)


def thing_row(collection: str, days: ThingDays, life: Life, ref: int | None) -> Row:
    """The columns of a thing after its subject."""
    order = STATUSES[collection]
    fields = dict(days.fields)
    name = fields.get("name", fields.get("title"))
    stated = fields.get(_MADE_AT.get(collection, ""))
    span = life.birth if collection == "parties" else span_of(stated)
    upto = span.hi
    if collection == "agreements" and "signed" not in days.bearing:
        upto = -1
    return (
        COLLECTIONS.index(collection),
        days.since,
        days.until,
        int(days.last),
        order.index(days.status),
        mask_of(days.statuses, order),
        int(days.certain),
        mask_of(days.ever, order),
        fields.get("kind"),
        fields.get("jurisdiction"),
        next(iter(texts_of(name)), "").casefold()[:200],
        span.sort_key[0],
        upto,
        ref,
        orjson.dumps(name),
        orjson.dumps(
            {"fields": fields, "events": {field: list(positions) for field, positions in days.bearing.items()}}
        ),
    )


class TieDraft(NamedTuple):
    """A row of a tie as it is for every party whose tie rests on the same facts: its columns from `interval` to
    `category`, the facts that are its steps, and the body without what is the party's own.
    """

    columns: Row
    steps: Sequence[Fact]
    body: Mapping[str, Any]


def tie_drafts(own: Sequence[Fact], whole: Sequence[Fact], life: Life, ranges: Sequence[TieDays]) -> list[TieDraft]:
    """The rows of a tie over its days, from its own facts and those that bear on all ties of its subject."""
    facts = {fact.position: fact for fact in (*whole, *own)}
    steps_of = _by_interval(own, life, ranges)
    in_force = [fact for fact in (*whole, *own) if fact.type == "agreement.entered-into-force"]
    bearer = in_force[-1].position if in_force else own[0].position
    drafts = []
    for days in ranges:
        steps = steps_of[days.interval]
        opened = facts.get(days.opened) if days.opened is not None else None
        closed = facts.get(days.closed) if days.closed is not None else None
        body = _tie_body(steps, whole, opened, closed)
        category = body.get("category")
        columns = (
            days.interval,
            days.since,
            days.until,
            int(days.last),
            ORDER_OF_STATUSES.index(days.status),
            mask_of(days.statuses, ORDER_OF_STATUSES),
            int(days.certain),
            mask_of(days.ever, ORDER_OF_STATUSES),
            days.force.in_force | days.force.suspended << 1 | days.force.neither << 2,
            bearer,
            opened.span.sort_key[0] if opened is not None else AFTER,
            "\n".join([text.casefold() for text in texts_of(category)]) or None,
        )
        drafts.append(TieDraft(columns, steps, body))
    return drafts


def tie_rows(container: str, party: str, drafts: Iterable[TieDraft]) -> list[Row]:
    """The columns of a tie after its container and party."""
    rows = []
    for columns, steps, body in drafts:
        role = _role(party, steps)
        kept = body if role is None else {"role": role, **body}
        rows.append((*columns, f"{container} {party} {columns[0]:04}", orjson.dumps(kept)))
    return rows


def _role(party: str, steps: Sequence[Fact]) -> Any:
    """The role in which a party signed last, where one is given."""
    role = None
    for fact in steps:
        if isinstance(fact.data, AgreementSigned):
            for signatory in fact.data.parties:
                if signatory.party == party:
                    role = role if signatory.role is None else signatory.role
                    break
    return role


def _by_interval(own: Sequence[Fact], life: Life, ranges: Sequence[TieDays]) -> Mapping[int, Sequence[Fact]]:
    """The facts of each interval of a tie: those that take effect from its first day to the next one's, and of the
    first interval those before it too.
    """
    starts = {days.interval: days.since for days in reversed(ranges)}
    if len(starts) < 2:
        return dict.fromkeys(starts, own)
    intervals = sorted(starts)
    days = [starts[interval] for interval in intervals]
    found: dict[int, list[Fact]] = {interval: [] for interval in intervals}
    for fact in own:
        at = bisect_right(days, life.clip(fact.effective).lo) - 1
        found[intervals[max(at, 0)]].append(fact)
    return found


def _tie_body(steps: Sequence[Fact], whole: Sequence[Fact], opened: Fact | None, closed: Fact | None) -> dict[str, Any]:
    """What a row keeps of a tie beside its columns, without the role and what `read_tie` can tell."""
    body: dict[str, Any] = {}
    for fact in steps:
        if isinstance(fact.data, MemberJoined) and fact.data.category is not None:
            body["category"] = fact.data.category
    if opened is not None and opened.occurred is not None:
        body["from"] = opened.occurred
    if closed is not None and (ended := _effective(closed)) is not None:
        body["to"] = ended
    body["steps"] = [_step(fact) for fact in steps]
    if whole:
        body["events"] = sorted({position for fact in (*steps, *whole) for position in fact.positions})
    return body


def read_tie(stored: bytes) -> dict[str, Any]:
    """A tie as answered but for its party, its container and its status, from a row's body."""
    body = orjson.loads(stored)
    steps = [
        {"type": step[0], "occurred": step[1], "events": step[2]}
        if len(step) == 3
        else {"type": step[0], "occurred": step[1], **step[3], "events": step[2]}
        for step in body["steps"]
    ]
    role = {"role": body["role"]} if "role" in body else {}
    return {
        "category": body.get("category"),
        **role,
        "from": body.get("from"),
        "to": body.get("to"),
        "steps": steps,
        "events": _bearing(body),
    }


def read_span(stored: bytes) -> dict[str, Any]:
    """When a tie began and ended, and the events that bear it, from a row's body."""
    body = orjson.loads(stored)
    return {"from": body.get("from"), "to": body.get("to"), "events": _bearing(body)}


def _bearing(body: Mapping[str, Any]) -> list[int]:
    events: list[int] | None = body.get("events")
    return sorted({position for step in body["steps"] for position in step[2]}) if events is None else events


def _effective(fact: Fact) -> str | None:
    stated = fact.data.effective if isinstance(fact.data, TakesEffect) else None
    return stated or fact.occurred


def _step(fact: Fact) -> list[Any]:
    step: list[Any] = [fact.type, fact.occurred, fact.positions]
    if isinstance(fact.data, TakesEffect) and fact.data.effective is not None:
        step.append({"effective": fact.data.effective})
    elif isinstance(fact.data, AgreementRatified | AgreementAcceded) and fact.data.instrument is not None:
        step.append({"instrument": fact.data.instrument})
    return step


def entry_row(subject: str, section: int, entry: Entry) -> Row:
    """The columns of an entry after its subject, section and key."""
    days = entry.days
    due = span_of(days.value["due"]).lo if "due" in days.value else AFTER
    return (
        days.since,
        days.until,
        int(days.last),
        STATUS_ORDER.index(days.status) if days.status is not None else None,
        mask_of(days.statuses, STATUS_ORDER),
        int(days.certain),
        mask_of(days.ever, STATUS_ORDER),
        days.value.get("kind"),
        due,
        entry.opening.span.sort_key[0],
        f"{subject} {entry.label}" if section == 0 else entry.label,
        orjson.dumps(days.value),
    )


def entry_keys(fact: Fact) -> list[tuple[str, str]]:
    """The entries, by section and key, that a fact makes or changes."""
    data: Any = fact.data
    match fact.type:
        case "agreement.commitment-made" | "agreement.commitment-updated":
            return [("commitments", f"commitment:{data.commitment}")]
        case "lab.recruitment-opened" | "lab.recruitment-closed":
            return [("calls", f"call:{data.call}")]
        case "agreement.declaration-made":
            return [("declarations", f"declaration:{fact.position}")]
        case "agreement.declaration-withdrawn":
            return [("declarations", f"declaration:{data.event}")]
        case "lab.founded":
            return [("phases", f"phase:{phase.phase}") for phase in data.phases or ()]
        case "lab.phase-started" | "lab.phase-completed":
            return [("phases", f"phase:{data.phase}")]
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


def former_names(facts: Sequence[Fact], things: Sequence[ThingDays]) -> dict[str, list[Entry]]:
    """The names a party bears beside the one it goes by, by key, on the days on which it goes by another."""
    found: dict[str, list[Entry]] = {}
    for fact in facts:
        name = getattr(fact.data, "name", None)
        if name is None or not fact.type.startswith("party."):
            continue
        runs: list[tuple[int, int]] = []
        for days in things:
            if days.fields.get("name") != name and (fact.makes or not fact.is_dated or fact.span.lo <= days.since):
                if runs and runs[-1][1] == days.since:
                    runs[-1] = (runs[-1][0], days.until)
                else:
                    runs.append((days.since, days.until))
        value = {"name": name, "events": list(fact.positions)}
        found[f"former:{fact.position}"] = [
            Entry(
                EntryDays(since, until, None, (), True, index == len(runs) - 1 and until == FOREVER, (), value),
                fact,
                f"{fact.span.sort_key[0]:07} {fact.source} {fact.id}",
            )
            for index, (since, until) in enumerate(runs)
        ]
    return found
