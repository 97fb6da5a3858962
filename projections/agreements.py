"""Agreements: the lists inside their state, and the filters of their list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from domain.agreement import AGREEMENT, AgreementKind
from domain.edtf import AFTER, BEFORE, parse_day
from projections.engine.bitemporal import COLLECTIONS
from projections.engine.database import IMPRECISE
from projections.engine.filters import CERTAINTY, WORDS, Day, Filter, SubjectOf, Word, of_kind, of_status
from projections.engine.planner import Planner
from projections.engine.specification import subject_view

_OWN = f"collection = {COLLECTIONS.index('agreements')}"


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


AGREEMENTS = subject_view(
    AGREEMENT,
    lists=("parties", "commitments", "declarations", "amendments"),
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
