"""Section 2: the forms of `occurred`, their bounds, sorting, certainty."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from tests.contract.server import event, is_problem, pointers

FORMS = [
    "2024-01-21", "2024-01", "2024", "XXXX-08-18", "XXXX-02-29", "2021?", "2021~", "2021%", "2021-08?", "2021-08~", "2021-08%",
    "2021-08-18?", "2021-08-18~", "2021-08-18%", "2021?-08-18", "2021?-08", "2021-08~-18", "2021~-08-18", "2021-08?-18",
    "2021-08/2021-09", "2021/2022", "2021-08-01/2021-08-02", "2021-08/..", "2021/..", "2021-08-18/..", "2024-02-29", "0001", "9999", "9999-12-31",
    "2021-08-18/2021-08-18", "2021-08~/2021-09", "1066-10-14", "0044-03-15", "../2024-03", "../2024", "../2024-03-05~",
]  # fmt: skip

WRONG = [
    "2023-02-30", "2023-02-29", "2023-13", "2023-00", "2023-01-00", "2023-01-32", "1900-02-29", "", " ", "2023 ", " 2023", "2023-1", "2023-1-1", "23",
    "20230101", "2023-01-01T00:00:00Z", "yesterday", "2023-09/2023-08", "2023-08-02/2023-08-01", "2023//2024", "2023/2024/2025", "unknown", "/2023", "2023/",
    "2023-21", "2023-W01", "2023-001", "{2021,2022}", "[2021..2023]", "2023??", "?2023-", "2023-XX-01", "XXXX-02-30", "XXXX-13-01", "2023-01-01\n", "\uff12\uff10\uff12\uff13",
    "2023-0\u0661", "20X3", "Y170000002", "+2023", "-0044", "2023-08-18/2023-02-30", "../..", "..", "X", "2023-01-01/x", "10000",
]  # fmt: skip


def known(server, occurred):
    platform = f"platforms/{server.new('f')}"
    server.take(event("platform.launched", platform, occurred, name="P"))
    return platform


@pytest.mark.parametrize("occurred", FORMS)
def test_accepted_forms_of_dates(shared, occurred):
    platform = known(shared, occurred)
    state = shared.state(platform, on="any")
    assert state["launched"] == occurred


@pytest.mark.parametrize("occurred", [*WRONG, 2023, ["2023"], True])
def test_other_forms_and_wrong_dates_are_refused(shared, occurred):
    given = {**event("platform.launched", f"platforms/{shared.new('f')}", name="P"), "occurred": occurred}
    problem = is_problem(shared.post(given), 422)
    assert "/occurred" in pointers(problem)


def test_null_date_is_absent(shared):
    given = {**event("platform.launched", f"platforms/{shared.new('f')}", name="P"), "occurred": None}
    assert shared.post(given).status_code == 201
    assert shared.state(given["subject"]).get("launched") is None


@pytest.mark.parametrize("field", ["until", "due", "effective", "target_date", "published"])
@pytest.mark.parametrize(
    ("value", "status"), [("2023-02-30", 422), ("2023", 201), ("2021-08-18~", 201), ("x", 422), ("2024/2025", 201)]
)
def test_dates_inside_data_have_the_same_forms(shared, field, value, status):
    party = shared.party()
    agreement = f"agreements/{shared.new('a')}"
    shared.take(
        event("agreement.signed", agreement, "2000-01-01", title="T", kind="contract", parties=[{"party": party}])
    )
    given = {
        "until": event("agreement.renewed", agreement, "2010-01-01", until=value),
        "due": event("agreement.commitment-made", agreement, commitment="c", kind="other", title="C", due=value),
        "effective": event("agreement.withdrawn", agreement, "2010-01-01", party=party, effective=value),
        "target_date": event("platform.launched", f"platforms/{shared.new('f')}", name="P", target_date=value),
        "published": event(
            "document.registered", f"documents/{shared.new('d')}", title="D", sha256="0" * 64, published=value
        ),
    }[field]
    answer = shared.post(given)
    assert answer.status_code == status, answer.text
    if status == 422:
        assert f"/data/{field}" in pointers(is_problem(answer, 422))


def seen_on(server, subject, day):
    """Return whether a platform's launch is certain, possible or excluded on a day, and its state."""
    listed = [
        item
        for item in server.items("/v1/platforms", on=day, q=subject.split("-")[-2] + "zz")
        if item["subject"] == subject
    ]
    return listed[0]["certainty"] if listed else None


