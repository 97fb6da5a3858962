"""Full text over all collections: every text of every fact, found by its words as known at a position.

Names come before other texts, whole words before beginnings, all of the words before near
spellings of them, these before some. What is looked at is bounded: of very many matches those with the fewest words are
ranked. Equals are in the order of their subjects: nothing depends on when something was recorded. Nothing is ever
removed: whether a fact is still believed is asked of `facts` on reading.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypedDict

from rapidfuzz import fuzz

from domain.corrections import Fact
from projections.engine.buffer import Buffer
from projections.engine.chinese import spellings_of
from projections.engine.text_analysis import (
    LONGEST,
    Asked,
    Wording,
    acronyms_of,
    asked,
    excerpt,
    is_unspaced,
    pairs_of,
    runs_of,
    wordings,
    words_of,
)
from projections.engine.text_index import TEXTS, Clause, Met, Spelled, Spellings
from projections.engine.text_lookup import TextLookup

WRITTEN = Spellings("written")
SCHEMA = TEXTS.schema + WRITTEN.schema

_REMEMBERED = 50_000
_SHORT = 200
"""Longer texts are hardly the same again, as places and fields are, and the pairs of 20,000 Chinese letters take
megabytes of memory."""
_RANKED = 200
_BEGINNINGS = 40
_PARTED = 8
_ENOUGH = 10
_HANDFUL = 5
_SPELLED = 8
_SPELLINGS = 32
_LONGEST_SPELLED = 20
_ALIKE = 0.75
_ALL = 2**62


class Hit(TypedDict):
    """A subject, by its number, that was found; `snippet` is the text it was found by, or the part around the words."""

    subject: int
    snippet: str
    score: float


class TextWriter:
    """The index of all texts, for adding to it, on the write half's connection."""

    def __init__(self, db: Buffer) -> None:
        self._db = db
        self._spelled = Spelled(WRITTEN, db)
        self._met = Met()

    def add(self, fact_id: int, fact: Fact) -> None:
        """Index a version of a fact. To be called once for every row of `facts`, in the order of their ids."""
        tokens, words = tokens_of(fact.subject, fact.type, vars(fact.data))
        TEXTS.add(self._db, fact_id, tokens)
        if new := [word for word in words if word not in self._met and word.isalpha()]:
            if len(self._met) > _REMEMBERED:
                self._met.clear()
            self._met.update(new)
            self._spelled.add([word for word in new if not is_unspaced(word)])

    def begin_batch(self) -> None:
        """What is added from here on can be undone until `keep_batch`."""
        self._spelled.begin_batch()
        self._met.begin_batch()

    def keep_batch(self) -> None:
        """The batch becomes part of the transaction."""
        self._spelled.keep_batch()
        self._met.keep_batch()

    def undo_batch(self) -> None:
        """All since `begin_batch` is undone."""
        self._spelled.undo_batch()
        self._met.undo_batch()

    def forget(self) -> None:
        """To be called once what waits is written, or undone."""
        self._spelled.forget()
        self._met.clear()


def tokens_of(subject: str, kind: str, data: Mapping[str, Any]) -> tuple[str, dict[str, None]]:
    """What a fact is found by, each once, a space between them; nothing where it has no text. And its words.

    `a` and a word of any text, `n` and one of a name of the subject itself, both also with what a Chinese name is in
    pinyin; `x` and the beginning of a whole name; `c` and its collection.
    """
    words: dict[str, None] = {}
    naming: dict[str, None] = {}
    in_pinyin: dict[str, None] = {}
    whole: dict[str, None] = {}
    collection = subject.partition("/")[0]
    for text, names in wordings(kind, data):
        if not names:
            words |= _words(text) if len(text) > _SHORT else _words_before(text)
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
    """The words of a text, each once. To be read only."""
    return dict.fromkeys(words_of(text))


_words_before = lru_cache(maxsize=1024)(_words)


