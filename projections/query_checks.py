"""Whether a list takes what it is asked: its filters, their values, its order. Reads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from domain.agreement import AgreementKind
from domain.catalogue import CATALOGUE
from domain.commitment import CommitmentKind
from domain.edtf import parse_day
from domain.list_items import COMMITMENT_STATUSES
from domain.membership import ORDER_OF_STATUSES
from domain.party import PartyKind
from domain.subject_state import STATUSES
from domain.values import is_subject
from projections.engine.query_types import ANY_STATUS, CERTAINTIES, CHOICES, FILTERS, SORTS, BadQuestion

KINDS_OF = {
    "parties": PartyKind.__args__,  # type: ignore[attr-defined]
    "agreements": AgreementKind.__args__,  # type: ignore[attr-defined]
    "commitments": CommitmentKind.__args__,  # type: ignore[attr-defined]
}
STATUSES_OF: dict[str, tuple[str, ...]] = {
    **STATUSES,
    "memberships": ORDER_OF_STATUSES,
    "commitments": COMMITMENT_STATUSES,
}


def check(view: str, filters: Mapping[str, Sequence[str]], sort: str | None) -> None:
    """Whether a list takes these filters, values and this order. Raises BadQuestion."""
    flaws: dict[str, str] = {}
    for name, given in filters.items():
        if name not in FILTERS[view]:
            flaws[name] = f"is no filter of {view}"
            continue
        if len(given) > 1 and name not in CHOICES and (view, name) != ("agreements", "party"):
            flaws[name] = "is given once"
        for value in given:
            if (flaw := _flaw(view, name, value)) is not None:
                flaws[name] = flaw
    if sort is not None and sort.removeprefix("-") not in SORTS[view]:
        flaws["sort"] = f"is one of {', '.join(SORTS[view])}, with or without - before it"
    if flaws:
        raise BadQuestion(flaws)


def _flaw(view: str, name: str, value: str) -> str | None:
    match name:
        case "status" if value not in (*STATUSES_OF[view], ANY_STATUS):
            return f"is one of {', '.join(STATUSES_OF[view])}"
        case "kind" if value not in KINDS_OF[view]:
            return f"is one of {', '.join(KINDS_OF[view])}"
        case "certainty" if value not in CERTAINTIES:
            return f"is one of {', '.join(CERTAINTIES)}"
        case "type" if value not in CATALOGUE:
            return "is not a type the registry knows"
        case "party" | "part_of" | "founder" | "member" | "supporter" if not (
            is_subject(value) and value.startswith("parties/")
        ):
            return "is a party, parties/<slug>"
        case "under" | "agreement" if not (is_subject(value) and value.startswith("agreements/")):
            return "is an agreement, agreements/<slug>"
        case "in" | "subject" if not is_subject(value):
            return "is a subject, <collection>/<slug>"
        case "identifier" if ":" not in value:
            return "is <scheme>:<value>"
        case "signed_from" | "signed_to" | "due_before" | "from" | "to":
            try:
                parse_day(value)
            except ValueError:
                return "is a day, YYYY-MM-DD"
        case "q" if not value.strip() or len(value) > 1000:
            return "is 1 to 1000 characters"
    return None
