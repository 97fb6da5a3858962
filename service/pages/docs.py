"""The pages of the API document, one a subject behind a first page that leads to them, and the files of all pages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web

from domain.catalogue import CATALOGUE
from service.http.api_document import document
from service.http.operations import DESCRIBED, Handler
from service.pages.site import DIRECTORY, answer, fixed_page
from service.pages.template_filters import kind_of
from service.problems import Kind, Problem
from service.schemas.events import data_name

STATIC = {
    "icon.svg": "image/svg+xml",
    "registry.css": "text/css",
    "registry.js": "text/javascript",
    "verify.js": "text/javascript",
}
CORRECTIONS = "corrections"
"""The page of the events that are about events."""
SHAPES = "shapes"
"""The page of the shapes that several subjects share."""
_METHODS = ("get", "post", "put", "delete")


@dataclass(frozen=True, slots=True)
class Part:
    """A page of the document: operations, types of events and shapes of one subject. `name` ends its address."""

    name: str
    about: str
    operations: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    shapes: dict[str, Mapping[str, Any]] = field(default_factory=dict)


async def docs(request: web.Request) -> web.StreamResponse:
    """Return the first page of the API document: it leads to every operation, type of event and shape.

    It has the anchor of each of them, as addresses like `/docs#getParty` are in use.
    """

    rows = request.app[DESCRIBED]

    def made() -> web.StreamResponse:
        described = document(rows)
        context = {"info": described["info"], "parts": parts(described)}
        return fixed_page(request, "docs.html", context)

    return await asyncio.to_thread(made)


async def docs_part(request: web.Request) -> web.StreamResponse:
    """Return the page of one part of the API document."""
    name, rows = request.match_info["part"], request.app[DESCRIBED]

    def made() -> web.StreamResponse:
        described = parts(document(rows))
        part = next((each for each in described if each.name == name), None)
        if part is None:
            raise Problem(Kind.NOT_FOUND, f"the API document has no part named {name!r}")
        context = {"part": part, "parts": described, "kind": partial(kind_of, anchors=_anchors(described))}
        return fixed_page(request, "docs_part.html", context)

    return await asyncio.to_thread(made)


def static_file(name: str) -> Handler:
    """Return the handler of one static file."""
    body = (DIRECTORY / "static" / name).read_bytes()

    async def handler(request: web.Request) -> web.StreamResponse:
        return answer(request, body, STATIC[name])

    return handler


def parts(described: Mapping[str, Any]) -> list[Part]:
    """Return the document as parts, in the order of reading: the tags with operations, corrections, shared shapes."""
    found = {tag["name"]: Part(tag["name"], tag["description"]) for tag in described["tags"]}
    found[CORRECTIONS] = Part(CORRECTIONS, "Events about events: corrections, retractions, disputes, more evidence.")
    found[SHAPES] = Part(SHAPES, "What requests and answers of several subjects are made of.")
    for path, methods in described["paths"].items():
        for method in _METHODS:
            if method in methods:
                row = methods[method]
                found[row["tags"][0]].operations.append({**row, "method": method.upper(), "path": path})
    schemas = described["components"]["schemas"]
    shown = set(CATALOGUE)
    for name, kind in CATALOGUE.items():
        data = data_name(kind)
        row = {"name": name, "about": schemas[name]["description"], "data": schemas[data]}
        row["data_anchor"] = None if data in shown else f"shape-{data}"  # several types can have the same data
        shown.add(data)
        found[kind.collection or CORRECTIONS].events.append(row)
    for name, schema in schemas.items():
        if name not in shown:
            found[_part_of_shape(name, found)].shapes[name] = schema
    return [part for part in found.values() if part.operations or part.events or part.shapes]


def _part_of_shape(name: str, found: Mapping[str, Part]) -> str:
    """Return the part of a shape: `parties.owners` belongs to `parties`; one of no single subject to the shared."""
    if name.startswith("Problem"):
        return "problems"
    subject = name.partition(".")[0]
    return subject if subject in found else SHAPES


def _anchors(described: list[Part]) -> dict[str, str]:
    """Return the address of each component by its name. The data of a type of event stands at the type."""
    anchors: dict[str, str] = {}
    for part in described:
        address = f"/docs/{part.name}"
        anchors |= {name: f"{address}#shape-{name}" for name in part.shapes}
        for event in part.events:
            at = f"{address}#event-{event['name']}"
            anchors |= {event["name"]: at, data_name(CATALOGUE[event["name"]]): at}
    return anchors
