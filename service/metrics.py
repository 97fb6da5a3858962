"""Observability: one log line per request, metrics with few labels, and readiness.

Keys, bodies and queries are never logged, and a client never chooses a label.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import accumulate
from math import inf

import orjson
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from service.logging import LogWriter

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class _RequestCollector(Collector):
    """Counts and durations of requests. Belongs to the event loop's thread.

    It replaces the library's counters, which take a lock for each of the three numbers that a request changes.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], int] = {}
        self._times: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def count(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Count a request; `seconds` is None if the answer was streamed."""
        kind = method, route, status
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if seconds is None:
            return
        if (times := self._times.get(route)) is None:
            times = self._times[route] = [0] * (len(_SECONDS) + 1)
            self._seconds[route] = 0.0
        times[bisect_left(_SECONDS, seconds)] += 1
        self._seconds[route] += seconds

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics in the library's form."""
        labels = ("method", "route", "status")
        requests = CounterMetricFamily("registry_requests", "Requests answered.", labels=labels)
        for (method, route, status), count in self._counts.items():
            requests.add_metric((method, route, str(status)), count)
        yield requests
        durations = HistogramMetricFamily(
            "registry_request_seconds", "Time to answer a request, unless streamed.", labels=("route",)
        )
        for route, times in self._times.items():
            buckets = list(zip(map(floatToGoString, (*_SECONDS, inf)), map(float, accumulate(times)), strict=True))
            durations.add_metric((route,), buckets, self._seconds[route])
        yield durations


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._requests = _RequestCollector()
        registry.register(self._requests)
        self._refused = Counter("registry_refused", "Requests and lines refused.", ("kind",), registry=registry)
        self._kinds: dict[str, Counter] = {}  # a cache: to look up a label takes longer than to count
        self._groups = Histogram(
            "registry_group_events", "Events recorded in one commit.", buckets=_SIZES, registry=registry
        )
        self._commits = Histogram(
            "registry_group_seconds", "Time to decide and commit one group.", buckets=_SECONDS, registry=registry
        )
        self._failures = Counter("registry_group_failures", "Groups that could not be recorded.", registry=registry)
        self._queued = Gauge("registry_queued", "Batches in the write queue.", registry=registry)
        self._queued_bytes = Gauge("registry_queued_bytes", "Bytes in the write queue.", registry=registry)
        self._position = Gauge("registry_position", "Position that readers can see.", registry=registry)
        self._signed = Gauge(
            "registry_checkpoint_position", "Last position that the newest checkpoint covers.", registry=registry
        )
        self._log_lines_dropped = Counter(
            "registry_log_lines_dropped", "Log lines dropped instead of written.", registry=registry
        )
        self._streams = Gauge("registry_streams", "Open live streams.", registry=registry)

    def answered(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Count a request and its duration; `seconds` is None if the answer was streamed.

        `route` is a pattern of the application, never a path that a client chose.
        """
        self._requests.count(method, route, status, seconds)

    def refused(self, kind: str, count: int = 1) -> None:
        """Count refused requests, or refused lines of an import."""
        if (counter := self._kinds.get(kind)) is None:
            counter = self._kinds[kind] = self._refused.labels(kind)
        counter.inc(count)

    def log_lines_dropped(self, count: int) -> None:
        """Count log lines that were dropped."""
        self._log_lines_dropped.inc(count)

    def committed(self, events: int, seconds: float) -> None:
        """Count a group that was recorded."""
        self._groups.observe(events)
        self._commits.observe(seconds)

    def failed(self) -> None:
        """Count a group that could not be recorded."""
        self._failures.inc()

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Count a live stream for as long as the block lasts."""
        with self._streams.track_inprogress():
            yield

    def text(self, position: int, signed: int, queued: tuple[int, int]) -> bytes:
        """Return all metrics in the Prometheus text format.

        The arguments are present values: the readable position, the signed position, and the batches and bytes queued.
        """
        self._position.set(position)
        self._signed.set(signed)
        self._queued.set(queued[0])
        self._queued_bytes.set(queued[1])
        return generate_latest(self.registry)


class RequestLog:
    """Writes one line and the metrics for each request that was answered.

    The line is what the logger would write. It is put together here because it is most of the cost of a cached answer.
    """

    def __init__(self, metrics: Metrics, writer: LogWriter) -> None:
        self._metrics = metrics
        self._writer = writer

    def answered(
        self,
        *,
        request_id: str,
        remote: str | None,
        method: str,
        route: str,
        path: str,
        status: int,
        seconds: float,
        size: int,
        actor: str | None,
        is_streamed: bool,
    ) -> None:
        """Log a request that was answered with `size` bytes. `route` is a pattern of the application."""
        self._metrics.answered(method, route, status, None if is_streamed else seconds)
        entry = {
            "request_id": request_id,
            "remote": remote,
            "method": method,
            "route": route,
            "path": path,
            "status": status,
            "ms": round(seconds * 1000, 2),
            "bytes": size,
            "actor": actor,
            "event": "request",
            "level": "info",
            "timestamp": datetime.now(UTC),
        }
        self._writer.write(orjson.dumps(entry, option=orjson.OPT_UTC_Z))


class Readiness:
    """Readiness: the registry is ready unless there is a reason against it."""

    def __init__(self, reasons: Iterable[str] = ()) -> None:
        self._reasons = dict.fromkeys(reasons)

    def block(self, reason: str) -> None:
        """Add a reason; the registry is not ready until it is removed."""
        self._reasons[reason] = None

    def unblock(self, reason: str) -> None:
        """Remove a reason."""
        self._reasons.pop(reason, None)

    @property
    def reasons(self) -> list[str]:
        """The reasons why the registry is not ready; empty if it is."""
        return list(self._reasons)
