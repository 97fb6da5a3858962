"""Lists on a day and on any day, in any order, page by page, while events arrive."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings

from projections.catalogue import LIST_VIEWS
from projections.engine.filters import Choice
from projections.engine.query_types import CERTAINTIES, BadQuestion
from tests.random_histories import DAYS, GENERATED, histories, recorded
from tests.recorded_views import (
    RecordedViews,
    adopted,
    document,
    event,
    joined,
    lab,
    left,
    new_views,
    of_lab,
    parties,
    party,
    platform,
    signed,
    status_of,
    step,
)

VIEWS = tuple(LIST_VIEWS)
DATES = ("2019", "2020", "2020-03-03", "2021-06", "2022", "2022-01-01", "2022-03-03", "2022-06", "2024", "2025-01-01")
ORDER = {date: index for index, date in enumerate(DATES)} | {"2022-01-01": DATES.index("2022")}


def much(seed: int) -> list[dict]:
    """Record subjects of every kind, on equal and other days, many of them unknown."""
    chance = random.Random(seed)
    slugs = [f"{letter}{index}" for letter in "ab" for index in range(4)]

    def day() -> str | None:
        return chance.choice((None, "2020", "2020-03-03", "2020-03-03", "2021-06", "2022-01-01", "XXXX-01-01"))

    def later() -> str | None:
        return chance.choice((None, "2022", "2022-03-03", "2022-03-03", "2022-06", "XXXX-01-01"))

    documents = [party(slug, name=chance.choice(("same", slug, "Ärger", "东海"))) for slug in slugs]
    for index in range(6):
        documents += [
            document(f"d{index}", published=day() or "2019"),
            signed(f"t{index}", day(), *chance.sample(slugs, 3), title=chance.choice(("one", "two"))),
            platform(f"p{index}", day(), name=chance.choice(("one", "two"))),
            lab(f"l{index}", day(), *chance.sample(slugs, 2), name=chance.choice(("one", "two"))),
        ]
        due = {"due": chance.choice(("2024", "2025-01-01"))} if chance.random() < 0.7 else {}
        documents.append(step("commitment-made", f"t{index}", later(), commitment="x", kind="other", title="x", **due))
        for slug in chance.sample(slugs, 3):
            documents += [joined(slug, f"p{index}", later()), left(slug, f"p{index}", chance.choice((None, "2024")))]
    return documents


@pytest.fixture(scope="module")
def full():
    with new_views() as made:
        made.batch(*much(0))
        yield made


@pytest.mark.parametrize("on", ["2023-06-15", None])
@pytest.mark.parametrize(
    ("view", "sort"), [(view, turn + sort) for view in VIEWS for sort in LIST_VIEWS[view].sorts for turn in ("", "-")]
)
def test_pages_neither_repeat_nor_skip_while_events_arrive(full: RecordedViews, view, sort, on):
    as_of = full.head
    whole = full.items(view, sort=sort, on=on, as_of=as_of)
    assert len(whole) > 4
    listed, after = [], None
    for turn in range(len(whole)):
        items, after = full.page(view, sort=sort, on=on, as_of=as_of, limit=3, after=after)
        listed += items
        if turn < 2:
            slug = f"z{full.head}"
            full.record(party(slug, name="same"), joined(slug, "p0", "2022-03-03"), signed(slug, "2020-03-03", slug))
        if after is None:
            break
    assert listed == whole


@pytest.mark.parametrize(
    ("view", "sort", "dated"),
    [
        ("agreements", "signed", "signed"),
        ("labs", "founded", "founded"),
        ("platforms", "launched", "launched"),
        ("documents", "published", "published"),
        ("memberships", "from", "from"),
        ("commitments", "due", "due"),
        ("commitments", "made", "made"),
    ],
)
def test_order_by_date_uses_the_earliest_day_with_unbounded_dates_last(views: RecordedViews, view, sort, dated):
    views.batch(*much(1))
    for turn in ("", "-"):
        dates = [ORDER.get(item.get(dated) or "", 99) for item in views.items(view, sort=turn + sort, on=None)]
        known = [date for date in dates if date != 99]
        assert dates == known + [99] * dates.count(99)
        assert known == sorted(known, reverse=bool(turn))


def test_timeline_is_in_the_order_of_valid_time(views: RecordedViews):
    views.batch(*much(2))
    dates = [ORDER.get(item["occurred"] or "", 99) for item in views.items("timeline", on=None)]
    assert dates == sorted(dates)
    backwards = [ORDER.get(item["occurred"] or "", -1) for item in views.items("timeline", on=None, sort="-occurred")]
    assert backwards == sorted(backwards, reverse=True)
    positions = [item["position"] for item in views.items("timeline", on=None, sort="position")]
    assert positions == sorted(positions)


def test_order_by_name_ignores_case(views: RecordedViews):
    views.record(
        party("a", name="beta"),
        party("b", name="Alpha"),
        party("c", name={"zh": "东海", "en": "Gamma"}),
        party("d", name="alpha"),
    )
    assert views.subjects("parties", sort="name") == ["parties/b", "parties/d", "parties/a", "parties/c"]
    assert views.subjects("parties", sort="-name") == ["parties/c", "parties/a", "parties/d", "parties/b"]


def test_subjects_are_listed_from_their_possible_creation_on_also_after_their_end(views: RecordedViews):
    views.record(*parties("a"), platform("p", "2020"), event("platform.dissolved", "platforms/p", "2022-01-01"))
    assert views.subjects("platforms", on="2019-12-31") == []
    claims = {on: status_of(views.items("platforms", on=on)[0]) for on in ("2020-06-01", "2021-01-01", "2023-01-01")}
    assert claims == {
        "2020-06-01": ("launched", ("launched",), "possible"),
        "2021-01-01": ("launched", ("launched",), "certain"),
        "2023-01-01": ("dissolved", ("dissolved",), "certain"),
    }
    assert status_of(views.items("platforms", on=None)[0]) == ("dissolved", ("dissolved",), "certain")


def test_status_filter_matches_every_possible_status(views: RecordedViews):
    views.record(*parties("a"), platform("p", "2020-01-01"), event("platform.dissolved", "platforms/p", "2022"))
    for status in ("launched", "dissolved"):
        (item,) = views.items("platforms", on="2022-06-01", status=status)
        assert status_of(item) == ("dissolved", ("launched", "dissolved"), "possible")
    (item,) = views.items("platforms", on="2021-06-01", status="launched")
    assert status_of(item) == ("launched", ("launched",), "certain")
    assert views.items("platforms", on="2021-06-01", status="dissolved") == []
    assert views.items("platforms", on=None, status="launched") == []
    (item,) = views.items("platforms", on=None, status="dissolved")
    assert status_of(item) == ("dissolved", ("dissolved",), "certain")


def test_memberships_on_a_day_include_ended_ones_only_if_status_selects_them(views: RecordedViews):
    views.record(*parties("a", "b"), platform("p", "2020-01-01"))
    views.record(joined("a", "p", "2020-02-01"), left("a", "p", "2021-01-01"), joined("b", "p", "2020"))
    assert [item["party"]["subject"] for item in views.items("memberships")] == ["parties/b"]
    assert [item["party"]["subject"] for item in views.items("memberships", status="left")] == ["parties/a"]
    assert [item["party"]["subject"] for item in views.items("memberships", on="2020-12-31")] == [
        "parties/a",
        "parties/b",
    ]
    assert [item["certainty"] for item in views.items("memberships", on="2020-06-01")] == ["certain", "possible"]
    assert views.items("memberships", on="2020-06-01", status="left") == []


def test_membership_does_not_include_the_day_of_its_end(views: RecordedViews):
    views.record(
        *parties("a"), platform("p", "2020-01-01"), joined("a", "p", "2020-02-01"), left("a", "p", "2021-01-01")
    )
    assert len(views.items("memberships", on="2020-12-31")) == 1
    assert views.items("memberships", on="2021-01-01") == []


def test_on_any_gives_one_item_an_interval_with_its_last_status(views: RecordedViews):
    views.record(*parties("a"), platform("p", "2020-01-01"))
    views.record(joined("a", "p", "2020-02-01"), left("a", "p", "2021-01-01"), joined("a", "p", "2022-01-01"))
    first, second = views.items("memberships", on=None)
    assert [(each["status"], each["from"], each["to"], each["certainty"]) for each in (first, second)] == [
        ("left", "2020-02-01", "2021-01-01", "certain"),
        ("member", "2022-01-01", None, "certain"),
    ]


def test_on_any_a_status_is_certain_even_if_its_day_is_not(views: RecordedViews):
    views.record(*parties("a"), platform("p", "2020-01-01"), joined("a", "p", "2020-02-01"))
    views.record(left("a", "p", "2022/.."))
    assert status_of(views.membership("parties/a", "platforms/p", on="2023-01-01")) == (
        "left",
        ("member", "left"),
        "possible",
    )
    assert status_of(views.membership("parties/a", "platforms/p", on=None)) == ("left", ("left",), "certain")
    assert views.items("memberships", on=None, status="member") == []
    (item,) = views.items("memberships", on=None, status="left")
    assert item["certainty"] == "certain"


def test_commitments_include_ended_ones_only_if_status_selects_them(views: RecordedViews):
    views.record(*parties("a"), adopted("t", "2020-01-01"))
    for slug, occurred in (("x", "2021-01-01"), ("y", "2022")):
        views.record(step("commitment-made", "t", "2020-06-01", commitment=slug, kind="research", title=slug))
        views.record(step("commitment-updated", "t", occurred, commitment=slug, status="fulfilled"))
    assert [item["commitment"] for item in views.items("commitments", on="2020-12-31")] == ["x", "y"]
    assert [item["commitment"] for item in views.items("commitments", on="2022-06-01")] == ["y"]
    assert views.items("commitments") == []
    found = views.items("commitments", on="2022-06-01", status="fulfilled")
    assert [(item["commitment"], item["certainty"]) for item in found] == [("x", "certain"), ("y", "possible")]
    assert [item["status"] for item in views.items("commitments", on=None)] == ["fulfilled", "fulfilled"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"kind": "treaty"}, "st"),
        ({"kind": "contract"}, "u"),
        ({"party": "parties/a"}, "stu"),
        ({"party": ["parties/a", "parties/b"]}, "s"),
        ({"scope": "solar"}, "s"),
        ({"scope": "SOLAR"}, "s"),
        ({"under": "agreements/s"}, "t"),
        ({"status": "in-force"}, "t"),
        ({"status": "signed"}, "su"),
        ({"signed_from": "2020-06-01"}, "tu"),
        ({"signed_to": "2020-06-01"}, "su"),
        ({"signed_from": "2020-01-01", "signed_to": "2020-01-01"}, "s"),
        ({"kind": "treaty", "status": "signed"}, "s"),
        ({"party": "parties/nobody"}, ""),
    ],
)
def test_filters_of_agreements_select_the_matching_ones(views: RecordedViews, filters, found):
    views.record(
        *parties("a", "b"),
        signed("s", "2020-01-01", "a", "b", scope=["Solar"]),
        signed("t", "2021-01-01", "a", under="agreements/s"),
        signed("u", "2020-05/2020-07", "a", kind="contract"),
        step("entered-into-force", "t", "2021-06-01"),
    )
    assert views.subjects("agreements", **filters) == [f"agreements/{slug}" for slug in found]


@pytest.mark.parametrize(
    ("view", "filters", "found"),
    [
        ("parties", {"kind": "state"}, ["parties/b"]),
        ("parties", {"jurisdiction": "DE"}, ["parties/b"]),
        ("parties", {"part_of": "parties/a"}, ["parties/b"]),
        ("parties", {"identifier": "lei:1:2"}, ["parties/a"]),
        ("parties", {"identifier": "ror:1:2"}, []),
        ("labs", {"founder": "parties/a"}, ["labs/l"]),
        ("labs", {"founder": "parties/b"}, []),
        ("labs", {"field": "solar"}, ["labs/l"]),
        ("labs", {"status": "operating"}, ["labs/l"]),
        ("labs", {"status": "founded"}, []),
        ("platforms", {"member": "parties/a"}, ["platforms/p"]),
        ("platforms", {"member": "parties/b"}, []),
        ("platforms", {"supporter": "parties/b"}, ["platforms/p"]),
        ("platforms", {"supporter": "parties/a"}, []),
        ("platforms", {"status": "launched"}, ["platforms/p"]),
    ],
)
def test_filters_of_other_subjects_select_the_matching_ones(views: RecordedViews, view, filters, found):
    views.record(
        party("a", identifiers=[{"scheme": "lei", "value": "1:2"}]),
        party("b", kind="state", jurisdiction="DE", part_of="parties/a"),
        lab("l", "2020", "a", fields=["solar"]),
        of_lab("opened", "l", "2021"),
        platform("p", "2020"),
        joined("a", "p", "2021"),
        joined("b", "p", "2021"),
        left("b", "p", "2022"),
        event("platform.supporter-added", "platforms/p", "2021", party="parties/b"),
    )
    assert views.subjects(view, **filters) == found


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"party": "parties/a"}, ["agreements/t", "labs/l", "platforms/p"]),
        ({"in_": "platforms/p"}, ["platforms/p", "platforms/p"]),
        ({"category": "CORE"}, ["platforms/p"]),
        ({"category": "核心"}, ["platforms/p"]),
        ({"category": "cor"}, []),
        ({"status": "founder"}, ["labs/l"]),
        ({"status": "member", "party": "parties/b"}, ["platforms/p"]),
    ],
)
def test_filters_of_memberships_select_the_matching_ones(views: RecordedViews, filters, found):
    views.record(
        *parties("a", "b"),
        platform("p", "2020"),
        joined("a", "p", "2021", category={"en": "Core", "zh": "核心"}),
        joined("b", "p", "2021"),
        signed("t", "2020", "a"),
        lab("l", "2020", "a"),
    )
    assert [item["in"]["subject"] for item in views.items("memberships", **filters)] == found


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"party": "parties/a"}, "x"),
        ({"party": "parties/b"}, "xy"),
        ({"agreement": "agreements/t"}, "xy"),
        ({"agreement": "agreements/s"}, ""),
        ({"kind": "talent"}, "y"),
        ({"status": "in-progress"}, "y"),
        ({"due_before": "2024-06-02"}, "x"),
        ({"due_before": "2024-06-01"}, ""),
    ],
)
def test_filters_of_commitments_select_the_matching_ones(views: RecordedViews, filters, found):
    views.record(*parties("a", "b"), adopted("s", "2020"), adopted("t", "2020"))
    views.record(
        step(
            "commitment-made",
            "t",
            "2020",
            commitment="x",
            kind="facility",
            title="x",
            by=["parties/a"],
            with_=["parties/b"],
            due="2024-06-01",
        ),
        step("commitment-made", "t", "2020", commitment="y", kind="talent", title="y", by=["parties/b"]),
        step("commitment-updated", "t", "2021", commitment="y", status="in-progress"),
    )
    assert "".join(item["commitment"] for item in views.items("commitments", **filters)) == found


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"party": "parties/a"}, [1, 3]),
        ({"subject": "platforms/p"}, [2, 3, 4]),
        ({"type": "platform.member-joined"}, [3]),
        ({"from_": "2021-01-02"}, [3, 4]),
        ({"to": "2020-12-31"}, [2]),
        ({"from_": "2022-01-01", "to": "2022-12-31"}, [4]),
    ],
)
def test_filters_of_the_timeline_select_the_matching_events(views: RecordedViews, filters, found):
    views.record(party("a", "2021-01-01"), platform("p", "2020"), joined("a", "p", "2021-01/2021-03"))
    views.record(event("platform.dissolved", "platforms/p", "2022-05-05"))
    assert sorted(item["position"] for item in views.items("timeline", on=None, **filters)) == found


def test_event_that_may_lie_within_the_requested_days_is_possible(views: RecordedViews):
    views.record(*parties("a"), platform("p", "2020"), joined("a", "p", "2021"))
    certainty = {item["type"]: item["certainty"] for item in views.items("timeline", on="2021-06-01")}
    assert certainty == {
        "party.registered": "possible",
        "platform.launched": "certain",
        "platform.member-joined": "possible",
    }


@pytest.mark.parametrize(
    ("view", "filters"),
    [
        ("parties", {"colour": "red"}),
        ("parties", {"kind": "ship"}),
        ("parties", {"part_of": "agreements/t"}),
        ("parties", {"identifier": "lei"}),
        ("agreements", {"status": "member"}),
        ("agreements", {"signed_from": "2020"}),
        ("agreements", {"kind": ["treaty", "ship"]}),
        ("agreements", {"scope": ["one", "two"]}),
        ("memberships", {"in_": "nowhere"}),
        ("commitments", {"due_before": "soon"}),
        ("timeline", {"type": "party.born"}),
        ("labs", {"sort": "title"}),
        ("labs", {"after": [1, 2, 3, 4, 5]}),
    ],
)
def test_invalid_queries_are_refused(views: RecordedViews, view, filters):
    with pytest.raises(BadQuestion) as error:
        views.items(view, **filters)
    assert len(error.value.flaws) == 1


def test_long_lists_are_cut_with_the_address_of_the_rest(views: RecordedViews):
    slugs = [f"m{index:03}" for index in range(120)]
    views.batch(*parties(*slugs), platform("p", "2020"), *(joined(slug, "p", "2021") for slug in slugs))
    state = views.state("platforms/p")
    assert len(state["members"]) == 100
    assert state["more"] == {"members": f"/v1/platforms/p/members?as_of={views.head}&on=2026-06-01"}
    (item,) = views.items("platforms")
    assert len(item["members"]) == 10
    assert set(item["more"]) == {"members"}
    listed, after = [], None
    while True:
        page = views.reader.state_list("platforms/p", "members", views.question(), limit=50, after=after)
        listed += page.items
        after = page.after
        if after is None:
            break
    assert [each["party"]["subject"] for each in listed] == [f"parties/{slug}" for slug in slugs]
    assert listed[:100] == state["members"]


def test_lists_filtered_by_a_common_value_are_the_same_under_every_plan(views, monkeypatch):
    views.record(*parties("a", "b"))
    for number in range(12):
        scope = ["wind", "solar"] if number % 3 else ["solar"]
        views.record(signed(f"t{number:02}", f"20{number:02}-01-01", "a", *("b" if number % 2 else ""), scope=scope))
    filters: list[dict[str, Any]] = [
        {"scope": "wind"},
        {"scope": "solar", "sort": "-signed"},
        {"party": "parties/b", "sort": "title"},
        {"party": ["parties/a", "parties/b"], "scope": "wind"},
        {"party": "parties/b", "signed_from": "2005-01-01", "sort": "signed"},
    ]
    found = [views.subjects("agreements", **each) for each in filters]
    assert [len(each) for each in found] == [8, 12, 6, 4, 4]
    monkeypatch.setattr("projections.engine.planner.isqrt", lambda _: 0)  # whatever matches at all is common
    assert [views.subjects("agreements", **each) for each in filters] == found


@settings(**GENERATED, max_examples=20)
@given(histories(most=24))
def test_filter_by_certainty_selects_items_of_that_certainty(documents):
    with new_views() as found:
        recorded(found, documents)
        for view in VIEWS:
            queries: list[dict[str, str]] = [{}]
            for each in LIST_VIEWS[view].filters:
                if each.name == "status":
                    assert isinstance(each.value, Choice)
                    queries += [{"status": status} for status in (*each.value.values, "any")]
            queries += [{"from_": "2020-04-01", "to": "2021-05-01"}, {"to": "2021-02-15"}] if view == "timeline" else []
            for on in DAYS:
                for filters in queries:
                    items = found.items(view, on=on, **filters)
                    assert found.items(view, on=on, certainty=["certain", "possible"], **filters) == items
                    for certainty in CERTAINTIES:
                        chosen = [item for item in items if item["certainty"] == certainty]
                        assert found.items(view, on=on, certainty=certainty, **filters) == chosen, (view, on, filters)
        for subject in found.subjects("agreements", on=None):
            for name in ("parties", "commitments", "declarations", "amendments"):
                for on in DAYS:
                    question = found.question(on)
                    items = found.reader.state_list(subject, name, question, limit=1000, after=None).items
                    for certainty in CERTAINTIES:
                        chosen = [item for item in items if item.get("certainty", "certain") == certainty]
                        page = found.reader.state_list(
                            subject, name, question, certainties=[certainty], limit=1000, after=None
                        )
                        assert page.items == chosen


def test_agreements_signed_on_an_open_date_were_signed_by_their_recording(views):
    views.record(*parties("a"), signed("t", "2021-08/..", "a"), signed("s", "XXXX-08-18", "a"))
    assert views.subjects("agreements", signed_from="2026-01-01") == ["agreements/t"]
    assert views.subjects("agreements", signed_from="2025-08-18") == ["agreements/s", "agreements/t"]
    assert views.subjects("agreements", signed_from="2026-01-02") == []
