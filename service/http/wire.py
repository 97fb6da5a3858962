"""How requests come in from the wire: what is no HTTP at all is answered with a problem too, and logged in one line.

aiohttp has no public place for that, so two of its classes are filled in here, and only here.
"""

from __future__ import annotations

import asyncio
from os import urandom
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import _ErrInfo

from service.http.frame import Frame
from service.http.problems import Kind, Problem
from service.parts import LOGGER, METRICS

AT_ONCE = 2**16
"""Bytes that are received of one connection in one turn of the loop."""


class Runner(web.AppRunner):
    """Runs an application whose every error is answered with a problem."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        assert isinstance(server, _Server)
        server.app = self.app
        server.request_handler = Frame(self.app, server.request_handler)
        return server


class _Server(web.Server):
    app: web.Application

    def __call__(self) -> web.RequestHandler:
        return Connection(self.app, self, loop=self._loop, **self._kwargs)


class Connection(web.RequestHandler):
    """What a client asks over, one request after the other."""

    __slots__ = ("_app", "returns")

    def __init__(self, app: web.Application, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._app = app
        self.returns = 0.0
        """When a client that was turned away may come again, on the loop's clock."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins. Of a crowd, what comes of each in one turn of the loop is there before anybody reads it."""
        super().connection_made(transport)
        transport.max_size = AT_ONCE  # type: ignore[attr-defined]  # of selector loops' transports

    def data_received(self, data: bytes) -> None:
        """Takes what has come. What is no HTTP is let go with the frames of the error that says so, which is kept."""
        super().data_received(data)
        if self._messages and isinstance(broken := self._messages[-1][0], _ErrInfo):
            broken.exc.__traceback__ = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The last resort: a request could not be parsed (400), or something failed outside of every middleware."""
        if isinstance(exc, ConnectionError):
            raise exc  # the client went away: that is no fault, and there is nobody to answer
        problem = Problem(Kind.MALFORMED, _detail(message)) if status == 400 else Problem(Kind.INTERNAL)
        request_id = urandom(8).hex()
        self._app[METRICS].refused(problem.kind)
        self._app[LOGGER].warning(
            "no request", request_id=request_id, status=status, remote=request.remote, error=repr(exc)
        )
        if request.writer.output_size > 0:
            raise ConnectionResetError("an answer has begun already")
        response = problem.response(request_id)
        response.force_close()
        return response


def _detail(message: str | None) -> str:
    """What the parser says; below its first line it quotes what was sent."""
    return "not HTTP: " + (message or "").partition("\n")[0].strip(" :")
