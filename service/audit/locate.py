"""What was changed, and of which event, where the audit knows by itself only that something was: looked up in how the
stored views keep the event. That is no proof of anything, and is asked only once something does not fit."""

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
"""How the stored views keep the event at a position, as far as that can be looked up, given what the log has there."""

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
            kept = recall(finding.position, rows[at])
            if kept is not None:
                check.findings[index] = _named(finding, rows[at], kept)


def name_missing(check: Check, recall: Recall) -> None:
    """Name the subject of events that are not there."""
    for index, finding in enumerate(check.findings):
        if finding.position is None or finding.subject is not None:
            continue
        kept = recall(finding.position, None)
        if kept is not None:
            check.findings[index] = replace(finding, subject=kept.get("subject"))


def _named(finding: Finding, row: Row, kept: Mapping[str, Any]) -> Finding:
    for name in _NAMES:
        if name in kept and kept[name] != getattr(row, name):
            return _changed(finding, name, kept.get(name), getattr(row, name))
    if row.data and "data" in kept:
        with suppress(ValueError):
            said = orjson.loads(row.data)
            if said != kept["data"]:
                at, expected, found = first_difference(kept["data"], said)
                return _changed(finding, f"/data{at}", expected, found)
    return finding


def _changed(finding: Finding, field: str, expected: Any, found: Any) -> Finding:
    says = f"was changed, as {finding.field} {finding.says}"
    return replace(finding, says=says, field=field, expected=expected, found=found)
