"""Lists inside a state: what each declares of itself, and how its items become rows.

The items of a list are rows of their own, each folded from its own few facts, so that a post costs what its own item
costs. The memberships of a subject are a list, too; their rows are folded elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NotRequired, get_args

import orjson
from pydantic import Field
from typing_extensions import TypedDict, get_type_hints

from domain.agreement import Signatory
from domain.catalogue import CATALOGUE
from domain.corrections import Fact
from domain.edtf import AFTER, BEFORE, span_of
from domain.list_items import STATUS_ORDER, ItemPeriod, simple_periods
from domain.membership import MEMBERSHIP_STATUSES, Lifespan
from domain.payload import Record
from domain.platform import MemberJoined
from domain.subject_state import StatePeriod
from domain.values import Edtf, Party, Percent, Reference, Text
from projections.engine.answer_fields import EventType, Occurred, Positions, SubjectName
from projections.engine.buffer import Row
from projections.engine.row_codecs import possible_statuses_mask

FORMER = "former:"
"""The beginning of the keys of items that are derived from the states of their subject, as former names are."""


@dataclass(frozen=True)
class ItemType:
    """What the items of a list are. Their schema and their columns follow from it.

    `fields` is the typed dictionary of their own fields, in the order of the columns. A field without a sentence takes
    that of the field of the same name in the first of `records` that has one.
    `statuses` are their statuses, in order; empty where they have none.
    `span` is the typed dictionary of the fields that are shown after the status.
    `omits_none`: a field that is None is left out, else it is shown as null.
    """

    fields: type
    statuses: tuple[str, ...] = ()
    span: type | None = None
    records: tuple[type[Record], ...] = ()
    omits_none: bool = False

    @cached_property
    def references(self) -> tuple[str, ...]:
        """The fields that name other subjects."""
        return tuple(name for name, annotation in get_type_hints(self.fields).items() if _is_reference(annotation))


def _is_reference(annotation: object) -> bool:
    """Return whether the values of an annotation are references, or lists of them."""
    return annotation is Reference or any(map(_is_reference, get_args(annotation)))


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
    """

    name: str
    number: int
    item: ItemType
    keys: Callable[[Fact], Iterable[str]]
    fold: Callable[[Sequence[Fact], str, Lifespan], list[Item]]
    tag: Callable[[str], str] | None = None
    is_joint: bool = False
    derive: Callable[[Sequence[Fact], Sequence[StatePeriod]], dict[str, list[Item]]] | None = None
    is_view: bool = False
    terms: Terms | None = None


_Step = TypedDict(  # in this form for the keyword `with`
    "_Step",
    {
        "type": EventType,
        "occurred": Occurred,
        "effective": NotRequired[Annotated[Edtf, Field(description="When it took effect.")]],
        "instrument": NotRequired[Annotated[str, Field(description="The instrument by which the party consented.")]],
        "territory": NotRequired[Annotated[Text, Field(description="Of a consent: the territory it extends to.")]],
        "place": NotRequired[Annotated[Text, Field(description="Of a signature: where it was signed.")]],
        "with": NotRequired[
            Annotated[
                list[Reference],
                Field(description="Of an entry into force: the parties with which alone it is in force."),
            ]
        ],
        "category": NotRequired[
            Annotated[Text, Field(description="Of a change of category: the category from then on.")]
        ],
        "events": Positions,
    },
)


class Step(_Step):
    """A step of a membership: an event that it depends on."""


_Span = TypedDict(  # in this form for the keyword `from`
    "_Span",
    {
        "from": Annotated[Edtf | None, Field(description="When the membership began.")],
        "to": Annotated[Edtf | None, Field(description="When the membership ended.")],
    },
)


class MembershipSpan(_Span):
    """When a membership began and ended."""


class MembershipSteps(MembershipSpan):
    """When a membership began and ended, and the events that it rests on."""

    steps: Annotated[list[Step], Field(description="The events of the party, in order.")]


Role = Annotated[Text, Field(description="The role in which it signed; of several the first.")]
Roles = Annotated[list[Text], Field(description="Every role in which it signed, if there are several.")]


class FounderItem(TypedDict):
    """A founder of a lab."""

    subject: Annotated[Party, Field(description="The party.")]
    name: SubjectName


