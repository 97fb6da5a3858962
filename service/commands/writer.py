"""The one writer: takes queued posts in groups, decides each batch against all before it, commits once, answers all.

There is no timer: a group is what arrived while the group before was committed. It must never answer before the events
are on disk, never let a client read a state older than an earlier answer, never let the refusal of one batch affect
another, and never lose a queued batch because its client disconnected. The order of the durable steps is in
`Writer._record`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TypeVar

import orjson

from domain.errors import Refused
from projections.engine.time_limit import TooLong
from projections.views import Views
from service.clock import Clock
from service.commands.decisions import Batch, Decisions
from service.commands.log_entry import Receipt
from service.commands.write_queue import ExclusiveTask, Outcome, Posts, WriteQueue
from service.event_log import DuplicateEvent, HeadMoved, Log, LogError, LogUnavailable, VersionConflict
from service.logging import Logger
from service.metrics import Metrics
from service.views.follower import LogPosition, catch_up

LOOP_SECONDS = 0.003
"""The longest decision on the loop; a longer one moves to the writer's thread. It is also the longest time for which
the loop decides batches before it serves other tasks."""
SETTLE_ROWS = 256
"""The most rows that wait in memory between two batches: the next query writes them first, on the loop."""
PUBLISH_EVENTS = 1_000
PUBLISH_SECONDS = 1.0
"""The most events, and the longest time, before the views commit without a reader: each commit writes every changed
page once."""
SETTLE_SECONDS = 0.1
"""The longest time for which rows wait in memory: writing very many together would delay posts."""
IDLE_SECONDS = 0.01
"""The time without work after which the views commit."""
RACES = 8
"""How often a group is decided again after another writer appended first."""
MEND_SECONDS = 1.0
SCRUB_SECONDS = 10.0

_STOPPED = "it is recorded, and erased from the log; when the registry starts again, it is erased everywhere else"

T = TypeVar("T")


class Unavailable(Exception):
    """The post was not recorded, or it is not known whether it was. A retry is safe, and may succeed later."""


class Writer:
    """Owns the log and the write half of the views. Created and used on the loop's thread."""

    def __init__(
        self,
        log: Log,
        views: Views,
        head: LogPosition,
        *,
        clock: Clock,
        logger: Logger,
        metrics: Metrics,
    ) -> None:
        """`views` have caught up with `log`."""
        self._log = log
        self._views = views
        self._head = head
        self._clock = clock
        self._logger = logger
        self._metrics = metrics
        self._waiting = WriteQueue()
        self._work = asyncio.Event()
        self._stopping = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._task: asyncio.Task[None] | None = None
        self._decided = ""
        """The `recorded` of the last group."""
        self._observe_last()
        self._lags = False
        """Whether an acknowledged event is not yet visible."""
        self._lagging_since = self._settled = 0.0
        self._asked: asyncio.Future[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self.erased: Callable[[], Awaitable[None]] | None = None
        """Completes an erasure in all other files and caches; awaited before a batch that erases is answered."""
        self.failure: str | None = None
        """The reason why nothing can be recorded at the moment, if any."""
        self.refusal: str | None = None
        """The reason why nothing may be recorded until the next start, if any; other parts of the service set it."""
        self.recorded = LogPosition()
        """The position up to which events are recorded, though perhaps not visible before `publish`."""
        self._show(views.position)

    def start(self) -> None:
        """Start to decide queued batches."""
        self._task = asyncio.create_task(self._run(), name="writer")

    async def stop(self) -> None:
        """Accept no more, record the queued batches, and return once all of them are answered. A running erasure is
        given up, as it may take minutes; the next start completes it. May be called again.
        """
        self._stopping = True
        self._work.set()
        self._waiting.close()
        if self._task is not None:
            await self._task
        for answering in self._answering:
            answering.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        self._thread.shutdown()

    @property
    def queued(self) -> tuple[int, int]:
        """The number of batches that are queued or being recorded, and their bytes."""
        return self._waiting.batches, self._waiting.bytes

    def is_full(self, size: int = 0) -> bool:
        """Return whether a post of this size would be refused now."""
        return self._waiting.is_full(size)

    @property
    def each(self) -> float:
        """Recent seconds to record an event."""
        return self._waiting.each

    @property
    def views(self) -> Views:
        """The current views; `between` may replace them. For the writer's thread and the end."""
        return self._views

    async def post(self, batch: Batch) -> list[Receipt]:
        """Record a batch; return the receipts of its events, in order, once they are durable.

        They are visible after `publish`. Raise Refused, Overloaded, Unavailable. Cancelling does not withdraw the
        batch.
        """
        self._waiting.refuse_if_full(batch.size)
        (outcome,) = await self._put((batch,))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def publish(self) -> None:
        """Return once every acknowledged event is visible.

        Raise Unavailable if the views have failed and lack an acknowledged event: an older state would be taken for the
        current one.
        """
        if not self._lags:
            return
        answered = self.recorded.position
        if self.failure is None:
            if self._asked is None:
                self._asked = asyncio.get_running_loop().create_future()
                self._work.set()
            await asyncio.shield(self._asked)
        if self._head.position < answered:
            raise Unavailable(f"what was recorded last cannot be read at the moment: {self.failure}")

    async def submit(self, batches: Sequence[Batch]) -> asyncio.Future[list[Outcome]]:
        """Queue each batch alone, in order, sharing commits; the future gets an outcome for each.

        It waits for room instead of refusing. Raise Unavailable once the writer is stopping.
        """
        await self._waiting.room()
        return self._put(batches)

    async def check(self, trial: Callable[[Decisions], T], size: int = 0) -> T:
        """Run `trial` in the writer's thread with decisions that are then discarded; return its result.

        Each batch sees those accepted before it. `size` is the trial's size in memory while it is queued. Raise
        Overloaded, Unavailable, and what `trial` raises.
        """
        self._waiting.refuse_if_full(size)

        def tried() -> T:  # nothing waits: what is acknowledged is committed before a turn
            with self._views.trial():
                return trial(Decisions(self._log, self._views, self._now(), is_trial=True))

        with self._waiting.counted(size):
            return await self._turn(tried)

    async def between(self, replace: Callable[[Views], Views]) -> None:
        """Run `replace` in the writer's thread between two groups: it gets the views and returns those to use from then
        on.

        The returned views may lack the last events, which are then folded. If it raises, the old views stay in use, so
        it must leave them intact.
        """

        def replaced() -> None:
            self._views = replace(self._views)
            self._mended()

        await self._turn(replaced, mends=True)

    async def scrub(self) -> None:
        """Remove erased data from the log's files, between two groups. Raise LogUnavailable."""
        deadline = perf_counter() + SCRUB_SECONDS
        while not await self._turn(self._log.scrub):
            if perf_counter() > deadline:
                raise LogUnavailable("a reader of the log is in the way of erasing")
            await asyncio.sleep(0.02)

    async def _turn(self, work: Callable[[], T], *, mends: bool = False) -> T:
        self._refuse_if_stopping()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.add(ExclusiveTask(work, future, mends))
        self._work.set()
        return await future

    def _put(self, batches: Sequence[Batch]) -> asyncio.Future[list[Outcome]]:
        self._refuse_if_stopping()
        if self.refusal is not None:
            raise Unavailable(self.refusal)
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting.add(Posts.of(batches, future))
        self._work.set()
        return future

    def _refuse_if_stopping(self) -> None:
        if self._stopping:
            raise Unavailable("the registry is stopping")

    # --- the task ---

    async def _run(self) -> None:
        while True:
            if self._asked is not None or (self._stopping and not self._waiting):
                await self._publish()
            if not self._waiting:
                if self._stopping:
                    return
                if not await self._woken():
                    await (self._mend() if self.failure else self._publish())
                continue
            await asyncio.sleep(0)  # what has arrived already joins the group
            match self._waiting.next():
                case ExclusiveTask() as turn:
                    await self._take_turn(turn)
                case list() as works:
                    await self._take_group(works)

    async def _woken(self) -> bool:
        """Wait for work; return False if none arrives in time."""
        self._work.clear()
        timer = None
        if (patience := self._patience) is not None:
            timer = asyncio.get_running_loop().call_later(patience, self._work.set)
        await self._work.wait()
        if timer is None:
            return True
        timer.cancel()
        return bool(self._waiting) or self._asked is not None or self._stopping

    @property
    def _patience(self) -> float | None:
        """Return the seconds to wait for work before the views must be committed."""
        if self.failure:
            return MEND_SECONDS
        return IDLE_SECONDS if self._views.waiting else None

    async def _publish(self) -> None:
        """Commit the views if they have uncommitted events, and wake the readers that wait for it."""
        if self._views.waiting and self.failure is None:
            if await self._threaded(self._commit_views):
                self._show(self._views.position)
            else:
                await self._mend()
        self._let_go()

    def _show(self, position: int) -> None:
        """Make everything up to a position visible."""
        self._lags = False
        self.recorded.advance(position)
        self._head.advance(position)
        self._let_go()

    def _let_go(self) -> None:
        """Wake the readers that wait for a commit."""
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.set_result(None)

    async def _take_turn(self, turn: ExclusiveTask) -> None:
        try:
            await self._publish()
            if self.failure is not None and not turn.mends and not await self._mend():
                raise Unavailable(self.failure)
            result = await self._threaded(turn.work)
            if turn.mends:
                self._is_mended()
        except Exception as error:  # noqa: BLE001 - whoever asked for the work gets it
            if not turn.future.done():
                turn.future.set_exception(error)
        else:
            if not turn.future.done():
                turn.future.set_result(result)

    async def _take_group(self, works: list[Posts]) -> None:
        batches = [batch for work in works for batch in work.batches]
        began = perf_counter()
        outcomes = iter(await self._outcomes(batches))
        self._waiting.done(works, perf_counter() - began)
        for work in works:
            own = [next(outcomes) for _ in work.batches]
            if self.erased is not None and any(batch.erases for batch in work.batches):
                task = asyncio.create_task(self._answer_erased(work, own, self.erased))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
            elif not work.future.done():
                work.future.set_result(own)

    async def _answer_erased(self, work: Posts, own: list[Outcome], erased: Callable[[], Awaitable[None]]) -> None:
        """Answer once the erased data is gone everywhere; a batch that erases gets the error if that failed."""
        try:
            await erased()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whoever posted gets it
            told = error if isinstance(error, Exception) else Unavailable(_STOPPED)
            own = [
                told if batch.erases and isinstance(outcome, list) else outcome
                for batch, outcome in zip(work.batches, own, strict=True)
            ]
        if not work.future.done():
            work.future.set_result(own)

    async def _outcomes(self, batches: Sequence[Batch]) -> Sequence[Outcome]:
        """Return the outcome of each batch; never raise."""
        for _ in range(RACES):
            if self.failure is not None and not await self._mend():
                return [Unavailable(self.failure) for _ in batches]
            try:
                return await self._record(batches)
            except (HeadMoved, VersionConflict, DuplicateEvent):
                await self._mend()  # another writer was faster: decided again, after what it recorded
            except (LogError, sqlite3.OperationalError) as error:
                self._metrics.failed()
                self._logger.error("events could not be recorded", batches=len(batches), error=str(error))
                await self._mend()
                return [Unavailable("the store could not take it") for _ in batches]
            except Exception as error:
                self._logger.exception("a batch could not be decided", batches=len(batches))
                await self._mend()
                if len(batches) == 1:
                    return [error]
                return [outcome for batch in batches for outcome in await self._outcomes([batch])]
        return [Unavailable("other writers were faster each time") for _ in batches]

    async def _record(self, batches: Sequence[Batch]) -> Sequence[Outcome]:
        """Decide and commit one group.

        The order of the steps is a promise. After a failure at any step, the earlier steps are durable. The log alone
        is the truth: the answers, and where to go on, can always be read from it.

        1. `views.admit` and `log.append`, batch by batch, in open transactions. Nothing is on disk. If it fails, both
           are rolled back, and the whole group is answered 503: a refusal may depend on an event that is now lost.
        2. `log.commit`. On return the events are recorded for ever. If it fails, the same as in step 1, except that the
           events may be on disk: then the views catch up, and a client that repeats its post gets its receipt.
        3. The answers and the live streams. The next steps follow with the next reader, a moment without work, or after
           `PUBLISH_EVENTS` or `PUBLISH_SECONDS`.
        4. `views.commit`. If it fails, the events are recorded and answered all the same. The views go back and catch
           up from the log; until then readiness is red and nothing is decided. After a crash before or in this step
           the views catch up at the next start.
        5. The position advances: readers and tasks that wait for it see the events. No query runs between an answer to
           a post, or an event on a stream, and this step (`publish`).
        """
        began = perf_counter()
        outcomes, count = await self._decide(batches)
        if count == 0:
            return outcomes
        position = self._views.position
        match await self._threaded(self._commit):
            case True:
                self._show(position)
            case None:
                self._lags = True
                self.recorded.advance(position)
            case False:
                self.recorded.advance(position)
                await self._mend()
        self._metrics.committed(count, perf_counter() - began)
        return outcomes

    async def _decide(self, batches: Sequence[Batch]) -> tuple[list[Outcome], int]:
        """Decide a group; return the outcomes and the number of new events.

        Small batches are decided on the loop, which costs less, a few milliseconds at a time. From the first batch that
        is not small, or takes longer, the rest of the group is decided in the writer's thread.
        """
        self._views.begin()
        self._decided = self._now()
        desk = Decisions(self._log, self._views, self._decided)
        outcomes: list[Outcome] = []
        began = perf_counter()
        for batch in batches:
            if not batch.is_small:
                break
            try:
                outcomes.append(_taken(desk, batch, LOOP_SECONDS))
            except TooLong:
                break
            if self._views.rows_waiting > SETTLE_ROWS:
                await self._threaded(self._views.flush)
                began = perf_counter()
            elif perf_counter() - began >= LOOP_SECONDS:
                await asyncio.sleep(0)
                began = perf_counter()
        else:
            desk.write()
            return outcomes, desk.count

        def decide_rest() -> None:
            outcomes.extend([_taken(desk, batch) for batch in batches[len(outcomes) :]])
            desk.write()
            if self._views.rows_waiting > SETTLE_ROWS:
                self._views.flush()

        await self._threaded(decide_rest)
        return outcomes, desk.count

    def _commit(self) -> bool | None:
        """Commit the log; return whether the views are committed too, None if that is postponed. Raise if the log is
        not.
        """
        self._log.commit()
        self._clock.observe(self._decided)
        now = perf_counter()
        if self._lagging_since == 0.0:
            self._lagging_since = self._settled = now
        wanted = self._asked is not None or self._head.is_awaited or self._views.waiting >= PUBLISH_EVENTS
        if wanted or now - self._lagging_since >= PUBLISH_SECONDS:
            return self._commit_views()
        if now - self._settled >= SETTLE_SECONDS or self._views.rows_waiting > SETTLE_ROWS:
            self._settled = now
            return None if self._kept(self._views.flush) else False
        return None

    def _commit_views(self) -> bool:
        """Commit the views; return whether it worked. `failure` gets the reason."""
        self._lagging_since = 0.0
        return self._kept(self._views.commit)

    def _kept(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except Exception as error:
            self.failure = f"the views could not be committed: {error}"
            self._logger.exception("the views could not be committed", position=self._log.head())
            return False
        return True

    async def _mend(self) -> bool:
        """Roll back to the committed log and catch up; return whether it worked. `failure` gets the reason."""
        try:
            await self._threaded(self._mended)
        except Exception as error:
            if self.failure is None:
                self._logger.exception("the store cannot be brought back in step")
            self.failure = f"the store cannot be brought back in step: {error}"
            self._let_go()  # it is unknown when the events become visible
            return False
        self._is_mended()
        return True

    def _is_mended(self) -> None:
        self.failure = None
        self._show(self._views.position)

    def _mended(self) -> None:
        self._views.rollback()
        self._log.rollback()
        catch_up(self._log, self._views)
        self._observe_last()

    async def _threaded(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _now(self) -> str:
        """Return the instant of recording; never before the last one recorded."""
        return self._clock().isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _observe_last(self) -> None:
        last = self._log.at(self._log.head())
        if last is not None:
            self._clock.observe(orjson.loads(last.entry)["recorded"])


def _taken(desk: Decisions, batch: Batch, seconds: float | None = None) -> Outcome:
    try:
        return desk.take(batch, seconds)
    except Refused as refused:
        return refused
