"""Import with retries: sends refused lines again, as later lines may hold the facts they need.

The rounds end when one accepts none of them. Neither lines nor results are collected in memory.
"""

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
"""Imports the lines of a file, and yields the result of each line that is not blank."""

_CHUNK = 2**18
_MAY_CHANGE = (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
_EXPORTED = b'"entry"'
"""A part of every line of an exported log. All of these are sent again, as later lines refer to their positions."""


async def import_with_retries(send: Send, file: BinaryIO, advance: Callable[[int], None]) -> AsyncIterator[LineResult]:
    """Import a file, and repeat the lines that may succeed later; yield the last result of each line, in order.

    Raise ImportFailed after the results.

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
    """Write the lines to send again, each at its number; return whether there are any and every line has a result."""
    found, written = False, 1
    found_results = _read(results)
    for line in _lines(file):
        result = next(found_results, None)
        if result is None:  # the import ended early
            return False
        found = found or _may_change(result)
        if line.raw is not None and _is_sent(line, result):
            again.write(b"\n" * (line.number - written) + line.raw)
            written = line.number
    again.seek(0)
    return found


async def _merge(file: BinaryIO, results: BinaryIO, repeated: AsyncIterator[LineResult], merged: BinaryIO) -> bool:
    """Write the last result of each line; return whether a refused line is accepted now."""
    is_changed = False
    for line, before in zip(_lines(file), _read(results), strict=True):
        now = await anext(repeated, before) if _is_sent(line, before) else before
        last = before if before.is_accepted else now
        is_changed = is_changed or last.is_accepted != before.is_accepted
        _write(merged, last)
    return is_changed


def _is_sent(line: Line, result: LineResult) -> bool:
    return line.raw is not None and (_may_change(result) or _EXPORTED in line.raw)


def _may_change(result: LineResult) -> bool:
    """Return whether a line was refused for a reason that later lines may remove."""
    return not result.is_accepted and orjson.loads(result.body).get("status") in _MAY_CHANGE


def _lines(file: BinaryIO) -> Iterator[Line]:
    splitter = Lines()
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield from splitter.feed(chunk)
    yield from splitter.end()


def _write(file: BinaryIO, result: LineResult) -> None:
    file.write(b"%d%d%b\n" % (result.is_accepted, result.is_new, result.body))


def _read(file: BinaryIO) -> Iterator[LineResult]:
    file.seek(0)
    for line in file:
        yield LineResult(line[2:-1], line[0:1] == b"1", line[1:2] == b"1")