def search(
    db: sqlite3.Connection, q: str, as_of: int, *, collection: str | None = None, limit: int = 50, offset: int = 0
) -> list[Hit]:
    """The best hits from the `offset`th on, one a subject, best first.

    Merged parties count as the survivor of then; what was wholly retracted by then does not show. The same question as
    of the same position keeps its order while more is recorded, but for beginnings and near spellings that very many
    words share. Any text may be asked; one without letters or digits finds nothing.
    """
    question = asked(q)
    if not question.words:
        return []
    ranking = _Ranking(db, question, as_of, collection)
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
    """A kind of match: the score of the poorest, how much a good one adds."""

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
    """One question, put to the index level by level."""

    def __init__(self, db: sqlite3.Connection, question: Asked, as_of: int, collection: str | None) -> None:
        self._asked = question
        self._index = TEXTS.look(db)
        self._finding = TextLookup(db, self._index, as_of)
        # Syllables of pinyin may be written apart.
        self._joined = "".join(question.runs) if len(question.runs) > 1 and all(map(str.isascii, question.runs)) else ""
        self._within: Clause = [] if collection is None else [[f"c{collection}"]]

        self._near: dict[str, dict[str, float]] = {}

    @property
    def shown(self) -> Asked:
        """What to show of a text: what is asked for, or what is spelled nearly so."""
        return Asked(self._asked.runs, (*self._asked.words, *(near for each in self._near.values() for near in each)))

    def levels(self, found: Sized) -> Iterator[tuple[_Level, list[Clause]]]:
        """The kinds of match from the best on, and what the index is asked for each; the poorer while few are found."""
        words, whole = self._asked.words, _whole(self._asked.runs)
        is_open = self._asked.open_word is not None
        yield _EXACT, [[[f"x{whole}"]]]
        yield _BEGINS, [[self._beginning(f"x{whole}" if is_unspaced(self._asked.runs[-1]) else f"x{whole}·")]]
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
        """The facts that match and are about others than those found, best first."""
        candidates = []
        for subject, kind, data in self._finding.facts([[*each, *self._within] for each in clauses], _RANKED, found):
            if level in (_NAME_NEARLY, _NEARLY):
                likeness, text = self._judge_nearly(wordings(kind, data))
                if likeness == 0:
                    continue
                candidates.append(_Candidate(subject, text, level.least + level.more * likeness))
                continue
            share, likeness, text = self._judge(wordings(kind, data))
            if level is _BARELY:
                if share < 0.5:
                    continue
                likeness *= share
            candidates.append(_Candidate(subject, text, level.least + level.more * likeness))
        name = self._finding.name
        return sorted(candidates, key=lambda each: (-each.score, name(each.subject), each.text))

    def _beginning(self, prefix: str) -> list[str]:
        return self._index.beginning(prefix, _BEGINNINGS)

    def _every_word(self, sort: str, *, begun: bool) -> Clause:
        """Every word, the last one only begun; of a single Chinese character, the pairs that it begins."""
        clause = []
        for word in self._asked.words:
            open_word = begun and word == self._asked.open_word
            alone = is_unspaced(word) and len(word) == 1
            clause.append(self._beginning(sort + word) if open_word or alone else [sort + word])
        return clause

    def _spelled(self) -> dict[str, dict[str, float]]:
        """For the rare and the unknown among the first words, what is spelled nearly so, and how like it that is."""
        spellings = WRITTEN.look(self._index.db)
        found: dict[str, dict[str, float]] = {}
        for word in [word for word in self._asked.words if not is_unspaced(word)][:_SPELLED]:
            written = len(self._index.rows([[[f"a{word}"]]], _ALL, _HANDFUL))
            if written < _HANDFUL:
                # What is written somewhere is meant so, or has one slip at most.
                found[word] = WRITTEN.near(spellings, word, max(_ALIKE, 1 - 1.1 / len(word)) if written else _ALIKE)
        return {word: near for word, near in found.items() if near}

    def _every_word_nearly(self, sort: str) -> list[Clause]:
        """Every word or what is nearly it; of a long run of Chinese, all but the pairs of one character."""
        groups = dict(zip(self._asked.words, self._every_word(sort, begun=True), strict=True))
        for word, near in self._near.items():
            groups[word] = [*groups[word], *(sort + each for each in near)]
        clauses: list[Clause] = [list(groups.values())] if self._near else []
        for run in self._asked.runs:
            pairs = pairs_of(run) if _is_spelled_by_character(run) else []
            for at in range(len(pairs) + 1 if len(pairs) <= _LONGEST_SPELLED else 0):
                kept = {*pairs[: max(0, at - 1)], *pairs[at + 1 :]}
                clauses.append([group for word, group in groups.items() if word in kept or word not in pairs])
        return clauses[:_SPELLINGS]

    def _judge_nearly(self, texts: Sequence[Wording]) -> tuple[float, str]:
        """How like what is asked the texts of a fact are, 0 where they lack a word; the text that says most of it."""
        best = dict.fromkeys(self._asked.runs, 0.0)
        most, chosen = -1.0, ""
        for wording in texts:
            text, _ = wording
            flat = " ".join(runs_of(text))
            alike = {run: self._alike(run, flat, wording) for run in best}
            best = {run: max(before, alike[run]) for run, before in best.items()}
            if sum(alike.values()) > most:
                most, chosen = sum(alike.values()), text
        return (sum(best.values()) / len(best) if all(best.values()) else 0.0), chosen

    def _alike(self, run: str, flat: str, wording: Wording) -> float:
        """How like a run of the question what a text holds is."""
        if is_unspaced(run):
            if run in flat:
                return 1.0
            alike = (fuzz.partial_ratio if len(run) <= len(flat) else fuzz.ratio)(run, flat) / 100
            return alike if alike >= _ALIKE and _is_spelled_by_character(run) else 0.0
        word, padded = run[:LONGEST], f" {flat} "
        if f" {word}" + " " * (word != self._asked.open_word) in padded or _stands_for(word, wording):
            return 1.0
        return max((alike for near, alike in self._near.get(word, {}).items() if f" {near} " in padded), default=0.0)

    def _judge(self, texts: Iterable[Wording]) -> tuple[float, float, str]:
        """Of the text that says most of what is asked: how many of the words it holds, how like it is, and itself."""
        best = (0.0, -1.0, "")
        together = " ".join(self._asked.runs)
        for wording in texts:
            text, names = wording
            flat = " ".join(runs_of(text))
            padded = f" {flat} "
            share = sum(
                (word in flat if is_unspaced(word) else f" {word}" + " " * (word != self._asked.open_word) in padded)
                or _stands_for(word, wording)
                for word in self._asked.words
            ) / len(self._asked.words)
            if self._joined and _is_pinyin(self._joined, wording):
                share = 1.0
            if flat == together:
                likeness = 1.0
            elif _is_acronym(together, wording):
                likeness = 0.9
            else:
                alike = min(1.0, len(together) / max(1, len(flat)))
                likeness = 0.45 * (together in flat) + 0.25 * names + 0.25 * alike
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


def _stands_for(word: str, wording: Wording) -> bool:
    """Whether a word says a name, or a part of it, otherwise than by its letters."""
    return _is_acronym(word, wording) or _is_pinyin(word, wording)


def _is_spelled_by_character(run: str) -> bool:
    """Whether a run of Chinese is long enough to tell it by all but one of its characters."""
    return is_unspaced(run) and len(run) > 3
