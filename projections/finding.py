"""From what an index holds to what was believed: facts found by their tokens, as known at a position."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterator, Sequence
from typing import Any

import orjson

from projections.identity import survivor
from projections.ledger import KINDS
from projections.postings import Clause, Lookup
from projections.store import first_after

_SCANNED = 500
_SCANS = 5


class Finding:
    """Looks facts up in an index whose rows are those of `facts`, for one question as of one position."""

    def __init__(self, db: sqlite3.Connection, look: Lookup, as_of: int) -> None:
        self._db = db
        self._look = look
        self._as_of = as_of
        self._below = first_after(db, "facts", as_of)
        self._stands: dict[int, int | None] = {}
        self._given: set[int] = set()

    def facts(
        self, clauses: Sequence[Clause], most: int, without: Container[int] = ()
    ) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """The facts that satisfy a clause, from the newest down: whom they are about now, their type and data.

        Merged parties count as the survivor of then, what was wholly retracted then is left out, and so are facts given
        before and those about `without`. At most `most`, and fewer where very many newer ones were no longer believed,
        so that the cost is bounded.
        """
        below, count = self._below, 0
        for _ in range(_SCANS):
            ids = self._look.rows(clauses, below, _SCANNED)
            new = [id_ for id_ in ids if id_ not in self._given]
            rows = self._db.execute(
                "SELECT f.id, f.position, f.subject FROM json_each(?) j CROSS JOIN facts f ON f.id = j.value"
                " WHERE f.p0 <= ? AND f.p1 > ?",
                (orjson.dumps(new).decode(), self._as_of, self._as_of),
            ).fetchall()
            for id_, position, number in rows:
                self._given.add(id_)
                subject = self._standing(number)
                if subject is not None and subject not in without:
                    yield subject, *self._said(id_, position)
                    count += 1
                    if count == most:
                        return
            if len(ids) < _SCANNED:
                return
            below = ids[-1]

    def _said(self, id_: int, position: int) -> tuple[str, dict[str, Any]]:
        rank, meaning, data = self._db.execute(
            "SELECT f.rank, f.meaning, e.data FROM facts f, events e WHERE f.id = ? AND e.position = ?", (id_, position)
        ).fetchone()
        return KINDS[rank].name, orjson.loads(data) if meaning is None else orjson.loads(meaning)[2]

    def _standing(self, number: int) -> int | None:
        """Who answers for a subject; None where nothing of it stood."""
        if number not in self._stands:
            subject = survivor(self._db, number, self._as_of)
            row = self._db.execute(
                "SELECT 1 FROM things WHERE subject = ? AND p0 <= ? AND p1 > ? LIMIT 1",
                (subject, self._as_of, self._as_of),
            ).fetchone()
            self._stands[number] = subject if row else None
        return self._stands[number]
