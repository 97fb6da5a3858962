"""Clock of the registry: never before the last `recorded`, whatever happens to the system's clock.

It reports if the system's clock jumps, or is behind the last recorded event. It never corrects the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from service.logging import Logger

JUMP = timedelta(seconds=10)
"""Difference between the system's clock and the time that passed, beyond which the clock has jumped."""


def system_time() -> datetime:
    """Return the system's time, aware and in UTC."""
    return datetime.now(UTC)


class Clock:
    """A clock whose instants are aware and in UTC. Usable from any thread."""

    def __init__(
        self,
        source: Callable[[], datetime] = system_time,
        *,
        logger: Logger,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """`elapsed` is a monotonic count of seconds."""
        self._source = source
        self._logger = logger
        self._elapsed = elapsed
        self._recorded = datetime.min.replace(tzinfo=UTC)
        self._zero: datetime | None = None
        self._is_behind = False
        self._jump: str | None = None

    def __call__(self) -> datetime:
        """Return the present instant."""
        return max(self._read(), self._recorded)

    def observe(self, recorded: str) -> None:
        """Return no instant before this `recorded` of an event from now on."""
        self._recorded = max(self._recorded, datetime.fromisoformat(recorded))

    def warnings(self) -> list[str]:
        """Return warnings about the clock for the operator, each a sentence."""
        now = self._read()
        behind = [self._behind(now)] if self._is_behind else []
        return [*behind, self._jump] if self._jump is not None else behind

    def _read(self) -> datetime:
        """Return the system's time; a fault of it is logged once."""
        now = self._source()
        zero, self._zero = self._zero, now - timedelta(seconds=self._elapsed())
        if zero is not None and abs(jump := self._zero - zero) > JUMP:
            where = "ahead" if jump > timedelta() else "back"
            self._jump = f"the clock jumped {where} by {abs(jump).total_seconds():.0f} seconds, to {_format(now)}"
            self._logger.warning("the clock jumped", seconds=round(jump.total_seconds()), to=_format(now))
        is_behind = self._recorded - now > JUMP
        if is_behind and not self._is_behind:
            self._logger.warning("the clock is behind the last recorded event", reason=self._behind(now))
        self._is_behind = is_behind
        return now

    def _behind(self, now: datetime) -> str:
        seconds = (self._recorded - now).total_seconds()
        return (
            f"the clock is {seconds:.0f} seconds behind the last recorded event: until it has passed"
            f" {_format(self._recorded)}, every event is recorded with that instant; correct the system's clock"
        )


def _format(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds").replace("+00:00", "Z")
