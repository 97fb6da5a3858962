"""The limits of serving with aiohttp, as a server of its own: an echo that checks events with pydantic and keeps
nothing, a GET of ready bytes, and the same bytes sent many times as one stream. It does as little as can be done;
nothing here is to be made cleverer."""

from __future__ import annotations

from aiohttp import web

from benchmarks.serving import serve_until_told
from benchmarks.shapes import SIGNED, SignedEvent

READY: web.AppKey[dict[str, bytes]] = web.AppKey("ready", dict)


async def echo(request: web.Request) -> web.Response:
    """201 with what was posted, if it is an agreement signed."""
    raw = await request.read()
    SignedEvent.model_validate_json(raw)
    return web.Response(body=raw, status=201, content_type="application/json")


async def echo_batch(request: web.Request) -> web.Response:
    """201 with what was posted, if it is an array of agreements signed."""
    raw = await request.read()
    SIGNED.validate_json(raw)
    return web.Response(body=raw, status=201, content_type="application/json")


async def put_ready(request: web.Request) -> web.Response:
    """Takes the bytes that `get_ready` answers from then on."""
    request.app[READY][""] = await request.read()
    return web.Response(status=204)


async def get_ready(request: web.Request) -> web.Response:
    """The bytes last put."""
    return web.Response(body=request.app[READY][""], content_type="application/json")


async def get_stream(request: web.Request) -> web.StreamResponse:
    """The bytes last put, `times` times one after the other, without a length."""
    ready = request.app[READY][""]
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    for _ in range(int(request.query["times"])):
        await response.write(ready)
    await response.write_eof()
    return response


def make_app() -> web.Application:
    """The limits."""
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
