"""References to other subjects inside answers, `{"subject": ...}`: who answers for each, and its name as of the
question. Looked up for a whole page at once, and never kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import orjson

from projections.engine.database import AS_OF
from projections.engine.event_index import EventIndex
from projections.engine.query_types import TimeSlice
from projections.engine.reference_values import Reference, references_in
from projections.engine.time_slices import as_of_and_on, times


class References:
    """Names of others, on one connection."""

    def __init__(self, db: sqlite3.Connection, index: EventIndex) -> None:
        self._db = db
        self._index = index

    def name_others(self, items: Iterable[Any], question: TimeSlice) -> None:
        """Put the survivor and its name into every reference inside these items; none of them is one itself."""
        self.name(references_in(items), question)

    def name(self, references: Iterable[dict[str, Any]], question: TimeSlice, *, names: bool = True) -> None:
        """Put the survivor, and its name unless it has one or none are wanted, into references."""
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
        """The subject that answers for this one, and its name on the day."""
        reference = Reference(subject)
        self.name([reference], question)
        return reference["subject"], reference["name"]

    def names(self, numbers: Iterable[int], question: TimeSlice) -> dict[int, Any]:
        """The names of subjects on the day; of one that had not come about, the first it had."""
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