BOUNDS = [
    ("2024-01-21", "2024-01-21", "2024-01-21"),
    ("2024-02", "2024-02-01", "2024-02-29"),
    ("2023", "2023-01-01", "2023-12-31"),
    ("2021-08/2021-09", "2021-08-01", "2021-09-30"),
    ("2021-08-05/2022", "2021-08-05", "2022-12-31"),
    ("2021-08-18~", "2021-08-17", "2021-08-19"),
    ("2021-08-18?", "2021-08-17", "2021-08-19"),
    ("2021-03~", "2021-02-01", "2021-04-30"),
    ("2021~", "2020-01-01", "2022-12-31"),
    ("2021?", "2020-01-01", "2022-12-31"),
    ("2021?-08-18", "2020-08-18", "2022-08-18"),
    ("../2024-03", None, "2024-03-31"),
    ("9999-08/..", "9999-08-01", None),
    ("2021-08/..", "2021-08-01", "recorded"),
    ("XXXX-08-18", None, "last 08-18"),
    (None, None, "recorded"),
]
"""Of an open end the latest day is the last that the date allows, no later than the day of recording."""


@pytest.mark.parametrize(("occurred", "earliest", "latest"), BOUNDS)
def test_bounds(shared, occurred, earliest, latest):
    """A launch is certain from its latest day on, possible from its earliest, and not listed before."""
    word = shared.new("w").replace("-", "")
    platform = f"platforms/{shared.new('f')}"
    at = shared.took(event("platform.launched", platform, occurred, name=word))
    recorded = shared.get(f"/v1/events/{at}").json()["recorded"][:10]
    if latest == "recorded":
        latest = recorded
    elif latest == "last 08-18":
        latest = f"{int(recorded[:4]) - (recorded[5:] < '08-18')}-08-18"
    day = lambda text, days=0: (date.fromisoformat(text) + timedelta(days)).isoformat()  # noqa: E731
    asked: dict[str, Any] = {}
    if earliest:
        asked[day(earliest, -1)] = None
        if earliest != latest:
            asked[earliest] = "possible"
    else:
        asked["0001-01-01"] = "possible"
    if latest:
        asked[latest] = "certain"
        if earliest != latest:
            asked[day(latest, -1)] = "possible"
    else:
        asked["9999-12-31"] = "possible"
    for on, wanted in asked.items():
        found = shared.items("/v1/platforms", q=word, on=on)
        assert [item["certainty"] for item in found] == ([wanted] if wanted else []), (on, found)


def test_both_uncertain_and_approximate_widens_at_least_as_much(shared):
    """`%` is both `?` and `~`; the contract leaves open whether it widens by one unit or two."""
    word = shared.new("w").replace("-", "")
    shared.take(event("platform.launched", f"platforms/{shared.new('f')}", "2021-08-18%", name=word))
    for on, wanted in (
        ("2021-08-17", ["possible"]),
        ("2021-08-18", ["possible"]),
        ("2021-08-10", []),
        ("2021-08-27", ["certain"]),
    ):
        assert [item["certainty"] for item in shared.items("/v1/platforms", q=word, on=on)] == wanted, on


