"""Row codecs: encode the JSON that rows hold beside their columns, and decode it for answers and canonical rows.

The stored form is as short as possible. This module knows neither tables nor queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import orjson

from domain.agreement import AgreementAcceded, AgreementRatified, AgreementSigned, EnteredIntoForce
from domain.attributes import ORDER
from domain.catalogue import AGGREGATES, CATALOGUE
from domain.corrections import Fact
from domain.event_type import TakesEffect
from domain.platform import MemberChanged
from domain.values import Reference

NAMED = {aggregate.collection: aggregate.name_field for aggregate in AGGREGATES}
"""The field that names a subject, by collection. It has a column of its own."""

_TYPES = {kind.rank: name for name, kind in CATALOGUE.items()}
_NAMES = frozenset(NAMED.values())
_NAMELESS = b"null"
_CONSENTS = (AgreementRatified, AgreementAcceded)

Step = list[Any]
"""A fact of a membership: the rank of its type, `occurred`, its source events, and perhaps further fields."""


@cache
def possible_statuses_mask(statuses: tuple[str, ...], order: tuple[str, ...]) -> int:
    """Return a set of statuses as bits."""
    return sum(1 << order.index(status) for status in statuses)


def encode_subject_state(fields: Mapping[str, Any], provenance: Mapping[str, Sequence[int]]) -> bytes:
    """Encode a subject state: its fields without the name, and the source events of each.

    The source events of the first field are stored once, for all fields with the same ones; only others are listed.
    """
    first = next(iter(provenance.values()), ())
    unnamed = {name: value for name, value in fields.items() if name not in _NAMES}
    if provenance.keys() == {*fields, "status"} and len(set(provenance.values())) == 1:
        return orjson.dumps([unnamed, first])
    alike = [name for name in (*fields, "status") if provenance.get(name) == first]
    others = {name: provenance.get(name) for name in (*fields, "status", *provenance) if name not in alike}
    return orjson.dumps([unnamed, first, others] if others else [unnamed, first])


def decode_subject_state(stored: bytes, named: str, name: bytes) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Decode a subject state: its fields, with the name under the field `named`, and the source events of each."""
    unnamed, first, *others = orjson.loads(stored)
    fields = unnamed if name == _NAMELESS else {named: orjson.loads(name), **unnamed}
    events = dict.fromkeys((*fields, "status"), first)
    if others:
        events |= others[0]
        events = {each: events[each] for each in sorted(events, key=ORDER.__getitem__) if events[each] is not None}
    return fields, events


def decode_unnamed_state(stored: bytes) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Decode a subject state without its name."""
    return decode_subject_state(stored, "", _NAMELESS)


def encode_membership(
    steps: Sequence[Fact],
    whole: Sequence[Fact],
    opened: Fact | None,
    closed: Fact | None,
    category: Any,
    share: str | None = None,
) -> bytes:
    """Encode a membership without the role of the party.

    `whole` are its agreement-wide facts. `opened` is stored only where its date is not that of the first step, as for
    a return that waits for a withdrawal to take effect.
    """
    encoded = [_step(fact) for fact in steps]
    more: dict[str, Any] = {}
    if category is not None:
        more["category"] = category
    if share is not None:
        more["share"] = share
    began = _effective(opened) if opened is not None else None
    if began != _first_date(encoded):
        more["from"] = began
    if closed is not None and (ended := _effective(closed)) is not None:
        more["to"] = ended
    if whole:
        more["whole"] = sorted({position for fact in whole for position in fact.positions})
    return orjson.dumps([encoded, more] if more else [encoded])


def decode_membership(stored: bytes) -> dict[str, Any]:
    """Decode a membership as answered, the category first; party, container, status and role have columns."""
    steps, more = _parts(stored)
    fields = {"category": more.get("category"), **_share(more)}
    return fields | _span(steps, more, [_read_step(step) for step in steps])


def decode_membership_span(stored: bytes) -> dict[str, Any]:
    """Decode when a membership began and ended, and its source events; of an owner its share, too."""
    steps, more = _parts(stored)
    span = _span(steps, more, [])
    del span["steps"]
    return {**_share(more), **span}


def roles_of(stored: bytes) -> dict[str, Any]:
    """Return the role in which a party signed, and all its roles if it has several, as answered."""
    role = orjson.loads(stored)
    return {"role": role[0], "roles": role} if isinstance(role, list) else {"role": role}


def canonical_membership(stored: bytes, role: bytes | None) -> dict[str, Any]:
    """Decode a membership with its role for a canonical row: only the fields that are stored."""
    steps, more = _parts(stored)
    span = _span(steps, more, [[_TYPES[rank], *rest] for rank, *rest in steps])
    fields: dict[str, Any] = {} if role is None else roles_of(role)
    if "category" in more:
        fields["category"] = more["category"]
    fields |= _share(more)
    fields |= {name: value for name, value in span.items() if value is not None}
    if "whole" not in more:
        del fields["events"]
    return fields


def _share(more: Mapping[str, Any]) -> dict[str, Any]:
    return {"share": more["share"]} if "share" in more else {}


def _parts(stored: bytes) -> tuple[list[Step], dict[str, Any]]:
    body = orjson.loads(stored)
    return body[0], body[1] if len(body) > 1 else {}


def _span(steps: Sequence[Step], more: Mapping[str, Any], shown: list[Any]) -> dict[str, Any]:
    """Return when a membership began and ended, its steps as `shown`, and its source events."""
    if len(steps) == 1 and "whole" not in more:
        events = steps[0][2]
    else:
        events = sorted({position for step in steps for position in step[2]}.union(more.get("whole", ())))
    began = more["from"] if "from" in more else _first_date(steps)
    return {"from": began, "to": more.get("to"), "steps": shown, "events": events}


def _read_step(step: Step) -> dict[str, Any]:
    more = step[3] if len(step) > 3 else {}
    if "with" in more:
        more["with"] = [Reference(party) for party in more["with"]]
    return {"type": _TYPES[step[0]], "occurred": step[1], **more, "events": step[2]}


def _first_date(steps: Sequence[Step]) -> str | None:
    return steps[0][1] if steps else None


def _effective(fact: Fact) -> str | None:
    stated = fact.data.effective if isinstance(fact.data, TakesEffect) else None
    return stated or fact.occurred


def _step(fact: Fact) -> Step:
    step: Step = [fact.kind.rank, fact.occurred, fact.positions]
    data, more = fact.data, dict[str, Any]()
    if isinstance(data, _CONSENTS):
        more = {"instrument": data.instrument, "territory": data.territory}
    elif isinstance(data, AgreementSigned):
        more = {"place": data.place}
    elif isinstance(data, TakesEffect):
        more = {"effective": data.effective}
    elif isinstance(data, EnteredIntoForce):
        more = {"with": data.with_}
    elif isinstance(data, MemberChanged):
        more = {"category": data.category}
    more = {name: value for name, value in more.items() if value is not None}
    if more:
        step.append(more)
    return step
