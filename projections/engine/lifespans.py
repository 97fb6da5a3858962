"""A subject's life summed up, one fact at a time: how many there are, when they made and ended it, who signed first.

It is kept with the subject, so that bounds cost nothing to read, whatever its size. When a fact is no longer believed,
only what that fact decided is looked for among the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import orjson

from domain.catalogue import CATALOGUE
from domain.conflicts import MAY_FOLLOW, MAY_PRECEDE, Bounds, made_in
from domain.corrections import Fact
from domain.edtf import Span
from domain.membership import CONSENTS, NO_CONSENT, FirstConsent

CREATING = tuple(kind.name for kind in CATALOGUE.values() if kind.is_creating)
"""Types that make their subject."""
ENDING = tuple(kind.name for kind in CATALOGUE.values() if kind.ends)
"""Types that end their subject."""
_IN_TIME = [kind for kind in CATALOGUE.values() if kind.collection is not None and kind.name != "party.merged"]
NOT_MAKING = tuple(kind.name for kind in _IN_TIME if kind.is_posted and not kind.is_creating)
NOT_ENDING = tuple(kind.name for kind in _IN_TIME if kind.is_posted and not kind.ends and kind.name not in MAY_FOLLOW)
"""Types that neither end nor merge their subject, and never lie after its end."""
FOLLOWING = frozenset(NOT_MAKING) - MAY_PRECEDE
"""Types that neither make nor merge their subject, and never lie before it came about."""


class LifespanSummary(NamedTuple):
    """How many facts there are, and when the first of them consents to be bound; their bounds; who first signed, who
    adopted, by position."""

    facts: int
    consent: FirstConsent
    bounds: Bounds
    signed_by: int | None
    adopted_by: int | None


NOTHING = LifespanSummary(0, NO_CONSENT, Bounds(None, None, None, None), None, None)


def recounted(facts: Iterable[Fact]) -> LifespanSummary:
    """The life that these facts amount to."""
    lived, by_position = NOTHING, {fact.position: fact for fact in facts}
    for fact in by_position.values():
        lived = extended(lived, fact, by_position.get)
    return lived


class Rest(Protocol):
    """The facts of a subject that remain once one is gone."""

    def made(self, *types: str) -> Span | None:
        """The earliest day on which the first fact of some making types may fall, and the latest; None without one."""

    def first(self, type_: str) -> int | None:
        """The position of the first fact of a making type, in the order of folding."""

    def ended(self) -> Span | None:
        """The same as `made` of the facts that end the subject, by the days on which they take effect."""

    def earliest_end(self) -> int:
        """The first latest day of any fact of `FOLLOWING`; AFTER without one."""

    def earliest_force(self) -> int:
        """The same of `MAY_PRECEDE`."""

    def consent(self) -> FirstConsent:
        """When the first consent to be bound falls."""

    def latest_start(self) -> int:
        """The last earliest day of any fact of `NOT_ENDING`; BEFORE without one."""


def reduced(was: LifespanSummary, fact: Fact, rest: Rest) -> LifespanSummary:
    """A life with one fact fewer. It asks `rest` only for what that fact may have decided."""
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


def extended(was: LifespanSummary, fact: Fact, known: Callable[[int], Fact | None]) -> LifespanSummary:
    """A life with one fact more; `known` gives the fact of a position."""
    facts, consent, bounds, signed_by, adopted_by = was
    made, ended, signed, adopted, makers, earliest_end, latest_start, earliest_force = bounds
    type_, span, kind = fact.type, fact.span, fact.kind
    if kind.is_creating:
        makers += 1
        made = _widened(made, made_in(fact))
        if type_ == "agreement.signed":
            signed, signed_by = _widened(signed, span), _first(signed_by, fact, known)
        elif type_ == "agreement.adopted":
            adopted, adopted_by = _widened(adopted, span), _first(adopted_by, fact, known)
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


def write(lived: LifespanSummary) -> bytes | None:
    """A life as it is kept in a row; None where there are no facts."""
    facts, consent, bounds, signed_by, adopted_by = lived
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


def read(stored: bytes | None) -> LifespanSummary:
    """The life that a row keeps."""
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
    """The earliest day on which the first of some things may fall, and the latest."""
    return span if was is None else Span(min(was.lo, span.lo), min(was.hi, span.hi))


def _first(was: int | None, fact: Fact, known: Callable[[int], Fact | None]) -> int:
    """Which of two facts, by position, comes first in the order of folding."""
    first = None if was is None else known(was)
    return fact.position if first is None or fact.order < first.order else first.position
