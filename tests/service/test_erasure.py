"""An erasure reaches every file and cache, however often it must be retried; only then is it acknowledged."""

from __future__ import annotations

import asyncio
import sys

import pytest

from service.api_keys import Scope
from service.app_keys import HEAD, KEYS
from service.commands import redaction
from service.jobs import Job, JobFailed
from service.views.replay_jobs import REPLAYS
from tests.service.registry import problem, registered

SECRET = "Zwyzzerdd"


def redaction_of(position: int) -> dict:
    return {
        "specversion": "1.0",
        "id": f"redaction-{position}",
        "source": "https://example.org/erasing",
        "type": "event.redacted",
        "subject": "parties/secret",
        "data": {"event": position, "reason": "a person asked for it"},
    }


async def read_all(replay: Job) -> bytes:
    """Return all output of a replay."""
    found = b""
    while chunk := await replay.read():
        found += chunk
    return found


@pytest.fixture
async def secret(registry):
    """Return the position of an event to be erased; the registry's key may erase from here on."""
    (receipt,) = await registry.take([{**registered("secret"), "data": {"name": SECRET, "kind": "person"}}])
    registry.key = registry.app[KEYS].create("root", [Scope.ADMIN])
    return receipt["position"]


async def test_unfinished_redaction_is_reported_and_retried(registry, secret, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/bin/false")
        broken.setattr(redaction, "RETRY_SECONDS", 0.05)
        told = await problem(await registry.post(redaction_of(secret)), 503, "unavailable")
        assert "recorded" in told["detail"]
        assert "not yet erased" in (await problem(await registry.get("/readyz"), 503, "not-ready"))["detail"]
        await problem(await registry.post(redaction_of(secret)), 503, "unavailable")
    async with asyncio.timeout(30):
        while (await registry.get("/readyz")).status != 200:  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(0.05)
    assert all(SECRET.encode() not in path.read_bytes() for path in registry.data.iterdir())
    answer = await registry.post(redaction_of(secret))
    assert answer.status == 200
    assert "name" not in await registry.json("/v1/parties/secret")


async def test_running_replays_stop_at_an_erasure(registry, secret):
    async with registry.app[REPLAYS].start("parties", registry.app[HEAD].position) as replay:
        answer = await registry.post(redaction_of(secret))
        assert answer.status == 201
        with pytest.raises(JobFailed):
            await read_all(replay)


async def test_redactions_in_one_group_are_erased_together(registry, secret, monkeypatch):
    started = 0
    real = asyncio.create_subprocess_exec

    async def counted(*arguments, **options):
        nonlocal started
        started += 1
        return await real(*arguments, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", counted)
    more = [
        (await registry.take([{**registered("secret"), "id": f"named-{number}", "type": "party.name-added",
                               "data": {"name": f"{SECRET} {number}"}}]))[0]["position"]
        for number in range(4)
    ]  # fmt: skip
    answers = await asyncio.gather(*(registry.post(redaction_of(position)) for position in (secret, *more)))
    assert [answer.status for answer in answers] == [201] * 5
    assert started <= 2
    assert all(SECRET.encode() not in path.read_bytes() for path in registry.data.iterdir())


async def test_live_stream_does_not_send_data_erased_meanwhile(registry, secret):
    async def streamed() -> bytes:
        async with (
            asyncio.timeout(20),
            registry.client.get("/v1/events/stream", headers={"Last-Event-ID": "0"}) as answer,
        ):
            found = b""
            while found.count(b"\n\n") < await registry.head():
                found += await answer.content.readany()
            return found

    assert SECRET.encode() in await streamed()
    assert (await registry.post(redaction_of(secret))).status == 201
    again = await streamed()
    assert b'"redacted":' in again
    assert SECRET.encode() not in again
