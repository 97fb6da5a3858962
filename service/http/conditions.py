"""Conditions of a post: `If-Match` and `If-None-Match` as conditions on the version of its subject."""

from __future__ import annotations

import re
from typing import Literal

from aiohttp import hdrs, web

from service.commands.decisions import Condition
from service.http.fields import EntityTag, combined, entity_tags
from service.problems import Kind, Problem

_VERSION = re.compile(r"([0-9]{1,15})(?:-.*)?", re.ASCII)


def condition_of(request: web.Request) -> Condition | None:
    """Return the condition of a request; None if it has none. Raise a 400 problem for a header that is no condition on
    a version.

    An entity tag stands for the version at its beginning: `"3"`, or a state's whole `ETag`, `"3-5f0c..."`. Weak tags,
    and tags without a version, match nothing (RFC 9110, section 13.1.1).
    """
    match, none_match = combined(request, hdrs.IF_MATCH), combined(request, hdrs.IF_NONE_MATCH)
    if match is not None and none_match is not None:
        raise Problem(Kind.MALFORMED, "If-Match and If-None-Match demand different things; send one of them")
    if none_match is not None:
        if _tags(none_match) != "*":
            raise Problem(Kind.MALFORMED, "If-None-Match on a post is *: the subject is new")
        return Condition(is_new=True)
    if match is None:
        return None
    tags = _tags(match)
    if not tags:
        raise Problem(Kind.MALFORMED, 'If-Match is * or a version in quotes, such as "3"')
    if tags == "*":
        return Condition()
    versions = [_VERSION.fullmatch(tag.opaque) for tag in tags if not tag.is_weak]
    return Condition(frozenset(int(version[1]) for version in versions if version is not None))


def _tags(value: str) -> list[EntityTag] | Literal["*"]:
    """Return the entity tags; an empty list if the value is malformed."""
    try:
        return entity_tags(value)
    except ValueError:
        return []
