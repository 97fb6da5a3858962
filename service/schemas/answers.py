"""The answers that have a name in the API document, each with the type that it is made as."""

from __future__ import annotations

from collections.abc import Mapping

from domain.values import Reference
from projections.annotations import Disputed, Passage
from projections.citations import Citation
from projections.graph import GraphBody
from projections.history import HistoryItem
from projections.names import ResolvedItem
from projections.search import FoundItem
from projections.statistics import Counts, StatisticsBody
from service.commands.log_entry import ReceiptBody
from service.schemas.answer_types import (
    ConsistencyProof,
    DifferenceBody,
    DigestsBody,
    Health,
    Moment,
    ProblemBody,
    ProvenEvent,
    Readiness,
    RecordedEvent,
)

ANSWERS: Mapping[str, type] = {
    "Citation": Citation,
    "ConsistencyProof": ConsistencyProof,
    "Counts": Counts,
    "Difference": DifferenceBody,
    "Digests": DigestsBody,
    "Disputed": Disputed,
    "Graph": GraphBody,
    "Health": Health,
    "Moment": Moment,
    "Passage": Passage,
    "Problem": ProblemBody,
    "ProvenEvent": ProvenEvent,
    "Readiness": Readiness,
    "Receipt": ReceiptBody,
    "RecordedEvent": RecordedEvent,
    "Reference": Reference,
    "Statistics": StatisticsBody,
    "history": HistoryItem,
    "resolve": ResolvedItem,
    "search": FoundItem,
}
"""By the name of the component. A type that others contain is a component by the name of its class, without a row."""
