"""Things: what a subject is on each day, its describing fields and its status, without the lists that belong to it.

Pure folds of the facts that describe the subject itself. Ties and list entries are folded on their own, so that a
subject with very many of them is not folded whole at every event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from domain.events import Makes, OfParty, TakesEffect
from domain.facts import Fact
from domain.readings import Cell, Step, sweep
from domain.ties import FOREVER, Force, Life, TieDays
from domain.times import AFTER, BEFORE, Span, parse_edtf

DATES = {
    "party.dissolved": "dissolved",
    "agreement.adopted": "adopted",
    "agreement.entered-into-force": "entered_into_force",
    "agreement.terminated": "terminated",
    "lab.founded": "founded",
    "lab.opened": "opened",
    "lab.closed": "closed",
    "platform.launched": "launched",
    "platform.dissolved": "dissolved",
}
"""The field in which each type shows when it came about."""

TEXTS = frozenset(("name", "title", "summary", "place", "purpose", "target"))
"""Fields in which what is undated never overrides what is dated."""

REFERENCES = frozenset(("part_of", "under", "superseded_by"))
REFERENCE_LISTS = frozenset(("successors", "convened_by"))

FIELDS: dict[str, tuple[str, ...]] = {
    "party.registered": ("name", "kind", "jurisdiction", "part_of"),
    "party.renamed": ("name",),
    "party.reorganized": ("part_of",),
    "party.dissolved": ("successors",),
    "agreement.adopted": ("title", "kind", "under", "scope", "place", "summary", "until"),
    "agreement.signed": ("title", "kind", "under", "scope", "place", "summary", "until"),
    "agreement.amended": ("title", "until", "scope_added", "scope_removed"),
    "agreement.renewed": ("until",),
    "agreement.terminated": ("reason", "superseded_by"),
    "lab.founded": ("name", "under", "place", "fields"),
    "platform.launched": (
        "name",
        "place",
        "purpose",
        "directions",
        "convened_by",
        "target",
        "target_date",
    ),
    "document.registered": ("title", "sha256", "publisher", "language", "published", "url", "original"),
}
"""The fields of the thing itself that each type says something about."""

_ORDER = {
    name: place
    for place, name in enumerate(
        dict.fromkeys(
            ("name", "title", *(name for each in FIELDS.values() for name in each), *DATES.values(), "signed", "status")
        )
    )
}
"""The order in which fields stand in a state, whichever fact came first."""

WHOLE_TYPES = (
    "agreement.entered-into-force",
    "agreement.provisionally-applied",
    "agreement.suspended",
    "agreement.resumed",
    "agreement.terminated",
    "lab.closed",
    "platform.dissolved",
)
"""Types that, where they name no party, bear on every tie of the subject."""

STATUSES: dict[str, tuple[str, ...]] = {
    "parties": ("registered", "dissolved"),
    "agreements": ("adopted", "signed", "in-force", "suspended", "terminated"),
    "labs": ("founded", "operating", "closed"),
    "platforms": ("launched", "dissolved"),
    "documents": ("registered",),
}

_STATUS_OF = {
    "party.registered": "registered",
    "party.dissolved": "dissolved",
    "lab.founded": "founded",
    "lab.opened": "operating",
    "lab.closed": "closed",
    "platform.launched": "launched",
    "platform.dissolved": "dissolved",
    "document.registered": "registered",
    "agreement.adopted": "adopted",
    "agreement.signed": "signed",
    "agreement.entered-into-force": "in-force",
    "agreement.suspended": "suspended",
    "agreement.resumed": "resumed",
    "agreement.terminated": "terminated",
}


def describes(fact: Fact) -> bool:
    """Whether the fact says something about the thing itself, beside what it makes or ties."""
    if fact.type == "agreement.signed":
        return any(getattr(fact.data, name) is not None for name in FIELDS[fact.type])
    if isinstance(fact.data, OfParty):
        return fact.data.party is None
    return fact.type in FIELDS or fact.type in _STATUS_OF


def bears_on_all(fact: Fact) -> bool:
    """Whether the fact bears on every tie of its subject."""
    return fact.type in WHOLE_TYPES and not (isinstance(fact.data, OfParty) and fact.data.party is not None)


class Mark(NamedTuple):
    """The first time something of a type happened, over all facts of that type: bounds and the event that bears it."""

    span: Span
    position: int
    occurred: str | None = None


class ThingDays(NamedTuple):
    """A thing over the days `since` to before `until`; `bearing` names for each field the positions behind it."""

    since: int
    until: int
    status: str
    statuses: tuple[str, ...]
    certain: bool
    fields: Mapping[str, Any]
    bearing: Mapping[str, tuple[int, ...]]
    last: bool = False
    ever: tuple[str, ...] = ()
    lapsed: bool = False


class ForceDays(NamedTuple):
    """What all ties of an agreement together say of its force over some days."""

    since: int
    until: int
    likely: str | None
    may: Force
    position: int | None


class _Whole(NamedTuple):
    made: str | None = None
    in_force: bool = False
    suspended: bool = False
    ended: bool = False


def thing_days(
    collection: str,
    facts: Sequence[Fact],
    marks: Mapping[str, Mark],
    life: Life,
    force: Sequence[ForceDays] = (),
) -> list[ThingDays]:
    """The thing over all days on which it may have come about.

    `facts` are those for which `describes` holds, in the order of folding. `marks` gives the first time of each type
    that makes the subject; `force` what its ties say (agreements only), without gaps from `BEFORE` on.
    """
    steps = [
        Step(_STATUS_OF[name], *_clipped(mark.span, life), (-1, name, ""), mark.position)
        for name, mark in marks.items()
    ]
    for fact in facts:
        if not fact.makes and fact.type in _STATUS_OF:
            span = life.end_of(fact.effective) if fact.kind.ends else life.clip(fact.effective)
            steps.append(
                Step(_STATUS_OF[fact.type], span.lo, span.hi, (fact.kind.rank, fact.source, fact.id), fact.position)
            )
    first_signature = marks["agreement.signed"].occurred if "agreement.signed" in marks else None
    found = sweep(steps, _take, _Whole())
    cells = found.cells
    bounds = {cell.since for cell in cells}
    bounds.update(days.since for days in force)
    bounds.update(fact.span.lo for fact in facts)
    for fact in facts:
        until = fact.data.until if "until" in FIELDS.get(fact.type, ()) else None  # type: ignore[attr-defined]
        if until is not None and (lo := parse_edtf(until).lo) != BEFORE:
            bounds.add(lo + 1)
    ordered = sorted(day for day in bounds if day < AFTER)
    ranges: list[ThingDays] = []
    cell_at, force_at, describing = 0, 0, Describing(facts)
    for since, until in zip(ordered, [*ordered[1:], FOREVER], strict=True):
        while cell_at + 1 < len(cells) and cells[cell_at + 1].since <= since:
            cell_at += 1
        while force_at + 1 < len(force) and force[force_at + 1].since <= since:
            force_at += 1
        joint = force[force_at] if force else None
        days = _range(since, until, collection, cells[cell_at], joint, describing, steps, first_signature)
        if days is None:
            continue
        if ranges and ranges[-1].until == since and ranges[-1]._replace(since=since, until=until) == days:
            ranges[-1] = ranges[-1]._replace(until=until)
        else:
            ranges.append(days)
    if ranges:
        last, likely = ranges[-1], force[-1].likely if force else None
        ever = {_with_ties(_plain_status(collection, state), likely) for state in found.final}
        if last.lapsed:
            ever.add(last.status)
        ranges[-1] = last._replace(last=True, ever=tuple(each for each in STATUSES[collection] if each in ever))
    return ranges


def _clipped(span: Span, life: Life) -> tuple[int, int]:
    clipped = life.clip(span)
    return clipped.lo, clipped.hi


def _take(state: _Whole, step: Step) -> _Whole | None:
    if state.made is None and step.order[0] >= 0:
        return None
    match step.what:
        case "in-force":
            return state._replace(in_force=True)
        case "suspended":
            return state._replace(suspended=True)
        case "resumed":
            return state._replace(suspended=False, in_force=True)
        case "terminated" | "dissolved" | "closed":
            return state._replace(ended=True)
        case "adopted" if state.made == "signed":
            return state
    return state._replace(made=step.what)


def _plain_status(collection: str, state: _Whole) -> str | None:
    if state.made is None:
        return None
    if state.ended:
        return STATUSES[collection][-1]
    if state.suspended:
        return "suspended"
    return "in-force" if state.in_force else state.made


def _range(
    since: int,
    until: int,
    collection: str,
    cell: Cell[_Whole],
    force: ForceDays | None,
    describing: Describing,
    steps: Sequence[Step],
    first_signature: str | None,
) -> ThingDays | None:
    status = _with_ties(_plain_status(collection, cell.earliest), force.likely if force else None)
    if status is None:
        return None
    may = _possible(force)
    known = {_with_ties(_plain_status(collection, state), likely) for state in cell.states for likely in may}
    fields, bearing = describing.on(since)
    signed = next((step for step in steps if step.what == "signed"), None)
    if first_signature is not None and signed is not None and signed.lo <= since:
        fields["signed"], bearing["signed"] = first_signature, (signed.fact,)
    lapsed = False
    if "until" in fields and status != "terminated" and BEFORE < parse_edtf(fields["until"]).lo < since:
        lapsed, status = True, "terminated"
        known.add(status)
    deciding = [step.fact for step in steps if step.lo <= since and _STATUS_BEARERS.get(status) == step.what]
    if force is not None and force.position is not None and status == force.likely and not deciding:
        deciding = [force.position]
    if lapsed:
        deciding = list(bearing["until"])
    if deciding:
        bearing["status"] = tuple(sorted(set(deciding)))
    order = STATUSES[collection]
    return ThingDays(
        since,
        until,
        status,
        tuple(each for each in order if each in known),
        len(known) == 1 and not lapsed,
        fields={name: fields[name] for name in sorted(fields, key=_ORDER.__getitem__)},
        bearing={name: bearing[name] for name in sorted(bearing, key=_ORDER.__getitem__)},
        lapsed=lapsed,
    )


_STATUS_BEARERS = {status: status for status in _STATUS_OF.values()}


def _with_ties(status: str | None, likely: str | None) -> str | None:
    return likely if likely is not None and status in ("adopted", "signed") else status


def _possible(force: ForceDays | None) -> list[str | None]:
    if force is None:
        return [None]
    may: list[str | None] = []
    if force.may.in_force:
        may.append("in-force")
    if force.may.suspended:
        may.append("suspended")
    if force.may.neither or not may:
        may.append(None)
    return may


class Describing:
    """The fields that facts describe, day after day. The facts are in the order of folding: those that make the thing,
    then those of others by their first day, undated ones last.
    """

    def __init__(self, facts: Sequence[Fact]) -> None:
        self._making = [fact for fact in facts if fact.makes]
        others = facts[len(self._making) :]
        self._dated = [fact for fact in others if fact.is_dated]
        self._undated = [fact for fact in others if not fact.is_dated]
        self._earlier: tuple[bool, ...] | None = None
        self._taken = 0
        self._so_far = _Described()

    def on(self, day: int) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
        """The fields on a day and the positions that bear each. Days are asked in ascending order."""
        earlier = tuple([fact.span.lo <= day or fact.kind.makes is Makes.ONCE for fact in self._making])
        if earlier != self._earlier:
            self._earlier, self._taken, self._so_far = earlier, 0, _Described()
            for fact, is_earlier in zip(self._making, earlier, strict=True):
                self._so_far.take(fact, later=not is_earlier)
        while self._taken < len(self._dated) and self._dated[self._taken].span.lo <= day:
            self._so_far.take(self._dated[self._taken], later=False)
            self._taken += 1
        found = self._so_far.copy()
        for fact in self._undated:
            found.take(fact, later=False)
        return found.fields, found.bearing


class _Described:
    """What some facts describe, one fact after the other."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.bearing: dict[str, tuple[int, ...]] = {}
        self._dated: set[str] = set()

    def copy(self) -> _Described:
        copied = _Described()
        copied.fields, copied.bearing, copied._dated = self.fields.copy(), self.bearing.copy(), self._dated.copy()
        return copied

    def take(self, fact: Fact, *, later: bool) -> None:
        """Add what a fact says. A `later` signature changes nothing before its day, but nothing is ever without title
        and kind.
        """
        fields, bearing, is_dated = self.fields, self.bearing, fact.is_dated
        if (date := DATES.get(fact.type)) is not None:
            when = fact.data.effective if isinstance(fact.data, TakesEffect) else None
            when = when or fact.occurred
            if when is not None and date not in fields and not later:
                fields[date], bearing[date] = when, fact.positions
        for stated in FIELDS.get(fact.type, ()):
            value = getattr(fact.data, stated)
            name = "scope" if stated in _SCOPES else stated
            if later and (name not in _ALWAYS or name in fields):
                continue
            if value is None:
                if (fact.type, name) in _ENDED_BY_NONE:
                    fields.pop(name, None)
                    bearing[name] = fact.positions
                continue
            if stated in _SCOPES:
                fields[name] = _SCOPES[stated](fields.get(name, ()), value)
            elif name in TEXTS and name in self._dated and not is_dated:
                continue
            else:
                fields[name] = _plain(name, value)
                bearing.pop(name, None)
            if is_dated:
                self._dated.add(name)
            bearing[name] = tuple(sorted({*bearing.get(name, ()), *fact.positions}))


