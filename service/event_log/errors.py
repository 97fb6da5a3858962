"""Errors of the log. Each is also the error of the eventsourcing library that fits it, so the library's code may catch
it.
"""

from __future__ import annotations

from eventsourcing.persistence import IntegrityError, InterfaceError, OperationalError, PersistenceError


class LogError(PersistenceError):
    """The log refused or failed. Its cause may be an error of SQLite."""


class LogUnavailable(LogError, OperationalError):
    """The store failed: disk full, I/O error, locked by another process for too long. A retry may succeed."""


class LogFormatError(LogError, InterfaceError):
    """The file is no log, or has a format that this version does not read. The file was not changed."""


class HeadMoved(LogError, IntegrityError):
    """Another writer appended first; the log now ends at `head`. Decide again from there."""

    def __init__(self, head: int) -> None:
        super().__init__(f"the log now ends at position {head}")
        self.head = head


class DuplicateEvent(LogError, IntegrityError):
    """(`source`, `event_id`) already names an event of the log."""

    def __init__(self, source: str, event_id: str) -> None:
        super().__init__(f"the log already has the event {event_id!r} of {source!r}")
        self.source = source
        self.event_id = event_id


class VersionConflict(LogError, IntegrityError):
    """`version` is not the next version of `subject`."""

    def __init__(self, subject: str, version: int) -> None:
        super().__init__(f"version {version} is not the next of {subject}")
        self.subject = subject
        self.version = version
