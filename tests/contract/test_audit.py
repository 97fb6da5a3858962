"""`registry audit` finds whatever was changed in a log, and names it (sections 6 and 8)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contract.audited import Story, audited, caught, entry_with, fits, rows, tampered, told


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Story:
    return told(tmp_path_factory.mktemp("story") / "data")


@pytest.fixture
def data(story: Story, tmp_path: Path) -> Path:
    return story.copied(tmp_path / "data")


def test_a_log_that_nobody_changed_fits(story, data):
    found = fits(data, "--vkey", story.vkey)
    assert {check["verdict"] for check in found.report["checks"]} == {"fits"}
    assert found.report["events"] == found.report["checkpoint"]["size"] == story.head
