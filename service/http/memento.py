"""Memento (RFC 7089) on recorded time. `Accept-Datetime` requests a resource without `as_of` as it was known at an
instant; a response as of a position names the instant at which that position was recorded.

The pattern is 1.2 of the RFC: a resource without `as_of` is the original resource and its own TimeGate, which responds
without a redirect. The same address with `as_of` is the memento, which `Content-Location` names. A response must never
contain an event that was recorded later.

An instant before the first event gives the response of `as_of=0`, an empty list or 404 for a state, and not the first
memento. Only recorded time is negotiated. The day stays a part of the original; without `on` it is today, also in
mementos, so a permanent citation names both. A cursor fixes the position, so an address with a cursor is not
negotiated.
"""

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
"""The headers from `time_headers`, except `Vary`."""
ACCEPT_DATETIME = Parameter(
    "Accept-Datetime",
    "Memento (RFC 7089): the registry as it was known then, if the address has neither `as_of` nor `cursor`.",
    {"type": "string", "examples": ["Sat, 31 Jan 2026 09:30:00 GMT"]},
    "header",
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HTTP_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT", re.ASCII
)
"""IMF-fixdate (RFC 9110, section 5.6.7), the only form in RFC 7089. The day of the week is not compared."""


def then_of(request: web.Request) -> str | None:
    """Return the last instant of the second in `Accept-Datetime`, in the form of `recorded`; None without that header,
    or if the address fixes the position. Raise a 400 problem for a malformed date.
    """
    dates = request.headers.getall(ACCEPT_DATETIME.name, ())
    if not dates or _is_pinned(request):
        return None
    try:
        (text,) = dates
        return f"{_second(text).isoformat()}.999999Z"
    except ValueError:
        raise Problem(
            Kind.MALFORMED,
            "Accept-Datetime is one date that exists, such as Sat, 31 Jan 2026 09:30:00 GMT",
            headers={"Vary": vary(request)},
        ) from None


def vary(request: web.Request) -> str:
    """Return the value of `Vary`: the request headers that the response depends on."""
    return "Accept" if _is_pinned(request) else "Accept, Accept-Datetime"


def time_headers(
    request: web.Request,
    now: Now,
    position: int,
    recorded: Callable[[int], str | None],
    *,
    following: str | None = None,
    is_mapped: bool = False,
) -> dict[str, str]:
    """Return the headers that place a response as of a position in recorded time, and name the next page.

    `recorded` gives the instant at which a position was recorded. `is_mapped`: the resource has a TimeMap.
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
    """Return the address as of a position."""
    return address.update_query({AS_OF.name: str(position)})


def link(address: URL, recorded: str, relation: str = "memento") -> str:
    """Return a link to a memento."""
    return f'<{address}>; rel="{relation}"; datetime="{http_date(recorded)}"'


def http_date(recorded: str) -> str:
    """Return the HTTP-date of an instant in the form of `recorded`, cut to its second."""
    return format_datetime(datetime.fromisoformat(recorded), usegmt=True)


def _second(text: str) -> datetime:
    """Return the second of an HTTP-date, in UTC without a zone. Raise ValueError."""
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
