"""Application keys: the parts of a running application. Each is created in a cleanup context of `service.app`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from service.api_keys import Keys
from service.clock import Clock
from service.commands.writer import Writer
from service.event_log.readers import LogReaders
from service.feed import LiveFeed
from service.logging import Logger, LogWriter
from service.metrics import Metrics, Readiness, RequestLog
from service.settings import Settings
from service.views.follower import LogPosition

REQUEST_ID: web.RequestKey[str] = web.RequestKey("request id", str)
"""Identifies a request in the log and in a problem."""

SETTINGS: web.AppKey[Settings] = web.AppKey("settings", Settings)
CLOCK: web.AppKey[Clock] = web.AppKey("clock", Clock)
LOGGER: web.AppKey[Logger] = web.AppKey("logger")
METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)
LOG_WRITER: web.AppKey[LogWriter] = web.AppKey("log writer", LogWriter)
REQUEST_LOG: web.AppKey[RequestLog] = web.AppKey("request log", RequestLog)
READY: web.AppKey[Readiness] = web.AppKey("ready", Readiness)
STARTED: web.AppKey[asyncio.Event] = web.AppKey("started", asyncio.Event)
"""Set once the start has succeeded; see `service.store.open_store`."""
STOPPING: web.AppKey[asyncio.Event] = web.AppKey("stopping", asyncio.Event)
CLEAR_CACHES: web.AppKey[list[Callable[[], None]]] = web.AppKey("clear caches", list)
"""Functions that empty the caches of answers. They are called once erased data has left the views."""
WRITER: web.AppKey[Writer] = web.AppKey("writer", Writer)
HEAD: web.AppKey[LogPosition] = web.AppKey("head", LogPosition)
LOGS: web.AppKey[LogReaders] = web.AppKey("logs", LogReaders)
LIVE: web.AppKey[LiveFeed] = web.AppKey("live", LiveFeed)
KEYS: web.AppKey[Keys] = web.AppKey("keys", Keys)
