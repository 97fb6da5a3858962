"""The state of a subject with a single fact equals the general evaluation."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.catalogue import CATALOGUE
from domain.corrections import Fact
from domain.edtf import BEFORE, Span, parse_edtf, span_of
from domain.membership import FOREVER, InForcePossibilities, Lifespan
from domain.subject_state import DatedMark, InForcePeriod, describes, state_periods
from tests import random_histories

NOTHING_IN_FORCE = [InForcePeriod(BEFORE, FOREVER, None, InForcePossibilities(False, False, True), None)]


@st.composite
def creating_facts(draw: Any) -> Fact:
    """Draw a fact that creates its subject and has its attributes."""
    kind = draw(st.sampled_from((*random_histories.CREATING, "lab.founded", "platform.launched")))
    drawn = draw(random_histories.facts(kind, 1, early=draw(st.booleans())))
    record = CATALOGUE[kind].data.model_validate_json(json.dumps(drawn["data"]))
    occurred = drawn.get("occurred")
    return Fact(
        7,
        drawn["subject"],
        kind,
        drawn["source"],
        drawn["id"],
        occurred,
        span_of(occurred),
        span_of(occurred).hi,
        record,
        (7, 9),
    )


spans = st.sampled_from((Span(BEFORE, BEFORE), *map(span_of, (*random_histories.DATES, *random_histories.EARLY))))


@given(creating_facts(), st.data())
def test_state_of_a_single_fact_equals_the_general_evaluation(fact, data):
    assert describes(fact)
    own = data.draw(st.booleans())
    span = fact.span if own else data.draw(spans)
    lifespan = Lifespan(
        data.draw(st.sampled_from((span, fact.span, parse_edtf("2021-02")))),
        data.draw(st.none() | spans),
        has_single_creation=own,
    )
    marks = {fact.type: DatedMark(span, 7 if own else 8, data.draw(st.sampled_from((None, fact.occurred))))}
    collection = fact.subject.partition("/")[0]
    day_by_day = state_periods(collection, [fact], marks, lifespan, NOTHING_IN_FORCE)
    assert state_periods(collection, [fact], marks, lifespan) == day_by_day
