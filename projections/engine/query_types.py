"""What may be asked of the views: a question's two times, its filters and orders, and the shapes of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args


@dataclass(frozen=True, slots=True)
class TimeSlice:
    """`as_of` is a position, 0 to the head; `on` a day (see domain.edtf), None for whenever."""

    as_of: int
    on: int | None


@dataclass(frozen=True, slots=True)
class State:
    """What a subject is: JSON-ready, to be read only (what is alike may be one object), with the version of its last
    event."""

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
    """What turns one state into another (RFC 6902), and the positions of the events in between; not all if cut."""

    patch: list[Any]
    events: list[int]
    is_cut: bool


class NotFound(Exception):
    """There is no such subject, or it had not come about. The argument says which."""


class Gone(Exception):
    """Every fact about the subject was retracted."""


class Merged(Exception):
    """The party was found to be another, which answers for it."""

    def __init__(self, into: str) -> None:
        super().__init__(into)
        self.into = into


class BadQuestion(Exception):
    """What is wrong with a query, by the name of the parameter."""

    def __init__(self, flaws: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name} {detail}" for name, detail in flaws.items()))
        self.flaws = dict(flaws)


def check_after(after: Sequence[Any] | None, *types: type) -> None:
    """Raise BadQuestion unless the keys that a cursor holds have the types of those that a list is sorted by."""
    if after is not None and [type(key) for key in after] != [*types]:
        raise BadQuestion({"cursor": "is not a cursor of this list"})


Certainty = Literal["certain", "possible"]
CERTAINTIES: tuple[Certainty, ...] = get_args(Certainty)

ANY_STATUS = "any"
"""The value of a status filter that takes every status, of what has ended too."""
