"""How requests come in from the wire: over connections that are bounded, to a frame that answers every error with a
problem.

aiohttp has no public place for that, so two of its classes are filled in: its server here, and its connections in
`service.http.connections`.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from service.http.connections import Connection, Connections
from service.http.middleware import Frame
from service.limits import MOST_CONNECTIONS


class Runner(web.AppRunner):
    """Runs an application whose every error is answered with a problem, over so many connections at most."""

    def __init__(self, app: web.Application, *, connections: int = MOST_CONNECTIONS, **more: Any) -> None:
        super().__init__(app, **more)
        self._most = connections

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        assert isinstance(server, _Server)
        server.app, server.open = self.app, Connections(self._most)
        server.request_handler = Frame(self.app, server.request_handler)
        return server


class _Server(web.Server):
    app: web.Application
    open: Connections

    def __call__(self) -> web.RequestHandler:
        return Connection(self.app, self.open, self, loop=self._loop, **self._kwargs)
