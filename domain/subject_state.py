"""Subject states: the attributes and the status of a subject on each day, without the lists inside it.

Pure folds of the facts about the subject itself. Memberships and list items are folded separately, so that an event
does not fold a large subject as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from domain.agreement import ANNOUNCED, OfParty
from domain.attributes import END_FIELDS, FIELDS, ORDER, Attributes, creation_attributes, until_of
from domain.catalogue import AGGREGATES, CATALOGUE
from domain.corrections import Fact
from domain.edtf import AFTER, BEFORE, Span, parse_edtf
from domain.membership import FOREVER, InForcePossibilities, Lifespan, MembershipPeriod, ends_before
from domain.possible_worlds import Segment, Step, evaluate, in_turn

STATUSES = {aggregate.collection: aggregate.statuses for aggregate in AGGREGATES}
"""The statuses of each collection's subjects, in their order."""

_STATUS_OF = {kind.name: kind.status for kind in CATALOGUE.values() if kind.status is not None}


def describes(fact: Fact) -> bool:
    """Return whether the fact changes an attribute or the status of the subject itself."""
    if fact.type == "agreement.signed":
        return any(getattr(fact.data, name) is not None for name in FIELDS[fact.type])
    if isinstance(fact.data, OfParty) and not fact.kind.reinstates:
        return fact.data.party is None
    return fact.type in FIELDS or fact.type in _STATUS_OF


def is_agreement_wide(fact: Fact) -> bool:
    """Return whether the fact changes every membership of its subject."""
    if fact.kind.reinstates:  # also of one party: the agreement may have ended, and others may join it again
        return fact.kind.agreement_wide
    return fact.kind.agreement_wide and not (isinstance(fact.data, OfParty) and fact.data.party is not None)


class DatedMark(NamedTuple):
    """The first event of a type: the span of its date, its position, its `occurred`, and the last day that this can
    mean.
    """

    span: Span
    position: int
    occurred: str | None = None
    latest: int = AFTER


class StatePeriod(NamedTuple):
    """A subject state over the days `since` to before `until`; `provenance` has the source events of each field."""

    valid_from: int
    valid_to: int
    status: str
    statuses: tuple[str, ...]
    is_certain: bool
    fields: Mapping[str, Any]
    provenance: Mapping[str, tuple[int, ...]]
    is_final_period: bool = False
    final_statuses: tuple[str, ...] = ()
    lapsed: bool = False


class InForcePeriod(NamedTuple):
    """The joint force of all memberships of an agreement on the days from `valid_from` to before `valid_to`.

    `default_status` is `in-force`, `suspended` or None, with each date at its earliest; `possible` are all of them.
    `position` is that of the fact behind the default status.
    """

    valid_from: int
    valid_to: int
    default_status: str | None
    possible: InForcePossibilities
    position: int | None


_ONLY_ANNOUNCED = "announced-only"
"""The step of an announcement where no adoption or signature is recorded."""


class _OwnState(NamedTuple):
    made: str | None = None
    in_force: bool = False
    suspended: bool = False
    ended: bool = False
    ends: int = 0


