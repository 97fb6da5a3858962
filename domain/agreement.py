"""Agreements: the data of their events, what each event does to an agreement, and what contradicts an agreement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from domain.commitment import CommitmentMade, CommitmentUpdated
from domain.declaration import DeclarationMade, DeclarationWithdrawn
from domain.errors import MOST_NAMED, Conflict, Flaw
from domain.event_type import Aggregate, Creates, EventType, Example, TakesEffect
from domain.opened_items import OpenedItems
from domain.payload import Data, Languages, Parties, Record, Terms, Texts, flawed
from domain.values import MAX_ITEMS, Agreement, Edtf, Party, Text, text_key

if TYPE_CHECKING:  # the catalogue, on which these depend, is built from this module
    from domain.corrections import Fact
    from domain.history import History

AgreementKind = Literal[
    "framework",
    "contract",
    "investment",
    "cooperation",
    "joint-venture",
    "memorandum",
    "joint-statement",
    "political-commitment",
    "treaty",
    "protocol",
    "amendment",
    "exchange-of-notes",
    "ceasefire",
    "resolution",
    "other",
]
_DESCRIBING = (
    *("title", "kind", "under", "scope", "place", "summary", "until"),
    *("other_titles", "languages", "depositary", "secretariat"),
)
"""The fields that describe an agreement."""


class Described(Data):
    """The attributes of an agreement."""

    under: Agreement | None = Field(None, description="The agreement under which it was made.")
    scope: Terms | None = Field(None, description="The terms of what it is about.")
    place: Text | None = Field(None, description="Where it was adopted or signed.")
    summary: Text | None = Field(None, description="What it says, in short.")
    until: Edtf | None = Field(None, description="The last day of its term.")
    other_titles: Texts | None = Field(None, description="Other titles by which it is known.")
    languages: Languages | None = Field(None, description="The languages of its authentic texts.")
    depositary: Party | None = Field(None, description="The party with which instruments are deposited.")
    secretariat: Party | None = Field(None, description="The party that serves as its secretariat.")


class Signatory(Record):
    """A party that signs, and the role in which it does."""

    party: Party = Field(description="The party that signs.")
    role: Text | None = Field(None, description="The role in which it signs.")


def _check_roles(parties: Iterable[Signatory]) -> None:
    roles = [(each.party, None if each.role is None else text_key(each.role)) for each in parties]
    if len(set(roles)) < len(roles):
        raise flawed("/parties", "a party is listed once for each of its roles")


class AgreementAnnounced(Described):
    """An agreement is said to be coming or under negotiation; it is not adopted or signed by that."""

    title: Text = Field(description="The title by which it is announced.")
    kind: AgreementKind = Field(description="What kind of agreement it is to be.")
    parties: Annotated[tuple[Signatory, ...], Field(max_length=MAX_ITEMS)] | None = Field(
        None, description="The parties that are expected; they are no signatories."
    )
    place: Text | None = Field(None, description="Where it is to be adopted or signed.")

    @model_validator(mode="after")
    def _distinct(self) -> AgreementAnnounced:
        _check_roles(self.parties or ())
        return self


class AgreementAdopted(Described):
    """The text of an agreement is adopted, with no signatory yet."""

    title: Text = Field(description="The title of the agreement.")
    kind: AgreementKind = Field(description="What kind of agreement it is.")


class AgreementSigned(Described):
    """Parties sign an agreement on one date. Later signatures are events of their own."""

    parties: Annotated[tuple[Signatory, ...], Field(min_length=1, max_length=MAX_ITEMS)] = Field(
        description="The parties that sign; a party is listed once for each of its roles."
    )
    title: Text | None = Field(None, description="The title, required in the first event of an agreement.")
    kind: AgreementKind | None = Field(None, description="The kind, required in the first event of an agreement.")
    place: Text | None = Field(None, description="Where it was signed on that date.")

    @model_validator(mode="after")
    def _distinct(self) -> AgreementSigned:
        _check_roles(self.parties)
        return self


class AgreementRatified(Data):
    """A party consents to be bound by an agreement that it signed or adopted."""

    party: Party = Field(description="The party that consents.")
    instrument: (
        Literal["ratification", "acceptance", "approval", "definitive-signature", "consent", "formal-confirmation"]
        | None
    ) = Field(None, description="The form in which it consents.")
    territory: Text | None = Field(None, description="The territory to which its consent extends.")


class AgreementAcceded(Data):
    """A party consents to be bound by an agreement that it did not sign."""

    party: Party = Field(description="The party that accedes.")
    instrument: Literal["accession", "succession", "continued-application", "participation"] | None = Field(
        None, description="The form in which it accedes; `participation` takes part without a signature."
    )
    territory: Text | None = Field(None, description="The territory to which its accession extends.")


class OfParty(Data):
    """A step of one party, or of the agreement itself where `party` is absent."""

    party: Party | None = Field(None, description="The party; absent: the agreement as a whole.")


class EnteredIntoForce(OfParty):
    """An agreement enters into force, as a whole or for one party."""

    party: Party | None = Field(None, description="The party for which it enters into force; absent: as a whole.")
    with_: Parties | None = Field(
        None, alias="with", description="The parties between which and `party` alone it enters into force."
    )

    @model_validator(mode="after")
    def _of_one(self) -> EnteredIntoForce:
        if self.with_ is None:
            return self
        if self.party is None:
            raise flawed("/party", "is required beside with")
        if self.party in self.with_ or len(set(self.with_)) < len(self.with_):
            raise flawed("/with", "names other parties, each once")
        return self


class AgreementAmended(Data):
    """An agreement is amended."""

    summary: Text = Field(description="What is amended, in short.")
    title: Text | None = Field(None, description="The new title.")
    scope_added: Terms | None = Field(None, description="The terms that are added to its scope.")
    scope_removed: Terms | None = Field(None, description="The terms that are removed from its scope.")
    until: Edtf | None = Field(None, description="The last day of its new term.")
    by: Agreement | None = Field(None, description="The agreement that amends it.")


class AgreementRenewed(Data):
    """An agreement is renewed for another term."""

    until: Edtf | None = Field(None, description="The last day of the new term; absent: without a last day.")


class AgreementWithdrawn(TakesEffect):
    """A party withdraws from an agreement: `occurred` is its notice."""

    party: Party = Field(description="The party that withdraws.")


class WithdrawalRevoked(Data):
    """A party revokes its notice of withdrawal before that takes effect."""

    party: Party = Field(description="The party that remains.")


class AgreementReinstated(OfParty):
    """An agreement that had ended, or a party that had left it, is in force again from that day on."""

    party: Party | None = Field(None, description="The party that is in force again; absent: the agreement itself.")


class AgreementTerminated(TakesEffect):
    """An agreement ends."""

    reason: Literal["expired", "completed", "terminated", "superseded"] = Field(description="Why it ends.")
    superseded_by: Agreement | None = Field(None, description="The agreement that supersedes it.")


ANNOUNCED = "agreement.announced"
"""The type of event that makes an agreement known before it is adopted or signed."""

AGREEMENT = Aggregate(
    collection="agreements",
    description="An agreement, with its parties and what they committed themselves to.",
    statuses=("announced", "adopted", "signed", "in-force", "suspended", "terminated"),
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
            attributes=_DESCRIBING,
            example=Example("agreements/harbour-treaty", {"title": "Harbour Treaty", "kind": "treaty"}, "2020-02-01"),
        ),
        EventType(
            name="agreement.signed",
            data=AgreementSigned,
            collection="agreements",
            rank=5,
            creates=Creates.AGAIN,
            status="signed",
            attributes=_DESCRIBING,
            example=Example(
                "agreements/harbour-treaty",
                {"parties": [{"party": "parties/atland"}, {"party": "parties/borland"}], "place": "Gothenburg"},
                "2020-03-01",
            ),
        ),
        EventType(
            name="agreement.ratified",
            data=AgreementRatified,
            collection="agreements",
            rank=11,
            example=Example("agreements/harbour-treaty", {"party": "parties/atland"}, "2020-09-01"),
        ),
        EventType(
            name="agreement.acceded",
            data=AgreementAcceded,
            collection="agreements",
            rank=12,
            example=Example("agreements/harbour-treaty", {"party": "parties/cerland"}, "2021-01-15"),
        ),
        EventType(
            name="agreement.provisionally-applied",
            data=OfParty,
            collection="agreements",
            rank=13,
            about="An agreement is applied before it is in force, as a whole or by one party.",
            agreement_wide=True,
            example=Example("agreements/harbour-treaty", {}, "2020-04-01"),
        ),
        EventType(
            name="agreement.entered-into-force",
            data=EnteredIntoForce,
            collection="agreements",
            rank=14,
            status="in-force",
            date_field="entered_into_force",
            agreement_wide=True,
            example=Example("agreements/harbour-treaty", {}, "2021-06-01"),
        ),
        EventType(
            name="agreement.amended",
            data=AgreementAmended,
            collection="agreements",
            rank=15,
            attributes=("title", "until", "scope_added", "scope_removed"),
            example=Example(
                "agreements/harbour-treaty",
                {"summary": "Article 3 covers ferries too.", "scope_added": ["ferries"]},
                "2022-02-01",
            ),
        ),
        EventType(
            name="agreement.renewed",
            data=AgreementRenewed,
            collection="agreements",
            rank=16,
            attributes=("until",),
            cleared_if_absent="until",
            example=Example("agreements/harbour-treaty", {"until": "2032"}, "2022-06-01"),
        ),
        EventType(
            name="agreement.suspended",
            data=OfParty,
            collection="agreements",
            rank=17,
            about="An agreement is suspended, as a whole or for one party.",
            status="suspended",
            agreement_wide=True,
            example=Example("agreements/harbour-treaty", {"party": "parties/cerland"}, "2022-07-01"),
        ),
        EventType(
            name="agreement.resumed",
            data=OfParty,
            collection="agreements",
            rank=18,
            about="A suspended agreement goes on, as a whole or for one party.",
            status="resumed",
            agreement_wide=True,
            example=Example("agreements/harbour-treaty", {"party": "parties/cerland"}, "2022-09-01"),
        ),
        EventType(
            name="agreement.withdrawn",
            data=AgreementWithdrawn,
            collection="agreements",
            rank=19,
            example=Example(
                "agreements/harbour-treaty", {"party": "parties/atland", "effective": "2024-01-10"}, "2023-01-10"
            ),
        ),
        EventType(
            name="agreement.declaration-made",
            data=DeclarationMade,
            collection="agreements",
            rank=20,
            example=Example(
                "agreements/harbour-treaty",
                {
                    "party": "parties/atland",
                    "kind": "reservation",
                    "text": "Article 3 does not apply to ferries.",
                    "provision": "Article 3",
                },
                "2020-09-01",
            ),
        ),
        EventType(
            name="agreement.declaration-withdrawn",
            data=DeclarationWithdrawn,
            collection="agreements",
            rank=21,
            example=Example("agreements/harbour-treaty", {"event": 20}, "2021-02-01"),
        ),
        EventType(
            name="agreement.commitment-made",
            data=CommitmentMade,
            collection="agreements",
            rank=22,
            example=Example(
                "agreements/harbour-treaty",
                {
                    "commitment": "second-quay",
                    "kind": "facility",
                    "title": "A second quay",
                    "by": ["parties/atland"],
                    "due": "2024",
                },
                "2020-03-01",
            ),
        ),
        EventType(
            name="agreement.commitment-updated",
            data=CommitmentUpdated,
            collection="agreements",
            rank=23,
            example=Example(
                "agreements/harbour-treaty", {"commitment": "second-quay", "status": "fulfilled"}, "2023-11-01"
            ),
        ),
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
            example=Example("agreements/harbour-treaty", {"reason": "terminated"}, "2025-05-01"),
        ),
        EventType(
            name=ANNOUNCED,
            data=AgreementAnnounced,
            collection="agreements",
            rank=60,
            creates=Creates.AGAIN,
            status="announced",
            date_field="announced",
            attributes=_DESCRIBING,
            example=Example(
                "agreements/harbour-treaty",
                {
                    "title": "Harbour Treaty",
                    "kind": "treaty",
                    "parties": [{"party": "parties/atland"}, {"party": "parties/borland"}],
                },
                "2019-06-01",
            ),
        ),
        EventType(
            name="agreement.withdrawal-revoked",
            data=WithdrawalRevoked,
            collection="agreements",
            rank=61,
            example=Example("agreements/harbour-treaty", {"party": "parties/atland"}, "2023-06-01"),
        ),
        EventType(
            name="agreement.reinstated",
            data=AgreementReinstated,
            collection="agreements",
            rank=62,
            reinstates=True,
            status="reinstated",
            date_field="reinstated",
            agreement_wide=True,
            example=Example("agreements/harbour-treaty", {}, "2025-09-28"),
        ),
    ),
)

COMMITMENTS = OpenedItems(
    name="commitment",
    field="commitment",
    opened_by="agreement.commitment-made",
    changed_by="agreement.commitment-updated",
    missing="no commitment {} was made",
)
DECLARATIONS = OpenedItems(
    name="declaration",
    field="event",
    opened_by="agreement.declaration-made",
    changed_by="agreement.declaration-withdrawn",
    missing="there is no declaration on this agreement at position {}",
    by_position=True,
)


def flaws(history: History, agreement: str, type_: str, data: Data) -> Iterator[Flaw]:
    """Yield a flaw if the commitment or the declaration that an event is about was not recorded."""
    yield from COMMITMENTS.flaws(history, agreement, type_, data)
    yield from DECLARATIONS.flaws(history, agreement, type_, data)
    objected = data.about if isinstance(data, DeclarationMade) else None
    if objected is not None and not _is_declared(history, agreement, objected):
        yield Flaw("/data/about", DECLARATIONS.missing.format(objected))


def first_event_flaws(data: Data) -> Iterator[Flaw]:
    """Yield a flaw for each attribute that a first signature lacks."""
    if isinstance(data, AgreementSigned):
        for name in ("title", "kind"):
            if getattr(data, name) is None:
                yield Flaw(f"/data/{name}", "is required in the first event of an agreement")


def untitled_conflicts(history: History, agreement: str) -> Iterator[Conflict]:
    """Yield a conflict if an agreement would have no title or no kind, after facts that create it came or went.

    Erased data may have had them.
    """
    creating = [fact for fact in history.state_facts(agreement) if fact.creates]
    if not any(not fact.data.model_fields_set or _has_title_and_kind(fact.data) for fact in creating):
        types = tuple(kind.name for kind in AGREEMENT.events if kind.is_creating)
        positions = [fact.position for fact in history.facts(agreement, types, limit=MOST_NAMED)]
        yield Conflict(f"{agreement} would have no title and no kind", tuple(sorted(positions)[:MOST_NAMED]))


def _has_title_and_kind(data: Data) -> bool:
    return getattr(data, "title", None) is not None and getattr(data, "kind", None) is not None


def conflicts(history: History, agreement: str, changed: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield conflicts among commitments and declarations, after some facts about their agreement came or went."""
    yield from COMMITMENTS.conflicts(history, agreement, changed)
    yield from DECLARATIONS.conflicts(history, agreement, changed)
    yield from _objection_conflicts(history, agreement, changed)


def _objection_conflicts(history: History, agreement: str, changed: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield conflicts for objections to declarations that are not current, after some facts came or went."""
    declared = [fact for fact in changed if fact.type == DECLARATIONS.opened_by]
    positions = {fact.position for fact in declared} | {fact.data.about for fact in declared}  # type: ignore[attr-defined]
    for position in sorted(each for each in positions if each is not None):
        objections = [fact.position for fact in history.item_facts(agreement, objection_tag(position))]
        if objections and not _is_declared(history, agreement, position):
            detail = f"other facts depend on the declaration at position {position}"
            yield Conflict(detail, tuple(sorted(objections)[:MOST_NAMED]))


def _is_declared(history: History, agreement: str, position: int) -> bool:
    """Return whether the event at a position is a current declaration on an agreement."""
    return any(fact.position == position for fact in history.item_facts(agreement, f"{DECLARATIONS.name}:{position}"))


def objection_tag(position: int) -> str:
    """Return the tag of the objections to the declaration at a position."""
    return f"about:{position}"
