"""Which party is meant by a name: in any language, by an alias, a former name, an acronym, an identifier, or nearly.

Candidates come from indexes over whole names, their words, and the spellings of those words, each bounded; only they
are compared. Nothing here decides: it ranks, and a score of 1 says that the name is one the party goes by.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple, TypedDict
from unicodedata import normalize

import orjson
from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from domain.corrections import Fact
from domain.values import texts_of
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
from projections.engine.text_index import Clause, InvertedIndex, Spelled, Spellings
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
"""Most facts compared that are equal to what is asked for but for what is folded: so many parties may share a name."""
_MOST_WORDS = 12
_PARTED = 6
_LEAST = 0.55
_ALIKE = 0.7
_MOSTLY = 0.6


class Match(TypedDict):
    """A party, by its number, and which of its names was matched how well."""

    subject: int
    matched: str
    score: float


class _Likeness(NamedTuple):
    """How well a name was matched; the better one is the smaller."""

    negative: float
    difference: int
    matched: str

    @property
    def score(self) -> float:
        return -self.negative


@dataclass(slots=True)
class _BestScores:
    """The best score of all names found so far, and of those that are not only near spellings."""

    best: float = 0.0
    sure: float = 0.0

    def add(self, score: float, *, is_near: bool) -> None:
        self.best = max(self.best, score)
        if not is_near:
            self.sure = max(self.sure, score)


class NameWriter:
    """The index of names, for adding to it, on the write half's connection."""

    def __init__(self, db: Buffer) -> None:
        self._db = db
        self._spelled = Spelled(SPELLINGS, db)
        self.begin_batch, self.keep_batch = self._spelled.begin_batch, self._spelled.keep_batch
        self.undo_batch, self.forget = self._spelled.undo_batch, self._spelled.forget

    def add(self, fact_id: int, fact: Fact) -> None:
        """Index a version of a fact. To be called once for every row of `facts`, in the order of their ids."""
        NAMES.add(self._db, fact_id, " ".join(dict.fromkeys(self._tokens(fact)) if fact.type in _NAMING else ()))

    def _tokens(self, fact: Fact) -> list[str]:
        tokens: list[str] = []
        data = vars(fact.data)
        for name in _names(fact.type, data):
            runs = runs_of(name)
            kept = bare(runs)
            for form in _forms(name):
                tokens += [_whole("k", "".join(runs_of(form))), _whole("k", key_of(form))]
            tokens += ["w" + run[:LONGEST] for run in (*runs, *kept)]
            for spelling in (*_readings(runs), *_readings(kept)):
                tokens.append(_whole("k", spelling))
            tokens += ["w" + spelling for spelling in sorted(spellings_of(runs))]
            tokens += ["p" + pair for run in runs if is_unspaced(run) for pair in pairs_of(run)]
            tokens += ["i" + acronym for acronym in sorted(acronyms_of(name))]
            self._spelled.add(kept)
        for scheme, value in _identifiers(fact.type, data):
            for parts in (runs_of(value), runs_of(scheme) + runs_of(value)):
                tokens.append(_whole("d", "".join(parts)))
        return tokens


def resolve(db: sqlite3.Connection, name: str, as_of: int, limit: int) -> list[Match]:
    """The parties that may be meant, best first, each once; none where nothing is near.

    1 for a name or identifier that is the party's, case, width, diacritics, punctuation, invisible characters, forms of
    Chinese characters and company forms apart; 0.95 for its pinyin; 0.9 for initials; less for names that hold all the
    words, and for near spellings. Of equal scores, the nearest spelling
    comes first, then those that go by the name today, then in the order of the subjects: nothing depends on when
    something was recorded. Merged parties count as the survivor of then; any text may be asked.
    """
    asked = _Asked.of(name)
    if asked is None:
        return []
    candidates = _Candidates(db, asked, as_of)
    best: dict[int, _Likeness] = {}
    found = _BestScores()
    for clauses, most in candidates.clauses(found):
        for subject, kind, data in candidates.facts(clauses, most):
            for matched, score, is_near in _matches(asked, kind, data):
                found.add(score, is_near=is_near)
                likeness = _Likeness(-round(score, 4), _difference(asked, matched), matched)
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
    """Every wording of every name that a fact gives a party."""
    if kind in _NAMED:
        yield from texts_of(data["name"])
        for other in data.get("other_names") or ():
            yield from texts_of(other)


