"""Answers every resource that is a list: one page as JSON, or the whole of it as CSV or NDJSON, streamed in constant
memory from pages that are pinned to one position and one day. Knows no list by name."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import hdrs, web

from projections.engine.query_types import BadQuestion, Page, TimeSlice
from projections.reader import Reader
from service.app_keys import CLOCK, HEAD
from service.http.answers import JSON, NDJSON, etag_matches, negotiate
from service.http.event_schemas import Schema
from service.http.memento import ACCEPT_DATETIME, HEADERS, at, said, then_of, vary
from service.http.operations import Answer, Parameter, Values, read_query
from service.http.query_parameters import BOM, CURSOR, FORMAT, MAX_LIMIT, Asked, Now, cursor, read_list
from service.http.response_cache import KEPT_ANSWERS, CachedResponse, body_tag, headers, question_tag
from service.http.state_schemas import page_of
from service.http.tables import Table
from service.views.readers import READERS

CSV = "text/csv"
FORMS = (JSON, CSV, NDJSON)
_FORMATS = {"json": JSON, "csv": CSV, "ndjson": NDJSON}

Source = Callable[[Reader, TimeSlice, int, "list[Any] | None"], Page]
"""A list: at most so many items after some key, of the views as they answer a question."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that a request asks for: what parameters it may give, what columns it has, where it comes from."""

    parameters: tuple[Parameter, ...]
    table: Table
    source: Callable[[Values], Source]
    any_day: bool = False


Key = tuple[str, tuple[str, ...], int, int, str | None, int]
"""Everything that a question's answer depends on."""


def now_of(request: web.Request) -> Now:
    """What the request means by now. Raises a 400 problem where `Accept-Datetime` is no date."""
    app = request.app
    return Now(app[HEAD].position, app[CLOCK](), then_of(request))


def cached(request: web.Request) -> tuple[Now, Key, CachedResponse | None]:
    """What the request means by now, what its answer is kept under, and that answer if it was given before.

    Raises a 400 problem where `Accept-Datetime` is no date.
    """
    now = now_of(request)
    key = _key(request.app, request, now)
    return now, key, request.app[KEPT_ANSWERS].get(key)


def given_before(app: web.Application, request: web.Request) -> CachedResponse | None:
    """The answer, if it was given before to a request that asks for no other time than its address says."""
    if ACCEPT_DATETIME.name in request.headers:
        return None
    return app[KEPT_ANSWERS].get(_key(app, request, Now(app[HEAD].position, app[CLOCK]())))


def keep(request: web.Request, key: Key, ready: CachedResponse) -> None:
    """Has an answer given again to whoever asks the same."""
    resource = request.match_info.route.resource
    assert resource is not None
    request.app[KEPT_ANSWERS].keep(key, ready, resource.canonical)


def _key(app: web.Application, request: web.Request, now: Now) -> Key:
    accepted = tuple(request.headers.getall(hdrs.ACCEPT, ()))
    return request.raw_path, accepted, now.head, now.today, now.then, app[READERS].generation


def moved(request: web.Request, subject: str, survivor: str) -> web.Response:
    """308 to the same resource of the party that answers for this one, with the query as it was."""
    path = request.path.replace(f"/{subject}", f"/{survivor}", 1)
    target = str(request.rel_url.with_path(path, keep_query=True))
    return web.Response(status=308, headers={"Location": target, "Cache-Control": "no-cache", "Vary": vary(request)})


def list_answer(item: Schema) -> Answer:
    """What a list answers: a page of these items, or all of them one a line."""
    return Answer(
        "One page; as CSV or NDJSON the whole list, unless `limit` is given.",
        {JSON: page_of(item), CSV: {"type": "string"}, NDJSON: item},
        ("ETag", *HEADERS),
    )


def about_columns(table: Table) -> str:
    """What the description of a list says about it as a table."""
    return (
        f"As CSV it has the columns {', '.join(f'`{name}`' for name in table.names)}. A text in several languages"
        " stands in English or else in the first one, and in the last columns in all of them, as JSON. A cell that a"
        " spreadsheet would run as a formula begins with `'`."
    )


async def answer_list(request: web.Request, listing: Listing) -> web.StreamResponse:
    """The list, in the form the client would rather have. A problem is raised before anything is sent."""
    now, key, ready = cached(request)
    if ready is not None:
        return ready.answer(request)
    form = JSON if FORMAT.name in request.query else negotiate(request, FORMS)
    values = read_query(request.query, listing.parameters)
    if FORMAT.name in values:
        form = _FORMATS[values[FORMAT.name][0]]
    if BOM.name in values and form != CSV:
        raise BadQuestion({BOM.name: "goes with CSV"})
    if form != JSON:
        return await _streamed(request, listing, values, now, form)
    source = listing.source(values)

    def page(reader: Reader) -> CachedResponse:
        asked = _asked(request, listing, values, now, reader)
        found = source(reader, asked.question, asked.page_size, asked.after)
        as_of = asked.question.as_of
        following = _next(request, values, now, asked.question, found)
        body = orjson.dumps({"items": found.items, "next": following, "position": as_of, **found.extra})
        return CachedResponse(
            body, JSON, body_tag(body), said(request, now, as_of, reader.recorded, following=following)
        )

    ready = await request.app[READERS].ask(page)
    keep(request, key, ready)
    return ready.answer(request)


async def _streamed(request: web.Request, listing: Listing, values: Values, now: Now, form: str) -> web.StreamResponse:
    """The whole list from where the cursor says on, or one page of it where the client gave a limit."""
    readers, source = request.app[READERS], listing.source(values)
    encode: Callable[[Iterable[Any]], bytes] = listing.table.rows if form == CSV else _lines

    def first(reader: Reader) -> tuple[Asked, Page, bytes, dict[str, str], str]:
        asked = _asked(request, listing, values, now, reader)
        page = source(reader, asked.question, asked.limit or MAX_LIMIT, asked.after)
        following = _next(request, values, now, asked.question, page) if asked.limit else None
        placed = said(request, now, asked.question.as_of, reader.recorded, following=following)
        etag = question_tag(request.raw_path, form, asked.question, reader.erasures())
        return asked, page, encode(page.items), placed, etag

    asked, page, chunk, placed, etag = await readers.ask(first)
    sent = headers(etag, placed)
    if etag_matches(request, etag):
        return web.Response(status=304, headers=sent)
    response = web.StreamResponse(headers={**sent, "Content-Type": f"{form}; charset=utf-8"})
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    if form == CSV:
        await response.write((BOM_UTF8 if BOM.name in values else b"") + listing.table.header)
    while True:
        if chunk:
            await response.write(chunk)
        if asked.limit or page.after is None:
            break
        after = page.after

        def further(reader: Reader, after: list[Any] = after) -> tuple[Page, bytes]:
            page = source(reader, asked.question, MAX_LIMIT, after)
            return page, encode(page.items)

        page, chunk = await readers.ask(further)
    await response.write_eof()
    return response


def _asked(request: web.Request, listing: Listing, values: Values, now: Now, reader: Reader) -> Asked:
    return read_list(request.path, values, now, reader.position_at, any_day=listing.any_day)


def _next(request: web.Request, values: Values, now: Now, question: TimeSlice, page: Page) -> str | None:
    """The address of the page after this one, which is a memento where this one is."""
    if page.after is None:
        return None
    here = request.rel_url if now.then is None else at(request.rel_url, question.as_of)
    return str(here.update_query({CURSOR.name: cursor(request.path, values, question, page.after)}))


def _lines(items: Iterable[Any]) -> bytes:
    return b"".join(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in items)
