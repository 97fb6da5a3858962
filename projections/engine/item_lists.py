"""Lists inside a state: what each declares of itself, and how its items become rows.

The items of a list are rows of their own, each folded from its own few facts, so that a post costs what its own item
costs. The memberships of a subject are a list, too; their rows are folded elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from domain.corrections import Fact
from domain.edtf import AFTER, BEFORE, span_of
from domain.list_items import STATUS_ORDER, ItemPeriod, simple_periods
from domain.membership import Lifespan
from domain.subject_state import StatePeriod
from projections.engine.buffer import Row
from projections.engine.row_codecs import possible_statuses_mask

FORMER = "former:"
"""The beginning of the keys of items that are derived from the states of their subject, as former names are."""


@dataclass(frozen=True, slots=True)
class Item:
    """An item over a period, the fact that opened it, and its place in its list."""

    period: ItemPeriod
    opening: Fact
    label: str


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms that an item is found by: their kind, and their values in an item, which may name subjects."""

    kind: str
    values: Callable[[Mapping[str, Any]], Iterable[str]]
    are_subjects: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class ItemList:
    """A list inside a state whose items are rows.

    `number` names the list in rows, and its bit in what a subject holds; no two lists share one.
    `keys` returns the keys of the items that a fact creates or changes.
    `fold` returns the periods of an item from its facts, in the order of folding, and its key.
    `tag` returns, from the key, the tag of these facts; None where an item rests on the one fact that created it.
    `is_joint`: the items depend on each other, and a fact that changes one changes all.
    `derive` returns further items by key, from the facts that describe a subject and its states.
    `is_view`: the items of all subjects are a list of their own, sorted by subject, too.
    `references` are the fields that name other subjects.
    """

    name: str
    number: int
    keys: Callable[[Fact], Iterable[str]]
    fold: Callable[[Sequence[Fact], str, Lifespan], list[Item]]
    tag: Callable[[str], str] | None = None
    is_joint: bool = False
    derive: Callable[[Sequence[Fact], Sequence[StatePeriod]], dict[str, list[Item]]] | None = None
    is_view: bool = False
    terms: Terms | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class MembershipList:
    """A list inside a state whose items are the memberships of its subject.

    `is_inline`: an item is the reference to the party itself, with what is said of the membership.
    `is_current`: memberships that have ended on the day are left out.
    """

    name: str
    has_category: bool = False
    has_steps: bool = False
    is_inline: bool = False
    is_current: bool = False


def simple_list(
    name: str,
    number: int,
    items: Mapping[str, Callable[[Fact], dict[str, dict[str, Any]]]],
    *,
    derive: Callable[[Sequence[Fact], Sequence[StatePeriod]], dict[str, list[Item]]] | None = None,
    terms: Terms | None = None,
    references: tuple[str, ...] = (),
) -> ItemList:
    """Return a list whose items come with one fact and stay; `items` returns, by type, the values of a fact by key."""

    def keys(fact: Fact) -> Iterable[str]:
        return items[fact.type](fact) if fact.type in items else ()

    def fold(facts: Sequence[Fact], key: str, lifespan: Lifespan) -> list[Item]:
        (fact,) = facts
        value = items[fact.type](fact).get(key)
        if value is None:
            return []
        label = f"{fact.span.sort_key[0]:07} {fact.source} {fact.id} {int(key.rpartition(':')[2]):04}"
        return [Item(period, fact, label) for period in simple_periods(fact, value, lifespan)]

    return ItemList(name=name, number=number, keys=keys, fold=fold, derive=derive, terms=terms, references=references)


def opened_list(
    name: str,
    number: int,
    *,
    opening: str,
    keys: Callable[[Fact], Iterable[str]],
    periods: Callable[[Fact, Sequence[Fact], Lifespan], list[ItemPeriod]],
    label: Callable[[Fact, str], str] = lambda _, key: key,
    is_view: bool = False,
    terms: Terms | None = None,
    references: tuple[str, ...] = (),
) -> ItemList:
    """Return a list whose items are opened by facts of one type and changed by others.

    `periods` returns the periods of an item from its opening and its other facts. `label` sorts items of one day.
    """

    def fold(facts: Sequence[Fact], key: str, lifespan: Lifespan) -> list[Item]:
        openings = [fact for fact in facts if fact.type == opening]
        if not openings:
            return []
        first = openings[0]
        place = f"{first.span.sort_key[0]:07} {label(first, key)}"
        others = [fact for fact in facts if fact.type != opening]
        return [Item(period, first, place) for period in periods(first, others, lifespan)]

    return ItemList(
        name=name,
        number=number,
        keys=keys,
        fold=fold,
        tag=lambda key: key,
        is_view=is_view,
        terms=terms,
        references=references,
    )


def dated(fact: Fact, **fields: Any) -> dict[str, Any]:
    """Return the fields that have a value, and when the fact occurred."""
    present = {name: value for name, value in fields.items() if value is not None}
    return {**present, "occurred": fact.occurred} if fact.occurred is not None else present


def list_item_row(items: ItemList, subject: str, item: Item) -> Row:
    """Return the columns of an item's row after its subject, list and key."""
    period = item.period
    return (
        period.valid_from,
        period.valid_to,
        int(period.is_final_period),
        STATUS_ORDER.index(period.status) if period.status is not None else None,
        possible_statuses_mask(period.statuses, STATUS_ORDER),
        int(period.is_certain),
        possible_statuses_mask(period.final_statuses, STATUS_ORDER),
        period.value.get("kind"),
        _due(period.value["due"]) if "due" in period.value else AFTER,
        item.opening.span.sort_key[0],
        f"{subject} {item.label}" if items.is_view else item.label,
        orjson.dumps(period.value),
    )


def _due(text: str) -> int:
    """Return the day by which something is due: the earliest that it may mean, or else the latest."""
    lo, hi = span_of(text)
    return lo if lo != BEFORE else hi
