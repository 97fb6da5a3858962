"""Serving the limits: on a free port of loopback, which is printed, until SIGTERM."""

from __future__ import annotations

import asyncio
import signal

from aiohttp import web


def serve_until_told(app: web.Application) -> None:
    """Serve, print the address, and return on SIGTERM."""
    asyncio.run(_serve(app))


async def _serve(app: web.Application) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await stop.wait()
    await runner.cleanup()
