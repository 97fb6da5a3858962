"""Statuses: each has a meaning, and the ways between them are those of the fold."""

from __future__ import annotations

import pytest

from domain.catalogue import AGGREGATES, CATALOGUE
from domain.list_items import CALL_STATUSES, COMMITMENT_STATUSES, DECLARATION_STATUSES, PHASE_STATUSES
from domain.membership import ORDER_OF_STATUSES
from domain.statuses import MEANINGS, transitions

DECLARED = {
    **{aggregate.collection: aggregate.statuses for aggregate in AGGREGATES},
    "memberships": ORDER_OF_STATUSES,
    "commitments": COMMITMENT_STATUSES,
    "phases": PHASE_STATUSES,
    "calls": CALL_STATUSES,
    "declarations": DECLARATION_STATUSES,
}


def test_every_status_has_a_meaning_and_there_is_no_other():
    assert {of: tuple(meanings) for of, meanings in MEANINGS.items()} == {
        of: tuple(statuses) for of, statuses in DECLARED.items()
    }


@pytest.mark.parametrize("of", MEANINGS)
def test_every_status_is_reached_by_an_event(of):
    ways = [
        way for name, found in transitions().items() if name.split()[0] == of or of == "memberships" for way in found
    ]
    assert {way.after for way in ways} >= set(MEANINGS[of])


def test_every_way_is_made_by_a_type_of_the_catalogue():
    assert {way.event for found in transitions().values() for way in found} <= set(CATALOGUE)
