"""The stored form of the summary of a lifespan (see `domain.lifespan`): a JSON array of numbers."""

from __future__ import annotations

import orjson

from domain.edtf import Span
from domain.lifespan import NO_FACTS, Bounds, LifespanSummary
from domain.membership import FirstConsent

_NO_SPAN = (None, None)


def encode(summary: LifespanSummary) -> bytes | None:
    """Return the stored form of a summary; None without facts."""
    facts, consent, bounds, signed_by, adopted_by = summary
    if not facts:
        return None
    created, ended, signed, adopted, creations, earliest_end, latest_start, earliest_force = bounds
    return orjson.dumps(
        (
            facts,
            creations,
            tuple(consent),
            *(created or _NO_SPAN),
            *(ended or _NO_SPAN),
            *(signed or _NO_SPAN),
            signed_by,
            *(adopted or _NO_SPAN),
            adopted_by,
            earliest_end,
            latest_start,
            earliest_force,
        )
    )


def decode(stored: bytes | None) -> LifespanSummary:
    """Return the summary of its stored form."""
    if stored is None:
        return NO_FACTS
    facts, creations, consent, *spans, earliest_end, latest_start, earliest_force = orjson.loads(stored)
    created, created_hi, ended, ended_hi, signed, signed_hi, signed_by, adopted, adopted_hi, adopted_by = spans
    bounds = Bounds(
        _span(created, created_hi),
        _span(ended, ended_hi),
        _span(signed, signed_hi),
        _span(adopted, adopted_hi),
        creations,
        earliest_end,
        latest_start,
        earliest_force,
    )
    return LifespanSummary(facts, FirstConsent(*consent), bounds, signed_by, adopted_by)


def _span(lo: int | None, hi: int | None) -> Span | None:
    return None if lo is None or hi is None else Span(lo, hi)
