"""Store: an open data directory, with its lock, its log, its views caught up, and its writer running.

A server and a command open it the same way. After a crash it is opened again, without repair.
"""

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
    make_directory,
    remove,
    remove_unused_views,
    restrict_modes,
)
from service.event_log import Log
from service.lock import directory_lock
from service.logging import Logger
from service.metrics import Metrics
from service.views.follower import LogPosition, catch_up

_REPORT_EVENTS = 50_000


@dataclass(frozen=True, slots=True)
class Store:
    """The open parts. `log` belongs to the writer; others create readers of it."""

    log: Log
    writer: Writer
    head: LogPosition


@asynccontextmanager
async def open_store(
    data: Path, *, clock: Clock | None = None, started: asyncio.Event | None = None, logger: Logger, metrics: Metrics
) -> AsyncIterator[Store]:
    """Open the store in a directory, which is created if missing. At the end all queued events are recorded.

    `started` is set once a start has succeeded. If it never is, and the log had no name before, the permanent effects
    of the start are undone: the log's name, its key, its first checkpoint, and the events of a log that was empty.

    Raise InUse if another process holds the directory, LogFormatError, LogUnavailable, OSError.
    """
    await asyncio.to_thread(make_directory, data)
    with directory_lock(data):
        _restrict_modes(data, logger)
        missing = [data / name for name in (CHECKPOINT, SIGNING_KEY) if not (data / name).exists()]
        with ExitStack() as closed:
            async with _opened(data, clock or Clock(logger=logger), logger, metrics) as store:
                if started is not None and store.log.meta("origin") is None:
                    closed.callback(_undo_failed, started, data, missing, was_empty=store.log.head() == 0)
                yield store


def _undo_failed(started: asyncio.Event, data: Path, made: Iterable[Path], *, was_empty: bool) -> None:
    """Undo the permanent effects of a first start that failed. The directory is held, and none of its files is open."""
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


def _restrict_modes(data: Path, logger: Logger) -> None:
    try:
        restrict_modes(data)
    except OSError as error:  # another user owns a file
        logger.warning("other users can read files of the data directory", path=error.filename, reason=error.strerror)


@asynccontextmanager
async def _opened(data: Path, clock: Clock, logger: Logger, metrics: Metrics) -> AsyncIterator[Store]:
    with closing(Log(data / LOG)) as log:
        log.scrub()  # in case of a crash between a redaction's commit and its scrub
        remove(data / VIEWS_ERASED)  # in case of a crash during their build
        views = await asyncio.to_thread(_open_views, log, data / VIEWS, logger)
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
                remove_unused_views(data)


class OtherOrigin(Exception):
    """The log got another name at its first start, and keeps it for ever."""


def fix_origin(log: Log, origin: str | None) -> None:
    """Give a log without a name the name `origin`, or a generated one. Raise OtherOrigin."""
    stored = log.meta("origin")
    if stored is None:
        log.set_meta("origin", origin or f"agreement-registry.local/{token_hex(4)}")
    elif origin not in (None, stored):
        raise OtherOrigin(f"this log got the name {stored} at its first start, and keeps it: leave --origin out")


def _open_views(log: Log, path: Path, logger: Logger) -> Views:
    """Return views that are caught up with the log. Stored views that do not belong to the log are rebuilt."""
    try:
        return _caught_up_views(log, path, logger)
    except (StaleViews, _Mismatch, sqlite3.DatabaseError) as error:
        reason = str(error)
    logger.warning("the views are rebuilt", reason=reason, events=log.head())
    remove(path)
    remove_unused_views(path.parent)
    return _caught_up_views(log, path, logger)


class _Mismatch(Exception):
    """The views do not belong to this log: data was erased, or the log was restored or replaced."""


def _caught_up_views(log: Log, path: Path, logger: Logger) -> Views:
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
        raise _Mismatch("they hold data that was erased from the log")
    if views.position == 0:
        return
    if views.position > log.head():
        raise _Mismatch(f"their position is {views.position}, and the log ends at {log.head()}")
    last, stored = views.last(), log.at(views.position)
    if last is None or stored is None or (last.id, last.recorded) != (stored.event_id, event_of(stored).recorded):
        raise _Mismatch(f"their event {views.position} is not the event of the log")


def _catch_up(log: Log, views: Views, logger: Logger) -> None:
    first = views.position
    reported = first

    def report(position: int) -> None:
        nonlocal reported
        if position - reported >= _REPORT_EVENTS:
            reported = position
            logger.info("the views catch up", position=position, head=log.head())

    catch_up(log, views, report)
    if views.position > first:
        logger.info("the views have caught up", events=views.position - first, position=views.position)
