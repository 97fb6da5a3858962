"""The port of decisions: the questions that rules ask of the recorded history.

A history includes the events of the batch that is being decided, as far as they were appended. Subjects are given by
name, events by position. Facts are current ones, in the order of folding; "at most `limit`" may leave out any of them.
A subject without events is answered like one without facts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from domain.corrections import Corrections, Event, Fact
from domain.edtf import Span
from domain.lifespan import LifespanSummary
from domain.payload import Data


class StoredText(NamedTuple):
    """A stored text of a document: the position of the event that stored it, its SHA-256, its size in code points."""

    position: int
    sha256: str
    characters: int


class History(Protocol):
    """The recorded history, as of now."""

    # events

    def event(self, position: int) -> Event | None:
        """Return the event at a position."""

    def corrections(self, event: Event, also: str | None = None) -> Corrections:
        """Return the corrections and retractions of an event, direct or not; `also` adds events of one more type."""

    def redaction(self, position: int) -> int | None:
        """Return the position of the event that erased the data of the event at a position."""

    def retractions(self, subject: str, limit: int) -> Sequence[int]:
        """Return the positions of at most `limit` retractions of facts about a subject."""

    # subjects

    def lifespan(self, subject: str) -> LifespanSummary:
        """Return the summary of all facts about one subject, without those of merged parties."""

    def cluster(self, party: str) -> Sequence[str]:
        """Return all parties that are merged with a party, itself included, the survivor first."""

    def mergers(self) -> Sequence[Fact]:
        """Return all mergers of parties, in the order of the log."""

    def containers(self, party: str) -> Collection[str]:
        """Return the subjects in which a party has or had a membership, by their facts, past or current."""

    # facts

    def is_current(self, fact: Fact) -> bool:
        """Return whether a fact is current as it is: not retracted, and not corrected since."""

    def facts(self, subject: str, types: Collection[str] | None = None, *, limit: int | None = None) -> Sequence[Fact]:
        """Return the facts about a subject, or those of some types; at most `limit` of each type, or in all."""

    def facts_before(self, subject: str, day: int, limit: int) -> Sequence[Fact]:
        """Return at most `limit` facts of each of `lifespan.NOT_CREATING` that certainly lie before a day."""

    def facts_after(self, subject: str, day: int, limit: int, until: int) -> Sequence[Fact]:
        """Return at most `limit` facts of `lifespan.NOT_ENDING` that certainly lie after a day and before `until`."""

    def state_facts(self, subject: str) -> Sequence[Fact]:
        """Return the facts that change an attribute or the status of a subject itself."""

    def item_facts(self, subject: str, tag: str) -> Sequence[Fact]:
        """Return the facts about the list item of a subject with a tag (see `list_items.item_tags`)."""

    def membership_facts(self, subject: str, parties: Collection[str]) -> Sequence[Fact]:
        """Return the facts that create or change the membership of any of these parties in a subject, or in those
        merged with it.
        """

    def steps_outside(self, parties: Collection[str], span: Span, limit: int, until: int) -> Sequence[Fact]:
        """Return at most `limit` facts of `membership.STEP_TYPES` of any of these parties that certainly lie outside a
        span and before `until`.
        """

    def referring(self, subject: str, limit: int) -> Sequence[int]:
        """Return the positions of at most `limit` facts about other subjects that name a subject, or events that cite
        it.
        """

    # document texts

    def stored_text(self, document: str) -> StoredText | None:
        """Return the stored text of a document."""

    def text(self, document: str) -> str:
        """Return the characters of the stored text of a document. Raise LookupError without one."""

    # time

    def check_time(self, steps: int) -> None:
        """Raise an exception of the implementation if a decision may not take this many more steps of some 30 µs."""


class OpenHistory(History, Protocol):
    """A history to which a batch is appended; the owner undoes the batch if it is refused."""

    def append(self, event: Event, data: Data) -> Mapping[str, Sequence[Fact]]:
        """Append an event with its data; return the facts that came or went because of it, by subject."""
