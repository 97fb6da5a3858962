"""The decision: whether the events of a batch may be recorded.

References are checked event by event, before each event is appended. Conflicts with the history are looked for once,
at the end of the batch, around the facts that came or went.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import chain

from domain import agreement, lab, party
from domain.about_events import check_redaction, missing_items, target_flaws
from domain.catalogue import EventRedacted
from domain.corrections import Event, Fact
from domain.document import OfText, check_text, false_quotations
from domain.errors import Conflict, Contradiction, Flaw, Invalid, Refused
from domain.history import History, OpenHistory
from domain.lifespan_conflicts import (
    cluster_step_conflicts,
    creation_conflicts,
    lifespan_conflicts,
    step_conflicts,
    steps_of_party_conflicts,
    succeeds_itself,
)
from domain.membership_conflicts import membership_conflicts, split_conflicts
from domain.payload import Data, subjects_in
from domain.references import dangling_citations, dangling_references, missing_references


def decide(
    history: OpenHistory,
    events: Sequence[Event],
    *,
    are_checked: bool = True,
    has_gaps: bool = False,
    is_trusted: bool = False,
) -> None:
    """Append the events of a batch, in order, or raise Refused: Invalid for a reference to nothing, Contradiction for
    a conflict.

    With several events, the pointer of a flaw starts with the index of the event.
    `are_checked` is False for events of another log whose data or texts are missing: their references are not checked;
    they must not contradict either.
    `has_gaps` is True for events of a log that has erased data since: they need not fit the remaining data, but the
    subjects and events that they name must exist.
    `is_trusted` is True for an event that another registry recorded: it need not follow the rules that are younger.
    """
    changed: dict[str, list[Fact]] = {}
    for index, event in enumerate(events):
        data = event.model
        try:
            if are_checked:
                check(history, event, data, has_gaps=has_gaps)
        except Refused as refused:
            raise _within(refused, index, len(events)) from None
        for subject, facts in history.append(event, data).items():
            changed.setdefault(subject, []).extend(facts)
    if has_gaps:
        return
    new = {event.position: f"/{index}" if len(events) > 1 else "" for index, event in enumerate(events)}
    found = conflicts(history, changed, events)
    if not is_trusted:
        found = chain(found, *(succeeds_itself(history, subject, facts) for subject, facts in changed.items()))
    for conflict in found:
        recorded = [position for position in conflict.positions if position not in new]
        posted = [new[position] for position in conflict.positions if position in new]
        flaws = [Flaw(at, conflict.detail) for at in posted or list(new.values())[:1]]
        raise Contradiction(conflict.detail, flaws, recorded)


def check(history: History, event: Event, data: Data, *, has_gaps: bool = False) -> None:
    """Check what one event names and quotes, before it is appended.

    Raise Invalid with every flaw; Contradiction for a merger of merged parties, for data erased already, and for a text
    that is stored already or is not stored.
    """
    subject, flaws = event.subject, list[Flaw]()
    if not _all_exist(history, data):
        flaws += missing_references(history, event.kind.data, event.plain, ("data",))
    if data.evidence and any(history.stored_text(passage.document) is not None for passage in data.evidence):
        flaws += false_quotations(history, event.plain, "/data")
    if event.kind.about_event:
        flaws += target_flaws(history, event, data, has_gaps=has_gaps)
    elif history.lifespan(subject).exists:
        if not has_gaps:
            flaws += missing_items(history, subject, event.type, data)
    elif event.kind.is_creating:
        flaws += agreement.first_event_flaws(data)
    elif event.type != "document.text-erased":  # a text may outlast its document
        flaws.append(Flaw("/subject", f"{subject} does not exist; its first event must create it"))
    if flaws:
        raise Invalid("the event does not fit what it refers to", flaws)
    match data:
        case party.PartyMerged():
            party.check_merger(history, subject, data)
        case EventRedacted():
            check_redaction(history, data)
        case OfText():
            check_text(history, event, data)


def _all_exist(history: History, data: Data) -> bool:
    """Return whether all subjects that an event names exist: a fast path beside `missing_references`, which reads the
    JSON to find where each is named.
    """
    cited = [passage.document for passage in data.evidence or ()]
    return all(history.lifespan(subject).exists for subject in (*cited, *subjects_in(data)))


def conflicts(history: History, changed: Mapping[str, Sequence[Fact]], events: Sequence[Event]) -> Iterator[Conflict]:
    """Yield the conflicts around the facts that `events` added or ended; `changed` are these facts by subject."""
    new = {event.position for event in events}
    for subject, facts in changed.items():
        first = facts[0]
        if history.lifespan(subject).facts == len(facts) == 1 and first.position in new and first.creates:
            # The subject has no other fact, and its references were checked before it was appended.
            yield from step_conflicts(history, facts)
        else:
            yield from _subject_conflicts(history, subject, facts, new)
    for event in events:
        yield from dangling_citations(history, event)


def _subject_conflicts(
    history: History, subject: str, changed: Sequence[Fact], new: Container[int]
) -> Iterator[Conflict]:
    """Yield the conflicts around facts about a subject that came or went; `new` are the positions of the batch."""
    collection = subject.partition("/")[0]
    creating = [fact for fact in changed if fact.creates]
    exists = history.lifespan(subject).exists
    if creating or not exists:
        yield from creation_conflicts(history, subject, creating)
        if collection == "agreements" and exists:
            yield from agreement.untitled_conflicts(history, subject)
    earlier = [fact for fact in changed if fact.position not in new]
    yield from dangling_references(history, earlier)
    yield from lifespan_conflicts(history, subject, changed)
    yield from step_conflicts(history, changed)
    yield from membership_conflicts(history, subject, changed, new)
    match collection:
        case "agreements":
            yield from agreement.conflicts(history, subject, changed)
        case "labs":
            yield from lab.conflicts(history, subject, changed)
        case "parties":
            yield from steps_of_party_conflicts(history, subject, changed)
            yield from _merger_conflicts(history, [fact for fact in earlier if fact.type == "party.merged"])
            yield from party.part_of_itself(history, subject)
            yield from party.owns_itself(history, subject, changed)


def _merger_conflicts(history: History, mergers: Sequence[Fact]) -> Iterator[Conflict]:
    """Yield the conflicts of parties whose mergers were restored, changed or retracted."""
    if not mergers:
        return
    parties = sorted({name for fact in mergers for name in (fact.subject, *subjects_in(fact.data))})
    for subject in parties:
        yield from lifespan_conflicts(history, subject, ())
        yield from cluster_step_conflicts(history, history.cluster(subject))
    yield from split_conflicts(history, parties)
    yield from party.merger_conflicts(history)


def _within(refused: Refused, index: int, count: int) -> Refused:
    """Return a refusal of one event as a refusal of its batch."""
    if count == 1:
        return refused
    flaws = [Flaw(f"/{index}{flaw.pointer}", flaw.detail) for flaw in refused.flaws]
    kind = Invalid if isinstance(refused, Invalid) else Contradiction
    return kind(refused.detail, flaws, refused.positions)
