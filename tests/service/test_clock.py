"""The clock: set back, or far ahead once, with warnings; `as_of` the `recorded` of a receipt always works."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from io import BytesIO

import pytest

from service.clock import Clock
from service.logging import LogWriter, make_logger
from tests.service.commands import done
from tests.service.registry import NOON, SettableClock, registered, renamed, running


class Passing:
    """Seconds that pass under control of the test."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def warned(registry) -> list[str]:
    return [line["event"] for line in registry.lines() if line["level"] == "warning" and "clock" in line["event"]]


@pytest.mark.parametrize("hours", [-3, -24 * 400])
async def test_as_of_the_recorded_of_a_receipt_works_after_the_clock_was_set_back(registry, hours):
    first = await registry.take(registered("a"))
    registry.clock.move(hours=hours)
    second = await registry.take(registered("b"))
    assert first["recorded"] <= second["recorded"]
    for receipt in (first, second):
        for path in ("/v1/parties", "/v1/parties/a", "/v1/digests", "/v1/statistics", "/v1/graph"):
            answer = await registry.get(f"{path}?as_of={receipt['recorded']}")
            assert answer.status == 200, (path, await answer.text())
        answer = await registry.get(f"/v1/replay?view=parties&until={receipt['recorded']}")
        assert answer.status == 200, await answer.text()
    assert (await registry.json(f"/v1/parties?as_of={second['recorded']}"))["position"] == 2
    assert (await registry.get(f"/v1/parties?as_of={(NOON + timedelta(hours=1)).isoformat()[:19]}Z")).status == 422


async def test_as_of_works_after_a_start_with_a_clock_that_was_set_back(tmp_path):
    async with running(tmp_path / "data") as registry:
        receipt = await registry.take(registered("a"))
    earlier = SettableClock()
    earlier.move(days=-30)
    async with running(tmp_path / "data", earlier) as registry:
        assert (await registry.json(f"/v1/parties?as_of={receipt['recorded']}"))["position"] == 1
        assert warned(registry) == ["the clock is behind the last recorded event"]
        (warning,) = (await registry.json("/readyz"))["warnings"]
        assert "2592000 seconds behind" in warning


async def test_today_is_never_before_the_day_of_the_last_recording(registry):
    await registry.take(registered("a", occurred="2026-01-31"))
    registry.clock.move(days=-2)
    assert [item["subject"] for item in (await registry.json("/v1/parties"))["items"]] == ["parties/a"]


async def test_clock_that_jumps_is_logged_and_shown_in_readiness(registry):
    await registry.take(registered("a"))
    assert "warnings" not in await registry.json("/readyz")
    registry.clock.move(days=3650)
    await registry.take(registered("b"))
    assert warned(registry) == ["the clock jumped"]
    (warning,) = (await registry.json("/readyz"))["warnings"]
    assert "jumped ahead by 315360000 seconds" in warning
    registry.clock.move(days=-3650)
    await registry.take(renamed("a", "B"))
    assert warned(registry) == ["the clock jumped", "the clock jumped", "the clock is behind the last recorded event"]
    behind, jump = (await registry.json("/readyz"))["warnings"]
    assert "seconds behind the last recorded event" in behind
    assert "jumped back" in jump


def test_passing_time_and_a_small_correction_are_no_jump():
    source, passing, lines = SettableClock(), Passing(), BytesIO()
    writer = LogWriter(lines)
    clock = Clock(source, logger=make_logger(writer), elapsed=passing)
    for seconds, error in ((0, 0), (3600, 5), (86400, -5), (1, 0)):
        source.now += timedelta(seconds=seconds + error)
        passing.seconds += seconds
        clock()
    writer.close()
    assert (lines.getvalue(), clock.warnings()) == (b"", [])


def test_export_as_of_the_recorded_of_the_last_event_works_with_a_clock_that_was_set_back(tmp_path):
    data = tmp_path / "data"
    data.mkdir()

    async def far_ahead() -> str:
        clock = SettableClock()
        clock.move(days=36500)
        async with running(data, clock) as registry:
            return (await registry.take(registered("a")))["recorded"]

    recorded = asyncio.run(far_ahead())
    assert b"parties/a" in done("export", "parties", "--as-of", recorded, data=data)


def test_clock_is_never_before_what_it_observed():
    clock = Clock(SettableClock(), logger=make_logger(LogWriter(BytesIO())))
    clock.observe("2030-01-01T00:00:00.000001Z")
    assert clock().isoformat() == "2030-01-01T00:00:00.000001+00:00"
