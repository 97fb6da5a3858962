"""CSV tables: items as lines (RFC 4180) under a header that does not depend on the items.

A text in several languages is written in one of them, and in a further column, as JSON, in all of them. A cell that a
spreadsheet would run as a formula begins with `'` (OWASP, CSV Injection).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Column:
    """A column and the path of its field.

    `text`: a text is written in one language. `translates`: a text in several languages is written in all of them, as
    JSON, and another one is not written. Other objects and lists are written as JSON.
    """

    name: str
    path: tuple[str, ...]
    text: bool
    translates: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a list, in their order."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]

    @property
    def header(self) -> bytes:
        """The header, as the first line."""
        return _written([self.names])

    def rows(self, items: Iterable[Mapping[str, Any]]) -> bytes:
        """Return the items as CSV, a line for each."""
        return _written([[_cell(item, column) for column in self.columns] for item in items])


def table(*columns: str) -> Table:
    """Return the table of some columns, each given by the path of its field.

    The column of `part_of.subject` is named `part_of`, that of `part_of.name` `part_of_name`. A path with `!` at its
    end is that of a text; all its languages are in a further column, such as `title_by_language`, at the end.
    """
    made = [_column(column) for column in columns]
    translated = [
        Column(f"{each.name}_by_language", each.path, text=False, translates=True) for each in made if each.text
    ]
    return Table((*made, *translated))


def wording(text: str | Mapping[str, str]) -> str:
    """Return one wording of a text: the English one, else the first."""
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
    """Return a cell as a field of a line.

    Separators of other dialects are quoted, too, as a cell that is run could begin after them.
    """
    is_run = _RUN.match(cell) is not None and _NUMBER.fullmatch(cell) is None
    if not is_run and _SEPARATING.search(cell) is None:
        return cell
    mark = "'" if is_run else ""
    escaped = cell.replace('"', '""')
    return f'"{mark}{escaped}"'


_RUN = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
"""The beginning of a cell that a spreadsheet would run as a formula."""
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_SEPARATING = re.compile(r'[",;\t\r\n]')
