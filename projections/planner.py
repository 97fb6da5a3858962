"""How a filter of a list is met: what few rows meet is found by an index and sorted; what many meet is looked for on
the way through the list's order, as there it is soon met.

Unless just those that come first in the order do not meet it. So that way is only gone so far, and who finds too little
on it (`TooFar`) asks again with a narrowing that has nothing looked for on the way that an index can find. Reads only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from math import isqrt
from typing import Any

from domain.edtf import AFTER, BEFORE
from projections.engine.bitemporal import COLLECTIONS
from projections.engine.database import IMPRECISE, UNSURE
from projections.engine.query_parts import Query, places
from projections.engine.query_types import ANY_STATUS, TimeSlice
from projections.engine.time_slices import is_certain, may_be
from projections.text_filter import matching

STEPS = 300_000
"""Of SQLite's machine: how far an order is gone through, some milliseconds; at most twice as far."""
_MOST = 4
"""Of so many things one at most meets what is found by an index: to sort more takes longer than to go through all."""
_AGREEMENTS = COLLECTIONS.index("agreements")


class PlanTooSlow(Exception):
    """The rows asked for are not among the first in their order."""


class Planner:
    """The filters of one query, as of a question. Each adds what it asks for to the query."""

    def __init__(self, db: sqlite3.Connection, question: TimeSlice, query: Query, *, gathers: bool = False) -> None:
        """`gathers`: nothing is looked for on the way that an index can find."""
        self._db = db
        self._question = question
        self._query = query
        most = greatest(db, "subject_states")
        # Of M things and N that match, a page comes after some 50 M / N looks at things, or after sorting N of them,
        # each of which costs ten times such a look.
        self._most = most if gathers else isqrt(5 * _MOST * most)
        self._most_words = most if gathers else 0
        self._gathers = gathers
        self._is_walked = False

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Within it the rows are asked for. Raises TooFar where another narrowing, that `gathers`, is to be tried."""
        if self._gathers or self._query.narrow or not self._is_walked:
            yield
            return
        with bounded(self._db, STEPS):
            yield

    def is_common(self, rows: str, *values: Any) -> bool:
        """Whether so many rows match that going through all in their order finds a page sooner than sorting these."""
        (found,) = self._db.execute(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM {rows} LIMIT ?)", (*values, self._most + 1)
        ).fetchone()
        if found > self._most:
            self._is_walked = True
        return bool(found > self._most)

    def _among(self, ids: str, *values: Any) -> bool:
        """Ask for rows by their ids, which a statement selects, where those are few; whether they are."""
        if self.is_common(f"({ids})", *values):
            return False
        self._query.add(f"t.id IN ({ids})", *values, narrow=True)
        return True

    def by_kind(self, table: str, condition: str, kinds: Sequence[str]) -> None:
        """Ask for one of some kinds, among the rows that meet a condition."""
        of_kinds = f"kind IN ({places(kinds)})"
        if not self._among(f"SELECT id FROM {table} WHERE {condition} AND {of_kinds}", *kinds):
            self._query.add(f"+t.{of_kinds}", *kinds)

    def by_status(self, table: str, condition: str, order: Sequence[str], statuses: Sequence[str]) -> None:
        """Ask for rows that may have one of some statuses, whose bits are in an `order`: on the day, or whenever."""
        if ANY_STATUS in statuses:
            return
        question, bits = self._question, sum(1 << order.index(status) for status in set(statuses))
        self._query.statuses = bits
        self._query.add(f"{may_be('t', question)} & ?", bits)
        at = 0 if question.on is not None else 1
        pairs = [pair for pair in self._masks(table, condition) if pair[at] & bits]
        if not pairs:
            self._query.add("0", narrow=True)
            return
        masks, evers = ({pair[at] for pair in pairs} for at in (0, 1))
        day, days = _on(question)
        said = f"mask IN ({places([*masks])}) AND ever IN ({places([*evers])})"
        values = (*masks, *evers, *days, question.as_of)
        self._among(f"SELECT id FROM {table} WHERE {condition} AND {said}{day} AND system_to > ?", *values)

    def by_certainty(self, table: str, condition: str, certainties: Sequence[str], *values: Any) -> None:
        """Ask for rows whose claim is certain, or is not; once it is known which statuses are asked for."""
        if len(set(certainties)) != 1:
            return
        question = self._question
        certain = is_certain("t", question, self._query.statuses)
        if "certain" in certainties:
            self._query.add(certain)
            return
        self._query.add(f"NOT {certain}")
        day, days = _on(question)
        rows = f"{table} INDEXED BY {table}_unsure WHERE {condition} AND {UNSURE}{day} AND system_to > ?"
        self._among(f"SELECT id FROM {rows}", *values, *days, question.as_of)

    def _masks(self, table: str, condition: str) -> Iterator[tuple[int, int]]:
        """All that rows of a table say may be on their days, and on any, as bits; few pairs of these are ever met."""
        pairs = f"SELECT mask, ever FROM {table} WHERE {condition}"
        last = self._db.execute(f"{pairs} ORDER BY mask, ever LIMIT 1").fetchone()
        while last is not None:
            yield last
            last = (
                self._db.execute(f"{pairs} AND mask = ? AND ever > ? ORDER BY ever LIMIT 1", last).fetchone()
                or self._db.execute(f"{pairs} AND mask > ? ORDER BY mask, ever LIMIT 1", last[:1]).fetchone()
            )

    def signed_from(self, day: int, *, leads: bool) -> None:
        """Ask for agreements that may have been signed on a day or later. `leads`: in the order of signing."""
        indexed = "subject_states INDEXED BY subject_states_imprecise"
        imprecise = f"{indexed} WHERE collection = ? AND upto >= ? AND {IMPRECISE}"
        self._query.add("t.upto >= ?", day)
        found = self._among(
            f"SELECT id FROM subject_states WHERE collection = ? AND at >= ? AND at < {AFTER} UNION ALL"
            f" SELECT id FROM {imprecise}",
            _AGREEMENTS,
            day,
            _AGREEMENTS,
            day,
        )
        if leads and not found:
            (least,) = self._db.execute(f"SELECT min(at) FROM {imprecise}", (_AGREEMENTS, day)).fetchone()
            self._query.add("t.at >= ?", day if least is None else min(day, least))

    def signed_to(self, day: int) -> None:
        """Ask for agreements that may have been signed on a day or earlier."""
        self._query.add(f"t.upto >= 0 AND (CASE WHEN t.at = {AFTER} THEN {BEFORE} ELSE t.at END) <= ?", day)
        self._among(
            "SELECT id FROM subject_states WHERE collection = ? AND at <= ? UNION ALL"
            " SELECT id FROM subject_states INDEXED BY subject_states_imprecise"
            f" WHERE collection = ? AND at = {AFTER} AND {IMPRECISE}",
            _AGREEMENTS,
            day,
            _AGREEMENTS,
        )

    def due_before(self, day: int, *, leads: bool) -> None:
        """Ask for what is due before a day. `leads`: in the order of what is due."""
        due = "SELECT id FROM list_items WHERE section = 0 AND due > ? AND due < ?"
        if leads or not self._among(due, BEFORE, day):
            column = "t.due" if leads else "+t.due"
            self._query.add(f"{column} > ? AND {column} < ?", BEFORE, day)

    def by_category(self, category: str) -> None:
        """Ask for ties of a category, which is kept in every language in which it was given."""
        known, last = [], ""
        while row := self._db.execute(
            "SELECT category FROM memberships WHERE category > ? ORDER BY category LIMIT 1", (last,)
        ).fetchone():
            last = row[0]
            known += [last] if category in last.split("\n") else []
        if not self._among(f"SELECT id FROM memberships WHERE category IN ({places(known)})", *known):
            self._query.add(f"+t.category IN ({places(known)})", *known)

    def by_words(self, view: str, words: str) -> None:
        """Ask for rows that hold these words (see `filtering.matching`)."""
        condition = matching(self._db, words, view, self._question.as_of, self._most_words)
        self._query.few = condition.few if view in COLLECTIONS else None
        if self._query.few is None:
            self._query.add(condition.sql, *condition.values)
        self._query.narrow = self._query.narrow or condition.narrow
        self._is_walked = self._is_walked or not condition.narrow


def _on(question: TimeSlice) -> tuple[str, tuple[int, ...]]:
    """Return the condition that a row holds on the day of the question, and its values; on any day none."""
    if question.on is None:
        return "", ()
    return " AND valid_to > ? AND valid_from <= ?", (question.on, question.on)


def greatest(db: sqlite3.Connection, table: str) -> int:
    """How many rows of a table are gathered at most, where those that a list's order begins with do not do."""
    (last,) = db.execute(f"SELECT max(id) FROM {table}").fetchone()
    return (last or 0) // _MOST


@contextmanager
def bounded(db: sqlite3.Connection, steps: int) -> Iterator[None]:
    """Within it no statement takes more than twice as many steps of SQLite's machine. Raises TooFar."""
    asked = count()  # SQLite counts on where the same statement ended before: the first time says nothing
    db.set_progress_handler(lambda: next(asked) > 0, steps)
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:  # text that is none has no code
            raise
        raise PlanTooSlow from None
    finally:
        db.set_progress_handler(None, 0)
