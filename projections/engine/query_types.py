"""The types of queries and answers of the views: time slice, state, page, difference, and the errors of a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args


@dataclass(frozen=True, slots=True)
class TimeSlice:
    """A point in both times: `as_of` is a position, 0 to the head; `on` a day (see `domain.edtf`), None for any."""

    as_of: int
    on: int | None


@dataclass(frozen=True, slots=True)
class State:
    """A state of a subject, JSON-ready, and the version of its last event. Its parts are shared: never change them."""

    body: dict[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some items of a list, JSON-ready, and the key after which the next page begins; None at the end.

    `extra` are members of the answer that describe the whole list.
    """

    items: list[Any]
    after: list[Any] | None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """The patch from one state to another (RFC 6902), and the positions of the events between; `is_cut` if not all."""

    patch: list[Any]
    events: list[int]
    is_cut: bool


class NotFound(Exception):
    """There is no such subject, or it was not yet created. The argument is the detail."""


class Gone(Exception):
    """Every fact about the subject was retracted."""


class Merged(Exception):
    """The party was merged into another."""

    def __init__(self, into: str) -> None:
        super().__init__(into)
        self.into = into


class BadQuestion(Exception):
    """A query is invalid: `flaws` are by the name of the parameter."""

    def __init__(self, flaws: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name} {detail}" for name, detail in flaws.items()))
        self.flaws = dict(flaws)


def check_after(after: Sequence[Any] | None, *types: type) -> None:
    """Raise BadQuestion unless the keys of a cursor have the types of the keys of the list's order."""
    if after is not None and [type(key) for key in after] != [*types]:
        raise BadQuestion({"cursor": "is not a cursor of this list"})


Certainty = Literal["certain", "possible"]
CERTAINTIES: tuple[Certainty, ...] = get_args(Certainty)

ANY_STATUS = "any"
"""The value of a status filter that matches every status, also of items that have ended."""
