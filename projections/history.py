"""The history of a subject: its events in the order of the log, with the change that each made to the state."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, NotRequired

import orjson
from jsonpatch import make_patch
from pydantic import Field
from typing_extensions import TypedDict

from domain.corrections import Event
from domain.payload import Position
from domain.values import Reference, pointer
from projections.annotations import Disputes, MoreOfItem, Passage
from projections.engine.answer_fields import (
    EventId,
    EventPosition,
    EventSource,
    EventType,
    EventVersion,
    Occurred,
    Positions,
    Recorded,
)
from projections.engine.canonical_rows import Part, Row, stored_json
from projections.engine.database import DISSOLVED, LIFESPAN_CHANGED
from projections.engine.event_index import EventIndex, type_of
from projections.engine.query_types import Difference, Gone, Merged, NotFound, Page, TimeSlice, check_after
from projections.engine.reference_values import referred
from projections.engine.specification import Digest, Scope
from projections.states import States


def _event(row: Row) -> dict[str, Any]:
    position, subject, version, rank, recorded, about, source, id_, time, occurred, actor, data = row
    return {
        "position": position,
        "version": version,
        "subject": subject,
        "type": type_of(rank),
        "source": source,
        "id": id_,
        "time": time,
        "occurred": occurred,
        "recorded": recorded,
        "actor": actor,
        "about": about,
        "data": stored_json(data),
    }


_EVENT_ROWS = Part(
    ("t.position",),
    "t.position, s.name, t.version, t.rank, t.recorded, t.about, w.text, t.id, t.time, t.occurred, a.text, t.data",
    "events t CROSS JOIN subjects s ON s.id = t.subject CROSS JOIN strings w ON w.id = t.source CROSS JOIN strings a"
    " ON a.id = t.actor WHERE t.position <= :as_of",
    "t.position > :k0",
    (0,),
    _event,
)
DIGEST = Digest((_EVENT_ROWS,), Scope(folded=frozenset(), rows=frozenset(), facts=False))
"""The events as the views store them."""


_PatchOperation = TypedDict(  # in this form for the keyword `from`
    "_PatchOperation",
    {
        "op": Annotated[str, Field(description="The operation: `add`, `remove`, `replace` or `move`.")],
        "path": Annotated[str, Field(description="The JSON Pointer of the changed place.")],
        "value": NotRequired[Annotated[Any, Field(description="The value that is put there.")]],
        "from": NotRequired[Annotated[str, Field(description="The JSON Pointer that the value is moved from.")]],
    },
)


class PatchOperation(_PatchOperation):
    """One operation of RFC 6902."""


Patch = Annotated[
    list[PatchOperation],
    Field(description="The change to the state (RFC 6902), without the names of others; from null at first."),
]


class HistoryItem(TypedDict):
    """An event as it was recorded, and the change it made to the state."""

    position: EventPosition
    version: EventVersion
    type: EventType
    occurred: Occurred
    subject: Annotated[Reference, Field(description="The subject that it is about.")]
    data: Annotated[dict[str, Any], Field(description="The data as it was posted, with the names of subjects.")]
    evidence: Annotated[list[Passage], Field(description="The passages that the event cites.")]
    patch: Patch
    source: EventSource
    id: EventId
    time: Annotated[str | None, Field(description="When the source made the event; null where it does not say.")]
    recorded: Recorded
    actor: Annotated[str, Field(description="The name of the key it was posted with.")]
    events: Positions
    disputed: NotRequired[Disputes]
    more: NotRequired[MoreOfItem]
    redacted: NotRequired[Annotated[Position, Field(description="The position of the event that had the data erased.")]]


class History:
    """Histories and differences, on one connection."""

    def __init__(self, db: sqlite3.Connection, index: EventIndex, states: States) -> None:
        self._db = db
        self._index = index
        self._states = states

    def history(self, subject: str, question: TimeSlice, *, limit: int, after: Sequence[Any] | None) -> Page:
        """Return a page of the events about a subject, and those merged with it, up to the position of the question.

        Events that merge or split parties in it are listed, too, those that change the lifespan of such parties, and
        those that change what it owns.
        `patch` (RFC 6902) turns the state as of the item before into the state as of this item, both on the day of the
        question and without the names of others; before the first event the state is null. Raise NotFound or Merged.
        """
        check_after(after, int)
        group = self._index.cluster_of(self._number(subject, question), question.as_of)
        since = after[0] if after else 0
        positions = self._positions(group, since, question.as_of, limit + 1)
        state = self._bare(subject, since, question) if since else None
        verified = self._states.annotations.verifying(question)
        items: list[HistoryItem] = []
        for position in positions[:limit]:
            event = self._index.event(position)
            assert event is not None
            following = self._bare(subject, event.position, question)
            data = event.plain
            evidence = data.pop("evidence", [])
            item: HistoryItem = {
                "position": event.position,
                "version": event.version,
                "subject": Reference(event.subject),
                "type": event.type,
                "source": event.source,
                "id": event.id,
                "time": event.time,
                "occurred": event.occurred,
                "recorded": event.recorded,
                "actor": event.actor,
                "data": self._referred(event, data),
                "evidence": [verified(passage) for passage in evidence],
                "events": [event.position],
                "patch": patch(state, following),
            }
            if event.erased and (by := self._index.redacted_by(event.position)):
                item["redacted"] = by
            items.append(item)
            state = following
        return Page(items, [positions[limit - 1]] if len(positions) > limit else None)

    def difference(self, subject: str, first: TimeSlice, second: TimeSlice, most: int) -> Difference:
        """Return the difference between two states of a subject, without the names of others.

        A side without a state (not yet recorded or created, retracted, merged) is null. `events` are at most `most`
        events of the history between the two positions, the earliest. Raise NotFound or Merged where neither side has a
        state and there is no history either.
        """
        before, after = (self._bare(subject, side.as_of, side) for side in (first, second))
        since, until = sorted((first.as_of, second.as_of))
        if before is None and after is None:
            self._number(subject, TimeSlice(until, None))
        number = self._index.must_find(subject)
        group = {member for as_of in (since, until) for member in self._index.cluster_of(number, as_of)}
        events = self._positions(group, since, until, most + 1)
        return Difference(patch(before, after), events[:most], len(events) > most)

    def versions(self, subject: str, as_of: int, since: int, limit: int) -> list[tuple[int, str]]:
        """Return the positions of a history after `since`, with their instants. Raise NotFound or Merged."""
        group = self._index.cluster_of(self._number(subject, TimeSlice(as_of, None)), as_of)
        positions = self._positions(group, since, as_of, limit)
        return self._db.execute(
            f"SELECT position, recorded FROM events WHERE position IN ({_places(positions)}) ORDER BY position",
            positions,
        ).fetchall()

    def recorded(self, position: int) -> str | None:
        """Return when the event at a position was recorded; None where there is none."""
        row = self._db.execute("SELECT recorded FROM events WHERE position = ?", (position,)).fetchone()
        return None if row is None else str(row[0])

    def _referred(self, event: Event, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data of an event with its references; data in a correction has the corrected event's shape."""
        found = referred(event.kind.data, data)
        target = self._index.event(event.about) if event.type == "event.corrected" and event.about else None
        if target is not None and found.get("data") is not None:
            found["data"] = self._referred(target, found["data"])
        return found

    def _number(self, subject: str, question: TimeSlice) -> int:
        """Return the number of a subject that has a history. Raise NotFound or Merged."""
        try:
            return self._states.number(subject, question)
        except Gone:
            return self._index.must_find(subject)

    def _positions(self, group: Collection[int], since: int, until: int, limit: int) -> list[int]:
        """Return the first `limit` positions after `since` up to `until` of events in the history of these subjects."""
        rows = self._db.execute(
            f"SELECT position FROM events WHERE subject IN ({_places(group)}) AND position > ? AND position <= ?"
            " ORDER BY position LIMIT ?",
            (*group, since, until, limit),
        ).fetchall()
        last = rows[-1][0] if len(rows) == limit else until
        mergers = (position for position in self._mergers_of(group) if since < position <= last)
        lifespans = self._lifespan_changes(group, since, last)
        owned = self._changes_of_owned(group, since, last)
        return sorted({row[0] for row in rows}.union(mergers, lifespans, owned))[:limit]

    def _changes_of_owned(self, group: Collection[int], since: int, until: int) -> set[int]:
        """Return the positions after `since` up to `until` that change what these parties own."""
        found: set[int] = set()
        for bound in ("system_from", "system_to"):
            rows = self._db.execute(
                f"SELECT {bound} FROM memberships WHERE party IN ({_places(group)})"
                f" AND container_name > 'parties/' AND container_name < 'parties0' AND {bound} > ? AND {bound} <= ?",
                (*group, since, until),
            )
            found.update(position for (position,) in rows)
        return found

    def _lifespan_changes(self, group: Collection[int], since: int, until: int) -> set[int]:
        """Return the positions after `since` up to `until` that change the lifespan of parties in these subjects, as
        memberships end with the party."""
        moved = self._db.execute(
            "SELECT subject, system_from FROM facts INDEXED BY facts_dissolved"
            f" WHERE {DISSOLVED} AND system_from > ? AND system_from <= ?"
            " UNION SELECT subject, system_to FROM facts INDEXED BY facts_lifespan_changed"
            f" WHERE {LIFESPAN_CHANGED} AND system_to > ? AND system_to <= ?",
            (since, until, since, until),
        ).fetchall()
        found = {position for party, position in moved if self._is_in(party, group, position)}
        return found | self._end_bounds(group, since, until)

    def _end_bounds(self, group: Collection[int], since: int, until: int) -> set[int]:
        """Return the positions after `since` up to `until` of facts that bound the imprecise end of a party in these
        subjects: it ended no earlier than such a fact.
        """
        imprecise = self._db.execute(
            "SELECT subject, min(lo), min(system_from) FROM facts INDEXED BY facts_dissolved"
            f" WHERE {DISSOLVED} AND lo < hi AND system_from <= ? GROUP BY subject",
            (until,),
        ).fetchall()
        found: set[int] = set()
        for party, day, known in imprecise:
            if self._is_in(party, group, until):
                members = sorted({*self._index.cluster_of(party, since), *self._index.cluster_of(party, until)})
                later = f"FROM facts WHERE subject IN ({_places(members)}) AND lo > ?"
                rows = self._db.execute(
                    f"SELECT system_from {later} AND system_from > ? AND system_from <= ?"
                    f" UNION SELECT system_to {later} AND system_to > ? AND system_to <= ?",
                    (*members, day, max(since, known), until) * 2,
                )
                found.update(position for (position,) in rows)
        return found

    def _is_in(self, party: int, group: Collection[int], as_of: int) -> bool:
        """Return whether a party, or one merged with it, is or was in one of these subjects."""
        parties = self._index.cluster_of(party, as_of)
        held = f"container IN ({_places(group)}) AND party IN ({_places(parties)})"
        sql = f"SELECT 1 FROM memberships WHERE {held} LIMIT 1"
        return self._db.execute(sql, (*group, *parties)).fetchone() is not None

    def _mergers_of(self, group: Collection[int]) -> set[int]:
        """Return the positions of mergers and splits of these subjects, and of parties that their facts name."""
        found: set[int] = set()
        mergers = self._db.execute("SELECT loser, survivor, system_from, system_to FROM mergers").fetchall()
        for loser, into, since, until in mergers:
            parties = {into, *self._index.cluster_of(loser, since - 1)}
            if not parties.isdisjoint(group):
                found.update((since, until))
                continue
            named = self._db.execute(
                f"SELECT 1 FROM tags WHERE key IN ({_places(parties)}) AND subject IN ({_places(group)}) LIMIT 1",
                (*parties, *group),
            ).fetchone()
            if named is not None:
                found.update((since, until))
        return found

    def _bare(self, subject: str, as_of: int, question: TimeSlice) -> dict[str, Any] | None:
        try:
            return self._states.state(subject, TimeSlice(as_of, question.on), bare=True).body
        except (NotFound, Gone, Merged):
            return None


