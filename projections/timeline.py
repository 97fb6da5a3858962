"""The timeline: the events about the world, over all subjects, in the order of valid time. It only reads.

A page is a merge of streams that indexes give in this order: the facts of one type and one class of imprecision, or the
facts that name one party. So its cost depends on its length only, whatever the filters and the start.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Annotated, Any

import orjson
from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from domain.catalogue import CATALOGUE
from domain.corrections import Event
from domain.edtf import AFTER, BEFORE, parse_day
from domain.values import Reference
from projections.engine.answer_fields import EventId, EventPosition, EventSource, Occurred, Positions, Recorded
from projections.engine.canonical_rows import KNOWN, Part, Row, encoded_boolean, encoded_day, stored_json
from projections.engine.database import SPAN, first_after
from projections.engine.event_index import KINDS, EventIndex, type_of
from projections.engine.filters import CERTAINTY, SUBSIDIARIES, WORDS, Choice, Day, Filter, SubjectOf, check
from projections.engine.item_lists import ItemType
from projections.engine.planner import STEPS, PlanTooSlow, bounded, greatest
from projections.engine.query_types import Certainty, Page, TimeSlice, check_after
from projections.engine.reference_values import referred
from projections.engine.specification import Digest, Scope, View
from projections.engine.subsidiaries import requested_parties
from projections.engine.text_filter import Condition, matching


def _fact(row: Row) -> dict[str, Any]:
    position, subject, rank, lo, hi, at, stated, core, label, meaning, source, id_, occurred, recorded, data = row[:15]
    positions, content = [position], stored_json(data)
    if meaning is not None:
        try:
            occurred, positions, content = orjson.loads(meaning)
        except (TypeError, ValueError):
            content = repr(meaning)
    return {
        "position": position,
        "subject": subject,
        "type": type_of(rank),
        "occurred": occurred,
        "earliest": encoded_day(lo, BEFORE),
        "latest": encoded_day(hi),
        "sorted_as": [encoded_day(at), encoded_day(stated), label],
        "describes": encoded_boolean(core),
        "events": positions,
        "source": source,
        "id": id_,
        "recorded": recorded,
        "data": content,
        "words": row[15],
        "names": row[16],
    }


_FACT_ROWS = Part(
    ("t.position", "t.id"),
    "t.position, s.name, t.rank, t.lo, t.hi, t.at, t.stated, t.core, t.label, t.meaning, w.text, e.id, e.occurred,"
    " e.recorded, e.data, trim(x.tokens), trim(n.tokens)",
    "facts t INDEXED BY facts_of_event CROSS JOIN events e ON e.position = t.position CROSS JOIN subjects s"
    " ON s.id = t.subject CROSS JOIN strings w ON w.id = e.source LEFT JOIN text_index x ON x.id = t.id"
    f" LEFT JOIN names n ON n.id = t.id WHERE {KNOWN.format('t')}",
    "t.position >= :k0",
    (-1, -1),
    _fact,
)


def _tag(row: Row) -> dict[str, Any]:
    position, subject, rank, named, at, hi = row
    return {
        "position": position,
        "subject": subject,
        "type": type_of(rank),
        "speaks_of": named,
        "sorted_as": encoded_day(at),
        "latest": encoded_day(hi),
    }


_TAGGED = "CROSS JOIN facts t ON t.id = l.fact CROSS JOIN subjects s ON s.id = l.subject"
_SUBJECT_TAGS = Part(
    ("l.key", "l.subject", "t.position", "t.id"),
    "t.position, s.name, l.rank, m.name, l.at, l.hi",
    f"tags l {_TAGGED} CROSS JOIN subjects m ON m.id = l.key WHERE l.key > 0 AND {KNOWN.format('t')}",
    "(l.key, l.subject) >= (:k0, :k1)",
    (0, -1, -1, -1),
    _tag,
)
_ITEM_TAGS = Part(
    ("w.text", "l.subject", "t.position", "t.id"),
    "t.position, s.name, l.rank, w.text, l.at, l.hi",
    f"strings w CROSS JOIN tags l ON l.key = -w.id {_TAGGED} WHERE {KNOWN.format('t')}",
    "w.text >= :k0",
    ("", -1, -1, -1),
    _tag,
)


_ABOUT_THE_WORLD = [kind.name for kind in KINDS.values() if not kind.about_event]


class TimelineItem(TypedDict):
    """What happened, as corrections leave it."""

    position: EventPosition
    occurred: Occurred
    certainty: Annotated[
        Certainty, Field(description="Whether it happened within the days of the question for certain.")
    ]
    type: Annotated[
        str,
        Field(description="The type of the event."),
        WithJsonSchema({"type": "string", "enum": _ABOUT_THE_WORLD}),
    ]
    subject: Annotated[Reference, Field(description="The subject that it is about.")]
    data: Annotated[dict[str, Any], Field(description="The data of the event, with the names of subjects.")]
    source: EventSource
    id: EventId
    recorded: Recorded
    events: Positions


TIMELINE = View(
    name="timeline",
    item=ItemType(TimelineItem),
    sorts=("occurred", "position"),
    filters=(
        WORDS,
        Filter("party", SubjectOf(("parties",)), "A party the event names or is about."),
        SUBSIDIARIES,
        Filter("subject", SubjectOf(), "The subject the event is about."),
        Filter("type", Choice(tuple(CATALOGUE), form="is not a type the registry knows"), "The type of event."),
        Filter("from", Day(), "What may have come about on this day or later"),
        Filter("to", Day(), "What may have come about on this day or earlier"),
        CERTAINTY,
    ),
    digest=Digest((_FACT_ROWS, _SUBJECT_TAGS, _ITEM_TAGS), Scope(folded=frozenset(), rows=frozenset(), words=True)),
)

_FEW = 5_000
_MANY = 32
"""Parties from which on their facts are collected before they are tested (see `_of_parties`)."""
_MOST_SELECTS = 300
"""The most selects in one statement; SQLite takes 500."""
_REACH = {0: 31, 1: 400, 2: AFTER}
"""The most days between the earliest and the latest day of a fact, by its `SPAN`."""


@dataclass(frozen=True, slots=True)
class _Criteria:
    """The criteria of a query: facts with an id below `below` that are current as of a position.

    They may lie on the days `first` to `last`, have one of the types `ranks`, are about one of `subjects`, are about or
    name one of `parties`, have `words`, and certainly lie in this time, or only possibly. Empty criteria select all.
    """

    below: int
    as_of: int
    first: int = BEFORE
    last: int = AFTER
    ranks: tuple[int, ...] = ()
    subjects: tuple[int, ...] = ()
    parties: tuple[int, ...] = ()
    words: Condition | None = None
    certainty: str | None = None


@dataclass(frozen=True, slots=True)
class _Stream:
    """Facts `f` that an index gives in the order of time.

    `rank` is their type, if they have one. `reach` is the most days between their earliest and latest day. `dated` is
    the alias of the table with the days in the index. `is_of_party`: all name or are about one requested party; streams
    of different parties may share facts.
    """

    source: str
    condition: str
    values: tuple[Any, ...] = ()
    rank: int | None = None
    reach: int = AFTER
    dated: str = "f"
    is_of_party: bool = False


_Days = tuple[str, tuple[int, ...]]
_Select = tuple[str, list[Any]]
"""A select, in SQL with its values."""


class Timeline:
    """The timeline, on one connection."""

    def __init__(self, db: sqlite3.Connection, index: EventIndex) -> None:
        self._db = db
        self._index = index

    def page(
        self,
        question: TimeSlice,
        filters: Mapping[str, Sequence[str]],
        *,
        sort: str | None,
        limit: int,
        after: Sequence[Any] | None,
    ) -> Page:
        """Return a page of the facts current as of the position, each once. Raise BadQuestion."""
        check(TIMELINE.name, TIMELINE.filters, TIMELINE.sorts, filters, sort)
        name = (sort or "occurred").removeprefix("-")
        types = (int,) if name == "position" else (int, int, int, str)
        check_after(after, *types)
        criteria = self._criteria(question, filters)
        try:
            with (
                bounded(self._db, STEPS) if criteria.words is not None and not criteria.words.narrow else nullcontext()
            ):
                rows = self._rows(criteria, sort, limit, after)
        except PlanTooSlow:
            criteria = self._criteria(question, filters, materialises=True)
            rows = self._rows(criteria, sort, limit, after)
        events = self._index.events(row[-4] for row in rows[:limit])
        items = [self._item(row, events[row[-4]], criteria.first, criteria.last) for row in rows[:limit]]
        return Page(items, list(rows[limit - 1][: len(types)]) if len(rows) > limit else None)

    def _rows(
        self, criteria: _Criteria, sort: str | None, limit: int, after: Sequence[Any] | None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a page, and one more if there is one."""
        name, descending = (sort or "occurred").removeprefix("-"), (sort or "").startswith("-")
        if name == "position":
            return self._merged(self._by_position(criteria, descending, after), criteria, 1, descending, limit + 1)
        rows: list[tuple[Any, ...]] = []
        for selects in self._by_time(criteria, descending, after):
            rows += self._merged(selects, criteria, 4, descending, limit + 1 - len(rows))
            if len(rows) > limit:
                break
        return rows

    def _merged(
        self, selects: Sequence[_Select], criteria: _Criteria, keys: int, descending: bool, most: int
    ) -> list[tuple[Any, ...]]:
        """Return the first `most` rows of some selects, each once, in the order of their first `keys` columns."""
        union = " UNION " if len(criteria.parties) > 1 else " UNION ALL "  # one party has no fact in two streams
        order = ", ".join(f"{column + 1}{' DESC' if descending else ''}" for column in range(keys))
        rows: list[tuple[Any, ...]] = []
        for start in range(0, len(selects), _MOST_SELECTS):
            some = selects[start : start + _MOST_SELECTS]
            values = [value for _, bound in some for value in bound]
            sql = union.join(select for select, _ in some)
            rows += self._db.execute(f"{sql} ORDER BY {order} LIMIT ?", (*values, most)).fetchall()
        if len(selects) > _MOST_SELECTS:
            rows = sorted(set(rows), key=lambda row: row[:keys], reverse=descending)[:most]
        return rows

    def _criteria(
        self, question: TimeSlice, filters: Mapping[str, Sequence[str]], *, materialises: bool = False
    ) -> _Criteria:
        """Return the criteria of a query; `materialises`: look up the rows with the words, unless too many."""
        criteria = _Criteria(first_after(self._db, "facts", question.as_of), question.as_of)
        if question.on is not None:
            criteria = replace(criteria, last=question.on)
        for name, (value, *others) in filters.items():
            match name:
                case "certainty" if {value}.issuperset(others):
                    criteria = replace(criteria, certainty=value)
                case "from":
                    criteria = replace(criteria, first=max(criteria.first, parse_day(value)))
                case "to":
                    criteria = replace(criteria, last=min(criteria.last, parse_day(value)))
                case "type":
                    criteria = replace(
                        criteria, ranks=tuple(sorted({CATALOGUE[each].rank for each in filters["type"]}))
                    )
                case "subject":
                    criteria = replace(criteria, subjects=self._group(value, question))
                case "party":
                    criteria = replace(criteria, parties=tuple(requested_parties(self._index, filters, question)))
                case "q":
                    most = greatest(self._db, "facts") if materialises else 0
                    criteria = replace(criteria, words=matching(self._db, value, "timeline", question.as_of, most))
        return criteria

    def _group(self, subject: str, question: TimeSlice) -> tuple[int, ...]:
        number = self._index.find(subject)
        return (-1,) if number is None else tuple(self._index.cluster_of(number, question.as_of))

    # in the order of time

    def _by_time(self, criteria: _Criteria, descending: bool, after: Sequence[Any] | None) -> Iterator[list[_Select]]:
        """Yield selects of facts that follow each other in time; those without an earliest day come last in either
        direction.
        """
        streams = list(self._streams(criteria))
        if not streams:  # no fact has a requested type
            return
        periods: Iterable[tuple[int, int] | None] = [None]
        if criteria.words is not None and not criteria.words.narrow:
            periods = self._periods(streams, criteria, descending, after)
        for period in periods:
            yield self._selects(streams, criteria, descending, after, period)

    def _periods(
        self, streams: Sequence[_Stream], criteria: _Criteria, descending: bool, after: Sequence[Any] | None
    ) -> Iterator[tuple[int, int]]:
        """Yield periods (first day, last day) of growing length.

        Without them, a stream without the words would be read to its end while another has rows with them.
        """
        length = 8
        anything = replace(criteria, words=None)
        while True:
            selects = self._selects(streams, anything, descending, after, None)
            rows = self._merged(selects, anything, 1, descending, 1)
            if not rows:
                return
            at = rows[0][0]
            if at in (-1, AFTER):
                yield AFTER, AFTER
                return
            period = (max(BEFORE, at - length), at) if descending else (at, min(at + length, AFTER - 1))
            yield period
            after = (period[0], -1, -1, "") if descending else (period[1], AFTER + 1, 0, "")
            length *= 4

    @staticmethod
    def _selects(
        streams: Iterable[_Stream],
        criteria: _Criteria,
        descending: bool,
        after: Sequence[Any] | None,
        period: tuple[int, int] | None,
    ) -> list[_Select]:
        """Return selects of all streams; with a period only of the facts sorted in it (`AFTER`: undated facts)."""
        selects: list[_Select] = []
        kinds: tuple[bool | None, ...] = (True, False) if descending or criteria.last != AFTER else (None,)
        if period is not None:
            kinds = (period[0] != AFTER,)
        for stream in streams:
            for is_dated in kinds:
                conditions, bound = _conditions(stream, criteria)
                first = f"{stream.dated}.at"
                if is_dated is True:
                    since, until = period or (BEFORE, AFTER - 1)
                    conditions.append(f"{first} BETWEEN ? AND ?")
                    bound += [since, min(until, criteria.last)]
                elif is_dated is False:
                    conditions.append(f"{first} = {AFTER}")
                    first = "-1" if descending else str(AFTER)
                if after is not None:
                    condition, keys = _after(first, stream, descending, after)
                    conditions.append(condition)
                    bound += keys
                selects.append((_query((first, f"{stream.dated}.hi"), stream.source, conditions), bound))
        return selects

    def _streams(self, criteria: _Criteria) -> Iterator[_Stream]:
        """Yield the streams that contain the requested facts, by words, subject, party or type, whichever is rare."""
        if criteria.words is not None and criteria.words.narrow:
            yield _Stream("facts f", "1")
            return
        if (criteria.subjects or criteria.parties) and not self._are_rare(criteria.ranks):
            if criteria.subjects:
                yield from (_Stream("facts f", "f.subject = ?", (each,)) for each in criteria.subjects)
            else:
                yield from _naming(criteria.parties)
            return
        for rank, span in self._sorts(criteria.ranks):
            yield _Stream("facts f", f"f.rank = {rank} AND {SPAN} = {span}", (), rank, _REACH[span])

    def _sorts(self, ranks: tuple[int, ...]) -> Iterator[tuple[int, int]]:
        """Yield each of some types, or of all types of facts, with each class of imprecision of its facts."""
        for rank in ranks or self._ranks():
            for span in _REACH:
                if self._db.execute(f"SELECT 1 FROM facts WHERE rank = {rank} AND {SPAN} = {span} LIMIT 1").fetchone():
                    yield rank, span

    def _ranks(self) -> Iterator[int]:
        least = -1
        while row := self._db.execute(
            "SELECT rank FROM facts WHERE rank > ? ORDER BY rank LIMIT 1", (least,)
        ).fetchone():
            least = row[0]
            yield least

    def _are_rare(self, ranks: tuple[int, ...]) -> bool:
        if not ranks:
            return False
        sql = f"SELECT COUNT(*) FROM (SELECT 1 FROM facts WHERE rank IN ({_places(ranks)}) LIMIT ?)"
        return bool(self._db.execute(sql, (*ranks, _FEW + 1)).fetchone()[0] <= _FEW)

    # in the order of the log

    def _by_position(self, criteria: _Criteria, descending: bool, after: Sequence[Any] | None) -> list[_Select]:
        """Return selects by position: rare facts are found and sorted, common ones met in the order of the log."""
        streams = [(stream, days) for stream in self._streams(criteria) for days in _days(stream, criteria)]
        if not self._are_few(streams, criteria):
            streams = [(_Stream("facts f", "1"), ("1", ()))]
        selects: list[_Select] = []
        for stream, (days, bounds) in streams:
            conditions, bound = _conditions(stream, criteria)
            conditions.append(days)
            bound += bounds
            if after is not None:
                conditions.append(f"f.position {'<' if descending else '>'} ?")
                bound.append(after[0])
            selects.append((_query(("f.position", "f.hi"), stream.source, conditions), bound))
        return selects

    def _are_few(self, streams: Sequence[tuple[_Stream, _Days]], criteria: _Criteria) -> bool:
        """Return whether the streams have few facts, counted by their indexes."""
        if criteria.words is not None and criteria.words.narrow:
            return True
        left = _FEW
        for stream, (days, bounds) in streams:
            conditions, values = [stream.condition, days], [*stream.values, *bounds]
            if criteria.first != BEFORE:
                since, bound = _since(stream, criteria.first)
                conditions += since
                values += bound
            sql = f"SELECT COUNT(*) FROM (SELECT 1 FROM {stream.source} WHERE {' AND '.join(conditions)} LIMIT ?)"
            left -= self._db.execute(sql, (*values, left + 1)).fetchone()[0]
            if left < 0:
                return False
        return True

    # an item

    def _item(self, row: Sequence[Any], event: Event, first: int, last: int) -> TimelineItem:
        _, hi, rank, _, position, subject, lo, meaning = row
        occurred, positions, data = event.occurred, [position], event.plain
        if meaning is not None:
            occurred, positions, data = orjson.loads(meaning)
        data.pop("evidence", None)
        return {
            "position": position,
            "subject": Reference(self._index.name(subject)),
            "type": KINDS[rank].name,
            "occurred": occurred,
            "certainty": "certain" if first <= lo and hi <= last else "possible",
            "data": referred(KINDS[rank].data, data),
            "source": event.source,
            "id": event.id,
            "recorded": event.recorded,
            "events": positions,
        }


