"""The name of a log is fixed at its first start."""

from __future__ import annotations

import pytest

from service.event_log import Log
from service.store import OtherOrigin, fix_origin


@pytest.fixture
def log(tmp_path):
    log = Log(tmp_path / "log.sqlite")
    yield log
    log.close()


def test_the_name_of_a_log_is_fixed_at_its_first_start(log):
    fix_origin(log, "example.org/one")
    fix_origin(log, None)
    assert log.meta("origin") == "example.org/one"
    with pytest.raises(OtherOrigin, match=r"example\.org/one"):
        fix_origin(log, "example.org/two")


def test_log_without_a_given_name_gets_a_permanent_one(log):
    fix_origin(log, None)
    own = log.meta("origin")
    assert own
    fix_origin(log, None)
    assert log.meta("origin") == own
