"""Processes as Linux lists them, and waiting for conditions on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

SECONDS = 20.0


class Process(NamedTuple):
    """A process that its parent has not waited for; it may have ended."""

    pid: int
    parent: int
    group: int
    has_ended: bool


def processes() -> Iterator[Process]:
    """Yield every visible process."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has gone meanwhile
            continue
        yield Process(int(stat.parent.name), int(parent), int(group), state == "Z")


def soon(holds: Callable[[], bool]) -> bool:
    """Return whether a condition becomes true within some seconds."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
