"""What can be seen of a running registry: one line of JSON a request, metrics with few labels, and whether it is ready.
It never logs a key, a body or a query, and never lets a client choose a label."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

Logger = structlog.typing.FilteringBoundLogger

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def make_logger(file: BinaryIO | None = None) -> Logger:
    """A logger that writes a line of JSON for each thing it is told, to standard error unless another file is given."""
    logger: Logger = structlog.wrap_logger(
        structlog.BytesLogger(sys.stderr.buffer if file is None else file),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        cache_logger_on_first_use=True,
    )
    return logger.bind()  # bound once, here, instead of at each line


def _json(entry: dict[str, Any], **_: object) -> bytes:
    return orjson.dumps(entry, default=repr)


class Metrics:
    """The numbers of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "registry_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "registry_request_seconds", "Time to answer a request.", ("route",), buckets=_SECONDS, registry=registry
        )
        self._refused = Counter("registry_refused", "Requests and lines refused.", ("kind",), registry=registry)
        self._groups = Histogram(
            "registry_group_events", "Events recorded in one commit.", buckets=_SIZES, registry=registry
        )
        self._commits = Histogram(
            "registry_group_seconds", "Time to decide and commit one group.", buckets=_SECONDS, registry=registry
        )
        self._failures = Counter("registry_group_failures", "Groups that could not be recorded.", registry=registry)
        self._queued = Gauge("registry_queued", "Batches that wait for the writer.", registry=registry)
        self._queued_bytes = Gauge("registry_queued_bytes", "Bytes that wait for the writer.", registry=registry)
        self._position = Gauge("registry_position", "Position that readers have reached.", registry=registry)
        self._streams = Gauge("registry_streams", "Live streams being read.", registry=registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request was answered. `route` is a pattern of the application's, never a path that a client chose."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, kind: str, count: int = 1) -> None:
        """Requests, or lines of an import, were refused."""
        self._refused.labels(kind).inc(count)

    def committed(self, events: int, seconds: float) -> None:
        """One group was recorded."""
        self._groups.observe(events)
        self._commits.observe(seconds)

    def failed(self) -> None:
        """One group could not be recorded."""
        self._failures.inc()

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """One live stream is read within the block."""
        with self._streams.track_inprogress():
            yield

    def text(self, position: int, queued: tuple[int, int]) -> bytes:
        """Everything, in the Prometheus text format, with the head and what waits for the writer as they are now."""
        self._position.set(position)
        self._queued.set(queued[0])
        self._queued_bytes.set(queued[1])
        return generate_latest(self.registry)


class Readiness:
    """Whether the registry may be asked. It is not while anything holds it."""

    def __init__(self, holds: Iterable[str] = ()) -> None:
        self._holds = dict.fromkeys(holds)

    def hold(self, reason: str) -> None:
        """Not ready, for this reason, until it is released."""
        self._holds[reason] = None

    def release(self, reason: str) -> None:
        """This reason is gone."""
        self._holds.pop(reason, None)

    @property
    def reasons(self) -> list[str]:
        """Why it is not ready; empty when it is."""
        return list(self._holds)
