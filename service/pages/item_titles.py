"""Titles of list items: facts name a commitment, a phase or a call by its slug, and readers know it by its title."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from projections.engine.query_types import Gone, Merged, NotFound, TimeSlice
from projections.reader import Reader

NAMED_BY_SLUG: Mapping[str, tuple[str, str, str]] = {
    "agreement.commitment-updated": ("commitments", "commitment", "title"),
    "lab.phase-started": ("phases", "phase", "title"),
    "lab.phase-completed": ("phases", "phase", "title"),
    "lab.recruitment-closed": ("calls", "call", "role"),
}
"""By type of event: the list of the subject, the member with the slug, and the member of the item with its title."""
_MOST = 1_000
"""Items of a list that are read; the slug stands for the title of any other item."""


def show_titles(facts: Iterable[dict[str, Any]], reader: Reader, as_of: int) -> None:
    """Put the title in the place of each slug in the data of facts, as known at a position."""
    lists: dict[tuple[str, str], dict[str, Any]] = {}
    for fact in facts:
        if fact["type"] not in NAMED_BY_SLUG or fact.get("data") is None:
            continue
        name, member, title = NAMED_BY_SLUG[fact["type"]]
        subject, data = fact["subject"]["subject"], fact["data"]
        if (subject, name) not in lists:
            lists[subject, name] = _titles(reader, subject, as_of, name, member, title)
        if (shown := lists[subject, name].get(data.get(member))) is not None:
            fact["data"] = {**data, member: shown}


def _titles(reader: Reader, subject: str, as_of: int, name: str, member: str, title: str) -> dict[str, Any]:
    """Return the titles of the items of a list by slug; none for a subject that has no state."""
    try:
        page = reader.state_list(subject, name, TimeSlice(as_of, None), limit=_MOST, after=None)
    except (NotFound, Gone, Merged):
        return {}
    return {each[member]: each.get(title) for each in page.items}
