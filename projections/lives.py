"""A subject's life summed up, one fact at a time: how many there are, when they made and ended it, who signed first.

A list of numbers that is kept with the subject, so that bounds cost nothing to read, whatever its size. It is made anew
from all facts when one of them is no longer believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from domain.facts import Fact
from domain.rules import Bounds
from domain.times import AFTER, BEFORE, Span

_CONSENTS = frozenset(("agreement.ratified", "agreement.acceded"))
_FACTS, _MAKERS, _WITH_CONSENT, _MADE, _ENDED, _SIGNED, _ADOPTED, _EARLIEST_END, _LATEST_START = (
    0,
    1,
    2,
    3,
    5,
    7,
    10,
    13,
    14,
)
"""Where each stands. Spans take two places, those of signing and adoption a third: the position of the first."""
_FIRST = {"agreement.signed": _SIGNED, "agreement.adopted": _ADOPTED}


_NEW = (0, 0, 0, *[None] * 10, AFTER, BEFORE)


def recounted(facts: Iterable[Fact]) -> list[Any]:
    """The life that these facts amount to."""
    life, by_position = list(_NEW), {fact.position: fact for fact in facts}
    for fact in by_position.values():
        life = extended(life, fact, by_position.get)
    return life


def extended(was: list[Any] | None, fact: Fact, known: Callable[[int], Fact | None]) -> list[Any]:
    """A life (None: that of a subject without facts) with one fact more; `known` gives the fact of a position."""
    life: list[Any] = list(_NEW if was is None else was)
    span, kind = fact.span, fact.kind
    life[_FACTS] += 1
    if kind.is_making:
        life[_MAKERS] += 1
        _widen(life, _MADE, span)
        at = _FIRST.get(fact.type)
        if at is not None:
            first = None if life[at + 2] is None else known(life[at + 2])
            if first is None or fact.order < first.order:
                life[at + 2] = fact.position
            _widen(life, at, span)
    elif kind.ends:
        _widen(life, _ENDED, fact.effective)
    elif fact.type in _CONSENTS:
        life[_WITH_CONSENT] += 1
    if fact.type != "party.merged":
        if not kind.ends and span.lo > life[_LATEST_START]:
            life[_LATEST_START] = span.lo
        if not kind.is_making and span.hi < life[_EARLIEST_END]:
            life[_EARLIEST_END] = span.hi
    return life


def facts_of(life: list[Any] | None) -> int:
    """How many facts there are."""
    return 0 if life is None else int(life[_FACTS])


def makers_of(life: list[Any] | None) -> int:
    """How many of them make the subject."""
    return 0 if life is None else int(life[_MAKERS])


def read(life: list[Any] | None) -> tuple[Bounds, bool, int | None, int | None]:
    """The bounds of the facts; whether any consent is recorded; who first signed, who adopted, by position."""
    if life is None:
        return Bounds(None, None, None, None), False, None, None
    bounds = Bounds(
        _span(life, _MADE),
        _span(life, _ENDED),
        _span(life, _SIGNED),
        _span(life, _ADOPTED),
        life[_MAKERS],
        life[_EARLIEST_END],
        life[_LATEST_START],
    )
    return bounds, life[_WITH_CONSENT] > 0, life[_SIGNED + 2], life[_ADOPTED + 2]


def _span(life: list[Any], at: int) -> Span | None:
    return None if life[at] is None else Span(life[at], life[at + 1])


def _widen(life: list[Any], at: int, span: Span) -> None:
    life[at] = span.lo if life[at] is None else min(life[at], span.lo)
    life[at + 1] = span.hi if life[at + 1] is None else min(life[at + 1], span.hi)
