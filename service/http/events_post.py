"""POST /v1/events: records or only checks one event, a batch, or an import, by content type."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import hdrs, web

from domain.cloudevent import PostedEvent
from service.api_keys import Key, Scope
from service.app_keys import LOGS, WRITER
from service.commands.cloudevents import (
    MAX_BATCH,
    MAX_BATCH_EVENTS,
    MAX_EVENT,
    Find,
    Malformed,
    decode,
    from_headers,
    parsed,
    parsed_list,
)
from service.commands.decisions import Batch
from service.commands.spool import SpoolSpace
from service.http import events_import
from service.http.access import KEY
from service.http.answers import JSON, NDJSON, json_answer
from service.http.bodies import POSTED, read_body, refuse_encoded
from service.http.conditions import condition_of
from service.http.fields import media_type
from service.http.operations import LINES, QUERY, Answer, Operation, Parameter, add
from service.http.overload import RETRY_TIMES, RetryTimes, rejection
from service.problems import Kind, Problem

STRUCTURED = "application/cloudevents+json"
LIST = "application/cloudevents-batch+json"
NDJSON_TYPES = (NDJSON, "application/ndjson")
SMALL_BYTES = 2**12
"""Larger bodies are parsed in a thread: 4 kB that are full of errors take 4 ms."""

Read = Callable[[Find], Sequence[PostedEvent]]
"""A parser of a body; its argument finds recorded events."""


async def post_events(request: web.Request) -> web.StreamResponse:
    """Record one event or a batch as a whole, or an import line by line."""
    app = request.app
    writer = app[WRITER]
    type_ = media_type(request)
    if type_ not in NDJSON_TYPES and (no_room := await rejection(request)) is not None:
        return no_room
    key = request[KEY]
    if (refusal := writer.refusal) is not None:
        raise Problem(Kind.NOT_READY, refusal)
    is_trial = "validate" in request[QUERY]
    refuse_encoded(request)
    if type_ in NDJSON_TYPES:
        if condition_of(request) is not None:
            raise Problem(Kind.MALFORMED, "a condition goes with one event, not with an import")
        return await events_import.answer(request, key, is_trial=is_trial)
    batch = await _batch(request, type_, key)
    if is_trial:
        receipts = await writer.check(lambda decisions: decisions.decide(batch), batch.size)
    else:
        receipts = await writer.post(batch)
    recorded = [receipt.position for receipt in receipts if not (is_trial and receipt.is_new)]
    headers: dict[str, str] = {hdrs.LOCATION: f"/v1/events/{recorded[0]}"} if recorded and not batch.is_list else {}
    bodies = b",".join([receipt.body for receipt in receipts])
    status = 201 if any(receipt.is_new for receipt in receipts) else 200
    return json_answer(b"[%b]" % bodies if batch.is_list else bodies, status=status, headers=headers)


async def _batch(request: web.Request, type_: str, key: Key) -> Batch:
    condition = condition_of(request)

    async def batch_of(raw: bytes, read: Read, *, is_list: bool = False) -> Batch:
        events = await _read(request, raw, read)
        may_erase = key.allows(Scope.ADMIN)
        return Batch(events, key.name, len(raw), is_list=is_list, condition=condition, may_erase=may_erase)

    match type_:
        case "application/json" if any(name.lower().startswith("ce-") for name in request.headers):
            raw = await read_body(request, MAX_EVENT)
            headers = request.headers.items()
            return await batch_of(raw, lambda find: (parsed(from_headers(headers, type_, raw), find),))
        case "application/cloudevents+json" | "application/json":
            raw = await read_body(request, MAX_EVENT)
            return await batch_of(raw, lambda find: (parsed(decode(raw), find),))
        case "application/cloudevents-batch+json":
            raw = await read_body(request, MAX_BATCH)
            is_one = condition is not None
            return await batch_of(raw, lambda find: parsed_list(_documents(raw, is_one=is_one), find), is_list=True)
    raise Problem(Kind.UNSUPPORTED_TYPE, f"events are posted as {POSTED}", headers={"Accept-Post": POSTED})


async def _read(request: web.Request, raw: bytes, read: Read) -> Sequence[PostedEvent]:
    """Return the events of a body. Parse it in a thread if that takes milliseconds."""
    logs = request.app[LOGS]
    if len(raw) <= SMALL_BYTES:
        return read(logs.find)
    return await logs.ask(lambda log: read(log.find))


def _documents(raw: bytes, *, is_one: bool) -> list[object]:
    """Return the documents of a batch. It must have one document if the request has a condition (`is_one`)."""
    documents = decode(raw)
    if not isinstance(documents, list):
        raise Malformed("a batch is an array of events")
    if len(documents) > MAX_BATCH_EVENTS:
        raise Problem(Kind.TOO_LARGE, f"the batch has more than {MAX_BATCH_EVENTS} events")
    if is_one and len(documents) != 1:
        raise Problem(Kind.MALFORMED, f"a condition goes with one event, not with {len(documents)}")
    return documents


_RECEIPT = {"$ref": "#/components/schemas/Receipt"}
_RECEIPTS = {"type": "array", "items": _RECEIPT}
_EVENT = {"$ref": "#/components/schemas/Event"}

PARAMETERS = (
    Parameter(
        "validate",
        "Run every check and answer as if recording, but record nothing. At most 10,000 lines of an import.",
        {"type": "string", "enum": ["only"]},
    ),
    Parameter(
        "If-Match",
        'The subject must have this version: `"3"`, or the whole `ETag` of its state. With one event only.',
        {"type": "string"},
        where="header",
    ),
    Parameter(
        "If-None-Match", "`*`: the subject must be new. With one event only.", {"type": "string"}, where="header"
    ),
)
OPERATIONS = (
    Operation(
        "POST",
        "/v1/events",
        "postEvents",
        "events",
        "Record one event, a batch or an import",
        post_events,
        answers={
            201: Answer(
                "Recorded: the receipt of one event, or the receipts of a batch of which at least one is new.",
                {JSON: {"oneOf": [_RECEIPT, _RECEIPTS]}},
                ("Location",),
            ),
            200: Answer(
                "All of it was recorded before: the first receipts. Of an import: a receipt or a problem for each line,"
                " in order; a problem's `line` counts from 1.",
                {JSON: {"oneOf": [_RECEIPT, _RECEIPTS]}, NDJSON: LINES},
                ("Location",),
            ),
        },
        parameters=PARAMETERS,
        problems=(400, 401, 403, 408, 409, 412, 413, 415, 422, 503),
        body={JSON: _EVENT, STRUCTURED: _EVENT, NDJSON: LINES},
        description=(
            f"By content type: one CloudEvent (`{JSON}` or `{STRUCTURED}`), or an import of any size whose lines are"
            f" each taken on their own (`{NDJSON}`). Two further forms are not among the bodies here, as generators of"
            f" clients cannot tell them apart: a batch (`{LIST}`, schema `Batch`), which is taken whole or not at all,"
            f" and an event in binary mode (`{JSON}` with `ce-*` headers: the body is its data, the headers are its"
            " attributes). What is acknowledged is durable, and can be read at once. `source` and `id` name an event"
            " once for ever: the same again gets the first receipt. A client may send all lines of an import before it"
            " reads: results wait on disk, up to 64 MiB of an import and 256 MiB in all. Beyond that the request is"
            " read no further, and an import whose client reads nothing for a minute is ended; what was acknowledged"
            " stays. Lines of an exported log are taken as they are: what the registry had added is checked for its"
            " shape and left aside, and events about events keep their aim also where positions move. Those whose data"
            " was erased take scope `admin`."
        ),
        scope="post",
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the routes of this module, the retry times of rejected posts, and the space for results of imports."""
    app[RETRY_TIMES] = RetryTimes()
    app[events_import.SPACE] = SpoolSpace()
    add(app, OPERATIONS)
