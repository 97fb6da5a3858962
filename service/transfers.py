"""Events on their way into a registry, from the command line: into a data directory that nobody serves, or to a
server by HTTP. Results come as they are known; neither lines nor results are kept in memory, and nothing is sent
twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import closing
from typing import BinaryIO, NamedTuple

import aiohttp
import orjson

from service.commands.bulk_import import recorded
from service.event_log import LogError
from service.event_log.readers import LogReaders
from service.lock import InUse
from service.logging import LogWriter, make_logger
from service.metrics import Metrics
from service.settings import Settings
from service.store import open_store
from service.transparency.checkpoint import Unfit, refuse_unfit_offline
from service.transparency.signing import CannotSign

CHUNK = 2**16
_LONGEST_RESULT = 2**22


class ImportFailed(Exception):
    """The import was refused as a whole, or broke off before its last result. One line that says why."""


class LineResult(NamedTuple):
    """What became of a line: its receipt or its problem as JSON, whether it was taken, and whether this import recorded
    it (else it was there already)."""

    body: bytes
    is_taken: bool
    is_new: bool


async def recorded_in(settings: Settings, file: BinaryIO, actor: str) -> AsyncGenerator[LineResult]:
    """Records the lines of a file in the data directory; yields the result of each. Raises ImportFailed."""
    try:
        with closing(LogWriter()) as writer:
            async with open_store(settings.data, logger=make_logger(writer), metrics=Metrics()) as store:
                refuse_unfit_offline(settings.data, store.log.meta("origin"))
                with closing(LogReaders(store.log, threads=1)) as logs:
                    async for results in recorded(store.writer, logs.ask, _chunks(file), actor, may_erase=True):
                        for result in results:
                            yield LineResult(result.body, result.kind is None, result.is_new)
    except InUse as error:
        raise ImportFailed(f"{error}: give its address with --url, and a key with --key") from None
    except (CannotSign, LogError, OSError, Unfit) as error:
        raise ImportFailed(str(error)) from None


async def recorded_at(url: str, key: str | None, file: BinaryIO) -> AsyncGenerator[LineResult]:
    """Posts the lines of a file to the registry at `url`; yields the result of each. Raises ImportFailed.

    A receipt does not say whether it is the first one. Positions ascend, so an event is new if it stands behind all
    that the registry had recorded when the import began, and behind the events of the lines before.
    """
    headers = {"Content-Type": "application/x-ndjson"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, read_bufsize=_LONGEST_RESULT) as session,
            session.post(f"{url.rstrip('/')}/v1/events", data=_chunks(file), headers=headers) as response,
        ):
            if response.status != 200:
                raise ImportFailed(reason(url, response.status, await response.read()))
            last = int(response.headers.get("Registry-Position", 0))
            async for line in response.content:
                position = orjson.loads(line).get("position")
                yield LineResult(line.rstrip(b"\n"), position is not None, position is not None and position > last)
                last = max(last, position or 0)
    except aiohttp.InvalidURL:
        raise ImportFailed(f"{url!r} is no address; http://127.0.0.1:8080 is") from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ImportFailed(f"{url}: {str(error) or type(error).__name__}") from None


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    """The bytes of a file, without holding up the loop where they are slow to come."""
    read = getattr(file, "read1", file.read)  # of a pipe, what is there already
    while chunk := await asyncio.to_thread(read, CHUNK):
        yield chunk


def reason(url: str, status: int, body: bytes) -> str:
    """What an answer that is no success says, in one line."""
    try:
        problem = orjson.loads(body)
        return f"{url}: {problem['title']}: {problem.get('detail', '')}".rstrip(": ")
    except (ValueError, KeyError, TypeError):
        return f"{url} answered {status}, and no registry would"
