"""Platforms: the lists inside their state, and the filters of their list."""

from __future__ import annotations

from domain.platform import PLATFORM
from projections.engine.filters import CERTAINTY, WORDS, Filter, SubjectOf, of_status
from projections.engine.planner import Planner
from projections.engine.query_parts import places
from projections.engine.specification import subject_view
from projections.engine.time_slices import as_of_and_on, times


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
    lists=("members", "supporters", "documents"),
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
