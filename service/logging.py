"""Logging: lines of JSON, written to one file by a thread of their own. A log that takes nothing, such as a full pipe,
never holds up the code that logs; lines beyond a bound are dropped and counted."""

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

MOST_WAITING_BYTES = 2**20
"""Lines that wait to be written take at most so much memory."""
_TOGETHER_SECONDS = 0.02
"""Lines of so long are written together."""
_STDERR = 2


class LogWriter:
    """Writes lines to a file, standard error by default. Its methods may be called in any thread and never wait for the
    file, but for `flush` and `close`. `dropped` is called with the count of lines that were not written.
    """

    def __init__(self, file: BinaryIO | None = None, dropped: Callable[[int], object] | None = None) -> None:
        # Unbuffered: a thread that hangs in the lock of a buffer would break the end of the process.
        self._file = open(_STDERR, "wb", buffering=0, closefd=False) if file is None else file  # noqa: SIM115
        self._dropped = dropped
        self._changed = Condition()
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._lost = 0
        self._is_writing = False
        self._is_closed = False
        self._thread: Thread | None = None

    def write(self, line: bytes) -> None:
        """Queue the line to be written, or drop it where too much waits."""
        with self._changed:
            if self._is_closed or self._bytes + len(line) > MOST_WAITING_BYTES:
                self._lose(1)
                return
            self._waiting.append(line)
            self._bytes += len(line)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            elif not self._is_writing:
                self._changed.notify_all()

    debug = info = warning = error = critical = write

    def flush(self, seconds: float = 1.0) -> None:
        """Return once everything queued before is written, or after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._is_writing, seconds)

    def close(self) -> None:
        """Write what waits, within a second; lines logged later are dropped."""
        self.flush()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if not self._waiting:
                    return
                self._is_writing = True
            time.sleep(_TOGETHER_SECONDS)
            with self._changed:
                lines, self._waiting, self._bytes = self._waiting, [], 0
                lost, self._lost = self._lost, 0
            if lost:
                lines.append(_json({"event": "log lines dropped", "count": lost, "level": "warning"}))
            try:
                self._put(b"\n".join((*lines, b"")))
            except OSError:  # a full disk: what the lines tell of goes on
                with self._changed:
                    self._lose(len(lines))

    def _put(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest:
            written = self._file.write(rest)
            if not written:  # None: a pipe that its owner made non-blocking is full
                _wait_until_writable(self._file)
            else:
                rest = rest[written:]
        self._file.flush()

    def _lose(self, count: int) -> None:
        self._lost += count
        if self._dropped is not None:
            self._dropped(count)


class StandardHandler(logging.Handler):
    """Passes what the standard library's loggers are given to a logger of ours. By default those write to standard
    error in the thread that logs, which waits where nobody reads it: asyncio and aiohttp log on the loop.
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
    return logger.bind()  # bound once, here, instead of at each line


def _json(entry: dict[str, Any], **_: object) -> bytes:
    return orjson.dumps(entry, default=repr)