def state_periods(
    collection: str,
    facts: Sequence[Fact],
    marks: Mapping[str, DatedMark],
    lifespan: Lifespan,
    force: Sequence[InForcePeriod] = (),
) -> list[StatePeriod]:
    """Return the periods of a subject from its possible creation on.

    `facts` are those for which `describes` is true, in the order of folding. `marks` has the first event of each
    creating type; `force` the joint force of its memberships (agreements only), without gaps from `BEFORE` on, or
    nothing.
    """
    if len(facts) == len(marks) == 1 and not force and facts[0].creates and until_of(facts[0]) is None:
        ((name, mark),) = marks.items()
        made = _creation_days(name, mark, lifespan)
        if facts[0].span.lo <= made.lo:
            return _single_fact_periods(facts[0], name, mark, made)
    steps = []
    for name, mark in marks.items():
        lo, hi = _creation_days(name, mark, lifespan)
        what = _ONLY_ANNOUNCED if marks.keys() == {ANNOUNCED} else _STATUS_OF[name]
        steps.append(Step(what, lo, hi, (-1, name, ""), mark.position))
    reinstating = [fact for fact in facts if fact.kind.reinstates]
    names = _reinstating_names(reinstating, facts) if reinstating else {}
    for fact in facts:
        if not fact.creates and fact.type in _STATUS_OF:
            span = lifespan.end_of(fact.effective) if fact.kind.ends else lifespan.clip(fact.effective)
            name = names.get(fact.position, _STATUS_OF[fact.type])
            steps.append(Step(name, span.lo, span.hi, (fact.kind.rank, fact.source, fact.id), fact.position))
    signed = marks.get("agreement.signed")
    if signed is not None and signed.occurred is None:
        signed = None
    found = evaluate(steps, _evolve, _OwnState())
    segments = found.segments
    bounds = {segment.valid_from for segment in segments}
    bounds.update([days.valid_from for days in force])
    for fact in facts:
        bounds.add(fact.span.lo)
        lasting = until_of(fact)
        if lasting is not None:
            bounds.add(_last_day(lasting) + 1)
    ordered = sorted([day for day in bounds if day < AFTER])
    periods: list[StatePeriod] = []
    segment_at, force_at, describing = 0, 0, Attributes(facts, {mark.position for mark in marks.values()})
    for since, until in zip(ordered, [*ordered[1:], FOREVER], strict=True):
        while segment_at + 1 < len(segments) and segments[segment_at + 1].valid_from <= since:
            segment_at += 1
        while force_at + 1 < len(force) and force[force_at + 1].valid_from <= since:
            force_at += 1
        joint = force[force_at] if force else None
        days = _period(since, until, collection, segments[segment_at], joint, describing, steps, signed)
        if days is not None and reinstating and not segments[segment_at].default_state.ended:
            days = _without_end(days, collection)
        if days is None:
            continue
        if periods and periods[-1].valid_to == since and periods[-1][2:] == days[2:]:
            periods[-1] = periods[-1]._replace(valid_to=until)
        else:
            periods.append(days)
    if periods:
        last, default_status = periods[-1], force[-1].default_status if force else None
        final_statuses = {
            _with_memberships(_plain_status(collection, state), default_status) for state in found.end_states
        }
        if last.lapsed:
            final_statuses.add(last.status)
        periods[-1] = last._replace(is_final_period=True, final_statuses=_in_order(final_statuses, collection))
    return periods


def _reinstating_names(reinstating: Sequence[Fact], facts: Sequence[Fact]) -> dict[int, str]:
    """Return the names of the steps of reinstatements, by position: each tells how many ends precede it."""
    whole = [fact for fact in reinstating if not _is_of_party(fact)]
    ends = [fact.effective for fact in facts if fact.kind.ends]
    least = ends_before(whole, ends)
    names = {fact.position: f"{_STATUS_OF[fact.type]}:{least[fact.position]}" for fact in whole}
    return {fact.position: names.get(fact.position, "reopened") for fact in reinstating}


def _is_of_party(fact: Fact) -> bool:
    return isinstance(fact.data, OfParty) and fact.data.party is not None


def _without_end(days: StatePeriod, collection: str) -> StatePeriod:
    """Return a period after a reinstatement, without the attributes of the earlier end."""
    left_out = END_FIELDS[collection]
    fields = {name: value for name, value in days.fields.items() if name not in left_out}
    provenance = {name: value for name, value in days.provenance.items() if name not in left_out}
    return days._replace(fields=fields, provenance=provenance)


def _creation_days(name: str, mark: DatedMark, lifespan: Lifespan) -> Span:
    """Return the days of the first event of a creating type; an announcement may precede the creation."""
    return mark.span if name == ANNOUNCED else lifespan.clip(mark.span)


