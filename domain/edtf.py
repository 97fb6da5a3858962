"""Valid time: EDTF dates (ISO 8601-2), complete or in part, and the days that they may mean.

A day is an integer, the proleptic Gregorian ordinal of `datetime.date` (1 is 0001-01-01). `BEFORE` and `AFTER` are
outside every day and mean "unbounded". Nothing here reads a clock.

The packages for EDTF accept other forms than the contract, widen qualified dates by other amounts, and are hundreds of
times slower (edtf 5: 10 ms a date).
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from functools import lru_cache
from typing import NamedTuple

BEFORE = 0
AFTER = date.max.toordinal() + 1

_QUALIFIER = "[?~%]?"
_DATE = re.compile(
    rf"(?P<year>\d{{4}}|XXXX)(?P<yq>{_QUALIFIER})"
    rf"(?:-(?P<month>\d{{2}})(?P<mq>{_QUALIFIER})(?:-(?P<day>\d{{2}})(?P<dq>{_QUALIFIER}))?)?",
    re.ASCII,
)


class Span(NamedTuple):
    """The days a fact may fall on, `lo` to `hi`, both included; `BEFORE` and `AFTER` are unbounded."""

    lo: int
    hi: int

    @property
    def earliest(self) -> str | None:
        """The first possible day, `YYYY-MM-DD`; None if unbounded."""
        return day_text(self.lo) if self.lo != BEFORE else None

    @property
    def latest(self) -> str | None:
        """The last possible day, `YYYY-MM-DD`; None if unbounded."""
        return day_text(self.hi) if self.hi != AFTER else None

    @property
    def sort_key(self) -> tuple[int, int]:
        """The order of dates: by earliest day, unbounded last; then by latest day."""
        return (AFTER if self.lo == BEFORE else self.lo, self.hi)

    def hull(self, other: Span) -> Span:
        """Return the smallest span that contains both."""
        return Span(min(self.lo, other.lo), max(self.hi, other.hi))


UNKNOWN = Span(BEFORE, AFTER)


def parse_day(text: str) -> int:
    """Return the day written as `YYYY-MM-DD`. Raise ValueError."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise ValueError("a day is written YYYY-MM-DD")
    return date.fromisoformat(text).toordinal()


def day_text(day: int) -> str:
    """Return a bounded day as `YYYY-MM-DD`."""
    return date.fromordinal(day).isoformat()


@lru_cache(maxsize=65536)
def parse_edtf(text: str) -> Span:
    """Return the span of an EDTF date in the accepted forms.

    `2024-01-21`, `2024-01`, `2024`, `XXXX-08-18` (unbounded), each component optionally followed by `?`, `~` or `%`
    (widening both bounds by one unit of that component), intervals `a/b`, `a/..` and `../b` (some day within). Raise
    ValueError for other forms and for dates that do not exist.
    """
    start, slash, end = text.partition("/")
    if not slash:
        return _date(start, "a date")
    if start == "..":
        return Span(BEFORE, _bounded(end).hi)
    first = _bounded(start)
    if end == "..":
        return Span(first.lo, AFTER)
    last = _bounded(end)
    if first.lo > last.hi:
        raise ValueError(f"the interval {text!r} ends before it starts")
    return Span(first.lo, last.hi)


def span_of(occurred: str | None) -> Span:
    """Return the span of an `occurred` that may be absent (then unbounded)."""
    return UNKNOWN if occurred is None else parse_edtf(occurred)


@lru_cache(maxsize=4096)
def day_of(instant: str) -> int:
    """Return the UTC day of an instant in the form of `recorded`. Raise ValueError."""
    return parse_day(instant[:10])


def span_recorded(occurred: str | None, recorded: int) -> Span:
    """Return the span of the `occurred` of an event that was recorded on a day.

    An event says that something has happened: a date with an open end reaches no further than the last day that it
    allows up to the day of recording, unless its earliest day lies after that.
    """
    span = span_of(occurred)
    if span.hi != AFTER or span.lo > recorded:
        return span
    if occurred is not None and occurred.startswith("XXXX"):
        return Span(span.lo, _latest_in_any_year(occurred, recorded))
    return Span(span.lo, recorded)


@lru_cache(maxsize=4096)
def _latest_in_any_year(text: str, upto: int) -> int:
    """Return the last day, no later than another, that a date without a year may mean."""
    last = date.fromordinal(upto).year + 1  # a date qualified at the end of a year reaches into the year before
    for year in range(last, last - 10, -1):  # there are no more than eight years between two leap days
        try:
            span = _date(f"{year:04}{text[4:].lstrip('?~%')}", "a date")
        except ValueError:  # a leap day
            continue
        if span.lo <= upto:
            return min(span.hi, upto)
    return upto


def _bounded(text: str) -> Span:
    if text.startswith("XXXX"):
        raise ValueError("an interval needs dates with a year")
    return _date(text, "an end of an interval")


def _date(text: str, what: str) -> Span:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not {what} in a form the registry takes, such as 2024-01-21, 2024-01 or 2024?")
    month, day = (int(match[part]) if match[part] else None for part in ("month", "day"))
    if match["year"] == "XXXX":
        if month is None or day is None:
            raise ValueError("a date without a year needs its month and day, as in XXXX-08-18")
        date(2000, month, day)
        return UNKNOWN
    year = int(match["year"])
    lo = date(year, 1 if month is None else month, 1 if day is None else day)
    last = 12 if month is None else month
    hi = date(year, last, monthrange(year, last)[1] if day is None else day)
    years, months, days = (1 if match[part] else 0 for part in ("yq", "mq", "dq"))
    whole_month = day is None
    return Span(
        _shifted(lo, -years, -months, -days, end=False),
        _shifted(hi, years, months, days, end=whole_month),
    )


def _shifted(origin: date, years: int, months: int, days: int, *, end: bool) -> int:
    index = (origin.year + years) * 12 + origin.month - 1 + months
    year, month = divmod(index, 12)
    if not 1 <= year <= 9999:
        return BEFORE if year < 1 else AFTER
    length = monthrange(year, month + 1)[1]
    shifted = date(year, month + 1, length if end else min(origin.day, length)).toordinal() + days
    return min(max(shifted, BEFORE), AFTER)
