"""Pages for people: where to begin, and the API document to read. Everything on them is made here: they load nothing
from elsewhere, run no script, and say nothing that the document does not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import hdrs, web
from markupsafe import Markup, escape

from domain.catalogue import CATALOGUE
from service.http.answers import strong_tag
from service.http.api_document import document
from service.http.fields import etag_matches
from service.http.operations import DESCRIBED, Answer, Operation, add, read_query
from service.http.templates import CONTENT_SECURITY_POLICY, HTML, TEMPLATES, make_environment

CSS = "text/css"
_METHODS = ("get", "post", "put", "delete")


class Pages:
    """The bytes of every page; each is made when it is first asked for, and kept."""

    def __init__(self, rows: Sequence[Operation]) -> None:
        self._rows = rows
        self._made: dict[str, bytes] = {}
        self._environment = make_environment()
        self._environment.filters["kind"] = kind_of

    async def at(self, path: str) -> bytes:
        """The page at a path that is one."""
        if path not in self._made:
            self._made[path] = await asyncio.to_thread(self._make, path)
        return self._made[path]

    def _make(self, path: str) -> bytes:
        match path:
            case "/":
                return self._environment.get_template("home.html").render().encode()
            case "/docs":
                return self._environment.get_template("docs.html").render(**_readable(document(self._rows))).encode()
        return (TEMPLATES / Path(path).name).read_bytes()


PAGES: web.AppKey[Pages] = web.AppKey("pages", Pages)


async def page(request: web.Request) -> web.Response:
    """The page at this path."""
    read_query(request.query, ())
    body = await request.app[PAGES].at(request.path)
    headers: dict[str, str] = {"ETag": strong_tag(body), hdrs.CACHE_CONTROL: "no-cache"}
    if etag_matches(request, headers["ETag"]):
        return web.Response(status=304, headers=headers)
    if request.path.endswith(".css"):
        return web.Response(body=body, content_type=CSS, charset="utf-8", headers=headers)
    headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return web.Response(body=body, content_type=HTML, charset="utf-8", headers=headers)


def _row(path: str, name: str, summary: str, media_type: str) -> Operation:
    answer = Answer(summary, {media_type: {"type": "string"}}, ("ETag",))
    return Operation("GET", path, name, "pages", summary, page, {200: answer}, problems=(422,))


OPERATIONS = (
    _row("/", "home", "Where to begin", HTML),
    _row("/docs", "docs", "The API document to read", HTML),
    _row("/static/registry.css", "style", "What the pages look like", CSS),
)


def _readable(described: Mapping[str, Any]) -> dict[str, Any]:
    """The document in the order it is read in: operations under their tags, then events, then the other shapes."""
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


def kind_of(schema: Mapping[str, Any]) -> Markup:
    """What kind of value a schema describes, in a few words, with links to the shapes it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        anchor = f"event-{name}" if name in CATALOGUE else f"shape-{name}"
        return Markup('<a href="#{}">{}</a>').format(anchor, name)
    if "const" in schema:
        return Markup("<code>{}</code>").format(schema["const"])
    if "enum" in schema:
        return Markup(", ").join(Markup("<code>{}</code>").format(value) for value in schema["enum"])
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in schema:
            return Markup(" or ").join(kind_of(each) for each in schema[alternatives])
    match schema.get("type"):
        case "array":
            return Markup("list of {}").format(kind_of(schema["items"]))
        case list() as types:
            return Markup(" or ").join(map(escape, types))
        case "null":
            return Markup("nothing")
        case str() as name:
            return escape(name)
    return Markup("any value")


def add_routes(app: web.Application) -> None:
    """Adds what this module answers."""
    add(app, OPERATIONS)
    rows = app[DESCRIBED]
    app[PAGES] = Pages(rows)
