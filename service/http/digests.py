"""What the views hold, to be compared: digests of the stored views, and views folded anew from the log, each as of a
position. Equal digests say that the stored views are what the log says. Neither ever answers from memory, and a replay
that fails breaks off: it must never look complete."""

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
from service.http.operations import QUERY, Answer, Operation, Parameter, Values, add
from service.http.query_parameters import AS_OF
from service.jobs import Job, JobFailed
from service.problems import Kind, Problem
from service.question_times import Now, read_times
from service.schemas.answer_types import DigestsBody, Erasure
from service.schemas.json_schema import ref
from service.views.readers import READERS
from service.views.replay_jobs import REPLAYS, TooManyReplays

POLL_SECONDS = 0.25
"""How soon it is noticed that nobody waits for a replay any longer."""
MOST_DIGESTS = 2
"""Requests for digests that are answered at a time: each reads whole views."""
_AT_ONCE = 1000
"""Redactions read from the log at a time."""
_CACHE = {"Cache-Control": "no-store"}  # what is compared is asked for each time
_RETRY_SECONDS = "5"

T = TypeVar("T")


class Digests:
    """Counts the requests for digests under way."""

    def __init__(self) -> None:
        self._count = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Within it, one more is under way. Raises a 503 problem where there are `MOST_DIGESTS`."""
        if self._count >= MOST_DIGESTS:
            detail = f"{MOST_DIGESTS} requests for digests are under way"
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
    "The log up to then: a position, or an RFC 3339 instant. Default: all of it.",
    AS_OF.schema,
)
_DIGESTED = (AS_OF, Parameter("view", "Only this view; of several, each.", _VIEW, repeatable=True))
_REPLAYED = (Parameter("view", "The view to fold.", _VIEW, required=True), _UNTIL)


async def digests(request: web.Request) -> web.StreamResponse:
    """The digests of the stored views as of a position. Raises a 503 problem where too many are under way."""
    negotiate(request, (JSON,))
    values = request[QUERY]
    with request.app[DIGESTS].one():
        return await _digests(request, values)


async def _digests(request: web.Request, values: Values) -> web.StreamResponse:
    now = Now(request.app[HEAD].position, request.app[CLOCK]())
    readers, wanted = request.app[READERS], dict.fromkeys(values.get("view", VIEWS))
    as_of = (await readers.ask(lambda reader: read_times(values, now, reader.position_at))).as_of
    generation, found = -1, dict[str, str]()
    while generation != readers.generation:  # of one file: what was erased meanwhile is in another
        generation = readers.generation
        found = {view: await _digest(request, view, as_of) for view in wanted}
    erased = await request.app[LOGS].ask(_erased_since(as_of))
    body: DigestsBody = {"position": as_of, "digests": found}
    if erased:
        body["redacted"] = erased
    return json_answer(orjson.dumps(body), headers=_CACHE | {FOLD: fold()})


async def _digest(request: web.Request, view: str, as_of: int) -> str:
    """In slices, each asked on a thread, so that neither the loop nor other questions wait for long."""
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
    """One view, folded anew from the first event on."""
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
            await response.prepare(request)  # the client knows by it that the folding goes on
            await _pass_on(request, response, job)
    except TooManyReplays as error:
        raise Problem(Kind.BUSY, str(error), headers={hdrs.RETRY_AFTER: _RETRY_SECONDS}) from None
    except (JobFailed, OSError) as error:
        if isinstance(error, ConnectionError):
            raise
        request.app[LOGGER].error("a replay failed", view=view, until=until, error=str(error))
        if not response.prepared:
            raise Problem(Kind.UNAVAILABLE, "the replay could not be begun") from None
        raise _broken_off(request, "the replay failed") from None
    await response.write_eof()
    return response


async def _pass_on(request: web.Request, response: web.StreamResponse, job: Job) -> None:
    """Sends on what the replay writes, until it is complete. Raises JobFailed, and ConnectionResetError."""
    while chunk := await _watched(request, job.read()):
        await _watched(request, response.write(chunk))


async def _watched(request: web.Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives, unless nobody waits for it any longer: then it is given up."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        while not task.done():
            await asyncio.wait((task,), timeout=POLL_SECONDS)
            if task.done():
                break
            if _is_unwanted(request):
                raise _broken_off(request, "nobody waits for the replay any longer")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))  # what it works on is free for another only then


def _is_unwanted(request: web.Request) -> bool:
    transport = request.transport
    return transport is None or transport.is_closing() or request.app[STOPPING].is_set()


def _broken_off(request: web.Request, reason: str) -> ConnectionResetError:
    """Ends the connection as it stands, so that the client sees that the answer is not complete."""
    if request.transport is not None:
        request.transport.abort()
    return ConnectionResetError(reason)


def _until(values: Values, now: Now, log: LogReader) -> int:
    """The position that `until` means, found in the log alone. Raises BadQuestion."""

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
    """The events up to a position whose data was erased after it, each with the event that had it erased."""

    def erased(log: LogReader) -> list[Erasure]:
        found: list[Erasure] = []
        after = position
        while events := log.select_notifications(after + 1, _AT_ONCE, topics=("event.redacted",)):
            for stored in events:
                about = event_of(stored).about
                if about is not None and about <= position:
                    found.append({"position": about, "by": stored.position})
            after = events[-1].position
        return sorted(found, key=lambda each: each["position"])

    return erased


_LINE = {
    "type": "object",
    "description": "A row of the view; the last line is the position and the digest of all lines before it.",
}
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
        "One view, folded anew from the first event of the log",
        replay,
        {200: Answer("Every row of the view, one a line, in the one order there is.", {NDJSON: _LINE})},
        _REPLAYED,
        (401, 403, 406, 422, 503),
        description=(
            "The stored views are not looked at. Nothing is sent while the log is folded. The last line is"
            ' `{"position": n, "digest": "sha256:..."}`; an answer without it is not complete. If the digest is the one'
            " that `/v1/digests` gives as of the same position, the stored view is what the log says. Few replays run"
            " at a time; more are asked to come back (503)."
        ),
        scope="read",
    ),
)


def add_routes(app: web.Application) -> None:
    """Adds what this module answers, and the count of what is under way."""
    app[DIGESTS] = Digests()
    add(app, OPERATIONS)
