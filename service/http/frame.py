"""What goes around every request: its one line in the log and its numbers, problems for whatever is raised, the
position it asks to have been reached, and the headers that every answer bears."""

from __future__ import annotations

import re
from time import perf_counter

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import istr

from service.http.access import KEY
from service.http.problems import Kind, Problem, refusal
from service.parts import HEAD, REQUESTS, WRITER

POSITION = "Registry-Position"
WAIT_SECONDS = 5.0
GONE = 499
"""The status that a request is logged with whose client did not wait for an answer."""
_OF_THE_PROCESS = frozenset(("/healthz", "/metrics"))
"""What says nothing of what is recorded: it is told also while the disk holds up all who read."""
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
_POSITION = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
# As `istr`, a name is made ready for comparison once instead of at each request.
_POSITION_NAME = istr(POSITION)
_SNIFFING = istr("X-Content-Type-Options")


@web.middleware
async def framed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Has a request wait until it can read what was answered before it came, and until this node has the position that
    it asks for; answers whatever is raised as a problem, then logs and counts the request, also where its client has
    gone. One middleware, as each is a step of every answer.
    """
    began = perf_counter()
    status, size = GONE, 0
    try:
        try:
            if _reads(request) or _POSITION_NAME in request.headers:
                await request.app[WRITER].publish()
            if _POSITION_NAME in request.headers:
                await _reached(request)
            response = await handler(request)
        except ConnectionError:  # the client went away: there is nobody to answer
            raise
        except Exception as error:
            if isinstance(error, web.HTTPException) and error.status < 400:
                raise
            response = refusal(request, error)
        status, size = response.status, _size(response)
        return response
    finally:
        resource = request.match_info.route.resource
        key = request.get(KEY)
        request.app[REQUESTS].answered(
            request.method if request.method in _METHODS else "other",
            "none" if resource is None else resource.canonical,
            request.path,
            status,
            perf_counter() - began,
            size,
            None if key is None else key.name,
        )


def _reads(request: web.Request) -> bool:
    """Whether what is answered rests on what can be read here."""
    return request.method != hdrs.METH_POST and request.path not in _OF_THE_PROCESS


def _size(response: web.StreamResponse) -> int:
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        return len(response.body)
    return response.body_length


async def _reached(request: web.Request) -> None:
    text = request.headers[_POSITION_NAME]
    if not _POSITION.fullmatch(text.strip()):
        raise Problem(Kind.MALFORMED, f"{POSITION} is a position")
    head = request.app[HEAD]
    if not await head.reached(int(text), WAIT_SECONDS):
        raise Problem(Kind.POSITION_AHEAD, f"this node stands at {head.position}, before {int(text)}")


async def finish(request: web.Request, response: web.StreamResponse) -> None:
    """Puts on every answer what all of them bear."""
    headers = response.headers
    if _POSITION_NAME not in headers:
        app = request.app
        position = app[HEAD].position if _reads(request) else app[WRITER].recorded.position
        headers[_POSITION_NAME] = str(position)
    headers[_SNIFFING] = "nosniff"
    if headers.get(hdrs.CONTENT_TYPE, "").startswith("text/html"):
        headers.setdefault("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
        headers["Referrer-Policy"] = "no-referrer"
