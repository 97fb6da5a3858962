"""Text lookup: finds the facts with given tokens, as of a position, and the subjects that they are about."""

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
    """Looks up facts for one query as of one position, in an index with the ids of `facts`."""

    def __init__(self, db: sqlite3.Connection, look: Lookup, as_of: int) -> None:
        self._db = db
        self._look = look
        self._as_of = as_of
        self._below = first_after(db, "facts", as_of)
        self._survivors: dict[int, int | None] = {}
        self._yielded: set[int] = set()
        self._names: dict[int, str] = {}

    def facts(
        self, clauses: Sequence[Clause], most: int, without: Container[int] = ()
    ) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Yield at most `most` facts that satisfy a clause, those with the fewest words first: subject, type and data.

        Merged parties count as their survivor as of the position. Facts of retracted subjects, facts yielded by an
        earlier call and facts about `without` are left out. The result does not depend on the order of recording,
        unless more than `_MATCHES` facts match: then only the newest are considered, to bound the cost.
        """
        ids = self._look.rows(clauses, self._below, _MATCHES)
        new = [id_ for id_ in ids if id_ not in self._yielded]
        rows = self._db.execute(
            "SELECT f.id, f.position, f.subject FROM json_each(?) j CROSS JOIN facts f ON f.id = j.value"
            f" CROSS JOIN {self._look.name} x ON x.id = f.id CROSS JOIN subjects s ON s.id = f.subject"
            " WHERE f.system_from <= ? AND f.system_to > ? ORDER BY length(x.tokens), s.name, f.rank, f.label",
            (orjson.dumps(new).decode(), self._as_of, self._as_of),
        )
        count = 0
        for id_, position, number in rows.fetchall():
            subject = self._survivor(number)
            if subject is not None and subject not in without:
                self._yielded.add(id_)
                yield subject, *self._content(id_, position)
                count += 1
                if count == most:
                    return

    def name(self, number: int) -> str:
        """Return the subject name of a number. It orders equal hits independently of the order of recording."""
        if number not in self._names:
            (self._names[number],) = self._db.execute("SELECT name FROM subjects WHERE id = ?", (number,)).fetchone()
        return self._names[number]

    def _content(self, id_: int, position: int) -> tuple[str, dict[str, Any]]:
        rank, meaning, data = self._db.execute(
            "SELECT f.rank, f.meaning, e.data FROM facts f, events e WHERE f.id = ? AND e.position = ?", (id_, position)
        ).fetchone()
        return KINDS[rank].name, orjson.loads(data) if meaning is None else orjson.loads(meaning)[2]

    def _survivor(self, number: int) -> int | None:
        """Return the survivor of a subject; None if it had no state as of the position."""
        if number not in self._survivors:
            subject = survivor(self._db, number, self._as_of)
            row = self._db.execute(
                f"SELECT 1 FROM subject_states WHERE subject = ? AND {AS_OF} LIMIT 1",
                (subject, self._as_of, self._as_of),
            ).fetchone()
            self._survivors[number] = subject if row else None
        return self._survivors[number]
