"""Full-text search over all collections: finds the subjects of facts by the words of their texts, as of a position.

Names rank before other texts, whole words before prefixes, all words before similar spellings of them, and these before
some of the words. The number of candidates is bounded: of very many matches those with the fewest words are ranked.
Equal hits are in the order of their subjects, never of recording. No row of the index is ever removed: a lookup checks
in `facts` whether a fact is current.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field
from rapidfuzz import fuzz
from typing_extensions import TypedDict

from domain.corrections import Fact
from projections.engine.answer_fields import SubjectAddress, SubjectName
from projections.engine.buffer import Buffer
from projections.engine.chinese import spellings_of
from projections.engine.text_analysis import (
    LONGEST,
    TextQuery,
    Wording,
    acronyms_of,
    excerpt,
    is_unspaced,
    pairs_of,
    parsed,
    runs_of,
    wordings,
    words_of,
)
from projections.engine.text_index import TEXTS, Clause, IndexedWords, Spellings, VocabularyWriter
from projections.engine.text_lookup import TextLookup

WRITTEN = Spellings("written")
SCHEMA = TEXTS.schema + WRITTEN.schema

_REMEMBERED = 50_000
_SHORT = 200
"""Texts up to this length are cached, as places and fields repeat. Long texts hardly do, and the bigrams of 20,000
Chinese characters take megabytes of memory."""
_RANKED = 200
_BEGINNINGS = 40
_PARTED = 8
_ENOUGH = 10
_HANDFUL = 5
_SPELLED = 8
_SPELLINGS = 32
_LONGEST_SPELLED = 20
_SIMILAR = 0.75
_ALL = 2**62


class FoundItem(TypedDict):
    """A subject with a text that matches."""

    subject: SubjectAddress
    name: SubjectName
    snippet: Annotated[str, Field(description="The text that matches, or the part of it around the words.")]
    score: Annotated[float, Field(description="How well it matches: at most 1.")]


class Hit(TypedDict):
    """A subject, by its number, that was found. `snippet` is the matching text, or the part of it around the words."""

    subject: int
    snippet: str
    score: float


class TextWriter:
    """Adds to the index of all texts, on the connection of the write half."""

    def __init__(self, db: Buffer) -> None:
        self._db = db
        self._vocabulary = VocabularyWriter(WRITTEN, db)
        self._indexed = IndexedWords()

    def add(self, fact_id: int, fact: Fact) -> None:
        """Index a version of a fact. Call it once for every row of `facts`, in the order of their ids."""
        tokens, words = tokens_of(fact.subject, fact.type, vars(fact.data))
        TEXTS.add(self._db, fact_id, tokens)
        if new := [word for word in words if word not in self._indexed and word.isalpha()]:
            if len(self._indexed) > _REMEMBERED:
                self._indexed.clear()
            self._indexed.update(new)
            self._vocabulary.add([word for word in new if not is_unspaced(word)])

    def begin_batch(self) -> None:
        """Begin a batch: additions from here on can be undone until `release_batch`."""
        self._vocabulary.begin_batch()
        self._indexed.begin_batch()

    def release_batch(self) -> None:
        """End the batch: it becomes part of the transaction."""
        self._vocabulary.release_batch()
        self._indexed.release_batch()

    def undo_batch(self) -> None:
        """Undo everything since `begin_batch`."""
        self._vocabulary.undo_batch()
        self._indexed.undo_batch()

    def forget(self) -> None:
        """Clear the caches. Call it after the buffered rows were written or undone."""
        self._vocabulary.forget()
        self._indexed.clear()


def tokens_of(subject: str, kind: str, data: Mapping[str, Any]) -> tuple[str, dict[str, None]]:
    """Return the tokens of a fact, each once, separated by spaces, and its words; both are empty without a text.

    A token is `a` and a word of any text, `n` and a word of a name of the subject itself, `x` and the beginning of a
    whole name, or `c` and the collection. A Chinese name has `a` and `n` tokens for its pinyin, too.
    """
    words: dict[str, None] = {}
    naming: dict[str, None] = {}
    in_pinyin: dict[str, None] = {}
    whole: dict[str, None] = {}
    collection = subject.partition("/")[0]
    for text, names in wordings(kind, data):
        if not names:
            words |= _words(text) if len(text) > _SHORT else _cached_words(text)
        elif found := _words(text):
            words |= found
            naming |= found
            in_pinyin |= dict.fromkeys(sorted(spellings_of(runs_of(text))))
            whole[_whole(runs_of(text))] = None
            if collection == "parties":
                naming |= dict.fromkeys(sorted(acronyms_of(text)))
    sorted_out = (("a", words | in_pinyin), ("n", naming | in_pinyin), ("x", whole))
    sorts = [sort + f" {sort}".join(each) for sort, each in sorted_out if each]
    return " ".join([*sorts, f"c{collection}"]) if sorts else "", words


def _words(text: str) -> dict[str, None]:
    """Return the words of a text, each once. The cached result may not be changed."""
    return dict.fromkeys(words_of(text))


_cached_words = lru_cache(maxsize=1024)(_words)


def search(
    db: sqlite3.Connection, q: str, as_of: int, *, collection: str | None = None, limit: int = 50, offset: int = 0
) -> list[Hit]:
    """Return the best hits from `offset` on, one for each subject, the best first.

    Merged parties count as their survivor as of the position; a subject that was retracted by then is no hit. The order
    as of a position does not change when more events are recorded, except among prefixes and similar spellings of very
    many words. A query without letters or digits finds nothing.
    """
    query = parsed(q)
    if not query.words:
        return []
    ranking = _Ranking(db, query, as_of, collection)
    found: dict[int, _Candidate] = {}
    for level, clauses in ranking.levels(found):
        for candidate in ranking.ranked(level, clauses, found):
            found.setdefault(candidate.subject, candidate)
        if len(found) >= offset + limit:
            break
    return [
        Hit(subject=each.subject, snippet=excerpt(each.text, ranking.shown), score=round(each.score, 4))
        for each in list(found.values())[offset : offset + limit]
    ]


@dataclass(frozen=True, slots=True)
class _Level:
    """A kind of match: the score of its poorest hit, and how much a better hit may add."""

    least: float
    more: float


_EXACT = _Level(0.95, 0.05)
_BEGINS = _Level(0.85, 0.09)
_NAMED = _Level(0.75, 0.09)
_NAME_BEGUN = _Level(0.65, 0.09)
_WRITTEN = _Level(0.5, 0.14)
_BEGUN = _Level(0.35, 0.14)
_NAME_NEARLY = _Level(0.27, 0.07)
_NEARLY = _Level(0.2, 0.06)
_PARTLY = _Level(0.12, 0.07)
_BARELY = _Level(0.02, 0.09)


@dataclass(frozen=True, slots=True)
class _Candidate:
    subject: int
    text: str
    score: float


class _Ranking:
    """Ranks the hits of one query, level by level."""

    def __init__(self, db: sqlite3.Connection, query: TextQuery, as_of: int, collection: str | None) -> None:
        self._query = query
        self._index = TEXTS.look(db)
        self._lookup = TextLookup(db, self._index, as_of)
        # Syllables of pinyin may be written as separate words.
        self._joined = "".join(query.runs) if len(query.runs) > 1 and all(map(str.isascii, query.runs)) else ""
        self._within: Clause = [] if collection is None else [[f"c{collection}"]]

        self._near: dict[str, dict[str, float]] = {}

    @property
    def shown(self) -> TextQuery:
        """The query with similar spellings, for the snippet of a text."""
        similar = (near for each in self._near.values() for near in each)
        return TextQuery(self._query.runs, (*self._query.words, *similar))

    def levels(self, found: Sized) -> Iterator[tuple[_Level, list[Clause]]]:
        """Yield the kinds of match and their clauses, the best kind first; poorer ones only while hits are few."""
        words, whole = self._query.words, _whole(self._query.runs)
        is_open = self._query.open_word is not None
        yield _EXACT, [[[f"x{whole}"]]]
        yield _BEGINS, [[self._beginning(f"x{whole}" if is_unspaced(self._query.runs[-1]) else f"x{whole}·")]]
        in_one = [[[f"n{self._joined}"]]] if self._joined else []
        yield _NAMED, [self._every_word("n", begun=False), *in_one]
        if is_open:
            yield _NAME_BEGUN, [[self._beginning(f"x{whole}")], self._every_word("n", begun=True)]
        yield _WRITTEN, [self._every_word("a", begun=False)]
        if is_open:
            yield _BEGUN, [self._every_word("a", begun=True)]
        if len(found) < _HANDFUL:
            self._near = self._spelled()
            yield _NAME_NEARLY, self._every_word_nearly("n")
            yield _NEARLY, self._every_word_nearly("a")
        if 2 < len(words) <= _PARTED and len(found) < _ENOUGH:
            yield _PARTLY, [[[f"a{word}"] for word in words if word != left_out] for left_out in words]
        if len(words) > 1 and len(found) < _ENOUGH:
            yield _BARELY, [[[f"a{word}" for word in words]]]

    def ranked(self, level: _Level, clauses: list[Clause], found: Container[int]) -> list[_Candidate]:
        """Return the candidates of a level about subjects not yet found, the best first."""
        candidates = []
        for subject, kind, data in self._lookup.facts([[*each, *self._within] for each in clauses], _RANKED, found):
            if level in (_NAME_NEARLY, _NEARLY):
                likeness, text = self._score_similar(wordings(kind, data))
                if likeness == 0:
                    continue
                candidates.append(_Candidate(subject, text, level.least + level.more * likeness))
                continue
            share, likeness, text = self._score(wordings(kind, data))
            if level is _BARELY:
                if share < 0.5:
                    continue
                likeness *= share
            candidates.append(_Candidate(subject, text, level.least + level.more * likeness))
        name = self._lookup.name
        return sorted(candidates, key=lambda each: (-each.score, name(each.subject), each.text))

    def _beginning(self, prefix: str) -> list[str]:
        return self._index.beginning(prefix, _BEGINNINGS)

    def _every_word(self, sort: str, *, begun: bool) -> Clause:
        """Return the clause of all words; the last one is a prefix if `begun`, a single Chinese character always."""
        clause = []
        for word in self._query.words:
            open_word = begun and word == self._query.open_word
            alone = is_unspaced(word) and len(word) == 1
            clause.append(self._beginning(sort + word) if open_word or alone else [sort + word])
        return clause

    def _spelled(self) -> dict[str, dict[str, float]]:
        """Return, for the rare and the unknown among the first words, similar spellings with their similarity."""
        spellings = WRITTEN.look(self._index.db)
        found: dict[str, dict[str, float]] = {}
        for word in [word for word in self._query.words if not is_unspaced(word)][:_SPELLED]:
            written = len(self._index.rows([[[f"a{word}"]]], _ALL, _HANDFUL))
            if written < _HANDFUL:
                # A word that occurs is probably correct, so that only one typing error is assumed.
                found[word] = WRITTEN.near(spellings, word, max(_SIMILAR, 1 - 1.1 / len(word)) if written else _SIMILAR)
        return {word: near for word, near in found.items() if near}

    def _every_word_nearly(self, sort: str) -> list[Clause]:
        """Return the clauses of all words or similar ones; a long run of Chinese may lack one character."""
        groups = dict(zip(self._query.words, self._every_word(sort, begun=True), strict=True))
        for word, near in self._near.items():
            groups[word] = [*groups[word], *(sort + each for each in near)]
        clauses: list[Clause] = [list(groups.values())] if self._near else []
        for run in self._query.runs:
            pairs = pairs_of(run) if _is_spelled_by_character(run) else []
            for at in range(len(pairs) + 1 if len(pairs) <= _LONGEST_SPELLED else 0):
                needed = {*pairs[: max(0, at - 1)], *pairs[at + 1 :]}
                clauses.append([group for word, group in groups.items() if word in needed or word not in pairs])
        return clauses[:_SPELLINGS]

    def _score_similar(self, texts: Sequence[Wording]) -> tuple[float, str]:
        """Return the similarity of the texts of a fact, 0 if they lack a word, and the most similar text."""
        best = dict.fromkeys(self._query.runs, 0.0)
        most, chosen = -1.0, ""
        for wording in texts:
            text, _ = wording
            flat = " ".join(runs_of(text))
            similar = {run: self._similarity(run, flat, wording) for run in best}
            best = {run: max(before, similar[run]) for run, before in best.items()}
            if sum(similar.values()) > most:
                most, chosen = sum(similar.values()), text
        return (sum(best.values()) / len(best) if all(best.values()) else 0.0), chosen

    def _similarity(self, run: str, flat: str, wording: Wording) -> float:
        """Return the similarity of the most similar part of a text to a run of the query."""
        if is_unspaced(run):
            if run in flat:
                return 1.0
            similarity = (fuzz.partial_ratio if len(run) <= len(flat) else fuzz.ratio)(run, flat) / 100
            return similarity if similarity >= _SIMILAR and _is_spelled_by_character(run) else 0.0
        word, padded = run[:LONGEST], f" {flat} "
        if f" {word}" + " " * (word != self._query.open_word) in padded or _abbreviates(word, wording):
            return 1.0
        return max(
            (similarity for near, similarity in self._near.get(word, {}).items() if f" {near} " in padded), default=0.0
        )

    def _score(self, texts: Iterable[Wording]) -> tuple[float, float, str]:
        """Return, for the best text of a fact: its share of the words of the query, its similarity, and the text."""
        best = (0.0, -1.0, "")
        together = " ".join(self._query.runs)
        for wording in texts:
            text, names = wording
            flat = " ".join(runs_of(text))
            padded = f" {flat} "
            share = sum(
                (word in flat if is_unspaced(word) else f" {word}" + " " * (word != self._query.open_word) in padded)
                or _abbreviates(word, wording)
                for word in self._query.words
            ) / len(self._query.words)
            if self._joined and _is_pinyin(self._joined, wording):
                share = 1.0
            if flat == together:
                likeness = 1.0
            elif _is_acronym(together, wording):
                likeness = 0.9
            else:
                length = min(1.0, len(together) / max(1, len(flat)))
                likeness = 0.45 * (together in flat) + 0.25 * names + 0.25 * length
            if (share, likeness) > best[:2]:
                best = (share, likeness, text)
        return best[0], max(0.0, best[1]), best[2]


def _whole(runs: Iterable[str]) -> str:
    return "·".join(runs)[:LONGEST]


def _is_acronym(word: str, wording: Wording) -> bool:
    text, names = wording
    return names and word.isascii() and len(word) <= 16 and word in acronyms_of(text)


def _is_pinyin(word: str, wording: Wording) -> bool:
    text, names = wording
    return names and word.isascii() and not text.isascii() and word in spellings_of(runs_of(text))


def _abbreviates(word: str, wording: Wording) -> bool:
    """Return whether a word is an acronym or the pinyin of a name or a part of it."""
    return _is_acronym(word, wording) or _is_pinyin(word, wording)


def _is_spelled_by_character(run: str) -> bool:
    """Return whether a run is Chinese and long enough to be recognised with one character missing."""
    return is_unspaced(run) and len(run) > 3
