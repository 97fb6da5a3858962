"""Search: the party that a name means, the subjects that contain some words, the graph, and the statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from projections.engine.query_types import Merged, Page, TimeSlice
from projections.graph import GraphPart
from projections.reader import Reader
from service.http import graph_formats
from service.http.answers import JSON, answer_from_views, negotiate
from service.http.lists import Listing, Source, about_columns, answer_list, list_answer
from service.http.memento import ACCEPT_DATETIME, HEADERS, time_headers
from service.http.operations import QUERY, Answer, Operation, Parameter, Values, add
from service.http.query_parameters import AS_OF, BOM, FORMAT, LIMITED, MAX_LIMIT, ON, PAGED
from service.http.response_cache import CachedResponse
from service.question_times import Now, read_times
from service.schemas.json_schema import ref, subject
from service.schemas.views import table_of

MAX_DEPTH = 5
MAX_NODES = 5000
MAX_WORDS = 1000

_NAME = Parameter(
    "name",
    "The name as it is met: in any language, an alias, an acronym, Chinese in either form or in pinyin, nearly spelt"
    " right. The same spelling comes first.",
    {"type": "string", "maxLength": MAX_WORDS, "examples": ["宁德时代"]},
    required=True,
)
_WORDS = Parameter(
    "q",
    "Words in English, characters in Chinese from two on in either form, or the pinyin of a Chinese name.",
    {"type": "string", "maxLength": MAX_WORDS, "examples": ["battery"]},
    required=True,
)
_COLLECTION = Parameter(
    "collection",
    "Only subjects of this collection.",
    {"type": "string", "enum": ["parties", "agreements", "labs", "platforms", "documents"]},
)
_CENTER = Parameter("center", "The subject in the middle. Default: all subjects.", subject())
_DEPTH = Parameter(
    "depth",
    "The largest distance from the center, in edges.",
    {"type": "integer", "minimum": 0, "maximum": MAX_DEPTH, "default": 1},
)
_NODES = Parameter(
    "limit", "Most subjects to draw.", {"type": "integer", "minimum": 1, "maximum": MAX_NODES, "default": MAX_LIMIT}
)
_RESOLVE = (_NAME, AS_OF, ON, LIMITED, FORMAT, BOM, ACCEPT_DATETIME)
_SEARCH = (_WORDS, _COLLECTION, AS_OF, ON, *PAGED, ACCEPT_DATETIME)
_GRAPH = (_CENTER, _DEPTH, _NODES, AS_OF, ON, ACCEPT_DATETIME)
_STATISTICS = (AS_OF, ON, ACCEPT_DATETIME)
_DRAWN: dict[str, Callable[[dict[str, Any]], bytes]] = {
    JSON: orjson.dumps,
    graph_formats.GEXF: graph_formats.gexf,
    graph_formats.GRAPHML: graph_formats.graphml,
}


_RESOLVED, _FOUND = table_of("resolve"), table_of("search")


async def resolve(request: web.Request) -> web.StreamResponse:
    """Return the parties that a name can mean, the most likely first."""

    def source(values: Values) -> Source:
        (name,) = values[_NAME.name]
        return lambda reader, question, limit, _: Page(reader.resolve(name, question, limit=limit), None)

    return await answer_list(request, Listing(_RESOLVED, source))


async def search(request: web.Request) -> web.StreamResponse:
    """Answer with the subjects whose texts match some words, the best match first."""

    def source(values: Values) -> Source:
        (words,) = values[_WORDS.name]
        (collection,) = values.get(_COLLECTION.name, (None,))
        return lambda reader, question, limit, after: reader.search(
            words, question, limit=limit, after=after, collection=collection
        )

    return await answer_list(request, Listing(_FOUND, source))


async def graph(request: web.Request) -> web.StreamResponse:
    """Return the subjects around a subject, and what connects them."""
    form = negotiate(request, tuple(_DRAWN))
    values = request[QUERY]
    depth, limit = (int(values.get(each.name, (each.schema["default"],))[0]) for each in (_DEPTH, _NODES))

    def drawn(reader: Reader, question: TimeSlice) -> GraphPart:
        (center,) = values.get(_CENTER.name, (None,))
        try:
            return reader.graph(center, depth, question, limit)
        except Merged as merged:
            return reader.graph(merged.into, depth, question, limit)

    return await _overview(request, values, drawn, form)


async def statistics(request: web.Request) -> web.StreamResponse:
    """Return the counts of the views."""
    form = negotiate(request, (JSON,))
    values = request[QUERY]
    return await _overview(request, values, lambda reader, question: reader.statistics(question), form)


async def _overview(
    request: web.Request, values: Values, find: Callable[[Reader, TimeSlice], Mapping[str, Any]], form: str
) -> web.StreamResponse:
    def found(reader: Reader, now: Now) -> CachedResponse:
        question = read_times(values, now, reader.position_at)
        body = _DRAWN[form]({**find(reader, question), "position": question.as_of})
        return CachedResponse(body, form, time_headers(request, now, question.as_of, reader.recorded))

    return await answer_from_views(request, found)


OPERATIONS = (
    Operation(
        "GET",
        "/v1/parties/resolve",
        "resolveParty",
        "finding",
        "The parties that a name can mean",
        resolve,
        {200: list_answer(ref("resolve"))},
        _RESOLVE,
        (400, 401, 403, 406, 422, 503),
        description=about_columns(_RESOLVED),
        scope="read",
        page="/search",
    ),
    Operation(
        "GET",
        "/v1/search",
        "search",
        "finding",
        "The subjects that contain some words",
        search,
        {200: list_answer(ref("search"))},
        _SEARCH,
        (400, 401, 403, 406, 422, 503),
        description=about_columns(_FOUND),
        scope="read",
        page="/search",
    ),
    Operation(
        "GET",
        "/v1/graph",
        "graph",
        "finding",
        "The graph: subjects and what connects them",
        graph,
        {
            200: Answer(
                "The subjects, and the edges between them.",
                {JSON: ref("Graph"), graph_formats.GEXF: {"type": "string"}, graph_formats.GRAPHML: {"type": "string"}},
                ("ETag", *HEADERS),
            )
        },
        _GRAPH,
        (400, 401, 403, 404, 406, 410, 422, 503),
        scope="read",
        page="/network",
    ),
    Operation(
        "GET",
        "/v1/statistics",
        "statistics",
        "finding",
        "Counts by type, kind, status, year and party",
        statistics,
        {200: Answer("The counts.", {JSON: ref("Statistics")}, ("ETag", *HEADERS))},
        _STATISTICS,
        (400, 401, 403, 406, 422, 503),
        scope="read",
        page="/",
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the routes of this module."""
    add(app, OPERATIONS)
