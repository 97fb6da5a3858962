"""Specifications: what each view declares of itself. Its queries, its fold, its digest and its API document follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from domain.event_type import Aggregate
from projections.engine import canonical_rows
from projections.engine.bitemporal import MEMBERSHIPS, SUBJECT_STATES
from projections.engine.canonical_rows import Part
from projections.engine.filters import Filter
from projections.engine.item_lists import ItemList, ItemType, MembershipList
from projections.engine.planner import Planner
from projections.engine.query_parts import Order

Rows = Sequence[tuple[Any, ...]]
Items = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of the views that a fold writes.

    `folded` are the collections whose subjects have rows written; of others only mergers are. `rows` are the tables and
    the lists of these rows.
    """

    folded: frozenset[str]
    rows: frozenset[str]
    by_subject: bool = False
    """Whether each canonical row rests on the events of one subject, on mergers, and on the lifespans of parties (see
    `projections.single_view`)."""
    facts: bool = True
    words: bool = False
    """Whether texts and names are indexed."""
    passages: bool = False
    """Whether citations and texts of documents are stored."""
    passing: frozenset[str] = frozenset()
    """Those of `rows` that are folded for others to follow from, and then discarded."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What the digest of a view covers: its canonical rows, and the scope of the fold that gives them."""

    parts: tuple[Part, ...]
    scope: Scope


@dataclass(frozen=True, slots=True)
class Listing:
    """The query for a page: columns and tables, the order, and what makes items of the columns."""

    source: str
    order: Order
    items: Callable[[Rows], Items]


@dataclass(frozen=True, kw_only=True)
class View:
    """A list over all subjects: its filters, and its orders with the default first; `-` before one reverses it.

    `item` is the type of its items; None where they are the states of subjects.
    """

    name: str
    filters: tuple[Filter, ...]
    sorts: tuple[str, ...]
    digest: Digest
    item: ItemType | None = None


@dataclass(frozen=True, kw_only=True)
class RowView(View):
    """A list whose items are rows of one table.

    `condition` selects the rows of the list. `query` adds the conditions of every request to a plan.
    """

    table: str
    condition: str
    query: Callable[[Planner], Listing]


@dataclass(frozen=True, kw_only=True)
class SubjectView(View):
    """A list of the subjects of one collection.

    `lists` are the lists inside the state of a subject, in the order they are shown.
    `terms` are the attributes whose terms subjects are found by.
    `date_field` is the field by which subjects are sorted by date; None where they are not.
    `more_fields` is a typed dictionary of the fields of a state that are no attribute and no date of an event.
    """

    aggregate: Aggregate
    lists: tuple[ItemList | MembershipList, ...]
    terms: tuple[str, ...]
    date_field: str | None
    more_fields: type | None

    @cached_property
    def by_name(self) -> dict[str, ItemList | MembershipList]:
        """The lists inside a state, by name."""
        return {each.name: each for each in self.lists}

    @cached_property
    def item_lists(self) -> tuple[ItemList, ...]:
        """The lists inside a state whose items are rows."""
        return tuple(each for each in self.lists if isinstance(each, ItemList))

    @cached_property
    def membership_lists(self) -> tuple[MembershipList, ...]:
        """The lists inside a state whose items are memberships."""
        return tuple(each for each in self.lists if isinstance(each, MembershipList))


def subject_view(
    aggregate: Aggregate,
    *,
    filters: tuple[Filter, ...],
    lists: tuple[ItemList | MembershipList, ...] = (),
    terms: tuple[str, ...] = (),
    date_field: str | None = None,
    more_fields: type | None = None,
    more_parts: tuple[Part, ...] = (),
    follows_memberships: bool = False,
    has_memberships: bool = False,
    passages: bool = False,
) -> SubjectView:
    """Return the view of a collection, sorted by subject, name, or date.

    `more_parts` are canonical rows beside states and list items. A list that is a view of its own has them there.
    `follows_memberships`: the state of a subject follows from its memberships.
    `has_memberships`: the digest covers the memberships in its subjects, too.
    `passages`: the digest covers citations and texts of documents, too.
    """
    own = tuple(each for each in lists if isinstance(each, ItemList) and not each.is_view)
    parts = (
        canonical_rows.subject_states(aggregate, has_terms=bool(terms)),
        *([canonical_rows.list_items(own)] if own else []),
        *more_parts,
    )
    passing = frozenset((MEMBERSHIPS.name,) if follows_memberships else ())
    memberships = (MEMBERSHIPS.name,) if has_memberships else ()
    scope = Scope(
        frozenset((aggregate.collection,)),
        frozenset((SUBJECT_STATES.name, *(each.name for each in own), *memberships)) | passing,
        by_subject=not passages,
        passages=passages,
        passing=passing,
    )
    return SubjectView(
        name=aggregate.collection,
        filters=filters,
        sorts=("subject", aggregate.name_field, *(() if date_field is None else (date_field,))),
        digest=Digest(parts, scope),
        aggregate=aggregate,
        lists=lists,
        terms=terms,
        date_field=date_field,
        more_fields=more_fields,
    )
