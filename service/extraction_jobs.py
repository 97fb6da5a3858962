"""Extraction jobs: texts of uploaded files, each by a process (`service.text_extraction`), a few at a time."""

from __future__ import annotations

import asyncio
import tempfile
from typing import IO, Any

import orjson
from aiohttp import web

from service.jobs import JobFailed, job
from service.limits import MOST_TEXT_BYTES
from service.text_extraction import HTML, SECONDS, Extracted, Flaw, NoText

MOST = 2
"""Extractions at a time. More would share the same processor time, which the server leaves to them."""
_HEAD_BYTES = 1000


class TooManyExtractions(Exception):
    """`MOST` extractions are running. The same request may succeed later."""


class Extractions:
    """Starts extractions. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._count = 0

    async def extract(self, raw: bytes, *, is_html: bool) -> Extracted:
        """Return the text of a file; the process gets `SECONDS` of time. Raise NoText, TooManyExtractions.

        Raise OSError if no process can start.
        """
        if self._count >= MOST:
            raise TooManyExtractions(f"{MOST} files are being read, which is the limit")
        self._count += 1
        try:
            return await self._extract(raw, is_html=is_html)
        except (JobFailed, TimeoutError):
            raise NoText(Flaw.TOO_COMPLEX) from None
        finally:
            self._count -= 1

    async def _extract(self, raw: bytes, *, is_html: bool) -> Extracted:
        arguments = [HTML] if is_html else []
        written = bytearray()
        with await asyncio.to_thread(_file_of, raw) as file:
            async with asyncio.timeout(SECONDS), job("service.text_extraction", *arguments, stdin=file) as extraction:
                while chunk := await extraction.read():
                    written += chunk
                    if len(written) > MOST_TEXT_BYTES + _HEAD_BYTES:
                        raise NoText(Flaw.TOO_LONG)
        head, _, text = bytes(written).partition(b"\n")
        found: dict[str, Any] = orjson.loads(head)
        if "flaw" in found:
            raise NoText(Flaw(found["flaw"]))
        return Extracted(text.decode(), **found)


EXTRACTIONS: web.AppKey[Extractions] = web.AppKey("extractions", Extractions)


def _file_of(raw: bytes) -> IO[bytes]:
    """Return a file without a name, at its beginning, which ends with its last descriptor."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(raw)
    file.flush()
    file.seek(0)
    return file
