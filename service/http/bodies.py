"""Bodies of requests, read within bounds of size and time, and only where they are what they say. What is held of all
that come in at once is bounded too: a client may cut off, or never end, what it announced."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import HttpVersion11, hdrs, web

from service.http.fields import charset, combined
from service.problems import Kind, Problem

SECONDS = 60.0
"""How long a body of bounded size may take to arrive, and any other be silent."""
MOST_ARRIVING_BYTES = 64 * 2**20
SMALL_BYTES = 2**14
"""Of each body so much is read, however much of others is held."""
MOST_IMPORTS = 32
"""Each holds some megabytes: a line without its end, and what is parsed and not yet taken by the writer."""
POSTED = "application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson, application/json"


def refuse_encoded(request: web.Request) -> None:
    """Raise a 415 problem for bodies that are compressed or in another character set than UTF-8."""
    encoding = (combined(request, hdrs.CONTENT_ENCODING) or "identity").strip().lower()
    if encoding != "identity":
        raise Problem(
            Kind.UNSUPPORTED_TYPE,
            f"the content encoding {_shown(encoding)} is not taken",
            headers={"Accept-Encoding": "identity"},
        )
    stated = charset(request) or "utf-8"
    if stated not in ("utf-8", "utf8", "us-ascii"):
        raise Problem(Kind.UNSUPPORTED_TYPE, f"the character set {_shown(stated)} is not taken; bodies are in UTF-8")


def _shown(text: str) -> str:
    """The beginning of what a client sent, fit to be answered: bytes that are not UTF-8 came in as surrogates."""
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
    """What is held of bodies that have come in part: so many `bytes`, and the rest of so many `imports`."""

    def __init__(self) -> None:
        self.bytes = 0
        self.imports = 0

    def refuse_if_full(self, size: int) -> None:
        """Raises a 503 problem where so much more may not be held now."""
        if self.bytes + size > MOST_ARRIVING_BYTES:
            raise Problem(Kind.OVERLOADED, "too much is being posted")

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Within it, an import is under way. Raises a 503 problem where there are as many as there may be."""
        if self.imports >= MOST_IMPORTS:
            raise Problem(Kind.BUSY, f"{MOST_IMPORTS} imports are under way")
        self.imports += 1
        try:
            yield
        finally:
            self.imports -= 1


ARRIVING: web.AppKey[Arriving] = web.AppKey("arriving", Arriving)


async def read_body(request: web.Request, most: int) -> bytes:
    """The whole body. Raises a 413 problem as soon as it has more than `most` bytes, a 408 problem if it takes long, a
    503 problem where too much of others is coming in; a small one is read all the same.
    """
    if (request.content_length or 0) > most:
        raise _too_large(most)
    if request.content.is_eof():  # it came with its headers, as most do: nothing is to be waited for, or timed
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
