"""Limits of serving with aiohttp, as a server: an echo that validates events with pydantic and stores nothing, a GET of
bytes from memory, and the same bytes sent repeatedly as one stream. It stays as simple as possible."""

from __future__ import annotations

from aiohttp import web

from benchmarks.event_models import SIGNED, SignedEvent
from benchmarks.serving import serve_until_told

READY: web.AppKey[dict[str, bytes]] = web.AppKey("ready", dict)


async def echo(request: web.Request) -> web.Response:
    """Return a posted event with 201, if it is a signed agreement."""
    raw = await request.read()
    SignedEvent.model_validate_json(raw)
    return web.Response(body=raw, status=201, content_type="application/json")


async def echo_batch(request: web.Request) -> web.Response:
    """Return a posted array with 201, if it has only signed agreements."""
    raw = await request.read()
    SIGNED.validate_json(raw)
    return web.Response(body=raw, status=201, content_type="application/json")


async def put_ready(request: web.Request) -> web.Response:
    """Set the bytes that `get_ready` returns from now on."""
    request.app[READY][""] = await request.read()
    return web.Response(status=204)


async def get_ready(request: web.Request) -> web.Response:
    """Return the bytes of the last `put_ready`."""
    return web.Response(body=request.app[READY][""], content_type="application/json")


async def get_stream(request: web.Request) -> web.StreamResponse:
    """Return these bytes `times` times, one after the other, without a length."""
    ready = request.app[READY][""]
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    for _ in range(int(request.query["times"])):
        await response.write(ready)
    await response.write_eof()
    return response


def make_app() -> web.Application:
    """Return the application."""
    app = web.Application(client_max_size=2**24)
    app[READY] = {}
    app.router.add_post("/echo", echo)
    app.router.add_post("/echo-batch", echo_batch)
    app.router.add_put("/ready", put_ready)
    app.router.add_get("/ready", get_ready)
    app.router.add_get("/stream", get_stream)
    return app


if __name__ == "__main__":
    serve_until_told(make_app())
