"""Agreements: the data of their events, and what each event does to an agreement."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from domain.commitment import CommitmentMade, CommitmentUpdated
from domain.declaration import DeclarationMade, DeclarationWithdrawn
from domain.event_type import Aggregate, Creates, EventType, TakesEffect
from domain.payload import Data, Record, Terms, flawed
from domain.values import MAX_ITEMS, Agreement, Edtf, Party, Text

AgreementKind = Literal["framework", "contract", "investment", "cooperation", "memorandum", "treaty", "other"]


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


class AgreementWithdrawn(TakesEffect):
    party: Party


class AgreementTerminated(TakesEffect):
    reason: Literal["expired", "completed", "terminated", "superseded"]
    superseded_by: Agreement | None = None


AGREEMENT = Aggregate(
    collection="agreements",
    statuses=("adopted", "signed", "in-force", "suspended", "terminated"),
    name_field="title",
    events=(
        EventType(
            name="agreement.adopted",
            data=AgreementAdopted,
            collection="agreements",
            rank=4,
            creates=Creates.AGAIN,
            status="adopted",
            date_field="adopted",
            attributes=("title", "kind", "under", "scope", "place", "summary", "until"),
        ),
        EventType(
            name="agreement.signed",
            data=AgreementSigned,
            collection="agreements",
            rank=5,
            creates=Creates.AGAIN,
            status="signed",
            attributes=("title", "kind", "under", "scope", "place", "summary", "until"),
        ),
        EventType(name="agreement.ratified", data=AgreementRatified, collection="agreements", rank=11),
        EventType(name="agreement.acceded", data=AgreementAcceded, collection="agreements", rank=12),
        EventType(
            name="agreement.provisionally-applied", data=OfParty, collection="agreements", rank=13, agreement_wide=True
        ),
        EventType(
            name="agreement.entered-into-force",
            data=OfParty,
            collection="agreements",
            rank=14,
            status="in-force",
            date_field="entered_into_force",
            agreement_wide=True,
        ),
        EventType(
            name="agreement.amended",
            data=AgreementAmended,
            collection="agreements",
            rank=15,
            attributes=("title", "until", "scope_added", "scope_removed"),
        ),
        EventType(
            name="agreement.renewed",
            data=AgreementRenewed,
            collection="agreements",
            rank=16,
            attributes=("until",),
            cleared_if_absent="until",
        ),
        EventType(
            name="agreement.suspended",
            data=OfParty,
            collection="agreements",
            rank=17,
            status="suspended",
            agreement_wide=True,
        ),
        EventType(
            name="agreement.resumed",
            data=OfParty,
            collection="agreements",
            rank=18,
            status="resumed",
            agreement_wide=True,
        ),
        EventType(name="agreement.withdrawn", data=AgreementWithdrawn, collection="agreements", rank=19),
        EventType(name="agreement.declaration-made", data=DeclarationMade, collection="agreements", rank=20),
        EventType(name="agreement.declaration-withdrawn", data=DeclarationWithdrawn, collection="agreements", rank=21),
        EventType(name="agreement.commitment-made", data=CommitmentMade, collection="agreements", rank=22),
        EventType(name="agreement.commitment-updated", data=CommitmentUpdated, collection="agreements", rank=23),
        EventType(
            name="agreement.terminated",
            data=AgreementTerminated,
            collection="agreements",
            rank=33,
            ends=True,
            status="terminated",
            date_field="terminated",
            attributes=("reason", "superseded_by"),
            agreement_wide=True,
        ),
    ),
)