def test_the_timeline_sorts_by_earliest_day_and_unbounded_last(shared):
    party = shared.party()
    dates = [
        "2024-01-21",
        "2024-01",
        None,
        "2023",
        "XXXX-08-18",
        "2021-08-18~",
        "2022/2026",
        "2024-06-01",
        "2021-08/..",
        "2019?",
    ]
    expected = ["2019?", "2021-08/..", "2021-08-18~", "2022/2026", "2023", "2024-01", "2024-01-21", "2024-06-01"]
    shared.take(*(event("party.name-added", party, when, name=f"N {when}") for when in dates))
    found = [
        item["occurred"] for item in shared.items("/v1/timeline", subject=party) if item["type"] == "party.name-added"
    ]
    assert found[:8] == expected
    assert set(found[8:]) == {None, "XXXX-08-18"}


def test_facts_may_lie_ahead_of_their_recording(shared):
    word = shared.new("w").replace("-", "")
    platform = f"platforms/{shared.new('f')}"
    shared.take(event("platform.launched", platform, "2999-01-01", name=word))
    assert shared.items("/v1/platforms", q=word) == []
    assert len(shared.items("/v1/platforms", q=word, on="2999-01-01")) == 1
    assert len(shared.items("/v1/platforms", q=word, on="any")) == 1


def test_as_of_in_the_future_is_refused(shared):
    is_problem(shared.get("/v1/parties", as_of=shared.head() + 1), 422)
    is_problem(shared.get("/v1/parties", as_of="2999-01-01T00:00:00Z"), 422)


def test_as_of_takes_instants_of_any_offset(shared):
    """An instant selects the last event recorded at or before it, whatever its offset."""
    word = shared.new("w").replace("-", "")
    subject = f"parties/{shared.new('p')}"
    receipt = shared.post(event("party.registered", subject, name=word, kind="company")).json()
    shared.take(event("party.renamed", subject, name="Later"))
    recorded = receipt["recorded"]
    moment = date.fromisoformat(recorded[:10])
    for as_of in (
        recorded,
        recorded.replace("Z", "+00:00"),
        recorded.replace("Z", "-00:00"),
        recorded.replace("T", "t").replace("Z", "z"),
    ):
        assert shared.state(subject, as_of=as_of)["version"] == 1, as_of
    assert shared.get(f"/v1/{subject}", as_of=f"{moment - timedelta(1)}T00:00:00Z").status_code == 404
    assert shared.get(f"/v1/{subject}", as_of="1999-12-31T23:59:60Z").status_code in (404, 422), (
        "a leap second is RFC 3339"
    )


def test_as_of_zero_is_before_everything(shared):
    answer = shared.get("/v1/parties", as_of=0)
    assert answer.status_code in (200, 422)
    if answer.status_code == 200:
        assert answer.json()["items"] == []


def test_a_change_holds_from_its_day_on_and_an_end_is_exclusive(shared):
    party = shared.party()
    platform = f"platforms/{shared.new('f')}"
    shared.take(
        event("platform.launched", platform, "2020-01-01", name="P"),
        event("platform.member-joined", platform, "2021-01-01", party=party),
        event("platform.member-left", platform, "2022-01-01", party=party),
    )

    def held(on):
        return [(item["status"], item["certainty"]) for item in shared.items("/v1/memberships", in_=platform, on=on)]

    assert held("2020-12-31") == []
    assert held("2021-01-01") == [("member", "certain")]
    assert held("2021-12-31") == [("member", "certain")]
    assert held("2022-01-01") == []
    left = shared.items("/v1/memberships", in_=platform, on="2022-01-01", status="left")
    assert [(item["status"], item["certainty"], item["from"], item["to"]) for item in left] == [
        ("left", "certain", "2021-01-01", "2022-01-01")
    ]


def test_default_day_is_today_and_default_timeline_is_any(shared):
    party = shared.party()
    shared.take(event("party.name-added", party, "2999-01-01", name="Ahead"))
    assert "Ahead" not in str(shared.state(party)["other_names"])
    assert "Ahead" in str(shared.state(party, on="2999-01-01")["other_names"])
    found = [item["type"] for item in shared.items("/v1/timeline", subject=party)]
    assert sorted(found) == ["party.name-added", "party.registered"]
