"""Parties: the data of their events, and what each event does to a party."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from domain.event_type import Aggregate, Creates, EventType
from domain.payload import Data, Parties, Record, Texts
from domain.values import SLUG, Jurisdiction, Label, Party, Scheme, Text

PartyKind = Literal[
    "company",
    "state",
    "government",
    "public-body",
    "research-institute",
    "university",
    "association",
    "international-organization",
    "person",
    "other",
]


class Identifier(Record):
    scheme: Scheme
    value: Label


class PartyRegistered(Data):
    name: Text
    kind: PartyKind
    other_names: Texts | None = None
    identifiers: Annotated[tuple[Identifier, ...], Field(max_length=1000)] | None = None
    jurisdiction: Jurisdiction | None = None
    part_of: Party | None = None


class PartyRenamed(Data):
    name: Text


class PartyNameAdded(Data):
    name: Text


class PartyIdentified(Data):
    scheme: Scheme
    value: Label


class PartyReorganized(Data):
    NULLABLE = frozenset(("part_of",))

    part_of: Annotated[Party | None, WithJsonSchema({"type": ["string", "null"], "pattern": f"^parties/{SLUG}$"})]


class PartyMerged(Data):
    into: Party


class PartyDissolved(Data):
    successors: Parties | None = None


PARTY = Aggregate(
    collection="parties",
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
        ),
        EventType(name="party.renamed", data=PartyRenamed, collection="parties", rank=6, attributes=("name",)),
        EventType(name="party.name-added", data=PartyNameAdded, collection="parties", rank=7),
        EventType(name="party.identified", data=PartyIdentified, collection="parties", rank=8),
        EventType(
            name="party.reorganized",
            data=PartyReorganized,
            collection="parties",
            rank=9,
            attributes=("part_of",),
            cleared_if_absent="part_of",
        ),
        EventType(name="party.merged", data=PartyMerged, collection="parties", rank=10),
        EventType(
            name="party.dissolved",
            data=PartyDissolved,
            collection="parties",
            rank=36,
            ends=True,
            status="dissolved",
            date_field="dissolved",
            attributes=("successors",),
        ),
    ),
)
