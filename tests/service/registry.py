"""Helpers of the service's tests: a registry that listens, a client with a key, events to post."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from service import app as serving
from service.api_keys import Scope
from service.app import make_app
from service.app_keys import KEYS, LOG_WRITER
from service.limits import MOST_CONNECTIONS
from service.settings import Settings

SOURCE = "https://example.org/tests"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def registered(slug: str, **changes: Any) -> dict[str, Any]:
    """Return the registration of a party, which is accepted if the party is new."""
    return {
        "specversion": "1.0",
        "id": f"registered-{slug}",
        "source": SOURCE,
        "type": "party.registered",
        "subject": f"parties/{slug}",
        "data": {"name": slug.title(), "kind": "company"},
    } | changes


def renamed(slug: str, name: str, **changes: Any) -> dict[str, Any]:
    """Return the renaming of a party, which is accepted if the party exists."""
    return {
        "specversion": "1.0",
        "id": f"renamed-{slug}-{name}",
        "source": SOURCE,
        "type": "party.renamed",
        "subject": f"parties/{slug}",
        "data": {"name": name},
    } | changes


def lines(*events: object) -> bytes:
    """Return events as NDJSON; bytes stay as they are."""
    return b"".join((event if isinstance(event, bytes) else orjson.dumps(event)) + b"\n" for event in events)


class SettableClock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Registry:
    """A registry that listens, and a client with a posting key."""

    client: TestClient
    key: str
    log: BinaryIO
    clock: SettableClock
    data: Path
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def app(self):
        return self.client.app

    def logged(self) -> bytes:
        """Return its log, which is a file in memory."""
        self.app[LOG_WRITER].flush()
        assert isinstance(self.log, BytesIO)
        return self.log.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        """Return its log lines."""
        return [orjson.loads(line) for line in self.logged().splitlines()]

    async def post(
        self, body: object, *, type_: str | None = None, key: str | None = "", query: str = "", **headers: str
    ) -> ClientResponse:
        """Post an event, or a list of events as a batch; bytes as they are."""
        if type_ is None:
            type_ = BATCH if isinstance(body, list) else STRUCTURED
        sent = {"Content-Type": type_} | {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["Authorization"] = f"Bearer {key or self.key}"
        data = orjson.dumps(body) if isinstance(body, (dict, list)) else body
        if isinstance(data, bytes):
            data = BytesIO(data)
        return await self.client.post(f"/v1/events{query}", data=data, headers=sent)

    async def take(self, body: object, **more: str) -> Any:
        """Post events that must be accepted; return the receipt or receipts."""
        answer = await self.post(body, **more)
        assert answer.status in (200, 201), await answer.text()
        return await answer.json()

    async def import_(self, body: object, **more: Any) -> list[dict[str, Any]]:
        """Import lines; return the result of each."""
        answer = await self.post(body, type_=NDJSON, **more)
        assert answer.status == 200, await answer.text()
        return [orjson.loads(line) for line in (await answer.read()).splitlines()]

    async def get(self, path: str, **headers: str) -> ClientResponse:
        return await self.client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def json(self, path: str) -> Any:
        answer = await self.get(path)
        assert answer.status == 200, await answer.text()
        return await answer.json()

    async def head(self) -> int:
        """Return the log's head, as a client sees it."""
        return (await self.json("/v1/events?limit=1"))["position"]


async def problem(answer: ClientResponse, status: int, kind: str) -> dict[str, Any]:
    """Check that an answer is this problem; return it."""
    text = await answer.text()
    assert (answer.status, answer.content_type) == (status, "application/problem+json"), text
    found = orjson.loads(text)
    assert (found["type"], found["status"]) == (f"/problems/{kind}", status), text
    assert found["title"]
    return found


@asynccontextmanager
async def running(data: Path, clock: SettableClock | None = None, log: BinaryIO | None = None, **settings: Any):
    """Yield a registry on that directory; stop it and release the directory at the end."""
    logged = log or BytesIO()
    clock = clock or SettableClock()
    app = make_app(Settings(data=data, **settings), clock=clock, log=logged)
    server = _Server(app)
    await server.start_server()  # by itself: where it fails there is no client yet to be closed
    async with TestClient(server) as client:
        key = _key(app)
        yield Registry(client, key, logged, clock, data)


class _Server(TestServer):
    async def _make_runner(self, **_options: Any) -> web.BaseRunner:
        self._stack = AsyncExitStack()
        running = serving.running(self.app, connections=MOST_CONNECTIONS, stop_seconds=60.0)
        return await self._stack.enter_async_context(running)

    async def close(self) -> None:
        await self._stack.aclose()
        await super().close()


def _key(app) -> str:
    names = {key.name for key in app[KEYS].all()}
    return app[KEYS].create(next(name for name in _NAMES if name not in names), [Scope.POST])


_NAMES = ["analyst", *(f"analyst-{number}" for number in range(2, 100))]
