"""Positions inside the data of events: events name other events by their positions in the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from domain.catalogue import CATALOGUE

FIELDS = ("event", "about")
"""The fields that hold a position, in whichever type of event there is one."""
_CLAIMED = frozenset(f"/data/{field}" for field in FIELDS)


def names_positions(type_: str) -> bool:
    """Return whether data of this type names an event by its position."""
    return not CATALOGUE[type_].data.model_fields.keys().isdisjoint(FIELDS)


def with_positions(data: Mapping[str, Any], move: Callable[[int], int]) -> dict[str, Any]:
    """Return the data of a type that `names_positions`, with `move` applied to each position in it.

    A correction has data of the corrected event, and a dispute values of the disputed one: these may name positions
    too.
    """
    moved = dict(data)
    for field in FIELDS:
        if isinstance(at := moved.get(field), int):
            moved[field] = move(at)
    for name in ("data", "data_patch"):
        if isinstance(inner := moved.get(name), Mapping):
            moved[name] = with_positions(inner, move)
    if isinstance(claims := moved.get("claims"), list):
        moved["claims"] = [_with_position(claim, move) for claim in claims]
    return moved


def _with_position(claim: Any, move: Callable[[int], int]) -> Any:
    match claim:
        case {"pointer": str() as pointer, "value": int() as at} if pointer in _CLAIMED:
            return {**claim, "value": move(at)}
        case _:
            return claim
