"""The decision on posted batches, one after the other: a repeat, refused, or recorded at the next positions.

Synchronous and without a clock. It appends to the open transaction of the log and folds into that of the views, and
commits neither: the caller does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from domain.cloudevent import PostedEvent, canonical, checked
from domain.corrections import Event
from domain.errors import Contradiction, DifferentContent, Flaw, Invalid, NotAllowed, Refused, VersionMismatch
from domain.merkle import leaf_hash
from domain.positions import with_positions
from projections.views import Views
from service.commands.log_entry import Receipt, differences, logged, receipt, recorded_event
from service.event_log import Log, LoggedEvent


@dataclass(frozen=True, slots=True)
class Condition:
    """A precondition on the subject of a post: it is new, it is at one of `versions`, or (None) it exists."""

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
"""Events that have something erased from every file."""
_OF_THE_LOG = ERASING | {TEXT_STORED}
"""Events by which more than a row comes to the log, or something of one goes."""
_OF_TEXTS = frozenset((TEXT_STORED, TEXT_ERASED))

Aims = Mapping[int, "int | tuple[str, str] | None"]
"""What positions in an exported log mean here: a position, the source and id of an event that may be recorded by then,
or None, where the event was not taken."""


class Batch(NamedTuple):
    """Events posted together: all of them are recorded, or none. `size` is their size in memory, in bytes.

    `is_list`: flaws point into an array of events, even of one. `text` is that of the document whose storing the one
    event records; if it is stored already, the first receipt is returned. `may_erase`: the client may erase data.
    `is_exported`: the one event comes from another log, whose texts are not here; `aims` gives the events that
    positions in it mean. `has_gaps`: its log decided it on events whose data is erased since.
    """

    events: Sequence[PostedEvent]
    actor: str
    size: int
    is_list: bool = False
    condition: Condition | None = None
    text: str | None = None
    may_erase: bool = False
    is_exported: bool = False
    aims: Aims | None = None
    has_gaps: bool = False

    @property
    def erases(self) -> bool:
        """Whether any of its events erases data."""
        if self.is_exported and self.events[0].type == TEXT_ERASED:
            return False  # another log's text
        return not ERASING.isdisjoint([event.type for event in self.events])

    @property
    def is_small(self) -> bool:
        """Whether its decision is likely to take only a few milliseconds."""
        return len(self.events) <= SMALL_EVENTS and self.size <= SMALL_BYTES and self.text is None and not self.erases


class Decisions:
    """Decides batches within one transaction of the views; their events get the instant `recorded`. The caller must
    `write` the accepted events.

    In a trial the log is only read, and the caller rolls the views back.
    """

    def __init__(self, log: Log, views: Views, recorded: str, *, is_trial: bool = False) -> None:
        self._log = log
        self._views = views
        self._recorded = recorded
        self._is_trial = is_trial
        self._taken: dict[tuple[str, str], LoggedEvent] = {}
        """Accepted events that are not in the log yet."""
        self.count = 0
        """The number of new events."""

    def take(self, batch: Batch, seconds: float | None = None) -> list[Receipt]:
        """Return the receipts of a batch's events, in order. Raise Refused, or TooLong if it takes more than `seconds`;
        then nothing of the batch is left.

        After any other exception both transactions must be rolled back.
        """
        if batch.erases and not batch.may_erase:
            raise NotAllowed("this takes a key with scope admin: what is erased does not come back")
        if batch.is_exported:
            batch = self._from_export(batch)
        if batch.text is not None and (kept := self._kept(batch.events[0])) is not None:
            return [receipt(kept, is_new=False)]
        known = self._known(batch)
        fresh = [index for index in range(len(batch.events)) if known[index] is None]
        if fresh and batch.condition is not None:
            self._demand(batch.condition, batch.events[fresh[0]].subject)
        events, same = self._placed(batch, fresh)
        erasure = batch.events[0].erasure if batch.is_exported else None
        stored = [logged(event, erasure) for event in events]
        if events:
            try:
                self._views.admit(
                    events,
                    [leaf_hash(each.entry) for each in stored],
                    seconds,
                    are_checked=erasure is None and not (batch.is_exported and events[0].type in _OF_TEXTS),
                    has_gaps=batch.has_gaps,
                )
            except Refused as refused:
                if batch.is_list:
                    _point_into_list(refused, [index for index in fresh if index not in same], len(batch.events))
                raise
        for each in stored:
            self._taken[each.source, each.id] = each
        if stored and not self._is_trial:
            self._log.begin()
            self._follow(events, batch)
        self.count += len(stored)
        places = iter(stored)
        made: dict[int, LoggedEvent] = {}
        for index in fresh:
            made[index] = made[same[index]] if index in same else next(places)
        return [
            receipt(old, is_new=False) if old is not None else receipt(made[index], is_new=True)
            for index, old in enumerate(known)
        ]

    def write(self) -> None:
        """Append the accepted events to the log, all together, which costs less than batch by batch."""
        self._log.append(list(self._taken.values()))
        self._taken.clear()

    def _from_export(self, batch: Batch) -> Batch:
        """Return the batch with the positions that its events have here. Raise NotAllowed, Invalid, Contradiction.

        The texts that other logs stored are not here, so only the event of a text is recorded.
        """
        (posted,) = batch.events
        if posted.erasure is not None and not batch.may_erase:
            raise NotAllowed("an event whose data was erased takes a key with scope admin")
        if posted.type in _OF_TEXTS and self.find(posted.source, posted.id) is None:
            if posted.source == self._log.meta("origin"):
                raise Invalid(
                    f"{posted.type} is recorded by this registry itself", [Flaw("/source", "is this registry")]
                )
            if posted.type == TEXT_ERASED and self._views.holds_text(posted.subject):
                raise Contradiction(f"a text of {posted.subject} is held here, which another log does not erase")
        if not batch.aims:
            return batch
        is_known = self.find(posted.source, posted.id) is not None
        aims = {at: self._aim(at, aim or (at if is_known else None)) for at, aim in batch.aims.items()}
        if posted.erasure is not None:
            moved = posted._replace(erasure=posted.erasure._replace(about=next(iter(aims.values()))))
        else:
            data = with_positions(orjson.loads(posted.data), aims.__getitem__)
            model, flaws = checked(posted.kind, data, is_posted=False)
            assert model is not None, flaws
            moved = posted._replace(data=canonical(data), model=model)
        return batch._replace(events=(moved,))

    def _aim(self, exported: int, aim: int | tuple[str, str] | None) -> int:
        if isinstance(aim, tuple):
            found = self.find(*aim)
            aim = None if found is None else found.position
        if aim is None:
            detail = f"no line before this one with the position {exported} was taken"
            raise Invalid("the event speaks of one that is not here", [Flaw("/data/event", detail)])
        return aim

    def _follow(self, events: Sequence[Event], batch: Batch) -> None:
        """Perform the erasures and the storing of texts that the events record."""
        for event in events:
            if event.type not in _OF_THE_LOG or (batch.is_exported and event.type in _OF_TEXTS):
                continue
            self.write()
            match event.type:
                case "event.redacted":
                    erased = None if event.about is None else self._views.event(event.about)
                    if erased is not None:  # else this event was erased too, and its position is not known
                        self._log.erase(erased.position, event.position, erased.about)
                case "document.text-stored":
                    assert batch.text is not None
                    self._log.put_text(event.position, batch.text)
                    self._views.hold(event, batch.text)
                case "document.text-erased":
                    self._log.drop_texts(event.subject)

    def find(self, source: str, id_: str) -> LoggedEvent | None:
        """Return the event recorded under a source and id, or accepted here."""
        return self._taken.get((source, id_)) or self._log.find(source, id_)

    def _known(self, batch: Batch) -> list[LoggedEvent | None]:
        """Return the recorded events of the same source and id. Raise DifferentContent if their content differs."""
        known: list[LoggedEvent | None] = []
        flaws: list[Flaw] = []
        positions: list[int] = []
        for index, posted in enumerate(batch.events):
            old = self.find(posted.source, posted.id)
            known.append(old)
            if old is not None and (different := differences(old, posted)):
                at = f"/{index}" if batch.is_list else ""
                flaws += [Flaw(f"{at}/{name}", "is not what was recorded") for name in different]
                positions.append(old.position)
        if flaws:
            raise DifferentContent("this source and id were recorded with other content", flaws, positions)
        return known

    def _kept(self, posted: PostedEvent) -> LoggedEvent | None:
        """Return the event that stored the same text, if that is still stored."""
        position = self._views.stored(posted.subject, posted.model.sha256)  # type: ignore[attr-defined]
        return None if position is None else self._log.at(position)

    def _demand(self, condition: Condition, subject: str) -> None:
        version = self._views.version(subject)
        if not condition.holds_at(version):
            stands = f"stands at version {version}" if version else "has no event yet"
            raise VersionMismatch(f"{subject} {stands}")

    def _placed(self, batch: Batch, fresh: Sequence[int]) -> tuple[list[Event], dict[int, int]]:
        """Return the new events with their positions, and which of the `fresh` repeat an earlier one of the batch."""
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
                    detail = "this source and id stand twice in the batch, with different content"
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
    """Make the flaws point into the batch as posted instead of into its new events alone."""
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
