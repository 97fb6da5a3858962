"""What is known: the events taken in, the facts that stand of them, and who is one with whom.

The write half's picture of the log's head, on which rules are judged and views folded. It keeps every version of a
fact with the positions between which it was believed. It judges nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import orjson

from domain.events import AgreementSigned
from domain.facts import Event, Fact
from domain.rules import Bounds
from domain.things import describes
from domain.times import AFTER, BEFORE, Span
from projections.ledger import KINDS, REMARKS, Ledger
from projections.store import OPEN

_CONSENTS = frozenset(("agreement.ratified", "agreement.acceded"))
_OF_FACT = (
    "SELECT f.position, f.rank, f.lo, f.hi, f.meaning, e.source, e.id, e.occurred, e.data, e.subject"
    " FROM facts f JOIN events e ON e.position = f.position WHERE f.id = ?"
)
_CACHED_FACTS = 5_000
_CACHED_LIVES = 10_000
_CACHED_SUBJECTS = 1_000
_FEW_FACTS = 64
_FACTS = 1
_MAKERS = 2
_NOTHING = (b"", b"{}")
"""Data that was erased, as an event and as what a correction left of one; of what takes no data at all, the same."""


REFERRING = (
    "party",
    "part_of",
    "into",
    "under",
    "by",
    "superseded_by",
    "with_",
    "founders",
    "convened_by",
    "successors",
)
_REFERRING_OF = {kind.data: tuple(name for name in REFERRING if name in kind.data.model_fields) for kind in KINDS}


def references(fact: Fact) -> set[str]:
    """Every subject the fact's data names, evidence apart."""
    return named_in(fact.data)


def named_in(data: Any) -> set[str]:
    """Every subject that data names, evidence apart."""
    named: set[str] = set()
    for name in _REFERRING_OF[type(data)]:
        value = getattr(data, name)
        if isinstance(value, str):
            named.add(value)
        elif value is not None:
            named.update(value)
    if isinstance(data, AgreementSigned):
        named.update(signatory.party for signatory in data.parties)
    return named


def slugs(fact: Fact) -> list[str]:
    """What within its subject the fact speaks of, by slug or position: commitments, calls, declarations."""
    data: Any = fact.data
    if fact.type in ("agreement.commitment-made", "agreement.commitment-updated"):
        return [f"commitment:{data.commitment}"]
    if fact.type in ("lab.recruitment-opened", "lab.recruitment-closed"):
        return [f"call:{data.call}"]
    if fact.type in ("lab.phase-started", "lab.phase-completed", "lab.founded"):
        return ["phases"]
    if fact.type == "agreement.declaration-made":
        return [f"declaration:{fact.position}"]
    if fact.type == "agreement.declaration-withdrawn":
        return [f"declaration:{data.event}"]
    return []


class Believed(NamedTuple):
    """A standing fact, the keys it is linked by, and whether it describes its subject itself."""

    fact: Fact
    keys: frozenset[int]
    core: bool


