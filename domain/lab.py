"""Labs: the data of their events, and what each event does to a lab."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from domain.event_type import Aggregate, Creates, EventType
from domain.payload import Count, Data, Record, Terms, flawed
from domain.values import MAX_ITEMS, Agreement, Duration, Party, Slug, Text


class Phase(Record):
    phase: Slug
    title: Text | None = None
    duration: Duration | None = None
    after: Annotated[tuple[Slug, ...], Field(max_length=1000)] | None = None


class LabFounded(Data):
    name: Text
    founders: Annotated[tuple[Party, ...], Field(min_length=1, max_length=MAX_ITEMS)]
    under: Agreement | None = None
    place: Text | None = None
    fields: Terms | None = None
    phases: Annotated[tuple[Phase, ...], Field(max_length=1000)] | None = None

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
    pass


class OfPhase(Data):
    phase: Slug


class Vacancies(Record):
    min: Count | None = None
    max: Count | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Vacancies:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise flawed("/min", "min is no more than max")
        return self


class RecruitmentOpened(Data):
    call: Slug
    role: Text
    positions: Vacancies | None = None
    fields: Terms | None = None
    place: Text | None = None


class RecruitmentClosed(Data):
    call: Slug
    hired: Count | None = None


class LabClosed(Data):
    pass


LAB = Aggregate(
    collection="labs",
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
        ),
        EventType(
            name="lab.opened", data=LabOpened, collection="labs", rank=24, status="operating", date_field="opened"
        ),
        EventType(name="lab.phase-started", data=OfPhase, collection="labs", rank=25),
        EventType(name="lab.phase-completed", data=OfPhase, collection="labs", rank=26),
        EventType(name="lab.recruitment-opened", data=RecruitmentOpened, collection="labs", rank=27),
        EventType(name="lab.recruitment-closed", data=RecruitmentClosed, collection="labs", rank=28),
        EventType(
            name="lab.closed",
            data=LabClosed,
            collection="labs",
            rank=34,
            ends=True,
            status="closed",
            date_field="closed",
            agreement_wide=True,
        ),
    ),
)
