"""Bitemporal tables: replaces the current rows of a key by others, from a position on.

Rows that are no longer current get their `system_to`, new rows are inserted, and unchanged rows are not touched. This
module does not know the meaning of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from domain.subject_state import STATUSES
from projections.engine.buffer import Buffer, Row
from projections.engine.database import CURRENT
from projections.engine.subject_cache import Subject

STATE_TERMS = ("scope", "fields")
"""The kinds of terms by which subject states are found."""
PUT_TERM = "INSERT INTO terms VALUES (?, ?, ?)"
"""Adds a term by which a row is found: kind, value, id of the row."""

SUBJECT_STATE_COLUMNS = (
    "subject",
    "collection",
    "valid_from",
    "valid_to",
    "is_final_period",
    "status",
    "possible_statuses",
    "is_certain",
    "final_statuses",
    "kind",
    "jurisdiction",
    "sort",
    "at",
    "upto",
    "ref",
    "name",
    "body",
)
MEMBERSHIP_COLUMNS = (
    "container",
    "party",
    "interval",
    "valid_from",
    "valid_to",
    "is_final_period",
    "status",
    "possible_statuses",
    "is_certain",
    "final_statuses",
    "force",
    "source_event",
    "at",
    "category",
    "role",
    "container_name",
    "party_name",
    "body",
)
LIST_ITEM_COLUMNS = (
    "subject",
    "section",
    "key",
    "valid_from",
    "valid_to",
    "is_final_period",
    "status",
    "possible_statuses",
    "is_certain",
    "final_statuses",
    "kind",
    "due",
    "at",
    "label",
    "body",
)

COLLECTIONS = tuple(STATUSES)
_NO_ROWS: dict[Row, int] = {}
_ROW = 4096
"""The approximate bytes of memory of a cached row beside its body."""


@dataclass(frozen=True)
class Table:
    """A bitemporal table: its name, the folded columns, and how many of the first ones are the key of a row."""

    name: str
    columns: tuple[str, ...]
    keys: int

    @cached_property
    def select(self) -> str:
        """The statement that selects the current rows of a key."""
        where = " AND ".join(f"{column} = ?" for column in self.columns[: self.keys])
        return f"SELECT id, {', '.join(self.columns)} FROM {self.name} WHERE {where} AND system_to = {CURRENT}"

    @cached_property
    def insert(self) -> str:
        """The statement that inserts a row, current from a position on."""
        places = ", ".join("?" * len(self.columns))
        columns = ", ".join(self.columns)
        return f"INSERT INTO {self.name}(id, {columns}, system_from, system_to) VALUES (?, {places}, ?, {CURRENT})"

    @cached_property
    def end(self) -> str:
        """The statement that ends a row at a position."""
        return f"UPDATE {self.name} SET system_to = ? WHERE id = ?"


SUBJECT_STATES = Table("subject_states", SUBJECT_STATE_COLUMNS, 1)
MEMBERSHIPS = Table("memberships", MEMBERSHIP_COLUMNS, 2)
LIST_ITEMS = Table("list_items", LIST_ITEM_COLUMNS, 3)


def write(
    db: Buffer, table: Table, subject: Subject, wanted: Mapping[Row, Sequence[Row]], position: int
) -> tuple[list[Row], list[tuple[Row, int]]]:
    """Make exactly the `wanted` rows of some keys of a subject current from a position on.

    Return the ended rows, and the inserted ones with their ids. A row begins with the columns of its key; the rows of
    `wanted`, which are by key, lack these.
    """
    cached, size = subject.cached, 0
    ended: list[Row] = []
    inserted: list[tuple[Row, int]] = []
    present: dict[Row, dict[Row, int]] = {}
    for key in wanted:  # first all reads, then all writes: a read flushes the buffered rows
        db.limit.check()
        if cached is None:
            present[key] = {row[1:]: row[0] for row in db.execute(table.select, key).fetchall()}
        else:
            present[key] = cached.rows.get((table.name, *key), _NO_ROWS)
    for key, rows in wanted.items():
        place, current = (table.name, *key), present[key]
        new, unchanged = [key + row for row in rows], _NO_ROWS
        if current:
            unchanged = {row: number for row, number in current.items() if row in new}
            new = [row for row in new if row not in unchanged]
            for row, number in current.items():
                if row not in unchanged:
                    db.amend(table.end, (position, number))
                    ended.append(row)
                    size -= _ROW + len(row[-1])
        if not new and len(unchanged) == len(current):
            continue
        numbered = dict(zip(new, db.next_ids(table.name, len(new)), strict=True))
        inserted += numbered.items()
        if cached is not None:
            cached.rows[place] = {**unchanged, **numbered} if unchanged else numbered
    if inserted:
        db.put_all(table.insert, [(number, *row, position) for row, number in inserted])
    if cached is not None:
        cached.grow(size + sum([_ROW + len(row[-1]) for row, _ in inserted]))
    return ended, inserted
