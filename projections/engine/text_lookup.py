"""From what an index holds to what was believed: facts found by their tokens, as known at a position."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterator, Sequence
from typing import Any

import orjson

from projections.engine.clusters import survivor
from projections.engine.database import AS_OF, first_after
from projections.engine.event_index import KINDS
from projections.engine.text_index import Clause, Lookup

_MATCHES = 20_000


class TextLookup:
    """Looks facts up in an index whose rows are those of `facts`, for one question as of one position."""

    def __init__(self, db: sqlite3.Connection, look: Lookup, as_of: int) -> None:
        self._db = db
        self._look = look
        self._as_of = as_of
        self._below = first_after(db, "facts", as_of)
        self._stands: dict[int, int | None] = {}
        self._given: set[int] = set()
        self._names: dict[int, str] = {}

    def facts(
        self, clauses: Sequence[Clause], most: int, without: Container[int] = ()
    ) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """The facts that satisfy a clause, those with the fewest words first: whom they are about now, type and data.

        Merged parties count as the survivor of then, what was wholly retracted then is left out, and so are facts given
        before and those about `without`. At most `most`; which they are does not depend on when they were recorded,
        unless more than `_MATCHES` match, of which only the newest are looked at so that the cost is bounded.
        """
        ids = self._look.rows(clauses, self._below, _MATCHES)
        new = [id_ for id_ in ids if id_ not in self._given]
        rows = self._db.execute(
            "SELECT f.id, f.position, f.subject FROM json_each(?) j CROSS JOIN facts f ON f.id = j.value"
            f" CROSS JOIN {self._look.name} x ON x.id = f.id CROSS JOIN subjects s ON s.id = f.subject"
            " WHERE f.system_from <= ? AND f.system_to > ? ORDER BY length(x.tokens), s.name, f.rank, f.label",
            (orjson.dumps(new).decode(), self._as_of, self._as_of),
        )
        count = 0
        for id_, position, number in rows.fetchall():
            subject = self._standing(number)
            if subject is not None and subject not in without:
                self._given.add(id_)
                yield subject, *self._said(id_, position)
                count += 1
                if count == most:
                    return

    def name(self, number: int) -> str:
        """The name of a subject by its number: equals are put in its order, which is not that of recording."""
        if number not in self._names:
            (self._names[number],) = self._db.execute("SELECT name FROM subjects WHERE id = ?", (number,)).fetchone()
        return self._names[number]

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
                f"SELECT 1 FROM subject_states WHERE subject = ? AND {AS_OF} LIMIT 1",
                (subject, self._as_of, self._as_of),
            ).fetchone()
            self._stands[number] = subject if row else None
        return self._stands[number]
