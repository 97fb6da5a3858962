"""The filter of the log: which events a page or a stream of the log holds."""

from __future__ import annotations

from dataclasses import dataclass

from domain.catalogue import CATALOGUE
from domain.values import is_subject
from projections.engine.query_types import BadQuestion
from service.commands.log_entry import answered_lines
from service.event_log import LoggedEvent, LogReader
from service.http.operations import Parameter, Values

FILTERS = (
    Parameter(
        "type",
        "Only events of this type, or of any of several types, separated by commas.",
        {"type": "string"},
        repeatable=True,
        several=True,
    ),
    Parameter("subject", "Only events on this subject.", {"type": "string"}),
    Parameter("source", "Only events from this source.", {"type": "string"}),
)


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of events; None and empty exclude nothing."""

    types: tuple[str, ...] = ()
    subject: str | None = None
    source: str | None = None

    def read(self, log: LogReader, after: int, until: int, limit: int) -> list[LoggedEvent]:
        """Return the first events that pass, with after < position <= until."""
        return log.select_notifications(after + 1, limit, until, self.types, subject=self.subject, source=self.source)

    def lines(self, log: LogReader, after: int, until: int, limit: int) -> tuple[int, int, bytes]:
        """Return events that pass the filter as NDJSON: their number, the last position read, and the lines."""
        rows = log.select_parts(after, until, limit, topics=self.types, subject=self.subject, source=self.source)
        return len(rows), rows[-1][0] if rows else until, answered_lines(log, rows)

    def passes(self, event: LoggedEvent) -> bool:
        """Return whether an event passes."""
        return (
            (not self.types or event.type in self.types)
            and self.subject in (None, event.subject)
            and self.source in (None, event.source)
        )


def filter_of(values: Values) -> Filter:
    """Return the filter in a query. Raise BadQuestion."""
    types = values.get("type", ())
    (subject,) = values.get("subject", (None,))
    (source,) = values.get("source", (None,))
    flaws = {}
    if unknown := [name for name in types if name not in CATALOGUE]:
        flaws["type"] = f"{unknown[0]!r} is not a type the registry knows"
    if subject is not None and not is_subject(subject):
        flaws["subject"] = "is <collection>/<slug>"
    if flaws:
        raise BadQuestion(flaws)
    return Filter(types, subject, source)
