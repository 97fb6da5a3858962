"""Parties: the lists inside their state, and the filters of their list."""

from __future__ import annotations

from typing import get_args

from domain.party import PARTY, PartyKind
from projections.engine.filters import CERTAINTY, WORDS, Filter, Identifier, SubjectOf, Word, of_kind
from projections.engine.planner import Planner
from projections.engine.specification import subject_view


def _by_identifier(planner: Planner, identifier: str) -> None:
    planner.query.add(
        "t.subject IN (SELECT e.subject FROM list_items e JOIN terms x ON x.owner = e.id"
        " WHERE x.kind = 'identifier' AND x.value = ? AND e.system_from <= ? AND e.system_to > ?)",
        identifier,
        planner.question.as_of,
        planner.question.as_of,
        narrow=True,
    )


PARTIES = subject_view(
    PARTY,
    lists=("other_names", "identifiers"),
    filters=(
        WORDS,
        of_kind(get_args(PartyKind), "party"),
        Filter(
            "jurisdiction",
            Word(examples=("CN",)),
            "The jurisdiction, ISO 3166.",
            lambda planner, values: planner.query.add("t.jurisdiction = ?", values[0]),
        ),
        Filter(
            "part_of",
            SubjectOf(("parties",)),
            "The party it is part of.",
            lambda planner, values: planner.by_reference(values[0]),
        ),
        Filter(
            "identifier",
            Identifier(examples=("lei:529900T8BM49AURSDO55",)),
            "An identifier, `scheme:value`.",
            lambda planner, values: _by_identifier(planner, values[0]),
        ),
        CERTAINTY,
    ),
)
