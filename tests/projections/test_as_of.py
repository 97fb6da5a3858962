"""Answers as of an earlier position never change, and a replay gives the same answers."""

from __future__ import annotations

from hypothesis import given, settings

from projections.engine.query_types import Merged, NotFound
from tests.random_histories import DAYS, GENERATED, SUBJECTS, difference, everything, histories, recorded, recording
from tests.recorded_views import new_views


@settings(**GENERATED, max_examples=30)
@given(histories())
def test_answer_as_of_a_position_equals_the_answer_when_it_was_the_head(documents):
    with new_views() as found:
        answered = {}
        for _ in recording(found, documents):
            answered[found.head] = everything(found)
        for position, then in answered.items():
            assert difference(then, everything(found, as_of=position)) == {}, position


@settings(**GENERATED, max_examples=30)
@given(histories(most=30))
def test_replay_gives_the_same_answers(documents):
    with new_views() as found, new_views() as again:
        recorded(found, documents)
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
def test_batch_gives_the_answers_of_its_events_one_by_one(documents):
    """Without mergers: only within a batch are earlier facts of two merged parties checked together."""
    with new_views() as found, new_views() as batched:
        accepted = recorded(found, [document for document in documents if document["type"] != "party.merged"])
        batched.batch(*accepted)
        assert difference(everything(found), everything(batched)) == {}
