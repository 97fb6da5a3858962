"""Name resolution: ranks the parties that a name may mean, in any language, by alias, former name, acronym, identifier
or similar spelling.

Candidates come from bounded lookups of whole names, of words and of similar words; only candidates are compared. A
score of 1 says that the party has this name.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, NamedTuple
from unicodedata import normalize

import orjson
from pydantic import Field
from rapidfuzz import fuzz
from rapidfuzz.distance import OSA
from typing_extensions import TypedDict

from domain.corrections import Fact
from domain.values import Party, texts_of
from projections.engine.answer_fields import SubjectName
from projections.engine.buffer import Buffer
from projections.engine.chinese import spellings_of, syllables_of
from projections.engine.database import AS_OF
from projections.engine.text_analysis import (
    LONGEST,
    abbreviated_by,
    acronyms_of,
    bare,
    is_small,
    is_unspaced,
    key_of,
    pairs_of,
    runs_of,
)
from projections.engine.text_index import Clause, InvertedIndex, Spellings, VocabularyWriter
from projections.engine.text_lookup import TextLookup

NAMES = InvertedIndex("names")
SPELLINGS = Spellings("spelled")
SCHEMA = NAMES.schema + SPELLINGS.schema

_NAMED = ("party.registered", "party.renamed", "party.name-added")
_NAMING = frozenset((*_NAMED, "party.identified"))
_ABBREVIATED = re.compile(r"(.*\S)\s*[(（]([A-Z][A-Z0-9&.-]{1,11})[)）]\s*", re.DOTALL)
_LONGEST_WHOLE = 200
_COMPARED = 200
_EQUAL = 2_000
"""The most facts compared that have the same name except for case and the like: so many parties may share a name."""
_MOST_WORDS = 12
_PARTED = 6
_LEAST = 0.55
_SIMILAR = 0.7
_MOSTLY = 0.6


class ResolvedItem(TypedDict):
    """A party that a name may mean."""

    subject: Annotated[Party, Field(description="The party.")]
    name: SubjectName
    matched: Annotated[str, Field(description="The name of the party that is nearest.")]
    score: Annotated[float, Field(description="How near it is: at most 1.")]


class Match(TypedDict):
    """A party, by its number, its matching name, and the score of the match."""

    subject: int
    matched: str
    score: float


class _Likeness(NamedTuple):
    """The quality of a match, as a sort key: better is smaller."""

    negative: float
    difference: int
    matched: str

    @property
    def score(self) -> float:
        return -self.negative


@dataclass(slots=True)
class _BestScores:
    """The best score of all names found so far, and of those that are more than similar spellings (`sure`)."""

    best: float = 0.0
    sure: float = 0.0

    def add(self, score: float, *, is_near: bool) -> None:
        self.best = max(self.best, score)
        if not is_near:
            self.sure = max(self.sure, score)


class NameWriter:
    """Adds to the index of names, on the connection of the write half."""

    def __init__(self, db: Buffer) -> None:
        self._db = db
        self._vocabulary = vocabulary = VocabularyWriter(SPELLINGS, db)
        self.begin_batch, self.release_batch = vocabulary.begin_batch, vocabulary.release_batch
        self.undo_batch, self.forget = vocabulary.undo_batch, vocabulary.forget

    def add(self, fact_id: int, fact: Fact) -> None:
        """Index a version of a fact. Call it once for every row of `facts`, in the order of their ids."""
        NAMES.add(self._db, fact_id, " ".join(dict.fromkeys(self._tokens(fact)) if fact.type in _NAMING else ()))

    def _tokens(self, fact: Fact) -> list[str]:
        tokens: list[str] = []
        data = vars(fact.data)
        for name in _names(fact.type, data):
            runs = runs_of(name)
            without_form = bare(runs)
            for form in _forms(name):
                tokens += [_whole("k", "".join(runs_of(form))), _whole("k", key_of(form))]
            tokens += ["w" + run[:LONGEST] for run in (*runs, *without_form)]
            for spelling in (*_pinyin(runs), *_pinyin(without_form)):
                tokens.append(_whole("k", spelling))
            tokens += ["w" + spelling for spelling in sorted(spellings_of(runs))]
            tokens += ["p" + pair for run in runs if is_unspaced(run) for pair in pairs_of(run)]
            tokens += ["i" + acronym for acronym in sorted(acronyms_of(name))]
            self._vocabulary.add(without_form)
        for scheme, value in _identifiers(fact.type, data):
            for parts in (runs_of(value), runs_of(scheme) + runs_of(value)):
                tokens.append(_whole("d", "".join(parts)))
        return tokens


def resolve(db: sqlite3.Connection, name: str, as_of: int, limit: int) -> list[Match]:
    """Return the parties that a name may mean, each once, the best first.

    The score is 1 for a name or identifier of the party (ignoring case, width, diacritics, punctuation, invisible
    characters, forms of Chinese characters and company forms), 0.95 for its pinyin, 0.9 for initials, less for a name
    that has all the words and for a similar spelling. Of equal scores the most similar spelling comes first, then a
    party whose present name this is, then the order of the subjects, never that of recording. Merged parties count as
    their survivor as of the position.
    """
    wanted = _Query.of(name)
    if wanted is None:
        return []
    candidates = _Candidates(db, wanted, as_of)
    best: dict[int, _Likeness] = {}
    found = _BestScores()
    for clauses, most in candidates.clauses(found):
        for subject, kind, data in candidates.facts(clauses, most):
            for matched, score, is_near in _matches(wanted, kind, data):
                found.add(score, is_near=is_near)
                likeness = _Likeness(-round(score, 4), _difference(wanted, matched), matched)
                if score >= _LEAST and (subject not in best or likeness < best[subject]):
                    best[subject] = likeness
    ranked = sorted(
        (negative, difference, not _goes_by(db, subject, matched, as_of), candidates.name(subject), subject, matched)
        for subject, (negative, difference, matched) in best.items()
    )
    return [
        Match(subject=subject, matched=matched, score=-negative) for negative, *_, subject, matched in ranked[:limit]
    ]


def _names(kind: str, data: Mapping[str, Any]) -> Iterator[str]:
    """Yield every wording of every name that a fact gives to a party."""
    if kind in _NAMED:
        yield from texts_of(data["name"])
        for other in data.get("other_names") or ():
            yield from texts_of(other)


def _forms(name: str) -> list[str]:
    """Return a name and, if it ends with its abbreviation in brackets, the name without it and the abbreviation."""
    abbreviated = _ABBREVIATED.fullmatch(name)
    return [name, *abbreviated.groups()] if abbreviated else [name]


def _identifiers(kind: str, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if kind == "party.identified":
        yield data["scheme"], data["value"]
    elif kind == "party.registered":
        for identifier in data.get("identifiers") or ():
            fields = identifier if isinstance(identifier, dict) else vars(identifier)
            yield fields["scheme"], fields["value"]


def _whole(sort: str, joined: str) -> str:
    return f"{sort}{joined[:_LONGEST_WHOLE]}"


# candidates


@dataclass(frozen=True, slots=True)
class _Query:
    """A name to resolve: as spelled, joined, without its company form (`key`), and by words."""

    spelled: str
    joined: str
    key: str
    words: tuple[str, ...]
    acronyms: frozenset[str]

    @property
    def significant(self) -> tuple[str, ...]:
        """The words without small ones such as `of`; all words if there are no others."""
        return tuple(word for word in self.words if not is_small(word)) or self.words

    @staticmethod
    def of(name: str) -> _Query | None:
        name = name[:1000]
        runs = runs_of(name)
        if not runs:
            return None
        words = dict.fromkeys(word[:LONGEST] for word in bare(runs))
        return _Query(_spelled(name), "".join(runs), key_of(name), tuple(words)[:_MOST_WORDS], acronyms_of(name))


class _Candidates:
    """The facts to compare with a name, stage by stage."""

    def __init__(self, db: sqlite3.Connection, wanted: _Query, as_of: int) -> None:
        self._db = db
        self._wanted = wanted
        self._lookup = TextLookup(db, NAMES.look(db), as_of)

    def name(self, subject: int) -> str:
        return self._lookup.name(subject)

    def facts(self, clauses: Sequence[Clause], most: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
        return self._lookup.facts(clauses, most)

    def clauses(self, found: _BestScores) -> Iterator[tuple[list[Clause], int]]:
        """Yield the clauses to look up and the most candidates of each stage, the surest stage first.

        The caller updates `found` between the stages; similar spellings are looked up only if nothing sure was found.
        """
        wanted = self._wanted
        exact = [_whole("k", wanted.joined), _whole("k", wanted.key), _whole("d", wanted.joined)]
        yield [[[*dict.fromkeys(exact)]]], _EQUAL
        # A stage of its own with a bound of its own, as very many parties may share a few initials.
        yield [[[_whole("i", wanted.joined), *(f"k{acronym}" for acronym in sorted(wanted.acronyms))]]], _COMPARED
        every_word = [[token] for word in wanted.words for token in _of_word(word)]
        yield [every_word, [[f"w{wanted.key}"]]], _COMPARED  # syllables of pinyin may be written as separate words
        if found.sure >= 0.9:
            return
        look = SPELLINGS.look(self._db)
        spelled = [
            list(dict.fromkeys(f"w{near}" for near in (word, *SPELLINGS.near(look, word, _SIMILAR))))
            for word in wanted.significant
        ]
        yield [spelled], _COMPARED
        for fewer in (1, 2):
            if found.best < 0.8 and len(spelled) > (1 if fewer == 1 else 3) and (fewer == 1 or len(spelled) <= _PARTED):
                yield [list(rest) for rest in combinations(spelled, len(spelled) - fewer)], _COMPARED


def _of_word(word: str) -> list[str]:
    return [f"p{pair}" for pair in pairs_of(word)] if is_unspaced(word) and len(word) > 1 else [f"w{word}"]


# comparing


def _matches(wanted: _Query, kind: str, data: Mapping[str, Any]) -> Iterator[tuple[str, float, bool]]:
    """Yield the names and identifiers of a fact: each with its score, and whether it is a similar spelling only."""
    for name in _names(kind, data):
        score, is_near = max(_likeness(wanted, form) for form in _forms(name))
        yield name, score, is_near
    for scheme, value in _identifiers(kind, data):
        of_value = "".join(runs_of(value))
        if wanted.joined in (of_value, "".join(runs_of(scheme)) + of_value):
            yield f"{scheme}:{value}", 1.0, False


def _pinyin(runs: Sequence[str]) -> list[str]:
    """Return the joined runs with Chinese as pinyin, ü as u and as v; nothing without Chinese."""
    spelled = ["".join(syllables_of(run)) for run in runs]
    if not any(spelled):
        return []
    forms = (spelled, [each.replace("v", "u") for each in spelled])
    return list(dict.fromkeys("".join(each or run for each, run in zip(form, runs, strict=True)) for form in forms))


def _spelled(name: str) -> str:
    return " ".join(normalize("NFC", name).split())


def _difference(wanted: _Query, name: str) -> int:
    """Return how much a name differs from the query: 0 not at all, 1 in case, 2 in folded characters, 3 more."""
    spelled = _spelled(name)
    if spelled == wanted.spelled:
        return 0
    if spelled.casefold() == wanted.spelled.casefold():
        return 1
    return 2 if "".join(runs_of(name)) == wanted.joined else 3


def _likeness(wanted: _Query, name: str) -> tuple[float, bool]:
    """Return the score of a name, 0 to 1, and whether it is a similar spelling only."""
    if sure := _sureness(wanted, name):
        return sure, False
    return _similarity(wanted, name), True


def _sureness(wanted: _Query, name: str) -> float:
    """Return the score of the same name, of initials, of pinyin, or of a name with all the words; otherwise 0."""
    runs, key = runs_of(name), key_of(name)
    joined = "".join(runs)
    if wanted.joined == joined or wanted.key == key:
        return 1.0
    if wanted.joined.isascii() and 2 <= len(wanted.joined) <= 16 and wanted.joined in acronyms_of(name):
        return 0.9 if len(wanted.joined) > 2 else 0.8
    if joined in wanted.acronyms:
        return 0.65 if len(joined) > 2 else 0.6
    if in_pinyin := _pinyin(bare(runs)):
        if not {wanted.joined, wanted.key}.isdisjoint((*_pinyin(runs), *in_pinyin)):
            return 0.95
        spellings = spellings_of(runs)
        if wanted.key in spellings or spellings.issuperset(wanted.words):
            return 0.6 + 0.3 * min(1.0, len(wanted.key) / len(in_pinyin[0]))
    if all(word in joined if is_unspaced(word) else word in runs for word in wanted.words):
        return _score_of_all_words(wanted, key)
    return 0.0


def _score_of_all_words(wanted: _Query, key: str) -> float:
    """Return the score of a name, by its key, that has all the words."""
    return 0.6 + 0.35 * min(1.0, len(wanted.key) / max(1, len(key)))


def _similarity(wanted: _Query, name: str) -> float:
    """Return the score of a similar spelling, 0 to 0.95."""
    key, without_form = key_of(name), bare(runs_of(name))
    one, other = " ".join(wanted.words), " ".join(without_form)
    whole = max(fuzz.ratio(one, other), fuzz.ratio(wanted.key, key), 0.97 * fuzz.token_sort_ratio(one, other)) / 100
    near = {
        word: max((OSA.normalized_similarity(word, run) for run in without_form), default=0.0) for word in wanted.words
    }
    by_words = (
        _score_of_all_words(wanted, key) * sum(near.values()) / len(near) if min(near.values()) >= _SIMILAR else 0.0
    )
    return max(0.95 * max(by_words, whole if whole >= 0.75 else 0.0), _score_of_most_words(wanted, without_form, near))


def _score_of_most_words(wanted: _Query, runs: Sequence[str], near: Mapping[str, float]) -> float:
    """Return the score of a name that has at least two of the words, perhaps others as initials; otherwise 0.

    Words count by their letters. The score is 0.6 to 0.85 if no word is missing, else less than 0.7.
    """
    significant = wanted.significant
    present = [word for word in significant if near[word] >= _SIMILAR]
    missing = [word for word in significant if near[word] < _SIMILAR]
    abbreviated = {word: abbreviated_by(word, runs) for word in missing} if present else {}
    letters = sum(map(len, present)) + sum(len(run) for run in runs if is_small(run))
    letters += sum(map(len, abbreviated.values()))
    coverage = min(1.0, letters / max(1, sum(map(len, runs))))
    if missing and present and all(abbreviated.values()):
        return (0.6 + 0.25 * coverage) * sum(near[word] for word in present) / len(present)
    matched = sum(len(word) for word in significant if word in present or abbreviated.get(word))
    share = matched / sum(map(len, significant))
    if len(present) < 2 or share < _MOSTLY:
        return 0.0
    return _LEAST + 0.15 * share * coverage


def _goes_by(db: sqlite3.Connection, subject: int, matched: str, as_of: int) -> bool:
    """Return whether a party has a name in its final period."""
    row = db.execute(
        f"SELECT name FROM subject_states WHERE subject = ? AND {AS_OF} AND is_final_period", (subject, as_of, as_of)
    ).fetchone()
    return row is not None and row[0] is not None and matched in texts_of(orjson.loads(row[0]))