def _naming(parties: tuple[int, ...]) -> Iterator[_Stream]:
    """Yield streams of the facts that are about a party, and of those that name it, for each of some parties."""
    for party in parties:
        yield _Stream("facts f", "f.subject = ?", (party,), is_of_party=True)
        tagged = "tags l CROSS JOIN facts f ON f.id = l.fact"
        condition = "l.key = ? AND l.key > 0 AND f.subject <> ?"
        yield _Stream(tagged, condition, (party, party), dated="l", is_of_party=True)


def _conditions(stream: _Stream, criteria: _Criteria) -> tuple[list[str], list[Any]]:
    """Return the conditions of a stream and the criteria. A `+` stops SQLite from choosing another index."""
    id_ = "l.fact" if stream.dated == "l" else "+f.id"
    conditions, values = (
        [stream.condition, f"{id_} < ?", "f.system_to > ?"],
        [*stream.values, criteria.below, criteria.as_of],
    )
    if criteria.first != BEFORE:
        since, bound = _since(stream, criteria.first)
        conditions += since
        values += bound
    if criteria.last != AFTER:
        conditions.append("f.lo <= ?")
        values.append(criteria.last)
    if criteria.certainty == "certain":
        conditions.append("(f.lo >= ? AND f.hi <= ?)")
        values += [criteria.first, criteria.last]
    elif criteria.certainty == "possible":
        if criteria.first == BEFORE:  # without a first day, a fact that is only possible reaches beyond the last day
            since, bound = _since(stream, criteria.last + 1)
            conditions += since
            values += bound
        conditions.append("NOT (f.lo >= ? AND f.hi <= ?)")
        values += [criteria.first, criteria.last]
    if criteria.ranks and stream.rank is None:
        conditions.append(f"+f.rank IN ({_places(criteria.ranks)})")
        values += criteria.ranks
    if criteria.subjects:
        conditions.append(f"+f.subject IN ({_places(criteria.subjects)})")
        values += criteria.subjects
    if criteria.parties and not stream.is_of_party:
        conditions.append(_of_parties(are_many=len(criteria.parties) > _MANY and stream.rank is None))
        values += [orjson.dumps(criteria.parties).decode()] * 2
    if criteria.words is not None:
        conditions.append(criteria.words.sql)
        values += criteria.words.values
    return conditions, values


