"""Digests of the stored views, and views folded from the log alone, each as of a position. Equal digests mean that the
stored views agree with the log. Neither is ever cached, and a replay that fails closes the connection: it must never
look complete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, TypeVar

import orjson
from aiohttp import hdrs, web

from projections.digests import VIEWS, written
from projections.engine.database import fold
from projections.engine.query_types import BadQuestion
from projections.reader import Reader
from service.app_keys import CLOCK, HEAD, LOGGER, LOGS, STOPPING
from service.commands.log_entry import event_of
from service.event_log import LogReader
from service.header_names import FOLD
from service.http.answers import JSON, NDJSON, json_answer, negotiate
from service.http.operations import LINES, QUERY, Answer, Operation, Parameter, Values, add
from service.http.query_parameters import AS_OF
from service.jobs import Job, JobFailed
from service.problems import Kind, Problem
from service.question_times import Now, read_times
from service.schemas.answer_types import DigestsBody, Erasure
from service.schemas.json_schema import ref
from service.views.readers import READERS
from service.views.replay_jobs import REPLAYS, TooManyReplays

POLL_SECONDS = 0.25
"""The interval in which a replay is stopped after its client has gone."""
MOST_DIGESTS = 2
"""Requests for digests that run at a time: each reads whole views."""
_BATCH = 1000
"""Redactions that are read from the log at a time."""
_CACHE = {"Cache-Control": "no-store"}  # an auditor compares what is stored now
_RETRY_SECONDS = "5"

T = TypeVar("T")


class Digests:
    """The number of requests for digests that run."""

    def __init__(self) -> None:
        self._count = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a request while the block runs. Raise a 503 problem if there are `MOST_DIGESTS`."""
        if self._count >= MOST_DIGESTS:
            detail = f"{MOST_DIGESTS} requests for digests run already"
            raise Problem(Kind.BUSY, detail, headers={hdrs.RETRY_AFTER: _RETRY_SECONDS})
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1


DIGESTS: web.AppKey[Digests] = web.AppKey("digests", Digests)

_VIEW = {"type": "string", "enum": list(VIEWS)}
_UNTIL = Parameter(
    "until",
    "The end of the log: a position, or an RFC 3339 instant. Default: the whole log.",
    AS_OF.schema,
)
_DIGESTED = (AS_OF, Parameter("view", "Only this view; it can be repeated.", _VIEW, repeatable=True))
_REPLAYED = (Parameter("view", "The view to fold.", _VIEW, required=True), _UNTIL)


async def digests(request: web.Request) -> web.StreamResponse:
    """Return the digests of the stored views as of a position. Raise a 503 problem if too many requests run."""
    negotiate(request, (JSON,))
    values = request[QUERY]
    with request.app[DIGESTS].one():
        return await _digests(request, values)


async def _digests(request: web.Request, values: Values) -> web.StreamResponse:
    now = Now(request.app[HEAD].position, request.app[CLOCK]())
    readers, wanted = request.app[READERS], dict.fromkeys(values.get("view", VIEWS))
    as_of = (await readers.ask(lambda reader: read_times(values, now, reader.position_at))).as_of
    generation, found = -1, dict[str, str]()
    while generation != readers.generation:  # all digests are of one file of the views
        generation = readers.generation
        found = {view: await _digest(request, view, as_of) for view in wanted}
    erased = await request.app[LOGS].ask(_erased_since(as_of))
    body: DigestsBody = {"position": as_of, "digests": found}
    if erased:
        body["redacted"] = erased
    return json_answer(orjson.dumps(body), headers=_CACHE | {FOLD: fold()})


async def _digest(request: web.Request, view: str, as_of: int) -> str:
    """Return the digest of a view. Read it in slices, so that no other query waits for long."""
    digest, after = sha256(), None

    def slice_from(after: Any) -> Callable[[Reader], Any]:
        def some(reader: Reader) -> Any:
            found = reader.some_canonical_rows(view, as_of, after)
            digest.update(b"".join(found.lines))
            return found.after

        return some

    while True:
        after = await request.app[READERS].ask(slice_from(after))
        if after is None:
            return written(digest.digest())
        if _is_unwanted(request):
            raise Problem(Kind.UNAVAILABLE, "the registry is stopping")


