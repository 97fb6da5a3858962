"""What the log refuses, and how it fails. Never holds an error of SQLite or of the library but as its cause."""

from __future__ import annotations


class LogError(Exception):
    """The log did not do what was asked."""


class LogUnavailable(LogError):
    """The store failed: disk full, I/O error, locked by another for too long. The same again may work later."""


class LogFormatError(LogError):
    """The file is not a log, or not one that this version reads. It was left as it was."""


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
    """`version` is not the one that comes next for `subject`."""

    def __init__(self, subject: str, version: int) -> None:
        super().__init__(f"version {version} is not the next of {subject}")
        self.subject = subject
        self.version = version
