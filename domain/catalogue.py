"""Every event that can ever be recorded: the shape of its data, frozen, and what taking it in means.

The catalogue is closed: a type that is not here is refused, and nothing is ever imported by a name found in a store.
A type's rank, its place in the catalogue, settles the order of facts on the same days for ever; append, never reorder.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, get_origin

from pydantic import Field, WithJsonSchema, model_validator

from domain.edtf import parse_edtf
from domain.payload import Count, Data, Passages, Record, flawed
from domain.values import (
    MAX_INTEGER,
    MAX_ITEMS,
    SLUG,
    Agreement,
    Currency,
    Decimal,
    Duration,
    Edtf,
    Json,
    Jurisdiction,
    Label,
    Language,
    MediaType,
    Party,
    Pointer,
    Scheme,
    Sha256,
    Slug,
    Text,
    Url,
)

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
AgreementKind = Literal["framework", "contract", "investment", "cooperation", "memorandum", "treaty", "other"]
CommitmentKind = Literal["facility", "investment", "research", "talent", "target", "other"]
CommitmentStatus = Literal["planned", "in-progress", "fulfilled", "cancelled"]

Position = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
Terms = Annotated[tuple[Text, ...], Field(max_length=1000)]
Texts = Annotated[tuple[Text, ...], Field(max_length=1000)]
Parties = Annotated[tuple[Party, ...], Field(max_length=MAX_ITEMS)]


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


class Described(Data):
    """The describing fields of an agreement."""

    under: Agreement | None = None
    scope: Terms | None = None
    place: Text | None = None
    summary: Text | None = None
    until: Edtf | None = None


class AgreementAdopted(Described):
    title: Text
    kind: AgreementKind


class Signatory(Record):
    party: Party
    role: Text | None = None


class AgreementSigned(Described):
    parties: Annotated[tuple[Signatory, ...], Field(min_length=1, max_length=MAX_ITEMS)]
    title: Text | None = None
    kind: AgreementKind | None = None

    @model_validator(mode="after")
    def _distinct(self) -> AgreementSigned:
        if len({signatory.party for signatory in self.parties}) < len(self.parties):
            raise flawed("/parties", "a party signs once in one event")
        return self


class AgreementRatified(Data):
    party: Party
    instrument: Literal["ratification", "acceptance", "approval"] | None = None


class AgreementAcceded(Data):
    party: Party
    instrument: Literal["accession", "succession", "continued-application"] | None = None


class OfParty(Data):
    """A step of one party, or of the agreement itself where `party` is absent."""

    party: Party | None = None


class AgreementAmended(Data):
    summary: Text
    title: Text | None = None
    scope_added: Terms | None = None
    scope_removed: Terms | None = None
    until: Edtf | None = None
    by: Agreement | None = None


class AgreementRenewed(Data):
    until: Edtf | None = None


class TakesEffect(Data):
    """`occurred` is the notice; it takes effect on `effective`, by default the same day."""

    effective: Edtf | None = None


class AgreementWithdrawn(TakesEffect):
    party: Party


class AgreementTerminated(TakesEffect):
    reason: Literal["expired", "completed", "terminated", "superseded"]
    superseded_by: Agreement | None = None


class DeclarationMade(Data):
    party: Party
    kind: Literal["reservation", "declaration", "objection"]
    text: Text
    provision: Text | None = None


class DeclarationWithdrawn(Data):
    event: Position


class Amount(Record):
    value: Decimal
    currency: Currency


class CommitmentMade(Data):
    commitment: Slug
    kind: CommitmentKind
    title: Text
    by: Parties | None = None
    with_: Annotated[Parties | None, Field(alias="with")] = None
    place: Text | None = None
    due: Edtf | None = None
    amount: Amount | None = None


class CommitmentUpdated(Data):
    commitment: Slug
    status: CommitmentStatus


class Phase(Record):
    phase: Slug
    title: Text | None = None
    duration: Duration | None = None
    after: Annotated[tuple[Slug, ...], Field(max_length=1000)] | None = None


class LabFounded(Data):
    name: Text
    founders: Annotated[tuple[Party, ...], Field(min_length=1, max_length=MAX_ITEMS)]
    under: Agreement | None = None
    place: Text | None = None
    fields: Terms | None = None
    phases: Annotated[tuple[Phase, ...], Field(max_length=1000)] | None = None

    @model_validator(mode="after")
    def _phased(self) -> LabFounded:
        if len(set(self.founders)) < len(self.founders):
            raise flawed("/founders", "a party founds a lab once")
        after = {phase.phase: set(phase.after or ()) for phase in self.phases or ()}
        if len(after) < len(self.phases or ()):
            raise flawed("/phases", "a phase is named once")
        for index, phase in enumerate(self.phases or ()):
            if missing := sorted(after[phase.phase] - set(after)):
                raise flawed(f"/phases/{index}/after", f"{', '.join(missing)} is none of the phases")
        while after:
            ready = {phase for phase, waits in after.items() if not waits & set(after)}
            if not ready:
                raise flawed("/phases", "phases wait for each other in a circle")
            for name in ready:
                del after[name]
        return self


class LabOpened(Data):
    pass


class OfPhase(Data):
    phase: Slug


class Vacancies(Record):
    min: Count | None = None
    max: Count | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Vacancies:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise flawed("/min", "min is no more than max")
        return self


class RecruitmentOpened(Data):
    call: Slug
    role: Text
    positions: Vacancies | None = None
    fields: Terms | None = None
    place: Text | None = None


class RecruitmentClosed(Data):
    call: Slug
    hired: Count | None = None


class LabClosed(Data):
    pass


class PlatformLaunched(Data):
    name: Text
    place: Text | None = None
    purpose: Text | None = None
    directions: Texts | None = None
    convened_by: Parties | None = None
    target: Text | None = None
    target_date: Edtf | None = None


class MemberJoined(Data):
    party: Party
    category: Text | None = None


class MemberLeft(Data):
    party: Party


class SupporterAdded(Data):
    party: Party
    support: Literal["political", "research", "funding", "other"] | None = None


class DocumentAdopted(Data):
    title: Text
    kind: Literal["charter", "rules", "structure", "strategy", "other"]


class PlatformDissolved(Data):
    pass


class Original(Record):
    sha256: Sha256
    media_type: MediaType


class DocumentRegistered(Data):
    title: Text
    sha256: Sha256
    publisher: Text | None = None
    language: Language | None = None
    published: Edtf | None = None
    url: Url | None = None
    original: Original | None = None


class EvidenceAdded(Data):
    event: Position
    evidence: Annotated[Passages, Field(min_length=1)]


class EventCorrected(Data):
    NULLABLE = frozenset(("occurred",))

    event: Position
    reason: Text
    data: dict[str, Json] | None = None
    occurred: Annotated[Edtf | None, WithJsonSchema({"type": ["string", "null"], "title": "EDTF date"})] = None

    @model_validator(mode="after")
    def _corrects(self) -> EventCorrected:
        if self.data is None and "occurred" not in self.model_fields_set:
            raise flawed("", "a correction gives data, occurred or both")
        return self


class EventRetracted(Data):
    event: Position
    reason: Text


class Claim(Record):
    NULLABLE = frozenset(("value",))

    pointer: Pointer
    value: Json

    @model_validator(mode="after")
    def _within(self) -> Claim:
        if self.pointer != "/occurred" and not self.pointer.startswith("/data/"):
            raise flawed("/pointer", "a claim points to /occurred or into /data/")
        if self.pointer == "/occurred" and self.value is not None:
            if not isinstance(self.value, str):
                raise flawed("/value", "a claimed date is a string or null")
            try:
                parse_edtf(self.value)
            except ValueError as error:
                raise flawed("/value", f"a claimed date is an EDTF date or null: {error}") from None
        return self


class EventDisputed(Data):
    event: Position
    claims: Annotated[tuple[Claim, ...], Field(min_length=1, max_length=100)]
    evidence: Annotated[Passages, Field(min_length=1)]


class EventRedacted(Data):
    event: Position
    reason: Text


class OfText(Data):
    sha256: Sha256
    characters: Count


class Creates(StrEnum):
    """How an event brings its subject into being."""

    NEVER = "never"
    ONCE = "once"
    AGAIN = "again"


@dataclass(frozen=True)
class EventType:
    """One row of the catalogue.

    `collection` is None for events about events, which any subject may carry. `shape` is the version of the data's
    shape, the `v` of the log entry.
    """

    name: str
    data: type[Data]
    collection: str | None
    rank: int
    creates: Creates = Creates.NEVER
    ends: bool = False
    shape: int = 1

    @cached_property
    def about_event(self) -> bool:
        """Whether it speaks of another event instead of the world."""
        return self.collection is None

    @cached_property
    def is_creating(self) -> bool:
        """Whether it may bring its subject into being."""
        return self.creates is not Creates.NEVER

    @cached_property
    def is_posted(self) -> bool:
        """Whether clients post it; the registry itself records the others, which state no fact about the world."""
        return self.data is not OfText

    @property
    def nothing(self) -> Data:
        """What is left of the data once it is erased: every field unknown, every required list empty."""
        left: dict[str, Any] = {
            name: () if field.is_required() and get_origin(field.annotation) is tuple else None
            for name, field in self.data.model_fields.items()
        }
        return self.data.model_construct(set(), **left)


_ROWS: tuple[tuple[str, type[Data], str | None, Creates, bool], ...] = (
    ("party.registered", PartyRegistered, "parties", Creates.ONCE, False),
    ("document.registered", DocumentRegistered, "documents", Creates.ONCE, False),
    ("lab.founded", LabFounded, "labs", Creates.ONCE, False),
    ("platform.launched", PlatformLaunched, "platforms", Creates.ONCE, False),
    ("agreement.adopted", AgreementAdopted, "agreements", Creates.AGAIN, False),
    ("agreement.signed", AgreementSigned, "agreements", Creates.AGAIN, False),
    ("party.renamed", PartyRenamed, "parties", Creates.NEVER, False),
    ("party.name-added", PartyNameAdded, "parties", Creates.NEVER, False),
    ("party.identified", PartyIdentified, "parties", Creates.NEVER, False),
    ("party.reorganized", PartyReorganized, "parties", Creates.NEVER, False),
    ("party.merged", PartyMerged, "parties", Creates.NEVER, False),
    ("agreement.ratified", AgreementRatified, "agreements", Creates.NEVER, False),
    ("agreement.acceded", AgreementAcceded, "agreements", Creates.NEVER, False),
    ("agreement.provisionally-applied", OfParty, "agreements", Creates.NEVER, False),
    ("agreement.entered-into-force", OfParty, "agreements", Creates.NEVER, False),
    ("agreement.amended", AgreementAmended, "agreements", Creates.NEVER, False),
    ("agreement.renewed", AgreementRenewed, "agreements", Creates.NEVER, False),
    ("agreement.suspended", OfParty, "agreements", Creates.NEVER, False),
    ("agreement.resumed", OfParty, "agreements", Creates.NEVER, False),
    ("agreement.withdrawn", AgreementWithdrawn, "agreements", Creates.NEVER, False),
    ("agreement.declaration-made", DeclarationMade, "agreements", Creates.NEVER, False),
    ("agreement.declaration-withdrawn", DeclarationWithdrawn, "agreements", Creates.NEVER, False),
    ("agreement.commitment-made", CommitmentMade, "agreements", Creates.NEVER, False),
    ("agreement.commitment-updated", CommitmentUpdated, "agreements", Creates.NEVER, False),
    ("lab.opened", LabOpened, "labs", Creates.NEVER, False),
    ("lab.phase-started", OfPhase, "labs", Creates.NEVER, False),
    ("lab.phase-completed", OfPhase, "labs", Creates.NEVER, False),
    ("lab.recruitment-opened", RecruitmentOpened, "labs", Creates.NEVER, False),
    ("lab.recruitment-closed", RecruitmentClosed, "labs", Creates.NEVER, False),
    ("platform.member-joined", MemberJoined, "platforms", Creates.NEVER, False),
    ("platform.member-left", MemberLeft, "platforms", Creates.NEVER, False),
    ("platform.supporter-added", SupporterAdded, "platforms", Creates.NEVER, False),
    ("platform.document-adopted", DocumentAdopted, "platforms", Creates.NEVER, False),
    ("agreement.terminated", AgreementTerminated, "agreements", Creates.NEVER, True),
    ("lab.closed", LabClosed, "labs", Creates.NEVER, True),
    ("platform.dissolved", PlatformDissolved, "platforms", Creates.NEVER, True),
    ("party.dissolved", PartyDissolved, "parties", Creates.NEVER, True),
    ("evidence.added", EvidenceAdded, None, Creates.NEVER, False),
    ("event.corrected", EventCorrected, None, Creates.NEVER, False),
    ("event.retracted", EventRetracted, None, Creates.NEVER, False),
    ("event.disputed", EventDisputed, None, Creates.NEVER, False),
    ("event.redacted", EventRedacted, None, Creates.NEVER, False),
    ("document.text-stored", OfText, "documents", Creates.NEVER, False),
    ("document.text-erased", OfText, "documents", Creates.NEVER, False),
)

CATALOGUE: dict[str, EventType] = {
    name: EventType(name, data, collection, rank, creates, ends)
    for rank, (name, data, collection, creates, ends) in enumerate(_ROWS)
}
