"""Every row that the views ever held, past ones too, told by names instead of the numbers of one file: two files folded
from the same log have the same. Digests say what is known as of one position; this says it of all of them at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from projections.catalogue import ITEM_LISTS
from projections.engine.bitemporal import STATE_TERMS

Row = dict[str, Any]

RESTED_ON = {
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
"""The tables that every answer is made from, and which columns of them: the others only spare work in folding."""
SEARCHED = {
    "text_index": "tokens",
    "names": "tokens",
    "written": "word",
    "written_parts": "tokens",
    "spelled": "word",
    "spelled_parts": "tokens",
    "subjects": "name, version, last, holds",
}
"""Of these, the ones without positions of their own, and the columns of them that no number of one file stands in."""
COUNTED = "rollups"
"""The table that statistics are told from, which counts rows of the others."""
_AT_ONCE = 1000

_OF_SUBJECTS = frozenset(("subject", "container", "party", "document", "loser", "survivor", "ref"))
"""Columns that hold the number of a subject, in whatever table."""
_NAMED = "(SELECT name FROM subjects WHERE id = {})"
_TERMS = (
    "(SELECT json_group_array(json_array(kind, said)) FROM (SELECT kind, CASE WHEN kind IN ({plain}) THEN value ELSE"
    f" {_NAMED.format('value')} END AS said FROM terms WHERE owner = t.id AND kind IN ({{kinds}}) ORDER BY 1, 2))"
)
_ITEM_TERMS = [items.terms for items in ITEM_LISTS.values() if items.terms is not None]
_PLAIN = frozenset((*STATE_TERMS, *(terms.kind for terms in _ITEM_TERMS if not terms.are_subjects)))
_TERMS_OF = {"subject_states": STATE_TERMS, "list_items": tuple(terms.kind for terms in _ITEM_TERMS)}


def tables(db: sqlite3.Connection) -> list[str]:
    """The tables whose rows are known from one position to another."""
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return [name for name in names if {"system_from", "system_to"} <= set(_columns(db, name))]


def rows(db: sqlite3.Connection, table: str, as_of: int) -> Iterator[Row]:
    """The rows of one of these tables that were known at any position up to this one, by the first; `system_to` is None
    where it lies after that. Nothing of them is judged or mended."""
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
    """The rows of one of `RESTED_ON`, or of `COUNTED`, as they are stored, many at a time, by their key and no index.

    Two files that have the same have the same rows as of any position, and the same lines.
    """
    cursor = db.execute(f"SELECT {RESTED_ON.get(table, '*')} FROM {table} NOT INDEXED")
    while some := cursor.fetchmany(_AT_ONCE):
        yield some


def values(db: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of one of `SEARCHED` in the order of their values: two folds of one log have the same."""
    columns = SEARCHED[table]
    yield from db.execute(f"SELECT {columns} FROM {table} NOT INDEXED ORDER BY {columns}")


def _selected(table: str, column: str) -> str:
    if column in _OF_SUBJECTS:
        return _NAMED.format(f"t.{column}")
    if (table, column) == ("list_items", "key"):
        return "(SELECT text FROM strings WHERE id = t.key)"
    return "CASE WHEN t.system_to <= :as_of THEN t.system_to END" if column == "system_to" else f"t.{column}"


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
