"""Problem responses: a problem, or any exception, as the answer to a request. They must never show a traceback."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from aiohttp import hdrs, web

from service.app_keys import LOGGER, METRICS, REQUEST_ID
from service.http.operations import prefers_html
from service.problems import KINDS, Kind, Problem, problem_of

MEDIA_TYPE = "application/problem+json"
PROBLEM_PAGE: web.AppKey[Callable[[web.Request, Problem], web.Response]] = web.AppKey("problem page", Callable)  # type: ignore[arg-type]
"""Returns a problem as a page."""
_API = "/v1/"


def problem_response(problem: Problem, request_id: str) -> web.Response:
    """Return a problem as a response that caches must revalidate: the missing resource may exist later."""
    headers = {hdrs.CONTENT_TYPE: MEDIA_TYPE, hdrs.CACHE_CONTROL: "no-cache", **problem.headers}
    return web.Response(status=KINDS[problem.kind].status, body=problem.body(request_id=request_id), headers=headers)


def error_response(app: web.Application, request: web.BaseRequest, error: Exception) -> web.Response:
    """Return the response to a request that raised `error`, outside the API as a page for a client that prefers HTML.

    Count it; log an unforeseen error.
    """
    problem, request_id = problem_of(error), request[REQUEST_ID]
    app[METRICS].refused(problem.kind)
    if problem.kind is Kind.INTERNAL or isinstance(error, OSError | sqlite3.Error):
        app[LOGGER].error("unforeseen", request_id=request_id, method=request.method, path=request.path, exc_info=error)
    if isinstance(request, web.Request) and not request.path.startswith(_API) and prefers_html(request):
        return app[PROBLEM_PAGE](request, problem)
    return problem_response(problem, request_id)
