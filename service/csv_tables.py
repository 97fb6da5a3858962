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


_TIE = ("status", "certainty", "statuses", "from", "to")
_LAST = ("events", "disputed")

OF_VIEW: Mapping[str, Table] = {
    "parties": table(
        *("subject", "name!", "kind", "jurisdiction", "part_of.subject", "part_of.name!", "other_names", "identifiers"),
        *("dissolved", "successors", "status", "certainty", "statuses", "version", "position", *_LAST, "founded"),
    ),
    "agreements": table(
        *("subject", "title!", "kind", "under.subject", "under.name!", "scope", "place!", "summary!", "adopted"),
        *("signed", "entered_into_force", "until", "terminated", "reason", "superseded_by.subject"),
        *("superseded_by.name!", "parties", "commitments", "declarations", "amendments"),
        *("status", "certainty", "statuses", "version", "position", *_LAST, "other_titles", "languages"),
        *("depositary.subject", "depositary.name!", "secretariat.subject", "secretariat.name!"),
    ),
    "labs": table(
        *("subject", "name!", "under.subject", "under.name!", "place!", "fields", "founded", "opened", "closed"),
        *("founders", "phases", "calls", "status", "certainty", "statuses", "version", "position", *_LAST),
    ),
    "platforms": table(
        *("subject", "name!", "place!", "purpose!", "directions", "convened_by", "target!", "target_date", "launched"),
        *("dissolved", "members", "supporters", "documents"),
        *("status", "certainty", "statuses", "version", "position", *_LAST, "successors"),
    ),
    "documents": table(
        *("subject", "title!", "publisher!", "language", "published", "url", "sha256", "original.sha256"),
        *("original.media_type", "status", "certainty", "statuses", "version", "position", *_LAST, "text.characters"),
        "citation!",
    ),
    "memberships": table(
        *("party.subject", "party.name!", "in.subject", "in.name!", "category!", "role!", *_TIE, "steps", *_LAST),
        "roles",
    ),
    "commitments": table(
        *("agreement.subject", "agreement.name!", "commitment", "kind", "title!", "by", "with", "place!", "due"),
        *("amount.value", "amount.currency", "made", "status", "certainty", "statuses", *_LAST, "amount.unit!"),
    ),
    "timeline": table(
        *("position", "occurred", "certainty", "type", "subject.subject", "subject.name!", "data", "source", "id"),
        *("recorded", *_LAST),
    ),
}
"""The columns of each list. Readers go by their names, so none is ever renamed."""

HISTORY = table(
    *("position", "version", "type", "occurred", "subject.subject", "subject.name!", "data", "evidence", "patch"),
    *("source", "id", "time", "recorded", "actor", "disputed", "redacted"),
)
OF_ENTRY: Mapping[str, Table] = {
    "parties.other_names": table("name!", "certainty", *_LAST),
    "parties.identifiers": table("scheme", "value", "certainty", *_LAST),
    "agreements.parties": table("party.subject", "party.name!", "role!", *_TIE, "steps", *_LAST, "roles"),
    "agreements.commitments": table(
        *("commitment", "kind", "title!", "by", "with", "place!", "due", "amount.value", "amount.currency", "made"),
        *("status", "certainty", "statuses", *_LAST, "amount.unit!"),
    ),
    "agreements.declarations": table(
        *("event", "party.subject", "party.name!", "kind", "text!", "provision!", "made", "withdrawn"),
        *("status", "certainty", "statuses", *_LAST, "about", "territory!"),
    ),
    "agreements.amendments": table(
        *("summary!", "title!", "scope_added", "scope_removed", "until", "by.subject", "by.name!", "occurred"),
        *("certainty", *_LAST),
    ),
    "labs.founders": table("subject", "name!", *_TIE, *_LAST),
    "labs.phases": table(
        *("phase", "title!", "duration", "after", "waits_for", "started", "completed"),
        *("status", "certainty", "statuses", *_LAST),
    ),
    "labs.calls": table(
        *("call", "role!", "positions.min", "positions.max", "fields", "place!", "opened", "closed", "hired"),
        *("status", "certainty", "statuses", *_LAST),
    ),
    "platforms.members": table("party.subject", "party.name!", "category!", *_TIE, *_LAST),
    "platforms.supporters": table("party.subject", "party.name!", "support", "occurred", "certainty", *_LAST),
    "platforms.documents": table("title!", "kind", "occurred", "certainty", *_LAST),
}
DISPUTED = table("pointer", "value", "position", "event")
RESOLVED = table("subject", "name!", "matched", "score")
FOUND = table("subject", "name!", "snippet", "score")
PASSAGES = table(
    *("start", "end", "exact", "translation!", "note!", "supports", "status", "event", "fact.position"),
    *("fact.subject.subject", "fact.subject.name!", "fact.type", "fact.occurred"),
)
