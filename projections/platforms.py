"""Platforms: the lists inside their state, and the filters of their list."""

from __future__ import annotations

from typing import Any

from domain.corrections import Fact
from domain.platform import PLATFORM, DocumentAdopted, SupporterAdded
from projections.engine.filters import CERTAINTY, WORDS, Filter, SubjectOf, of_status
from projections.engine.item_lists import MembershipList, Terms, dated, simple_list
from projections.engine.planner import Planner
from projections.engine.query_parts import places
from projections.engine.specification import subject_view
from projections.engine.time_slices import as_of_and_on, times


def _supporter(fact: Fact) -> dict[str, dict[str, Any]]:
    data = fact.data
    assert isinstance(data, SupporterAdded)
    return {f"supporter:{fact.position}": dated(fact, party={"subject": data.party}, support=data.support)}


def _document(fact: Fact) -> dict[str, dict[str, Any]]:
    data = fact.data
    assert isinstance(data, DocumentAdopted)
    return {f"document:{fact.position}": dated(fact, title=data.title, kind=data.kind)}


SUPPORTERS = simple_list(
    "supporters",
    5,
    {"platform.supporter-added": _supporter},
    terms=Terms("supporter", lambda value: [value["party"]["subject"]], are_subjects=True),
    references=("party",),
)
DOCUMENTS = simple_list("documents", 6, {"platform.document-adopted": _document})


def _by_supporter(planner: Planner, party: str) -> None:
    group = planner.cluster(party)
    planner.query.add(
        "t.subject IN (SELECT r.subject FROM list_items r JOIN terms x ON x.owner = r.id WHERE x.kind = 'supporter'"
        f" AND x.value IN ({places(group)}) AND {as_of_and_on('r', planner.question)})",
        *map(str, group),
        *times(planner.question),
        narrow=True,
    )


PLATFORMS = subject_view(
    PLATFORM,
    lists=(MembershipList(name="members", has_category=True, is_current=True), SUPPORTERS, DOCUMENTS),
    date_field="launched",
    filters=(
        WORDS,
        Filter(
            "member",
            SubjectOf(("parties",)),
            "A member.",
            lambda planner, values: planner.by_member(values[0]),
        ),
        Filter(
            "supporter",
            SubjectOf(("parties",)),
            "A supporter.",
            lambda planner, values: _by_supporter(planner, values[0]),
        ),
        of_status(PLATFORM.statuses),
        CERTAINTY,
    ),
)
