"""Bodies of forms, with or without a file: read within a limit, and taken from this site alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from io import BytesIO
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import MultiPartParser
from werkzeug.http import parse_options_header
from yarl import URL

from service.http.bodies import read_body
from service.http.fields import media_type
from service.problems import Kind, Problem

_MOST_FIELDS = 2_000
_MOST_PARTS = 20
_MULTIPART = "multipart/form-data"
_OF_THIS_SITE = ("same-origin", "none")


async def read_form(request: web.Request, most: int) -> dict[str, str]:
    """Return the fields of a form of at most so many bytes. Raise a 4xx problem, 403 if another site sent it."""
    if not _is_of_this_site(request):
        raise Problem(Kind.FORBIDDEN, "the form was sent by another site")
    if media_type(request) != "application/x-www-form-urlencoded":
        raise Problem(Kind.UNSUPPORTED_TYPE, "a form is sent as application/x-www-form-urlencoded")
    raw = await read_body(request, most)
    try:
        return dict(parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"))
    except ValueError:
        raise Problem(Kind.MALFORMED, f"the form is not UTF-8, or has more than {_MOST_FIELDS} fields") from None


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of a form: its bytes, and the media type that the browser names, in small letters."""

    content: bytes
    media_type: str


async def read_file_form(request: web.Request, most: int) -> tuple[dict[str, str], SentFile | None]:
    """Return the fields of a form and the file that came with it, of at most so many bytes together.

    Raise a 4xx problem, 403 if another site sent it.
    """
    if not _is_of_this_site(request):
        raise Problem(Kind.FORBIDDEN, "the form was sent by another site")
    if media_type(request) != _MULTIPART:
        raise Problem(Kind.UNSUPPORTED_TYPE, f"a form with a file is sent as {_MULTIPART}")
    boundary = parse_options_header(request.headers[hdrs.CONTENT_TYPE])[1].get("boundary", "")
    raw = await read_body(request, most)
    try:
        return await asyncio.to_thread(_parts, raw, boundary.encode())
    except (ValueError, RequestEntityTooLarge):
        raise Problem(Kind.MALFORMED, f"the form is malformed, or has more than {_MOST_PARTS} parts") from None


def _parts(raw: bytes, boundary: bytes) -> tuple[dict[str, str], SentFile | None]:
    parser = MultiPartParser(stream_factory=lambda *_, **__: BytesIO(), max_form_parts=_MOST_PARTS)
    fields, files = parser.parse(BytesIO(raw), boundary, len(raw))
    file = next(iter(files.values()), None)
    if file is None or not file.filename:
        return fields.to_dict(), None
    return fields.to_dict(), SentFile(file.stream.read(), (file.mimetype or "").lower())


def _is_of_this_site(request: web.Request) -> bool:
    """Return whether this site sent a form, after `Sec-Fetch-Site` or else `Origin`; no browser sends neither."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in _OF_THIS_SITE
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return True
    try:
        return URL(origin).authority == request.host
    except ValueError:
        return False
