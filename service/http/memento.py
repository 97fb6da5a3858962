"""Memento (RFC 7089) on recorded time: `Accept-Datetime` asks an address without `as_of` for what it answered as known
then, and what is answered as of a position says when that was recorded. It is the RFC's pattern 1.2: an address without
`as_of` is the original resource and its own TimeGate, which answers at once instead of redirecting; the same address
with `as_of` is the memento, which `Content-Location` names. It must never show what was not yet recorded.

So an instant before the first event gets what `as_of=0` does, an empty list or 404 for a state, and not the first
memento. Only what was known is negotiated: the day stays a part of the original, and where it names none it means today
in its mementos too; who cites an answer for ever names both. An address with a cursor is pinned and not negotiated."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web
from yarl import URL

from service.http.operations import Parameter
from service.http.query_parameters import AS_OF, CURSOR
from service.problems import Kind, Problem
from service.question_times import Now

LINK_FORMAT = "application/link-format"
HEADERS = ("Link", "Memento-Datetime", "Content-Location")
"""The headers that `said` gives, apart from `Vary`."""
ACCEPT_DATETIME = Parameter(
    "Accept-Datetime",
    "Memento (RFC 7089): the registry as it was known then, where the address says neither `as_of` nor `cursor`.",
    {"type": "string", "examples": ["Sat, 31 Jan 2026 09:30:00 GMT"]},
    "header",
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HTTP_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT", re.ASCII
)
"""IMF-fixdate (RFC 9110, section 5.6.7), the one form that RFC 7089 takes; the day of the week is not compared."""


def then_of(request: web.Request) -> str | None:
    """The last instant of the second that the request asks for, written as `recorded` is; None where it asks for none
    or its address is pinned. Raises a 400 problem for what is no HTTP-date."""
    asked = request.headers.getall(ACCEPT_DATETIME.name, ())
    if not asked or _is_pinned(request):
        return None
    try:
        (text,) = asked
        return f"{_second(text).isoformat()}.999999Z"
    except ValueError:
        raise Problem(
            Kind.MALFORMED,
            "Accept-Datetime is one date that exists, such as Sat, 31 Jan 2026 09:30:00 GMT",
            headers={"Vary": vary(request)},
        ) from None


def vary(request: web.Request) -> str:
    """What of the request the answer depends on beside its address."""
    return "Accept" if _is_pinned(request) else "Accept, Accept-Datetime"


def said(
    request: web.Request,
    now: Now,
    position: int,
    recorded: Callable[[int], str | None],
    *,
    following: str | None = None,
    is_mapped: bool = False,
) -> dict[str, str]:
    """What the answer as of a position says about its place in time, and which page follows it.

    `recorded` gives when a position was. `is_mapped` says that the resource has a TimeMap.
    """
    address = request.rel_url
    path, query = address.raw_path, ""
    if address.raw_query_string:
        query = str(address.without_query_params(AS_OF.name, CURSOR.name))[len(path) :]
    links = [] if following is None else [f'<{following}>; rel="next"']
    headers = {"Vary": vary(request)}
    is_memento = now.then is not None or AS_OF.name in request.query
    if is_memento or is_mapped:
        links.append(f'<{path}{query}>; rel="original timegate"')
    if is_mapped:
        links.append(f'<{path}/timemap{query}>; rel="timemap"; type="{LINK_FORMAT}"')
    if is_memento:
        address = at(address, position)
        if (instant := recorded(position) or now.then) is not None:
            headers["Memento-Datetime"] = http_date(instant)
            links.append(link(address, instant))
        if now.then is not None:
            headers["Content-Location"] = str(address)
    if links:
        headers["Link"] = ", ".join(links)
    return headers


def at(address: URL, position: int) -> URL:
    """The address as of a position."""
    return address.update_query({AS_OF.name: str(position)})


def link(address: URL, recorded: str, relation: str = "memento") -> str:
    """A link to a memento."""
    return f'<{address}>; rel="{relation}"; datetime="{http_date(recorded)}"'


def http_date(recorded: str) -> str:
    """The HTTP-date of an instant written as `recorded` is, cut to its second."""
    return format_datetime(datetime.fromisoformat(recorded), usegmt=True)


def _second(text: str) -> datetime:
    """The second that an HTTP-date names, without a zone: it is UTC. Raises ValueError."""
    match = _HTTP_DATE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    day, month, *rest = match.groups()
    year, hour, minute, second = map(int, rest)
    if second == 60:  # a leap second ends with the minute
        second = 59
    return datetime(year, _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC).replace(tzinfo=None)


def _is_pinned(request: web.Request) -> bool:
    return AS_OF.name in request.query or CURSOR.name in request.query
