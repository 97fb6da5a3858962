"""Lists: one page as JSON, or a whole list as CSV or NDJSON. A whole list is streamed in constant memory from pages
that have the same position and day. No list is known here by name."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from projections.engine.query_types import BadQuestion, Page, TimeSlice
from projections.reader import Reader
from service.csv_tables import Table
from service.http.answers import JSON, NDJSON, answer_from_views, negotiate, now_of
from service.http.fields import etag_matches
from service.http.memento import HEADERS, at, time_headers
from service.http.operations import QUERY, Answer, Values
from service.http.query_parameters import BOM, CURSOR, FORMAT, MAX_LIMIT, ListQuery, cursor, read_list
from service.http.response_cache import CachedResponse, headers, question_tag
from service.question_times import Now
from service.schemas.json_schema import Schema
from service.schemas.views import page_of
from service.views.readers import READERS

CSV = "text/csv"
FORMS = (JSON, CSV, NDJSON)
_FORMATS = {"json": JSON, "csv": CSV, "ndjson": NDJSON}

Source = Callable[[Reader, TimeSlice, int, "list[Any] | None"], Page]
"""The query of a list: it takes a reader, a time slice, the most items, and the key of the item before the page."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of a request: its columns, the query that answers it, and whether its default day is any."""

    table: Table
    source: Callable[[Values], Source]
    any_day: bool = False


def list_answer(item: Schema) -> Answer:
    """Return what the API document says about a list of these items."""
    return Answer(
        "One page; as CSV or NDJSON the whole list, unless `limit` is given.",
        {JSON: page_of(item), CSV: {"type": "string"}, NDJSON: item},
        ("ETag", *HEADERS),
    )


def about_columns(table: Table) -> str:
    """Return what the description of a list says about its CSV."""
    return (
        f"As CSV it has the columns {', '.join(f'`{name}`' for name in table.names)}. A text in several languages"
        " stands in English or else in the first one, and in the last columns in all of them, as JSON. A cell that a"
        " spreadsheet would run as a formula begins with `'`."
    )


async def answer_list(request: web.Request, listing: Listing) -> web.StreamResponse:
    """Return a list in the form that the client prefers. Raise every problem before the first byte is sent."""
    form = JSON if FORMAT.name in request.query else negotiate(request, FORMS)
    values = request[QUERY]
    if FORMAT.name in values:
        form = _FORMATS[values[FORMAT.name][0]]
    if BOM.name in values and form != CSV:
        raise BadQuestion({BOM.name: "goes with CSV"})
    if form != JSON:
        return await _streamed(request, listing, values, form)
    source = listing.source(values)

    def page(reader: Reader, now: Now) -> CachedResponse:
        query = _list_query(request, listing, values, now, reader)
        found = source(reader, query.question, query.page_size, query.after)
        as_of = query.question.as_of
        following = _next(request, values, now, query.question, found)
        body = orjson.dumps({"items": found.items, "next": following, "position": as_of, **found.extra})
        return CachedResponse(body, JSON, time_headers(request, now, as_of, reader.recorded, following=following))

    return await answer_from_views(request, page)


async def _streamed(request: web.Request, listing: Listing, values: Values, form: str) -> web.StreamResponse:
    """Stream a list from the cursor to its end, or one page of it where the client gave a limit."""
    now, readers, source = now_of(request), request.app[READERS], listing.source(values)
    encode: Callable[[Iterable[Any]], bytes] = listing.table.rows if form == CSV else _lines

    def first(reader: Reader) -> tuple[ListQuery, Page, bytes, dict[str, str], str]:
        query = _list_query(request, listing, values, now, reader)
        page = source(reader, query.question, query.limit or MAX_LIMIT, query.after)
        following = _next(request, values, now, query.question, page) if query.limit else None
        placed = time_headers(request, now, query.question.as_of, reader.recorded, following=following)
        etag = question_tag(request.raw_path, form, query.question, reader.erasures())
        return query, page, encode(page.items), placed, etag

    query, page, chunk, placed, etag = await readers.ask(first)
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
        if query.limit or page.after is None:
            break
        after = page.after

        def further(reader: Reader, after: list[Any] = after) -> tuple[Page, bytes]:
            page = source(reader, query.question, MAX_LIMIT, after)
            return page, encode(page.items)

        page, chunk = await readers.ask(further)
    await response.write_eof()
    return response


def _list_query(request: web.Request, listing: Listing, values: Values, now: Now, reader: Reader) -> ListQuery:
    return read_list(request.path, values, now, reader.position_at, any_day=listing.any_day)


def _next(request: web.Request, values: Values, now: Now, question: TimeSlice, page: Page) -> str | None:
    """Return the address of the next page, which is a memento if this one is; None for the last page."""
    if page.after is None:
        return None
    here = request.rel_url if now.then is None else at(request.rel_url, question.as_of)
    return str(here.update_query({CURSOR.name: cursor(request.path, values, question, page.after)}))


def _lines(items: Iterable[Any]) -> bytes:
    return b"".join(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in items)
