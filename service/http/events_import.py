"""Imports over HTTP, streamed in both directions: a client may send everything before it reads, or read while it sends.
Results that the client has not read wait on disk, within bounds; if the bounds are reached, the request is read no
further. A client that reads nothing for a minute is disconnected; acknowledged events stay."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from tempfile import TemporaryFile
from typing import BinaryIO

from aiohttp import StreamReader, web

from service.api_keys import Key, Scope
from service.app_keys import LOGGER, LOGS, METRICS, SETTINGS, STOPPING, WRITER
from service.commands.bulk_import import Line, Lines, record_lines, try_lines
from service.commands.decisions import Decisions
from service.commands.spool import MOST_EACH, Spool, SpoolSpace
from service.commands.writer import Unavailable
from service.http import bodies
from service.http.answers import NDJSON
from service.http.bodies import ARRIVING, send_continue
from service.http.connections import Connection
from service.problems import Kind, Problem

MAX_TRIAL_LINES = 10_000
MAX_TRIAL_BYTES = 256 * 2**20
MAX_TRIAL_RESULTS = MOST_EACH
READ_SECONDS = 60.0
"""The longest time in which the client of an import may read nothing while results wait."""
CHUNK = 2**18
SPACE: web.AppKey[SpoolSpace] = web.AppKey("spool space", SpoolSpace)


async def answer(request: web.Request, key: Key, *, is_trial: bool) -> web.StreamResponse:
    """Stream a result for each line of the request. Raise a 503 problem if too many imports run; an import runs until
    its client has read the last result.
    """
    connection = request.protocol
    assert isinstance(connection, Connection)
    with request.app[ARRIVING].importing():
        await send_continue(request)
        before, connection.patience = connection.patience, READ_SECONDS
        try:
            return await (_tried if is_trial else _recorded)(request, key)
        finally:
            connection.patience = before


async def _recorded(request: web.Request, key: Key) -> web.StreamResponse:
    app, may_erase = request.app, key.allows(Scope.ADMIN)
    response = web.StreamResponse(headers={"Content-Type": NDJSON, "Cache-Control": "no-store"})
    await response.prepare(request)
    with closing(Spool(app[SETTINGS].data, app[SPACE])) as spool:

        async def fill() -> None:
            try:
                chunks = _until(app[STOPPING], request.content)
                async for results in record_lines(app[WRITER], app[LOGS].ask, chunks, key.name, may_erase=may_erase):
                    _count(app, Counter(result.kind for result in results))
                    await spool.put(b"".join(result.body + b"\n" for result in results))
            finally:
                spool.end()

        filling = asyncio.create_task(fill())
        try:
            async for chunk in spool.chunks():
                await response.write(chunk)
            await filling
            if app[STOPPING].is_set():
                response.force_close()
            await response.write_eof()
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - logged, and seen by the client
            # The response has begun, so only the closed connection can show the client that it is incomplete.
            app[LOGGER].exception("an import broke off", actor=key.name)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError from None
        finally:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)
    return response


async def _tried(request: web.Request, key: Key) -> web.StreamResponse:
    """Check the lines of an import and record nothing. The whole request is read first: the writer must not wait for a
    client.
    """
    app, may_erase = request.app, key.allows(Scope.ADMIN)
    directory = app[SETTINGS].data
    with TemporaryFile(dir=directory) as posted, TemporaryFile(dir=directory) as results:
        await _receive(request, posted)

        def trial(decisions: Decisions) -> Counter[Kind | None]:
            kinds: Counter[Kind | None] = Counter()
            size = 0
            for result in try_lines(decisions, _lines(posted), key.name, may_erase=may_erase):
                size += len(result.body) + 1
                if size > MAX_TRIAL_RESULTS:
                    raise Problem(Kind.TOO_LARGE, f"the results of a trial have at most {MAX_TRIAL_RESULTS} bytes")
                results.write(result.body + b"\n")
                kinds[result.kind] += 1
            return kinds

        _count(app, await app[WRITER].check(trial))
        response = web.StreamResponse(headers={"Content-Type": NDJSON, "Cache-Control": "no-store"})
        await response.prepare(request)
        results.seek(0)
        while chunk := results.read(CHUNK):
            await response.write(chunk)
        await response.write_eof()
    return response


async def _receive(request: web.Request, file: BinaryIO) -> None:
    cutter = Lines()
    count = size = 0
    async for chunk in _until(request.app[STOPPING], request.content):
        size += len(chunk)
        count += sum(1 for _ in cutter.feed(chunk))
        if count > MAX_TRIAL_LINES or size > MAX_TRIAL_BYTES:
            raise Problem(Kind.TOO_LARGE, f"a trial has at most {MAX_TRIAL_LINES} lines and {MAX_TRIAL_BYTES} bytes")
        file.write(chunk)
    if count + sum(1 for _ in cutter.end()) > MAX_TRIAL_LINES:
        raise Problem(Kind.TOO_LARGE, f"a trial has at most {MAX_TRIAL_LINES} lines")


def _lines(file: BinaryIO) -> Iterator[Line]:
    cutter = Lines()
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield from cutter.feed(chunk)
    yield from cutter.end()


def _count(app: web.Application, kinds: Counter[Kind | None]) -> None:
    for kind, count in kinds.items():
        if kind is not None:
            app[METRICS].refused(kind, count)


async def _until(stopping: asyncio.Event, content: StreamReader) -> AsyncIterator[bytes]:
    """Yield the input of the client. Raise Unavailable as soon as the registry stops, and a 408 problem if the client
    is silent for too long.
    """
    stopped = asyncio.create_task(stopping.wait())
    reading: asyncio.Task[bytes] | None = None
    try:
        while True:
            reading = asyncio.create_task(content.readany())
            await asyncio.wait((reading, stopped), timeout=bodies.SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if stopped.done() and not reading.done():
                raise Unavailable("the registry is stopping")
            if not reading.done():
                raise Problem(Kind.TIMEOUT)
            if not (chunk := reading.result()):
                return
            yield chunk
    finally:
        stopped.cancel()
        if reading is not None:
            reading.cancel()
