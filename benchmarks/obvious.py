"""The obvious implementation, as a server: aiohttp, pydantic, an aggregate of the eventsourcing library, and its
Application on SQLite, each request in a thread. No keys, no rules between subjects, no views, no second look-up."""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson
from aiohttp import web
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event

from benchmarks.event_models import SignedEvent
from benchmarks.serving import serve_until_told


class Agreement(Aggregate):
    """An agreement as the library's documentation writes aggregates."""

    @event("Signed")
    def __init__(self, slug: str, occurred: str | None, data: dict[str, Any]) -> None:
        self.slug = slug
        self.occurred = occurred
        self.data = data

    @staticmethod
    def create_id(slug: str) -> UUID:
        return uuid5(NAMESPACE_URL, slug)


class Agreements(Application[UUID]):
    """Signs and returns agreements, in any thread."""

    def sign(self, slug: str, occurred: str | None, data: dict[str, Any]) -> int:
        """Record a new agreement, and return its position in the log."""
        return int(self.save(Agreement(slug, occurred, data))[-1].notification.id)

    def told(self, slug: str) -> bytes:
        """Return the agreement as JSON. Raises AggregateNotFoundError."""
        found: Agreement = self.repository.get(Agreement.create_id(slug))
        return orjson.dumps({"slug": found.slug, "occurred": found.occurred, "version": found.version, **found.data})


AGREEMENTS: web.AppKey[Agreements] = web.AppKey("agreements", Agreements)


async def post(request: web.Request) -> web.Response:
    """Record a signed agreement."""
    signed = SignedEvent.model_validate_json(await request.read())
    slug, data = signed.subject.partition("/")[2], signed.data.model_dump(exclude_none=True)
    agreements = request.app[AGREEMENTS]
    position = await asyncio.to_thread(agreements.sign, slug, signed.occurred, data)
    return web.json_response({"position": position}, status=201)


async def get(request: web.Request) -> web.Response:
    """Return one agreement."""
    try:
        body = await asyncio.to_thread(request.app[AGREEMENTS].told, request.match_info["slug"])
    except AggregateNotFoundError:
        raise web.HTTPNotFound from None
    return web.Response(body=body, content_type="application/json")


def make_app(database: str) -> web.Application:
    """Return the application on a database file."""
    app = web.Application()
    app[AGREEMENTS] = Agreements(
        env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": database, "SQLITE_LOCK_TIMEOUT": "30"}
    )
    app.router.add_post("/agreements", post)
    app.router.add_get("/agreements/{slug}", get)
    return app


if __name__ == "__main__":
    serve_until_told(make_app(sys.argv[1]))
