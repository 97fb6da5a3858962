"""What was changed, and of which event, where the audit knows by itself only that something was: looked up in how the
stored views keep the event. That is no proof of anything, and is asked only once something does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson

from service.audit.comparing import first_difference
from service.audit.report import Check, Finding
from service.audit.rows import Row

Recall = Callable[[int], Mapping[str, Any] | None]
"""How the stored views keep the event at a position, if that can be looked up."""

_VAGUE = ("data", "salt", "entry", "tile/")
"""How fields begin that tell that something was changed, and not what."""
_NAMES = ("subject", "type", "source", "id", "version", "time", "occurred", "recorded", "actor")


def name_changed(check: Check, rows: Sequence[Row], recall: Recall) -> None:
    """Name the field of findings about these events."""
    first = rows[0].position if rows else None
    for index, finding in enumerate(check.findings):
        if type(first) is not int or finding.position is None or not (finding.field or "").startswith(_VAGUE):
            continue
        at = finding.position - first
        if 0 <= at < len(rows) and rows[at].position == finding.position:
            kept = recall(finding.position)
            if kept is not None:
                check.findings[index] = _named(finding, rows[at], kept)


def name_missing(check: Check, recall: Recall) -> None:
    """Name the subject of events that are not there."""
    for index, finding in enumerate(check.findings):
        if finding.position is not None and finding.subject is None and (kept := recall(finding.position)) is not None:
            check.findings[index] = replace(finding, subject=kept.get("subject"))


def _named(finding: Finding, row: Row, kept: Mapping[str, Any]) -> Finding:
    for name in _NAMES:
        if kept.get(name) != getattr(row, name):
            return _changed(finding, name, kept.get(name), getattr(row, name))
    if row.data:
        with suppress(ValueError):
            said = orjson.loads(row.data)
            if said != kept.get("data"):
                at, expected, found = first_difference(kept.get("data"), said)
                return _changed(finding, f"/data{at}", expected, found)
    return finding


def _changed(finding: Finding, field: str, expected: Any, found: Any) -> Finding:
    says = f"was changed, as {finding.field} {finding.says}"
    return replace(finding, says=says, field=field, expected=expected, found=found)
