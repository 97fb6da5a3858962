"""Re-established parties: they exist again from a day on, and their earlier memberships stay ended."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.errors import Contradiction
from tests.enumerated_worlds import DAYS, FIRST, Happening, Reading, Timeline, by_day, day, edtf, verdict
from tests.projections.test_certainty import agree, spanned, spans, ties_by_day
from tests.recorded_views import (
    RecordedViews,
    adopted,
    corrected,
    dissolved,
    event,
    joined,
    merged,
    new_views,
    owned,
    parties,
    party,
    platform,
    retracted,
    signed,
    status_of,
    step,
)


def reestablished(slug: str, occurred: str | None = None) -> dict[str, Any]:
    """Return the re-establishment of a party."""
    return event("party.re-established", f"parties/{slug}", occurred)


BALTIC = (
    party("estonia", "1918-02-24", kind="state"),
    *parties("bank"),
    platform("league", "1920-01-10"),
    joined("estonia", "league", "1921-09-22"),
    owned("bank", "estonia", "1930-01-01"),
    owned("estonia", "bank", "1931-01-01"),
    dissolved("estonia", "1940-08-06"),
    reestablished("estonia", "1991-08-20"),
    joined("estonia", "league", "1991-09-17"),
)


def test_party_exists_again_and_its_memberships_stay_ended(views: RecordedViews):
    views.record(*BALTIC)
    shown = [
        (state["status"], state["certainty"], state.get("dissolved"), state.get("re_established"))
        for state in (views.state("parties/estonia", on=on) for on in ("1940-08-05", "1940-08-06", "1991-08-20"))
    ]
    assert shown == [
        ("registered", "certain", None, None),
        ("dissolved", "certain", "1940-08-06", None),
        ("registered", "certain", None, "1991-08-20"),
    ]
    assert views.state("parties/estonia")["events"]["status"] == [views.head - 1]
    assert [
        (each["status"], each["from"], each["to"])
        for each in views.items("memberships", party="parties/estonia", on=None, status="any")
    ] == [("ended", "1921-09-22", "1940-08-06"), ("member", "1991-09-17", None)]
    assert views.items("memberships", party="parties/estonia", on="1991-09-16") == []
    for name in ("owners", "owns"):
        assert [each["status"] for each in views.state("parties/estonia", on="1935-01-01")[name]] == ["owner"]
        assert views.state("parties/estonia")[name] == []


def test_order_of_recording_makes_no_difference_for_a_reestablished_party():
    later = BALTIC[6:]
    shown = set()
    for order in permutations(later):
        with new_views() as found:
            found.record(*BALTIC[:6])
            pending = list(order)
            while pending:  # the second joining waits for the dissolution between
                for fact in pending:
                    try:
                        found.record(fact)
                    except Contradiction:
                        continue
                    pending.remove(fact)
                    break
                else:
                    raise AssertionError(order)
            held = [found.items("memberships", on=on, status="any") for on in ("1940-08-06", "1991-09-17", None)]
            states = [found.state("parties/estonia", on=on) for on in ("1940-08-06", "1991-08-20")]
            shown.add(
                str([[(each["status"], each["from"], each["to"]) for each in items] for items in held])
                + str([(state["status"], status_of(state)) for state in states])
            )
    assert len(shown) == 1


def test_nothing_happens_between_dissolution_and_reestablishment(views: RecordedViews):
    views.record(*BALTIC)
    between = event("party.renamed", "parties/estonia", "1960-01-01", name="E")
    for refused in (between, joined("estonia", "league", "1960-01-01"), owned("bank", "estonia", "1960-01-01")):
        assert views.refused(refused).positions
    views.record(event("party.renamed", "parties/estonia", "1992-01-01", name="E"))
    views.record(dissolved("estonia", "2020-01-01"))
    assert views.state("parties/estonia")["dissolved"] == "2020-01-01"
    assert views.refused(event("party.renamed", "parties/estonia", "2021-01-01", name="F")).positions
    assert views.refused(joined("estonia", "league", "2021-01-01")).positions


def test_reestablishment_that_others_rest_on_is_neither_retracted_nor_moved_after_them(views: RecordedViews):
    views.record(*BALTIC)
    again = views.head - 1
    assert views.refused(retracted("parties/estonia", again)).positions
    assert views.refused(corrected("parties/estonia", again, occurred="1995-01-01")).positions
    views.record(corrected("parties/estonia", again, occurred="1991-09"))
    assert views.state("parties/estonia", on="1991-09-16")["certainty"] == "possible"
    assert views.state("parties/estonia", on="1991-09-16", as_of=views.head - 1)["certainty"] == "certain"
    views.record(retracted("platforms/league", again + 1), retracted("parties/estonia", again))
    assert views.state("parties/estonia")["status"] == "dissolved"


def test_reestablishment_before_the_dissolution_is_refused_and_without_one_accepted(views: RecordedViews):
    views.record(*parties("a", "b"), dissolved("a", "2010-01-01"))
    assert "re-established before it ended" in str(views.refused(reestablished("a", "2009-12-31")))
    views.record(reestablished("a", "2010-01-01"), reestablished("b", "1990-01-01"))
    assert [views.state(f"parties/{slug}")["status"] for slug in "ab"] == ["registered", "registered"]


def test_reinstated_agreement_does_not_bring_back_a_party_that_had_been_dissolved(views: RecordedViews):
    views.record(*parties("a", "b"), adopted("t", "1990-01-01"))
    views.record(*(step("ratified", "t", "1991-01-01", slug) for slug in "ab"))
    views.record(step("entered-into-force", "t", "1992-01-01"))
    views.record(dissolved("a", "1995-01-01"), reestablished("a", "1998-01-01"))
    views.record(step("terminated", "t", "2000-01-01", reason="terminated"), step("reinstated", "t", "2005-01-01"))
    assert [each["party"]["subject"] for each in views.items("memberships", in_="agreements/t")] == ["parties/b"]
    views.record(step("acceded", "t", "2006-01-01", "a"))
    held = views.items("memberships", in_="agreements/t", party="parties/a")
    assert [(each["status"], each["from"]) for each in held] == [("bound", "2006-01-01")]


def test_agreement_signed_first_by_a_reestablished_party(views: RecordedViews):
    views.record(*parties("a"), dissolved("a", "1995-01-01"), reestablished("a", "1998-01-01"))
    views.record(signed("t", "2000-01-01", "a"))
    (tie,) = views.items("memberships", in_="agreements/t", on="2000-01-01")
    assert status_of(tie) == ("signed", ("signed",), "certain")
    assert views.refused(signed("s", "1996-01-01", "a")).positions


def test_merged_parties_share_their_reestablishment(views: RecordedViews):
    views.record(*parties("a", "a2"), platform("p", "1980-01-01"), dissolved("a", "1990-01-01"))
    views.record(reestablished("a2", "1995-01-01"), merged("a2", "a"), joined("a2", "p", "1996-01-01"))
    assert views.state("parties/a")["status"] == "registered"
    assert [each["status"] for each in views.items("memberships", party="parties/a")] == ["member"]
    assert views.refused(retracted("parties/a2", 5)).positions
    views.record(retracted("parties/a2", 6))
    assert [views.state(f"parties/{slug}")["status"] for slug in ("a", "a2")] == ["dissolved", "registered"]


def test_history_of_a_platform_lists_the_return_of_its_member(views: RecordedViews):
    views.record(*BALTIC)
    positions = [item["position"] for item in views.history("platforms/league", on="1991-09-17")]
    assert {7, 8, 9} <= set(positions)
    views.record(corrected("parties/estonia", 8, occurred="1991-09-01"))
    assert views.head in [item["position"] for item in views.history("platforms/league", on="1991-09-17")]


# against a model that enumerates every world

RANKS = {"launched": 3, "joined": 29, "dissolved": 1 << 20, "re-established": -2}


def membership_of(reading: Reading) -> list[Timeline]:
    """Return the membership of a party in a platform, in one world."""

    def take(state, fact, _):
        status, is_alive = state
        match fact.what:
            case "joined":
                return None if not is_alive or status == "member" else ("member", True)
            case "dissolved":
                return ("ended" if status == "member" else status, False) if is_alive else None
            case "re-established":
                return None if is_alive else (status, True)
        return state

    folded = by_day(reading, reading, take, (None, True))
    if folded is None:
        return []
    return [tuple(next((state[0] for on, state in reversed(folded) if on <= today), None) for today in DAYS)]


@st.composite
def interrupted(draw: Any) -> list[Happening]:
    """Draw a dissolution and a re-establishment of a party, and its steps."""
    facts = [spanned((FIRST, FIRST), "launched", None, RANKS["launched"], "0")]
    ends = [
        spanned(draw(spans(undated=False)), what, "a", RANKS[what], what) for what in ("dissolved", "re-established")
    ]
    steps = [
        spanned(draw(spans(undated=False)), "joined", "a", RANKS["joined"], f"{index + 1}")
        for index in range(draw(st.integers(1, 2)))
    ]
    first, last = max(fact.lo for fact in ends), min(fact.hi for fact in ends)
    assume(all(step.hi < first or step.lo > last for step in steps))  # no day for all three: their order is arbitrary
    return [*facts, *ends, *steps]


def post(found: RecordedViews, facts: list[Happening]) -> None:
    """Record the facts as one batch."""
    subjects = {"launched": "platforms/p", "joined": "platforms/p"}
    types = {"launched": "platform.launched", "joined": "platform.member-joined"}
    documents = []
    for fact in facts:
        data = {"name": "p"} if fact.what == "launched" else {"party": "parties/a"} if fact.what == "joined" else {}
        kind, subject = types.get(fact.what, f"party.{fact.what}"), subjects.get(fact.what, "parties/a")
        documents.append(event(kind, subject, edtf(fact.lo, fact.hi), id_=fact.id, **data))
    found.record(party("a"))
    found.batch(*documents)


@settings(max_examples=150)
@given(interrupted())
def test_membership_of_a_reestablished_party_is_that_of_every_world(facts):
    expected = verdict(facts, membership_of)
    with new_views() as found:
        if expected is None:
            with pytest.raises(Contradiction):
                post(found, facts)
        else:
            post(found, facts)
            agree(expected, ties_by_day(found, "platforms/p"))
            state = found.state("parties/a", on=day(FIRST))
            assert state["status"] in ("registered", "dissolved")
