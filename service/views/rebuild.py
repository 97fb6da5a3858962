"""Views folded anew from the log, put in the place of the old ones: by a command of its own process, while a server
goes on serving the old. The log is only read. What is half made is never asked, and never outlives the next rebuild."""

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
from service.views.follower import catch_up
from service.views.readers import READERS

POLL_SECONDS = 0.5
_DROPPED = "something was erased while the views were rebuilt, and the server has folded them anew itself"


class Dropped(Exception):
    """What was being built is gone: something was erased meanwhile, and the server folded the views anew without it."""


def head(data: Path) -> int:
    """How many events there are to fold. Raises as `build` does."""
    with closing(LogReader(data / LOG)) as log:
        return log.head()


def build(data: Path, report: Callable[[int], None] | None = None, *, name: str = VIEWS_NEXT) -> Path:
    """Folds the whole log of the directory into a new file, and returns its path. `report` hears each position reached.

    Raises Dropped, and LogUnavailable or LogFormatError where the log cannot be read.
    """
    path = data / name
    try:
        with closing(LogReader(data / LOG)) as log:
            remove(path)
            erasures = log.erasures()  # counted first: what is erased meanwhile may be in it
            with closing(Views(path, erasures, building=True)) as views:
                catch_up(log, views, report)
                views.finish()
        with path.open("rb") as file:
            os.fsync(file.fileno())
    except (sqlite3.OperationalError, FileNotFoundError) as error:
        if not path.exists():
            raise Dropped(_DROPPED) from error
        remove(path)  # a full disk wants it gone
        raise
    return path


def install(built: Path) -> None:
    """Puts the built views in the place of the old. For whoever holds the directory; nobody has either of them open."""
    views = built.with_name(VIEWS)
    remove(views)
    built.rename(views)


def offer(built: Path) -> int:
    """Leaves the built views to the server that holds the directory; `was_taken` tells what became of them.

    Raises Dropped.
    """
    ready = built.with_name(VIEWS_READY)
    remove(ready)
    try:
        offered = built.stat().st_ino
        built.rename(ready)
    except FileNotFoundError as error:
        raise Dropped(_DROPPED) from error
    return offered


def was_taken(data: Path, offered: int) -> bool | None:
    """Whether the server has put what was offered in place; None while it has yet to look."""
    if (data / VIEWS_READY).exists():
        return None
    return (data / VIEWS).stat().st_ino == offered


async def rebuild_watch(app: web.Application) -> AsyncIterator[None]:
    """While the application runs, takes over views that were rebuilt for it."""
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
            await _offered(app, ready)
        except Exception:  # whatever it is, the old views are served on
            logger.exception("the rebuilt views could not be taken over")
            remove(ready)


async def _offered(app: web.Application, ready: Path) -> None:
    try:
        await take_over(app, ready)
    except StaleViews as stale:
        app[LOGGER].warning("the rebuilt views are not taken over", reason=str(stale))
        remove(ready)


async def take_over(app: web.Application, ready: Path) -> None:
    """Puts the views built at a path in the place of those that are served. Raises StaleViews where they do not fit."""
    await asyncio.to_thread(_caught_up, ready)
    readers = app[READERS]

    def replace(old: Views) -> Views:
        _caught_up(ready)  # with what was recorded meanwhile: nothing is, from here on
        with readers.replacing():
            old.close()
            install(ready)
            return Views(ready.with_name(VIEWS))

    await app[WRITER].between(replace)
    readers.reopen()
    app[LOGGER].info("the rebuilt views were taken over")


def _caught_up(path: Path) -> None:
    with closing(LogReader(path.with_name(LOG))) as log, closing(Views(path)) as views:
        if views.erasures != log.erasures():
            raise StaleViews("something was erased while they were built")
        catch_up(log, views)


def main(arguments: Sequence[str]) -> None:
    """Builds views for the server that started this process, and ends with it: what it would leave, nobody takes.

    The arguments: the path of the new file, the server's process.
    """
    path, parent = Path(arguments[0]), int(arguments[1])

    def report(_: int) -> None:
        if os.getppid() != parent:
            raise SystemExit(1)

    report(0)
    build(path.parent, report, name=path.name)


if __name__ == "__main__":
    main(sys.argv[1:])