async def replay(request: web.Request) -> web.StreamResponse:
    """Stream one view, folded from the first event of the log."""
    negotiate(request, (NDJSON,))
    values = request[QUERY]
    (view,) = values["view"]
    now = Now(request.app[HEAD].position, request.app[CLOCK]())
    until = await request.app[LOGS].ask(lambda log: _until(values, now, log))
    response = web.StreamResponse(headers=_CACHE | {hdrs.CONTENT_TYPE: NDJSON})
    if request.method == hdrs.METH_HEAD:
        await response.prepare(request)
        return response
    try:
        async with request.app[REPLAYS].start(view, until) as job:
            await response.prepare(request)  # the client sees that the replay has started
            await _pass_on(request, response, job)
    except TooManyReplays as error:
        raise Problem(Kind.BUSY, str(error), headers={hdrs.RETRY_AFTER: _RETRY_SECONDS}) from None
    except (JobFailed, OSError) as error:
        if isinstance(error, ConnectionError):
            raise
        request.app[LOGGER].error("a replay failed", view=view, until=until, error=str(error))
        if not response.prepared:
            raise Problem(Kind.UNAVAILABLE, "the replay could not be started") from None
        raise _broken_off(request, "the replay failed") from None
    await response.write_eof()
    return response


async def _pass_on(request: web.Request, response: web.StreamResponse, job: Job) -> None:
    """Send the output of a replay until it is complete. Raise JobFailed, and ConnectionResetError."""
    while chunk := await _watched(request, job.read()):
        await _watched(request, response.write(chunk))


async def _watched(request: web.Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`. Cancel it and raise ConnectionResetError if the client has gone."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        while not task.done():
            await asyncio.wait((task,), timeout=POLL_SECONDS)
            if task.done():
                break
            if _is_unwanted(request):
                raise _broken_off(request, "the client of a replay has gone")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))  # until then its data may be in use


def _is_unwanted(request: web.Request) -> bool:
    transport = request.transport
    return transport is None or transport.is_closing() or request.app[STOPPING].is_set()


def _broken_off(request: web.Request, reason: str) -> ConnectionResetError:
    """Abort the connection, so that the client sees that the response is incomplete; return the error to raise."""
    if request.transport is not None:
        request.transport.abort()
    return ConnectionResetError(reason)


def _until(values: Values, now: Now, log: LogReader) -> int:
    """Return the position that `until` stands for, from the log alone. Raise BadQuestion."""

    def position_at(recorded: str) -> int:
        low, high = 0, now.head
        while low < high:
            middle = (low + high + 1) // 2
            stored = log.at(middle)
            if stored is not None and event_of(stored).recorded <= recorded:
                low = middle
            else:
                high = middle - 1
        return low

    try:
        return read_times({AS_OF.name: values[_UNTIL.name]} if _UNTIL.name in values else {}, now, position_at).as_of
    except BadQuestion as error:
        raise BadQuestion({_UNTIL.name: error.flaws[AS_OF.name]}) from None


def _erased_since(position: int) -> Callable[[LogReader], list[Erasure]]:
    """Return a function that reads the events up to a position whose data was erased after it, each with the event that
    erased it.
    """

    def erased(log: LogReader) -> list[Erasure]:
        found: list[Erasure] = []
        after = position
        while events := log.select_notifications(after + 1, _BATCH, topics=("event.redacted",)):
            for stored in events:
                about = event_of(stored).about
                if about is not None and about <= position:
                    found.append({"position": about, "by": stored.position})
            after = events[-1].position
        return sorted(found, key=lambda each: each["position"])

    return erased


OPERATIONS = (
    Operation(
        "GET",
        "/v1/digests",
        "getDigests",
        "digests",
        "The digests of the stored views as of a position",
        digests,
        {
            200: Answer("The SHA-256 of the lines that `/v1/replay` gives of each view.", {JSON: ref("Digests")}),
        },
        _DIGESTED,
        (401, 403, 406, 422, 503),
        scope="read",
    ),
    Operation(
        "GET",
        "/v1/replay",
        "replay",
        "digests",
        "One view, folded from the first event of the log",
        replay,
        {200: Answer("Every row of the view, one a line, in its canonical order.", {NDJSON: LINES})},
        _REPLAYED,
        (401, 403, 406, 422, 503),
        description=(
            "The stored views are not read. Nothing is sent while the log is folded. The last line is"
            ' `{"position": n, "digest": "sha256:..."}`; an answer without it is incomplete. If the digest is the one'
            " that `/v1/digests` gives as of the same position, the stored view is what the log says. Few replays run"
            " at a time; further requests get 503."
        ),
        scope="read",
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the routes of this module, and the count of digests."""
    app[DIGESTS] = Digests()
    add(app, OPERATIONS)
