"""Answers that are known whole, as most are: status line, headers and body are put together and leave in one piece.
aiohttp's own response makes a mapping of the headers and asks several others about it, which takes longer than all else
around a short answer. Nothing here decides what is answered."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import time

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
SERVER = "agreement-registry"
"""The `Server` of every answer: no version, of which known faults could be looked up."""
_BORNE = f"X-Content-Type-Options: nosniff\r\nServer: {SERVER}\r\n".encode()
_WITHOUT_BODY = frozenset((HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED))
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What would make more than one line of a header."""


def lines(headers: Mapping[str, str]) -> bytes:
    """Headers as they are sent. Raises ValueError for what is no header."""
    parts = []
    for name, value in headers.items():
        if _FORBIDDEN.search(name) or _FORBIDDEN.search(value):
            raise ValueError(f"{name!r} is not a header with the value {value!r}")
        parts.append(f"{name}: {value}\r\n")
    return "".join(parts).encode()


class CompleteResponse(web.StreamResponse):
    """An answer with this body. `more` are `lines` of headers beside its type, length, date and position."""

    def __init__(self, status: int, body: bytes, media_type: str, more: bytes = b"") -> None:
        super().__init__(status=status)
        self.body = body
        self.position: int | None = None
        """The `Registry-Position` of the answer, set for every request; None where the client may not know it."""
        self.cross_origin = b""
        """Lines of headers that let pages of other origins read it."""
        self.afterwards: Callable[[], Awaitable[None]] | None = None
        """Awaited once all of it is sent, before the connection may be closed."""
        self._media_type = media_type
        self._more = more
        self._lasts = True
        self._asked: web.BaseRequest | None = None

    @property
    def keep_alive(self) -> bool:
        """Whether the connection outlasts it."""
        return self._lasts

    def force_close(self) -> None:
        """The connection ends with it."""
        self._lasts = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Nothing is sent yet. Raises ConnectionResetError, which ends the connection, where another answer has begun:
        this one would be taken for its end.
        """
        if request.writer.output_size > 0:
            raise ConnectionResetError("an answer has begun already")
        self._asked = request
        self._lasts = self._lasts and request.keep_alive
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Sends all of it."""
        assert not data
        request, self._asked = self._asked, None
        if request is None:
            return
        body, about = self.body, b""
        if self.status not in _WITHOUT_BODY:
            about = b"Content-Type: %b\r\nContent-Length: %d\r\n" % (self._media_type.encode(), len(body))
        if request.method == hdrs.METH_HEAD:
            body = b""
        if not self._lasts:
            about += b"Connection: close\r\n"
        elif request.version < (1, 1):
            about += b"Connection: keep-alive\r\n"
        position = b"" if self.position is None else b"Registry-Position: %d\r\n" % self.position
        await request.writer.write_eof(
            b"%b%b%b%b%bDate: %b\r\n%b\r\n%b"
            % (
                _LINES[self.status],
                about,
                self._more,
                self.cross_origin,
                _BORNE,
                _date(int(time())),
                position,
                body,
            )
        )
        if self.afterwards is not None:
            await self.afterwards()


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
