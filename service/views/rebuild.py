"""Rebuild: folds all views again from the log, in a process of its own, and puts them in the place of the old views.

A server serves the old views until then. The log is only read. Half-built views are never read, and the next rebuild
removes them.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from aiohttp import web

from projections.views import StaleViews, Views
from service.app_keys import LOGGER, SETTINGS, WRITER
from service.data_directory import LOG, VIEWS, VIEWS_NEXT, VIEWS_READY, remove
from service.event_log import LogReader
from service.jobs import end_with
from service.views.follower import catch_up
from service.views.readers import READERS

POLL_SECONDS = 0.5
_DISCARDED = "something was erased while the views were rebuilt, and the server has rebuilt them itself"


class RebuildDiscarded(Exception):
    """The new views are gone: data was erased meanwhile, and the server has rebuilt the views without it."""


def head(data: Path) -> int:
    """Return the number of events to fold. Raises what `build` raises."""
    with closing(LogReader(data / LOG)) as log:
        return log.head()


def build(data: Path, report: Callable[[int], None] | None = None, *, name: str = VIEWS_NEXT) -> Path:
    """Fold the whole log of the directory into a new file, and return its path. `report` takes each position reached.

    Raises RebuildDiscarded, and LogUnavailable or LogFormatError if the log cannot be read.
    """
    path = data / name
    try:
        with closing(LogReader(data / LOG)) as log:
            remove(path)
            erasures = log.erasures()  # counted first: data that is erased later may be in the new views
            with closing(Views(path, erasures, building=True)) as views:
                catch_up(log, views, report)
                views.finish()
        with path.open("rb") as file:
            os.fsync(file.fileno())
    except (sqlite3.OperationalError, FileNotFoundError) as error:
        if not path.exists():
            raise RebuildDiscarded(_DISCARDED) from error
        remove(path)  # the disk may be full
        raise
    return path


def install(built: Path) -> None:
    """Put the built views in the place of the old. The caller holds the directory, and neither file is open."""
    views = built.with_name(VIEWS)
    remove(views)
    built.rename(views)


def offer(built: Path) -> int:
    """Leave the built views to the server that holds the directory, and return the argument for `was_taken`.

    Raises RebuildDiscarded.
    """
    ready = built.with_name(VIEWS_READY)
    remove(ready)
    try:
        offered = built.stat().st_ino
        built.rename(ready)
    except FileNotFoundError as error:
        raise RebuildDiscarded(_DISCARDED) from error
    return offered


def was_taken(data: Path, offered: int) -> bool | None:
    """Return whether the server serves the offered views; None while it has not yet looked at them."""
    if (data / VIEWS_READY).exists():
        return None
    return (data / VIEWS).stat().st_ino == offered


async def rebuild_watch(app: web.Application) -> AsyncIterator[None]:
    """Take over views that other processes have rebuilt, while the application runs."""
    task = asyncio.create_task(_watch(app), name="rebuild watch")
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _watch(app: web.Application) -> None:
    ready, logger = app[SETTINGS].data / VIEWS_READY, app[LOGGER]
    while True:
        await asyncio.sleep(POLL_SECONDS)
        if not ready.exists():
            continue
        try:
            await _take_over_offered(app, ready)
        except Exception:  # the old views remain in service
            logger.exception("the rebuilt views could not be taken over")
            remove(ready)


async def _take_over_offered(app: web.Application, ready: Path) -> None:
    try:
        await take_over(app, ready)
    except StaleViews as stale:
        app[LOGGER].warning("the rebuilt views are not taken over", reason=str(stale))
        remove(ready)


async def take_over(app: web.Application, ready: Path) -> None:
    """Serve the views built at a path instead of the present ones. Raises StaleViews if data was erased meanwhile."""
    await asyncio.to_thread(_catch_up, ready)
    readers = app[READERS]

    def replace(old: Views) -> Views:
        _catch_up(ready)  # with the events recorded meanwhile; the writer records none until this returns
        with readers.replacing():
            old.close()
            install(ready)
            return Views(ready.with_name(VIEWS))

    await app[WRITER].swap_views(replace)
    readers.reopen()
    app[LOGGER].info("the rebuilt views were taken over")


def _catch_up(path: Path) -> None:
    with closing(LogReader(path.with_name(LOG))) as log, closing(Views(path)) as views:
        if views.erasures != log.erasures():
            raise StaleViews("something was erased while they were built")
        catch_up(log, views)


def main(arguments: Sequence[str]) -> None:
    """Build views for the server that started this process, and end with it.

    The arguments: the path of the new file, the process id of the server.
    """
    path, report = Path(arguments[0]), end_with(int(arguments[1]))
    report(0)
    build(path.parent, report, name=path.name)


if __name__ == "__main__":
    main(sys.argv[1:])