def patch(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[PatchOperation]:
    """Return the RFC 6902 operations that turn one state into another; None is no state.

    They are those of `make_patch` between the states. It serialises every item of two lists that differ, so it gets the
    states without their equal parts: a page of a history takes half the time.
    """
    if before is None or after is None:
        return [] if before is after else [{"op": "replace", "path": "", "value": after}]
    skipped: dict[str, int] = {}
    operations: list[Any] = make_patch(*_without_equal(before, after, "", skipped)).patch
    for operation in operations:
        for member in operation.keys() & {"path", "from"}:
            operation[member] = _in_whole_list(operation[member], skipped)
    return operations


def _without_equal(before: Any, after: Any, path: str, skipped: dict[str, int]) -> tuple[Any, Any]:
    """Return two values without the members that are equal, and without the equal items at both ends of lists.

    Add to `skipped`, by the path of a list, the number of items that are left out at its beginning.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        changed = {
            name: _without_equal(value, after[name], path + pointer(name), skipped)
            for name, value in before.items()
            if name in after and _canonical(value) != _canonical(after[name])
        }
        return (
            {name: changed[name][0] if name in changed else value for name, value in _but(before, after, changed)},
            {name: changed[name][1] if name in changed else value for name, value in _but(after, before, changed)},
        )
    if isinstance(before, list) and isinstance(after, list):
        old, new = [_canonical(item) for item in before], [_canonical(item) for item in after]
        start = skipped[path] = _equal_items(old, new)
        end = _equal_items(old[start:][::-1], new[start:][::-1])
        return before[start : len(old) - end], after[start : len(new) - end]
    return before, after


def _but(one: Mapping[str, Any], other: Mapping[str, Any], changed: Collection[str]) -> Iterable[tuple[str, Any]]:
    """Return the members of an object that another one has not, and those that changed."""
    return ((name, value) for name, value in one.items() if name in changed or name not in other)


def _equal_items(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    """Return the number of equal items at the beginning of two lists."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _in_whole_list(place: str, skipped: Mapping[str, int]) -> str:
    """Return the JSON Pointer into whole lists that corresponds to one into lists without their beginnings.

    Such a list is not inside another.
    """
    for path, count in skipped.items():
        if place.startswith(f"{path}/"):
            index, slash, rest = place[len(path) + 1 :].partition("/")
            return f"{path}/{int(index) + count}{slash}{rest}"
    return place


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _places(values: Collection[Any]) -> str:
    return ", ".join("?" * len(values))
