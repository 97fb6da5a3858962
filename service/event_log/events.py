"""The shapes of the log: an event as it leaves the log, what else a group changes in it, and ranges of subjects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from eventsourcing.persistence import Notification


@dataclass(frozen=True)
class LoggedEvent(Notification):
    """One event of the log: a notification of the eventsourcing library, with the columns that the registry adds.

    The fields of the library also have the registry's names: `id` is the position, `originator_id` the subject,
    `originator_version` the version, `topic` the type, and `state` the log entry, whose bytes are hashed and signed.
    """

    originator_id: str
    source: str
    event_id: str
    """The CloudEvent attribute `id`; with `source` it names the event for ever."""
    data: bytes
    """Empty once erased, here or in the log that the event was imported from; so is `salt`."""
    salt: bytes
    redacted: int | None = None
    """The position of the event that erased the data of this one."""
    about: int | None = None
    """The position of the event that an event without data is about, if any."""

    @property
    def position(self) -> int:
        """The place of the event in the log."""
        return self.id

    @property
    def version(self) -> int:
        """The place of the event among those of its subject."""
        return self.originator_version

    @property
    def subject(self) -> str:
        """The subject of the event."""
        return self.originator_id

    @property
    def type(self) -> str:
        """The type of the event."""
        return self.topic

    @property
    def entry(self) -> bytes:
        """The log entry."""
        return self.state


class EraseData(NamedTuple):
    """Erase data and salt of the event at `position`, for the redaction at position `by`.

    `about` is the position of the event that the erased event is about, if any.
    """

    position: int
    by: int
    about: int | None


class StoreText(NamedTuple):
    """Store the text of a document with the event at `position`."""

    position: int
    text: str


class EraseTexts(NamedTuple):
    """Erase every stored text of the document `subject`."""

    subject: str


Effect: TypeAlias = EraseData | StoreText | EraseTexts
"""A change that a group makes in the log besides its new events."""


class SubjectRange(NamedTuple):
    """A range of subjects in the order of their first events: after one subject, up to another. None is unbounded."""

    after: str | None = None
    last: str | None = None


ALL_SUBJECTS = SubjectRange()
