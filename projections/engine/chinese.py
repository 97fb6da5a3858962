"""Chinese script: simplified forms of characters, and the pinyin of names. Pure functions of their arguments.

The two dictionaries are loaded when the first Chinese text comes: together they take 60 MB and a sixth of a second.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""The blocks of Han characters, as part of a set of a regular expression."""

_ANY_HAN = re.compile(f"[{HAN}]")
_HAN_RUN = re.compile(f"[{HAN}]+")
_SYLLABLE = re.compile("[a-z]+")
_GRAMS = range(2, 5)
_LONGEST = 64
"""Characters of a name whose pinyin counts: longer texts are not searched by sound."""


class _Simplified(dict[int, str]):
    """For `str.translate`: each Han character in its simplified form, one for one.

    Characters are converted one by one, not by phrases: part of a name must become the same as within the whole.
    """

    def __missing__(self, code: int) -> str:
        character = chr(code)
        simple = _converter()(character) if _ANY_HAN.match(character) else character
        self[code] = simple if len(simple) == 1 else character
        return self[code]


_SIMPLIFIED = _Simplified()


@cache
def _converter() -> Callable[[str], str]:
    from opencc import OpenCC  # loaded when it is first needed

    convert: Callable[[str], str] = OpenCC("t2s").convert
    return convert


def simplified(text: str) -> str:
    """Return the text with each traditional Chinese character in its simplified form."""
    return text.translate(_SIMPLIFIED) if _ANY_HAN.search(text) else text


@lru_cache(maxsize=256)
def syllables_of(run: str) -> tuple[str, ...]:
    """Return the pinyin of a run of Han characters, without tones, `v` for ü; empty where the run is of another script
    or has a character without a reading."""
    if not _HAN_RUN.fullmatch(run):
        return ()
    from pypinyin import lazy_pinyin  # loaded when it is first needed

    syllables = tuple(lazy_pinyin(run[:_LONGEST]))
    return syllables if all(map(_SYLLABLE.fullmatch, syllables)) else ()


@lru_cache(maxsize=256)
def spellings_of(runs: tuple[str, ...]) -> frozenset[str]:
    """Return the usual spellings of runs of a name in pinyin: two to four syllables in a row, and whole runs; ü as u or
    v."""
    found: set[str] = set()
    for run in runs:
        syllables = syllables_of(run)
        count = len(syllables)
        spans = {(at, at + size) for size in _GRAMS for at in range(count - size + 1)}
        if count > 1:
            spans.add((0, count))
        words = {"".join(syllables[start:end]) for start, end in spans}
        found |= words | {word.replace("v", "u") for word in words}
    return frozenset(found)