def _of_parties(*, are_many: bool) -> str:
    """Return the condition that a fact is about or names one of some parties, which are bound twice, as JSON.

    Of many parties all facts are collected once, as to search for each party at each fact takes too long: of 1,000 in
    50,000 facts, 4 seconds. The streams of rare types have few facts, and may be many.
    """
    group = "SELECT value FROM json_each(?)"
    if are_many:
        about = f"SELECT id FROM facts WHERE subject IN ({group})"
        return f"+f.id IN ({about} UNION ALL SELECT fact FROM tags WHERE key IN ({group}))"
    same = "x.subject = f.subject AND x.rank = f.rank AND x.fact = f.id"
    named = f"SELECT 1 FROM tags x WHERE x.key IN ({group}) AND {same}"
    return f"(+f.subject IN ({group}) OR EXISTS ({named}))"


def _since(stream: _Stream, first: int) -> tuple[list[str], list[int]]:
    """Return the conditions, served by an index, that a fact may lie on a day or later."""
    conditions, values = [f"{stream.dated}.hi >= ?"], [first]
    if stream.reach != AFTER:
        conditions.append(f"{stream.dated}.at >= ?")
        values.append(first - stream.reach)
    return conditions, values


def _days(stream: _Stream, criteria: _Criteria) -> list[_Days]:
    """Return disjoint conditions, served by an index, of the facts that may lie on the last day or earlier."""
    at = f"{stream.dated}.at"
    if criteria.last == AFTER:
        return [("1", ())]
    return [(f"{at} <= ?", (criteria.last,)), (f"{at} = {AFTER}", ())]


def _query(keys: Iterable[str], source: str, conditions: Iterable[str]) -> str:
    columns = ", ".join((*keys, "f.rank", "f.label", "f.position", "f.subject", "f.lo", "f.meaning"))
    return f"SELECT {columns} FROM {source} WHERE {' AND '.join(conditions)}"


def _after(first: str, stream: _Stream, descending: bool, after: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return the condition, served by an index, that a fact follows the key (first day, last day, type, label)."""
    at, hi, rank, label = after
    more, least = ("<", "<=") if descending else (">", ">=")
    last = f"{stream.dated}.hi"
    if stream.rank is None:
        return f"{first} {least} ? AND ({first}, {last}, f.rank, f.label) {more} (?, ?, ?, ?)", [at, *after]
    if stream.rank == rank:
        return f"({first}, {last}, f.label) {more} (?, ?, ?)", [at, hi, label]
    follows = stream.rank < rank if descending else stream.rank > rank
    return f"({first}, {last}) {least if follows else more} (?, ?)", [at, hi]


def _places(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
