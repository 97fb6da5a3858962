"""Clusters of merged parties, and the survivor that answers for each.

A merger is an edge from a party that was recorded twice to its survivor, in the order of the log; a survivor may be
merged, too. Both halves of the views, writing and reading, use this module.
"""

from __future__ import annotations

import sqlite3

from projections.engine.database import AS_OF, CURRENT


def survivor(db: sqlite3.Connection, number: int, as_of: int = CURRENT - 1) -> int:
    """Return the survivor of a party as of a position; itself where it was not merged."""
    seen = {number}
    while True:
        row = db.execute(f"SELECT survivor FROM mergers WHERE loser = ? AND {AS_OF}", (number, as_of, as_of)).fetchone()
        if row is None or row[0] in seen:
            return number
        number = row[0]
        seen.add(number)


def cluster_of(db: sqlite3.Connection, number: int, as_of: int = CURRENT - 1) -> list[int]:
    """Return every party of the cluster of a party, the survivor first."""
    group = [survivor(db, number, as_of)]
    for member in group:
        rows = db.execute(
            f"SELECT loser FROM mergers WHERE survivor = ? AND {AS_OF} ORDER BY id", (member, as_of, as_of)
        ).fetchall()
        group += [row[0] for row in rows if row[0] not in group]
    return group


def replace_edges(db: sqlite3.Connection, edges: list[tuple[int, int, int]], position: int) -> None:
    """Make these edges (loser, survivor, event), and no others, current from a position on."""
    current = {
        (loser, into, event): id_
        for id_, loser, into, event in db.execute(
            f"SELECT id, loser, survivor, event FROM mergers WHERE system_to = {CURRENT}"
        )
    }
    for edge, id_ in current.items():
        if edge not in edges:
            db.execute("UPDATE mergers SET system_to = ? WHERE id = ?", (position, id_))
    for edge in edges:
        if edge not in current:
            add_edge(db, edge, position)


def add_edge(db: sqlite3.Connection, edge: tuple[int, int, int], position: int) -> None:
    """Make one more edge current from a position on."""
    db.execute(
        "INSERT INTO mergers(loser, survivor, event, system_from, system_to) VALUES (?, ?, ?, ?, ?)",
        (*edge, position, CURRENT),
    )
