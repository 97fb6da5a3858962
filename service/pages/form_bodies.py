"""Bodies of forms: read within a limit, and taken from this site alone."""

from __future__ import annotations

from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from yarl import URL

from service.http.bodies import read_body
from service.http.fields import media_type
from service.problems import Kind, Problem

_MOST_FIELDS = 2_000
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
