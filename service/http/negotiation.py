"""Which of the forms a resource has the client would rather have (RFC 9110, section 12.5.1). Knows no resource."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from werkzeug.http import parse_accept_header


@lru_cache(maxsize=256)
def choose(accept: str, offered: Sequence[str]) -> str | None:
    """The offered media type that the `Accept` header asks for most; None if it rules out all of them.

    The range that names a type most closely decides its quality. Among equals the one named more closely wins, then the
    one named first, then the one offered first. A header that is empty or holds no range at all asks for anything.
    """
    ranges = _ranges(accept)
    if not ranges:
        return offered[0]
    best, chosen = (0.0, 0, 0), None
    for media_type in offered:
        patterns = ("*/*", media_type.partition("/")[0] + "/*", media_type)
        matching = [(precision, *ranges[each]) for precision, each in enumerate(patterns) if each in ranges]
        if not matching:
            continue
        precision, quality, place = max(matching)
        if quality > 0 and (chosen is None or (quality, precision, place) > best):
            best, chosen = (quality, precision, place), media_type
    return chosen


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the `Accept-Encoding` header allows gzip."""
    return parse_accept_header(accept_encoding).quality("gzip") > 0


def _ranges(accept: str) -> dict[str, tuple[float, int]]:
    """The quality of each well-formed media range, and its place, larger where earlier; of a range that stands twice,
    the better. Parameters other than `q` narrow nothing here.

    The ranges are matched here and not by `MIMEAccept`, which takes quadratic time over blanks within a range.
    """
    ranges: dict[str, tuple[float, int]] = {}
    for index, (item, quality) in enumerate(parse_accept_header(accept)):
        pattern = item.partition(";")[0].strip().lower()
        if pattern.count("/") == 1:
            ranges[pattern] = max((quality, -index), ranges.get(pattern, (0.0, -index)))
    return ranges
