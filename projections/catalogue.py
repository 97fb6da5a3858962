"""The catalogue of views: every list over all subjects, by name."""

from __future__ import annotations

from projections.agreements import AGREEMENTS
from projections.commitments import COMMITMENTS
from projections.documents import DOCUMENTS
from projections.engine.specification import SubjectView, View
from projections.labs import LABS
from projections.memberships import MEMBERSHIPS
from projections.parties import PARTIES
from projections.platforms import PLATFORMS
from projections.timeline import TIMELINE

SUBJECT_VIEWS: dict[str, SubjectView] = {each.name: each for each in (PARTIES, AGREEMENTS, LABS, PLATFORMS, DOCUMENTS)}
"""The lists of subjects, by collection."""

LIST_VIEWS: dict[str, View] = {**SUBJECT_VIEWS, **{each.name: each for each in (MEMBERSHIPS, COMMITMENTS, TIMELINE)}}
"""Every list, by name."""
