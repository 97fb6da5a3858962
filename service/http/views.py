"""The views as resources: a list of each view, one subject, its history and the lists in its state."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from domain.values import MAX_INTEGER, SLUG
from projections import annotations as remarks
from projections.catalogue import LIST_VIEWS, SUBJECT_VIEWS
from projections.engine.query_types import Merged, NotFound, Page, State, TimeSlice
from projections.reader import Reader
from service.app_keys import CLEAR_CACHES
from service.http.answers import JSON, answer_from_views, negotiate, now_of
from service.http.differences import ABOUT, HISTORY, answer_difference, wants_difference
from service.http.filters import FILTER_PARAMETERS, OF_CERTAINTY
from service.http.inclusion import PROOF, proven
from service.http.lists import Listing, Source, about_columns, answer_list, list_answer
from service.http.memento import ACCEPT_DATETIME, HEADERS, LINK_FORMAT, time_headers, vary
from service.http.operations import QUERY, Answer, Operation, Parameter, Values, add
from service.http.query_parameters import AS_OF, EVIDENCE, ON, ON_ANY, PAGED
from service.http.response_cache import RESPONSE_CACHE, CachedResponse, ResponseCache
from service.http.timemaps import SINCE, answer_timemap
from service.question_times import Now, read_times
from service.schemas.json_schema import ref
from service.schemas.views import entry_name, page_of, table_of
from service.views.readers import READERS

SINGULAR = {
    "parties": "party",
    "agreements": "agreement",
    "labs": "lab",
    "platforms": "platform",
    "documents": "document",
}
SLUG_PARAMETER = Parameter(
    "slug", "The subject's place in its collection.", {"type": "string", "pattern": f"^{SLUG}$"}, "path", required=True
)
_LISTED = {
    "parties": "Parties",
    "agreements": "Agreements",
    "labs": "Laboratories",
    "platforms": "Platforms",
    "documents": "Documents that passages are cited from",
    "memberships": "Parties in agreements, labs and platforms",
    "commitments": "What parties committed themselves to",
    "timeline": "What happened, in the order of valid time",
}
_STATE = (AS_OF, ON, EVIDENCE, ACCEPT_DATETIME)
_ONE = (*_STATE, PROOF)
_PAGED = (AS_OF, ON, *PAGED, ACCEPT_DATETIME)
_MAPPED = tuple(each for each in _ONE if each not in (AS_OF, ACCEPT_DATETIME))
_SURVIVOR = Answer("The party was merged into another one, whose address has the same query.", {}, ("Location",))
_EVENT = Parameter(
    "event",
    "Only disputes of the events at these positions.",
    {"type": "integer", "minimum": 1, "maximum": MAX_INTEGER},
    several=True,
)
_SLUG = re.compile(SLUG, re.ASCII)


def _list(view: str) -> Operation:
    """Return the row of the list of one view."""
    sorts = [sort for name in LIST_VIEWS[view].sorts for sort in (name, f"-{name}")]
    parameters = (
        AS_OF,
        ON_ANY if view == "timeline" else ON,
        *FILTER_PARAMETERS[view],
        Parameter("sort", "The order; with `-` in front, descending.", {"type": "string", "enum": sorts}),
        *PAGED,
        EVIDENCE,
        ACCEPT_DATETIME,
    )
    names = frozenset(each.name for each in LIST_VIEWS[view].filters)

    def source(values: Values) -> Source:
        filters = {name: given for name, given in values.items() if name in names}
        sort = values["sort"][0] if "sort" in values else None
        evidence = EVIDENCE.name in values
        return lambda reader, question, limit, after: reader.page(
            view, question, filters, sort=sort, limit=limit, after=after, evidence=evidence
        )

    listing = Listing(table_of(view), source, any_day=view == "timeline")

    async def handler(request: web.Request) -> web.StreamResponse:
        return await answer_list(request, listing)

    return Operation(
        "GET",
        f"/v1/{view}",
        f"list{view.title()}",
        view,
        _LISTED[view],
        handler,
        {200: list_answer(ref(view))},
        parameters,
        (400, 401, 403, 406, 422, 503),
        description=about_columns(listing.table),
        scope="read",
        page=f"/{view}",
    )


def _one(collection: str) -> Operation:
    """Return the row of the state of one subject."""

    async def handler(request: web.Request) -> web.StreamResponse:
        subject = _subject(request, collection)
        negotiate(request, (JSON,))
        values = request[QUERY]
        evidence = EVIDENCE.name in values

        def state(reader: Reader, now: Now) -> tuple[State, Mapping[str, str]]:
            question = read_times(values, now, reader.position_at)
            found = reader.state(subject, question, evidence=evidence)
            return found, time_headers(request, now, question.as_of, reader.recorded, is_mapped=True)

        try:
            if PROOF.name in values:  # not cached: it changes with the checkpoint
                now = now_of(request)
                found, more = await request.app[READERS].ask(lambda reader: state(reader, now))
                body = await proven(request, found.body)
                return (await asyncio.to_thread(_response, body, found.version, more)).answer(request)

            def response(reader: Reader, now: Now) -> CachedResponse:
                found, more = state(reader, now)
                return _response(found.body, found.version, more)

            return await answer_from_views(request, response, is_quick=not evidence)
        except Merged as merged:
            return _moved(request, subject, merged.into)

    answers = {200: Answer("The state.", {JSON: ref(collection)}, ("ETag", *HEADERS))}
    return Operation(
        "GET",
        f"/v1/{collection}/{{slug}}",
        f"get{SINGULAR[collection].title()}",
        collection,
        f"One {SINGULAR[collection]}: what it is on a day, as known at a time",
        handler,
        answers | _moves(collection),
        (SLUG_PARAMETER, *_ONE),
        (400, 401, 403, 404, 406, 410, 422, 503),
        scope="read",
        page=f"/{collection}/{{slug}}",
    )


def _response(state: Mapping[str, Any], version: int, more: Mapping[str, str]) -> CachedResponse:
    return CachedResponse(orjson.dumps(state), JSON, more, version=version)


def _inner(collection: str, section: str) -> Operation:
    """Return the row of a list of one subject: its history, or a whole list of its state."""
    is_history = section == "history"
    parameters: tuple[Parameter, ...]
    match section:
        case "history":
            item, table, parameters = ref("history"), table_of("history", frozenset(("events",))), HISTORY
        case remarks.DISPUTED:
            item, table, parameters = ref("Disputed"), table_of("Disputed"), (*_PAGED, _EVENT)
        case _:
            name = entry_name(collection, section)
            item, table, parameters = ref(name), table_of(name), (*_PAGED, OF_CERTAINTY)
    answer = list_answer(item)
    if is_history:
        answer = replace(answer, content={**answer.content, JSON: {"oneOf": [page_of(item), ref("Difference")]}})

    async def handler(request: web.Request) -> web.StreamResponse:
        subject = _subject(request, collection)

        def source(values: Values) -> Source:
            events = [int(position) for position in values.get(_EVENT.name, ())]

            def page(reader: Reader, question: TimeSlice, limit: int, after: list[Any] | None) -> Page:
                if is_history:
                    return reader.history(subject, question, limit=limit, after=after)
                certainties = values.get(OF_CERTAINTY.name, ())
                return reader.state_list(
                    subject, section, question, certainties=certainties, limit=limit, after=after, events=events
                )

            return page

        try:
            if is_history and wants_difference(request):
                return await answer_difference(request, subject)
            return await answer_list(request, Listing(table, source))
        except Merged as merged:
            return _moved(request, subject, merged.into)

    about = "Every event of it, with the change that it made" if is_history else f"Its whole list {section}"
    return Operation(
        "GET",
        f"/v1/{collection}/{{slug}}/{remarks.LIST_PATHS.get(section, section)}",
        f"list{SINGULAR[collection].title()}{section.title().replace('_', '')}",
        collection,
        about,
        handler,
        {200: answer} | _moves(collection),
        (SLUG_PARAMETER, *parameters),
        (400, 401, 403, 404, 406, 410, 422, 503),
        description=about_columns(table) + (ABOUT if is_history else ""),
        scope="read",
        page=f"/{collection}/{{slug}}",
    )


def _timemap(collection: str) -> Operation:
    """Return the row of the mementos of the state of one subject."""

    async def handler(request: web.Request) -> web.StreamResponse:
        subject = _subject(request, collection)
        try:
            return await answer_timemap(request, subject)
        except Merged as merged:
            return _moved(request, subject, merged.into)

    return Operation(
        "GET",
        f"/v1/{collection}/{{slug}}/timemap",
        f"map{SINGULAR[collection].title()}",
        collection,
        f"The mementos of one {SINGULAR[collection]}: a TimeMap (RFC 7089)",
        handler,
        {200: Answer("The links.", {LINK_FORMAT: {"type": "string"}}, ("ETag", "Link"))} | _moves(collection),
        (SLUG_PARAMETER, *_MAPPED, SINCE),
        (400, 401, 403, 404, 406, 422, 503),
        scope="read",
    )


def _subject(request: web.Request, collection: str) -> str:
    slug = request.match_info["slug"]
    if not _SLUG.fullmatch(slug):
        raise NotFound(f"{slug!r} is no slug: a slug matches {SLUG}")
    return f"{collection}/{slug}"


def _moved(request: web.Request, subject: str, survivor: str) -> web.Response:
    """Return 308 to the same resource of the surviving party, with the same query."""
    path = request.path.replace(f"/{subject}", f"/{survivor}", 1)
    target = str(request.rel_url.with_path(path, keep_query=True))
    return web.Response(status=308, headers={"Location": target, "Cache-Control": "no-cache", "Vary": vary(request)})


def _moves(collection: str) -> dict[int, Answer]:
    return {308: _SURVIVOR} if collection == "parties" else {}


def _operations() -> Iterator[Operation]:
    for view in _LISTED:
        yield _list(view)
        if view in SINGULAR:
            yield _one(view)
            yield _timemap(view)
            for section in ("history", *SUBJECT_VIEWS[view].by_name, remarks.DISPUTED):
                yield _inner(view, section)


OPERATIONS = tuple(_operations())


def add_routes(app: web.Application) -> None:
    """Add the routes of this module, and the response cache."""
    app[RESPONSE_CACHE] = cache = ResponseCache()
    app[CLEAR_CACHES].append(cache.clear)
    add(app, OPERATIONS)
