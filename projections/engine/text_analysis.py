"""Text analysis: tokens of texts, normalised in case and width, without diacritics, punctuation and invisible
characters, Chinese simplified and cut into bigrams.

Pure functions, the same for the index and for queries. A change here changes every index, so the fingerprint of the
views covers it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import add
from typing import Any

from domain.catalogue import CATALOGUE
from domain.payload import Record
from projections.engine.chinese import simplified

LONGEST = 64
"""Characters of a word that count."""

_WRITTEN_UNSPACED = (
    "\u3005\u3007\u3040-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_SPELLING_MARKS = "\u0900-\u0963\u0981-\u0dff\u0e01-\u0eff\u0f00-\u109f\u1780-\u17ff"
_RUN = re.compile(rf"[{_WRITTEN_UNSPACED}]+|(?:[^\W_{_WRITTEN_UNSPACED}]|[{_SPELLING_MARKS}])+")
_ASCII_RUN = re.compile(r"[a-z0-9]+")
_UNSPACED = re.compile(rf"[{_WRITTEN_UNSPACED}]")
_DIACRITICS = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u064b-\u065f\u0670]")
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
"""Default_Ignorable_Code_Point of Unicode: invisible characters must not distinguish names (Unicode Standard, 5.21)."""
_DOTTED = re.compile(r"\b(?:[^\W\d_]\.){2,}")
_PLAIN = re.compile("[\x00-\x7f\u3001\u3002\u4e00-\u9fff]*")
_WHOLE_LETTERS = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"})

_NAMES = ("name", "title", "other_names", "other_titles")
_TEXTS = (
    "summary",
    "text",
    "provision",
    "purpose",
    "directions",
    "target",
    "place",
    "scope",
    "scope_added",
    "scope_removed",
    "fields",
    "role",
    "category",
    "publisher",
    "citation",
    "territory",
    "note",
)
_INNER = {"identifiers": "value", "phases": "title", "parties": "role", "amount": "unit"}
_TITLES_OF_PARTS = frozenset(("agreement.commitment-made", "platform.document-adopted"))


def _fields_of(kind: str) -> dict[str, bool]:
    """Return the fields with texts for people in the data of a type, and whether they name its subject."""
    names = kind not in _TITLES_OF_PARTS
    fields = {**dict.fromkeys(_NAMES, names), **dict.fromkeys(_TEXTS, False)}
    fields |= {field: field == "identifiers" for field in _INNER}
    return fields | {"value": True} if kind == "party.identified" else fields


_TEXT_FIELDS = {kind: _fields_of(kind) for kind in CATALOGUE}

_SUFFIX = re.compile(
    "co|company|ltd|limited|liability|inc|incorporated|corp|corporation|llc|llp|lp|plc|gmbh|ag|kg|kgaa|se|sa|sas|sarl"
    "|srl|spa|bv|nv|oyj?|ab|asa?|aps|pte|pty|sdn|bhd|kk|p?jsc|[op]?ao|zao|ojsc|ooo|sl|ltda?|lda"
)
_UNSPACED_SUFFIX = re.compile("(?:(?:股份|有限|责任)*公司|株式会社|有限会社|合同会社|주식회사|유한회사)$")
_UNSPACED_PREFIX = re.compile("^(?:株式会社|有限会社|合同会社|주식회사|유한회사)")
_SMALL_WORD = re.compile("of|the|and|for|in|on|at|to|an?|des?|du|las?|les?|et|der|die|das|und|del|y|e")


@dataclass(frozen=True, slots=True)
class TextQuery:
    """A text query: its runs of letters and digits, and the words of these."""

    runs: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def open_word(self) -> str | None:
        """The last word, if it may be a prefix."""
        last = self.runs[-1]
        return None if is_unspaced(last) or len(last) < 2 else last[:LONGEST]


def parsed(text: str, most: int = 32) -> TextQuery:
    """Parse the text of a query; only the first `most` words count, each once. Any text is allowed."""
    runs = runs_of(text[:2000])
    words: dict[str, None] = {}
    count = 0
    for run in runs:
        if len(words) >= most:
            break
        words.update(dict.fromkeys(pairs_of(run) if is_unspaced(run) and len(run) > 1 else (run[:LONGEST],)))
        count += 1
    return TextQuery(runs[:count], tuple(words)[:most])


def normalised(text: str) -> str:
    """Return the form in which texts are compared: NFKC, caseless, without diacritics and invisible characters, Chinese
    simplified, acronyms without dots.
    """
    if text.isascii():
        lowered = text.lower()
    elif _PLAIN.fullmatch(text):  # of these only ASCII has other forms than the simplified
        lowered = simplified(text.lower())
    else:
        decomposed = unicodedata.normalize("NFKD", _IGNORABLE.sub("", text)).casefold()
        composed = unicodedata.normalize("NFKC", _DIACRITICS.sub("", decomposed))
        lowered = simplified(composed.translate(_WHOLE_LETTERS))
    if lowered.count(".") < 2:  # most texts end with one
        return lowered
    return _DOTTED.sub(lambda found: found[0].replace(".", ""), lowered)


@lru_cache(maxsize=64)  # a name is taken apart several times in a row
def runs_of(text: str) -> tuple[str, ...]:
    """Return the runs of letters and digits in a text, in order; runs of scripts without spaces are separate."""
    lowered = normalised(text)
    return tuple((_ASCII_RUN if lowered.isascii() else _RUN).findall(lowered))


def is_unspaced(run: str) -> bool:
    """Return whether a run is in a script written without spaces between words (Chinese, Japanese, Korean)."""
    return not run.isascii() and _UNSPACED.match(run) is not None


def pairs_of(run: str) -> list[str]:
    """Return the bigrams of a run."""
    return list(map(add, run, run[1:]))


def words_of(text: str) -> list[str]:
    """Return the tokens of a text; those of an unspaced run are its bigrams and its last character."""
    if text.isascii():
        return [run[:LONGEST] for run in runs_of(text)]
    words: list[str] = []
    for run in runs_of(text):
        if is_unspaced(run):
            words += pairs_of(run)
            words.append(run[-1])
        else:
            words.append(run[:LONGEST])
    return words


@lru_cache(maxsize=64)
def bare(runs: tuple[str, ...]) -> tuple[str, ...]:
    """Return the runs of a name without legal forms of companies; all of them if nothing else is left."""
    remaining = [run for run in runs if run != "the"]
    while len(remaining) > 1 and _SUFFIX.fullmatch(remaining[-1]):
        remaining.pop()
    if remaining and is_unspaced(remaining[-1]):
        shorter = _UNSPACED_SUFFIX.sub("", remaining[-1])
        remaining[-1:] = [shorter] if shorter else ([] if len(remaining) > 1 else remaining[-1:])
    if remaining and is_unspaced(remaining[0]):
        remaining[0] = _UNSPACED_PREFIX.sub("", remaining[0]) or remaining[0]
    return tuple(remaining) or runs


def key_of(name: str) -> str:
    """Return a key that two spellings of one name share: its runs without legal forms, joined, `&` as `and`."""
    return "".join(bare(runs_of(name.replace("&", " and "))))


@lru_cache(maxsize=64)
def acronyms_of(name: str) -> frozenset[str]:
    """Return the initials a name may be known by, with and without its small words and legal forms; those of two
    letters only without them.
    """
    runs = [run for run in runs_of(name) if not is_unspaced(run)]
    if not 2 <= len(runs) <= 16:
        return frozenset()
    optional = [at for at, run in enumerate(runs) if is_small(run) or (at > 1 and _SUFFIX.fullmatch(run))]
    optional = optional[-4:]
    found = [""]
    for at, run in enumerate(runs):
        longer = [initials + run[0] for initials in found]
        found = found + longer if at in optional else longer
    acronyms = {initials for initials in found if len(initials) >= 3}
    counted = [run for run in runs if not is_small(run) and not _SUFFIX.fullmatch(run)]
    if len(counted) == 2:
        acronyms.add(counted[0][0] + counted[1][0])
    return frozenset(acronyms)


def is_small(run: str) -> bool:
    """Return whether a run has no meaning alone, as `of` or `the`."""
    return _SMALL_WORD.fullmatch(run) is not None


def abbreviated_by(word: str, runs: Sequence[str]) -> str:
    """Return the first consecutive runs whose initials a word consists of, joined; small runs may be skipped. Empty if
    there are none.
    """
    if not word.isascii() or not 2 <= len(word) <= 8:
        return ""
    return next(
        (found for at in range(len(runs)) if not is_small(runs[at]) and (found := _runs_with_initials(word, runs, at))),
        "",
    )


def _runs_with_initials(initials: str, runs: Sequence[str], at: int) -> str:
    """Return the runs from `at` on that have these initials, joined."""
    if at == len(runs):
        return ""
    if runs[at][0] == initials[0]:
        if len(initials) == 1:
            return runs[at]
        rest = _runs_with_initials(initials[1:], runs, at + 1)
        if rest:
            return runs[at] + rest
    return _runs_with_initials(initials, runs, at + 1) if is_small(runs[at]) else ""


class _Folded(dict[int, str]):
    """The table for `str.translate`: each character in its compared form, one for one."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = normalised(chr(code))[:1] or " "
        return folded


