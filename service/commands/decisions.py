"""Decisions on posted batches: each event is known already, refused, or recorded at the next position.

It is synchronous and has no clock. It folds into the open transaction of the views, and only reads the log. The caller,
who opened the transaction, records the accepted events and commits the views, or drops both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from domain.cloudevent import PostedEvent, canonical, checked
from domain.corrections import Event
from domain.decide import decide
from domain.errors import Contradiction, DifferentContent, Flaw, Invalid, NotAllowed, Refused, VersionMismatch
from domain.merkle import leaf_hash
from domain.positions import with_positions
from projections.views import Views
from service.commands.log_entry import Receipt, differences, logged, receipt, recorded_event
from service.commands.pending import PendingEvents
from service.event_log import EraseData, EraseTexts, LoggedEvent, LogReader, StoreText


@dataclass(frozen=True, slots=True)
class Condition:
    """A precondition of a post: its subject is new, has one of `versions`, or (None) exists."""

    versions: frozenset[int] | None = None
    is_new: bool = False

    def holds_at(self, version: int) -> bool:
        """Return whether a subject of this version (0: it is new) meets the condition."""
        if self.is_new:
            return version == 0
        return version > 0 if self.versions is None else version in self.versions


SMALL_EVENTS = 8
SMALL_BYTES = 2**14
TEXT_STORED, TEXT_ERASED = "document.text-stored", "document.text-erased"
ERASING = frozenset(("event.redacted", TEXT_ERASED))
"""Events that erase data from every file."""
_OF_THE_LOG = ERASING | {TEXT_STORED}
"""Events that change more in the log than one new row."""
_OF_TEXTS = frozenset((TEXT_STORED, TEXT_ERASED))

Targets = Mapping[int, "int | tuple[str, str] | None"]
"""Positions of an exported log, and the events they mean here: a position, the source and id of an event that is being
decided, or None if the event was not accepted."""


class Batch(NamedTuple):
    """Events posted together: all of them are accepted, or none.

    `size`: their memory in bytes.
    `is_list`: flaws point into an array of events, even if it has one.
    `text`: the document text that the one event stores. If it is stored already, the first receipt is returned.
    `may_erase`: the actor may erase data.
    `is_exported`: the one event comes from another log, whose texts are not here.
    `targets`: the events that the positions in an exported event mean.
    `has_gaps`: its log decided an exported event on events whose data has been erased since.
    """

    events: Sequence[PostedEvent]
    actor: str
    size: int
    is_list: bool = False
    condition: Condition | None = None
    text: str | None = None
    may_erase: bool = False
    is_exported: bool = False
    targets: Targets | None = None
    has_gaps: bool = False

    @property
    def erases(self) -> bool:
        """Whether any of its events erases data."""
        if self.is_exported and self.events[0].type == TEXT_ERASED:
            return False  # another log's text
        return not ERASING.isdisjoint([event.type for event in self.events])

    @property
    def is_small(self) -> bool:
        """Whether a decision will probably take a few milliseconds only."""
        return len(self.events) <= SMALL_EVENTS and self.size <= SMALL_BYTES and self.text is None and not self.erases


class Decisions:
    """Decides batches within one transaction of the views; their events get the instant `recorded`.

    The accepted events are in `pending`: the caller inserts them into the log, or, after a trial, drops them and rolls
    the views back.
    """

    def __init__(self, log: LogReader, views: Views, recorded: str) -> None:
        self._log = log
        self._views = views
        self._recorded = recorded
        self.pending = PendingEvents(log)

    def decide(self, batch: Batch, seconds: float | None = None) -> list[Receipt]:
        """Decide a batch and return the receipts of its events, in order.

        Raises Refused, and TooLong if that takes more than `seconds`; then nothing of the batch remains. After any
        other exception the views must be rolled back.
        """
        if batch.erases and not batch.may_erase:
            raise NotAllowed("this needs a key with scope admin, as erased data cannot be restored")
        if batch.is_exported:
            batch = self._from_export(batch)
        if batch.text is not None and (stored_by := self._text_event(batch.events[0])) is not None:
            return [receipt(stored_by, is_new=False)]
        known = self._find_known(batch)
        fresh = [index for index in range(len(batch.events)) if known[index] is None]
        if fresh and batch.condition is not None:
            self._check_condition(batch.condition, batch.events[fresh[0]].subject)
        events, same = self._place(batch, fresh)
        erasure = batch.events[0].erasure if batch.is_exported else None
        stored = [logged(event, erasure) for event in events]
        if events:
            try:
                with self._views.batch([leaf_hash(each.entry) for each in stored], seconds) as history:
                    are_checked = erasure is None and not (batch.is_exported and events[0].type in _OF_TEXTS)
                    decide(
                        history,
                        events,
                        are_checked=are_checked,
                        has_gaps=batch.has_gaps,
                        is_trusted=batch.is_exported and batch.may_erase,
                    )
            except Refused as refused:
                if batch.is_list:
                    _point_into_list(refused, [index for index in fresh if index not in same], len(batch.events))
                raise
        self.pending.add(stored)
        self._add_effects(events, batch)
        places = iter(stored)
        new: dict[int, LoggedEvent] = {}
        for index in fresh:
            new[index] = new[same[index]] if index in same else next(places)
        return [
            receipt(old, is_new=False) if old is not None else receipt(new[index], is_new=True)
            for index, old in enumerate(known)
        ]

    def state(self, subject: str, day: int) -> dict[str, Any] | None:
        """Return the state of a subject on a day, with what was decided here; None where it has none."""
        return self._views.pending_state(subject, day)

    def _from_export(self, batch: Batch) -> Batch:
        """Return the batch with positions of this log instead of the exported one.

        Texts stored by another log are not here, so an event about a text is recorded without its effect. Raises
        NotAllowed, Invalid, Contradiction.
        """
        (posted,) = batch.events
        if posted.erasure is not None and not batch.may_erase:
            raise NotAllowed("an event whose data was erased needs a key with scope admin")
        if posted.type in _OF_TEXTS and self.pending.find(posted.source, posted.id) is None:
            if posted.source == self._log.meta("origin"):
                raise Invalid(
                    f"{posted.type} is recorded by this registry itself", [Flaw("/source", "is this registry")]
                )
            if posted.type == TEXT_ERASED and self._views.has_text(posted.subject):
                raise Contradiction(f"a text of {posted.subject} is stored here, and another log cannot erase it")
        if not batch.targets:
            return batch
        is_known = self.pending.find(posted.source, posted.id) is not None
        targets = {at: self._target(at, target or (at if is_known else None)) for at, target in batch.targets.items()}
        if posted.erasure is not None:
            moved = posted._replace(erasure=posted.erasure._replace(about=next(iter(targets.values()))))
        else:
            data = with_positions(orjson.loads(posted.data), targets.__getitem__)
            model, flaws = checked(posted.kind, data, is_posted=False)
            assert model is not None, flaws
            moved = posted._replace(data=canonical(data), model=model)
        return batch._replace(events=(moved,))

    def _target(self, exported: int, target: int | tuple[str, str] | None) -> int:
        if isinstance(target, tuple):
            found = self.pending.find(*target)
            target = None if found is None else found.position
        if target is None:
            detail = f"no line before this one with the position {exported} was accepted"
            raise Invalid("the event is about one that is not here", [Flaw("/data/event", detail)])
        return target

    def _add_effects(self, events: Sequence[Event], batch: Batch) -> None:
        """Add the effects of new events on the log: erasures, and texts that are stored or erased."""
        for event in events:
            if event.type not in _OF_THE_LOG or (batch.is_exported and event.type in _OF_TEXTS):
                continue
            match event.type:
                case "event.redacted":
                    erased = None if event.about is None else self._views.event(event.about)
                    if erased is not None:  # otherwise this event was itself erased, with its target
                        self.pending.apply(EraseData(erased.position, event.position, erased.about))
                case "document.text-stored":
                    assert batch.text is not None
                    self.pending.apply(StoreText(event.position, batch.text))
                    self._views.store_text(event, batch.text)
                case "document.text-erased":
                    self.pending.apply(EraseTexts(event.subject))

    def _find_known(self, batch: Batch) -> list[LoggedEvent | None]:
        """Return the recorded event of each posted one, if any. Raises DifferentContent if their content differs."""
        known: list[LoggedEvent | None] = []
        flaws: list[Flaw] = []
        positions: list[int] = []
        for index, posted in enumerate(batch.events):
            old = self.pending.find(posted.source, posted.id)
            known.append(old)
            if old is not None and (different := differences(old, posted)):
                at = f"/{index}" if batch.is_list else ""
                flaws += [Flaw(f"{at}/{name}", "differs from the recorded event") for name in different]
                positions.append(old.position)
        if flaws:
            raise DifferentContent("this source and id were recorded with other content", flaws, positions)
        return known

    def _text_event(self, posted: PostedEvent) -> LoggedEvent | None:
        """Return the event that stored the same text, if it is stored."""
        position = self._views.position_of_text(posted.subject, posted.model.sha256)  # type: ignore[attr-defined]
        return None if position is None else self.pending.at(position)

    def _check_condition(self, condition: Condition, subject: str) -> None:
        version = self._views.version(subject)
        if not condition.holds_at(version):
            state = f"has version {version}" if version else "has no event yet"
            raise VersionMismatch(f"{subject} {state}")

    def _place(self, batch: Batch, fresh: Sequence[int]) -> tuple[list[Event], dict[int, int]]:
        """Return the new events with position and version, and the `fresh` that repeat an earlier one."""
        position = self._views.position
        versions: dict[str, int] = {}
        first: dict[tuple[str, str], int] = {}
        same: dict[int, int] = {}
        events: list[Event] = []
        for index in fresh:
            posted = batch.events[index]
            earlier = first.setdefault((posted.source, posted.id), index)
            if earlier != index:
                if _content(batch.events[earlier]) != _content(posted):
                    detail = "this source and id are twice in the batch, with different content"
                    raise DifferentContent(detail, [Flaw(f"/{index}", f"is not the same as the event at /{earlier}")])
                same[index] = earlier
                continue
            subject = posted.subject
            version = versions[subject] = (versions.get(subject) or self._views.version(subject)) + 1
            position += 1
            events.append(recorded_event(posted, position, version, self._recorded, batch.actor))
        return events, same


def _content(posted: PostedEvent) -> tuple[str, str, str | None, str | None, bytes]:
    return (posted.type, posted.subject, posted.time, posted.occurred, posted.data)


def _point_into_list(refused: Refused, places: Sequence[int], length: int) -> None:
    """Change the flaws, which point into the new events, to point into the posted batch."""
    if len(places) == length > 1:
        return
    flaws = []
    for flaw in refused.flaws:
        index, rest = 0, flaw.pointer
        if len(places) > 1:
            head, slash, tail = flaw.pointer[1:].partition("/")
            if not head.isdigit():
                flaws.append(flaw)
                continue
            index, rest = int(head), slash + tail
        flaws.append(Flaw(f"/{places[index]}{rest}", flaw.detail))
    refused.flaws = tuple(flaws)
