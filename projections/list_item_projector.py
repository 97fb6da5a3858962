"""How the lists inside a state become rows: commitments, phases, calls, supporters, names and the like, each entry from
its own few facts, so that a post costs what its own entry costs. Rows that stay as they were are not touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from domain.corrections import Fact
from domain.list_items import call_days, commitment_days, declaration_days, phase_days, simple_days
from domain.membership import Lifespan
from domain.subject_state import StatePeriod, describes
from projections.engine.bitemporal import LIST_ITEMS, PUT_TERM, SECTIONS, write
from projections.engine.buffer import Buffer
from projections.engine.database import CURRENT
from projections.engine.subject_cache import Subject
from projections.fact_store import FactStore
from projections.period_rows import OPENING_TYPES, Entry, entry_keys, former_names, list_item_row, simple_entries
from projections.scopes import Scope

_FORMER = SECTIONS.index("other_names")


class ListItemProjector:
    """Folds and writes entries, on the write half's connection."""

    def __init__(self, connection: Buffer, known: FactStore, portion: Scope) -> None:
        self._db = connection
        self._known = known
        self._sections = frozenset(SECTIONS.index(name) for name in portion.rows if name in SECTIONS)

    def fold(
        self,
        subject: Subject,
        collection: str,
        changed: Sequence[Fact],
        lifespan: Lifespan,
        describing: Sequence[Fact],
        things: Sequence[StatePeriod],
        position: int,
        *,
        everything: bool,
    ) -> None:
        """Bring a subject's entries up to a position, after these facts of it came or went; or `everything` of it."""
        number, facts = subject.number, changed
        if everything:
            members = self._known.cluster_of(number) if collection == "parties" else [number]
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
        keys = {place: fact for place, fact in keys.items() if place[0] in self._sections}
        for (section, key), fact in keys.items():
            entries = self._entry_days(number, section, key, fact, lifespan)
            self._write_entries(subject, section, key, entries, position)
        if everything:  # what came with a party that it is no longer one with
            for section, key in self._held(subject):
                if (section, key) not in keys and not key.startswith("former:"):
                    self._write_entries(subject, section, key, [], position)
        if (
            collection == "parties"
            and _FORMER in self._sections
            and (everything or any(describes(fact) for fact in changed))
        ):
            former = former_names(describing, things)
            held = {key for _, key in self._held(subject) if key.startswith("former:")}
            for name in sorted({*former, *held}):
                self._write_entries(subject, _FORMER, name, former.get(name, []), position)

    def _held(self, subject: Subject) -> set[tuple[int, str]]:
        """Section and key of every entry that a subject is believed to have."""
        words = self._known.words
        if subject.cached is not None:
            return {(row[1], words.text(row[2])) for row in subject.cached.of(LIST_ITEMS.name)}
        rows = self._db.execute(
            f"SELECT DISTINCT section, key FROM list_items WHERE subject = ? AND system_to = {CURRENT}",
            (subject.number,),
        )
        return {(section, words.text(key)) for section, key in rows.fetchall()}

    def _entry_days(self, number: int, section: int, key: str, fact: Fact, lifespan: Lifespan) -> list[Entry]:
        known = self._known
        self._db.limit.check()
        what = key.partition(":")[0]
        if what in ("commitment", "call", "declaration"):
            facts = known.slug_facts(key, number)
            self._db.limit.check(len(facts))
            openings = [each for each in facts if each.type in OPENING_TYPES]
            if not openings:
                return []
            rest = [each for each in facts if each.type not in OPENING_TYPES]
            fold = {"commitment": commitment_days, "call": call_days, "declaration": declaration_days}[what]
            own = f"{openings[0].source} {openings[0].id}" if what == "declaration" else key
            label = f"{openings[0].span.sort_key[0]:07} {own}"
            return [Entry(days, openings[0], label) for days in fold(openings[0], rest, lifespan)]
        if what == "phase":
            facts = known.slug_facts("phases", number)
            self._db.limit.check(len(facts))
            founding = next((each for each in facts if each.type == "lab.founded"), None)
            if founding is None:
                return []
            listed = phase_days(founding, [each for each in facts if each.type != "lab.founded"], lifespan)
            names = list(listed)
            slug = key.partition(":")[2]
            return [Entry(days, founding, f"{names.index(slug):04}") for days in listed.get(slug, ())]
        standing = known.fact(fact.position, known.find(fact.subject))
        if standing is None:
            return []
        value = simple_entries(standing).get((SECTIONS[section], key))
        if value is None:
            return []
        label = f"{standing.span.sort_key[0]:07} {standing.source} {standing.id} {int(key.rpartition(':')[2]):04}"
        return [Entry(days, standing, label) for days in simple_days(standing, value, lifespan)]

    def _write_entries(self, subject: Subject, section: int, key: str, entries: Sequence[Entry], position: int) -> None:
        place = (subject.number, section, self._known.words.number(key))
        rows = [list_item_row(subject.name, section, entry) for entry in entries]
        values = {row: entry.days.value for row, entry in zip(rows, entries, strict=True)}
        _, opened = write(self._db, LIST_ITEMS, subject, {place: rows}, position)
        if not opened:
            return
        self._known.now_holds(subject.number, 1 << section)
        for row, number in opened:
            for kind, value in self._terms_of_entry(SECTIONS[section], values[row[3:]]):
                self._db.put(PUT_TERM, (kind, value, number))

    def _terms_of_entry(self, section: str, value: Mapping[str, Any]) -> set[tuple[str, str]]:
        match section:
            case "commitments":
                named = [each["subject"] for name in ("by", "with") for each in value.get(name, ())]
                return {("party", str(self._known.find(party))) for party in named}
            case "supporters":
                return {("supporter", str(self._known.find(value["party"]["subject"])))}
            case "identifiers":
                return {("identifier", f"{value['scheme']}:{value['value']}")}
        return set()
