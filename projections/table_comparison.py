"""Comparison of tables: all rows of the views, past ones too, with names instead of the numbers of one file.

Two files folded from the same log have the same rows. A digest compares the current rows of one position; this compares
all positions at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from projections.catalogue import ITEM_LISTS
from projections.engine.bitemporal import STATE_TERMS

Row = dict[str, Any]

COMPARED_TABLES = {
    **dict.fromkeys(
        (
            "strings",
            "events",
            "facts",
            "tags",
            "subject_states",
            "memberships",
            "list_items",
            "terms",
            "mergers",
            "document_texts",
            "citations",
            "disputes",
            "text_index",
            "names",
            "written",
            "written_parts",
            "spelled",
            "spelled_parts",
        ),
        "*",
    ),
    "subjects": "id, name, version, last, holds",
}
"""The columns that answers are made from, by table; other columns only save work in folding."""
UNNUMBERED_COLUMNS = {
    "text_index": "tokens",
    "names": "tokens",
    "written": "word",
    "written_parts": "tokens",
    "spelled": "word",
    "spelled_parts": "tokens",
    "subjects": "name, version, last, holds",
}
"""The columns without numbers of one file, of the tables that have no transaction time."""
ROLLUPS = "rollups"
"""The table of stored counts, which follow from the rows of others."""
_CHUNK = 1000

_OF_SUBJECTS = frozenset(("subject", "container", "party", "document", "loser", "survivor", "ref"))
"""The columns of all tables that hold the number of a subject."""
_NAMED = "(SELECT name FROM subjects WHERE id = {})"
_TERMS = (
    "(SELECT json_group_array(json_array(kind, term)) FROM (SELECT kind, CASE WHEN kind IN ({plain}) THEN value ELSE"
    f" {_NAMED.format('value')} END AS term FROM terms WHERE owner = t.id AND kind IN ({{kinds}}) ORDER BY 1, 2))"
)
_ITEM_TERMS = [items.terms for items in ITEM_LISTS.values() if items.terms is not None]
_PLAIN = frozenset((*STATE_TERMS, *(terms.kind for terms in _ITEM_TERMS if not terms.are_subjects)))
_TERMS_OF = {"subject_states": STATE_TERMS, "list_items": tuple(terms.kind for terms in _ITEM_TERMS)}


def tables(db: sqlite3.Connection) -> list[str]:
    """Return the tables whose rows have a transaction time."""
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return [name for name in names if {"system_from", "system_to"} <= set(_columns(db, name))]


def rows(db: sqlite3.Connection, table: str, as_of: int) -> Iterator[Row]:
    """Yield the rows of one of these tables that were current at some position up to `as_of`, by the first.

    `system_to` is None where it lies after `as_of`.
    """
    columns = [name for name in _columns(db, table) if name != "id"]
    selected = [f"{_selected(table, name)} AS {name}" for name in columns]
    if table in _TERMS_OF:
        kinds, plain = (", ".join(f"'{kind}'" for kind in names) for names in (_TERMS_OF[table], sorted(_PLAIN)))
        selected.append(f"{_TERMS.format(kinds=kinds, plain=plain)} AS terms")
    order = ", ".join(str(index) for index in range(1, len(selected) + 1))
    cursor = db.execute(
        f"SELECT {', '.join(selected)} FROM {table} t WHERE system_from <= :as_of AND system_from < system_to"
        f" ORDER BY t.system_from, {order}",
        {"as_of": as_of},
    )
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def stored(db: sqlite3.Connection, table: str) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of one of `COMPARED_TABLES`, or of `ROLLUPS`, as stored, in chunks, by their key.

    Two files with the same stored rows have the same rows as of any position.
    """
    cursor = db.execute(f"SELECT {COMPARED_TABLES.get(table, '*')} FROM {table} NOT INDEXED")
    while some := cursor.fetchmany(_CHUNK):
        yield some


def values(db: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of one of `UNNUMBERED_COLUMNS` by their values, which are the same in every fold of a log."""
    columns = UNNUMBERED_COLUMNS[table]
    yield from db.execute(f"SELECT {columns} FROM {table} NOT INDEXED ORDER BY {columns}")


def _selected(table: str, column: str) -> str:
    if column in _OF_SUBJECTS:
        return _NAMED.format(f"t.{column}")
    if (table, column) == ("list_items", "key"):
        return "(SELECT text FROM strings WHERE id = t.key)"
    return "CASE WHEN t.system_to <= :as_of THEN t.system_to END" if column == "system_to" else f"t.{column}"


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
