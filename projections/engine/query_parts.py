"""Parts of a list's query: its conditions, and its order from a key on. Reads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.edtf import AFTER


@dataclass(frozen=True, slots=True)
class MemberCondition:
    """The condition that one of these merged parties has a membership in a subject."""

    group: list[int]


@dataclass(slots=True)
class Query:
    """The conditions of a query with their values, and whether one of them leaves few rows."""

    conditions: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    narrow: bool = False
    statuses: int | None = None
    """The requested statuses, as bits."""
    few: set[int] | None = None
    """The only subjects that hold the requested words, where these are few."""

    def add(self, condition: str, *values: Any, narrow: bool = False) -> None:
        """Add a condition."""
        self.conditions.append(condition)
        self.values += values
        self.narrow = self.narrow or narrow


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that follow each other in an order, as an index may give them."""

    conditions: list[str]
    values: list[Any]
    clause: str


@dataclass(frozen=True, slots=True)
class Order:
    """Columns to sort by, which together identify a row, with the types of their values and one direction for all."""

    columns: tuple[str, ...]
    types: tuple[type, ...]
    descending: bool = False
    dated: str | None = None
    """A day whose order the first of `columns` reverses: the latest day first, rows without a day last."""

    def parts(self, after: Sequence[Any] | None) -> list[Part]:
        """Return everything after a key, in parts that follow each other."""
        turn = " DESC" if self.descending else ""
        if self.dated is not None:
            return self._from_latest(self.dated, self.columns[1:], after)
        clause = ", ".join(column + turn for column in self.columns)
        if after is None:
            return [Part([], [], clause)]
        later = f"({', '.join(self.columns)}) {'<' if self.descending else '>'} ({places(after)})"
        return [Part([later], list(after), clause)]

    @staticmethod
    def _from_latest(day: str, names: Sequence[str], after: Sequence[Any] | None) -> list[Part]:
        by_name = ", ".join(f"{name} DESC" for name in names)
        dated = Part([f"{day} < {AFTER}"], [], f"{day} DESC, {by_name}")
        undated = Part([f"{day} = {AFTER}"], [], by_name)
        if after is None:
            return [dated, undated]
        key, *last = after
        earlier = f"({', '.join(names)}) < ({places(last)})"
        if key == AFTER:
            return [Part([*undated.conditions, earlier], last, undated.clause)]
        return [Part([f"{day} <= ?", f"({day} < ? OR {earlier})"], [-key, -key, *last], dated.clause), undated]


def by_date(column: str, names: Mapping[str, type], *, descending: bool) -> Order:
    """Return the order by a date, rows without one last in either direction; rows of one date by name."""
    types = (int, *names.values())
    if not descending:
        return Order((column, *names), types)  # `AFTER` is past every day; an index may serve
    return Order((f"CASE WHEN {column} = {AFTER} THEN {AFTER} ELSE -{column} END", *names), types, dated=column)


def places(values: Sequence[Any]) -> str:
    """Return a placeholder in SQL for each value."""
    return ", ".join("?" * len(values))
