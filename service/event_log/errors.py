"""Errors of the log. An error of SQLite or of the library is only ever their cause."""

from __future__ import annotations


class LogError(Exception):
    """The log refused or failed."""


class LogUnavailable(LogError):
    """The store failed: disk full, I/O error, locked by another process for too long. A retry may succeed."""


class LogFormatError(LogError):
    """The file is no log, or none that this version reads. It was not changed."""


class HeadMoved(LogError):
    """Another writer appended first; the log now ends at `head`. Roll back and decide again from there."""

    def __init__(self, head: int) -> None:
        super().__init__(f"the log ends at position {head} by now")
        self.head = head


class DuplicateEvent(LogError):
    """(`source`, `id`) already names an event of the log."""

    def __init__(self, source: str, id: str) -> None:  # noqa: A002 - the attributes' own names
        super().__init__(f"the log already has the event {id!r} of {source!r}")
        self.source = source
        self.id = id


class VersionConflict(LogError):
    """`version` is not the next version of `subject`."""

    def __init__(self, subject: str, version: int) -> None:
        super().__init__(f"version {version} is not the next of {subject}")
        self.subject = subject
        self.version = version
