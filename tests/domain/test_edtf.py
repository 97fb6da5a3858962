"""The days that an EDTF date may mean."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.edtf import AFTER, BEFORE, Span, day_of, day_text, parse_day, parse_edtf, span_of, span_recorded


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("2024-01-21", "2024-01-21", "2024-01-21"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2023", "2023-01-01", "2023-12-31"),
        ("XXXX-08-18", None, None),
        ("XXXX-02-29", None, None),
        ("2021?-08-18", "2020-08-18", "2022-08-18"),
        ("2021-08?-18", "2021-07-18", "2021-09-18"),
        ("2021-08-18~", "2021-08-17", "2021-08-19"),
        ("2021?-08-18%", "2020-08-17", "2022-08-19"),
        ("2021-08~", "2021-07-01", "2021-09-30"),
        ("2021%", "2020-01-01", "2022-12-31"),
        ("2020?-02-29", "2019-02-28", "2021-02-28"),
        ("2021-08/2021-09", "2021-08-01", "2021-09-30"),
        ("2021-08-15/2021-08", "2021-08-15", "2021-08-31"),
        ("2021-08/..", "2021-08-01", None),
        ("../2024-03", None, "2024-03-31"),
        ("../2021-08-18~", None, "2021-08-19"),
        ("0001~", None, "0002-12-31"),
        ("9999~", "9998-01-01", None),
    ],
)
def test_date_has_an_earliest_and_a_latest_day(text, earliest, latest):
    span = parse_edtf(text)
    assert (span.earliest, span.latest) == (earliest, latest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2023-02-30",
        "2023-13",
        "2023-00",
        "2023-01-00",
        "0000",
        "XXXX",
        "XXXX-02-30",
        "20XX",
        "2021-21",
        "2021-8",
        "21",
        "-2021",
        "Y12021",
        "2021-09/2021-08",
        "2021/",
        "/2021",
        "../..",
        "../XXXX-08-18",
        "..",
        "XXXX-08-18/2021",
        "2021/2022/2023",
        "2021-08-18T10:00:00Z",
        "?2021",
        "[2021,2022]",
        "2021-08-18 ",
        "２０２１",
    ],
)
def test_other_forms_and_impossible_days_are_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_edtf(text)


@given(st.dates(), st.sampled_from("?~%"), st.integers(0, 2))
def test_qualified_date_includes_every_day_of_the_plain_one(day, qualifier, part):
    parts = day.isoformat().split("-")
    plain = parse_edtf("-".join(parts[: part + 1]))
    wide = parse_edtf("-".join(parts[: part + 1]) + qualifier)
    assert wide.lo <= plain.lo <= day.toordinal() <= plain.hi <= wide.hi
    assert wide != plain


@given(st.dates(), st.dates())
def test_interval_spans_its_first_to_its_last_day(one, other):
    first, last = sorted((one, other))
    assert parse_edtf(f"{first}/{last}") == Span(first.toordinal(), last.toordinal())
    assert parse_edtf(f"{first}/..") == Span(first.toordinal(), AFTER)


def test_unbounded_dates_sort_last():
    known = parse_edtf(date.max.isoformat())
    assert Span(BEFORE, AFTER).sort_key > known.sort_key


@pytest.mark.parametrize(
    ("occurred", "latest"),
    [
        (None, "2026-08-08"),
        ("2021-08/..", "2026-08-08"),
        ("2026-08-08/..", "2026-08-08"),
        ("2026-08/..", "2026-08-08"),
        ("2026-08-09/..", None),
        ("9999~", None),
        ("XXXX-08-08", "2026-08-08"),
        ("XXXX-08-09", "2025-08-09"),
        ("XXXX-02-29", "2024-02-29"),
        ("XXXX-08-09~", "2026-08-08"),
        ("XXXX-08-06~", "2026-08-07"),
        ("XXXX-08-18~", "2025-08-19"),
        ("XXXX-10?-01", "2025-11-01"),
        ("XXXX?-08-18", "2025-08-18"),
        ("../2024-03", "2024-03-31"),
        ("../2030", "2030-12-31"),
        ("2030", "2030-12-31"),
    ],
)
def test_open_end_reaches_to_the_day_of_recording(occurred, latest):
    span = span_recorded(occurred, parse_day("2026-08-08"))
    assert span.latest == latest
    assert span.lo == span_of(occurred).lo


def test_date_without_year_at_the_turn_of_the_year_reaches_into_the_next():
    assert span_recorded("XXXX-12-31~", parse_day("2026-01-01")).latest == "2026-01-01"
    assert span_recorded("XXXX-01-01~", parse_day("2025-12-31")).latest == "2025-12-31"


@given(st.dates(date(1900, 1, 1)), st.sampled_from(["XXXX-08-18", "XXXX-02-29", "XXXX-12-31?", None, "1899/.."]))
def test_open_end_reaches_neither_past_its_recording_nor_far_before_it(day, occurred):
    recorded = day.toordinal()
    span = span_recorded(occurred, recorded)
    assert recorded - 8 * 366 <= span.hi <= recorded
    if occurred in ("XXXX-08-18", "XXXX-02-29"):
        assert day_text(span.hi).endswith(occurred[4:])


def test_day_of_recording_is_its_day_in_utc():
    assert day_text(day_of("2026-08-08T23:59:59.999999Z")) == "2026-08-08"
