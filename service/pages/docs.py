"""The page of the API document, and the static files of the pages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from domain.catalogue import CATALOGUE
from service.http.api_document import document
from service.http.operations import DESCRIBED, Handler
from service.pages.site import DIRECTORY, answer, fixed_page

STATIC = {
    "icon.svg": "image/svg+xml",
    "registry.css": "text/css",
    "registry.js": "text/javascript",
    "verify.js": "text/javascript",
}
_METHODS = ("get", "post", "put", "delete")


async def docs(request: web.Request) -> web.StreamResponse:
    """Return the API document as a page."""
    rows = request.app[DESCRIBED]
    return await asyncio.to_thread(lambda: fixed_page(request, "docs.html", _readable(document(rows))))


def static_file(name: str) -> Handler:
    """Return the handler of one static file."""
    body = (DIRECTORY / "static" / name).read_bytes()

    async def handler(request: web.Request) -> web.StreamResponse:
        return answer(request, body, STATIC[name])

    return handler


def _readable(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document in the order of reading: operations by tag, then events, then the other shapes."""
    operations: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in described["tags"]}
    for path, methods in described["paths"].items():
        for method in _METHODS:
            if method in methods:
                row = methods[method]
                operations[row["tags"][0]].append({**row, "method": method.upper(), "path": path})
    schemas = described["components"]["schemas"]
    events = {name: schemas[schemas[name]["properties"]["data"]["$ref"].rpartition("/")[2]] for name in CATALOGUE}
    data = {kind.data.__name__ for kind in CATALOGUE.values()}
    return {
        "info": described["info"],
        "tags": [{**tag, "operations": operations[tag["name"]]} for tag in described["tags"]],
        "events": [
            {"name": name, "about": schemas[name]["description"], "data": shape} for name, shape in events.items()
        ],
        "shapes": {name: schema for name, schema in schemas.items() if name not in CATALOGUE and name not in data},
    }
