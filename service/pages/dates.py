"""Help with dates: how the registry understands a date, in plain words, also while it is typed."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import orjson
from aiohttp import web
from markupsafe import Markup

from domain.edtf import AFTER, BEFORE, day_text, parse_day, parse_edtf, span_recorded
from service.app_keys import CLOCK
from service.http.answers import JSON
from service.pages.forms import OCCURRED
from service.pages.site import answer, reader_wording
from service.pages.wording import Wording

LONGEST = 100
"""Characters of a date; a longer text is none."""


def understood(wording: Wording, recorded: int, text: str, *, is_occurrence: bool) -> list[Markup]:
    """Return how a date is understood, in sentences; of an occurrence also when it is possible and when certain.

    `recorded` is the day of recording, on which an occurrence ends whose end is open.
    """
    try:
        if len(text) > LONGEST:
            raise ValueError
        bounds = parse_edtf(text)
    except ValueError:
        return [wording.text("This is no date that the registry takes.")]
    meaning = wording.text("Understood as: {date} ({bounds}).", date=wording.period(text), bounds=wording.bounds(text))
    if not is_occurrence:
        return [meaning]
    span = span_recorded(text, recorded)
    first = "" if span.lo == BEFORE else wording.day(day_text(span.lo))
    last = "" if span.hi == AFTER else wording.day(day_text(span.hi))
    said = [meaning, _certainty(wording, first, last)]
    if bounds.hi == AFTER and last:
        said.append(wording.text("A date with an open end ends no later than the day of recording."))
    return said


def _certainty(wording: Wording, first: str, last: str) -> Markup:
    """Return when a fact is possible and when it is certain; a bound is empty where there is none."""
    if first == last:
        return wording.text("Certain from {day} on, and not so before.", day=first)
    if not first:
        return wording.text("Possible on every day before {last}, and certain from then on.", last=last)
    if not last:
        return wording.text("Not so before {first}; possible from then on, and never certain.", first=first)
    return wording.text(
        "Not so before {first}, possible from then on, and certain from {last} on.", first=first, last=last
    )


def date_help(wording: Wording, recorded: int) -> partial[list[Markup]]:
    """Return what templates ask how a date is understood."""
    return partial(understood, wording, recorded)


async def explain_date(request: web.Request) -> web.StreamResponse:
    """Return how the date `text` is understood, as `{"lines": [...]}`.

    `of=occurred`: it is that of an event, which was recorded on the day `recorded`, or else today.
    """
    query = request.query
    text, recorded = query.get("text", "").strip(), request.app[CLOCK]().toordinal()
    with suppress(ValueError):
        recorded = parse_day(query.get("recorded", ""))
    explain = date_help(reader_wording(request), recorded)
    lines = explain(text, is_occurrence=query.get("of") == OCCURRED) if text else []
    return answer(request, orjson.dumps({"lines": [line.unescape() for line in lines]}), JSON)