def excerpt(text: str, question: TextQuery, width: int = 200) -> str:
    """Return a text, or the part of it around the search words; … where it is cut."""
    flat = " ".join(text.split())
    if len(flat) <= width:
        return flat
    folded = flat.translate(_Folded())
    places = (folded.find(part) for part in (" ".join(question.runs), *sorted(question.words, key=len, reverse=True)))
    at = next((place for place in places if place >= 0), 0)
    start = max(0, min(at - width // 4, len(flat) - width))
    if start > 0:
        space = flat.find(" ", start, at)
        start = space + 1 if space >= 0 else start
    end = min(len(flat), start + width)
    if end < len(flat):
        space = flat.rfind(" ", at + width // 4, end)
        end = space if space >= 0 else end
    return f"{'…' if start > 0 else ''}{flat[start:end].strip()}{'…' if end < len(flat) else ''}"


Wording = tuple[str, bool]
"""One wording of a text of a fact, and whether it names the fact's subject."""


def wordings(kind: str, data: Mapping[str, Any]) -> list[Wording]:
    """Return every text for people in a fact's data, in all languages, without evidence; `data` is decoded JSON or a
    model's fields.
    """
    found: list[Wording] = []
    fields = _TEXT_FIELDS[kind]
    for field, value in data.items():
        if value is None or (names := fields.get(field)) is None:
            continue
        if isinstance(value, str):
            found.append((value, names))
            continue
        inner = _INNER.get(field)
        for each in (value,) if isinstance(value, dict | Record) else value:
            text = each
            if inner is not None:
                text = each.get(inner) if isinstance(each, dict) else getattr(each, inner)
            if isinstance(text, str):
                found.append((text, names))
            elif isinstance(text, dict):
                found += [(wording, names) for wording in text.values()]
    return found
