from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.server import SEEDS, Server, served


@pytest.fixture(scope="session")
def shared() -> Iterator[Server]:
    """A registry that tests share: they name their own subjects and leave those of others alone."""
    with served() as server:
        yield server


@pytest.fixture(scope="session")
def seeded() -> Iterator[Server]:
    """A registry that holds the seeds and nothing else: tests only ask."""
    with served("--seeds", str(SEEDS)) as server:
        yield server


@pytest.fixture
def server() -> Iterator[Server]:
    """A registry of the test's own, empty."""
    with served() as found:
        yield found
