"""What each list may be narrowed by, and what each filter means. The names are those the views know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from domain.agreement import AgreementKind
from domain.catalogue import CATALOGUE
from domain.commitment import CommitmentKind
from domain.list_items import COMMITMENT_STATUSES
from domain.membership import ORDER_OF_STATUSES
from domain.party import PartyKind
from domain.subject_state import STATUSES
from projections.engine.query_types import ANY_STATUS, CERTAINTIES
from service.http.event_schemas import subject
from service.http.operations import Parameter


def _of(name: str, description: str, *collections: str, repeatable: bool = False) -> Parameter:
    return Parameter(name, description, subject(*collections), repeatable=repeatable)


def _one_of(name: str, description: str, values: Sequence[str]) -> Parameter:
    """A closed choice: one value or several, separated by commas."""
    return Parameter(name, description, {"type": "string", "enum": list(values)}, several=True)


def _status(statuses: Sequence[str], more: str = "") -> Parameter:
    return _one_of("status", _STATUS + more, (*statuses, ANY_STATUS))


def _word(name: str, description: str, **schema: Any) -> Parameter:
    return Parameter(name, description, {"type": "string", **schema})


def _day(name: str, description: str) -> Parameter:
    return Parameter(name, f"{description}, `YYYY-MM-DD`.", {"type": "string", "format": "date"})


_STATUS = (
    "The status on that day; where readings of imprecise dates differ, under each that may be. Several, separated by"
    " commas: any of them. `any`: whatever the status."
)
_ENDED_TOO = " Without it, those that have ended are left out unless `on=any`; with it they are listed under theirs."

_WORDS = _word("q", "Words in its names and texts, English or Chinese.", maxLength=1000)

OF_CERTAINTY = _one_of(
    "certainty",
    "How certain is what an item claims: `certain` where every reading of imprecise dates gives it, else `possible`.",
    CERTAINTIES,
)

FILTER_PARAMETERS: Mapping[str, tuple[Parameter, ...]] = {
    "parties": (
        _WORDS,
        _one_of("kind", "The kind of party.", get_args(PartyKind)),
        _word("jurisdiction", "The jurisdiction, ISO 3166.", examples=["CN"]),
        _of("part_of", "The party it is part of.", "parties"),
        _word("identifier", "An identifier, `scheme:value`.", examples=["lei:529900T8BM49AURSDO55"]),
        OF_CERTAINTY,
    ),
    "agreements": (
        _WORDS,
        _of("party", "A party to it; given several times, all of them.", "parties", repeatable=True),
        _one_of("kind", "The kind of agreement.", get_args(AgreementKind)),
        _status(STATUSES["agreements"]),
        _word("scope", "A term of its scope, in any language."),
        _of("under", "The agreement it was signed under.", "agreements"),
        _day("signed_from", "Signed on this day or later"),
        _day("signed_to", "Signed on this day or earlier"),
        OF_CERTAINTY,
    ),
    "labs": (
        _WORDS,
        _of("founder", "A party that founded it.", "parties"),
        _word("field", "A field it works in, in any language."),
        _status(STATUSES["labs"]),
        OF_CERTAINTY,
    ),
    "platforms": (
        _WORDS,
        _of("member", "A member.", "parties"),
        _of("supporter", "A supporter.", "parties"),
        _status(STATUSES["platforms"]),
        OF_CERTAINTY,
    ),
    "documents": (_WORDS, OF_CERTAINTY),
    "memberships": (
        _WORDS,
        _of("party", "The party.", "parties"),
        _of("in", "The agreement, lab or platform.", "agreements", "labs", "platforms"),
        _word("category", "The category of a platform's member, in any language."),
        _status(ORDER_OF_STATUSES, _ENDED_TOO),
        OF_CERTAINTY,
    ),
    "commitments": (
        _WORDS,
        _of("party", "A party it is made by or with.", "parties"),
        _of("agreement", "The agreement it is part of.", "agreements"),
        _one_of("kind", "The kind of commitment.", get_args(CommitmentKind)),
        _status(COMMITMENT_STATUSES, _ENDED_TOO),
        _day("due_before", "Due before this day"),
        OF_CERTAINTY,
    ),
    "timeline": (
        _WORDS,
        _of("party", "A party the event names or is about.", "parties"),
        _of("subject", "The subject the event is about."),
        _one_of("type", "The type of event.", tuple(CATALOGUE)),
        _day("from", "What may have come about on this day or later"),
        _day("to", "What may have come about on this day or earlier"),
        OF_CERTAINTY,
    ),
}
