"""The fact store answers the questions of decisions as a history in memory does, so that rules tested there hold here."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings

from domain.decide import decide
from domain.edtf import AFTER, BEFORE, Span, parse_day
from domain.errors import Refused
from domain.history import History
from domain.lifespan import CREATING, ENDING
from domain.merkle import leaf_hash
from tests.domain.history_fake import Posts
from tests.domain.test_decide import ACCEPTED, CONTRADICTIONS, DEPENDED_ON, MISSING
from tests.random_histories import GENERATED, histories, posted
from tests.recorded_views import Document, RecordedViews, document, new_views, party, text_event

CASES: dict[str, tuple[Sequence[Document], Sequence[Document]]] = {
    **{name: (accepted, ()) for name, accepted in ACCEPTED.items()},
    **{
        name: (taken, (refused,))
        for cases in (CONTRADICTIONS, MISSING, DEPENDED_ON)
        for name, (taken, refused, _) in cases.items()
    },
}
DAYS = [parse_day(day) for day in ("2019-12-31", "2020-03-10", "2021-05-05", "2022-06-15")]
MANY = 100


def answers(history: History, subjects: Sequence[str], head: int) -> dict[str, Any]:
    """Return the answers to every question about some subjects."""
    found: dict[str, Any] = {"mergers": history.mergers()}
    for position in range(head + 2):
        event = found[f"event {position}"] = history.event(position)
        found[f"redaction {position}"] = history.redaction(position)
        if event is None:
            continue
        for also in (None, "event.disputed", "evidence.added"):
            corrections = history.corrections(event, also)
            found[f"corrected {position} {also}"] = corrections.effective_event(event), corrections.retracted_by(event)
            found[f"passages {position} {also}"] = corrections.supporting_passages(event)
    for subject in subjects:
        group = history.cluster(subject)
        found[f"cluster {subject}"] = group[0], sorted(group)
        facts = history.facts(subject)
        found[f"facts {subject}"] = facts, [history.is_current(fact) for fact in facts]
        for types in (CREATING, ENDING, (*CREATING, *ENDING), ("document.registered",)):
            found[f"facts {subject} {types}"] = history.facts(subject, types)
        for day in DAYS:
            found[f"around {day} {subject}"] = [
                history.facts_before(subject, day, MANY),
                history.facts_after(subject, day, MANY, AFTER),
                history.facts_after(subject, day, MANY, day + 400),
                history.steps_outside(group, Span(BEFORE, day), MANY, AFTER),
                history.steps_outside(group, Span(BEFORE, day), MANY, day + 400),
                history.steps_outside(group, Span(day, AFTER), MANY, AFTER),
            ]
        for tag in ("phases", "commitment:x", "call:x", *(f"declaration:{position}" for position in range(head + 1))):
            found[f"{tag} {subject}"] = history.item_facts(subject, tag)
        found[f"memberships {subject}"] = [history.membership_facts(subject, [name]) for name in subjects]
        found[f"others {subject}"] = [
            history.lifespan(subject),
            history.state_facts(subject),
            sorted(history.containers(subject)),
            history.referring(subject, MANY),
            sorted(history.retractions(subject, MANY)),
            history.stored_text(subject),
        ]
    return found


def differences(views: RecordedViews, posts: Posts, *, is_cached: bool) -> dict[str, tuple[Any, Any]]:
    """Return the questions that the fact store, with caches or without, and the history in memory answer differently."""
    if not is_cached:
        views.views._store.forget()
    names = {name for event in posts.history.events for name in (event.subject, *_references(event.plain))}
    subjects = sorted({*names, "parties/unknown"})
    views.views.begin()
    with views.views.batch([]) as history:
        stored = answers(history, subjects, posts.head)
    views.views.rollback()
    in_memory = answers(posts.history, subjects, posts.head)
    return {
        question: (stored[question], in_memory[question])
        for question in stored
        if stored[question] != in_memory[question]
    }


def _references(value: Any) -> list[str]:
    match value:
        case str() if value.partition("/")[0] in ("parties", "agreements", "documents"):
            return [value]
        case dict():
            return [name for each in value.values() for name in _references(each)]
        case list():
            return [name for each in value for name in _references(each)]
    return []


def outcome(taker: RecordedViews | Posts, *documents: Document) -> Any:
    """Return the positions of a batch, or its refusal."""
    try:
        return taker.batch(*documents)
    except Refused as refused:
        return type(refused), refused.detail, refused.flaws, refused.positions


@pytest.mark.parametrize("case", CASES)
def test_decision_on_the_fact_store_equals_the_decision_in_memory(views: RecordedViews, case):
    taken, refused = CASES[case]
    posts = Posts()
    views.record(*taken)
    posts.record(*taken)
    for is_cached in (True, False):
        assert differences(views, posts, is_cached=is_cached) == {}
        for each in refused:
            assert outcome(views, each) == outcome(posts, each)


@settings(**GENERATED, max_examples=60)
@given(histories())
def test_decisions_on_a_random_history_equal_the_decisions_in_memory(documents):
    with new_views() as views:
        posts, positions = Posts(), dict[str, int]()
        for each in documents:
            ready = posted(each, positions, views)
            stored = outcome(views, ready)
            assert outcome(posts, ready) == stored
            if isinstance(stored, list):
                positions[each["id"]] = views.head
        assert differences(views, posts, is_cached=True) == {}
        assert differences(views, posts, is_cached=False) == {}


def test_text_of_a_document_is_that_in_memory(views: RecordedViews):
    text = "The quick 棕色的 fox"
    posts = Posts()
    for taker in (views, posts):
        taker.record(document("d", sha256=sha256(text.encode()).hexdigest()), party("a"))
    posts.store_text("d", text)
    own = text_event("document.text-stored", "documents/d", text, position=3, version=2)
    views.views.begin()
    with views.views.batch([leaf_hash(own.data)]) as history:
        decide(history, [own])
    views.views.store_text(own, text)
    views.views.commit()
    with views.views.batch([]) as history:
        assert history.stored_text("documents/d") == posts.history.stored_text("documents/d")
        assert history.text("documents/d") == posts.history.text("documents/d") == text
        with pytest.raises(LookupError):
            history.text("documents/e")
