"""What goes around every request: its one line in the log and its numbers, problems for whatever is raised, the
position it asks to have been reached, and the headers that every answer bears."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from os import urandom
from time import perf_counter

from aiohttp import HttpVersion10, hdrs, web
from multidict import istr

from service.app_keys import HEAD, REQUEST_ID, REQUEST_LOG, SETTINGS, STOPPING, WRITER
from service.commands.writer import Unavailable
from service.header_names import POSITION
from service.http.access import KEY, VERIFIED, sent_key
from service.http.answers import cached_response
from service.http.bodies import EXPECTS_CONTINUE
from service.http.connections import Connection
from service.http.origins import ORIGINS
from service.http.problem_responses import error_response
from service.http.rate_limit import RateLimiter, client_of
from service.http.response_cache import CachedResponse
from service.http.responses import SERVER, CompleteResponse
from service.problems import Kind, Problem

WAIT_SECONDS = 5.0
GONE = 499
"""The status that a request is logged with whose client did not wait for an answer."""
_OF_THE_PROCESS = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/problems", "/static/")
"""What says nothing of what is recorded: it is told also while the disk holds up all who read."""
_UNLIMITED = frozenset((*_OF_THE_PROCESS, "/readyz"))
"""Read by those who run the registry, at any rate."""
MOST_SEGMENTS = 32
_ASKING = frozenset(("GET", "HEAD"))
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
_POSITION = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
# As `istr`, a name is made ready for comparison once instead of at each request.
_POSITION_NAME = istr(POSITION)
_SNIFFING = istr("X-Content-Type-Options")


class Frame:
    """Has a request wait until it can read what was answered before it came, and until this node has the position that
    it asks for; answers whatever is raised as a problem, then logs and counts the request, also where its client has
    gone. What was answered before is answered again before anybody looks where its address leads.

    Stands around the application that has started: what stands within, aiohttp asks about more at each request.
    """

    def __init__(self, app: web.Application, within: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
        self._app = app
        self._within = within
        self._head, self._writer, self._request_log = app[HEAD], app[WRITER], app[REQUEST_LOG]
        self._stopping = app[STOPPING]
        self._is_open = app[SETTINGS].read == "open"
        self._origins = app[ORIGINS]
        rate = app[SETTINGS].rate
        self._limiter = RateLimiter(rate) if rate else None

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to a request."""
        assert isinstance(request, web.Request)
        began = perf_counter()
        request_id = request[REQUEST_ID] = urandom(8).hex()
        status, size = GONE, 0
        response: web.StreamResponse | None = None
        ready: CachedResponse | None = None
        is_routed = False
        method, reads = request.method, _reads(request)
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.began(request)
        try:
            try:
                if _is_too_deep(request):
                    raise web.HTTPNotFound
                if request.version < HttpVersion10:
                    raise Problem(Kind.MALFORMED, "not HTTP: of a version before 1.0, or of none")
                if self._limiter is not None and method in _ASKING and request.path not in _UNLIMITED:
                    key = sent_key(request, self._app[VERIFIED])
                    self._limiter.take(client_of(key.name if key else None, request.remote), began)
                waits = _POSITION_NAME in request.headers
                if reads or waits:
                    await self._writer.publish()
                if waits:
                    await self._reached(request)
                if self._is_open and method in _ASKING:
                    ready = cached_response(self._app, request)
                if ready is not None:
                    response = ready.answer(request)
                elif method == hdrs.METH_OPTIONS:
                    response = await self._origins.options(self._app.router, request)
                else:
                    if hdrs.EXPECT in request.headers:
                        await self._refuse_unrouted(request)
                    is_routed = True
                    response = await self._within(request)
            except asyncio.CancelledError:  # aiohttp ends the body of a request that did not come whole
                if not self._stopping.is_set() or request.content.exception() is None:
                    raise
                response = error_response(self._app, request, Unavailable("the registry is stopping"))
            except ConnectionError as error:  # the client went away: there is nobody to answer
                error.__traceback__ = None  # the request keeps the error, which would keep the body with its frames
                raise
            except Exception as error:
                if isinstance(error, web.HTTPException) and error.status < 400:
                    raise
                response = error_response(self._app, request, error)
            status, size = response.status, _size(response)
            if self._stopping.is_set() and not response.prepared:
                response.force_close()  # so that the client sends its next request to another connection
            if isinstance(response, CompleteResponse):
                response.position = _position(self._app, request)
                if method in _ASKING:
                    response.cross_origin = self._origins.encoded(request)
            if hdrs.EXPECT in request.headers and not request.content.is_eof() and request.get(EXPECTS_CONTINUE, True):
                response.force_close()  # the client may send the body or not: what follows could be either
            return response
        finally:
            connection.ended()
            key = request.get(KEY)
            self._request_log.answered(
                request_id=request_id,
                remote=request.remote,
                method=method if method in _METHODS else "other",
                route=await self._route(request, is_routed=is_routed) if ready is None else ready.route,
                path=request.path,
                status=status,
                seconds=perf_counter() - began,
                size=size,
                actor=None if key is None else key.name,
                is_streamed=not isinstance(response, CompleteResponse | web.Response),
            )

    async def _route(self, request: web.Request, *, is_routed: bool) -> str:
        if _is_too_deep(request):
            return "none"
        match = request.match_info if is_routed else await self._app.router.resolve(request)
        resource = match.route.resource
        return "none" if resource is None else resource.canonical

    async def _refuse_unrouted(self, request: web.Request) -> None:
        """Raise the 404 or 405 of a request that leads nowhere, which would else be told first to send its body."""
        if (error := (await self._app.router.resolve(request)).http_exception) is not None:
            raise error

    async def _reached(self, request: web.Request) -> None:
        text = request.headers[_POSITION_NAME]
        if not _POSITION.fullmatch(text.strip()):
            raise Problem(Kind.MALFORMED, f"{POSITION} is a position")
        if not await self._head.reached(int(text), WAIT_SECONDS):
            raise Problem(Kind.POSITION_AHEAD, f"this node stands at {self._head.position}, before {int(text)}")


