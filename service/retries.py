"""Imports whose refused lines are sent again, as what they need may stand in later lines: round after round, until a
round takes none of them. Neither lines nor results are kept in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import ExitStack, aclosing
from http import HTTPStatus
from tempfile import TemporaryFile
from typing import BinaryIO

import orjson

from service.commands.bulk_import import Line, Lines
from service.transfers import ImportFailed, LineResult

Send = Callable[[BinaryIO], AsyncGenerator[LineResult]]
"""Imports the lines of a file; yields the result of each that is not blank."""

_CHUNK = 2**18
_MAY_CHANGE = (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
_EXPORTED = b'"entry"'
"""Is in every line of an exported log. These are all sent again: they say where the events stand that others name."""


async def retried(send: Send, file: BinaryIO, advance: Callable[[int], None]) -> AsyncIterator[LineResult]:
    """Imports the lines of a file in rounds; yields the last result of each. Raises ImportFailed after those results.

    `advance` is called for each result of the first round.
    """
    with ExitStack() as held:
        results = held.enter_context(TemporaryFile())
        failure: Exception | None = None
        try:
            async for result in send(file):
                _write(results, result)
                advance(1)
            is_changed = True
            while is_changed:
                with TemporaryFile() as again:
                    if not _repeat(file, results, again):
                        break
                    merged = held.enter_context(TemporaryFile())
                    async with aclosing(send(again)) as repeated:
                        is_changed = await _merge(file, results, repeated, merged)
                results = merged
        except ImportFailed as error:
            failure = error
        for result in _read(results):
            yield result
        if failure is not None:
            raise failure


def _repeat(file: BinaryIO, results: BinaryIO, again: BinaryIO) -> bool:
    """Write the lines that are sent again, each at its number; whether there are any, and every line has a result."""
    found, written = False, 1
    found_results = _read(results)
    for line in _lines(file):
        result = next(found_results, None)
        if result is None:  # the import broke off
            return False
        found = found or _may_change(result)
        if line.raw is not None and _is_sent(line, result):
            again.write(b"\n" * (line.number - written) + line.raw)
            written = line.number
    again.seek(0)
    return found


async def _merge(file: BinaryIO, results: BinaryIO, repeated: AsyncIterator[LineResult], merged: BinaryIO) -> bool:
    """Write the last result of each line; whether a line that was refused is taken now."""
    is_changed = False
    for line, before in zip(_lines(file), _read(results), strict=True):
        now = await anext(repeated, before) if _is_sent(line, before) else before
        last = before if before.is_taken else now
        is_changed = is_changed or last.is_taken != before.is_taken
        _write(merged, last)
    return is_changed


def _is_sent(line: Line, result: LineResult) -> bool:
    return line.raw is not None and (_may_change(result) or _EXPORTED in line.raw)


def _may_change(result: LineResult) -> bool:
    """Whether a line was refused for what may be otherwise after lines that come later."""
    return not result.is_taken and orjson.loads(result.body).get("status") in _MAY_CHANGE


def _lines(file: BinaryIO) -> Iterator[Line]:
    cutter = Lines()
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield from cutter.feed(chunk)
    yield from cutter.end()


def _write(file: BinaryIO, result: LineResult) -> None:
    file.write(b"%d%d%b\n" % (result.is_taken, result.is_new, result.body))


def _read(file: BinaryIO) -> Iterator[LineResult]:
    file.seek(0)
    for line in file:
        yield LineResult(line[2:-1], line[0:1] == b"1", line[1:2] == b"1")
