"""The time machine: the two times that a page shows, read from its address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from domain.edtf import day_text
from projections.engine.query_types import TimeSlice
from projections.reader import Reader
from service.question_times import Now, read_times

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LAST_INSTANT = "T23:59:59.999999Z"
YEARS_AHEAD = 10
"""So far the slider of the day reaches: facts that are announced lie ahead."""


@dataclass(frozen=True, slots=True)
class PageTimes:
    """What a page shows: what held on a day, as known at a position.

    `on` and `known` are days, `YYYY-MM-DD`; `on` is None for any day. `is_today` and `is_now`: no other was chosen.
    `first` is the day on which the first event was recorded, None before any.
    """

    question: TimeSlice
    on: str | None
    known: str
    today: str
    first: str | None
    is_today: bool
    is_now: bool

    @property
    def is_moved(self) -> bool:
        """Whether the page shows another time than now."""
        return not (self.is_today and self.is_now)

    @property
    def last(self) -> str:
        """The last day that the slider of the day reaches."""
        return f"{int(self.today[:4]) + YEARS_AHEAD}-12-31"


def read_page_times(query: Mapping[str, str], now: Now, reader: Reader) -> PageTimes:
    """Return the times of a page. Raise BadQuestion.

    A page takes a day for `as_of` as well: the registry as it was known at the end of that day (UTC).
    """
    given = {name: (query[name],) for name in ("on", "as_of") if query.get(name)}
    today = day_text(now.today)
    if (as_of := query.get("as_of")) and _DAY.fullmatch(as_of):
        if as_of >= today:
            del given["as_of"]
        else:
            given["as_of"] = (as_of + _LAST_INSTANT,)
    question = read_times(given, now, reader.position_at)
    recorded = reader.recorded(question.as_of)
    first = reader.recorded(1)
    return PageTimes(
        question,
        None if question.on is None else day_text(question.on),
        _known(as_of, recorded, today) if "as_of" in given else today,
        today,
        None if first is None else first[:10],
        question.on == now.today,
        "as_of" not in given,
    )


def _known(as_of: str | None, recorded: str | None, today: str) -> str:
    """Return the day whose knowledge a page shows."""
    if as_of and (match := _DAY.match(as_of)):
        return match[0]
    return recorded[:10] if recorded else today
