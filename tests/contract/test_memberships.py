"""Sections 2 and 5 over HTTP: memberships by day, with later accessions, entries into force of one party, returns and
provisional application."""

from __future__ import annotations

from typing import Any

from tests.contract.server import Event, event


def agreement(shared: Any, day: str = "1950-01-01") -> str:
    subject = f"agreements/{shared.new('a')}"
    shared.take(event("agreement.adopted", subject, day, title="T", kind="treaty"))
    return subject


def signed(shared: Any, day: str, *parties: str) -> str:
    subject = f"agreements/{shared.new('a')}"
    signatories = [{"party": party} for party in parties]
    shared.take(event("agreement.signed", subject, day, title="T", kind="treaty", parties=signatories))
    return subject


def step(subject: str, what: str, day: str | None, party: str | None = None, **data: Any) -> Event:
    return event(f"agreement.{what}", subject, day, **({"party": party} if party else {}), **data)


def status(shared: Any, subject: str, party: str, day: str) -> list[str]:
    items = shared.items("/v1/memberships", in_=subject, party=party, on=day)
    return [item["status"] for item in items]


def intervals(shared: Any, subject: str, party: str) -> list[tuple[str, str | None, str | None]]:
    """Return last status, from and to of each membership."""
    items = shared.items("/v1/memberships", in_=subject, party=party, on="any")
    return sorted((item["status"], item["from"], item["to"]) for item in items)


def test_later_accession_leaves_founders_in_force(shared):
    one, two, three = shared.parties(3)
    subject = signed(shared, "1951-09-24", one, two)
    shared.take(step(subject, "entered-into-force", "1951-09-24"), step(subject, "acceded", "2001-03-01", three))
    assert [status(shared, subject, party, "1990-01-01") for party in (one, two)] == [["in-force"], ["in-force"]]
    assert status(shared, subject, three, "2001-03-01") == ["bound"]


def test_entry_into_force_of_a_party_precedes_the_general_one(shared):
    (one,) = shared.parties(1)
    subject = agreement(shared)
    shared.take(
        step(subject, "ratified", "2018-11-15", one),
        step(subject, "entered-into-force", "2018-12-30"),
        step(subject, "entered-into-force", "2019-01-14", one),
    )
    days = ("2018-12-30", "2019-01-13", "2019-01-14")
    assert [status(shared, subject, one, day) for day in days] == [["bound"], ["bound"], ["in-force"]]


def test_a_return_on_the_day_of_leaving_is_a_second_membership(shared):
    (one,) = shared.parties(1)
    subject = agreement(shared)
    shared.take(
        step(subject, "ratified", "1980-01-01", one),
        step(subject, "withdrawn", "1997-08-26", one, effective="1998-08-26"),
        step(subject, "acceded", "1998-08-26", one),
    )
    assert intervals(shared, subject, one) == [
        ("bound", "1998-08-26", None),
        ("withdrawn", "1980-01-01", "1998-08-26"),
    ]
    assert status(shared, subject, one, "1998-08-25") == status(shared, subject, one, "1998-08-26") == ["bound"]


def test_joining_leaving_and_joining_on_one_day_leaves_one_current_membership(shared):
    (one,) = shared.parties(1)
    subject = f"platforms/{shared.new('p')}"
    shared.take(
        event("platform.launched", subject, "2000-01-01", name="P"),
        event("platform.member-joined", subject, "2007-06-01", party=one),
        event("platform.member-left", subject, "2007-06-01", party=one),
        event("platform.member-joined", subject, "2007-06-01", party=one),
    )
    assert intervals(shared, subject, one) == [("left", "2007-06-01", "2007-06-01"), ("member", "2007-06-01", None)]
    assert status(shared, subject, one, "2007-06-01") == ["member"]


def test_return_after_a_notice_of_withdrawal_is_accepted_and_begins_when_it_takes_effect(shared):
    (one,) = shared.parties(1)
    subject = agreement(shared)
    shared.take(
        step(subject, "acceded", "1980-01-01", one),
        step(subject, "withdrawn", "1998-01-26", one, effective="1998-08-26"),
        step(subject, "acceded", "1998-01-26", one),
    )
    assert intervals(shared, subject, one) == [
        ("bound", "1998-08-26", None),
        ("withdrawn", "1980-01-01", "1998-08-26"),
    ]
    shared.refused(step(subject, "acceded", "1998-02-26", one), status=409)


def test_bound_precedes_provisional_application(shared):
    (one,) = shared.parties(1)
    subject = signed(shared, "2000-01-01", one)
    shared.take(step(subject, "provisionally-applied", "2000-06-01", one), step(subject, "ratified", "2001-01-01", one))
    assert status(shared, subject, one, "2000-12-31") == ["provisional"]
    assert status(shared, subject, one, "2001-01-01") == ["bound"]


def test_status_names_the_event_behind_it_on_that_day(shared):
    (one,) = shared.parties(1)
    subject = agreement(shared)
    steps = [
        step(subject, "ratified", "1999-01-01", one),
        step(subject, "entered-into-force", "2000-01-01", one),
        step(subject, "withdrawn", "2005-01-01", one),
        step(subject, "acceded", "2009-01-01", one),
        step(subject, "entered-into-force", "2010-01-01", one),
    ]
    positions = [shared.took(each) for each in steps]
    assert shared.state(subject, on="2001-01-01")["events"]["status"] == [positions[1]]
    assert shared.state(subject, on="2011-01-01")["events"]["status"] == [positions[4]]


def test_an_earlier_effective_date_is_shown_and_holds_from_the_signature_on(shared):
    (one,) = shared.parties(1)
    subject = signed(shared, "2000-03-01", one)
    shared.take(step(subject, "entered-into-force", "2000-01-01"))
    state = shared.state(subject, on="2000-03-01")
    assert (state["status"], state["entered_into_force"]) == ("in-force", "2000-01-01")
    assert status(shared, subject, one, "2000-02-29") == []
    adopted = agreement(shared, "2000-03-01")
    shared.refused(step(adopted, "entered-into-force", "2000-01-01"), status=409)
