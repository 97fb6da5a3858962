"""Labs: the data of their events, what each event does to a lab, and what contradicts a lab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from domain.errors import MOST_NAMED, Conflict, Flaw
from domain.event_type import Aggregate, Creates, EventType, Example
from domain.opened_items import OpenedItems
from domain.payload import Count, Data, Record, Terms, flawed
from domain.values import MAX_ITEMS, Agreement, Duration, Party, Slug, Text

if TYPE_CHECKING:  # the catalogue, on which these depend, is built from this module
    from domain.corrections import Fact
    from domain.history import History


class Phase(Record):
    """A phase of a laboratory, planned with its founding."""

    phase: Slug = Field(description="The slug by which later events name the phase.")
    title: Text | None = Field(None, description="The title of the phase.")
    duration: Duration | None = Field(None, description="How long it is planned to last (ISO 8601, such as `P3Y`).")
    after: Annotated[tuple[Slug, ...], Field(max_length=1000)] | None = Field(
        None, description="The phases that must be completed before it starts."
    )


class LabFounded(Data):
    """A laboratory is founded. That is not yet built, and built is not yet working: see `lab.opened`."""

    name: Text = Field(description="The name it goes by.")
    founders: Annotated[tuple[Party, ...], Field(min_length=1, max_length=MAX_ITEMS)] = Field(
        description="The parties that found it."
    )
    under: Agreement | None = Field(None, description="The agreement under which it is founded.")
    place: Text | None = Field(None, description="Its place.")
    fields: Terms | None = Field(None, description="The fields of its research.")
    phases: Annotated[tuple[Phase, ...], Field(max_length=1000)] | None = Field(
        None, description="The phases in which it is built or works."
    )

    @model_validator(mode="after")
    def _phased(self) -> LabFounded:
        if len(set(self.founders)) < len(self.founders):
            raise flawed("/founders", "a party founds a lab once")
        after = {phase.phase: set(phase.after or ()) for phase in self.phases or ()}
        if len(after) < len(self.phases or ()):
            raise flawed("/phases", "a phase is named once")
        for index, phase in enumerate(self.phases or ()):
            if missing := sorted(after[phase.phase] - set(after)):
                raise flawed(f"/phases/{index}/after", f"{', '.join(missing)} is none of the phases")
        while after:
            ready = {phase for phase, waits in after.items() if not waits & set(after)}
            if not ready:
                raise flawed("/phases", "phases wait for each other in a circle")
            for name in ready:
                del after[name]
        return self


class LabOpened(Data):
    """A laboratory starts to work."""


class OfPhase(Data):
    """A phase of a laboratory starts or is completed."""

    phase: Slug = Field(description="The slug of the phase, as the founding names it.")


class Vacancies(Record):
    """How many positions a call offers."""

    min: Count | None = Field(None, description="The least number of positions.")
    max: Count | None = Field(None, description="The most positions.")

    @model_validator(mode="after")
    def _ordered(self) -> Vacancies:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise flawed("/min", "min is no more than max")
        return self


class RecruitmentOpened(Data):
    """A laboratory opens a call for applications."""

    call: Slug = Field(description="The slug by which later events name the call.")
    role: Text = Field(description="The role for which people are wanted.")
    positions: Vacancies | None = Field(None, description="How many positions there are.")
    fields: Terms | None = Field(None, description="The fields of research in which people are wanted.")
    place: Text | None = Field(None, description="Where the work is.")


class RecruitmentClosed(Data):
    """A call for applications is closed."""

    call: Slug = Field(description="The slug of the call, as its opening names it.")
    hired: Count | None = Field(None, description="How many people were hired.")


class LabClosed(Data):
    """A laboratory ends."""


LAB = Aggregate(
    collection="labs",
    description="A laboratory, with its founders, phases and calls.",
    statuses=("founded", "operating", "closed"),
    name_field="name",
    events=(
        EventType(
            name="lab.founded",
            data=LabFounded,
            collection="labs",
            rank=2,
            creates=Creates.ONCE,
            status="founded",
            date_field="founded",
            attributes=("name", "under", "place", "fields"),
            example=Example(
                "labs/harbour-lab",
                {
                    "name": "Harbour Laboratory",
                    "founders": ["parties/north-harbour"],
                    "under": "agreements/harbour-treaty",
                    "phases": [{"phase": "design", "duration": "P1Y"}, {"phase": "building", "after": ["design"]}],
                },
                "2020-04-01",
            ),
        ),
        EventType(
            name="lab.opened",
            data=LabOpened,
            collection="labs",
            rank=24,
            status="operating",
            date_field="opened",
            example=Example("labs/harbour-lab", {}, "2021-01-01"),
        ),
        EventType(
            name="lab.phase-started",
            data=OfPhase,
            collection="labs",
            rank=25,
            about="A phase of a laboratory starts.",
            example=Example("labs/harbour-lab", {"phase": "design"}, "2020-05-01"),
        ),
        EventType(
            name="lab.phase-completed",
            data=OfPhase,
            collection="labs",
            rank=26,
            about="A phase of a laboratory is completed.",
            example=Example("labs/harbour-lab", {"phase": "design"}, "2021-04-30"),
        ),
        EventType(
            name="lab.recruitment-opened",
            data=RecruitmentOpened,
            collection="labs",
            rank=27,
            example=Example(
                "labs/harbour-lab",
                {"call": "engineers", "role": "Engineer", "positions": {"min": 1, "max": 3}},
                "2021-02-01",
            ),
        ),
        EventType(
            name="lab.recruitment-closed",
            data=RecruitmentClosed,
            collection="labs",
            rank=28,
            example=Example("labs/harbour-lab", {"call": "engineers", "hired": 2}, "2021-05-01"),
        ),
        EventType(
            name="lab.closed",
            data=LabClosed,
            collection="labs",
            rank=34,
            ends=True,
            status="closed",
            date_field="closed",
            agreement_wide=True,
            example=Example("labs/harbour-lab", {}, "2024-12-31"),
        ),
    ),
)

CALLS = OpenedItems(
    name="call",
    field="call",
    opened_by="lab.recruitment-opened",
    changed_by="lab.recruitment-closed",
    missing="no call {} was opened",
)
PHASES_TAG = "phases"
"""The tag of all facts about the phases of a lab, which depend on each other."""
PHASE_TYPES = frozenset(("lab.founded", "lab.phase-started", "lab.phase-completed"))


def flaws(history: History, lab: str, type_: str, data: Data) -> Iterator[Flaw]:
    """Yield a flaw if an event changes a phase that the lab lacks, or closes a call that was not opened."""
    if isinstance(data, OfPhase) and data.phase not in _planned_phases(history.item_facts(lab, PHASES_TAG)):
        yield Flaw("/data/phase", f"the lab was founded without a phase {data.phase}")
    yield from CALLS.flaws(history, lab, type_, data)


def conflicts(history: History, lab: str, changed: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield conflicts among the phases and calls of a lab, after some facts about it came or went."""
    yield from CALLS.conflicts(history, lab, changed)
    if any(fact.type in PHASE_TYPES for fact in changed):
        yield from _phase_conflicts(history.item_facts(lab, PHASES_TAG))