class Known(Ledger):
    """Reading and writing what is known, on the write half's connection.

    Kept in memory until a transaction is undone: facts by the id of their row, which never changes; rows of `lives` as
    last written; and, of subjects that lately came about and have few facts, all of them.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._facts_by_row: dict[int, Fact] = {}
        self._lives: dict[int, list[Any]] = {}
        self._newest = (0, 0)
        self._lifeless = 0
        self._absent: set[str] = set()
        self._recent: dict[int, dict[int, Believed]] = {}

    def is_new(self, number: int, position: int) -> bool:
        """Whether the event at a position, the last one taken in, is the first about a subject."""
        return self._newest == (number, position)

    def forget(self) -> None:
        """Drop caches, after a transaction was undone."""
        super().forget()
        self._facts_by_row.clear()
        self._lives.clear()
        self._newest = (0, 0)
        self._lifeless = 0
        self._absent.clear()
        self._recent.clear()

    def find(self, subject: str) -> int | None:
        """The number of a subject that events are about; None if there were none."""
        if subject in self._absent:
            return None
        number = super().find(subject)
        if number is None:
            if len(self._absent) >= _CACHED_FACTS:
                self._absent.clear()
            self._absent.add(subject)
        return number

    def version(self, subject: str) -> int:
        """The version of the last event about the subject, 0 if there is none."""
        number = self.find(subject)
        if number is None:
            return 0
        return int(self.db.execute("SELECT version FROM subjects WHERE id = ?", (number,)).fetchone()[0])

    def is_alone(self, number: int, facts: Sequence[Fact]) -> bool:
        """Whether these are one fact that makes the subject, and all that is known of it: nothing to contradict."""
        if len(facts) > 1 or not facts[0].makes:
            return False
        row = self._life(number)
        return row is not None and row[_FACTS] == 1 and self.fact(facts[0].position, number) == facts[0]

    def exists(self, number: int | None) -> bool:
        """Whether any fact about the subject stands."""
        if number is None:
            return False
        row = self._life(number)
        return row is not None and row[_MAKERS] > 0

    # events

    def put_event(self, event: Event) -> int:
        """Keep an event; the number of its subject."""
        number = self.find(event.subject)
        if number is None:
            number = self.db.execute(
                "INSERT INTO subjects(name, version, last, holds) VALUES (?, ?, ?, 0)",
                (event.subject, event.version, event.position),
            ).lastrowid
            assert number is not None
            self._newest = (number, event.position)
            self._lifeless = number
            self._absent.discard(event.subject)
            self.remember(event.subject, number)
            if len(self._recent) >= _CACHED_SUBJECTS:
                self._recent.clear()
            self._recent[number] = {}
        else:
            self.db.execute(
                "UPDATE subjects SET version = ?, last = ?, holds = holds | ? WHERE id = ?",
                (event.version, event.position, REMARKS if event.kind.about_event else 0, number),
            )
        self.db.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event.position,
                number,
                event.version,
                event.kind.rank,
                event.recorded,
                event.about,
                self.words.number(event.source),
                event.id,
                event.time,
                event.occurred,
                self.words.number(event.actor),
                b"" if event.erased else event.data,
            ),
        )
        return number

    def now_holds(self, number: int, section: int) -> None:
        """Note that a subject has or had entries in a section of its state."""
        self.db.execute("UPDATE subjects SET holds = holds | ? WHERE id = ?", (1 << section, number))

    def mergers(self) -> list[Fact]:
        """The standing mergers of parties, in the order of the log."""
        rows = self.db.execute("SELECT DISTINCT event FROM mergers ORDER BY event").fetchall()
        return [fact for (position,) in rows if (fact := self.fact(position)) is not None]

    # facts

    def put_fact(self, fact: Fact, number: int, since: int, *, altered: bool) -> int:
        """Believe a fact from a position on; the id of its row."""
        meaning = None
        if altered:
            data = orjson.loads(fact.data.model_dump_json(exclude_unset=True, by_alias=True))
            meaning = orjson.dumps([fact.occurred, list(fact.positions), data])
        span, core = fact.span, describes(fact)
        row = self.db.execute(
            "INSERT INTO facts(position, subject, rank, p0, p1, lo, hi, at, core, label, meaning)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                fact.position,
                number,
                fact.kind.rank,
                since,
                OPEN,
                span.lo,
                span.hi,
                span.sort_key[0],
                core,
                f"{fact.source} {fact.id}",
                meaning,
            ),
        )
        keys: set[int] = {-self.words.number(slug) for slug in slugs(fact)}
        keys.update(self.must_find(subject) for subject in references(fact))
        if keys:
            self.db.executemany(
                "INSERT INTO links VALUES (?, ?, ?, ?, ?)",
                [(key, number, row.lastrowid, span.sort_key[0], span.hi) for key in sorted(keys)],
            )
        self._extend_life(fact, number)
        assert row.lastrowid is not None
        self._keep(row.lastrowid, fact)
        recent = self._recent.get(number)
        if recent is not None:
            recent[fact.position] = Believed(fact, frozenset(keys), core)
            if len(recent) > _FEW_FACTS:
                del self._recent[number]
        return row.lastrowid

    def end_fact(self, position: int, number: int, since: int) -> None:
        """Stop believing what is believed of the event at a position."""
        row = self.db.execute(f"SELECT id FROM facts WHERE position = ? AND p1 = {OPEN}", (position,)).fetchone()
        if row is None:
            return
        self.db.execute("UPDATE facts SET p1 = ? WHERE id = ?", (since, row[0]))
        if number in self._recent:
            del self._recent[number][position]
        self._recount_life(number)

    def fact(self, position: int, number: int | None = None) -> Fact | None:
        """What is believed of the event at a position; None if it is retracted or says nothing about the world.

        `number` is that of its subject, where it is at hand.
        """
        if number is not None and (recent := self._recent.get(number)) is not None:
            return recent[position].fact if position in recent else None
        return next(iter(self._facts(f"f.position = ? AND f.p1 = {OPEN}", (position,))), None)

    def facts(self, number: int) -> list[Fact]:
        """Every fact about a subject, in the order of folding."""
        if (recent := self._recent.get(number)) is not None:
            return _in_order(each.fact for each in recent.values())
        return self._facts(f"f.subject = ? AND f.p1 = {OPEN}", (number,))

    def describing(self, number: int) -> list[Fact]:
        """The facts that describe the subject itself, in the order of folding."""
        if (recent := self._recent.get(number)) is not None:
            return _in_order(each.fact for each in recent.values() if each.core)
        return self._facts(f"f.subject = ? AND f.p1 = {OPEN} AND f.core", (number,))

    def makers(self, number: int) -> list[Fact]:
        """The facts that make the subject, in the order of folding."""
        return [fact for fact in self.facts(number) if fact.makes]

    def linked(self, keys: Iterable[int], number: int) -> list[Fact]:
        """The facts about a subject that speak of any of these, in the order of folding."""
        keys = tuple(keys)
        if (recent := self._recent.get(number)) is not None:
            return _in_order(each.fact for each in recent.values() if not each.keys.isdisjoint(keys))
        found: dict[int, Fact] = {}
        for key in keys:
            for fact in self._facts(
                f"f.p1 = {OPEN} AND f.id IN (SELECT fact FROM links WHERE key = ? AND subject = ?)", (key, number)
            ):
                found[fact.position] = fact
        return _in_order(found.values())

    def slug_facts(self, slug: str, number: int) -> list[Fact]:
        """The facts within a subject that speak of a slug (see `slugs`)."""
        word = self.words.find(slug)
        return [] if word is None else self.linked((-word,), number)

    def naming(self, number: int, limit: int) -> list[int]:
        """Positions of standing facts about other subjects that name this one, ascending."""
        rows = self.db.execute(
            "SELECT f.position FROM links l JOIN facts f ON f.id = l.fact"
            f" WHERE l.key = ? AND l.subject <> ? AND f.p1 = {OPEN} ORDER BY 1 LIMIT ?",
            (number, number, limit),
        )
        return [row[0] for row in rows]

    def containers(self, number: int) -> list[int]:
        """The subjects whose facts, ever believed, name this one."""
        rows = self.db.execute("SELECT DISTINCT subject FROM links WHERE key = ?", (number,))
        return [row[0] for row in rows]

    def any_before(self, number: int, day: int) -> bool:
        """Whether any fact about a subject may lie before a day."""
        row = self.db.execute(
            f"SELECT 1 FROM facts WHERE subject = ? AND p1 = {OPEN} AND lo < ? LIMIT 1", (number, day)
        ).fetchone()
        return row is not None

    def _facts(self, where: str, values: Sequence[Any]) -> list[Fact]:
        facts = []
        for (row,) in self.db.execute(f"SELECT f.id FROM facts f WHERE {where}", values).fetchall():
            fact = self._facts_by_row.get(row)
            if fact is None:
                fact = self._fact(self.db.execute(_OF_FACT, (row,)).fetchone())
                self._keep(row, fact)
            facts.append(fact)
        return _in_order(facts)

    def _keep(self, row: int, fact: Fact) -> None:
        if len(self._facts_by_row) >= _CACHED_FACTS:
            self._facts_by_row.clear()
        self._facts_by_row[row] = fact

    def _fact(self, row: Sequence[Any]) -> Fact:
        position, rank, lo, hi, meaning, source, id_, occurred, data, subject = row
        positions: tuple[int, ...] = (position,)
        if meaning is not None:
            occurred, listed, plain = orjson.loads(meaning)
            positions, data = tuple(listed), orjson.dumps(plain)
        kind = KINDS[rank]
        return Fact(
            position,
            self.name(subject),
            kind.name,
            self.words.text(source),
            id_,
            occurred,
            Span(lo, hi),
            kind.nothing if data in _NOTHING else kind.data.model_validate_json(data),
            positions,
        )

    # lives

    def life_row(self, number: int) -> tuple[Bounds, bool, int | None, int | None]:
        """The bounds of a subject's facts; whether any consent is recorded; who first signed, who adopted."""
        row = self._life(number)
        if row is None:
            return Bounds(None, None, None, None), False, None, None
        (_, _, makers, consents, made_lo, made_hi, ended_lo, ended_hi) = row[:8]
        (signed_lo, signed_hi, signed_by, adopted_lo, adopted_hi, adopted_by, earliest_end, latest_start) = row[8:]
        bounds = Bounds(
            _span(made_lo, made_hi),
            _span(ended_lo, ended_hi),
            _span(signed_lo, signed_hi),
            _span(adopted_lo, adopted_hi),
            makers,
            earliest_end,
            latest_start,
        )
        return bounds, consents > 0, signed_by, adopted_by

    def _life(self, number: int) -> list[Any] | None:
        kept = self._lives.get(number)
        if kept is None and number != self._lifeless:
            row = self.db.execute("SELECT * FROM lives WHERE subject = ?", (number,)).fetchone()
            if row is None:
                return None
            kept = self._lives[number] = list(row)
        return kept

    def _extend_life(self, fact: Fact, number: int) -> None:
        values = self._life(number) or _no_life(number)
        _extend(values, fact, lambda position: self.fact(position, number))
        self._write_life(number, values)

    def _recount_life(self, number: int) -> None:
        values, facts = _no_life(number), {fact.position: fact for fact in self.facts(number)}
        for fact in facts.values():
            _extend(values, fact, facts.get)
        self._write_life(number, values)

    def _write_life(self, number: int, values: list[Any]) -> None:
        self.db.execute(f"REPLACE INTO lives VALUES ({', '.join('?' * len(values))})", values)
        if len(self._lives) >= _CACHED_LIVES:
            self._lives.clear()
        self._lives[number] = values
        if number == self._lifeless:
            self._lifeless = 0


