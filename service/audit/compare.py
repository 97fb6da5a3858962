"""The comparison of stored views with the audit's own: a finding names the line that differs and its source event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from itertools import chain, islice, zip_longest
from random import SystemRandom
from typing import Any, TypeVar

import orjson

from domain.values import pointer
from projections.digests import VIEWS, written
from projections.table_comparison import ROLLUPS, UNNUMBERED_COLUMNS
from service.audit.rebuilt_views import RebuiltViewsReader
from service.audit.report import Check, Finding, Verdict
from service.audit.source import CannotAudit, StoredViews, Unreadable

RANDOM_POSITIONS = 2
"""The number of random earlier positions at which digests are compared, if only digests are available."""
_AHEAD = 64
"""Lines to look ahead: they distinguish a missing or additional line from a changed one."""
_SOURCE_FIELDS = ("system_from", "position", "borne_by", "event")
"""Fields that may hold the position of the source event of a line, the best first."""
_DIFFERS = "differs from the log"
_UNTIL = 2
"""The column of `ROLLUPS` with the position up to which a row counts."""
_EARLIER = " and every earlier one"

Line = Mapping[str, Any]
T = TypeVar("T")


def _each(some: Iterable[list[tuple[Any, ...]]]) -> Iterator[tuple[Any, ...]]:
    return chain.from_iterable(some)


class Comparison:
    """Compares all views as of one position, and their earlier rows."""

    def __init__(
        self, check: Check, folded: RebuiltViewsReader, stored: StoredViews, as_of: int, *, digests: bool = True
    ) -> None:
        """Findings go to the check. Without `digests`, only the digests that the comparison needs are computed."""
        self._check = check
        self._folded = folded
        self._stored = stored
        self._as_of = as_of
        self._digests = digests
        self.digests: dict[str, str] = {}
        """The digest of each view that the audit folded."""

    def run(self) -> None:
        """Compare the stored views with those folded again. Raise CannotAudit."""
        compared = f"all {len(VIEWS)} views folded again, as of position {self._as_of}"
        if self._has_equal_rows():
            self._compare_counts()
            for finding in self._broken_indexes():
                self._check.find(finding)
            if self._digests:
                self.digests = {view: self._folded.digest(view, self._as_of) for view in VIEWS}
            self._check.ended(f"{compared}{_EARLIER}")
            return
        different = [view for view in VIEWS if not self._is_equal(view)]
        found = []
        for view in different:
            try:
                found.append(self._first_difference(view))
            except Unreadable as error:
                found.append(Finding(str(error), field=f"view {view}"))
        earlier = ""
        if not found:
            earlier = self._compare_earlier(found)
        if not found and self._stored.path is not None and self._is_up_to_date:
            found += [*self._different_values(), *self._broken_indexes()]
        if found and (reason := self._stored.reason_to_repeat()) is not None:
            self._check.ended(reason, Verdict.INCONCLUSIVE)
            return
        for finding in found:
            self._check.find(finding)
        self._check.ended(compared + earlier)

    def _has_equal_rows(self) -> bool:
        """Return whether both files have the same rows. This fast path takes a thirtieth of the time of the general
        comparison, which follows if it is False: views can still be equal then.
        """
        if not self._is_up_to_date or self._folded.lacks_texts:
            return False
        path = self._stored.path
        return path is not None and self._folded.has_equal_rows(path)

    @property
    def _is_up_to_date(self) -> bool:
        """Whether both hold the same events. Tables without positions can be compared only then."""
        return self._as_of == self._stored.position == self._folded.position

    def _different_values(self) -> Iterator[Finding]:
        """Yield a finding for each table without positions that differs."""
        for table in UNNUMBERED_COLUMNS:
            try:
                pairs = zip_longest(self._folded.values(table), self._stored.values(table))
                different = next(((expected, row) for expected, row in pairs if expected != row), None)
            except Unreadable as error:
                yield Finding(str(error), field=f"table {table}")
                continue
            if different is not None:
                expected, found = different
                yield Finding(_DIFFERS, None, None, f"table {table}", expected, found)

    def _broken_indexes(self) -> Iterator[Finding]:
        """Yield a finding for each text index that differs from its table."""
        try:
            for name in self._stored.broken_indexes():
                yield Finding("differs from its table", None, None, f"index {name}_fts")
        except Unreadable as error:
            yield Finding(str(error), field="text indexes")

    def _compare_counts(self) -> None:
        """Compare the rollups behind the statistics, if the counted tables are equal."""
        try:
            pairs = zip_longest(_each(self._folded.stored(ROLLUPS)), _each(self._stored.stored(ROLLUPS) or ()))
            different = next((expected or row for expected, row in pairs if expected != row), None)
        except Unreadable as error:
            self._check.find(Finding(str(error), field=f"table {ROLLUPS}"))
            return
        if different is not None:
            self._check.find(Finding(_DIFFERS, different[_UNTIL], None, f"table {ROLLUPS}"))

    def _is_equal(self, view: str) -> bool:
        """Return whether a view is equal: by its lines if they are available, else by its digest."""
        digest, same = sha256(), True
        try:
            theirs = self._stored.lines(view, self._as_of)
            if theirs is None:
                self.digests[view] = self._folded.digest(view, self._as_of)
                return self._stored.digests(self._as_of, (view,)).get(view) == self.digests[view]
            for ours, line in zip_longest(self._folded.lines(view, self._as_of), theirs):
                if ours is not None:
                    digest.update(ours)
                if ours != line:
                    same = False
        except Unreadable:
            return False
        self.digests[view] = written(digest.digest())
        return same

    def _compare_earlier(self, found: list[Finding]) -> str:
        """Compare earlier rows, if nothing else differs. Append findings to `found`; return words for the report."""
        if self._stored.lines(VIEWS[0], self._as_of) is not None:
            for table in self._folded.tables():
                try:
                    self._compare_rows(table, found)
                except Unreadable as error:
                    found.append(Finding(str(error), field=f"table {table}"))
            return _EARLIER
        if not self._stored.any_position or self._as_of <= 1:
            return ""
        positions = sorted({SystemRandom().randrange(1, self._as_of) for _ in range(RANDOM_POSITIONS)})
        for position in positions:
            theirs = self._stored.digests(position, VIEWS)
            different = [view for view in VIEWS if theirs.get(view) != self._folded.digest(view, position)]
            found += [self._first_digest(view, position) for view in different]
        return f" and {', '.join(map(str, positions))}"

    def _compare_rows(self, table: str, found: list[Finding]) -> None:
        ours, theirs = self._folded.rows(table, self._as_of), self._stored.rows(table, self._as_of)
        for expected, row in zip_longest(ours, theirs):
            if expected != row:
                found.append(self._difference(f"table {table}", _ahead(expected, ours), _ahead(row, theirs)))
                return

    def _first_difference(self, view: str) -> Finding:
        theirs = self._stored.lines(view, self._as_of)
        if theirs is not None:
            ours = self._folded.lines(view, self._as_of)
            while (expected := next(ours, None)) == (line := next(theirs, None)) and expected is not None:
                pass
            both = [_parsed(each) for each in _ahead(expected, ours)], [_parsed(each) for each in _ahead(line, theirs)]
            return self._difference(f"view {view}", *both)
        if self._stored.any_position:
            return self._first_digest(view, self._as_of)
        found = self._stored.digests(self._as_of, (view,)).get(view)
        return Finding(_DIFFERS, None, None, f"view {view}", self.digests[view], found)

    def _first_digest(self, view: str, as_of: int) -> Finding:
        try:
            position = self._first_position(view, as_of)
            found = self._stored.digests(position, (view,)).get(view)
        except (CannotAudit, Unreadable):  # the view differs in any case
            return Finding(f"{_DIFFERS}, as of position {as_of}", None, None, f"view {view}")
        expected = self._folded.digest(view, position)
        return Finding(f"{_DIFFERS}, from here on", position, self._subject(position), f"view {view}", expected, found)

    def _difference(self, where: str, ours: list[Line], theirs: list[Line]) -> Finding:
        """Return the finding for the first of these lines that differs."""
        if not theirs or (ours and theirs[0] in ours[1:]):
            return self._finding_at(where, ours[0], "is missing", "", ours[0], None)
        if not ours or ours[0] in theirs[1:]:
            return self._finding_at(where, theirs[0], "is not in the log", "", None, theirs[0])
        at, expected, found = first_difference(ours[0], theirs[0])
        return self._finding_at(where, ours[0], _DIFFERS, at, expected, found)

    def _finding_at(self, where: str, line: Line, says: str, at: str, expected: Any, found: Any) -> Finding:
        """Return a finding at the source event of a line."""
        values = (line.get(name) for name in _SOURCE_FIELDS)
        sources = [value for value in values if type(value) is int and value > 0]
        position = sources[0] if sources else self._first_position(where.removeprefix("view "), self._as_of)
        subject = next((line[name] for name in ("subject", "in", "container", "document") if line.get(name)), None)
        field = f"{where}, {at}" if at else where
        return Finding(says, position, subject or self._subject(position), field, expected, found)

    def _first_position(self, view: str, as_of: int) -> int:
        """Return the first position as of which a view differs: a changed row exists from its source event on."""
        low, high = 0, as_of
        while high - low > 1:
            middle = (low + high) // 2
            stored = self._stored.digests(middle, (view,)).get(view)
            low, high = (middle, high) if stored == self._folded.digest(view, middle) else (low, middle)
        return high

    def _subject(self, position: int) -> str | None:
        return self._folded.event(position).get("subject")


def first_difference(one: Any, other: Any, at: str = "") -> tuple[str, Any, Any]:
    """Return a pointer to the first difference of two JSON values, and both values there."""
    if isinstance(one, bytes) and isinstance(other, bytes):
        with suppress(ValueError):
            one, other = orjson.loads(one), orjson.loads(other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in dict.fromkeys((*one, *other)):
            if name not in one or name not in other:
                return at + pointer(name), one.get(name), other.get(name)
            if one[name] != other[name]:
                return first_difference(one[name], other[name], at + pointer(name))
    if isinstance(one, list) and isinstance(other, list):
        for index, (expected, theirs) in enumerate(zip(one, other, strict=False)):
            if expected != theirs:
                return first_difference(expected, theirs, at + pointer(index))
    return at, one, other


def _ahead(line: T | None, lines: Iterator[T]) -> list[T]:
    return [] if line is None else [line, *islice(lines, _AHEAD)]


def _parsed(line: bytes) -> Line:
    try:
        found = orjson.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"line": line}
