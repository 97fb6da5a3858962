"""`If-Match` and `If-None-Match` of a post, read as a demand on the version of its subject."""

from __future__ import annotations

import re

from aiohttp import hdrs, web

from service.decisions import Condition
from service.http.problems import Kind, Problem

_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e]*)"\s*(?:,|$)')
_VERSION = re.compile(r"([0-9]{1,15})(?:-.*)?", re.ASCII)


def condition_of(request: web.Request) -> Condition | None:
    """What the request demands, None if nothing. Raises a 400 problem for what is no condition on a version.

    An entity tag demands the version it opens with: `"3"`, or a state's whole `ETag`, `"3-5f0c..."`. Weak tags, and
    those of no version, match nothing (RFC 9110, section 13.1.1).
    """
    match = request.headers.getall(hdrs.IF_MATCH, [])
    none_match = request.headers.getall(hdrs.IF_NONE_MATCH, [])
    if match and none_match:
        raise Problem(Kind.MALFORMED, "If-Match and If-None-Match demand different things; send one of them")
    if none_match:
        if [text.strip() for text in none_match] != ["*"]:
            raise Problem(Kind.MALFORMED, "If-None-Match on a post is *: the subject is new")
        return Condition(is_new=True)
    if not match:
        return None
    text = ", ".join(match).strip()
    return Condition() if text == "*" else Condition(frozenset(_versions(text)))


def _versions(text: str) -> list[int]:
    versions = []
    at = 0
    while True:
        tag = _TAG.match(text, at)
        if tag is None:
            raise Problem(Kind.MALFORMED, 'If-Match is * or a version in quotes, such as "3"')
        version = _VERSION.fullmatch(tag[2])
        if version is not None and not tag[1]:
            versions.append(int(version[1]))
        at = tag.end()
        if at == len(text):
            return versions
