"""Middleware: the one function around every handler. It limits the rate, waits for the position that a request needs,
turns exceptions into problems, and logs and counts the request. `finish` adds the headers of every response."""

from __future__ import annotations

import re
from os import urandom
from time import perf_counter

from aiohttp import HttpVersion10, hdrs, web
from multidict import istr

from service.app_keys import HEAD, REQUEST_ID, REQUEST_LOG, SETTINGS, STOPPING, WRITER
from service.header_names import POSITION, SERVER_HEADERS
from service.http.access import KEY, VERIFIED, sent_key
from service.http.answers import cached_response
from service.http.bodies import check_expectation, may_withhold_body
from service.http.connections import Connection
from service.http.operations import Handler
from service.http.origins import ORIGINS
from service.http.problem_responses import error_response
from service.http.rate_limit import RATE_LIMITER, client_of
from service.http.unrouted import NO_RESOURCE
from service.problems import Kind, Problem

WAIT_SECONDS = 5.0
CLIENT_GONE = 499
"""The status in the log of a request whose client has gone before the response."""
_OF_THE_PROCESS = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/problems", "/static/")
"""Paths whose responses depend on no event: they do not wait for the views."""
_READING = frozenset((hdrs.METH_GET, hdrs.METH_HEAD))
_METHODS = frozenset((*_READING, "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
_POSITION = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
# As `istr`, a name is prepared for comparison once, not at each request.
_POSITION_NAME = istr(POSITION)


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return the response of the handler, or the problem that it raises. Log and count the request in any case."""
    app, began = request.app, perf_counter()
    request[REQUEST_ID] = request_id = urandom(8).hex()
    connection = request.protocol
    assert isinstance(connection, Connection)
    response: web.StreamResponse | None = None
    try:
        try:
            connection.began(request)
            await _prepare(request, began)
            if request.method in _READING and app[SETTINGS].read == "open":
                response = cached_response(request)
            if response is None:
                response = await handler(request)
        except ConnectionError as error:
            error.__traceback__ = None  # the request keeps the error, and its frames would keep the body
            raise
        except Exception as error:  # noqa: BLE001 - `error_response` logs the unforeseen ones
            response = error_response(app, request, error)
            if request.writer.output_size > 0:
                raise ConnectionResetError("a response has begun already") from None
        if not response.prepared and (
            app[STOPPING].is_set()  # the next request goes to another process
            or may_withhold_body(request)  # a body that may follow is no request
            or connection.is_last(request)
        ):
            response.force_close()
        return response
    finally:
        connection.ended()
        key = request.get(KEY)
        app[REQUEST_LOG].answered(
            request_id=request_id,
            remote=request.remote,
            method=request.method if request.method in _METHODS else "other",
            route=_route(request),
            path=request.path,
            status=CLIENT_GONE if response is None else response.status,
            seconds=perf_counter() - began,
            size=0 if response is None else _size(response),
            actor=None if key is None else key.name,
            is_streamed=not isinstance(response, web.Response),
        )


async def _prepare(request: web.Request, now: float) -> None:
    """Raise the problem of a request that needs no handler; else wait until the request can see what it needs."""
    app, headers = request.app, request.headers
    if request.version < HttpVersion10:
        raise Problem(Kind.MALFORMED, "not HTTP: the version is missing or before 1.0")
    if request.raw_path.startswith("//"):  # a URL library takes the first segment for a host
        raise web.HTTPNotFound
    limiter = app[RATE_LIMITER]
    if limiter is not None and request.method in _READING and request.path not in _OF_THE_PROCESS:
        key = sent_key(request, app[VERIFIED])
        limiter.take(client_of(key.name if key else None, request.remote), now)
    needs_position = _POSITION_NAME in headers
    if needs_position or _reads_views(request):
        await app[WRITER].publish()
    if needs_position:
        await _wait_for_position(app, headers[_POSITION_NAME].strip())
    check_expectation(request)


async def _wait_for_position(app: web.Application, text: str) -> None:
    if not _POSITION.fullmatch(text):
        raise Problem(Kind.MALFORMED, f"{POSITION} is a position")
    if not await app[HEAD].reached(int(text), WAIT_SECONDS):
        raise Problem(Kind.POSITION_AHEAD, f"this node is at position {app[HEAD].position}, before {int(text)}")


def _reads_views(request: web.Request) -> bool:
    return request.method != hdrs.METH_POST and not request.path.startswith(_OF_THE_PROCESS)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "none" if resource is None or resource.canonical == NO_RESOURCE else resource.canonical


def _size(response: web.StreamResponse) -> int:
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        return len(response.body)
    return response.body_length


async def finish(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers of every response, right before it is sent."""
    headers = response.headers
    if (position := _position(request)) is not None:
        headers[_POSITION_NAME] = str(position)
    headers.update(SERVER_HEADERS)
    if not response.keep_alive:
        headers[hdrs.CONNECTION] = "close"  # aiohttp omits it in responses to HTTP/1.0
    if request.method in _READING:
        headers.extend(request.app[ORIGINS].headers(request))
    if headers.get(hdrs.CONTENT_TYPE, "").startswith("text/html"):
        headers.setdefault("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
        headers.setdefault("Referrer-Policy", "no-referrer")


def _position(request: web.Request) -> int | None:
    """Return the last position that the response may depend on; None if the client may not know it."""
    app = request.app
    if app[SETTINGS].read == "key" and KEY not in request:
        return None
    is_read = request.method in _READING and _reads_views(request)
    return (app[HEAD] if is_read else app[WRITER].recorded).position
