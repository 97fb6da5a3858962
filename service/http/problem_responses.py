"""Problem responses: a problem, or any exception, as the answer to a request. They must never show a traceback."""

from __future__ import annotations

import sqlite3

from aiohttp import web

from service.app_keys import LOGGER, METRICS, REQUEST_ID
from service.http.responses import CompleteResponse, lines
from service.problems import KINDS, Kind, Problem, problem_of

MEDIA_TYPE = "application/problem+json"


def problem_response(problem: Problem, request_id: str) -> CompleteResponse:
    """Return a problem as a response that caches must revalidate: the missing resource may exist later."""
    headers = lines({"Cache-Control": "no-cache", **problem.headers})
    return CompleteResponse(KINDS[problem.kind].status, problem.body(request_id=request_id), MEDIA_TYPE, headers)


def error_response(app: web.Application, request: web.BaseRequest, error: Exception) -> CompleteResponse:
    """Return the response to a request that raised `error`. Count it; log an unforeseen error."""
    problem, request_id = problem_of(error), request[REQUEST_ID]
    app[METRICS].refused(problem.kind)
    if problem.kind is Kind.INTERNAL or isinstance(error, OSError | sqlite3.Error):
        app[LOGGER].error("unforeseen", request_id=request_id, method=request.method, path=request.path, exc_info=error)
    return problem_response(problem, request_id)
