"""Import from the command line: into a data directory that no server uses, or to a server over HTTP.

Results are yielded as they come. Neither lines nor results are collected in memory, and no line is sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import closing
from typing import BinaryIO, NamedTuple

import aiohttp
import orjson

from service.commands.bulk_import import record_lines
from service.event_log import LogError
from service.event_log.readers import LogReaders
from service.lock import InUse
from service.logging import LogWriter, make_logger
from service.metrics import Metrics
from service.settings import Settings
from service.store import open_store
from service.transparency.checkpoint import NotContinued, check_continues_offline
from service.transparency.signing import CannotSign

CHUNK = 2**16
_LONGEST_RESULT = 2**22


class ImportFailed(Exception):
    """The import was refused as a whole, or ended before its last result. The text is one line that says why."""


class LineResult(NamedTuple):
    """The result of a line: its receipt or problem as JSON, whether it was accepted, and whether it is new."""

    body: bytes
    is_accepted: bool
    is_new: bool


async def import_into(settings: Settings, file: BinaryIO, actor: str) -> AsyncGenerator[LineResult]:
    """Record the lines of a file in the data directory; yield the result of each. Raises ImportFailed."""
    try:
        with closing(LogWriter()) as writer:
            async with open_store(settings.data, logger=make_logger(writer), metrics=Metrics()) as store:
                check_continues_offline(settings.data, store.log.meta("origin"))
                with closing(LogReaders(store.log, threads=1)) as logs:
                    async for results in record_lines(store.writer, logs.ask, _chunks(file), actor, may_erase=True):
                        for result in results:
                            yield LineResult(result.body, result.kind is None, result.is_new)
    except InUse as error:
        raise ImportFailed(f"{error}: give its address with --url, and a key with --key") from None
    except (CannotSign, LogError, OSError, NotContinued) as error:
        raise ImportFailed(str(error)) from None


async def import_over_http(url: str, key: str | None, file: BinaryIO) -> AsyncGenerator[LineResult]:
    """Post the lines of a file to the registry at `url`; yield the result of each. Raises ImportFailed.

    A receipt does not say whether it is the first one. An event is new if its position is after the last position at
    the start of the import, and after the positions of the lines before.
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
                raise ImportFailed(failure_reason(url, response.status, await response.read()))
            last = int(response.headers.get("Registry-Position", 0))
            async for line in response.content:
                position = orjson.loads(line).get("position")
                yield LineResult(line.rstrip(b"\n"), position is not None, position is not None and position > last)
                last = max(last, position or 0)
    except aiohttp.InvalidURL:
        raise ImportFailed(f"{url!r} is not an address such as http://127.0.0.1:8080") from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ImportFailed(f"{url}: {str(error) or type(error).__name__}") from None


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    """Yield the bytes of a file, without blocking the event loop if the file is slow."""
    read = getattr(file, "read1", file.read)  # of a pipe, the bytes that are there
    while chunk := await asyncio.to_thread(read, CHUNK):
        yield chunk


def failure_reason(url: str, status: int, body: bytes) -> str:
    """Return the message of an answer that is no success, in one line."""
    try:
        problem = orjson.loads(body)
        return f"{url}: {problem['title']}: {problem.get('detail', '')}".rstrip(": ")
    except (ValueError, KeyError, TypeError):
        return f"{url} answered {status}, and not as a registry does"
