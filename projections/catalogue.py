"""The catalogue of views: every list over all subjects, by name."""

from __future__ import annotations

from projections.agreements import AGREEMENTS
from projections.commitments import COMMITMENTS
from projections.documents import DOCUMENTS
from projections.engine.bitemporal import MEMBERSHIPS as MEMBERSHIP_TABLE
from projections.engine.bitemporal import SUBJECT_STATES
from projections.engine.event_index import TEXT
from projections.engine.item_lists import ItemList
from projections.engine.specification import Scope, SubjectView, View
from projections.labs import LABS
from projections.memberships import MEMBERSHIPS
from projections.parties import PARTIES
from projections.platforms import PLATFORMS
from projections.timeline import TIMELINE

SUBJECT_VIEWS: dict[str, SubjectView] = {each.name: each for each in (PARTIES, AGREEMENTS, LABS, PLATFORMS, DOCUMENTS)}
"""The lists of subjects, by collection."""

LIST_VIEWS: dict[str, View] = {**SUBJECT_VIEWS, **{each.name: each for each in (MEMBERSHIPS, COMMITMENTS, TIMELINE)}}
"""Every list, by name."""

ITEM_LISTS: dict[int, ItemList] = {items.number: items for view in SUBJECT_VIEWS.values() for items in view.item_lists}
"""The lists inside states whose items are rows, by their numbers."""
assert len(ITEM_LISTS) == sum(len(view.item_lists) for view in SUBJECT_VIEWS.values()), "two lists share a number"
assert 1 << max(ITEM_LISTS) < TEXT, "the number of a list is a bit beside others of what a subject holds"

ALL_SCOPES = Scope(
    frozenset(SUBJECT_VIEWS),
    frozenset((SUBJECT_STATES.name, MEMBERSHIP_TABLE.name, *(items.name for items in ITEM_LISTS.values()))),
    words=True,
    passages=True,
)
"""The scope of a fold of all views."""
