"""What a question costs, counted instead of timed: steps of SQLite's machine, the same on every computer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.given import World

_EACH = 10


def steps(found: World, ask: Callable[[], Any]) -> int:
    """The steps that a question takes, to ten, once everything it keeps in memory is there."""
    ask()
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += _EACH
        return 0

    found.reader._db.set_progress_handler(count, _EACH)
    try:
        ask()
    finally:
        found.reader._db.set_progress_handler(None, 0)
    return taken
