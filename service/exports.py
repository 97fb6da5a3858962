"""The log and the views as files: every event as `/v1/events` answers it, every view as the CSV that its list answers.
Reads a data directory, also while it is served; one position and one day hold for all of an export."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from projections.reader import Reader
from service.clock import system_time
from service.commands.log_entry import answered_lines
from service.data_directory import LOG, VIEWS
from service.event_log import LogReader
from service.http.query_parameters import Now, read_times
from service.http.tables import OF_VIEW

NAMES = tuple(OF_VIEW)
"""The views that can be exported."""
AT_ONCE = 1000


class NothingHere(Exception):
    """The directory does not hold what is to be exported. One line that says what would help."""


class LogExport:
    """Every event recorded by now."""

    def __init__(self, data: Path) -> None:
        """Raises NothingHere, LogFormatError, LogUnavailable."""
        if not (data / LOG).exists():
            raise NothingHere(f"there is no log in {data}; --data names the directory")
        self._log = LogReader(data / LOG)
        self.head = self._log.head()

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Some events at a time, in order: how many, and their lines."""
        position = 0
        while rows := self._log.pieces(position, self.head, AT_ONCE):
            yield len(rows), answered_lines(self._log, rows)
            position = rows[-1][0]

    def close(self) -> None:
        self._log.close()


class ViewsExport:
    """The views as of one position and one day; what each command option means is what the query parameter means."""

    def __init__(self, data: Path, as_of: str | None, on: str | None) -> None:
        """Raises NothingHere, also where the views lack what the log has; and BadQuestion."""
        if not (data / VIEWS).exists():
            raise NothingHere(f"there are no views in {data}; registry rebuild makes them from the log")
        self._reader = Reader(data / VIEWS)
        head = self._reader.head()
        log = LogExport(data)
        log.close()
        if log.head - head > AT_ONCE:  # while events are being recorded, the views are behind by a group
            self.close()
            raise NothingHere(f"the views in {data} lack the last {log.head - head} events; registry rebuild adds them")
        given = {name: (value,) for name, value in (("as_of", as_of), ("on", on)) if value is not None}
        last = self._reader.recorded(head)
        then = system_time() if last is None else max(system_time(), datetime.fromisoformat(last))
        now = Now(head, then)
        self._question = read_times(given, now, self._reader.position_at)
        self._whenever = read_times(given, now, self._reader.position_at, any_day=True)

    def rows(self, view: str) -> Iterator[bytes]:
        """A view as CSV, some lines at a time."""
        table = OF_VIEW[view]
        question = self._whenever if view == "timeline" else self._question
        yield table.header
        after: list[Any] | None = None
        while True:
            page = self._reader.page(view, question, {}, sort=None, limit=AT_ONCE, after=after)
            yield table.rows(page.items)
            if (after := page.after) is None:
                return

    def close(self) -> None:
        self._reader.close()
