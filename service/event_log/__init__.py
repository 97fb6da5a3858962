"""The log: every recorded event, in order. Only this package knows the eventsourcing library and the log's database."""

from service.event_log.errors import (
    DuplicateEvent,
    HeadMoved,
    LogError,
    LogFormatError,
    LogUnavailable,
    VersionConflict,
)
from service.event_log.events import (
    ALL_SUBJECTS,
    Effect,
    EraseData,
    EraseTexts,
    LoggedEvent,
    StoreText,
    SubjectRange,
)
from service.event_log.log import Log
from service.event_log.reader import LogReader

__all__ = [
    "ALL_SUBJECTS",
    "DuplicateEvent",
    "Effect",
    "EraseData",
    "EraseTexts",
    "HeadMoved",
    "Log",
    "LogError",
    "LogFormatError",
    "LogReader",
    "LogUnavailable",
    "LoggedEvent",
    "StoreText",
    "SubjectRange",
    "VersionConflict",
]
