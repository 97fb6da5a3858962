"""The projector of list items: folds the items that changed facts create or change, and writes their rows.

Each item is folded from its own few facts, so that a post costs what its own item costs. Rows that stay as they were
are not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from domain.corrections import Fact
from domain.membership import Lifespan
from domain.subject_state import StatePeriod, describes
from projections.catalogue import SUBJECT_VIEWS
from projections.engine.bitemporal import LIST_ITEMS, PUT_TERM, write
from projections.engine.buffer import Buffer
from projections.engine.database import CURRENT
from projections.engine.item_lists import FORMER, Item, ItemList, list_item_row
from projections.engine.specification import Scope
from projections.engine.subject_cache import Subject
from projections.fact_store import FactStore


class ListItemProjector:
    """Folds and writes list items, on the connection of the write half."""

    def __init__(self, connection: Buffer, store: FactStore, scope: Scope) -> None:
        self._db = connection
        self._store = store
        self._lists = {
            name: [items for items in view.item_lists if items.name in scope.rows]
            for name, view in SUBJECT_VIEWS.items()
        }

    def fold(
        self,
        subject: Subject,
        collection: str,
        changed: Sequence[Fact],
        lifespan: Lifespan,
        describing: Sequence[Fact],
        states: Sequence[StatePeriod],
        position: int,
        *,
        everything: bool,
    ) -> None:
        """Update the items of a subject at a position, after facts of it came or went; with `everything` all items."""
        number, facts = subject.number, changed
        if everything:
            members = self._store.cluster_of(number) if collection == "parties" else [number]
            facts = [*changed, *(fact for member in members for fact in self._store.facts(member))]
        for items in self._lists[collection]:
            keys = self._keys(items, facts, number)
            for key, fact in keys.items():
                self._write(subject, items, key, self._items(items, key, fact, number, lifespan), position)
            if everything:  # the items of a party that was split off
                for key in self._stored(subject, items):
                    if key not in keys and not key.startswith(FORMER):
                        self._write(subject, items, key, (), position)
            if items.derive is not None and (everything or any(describes(fact) for fact in changed)):
                derived = items.derive(describing, states)
                stored = {key for key in self._stored(subject, items) if key.startswith(FORMER)}
                for key in sorted({*derived, *stored}):
                    self._write(subject, items, key, derived.get(key, ()), position)

    def _keys(self, items: ItemList, facts: Iterable[Fact], number: int) -> dict[str, Fact]:
        """Return the keys of the items that facts create or change, each with the last of these facts."""
        keys: dict[str, Fact] = {}
        changes_all = False
        for fact in facts:
            for key in items.keys(fact):
                keys[key] = fact
                changes_all = changes_all or (items.is_joint and not fact.creates)
        if changes_all:
            assert items.tag is not None
            for fact in self._store.tagged_facts(items.tag(""), number):
                if fact.creates:
                    keys |= dict.fromkeys(items.keys(fact), fact)
        return keys

    def _items(self, items: ItemList, key: str, fact: Fact, number: int, lifespan: Lifespan) -> Sequence[Item]:
        """Return the periods of an item; none where no current fact creates it."""
        store = self._store
        self._db.limit.check()
        if items.tag is None:
            current = store.fact(fact.position, store.find(fact.subject))
            return () if current is None else items.fold([current], key, lifespan)
        facts = store.tagged_facts(items.tag(key), number)
        self._db.limit.check(len(facts))
        return items.fold(facts, key, lifespan)

    def _stored(self, subject: Subject, items: ItemList) -> set[str]:
        """Return the keys of all current items of a subject in a list."""
        words = self._store.words
        if subject.cached is not None:
            return {words.text(row[2]) for row in subject.cached.of(LIST_ITEMS.name) if row[1] == items.number}
        rows = self._db.execute(
            f"SELECT DISTINCT key FROM list_items WHERE subject = ? AND section = ? AND system_to = {CURRENT}",
            (subject.number, items.number),
        )
        return {words.text(key) for (key,) in rows.fetchall()}

    def _write(self, subject: Subject, items: ItemList, key: str, found: Sequence[Item], position: int) -> None:
        place = (subject.number, items.number, self._store.words.number(key))
        rows = [list_item_row(items, subject.name, item) for item in found]
        values = {row: item.period.value for row, item in zip(rows, found, strict=True)}
        _, opened = write(self._db, LIST_ITEMS, subject, {place: rows}, position)
        if not opened:
            return
        self._store.now_holds(subject.number, 1 << items.number)
        if items.terms is None:
            return
        for row, number in opened:
            for value in set(items.terms.values(values[row[3:]])):
                self._db.put(PUT_TERM, (items.terms.kind, self._term(value, items.terms.are_subjects), number))

    def _term(self, value: str, is_subject: bool) -> Any:
        return str(self._store.find(value)) if is_subject else value
