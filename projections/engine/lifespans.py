"""The stored form of the summary of a lifespan (see `domain.lifespan`): a JSON array of numbers."""

from __future__ import annotations

import orjson

from domain.edtf import Span
from domain.lifespan import NO_FACTS, Bounds, LifespanSummary
from domain.membership import FirstConsent


def encode(summary: LifespanSummary) -> bytes | None:
    """Return the stored form of a summary; None without facts."""
    facts, consent, bounds, signed_by, adopted_by = summary
    if not facts:
        return None
    return orjson.dumps((facts, tuple(consent), tuple(bounds), signed_by, adopted_by), default=tuple)


def decode(stored: bytes | None) -> LifespanSummary:
    """Decode a stored summary; None is the summary of no facts."""
    if stored is None:
        return NO_FACTS
    facts, consent, (created, ended, signed, adopted, announced, *rest), signed_by, adopted_by = orjson.loads(stored)
    bounds = Bounds(_span(created), _span(ended), _span(signed), _span(adopted), _span(announced), *rest)
    return LifespanSummary(facts, FirstConsent(*consent), bounds, signed_by, adopted_by)


def _span(days: list[int] | None) -> Span | None:
    return None if days is None else Span(*days)
