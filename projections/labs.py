"""Labs: the lists inside their state, and the filters of their list."""

from __future__ import annotations

from domain.lab import LAB
from projections.engine.filters import CERTAINTY, WORDS, Filter, SubjectOf, Word, of_status
from projections.engine.specification import subject_view

LABS = subject_view(
    LAB,
    lists=("founders", "phases", "calls"),
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