def _single_fact_periods(fact: Fact, name: str, mark: DatedMark, made: Span) -> list[StatePeriod]:
    """Return the periods of a subject with a single fact: a fast path that equals the general evaluation."""
    fields, status, sources = creation_attributes(fact), _STATUS_OF[name], (mark.position,)
    provenance = dict.fromkeys(fields, fact.positions)
    if name == "agreement.signed" and mark.occurred is not None:
        fields["signed"], provenance["signed"] = mark.occurred, sources
    provenance["status"] = sources
    days = StatePeriod(made.lo, FOREVER, status, (status,), made.lo == made.hi, fields, provenance, True, (status,))
    if days.is_certain or made.hi == AFTER:
        return [days]
    return [
        days._replace(valid_to=made.hi, is_final_period=False, final_statuses=()),
        days._replace(valid_from=made.hi, is_certain=True),
    ]


def _last_day(until: str) -> int:
    """Return the day after which an agreement may be past its `until`: its earliest day, or else its latest."""
    lo, hi = parse_edtf(until)
    return lo if lo != BEFORE else hi


def _ordered(
    fields: Mapping[str, Any], provenance: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    names = sorted(provenance, key=ORDER.__getitem__)
    return {name: fields[name] for name in names if name in fields}, {name: provenance[name] for name in names}


def _evolve(state: _OwnState, step: Step) -> _OwnState | None:
    made, in_force, suspended, ended, ends = state
    if step.name == "in-force":  # it may be dated before the signature, and holds from then on
        return _OwnState(made, True, suspended, ended, ends)
    if made is None and step.order[0] >= 0:
        return None
    name, _, least = step.name.partition(":")
    match name:
        case "suspended":
            return _OwnState(made, in_force, True, ended, ends)
        case "resumed":
            return _OwnState(made, True, False, ended, ends)
        case "terminated" | "dissolved" | "closed":
            return _OwnState(made, in_force, suspended, True, ends + 1)
        case "reinstated":
            return _OwnState(made, True, False, False, ends) if ends >= int(least) else None
        case "re-established":
            return _OwnState(made, in_force, suspended, False, ends) if ends >= int(least) else None
        case "reopened":
            return _OwnState(made, True, False, False, ends) if ended else state
        case "adopted" if made == "signed":
            return state
        case "announced" | "announced-only" if made is not None:
            return state
    return _OwnState(step.name, in_force, suspended, ended, ends)


def _plain_status(collection: str, state: _OwnState) -> str | None:
    if state.made is None:
        return None
    if state.ended:
        return STATUSES[collection][-1]
    if state.made == "announced":  # an entry into force of an earlier date holds from the adoption or signature on
        return state.made
    if state.suspended:
        return "suspended"
    return "in-force" if state.in_force else state.made.removesuffix("-only")


def _period(
    since: int,
    until: int,
    collection: str,
    segment: Segment[_OwnState],
    force: InForcePeriod | None,
    describing: Attributes,
    steps: Sequence[Step],
    signed: DatedMark | None,
) -> StatePeriod | None:
    own = _plain_status(collection, segment.default_state)
    status = _with_memberships(own, force.default_status if force else None)
    if status is None:
        return None
    may = _possible(force)
    known = {
        _with_memberships(_plain_status(collection, state), default_status)
        for state in segment.states
        for default_status in may
    }
    described, sources = describing.on(since)
    fields, provenance = {**described}, {**sources}
    if signed is not None and any(step.name == "signed" and step.lo <= since for step in steps):
        fields["signed"], provenance["signed"] = signed.occurred, (signed.position,)
    lapsed = False
    # By its own status: what memberships make of it depends on whether it has lapsed.
    if "until" in fields and own not in ("announced", "terminated") and _last_day(fields["until"]) < since:
        lapsed, status = True, "terminated"
        known.add(status)
    deciding = _status_sources(since, collection, status, steps)
    if force is not None and force.position is not None and status == force.default_status and not deciding:
        deciding = [force.position]
    if lapsed:
        deciding = list(provenance["until"])
    if deciding:
        provenance["status"] = tuple(sorted(set(deciding)))
    return StatePeriod(
        since,
        until,
        status,
        _in_order(known, collection),
        len(known) == 1 and not lapsed,
        *_ordered(fields, provenance),
        lapsed=lapsed,
    )


def _status_sources(on: int, collection: str, status: str, steps: Sequence[Step]) -> list[int]:
    """Return the facts behind the status of a subject on a day: the one that set it, and later ones that confirm it.
    Empty if its own steps give another status.
    """
    state, provenance = _OwnState(), list[int]()
    own: str | None = None
    made = min(step.lo for step in steps if step.order[0] < 0)
    for step in sorted([step._replace(lo=max(step.lo, made)) for step in steps], key=in_turn):
        following = _evolve(state, step) if step.lo <= on else None
        if following is None:
            continue
        was, own, state = own, _plain_status(collection, following), following
        if own != was:
            provenance = [step.fact]
        elif step.name == own:
            provenance.append(step.fact)
    return provenance if own == status else []


def _in_order(statuses: set[str | None], collection: str) -> tuple[str, ...]:
    return tuple([each for each in STATUSES[collection] if each in statuses])


def _with_memberships(status: str | None, default_status: str | None) -> str | None:
    return default_status if default_status is not None and status in ("announced", "adopted", "signed") else status


def _possible(force: InForcePeriod | None) -> list[str | None]:
    if force is None:
        return [None]
    in_force, suspended, neither = force.possible
    may: list[str | None] = ["in-force"] if in_force else []
    if suspended:
        may.append("suspended")
    if neither or not may:
        may.append(None)
    return may


def in_force_periods(memberships: Iterable[tuple[MembershipPeriod, int | None]]) -> list[InForcePeriod]:
    """Return the joint force of an agreement's memberships, from `BEFORE` on without gaps.

    Each membership comes with the position of the fact behind its status. Of several with the joint status the first is
    named: by day, then by the order given.
    """
    changes: dict[int, list[tuple[int, MembershipPeriod, int | None]]] = {BEFORE: []}
    for days, position in memberships:
        if days.force.in_force or days.force.suspended:
            changes.setdefault(days.valid_from, []).append((1, days, position))
            changes.setdefault(days.valid_to, []).append((-1, days, position))
    counts = dict.fromkeys(("default_status", "stopped", "must", "may", "may_stop", "must_either"), 0)
    sources: dict[str, Counter[int]] = {"in-force": Counter(), "suspended": Counter()}
    found: list[InForcePeriod] = []
    bounds = sorted(day for day in changes if day < AFTER)
    for since, until in zip(bounds, [*bounds[1:], FOREVER], strict=True):
        for sign, days, position in sorted(changes[since], key=lambda change: -change[0]):  # what goes on stays first
            counts["default_status"] += sign * (days.status == "in-force")
            counts["stopped"] += sign * (days.status == "suspended")
            counts["must"] += sign * (days.force == InForcePossibilities(True, False, False))
            counts["may"] += sign * days.force.in_force
            counts["may_stop"] += sign * days.force.suspended
            counts["must_either"] += sign * (not days.force.neither)
            if position is not None and days.status in sources:
                sources[days.status][position] += sign
                if not sources[days.status][position]:
                    del sources[days.status][position]
        default_status = "in-force" if counts["default_status"] else "suspended" if counts["stopped"] else None
        may = InForcePossibilities(
            counts["may"] > 0, not counts["must"] and counts["may_stop"] > 0, counts["must_either"] == 0
        )
        position = next(iter(sources[default_status]), None) if default_status is not None else None
        if found and found[-1][2:] == (default_status, may, position):
            found[-1] = found[-1]._replace(valid_to=until)
        else:
            found.append(InForcePeriod(since, until, default_status, may, position))
    return found
