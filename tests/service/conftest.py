from __future__ import annotations

import pytest

from tests.service.registry import running


@pytest.fixture
async def registry(tmp_path):
    """Return an empty registry."""
    async with running(tmp_path / "data") as found:
        yield found
