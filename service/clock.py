"""The clock of the registry: never before the last `recorded`, whatever happens to the clock of the system.

It reports when the system's clock jumps, or stands behind what was recorded. It never corrects either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from service.logging import Logger

JUMP = timedelta(seconds=10)
"""The system's clock may differ by so much from the time that passed before that is a jump."""


def system_time() -> datetime:
    """The time of the system, aware and in UTC."""
    return datetime.now(UTC)


class Clock:
    """Tells the time, aware and in UTC. From any thread."""

    def __init__(
        self,
        source: Callable[[], datetime] = system_time,
        *,
        logger: Logger,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """`elapsed` counts seconds that pass, and is never set."""
        self._source = source
        self._logger = logger
        self._elapsed = elapsed
        self._recorded = datetime.min.replace(tzinfo=UTC)
        self._began: datetime | None = None
        self._is_behind = False
        self._jump: str | None = None

    def __call__(self) -> datetime:
        """The present instant."""
        return max(self._looked(), self._recorded)

    def observe(self, recorded: str) -> None:
        """Have no instant from now on lie before that of an event, written as in `recorded`."""
        self._recorded = max(self._recorded, datetime.fromisoformat(recorded))

    def warnings(self) -> list[str]:
        """What somebody who runs the registry should know of the clock, in a sentence each."""
        now = self._looked()
        behind = [self._behind(now)] if self._is_behind else []
        return [*behind, self._jump] if self._jump is not None else behind

    def _looked(self) -> datetime:
        """The time of the system; what is wrong with it is logged once."""
        now = self._source()
        began, self._began = self._began, now - timedelta(seconds=self._elapsed())
        if began is not None and abs(jump := self._began - began) > JUMP:
            where = "ahead" if jump > timedelta() else "back"
            self._jump = f"the clock jumped {where} by {abs(jump).total_seconds():.0f} seconds, to {_written(now)}"
            self._logger.warning("the clock jumped", seconds=round(jump.total_seconds()), to=_written(now))
        is_behind = self._recorded - now > JUMP
        if is_behind and not self._is_behind:
            self._logger.warning("the clock is behind the last recorded event", reason=self._behind(now))
        self._is_behind = is_behind
        return now

    def _behind(self, now: datetime) -> str:
        seconds = (self._recorded - now).total_seconds()
        return (
            f"the clock is {seconds:.0f} seconds behind the last recorded event: until it has passed"
            f" {_written(self._recorded)}, every event bears that instant; set the system's clock right"
        )


def _written(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds").replace("+00:00", "Z")
