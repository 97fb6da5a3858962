"""References: the subjects that an event names must exist, also after corrections and retractions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from domain.corrections import Event, Fact, altered
from domain.errors import MOST_NAMED, Conflict, Flaw
from domain.history import History
from domain.payload import Record, references_in, subjects_in
from domain.values import is_subject, pointer


def missing_references(
    history: History, shape: type[Record], data: Mapping[str, Any], at: tuple[str | int, ...]
) -> Iterator[Flaw]:
    """Yield the references in data of a shape, at a path, to subjects that do not exist."""
    for path, subject in references_in(shape, data, at):
        if (detail := absence(history, subject)) is not None:
            yield Flaw(pointer(*path), detail)


def absence(history: History, subject: str) -> str | None:
    """Return the error of a reference to a subject that does not exist; None if it exists."""
    return f"{subject} does not exist" if is_subject(subject) and not history.lifespan(subject).exists else None


def dangling_references(history: History, facts: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield conflicts for restored or changed facts that name subjects which no longer exist."""
    for fact in facts:
        if history.is_current(fact):
            yield from _dangling(history, fact.position, subjects_in(fact.data))


def dangling_citations(history: History, event: Event) -> Iterator[Conflict]:
    """Yield conflicts for restored or changed passages that cite documents which no longer exist."""
    for target in altered(event, history.event):
        for position, passage in history.corrections(target, also="evidence.added").supporting_passages(target):
            yield from _dangling(history, position, [passage["document"]])


def _dangling(history: History, position: int, subjects: Iterable[str]) -> Iterator[Conflict]:
    for subject in sorted(subjects):
        if not history.lifespan(subject).exists:
            detail = f"the event at {position} would refer to {subject}, which was retracted"
            yield Conflict(detail, (position, *history.retractions(subject, MOST_NAMED)))
