"""Items of the lists inside a state, each folded from its own few facts: commitments, phases, calls, supporters,
adopted documents, declarations, amendments, names and identifiers.

The fields of an item are a typed dictionary, which mypy and the API document read. A field that is None is left out
of the item. A field without a sentence of its own takes that of the field of the same name in the data of its events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from typing_extensions import TypedDict

from domain.agreement import COMMITMENTS, DECLARATIONS, objection_tag
from domain.commitment import Amount, CommitmentKind
from domain.corrections import Fact
from domain.declaration import DeclarationKind, DeclarationMade
from domain.edtf import Span
from domain.event_type import Creates
from domain.lab import CALLS, PHASE_TYPES, PHASES_TAG, Vacancies, all_after
from domain.membership import FOREVER, Lifespan
from domain.payload import Count, Position, Record
from domain.possible_worlds import Evaluation, Step, evaluate
from domain.values import Edtf, LongText, Reference, Slug, Text


class ItemPeriod(NamedTuple):
    """A list item on the days from `valid_from` to before `valid_to`.

    `statuses` are the possible statuses on these days; `is_certain` says that there is only one.
    `is_final_period` marks the last period, `final_statuses` are the possible last statuses.
    `value` is JSON-ready, with the positions of its source events in `events`.
    """

    valid_from: int
    valid_to: int
    status: str | None
    statuses: tuple[str, ...]
    is_certain: bool
    is_final_period: bool
    final_statuses: tuple[str, ...]
    value: Mapping[str, Any]


COMMITMENT_STATUSES = ("planned", "in-progress", "fulfilled", "breached", "cancelled")
PHASE_STATUSES = ("planned", "started", "completed")
CALL_STATUSES = ("open", "closed")
DECLARATION_STATUSES = ("made", "withdrawn")
STATUS_ORDER = COMMITMENT_STATUSES + PHASE_STATUSES[1:] + CALL_STATUSES + DECLARATION_STATUSES


_OPENED = {
    type_: items for items in (COMMITMENTS, DECLARATIONS, CALLS) for type_ in (items.opened_by, items.changed_by)
}


def item_tags(fact: Fact) -> list[str]:
    """Return the tags of the list items of its subject that a fact opens or changes."""
    items = _OPENED.get(fact.type)
    if items is None:
        return [PHASES_TAG] if fact.type in PHASE_TYPES else []
    if isinstance(fact.data, DeclarationMade) and fact.data.about is not None:
        return [items.tag(fact), objection_tag(fact.data.about)]
    return [items.tag(fact)]


_CommitmentItem = TypedDict(  # in this form for the keyword `with`
    "_CommitmentItem",
    {
        "commitment": Slug,
        "kind": CommitmentKind,
        "title": Text,
        "by": list[Reference] | None,
        "with": list[Reference] | None,
        "place": Text | None,
        "due": Edtf | None,
        "amount": Amount | None,
        "made": Annotated[Edtf | None, Field(description="When it was made.")],
    },
)


class CommitmentItem(_CommitmentItem):
    """A commitment of an agreement."""


class CallItem(TypedDict):
    """A recruitment call of a lab."""

    call: Slug
    role: Text
    positions: Vacancies | None
    fields: list[Text] | None
    place: Text | None
    opened: Annotated[Edtf | None, Field(description="When it was opened.")]
    closed: Annotated[Edtf | None, Field(description="When it was closed.")]
    hired: Count | None


class PhaseItem(TypedDict):
    """A phase of a lab."""

    phase: Slug
    title: Text | None
    duration: str | None
    after: list[Slug] | None
    waits_for: Annotated[list[Slug] | None, Field(description="The phases that must still be completed before it.")]
    started: Annotated[Edtf | None, Field(description="When it started.")]
    completed: Annotated[Edtf | None, Field(description="When it was completed.")]


class DeclarationItem(TypedDict):
    """A reservation, declaration or objection of a party to an agreement."""

    event: Annotated[Position, Field(description="The position of the event that made it.")]
    party: Reference
    kind: DeclarationKind
    text: LongText | None
    provision: Text | None
    about: Position | None
    territory: Text | None
    made: Annotated[Edtf | None, Field(description="When it was made.")]
    withdrawn: Annotated[Edtf | None, Field(description="When it was withdrawn.")]


_NOT_YET = ""
"""The state before the opening. It is not None, by which a state machine refuses a step."""


def _evolve(state: str, step: Step) -> str | None:
    """Return the status after a step: an opening, then changes. A completed phase does not start again."""
    if step.name.startswith("="):
        return step.name.removeprefix("=")
    if state == _NOT_YET:
        return None
    return state if (state, step.name) == ("completed", "started") else step.name


def _evaluate(
    opening: Fact,
    status: str,
    changes: Sequence[tuple[Fact, str]],
    lifespan: Lifespan,
    possible_days: Mapping[int, Span] | None = None,
) -> Evaluation[str]:
    """Evaluate an opening and its changes.

    `possible_days` are those of the changes, by position, if they are fewer than the dates allow.
    """
    match opening.kind.creates:
        case Creates.ONCE:
            span = lifespan.creation
        case Creates.AGAIN:
            span = opening.span
        case _:
            span = lifespan.clip(opening.span)
    steps = [Step(f"={status}", span.lo, span.hi, (-1, "", ""), opening.position)]
    for fact, following in changes:
        days = lifespan.clip(fact.span) if possible_days is None else possible_days[fact.position]
        order = (fact.kind.rank, fact.source, fact.id)
        steps.append(Step(following, max(days.lo, min(span.lo, days.hi)), days.hi, order, fact.position))
    return evaluate(steps, _evolve, _NOT_YET)


def _periods(found: Evaluation[str]) -> Iterator[tuple[int, int, str, tuple[str, ...], bool, bool, tuple[str, ...]]]:
    periods: list[tuple[int, int, str, tuple[str, ...], bool]] = []
    for segment, following in zip(found.segments, [*found.segments[1:], None], strict=True):
        if segment.default_state == _NOT_YET:
            continue
        until = FOREVER if following is None else following.valid_from
        row = (segment.valid_from, until, segment.default_state, _in_order(segment.states), len(segment.states) == 1)
        if periods and periods[-1][1] == row[0] and periods[-1][2:] == row[2:]:
            periods[-1] = (periods[-1][0], *row[1:])
        else:
            periods.append(row)
    final_statuses = _in_order(found.end_states)
    for index, row in enumerate(periods):
        yield (*row, index == len(periods) - 1, final_statuses)


def _in_order(states: frozenset[str]) -> tuple[str, ...]:
    """Return the statuses among some states, in their order."""
    if len(states) == 1 and _NOT_YET not in states:
        return tuple(states)
    return tuple([status for status in STATUS_ORDER if status in states])


def _positions(*facts: Fact | None) -> list[int]:
    return sorted({position for fact in facts if fact is not None for position in fact.positions})


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are not None, with records as JSON."""
    return {
        name: value.model_dump(exclude_none=True) if isinstance(value, Record) else value
        for name, value in fields.items()
        if value is not None
    }


