"""The report of an audit: checks with verdicts, findings and notes, as lines for people and as one JSON document.

It holds a bounded number of findings and counts the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter
from typing import Any

MOST_FINDINGS = 100
"""Findings of each check in the report. The others are only counted."""
SHOWN = 10
"""Findings in the lines for people, after the first."""
_LONGEST = 120


class Verdict(StrEnum):
    """The verdict of a check, or of the audit. The exit status says the same: 0, 1, 2."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"

    @property
    def status(self) -> int:
        """The exit status."""
        return {Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 2}.get(self, 0)


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between what the log claims and what the audit derives: where, what was expected, what was found.

    `position` is None where no event can be named. `field` is a name, or a pointer into the event or row.
    """

    says: str
    position: int | None = None
    subject: str | None = None
    field: str | None = None
    expected: Any = None
    found: Any = None

    @property
    def text(self) -> str:
        """One line."""
        place = [f"position {self.position}" if self.position is not None else "", self.subject or "", self.field or ""]
        compared = [
            f"{name} {_short(value)}"
            for name, value in (("expected", self.expected), ("found", self.found))
            if value is not None
        ]
        where = ", ".join(part for part in place if part)
        return ": ".join(part for part in (where, self.says, ", ".join(compared)) if part)


@dataclass(slots=True)
class Check:
    """One check: its verdict, its findings, and its time in seconds."""

    name: str
    says: str = ""
    seconds: float = 0.0
    verdict: Verdict = Verdict.INCONCLUSIVE
    """The verdict without findings."""
    findings: list[Finding] = field(default_factory=list)
    count: int = 0
    """The number of findings, also of those beyond the bound."""
    _places: set[tuple[int | None, str | None]] = field(default_factory=set)

    def find(self, finding: Finding) -> None:
        """Add a finding; once for a place."""
        place = finding.position, finding.field
        if place in self._places:
            return
        self.count += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)
            self._places.add(place)

    def ended(self, says: str, verdict: Verdict = Verdict.PASS) -> None:
        """Set what was checked, and the verdict if there are no findings."""
        self.says = says
        self.verdict = verdict

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add the time of the block to the check."""
        began = perf_counter()
        try:
            yield
        finally:
            self.seconds += perf_counter() - began

    @property
    def result(self) -> Verdict:
        """The verdict with findings."""
        return Verdict.FAIL if self.findings else self.verdict


@dataclass(slots=True)
class Report:
    """The checks, findings and notes of one audit."""

    target: str
    origin: str | None = None
    key: str | None = None
    events: int = 0
    size: int | None = None
    root: str | None = None
    digests: dict[str, str] = field(default_factory=dict)
    """Of the audit's own views."""
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def check(self, name: str) -> Check:
        """Return the check with a name, which is created on first use."""
        found = next((each for each in self.checks if each.name == name), None)
        if found is None:
            found = Check(name)
            self.checks.append(found)
        return found

    @property
    def findings(self) -> list[tuple[Check, Finding]]:
        """Every finding by position; those of no event come last."""
        found = [(check, finding) for check in self.checks for finding in check.findings]
        return sorted(found, key=lambda each: (each[1].position is None, each[1].position or 0))

    @property
    def verdict(self) -> Verdict:
        """The verdict of all checks together."""
        results = {check.result for check in self.checks}
        for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
            if verdict in results:
                return verdict
        return Verdict.PASS

    @property
    def lines(self) -> Iterator[str]:
        """The report as lines for people."""
        yield f"Audit of {self.target}" + (f", log {self.origin}" if self.origin else "")
        for check in self.checks:
            took = f" ({check.seconds:.1f} s)" if check.seconds >= 0.05 else ""
            yield f"  {check.name:<11} {check.result:<12} {check.says}{took}".rstrip()
        for note in self.notes:
            yield f"  note: {note}"
        found = self.findings
        if found:
            yield f"First finding ({found[0][0].name}):"
            yield f"  {found[0][1].text}"
        if len(found) > 1:
            yield "Then:"
            yield from (f"  {check.name}: {finding.text}" for check, finding in found[1 : 1 + SHOWN])
            more = sum(check.count for check in self.checks) - 1 - SHOWN
            if more > 0:
                yield f"  and {more} more"
        yield self._last_line

    @property
    def _last_line(self) -> str:
        match self.verdict:
            case Verdict.PASS:
                left = [check.name for check in self.checks if check.result is Verdict.SKIPPED]
                without = f", without {' and '.join(left)}" if left else ""
                return f"PASS: {counted(self.events, 'event')} verified{without}, in {self.seconds:.1f} s."
            case Verdict.FAIL:
                count = sum(check.count for check in self.checks)
                return f"FAIL: {counted(count, 'finding')}, in {self.seconds:.1f} s."
            case _:
                missing = [check.name for check in self.checks if check.result is Verdict.INCONCLUSIVE]
                return f"INCONCLUSIVE: {', '.join(missing)} could not be checked; every other check passes."

    @property
    def document(self) -> dict[str, Any]:
        """The report as a JSON document; `service.audit` describes its form."""
        return {
            "target": self.target,
            "origin": self.origin,
            "key": self.key,
            "events": self.events,
            "checkpoint": None if self.size is None else {"size": self.size, "root": self.root},
            "digests": self.digests,
            "verdict": self.verdict,
            "status": self.verdict.status,
            "seconds": round(self.seconds, 3),
            "checks": [
                {
                    "name": check.name,
                    "verdict": check.result,
                    "says": check.says,
                    "seconds": round(check.seconds, 3),
                    "findings": check.count,
                }
                for check in self.checks
            ],
            "findings": [
                {
                    "check": check.name,
                    "position": finding.position,
                    "subject": finding.subject,
                    "field": finding.field,
                    "says": finding.says,
                    "expected": _json_value(finding.expected),
                    "found": _json_value(finding.found),
                }
                for check, finding in self.findings
            ],
            "notes": self.notes,
        }


def counted(count: int, one: str, more: str | None = None) -> str:
    """Return a number with its noun in the right form."""
    return f"{count} {one if count == 1 else more or f'{one}s'}"


def _json_value(value: Any) -> Any:
    """Return a value that JSON can hold, for any value found."""
    match value:
        case None | bool() | int() | float():
            return value
        case bytes():
            return value.decode("utf-8", "replace")
        case str():
            return value.encode("utf-8", "replace").decode()
        case list() | tuple():
            return [_json_value(part) for part in value]
        case dict():
            return {str(name): _json_value(part) for name, part in value.items()}
        case _:
            return str(value)


def _short(value: Any) -> str:
    plain = _json_value(value)
    text = f"{plain!r}" if isinstance(plain, str) else str(plain)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
