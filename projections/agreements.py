"""Agreements: the lists inside their state, and the filters of their list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, get_args

from pydantic import Field
from typing_extensions import TypedDict

from domain.agreement import AGREEMENT, ANNOUNCED, AgreementAmended, AgreementAnnounced, AgreementKind
from domain.corrections import Fact
from domain.edtf import AFTER, BEFORE, parse_day
from domain.list_items import DECLARATION_STATUSES, DeclarationItem, declaration_periods
from domain.values import Edtf, Reference, Text
from projections.commitments import COMMITMENT_LIST
from projections.engine.bitemporal import COLLECTIONS
from projections.engine.database import IMPRECISE
from projections.engine.filters import CERTAINTY, WORDS, Day, Filter, SubjectOf, Word, of_kind, of_status
from projections.engine.item_lists import AgreementPartyItem, MembershipList, Terms, opened_list, simple_list
from projections.engine.planner import Planner
from projections.engine.specification import subject_view

_OWN = f"collection = {COLLECTIONS.index('agreements')}"


def _declaration_keys(fact: Fact) -> Sequence[str]:
    match fact.type:
        case "agreement.declaration-made":
            return [f"declaration:{fact.position}"]
        case "agreement.declaration-withdrawn":
            return [f"declaration:{fact.data.event}"]  # type: ignore[attr-defined]
    return ()


class AmendmentItem(TypedDict):
    """An amendment of an agreement."""

    summary: Text
    title: Text | None
    scope_added: list[Text] | None
    scope_removed: list[Text] | None
    until: Edtf | None
    by: Reference | None
    occurred: Annotated[Edtf | None, Field(description="When it was made.")]


def _amendment(fact: Fact) -> dict[str, AmendmentItem]:
    data = fact.data
    assert isinstance(data, AgreementAmended)
    item: AmendmentItem = {
        "summary": data.summary,
        "title": data.title,
        "scope_added": list(data.scope_added) if data.scope_added is not None else None,
        "scope_removed": list(data.scope_removed) if data.scope_removed is not None else None,
        "until": data.until,
        "by": Reference(data.by) if data.by else None,
        "occurred": fact.occurred,
    }
    return {f"amendment:{fact.position}": item}


class AnnouncedParty(TypedDict):
    """A party with which an agreement is announced; it is no signatory by that."""

    party: Annotated[Reference, Field(description="The party that is expected.")]
    role: Annotated[Text | None, Field(description="The role in which it is expected to sign.")]
    occurred: Annotated[Edtf | None, Field(description="When it was announced.")]


def _announced_parties(fact: Fact) -> dict[str, AnnouncedParty]:
    data = fact.data
    assert isinstance(data, AgreementAnnounced)
    return {
        f"announced:{fact.position}:{index}": {
            "party": Reference(each.party),
            "role": each.role,
            "occurred": fact.occurred,
        }
        for index, each in enumerate(data.parties or ())
    }


DECLARATIONS = opened_list(
    "declarations",
    1,
    item=DeclarationItem,
    statuses=DECLARATION_STATUSES,
    opening="agreement.declaration-made",
    changed_by=("agreement.declaration-withdrawn",),
    keys=_declaration_keys,
    periods=declaration_periods,
    label=lambda opening, _: f"{opening.source} {opening.id}",
)
ANNOUNCED_PARTIES = simple_list(
    "announced_parties",
    20,
    {ANNOUNCED: _announced_parties},
    item=AnnouncedParty,
    terms=Terms("announced", lambda value: [value["party"]["subject"]], are_subjects=True),
)
"""The parties with which an agreement is announced; they are no signatories by that."""
AMENDMENTS = simple_list("amendments", 2, {"agreement.amended": _amendment}, item=AmendmentItem)


def _by_parties(planner: Planner, parties: Sequence[str]) -> None:
    for party in parties:
        planner.by_member(party)


def _signed_from(planner: Planner, day: int) -> None:
    imprecise = f"subject_states INDEXED BY subject_states_imprecise WHERE {_OWN} AND upto >= ? AND {IMPRECISE}"
    planner.query.add("t.upto >= ?", day)
    found = planner.among(
        f"SELECT id FROM subject_states WHERE {_OWN} AND at >= ? AND at < {AFTER} UNION ALL SELECT id FROM {imprecise}",
        day,
        day,
    )
    if planner.sort == "signed" and not found:
        (least,) = planner.first(f"SELECT min(at) FROM {imprecise}", day)
        planner.query.add("t.at >= ?", day if least is None else min(day, least))


def _signed_to(planner: Planner, day: int) -> None:
    planner.query.add(f"t.upto >= 0 AND (CASE WHEN t.at = {AFTER} THEN {BEFORE} ELSE t.at END) <= ?", day)
    planner.among(
        f"SELECT id FROM subject_states WHERE {_OWN} AND at <= ? UNION ALL"
        f" SELECT id FROM subject_states INDEXED BY subject_states_imprecise WHERE {_OWN} AND at = {AFTER}"
        f" AND {IMPRECISE}",
        day,
    )


class _MoreFields(TypedDict):
    signed: Annotated[Edtf, Field(description="When it was first signed.")]


AGREEMENTS = subject_view(
    AGREEMENT,
    more_fields=_MoreFields,
    lists=(
        MembershipList(name="parties", fields=AgreementPartyItem, has_steps=True),
        COMMITMENT_LIST,
        DECLARATIONS,
        AMENDMENTS,
        ANNOUNCED_PARTIES,
    ),
    terms=("scope",),
    follows_memberships=True,
    date_field="signed",
    filters=(
        WORDS,
        Filter(
            "party",
            SubjectOf(("parties",)),
            "A party to it; given several times, all of them.",
            _by_parties,
            is_repeatable=True,
        ),
        of_kind(get_args(AgreementKind), "agreement"),
        of_status(AGREEMENT.statuses),
        Filter(
            "scope",
            Word(),
            "A term of its scope, in any language.",
            lambda planner, values: planner.by_term("scope", values[0].casefold()),
        ),
        Filter(
            "under",
            SubjectOf(("agreements",)),
            "The agreement it was signed under.",
            lambda planner, values: planner.by_reference(values[0]),
        ),
        Filter(
            "signed_from",
            Day(),
            "Signed on this day or later",
            lambda planner, values: _signed_from(planner, parse_day(values[0])),
        ),
        Filter(
            "signed_to",
            Day(),
            "Signed on this day or earlier",
            lambda planner, values: _signed_to(planner, parse_day(values[0])),
        ),
        CERTAINTY,
    ),
)
