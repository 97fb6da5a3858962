"""Worker processes of an audit: each makes summaries of ranges of a log's file, where cores are free.

A worker changes nothing and holds one range in memory. It never outlives the audit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from service.audit.checkpoints import CannotAudit
from service.audit.event_rows import stored
from service.audit.summary import Summary, Wanted, summarize
from service.event_log import LogError
from service.event_log.scan import Damaged, Scan
from service.worker_pool import cores, worker_pool

LEAST = 200_000
"""Events that are worth the start of worker processes: each imports for a quarter of a second."""
_AHEAD = 2
"""Ranges for each worker that are summarized before the audit needs them. They bound the memory."""

Summaries = Generator[Summary | None, None, None]


def processes(events: int) -> int:
    """Return the number of worker processes for a log of so many events; 0 if this process alone is as fast."""
    count = cores()
    return count if count > 1 and events >= LEAST else 0


def summaries(path: Path, until: int, size: int, wanted: Wanted, count: int) -> Summaries:
    """Yield the summary of each range of `size` positions up to `until`, in order, made by `count` processes.

    None stands for a range with a fault. The processes end with the generator. Raises CannotAudit if one of them fails.
    """
    starts = iter(range(0, until, size))
    pending: deque[Future[Summary | None]] = deque()
    with worker_pool(count) as pool:
        try:
            while True:
                while len(pending) < _AHEAD * count and (after := next(starts, None)) is not None:
                    pending.append(pool.submit(_summary, path, after, min(after + size, until), wanted))
                if not pending:
                    return
                yield pending.popleft().result()
        except BrokenProcessPool:
            raise CannotAudit("a worker process of the audit ended before its work was done") from None
        except LogError as error:
            raise CannotAudit(str(error)) from None


def _summary(path: Path, after: int, until: int, wanted: Wanted) -> Summary | None:
    """Return the summary of a range. Raises LogError."""
    with suppress(Damaged):  # the audit reads the range again and finds it too
        return summarize(stored(_scan(path).rows(after, until)), wanted)
    return None


@lru_cache(maxsize=1)
def _scan(path: Path) -> Scan:
    """Return the log's file, opened once in a worker."""
    return Scan(path)
