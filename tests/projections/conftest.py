from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.given import World, world


@pytest.fixture
def views() -> Iterator[World]:
    """Views that hold nothing yet."""
    with world() as made:
        yield made
