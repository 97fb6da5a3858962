"""The facts of a subject that remain once one has ended: an index finds each bound, whatever the number of facts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from domain.catalogue import CATALOGUE
from domain.corrections import Fact
from domain.edtf import AFTER, BEFORE, Span
from domain.lifespan import ENDING, NOT_ENDING, REINSTATING, creation_days
from domain.membership import CONSENTS, NO_CONSENT, FirstConsent, parties_of
from projections.engine.database import CURRENT, SIGNING
from projections.engine.subject_cache import Subject

OF_RANK = f"INDEXED BY facts_of_rank WHERE subject = ? AND system_to = {CURRENT} AND rank = ?"
"""In SQL, the current facts of a subject of one type, by their latest days."""
_NOT_STARTING = ", ".join(str(kind.rank) for kind in CATALOGUE.values() if kind.name not in NOT_ENDING)
STARTED = f"INDEXED BY facts_of_subject WHERE subject = ? AND system_to = {CURRENT} AND rank NOT IN ({_NOT_STARTING})"
"""In SQL, the current facts of a subject of `NOT_ENDING`, by their earliest days."""
_SIGNED = f"INDEXED BY facts_signing WHERE subject = ? AND system_to = {CURRENT} AND rank IN ({SIGNING}) AND rank = ?"
_SIGNING = frozenset(map(int, SIGNING.split(", ")))


def ranks_of(types: Iterable[str], subject: str) -> list[int]:
    """Return the ranks of those of some types that events about a subject may have."""
    collection = subject.partition("/")[0]
    return [CATALOGUE[name].rank for name in types if CATALOGUE[name].collection == collection]


class Remaining:
    """The remaining facts of a subject that is not cached, as `domain.lifespan.RemainingFacts`."""

    def __init__(
        self,
        db: sqlite3.Connection,
        subject: Subject,
        of_types: Callable[[Collection[str]], Sequence[Fact]],
        fact: Callable[[int], Fact | None],
    ) -> None:
        """`of_types` returns the facts of some types, few of each; `fact` returns the fact of a position."""
        self._db = db
        self._subject = subject
        self._of_types = of_types
        self._fact = fact

    def created(self, *types: str) -> Span | None:
        """Return the earliest and latest day of the first fact of some creating types."""
        signing = {name for name in types if CATALOGUE[name].rank in _SIGNING}
        found = [creation_days(fact) for fact in self._of_types([name for name in types if name not in signing])]
        ranks = ranks_of(signing, self._subject.name)
        found += [span for rank in ranks if (span := self._signed(rank)) is not None]
        return Span(min(span.lo for span in found), min(span.hi for span in found)) if found else None

    def _signed(self, rank: int) -> Span | None:
        (hi,) = self._row(f"SELECT min(hi) FROM facts {OF_RANK}", rank)
        if hi is None:
            return None
        if self._row(f"SELECT 1 FROM facts {_SIGNED} AND at = {AFTER} LIMIT 1", rank) is not None:
            lo = BEFORE
        else:
            (lo,) = self._row(f"SELECT min(at) FROM facts {_SIGNED}", rank)
        return Span(lo, hi)

    def first(self, type_: str) -> int | None:
        """Return the position of the first fact of a creating type."""
        row = self._row(
            f"SELECT position FROM facts {_SIGNED} ORDER BY at, stated, label LIMIT 1", CATALOGUE[type_].rank
        )
        return None if row is None else int(row[0])

    def ended(self) -> Span | None:
        """Return the earliest and latest day of the first end."""
        spans = [fact.effective for fact in self._of_types(ENDING)]
        return Span(min(span.lo for span in spans), min(span.hi for span in spans)) if spans else None

    def first_end(self, types: Iterable[str]) -> int:
        """Return the first latest day of any fact of some types; AFTER without one."""
        found = [
            self._row(f"SELECT min(hi) FROM facts {OF_RANK}", rank)[0] for rank in ranks_of(types, self._subject.name)
        ]
        return min([hi for hi in found if hi is not None], default=AFTER)

    def latest_reinstatement(self) -> int:
        """Return the last latest day of any fact of `REINSTATING`; BEFORE without one."""
        return max([fact.span.hi for fact in self._of_types(REINSTATING)], default=BEFORE)

    def consent(self) -> FirstConsent:
        """Return the first consent to be bound."""
        found = NO_CONSENT
        for rank in ranks_of(CONSENTS, self._subject.name):
            for first in (f"{_SIGNED} AND at = {AFTER}", f"{_SIGNED} ORDER BY at", f"{OF_RANK} ORDER BY hi"):
                parties = set[str]()
                for (position,) in self._db.execute(
                    f"SELECT position FROM facts {first}", (self._subject.number, rank)
                ):
                    fact = self._fact(position)
                    if fact is not None:
                        parties.update(parties_of(fact))
                        found = found.extended(parties_of(fact)[0], fact.span)
                    if len(parties) > 1:
                        break
        return found

    def latest_start(self) -> int:
        """Return the greatest earliest day of the facts of `NOT_ENDING`."""
        row = self._row(f"SELECT lo FROM facts {STARTED} ORDER BY lo DESC LIMIT 1")
        return BEFORE if row is None else int(row[0])

    def _row(self, statement: str, *values: Any) -> Any:
        return self._db.execute(statement, (self._subject.number, *values)).fetchone()
