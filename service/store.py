"""One data directory, open: held against other processes, its log opened, its views caught up, its writer running.
Serving and working without a server open it alike, and a crash needs nothing but to open it again."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from projections.views import StaleViews, Views
from service.clock import Clock
from service.commands.log_entry import event_of
from service.commands.writer import Writer
from service.data_directory import (
    CHECKPOINT,
    LOG,
    SIGNING_KEY,
    VIEWS,
    VIEWS_ERASED,
    drop_unused,
    make_directory,
    remove,
    tighten,
)
from service.event_log import Log
from service.lock import held
from service.logging import Logger
from service.metrics import Metrics
from service.views.follower import LogPosition, catch_up

_REPORT_EVENTS = 50_000


@dataclass(frozen=True, slots=True)
class Store:
    """What is open. `log` is the writer's: others only make readers of it."""

    log: Log
    writer: Writer
    head: LogPosition


@asynccontextmanager
async def opened(
    data: Path, *, clock: Clock | None = None, started: asyncio.Event | None = None, logger: Logger, metrics: Metrics
) -> AsyncIterator[Store]:
    """The store in a directory, made where it is missing; at the end everything queued is recorded, and all closed.

    `started` is set once a start has succeeded. Where it never is, and the log had no name before, what the start fixed
    for ever is taken back: the log's name, its key, its first checkpoint, and the events of a log that was empty.

    Raises InUse where another process holds it, LogFormatError, LogUnavailable, OSError.
    """
    await asyncio.to_thread(make_directory, data)
    with held(data):
        _tighten(data, logger)
        missing = [data / name for name in (CHECKPOINT, SIGNING_KEY) if not (data / name).exists()]
        with ExitStack() as closed:
            async with _opened(data, clock or Clock(logger=logger), logger, metrics) as store:
                if started is not None and store.log.meta("origin") is None:
                    closed.callback(_undo_failed, started, data, missing, was_empty=store.log.head() == 0)
                yield store


def _undo_failed(started: asyncio.Event, data: Path, made: Iterable[Path], *, was_empty: bool) -> None:
    """Take back what a first start fixed, if it failed. The directory is held, and nothing in it is open."""
    if started.is_set():
        return
    if was_empty:
        remove(data / LOG)
        remove(data / VIEWS)
    else:
        with closing(Log(data / LOG)) as log:
            log.drop_meta("origin")
    for path in made:
        path.unlink(missing_ok=True)


def _tighten(data: Path, logger: Logger) -> None:
    try:
        tighten(data)
    except OSError as error:  # of another owner, who decides
        logger.warning("files of the data directory stay open to others", path=error.filename, reason=error.strerror)


@asynccontextmanager
async def _opened(data: Path, clock: Clock, logger: Logger, metrics: Metrics) -> AsyncIterator[Store]:
    with closing(Log(data / LOG)) as log:
        log.scrub()  # a crash may have come between the commit of a redaction and this
        remove(data / VIEWS_ERASED)  # or left these, with what was to be erased next
        views = await asyncio.to_thread(_caught_up, log, data / VIEWS, logger)
        head = LogPosition()
        writer = Writer(log, views, head, clock=clock, logger=logger, metrics=metrics)
        writer.start()
        try:
            yield Store(log, writer, head)
        finally:
            await writer.stop()
            writer.views.close()
            if writer.views.erasures != log.erasures():
                log.scrub()
                remove(data / VIEWS)
                drop_unused(data)


class OtherOrigin(Exception):
    """The log was given another name at its first start, for ever."""


def name(log: Log, origin: str | None) -> None:
    """Fix the name of a log that has none yet: `origin`, else one of its own. Raises OtherOrigin."""
    kept = log.meta("origin")
    if kept is None:
        log.set_meta("origin", origin or f"agreement-registry.local/{token_hex(4)}")
    elif origin not in (None, kept):
        raise OtherOrigin(f"this log was named {kept} at its first start, for ever: leave --origin out")


def _caught_up(log: Log, path: Path, logger: Logger) -> Views:
    """The views in step with the log: as they are if they can be, else made anew from the first event on."""
    try:
        return _stepped(log, path, logger)
    except (StaleViews, _Mismatch, sqlite3.DatabaseError) as error:
        reason = str(error)
    logger.warning("the views are made anew", reason=reason, events=log.head())
    remove(path)
    drop_unused(path.parent)
    return _stepped(log, path, logger)


class _Mismatch(Exception):
    """The views are not of this log as it is: something was erased, or it was restored, or lost and begun again."""


def _stepped(log: Log, path: Path, logger: Logger) -> Views:
    views = Views(path, log.erasures())
    try:
        _refuse_mismatch(log, views)
        _catch_up(log, views, logger)
    except BaseException:
        views.close()
        raise
    return views


def _refuse_mismatch(log: Log, views: Views) -> None:
    if views.erasures != log.erasures():
        raise _Mismatch("they hold what was erased from the log")
    if views.position == 0:
        return
    if views.position > log.head():
        raise _Mismatch(f"they stand at {views.position}, and the log ends at {log.head()}")
    last, stored = views.last(), log.at(views.position)
    if last is None or stored is None or (last.id, last.recorded) != (stored.id, event_of(stored).recorded):
        raise _Mismatch(f"their event {views.position} is not the log's")


def _catch_up(log: Log, views: Views, logger: Logger) -> None:
    began = views.position
    reported = began

    def report(position: int) -> None:
        nonlocal reported
        if position - reported >= _REPORT_EVENTS:
            reported = position
            logger.info("the views catch up", position=position, head=log.head())

    catch_up(log, views, report)
    if views.position > began:
        logger.info("the views have caught up", events=views.position - began, position=views.position)
