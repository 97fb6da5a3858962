"""An agreement over time: its status and that of each party on each day (sections 2 and 5)."""

from __future__ import annotations

import pytest

from tests.recorded_views import (
    RecordedViews,
    adopted,
    also_signed,
    corrected,
    parties,
    retracted,
    signed,
    status_of,
    step,
)

ABC = parties("a", "b", "c")
T = signed("t", "2020-01-01", "a", "b")


def statuses(views: RecordedViews, *, on: str | None = "2030-01-01") -> dict[str, str]:
    """Return the status of each party on a day."""
    found = {}
    for item in views.state("agreements/t", on=on)["parties"]:
        found[item["party"]["subject"].removeprefix("parties/")] = item["status"]
    return found


def test_status_of_an_agreement_follows_its_latest_step(views: RecordedViews):
    views.record(
        *ABC,
        adopted("t", "2019-05-05"),
        also_signed("t", "2020-01-01", "a", "b"),
        step("entered-into-force", "t", "2021-01-01"),
        step("suspended", "t", "2022-01-01"),
        step("resumed", "t", "2023-01-01"),
        step("terminated", "t", "2024-01-01", reason="completed"),
    )
    days = ("2019-05-05", "2020-01-01", "2021-01-01", "2022-01-01", "2023-01-01", "2023-12-31", "2024-01-01")
    assert [status_of(views.state("agreements/t", on=day)) for day in days] == [
        (status, (status,), "certain")
        for status in ("adopted", "signed", "in-force", "suspended", "in-force", "in-force", "terminated")
    ]
    state = views.state("agreements/t")
    dates = {name: state[name] for name in ("adopted", "signed", "entered_into_force", "terminated", "reason")}
    assert dates == {
        "adopted": "2019-05-05",
        "signed": "2020-01-01",
        "entered_into_force": "2021-01-01",
        "terminated": "2024-01-01",
        "reason": "completed",
    }


def test_entering_into_force_as_a_whole_applies_to_signatories_if_no_consent_is_recorded(views: RecordedViews):
    views.record(*ABC, T, step("entered-into-force", "t", "2021-01-01"))
    assert statuses(views, on="2020-12-31") == {"a": "signed", "b": "signed"}
    assert statuses(views, on="2021-01-01") == {"a": "in-force", "b": "in-force"}


def test_entering_into_force_as_a_whole_applies_only_to_bound_parties_if_consents_are_recorded(
    views: RecordedViews,
):
    views.record(
        *ABC,
        T,
        step("ratified", "t", "2020-06-01", "a"),
        step("entered-into-force", "t", "2021-01-01"),
        step("acceded", "t", "2022-01-01", "c"),
    )
    assert statuses(views) == {"a": "in-force", "b": "signed", "c": "bound"}
    assert views.state("agreements/t")["status"] == "in-force"


def test_consent_on_the_day_of_entering_into_force_counts(views: RecordedViews):
    views.record(*ABC, T, step("entered-into-force", "t", "2021-01-01"), step("ratified", "t", "2021-01-01", "a"))
    assert statuses(views) == {"a": "in-force", "b": "signed"}


def test_party_that_consents_later_is_bound_until_its_own_entry_into_force(views: RecordedViews):
    views.record(
        *ABC,
        T,
        step("ratified", "t", "2020-06-01", "a"),
        step("entered-into-force", "t", "2021-01-01"),
        step("ratified", "t", "2021-06-01", "b"),
        step("entered-into-force", "t", "2021-09-01", "b"),
    )
    assert statuses(views, on="2021-05-31")["b"] == "signed"
    assert statuses(views, on="2021-06-01")["b"] == "bound"
    assert statuses(views, on="2021-09-01")["b"] == "in-force"


def test_later_instrument_never_ends_the_entry_into_force_of_a_party(views: RecordedViews):
    views.record(
        *ABC,
        T,
        step("entered-into-force", "t", "2021-01-01", "c"),
        step("acceded", "t", "2022-01-01", "c", instrument="succession"),
        step("ratified", "t", "2022-01-01", "a"),
        step("entered-into-force", "t", "2022-06-01", "a"),
        also_signed("t", "2023-01-01", "c"),
    )
    assert statuses(views, on="2021-12-31")["c"] == "in-force"
    assert statuses(views, on="2022-01-01")["c"] == "in-force"
    assert statuses(views) == {"a": "in-force", "b": "signed", "c": "in-force"}


