"""Content negotiation (RFC 9110, section 12.5): the form of a resource that the client prefers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

_RANGE = re.compile(r"[^\s;/]+/[^\s;/]+")


@lru_cache(maxsize=256)
def choose(accept: str, offered: Sequence[str]) -> str | None:
    """Return the offered media type that an `Accept` header prefers; None if it accepts none of them.

    The most specific range that matches a type sets its quality. Of types with equal quality, take the one that the
    more specific range matches, then the earlier range, then the first offered. A header without any range accepts
    everything. Parameters of a range are ignored, except `q`.
    """
    # Cut to their types, as `MIMEAccept` compares parameters, and takes quadratic time over blanks.
    parsed = ((_RANGE.match(item), quality) for item, quality in parse_accept_header(accept))
    ranges = MIMEAccept([(match[0].lower(), quality) for match, quality in parsed if match])
    if not ranges:
        return offered[0]
    best = max(offered, key=lambda each: (ranges.quality(each), -ranges.find(each)))
    return best if ranges.quality(best) > 0 else None


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether an `Accept-Encoding` header accepts gzip."""
    return parse_accept_header(accept_encoding).quality("gzip") > 0
