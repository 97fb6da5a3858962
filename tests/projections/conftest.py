from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.recorded_views import RecordedViews, new_views


@pytest.fixture
def views() -> Iterator[RecordedViews]:
    """Return empty views."""
    with new_views() as made:
        yield made