def _in_order(facts: Iterable[Fact]) -> list[Fact]:
    listed = list(facts)
    return listed if len(listed) < 2 else sorted(listed, key=lambda fact: fact.order)


def _no_life(number: int) -> list[Any]:
    return [number, 0, 0, 0, *[None] * 10, AFTER, BEFORE]


def _span(lo: int | None, hi: int | None) -> Span | None:
    return None if lo is None or hi is None else Span(lo, hi)


def _extend(values: list[Any], fact: Fact, known: Callable[[int], Fact | None]) -> None:
    """Add a fact to a row of `lives`; `known` gives the fact of a position."""
    span = fact.span
    values[1] += 1
    values[3] += fact.type in _CONSENTS
    if fact.makes:
        values[2] += 1
        _widen(values, 4, span)
        at = {"agreement.signed": 8, "agreement.adopted": 11}.get(fact.type)
        if at is not None:
            first = None if values[at + 2] is None else known(values[at + 2])
            if first is None or fact.order < first.order:
                values[at + 2] = fact.position
            _widen(values, at, span)
    elif fact.kind.ends:
        _widen(values, 6, fact.effective)
    if not fact.kind.ends and fact.type != "party.merged":
        values[15] = max(values[15], span.lo)
    if not fact.makes and fact.type != "party.merged":
        values[14] = min(values[14], span.hi)


def _widen(values: list[Any], at: int, span: Span) -> None:
    values[at] = span.lo if values[at] is None else min(values[at], span.lo)
    values[at + 1] = span.hi if values[at + 1] is None else min(values[at + 1], span.hi)
