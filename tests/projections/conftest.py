from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.given import World, world


@pytest.fixture
def views() -> Iterator[World]:
    """Return empty views."""
    with world() as made:
        yield made
