"""What a running registry says of itself: which lines wait for others, which do not, and what becomes of them."""

from __future__ import annotations

import asyncio
from io import BytesIO

import orjson
import pytest

from service.observe import Lines, make_logger
from tests.service.world import registered, running


class Counting(BytesIO):
    """A file that knows how often it was written to."""

    writes = 0

    def write(self, data) -> int:
        self.writes += 1
        return super().write(data)


class Full(BytesIO):
    """A file on a disk that is full."""

    def write(self, data) -> int:
        raise OSError(28, "No space left on device")


def said(file: BytesIO) -> list[str]:
    return [orjson.loads(line)["event"] for line in file.getvalue().splitlines()]


async def test_lines_of_one_turn_of_the_loop_are_written_at_once():
    file = Counting()
    logger = make_logger(Lines(file))
    for number in range(50):
        logger.info("said", number=number)
    await asyncio.sleep(0)
    assert [orjson.loads(line)["number"] for line in file.getvalue().splitlines()] == list(range(50))
    assert file.writes == 1


async def test_a_warning_waits_for_nothing_and_comes_after_what_was_said_before_it():
    file = BytesIO()
    logger = make_logger(Lines(file))
    logger.info("first")
    logger.warning("second")
    assert said(file) == ["first", "second"]
    await asyncio.sleep(0)
    assert said(file) == ["first", "second"]


@pytest.mark.parametrize("say", ["warning", "error", "critical", "exception"])
async def test_whatever_warns_is_written_before_the_next_step(say):
    file = BytesIO()
    getattr(make_logger(Lines(file)), say)("now")
    assert said(file) == ["now"]


def test_where_no_loop_runs_a_line_is_written_at_once():
    file = BytesIO()
    make_logger(Lines(file)).info("now")
    assert said(file) == ["now"]


async def test_lines_from_a_thread_are_written_with_those_that_wait():
    file = BytesIO()
    logger = make_logger(Lines(file))
    logger.info("from the loop")
    await asyncio.to_thread(logger.info, "from a thread")
    assert said(file) == ["from the loop", "from a thread"]


async def test_a_log_that_cannot_be_written_fails_no_request(tmp_path):
    async with running(tmp_path, log=Full()) as registry:
        await registry.take(registered("a"))
        assert (await registry.get("/v1/parties/a")).status == 200


def test_what_is_said_last_of_all_is_written():
    file = BytesIO()
    logger = make_logger(Lines(file))

    async def say() -> None:
        logger.info("last")

    asyncio.run(say())
    assert said(file) == ["last"]
