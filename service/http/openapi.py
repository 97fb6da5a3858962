"""GET /openapi.json: the API document as a resource."""

from __future__ import annotations

import asyncio

import orjson
from aiohttp import hdrs, web

from service.http.answers import JSON, json_answer, strong_tag
from service.http.api_document import document
from service.http.fields import etag_matches
from service.http.operations import DESCRIBED, Answer, Operation, add


async def openapi(request: web.Request) -> web.StreamResponse:
    """Return the document."""
    written = request.app[_WRITTEN]
    if not written:
        rows = request.app[DESCRIBED]
        written.append(await asyncio.to_thread(lambda: orjson.dumps(document(rows))))
    body = written[0]
    headers: dict[str, str] = {"ETag": strong_tag(body), hdrs.CACHE_CONTROL: "no-cache"}
    if etag_matches(request, headers["ETag"]):
        return web.Response(status=304, headers=headers)
    return json_answer(body, headers=headers)


_WRITTEN: web.AppKey[list[bytes]] = web.AppKey("openapi document", list)
"""The encoded document, once the first request has come."""
OPERATIONS = (
    Operation(
        "GET",
        "/openapi.json",
        "openapi",
        "running",
        "This document",
        openapi,
        {200: Answer("The document.", {JSON: {"type": "object"}}, ("ETag",))},
        problems=(422,),
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the routes of this module."""
    app[_WRITTEN] = []
    add(app, OPERATIONS)