def _references(subjects: Sequence[str] | None) -> list[Reference] | None:
    return None if subjects is None else [Reference(subject) for subject in subjects]


def simple_periods(fact: Fact, fields: Mapping[str, Any], lifespan: Lifespan) -> list[ItemPeriod]:
    """Return the periods of an item that has one fact and no status."""
    found = _evaluate(fact, "made", (), lifespan)
    shown = {**_present(fields), "events": _positions(fact)}
    return [
        ItemPeriod(since, until, None, (), certain, last, (), shown)
        for since, until, _, _, certain, last, _ in _periods(found)
    ]


def commitment_periods(opening: Fact, updates: Sequence[Fact], lifespan: Lifespan) -> list[ItemPeriod]:
    """Return the periods of a commitment: planned until an update, which may come after the end of the agreement."""
    data: Any = opening.data
    lifespan = lifespan.from_announcement
    possible_days = {fact.position: lifespan._replace(end=None).clip(fact.span) for fact in updates}
    found = _evaluate(opening, "planned", [(fact, fact.data.status) for fact in updates], lifespan, possible_days)  # type: ignore[attr-defined]
    fields: CommitmentItem = {
        "commitment": data.commitment,
        "kind": data.kind,
        "title": data.title,
        "by": _references(data.by),
        "place": data.place,
        "due": data.due,
        "amount": data.amount,
        "made": opening.occurred,
        "with": _references(data.with_),
    }
    shown = {**_present(fields), "events": _positions(opening, *updates)}
    return [
        ItemPeriod(since, until, status, known, certain, last, final_statuses, shown)
        for since, until, status, known, certain, last, final_statuses in _periods(found)
    ]


def call_periods(opening: Fact, closings: Sequence[Fact], lifespan: Lifespan) -> list[ItemPeriod]:
    """Return the periods of a recruitment call."""
    data: Any = opening.data
    found = _evaluate(opening, "open", [(fact, "closed") for fact in closings], lifespan)
    closing: Any = closings[0] if closings else None
    fields: CallItem = {
        "call": data.call,
        "role": data.role,
        "fields": list(data.fields) if data.fields is not None else None,
        "place": data.place,
        "opened": opening.occurred,
        "positions": data.positions,
        "closed": None,
        "hired": None,
    }
    closed: CallItem = {**fields, "closed": closing.occurred, "hired": closing.data.hired} if closing else fields
    return _ending("closed", found, fields, closed, _positions(opening, *closings))


