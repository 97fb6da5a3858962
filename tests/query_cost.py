"""The cost of a query in steps of SQLite's virtual machine, which is the same on every computer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from projections import timeline
from projections.engine import planner
from tests.recorded_views import RecordedViews

_EACH = 10


def steps(found: RecordedViews, ask: Callable[[], Any]) -> int:
    """Return the steps of a query, to the nearest ten, with warm caches. The planner's limit is lifted, because a
    connection has only one progress handler.
    """
    ask()
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += _EACH
        return 0

    with pytest.MonkeyPatch.context() as patch:
        for module in (planner, timeline):
            patch.setattr(module, "bounded", lambda *_: nullcontext())
        found.reader._db.set_progress_handler(count, _EACH)
        try:
            ask()
        finally:
            found.reader._db.set_progress_handler(None, 0)
    return taken
