"""The planner of the query of a list: it decides for each filter how the matching rows are found.

If few rows match, an index finds their ids and they are sorted. If many match, the query walks the order of the list
and tests each row, as a match comes soon. This fails only if the first rows in the order do not match: then the walk is
stopped (`PlanTooSlow`), and the list is planned again with every filter that an index serves materialised first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from math import isqrt
from typing import Any

from projections.engine.bitemporal import COLLECTIONS
from projections.engine.database import UNSURE
from projections.engine.event_index import EventIndex
from projections.engine.query_parts import MemberCondition, Query, places
from projections.engine.query_types import ANY_STATUS, TimeSlice
from projections.engine.subsidiaries import requested_parties
from projections.engine.text_filter import matching
from projections.engine.time_slices import is_certain, possible_statuses

STEPS = 300_000
"""Steps of SQLite's machine that a walk may take, some milliseconds; at most twice as many."""
_MOST = 4
"""At most one of so many rows is materialised: to sort more takes longer than to walk through all."""


class PlanTooSlow(Exception):
    """The requested rows are not among the first in their order."""


class Planner:
    """The plan of one query for a page of a list."""

    def __init__(
        self,
        db: sqlite3.Connection,
        index: EventIndex,
        question: TimeSlice,
        *,
        view: str,
        table: str,
        condition: str,
        filters: Mapping[str, Sequence[str]],
        sort: str,
        materialises: bool = False,
    ) -> None:
        """Plan a query for rows of a table that meet a condition.

        `materialises`: no filter that an index serves is tested while walking.
        """
        self.index = index
        self.question = question
        self.query = Query()
        self.filters = filters
        self.sort = sort.removeprefix("-")
        self.is_descending = sort.startswith("-")
        self.members: list[MemberCondition] = []
        """The parties with whom each subject must have a membership."""
        self._db = db
        self._view = view
        self._table = table
        self._condition = condition
        most = greatest(db, "subject_states")
        # Of M rows of which N match, a page comes after some 50 M / N tests of a row, or after sorting N rows, each of
        # which costs ten tests.
        self._most = most if materialises else isqrt(5 * _MOST * most)
        self._most_words = most if materialises else 0
        self._materialises = materialises
        self._is_walked = False

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Bound the walk of the statements in this context. Raise PlanTooSlow if a plan that materialises is better."""
        if self._materialises or self.query.narrow or not self._is_walked:
            yield
            return
        with bounded(self._db, STEPS):
            yield

    def number(self, subject: str) -> int:
        """Return the number of a subject; -1, which no subject has, if there is none."""
        number = self.index.find(subject)
        return -1 if number is None else number

    def cluster(self, subject: str) -> list[int]:
        """Return the numbers of a subject and of all subjects merged with it."""
        number = self.index.find(subject)
        return [-1] if number is None else self.index.cluster_of(number, self.question.as_of)

    @cached_property
    def parties(self) -> list[int]:
        """The numbers of the parties that the filters `party` and `include` select. Raise BadQuestion if too many."""
        return requested_parties(self.index, self.filters, self.question)

    def is_common(self, rows: str, *values: Any) -> bool:
        """Return whether so many rows match that a walk finds a page sooner than sorting these rows would."""
        (found,) = self._db.execute(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM {rows} LIMIT ?)", (*values, self._most + 1)
        ).fetchone()
        if found > self._most:
            self._is_walked = True
        return bool(found > self._most)

    def among(self, ids: str, *values: Any) -> bool:
        """Select rows by the ids of a statement if these are few; return whether they are."""
        if self.is_common(f"({ids})", *values):
            return False
        self.query.add(f"t.id IN ({ids})", *values, narrow=True)
        return True

    def first(self, statement: str, *values: Any) -> Any:
        """Return the first row of a statement; None if there is none."""
        return self._db.execute(statement, values).fetchone()

    def by_kind(self, kinds: Sequence[str]) -> None:
        """Select rows of one of some kinds."""
        of_kinds = f"kind IN ({places(kinds)})"
        if not self.among(f"SELECT id FROM {self._table} WHERE {self._condition} AND {of_kinds}", *kinds):
            self.query.add(f"+t.{of_kinds}", *kinds)

    def by_status(self, order: Sequence[str], statuses: Sequence[str]) -> None:
        """Select rows that may have one of some statuses, on the day or in the end; bits are in an `order`."""
        if ANY_STATUS in statuses:
            return
        question, bits = self.question, sum(1 << order.index(status) for status in set(statuses))
        self.query.statuses = bits
        self.query.add(f"{possible_statuses('t', question)} & ?", bits)
        at = 0 if question.on is not None else 1
        pairs = [pair for pair in self._status_pairs() if pair[at] & bits]
        if not pairs:
            self.query.add("0", narrow=True)
            return
        possible_bits, final_bits = ({pair[at] for pair in pairs} for at in (0, 1))
        day, days = _on(question)
        possible = f"possible_statuses IN ({places([*possible_bits])}) AND final_statuses IN ({places([*final_bits])})"
        values = (*possible_bits, *final_bits, *days, question.as_of)
        self.among(
            f"SELECT id FROM {self._table} WHERE {self._condition} AND {possible}{day} AND system_to > ?", *values
        )

    def by_certainty(self, certainties: Sequence[str]) -> None:
        """Select rows whose status is certain, or is not. Call it after `by_status`."""
        if len(set(certainties)) != 1:
            return
        question = self.question
        certain = is_certain("t", question, self.query.statuses)
        if "certain" in certainties:
            self.query.add(certain)
            return
        self.query.add(f"NOT {certain}")
        day, days = _on(question)
        rows = f"{self._table} INDEXED BY {self._table}_unsure WHERE {self._condition} AND {UNSURE}{day}"
        self.among(f"SELECT id FROM {rows} AND system_to > ?", *days, question.as_of)

    def _status_pairs(self) -> Iterator[tuple[int, int]]:
        """Yield the pairs of possible statuses, on the days of a row and in the end, as bits; there are few pairs."""
        pairs = f"SELECT possible_statuses, final_statuses FROM {self._table} WHERE {self._condition}"
        order = " ORDER BY possible_statuses, final_statuses LIMIT 1"
        last = self._db.execute(f"{pairs}{order}").fetchone()
        while last is not None:
            yield last
            last = (
                self._db.execute(f"{pairs} AND possible_statuses = ? AND final_statuses > ?{order}", last).fetchone()
                or self._db.execute(f"{pairs} AND possible_statuses > ?{order}", last[:1]).fetchone()
            )

    def by_term(self, kind: str, term: str) -> None:
        """Select rows that have a term of a kind."""
        if self.is_common("terms WHERE kind = ? AND value = ?", kind, term):
            self.query.add(
                "EXISTS (SELECT 1 FROM terms x WHERE x.kind = ? AND x.value = ? AND x.owner = t.id)", kind, term
            )
        else:
            self.query.add("t.id IN (SELECT owner FROM terms WHERE kind = ? AND value = ?)", kind, term, narrow=True)

    def by_reference(self, subject: str) -> None:
        """Select subject states that refer to a subject, as `part_of` or `under`."""
        group = self.cluster(subject)
        self.query.add(f"t.ref IN ({places(group)})", *group, narrow=True)

    def by_member(self, party: str) -> None:
        """Select subject states of subjects in which a party has a membership."""
        self.members.append(MemberCondition(self.cluster(party)))

    def by_words(self, words: str) -> None:
        """Select rows that have some words (see `text_filter.matching`)."""
        condition = matching(self._db, words, self._view, self.question.as_of, self._most_words)
        self.query.few = condition.few if self._view in COLLECTIONS else None
        if self.query.few is None:
            self.query.add(condition.sql, *condition.values)
        self.query.narrow = self.query.narrow or condition.narrow
        self._is_walked = self._is_walked or not condition.narrow

    def certified(self, items: list[dict[str, Any]], rows: Sequence[tuple[Any, ...]], at: int) -> list[dict[str, Any]]:
        """Return items with the certainty of the requested statuses; a row has its status and certainty from `at` on.

        On a day, several possible statuses do not say whether the item may not exist yet, so it counts as possible.
        """
        if self.query.statuses is not None:
            for item, row in zip(items, rows, strict=True):
                _, possible, certain = row[at : at + 3]
                is_known = (certain or self.question.on is None) and not possible & ~self.query.statuses
                item["certainty"] = "certain" if is_known else "possible"
        return items


def _on(question: TimeSlice) -> tuple[str, tuple[int, ...]]:
    """Return the condition that a row is valid on the day of the query, and its values; no condition for any day."""
    if question.on is None:
        return "", ()
    return " AND valid_to > ? AND valid_from <= ?", (question.on, question.on)


def greatest(db: sqlite3.Connection, table: str) -> int:
    """Return the most rows of a table that are materialised after a walk was too slow."""
    (last,) = db.execute(f"SELECT max(id) FROM {table}").fetchone()
    return (last or 0) // _MOST


@contextmanager
def bounded(db: sqlite3.Connection, steps: int) -> Iterator[None]:
    """Limit each statement in this context to at most twice `steps` steps of SQLite's machine. Raise PlanTooSlow."""
    calls = count()  # SQLite continues the count of the last statement, so the first call means nothing
    db.set_progress_handler(lambda: next(calls) > 0, steps)
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:  # an error of decoding has no code
            raise
        raise PlanTooSlow from None
    finally:
        db.set_progress_handler(None, 0)
