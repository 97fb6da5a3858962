"""Request bodies: reads them within bounds of size and time. The memory of all incomplete bodies is bounded too, as a
client may send a part of a body and stop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import HttpVersion11, hdrs, web

from service.http.fields import charset, combined
from service.problems import Kind, Problem

SECONDS = 60.0
"""The longest time for a body of bounded size to arrive, and the longest pause within any other."""
MOST_ARRIVING_BYTES = 64 * 2**20
SMALL_BYTES = 2**14
"""Bytes of each body that are read, however much memory the others take."""
MOST_IMPORTS = 32
"""Each takes some megabytes: an incomplete line, and events that the writer has not taken yet."""
POSTED = "application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson, application/json"


def refuse_encoded(request: web.Request) -> None:
    """Raise a 415 problem for bodies that are compressed or in another character set than UTF-8."""
    encoding = (combined(request, hdrs.CONTENT_ENCODING) or "identity").strip().lower()
    if encoding != "identity":
        raise Problem(
            Kind.UNSUPPORTED_TYPE,
            f"the content encoding {_shown(encoding)} is not supported",
            headers={"Accept-Encoding": "identity"},
        )
    stated = charset(request) or "utf-8"
    if stated not in ("utf-8", "utf8", "us-ascii"):
        raise Problem(Kind.UNSUPPORTED_TYPE, f"the character set {_shown(stated)} is not supported, only UTF-8")


def _shown(text: str) -> str:
    """Return the beginning of a header's text as valid Unicode: bytes that are not UTF-8 became surrogates."""
    return text[:100].encode(errors="backslashreplace").decode()


def check_expectation(request: web.Request) -> None:
    """Raise a 400 problem for an expectation other than `100-continue`."""
    if hdrs.EXPECT not in request.headers or request.version < HttpVersion11:  # ignored: RFC 9110, section 10.1.1
        return
    if (combined(request, hdrs.EXPECT) or "").strip().lower() != "100-continue":
        raise Problem(Kind.MALFORMED, "the only supported expectation is 100-continue")


async def send_continue(request: web.Request) -> None:
    """Send `100 Continue` to a client that waits for it. Call it before a body is read, after every check that needs no
    body.
    """
    if hdrs.EXPECT in request.headers and request.version >= HttpVersion11 and not request.get(_CONTINUED):
        request[_CONTINUED] = True
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the response has not begun


def may_withhold_body(request: web.Request) -> bool:
    """Return whether the client may send its body or not: it expects `100 Continue`, which was not sent."""
    return hdrs.EXPECT in request.headers and not request.content.is_eof() and not request.get(_CONTINUED)


_CONTINUED: web.RequestKey[bool] = web.RequestKey("100 Continue was sent", bool)


class Arriving:
    """The incomplete bodies: their `bytes` in memory, and the number of `imports`."""

    def __init__(self) -> None:
        self.bytes = 0
        self.imports = 0

    def refuse_if_full(self, size: int) -> None:
        """Raise a 503 problem if there is no room for so many more bytes."""
        if self.bytes + size > MOST_ARRIVING_BYTES:
            raise Problem(Kind.OVERLOADED, "other bodies take too much memory")

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Count an import while the block runs. Raise a 503 problem if there are too many."""
        if self.imports >= MOST_IMPORTS:
            raise Problem(Kind.BUSY, f"{MOST_IMPORTS} imports run already")
        self.imports += 1
        try:
            yield
        finally:
            self.imports -= 1


ARRIVING: web.AppKey[Arriving] = web.AppKey("arriving", Arriving)


async def read_body(request: web.Request, most: int) -> bytes:
    """Return the whole body.

    Raise a 413 problem once it has more than `most` bytes, a 408 problem if it takes too long, and a 503 problem if
    other bodies take too much memory. A small body is always read.
    """
    if (request.content_length or 0) > most:
        raise _too_large(most)
    if request.content.is_eof():  # it arrived with the headers, as most do: nothing to wait for
        whole = request.content.read_nowait()
        if len(whole) > most:
            raise _too_large(most)
        return whole
    arriving = request.app[ARRIVING]
    arriving.refuse_if_full((request.content_length or 0) - SMALL_BYTES)
    await send_continue(request)
    parts: list[bytes] = []
    size = counted = 0
    try:
        async with asyncio.timeout(SECONDS):
            while part := await request.content.readany():
                size += len(part)
                if size > most:
                    raise _too_large(most)
                if (more := size - SMALL_BYTES - counted) > 0:
                    arriving.refuse_if_full(more)
                    arriving.bytes += more
                    counted += more
                parts.append(part)
    except TimeoutError:
        raise Problem(Kind.TIMEOUT) from None
    finally:
        arriving.bytes -= counted
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most: int) -> Problem:
    return Problem(Kind.TOO_LARGE, f"the body has more than {most} bytes")
