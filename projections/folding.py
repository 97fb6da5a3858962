"""How what is known becomes rows: the part of the views that one event's own keys change, folded and written.

A subject's ties, entries and describing fields are folded apart from each other, so that a post costs what its own
party, phase or commitment costs, whatever the size of the subject. Rows that stay as they were are not touched.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from domain.entries import call_days, commitment_days, declaration_days, phase_days, simple_days
from domain.facts import Fact
from domain.rules import Bounds, life_of, order_makers, united
from domain.things import ForceDays, Mark, ThingDays, bears_on_all, describes, force_days, thing_days
from domain.ties import FOREVER, ORDER_OF_STATUSES, TIE_TYPES, Force, Life, TieDays, lapse, tie_days, tie_sweep
from domain.times import BEFORE
from domain.values import texts_of
from projections.known import Known
from projections.rows import (
    ENTRY_COLUMNS,
    OPENINGS,
    SECTIONS,
    TERM_KINDS,
    THING_COLUMNS,
    TIE_COLUMNS,
    Entry,
    entry_keys,
    entry_row,
    former_names,
    simple_entries,
    thing_row,
    tie_rows,
    write,
)
from projections.store import OPEN

_CONTEXTS = 2_000
_COUNTED = f"SELECT d0, d1, status, force, bearer FROM ties WHERE container = ? AND p1 = {OPEN} AND force & 3"
NOTHING_IN_FORCE = (ForceDays(BEFORE, FOREVER, None, Force(False, False, True), None),)


@dataclass(slots=True)
class Context:
    """What every row of a subject depends on: its life, the facts that describe it, what is in force through its ties.

    `basis` is what its ties depend on, in a form that can be kept and compared.
    """

    life: Life
    describing: list[Fact]
    marks: dict[str, Mark]
    consents: bool
    lapses: list[tuple[int, int]]
    force: Sequence[ForceDays]
    basis: bytes
    things: list[ThingDays]
    is_new: bool

    @property
    def whole(self) -> list[Fact]:
        """The facts that bear on every tie."""
        return [fact for fact in self.describing if bears_on_all(fact)]


class Folding:
    """Folds and writes rows, on the write half's connection."""

    def __init__(self, connection: sqlite3.Connection, known: Known) -> None:
        self._db = connection
        self._known = known
        self._contexts: dict[int, Context] = {}

    def forget(self) -> None:
        """Drop caches, after a transaction was undone."""
        self._contexts.clear()

    def fold(self, number: int, changed: Sequence[Fact], position: int, *, whole: bool = False) -> None:
        """Bring a subject's rows up to a position, after these facts of it came or went; `whole` spares nothing."""
        collection = self._known.name(number).partition("/")[0]
        if collection == "parties":
            number = self._known.survivor(number)
        describing = whole or any(fact.makes or describes(fact) for fact in changed)
        was = self._contexts.get(number)
        is_new = was is None and self._known.is_new(number, position)
        was_basis, force = (None, NOTHING_IN_FORCE) if is_new else self._kept(number)
        context = self._context(number, collection, None if describing else was, force)
        context.is_new = is_new
        ties, entries = self._to_fold(number, was_basis, context, changed)
        if ties:
            closed, opened = self._fold_ties(number, ties, context, position)
            if collection == "agreements" and self._moves_force(context.force, closed, opened):
                context.force = self._joint_force(number)
                context.things = self._things(collection, context)
        self._fold_entries(number, collection, changed, context, position, everything=whole or entries)
        if was is None or whole or (was.things, was.life.birth) != (context.things, context.life.birth):
            self._write_things(number, collection, context, position)
        kept = (context.basis, orjson.dumps([_force_json(days) for days in context.force]))
        if (was_basis, orjson.dumps([_force_json(days) for days in force])) != kept:
            self._db.execute("REPLACE INTO bases VALUES (?, ?, ?)", (number, *kept))
        if len(self._contexts) >= _CONTEXTS:
            self._contexts.clear()
        self._contexts[number] = context

    def unite(self, numbers: Iterable[int], position: int) -> None:
        """Bring every row that these parties are in up to a position, after it changed which of them are one."""
        numbers = sorted(set(numbers))
        containers: set[int] = set()
        for number in numbers:
            self._contexts.pop(number, None)
            if self._known.survivor(number) != number:
                for table in ("things", "entries"):
                    self._db.execute(f"UPDATE {table} SET p1 = ? WHERE subject = ? AND p1 = {OPEN}", (position, number))
                self._db.execute("DELETE FROM bases WHERE subject = ?", (number,))
            containers.update(self._known.containers(number))
        for number in numbers:
            if self._known.survivor(number) == number:
                self.fold(number, (), position, whole=True)
        for container in sorted(containers):
            if self._known.name(container).partition("/")[0] in ("agreements", "labs", "platforms"):
                self._contexts.pop(container, None)
                self.fold_tied(container, numbers, position)

    def fold_tied(self, container: int, parties: Iterable[int], position: int) -> None:
        """Fold the ties of these parties to a subject, and what depends on them."""
        collection = self._known.name(container).partition("/")[0]
        _, force = self._kept(container)
        context = self._context(container, collection, None, force)
        closed, opened = self._fold_ties(container, parties, context, position)
        if collection == "agreements" and self._moves_force(context.force, closed, opened):
            context.force = self._joint_force(container)
            context.things = self._things(collection, context)
            self._write_things(container, collection, context, position)
            self._db.execute(
                "REPLACE INTO bases VALUES (?, ?, ?)",
                (container, context.basis, orjson.dumps([_force_json(days) for days in context.force])),
            )

    # what rows depend on

    def _kept(self, number: int) -> tuple[bytes | None, Sequence[ForceDays]]:
        row = self._db.execute("SELECT basis, force FROM bases WHERE subject = ?", (number,)).fetchone()
        if row is None:
            return None, NOTHING_IN_FORCE
        return row[0], tuple(
            ForceDays(since, until, likely, Force(*may), position)
            for since, until, likely, may, position in orjson.loads(row[1])
        )

    def _context(self, number: int, collection: str, was: Context | None, force: Sequence[ForceDays]) -> Context:
        group = self._known.one_with(number) if collection == "parties" else [number]
        rows = [self._known.life_row(member) for member in group]
        bounds = united([row[0] for row in rows])
        life = life_of(collection, bounds)
        consents, signed_by, adopted_by = rows[0][1:]
        if was is not None:
            describing = was.describing
        else:
            describing = [fact for member in reversed(group) for fact in self._known.describing(member)]
            describing.sort(key=lambda fact: (fact.order[0], () if fact.makes and len(group) > 1 else fact.order))
        marks = self._marks(number, collection, describing, life, bounds, signed_by, adopted_by)
        context = Context(life, describing, marks, consents, [], force, b"", [], is_new=False)
        if was is not None and (was.life, was.marks, was.force) == (life, marks, force):
            context.things, context.lapses = was.things, was.lapses
        else:
            context.things = self._things(collection, context)
            context.lapses = _lapses(context.things)
        whole = [
            (fact.type, fact.effective.lo, fact.effective.hi, fact.occurred, fact.positions) for fact in context.whole
        ]
        end = life.end and (life.end.lo, life.end.hi)
        made = life.birth.hi if life.sole or collection == "parties" else None
        context.basis = orjson.dumps([life.birth.lo, end, consents, context.lapses, whole, made])
        return context

    def _marks(
        self,
        number: int,
        collection: str,
        describing: Sequence[Fact],
        life: Life,
        bounds: Bounds,
        signed_by: int | None,
        adopted_by: int | None,
    ) -> dict[str, Mark]:
        if collection != "agreements":
            return {fact.type: Mark(life.birth, fact.position, fact.occurred) for fact in describing if fact.makes}
        adopted, signed = bounds.adopted, bounds.signed
        if adopted is not None and signed is not None:
            adopted, signed = order_makers(adopted, signed)
        born = adopted if adopted is not None and (signed is None or adopted.lo <= signed.hi) else signed
        marks = {}
        for name, span, position in (
            ("agreement.adopted", adopted, adopted_by),
            ("agreement.signed", signed, signed_by),
        ):
            if span is not None and position is not None:
                fact = self._known.fact(position, number)
                marks[name] = Mark(life.birth if span is born else span, position, fact.occurred if fact else None)
        return marks

    def _things(self, collection: str, context: Context) -> list[ThingDays]:
        force = context.force if collection == "agreements" else ()
        if not context.marks:
            return []
        return thing_days(collection, context.describing, context.marks, context.life, force)

    def _to_fold(
        self, number: int, was: bytes | None, context: Context, changed: Sequence[Fact]
    ) -> tuple[set[int], bool]:
        """Which parties' ties are to be folded, and whether every entry is."""
        parties = {
            self._known.survivor(party) for fact in changed if fact.type in TIE_TYPES for party in self._tied(fact)
        }
        if was is None or was == context.basis:
            return parties, False
        old, new = orjson.loads(was), orjson.loads(context.basis)
        moved = old[0] != new[0] and self._known.any_before(number, max(old[0], new[0]))
        if moved or old[1:] != new[1:]:
            rows = self._db.execute(f"SELECT DISTINCT party FROM ties WHERE container = ? AND p1 = {OPEN}", (number,))
            parties.update(row[0] for row in rows)
        return parties, moved or (old[1], old[-1]) != (new[1], new[-1])

    def _tied(self, fact: Fact) -> list[int]:
        data: Any = fact.data
        if fact.type == "agreement.signed":
            named = [signatory.party for signatory in data.parties]
        elif fact.type == "lab.founded":
            named = list(data.founders)
        else:
            named = [data.party] if data.party is not None else []
        return [number for party in named if (number := self._known.find(party)) is not None]

    # ties

    def _fold_ties(
        self, container: int, parties: Iterable[int], context: Context, position: int
    ) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Fold and write; the rows closed and opened, without their id."""
        gone: list[tuple[Any, ...]] = []
        come: list[tuple[Any, ...]] = []
        shared: dict[int, list[TieDays]] = {}
        for party in sorted(parties):
            rows = self._tie_rows(container, party, context, shared) if self._known.survivor(party) == party else []
            closed, opened = write(
                self._db,
                "ties",
                TIE_COLUMNS,
                "container = ? AND party = ?",
                (container, party),
                rows,
                position,
                is_new=context.is_new,
            )
            gone += closed
            come += opened
        return gone, come

    def _tie_rows(
        self, container: int, party: int, context: Context, shared: dict[int, list[TieDays]]
    ) -> list[tuple[Any, ...]]:
        """The rows of one tie. `shared` keeps the days of ties that rest on one fact, for the others that do."""
        group = self._known.one_with(party)
        own = [fact for fact in self._known.linked(group, container) if fact.type in TIE_TYPES]
        if not own:
            return []
        whole = context.whole
        ranges = shared.get(own[0].position) if len(own) == 1 else None
        if ranges is None:
            names = [self._known.name(member) for member in group]
            found = tie_sweep(own, whole, context.life, consents=context.consents, names=names)
            ranges = lapse(tie_days(found), context.lapses)
            if len(own) == 1:
                shared[own[0].position] = ranges
        return tie_rows(self._known.name(container), self._known.name(party), own, whole, context.life, ranges)

    def _moves_force(
        self, force: Sequence[ForceDays], closed: Sequence[tuple[Any, ...]], opened: Sequence[tuple[Any, ...]]
    ) -> bool:
        """Whether rows that came and went may change what an agreement's ties together say of its force."""
        at = TIE_COLUMNS.index("force")
        if any(row[at] & 3 for row in closed):
            return True
        settled = [(days.since, days.until) for days in force if days.may == Force(True, False, False)]
        d0, d1 = TIE_COLUMNS.index("d0"), TIE_COLUMNS.index("d1")
        return any(
            row[at] & 3 and not any(since <= row[d0] and row[d1] <= until for since, until in settled) for row in opened
        )

    def _joint_force(self, container: int) -> tuple[ForceDays, ...]:
        ties = []
        for d0, d1, status, force, bearer in self._db.execute(_COUNTED, (container,)):
            may = Force(bool(force & 1), bool(force & 2), bool(force & 4))
            name = ORDER_OF_STATUSES[status]
            ties.append((TieDays(d0, d1, 0, name, (), False, False, (), None, None, may), bearer or None))
        return tuple(force_days(ties))

    # entries

    def _fold_entries(
        self,
        number: int,
        collection: str,
        changed: Sequence[Fact],
        context: Context,
        position: int,
        *,
        everything: bool,
    ) -> None:
        facts = changed
        if everything:
            members = self._known.one_with(number) if collection == "parties" else [number]
            facts = [*changed, *(fact for member in members for fact in self._known.facts(member))]
        keys: dict[tuple[int, str], Fact] = {}
        for fact in facts:
            for name, key in entry_keys(fact):
                keys[SECTIONS.index(name), key] = fact
        if any(fact.type in ("lab.phase-started", "lab.phase-completed") for fact in facts):
            founding = self._known.slug_facts("phases", number)
            keys |= {
                (SECTIONS.index(name), key): fact
                for fact in founding
                if fact.type == "lab.founded"
                for name, key in entry_keys(fact)
            }
        for (section, key), fact in keys.items():
            entries = self._entry_days(number, section, key, fact, context)
            self._write_entries(number, section, key, entries, position)
        if everything:  # what came with a party that it is no longer one with
            for section, key in self._held(number):
                if (section, key) not in keys and not key.startswith("former:"):
                    self._write_entries(number, section, key, [], position)
        if collection == "parties" and (everything or any(describes(fact) for fact in changed)):
            former = former_names(context.describing, context.things)
            held = {key for _, key in self._held(number) if key.startswith("former:")}
            for name in sorted({*former, *held}):
                self._write_entries(number, SECTIONS.index("other_names"), name, former.get(name, []), position)

    def _held(self, number: int) -> list[tuple[int, str]]:
        """Section and key of every entry that a subject is believed to have."""
        rows = self._db.execute(
            "SELECT DISTINCT e.section, w.text FROM entries e JOIN words w ON w.id = e.key"
            f" WHERE e.subject = ? AND e.p1 = {OPEN}",
            (number,),
        )
        return rows.fetchall()

    def _entry_days(self, number: int, section: int, key: str, fact: Fact, context: Context) -> list[Entry]:
        known, life = self._known, context.life
        what = key.partition(":")[0]
        if what in ("commitment", "call", "declaration"):
            facts = known.slug_facts(key, number)
            openings = [each for each in facts if each.type in OPENINGS]
            if not openings:
                return []
            rest = [each for each in facts if each.type not in OPENINGS]
            fold = {"commitment": commitment_days, "call": call_days, "declaration": declaration_days}[what]
            own = f"{openings[0].source} {openings[0].id}" if what == "declaration" else key
            label = f"{openings[0].span.sort_key[0]:07} {own}"
            return [Entry(days, openings[0], label) for days in fold(openings[0], rest, life)]
        if what == "phase":
            facts = known.slug_facts("phases", number)
            founding = next((each for each in facts if each.type == "lab.founded"), None)
            if founding is None:
                return []
            listed = phase_days(founding, [each for each in facts if each.type != "lab.founded"], life)
            names = list(listed)
            slug = key.partition(":")[2]
            return [Entry(days, founding, f"{names.index(slug):04}") for days in listed.get(slug, ())]
        standing = known.fact(fact.position)
        if standing is None:
            return []
        value = simple_entries(standing).get((SECTIONS[section], key))
        if value is None:
            return []
        label = f"{standing.span.sort_key[0]:07} {standing.source} {standing.id} {key.rpartition(':')[2]}"
        return [Entry(days, standing, label) for days in simple_days(standing, value, life)]

    def _write_entries(self, number: int, section: int, key: str, entries: Sequence[Entry], position: int) -> None:
        word = self._known.words.number(key)
        rows = [entry_row(self._known.name(number), section, entry) for entry in entries]
        where = f"subject = ? AND key = ? AND section = {section}"
        _, opened = write(self._db, "entries", ENTRY_COLUMNS, where, (number, word), rows, position, self._terms)
        if opened:
            self._known.now_holds(number, section)

    def _terms(self, owner: int, row: tuple[Any, ...]) -> None:
        section = SECTIONS[row[ENTRY_COLUMNS.index("section")]]
        body = orjson.loads(row[ENTRY_COLUMNS.index("body")])
        if section == "commitments":
            terms = [
                ("party", str(self._known.find(each["subject"])))
                for name in ("by", "with")
                for each in body.get(name, ())
            ]
        elif section == "supporters":
            terms = [("supporter", str(self._known.find(body["party"]["subject"])))]
        elif section == "identifiers":
            terms = [("identifier", f"{body['scheme']}:{body['value']}")]
        else:
            return
        self._db.executemany(
            "INSERT OR IGNORE INTO terms VALUES (?, ?, ?)", [(TERM_KINDS[kind], value, owner) for kind, value in terms]
        )

    # things

    def _write_things(self, number: int, collection: str, context: Context, position: int) -> None:
        rows = []
        for days in context.things:
            ref = days.fields.get("part_of") or days.fields.get("under")
            rows.append(thing_row(collection, days, context.life, self._known.find(ref["subject"]) if ref else None))

        def terms(owner: int, row: tuple[Any, ...]) -> None:
            body = orjson.loads(row[THING_COLUMNS.index("body")])
            values = {
                (TERM_KINDS[kind], text.casefold())
                for kind in ("scope", "fields")
                for term in body["fields"].get(kind, ())
                for text in texts_of(term)
            }
            if values:
                self._db.executemany(
                    "INSERT INTO terms VALUES (?, ?, ?)", [(*value, owner) for value in sorted(values)]
                )

        write(self._db, "things", THING_COLUMNS, "subject = ?", (number,), rows, position, terms, is_new=context.is_new)


def _lapses(things: Iterable[ThingDays]) -> list[tuple[int, int]]:
    """The days on which an agreement is past its `until`, however else its days are cut: ties depend on them."""
    found: list[tuple[int, int]] = []
    for days in things:
        if days.lapsed and found and found[-1][1] == days.since:
            found[-1] = (found[-1][0], days.until)
        elif days.lapsed:
            found.append((days.since, days.until))
    return found


def _force_json(days: ForceDays) -> list[Any]:
    return [days.since, days.until, days.likely, list(days.may), days.position]
