"""Parties: the data of their events, what each event does to a party, and what contradicts a party."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import Field, WithJsonSchema

from domain.edtf import AFTER, BEFORE
from domain.errors import MOST_NAMED, Conflict, Contradiction
from domain.event_type import Aggregate, Creates, EventType, Example
from domain.payload import Data, Parties, Record, Texts
from domain.values import SLUG, Jurisdiction, Label, Party, Percent, Scheme, Text

if TYPE_CHECKING:  # the catalogue, on which these depend, is built from this module
    from domain.corrections import Fact
    from domain.history import History

_LONGEST_CHAIN = 10_000
T = TypeVar("T", bound=Hashable)

PartyKind = Literal[
    "company",
    "state",
    "government",
    "public-body",
    "research-institute",
    "university",
    "association",
    "international-organization",
    "armed-group",
    "person",
    "other",
]


class Identifier(Record):
    """An identifier of a party, unique within its scheme."""

    scheme: Scheme = Field(description="The register that gave it, such as `lei`, `ror`, `wikidata` or `uscc`.")
    value: Label = Field(description="The identifier within that scheme.")


class PartyRegistered(Data):
    """A party is put on record. `occurred` is the day of its creation; without it, it has existed always."""

    name: Text = Field(description="The name it goes by.")
    kind: PartyKind = Field(description="What kind of party it is.")
    other_names: Texts | None = Field(None, description="Further names, such as acronyms and translations.")
    identifiers: Annotated[tuple[Identifier, ...], Field(max_length=1000)] | None = Field(
        None, description="Its identifiers in other registers."
    )
    jurisdiction: Jurisdiction | None = Field(
        None, description="The country or region under whose law it exists (ISO 3166)."
    )
    part_of: Party | None = Field(None, description="The party that it is part of.")


class PartyRenamed(Data):
    """A party goes by another name from that day on."""

    name: Text = Field(description="The new name. The old one is still found.")


class PartyNameAdded(Data):
    """A further name of a party becomes known."""

    name: Text = Field(description="The further name.")


class PartyIdentified(Data):
    """An identifier of a party becomes known."""

    scheme: Scheme = Field(description="The register that gave it, such as `lei`, `ror`, `wikidata` or `uscc`.")
    value: Label = Field(description="The identifier within that scheme.")


class PartyReorganized(Data):
    """A party becomes part of another one, or of none."""

    NULLABLE = frozenset(("part_of",))

    part_of: Annotated[Party | None, WithJsonSchema({"type": ["string", "null"], "pattern": f"^parties/{SLUG}$"})] = (
        Field(description="The party that it is part of from that day on; null for none.")
    )


class OwnerAdded(Data):
    """A party comes to own another one, whole or in part, beside or instead of one that it is part of."""

    owner: Party = Field(description="The party that owns it.")
    share: Percent | None = Field(None, description="The share of the owner in per cent, as a decimal string.")


class OwnerRemoved(Data):
    """A party no longer owns another one."""

    owner: Party = Field(description="The party that owned it.")


class PartyMerged(Data):
    """A party was recorded twice: both subjects are one party. It is not a merger of companies."""

    into: Party = Field(description="The subject that answers for both.")


class PartyReestablished(Data):
    """A dissolved party exists again from that day on. Its earlier memberships stay ended."""


class PartyDissolved(Data):
    """A party ends. Its memberships end on that day."""

    successors: Parties | None = Field(None, description="The parties that succeed it, none of them itself.")


PARTY = Aggregate(
    collection="parties",
    description="A party: a company, a state, an institute, a person, or another that agrees to something.",
    statuses=("registered", "dissolved"),
    name_field="name",
    events=(
        EventType(
            name="party.registered",
            data=PartyRegistered,
            collection="parties",
            rank=0,
            creates=Creates.ONCE,
            status="registered",
            date_field="founded",
            attributes=("name", "kind", "jurisdiction", "part_of"),
            example=Example(
                "parties/north-harbour",
                {"name": {"en": "North Harbour Company"}, "kind": "company", "jurisdiction": "SE"},
                "1998-03-01",
            ),
        ),
        EventType(
            name="party.renamed",
            data=PartyRenamed,
            collection="parties",
            rank=6,
            attributes=("name",),
            example=Example("parties/north-harbour", {"name": {"en": "North Harbour Group"}}, "2005-01-01"),
        ),
        EventType(
            name="party.name-added",
            data=PartyNameAdded,
            collection="parties",
            rank=7,
            example=Example("parties/north-harbour", {"name": "NHG"}),
        ),
        EventType(
            name="party.identified",
            data=PartyIdentified,
            collection="parties",
            rank=8,
            example=Example("parties/north-harbour", {"scheme": "se-orgnr", "value": "556000-0001"}),
        ),
        EventType(
            name="party.reorganized",
            data=PartyReorganized,
            collection="parties",
            rank=9,
            attributes=("part_of",),
            cleared_if_absent="part_of",
            example=Example("parties/north-harbour", {"part_of": "parties/north-holding"}, "2010-06-01"),
        ),
        EventType(
            name="party.merged",
            data=PartyMerged,
            collection="parties",
            rank=10,
            example=Example("parties/old-harbour", {"into": "parties/north-harbour"}, "2003-07-01"),
        ),
        EventType(
            name="party.dissolved",
            data=PartyDissolved,
            collection="parties",
            rank=36,
            ends=True,
            status="dissolved",
            date_field="dissolved",
            attributes=("successors",),
            agreement_wide=True,
            example=Example("parties/quay-office", {"successors": ["parties/north-harbour"]}, "2015-12-31"),
        ),
        EventType(
            name="party.owner-added",
            data=OwnerAdded,
            collection="parties",
            rank=45,
            example=Example("parties/north-harbour", {"owner": "parties/north-holding", "share": "51"}, "2012-01-01"),
        ),
        EventType(
            name="party.owner-removed",
            data=OwnerRemoved,
            collection="parties",
            rank=46,
            example=Example("parties/north-harbour", {"owner": "parties/north-holding"}, "2020-05-01"),
        ),
        EventType(
            name="party.re-established",
            data=PartyReestablished,
            collection="parties",
            rank=47,
            reinstates=True,
            status="re-established",
            date_field="re_established",
            agreement_wide=True,
            example=Example("parties/quay-office", {}, "2018-01-01"),
        ),
    ),
)


def merger_edges(mergers: Iterable[tuple[T, T, int]]) -> list[tuple[T, T, int]]:
    """Return the edges (merged party, survivor, position) that mergers (party, into, position) add to the clusters of
    parties, in the order of the log. A merger within one cluster adds none.
    """
    survivors: dict[T, T] = {}

    def survivor(party: T) -> T:
        while party in survivors:
            party = survivors[party]
        return party

    edges = []
    for party, into, position in mergers:
        merged, surviving = survivor(party), survivor(into)
        if merged != surviving:
            survivors[merged] = surviving
            edges.append((merged, surviving, position))
    return edges


def check_merger(history: History, party: str, data: PartyMerged) -> None:
    """Raise Contradiction if two parties are merged already."""
    group = history.cluster(party)
    if data.into in group:
        edges = merger_edges(_mergers(history))
        positions = [position for merged, _, position in edges if merged in group]
        raise Contradiction(f"{party} and {data.into} are merged already", positions=positions)


def merger_conflicts(history: History) -> Iterator[Conflict]:
    """Yield conflicts for mergers of parties that are merged without them: mergers in a circle."""
    mergers = _mergers(history)
    needed = {position for *_, position in merger_edges(mergers)}
    for party, _, position in mergers:
        if position not in needed:
            group = history.cluster(party)
            others = [other for merged, _, other in mergers if merged in group]
            yield Conflict(f"{party} would be merged in a circle", (position, *others[:MOST_NAMED]))


def _mergers(history: History) -> list[tuple[str, str, int]]:
    return [(fact.subject, fact.data.into, fact.position) for fact in history.mergers()]  # type: ignore[attr-defined]


def part_of_itself(history: History, party: str) -> Iterator[Conflict]:
    """Yield a conflict if a party would be part of itself, through a chain that holds on some day for certain."""
    start = history.cluster(party)[0]
    pending: list[tuple[str, int, int, tuple[int, ...]]] = [(start, BEFORE, AFTER, ())]
    seen: set[tuple[str, int, int]] = set()
    while pending and len(seen) < _LONGEST_CHAIN:
        member, lo, hi, positions = pending.pop()
        for parent, since, until, by in _certain_parents(history, member):
            first, last = max(lo, since), min(hi, until)
            if first > last:
                continue
            if parent == start:
                yield Conflict(f"{start} would be part of itself", (*positions, *by))
                return
            if (parent, first, last) not in seen:
                seen.add((parent, first, last))
                pending.append((parent, first, last, (*positions, *by)))


def owns_itself(history: History, party: str, changed: Iterable[Fact]) -> Iterator[Conflict]:
    """Yield a conflict if a party would own itself, after some facts about it came or went.

    It may own itself through others: such circles exist.
    """
    if not any(isinstance(fact.data, OwnerAdded | PartyMerged) for fact in changed):
        return
    group = history.cluster(party)
    added = [fact for member in group for fact in history.facts(member, ("party.owner-added",))]
    own = [fact.position for fact in added if fact.data.owner in group]  # type: ignore[attr-defined]
    if own:
        yield Conflict(f"{party} would own itself", tuple(own[:MOST_NAMED]))


def _certain_parents(history: History, party: str) -> list[tuple[str, int, int, tuple[int, ...]]]:
    """Return what a party is part of for certain: (parent, first day, last day, positions)."""
    stated = [fact for member in history.cluster(party) for fact in history.state_facts(member) if _states_parent(fact)]
    found = []
    for fact in stated:
        parent: str | None = fact.data.part_of  # type: ignore[attr-defined]
        if parent is None:
            continue
        lo, hi = (BEFORE, BEFORE) if fact.creates and not fact.is_dated else fact.span
        later = [
            other.span.lo
            for other in stated
            if other is not fact and not other.creates and (other.span.hi, other.order) > (lo, fact.order)
        ]
        until = min(later, default=AFTER + 1) - 1
        if hi <= until:
            found.append((history.cluster(parent)[0], hi, until, fact.positions))
    return found


def _states_parent(fact: Fact) -> bool:
    """Return whether a fact says what its party is part of, or that it is part of none."""
    match fact.data:
        case PartyReorganized():
            return True
        case PartyRegistered(part_of=parent):
            return parent is not None
    return False