def declaration_periods(opening: Fact, withdrawals: Sequence[Fact], lifespan: Lifespan) -> list[ItemPeriod]:
    """Return the periods of a reservation, declaration or objection."""
    data: Any = opening.data
    found = _evaluate(opening, "made", [(fact, "withdrawn") for fact in withdrawals], lifespan)
    fields: DeclarationItem = {
        "event": opening.position,
        "party": Reference(data.party),
        "kind": data.kind,
        "text": data.text,
        "provision": data.provision,
        "about": data.about,
        "territory": data.territory,
        "made": opening.occurred,
        "withdrawn": None,
    }
    withdrawn: DeclarationItem = {**fields, "withdrawn": withdrawals[0].occurred} if withdrawals else fields
    return _ending("withdrawn", found, fields, withdrawn, _positions(opening, *withdrawals))


def _ending(
    end: str, found: Evaluation[str], fields: Mapping[str, Any], ended: Mapping[str, Any], events: Sequence[int]
) -> list[ItemPeriod]:
    """Return the periods of an item that shows other fields from the day on which its status is `end`."""
    before, after = ({**_present(each), "events": events} for each in (fields, ended))
    return [
        ItemPeriod(since, until, status, known, certain, last, final_statuses, after if status == end else before)
        for since, until, status, known, certain, last, final_statuses in _periods(found)
    ]


def phase_periods(founding: Fact, happened: Sequence[Fact], lifespan: Lifespan) -> dict[str, list[ItemPeriod]]:
    """Return the periods of every phase of a lab; `waits_for` names the phases that an unstarted phase is contingent
    on.
    """
    data: Any = founding.data
    phases = data.phases or ()
    evaluations: dict[str, Evaluation[str]] = {}
    own: dict[str, list[Fact]] = {phase.phase: [] for phase in phases}
    for fact in happened:
        own.setdefault(fact.data.phase, []).append(fact)  # type: ignore[attr-defined]
    possible_days = _possible_days_of_phases({phase.phase: phase.after or () for phase in phases}, happened, lifespan)
    for phase in phases:
        changes = [(fact, "started" if fact.type == "lab.phase-started" else "completed") for fact in own[phase.phase]]
        evaluations[phase.phase] = _evaluate(founding, "planned", changes, lifespan, possible_days)
    completed = {name: _first_day(found, "completed") for name, found in evaluations.items()}
    listed: dict[str, list[ItemPeriod]] = {}
    for phase in phases:
        started, ended = (
            next((fact for fact in own[phase.phase] if fact.type == f"lab.phase-{what}"), None)
            for what in ("started", "completed")
        )
        events = _positions(founding, *own[phase.phase])
        fields: PhaseItem = {
            "phase": phase.phase,
            "title": phase.title,
            "duration": phase.duration,
            "after": list(phase.after) if phase.after is not None else None,
            "started": None,
            "completed": None,
            "waits_for": None,
        }
        steps = {
            name: (possible_days[fact.position].lo, fact.occurred)
            for name, fact in (("started", started), ("completed", ended))
            if fact is not None and fact.occurred is not None
        }
        listed[phase.phase] = []
        for since, until, status, known, certain, last, final_statuses in _periods(evaluations[phase.phase]):
            waits = {name: completed.get(name, FOREVER) for name in phase.after or ()} if status == "planned" else {}
            turns = (*waits.values(), *(day for day, _ in steps.values()))
            for first, end in pairwise(sorted({since, until, *(day for day in turns if since < day < until)})):
                still = [name for name, day in waits.items() if day > first]
                taken = {name: when for name, (day, when) in steps.items() if day <= first}
                item: PhaseItem = {
                    **fields,
                    "started": taken.get("started"),
                    "completed": taken.get("completed"),
                    "waits_for": still if status == "planned" else None,
                }
                value = {**_present(item), "events": events}
                final = last and end == until
                listed[phase.phase].append(ItemPeriod(first, end, status, known, certain, final, final_statuses, value))
    return listed


def _possible_days_of_phases(
    direct: Mapping[str, Sequence[str]], happened: Sequence[Fact], lifespan: Lifespan
) -> dict[int, Span]:
    """Return the possible days of phases, excluding worlds in which one starts before an earlier one is completed."""
    after = all_after(direct)
    possible_days = {fact.position: lifespan.clip(fact.span) for fact in happened}
    starts = [fact for fact in happened if fact.type == "lab.phase-started"]
    completions = [fact for fact in happened if fact.type == "lab.phase-completed"]
    for start in starts:
        for completion in completions:
            begun, done = possible_days[start.position], possible_days[completion.position]
            needed = completion.data.phase in after.get(start.data.phase, ())  # type: ignore[attr-defined]
            if needed and done.lo <= begun.hi:
                possible_days[start.position] = Span(max(begun.lo, done.lo), begun.hi)
                possible_days[completion.position] = Span(done.lo, min(done.hi, begun.hi))
    return possible_days


def _first_day(found: Evaluation[str], status: str) -> int:
    return next((segment.valid_from for segment in found.segments if segment.default_state == status), FOREVER)
