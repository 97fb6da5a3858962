"""Which of the forms a resource has the client would rather have (RFC 9110, section 12.5.1). Knows no resource."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PARAMETER = re.compile(r';((?:[^;"]|"(?:[^"\\]|\\.)*")*)')
_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)


@lru_cache(maxsize=256)
def choose(accept: str, offered: Sequence[str]) -> str | None:
    """The offered media type that the `Accept` header asks for most; None if it rules out all of them.

    The range that names a type most closely decides its quality. Among equals the one named more closely wins, then the
    one named first, then the one offered first. A header that is empty or holds no range at all asks for anything.
    """
    ranges = list(_ranges(accept))
    if not ranges:
        return offered[0]
    best, chosen = (0.0, 0, 0), None
    for media_type in offered:
        matching = [
            (precision, quality, -index)
            for index, (pattern, quality) in enumerate(ranges)
            if (precision := _precision(pattern, media_type))
        ]
        if not matching:
            continue
        precision, quality, place = max(matching)
        if quality > 0 and (chosen is None or (quality, precision, place) > best):
            best, chosen = (quality, precision, place), media_type
    return chosen


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Each well-formed media range with its quality; parameters other than `q` narrow nothing here."""
    for element in _ELEMENT.findall(accept):
        pattern = element.partition(";")[0].strip().lower()
        if pattern.count("/") != 1:
            continue
        quality = "1"
        for parameter in _PARAMETER.findall(element):
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                quality = value.strip()
                break
        if _QUALITY.fullmatch(quality):
            yield pattern, float(quality)


def _precision(pattern: str, media_type: str) -> int:
    if pattern == media_type:
        return 3
    if pattern == media_type.partition("/")[0] + "/*":
        return 2
    return 1 if pattern == "*/*" else 0