def _phase_conflicts(facts: Sequence[Fact]) -> Iterator[Conflict]:
    planned = _planned_phases(facts)
    steps = [fact for fact in facts if isinstance(fact.data, OfPhase)]
    if lost := [fact.position for fact in steps if _phase(fact) not in planned]:
        yield Conflict("facts depend on phases that the lab would not have", tuple(sorted(lost)[:MOST_NAMED]))
    yield from _early_phases(all_after(planned), steps)


def _early_phases(after: Mapping[str, frozenset[str]], steps: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield conflicts for phases that start before the completion of a phase before them; `after` is transitive."""
    starts = [fact for fact in steps if fact.type == "lab.phase-started"]
    completions = [fact for fact in steps if fact.type == "lab.phase-completed"]
    for start in starts:
        for completion in completions:
            phase, needed = _phase(start), _phase(completion)
            if start.span.hi < completion.span.lo and needed in after.get(phase, ()):
                yield Conflict(
                    f"phase {phase} starts before {needed}, which it is contingent on, is completed",
                    (start.position, completion.position),
                )


def all_after(direct: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    """Return every phase that each phase is contingent on, directly or through others."""
    reached: dict[str, frozenset[str]] = {}
    for phase in direct:
        pending, seen = list(direct[phase]), set[str]()
        while pending:
            other = pending.pop()
            if other not in seen:
                seen.add(other)
                pending += direct.get(other, ())
        reached[phase] = frozenset(seen)
    return reached


def _planned_phases(facts: Sequence[Fact]) -> dict[str, Sequence[str]]:
    """Return the phases with which a lab was founded, each with those that it is directly contingent on."""
    return {
        phase.phase: phase.after or ()
        for fact in facts
        if isinstance(fact.data, LabFounded)
        for phase in fact.data.phases or ()
    }


def _phase(fact: Fact) -> str:
    assert isinstance(fact.data, OfPhase)
    return fact.data.phase
