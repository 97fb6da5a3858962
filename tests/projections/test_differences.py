"""The difference of two states turns one into the other, between any two positions and any two days."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonpatch import apply_patch

from projections.engine.query_types import Difference, Merged, NotFound, TimeSlice
from tests.projections.test_history import bare
from tests.random_histories import DAYS, GENERATED, SUBJECTS, histories, recorded
from tests.recorded_views import (
    RecordedViews,
    event,
    joined,
    left,
    new_views,
    parties,
    party,
    platform,
    retracted,
    signed,
    step,
)

SUBJECT_NAMES = sorted({subject for listed in SUBJECTS.values() for subject in listed})


def difference(found: RecordedViews, subject: str, first: TimeSlice, second: TimeSlice, most: int = 1000) -> Difference:
    return found.reader.difference(subject, first, second, most=most)


def between(found: RecordedViews, subject: str, first: int, second: int, on: str | None = None) -> Difference:
    """Return the difference of two positions."""
    return difference(found, subject, found.question(on, first), found.question(on, second))


def turned(state: Any, patch: list[dict[str, Any]]) -> Any:
    """Apply a patch to a state with the library's own implementation of RFC 6902."""
    return apply_patch(json.loads(json.dumps(state)), json.loads(json.dumps(patch)))


@settings(**GENERATED, max_examples=25)
@given(histories(most=24), st.data())
def test_between_any_two_positions_the_patch_turns_the_one_state_into_the_other(documents, data):
    with new_views() as found:
        recorded(found, documents)
        some = st.integers(0, found.head)
        for subject, on in itertools.product(SUBJECT_NAMES, DAYS):
            first, second = data.draw(some), data.draw(some)
            states = [bare(found, subject, on, as_of) for as_of in (first, second)]
            try:
                change = between(found, subject, first, second, on)
            except (NotFound, Merged):
                assert states == [None, None]
                continue
            assert turned(states[0], change.patch) == states[1], (subject, on, first, second)
            assert bool(change.patch) == (states[0] != states[1])
            assert not change.patch or change.events, "what changed was recorded in between"
            low, high = sorted((first, second))
            assert all(low < position <= high for position in change.events)


@settings(**GENERATED, max_examples=25)
@given(histories(most=24), st.data())
def test_between_any_two_days_the_patch_turns_the_one_state_into_the_other(documents, data):
    with new_views() as found:
        recorded(found, documents)
        dated = [day for day in DAYS if day is not None]
        for subject, first, second in itertools.product(SUBJECT_NAMES, dated, dated):
            as_of = data.draw(st.integers(0, found.head))
            states = [bare(found, subject, on, as_of) for on in (first, second)]
            try:
                change = difference(found, subject, found.question(first, as_of), found.question(second, as_of))
            except (NotFound, Merged):
                assert states == [None, None]
                continue
            assert turned(states[0], change.patch) == states[1], (subject, as_of, first, second)
            assert change.events == []


def test_difference_has_the_changes_and_the_events_between(views: RecordedViews):
    views.record(*parties("a"), platform("p", "2020"), joined("a", "p", "2021"), party("b"), left("a", "p", "2022"))
    change = between(views, "platforms/p", 2, 5)
    assert change.events == [3, 5]
    assert {operation["path"].split("/")[1] for operation in change.patch} == {"version", "position", "members"}
    assert between(views, "platforms/p", 3, 4).patch == []
    assert between(views, "platforms/p", 3, 4).events == []


def test_backward_difference_reverses_the_forward_one(views: RecordedViews):
    views.record(party("a", name="one"), event("party.renamed", "parties/a", "2020", name="two"))
    forwards, backwards = between(views, "parties/a", 1, 2), between(views, "parties/a", 2, 1)
    assert forwards.events == backwards.events == [2]
    assert turned(turned(bare(views, "parties/a", None, 1), forwards.patch), backwards.patch) == bare(
        views, "parties/a", None, 1
    )


def test_side_without_a_state_is_null(views: RecordedViews):
    views.record(party("z"), party("a"), retracted("parties/a", 2), party("a", name="again"))
    state = {as_of: bare(views, "parties/a", None, as_of) for as_of in (1, 2, 3, 4)}
    assert (state[1], state[3]) == (None, None)
    assert between(views, "parties/a", 1, 2).patch == [{"op": "replace", "path": "", "value": state[2]}]
    assert between(views, "parties/a", 2, 3).patch == [{"op": "replace", "path": "", "value": None}]
    assert between(views, "parties/a", 1, 3) == Difference([], [2, 3], False)
    assert between(views, "parties/a", 0, 4).events == [2, 3, 4]


