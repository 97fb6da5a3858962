"""The queries of lists in the making: what they ask for, and in which order, from a key on. Reads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.edtf import AFTER


@dataclass(frozen=True, slots=True)
class Tied:
    """That one of these parties, which are one, has a membership in a thing."""

    group: list[int]


@dataclass(slots=True)
class Query:
    """A query in the making: conditions with their values, and whether one of them narrows it well."""

    conditions: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    narrow: bool = False
    statuses: int | None = None
    """The statuses asked for, as bits."""
    tied: list[Tied] = field(default_factory=list)
    few: set[int] | None = None
    """The only things that hold the words asked for, where they are few."""

    def add(self, condition: str, *values: Any, narrow: bool = False) -> None:
        """Ask for one thing more."""
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
    """Columns to sort by, all ascending or all descending, that together name a row, and the types of their values."""

    columns: tuple[str, ...]
    types: tuple[type, ...]
    descending: bool = False
    dated: str | None = None
    """A day that the first of `columns` turns round: from the latest down, and the unbounded last."""

    def parts(self, after: Sequence[Any] | None) -> list[Part]:
        """Everything after a key, one part after the other."""
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


def by_date(column: str, sort: str, names: Mapping[str, type]) -> Order:
    """By a date, unbounded last either way; rows of one date by name."""
    types = (int, *names.values())
    if not sort.startswith("-"):
        return Order((column, *names), types)  # `AFTER` is past every day; an index may serve
    return Order((f"CASE WHEN {column} = {AFTER} THEN {AFTER} ELSE -{column} END", *names), types, dated=column)


def places(values: Sequence[Any]) -> str:
    """The places of so many values in SQL."""
    return ", ".join("?" * len(values))