def _is_too_deep(request: web.BaseRequest) -> bool:
    """Whether an address has more segments than any that leads anywhere: to look for it takes quadratic time."""
    return request.rel_url.raw_path.count("/") > MOST_SEGMENTS


def _reads(request: web.BaseRequest) -> bool:
    """Whether what is answered rests on what can be read here."""
    return request.method != hdrs.METH_POST and not request.path.startswith(_OF_THE_PROCESS)


def _position(app: web.Application, request: web.BaseRequest) -> int | None:
    """What an answer may know of: of what was read all that can be, of anything else all that is recorded. None for a
    client that may not know it.
    """
    if app[SETTINGS].read == "key" and KEY not in request:
        return None
    return (app[HEAD] if request.method in _ASKING and _reads(request) else app[WRITER].recorded).position


def _size(response: web.StreamResponse) -> int:
    if isinstance(response, CompleteResponse | web.Response) and isinstance(response.body, bytes):
        return len(response.body)
    return response.body_length


async def finish(request: web.Request, response: web.StreamResponse) -> None:
    """Puts on every answer what all of them bear, those apart that are known `Whole`."""
    headers = response.headers
    if _POSITION_NAME not in headers and (position := _position(request.app, request)) is not None:
        headers[_POSITION_NAME] = str(position)
    headers[_SNIFFING] = "nosniff"
    headers[hdrs.SERVER] = SERVER
    if request.method in _ASKING:
        for name, value in request.app[ORIGINS].headers(request).items():
            headers.add(name, value)
    if headers.get(hdrs.CONTENT_TYPE, "").startswith("text/html"):
        headers.setdefault("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
        headers["Referrer-Policy"] = "no-referrer"
