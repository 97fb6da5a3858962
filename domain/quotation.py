"""Whether a passage quotes a text correctly, code point by code point.

Pure, and never lenient: it folds no spaces and equates no forms of a letter. A citation that would need a repair is to
be corrected in the log.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from domain.errors import Flaw

AROUND = 60
"""Characters of a text that are shown before and after a passage."""
LONGEST_SHOWN = 2_000
"""A longer passage is shown by its place alone."""


class Status(StrEnum):
    """The status of a passage. Unverified: there is no text to check, or no quotation that could be checked."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    FAILED = "failed"


def flaw_of(passage: Mapping[str, Any], text: str) -> Flaw | None:
    """Return the error of a passage (JSON of `payload.Evidence`) of this text, if any; the pointer starts at the
    passage.

    `exact` must be the text from `start` to `end`, or any part of it without a position; without `exact`, the position
    must lie within the text. A passage with neither claims nothing.
    """
    start, end, exact = (passage.get(name) for name in ("start", "end", "exact"))
    if start is None or end is None:
        return None if exact is None or exact in text else Flaw("/exact", "is nowhere in the document's text")
    if end > len(text):
        return Flaw("/end", f"lies beyond the document's text, which has {len(text)} characters")
    if exact is None or exact == text[start:end]:
        return None
    _, count = agreeing(exact, text, start, end)
    return Flaw("/exact", f"is not the text from {start} to {end}: only its first {count} characters are")


def status_of(passage: Mapping[str, Any], text: str | None) -> Status:
    """Return the status of a passage, given the text of its document if it is stored."""
    if text is None or (passage.get("exact") is None and passage.get("start") is None):
        return Status.UNVERIFIED
    return Status.VERIFIED if flaw_of(passage, text) is None else Status.FAILED


def selected(passage: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return the place of a verified passage in the text, and its words with those around it.

    After the W3C selectors: `start`, `end`, `exact`, `prefix`, `suffix`; a long passage has no `exact`.
    """
    start, end = passage.get("start"), passage.get("end")
    if start is None or end is None:
        start = text.find(passage["exact"])
        end = start + len(passage["exact"])
    words = {"exact": text[start:end]} if end - start <= LONGEST_SHOWN else {}
    return {
        "start": start,
        "end": end,
        **words,
        "prefix": text[max(0, start - AROUND) : start],
        "suffix": text[end : end + AROUND],
    }


def agreeing(exact: str, text: str, start: int | None = None, end: int | None = None) -> tuple[int, int]:
    """Return how far a quotation agrees with the text: where it begins, and the number of its characters that agree.

    Without `start`, it begins at the first place where the text has the longest prefix of the quotation.
    """
    sizes = range(1, len(exact) + 1)
    if start is not None:
        there = text[start:end]
        return start, bisect_left(sizes, True, key=lambda size: exact[:size] != there[:size])
    count = bisect_left(sizes, True, key=lambda size: exact[:size] not in text)
    return text.find(exact[:count]), count
