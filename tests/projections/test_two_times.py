"""What was known then is answered as it was then, whatever came later; and folding again gives the same."""

from __future__ import annotations

from hypothesis import given, settings

from projections.engine.query_types import Merged, NotFound
from tests.given import world
from tests.histories import DAYS, GENERATED, SUBJECTS, difference, everything, histories, taken, taking


@settings(**GENERATED, max_examples=30)
@given(histories())
def test_every_answer_as_of_a_position_is_what_was_answered_when_that_was_the_head(documents):
    with world() as found:
        answered = {}
        for _ in taking(found, documents):
            answered[found.head] = everything(found)
        for position, then in answered.items():
            assert difference(then, everything(found, as_of=position)) == {}, position


@settings(**GENERATED, max_examples=30)
@given(histories(most=30))
def test_folding_the_log_again_answers_the_same(documents):
    with world() as found, world() as again:
        taken(found, documents)
        for event in found.events:
            again.apply(event)
        assert difference(everything(found), everything(again)) == {}
        for on in DAYS:
            for subject in sum(SUBJECTS.values(), ()):
                try:
                    past = found.history(subject, on=on)
                except (NotFound, Merged):
                    continue
                assert past == again.history(subject, on=on)


@settings(**GENERATED, max_examples=30)
@given(histories(most=30))
def test_a_batch_answers_as_its_events_one_by_one(documents):
    """Mergers apart: what two parties did before they were found to be one is judged together only within a batch."""
    with world() as found, world() as batched:
        accepted = taken(found, [document for document in documents if document["type"] != "party.merged"])
        batched.batch(*accepted)
        assert difference(everything(found), everything(batched)) == {}
