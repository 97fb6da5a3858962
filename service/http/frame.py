"""What goes around every request: its one line in the log and its numbers, the position it asks to have been reached,
and the headers that every answer bears."""

from __future__ import annotations

import re
from time import perf_counter

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from service.http.access import KEY
from service.http.problems import Kind, Problem
from service.parts import HEAD, LOGGER, METRICS

POSITION = "Registry-Position"
WAIT_SECONDS = 5.0
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
_POSITION = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)


@web.middleware
async def observed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Logs and counts the request once it is answered, or once its client has gone."""
    began = perf_counter()
    status, size = 499, 0
    try:
        response = await handler(request)
        status = response.status
        size = _size(response)
    finally:
        seconds = perf_counter() - began
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        method = request.method if request.method in _METHODS else "other"
        request.app[METRICS].answered(method, route, status, seconds)
        key = request.get(KEY)
        request.app[LOGGER].info(
            "request",
            method=method,
            route=route,
            path=request.path,
            status=status,
            ms=round(seconds * 1000, 2),
            bytes=size,
            actor=None if key is None else key.name,
        )
    return response


def _size(response: web.StreamResponse) -> int:
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        return len(response.body)
    return response.body_length


@web.middleware
async def awaited(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Has a request wait until this node has the position that it asks for."""
    text = request.headers.get(POSITION)
    if text is not None:
        if not _POSITION.fullmatch(text.strip()):
            raise Problem(Kind.MALFORMED, f"{POSITION} is a position")
        head = request.app[HEAD]
        if not await head.reached(int(text), WAIT_SECONDS):
            raise Problem(Kind.POSITION_AHEAD, f"this node stands at {head.position}, before {int(text)}")
    return await handler(request)


async def finish(request: web.Request, response: web.StreamResponse) -> None:
    """Puts on every answer what all of them bear."""
    headers = response.headers
    headers.setdefault(POSITION, str(request.app[HEAD].position))
    headers["X-Content-Type-Options"] = "nosniff"
    if headers.get(hdrs.CONTENT_TYPE, "").startswith("text/html"):
        headers.setdefault("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
        headers["Referrer-Policy"] = "no-referrer"
