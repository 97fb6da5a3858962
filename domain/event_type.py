"""Rows of the catalogue: what one type of event is and does, and what the events of one aggregate have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from inspect import cleandoc
from typing import Any, get_origin

from pydantic import Field

from domain.payload import Data
from domain.values import Edtf

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Returns data of one version of a payload's shape in the next version.

It does not change its argument, and returns data of the next version as it is: data inside a correction has no version.
"""


class TakesEffect(Data):
    """`occurred` is the notice; it takes effect on `effective`, by default the same day."""

    effective: Edtf | None = Field(None, description="When it takes effect; absent: on the day of `occurred`.")


class Creates(StrEnum):
    """How an event creates its subject."""

    NEVER = "never"
    ONCE = "once"
    AGAIN = "again"


@dataclass(frozen=True, eq=False)  # a mapping has no hash, and rows need one
class Example:
    """An event of a type, as a part of one story: the examples of all types can be recorded together.

    An event that it is about has another position in each log.
    """

    subject: str
    data: Mapping[str, Any]
    occurred: str | None = None


@dataclass(frozen=True, kw_only=True)
class EventType:
    """One row of the catalogue.

    `collection` is None for events about events, which any subject may carry.
    `about` is the sentence on the type if several types share `data`; otherwise it is the docstring of `data`.
    `rank` orders facts of the same days for ever. A rank is never changed or given to another type.
    `ends` is True if the event ends its subject.
    `reinstates` is True if the event brings back its subject or a membership after an end.
    `status` is the status of the subject after the event; None if the event changes no status of the subject itself.
    `date_field` is the field of the subject that shows when the event occurred.
    `attributes` are the fields of the data that describe the subject itself.
    `cleared_if_absent` is the attribute that ends if the data leaves it out or gives null.
    `agreement_wide` is True if the event changes every membership of its subject, unless it names a party.
    `is_posted` is False for the events that the registry records itself, which state no fact about the world.
    `example` is an event of the type for the API document; every type that is posted has one.
    `upcasters` lead from each earlier version of the data's shape to the next one, the oldest first.
    """

    name: str
    data: type[Data]
    collection: str | None
    rank: int
    about: str = ""
    creates: Creates = Creates.NEVER
    ends: bool = False
    reinstates: bool = False
    status: str | None = None
    date_field: str | None = None
    attributes: tuple[str, ...] = ()
    cleared_if_absent: str | None = None
    agreement_wide: bool = False
    is_posted: bool = True
    example: Example | None = None
    upcasters: tuple[Upcaster, ...] = ()

    @cached_property
    def description(self) -> str:
        """The sentence on the type: what happens by such an event."""
        return self.about or cleandoc(self.data.__doc__ or "")

    @cached_property
    def shape(self) -> int:
        """The version of the data's shape, the `v` of the log entry."""
        return 1 + len(self.upcasters)

    def upcast(self, data: dict[str, Any], shape: int = 1) -> dict[str, Any]:
        """Return data of a version of the shape in today's version."""
        for upcaster in self.upcasters[shape - 1 :]:
            data = upcaster(data)
        return data

    @cached_property
    def about_event(self) -> bool:
        """Whether the event is about another event instead of the world."""
        return self.collection is None

    @cached_property
    def is_creating(self) -> bool:
        """Whether the event may create its subject."""
        return self.creates is not Creates.NEVER

    @property
    def nothing(self) -> Data:
        """The data of an event whose data is erased: every field unknown, every required list empty."""
        left: dict[str, Any] = {
            name: () if field.is_required() and get_origin(field.annotation) is tuple else None
            for name, field in self.data.model_fields.items()
        }
        return self.data.model_construct(set(), **left)


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """One kind of subject: its collection, its statuses in their order (the last one is the end), its events by rank.

    `description` is one sentence on what its subjects are.
    `name_field` is the attribute that names the subject.
    """

    collection: str
    description: str
    statuses: tuple[str, ...]
    name_field: str
    events: tuple[EventType, ...]
