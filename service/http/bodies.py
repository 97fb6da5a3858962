"""Bodies of requests, read within bounds of size and time, and only where they are what they say."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from service.http.problems import Kind, Problem

SECONDS = 60.0
"""How long a body of bounded size may take to arrive."""
POSTED = "application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson, application/json"


def refuse_encoded(request: web.Request) -> None:
    """Raises a 415 problem for bodies that are compressed or in another character set than UTF-8."""
    encoding = request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
    if encoding != "identity":
        raise Problem(
            Kind.UNSUPPORTED_TYPE,
            f"the content encoding {encoding} is not taken",
            headers={"Accept-Encoding": "identity"},
        )
    charset = (request.charset or "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise Problem(Kind.UNSUPPORTED_TYPE, f"the character set {charset} is not taken; bodies are in UTF-8")


async def read_body(request: web.Request, most: int) -> bytes:
    """The whole body. Raises a 413 problem as soon as it has more than `most` bytes, a 408 problem if it takes long."""
    if (request.content_length or 0) > most:
        raise _too_large(most)
    if request.content.is_eof():  # it came with its headers, as most do: nothing is to be waited for, or timed
        whole = request.content.read_nowait()
        if len(whole) > most:
            raise _too_large(most)
        return whole
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(SECONDS):
            while part := await request.content.readany():
                size += len(part)
                if size > most:
                    raise _too_large(most)
                parts.append(part)
    except TimeoutError:
        raise Problem(Kind.TIMEOUT) from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most: int) -> Problem:
    return Problem(Kind.TOO_LARGE, f"the body has more than {most} bytes")
