"""Names of other subjects in answers: fills each reference `{"subject": ...}` with the survivor and its name.

Names are looked up for a page at once, as of the position and on the day of the query, and never cached.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import orjson

from domain.values import Reference
from projections.engine.database import AS_OF
from projections.engine.event_index import EventIndex
from projections.engine.query_types import TimeSlice
from projections.engine.reference_values import references_in
from projections.engine.time_slices import as_of_and_on, times


class References:
    """Fills references, on one connection."""

    def __init__(self, db: sqlite3.Connection, index: EventIndex) -> None:
        self._db = db
        self._index = index

    def name_others(self, items: Iterable[Any], question: TimeSlice) -> None:
        """Fill every reference inside some items. No item is a reference itself."""
        self.name(references_in(items), question)

    def name(self, references: Iterable[dict[str, Any]], question: TimeSlice, *, names: bool = True) -> None:
        """Fill references with the survivor and, unless `names` is False, its name; skip those with a name.

        The name follows the subject; other fields of a reference come after both.
        """
        pending = [reference for reference in references if "name" not in reference]
        numbers: dict[str, int | None] = {}
        for reference in pending:
            subject = reference["subject"]
            if subject not in numbers:
                number = self._index.find(subject)
                numbers[subject] = None if number is None else self._index.survivor(number, question.as_of)
        known = self.names({number for number in numbers.values() if number is not None}, question) if names else {}
        for reference in pending:
            rest = None if len(reference) == 1 else {key: reference[key] for key in reference if key != "subject"}
            if rest is not None:
                subject = reference["subject"]
                reference.clear()
                reference["subject"] = subject
            number = numbers[reference["subject"]]
            if number is not None:
                reference["subject"] = self._index.name(number)
            if names:
                reference["name"] = None if number is None else known[number]
            if rest is not None:
                reference.update(rest)

    def named(self, subject: str, question: TimeSlice) -> tuple[str, Any]:
        """Return the survivor of a subject and its name on the day."""
        reference = Reference(subject)
        self.name([reference], question)
        return reference["subject"], reference["name"]

    def names(self, numbers: Iterable[int], question: TimeSlice) -> dict[int, Any]:
        """Return the names of subjects on the day; before the creation of a subject its first name."""
        known: dict[int, Any] = dict.fromkeys(numbers)
        if not known:
            return known
        rows = self._db.execute(
            "SELECT t.subject, t.name FROM json_each(?) j CROSS JOIN subject_states t ON t.subject = j.value"
            f" WHERE {as_of_and_on('t', question)}",
            (orjson.dumps(list(known)).decode(), *times(question)),
        ).fetchall()
        missing = known.keys() - {number for number, _ in rows}
        for number in missing:
            rows += self._db.execute(
                f"SELECT subject, name FROM subject_states WHERE subject = ? AND {AS_OF} ORDER BY valid_from LIMIT 1",
                (number, question.as_of, question.as_of),
            ).fetchall()
        for number, name in rows:
            known[number] = orjson.loads(name)
        return known
