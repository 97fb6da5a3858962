"""Differences: the change between two states of one subject, as known at two positions or instants, or on two days.
They answer a history with `from` and `to`."""

from __future__ import annotations

import orjson
from aiohttp import web

from domain.edtf import day_text
from projections.engine.query_types import TimeSlice
from projections.reader import Reader
from service.http.answers import JSON, answer_from_views, negotiate
from service.http.memento import ACCEPT_DATETIME, time_headers
from service.http.operations import QUERY
from service.http.query_parameters import AS_OF, FROM, MAX_LIMIT, ON, PAGED, TO, is_day, read_pair
from service.http.response_cache import CachedResponse
from service.question_times import Now
from service.schemas.answer_types import DifferenceBody, Moment

HISTORY = (AS_OF, ON, FROM, TO, *PAGED, ACCEPT_DATETIME)
"""The parameters of a history, as a list or as a difference."""
ABOUT = (
    " With `from`, and `to`, it is the difference between two states instead: `patch` (RFC 6902) turns the first into"
    " the second, both without the names of others; where there is no state (not yet known or come about, gone, merged"
    " into another) it is null. Between two positions, `events` are the positions of those recorded after the one and"
    " up to the other."
)


def wants_difference(request: web.Request) -> bool:
    """Return whether a request for a history has the parameters of a difference."""
    return FROM.name in request.query or TO.name in request.query


async def answer_difference(request: web.Request, subject: str) -> web.StreamResponse:
    """Return the difference. Raise Merged if the subject has no state on either side and was merged into another."""
    negotiate(request, (JSON,))
    values = request[QUERY]

    def found(reader: Reader, now: Now) -> CachedResponse:
        first, second = read_pair(values, now, reader.position_at)
        known = max(first.as_of, second.as_of)
        difference = reader.difference(subject, first, second, most=MAX_LIMIT)
        answer: DifferenceBody = {
            "subject": subject,
            "position": known,
            "from": _side(first),
            "to": _side(second),
            "patch": difference.patch,
            "events": difference.events,
        }
        if difference.is_cut:
            answer["more"] = f"/v1/{subject}/history?as_of={known}"
        body = orjson.dumps(answer)
        of_days = is_day(values[FROM.name][0])  # two positions are in the address, so the response is no memento
        return CachedResponse(body, JSON, time_headers(request, now, known, reader.recorded) if of_days else {})

    return await answer_from_views(request, found)


def _side(question: TimeSlice) -> Moment:
    return {"as_of": question.as_of, "on": "any" if question.on is None else day_text(question.on)}
