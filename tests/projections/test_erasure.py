"""Views fold a log whose data is erased in part (section 6, redaction)."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalogue import CATALOGUE
from domain.corrections import Event, counts_when_erased, erased_data
from domain.errors import Refused
from projections.engine.query_types import Merged
from tests.random_histories import GENERATED, difference, everything, histories, posted, recording
from tests.recorded_views import (
    RecordedViews,
    also_signed,
    corrected,
    disputed,
    document,
    event,
    joined,
    lab,
    new_views,
    of_lab,
    parties,
    party,
    platform,
    retracted,
    signed,
    step,
)


def without(events: Sequence[Event], positions: Collection[int]) -> list[Event]:
    """Return the events of a log with the data of some erased."""
    return [
        each._replace(data=erased_data(each.about), erased=True) if each.position in positions else each
        for each in events
    ]


def folded(into: RecordedViews, events: Sequence[Event]) -> RecordedViews:
    """Return views with these events of a log."""
    for each in events:
        into.apply(each)
    return into


def redacted(made: RecordedViews, *positions: int) -> list[Event]:
    """Return the log of views after redactions of these events."""
    for position in positions:
        subject = made.events[position - 1].subject
        made.record(event("event.redacted", subject, None, event=position, reason="a person asked for it"))
    return without(made.events, positions)


def test_every_event_type_is_readable_without_data():
    for kind in CATALOGUE.values():
        left = kind.nothing
        assert type(left) is kind.data
        assert not left.model_fields_set
        assert all(value in (None, ()) for value in vars(left).values())
        assert set(vars(left)) == set(kind.data.model_fields)


@settings(max_examples=40, **GENERATED)
@given(histories(most=24), st.randoms(use_true_random=False))
def test_every_query_is_answered_after_any_erasure(history, chance: random.Random):
    with new_views() as made, new_views() as left, new_views() as then:
        positions = {each["id"]: made.head for each in recording(made, history)}
        chosen = chance.sample(range(1, made.head + 1), min(made.head, chance.choice((1, 2, 4))))
        events = redacted(made, *chosen)
        folded(left, events)
        for each in events:
            then.apply(each)
            if each.position % 7 == 0 or each.position > made.head - 3:
                assert difference(everything(then), everything(left, as_of=each.position)) == {}
        for subject in sorted({each.subject for each in events}):
            with suppress(Merged):
                left.history(subject)
        for each in history[-4:]:  # whatever is posted upon it is taken or refused, and never breaks
            try:
                left.batch(posted({**each, "id": f"again {each['id']}"}, positions, left))
            except Refused:
                continue


ABC = parties("a", "b", "c")
EACH = {
    "party.registered": ([party("s", "2001", name="Zwyzzerdd", part_of="parties/a")], "parties/s"),
    "agreement.signed": ([signed("s", "2001-02-03", "a", "b", summary="Zwyzzerdd")], "agreements/s"),
    "lab.founded": ([lab("s", "2001", "a", place="Zwyzzerdd", phases=[{"phase": "x"}])], "labs/s"),
    "platform.launched": ([platform("s", "2001", purpose="Zwyzzerdd")], "platforms/s"),
    "document.registered": ([document("s", "2001", title="Zwyzzerdd")], "documents/s"),
}


@pytest.mark.parametrize("kind", EACH)
def test_erased_creation_still_creates_its_subject(kind):
    documents, subject = EACH[kind]
    with new_views() as made, new_views() as left:
        at = made.record(*ABC, *documents)
        folded(left, redacted(made, at))
        state = left.state(subject)
        assert state["position"] == at + 1
        assert "Zwyzzerdd" not in str(left.state(subject, as_of=at))
        assert "name" not in state
        assert "title" not in state
        assert counts_when_erased(CATALOGUE[kind])


def test_memberships_and_list_items_of_erased_data_are_gone_and_the_others_stay():
    with new_views() as made, new_views() as left:
        made.record(
            *ABC, platform("p", "2000"), lab("l", "2000", "a", phases=[{"phase": "x"}]), signed("t", "2000", "a")
        )
        gone = [
            made.record(joined("b", "p", "2001")),
            made.record(also_signed("t", "2001", "b")),
            made.record(
                event("agreement.commitment-made", "agreements/t", "2001", commitment="k", kind="other", title="K")
            ),
            made.record(of_lab("phase-started", "l", "2001", phase="x")),
            made.record(event("party.renamed", "parties/a", "2001", name="Zwyzzerdd")),
        ]
        made.record(event("agreement.commitment-updated", "agreements/t", "2002", commitment="k", status="fulfilled"))
        made.record(joined("c", "p", "2002"), step("ratified", "t", "2003", "c"))
        folded(left, redacted(made, *gone))
        assert [item["party"]["subject"] for item in left.state("platforms/p")["members"]] == ["parties/c"]
        assert {item["party"]["subject"] for item in left.state("agreements/t")["parties"]} == {
            "parties/a",
            "parties/c",
        }
        assert left.state("agreements/t")["commitments"] == []
        assert left.state("labs/l")["phases"][0]["status"] != "started"
        assert left.state("parties/a")["name"] == "a"


def test_erased_end_still_ends_its_subject():
    with new_views() as made, new_views() as left:
        made.record(*ABC, signed("t", "2000", "a", "b"))
        at = made.record(event("agreement.terminated", "agreements/t", "2005-01-01", reason="expired"))
        folded(left, redacted(made, at))
        assert left.state("agreements/t", on="2006-01-01")["status"] == "terminated"
        assert left.state("agreements/t", on="2004-12-31")["status"] == "signed"


def test_retraction_without_data_still_retracts_and_a_dispute_claims_nothing():
    with new_views() as made, new_views() as left:
        made.record(*ABC, document("d"), platform("p", "2000"))
        at = made.record(joined("a", "p", "2001"))
        retraction = made.record(retracted("platforms/p", at))
        dispute = made.record(disputed("platforms/p", 5, occurred="1999"))
        folded(left, redacted(made, retraction, dispute))
        assert left.state("platforms/p")["members"] == []
        assert "disputed" not in left.state("platforms/p")
        assert left.state("platforms/p")["launched"] == "2000"


def test_erased_correction_leaves_its_event_without_data_until_the_next_correction():
    with new_views() as made, new_views() as left:
        made.record(*ABC)
        wrong = made.record(party("s", "2001", name="Wrong"))
        at = made.record(corrected("parties/s", wrong, data={"name": "Zwyzzerdd", "kind": "person"}))
        folded(left, redacted(made, at))
        assert "name" not in left.state("parties/s")
        assert left.state("parties/s", as_of=wrong)["name"] == "Wrong"
        left.record(corrected("parties/s", wrong, data={"name": "Right", "kind": "person"}))
        assert left.state("parties/s")["name"] == "Right"


def test_erased_merger_splits_the_parties():
    with new_views() as made, new_views() as left:
        made.record(*ABC)
        at = made.record(event("party.merged", "parties/a", None, into="parties/b"))
        folded(left, redacted(made, at))
        assert left.state("parties/a")["subject"] == "parties/a"


@pytest.mark.parametrize("kind", ["entered-into-force", "suspended", "provisionally-applied"])
def test_erased_event_of_one_party_does_not_apply_to_all_parties(kind):
    with new_views() as made, new_views() as left:
        made.record(*ABC, signed("t", "2000", "a", "b"))
        at = made.record(step(kind, "t", "2001-01-01", "a"))
        folded(left, redacted(made, at))
        assert left.state("agreements/t")["status"] == "signed"
        assert {item["status"] for item in left.state("agreements/t")["parties"]} == {"signed"}
        assert at not in [item["position"] for item in left.items("timeline", on=None)]
