"""GET /v1/events: the log in order, in pages or as one stream, and single events. All comes from the log, nothing from
views."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import orjson
from aiohttp import hdrs, web

from projections.engine.query_types import TimeSlice, check_after
from service.app_keys import HEAD, LOGS, STOPPING
from service.commands.log_entry import answered
from service.event_log import LogReader
from service.http.answers import JSON, NDJSON, json_answer, negotiate, strong_tag
from service.http.fields import etag_matches
from service.http.log_filter import FILTERS, Filter, filter_of
from service.http.operations import QUERY, Answer, Operation, Parameter, Values, add
from service.http.query_parameters import CURSOR, FORMAT, cursor, read_cursor
from service.problems import Kind, Problem
from service.schemas.json_schema import ref
from service.schemas.views import page_of

LIMIT = 50
MAX_LIMIT = 1000
BATCH = 512
"""Events that are read from the log, and sent, at a time."""
_CACHE = {"Cache-Control": "no-cache"}


async def get_events(request: web.Request) -> web.StreamResponse:
    """Return the events that pass the filters, in the order of the log."""
    form = JSON if _FORMAT.name in request.query else negotiate(request, (JSON, NDJSON))
    values = request[QUERY]
    if values.get(_FORMAT.name) == ("ndjson",):
        form = NDJSON
    wanted = filter_of(values)
    head = request.app[HEAD].position
    pinning = read_cursor(request.path, values, head)
    if pinning is None:
        after = _number(values, "after", 0)
    else:
        pinned, keys = pinning
        check_after(keys, int)
        head, (after,) = pinned.as_of, keys
    until = min(_number(values, "until", head), head)
    if form == NDJSON:
        limit = _number(values, "limit", 0) or None
        return await _streamed(request, wanted, after, until, limit)
    limit = _number(values, "limit", LIMIT)

    def page(log: LogReader) -> tuple[bytes, int | None]:
        events = wanted.read(log, after, until, limit + 1)
        is_more = len(events) > limit
        del events[limit:]
        return b",".join(map(answered, events)), events[-1].position if is_more else None

    items, last = await request.app[LOGS].ask(page)
    following = None
    if last is not None:
        going_on = cursor(request.path, values, TimeSlice(head, None), [last])
        following = str(request.rel_url.update_query({CURSOR.name: going_on}))
    headers = _CACHE | ({} if following is None else {hdrs.LINK: f'<{following}>; rel="next"'})
    body = b'{"items":[%b],"next":%b,"position":%d}' % (items, orjson.dumps(following), head)
    return json_answer(body, headers=headers)


async def get_event(request: web.Request) -> web.StreamResponse:
    """Return one event."""
    position = int(request.match_info["position"])
    event = request.app[LOGS].here.at(position) if position <= request.app[HEAD].position else None
    if event is None:
        raise Problem(Kind.NOT_FOUND, f"the log has no position {position} yet")
    body = answered(event)
    headers = _CACHE | {hdrs.ETAG: strong_tag(body)}
    if etag_matches(request, headers[hdrs.ETAG]):
        return web.Response(status=304, headers=headers)
    return json_answer(body, headers=headers)


async def _streamed(
    request: web.Request, wanted: Filter, after: int, until: int, limit: int | None
) -> web.StreamResponse:
    """Stream the events up to the present head, in constant memory."""
    app = request.app
    response = web.StreamResponse(headers=_CACHE | {hdrs.CONTENT_TYPE: NDJSON})
    await response.prepare(request)
    left = until if limit is None else limit
    while request.method != hdrs.METH_HEAD:
        size = min(left, BATCH)
        count, after, chunk = await app[LOGS].ask(partial(wanted.lines, after=after, until=until, limit=size))
        if chunk:
            await response.write(chunk)
        left -= count
        if count < size or left == 0:
            break
        if app[STOPPING].is_set():  # a regular end would mean that the stream is complete
            raise ConnectionResetError("the registry is stopping")
    await response.write_eof()
    return response


def _number(values: Values, name: str, default: int) -> int:
    return int(values[name][0]) if name in values else default


_RECORDED = ref("RecordedEvent")
_POSITION: Mapping[str, object] = {"type": "integer", "minimum": 0}
_FORMAT = Parameter(FORMAT.name, FORMAT.description, {"type": "string", "enum": ["json", "ndjson"]})
PARAMETERS = (
    _FORMAT,
    Parameter("after", "Only events after this position. Default: 0.", _POSITION),
    Parameter("until", "Only events up to this position. Default: the log's head.", _POSITION),
    *FILTERS,
    Parameter(
        "limit",
        f"Most events of a page, or of the whole stream as NDJSON. Default: {LIMIT}, or no limit as NDJSON.",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
    ),
    Parameter(
        CURSOR.name,
        "The next page, from the `next` of an earlier answer. It fixes the log's head as of the first answer.",
        CURSOR.schema,
    ),
)
OPERATIONS = (
    Operation(
        "GET",
        "/v1/events",
        "listEvents",
        "events",
        "The log in order",
        get_events,
        answers={
            200: Answer(
                "A page of events; `position` is the log's head as of the first page. Or all of them, one a line.",
                {JSON: page_of(_RECORDED), NDJSON: _RECORDED},
                ("Link",),
            )
        },
        parameters=PARAMETERS,
        problems=(401, 403, 406, 422, 503),
        scope="read",
        page="/events",
    ),
    Operation(
        "GET",
        r"/v1/events/{position:[1-9][0-9]{0,15}}",
        "getEvent",
        "events",
        "One event of the log",
        get_event,
        answers={
            200: Answer("The event.", {JSON: _RECORDED}, ("ETag",)),
            304: Answer("The client has it already.", {}),
        },
        parameters=(
            Parameter("position", "The position of the event.", {"type": "integer", "minimum": 1}, where="path"),
        ),
        problems=(401, 403, 404, 422, 503),
        scope="read",
        page="/events/{position}",
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the routes of this module."""
    add(app, OPERATIONS)
