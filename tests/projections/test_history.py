"""The patches of a history turn each state into the next, from nothing to the current state."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonpatch import apply_patch, make_patch

from projections import history
from projections.engine.query_types import Gone, Merged, NotFound
from projections.history import patch
from tests.random_histories import DAYS, GENERATED, SUBJECTS, histories, recorded
from tests.recorded_views import (
    RecordedViews,
    corrected,
    event,
    joined,
    left,
    new_views,
    parties,
    party,
    platform,
    retracted,
)


def bare(found: RecordedViews, subject: str, on: str | None, as_of: int | None = None) -> Any:
    """Return a state without the names of other subjects; None where there is none."""
    try:
        return found.reader._states.state(subject, found.question(on, as_of), bare=True).body
    except (NotFound, Gone, Merged):
        return None


def assert_patched(found: RecordedViews, subject: str, on: str | None) -> None:
    """Check that each patch gives the state as of its item, and the last one the current state."""
    state = None
    for item in found.history(subject, on=on):
        state = apply_patch(state, item["patch"])
        assert state == bare(found, subject, on, item["position"])
    assert state == bare(found, subject, on)


@settings(**GENERATED, max_examples=25)
@given(histories(most=24))
def test_patches_turn_each_state_into_the_next_whatever_happened(documents):
    with new_views() as found:
        recorded(found, documents)
        for subject in sorted({subject for listed in SUBJECTS.values() for subject in listed}):
            for on in DAYS:
                try:
                    assert_patched(found, subject, on)
                except (NotFound, Merged):
                    assert not isinstance(found.state_or_error(subject, on=on), dict)


SCALARS = st.sampled_from([None, False, True, 0, 1, "", "x", "y"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.sampled_from("abc/~"), inner, max_size=3),
    max_leaves=12,
)
STATES = st.dictionaries(st.sampled_from(["a", "b", "c", "a/b", "a~"]), VALUES, max_size=4)


@settings(**GENERATED, max_examples=500)
@given(STATES, STATES)
def test_patch_equals_that_between_whole_states(before, after):
    found = patch(before, after)
    assert found == make_patch(before, after).patch
    assert apply_patch(before, found) == after


@settings(**GENERATED, max_examples=500)
@given(st.data())
def test_patch_of_a_changed_list_equals_that_between_whole_states(data):
    items = data.draw(st.lists(VALUES, min_size=1, max_size=8))
    start = data.draw(st.integers(0, len(items)))
    end = data.draw(st.integers(start, len(items)))
    changed = [*items[:start], *data.draw(st.lists(VALUES, max_size=3)), *items[end:]]
    before, after = {"a": items, "b": {"c": deepcopy(items[:2])}}, {"a": changed, "b": {"c": changed[:2]}}
    found = patch(before, after)
    assert found == make_patch(before, after).patch
    assert apply_patch(before, found) == after


def test_patch_compares_no_items_that_are_equal(monkeypatch: pytest.MonkeyPatch):
    compared: list[Any] = []

    def noted(*states: Any) -> Any:
        compared.extend(states)
        return make_patch(*states)

    monkeypatch.setattr(history, "make_patch", noted)
    members = [{"party": {"subject": f"parties/p-{number}"}} for number in range(100)]
    found = patch({"name": "P", "members": members}, {"name": "P", "members": [*members[:50], {}, *members[50:]]})
    assert compared == [{"members": []}, {"members": [{}]}]
    assert found == [{"op": "add", "path": "/members/50", "value": {}}]


def test_page_of_a_history_takes_few_statements_for_each_event(views: RecordedViews):
    members = [f"m-{number}" for number in range(80)]
    views.batch(*parties(*members), platform("p", "2009-01-01"))
    views.record(*(joined(member, "p", "2010") for member in members))
    statements: list[str] = []
    views.reader._db.set_trace_callback(statements.append)
    page = views.reader.history("platforms/p", views.question(None), limit=80, after=None)
    views.reader._db.set_trace_callback(None)
    assert len(page.items) == 80
    assert len(statements) < 10 * 80


def test_patches_are_right_across_a_retraction_and_a_new_creation(views: RecordedViews):
    views.record(party("a", name="first"), retracted("parties/a", 1), party("a", name="second"))
    assert [bool(item["patch"]) for item in views.history("parties/a")] == [True, True, True]
    assert views.history("parties/a")[1]["patch"] == [{"op": "replace", "path": "", "value": None}]
    assert_patched(views, "parties/a", None)


def test_patches_are_right_across_a_merger_and_its_retraction(views: RecordedViews):
    views.record(party("a"), party("b", identifiers=[{"scheme": "lei", "value": "B"}]))
    views.record(event("party.merged", "parties/b", None, into="parties/a"))
    views.record(event("party.renamed", "parties/b", "2021", name="Gamma"))
    assert [(item["position"], item["version"]) for item in views.history("parties/a")] == [
        (1, 1),
        (2, 1),
        (3, 2),
        (4, 3),
    ]
    assert_patched(views, "parties/a", None)
    views.record(retracted("parties/b", 3))
    for subject in ("parties/a", "parties/b"):
        assert_patched(views, subject, None)


def test_history_of_a_survivor_lists_the_split_that_restored_its_state(views: RecordedViews):
    views.record(party("b"), party("c", "2022-01-01"))
    views.record(event("party.merged", "parties/c", "2022", into="parties/b"))
    views.record(event("party.renamed", "parties/b", "2022", name="Beta"), retracted("parties/c", 3))
    for subject in ("parties/b", "parties/c"):
        assert_patched(views, subject, "2019-12-31")


def test_patch_has_the_changes_on_the_day_of_the_query(views: RecordedViews):
    views.record(
        *parties("a"), platform("p", "2020-01-01"), joined("a", "p", "2021-01-01"), left("a", "p", "2022-01-01")
    )
    changed = {
        on: [
            {operation["path"] for operation in item["patch"]} - {"/version", "/position"}
            for item in views.history("platforms/p", on=on)
        ]
        for on in ("2020-06-01", "2021-06-01", "2022-06-01")
    }
    assert changed["2020-06-01"][1:] == [set(), set()]
    assert changed["2021-06-01"][1:] == [{"/members/0"}, {"/members/0/to"}] or changed["2021-06-01"][1] == {
        "/members/0"
    }
    assert changed["2022-06-01"][1:] == [{"/members/0"}, {"/members/0"}]


def test_history_is_as_of_the_query_and_has_the_posted_data(views: RecordedViews):
    views.record(party("a", name="one"), corrected("parties/a", 1, data={"name": "two", "kind": "company"}))
    (only,) = views.history("parties/a", as_of=1)
    assert (only["position"], only["version"], only["type"]) == (1, 1, "party.registered")
    first, second = views.history("parties/a")
    assert first["data"]["name"] == "one"
    assert second["data"]["data"]["name"] == "two"
    page = views.reader.history("parties/a", views.question(), limit=1, after=None)
    rest = views.reader.history("parties/a", views.question(), limit=1, after=page.after)
    assert [item["position"] for item in (*page.items, *rest.items)] == [1, 2]
    assert rest.after is None
    assert rest.items == [second]


def test_unknown_subject_has_no_history(views: RecordedViews):
    with pytest.raises(NotFound):
        views.history("parties/a")


def test_history_of_an_agreement_lists_facts_that_narrow_the_end_of_its_party(views: RecordedViews):
    founded = event("lab.founded", "labs/l", "2020-03", name="L", founders=["parties/c"])
    views.record(party("c", "2020-01-05"), founded, event("party.dissolved", "parties/c", "XXXX-08-18"))
    views.record(event("party.identified", "parties/c", "2021-05-05", scheme="ror", value="1"))
    views.record(retracted("parties/c", 4))
    assert [item["position"] for item in views.history("labs/l")] == [2, 3, 4, 5]
    for on in ("2020-03-15", "2021-01-01", "2022-01-01", None):
        assert_patched(views, "labs/l", on)