def test_entry_into_force_as_a_whole_excludes_signatories_once_a_consent_is_recorded(views: RecordedViews):
    views.record(*ABC, T, step("entered-into-force", "t", "2021-01-01"))
    views.record(step("ratified", "t", "2020-02-02", "a"))
    assert statuses(views) == {"a": "in-force", "b": "signed"}
    assert statuses(views, on="2021-01-01") == {"a": "in-force", "b": "signed"}
    views.record(retracted("agreements/t", 6))
    assert statuses(views) == {"a": "in-force", "b": "in-force"}


def test_agreement_is_in_force_while_it_is_in_force_for_any_party(views: RecordedViews):
    views.record(
        *ABC,
        T,
        step("entered-into-force", "t", "2021-01-01", "a"),
        step("suspended", "t", "2022-01-01", "a"),
        step("resumed", "t", "2023-01-01", "a"),
        step("withdrawn", "t", "2023-06-01", "a", effective="2024-01-01"),
    )
    status = {day: views.state("agreements/t", on=day)["status"] for day in ("2020-12-31", "2021-01-01", "2022-01-01")}
    assert status == {"2020-12-31": "signed", "2021-01-01": "in-force", "2022-01-01": "suspended"}
    status = {day: views.state("agreements/t", on=day)["status"] for day in ("2023-01-01", "2023-12-31", "2024-01-01")}
    assert status == {"2023-01-01": "in-force", "2023-12-31": "in-force", "2024-01-01": "signed"}


def test_suspension_as_a_whole_applies_to_parties_in_force(views: RecordedViews):
    views.record(
        *ABC,
        T,
        step("ratified", "t", "2020-06-01", "a"),
        step("entered-into-force", "t", "2021-01-01"),
        step("suspended", "t", "2022-01-01"),
        step("ratified", "t", "2022-03-01", "b"),
        step("entered-into-force", "t", "2022-04-01", "b"),
        step("resumed", "t", "2023-01-01"),
    )
    assert statuses(views, on="2022-02-01") == {"a": "suspended", "b": "signed"}
    assert statuses(views, on="2022-03-15") == {"a": "suspended", "b": "bound"}
    assert statuses(views, on="2022-05-01") == {"a": "suspended", "b": "suspended"}
    assert statuses(views, on="2023-01-01") == {"a": "in-force", "b": "in-force"}


def test_suspension_of_one_party_applies_to_it_alone(views: RecordedViews):
    views.record(
        *ABC,
        T,
        step("entered-into-force", "t", "2021-01-01"),
        step("suspended", "t", "2022-01-01", "a"),
    )
    assert statuses(views, on="2022-01-01") == {"a": "suspended", "b": "in-force"}
    assert views.state("agreements/t")["status"] == "in-force"
    views.record(step("resumed", "t", "2023-01-01", "a"))
    assert statuses(views) == {"a": "in-force", "b": "in-force"}


def test_provisional_application_to_one_party_or_to_all_lasts_until_entry_into_force(views: RecordedViews):
    views.record(
        *ABC,
        T,
        step("provisionally-applied", "t", "2020-03-01", "a"),
        step("provisionally-applied", "t", "2020-06-01"),
        step("entered-into-force", "t", "2021-01-01", "a"),
    )
    assert statuses(views, on="2020-03-01") == {"a": "provisional", "b": "signed"}
    assert statuses(views, on="2020-06-01") == {"a": "provisional", "b": "provisional"}
    assert statuses(views) == {"a": "in-force", "b": "provisional"}
    assert views.state("agreements/t", on="2020-12-31")["status"] == "signed"


def test_withdrawal_takes_effect_on_effective_or_else_on_occurred(views: RecordedViews):
    views.record(
        *ABC,
        T,
        step("entered-into-force", "t", "2021-01-01"),
        step("withdrawn", "t", "2022-01-01", "a", effective="2023-01-01"),
        step("withdrawn", "t", "2022-01-01", "b"),
    )
    assert statuses(views, on="2021-12-31") == {"a": "in-force", "b": "in-force"}
    assert statuses(views, on="2022-01-01") == {"a": "in-force", "b": "withdrawn"}
    assert statuses(views, on="2022-12-31")["a"] == "in-force"
    assert statuses(views, on="2023-01-01")["a"] == "withdrawn"
    assert views.membership("parties/a", "agreements/t")["to"] == "2023-01-01"
    assert views.membership("parties/b", "agreements/t")["to"] == "2022-01-01"


