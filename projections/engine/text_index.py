"""The inverted index of texts and names: finds the rows with given tokens, and words with a similar spelling.

Each row is stored with its tokens. Older rows are also in an FTS5 index, to which they are added 256 at a time, so that
a post costs one insert and no segment of the index. Rows are found from the newest down and never counted or ranked
here (bm25 reads every match of a common word). No row is ever removed: the caller checks in `facts` whether it is
current.

A token consists of letters and digits of any script, or `·`; FTS5 takes anything else for a space.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import orjson
from rapidfuzz import process
from rapidfuzz.distance import OSA

from projections.engine.buffer import Buffer
from projections.engine.text_analysis import LONGEST, is_unspaced

_AT_ONCE = 256
_ALL = 2**62
_LOOKED_AT = 5_000
_REMEMBERED = 50_000
_NEAREST = 6

Clause = Sequence[Sequence[str]]
"""A condition on a row: it has at least one token of each group."""


@dataclass(frozen=True)
class InvertedIndex:
    """An index by name: the table `name` (id, tokens) and its FTS5 index."""

    name: str

    @property
    def schema(self) -> str:
        """The statements that create it. It stores neither positions nor lengths: callers read the texts themselves."""
        return f"""
CREATE TABLE {self.name}(id INTEGER PRIMARY KEY, tokens TEXT NOT NULL);
CREATE VIRTUAL TABLE {self.name}_fts USING fts5(
    tokens, content = '{self.name}', content_rowid = 'id', detail = none, columnsize = 0, tokenize = 'ascii');
CREATE VIRTUAL TABLE {self.name}_vocabulary USING fts5vocab('{self.name}_fts', 'instance');
"""

    @cached_property
    def _put(self) -> str:
        return f"INSERT INTO {self.name} VALUES (?, ?)"

    @cached_property
    def _index(self) -> str:
        return (
            f"INSERT INTO {self.name}_fts(rowid, tokens)"
            f" SELECT id, tokens FROM {self.name} WHERE id >= ? AND id < ? ORDER BY id"
        )

    def add(self, db: Buffer, id_: int, tokens: str) -> None:
        """Index a row by its tokens, separated by spaces. Call it for every id, ascending, also without tokens."""
        if id_ % _AT_ONCE == 0:
            db.amend(self._index, (id_ - _AT_ONCE, id_))
        if tokens:
            # With a space on both sides of each token, `in` does not match a part of another token.
            db.put(self._put, (id_, f" {tokens} "))

    def settled(self, db: sqlite3.Connection) -> int:
        """Return the id below which every row is in the FTS5 index."""
        (last,) = db.execute(f"SELECT max(id) FROM {self.name}").fetchone()
        return (last or 0) // _AT_ONCE * _AT_ONCE

    def is_complete(self, db: sqlite3.Connection) -> bool:
        """Return whether the FTS5 index holds each token of each row below `settled`, and nothing that no row has.

        It compares sums of hashes with a secret key, so that no change of the file can be made to fit.
        """
        settled, all_rows, settled_rows = self.settled(db), 0, 0
        for id_, tokens in db.execute(f"SELECT id, tokens FROM {self.name} NOT INDEXED"):
            row = sum(hash((token, id_)) for token in set(tokens.split()))
            all_rows += row
            if id_ < settled:
                settled_rows += row
        # A last block whose newest rows have no tokens is in the index already.
        indexed = sum(map(hash, db.execute(f"SELECT term, doc FROM {self.name}_vocabulary")))
        return indexed in (settled_rows, all_rows)

    def look(self, db: sqlite3.Connection) -> Lookup:
        """Return the index as it is now, for some lookups."""
        settled = self.settled(db)
        rows = db.execute(f"SELECT id, tokens FROM {self.name} WHERE id >= ? ORDER BY id DESC", (settled,)).fetchall()
        return Lookup(db, self.name, rows)


TEXTS = InvertedIndex("text_index")
"""The index of the texts of every fact."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Lookups in an index. `recent` are the newest rows, which may not be in the FTS5 index yet."""

    db: sqlite3.Connection
    name: str
    recent: Sequence[tuple[int, str]]

    def rows(self, clauses: Sequence[Clause], below: int, limit: int) -> list[int]:
        """Return at most `limit` rows that satisfy one of the clauses, from the newest below an id down."""
        clauses = [clause for clause in clauses if clause and all(clause)]
        if not clauses:
            return []
        found = [id_ for id_, tokens in self.recent if id_ < below and _satisfies(tokens, clauses)][:limit]
        if len(found) < limit:
            oldest = min(below, self.recent[-1][0]) if self.recent else below
            rows = self.db.execute(
                f"SELECT rowid FROM {self.name}_fts WHERE {self.name}_fts MATCH ? AND rowid < ?"
                " ORDER BY rowid DESC LIMIT ?",
                (match_of(clauses), oldest, limit - len(found)),
            )
            found += [row[0] for row in rows]
        return found

    def beginning(self, prefix: str, limit: int) -> list[str]:
        """Return at most `limit` tokens with a prefix, in the order of their bytes."""
        found: set[str] = set()
        needle = f" {prefix}"
        for _, tokens in self.recent:
            at = tokens.find(needle)
            while at >= 0:
                end = tokens.index(" ", at + 1)
                found.add(tokens[at + 1 : end])
                at = tokens.find(needle, end)
        least, indexed = prefix, 0
        while indexed < limit:
            # One step for each word, however many rows hold it.
            sql = f"SELECT term FROM {self.name}_vocabulary WHERE term >= ? LIMIT 1"
            row = self.db.execute(sql, (least,)).fetchone()
            if row is None or not row[0].startswith(prefix):
                break
            found.add(row[0])
            indexed += 1
            least = row[0] + "\x01"
        return sorted(found, key=str.encode)[:limit]


