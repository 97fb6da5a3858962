"""A worker process: bound to a core, without state of this process; it runs one function after the other, and ends
immediately with all its children when it is not needed any more."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from benchmarks.machine import pin

MOST_SECONDS = 3600
"""The time limit of one function."""
END_SECONDS = 10.0

T = TypeVar("T")


class Worker:
    """One worker process."""

    def __init__(self, core: int | None) -> None:
        context = get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, core), daemon=True)
        self._process.start()
        theirs.close()

    def do(self, work: Callable[[], T]) -> T:
        """Return the result of `work` there. Raises its exception, TimeoutError if it takes too long, RuntimeError if
        the process ends."""
        found: T
        try:
            self._ours.send(work)
            is_done, found = self._ours.recv()
        except (EOFError, BrokenPipeError):
            raise RuntimeError("the worker process has ended") from None
        if not is_done:
            assert isinstance(found, BaseException)
            raise found
        return found

    def end(self) -> None:
        """End it, whatever it does."""
        self._ours.close()
        self._process.terminate()
        self._process.join(END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def nothing() -> None:
    """Do nothing: the result shows that the process has started."""


def _serve(asked: Connection, core: int | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the benchmarks receive it, and end the work of this process
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that its children are ended too
    signal.signal(signal.SIGALRM, _too_long)
    pin(core)
    while True:
        try:
            work = asked.recv()
        except EOFError:
            return
        asked.send(_outcome(work))


def _outcome(work: Callable[[], Any]) -> tuple[bool, Any]:
    signal.alarm(MOST_SECONDS)
    try:
        return True, work()
    except Exception as error:  # noqa: BLE001 - whoever asked for the work gets it
        return False, error
    finally:
        signal.alarm(0)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"it took longer than {MOST_SECONDS} s")
