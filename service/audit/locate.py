"""More exact places for findings: the stored views may show which field of an event was changed.

They prove nothing, and are read only after a check has failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson

from service.audit.compare import first_difference
from service.audit.event_rows import Row
from service.audit.report import Check, Finding

Recall = Callable[[int, Row | None], Mapping[str, Any] | None]
"""Returns the event at a position as the stored views hold it, or None, given the event in the log."""

_VAGUE = ("data", "salt", "entry", "tile/")
"""Prefixes of fields that do not name the change."""
_NAMES = ("subject", "type", "source", "id", "version", "time", "occurred", "recorded", "actor")


def name_changed(check: Check, rows: Sequence[Row], recall: Recall) -> None:
    """Name the changed field in findings about these events."""
    first = rows[0].position if rows else None
    for index, finding in enumerate(check.findings):
        if type(first) is not int or finding.position is None or not (finding.field or "").startswith(_VAGUE):
            continue
        at = finding.position - first
        if 0 <= at < len(rows) and rows[at].position == finding.position:
            stored = recall(finding.position, rows[at])
            if stored is not None:
                check.findings[index] = _named(finding, rows[at], stored)


def name_missing(check: Check, recall: Recall) -> None:
    """Name the subject in findings about missing events."""
    for index, finding in enumerate(check.findings):
        if finding.position is None or finding.subject is not None:
            continue
        stored = recall(finding.position, None)
        if stored is not None:
            check.findings[index] = replace(finding, subject=stored.get("subject"))


def _named(finding: Finding, row: Row, stored: Mapping[str, Any]) -> Finding:
    for name in _NAMES:
        if name in stored and stored[name] != getattr(row, name):
            return _changed(finding, name, stored.get(name), getattr(row, name))
    if row.data and "data" in stored:
        with suppress(ValueError):
            data = orjson.loads(row.data)
            if data != stored["data"]:
                at, expected, found = first_difference(stored["data"], data)
                return _changed(finding, f"/data{at}", expected, found)
    return finding


def _changed(finding: Finding, field: str, expected: Any, found: Any) -> Finding:
    says = f"was changed, as {finding.field} {finding.says}"
    return replace(finding, says=says, field=field, expected=expected, found=found)