def match_of(clauses: Sequence[Clause]) -> str:
    """Return the clauses as an FTS5 expression. A token that ends with `*` is a prefix."""
    return " OR ".join(
        "(" + " AND ".join("(" + " OR ".join(_quoted(token) for token in group) + ")" for group in clause) + ")"
        for clause in clauses
    )


def _quoted(token: str) -> str:
    return f'"{token[:-1]}" *' if token.endswith("*") else f'"{token}"'


def _satisfies(tokens: str, clauses: Sequence[Clause]) -> bool:
    return any(all(any(f" {token} " in tokens for token in group) for group in clause) for clause in clauses)


@dataclass(frozen=True)
class Spellings:
    """A vocabulary by name, with an index that finds words with a similar spelling."""

    name: str

    @property
    def schema(self) -> str:
        """The statements that create it."""
        return f"{self.parts.schema}CREATE TABLE {self.name}(id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);\n"

    @cached_property
    def parts(self) -> InvertedIndex:
        """The index of the words by their n-grams and length."""
        return InvertedIndex(f"{self.name}_parts")

    def put(self, db: Buffer, word: str) -> None:
        """Add a word unless the file has it. The word may not be among the buffered rows."""
        if db.look(f"SELECT 1 FROM {self.name} WHERE word = ?", (word,)) is None:
            id_ = db.next_id(self.name)
            db.put(f"INSERT INTO {self.name} VALUES (?, ?)", (id_, word))
            self.parts.add(db, id_, " ".join(dict.fromkeys((f"l{len(word)}", *_grams(f"·{word}·")))))

    def look(self, db: sqlite3.Connection) -> Lookup:
        """Return the vocabulary as it is now, for some lookups."""
        return self.parts.look(db)

    def near(self, look: Lookup, word: str, least: float) -> dict[str, float]:
        """Return a few words with a similar spelling and their similarity, at `least`; the most similar first.

        One typing error leaves a half of a short word unchanged, or all but its middle; two errors leave a third of a
        long word unchanged. Candidates share the n-grams of such a part.
        """
        if not _is_comparable(word):
            return {}
        padded = f"·{word}·"
        lengths = [f"l{length}" for length in range(len(word) - 2, len(word) + 3)]
        if len(word) < 9:
            middle = len(padded) // 2
            pieces = [
                _grams(padded[:middle]),
                _grams(padded[middle:]),
                _grams(padded[: middle - 1]) + _grams(padded[middle + 1 :]),
            ]
        else:
            pieces = [_grams(padded[len(padded) * at // 3 : len(padded) * (at + 1) // 3]) for at in range(3)]
        found: set[int] = set()
        for grams in pieces:
            if grams:
                found.update(look.rows([[lengths, *([gram] for gram in grams)]], _ALL, _LOOKED_AT))
        rows = look.db.execute(
            f"SELECT s.word FROM json_each(?) j CROSS JOIN {self.name} s ON s.id = j.value",
            (orjson.dumps(sorted(found)).decode(),),
        )
        spelled = [row[0] for row in rows]
        similar = process.extract(word, spelled, scorer=OSA.normalized_similarity, score_cutoff=least, limit=None)
        nearest = sorted((-likeness, near) for near, likeness, _ in similar)[:_NEAREST]
        return {near: -likeness for likeness, near in nearest}


class IndexedWords(set[str]):
    """A cache of words that are indexed already. Undoing a batch removes its words."""

    def __init__(self) -> None:
        super().__init__()
        self._new: list[str] | None = None

    def update(self, *words: Iterable[str]) -> None:
        """Add words that are not in the set."""
        for some in words:
            if self._new is not None:
                self._new += some
            super().update(some)

    def begin_batch(self) -> None:
        """Begin a batch: additions from here on can be undone until `release_batch`."""
        self._new = []

    def release_batch(self) -> None:
        """End the batch: it becomes part of the transaction."""
        self._new = None

    def undo_batch(self) -> None:
        """Undo everything since `begin_batch`."""
        self.difference_update(self._new or ())
        self._new = None


class VocabularyWriter:
    """Adds words to a vocabulary. A cache of recent words, which includes all buffered ones, saves most lookups."""

    def __init__(self, vocabulary: Spellings, db: Buffer) -> None:
        self._vocabulary = vocabulary
        self._db = db
        self._indexed = IndexedWords()

    def add(self, words: Iterable[str]) -> None:
        """Add words, except those too short for a comparison of spellings."""
        for whole in words:
            word = whole[:LONGEST]
            if word not in self._indexed and _is_comparable(word):
                if len(self._indexed) >= _REMEMBERED:
                    self._db.flush()
                    self._indexed.clear()
                self._indexed.update((word,))
                self._vocabulary.put(self._db, word)

    def begin_batch(self) -> None:
        """Begin a batch: additions from here on can be undone until `release_batch`."""
        self._indexed.begin_batch()

    def release_batch(self) -> None:
        """End the batch: it becomes part of the transaction."""
        self._indexed.release_batch()

    def undo_batch(self) -> None:
        """Undo everything since `begin_batch`."""
        self._indexed.undo_batch()

    def forget(self) -> None:
        """Clear the cache. Call it after the buffered rows were written or undone."""
        self._indexed.clear()


def _is_comparable(word: str) -> bool:
    return len(word) >= (3 if is_unspaced(word) else 4)


def _grams(text: str) -> list[str]:
    """Return the trigrams of a text; of an unspaced script its bigrams."""
    size = 2 if is_unspaced(text.strip("·")) else 3
    return [text[at : at + size] for at in range(len(text) - size + 1)]
