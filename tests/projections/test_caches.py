"""Refused, validated or interrupted posts evict nothing from the caches of the writer, and change no later decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Refused
from projections import fact_store
from projections.digests import VIEWS
from projections.engine.time_limit import TooLong
from tests.random_histories import GENERATED, histories, posted
from tests.recorded_views import (
    RecordedViews,
    corrected,
    event,
    joined,
    lab,
    left,
    new_views,
    party,
    platform,
    retracted,
    signed,
    step,
)

Documents = Sequence[dict[str, Any]]
BEFORE: Documents = (
    party("a"),
    party("b", "1950"),
    party("c"),
    platform("p", "2001-01-01"),
    joined("a", "p", "2002-01-01"),
    signed("t", "2003", "a", "b"),
    lab("l", "2004", "a", phases=[{"phase": "one"}]),
)
NEXT: Documents = (
    joined("b", "p", "2005-01-01"),
    step("ratified", "t", "2006-01-01", "a"),
    event("lab.phase-started", "labs/l", "2006", phase="one"),
    party("d", name="b"),
)
REFUSED: Sequence[Documents] = (
    [joined("a", "p", "2003-01-01")],
    [party("a")],
    [joined("b", "p", "1999")],
    [joined("nobody", "p", "2003")],
    [party("new", name="Newly named"), joined("new", "p", "2003"), joined("new", "p", "2004")],
    [retracted("parties/a", 1)],
    [corrected("platforms/p", 4, occurred="2009")],
    [event("party.merged", "parties/b", into="parties/c"), party("a")],
    [signed("t2", "2003", "a", "b"), step("terminated", "t", "2007", reason="completed"), signed("t", "2009", "a")],
    [left("a", "p", "2003"), joined("a", "p", "2002-06-01")],
)


@contextmanager
def one_transaction(found: RecordedViews) -> Iterator[None]:
    """Commit nothing, and undo only refused batches, as while a group is decided."""
    commit, rollback = found.views.commit, found.views.rollback
    found.views.commit = found.views.rollback = lambda: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        found.views.commit, found.views.rollback = commit, rollback  # type: ignore[method-assign]


def tried(found: RecordedViews, *documents: dict[str, Any]) -> str:
    """Return the result of validating a batch."""
    made, count = found._made, len(found.events)
    with one_transaction(found), found.views.trial():
        first = outcome(found, *documents)
    found._made = made
    del found.events[count:]
    return first


def outcome(found: RecordedViews, *documents: dict[str, Any]) -> str:
    """Return the refusal of a batch, or that it is accepted."""
    try:
        found.batch(*documents)
    except Refused as refused:
        return f"{type(refused).__name__}: {refused.detail} {refused.flaws} {refused.positions}"
    return "accepted"


def broken_off(found: RecordedViews, *documents: dict[str, Any]) -> None:
    """Start a batch and find at once that it takes too long."""
    batch = found.views.batch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(found.views, "batch", lambda leaves: batch(leaves, 0.0))
        with pytest.raises(TooLong):
            found.batch(*documents)


def statements(found: RecordedViews) -> list[str]:
    """Return the statements of the next posts, with the final flush, without starts of transactions."""
    run: list[str] = []
    found.views._db.set_trace_callback(run.append)
    with one_transaction(found):
        for number, document in enumerate(NEXT):
            found.batch({**document, "id": f"next-{number}"})
    found.views.commit()
    found.views._db.set_trace_callback(None)
    return [each for each in run if each.startswith(("SELECT", "INSERT", "UPDATE"))]


def started(found: RecordedViews) -> None:
    """Return views with committed facts, all of them cached."""
    with one_transaction(found):
        for document in BEFORE:
            found.batch(document)
    found.views.commit()


@pytest.mark.parametrize("refused", REFUSED)
@pytest.mark.parametrize("way", [outcome, tried])
def test_refused_or_validated_post_adds_no_reads_to_the_next_post(way, refused):
    with new_views() as found, new_views() as alone:
        started(found)
        started(alone)
        with one_transaction(found):
            assert way(found, *refused) != "accepted"
        assert len(statements(found)) <= len(statements(alone))


@pytest.mark.parametrize("document", NEXT)
def test_accepted_validation_adds_no_reads_to_the_next_post(document):
    with new_views() as found, new_views() as alone:
        started(found)
        started(alone)
        assert tried(found, document) == "accepted"
        assert len(statements(found)) <= len(statements(alone))


@pytest.mark.parametrize(
    "document", [*NEXT, corrected("platforms/p", 4, occurred="2000"), retracted("agreements/t", 6)]
)
def test_interrupted_post_adds_no_reads_to_the_next_post(document):
    with new_views() as found, new_views() as alone:
        started(found)
        started(alone)
        with one_transaction(found):
            broken_off(found, document)
        assert len(statements(found)) <= len(statements(alone))


def lines(found: RecordedViews) -> dict[str, list[bytes]]:
    return {view: sorted(found.reader.lines(view, found.head)) for view in VIEWS}


@pytest.mark.parametrize("few", [3, 64])
@settings(**GENERATED, max_examples=15)
@given(
    documents=histories(most=40),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    ways=st.lists(st.sampled_from("tbc-"), min_size=1, max_size=7),
)
def test_validated_refused_or_interrupted_post_changes_no_later_decision(few, documents, sizes, ways):
    """`t`: validated first; `b`: interrupted first; `c`: committed first."""
    with new_views() as found, new_views() as alone, pytest.MonkeyPatch.context() as patch:
        patch.setattr(fact_store, "_FEW_FACTS", few)
        positions: dict[str, int] = {}
        rest = list(documents)
        turn = 0
        while rest:
            size, way = sizes[turn % len(sizes)], ways[turn % len(ways)]
            some, rest, turn = rest[:size], rest[size:], turn + 1
            there = positions | {each["id"]: found.head + place for place, each in enumerate(some, 1)}
            batch = [posted(each, there, found) for each in some]
            first = None
            if way in "tc":
                found.views.commit()
            if way == "t":
                first = tried(found, *batch)
            with one_transaction(found):
                result = interrupted_and_posted(found, batch) if way == "b" else outcome(found, *batch)
            assert first in (None, result)
            assert result == outcome(alone, *batch)
            if result == "accepted":
                positions = there
        found.views.commit()
        assert [each.id for each in found.events] == [each.id for each in alone.events]
        assert lines(found) == lines(alone)


def interrupted_and_posted(found: RecordedViews, batch: Documents) -> str:
    """Return the result of a batch that is interrupted, if it gets that far, and posted again."""
    checks = 0

    def check(_: int = 0) -> None:
        nonlocal checks
        checks += 1
        if checks > 3:
            raise TooLong

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(found.views._db.limit, "check", check)
            return outcome(found, *batch)
    except TooLong:
        return outcome(found, *batch)
