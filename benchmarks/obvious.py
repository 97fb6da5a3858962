"""The obvious implementation, as a server of its own: aiohttp, pydantic, an aggregate of the eventsourcing library, and
its Application on SQLite, each request in a thread. No keys, no rules between subjects, no views, no second look-up."""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson
from aiohttp import web
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event

from benchmarks.serving import serve_until_told
from benchmarks.shapes import SignedEvent


class Agreement(Aggregate):
    """What the library's documentation would have one write."""

    @event("Signed")
    def __init__(self, slug: str, occurred: str | None, data: dict[str, Any]) -> None:
        self.slug = slug
        self.occurred = occurred
        self.data = data

    @staticmethod
    def create_id(slug: str) -> UUID:
        return uuid5(NAMESPACE_URL, slug)


class Agreements(Application[UUID]):
    """Signs agreements and tells of them, each in whatever thread it is asked."""

    def sign(self, slug: str, occurred: str | None, data: dict[str, Any]) -> int:
        """Records a new agreement; its place in the log."""
        return int(self.save(Agreement(slug, occurred, data))[-1].notification.id)

    def told(self, slug: str) -> bytes:
        """The agreement as JSON. Raises AggregateNotFoundError."""
        found: Agreement = self.repository.get(Agreement.create_id(slug))
        return orjson.dumps({"slug": found.slug, "occurred": found.occurred, "version": found.version, **found.data})


AGREEMENTS: web.AppKey[Agreements] = web.AppKey("agreements", Agreements)


async def post(request: web.Request) -> web.Response:
    """Records an agreement signed."""
    signed = SignedEvent.model_validate_json(await request.read())
    slug, data = signed.subject.partition("/")[2], signed.data.model_dump(exclude_none=True)
    agreements = request.app[AGREEMENTS]
    position = await asyncio.to_thread(agreements.sign, slug, signed.occurred, data)
    return web.json_response({"position": position}, status=201)


async def get(request: web.Request) -> web.Response:
    """One agreement."""
    try:
        body = await asyncio.to_thread(request.app[AGREEMENTS].told, request.match_info["slug"])
    except AggregateNotFoundError:
        raise web.HTTPNotFound from None
    return web.Response(body=body, content_type="application/json")


def make_app(database: str) -> web.Application:
    """The implementation on a file."""
    app = web.Application()
    app[AGREEMENTS] = Agreements(
        env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": database, "SQLITE_LOCK_TIMEOUT": "30"}
    )
    app.router.add_post("/agreements", post)
    app.router.add_get("/agreements/{slug}", get)
    return app


if __name__ == "__main__":
    serve_until_told(make_app(sys.argv[1]))
