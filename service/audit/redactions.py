"""The check of redactions: data is missing exactly where a later event had it erased."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from service.audit.history import NotedEvents
from service.audit.report import Check, Finding, counted

_MAY_BE_ONE = "SELECT 1 FROM noted WHERE type = 'party.merged' AND position < ? LIMIT 1"
"""Whether parties were merged before a position: the redaction of an event may then name the other party."""


def check_redactions(noted: NotedEvents, check: Check, later: Callable[[], Mapping[int, int]]) -> str | None:
    """Check every event without data and every redacted event. Return a note for the report, or None.

    `later` returns the redactions after the last event of the audit: positions of redacted events, and of their
    redactions.
    """
    count = unseen = 0
    recent: Mapping[int, int] | None = None
    rows = noted.db.execute("SELECT position, subject, redacted FROM noted WHERE erased ORDER BY position")
    for position, subject, claimed in rows:
        by = _redaction(noted, position, subject)
        if by is None:
            recent = later() if recent is None else recent
            by = recent.get(position)
        if by is None:
            check.find(Finding("is missing, and no later event erased it", position, subject, "data"))
            continue
        if claimed != by:
            check.find(Finding("is not the event that erased it", position, subject, "redacted", by, claimed))
        event = noted.event(by)
        unseen += event is not None and event.erased
        count += 1
    remaining = noted.db.execute(
        "SELECT r.position, r.subject, r.about FROM noted r WHERE r.type = 'event.redacted' AND NOT r.erased"
        " AND NOT EXISTS (SELECT 1 FROM noted e WHERE e.position = r.about AND e.erased)"
    )
    for position, subject, about in remaining:
        says = f"is still stored, although the event at position {position} erased it"
        check.find(Finding(says, about, subject, "data"))
    check.ended(f"{counted(count, 'event')}, each erased by a later event" if count else "nothing was erased")
    if not unseen:
        return None
    return (
        f"{unseen} of the events that erased others were erased themselves: only the operator of the log says which"
        " events they erased"
    )


def _redaction(noted: NotedEvents, position: int, subject: str) -> int | None:
    """Return the position of the redaction of an event, or None: a later event of the same or a merged subject."""
    found = noted.db.execute(
        "SELECT position, subject FROM noted WHERE about = ? AND type = 'event.redacted' AND position > ?"
        " ORDER BY position",
        (position, position),
    ).fetchall()
    for by, other in found:
        parties = other.startswith("parties/") and subject.startswith("parties/")
        if other == subject or (parties and noted.db.execute(_MAY_BE_ONE, (by,)).fetchone() is not None):
            return int(by)
    return None
