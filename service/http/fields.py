"""Request headers: the lines of one field combined, and parsed in linear time.

Every reader of a list, of a media type or of entity tags uses this module. Use none of the accessors of aiohttp's
requests (`content_type`, `charset`, `if_none_match`): they take quadratic time, or read only the first line.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from aiohttp import hdrs, web
from werkzeug.http import parse_options_header

from service.problems import Kind, Problem

MOST_BYTES = 8190
"""The longest line of a header, and the longest value of a field with several lines."""
MOST_LINES = 64
_TAG = re.compile(r'[ \t]*(?:(W/)?"([\x21\x23-\x7e\x80-\U0010ffff]*)"[ \t]*)?(?:,|$)')


class EntityTag(NamedTuple):
    """An entity tag without its quotes (RFC 9110, section 8.8.3)."""

    opaque: str
    is_weak: bool


def combined(request: web.BaseRequest, name: str) -> str | None:
    """Return the lines of a field, joined with commas (RFC 9110, section 5.3); None if there is no line.

    Raise a 431 problem if they are longer together than one line may be.
    """
    values = request.headers.getall(name, None)
    if values is None:
        return None
    value = values[0] if len(values) == 1 else ", ".join(values)
    if len(value) > MOST_BYTES:
        raise Problem(Kind.HEADERS_TOO_LARGE, f"the lines of {name} have more than {MOST_BYTES} bytes together")
    return value


def media_type(request: web.BaseRequest) -> str:
    """Return the media type of the body in lower case, without parameters; an empty string if there is none."""
    return request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip(" \t").lower()


def charset(request: web.BaseRequest) -> str | None:
    """Return the `charset` of the content type of the body, in lower case; None if there is none."""
    value = request.headers.get(hdrs.CONTENT_TYPE, "")
    return parse_options_header(value)[1].get("charset", "").lower() or None if ";" in value else None


def etag_matches(request: web.BaseRequest, etag: str) -> bool:
    """Return whether `If-None-Match` names this entity tag (weak comparison). A malformed header names none."""
    value = combined(request, hdrs.IF_NONE_MATCH)
    if value is None:
        return False
    try:
        tags = entity_tags(value)
    except ValueError:
        return False
    return tags == "*" or etag.removeprefix("W/").strip('"') in (tag.opaque for tag in tags)


def entity_tags(value: str) -> list[EntityTag] | Literal["*"]:
    """Return the entity tags of `If-Match` or `If-None-Match`, without empty list members (RFC 9110, section 5.6.1.2).

    Raise ValueError for a malformed list: werkzeug's parser accepts unquoted tags, and takes quadratic time over
    blanks.
    """
    if value.strip(" \t") == "*":
        return "*"
    tags, at = [], 0
    while at < len(value):
        match = _TAG.match(value, at)
        if match is None:
            raise ValueError("not a list of entity tags")
        if match[2] is not None:
            tags.append(EntityTag(match[2], match[1] is not None))
        at = match.end()
    return tags
