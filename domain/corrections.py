"""Facts: events about the world, as corrections, retractions and disputes leave them.

The log holds every event as posted; `Corrections` derives, from the events of one subject up to any position, which
facts are current. Nothing here checks facts against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

from pydantic_core import ValidationError, from_json, to_json

from domain.catalogue import CATALOGUE
from domain.edtf import AFTER, BEFORE, Span, day_of, parse_edtf, span_of, span_recorded
from domain.errors import Contradiction
from domain.event_type import Creates, EventType, TakesEffect
from domain.payload import Data

ALTERING = frozenset(("event.corrected", "event.retracted"))
"""The types that alter the event that they are about."""


class Event(NamedTuple):
    """An event as recorded: posted attributes, the data as posted (JSON bytes), position and version.

    The data of an `erased` event is empty but for `event`, if it is about an event whose position is known.
    """

    position: int
    version: int
    subject: str
    type: str
    source: str
    id: str
    time: str | None
    occurred: str | None
    data: bytes
    recorded: str
    actor: str
    erased: bool = False
    checked: Data | None = None
    """The data as a record, if it is already parsed."""

    @property
    def kind(self) -> EventType:
        """Its row of the catalogue."""
        return CATALOGUE[self.type]

    @property
    def model(self) -> Data:
        """The data as a record; that of an erased event has no values."""
        if self.checked is not None:
            return self.checked
        return self.kind.nothing if self.erased else self.kind.data.model_validate_json(self.data)

    @property
    def about(self) -> int | None:
        """The position of the event it is about; None for an event about the world, or if it is no longer known."""
        return self.plain.get("event") if self.kind.about_event else None

    @property
    def plain(self) -> dict[str, Any]:
        """The data as posted, decoded at each call."""
        decoded: dict[str, Any] = from_json(self.data)
        return decoded


def erased_data(about: int | None) -> bytes:
    """Return the data of an erased event that is about the event at a position (None: about no event, or not known)."""
    return b"{}" if about is None else b'{"event":%d}' % about


class Fact(NamedTuple):
    """One current fact about the world.

    `span` covers every possible date, disputed ones too, bounded by the day of recording. `latest` is the last of these
    days as stated, not bounded. `positions` are the event itself and its current corrections, ascending.
    """

    position: int
    subject: str
    type: str
    source: str
    id: str
    occurred: str | None
    span: Span
    latest: int
    data: Data
    positions: tuple[int, ...]

    @property
    def kind(self) -> EventType:
        """Its row of the catalogue."""
        return CATALOGUE[self.type]

    @property
    def creates(self) -> bool:
        """Whether it creates its subject."""
        return CATALOGUE[self.type].is_creating

    @property
    def is_dated(self) -> bool:
        """Whether its earliest day is known."""
        return self.span.lo != BEFORE

    @property
    def order(self) -> tuple[bool, int, int, int, str, str]:
        """The order of folding: creating events first, then by date, type, source and id; never by position nor by the
        day of recording.
        """
        kind, lo = self.kind, self.span.lo
        return (not kind.is_creating, AFTER if lo == BEFORE else lo, self.latest, kind.rank, self.source, self.id)

    def disputed(self, dates: Sequence[str | None], recorded: str) -> Fact:
        """Return the fact with the dates of other sources as possible dates. `recorded` is that of its event."""
        span, latest = _span(dates, recorded)
        return self._replace(span=self.span.hull(span), latest=max(self.latest, latest))

    @property
    def effective(self) -> Span:
        """The days on which it may take effect: `effective` of the data, or else `occurred`."""
        if not isinstance(self.data, TakesEffect) or self.data.effective is None:
            return self.span
        return parse_edtf(self.data.effective)


@dataclass(frozen=True, slots=True)
class Dispute:
    """One claim of another source, made by the event at `position`."""

    pointer: str
    value: Any
    position: int


@dataclass(frozen=True, slots=True)
class EffectiveEvent:
    """An event after its current corrections, as plain JSON. The data of an `erased` event is empty."""

    data: dict[str, Any]
    occurred: str | None
    positions: tuple[int, ...]
    disputes: tuple[Dispute, ...]
    erased: bool


class Corrections:
    """Applies the events about an event to it, directly or through others.

    `about` maps a position to the events about the event there, in the order of the log. An event about another always
    has the higher position, so the recursion ends.
    """

    def __init__(self, about: Mapping[int, Iterable[Event]]) -> None:
        self._about = about

    def retracted_by(self, event: Event) -> int | None:
        """Return the position of the first current retraction of the event, if there is one."""
        for other, _ in self._current_about(event, "event.retracted"):
            return other.position
        return None

    def effective_event(self, event: Event) -> EffectiveEvent:
        """Return the event after its current corrections: the latest wins, field by field.

        A correction whose own data was erased leaves the event without data.
        """
        data, occurred, erased = event.plain, event.occurred, event.erased
        positions = [event.position]
        for other, content in self._current_about(event, "event.corrected"):
            if content.keys().isdisjoint(("data", "data_patch", "occurred")):
                data, erased = {name: value for name, value in data.items() if name == "event"}, True
            elif "data" in content:
                retained = {name: value for name, value in data.items() if name in ("evidence", "note")}
                data, erased = {**retained, **content["data"]}, False
            elif "data_patch" in content and not erased:
                data = merge_patch(data, content["data_patch"])
            if "occurred" in content:
                occurred = content["occurred"]
            positions.append(other.position)
        disputes = tuple(
            Dispute(claim["pointer"], claim["value"], other.position)
            for other, content in self._current_about(event, "event.disputed")
            for claim in content.get("claims", ())
        )
        return EffectiveEvent(data, occurred, tuple(positions), disputes, erased)

    def fact(self, event: Event, claimed: Iterable[str | None] | None = None) -> Fact | None:
        """Return the current fact of an event about the world. `claimed` are the dates of disputes, if those are not
        among the events given.

        Return None if it is retracted, or if its data was erased, unless it created or ended its subject. Raise
        Contradiction if its corrections no longer fit each other: a patch was made of data that is retracted.
        """
        if self.retracted_by(event) is not None:
            return None
        effective = self.effective_event(event)
        if effective.erased and not counts_when_erased(event.kind):
            return None
        if claimed is None:
            claimed = [dispute.value for dispute in effective.disputes if dispute.pointer == "/occurred"]
        span, latest = _span([effective.occurred, *claimed], event.recorded)
        kind = event.kind
        try:
            data = (
                kind.nothing
                if effective.erased
                else kind.data.model_validate_json(to_json(kind.upcast(effective.data)))
            )
        except ValidationError:
            detail = f"the corrections of the event at {event.position} would no longer fit each other"
            raise Contradiction(detail, positions=effective.positions) from None
        return Fact(
            event.position,
            event.subject,
            event.type,
            event.source,
            event.id,
            effective.occurred,
            span,
            latest,
            data,
            effective.positions,
        )

    def passages(self, event: Event) -> list[tuple[int, dict[str, Any]]]:
        """Return the evidence for an event, each passage with the position of the event that gives it."""
        cited = [(event.position, passage) for passage in self.effective_event(event).data.get("evidence", ())]
        for other, content in self._current_about(event, "evidence.added"):
            cited += [(other.position, passage) for passage in content.get("evidence", ())]
        return cited

    def supporting_passages(self, event: Event) -> list[tuple[int, dict[str, Any]]]:
        """Return the current passages that support an event, each with the position of the event that gives it.

        The passages of an `evidence.added` support the event that it is about, not itself.
        """
        if self.retracted_by(event) is not None:
            return []
        is_evidence = event.type == "evidence.added"
        return [(by, passage) for by, passage in self.passages(event) if not is_evidence or by != event.position]

    def _current_about(self, event: Event, *types: str) -> list[tuple[Event, dict[str, Any]]]:
        current = []
        for other in self._about.get(event.position, ()):
            if other.type in types and self.retracted_by(other) is None:
                content = self.effective_event(other).data
                if content.get("event") == event.position:
                    current.append((other, content))
        return current


def merge_patch(value: Any, patch: Any) -> Any:
    """Return a JSON value changed by a merge patch (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(value) if isinstance(value, Mapping) else {}
    for name, each in patch.items():
        if each is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), each)
    return merged


