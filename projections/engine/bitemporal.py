"""The tables that folded days are kept in, and how the rows of one key give way to others: those that are no longer
believed are closed, new ones are put, and what stays as it was is not touched. It knows nothing of what rows mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from domain.subject_state import STATUSES
from projections.engine.buffer import Buffer, Row
from projections.engine.database import CURRENT
from projections.engine.subject_cache import Subject

STATE_TERMS = ("scope", "fields")
"""The kinds of terms that subject states are found by."""
PUT_TERM = "INSERT INTO terms VALUES (?, ?, ?)"
"""Has a row, by its id, found by a value: kind, value, owner."""

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
"""Bytes that a row at hand takes, about, beside its body."""


@dataclass(frozen=True)
class Table:
    """A table of rows: its name, the columns that are folded, how many of the first say whose a row is."""

    name: str
    columns: tuple[str, ...]
    keys: int

    @cached_property
    def select(self) -> str:
        """What selects the present rows of a key."""
        where = " AND ".join(f"{column} = ?" for column in self.columns[: self.keys])
        return f"SELECT id, {', '.join(self.columns)} FROM {self.name} WHERE {where} AND system_to = {CURRENT}"

    @cached_property
    def insert(self) -> str:
        """What adds a row, believed from a position on."""
        places = ", ".join("?" * len(self.columns))
        columns = ", ".join(self.columns)
        return f"INSERT INTO {self.name}(id, {columns}, system_from, system_to) VALUES (?, {places}, ?, {CURRENT})"

    @cached_property
    def close(self) -> str:
        """What ends a row's being believed."""
        return f"UPDATE {self.name} SET system_to = ? WHERE id = ?"


SUBJECT_STATES = Table("subject_states", SUBJECT_STATE_COLUMNS, 1)
MEMBERSHIPS = Table("memberships", MEMBERSHIP_COLUMNS, 2)
LIST_ITEMS = Table("list_items", LIST_ITEM_COLUMNS, 3)


def write(
    db: Buffer, table: Table, subject: Subject, wanted: Mapping[Row, Sequence[Row]], position: int
) -> tuple[list[Row], list[tuple[Row, int]]]:
    """Believe exactly these rows of some keys from a position on; the rows closed, and those opened with their ids.

    `subject` is whose rows they are. A row's first columns are the key's; those `wanted` lack them.
    """
    cached, size = subject.cached, 0
    closed: list[Row] = []
    opened: list[tuple[Row, int]] = []
    present: dict[Row, dict[Row, int]] = {}
    for key in wanted:  # all of them before any is put, which the next question would have written by itself
        db.limit.check()
        if cached is None:
            present[key] = {row[1:]: row[0] for row in db.execute(table.select, key).fetchall()}
        else:
            present[key] = cached.rows.get((table.name, *key), _NO_ROWS)
    for key, rows in wanted.items():
        place, current = (table.name, *key), present[key]
        come, kept = [key + row for row in rows], _NO_ROWS
        if current:
            kept = {row: number for row, number in current.items() if row in come}
            come = [row for row in come if row not in kept]
            for row, number in current.items():
                if row not in kept:
                    db.amend(table.close, (position, number))
                    closed.append(row)
                    size -= _ROW + len(row[-1])
        if not come and len(kept) == len(current):
            continue
        numbered = dict(zip(come, db.next_ids(table.name, len(come)), strict=True))
        opened += numbered.items()
        if cached is not None:
            cached.rows[place] = {**kept, **numbered} if kept else numbered
    if opened:
        db.put_all(table.insert, [(number, *row, position) for row, number in opened])
    if cached is not None:
        cached.grow(size + sum([_ROW + len(row[-1]) for row, _ in opened]))
    return closed, opened
