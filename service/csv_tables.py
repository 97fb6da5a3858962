"""Items as rows of a table (RFC 4180), one line an item under a header that never changes by what the items hold. A
text in several languages stands in one of them, and in a column of its own, as JSON, in all of them.

No cell is run by a spreadsheet: one that would be is quoted (OWASP, CSV Injection)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Column:
    """A column and the member it is filled from. What is no plain value is written as JSON, a `text` in one language;
    or, where the column `translates`, only if it is in several, in all of them."""

    name: str
    path: tuple[str, ...]
    text: bool
    translates: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a list, in the order they are written in."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """The header."""
        return [column.name for column in self.columns]

    @property
    def header(self) -> bytes:
        """The first line."""
        return _written([self.names])

    def rows(self, items: Iterable[Mapping[str, Any]]) -> bytes:
        """A line for each item."""
        return _written([[_cell(item, column) for column in self.columns] for item in items])


def table(*columns: str) -> Table:
    """The table of columns written as paths: `part_of.subject` is in a column `part_of`, `part_of.name` in one
    `part_of_name`; `title!` is a text, and in all its languages in a column `title_by_language` at the end."""
    made = [_column(column) for column in columns]
    translated = [
        Column(f"{each.name}_by_language", each.path, text=False, translates=True) for each in made if each.text
    ]
    return Table((*made, *translated))


def wording(text: str | Mapping[str, str]) -> str:
    """One wording of a text: the English one, else the first."""
    if isinstance(text, str):
        return text
    english = (each for tag, each in text.items() if tag.lower().partition("-")[0] == "en")
    return next(english, next(iter(text.values())))


def _column(column: str) -> Column:
    path = tuple(column.rstrip("!").split("."))
    named = path[:-1] if path[-1] == "subject" and len(path) > 1 else path
    return Column("_".join(named), path, column.endswith("!"))


def _cell(item: Mapping[str, Any], column: Column) -> str:
    value: Any = item
    for name in column.path:
        if not isinstance(value, Mapping) or (value := value.get(name)) is None:
            return ""
    if isinstance(value, str):
        return "" if column.translates else value
    if column.text:
        return wording(value)
    return orjson.dumps(value).decode()


def _written(rows: Sequence[Sequence[str]]) -> bytes:
    return "".join(f"{','.join(map(_quoted, row))}\r\n" for row in rows).encode()


def _quoted(cell: str) -> str:
    """The cell as a field. Separators of other dialects are quoted too, as they could begin a cell that is run."""
    is_run = _RUN.match(cell) is not None and _NUMBER.fullmatch(cell) is None
    if not is_run and _SEPARATING.search(cell) is None:
        return cell
    mark = "'" if is_run else ""
    escaped = cell.replace('"', '""')
    return f'"{mark}{escaped}"'


_RUN = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
"""How a cell begins that a spreadsheet would run."""
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_SEPARATING = re.compile(r'[",;\t\r\n]')