def _added(terms: Sequence[Any], more: Sequence[Any]) -> list[Any]:
    return [*terms, *(term for term in more if term not in terms)]


def _removed(terms: Sequence[Any], gone: Sequence[Any]) -> list[Any]:
    return [term for term in terms if term not in gone]


_SCOPES = {"scope": _added, "scope_added": _added, "scope_removed": _removed}
_ALWAYS = frozenset(("title", "kind"))
_ENDED_BY_NONE = frozenset((("agreement.renewed", "until"), ("party.reorganized", "part_of")))
"""Where leaving a field out, or null, says that it holds no longer."""


def _plain(name: str, value: Any) -> Any:
    if name in REFERENCES:
        return {"subject": value}
    if name in REFERENCE_LISTS:
        return [{"subject": each} for each in value]
    if isinstance(value, tuple):
        return list(value)
    return value.model_dump() if hasattr(value, "model_dump") else value


def force_days(ties: Iterable[tuple[TieDays, int | None]]) -> list[ForceDays]:
    """What the ties of an agreement together say of its force, from `BEFORE` on without gaps.

    Each tie comes with the position of a fact that bears its status.
    """
    changes: dict[int, list[tuple[int, TieDays, int | None]]] = {BEFORE: []}
    for days, position in ties:
        if days.force.in_force or days.force.suspended:
            changes.setdefault(days.since, []).append((1, days, position))
            changes.setdefault(days.until, []).append((-1, days, position))
    counts = dict.fromkeys(("likely", "stopped", "must", "may", "may_stop", "must_either"), 0)
    bearers: dict[int, int] = {}
    found: list[ForceDays] = []
    bounds = sorted(day for day in changes if day < AFTER)
    for since, until in zip(bounds, [*bounds[1:], FOREVER], strict=True):
        for sign, days, position in changes[since]:
            counts["likely"] += sign * (days.status == "in-force")
            counts["stopped"] += sign * (days.status == "suspended")
            counts["must"] += sign * (days.force == Force(True, False, False))
            counts["may"] += sign * days.force.in_force
            counts["may_stop"] += sign * days.force.suspended
            counts["must_either"] += sign * (not days.force.neither)
            if position is not None and days.status in ("in-force", "suspended"):
                bearers[position] = bearers.get(position, 0) + sign
                if not bearers[position]:
                    del bearers[position]
        likely = "in-force" if counts["likely"] else "suspended" if counts["stopped"] else None
        may = Force(counts["may"] > 0, not counts["must"] and counts["may_stop"] > 0, counts["must_either"] == 0)
        position = next(iter(bearers), None)
        if found and (found[-1].likely, found[-1].may) == (likely, may):
            found[-1] = found[-1]._replace(until=until)
        else:
            found.append(ForceDays(since, until, likely, may, position))
    return found