def test_termination_takes_effect_on_effective_or_else_on_occurred(views: RecordedViews):
    views.record(
        *ABC,
        T,
        step("entered-into-force", "t", "2021-01-01"),
        step("withdrawn", "t", "2022-01-01", "b"),
        step("terminated", "t", "2022-06-01", reason="terminated", effective="2023-01-01"),
    )
    assert views.state("agreements/t", on="2022-12-31")["status"] == "in-force"
    assert views.state("agreements/t", on="2023-01-01")["status"] == "terminated"
    assert statuses(views, on="2022-12-31") == {"a": "in-force", "b": "withdrawn"}
    assert statuses(views, on="2023-01-01") == {"a": "ended", "b": "withdrawn"}
    views.record(corrected("agreements/t", 7, data={"reason": "terminated"}))
    assert views.state("agreements/t", on="2022-06-01")["status"] == "terminated"
    assert statuses(views, on="2022-06-01") == {"a": "ended", "b": "withdrawn"}


def test_party_may_return_after_its_withdrawal(views: RecordedViews):
    views.record(
        *ABC,
        T,
        step("entered-into-force", "t", "2021-01-01"),
        step("withdrawn", "t", "2022-01-01", "a"),
        step("acceded", "t", "2023-01-01", "a"),
    )
    assert statuses(views, on="2022-06-01")["a"] == "withdrawn"
    assert statuses(views)["a"] == "bound"
    first, second = views.memberships("parties/a", "agreements/t", on=None)
    assert (first["status"], first["from"], first["to"]) == ("withdrawn", "2020-01-01", "2022-01-01")
    assert (second["status"], second["from"], second["to"]) == ("bound", "2023-01-01", None)


def test_withdrawal_without_recorded_consent_ends_a_membership_of_unknown_beginning(views: RecordedViews):
    views.record(*ABC, T, step("withdrawn", "t", "2022-01-01", "c"))
    assert status_of(views.membership("parties/c", "agreements/t", on="2021-12-31")) == (
        "bound",
        ("bound",),
        "possible",
    )
    membership = views.membership("parties/c", "agreements/t", on="2022-01-01")
    assert status_of(membership) == ("withdrawn", ("withdrawn",), "certain")
    assert (membership["from"], membership["to"]) == (None, "2022-01-01")


@pytest.mark.parametrize(
    ("renewed", "on", "status", "statuses_there", "certainty"),
    [
        ([], "2025-12-31", "in-force", ("in-force",), "certain"),
        ([], "2026-01-01", "terminated", ("in-force", "terminated"), "possible"),
        ([("2025-06-01", "2030-12-31")], "2026-01-01", "in-force", ("in-force",), "certain"),
        ([("2025-06-01", "2030-12-31")], "2031-01-01", "terminated", ("in-force", "terminated"), "possible"),
        ([("2025-06-01", None)], "2031-01-01", "in-force", ("in-force",), "certain"),
        ([("2027-06-01", None)], "2026-06-01", "terminated", ("in-force", "terminated"), "possible"),
        ([("2027-06-01", None)], "2027-06-01", "in-force", ("in-force",), "certain"),
    ],
)
def test_agreement_past_its_until_and_not_renewed_is_possibly_terminated(
    views: RecordedViews, renewed, on, status, statuses_there, certainty
):
    views.record(
        *ABC, signed("t", "2020-01-01", "a", until="2025-12-31"), step("entered-into-force", "t", "2021-01-01")
    )
    for occurred, until in renewed:
        views.record(step("renewed", "t", occurred, **({"until": until} if until else {})))
    assert status_of(views.state("agreements/t", on=on)) == (status, statuses_there, certainty)
    membership = views.membership("parties/a", "agreements/t", on=on)
    assert membership["status"] == ("ended" if status == "terminated" else "in-force")
    assert membership["certainty"] == certainty


def test_until_without_a_year_ends_nothing(views: RecordedViews):
    views.record(*ABC, signed("t", "2020-01-01", "a", until="XXXX-12-31"))
    assert status_of(views.state("agreements/t")) == ("signed", ("signed",), "certain")


