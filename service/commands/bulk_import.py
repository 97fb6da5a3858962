"""Imports: any number of events as lines of JSON, each accepted or refused alone, in constant memory.

Lines are parsed in slices while earlier ones are being recorded, and share commits. There is one result a line, in
order: its receipt, or its problem. Recorded events stay, however the import ends.
"""

from __future__ import annotations

import asyncio
from codecs import BOM_UTF8
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from domain.errors import Refused
from service.commands.cloudevents import MAX_EVENT, Find, Malformed, decode, parsed
from service.commands.decisions import Batch, Decisions
from service.commands.write_queue import Outcome
from service.commands.writer import Unavailable, Writer
from service.event_log import LogReader
from service.exported import Exported, ExportedLines, is_exported
from service.problems import Kind, Problem, problem_of

SLICE_LINES = 128
SLICE_BYTES = 2**20
IN_FLIGHT = 3
"""Slices that are parsed but not yet answered."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one line, counted from 1. `body` is its receipt or its problem as JSON, without a newline."""

    line: int
    body: bytes
    is_new: bool = False
    kind: Kind | None = None
    """The kind of the problem; None if the line was accepted."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank; `raw` is None if it was longer than an event may be."""

    number: int
    raw: bytes | None


_Parsed = tuple[int, Batch | Exported | Result]
"""A line's number, and its event to record or its problem."""
Ask = Callable[[Callable[[LogReader], list[_Parsed]]], Awaitable[list[_Parsed]]]
"""Runs a query of the log in a thread."""


class Lines:
    """Cuts a stream of bytes into lines, buffering at most one of them."""

    def __init__(self, longest: int = MAX_EVENT) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0
        self._number = 1

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """Yield the lines that end in this chunk."""
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            self._keep(chunk[start:end])
            yield from self._line()
            start = end + 1
        self._keep(chunk[start:])

    def end(self) -> Iterator[Line]:
        """Yield the last line, if no newline ends it."""
        yield from self._line()

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._longest:
            self._parts.append(part)
        else:
            self._parts.clear()

    def _line(self) -> Iterator[Line]:
        if self._size > self._longest:
            yield Line(self._number, None)
        elif (raw := b"".join(self._parts).strip(b" \t\r")).removeprefix(BOM_UTF8):
            yield Line(self._number, raw)
        self._parts.clear()
        self._size = 0
        self._number += 1


async def record_lines(
    writer: Writer, ask: Ask, chunks: AsyncIterable[bytes], actor: str, *, may_erase: bool
) -> AsyncIterator[Sequence[Result]]:
    """Record the lines in a stream of bytes; yield their results in order, some at a time, as soon as they are known.

    `ask` parses lines without blocking the event loop. If the stream raises, running batches are answered before that
    is raised here; a line without its end is not recorded. If the registry stops, or the stream raises a problem, a
    last result names the first line that was not recorded.
    """
    sent: asyncio.Queue[tuple[list[_Parsed], asyncio.Future[list[Outcome]]] | None] = asyncio.Queue()
    room = asyncio.Semaphore(IN_FLIGHT)
    exported = ExportedLines()
    upcoming = 1

    async def send() -> None:
        nonlocal upcoming
        try:
            async for lines in _slices(chunks):
                upcoming = lines[0].number
                await room.acquire()
                parsed_lines = await ask(partial(_parse, lines, exported, actor, may_erase=may_erase))
                future = await writer.submit(
                    [batch for _, each in parsed_lines if (batch := _batch_of(each)) is not None]
                )
                sent.put_nowait((parsed_lines, future))
                upcoming = lines[-1].number + 1
        finally:
            sent.put_nowait(None)

    sending = asyncio.create_task(send())
    try:
        while (submitted := await sent.get()) is not None:
            parsed_lines, future = submitted
            outcomes = iter(await future)
            room.release()
            yield [
                each if isinstance(each, Result) else _result(number, each, next(outcomes))
                for number, each in parsed_lines
            ]
        try:
            await sending
        except (Unavailable, Problem) as error:
            yield [_refused(upcoming, error)]
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


def _parse(
    lines: Sequence[Line], exported: ExportedLines, actor: str, log: LogReader, *, may_erase: bool
) -> list[_Parsed]:
    return [(line.number, _read(line, exported, log.find, actor, may_erase=may_erase)) for line in lines]


def try_lines(decisions: Decisions, lines: Iterable[Line], actor: str, *, may_erase: bool) -> Iterator[Result]:
    """Yield the results that the lines would get, each seeing those before it; nothing is recorded."""
    exported = ExportedLines()
    for line in lines:
        read = _read(line, exported, decisions.pending.find, actor, may_erase=may_erase)
        if isinstance(read, Result):
            yield read
            continue
        batch = read if isinstance(read, Batch) else read.batch
        outcome: Outcome
        try:
            outcome = decisions.decide(batch)
        except Refused as refused:
            outcome = refused
        yield _result(line.number, read, outcome)


async def _slices(chunks: AsyncIterable[bytes]) -> AsyncIterator[list[Line]]:
    """Yield the lines, as many at a time as have arrived, up to a limit."""
    splitter = Lines()
    async for chunk in chunks:
        for lines in _bounded(splitter.feed(chunk)):
            yield lines
    for lines in _bounded(splitter.end()):
        yield lines


def _bounded(lines: Iterable[Line]) -> Iterator[list[Line]]:
    some: list[Line] = []
    size = 0
    for line in lines:
        some.append(line)
        size += len(line.raw or b"")
        if len(some) >= SLICE_LINES or size >= SLICE_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _read(line: Line, exported: ExportedLines, find: Find, actor: str, *, may_erase: bool) -> Batch | Exported | Result:
    if line.raw is None:
        return _refused(line.number, Problem(Kind.TOO_LARGE, f"the line has more than {MAX_EVENT} bytes"))
    try:
        document = decode(line.raw)
        if is_exported(document):
            return exported.read(document, find, actor, len(line.raw), may_erase=may_erase)
        return Batch((parsed(document, find),), actor, len(line.raw), may_erase=may_erase)
    except (Malformed, Refused) as error:
        return _refused(line.number, error)


def _batch_of(read: Batch | Exported | Result) -> Batch | None:
    if isinstance(read, Exported):
        return read.batch
    return read if isinstance(read, Batch) else None


def _result(line: int, read: Batch | Exported, outcome: Outcome) -> Result:
    if isinstance(read, Exported):
        read.positions.decided(read.position, None if isinstance(outcome, Exception) else outcome[0].position)
    if isinstance(outcome, Exception):
        return _refused(line, outcome)
    (receipt,) = outcome
    return Result(line, receipt.body, receipt.is_new)


def _refused(line: int, error: Exception) -> Result:
    problem = problem_of(error)
    return Result(line, problem.body(line=line), kind=problem.kind)
