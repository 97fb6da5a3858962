"""A process to work in: bound to a core, with nothing of this one's, asked for one thing after the other, and ended at
once, with whatever it has started, when it is not needed any more."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from benchmarks.machine import pin

MOST_SECONDS = 3600
"""What any piece of work may take."""
END_SECONDS = 10.0

T = TypeVar("T")


class Worker:
    """One process, from now until its end."""

    def __init__(self, core: int | None) -> None:
        context = get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, core), daemon=True)
        self._process.start()
        theirs.close()

    def do(self, work: Callable[[], T]) -> T:
        """What `work` gives there. Raises what it raises, TimeoutError where it takes too long, RuntimeError where the
        process ends over it."""
        found: T
        try:
            self._ours.send(work)
            is_done, found = self._ours.recv()
        except (EOFError, BrokenPipeError):
            raise RuntimeError("the process that was at work has ended") from None
        if not is_done:
            assert isinstance(found, BaseException)
            raise found
        return found

    def end(self) -> None:
        """Ends it, wherever it is."""
        self._ours.close()
        self._process.terminate()
        self._process.join(END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def nothing() -> None:
    """Work after which the process is known to have started."""


def _serve(asked: Connection, core: int | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever measures hears it, and ends what this process waits for
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that what it has started is ended too
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
