"""The lifespan of a subject in summary: how many facts there are, the bounds of its creation and end, who signed first.

The summary is stored with the subject, so that bounds cost nothing to read, whatever its size. When a fact ends, only
the bounds that it decided are looked up among the other facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import orjson

from domain.catalogue import CATALOGUE
from domain.conflicts import MAY_FOLLOW, MAY_PRECEDE, Bounds, creation_days
from domain.corrections import Fact
from domain.edtf import Span
from domain.membership import CONSENTS, NO_CONSENT, FirstConsent

CREATING = tuple(kind.name for kind in CATALOGUE.values() if kind.is_creating)
"""The types that create their subject."""
ENDING = tuple(kind.name for kind in CATALOGUE.values() if kind.ends)
"""The types that end their subject."""
_IN_TIME = [kind for kind in CATALOGUE.values() if kind.collection is not None and kind.name != "party.merged"]
NOT_MAKING = tuple(kind.name for kind in _IN_TIME if kind.is_posted and not kind.is_creating)
NOT_ENDING = tuple(kind.name for kind in _IN_TIME if kind.is_posted and not kind.ends and kind.name not in MAY_FOLLOW)
"""The types that neither end nor merge their subject, and never lie after its end."""
FOLLOWING = frozenset(NOT_MAKING) - MAY_PRECEDE
"""The types that neither create nor merge their subject, and never lie before its creation."""


class LifespanSummary(NamedTuple):
    """The number of facts, the first consent to be bound, the bounds, and the first signature and adoption."""

    facts: int
    consent: FirstConsent
    bounds: Bounds
    signed_by: int | None
    adopted_by: int | None


NOTHING = LifespanSummary(0, NO_CONSENT, Bounds(None, None, None, None), None, None)


def summarise(facts: Iterable[Fact]) -> LifespanSummary:
    """Return the summary of some facts."""
    summary, by_position = NOTHING, {fact.position: fact for fact in facts}
    for fact in by_position.values():
        summary = extended(summary, fact, by_position.get)
    return summary


class Rest(Protocol):
    """The facts of a subject that remain once one has ended."""

    def made(self, *types: str) -> Span | None:
        """Return the earliest and latest day of the first fact of some creating types; None without one."""

    def first(self, type_: str) -> int | None:
        """Return the position of the first fact of a creating type, in the order of folding."""

    def ended(self) -> Span | None:
        """Return the same as `made` of the facts that end the subject, by the days on which they take effect."""

    def earliest_end(self) -> int:
        """Return the least latest day of the facts of `FOLLOWING`; AFTER without one."""

    def earliest_force(self) -> int:
        """Return the same of `MAY_PRECEDE`."""

    def consent(self) -> FirstConsent:
        """Return the first consent to be bound."""

    def latest_start(self) -> int:
        """Return the greatest earliest day of the facts of `NOT_ENDING`; BEFORE without one."""


def reduced(was: LifespanSummary, fact: Fact, rest: Rest) -> LifespanSummary:
    """Return a summary without a fact. It asks `rest` only for bounds that the fact may have decided."""
    facts, consent, bounds, signed_by, adopted_by = was
    made, ended, signed, adopted, makers, earliest_end, latest_start, earliest_force = bounds
    type_, span, kind = fact.type, fact.span, fact.kind
    if kind.is_creating:
        makers -= 1
        if type_ == "agreement.signed":
            signed, signed_by = rest.made(type_), rest.first(type_)
        elif type_ == "agreement.adopted":
            adopted, adopted_by = rest.made(type_), rest.first(type_)
        made = rest.made(*CREATING) if makers else None
    elif kind.ends:
        ended = rest.ended()
    elif type_ in CONSENTS:
        consent = rest.consent()
    if type_ != "party.merged":
        if not kind.ends and type_ not in MAY_FOLLOW and span.lo == latest_start:
            latest_start = rest.latest_start()
        if type_ in FOLLOWING and span.hi == earliest_end:
            earliest_end = rest.earliest_end()
        if type_ in MAY_PRECEDE and span.hi == earliest_force:
            earliest_force = rest.earliest_force()
    bounds = Bounds(made, ended, signed, adopted, makers, earliest_end, latest_start, earliest_force)
    return LifespanSummary(facts - 1, consent, bounds, signed_by, adopted_by)


def extended(was: LifespanSummary, fact: Fact, fact_at: Callable[[int], Fact | None]) -> LifespanSummary:
    """Return a summary with one more fact; `fact_at` returns the fact of a position."""
    facts, consent, bounds, signed_by, adopted_by = was
    made, ended, signed, adopted, makers, earliest_end, latest_start, earliest_force = bounds
    type_, span, kind = fact.type, fact.span, fact.kind
    if kind.is_creating:
        makers += 1
        made = _widened(made, creation_days(fact))
        if type_ == "agreement.signed":
            signed, signed_by = _widened(signed, span), _first(signed_by, fact, fact_at)
        elif type_ == "agreement.adopted":
            adopted, adopted_by = _widened(adopted, span), _first(adopted_by, fact, fact_at)
    elif kind.ends:
        ended = _widened(ended, fact.effective)
    elif type_ in CONSENTS:
        consent = consent.extended(fact.data.party, span)  # type: ignore[attr-defined]
    if type_ != "party.merged":
        if not kind.ends and type_ not in MAY_FOLLOW and span.lo > latest_start:
            latest_start = span.lo
        if type_ in FOLLOWING and span.hi < earliest_end:
            earliest_end = span.hi
        if type_ in MAY_PRECEDE and span.hi < earliest_force:
            earliest_force = span.hi
    bounds = Bounds(made, ended, signed, adopted, makers, earliest_end, latest_start, earliest_force)
    return LifespanSummary(facts + 1, consent, bounds, signed_by, adopted_by)


def encode(summary: LifespanSummary) -> bytes | None:
    """Return a summary as stored in a row; None where there are no facts."""
    facts, consent, bounds, signed_by, adopted_by = summary
    if not facts:
        return None
    made, ended, signed, adopted, makers, earliest_end, latest_start, earliest_force = bounds
    return orjson.dumps(
        (
            facts,
            makers,
            tuple(consent),
            *(made or _NO_SPAN),
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
    """Return the summary stored in a row."""
    if stored is None:
        return NOTHING
    facts, makers, consent, *spans, earliest_end, latest_start, earliest_force = orjson.loads(stored)
    made, made_until, ended, ended_until, signed, signed_until, signed_by, adopted, adopted_until, adopted_by = spans
    bounds = Bounds(
        _span(made, made_until),
        _span(ended, ended_until),
        _span(signed, signed_until),
        _span(adopted, adopted_until),
        makers,
        earliest_end,
        latest_start,
        earliest_force,
    )
    return LifespanSummary(facts, FirstConsent(*consent), bounds, signed_by, adopted_by)


_NO_SPAN = (None, None)


def _span(lo: int | None, hi: int | None) -> Span | None:
    return None if lo is None or hi is None else Span(lo, hi)


def _widened(was: Span | None, span: Span) -> Span:
    """Return the earliest and latest day of the first of two facts; `was` is None where there is one."""
    return span if was is None else Span(min(was.lo, span.lo), min(was.hi, span.hi))


def _first(was: int | None, fact: Fact, fact_at: Callable[[int], Fact | None]) -> int:
    """Return the position of the first of two facts in the order of folding."""
    first = None if was is None else fact_at(was)
    return fact.position if first is None or fact.order < first.order else first.position
