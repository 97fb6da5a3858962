"""Specifications: what the view of a list declares of itself, from which its queries and its API document follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from domain.event_type import Aggregate
from projections.engine.filters import Filter
from projections.engine.planner import Planner
from projections.engine.query_parts import Order

Rows = Sequence[tuple[Any, ...]]
Items = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Listing:
    """The query for a page: columns and tables, the order, and what makes items of the columns."""

    source: str
    order: Order
    items: Callable[[Rows], Items]


@dataclass(frozen=True, kw_only=True)
class View:
    """A list over all subjects: its filters, and its orders with the default first; `-` before one reverses it."""

    name: str
    filters: tuple[Filter, ...]
    sorts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RowView(View):
    """A list whose items are rows of one table.

    `condition` selects the rows of the list. `query` adds to a plan what the list always asks for.
    """

    table: str
    condition: str
    query: Callable[[Planner], Listing]


@dataclass(frozen=True, kw_only=True)
class SubjectView(View):
    """A list of the subjects of one collection.

    `lists` names the lists inside the state of a subject, in the order they are shown.
    `date_field` is the field by which subjects are sorted by date; None where they are not.
    """

    aggregate: Aggregate
    lists: tuple[str, ...]
    date_field: str | None


def subject_view(
    aggregate: Aggregate, *, filters: Sequence[Filter], lists: Sequence[str] = (), date_field: str | None = None
) -> SubjectView:
    """Return the view of a collection, sorted by subject, name, or date."""
    dates = () if date_field is None else (date_field,)
    return SubjectView(
        name=aggregate.collection,
        filters=tuple(filters),
        sorts=("subject", aggregate.name_field, *dates),
        aggregate=aggregate,
        lists=tuple(lists),
        date_field=date_field,
    )
