"""What answers have in common: the form the client would rather have, validators, and JSON bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from aiohttp import hdrs, web

from service.http.fields import combined, entity_tags
from service.http.negotiation import choose
from service.http.problems import Kind, Problem
from service.http.responses import CompleteResponse, lines

JSON = "application/json"
NDJSON = "application/x-ndjson"


def negotiate(request: web.Request, offers: Sequence[str]) -> str:
    """The offered media type the client would rather have. Raises a 406 problem where it takes none."""
    chosen = choose(combined(request, hdrs.ACCEPT) or "", tuple(offers))
    if chosen is None:
        raise Problem(Kind.NOT_ACCEPTABLE, f"this can be answered as {', '.join(offers)}")
    return chosen


def json_answer(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> CompleteResponse:
    """Ready bytes of JSON."""
    return CompleteResponse(status, body, JSON, lines(headers) if headers else b"")


def strong_tag(body: bytes) -> str:
    """A strong validator of these bytes."""
    return f'"{sha256(body).hexdigest()[:32]}"'


def etag_matches(request: web.Request, etag: str) -> bool:
    """Whether the client holds an answer with this validator (`If-None-Match`, weak comparison).

    A header that is no list of entity tags holds none.
    """
    held = combined(request, hdrs.IF_NONE_MATCH)
    if held is None:
        return False
    try:
        tags = entity_tags(held)
    except ValueError:
        return False
    return tags == "*" or etag.removeprefix("W/").strip('"') in (tag.opaque for tag in tags)
