"""Export: the log as NDJSON, as `/v1/events` answers it, and the views as CSV, as their lists answer them.

A data directory is only read, also while it is served. One position and one day apply to a whole export.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from projections.catalogue import LIST_VIEWS
from projections.reader import Reader
from service.clock import system_time
from service.commands.log_entry import answered_lines
from service.data_directory import LOG, VIEWS
from service.event_log import LogReader
from service.question_times import Now, read_times
from service.schemas.views import table_of

NAMES = tuple(LIST_VIEWS)
"""The views that can be exported."""
BATCH = 1000


class NothingToExport(Exception):
    """The directory lacks data for the export. The text is one line that says what to do."""


class LogExport:
    """The export of every event recorded by now."""

    def __init__(self, data: Path) -> None:
        """Raises NothingToExport, LogFormatError, LogUnavailable."""
        if not (data / LOG).exists():
            raise NothingToExport(f"there is no log in {data}; --data names the directory")
        self._log = LogReader(data / LOG)
        self.head = self._log.head()

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield groups of events in order: their number and their lines."""
        position = 0
        while rows := self._log.select_parts(position, self.head, BATCH):
            yield len(rows), answered_lines(self._log, rows)
            position = rows[-1][0]

    def close(self) -> None:
        self._log.close()


class ViewsExport:
    """The export of views as of one position and one day. The options mean what the query parameters mean."""

    def __init__(self, data: Path, as_of: str | None, on: str | None) -> None:
        """Raises NothingToExport, also if the views lack events of the log, and BadQuestion."""
        if not (data / VIEWS).exists():
            raise NothingToExport(f"there are no views in {data}; registry rebuild creates them from the log")
        self._reader = Reader(data / VIEWS)
        head = self._reader.head()
        log = LogExport(data)
        log.close()
        if log.head - head > BATCH:  # while events are recorded, the views lag by a group
            self.close()
            raise NothingToExport(
                f"the views in {data} lack the last {log.head - head} events; registry rebuild adds them"
            )
        given = {name: (value,) for name, value in (("as_of", as_of), ("on", on)) if value is not None}
        last = self._reader.recorded(head)
        then = system_time() if last is None else max(system_time(), datetime.fromisoformat(last))
        now = Now(head, then)
        self._question = read_times(given, now, self._reader.position_at)
        self._any_day = read_times(given, now, self._reader.position_at, any_day=True)

    def rows(self, view: str) -> Iterator[bytes]:
        """Yield a view as CSV, in chunks of lines."""
        table = table_of(view)
        question = self._any_day if view == "timeline" else self._question
        yield table.header
        after: list[Any] | None = None
        while True:
            page = self._reader.page(view, question, {}, sort=None, limit=BATCH, after=after)
            yield table.rows(page.items)
            if (after := page.after) is None:
                return

    def close(self) -> None:
        self._reader.close()