def test_day_before_the_creation_has_no_state(views: RecordedViews):
    views.record(platform("p", "2020-01-01"))
    change = difference(views, "platforms/p", views.question("2019-12-31"), views.question("2020-01-01"))
    assert change.patch == [{"op": "replace", "path": "", "value": bare(views, "platforms/p", "2020-01-01")}]
    assert difference(views, "platforms/p", views.question("2018-01-01"), views.question("2019-01-01")).patch == []


def test_difference_between_days_lists_creations_and_ends(views: RecordedViews):
    views.record(
        *parties("a"), platform("p", "2020-01-01"), joined("a", "p", "2021-01-01"), left("a", "p", "2022-01-01")
    )
    changes = [
        difference(views, "platforms/p", views.question(first), views.question(second)).patch
        for first, second in (("2020-06-01", "2021-06-01"), ("2021-06-01", "2021-07-01"), ("2021-06-01", "2022-06-01"))
    ]
    assert [{operation["op"] for operation in patch} for patch in changes] == [{"add"}, set(), {"remove"}]


def test_merged_party_has_no_state_of_its_own_after_the_merger(views: RecordedViews):
    views.record(party("a"), party("b"), event("party.merged", "parties/b", None, into="parties/a"))
    change = between(views, "parties/b", 2, 3)
    assert change.patch == [{"op": "replace", "path": "", "value": None}]
    assert 3 in change.events
    views.record(event("party.renamed", "parties/a", "2020", name="A"))
    with pytest.raises(Merged) as merged:
        between(views, "parties/b", 3, 4)
    assert merged.value.into == "parties/a"


def test_difference_includes_events_of_parties_merged_on_either_side(views: RecordedViews):
    views.record(party("a"), party("b", name="B"), event("party.merged", "parties/b", None, into="parties/a"))
    views.record(event("party.renamed", "parties/b", "2020", name="C"), retracted("parties/b", 3))
    assert between(views, "parties/a", 3, 5).events == [4, 5]
    assert between(views, "parties/a", 2, 3).events == [3]
    for first, second in itertools.permutations(range(1, 6), 2):
        change = between(views, "parties/a", first, second)
        assert turned(bare(views, "parties/a", None, first), change.patch) == bare(views, "parties/a", None, second)


def test_difference_includes_mergers_of_parties_named_in_the_state(views: RecordedViews):
    views.record(party("a"), party("b"), signed("t", "2020", "a", "b"))
    views.record(event("party.merged", "parties/b", None, into="parties/a"))
    change = between(views, "agreements/t", 3, 4)
    assert change.events == [4]
    assert turned(bare(views, "agreements/t", None, 3), change.patch) == bare(views, "agreements/t", None, 4)
    assert change.patch


def test_long_list_of_events_is_cut_and_marked(views: RecordedViews):
    views.record(party("a"), *(event("party.name-added", "parties/a", None, name=f"n{n}") for n in range(5)))
    slices = views.question(None, 1), views.question(None, 6)
    assert difference(views, "parties/a", *slices, most=3).events == [2, 3, 4]
    assert difference(views, "parties/a", *slices, most=3).is_cut
    assert not difference(views, "parties/a", *slices, most=5).is_cut


def test_unknown_subject_has_no_difference(views: RecordedViews):
    views.record(party("a"), party("b"))
    for subject, first, second in (("parties/c", 0, 2), ("parties/b", 0, 1)):
        with pytest.raises(NotFound):
            between(views, subject, first, second)


def test_versions_are_the_positions_of_the_history(views: RecordedViews):
    views.record(*parties("a", "b"), signed("t", "2020", "a", "b"), step("ratified", "t", "2021", "a"), party("c"))
    views.record(event("party.merged", "parties/b", None, into="parties/a"))
    history = [(item["position"], item["recorded"]) for item in views.history("agreements/t")]
    assert [position for position, _ in history] == [3, 4, 6]
    assert views.reader.versions("agreements/t", 6, since=0, limit=10) == history
    assert views.reader.versions("agreements/t", 6, since=3, limit=1) == history[1:2]
    assert views.reader.versions("agreements/t", 4, since=0, limit=10) == history[:2]
    assert views.reader.recorded(4) == history[1][1]
    assert views.reader.recorded(7) is None
