"""Labs: the data of their events, and what each event does to a lab."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from domain.event_type import Aggregate, Creates, EventType
from domain.payload import Count, Data, Record, Terms, flawed
from domain.values import MAX_ITEMS, Agreement, Duration, Party, Slug, Text


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
    place: Text | None = Field(None, description="Where it stands.")
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
