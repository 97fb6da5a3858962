"""Health: whether the process runs, whether the registry is ready, and its metrics."""

from __future__ import annotations

import orjson
from aiohttp import hdrs, web

from service.app_keys import CLOCK, HEAD, METRICS, READY, SETTINGS, STOPPING, WRITER
from service.http.access import VERIFIED, sent_key
from service.http.answers import JSON, json_answer
from service.http.operations import Answer, Operation, add
from service.problems import Kind, Problem
from service.schemas.answer_types import Readiness
from service.schemas.json_schema import ref
from service.transparency.checkpoint import PUBLISHER

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_NO_STORE: dict[str, str] = {hdrs.CACHE_CONTROL: "no-store"}


async def healthz(_request: web.Request) -> web.StreamResponse:
    """Return that the process runs."""
    return json_answer(b'{"status":"ok"}', headers=_NO_STORE)


async def readyz(request: web.Request) -> web.StreamResponse:
    """Return that the registry is ready, or a 503 problem. Reasons and position are for clients that may read."""
    app = request.app
    reasons = app[READY].reasons
    if (failure := app[WRITER].failure) is not None:
        reasons.append(failure)
    if app[STOPPING].is_set():
        reasons.append("the registry is stopping")
    tells_more = app[SETTINGS].read == "open" or sent_key(request, app[VERIFIED]) is not None
    if reasons:
        raise Problem(Kind.NOT_READY, "; ".join(reasons) if tells_more else "")
    ready: Readiness = {"status": "ready"}
    if tells_more:
        ready["position"] = app[WRITER].recorded.position
        if warnings := app[CLOCK].warnings():
            ready["warnings"] = warnings
    return json_answer(orjson.dumps(ready), headers=_NO_STORE)


async def metrics(request: web.Request) -> web.StreamResponse:
    """Return the metrics in the Prometheus text format."""
    app = request.app
    body = app[METRICS].text(app[HEAD].position, app[PUBLISHER].covered.position, app[WRITER].queued)
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: _TEXT} | _NO_STORE)


OPERATIONS = (
    Operation(
        "GET",
        "/healthz",
        "health",
        "running",
        "Whether the process runs",
        healthz,
        {200: Answer("It runs.", {JSON: ref("Health")})},
    ),
    Operation(
        "GET",
        "/readyz",
        "ready",
        "running",
        "Whether the registry is ready",
        readyz,
        {200: Answer("It is ready.", {JSON: ref("Readiness")})},
        problems=(503,),
    ),
    Operation(
        "GET",
        "/metrics",
        "metrics",
        "running",
        "Metrics for Prometheus",
        metrics,
        {200: Answer("The metrics.", {"text/plain": {"type": "string"}})},
        problems=(401, 403),
        scope="read",
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the routes of this module."""
    add(app, OPERATIONS)