class MemberItem(TypedDict):
    """A member of a platform."""

    party: Reference
    category: Text | None


class AgreementPartyItem(TypedDict):
    """A party to an agreement, with each of its steps."""

    party: Reference
    role: NotRequired[Role]
    roles: NotRequired[Roles]


class OwnerItem(TypedDict):
    """A party that owns the party, whole or in part."""

    party: Reference
    share: NotRequired[Annotated[Percent, Field(description="The share of the owner in per cent.")]]


class OwnedItem(TypedDict):
    """A party that the party owns, whole or in part."""

    party: Reference
    share: NotRequired[Annotated[Percent, Field(description="The share of the owner in per cent.")]]


@dataclass(frozen=True, kw_only=True, eq=False)
class MembershipList:
    """A list inside a state whose items are the memberships of its subject.

    `fields` is the typed dictionary of the fields of an item, `statuses` are its statuses.
    `is_inline`: an item is the reference to the party itself, with the fields of the membership.
    `is_current`: memberships that have ended on the day are left out.
    `is_of_member`: the items are the memberships of the subject itself in other parties, which it owns.
    """

    name: str
    fields: type
    statuses: tuple[str, ...] = MEMBERSHIP_STATUSES
    has_category: bool = False
    has_steps: bool = False
    is_inline: bool = False
    is_current: bool = False
    is_of_member: bool = False

    @property
    def own(self) -> str:
        """The column of the subject whose state has the list."""
        return "party" if self.is_of_member else "container"

    @property
    def other(self) -> str:
        """The column of the other subject."""
        return "container" if self.is_of_member else "party"

    def condition(self, table: str) -> str:
        """Return the condition, in SQL, of the memberships in the list, with a place for the number of the subject."""
        among = f" AND {table}.container_name > 'parties/' AND {table}.container_name < 'parties0'"
        return f"{table}.{self.own} = {{}}{among if self.is_of_member else ''}"

    @property
    def item(self) -> ItemType:
        """The type of its items."""
        span = MembershipSteps if self.has_steps else MembershipSpan
        return ItemType(self.fields, self.statuses, span, (MemberJoined, Signatory))


def simple_list(
    name: str,
    number: int,
    items: Mapping[str, Callable[[Fact], Mapping[str, Mapping[str, Any]]]],
    *,
    item: type,
    derive: Callable[[Sequence[Fact], Sequence[StatePeriod]], dict[str, list[Item]]] | None = None,
    terms: Terms | None = None,
) -> ItemList:
    """Return a list whose items come with one fact and stay; `items` returns, by type, the fields of each by key."""

    def keys(fact: Fact) -> Iterable[str]:
        return items[fact.type](fact) if fact.type in items else ()

    def fold(facts: Sequence[Fact], key: str, lifespan: Lifespan) -> list[Item]:
        (fact,) = facts
        value = items[fact.type](fact).get(key)
        if value is None:
            return []
        label = f"{fact.span.sort_key[0]:07} {fact.source} {fact.id} {int(key.rpartition(':')[2]):04}"
        return [Item(period, fact, label) for period in simple_periods(fact, value, lifespan)]

    return ItemList(
        name=name,
        number=number,
        item=ItemType(item, records=tuple(CATALOGUE[type_].data for type_ in items), omits_none=True),
        keys=keys,
        fold=fold,
        derive=derive,
        terms=terms,
    )


def opened_list(
    name: str,
    number: int,
    *,
    item: type,
    statuses: tuple[str, ...],
    opening: str,
    changed_by: tuple[str, ...],
    keys: Callable[[Fact], Iterable[str]],
    periods: Callable[[Fact, Sequence[Fact], Lifespan], list[ItemPeriod]],
    label: Callable[[Fact, str], str] = lambda _, key: key,
    is_view: bool = False,
    terms: Terms | None = None,
) -> ItemList:
    """Return a list whose items are opened by facts of one type and changed by those of others.

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
        item=ItemType(
            item, statuses, records=tuple(CATALOGUE[each].data for each in (opening, *changed_by)), omits_none=True
        ),
        keys=keys,
        fold=fold,
        tag=lambda key: key,
        is_view=is_view,
        terms=terms,
    )


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
