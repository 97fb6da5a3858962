"""Worker pool: shares of one piece of work, done by processes that end with the process that started them."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process

MOST = 4
"""Processes of one pool. The process that joins their results keeps up with no more."""
OBJECTS = 100_000
"""Objects created between two garbage collections. The default takes a tenth of the time, as events come by thousands.
"""


def cores() -> int:
    """Return how many processes are worth starting here: one for each core this process may use, `MOST` at most."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST)


@contextmanager
def worker_pool(count: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of `count` processes. Its end cancels work that has not started, and waits for the rest.

    Each worker is a new interpreter, so this process may have threads and open databases. If a worker dies, all work
    raises `BrokenProcessPool`.
    """
    with _safe_path():
        pool = ProcessPoolExecutor(count, get_context("spawn"), _start)
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _safe_path() -> Iterator[None]:
    """Keep the working directory out of the module path of processes that are started meanwhile."""
    name = "PYTHONSAFEPATH"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _start() -> None:
    """Prepare a worker."""
    gc.set_threshold(OBJECTS, 50, 50)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt reaches the parent too, and it ends the pool
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker if its parent was killed: the queue of the pool does not tell a worker."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