def altered(event: Event, event_at: Callable[[int], Event | None]) -> Iterator[Event]:
    """Yield the events that a correction or retraction may alter: its target, the target of its target, and so on."""
    target = event if event.type in ALTERING else None
    while target is not None and target.about is not None:
        target = event_at(target.about)
        if target is not None:
            yield target


def uncorrected_fact(event: Event, model: Data) -> Fact | None:
    """Return the fact of an event about the world that no other event is about; `model` is its data.

    Return None if its data was erased, unless it created or ended its subject.
    """
    if event.erased and not counts_when_erased(event.kind):
        return None
    span, latest = _span([event.occurred], event.recorded)
    return Fact(
        event.position,
        event.subject,
        event.type,
        event.source,
        event.id,
        event.occurred,
        span,
        latest,
        model,
        (event.position,),
    )


def _span(dates: Sequence[str | None], recorded: str) -> tuple[Span, int]:
    """Return the days that these dates may mean, bounded by the day of recording, and the last day as stated."""
    day = day_of(recorded)
    spans = [span_recorded(occurred, day) for occurred in dates]
    span = reduce(Span.hull, spans)
    return span, max(span_of(occurred).hi for occurred in dates)


def counts_when_erased(kind: EventType) -> bool:
    """Return whether an event of a type still counts once its data is erased."""
    return kind.creates is not Creates.NEVER or kind.ends
