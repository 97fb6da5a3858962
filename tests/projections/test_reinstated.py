"""Revoked withdrawals and reinstatements: what had ended, or was to end, goes on."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalogue import CATALOGUE
from domain.errors import Contradiction
from tests.enumerated_worlds import LAST, Happening, Reading, Timeline, verdict
from tests.membership_model import undone
from tests.projections.test_certainty import agree, post_agreement, states_by_day, ties_by_day
from tests.random_histories import difference, everything
from tests.recorded_views import RecordedViews, adopted, event, new_views, parties, retracted, signed, status_of, step


def treaty(found: RecordedViews, *more: dict[str, Any]) -> None:
    """Record a treaty of a, b and c that entered into force in 2020, and more."""
    found.record(
        *parties("a", "b", "c"),
        adopted("t", "2019-01-01"),
        *(step("ratified", "t", f"2019-0{month}-01", slug) for month, slug in enumerate("abc", 2)),
        step("entered-into-force", "t", "2020-01-01"),
        *more,
    )


def statuses(found: RecordedViews, slug: str, *days: str) -> list[str | None]:
    """Return the status of a party on some days."""
    listed = [found.memberships(f"parties/{slug}", "agreements/t", on=on) for on in days]
    return [each[-1]["status"] if each else None for each in listed]


# revoked


NOTICE = step("withdrawn", "t", "2021-01-01", "a", effective="2022-01-01")


def test_revoked_notice_no_longer_stands(views):
    treaty(views, NOTICE, step("withdrawal-revoked", "t", "2021-06-01", "a"))
    assert statuses(views, "a", "2021-02-01", "2021-12-31", "2022-01-01", "2025-01-01") == ["in-force"] * 4
    membership = views.membership("parties/a", "agreements/t")
    assert (membership["to"], membership["certainty"]) == (None, "certain")
    assert [each["type"] for each in membership["steps"][-2:]] == [
        "agreement.withdrawn",
        "agreement.withdrawal-revoked",
    ]
    assert views.items("memberships", in_="agreements/t", status="withdrawn", on=None) == []


def test_revoked_notice_stood_as_of_before(views):
    treaty(views, NOTICE)
    before = views.head
    views.record(step("withdrawal-revoked", "t", "2021-06-01", "a"))
    assert views.memberships("parties/a", "agreements/t", as_of=before)[-1]["status"] == "withdrawn"
    views.record(retracted("agreements/t", views.head))
    assert statuses(views, "a", "2022-01-01") == ["withdrawn"]


def test_notice_after_a_revoked_one_takes_effect(views):
    again = step("withdrawn", "t", "2023-01-01", "a", effective="2024-01-01")
    treaty(views, NOTICE, step("withdrawal-revoked", "t", "2021-06-01", "a"), again)
    assert statuses(views, "a", "2023-12-31", "2024-01-01") == ["in-force", "withdrawn"]


def test_notice_is_revoked_only_before_it_takes_effect(views):
    treaty(views, NOTICE)
    for late in ("2022-01-01", "2023", None):
        if late is not None:
            with pytest.raises(Contradiction) as refused:
                views.record(step("withdrawal-revoked", "t", late, "a"))
            assert 9 in refused.value.positions
    views.record(step("withdrawal-revoked", "t", None, "a"))
    assert statuses(views, "a", "2025-01-01") == ["in-force"]


def test_withdrawal_without_notice_cannot_be_revoked(views):
    treaty(views, step("withdrawn", "t", "2021-01-01", "a"))
    with pytest.raises(Contradiction):
        views.record(step("withdrawal-revoked", "t", "2021-06-01", "a"))
    views.record(step("acceded", "t", "2022-01-01", "a"), step("withdrawal-revoked", "t", "2023-01-01", "a"))
    assert statuses(views, "a", "2025-01-01") == ["bound"]


def test_revocation_of_a_notice_that_is_not_recorded_changes_nothing(views):
    treaty(views, step("withdrawal-revoked", "t", "2021-06-01", "a"))
    assert statuses(views, "a", "2021-05-31", "2021-06-01") == ["in-force", "in-force"]


def test_party_that_is_known_by_a_revoked_notice_remains_a_party(views):
    views.record(*parties("a"), adopted("t", "2019-01-01"), NOTICE, step("withdrawal-revoked", "t", "2021-06-01", "a"))
    assert statuses(views, "a", "2021-01-01", "2025-01-01") == ["bound", "bound"]


def test_imprecise_effect_of_a_revoked_notice_lies_after_the_revocation(views):
    notice = step("withdrawn", "t", "2021-01-01", "a", effective="2021")
    treaty(views, notice, step("withdrawal-revoked", "t", "2021-06-01", "a"))
    found = views.membership("parties/a", "agreements/t", on="2021-12-31")
    assert status_of(found) == ("in-force", ("in-force",), "certain")


def test_ratifying_again_after_a_revoked_notice_is_refused(views):
    treaty(views, NOTICE, step("withdrawal-revoked", "t", "2021-06-01", "a"))
    with pytest.raises(Contradiction):
        views.record(step("ratified", "t", "2023-01-01", "a"))


# reinstated

ENDED = step("terminated", "t", "2022-01-01", reason="terminated")
AGAIN = step("reinstated", "t", "2025-09-28")


def test_terminated_agreement_is_in_force_again(views):
    treaty(views, ENDED, AGAIN)
    days = ("2021-12-31", "2022-01-01", "2025-09-27", "2025-09-28")
    states = [views.state("agreements/t", on=on) for on in days]
    assert [each["status"] for each in states] == ["in-force", "terminated", "terminated", "in-force"]
    assert {each["certainty"] for each in states} == {"certain"}
    assert [("terminated" in each, "reason" in each, each.get("reinstated")) for each in states] == [
        (False, False, None),
        (True, True, None),
        (True, True, None),
        (False, False, "2025-09-28"),
    ]
    assert views.subjects("agreements", on="2025-09-28", status="in-force") == ["agreements/t"]
    assert views.subjects("agreements", on="2025-09-28", status="terminated") == []
    assert statuses(views, "a", *days) == ["in-force", "ended", "ended", "in-force"]
    first, second = views.items("memberships", in_="agreements/t", party="parties/a", on=None, status="any")
    assert [(each["from"], each["to"], each["status"]) for each in (first, second)] == [
        ("2019-02-01", "2022-01-01", "ended"),
        ("2025-09-28", None, "in-force"),
    ]
    assert second["events"] == [5, 8, 9, 10]
    assert [each["type"] for each in second["steps"]] == ["agreement.ratified"]


def test_signatories_of_a_terminated_agreement_are_signatories_again(views):
    treaty(views)
    views.record(
        *parties("d"), event("agreement.signed", "agreements/t", "2019-06-01", parties=[{"party": "parties/d"}])
    )
    views.record(ENDED, AGAIN)
    assert statuses(views, "d", "2021-01-01", "2023-01-01", "2026-01-01") == ["signed", "ended", "signed"]


def test_party_that_had_left_is_not_reinstated_with_the_agreement(views):
    treaty(views, step("withdrawn", "t", "2021-01-01", "b"), ENDED, AGAIN)
    assert statuses(views, "b", "2026-01-01") == ["withdrawn"]
    views.record(step("acceded", "t", "2026-02-01", "b"))
    assert statuses(views, "b", "2026-02-01") == ["bound"]


def test_facts_between_end_and_reinstatement_are_refused(views):
    treaty(views, ENDED)
    late = step("suspended", "t", "2023-01-01", "a")
    for refused in (late, step("suspended", "t", "2025-10-01", "a")):
        with pytest.raises(Contradiction):
            views.record(refused)
    views.record(AGAIN, step("suspended", "t", "2025-10-01", "a"))
    with pytest.raises(Contradiction):
        views.record(late)
    assert statuses(views, "a", "2025-10-01") == ["suspended"]
    with pytest.raises(Contradiction):
        views.record(retracted("agreements/t", 10))


def test_reinstated_agreement_may_end_again(views):
    treaty(views, ENDED, AGAIN, step("terminated", "t", "2026-01-01", reason="completed"))
    state = views.state("agreements/t", on="2026-01-01")
    assert (state["status"], state["terminated"], state["reason"]) == ("terminated", "2026-01-01", "completed")
    assert statuses(views, "a", "2025-12-31", "2026-01-01") == ["in-force", "ended"]
    with pytest.raises(Contradiction):
        views.record(step("suspended", "t", "2026-02-01", "a"))


def test_reinstatement_before_the_end_is_refused(views):
    treaty(views, ENDED)
    with pytest.raises(Contradiction) as refused:
        views.record(step("reinstated", "t", "2021-01-01"))
    assert 9 in refused.value.positions
    views.record(step("reinstated", "t", "2022-01-01"))


def test_reinstatement_without_a_recorded_end_is_accepted(views):
    treaty(views, step("suspended", "t", "2021-01-01"), AGAIN)
    assert views.state("agreements/t", on="2025-09-28")["status"] == "in-force"
    assert statuses(views, "a", "2025-09-27", "2025-09-28") == ["suspended", "in-force"]


def test_reinstated_agreement_has_no_lapsed_term(views):
    treaty(views, step("renewed", "t", "2021-01-01", until="2021-12-31"), ENDED, AGAIN)
    state = views.state("agreements/t", on="2025-10-01")
    assert (state["status"], state["certainty"], "until" in state) == ("in-force", "certain", False)


def test_party_that_left_is_in_force_again(views):
    treaty(views, step("withdrawn", "t", "2021-01-01", "a"), step("reinstated", "t", "2023-01-01", "a"))
    assert statuses(views, "a", "2022-12-31", "2023-01-01") == ["withdrawn", "in-force"]
    assert statuses(views, "b", "2022-12-31", "2023-01-01") == ["in-force", "in-force"]
    assert "reinstated" not in views.state("agreements/t")
    second = views.items("memberships", in_="agreements/t", party="parties/a")[0]
    assert (second["from"], [each["type"] for each in second["steps"]]) == ("2023-01-01", ["agreement.reinstated"])


def test_party_is_reinstated_no_earlier_than_it_left(views):
    treaty(views, step("withdrawn", "t", "2021-01-01", "a"))
    with pytest.raises(Contradiction) as refused:
        views.record(step("reinstated", "t", "2020-06-01", "a"))
    assert 9 in refused.value.positions


def test_ended_agreement_is_in_force_again_for_one_party(views):
    treaty(views, ENDED, step("reinstated", "t", "2024-01-01", "a"))
    assert statuses(views, "a", "2023-12-31", "2024-01-01") == ["ended", "in-force"]
    assert statuses(views, "b", "2023-12-31", "2024-01-01") == ["ended", "ended"]
    assert views.state("agreements/t", on="2024-01-01")["status"] == "in-force"


def test_imprecise_end_lies_before_the_reinstatement(views):
    treaty(views, step("terminated", "t", "2022/..", reason="terminated"), AGAIN)
    assert status_of(views.state("agreements/t", on="2025-09-28")) == ("in-force", ("in-force",), "certain")
    assert status_of(views.membership("parties/a", "agreements/t", on="2025-09-28")) == (
        "in-force",
        ("in-force",),
        "certain",
    )
    before = views.state("agreements/t", on="2024-01-01")
    assert status_of(before) == ("terminated", ("in-force", "terminated"), "possible")


def test_commitments_go_on_with_the_agreement(views):
    made = {"commitment": "x", "kind": "research", "title": "X"}
    treaty(views, ENDED, AGAIN, step("commitment-made", "t", "2025-10-01", **made))
    assert [item["status"] for item in views.items("commitments")] == ["planned"]


FACTS: list[dict[str, Any]] = [
    step("terminated", "t", "2022", reason="terminated", id_="1"),
    step("reinstated", "t", "2023-05-05", id_="2"),
    step("withdrawn", "t", "2023-06-01", "a", effective="2024-06-01", id_="3"),
    step("withdrawal-revoked", "t", "2024", "a", id_="4"),
    step("withdrawn", "t", "2021", "b", id_="5"),
    step("reinstated", "t", "2021-06", "b", id_="6"),
]


@pytest.mark.parametrize("order", list(permutations(range(6)))[5::48])
def test_order_of_recording_changes_nothing(order):
    answers = []
    for indexes in (range(6), order):
        with new_views() as found:
            treaty(found)
            found.batch(*[FACTS[index] for index in indexes])
            shown = {at: value for at, value in everything(found).items() if "timeline" not in at}
            answers.append({at: _without(value) for at, value in shown.items()})
    assert difference(*answers) == {}


def _without(value: Any) -> Any:
    """Return an answer without positions and versions."""
    if isinstance(value, dict):
        left_out = ("events", "position", "version", "recorded")
        return {key: _without(each) for key, each in value.items() if key not in left_out}
    return [_without(each) for each in value] if isinstance(value, list) else value


def test_signed_agreement_that_ended_is_signed_again_after_its_reinstatement(views):
    views.record(*parties("a", "b"), signed("t", "2020-01-01", "a", "b"), ENDED, AGAIN)
    assert statuses(views, "a", "2021-01-01", "2026-01-01") == ["signed", "in-force"]
    signing = event("agreement.signed", "agreements/t", "2026-01-01", parties=[{"party": "parties/a"}])
    views.record(signing)
    assert statuses(views, "a", "2026-01-01") == ["in-force"]


# imprecise dates, against every possible world

RANKS = {
    what: -1 if what == "withdrawn" else CATALOGUE[f"agreement.{what}"].rank
    for what in (
        *("adopted", "signed", "ratified", "entered-into-force", "suspended"),
        *("withdrawn", "withdrawal-revoked", "terminated", "reinstated"),
    )
}


def membership(reading: Reading) -> list[Timeline]:
    """Return the status of the only party on each day of one world."""
    days = undone(reading)
    return [tuple(each.status for each in days)] if days else []


def whole(reading: Reading) -> list[Timeline]:
    """Return the status of the agreement on each day of one world."""
    days = undone(reading)
    return [tuple(each.agreement for each in days)] if days else []


@st.composite
def ends_undone(draw: Any) -> list[Happening]:
    """Draw a treaty of one party that ends or that it leaves, and what undoes that."""
    facts: list[Happening] = []

    def add(what: str, who: str | None, lo: int, hi: int, effect: tuple[int, int] | None = None) -> None:
        facts.append(Happening(what, who, lo, hi, RANKS[what], f"{len(facts)}", effect))

    def dated(first: int, last: int = LAST) -> tuple[int, int]:
        lo = draw(st.integers(first, last))
        return lo, draw(st.integers(lo, last))

    add("adopted", None, 1, 1)
    add(draw(st.sampled_from(("signed", "ratified"))), "a", 1, 1)
    if draw(st.booleans()):
        add("entered-into-force", draw(st.sampled_from((None, "a"))), *dated(1, 2))
    if draw(st.integers(0, 3)) == 0:
        add("suspended", None, 2, 2)
    undoing = draw(st.sampled_from(("withdrawal-revoked", "reinstated", "reinstated", "reinstated of one")))
    if undoing == "withdrawal-revoked" or draw(st.booleans()):
        notice = dated(3, 5)
        has_effect = undoing == "withdrawal-revoked" or draw(st.booleans())
        add("withdrawn", "a", *notice, dated(notice[1] + 1) if has_effect else None)
    if undoing != "withdrawal-revoked" and draw(st.integers(0, 3)):
        noticed = max((fact.hi for fact in facts if fact.effect), default=3)
        add("terminated", None, *dated(noticed, 6))
    what, _, of_one = undoing.partition(" ")
    add(what, "a" if of_one or what == "withdrawal-revoked" else None, *dated(1))
    if all(fact.effect is None for fact in facts) and draw(st.booleans()):  # no return during a notice
        add("ratified", "a", 7, 7)
    return facts


@settings(max_examples=150)
@given(ends_undone())
def test_undone_ends_of_imprecise_days_equal_the_enumerated_worlds(facts):
    expected, of_agreement = verdict(facts, membership), verdict(facts, whole)
    with new_views() as found:
        if expected is None or of_agreement is None:
            with pytest.raises(Contradiction):
                post_agreement(found, facts)
            return
        post_agreement(found, facts)
        agree(expected, ties_by_day(found, "agreements/t"))
        if facts[-1].who is None and all(fact.what != "withdrawn" for fact in facts):
            agree(of_agreement, states_by_day(found, "agreements/t"))
