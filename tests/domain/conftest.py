from __future__ import annotations

import pytest

from tests.domain.history_fake import Posts


@pytest.fixture
def posts() -> Posts:
    """Return posts to an empty history."""
    return Posts()
