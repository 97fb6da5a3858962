"""Server: starts the application, records the seeds and creates a key on first start, then opens the port.

The port opens when the registry is ready. SIGTERM or SIGINT closes it, and lets requests in progress end.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
from aiohttp import web

from domain.cloudevent import PostedEvent, parse
from domain.errors import Flaw, Refused
from domain.tlog_formats import Verifier
from service.api_keys import Scope
from service.app import make_app, running
from service.app_keys import HEAD, KEYS, LOGGER, STARTED, WRITER
from service.commands.decisions import Batch
from service.limits import MOST_CONNECTIONS, REFUSED_AT_ONCE
from service.listening import begin_no_connection
from service.logging import StandardHandler
from service.settings import Settings
from service.transparency.checkpoint import PUBLISHER

STOP_SECONDS = 6.0
"""Time that requests in progress have when the server stops."""
QUIET_SECONDS = 0.2
"""Time in which requests that were sent before the stop can still arrive on open connections."""
END_SECONDS = 9.5
"""Time after the stop signal when the process ends in any case. Acknowledged events are on disk by then."""
BACKLOG = 2048
"""Connections that the system holds until they are accepted. If there are more, clients try again a second later."""
MIN_CONNECTIONS = 64
OWN_FILES = 512
"""Open files that are not connections: databases, results of imports, pipes to other processes."""
FIRST_KEY = "first"
SEEDS_ACTOR = "seeds"


class CannotServe(Exception):
    """The server cannot start. The text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Started:
    """A server that accepts requests at `url`.

    `key`: the text of the first key, if this start created it. `scopes`: the scopes of that key.
    `verifier` verifies the log's checkpoints.
    """

    url: str
    key: str | None
    scopes: Sequence[Scope]
    verifier: Verifier


async def serve(settings: Settings, *, seeds: Path | None, first_key: bool, started: Callable[[Started], None]) -> None:
    """Serve until a stop signal. `started` is called when requests are accepted. Raises CannotServe.

    A signal before that ends the process immediately: nothing was acknowledged, and a crash needs no repair.
    """
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _exit)
    most = _allow_connections()
    sockets = await _bound(settings.host, settings.port)  # first: if the port is in use, nothing has changed
    app = make_app(settings)
    app[STARTED].clear()
    standard = StandardHandler(app[LOGGER])
    logging.getLogger().addHandler(standard)
    try:
        async with running(app, connections=most, stop_seconds=STOP_SECONDS) as runner:
            # The present objects stay, so the garbage collector skips them. It runs less often than by default, which
            # would scan cached facts and answers again and again. Rows that wait for the views' commit alone are 20,000
            # objects.
            gc.freeze()
            gc.set_threshold(100_000, 20, 50)
            if seeds is not None and app[HEAD].position == 0 and app[PUBLISHER].refusal is None:
                await _record_seeds(app, seeds)
            stop = asyncio.Event()
            for signum in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(signum, stop.set)
            await _listen(settings, runner, sockets)
            _report_start(app, settings, runner, started, first_key=first_key)
            app[STARTED].set()
            await stop.wait()
            _end_within(END_SECONDS)
            await _refuse_new(app, runner, sockets)
    finally:
        for each in sockets:
            each.close()
        logging.getLogger().removeHandler(standard)


async def _listen(settings: Settings, runner: web.BaseRunner, sockets: Iterable[socket.socket]) -> None:
    for each in sockets:
        try:
            await web.SockSite(runner, each.dup(), backlog=BACKLOG).start()
        except OSError as error:
            raise _cannot_listen(settings.host, settings.port, error) from None


def _report_start(
    app: web.Application,
    settings: Settings,
    runner: web.BaseRunner,
    started: Callable[[Started], None],
    *,
    first_key: bool,
) -> None:
    """Call `started`, with a new key if it is the first start. Delete the key if that fails: nobody has seen it."""
    scopes = [Scope.POST] if settings.read == "open" else [Scope.POST, Scope.READ]
    key = _first_key(app, scopes) if first_key else None
    try:
        started(Started(_url(settings.host, runner.addresses[0][1]), key, scopes, app[PUBLISHER].verifier))
    except BaseException:
        if key is not None:
            app[KEYS].delete(key)
        raise


