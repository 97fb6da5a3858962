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
    "armed-group",
    "person",
    "other",
]


class Identifier(Record):
    """An identifier of a party, unique within its scheme."""

    scheme: Scheme = Field(description="The register that gave it, such as `lei`, `ror`, `wikidata` or `uscc`.")
    value: Label = Field(description="The identifier within that scheme.")


class PartyRegistered(Data):
    """A party is put on record. `occurred` is the day on which it came about; without it, it has existed always."""

    name: Text = Field(description="The name it goes by.")
    kind: PartyKind = Field(description="What kind of party it is.")
    other_names: Texts | None = Field(None, description="Further names, such as acronyms and translations.")
    identifiers: Annotated[tuple[Identifier, ...], Field(max_length=1000)] | None = Field(
        None, description="Its identifiers in other registers."
    )
    jurisdiction: Jurisdiction | None = Field(
        None, description="The country or region under whose law it stands (ISO 3166)."
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


class PartyMerged(Data):
    """A party was recorded twice: both subjects are one party. It is not a merger of companies."""

    into: Party = Field(description="The subject that answers for both.")


class PartyDissolved(Data):
    """A party ends. Its memberships end on that day."""

    successors: Parties | None = Field(None, description="The parties that succeed it.")


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
