"""References in answers, as values: the declared types of a payload define which parts are references. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from domain.payload import Record
from domain.values import Reference

_NESTING = frozenset((dict, list, Reference))


def refer(record: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return a stored record with each `{"subject": ...}` under some names as a reference. It changes the record."""
    for name in names:
        if (value := record.get(name)) is not None:
            record[name] = [Reference(**each) for each in value] if type(value) is list else Reference(**value)
    return record


def referred(shape: type[Record], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of an event with each reference as {"subject": ...}, by the declared types of its fields."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        inner = shape.INNER.get(name)
        if name in shape.REFERENCES:
            found[name] = _each(Reference, value)
        elif inner is not None:
            found[name] = _each(partial(referred, inner), value)
        else:
            found[name] = value
    return found


def _each(change: Callable[[Any], Any], value: Any) -> Any:
    """Return a changed value, or a list of changed values; null stays."""
    if isinstance(value, list):
        return [change(part) for part in value]
    return None if value is None else change(value)


def references_in(items: Iterable[Any]) -> list[dict[str, Any]]:
    """Return every reference inside some values; the values themselves do not count."""
    found: list[dict[str, Any]] = []
    pending: list[Any] = []
    for item in items:
        pending += _nested(item)
    while pending:
        value = pending.pop()
        if type(value) is Reference:
            found.append(value)
        pending += _nested(value)
    return found


def _nested(value: Any) -> list[Any]:
    """Return the objects and arrays in an object or array, except `events`, which holds positions."""
    if type(value) is list:
        return [part for part in value if type(part) in _NESTING]
    return [part for key, part in value.items() if type(part) in _NESTING and key != "events"]
