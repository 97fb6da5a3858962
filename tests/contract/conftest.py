from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.server import SEEDS, Server, served


@pytest.fixture(scope="session")
def shared() -> Iterator[Server]:
    """Return a registry that tests share: each test uses subjects of its own."""
    with served() as server:
        yield server


@pytest.fixture(scope="session")
def seeded() -> Iterator[Server]:
    """Return a registry with the seeds and nothing else: tests only query."""
    with served("--seeds", str(SEEDS)) as server:
        yield server


@pytest.fixture
def server() -> Iterator[Server]:
    """Return an empty registry of the test's own."""
    with served() as found:
        yield found