def _forms(name: str) -> list[str]:
    """A name as it stands and, where it ends with its abbreviation in brackets, either alone."""
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
class _Asked:
    """A name that is asked for: as it is spelled, whole, without its company form, and by words."""

    spelled: str
    joined: str
    key: str
    words: tuple[str, ...]
    acronyms: frozenset[str]

    @property
    def telling(self) -> tuple[str, ...]:
        """The words without the small ones; all of them where nothing else is left."""
        return tuple(word for word in self.words if not is_small(word)) or self.words

    @staticmethod
    def of(name: str) -> _Asked | None:
        name = name[:1000]
        runs = runs_of(name)
        if not runs:
            return None
        words = dict.fromkeys(word[:LONGEST] for word in bare(runs))
        return _Asked(_spelled(name), "".join(runs), key_of(name), tuple(words)[:_MOST_WORDS], acronyms_of(name))


class _Candidates:
    """The facts to compare with one name, stage by stage."""

    def __init__(self, db: sqlite3.Connection, asked: _Asked, as_of: int) -> None:
        self._db = db
        self._asked = asked
        self._finding = TextLookup(db, NAMES.look(db), as_of)

    def name(self, subject: int) -> str:
        return self._finding.name(subject)

    def facts(self, clauses: Sequence[Clause], most: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
        return self._finding.facts(clauses, most)

    def clauses(self, found: _BestScores) -> Iterator[tuple[list[Clause], int]]:
        """What to look up and how much of it, the surest first; near spellings only where nothing sure was found.

        `found` is kept up to date while the clauses are taken.
        """
        asked = self._asked
        exact = [_whole("k", asked.joined), _whole("k", asked.key), _whole("d", asked.joined)]
        yield [[[*dict.fromkeys(exact)]]], _EQUAL
        # Apart from names that are it, as very many may share a few initials.
        yield [[[_whole("i", asked.joined), *(f"k{acronym}" for acronym in sorted(asked.acronyms))]]], _COMPARED
        every_word = [[token] for word in asked.words for token in _of_word(word)]
        yield [every_word, [[f"w{asked.key}"]]], _COMPARED  # syllables of pinyin may be written apart
        if found.sure >= 0.9:
            return
        look = SPELLINGS.look(self._db)
        spelled = [
            list(dict.fromkeys(f"w{near}" for near in (word, *SPELLINGS.near(look, word, _ALIKE))))
            for word in asked.telling
        ]
        yield [spelled], _COMPARED
        for fewer in (1, 2):
            if found.best < 0.8 and len(spelled) > (1 if fewer == 1 else 3) and (fewer == 1 or len(spelled) <= _PARTED):
                yield [list(rest) for rest in combinations(spelled, len(spelled) - fewer)], _COMPARED


def _of_word(word: str) -> list[str]:
    return [f"p{pair}" for pair in pairs_of(word)] if is_unspaced(word) and len(word) > 1 else [f"w{word}"]


# comparing


def _matches(asked: _Asked, kind: str, data: Mapping[str, Any]) -> Iterator[tuple[str, float, bool]]:
    """The names and identifiers that a fact gives a party, each with its score, and whether it is only near."""
    for name in _names(kind, data):
        score, is_near = max(_likeness(asked, form) for form in _forms(name))
        yield name, score, is_near
    for scheme, value in _identifiers(kind, data):
        of_value = "".join(runs_of(value))
        if asked.joined in (of_value, "".join(runs_of(scheme)) + of_value):
            yield f"{scheme}:{value}", 1.0, False


def _readings(runs: Sequence[str]) -> list[str]:
    """The runs as one with what is Chinese in pinyin, ü as u and as v; none where nothing is."""
    spelled = ["".join(syllables_of(run)) for run in runs]
    if not any(spelled):
        return []
    forms = (spelled, [each.replace("v", "u") for each in spelled])
    return list(dict.fromkeys("".join(each or run for each, run in zip(form, runs, strict=True)) for form in forms))


def _spelled(name: str) -> str:
    return " ".join(normalize("NFC", name).split())


def _difference(asked: _Asked, name: str) -> int:
    """How far the spelling of a name is from that asked for: 0 the same, 1 but for case, 2 but for what is folded, 3
    beyond that."""
    spelled = _spelled(name)
    if spelled == asked.spelled:
        return 0
    if spelled.casefold() == asked.spelled.casefold():
        return 1
    return 2 if "".join(runs_of(name)) == asked.joined else 3


def _likeness(asked: _Asked, name: str) -> tuple[float, bool]:
    """How surely one name means the other, 0 to 1, and whether it is only a near spelling."""
    if sure := _sureness(asked, name):
        return sure, False
    return _nearness(asked, name), True


def _sureness(asked: _Asked, name: str) -> float:
    """How surely one name means the other, 0 to 1, where it is the same, initials, pinyin or all the words; else 0."""
    runs, key = runs_of(name), key_of(name)
    joined = "".join(runs)
    if asked.joined == joined or asked.key == key:
        return 1.0
    if asked.joined.isascii() and 2 <= len(asked.joined) <= 16 and asked.joined in acronyms_of(name):
        return 0.9 if len(asked.joined) > 2 else 0.8
    if joined in asked.acronyms:
        return 0.65 if len(joined) > 2 else 0.6
    kept = bare(runs)
    if in_pinyin := _readings(kept):
        if not {asked.joined, asked.key}.isdisjoint((*_readings(runs), *in_pinyin)):
            return 0.95
        spellings = spellings_of(runs)
        if asked.key in spellings or spellings.issuperset(asked.words):
            return 0.6 + 0.3 * min(1.0, len(asked.key) / len(in_pinyin[0]))
    if all(word in joined if is_unspaced(word) else word in runs for word in asked.words):
        return _held(asked, key)
    return 0.0


def _held(asked: _Asked, key: str) -> float:
    """The score of a name, given by its key, that holds all the words."""
    return 0.6 + 0.35 * min(1.0, len(asked.key) / max(1, len(key)))


def _nearness(asked: _Asked, name: str) -> float:
    """How surely one name means the other, 0 to 0.95, by how near it is spelled."""
    key, kept = key_of(name), bare(runs_of(name))
    one, other = " ".join(asked.words), " ".join(kept)
    whole = max(fuzz.ratio(one, other), fuzz.ratio(asked.key, key), 0.97 * fuzz.token_sort_ratio(one, other)) / 100
    near = {word: max((OSA.normalized_similarity(word, run) for run in kept), default=0.0) for word in asked.words}
    by_words = _held(asked, key) * sum(near.values()) / len(near) if min(near.values()) >= _ALIKE else 0.0
    return max(0.95 * max(by_words, whole if whole >= 0.75 else 0.0), _mostly(asked, kept, near))


def _mostly(asked: _Asked, kept: Sequence[str], near: Mapping[str, float]) -> float:
    """How surely a name is meant that holds two or more of the words, and others as initials or not at all; 0 if not.

    Words count by their letters. 0.6 to 0.85 where all are held, and less than 0.7 where some are missing.
    """
    telling = asked.telling
    held = [word for word in telling if near[word] >= _ALIKE]
    missing = [word for word in telling if near[word] < _ALIKE]
    stood_for = {word: abbreviated_by(word, kept) for word in missing} if held else {}
    letters = sum(map(len, held)) + sum(len(run) for run in kept if is_small(run))
    letters += sum(map(len, stood_for.values()))
    coverage = min(1.0, letters / max(1, sum(map(len, kept))))
    if missing and held and all(stood_for.values()):
        return (0.6 + 0.25 * coverage) * sum(near[word] for word in held) / len(held)
    share = sum(len(word) for word in telling if word in held or stood_for.get(word)) / sum(map(len, telling))
    if len(held) < 2 or share < _MOSTLY:
        return 0.0
    return _LEAST + 0.15 * share * coverage


def _goes_by(db: sqlite3.Connection, subject: int, matched: str, as_of: int) -> bool:
    """Whether what was matched is the name that the party bears in the end."""
    row = db.execute(
        f"SELECT name FROM subject_states WHERE subject = ? AND {AS_OF} AND is_final_period", (subject, as_of, as_of)
    ).fetchone()
    return row is not None and row[0] is not None and matched in texts_of(orjson.loads(row[0]))
