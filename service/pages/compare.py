"""The page that compares one subject at two times, with the events that made the difference."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from aiohttp import web

from domain.edtf import AFTER, BEFORE, day_text, span_of
from projections.engine.query_types import Gone, NotFound, TimeSlice
from projections.reader import Reader
from service.http.operations import Handler
from service.pages import pictures
from service.pages.facts import MOST_FACTS
from service.pages.item_titles import show_titles
from service.pages.site import Context, Visit, page
from service.pages.times import read_page_times

_VERSIONS, _FACTS, _DAYS = 12, 50, 12
_NOT_COMPARED = frozenset(("events", "version", "position", "subject", "evidence", "more"))


def compare_page(collection: str) -> Handler:
    """Return the handler of `/{collection}/{slug}/compare`: `on` and `as_of` against `with_on` and `with_as_of`."""

    async def handler(request: web.Request) -> web.StreamResponse:
        subject = f"{collection}/{request.match_info['slug']}"
        return await page(request, "compare.html", partial(_compared, subject))

    return handler


def _compared(subject: str, reader: Reader, visit: Visit) -> Context:
    query = dict(visit.address.query)
    other = read_page_times({"on": query.get("with_on", ""), "as_of": query.get("with_as_of", "")}, visit.now, reader)
    first, second = visit.times.question, other.question
    left, right = _state(reader, subject, first), _state(reader, subject, second)
    if left is None and right is None:
        raise NotFound(f"{subject} had not come about, and nothing was known of it, at either time")
    name = (right or left or {}).get("name") or (right or left or {}).get("title")
    return {
        "subject": subject,
        "name": name,
        "other": other,
        "rows": [
            (field, (left or {}).get(field), (right or {}).get(field))
            for field in dict.fromkeys([*(left or {}), *(right or {})])
            if field not in _NOT_COMPARED and ((left or {}).get(field) or (right or {}).get(field))
        ],
        "is_known": (left is not None, right is not None),
        "between": _between(reader, subject, first, second),
        "bitemporal": _bitemporal(reader, subject, second),
    }


def _state(reader: Reader, subject: str, question: TimeSlice) -> Mapping[str, Any] | None:
    try:
        return reader.state(subject, question).body
    except (NotFound, Gone):
        return None


def _between(reader: Reader, subject: str, first: TimeSlice, second: TimeSlice) -> list[dict[str, Any]]:
    """Return the events about a subject that were recorded between two positions, or all where only the days differ."""
    low, high = sorted((first.as_of, second.as_of))
    page = reader.history(subject, TimeSlice(high, None), limit=MOST_FACTS, after=None)
    between = [each for each in page.items if each["position"] > low or low == high]
    show_titles(between, reader, high)
    return between


def _bitemporal(reader: Reader, subject: str, question: TimeSlice) -> pictures.Bitemporal | None:
    """Return the picture of a subject's status: days in the world by moments of recording, of its last versions."""
    try:
        versions = reader.versions(subject, question.as_of, since=0, limit=1_000)[-_VERSIONS:]
        about = "party" if subject.startswith("parties/") else "subject"
        page = reader.page(
            "timeline", TimeSlice(question.as_of, None), {about: [subject]}, sort=None, limit=_FACTS, after=None
        )
    except (NotFound, Gone):
        return None
    bounds = {bound for each in page.items for bound in span_of(each["occurred"]) if BEFORE < bound < AFTER}
    days = sorted({*bounds, *([question.on] if question.on is not None else [])})[-_DAYS:]
    if not versions or not days:
        return None
    statuses = [
        [(_state(reader, subject, TimeSlice(position, day)) or {}).get("status") for position, _ in versions]
        for day in days
    ]
    return pictures.bitemporal([day_text(day) for day in days], [recorded for _, recorded in versions], statuses)