async def _refuse_new(app: web.Application, runner: web.BaseRunner, sockets: Iterable[socket.socket]) -> None:
    """Stop listening, and answer the requests sent by now. Each answer then closes its connection."""
    await app.shutdown()
    for each in sockets:
        begin_no_connection(each)
    await asyncio.sleep(QUIET_SECONDS)
    for site in list(runner.sites):
        await site.stop()
    assert runner.server is not None
    for connection in _last_connections(sockets):
        await asyncio.get_running_loop().connect_accepted_socket(runner.server, connection)


def _last_connections(sockets: Iterable[socket.socket]) -> list[socket.socket]:
    """Accept every waiting connection, and close the listening sockets.

    The system resets connections that still wait when a socket is closed, so none may begin meanwhile.
    """
    found = []
    for each in sockets:
        each.setblocking(False)
        with suppress(OSError):  # BlockingIOError: no connection waits
            while True:
                found.append(each.accept()[0])
        each.close()
    return found


def _end_within(seconds: float) -> None:
    """End the process after this time, if it has not ended by itself. A thread may be reading for long."""
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


async def _bound(host: str, port: int) -> list[socket.socket]:
    """Return sockets bound to the address, which do not listen yet. Raises CannotServe."""
    try:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port, start_serving=False)
    except OSError as error:
        raise _cannot_listen(host, port, error) from None
    sockets = [each.dup() for each in server.sockets]
    server.close()
    return sockets


def _cannot_listen(host: str, port: int, error: OSError) -> CannotServe:
    return CannotServe(f"port {port} of {host}: {error.strerror or error}")


def _allow_connections() -> int:
    """Let this process open a file for each connection; return how many connections there may be.

    Where the system allows fewer files, there are fewer connections: databases must still open theirs.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + REFUSED_AT_ONCE + OWN_FILES
    most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(MIN_CONNECTIONS, min(MOST_CONNECTIONS, most - REFUSED_AT_ONCE - OWN_FILES))


def _exit(signum: int, _: object) -> None:
    os._exit(128 + signum)


def read_seeds(folder: Path) -> list[tuple[str, PostedEvent]]:
    """Return the events of the files in the manifest, in order, each with its file and line. Raises CannotServe."""
    try:
        manifest = orjson.loads((folder / "manifest.json").read_bytes())
        lines = [
            (f"{folder / entry['file']}, line {number}", line)
            for entry in manifest["files"]
            for number, line in enumerate((folder / entry["file"]).read_bytes().splitlines(), 1)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotServe(f"{folder} has no seeds: {error}") from None
    events = []
    for place, line in lines:
        try:
            events.append((place, parse(orjson.loads(line))))
        except (ValueError, Refused) as error:
            raise CannotServe(f"{place}: {error}") from None
    return events


async def _record_seeds(app: web.Application, folder: Path) -> None:
    """Record all seeds in one batch, so that a start that fails leaves none."""
    events = await asyncio.to_thread(read_seeds, folder)
    batch = Batch(
        [event for _, event in events], SEEDS_ACTOR, sum(len(event.data) for _, event in events), is_list=True
    )
    try:
        await app[WRITER].post(batch)
    except Refused as refused:
        places = [place for flaw in refused.flaws for place in _place(flaw, events)]
        raise CannotServe(f"{places[0] if places else folder}: {refused.detail}") from None


def _place(flaw: Flaw, events: Sequence[tuple[str, PostedEvent]]) -> list[str]:
    index = flaw.pointer[1:].partition("/")[0]
    return [events[int(index)][0]] if index.isdecimal() else []


def _first_key(app: web.Application, scopes: Sequence[Scope]) -> str | None:
    keys = app[KEYS]
    if any(key.name == FIRST_KEY for key in keys.all()):
        return None
    return keys.create(FIRST_KEY, scopes)


def _url(host: str, port: int) -> str:
    """Return an address that works on this machine, also if the server listens on all its addresses."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