def test_termination_makes_a_lapsed_agreement_certain(views: RecordedViews):
    views.record(
        *ABC,
        signed("t", "2020-01-01", "a", until="2025"),
        step("terminated", "t", "2026-02-01", reason="expired"),
    )
    assert status_of(views.state("agreements/t", on="2026-01-31")) == (
        "terminated",
        ("signed", "terminated"),
        "possible",
    )
    assert status_of(views.state("agreements/t", on="2026-02-01")) == ("terminated", ("terminated",), "certain")


def test_undated_adoption_is_no_later_than_a_dated_signature(views: RecordedViews):
    views.record(*ABC, adopted("t"), also_signed("t", "2020-01-01", "a"))
    assert status_of(views.state("agreements/t", on="2020-01-01")) == ("signed", ("signed",), "certain")
    assert status_of(views.state("agreements/t", on="2019-12-31")) == ("adopted", ("adopted",), "possible")


def test_amendment_holds_from_its_day_on(views: RecordedViews):
    views.record(
        *ABC,
        signed("t", "2020-01-01", "a", scope=["solar", "wind"], title="Old"),
        step(
            "amended", "t", "2021-01-01", summary="more", title="New", scope_added=["storage"], scope_removed=["wind"]
        ),
    )
    before, after = (views.state("agreements/t", on=day) for day in ("2020-12-31", "2021-01-01"))
    assert (before["title"], before["scope"], before["amendments"]) == ("Old", ["solar", "wind"], [])
    assert (after["title"], after["scope"]) == ("New", ["solar", "storage"])
    assert [item["summary"] for item in after["amendments"]] == ["more"]


def test_later_signature_fills_absent_attributes_but_not_title_and_kind(views: RecordedViews):
    views.record(*ABC, signed("t", "2021-01-01", "a", title="The treaty", place="Beijing"))
    views.record(
        also_signed("t", "2020-01-01", "b", summary="first"), also_signed("t", "2022-01-01", "c", until="2050")
    )
    first = views.state("agreements/t", on="2020-06-01")
    assert (first["title"], first["kind"], first["summary"], first.get("place")) == (
        "The treaty",
        "treaty",
        "first",
        None,
    )
    second = views.state("agreements/t", on="2021-06-01")
    assert (second["summary"], second.get("place"), second.get("until")) == ("first", None, None)
    assert views.state("agreements/t")["until"] == "2050"
    assert views.state("agreements/t")["signed"] == "2020-01-01"


def test_undated_text_never_overrides_a_dated_one(views: RecordedViews):
    views.record(
        *ABC, signed("t", "2020-01-01", "a", title="Dated"), step("amended", "t", None, summary="s", title="Undated")
    )
    assert views.state("agreements/t")["title"] == "Dated"
    views.record(step("amended", "t", "2021", summary="s", title="Dated later"))
    assert views.state("agreements/t")["title"] == "Dated later"


def test_signed_is_the_date_of_the_first_signature(views: RecordedViews):
    views.record(*ABC, signed("t", "2021-05-05", "a"), also_signed("t", "2020-02", "b"), also_signed("t", None, "c"))
    state = views.state("agreements/t")
    assert state["signed"] == "2020-02"
    assert state["events"]["signed"] == [5]


def test_each_party_has_its_steps_with_their_dates(views: RecordedViews):
    views.record(
        *ABC,
        signed("t", "2020-01-01", "a"),
        step("ratified", "t", "2021-02", "a", instrument="acceptance"),
        step("withdrawn", "t", "2022-01-01", "a", effective="2023-01-01"),
    )
    (item,) = views.state("agreements/t")["parties"]
    assert item["party"] == {"subject": "parties/a", "name": "a"}
    assert item["steps"] == [
        {"type": "agreement.signed", "occurred": "2020-01-01", "events": [4]},
        {"type": "agreement.ratified", "occurred": "2021-02", "instrument": "acceptance", "events": [5]},
        {"type": "agreement.withdrawn", "occurred": "2022-01-01", "effective": "2023-01-01", "events": [6]},
    ]


def test_terms_ignore_the_case_of_language_tags(views: RecordedViews):
    views.record(*ABC, signed("t", "2020-01-01", "a", scope=[{"en": "solar"}, {"en": "wind"}]))
    views.record(
        step("amended", "t", "2021", summary="s", scope_added=[{"EN": "solar"}], scope_removed=[{"EN": "wind"}])
    )
    assert views.state("agreements/t")["scope"] == [{"en": "solar"}]
