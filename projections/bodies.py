"""What rows keep in JSON beside their columns: written as short as can be, read as it is answered, spelled out as lines
say it. Knows neither tables nor questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from domain.events import CATALOGUE, AgreementAcceded, AgreementRatified, MemberJoined, TakesEffect
from domain.facts import Fact

_TYPES = tuple(CATALOGUE)

Step = list[Any]
"""A fact that a tie rests on: the rank of its type, when it occurred, the events it stands by, perhaps more of it."""


def tie_body(
    steps: Sequence[Fact], whole: Sequence[Fact], opened: Fact | None, closed: Fact | None
) -> tuple[list[Step], dict[str, Any]]:
    """A tie's steps, and what else there is to say of it but for the role.

    It began with the first step, unless something else is said; `whole` are the events beside the steps' that bear it.
    """
    told = [_step(fact) for fact in steps]
    more: dict[str, Any] = {}
    for fact in steps:
        if isinstance(fact.data, MemberJoined) and fact.data.category is not None:
            more["category"] = fact.data.category
    began = opened.occurred if opened is not None else None
    if began != _first_date(told):
        more["from"] = began
    if closed is not None and (ended := _effective(closed)) is not None:
        more["to"] = ended
    if whole:
        more["whole"] = sorted({position for fact in whole for position in fact.positions})
    return told, more


def write_tie(steps: Sequence[Step], more: Mapping[str, Any]) -> bytes:
    """The body of a tie's row."""
    return orjson.dumps([steps, more] if more else [steps])


def read_tie(stored: bytes) -> dict[str, Any]:
    """A tie as answered but for its party, its container and its status."""
    steps, more = _parts(stored)
    role = {"role": more["role"]} if "role" in more else {}
    span = _span(steps, more)
    return {
        "category": more.get("category"),
        **role,
        "from": span["from"],
        "to": span["to"],
        "steps": [
            {"type": _TYPES[rank], "occurred": occurred, **(extra[0] if extra else {}), "events": positions}
            for rank, occurred, positions, *extra in steps
        ],
        "events": span["events"],
    }


def read_span(stored: bytes) -> dict[str, Any]:
    """When a tie began and ended, and the events that bear it."""
    return _span(*_parts(stored))


def spell_tie(stored: bytes) -> dict[str, Any]:
    """All that the body of a tie's row says; nothing that it leaves open."""
    steps, more = _parts(stored)
    span = _span(steps, more)
    said: dict[str, Any] = {name: more[name] for name in ("role", "category") if name in more}
    said.update({name: span[name] for name in ("from", "to") if span[name] is not None})
    said["steps"] = [[_TYPES[rank], *rest] for rank, *rest in steps]
    return {**said, "events": span["events"]} if "whole" in more else said


def _parts(stored: bytes) -> tuple[list[Step], dict[str, Any]]:
    steps, *more = orjson.loads(stored)
    return steps, more[0] if more else {}


def _span(steps: Sequence[Step], more: Mapping[str, Any]) -> dict[str, Any]:
    began = more["from"] if "from" in more else _first_date(steps)
    if len(steps) == 1 and "whole" not in more:
        events = sorted(steps[0][2])
    else:
        events = sorted({position for step in steps for position in step[2]}.union(more.get("whole", ())))
    return {"from": began, "to": more.get("to"), "events": events}


def _first_date(steps: Sequence[Step]) -> str | None:
    return steps[0][1] if steps else None


def _effective(fact: Fact) -> str | None:
    stated = fact.data.effective if isinstance(fact.data, TakesEffect) else None
    return stated or fact.occurred


def _step(fact: Fact) -> Step:
    step: Step = [fact.kind.rank, fact.occurred, fact.positions]
    if isinstance(fact.data, TakesEffect) and fact.data.effective is not None:
        step.append({"effective": fact.data.effective})
    elif isinstance(fact.data, AgreementRatified | AgreementAcceded) and fact.data.instrument is not None:
        step.append({"instrument": fact.data.instrument})
    return step
