"""Logging: lines of JSON, written to one file by a thread of their own.

A file that accepts nothing, such as a full pipe, never blocks the code that logs. Lines beyond a bound are dropped and
counted.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable
from threading import Condition, Thread
from typing import Any, BinaryIO

import orjson
import structlog

Logger = structlog.typing.FilteringBoundLogger

MAX_QUEUED_BYTES = 2**20
"""Memory that queued lines may take."""
_BATCH_SECONDS = 0.02
"""Lines of this time are written together."""
_STDERR = 2


class LogWriter:
    """Writes lines to a file, standard error by default. Its methods may be called from any thread.

    Only `flush` and `close` wait for the file. `dropped` is called with the number of lines that were not written.
    """

    def __init__(self, file: BinaryIO | None = None, dropped: Callable[[int], object] | None = None) -> None:
        # Unbuffered: a thread that hangs in the lock of a buffer would break the end of the process.
        self._file = open(_STDERR, "wb", buffering=0, closefd=False) if file is None else file  # noqa: SIM115
        self._dropped = dropped
        self._changed = Condition()
        self._queue: list[bytes] = []
        self._bytes = 0
        self._lost = 0
        self._is_writing = False
        self._is_closed = False
        self._thread: Thread | None = None

    def write(self, line: bytes) -> None:
        """Queue the line, or drop it if the queue is full."""
        with self._changed:
            if self._is_closed or self._bytes + len(line) > MAX_QUEUED_BYTES:
                self._drop(1)
                return
            self._queue.append(line)
            self._bytes += len(line)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            elif not self._is_writing:
                self._changed.notify_all()

    debug = info = warning = error = critical = write

    def flush(self, seconds: float = 1.0) -> None:
        """Return once all queued lines are written, or after this time."""
        with self._changed:
            self._changed.wait_for(lambda: not self._queue and not self._is_writing, seconds)

    def close(self) -> None:
        """Write the queued lines, within a second. Lines logged later are dropped."""
        self.flush()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._queue or self._is_closed)
                if not self._queue:
                    return
                self._is_writing = True
            time.sleep(_BATCH_SECONDS)
            with self._changed:
                lines, self._queue, self._bytes = self._queue, [], 0
                lost, self._lost = self._lost, 0
            if lost:
                lines.append(_json({"event": "log lines dropped", "count": lost, "level": "warning"}))
            try:
                self._write_all(b"\n".join((*lines, b"")))
            except OSError:  # as on a full disk: the service goes on without these lines
                with self._changed:
                    self._drop(len(lines))

    def _write_all(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest:
            written = self._file.write(rest)
            if not written:  # None: a full pipe that is non-blocking
                _wait_until_writable(self._file)
            else:
                rest = rest[written:]
        self._file.flush()

    def _drop(self, count: int) -> None:
        self._lost += count
        if self._dropped is not None:
            self._dropped(count)


class StandardHandler(logging.Handler):
    """Passes records of the standard library's loggers to a logger of ours.

    By default they write to standard error in the thread that logs, and wait if nobody reads it. asyncio and aiohttp
    log on the event loop.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record."""
        self._logger.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def _wait_until_writable(file: BinaryIO) -> None:
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    poll.poll()


def make_logger(writer: LogWriter) -> Logger:
    """Return a logger that writes each entry as a line of JSON."""
    logger: Logger = structlog.wrap_logger(
        writer,
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        cache_logger_on_first_use=True,
    )
    return logger.bind()  # bound once here, not for each line


def _json(entry: dict[str, Any], **_: object) -> bytes:
    return orjson.dumps(entry, default=repr)
