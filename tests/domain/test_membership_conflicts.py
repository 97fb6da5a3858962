"""The fast check for repeated steps equals the general check."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.catalogue import CATALOGUE
from domain.corrections import Fact
from domain.edtf import span_of
from domain.membership import MEMBERSHIP_TYPES
from domain.membership_conflicts import contradicting_steps, may_contradict


@given(st.lists(st.sampled_from(sorted(MEMBERSHIP_TYPES)), max_size=6))
def test_fast_check_for_contradicting_steps_equals_the_general_check(kinds):
    own = [
        Fact(
            at,
            "agreements/t",
            kind,
            "s",
            f"e{at}",
            None,
            span_of(None),
            span_of(None).hi,
            CATALOGUE[kind].nothing,
            (at,),
        )
        for at, kind in enumerate(kinds, 1)
    ]
    assert bool(list(contradicting_steps(own, lambda some: False))) == may_contradict(own)
