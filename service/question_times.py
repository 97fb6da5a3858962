"""The two times of a query, read from text: the position that it is as of, and the day.

This module reads no clock and no view.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from domain.edtf import parse_day
from projections.engine.query_types import BadQuestion, TimeSlice

AS_OF = "as_of"
ON = "on"
POSITION = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
INSTANT = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:[Zz]|([+ -])(\d{2}):(\d{2}))", re.ASCII
)


class Now(NamedTuple):
    """The defaults of a query's two times: the last position in the views, and the clock's instant (aware, UTC).

    `then`: the instant of `Accept-Datetime`, which replaces `head` (see `service.http.memento`).
    """

    head: int
    instant: datetime
    then: str | None = None

    @property
    def today(self) -> int:
        """The day of the instant, as an ordinal."""
        return self.instant.toordinal()


def read_times(
    values: Mapping[str, Sequence[str]], now: Now, position_at: Callable[[str], int], *, any_day: bool = False
) -> TimeSlice:
    """Return the two times of a query. Raise BadQuestion.

    `any_day`: without `on`, any day instead of today. `position_at`: from an instant to the last position recorded by
    it.
    """
    flaws: dict[str, str] = {}
    as_of, on = now.head, None if any_day else now.today
    if now.then is not None:
        as_of = min(position_at(now.then), now.head)
    if AS_OF in values:
        try:
            as_of = _as_of(values[AS_OF][0], now, position_at)
        except ValueError as error:
            flaws[AS_OF] = str(error)
    if ON in values:
        try:
            on = _on(values[ON][0])
        except ValueError as error:
            flaws[ON] = str(error)
    if flaws:
        raise BadQuestion(flaws)
    return TimeSlice(as_of, on)


def _as_of(text: str, now: Now, position_at: Callable[[str], int]) -> int:
    if POSITION.fullmatch(text):
        if int(text) > now.head:
            raise ValueError(f"lies in the future: the log ends at position {now.head}")
        return int(text)
    instant = _instant(text)
    if instant > now.instant:
        raise ValueError("lies in the future")
    recorded = instant.replace(tzinfo=None).isoformat(timespec="microseconds")
    return min(position_at(f"{recorded}Z"), now.head)


def _instant(text: str) -> datetime:
    """Return an RFC 3339 instant in UTC, cut to microseconds. Read a space as `+`: form decoding turns `+` into it."""
    match = INSTANT.fullmatch(text)
    if match is None:
        raise ValueError("is a position, or an RFC 3339 instant such as 2026-01-31T09:30:00Z")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    micros = int((match[7] or "").ljust(6, "0")[:6])
    if second == 60:  # a leap second: the whole minute
        second, micros = 59, 999_999
    try:
        zone = UTC
        if match[8] is not None:
            offset = timedelta(hours=int(match[9]), minutes=int(match[10]))
            zone = timezone(-offset if match[8] == "-" else offset)
        return datetime(year, month, day, hour, minute, second, micros, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not an instant that exists") from None


def _on(text: str) -> int | None:
    if text == "any":
        return None
    try:
        return parse_day(text)
    except ValueError:
        raise ValueError("is a day that exists, written YYYY-MM-DD, or any") from None
