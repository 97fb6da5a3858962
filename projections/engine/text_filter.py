"""The filter `q` of lists: selects the rows that match some words, as a condition of the query of the list.

The result is always complete. Rare words drive the query, by ids that are looked up before it. Common words are looked
up row by row as the list follows its order, where a match comes soon.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from domain.catalogue import CATALOGUE
from domain.values import COLLECTIONS
from projections.engine.text_analysis import TextQuery, is_unspaced, pairs_of, parsed
from projections.engine.text_index import TEXTS, match_of

FEW = 5_000
"""The most rows that are looked up before the query, unless the caller allows more."""
_BEGINNINGS = 100
_MOST_WORDS = 16
_MADE = CATALOGUE["agreement.commitment-made"].rank
_AS_OF = "h.system_from <= ? AND h.system_to > ?"
_AMONG = "IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on the rows of a list, in SQL with its values. `few` are the keys of all matching rows, if few."""

    sql: str
    values: list[Any]
    few: set[int] | None

    @property
    def narrow(self) -> bool:
        return self.few is not None


def matching(db: sqlite3.Connection, q: str, view: str, as_of: int, most: int = 0) -> Condition:
    """Return the condition that a row of a view has every word, the last one as a prefix, as of a position.

    All words of a subject (alias `t` of `subject_states`) are in one fact about it.
    The words of a membership (`t` of `memberships`) are those of the names of its party and its container.
    The words of a commitment (`t` of `list_items`) are those of its own texts and the titles of its agreement.
    The words of an item of the timeline (`f` of `facts`) are those of its own texts and the names of its subject.

    Without a letter or digit nothing matches. Rows are few if there are at most `FEW` or `most`.
    """
    filter_ = _TextFilter(db, as_of, view, max(FEW, most))
    rows: set[int] | None = None
    conditions, values = [], []
    units = _units(parsed(q, _MOST_WORDS))
    for sought in [units] if view in COLLECTIONS else [[unit] for unit in units]:
        few, sql, bound = filter_.rows(sought) if sought else (set[int](), "", [])
        if few is not None:
            rows = few if rows is None else rows & few
        else:
            conditions.append(sql)
            values += bound
    if not units:
        rows = set()
    if rows is not None:
        conditions.insert(0, f"{filter_.key} {_AMONG}")
        values.insert(0, _json(rows))
    return Condition(" AND ".join(conditions), values, rows)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A word, or the bigrams of a run of Chinese, to be found in one text. `begun` says that it may be a prefix."""

    words: tuple[str, ...]
    begun: bool


def _units(query: TextQuery) -> list[_Unit]:
    units: dict[_Unit, None] = {}
    for at, run in enumerate(query.runs):
        if is_unspaced(run):
            pairs = tuple(word for word in dict.fromkeys(pairs_of(run)) if word in query.words)
            units[_Unit(pairs or (run,), len(run) == 1)] = None
        else:
            begun = at == len(query.runs) - 1 and query.open_word is not None
            units[_Unit((query.open_word or run,) if begun else (run,), begun)] = None
    return list(units)


class _TextFilter:
    """Finds the rows of one view with some words."""

    def __init__(self, db: sqlite3.Connection, as_of: int, view: str, most: int) -> None:
        self._db = db
        self._most = most
        self._as_of = [as_of, as_of]
        self._settled = TEXTS.settled(
            db
        )  # read first: a row that is indexed meanwhile is then found twice, and never missed
        self._merged = db.execute("SELECT 1 FROM mergers LIMIT 1").fetchone() is not None
        self._view = view
        self.key = "t.subject" if view in COLLECTIONS else "f.id" if view == "timeline" else "t.id"

    def rows(self, units: Sequence[_Unit]) -> tuple[set[int] | None, str, list[Any]]:
        """Return the keys of the matching rows if they are few; otherwise None and a condition."""
        match self._view:
            case "memberships":
                named = self._facts(units, "n")
                if named is not None:
                    return self._either(set(), self._subjects(named), "memberships", ("party", "container"))
                party, its = self._about("t.party", units, "n")
                container, others = self._about("t.container", units, "n")
                return None, f"({party} OR {container})", its + others
            case "commitments":
                own = (
                    "SELECT 1 FROM tags l CROSS JOIN facts h ON h.id = l.fact CROSS JOIN text_index x ON x.id = h.id"
                    f" WHERE l.key = -t.key AND l.subject = t.subject AND l.rank = {_MADE} AND {_AS_OF}"
                )
                return self._own_or_named(units, "list_items", own, self._as_of)
            case "timeline":
                return self._own_or_named(units, "facts", "SELECT 1 FROM text_index x WHERE x.id = f.id", [])
        facts = self._facts(units, "a", [f"c{self._view}"])
        if facts is not None:
            return self._subjects(facts), "", []
        return None, *self._about("t.subject", units, "a")

    def _own_or_named(
        self, units: Sequence[_Unit], table: str, own: str, bound: Sequence[Any]
    ) -> tuple[set[int] | None, str, list[Any]]:
        """Return, as `rows` does, the rows with the words in own texts, selected by `own`, or in subject names."""
        within = ["cagreements"] if table == "list_items" else []
        facts, named = self._facts(units, "a", within), self._facts(units, "n", within)
        if facts is not None and named is not None:
            ids = set(facts) if table == "facts" else self._commitments(facts)
            return self._either(ids, self._subjects(named), table, ("subject",))
        found, needles = _has_words(units, "a")
        column = f"{self.key[0]}.subject"
        if named is not None:
            by_name, others = f"+{column} {_AMONG}", [_json(self._subjects(named))]
        else:
            by_name, others = self._about(column, units, "n")
        return None, f"(EXISTS ({own} AND {found}) OR {by_name})", [*bound, *needles, *others]

    def _either(
        self, ids: set[int], subjects: set[int], table: str, columns: Sequence[str]
    ) -> tuple[set[int] | None, str, list[Any]]:
        """Return, as `rows` does, the rows with an id of `ids` or with one of some subjects in a column."""
        found, numbers = set(ids), _json(subjects)
        for column in columns:
            source = f"{table} i ON i.{column} = j.value"
            if table == "facts":
                source = "events g ON g.subject = j.value CROSS JOIN facts i ON i.position = g.position"
            sql = f"SELECT i.id FROM json_each(?) j CROSS JOIN {source} LIMIT ?"
            rows = self._db.execute(sql, (numbers, self._most + 1))
            found.update(row[0] for row in rows)
        if len(found) <= self._most:
            return found, "", []
        parts = [f"+{self.key[0]}.{column} {_AMONG}" for column in columns]
        return None, f"({' OR '.join(parts)} OR {self.key} {_AMONG})", [*[numbers] * len(columns), _json(ids)]

    def _facts(self, units: Sequence[_Unit], sort: str, within: Sequence[str] = ()) -> dict[int, int] | None:
        """Return the facts with the words as of the position, by id, with their subjects; None if too many."""
        table = TEXTS.name
        ids = self._db.execute(
            f"SELECT rowid FROM {table}_fts WHERE {table}_fts MATCH ? LIMIT ?",
            (self._match(units, sort, within), self._most + 1),
        ).fetchall()
        if len(ids) > self._most:
            return None
        found, needles = _has_words(units, sort)
        ids += self._db.execute(
            f"SELECT x.id FROM {table} x WHERE x.id >= ? AND {found}", (self._settled, *needles)
        ).fetchall()
        rows = self._db.execute(
            f"SELECT h.id, h.subject FROM json_each(?) j CROSS JOIN facts h ON h.id = j.value WHERE {_AS_OF}",
            (_json(row[0] for row in ids), *self._as_of),
        )
        return dict(rows.fetchall())

    def _match(self, units: Sequence[_Unit], sort: str, within: Sequence[str]) -> str:
        look = TEXTS.look(self._db)
        clause: list[Sequence[str]] = [[token] for token in within]
        for unit in units:
            if not unit.begun:
                clause += [[sort + word] for word in unit.words]
                continue
            beginning = sort + unit.words[0]
            begun = look.beginning(beginning, _BEGINNINGS)
            # FTS5 joins a few words row by row; for a prefix it collects all rows before it returns the first.
            clause.append([f"{beginning}*"] if len(begun) == _BEGINNINGS else begun or [beginning])
        return match_of([clause])

    def _subjects(self, facts: Mapping[int, int]) -> set[int]:
        """Return the subjects of some facts, and the survivors of these."""
        about = set(facts.values())
        if not self._merged:
            return about
        rows = self._db.execute(
            "WITH RECURSIVE hit(n) AS (SELECT value FROM json_each(?) UNION SELECT h.survivor FROM hit CROSS JOIN"
            f" mergers h ON h.loser = hit.n WHERE {_AS_OF}) SELECT n FROM hit",
            (_json(about), *self._as_of),
        )
        return {row[0] for row in rows}

    def _commitments(self, facts: Iterable[int]) -> set[int]:
        """Return the rows of the commitments that some facts made."""
        rows = self._db.execute(
            "SELECT i.id FROM json_each(?) j CROSS JOIN facts h ON h.id = j.value"
            " CROSS JOIN events g ON g.position = h.position"
            " CROSS JOIN strings w ON w.text = 'commitment:' || json_extract(CASE WHEN h.meaning IS NULL"
            " THEN CAST(g.data AS TEXT) ELSE json_extract(CAST(h.meaning AS TEXT), '$[2]') END, '$.commitment')"
            " CROSS JOIN list_items i ON i.subject = h.subject AND i.section = 0 AND i.key = w.id"
            f" WHERE h.rank = {_MADE}",
            (_json(facts),),
        )
        return {row[0] for row in rows}

    def _about(self, column: str, units: Sequence[_Unit], sort: str) -> tuple[str, list[Any]]:
        """Return the condition that a fact about the subject in a column, or one merged into it, has the words."""
        subject, values = f"= {column}", list[Any]()
        if self._merged:
            subject = (
                f"IN (WITH RECURSIVE one(n) AS (SELECT {column} UNION SELECT h.loser FROM one CROSS JOIN mergers h"
                f" ON h.survivor = one.n WHERE {_AS_OF}) SELECT n FROM one)"
            )
            values += self._as_of
        found, needles = _has_words(units, sort)
        sql = (
            "EXISTS (SELECT 1 FROM events g CROSS JOIN facts h ON h.position = g.position CROSS JOIN"
            f" {TEXTS.name} x ON x.id = h.id WHERE g.subject {subject} AND {_AS_OF} AND {found})"
        )
        return sql, [*values, *self._as_of, *needles]


def _has_words(units: Sequence[_Unit], sort: str) -> tuple[str, list[Any]]:
    """Return the condition that a row `x` of the table of the index has every word."""
    needles = [f" {sort}{word}{'' if unit.begun else ' '}" for unit in units for word in unit.words]
    return " AND ".join(["instr(x.tokens, ?)"] * len(needles)), needles


def _json(numbers: Iterable[int]) -> str:
    return orjson.dumps(sorted(numbers)).decode()
