"""Lifespans: when a subject was created and when it ended, as a summary of all facts about it.

The summary is updated fact by fact and stored with the subject: reading it costs the same for a subject of any size.
When a fact is no longer current, only what that fact determined is searched for among the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from domain.agreement import ANNOUNCED
from domain.catalogue import CATALOGUE
from domain.corrections import Fact
from domain.edtf import AFTER, BEFORE, Span
from domain.membership import CONSENTS, NO_CONSENT, FirstConsent, Lifespan

MAY_PRECEDE = frozenset(("agreement.entered-into-force",))
"""Types that may be dated before the signature: an agreement may take effect earlier. Not before an adoption."""
OF_COMMITMENTS = frozenset(("agreement.commitment-made", "agreement.commitment-updated"))
"""Types that may be dated before the adoption or signature of an agreement that was announced. Not before that."""
REINSTATING = tuple(kind.name for kind in CATALOGUE.values() if kind.reinstates)
"""Types that bring back what had ended."""
MAY_FOLLOW = frozenset(("agreement.commitment-updated", *REINSTATING))
"""Types that may be dated after the end of their subject: a commitment may be met once its agreement has ended."""
CREATING = tuple(kind.name for kind in CATALOGUE.values() if kind.is_creating)
"""Types that create their subject."""
_CREATING_BUT_ANNOUNCING = tuple(name for name in CREATING if name != ANNOUNCED)
ENDING = tuple(kind.name for kind in CATALOGUE.values() if kind.ends)
"""Types that end their subject."""
_DATED = [kind for kind in CATALOGUE.values() if kind.collection is not None and kind.name != "party.merged"]
NOT_CREATING = tuple(kind.name for kind in _DATED if kind.is_posted and not kind.is_creating)
"""Types that neither create nor merge their subject."""
NOT_ENDING = tuple(kind.name for kind in _DATED if kind.is_posted and not kind.ends and kind.name not in MAY_FOLLOW)
"""Types that neither end nor merge their subject, and never lie after its end."""
FOLLOWING = frozenset(NOT_CREATING) - MAY_PRECEDE - OF_COMMITMENTS
"""Types that neither create nor merge their subject, and never lie before its creation."""
ALWAYS = Span(BEFORE, BEFORE)
"""The creation of a subject that has existed always."""


class Bounds(NamedTuple):
    """A summary of the days of all facts about one subject, for the rules.

    A span bounds the first fact of its kind: it begins with the least first day of these facts and ends with their
    least last day, by which one has certainly happened. It is None if there is no such fact.

    `created` is that of the creating events without announcements, `announced` that of announcements.
    `ended`, `signed` and `adopted` are those of the ends, the signatures and the adoptions.
    `creations` is the number of creating events, `announcements` of announcements among them.
    `earliest_end` is the least last day of the facts that cannot precede a creation.
    `earliest_force` is that of facts that may precede a signature, `earliest_commitment` of those that an announcement
    allows before it.
    `latest_start` is the greatest first day of the facts that cannot follow an end.
    `latest_reinstatement` is the greatest last day of the reinstatements, of the subject or a membership.
    """

    created: Span | None
    ended: Span | None
    signed: Span | None
    adopted: Span | None
    announced: Span | None = None
    creations: int = 0
    announcements: int = 0
    earliest_end: int = AFTER
    latest_start: int = BEFORE
    earliest_force: int = AFTER
    earliest_commitment: int = AFTER
    latest_reinstatement: int = BEFORE

    @property
    def created_by(self) -> int:
        """The day by which the subject exists: the least of the latest days of the facts that cannot precede it."""
        force = AFTER if self.adopted is None else self.earliest_force
        commitment = AFTER if self.announced is not None else self.earliest_commitment
        return min(self.earliest_end, force, commitment)

    @property
    def known_from(self) -> int:
        """The earliest day of a creating event, announcements included; `BEFORE` if there is none."""
        spans = [span for span in (self.created, self.announced) if span is not None]
        return min([span.lo for span in spans], default=BEFORE)


class LifespanSummary(NamedTuple):
    """The number of facts about a subject, the days of the first consent to be bound, the bounds, and the positions of
    the first signature and the first adoption.
    """

    facts: int
    consent: FirstConsent
    bounds: Bounds
    signed_by: int | None
    adopted_by: int | None

    @property
    def exists(self) -> bool:
        """Whether any current fact creates the subject."""
        return self.bounds.creations > 0


NO_FACTS = LifespanSummary(0, NO_CONSENT, Bounds(None, None, None, None), None, None)
"""The summary of a subject without facts."""


def lifespan_of(bounds: Bounds) -> Lifespan:
    """Return the lifespan of a subject, without possible days that contradict the rules."""
    announced = bounds.announced
    if bounds.created is None and announced is None:
        return Lifespan(ALWAYS)
    if announced is not None and (bounds.created is None or bounds.earliest_commitment < bounds.created.lo):
        announced = Span(announced.lo, max(announced.lo, min(announced.hi, bounds.earliest_commitment)))
    if bounds.created is None:
        creation = ALWAYS
    elif bounds.adopted is not None and bounds.signed is not None:
        adopted, signed = order_creations(bounds.adopted, bounds.signed)
        creation = Span(min(adopted.lo, signed.lo), min(adopted.hi, signed.hi))
    else:
        creation = bounds.created
    if bounds.created is not None:
        creation = Span(creation.lo, max(creation.lo, min(creation.hi, bounds.created_by)))
    end = bounds.ended
    if end is not None and BEFORE < bounds.latest_reinstatement >= end.lo:
        end = None
    if end is not None:
        lo = max(end.lo, creation.lo)
        end = Span(min(max(lo, bounds.latest_start), end.hi), end.hi)
    is_signed = bounds.signed is not None and bounds.adopted is None
    return Lifespan(
        creation,
        end,
        has_single_creation=bounds.creations - bounds.announcements == 1,
        is_created_by_signature=is_signed,
        announced=announced,
    )


def order_creations(adopted: Span, signed: Span) -> tuple[Span, Span]:
    """Return both spans such that the adoption is not after the signature, if their dates allow this order."""
    if adopted.lo <= signed.hi:
        return Span(adopted.lo, min(adopted.hi, signed.hi)), Span(max(signed.lo, adopted.lo), signed.hi)
    return adopted, signed


def creation_days(fact: Fact) -> Span:
    """Return the days on which a creating event may have created its subject.

    A party or document registered without a date has existed always.
    """
    return ALWAYS if fact.occurred is None and fact.kind.collection in ("parties", "documents") else fact.span


def merge_lifespans(all_bounds: Sequence[Bounds]) -> Bounds:
    """Return the bounds of merged subjects; a dated creation precedes an undated one."""
    first = all_bounds[0]
    if len(all_bounds) == 1:
        return first
    created = [bounds.created for bounds in all_bounds if bounds.created is not None]
    dated = [span for span in created if span.lo != BEFORE] or created
    ended = [bounds.ended for bounds in all_bounds if bounds.ended is not None]
    return Bounds(
        Span(min(span.lo for span in dated), min(span.hi for span in dated)) if dated else None,
        Span(min(span.lo for span in ended), min(span.hi for span in ended)) if ended else None,
        first.signed,
        first.adopted,
        creations=sum(bounds.creations for bounds in all_bounds),
        earliest_end=min(bounds.earliest_end for bounds in all_bounds),
        latest_start=max(bounds.latest_start for bounds in all_bounds),
        earliest_force=min(bounds.earliest_force for bounds in all_bounds),
        latest_reinstatement=max(bounds.latest_reinstatement for bounds in all_bounds),
    )


class RemainingFacts(Protocol):
    """The facts about a subject without one that is no longer current."""

    def created(self, *types: str) -> Span | None:
        """Return the earliest and the latest day of the first fact of some creating types; None without one."""

    def first(self, type_: str) -> int | None:
        """Return the position of the first fact of a creating type, in the order of folding."""

    def ended(self) -> Span | None:
        """Return the earliest and the latest day on which the first end takes effect; None without one."""

    def first_end(self, types: Iterable[str]) -> int:
        """Return the first latest day of any fact of some types; AFTER without one."""

    def latest_reinstatement(self) -> int:
        """Return the last latest day of any fact of `REINSTATING`; BEFORE without one."""

    def consent(self) -> FirstConsent:
        """Return the first consent to be bound."""

    def latest_start(self) -> int:
        """Return the last earliest day of any fact of `NOT_ENDING`; BEFORE without one."""


def summarise(facts: Iterable[Fact]) -> LifespanSummary:
    """Return the summary of some facts."""
    summary, by_position = NO_FACTS, {fact.position: fact for fact in facts}
    for fact in by_position.values():
        summary = with_fact(summary, fact, by_position.get)
    return summary


def without_fact(summary: LifespanSummary, fact: Fact, rest: RemainingFacts) -> LifespanSummary:
    """Return a summary without one of its facts. It asks `rest` only for what that fact may have determined."""
    facts, consent, bounds, signed_by, adopted_by = summary
    type_, span, kind = fact.type, fact.span, fact.kind
    if type_ == ANNOUNCED:
        bounds = bounds._replace(
            creations=bounds.creations - 1, announcements=bounds.announcements - 1, announced=rest.created(type_)
        )
    elif kind.is_creating:
        creations = bounds.creations - 1
        created = rest.created(*_CREATING_BUT_ANNOUNCING) if creations > bounds.announcements else None
        bounds = bounds._replace(creations=creations, created=created)
        if type_ == "agreement.signed":
            bounds, signed_by = bounds._replace(signed=rest.created(type_)), rest.first(type_)
        elif type_ == "agreement.adopted":
            bounds, adopted_by = bounds._replace(adopted=rest.created(type_)), rest.first(type_)
    elif kind.ends:
        bounds = bounds._replace(ended=rest.ended())
    elif kind.reinstates:
        bounds = bounds._replace(latest_reinstatement=rest.latest_reinstatement())
    elif type_ in CONSENTS:
        consent = rest.consent()
    if type_ != "party.merged":
        if not kind.ends and type_ not in MAY_FOLLOW and span.lo == bounds.latest_start:
            bounds = bounds._replace(latest_start=rest.latest_start())
        if type_ in FOLLOWING and span.hi == bounds.earliest_end:
            bounds = bounds._replace(earliest_end=rest.first_end(FOLLOWING))
        if type_ in MAY_PRECEDE and span.hi == bounds.earliest_force:
            bounds = bounds._replace(earliest_force=rest.first_end(MAY_PRECEDE))
        if type_ in OF_COMMITMENTS and span.hi == bounds.earliest_commitment:
            bounds = bounds._replace(earliest_commitment=rest.first_end(OF_COMMITMENTS))
    return LifespanSummary(facts - 1, consent, bounds, signed_by, adopted_by)


def with_fact(summary: LifespanSummary, fact: Fact, fact_at: Callable[[int], Fact | None]) -> LifespanSummary:
    """Return a summary with one more fact; `fact_at` returns the fact at a position."""
    facts, consent, bounds, signed_by, adopted_by = summary
    created, ended, signed, adopted, announced, creations, announcements = bounds[:7]
    earliest_end, latest_start, earliest_force, earliest_commitment, latest_reinstatement = bounds[7:]
    type_, span, kind = fact.type, fact.span, fact.kind
    if type_ == ANNOUNCED:
        creations, announcements, announced = creations + 1, announcements + 1, _first_span(announced, span)
    elif kind.is_creating:
        creations += 1
        created = _first_span(created, creation_days(fact))
        if type_ == "agreement.signed":
            signed, signed_by = _first_span(signed, span), _first_position(signed_by, fact, fact_at)
        elif type_ == "agreement.adopted":
            adopted, adopted_by = _first_span(adopted, span), _first_position(adopted_by, fact, fact_at)
    elif kind.ends:
        ended = _first_span(ended, fact.effective)
    elif kind.reinstates:
        latest_reinstatement = max(latest_reinstatement, span.hi)
    elif type_ in CONSENTS:
        consent = consent.extended(fact.data.party, span)  # type: ignore[attr-defined]
    if type_ != "party.merged":
        if not kind.ends and type_ not in MAY_FOLLOW and span.lo > latest_start:
            latest_start = span.lo
        if type_ in FOLLOWING and span.hi < earliest_end:
            earliest_end = span.hi
        if type_ in MAY_PRECEDE and span.hi < earliest_force:
            earliest_force = span.hi
        if type_ in OF_COMMITMENTS and span.hi < earliest_commitment:
            earliest_commitment = span.hi
    bounds = Bounds(
        *(created, ended, signed, adopted, announced, creations, announcements),
        *(earliest_end, latest_start, earliest_force, earliest_commitment, latest_reinstatement),
    )
    return LifespanSummary(facts + 1, consent, bounds, signed_by, adopted_by)


def _first_span(former: Span | None, span: Span) -> Span:
    """Return the earliest and the latest day of the first of several events, after one more."""
    return span if former is None else Span(min(former.lo, span.lo), min(former.hi, span.hi))


def _first_position(former: int | None, fact: Fact, fact_at: Callable[[int], Fact | None]) -> int:
    """Return which of two facts, by position, comes first in the order of folding."""
    first = None if former is None else fact_at(former)
    return fact.position if first is None or fact.order < first.order else first.position
