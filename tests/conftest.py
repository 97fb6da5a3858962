"""Settings of hypothesis for all tests, and the story that audits and exports use."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.contract.audits import Story, record_story

settings.register_profile("registry", deadline=None)  # a loaded machine is no fault; pytest-timeout ends what hangs
settings.load_profile("registry")


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Return a registry with events of every kind that no test changes; a test takes a copy."""
    return record_story(tmp_path_factory.mktemp("story") / "data")
