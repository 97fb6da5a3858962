"""Labs: the lists inside their state, and the filters of their list."""

from __future__ import annotations

from collections.abc import Sequence

from domain.corrections import Fact
from domain.lab import LAB, LabFounded, OfPhase, Phase, RecruitmentClosed, RecruitmentOpened
from domain.list_items import CALL_STATUSES, PHASE_STATUSES, CallItem, PhaseItem, call_periods, phase_periods
from domain.membership import Lifespan
from projections.engine.filters import CERTAINTY, WORDS, Filter, SubjectOf, Word, of_status
from projections.engine.item_lists import FounderItem, Item, ItemList, ItemType, MembershipList, opened_list
from projections.engine.specification import subject_view

_PHASES_TAG = "phases"


def _phase_keys(fact: Fact) -> Sequence[str]:
    match fact.data:
        case LabFounded(phases=phases):
            return [f"phase:{phase.phase}" for phase in phases or ()]
        case OfPhase(phase=phase):
            return [f"phase:{phase}"]
    return ()


def _phase(facts: Sequence[Fact], key: str, lifespan: Lifespan) -> list[Item]:
    """Return the periods of a phase. It is planned by the founding; what it waits for depends on other phases."""
    founding = next((fact for fact in facts if fact.type == "lab.founded"), None)
    if founding is None:
        return []
    phases = phase_periods(founding, [fact for fact in facts if fact.type != "lab.founded"], lifespan)
    slug = key.partition(":")[2]
    if slug not in phases:  # the data of the founding, which planned it, was erased
        return []
    label = f"{list(phases).index(slug):04}"
    return [Item(period, founding, label) for period in phases[slug]]


PHASES = ItemList(
    name="phases",
    number=3,
    item=ItemType(PhaseItem, PHASE_STATUSES, records=(Phase,), omits_none=True),
    keys=_phase_keys,
    fold=_phase,
    tag=lambda _: _PHASES_TAG,
    is_joint=True,
)


def _call_keys(fact: Fact) -> Sequence[str]:
    data = fact.data
    return [f"call:{data.call}"] if isinstance(data, RecruitmentOpened | RecruitmentClosed) else ()


CALLS = opened_list(
    "calls",
    4,
    item=CallItem,
    statuses=CALL_STATUSES,
    opening="lab.recruitment-opened",
    changed_by=("lab.recruitment-closed",),
    keys=_call_keys,
    periods=call_periods,
)

LABS = subject_view(
    LAB,
    lists=(MembershipList(name="founders", fields=FounderItem, is_inline=True), PHASES, CALLS),
    terms=("fields",),
    date_field="founded",
    filters=(
        WORDS,
        Filter(
            "founder",
            SubjectOf(("parties",)),
            "A party that founded it.",
            lambda planner, values: planner.by_member(values[0]),
        ),
        Filter(
            "field",
            Word(),
            "A field it works in, in any language.",
            lambda planner, values: planner.by_term("fields", values[0].casefold()),
        ),
        of_status(LAB.statuses),
        CERTAINTY,
    ),
)
