"""Writer: decides queued batches in groups, commits each group once, and answers its posts.

There is no timer: a group is the batches that arrived while the group before was committed. Promises: no answer before
its events are on disk; no reader sees less than was acknowledged before the question; no refusal of one batch affects
another; no queued batch is lost because its client went away. The order of the durable steps is in `Writer._record`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import TypeVar

import orjson

from domain.errors import Refused
from projections.engine.time_limit import TooLong
from projections.views import Views
from service.clock import Clock
from service.commands.decisions import Batch, Decisions
from service.commands.log_entry import Receipt
from service.commands.pending import PendingEvents
from service.commands.write_queue import ExclusiveTask, Outcome, Posts, WriteQueue
from service.event_log import DuplicateEvent, HeadMoved, Log, LogError, LogUnavailable, VersionConflict
from service.logging import Logger
from service.metrics import Metrics
from service.views.follower import LogPosition, catch_up

LOOP_SECONDS = 0.003
"""A decision that takes longer moves from the event loop to the writer's thread. After this time of decisions the loop
serves other tasks."""
FLUSH_ROWS = 256
"""If more rows are buffered after a batch, they are flushed in the thread: the next query would flush them on the
loop."""
PUBLISH_EVENTS = 1_000
PUBLISH_SECONDS = 1.0
"""Events and time after which the views commit, if no reader asks before. A commit writes each changed page once, so
rare commits write less."""
FLUSH_SECONDS = 0.1
"""Time after which buffered rows are flushed. To write very many of them together would delay posts."""
IDLE_SECONDS = 0.01
"""Time without posts after which the views commit."""
MAX_ATTEMPTS = 8
"""How often a group is decided, if another writer is faster each time."""
RECOVER_SECONDS = 1.0
"""Time between two attempts to recover from a failure."""
SCRUB_SECONDS = 10.0
"""Time that `scrub` waits for readers of the log."""

_STOPPED = "the event is recorded, and the data is erased from the log; the next start erases it everywhere else"

T = TypeVar("T")


class Unavailable(Exception):
    """The events were not recorded, or it is not known whether they were. To post them again is safe."""


class Writer:
    """Owns the log and the write side of the views. Created and used on the event loop's thread."""

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
        self._queue = WriteQueue()
        self._work = asyncio.Event()
        self._stopping = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._task: asyncio.Task[None] | None = None
        self._decided = ""
        """The `recorded` of the last group."""
        self._observe_last()
        self._lags = False
        """Whether acknowledged events are not visible to readers yet."""
        self._lagging_since = self._flushed = 0.0
        self._requested: asyncio.Future[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self.erased: Callable[[], Awaitable[None]] | None = None
        """Erases data from everything but the log; awaited before a batch that erases is answered."""
        self.failure: str | None = None
        """Why nothing can be recorded at present; None if it can."""
        self.refusal: str | None = None
        """Why nothing may be recorded until the next start; None if it may. Set by the checkpoints."""
        self.recorded = LogPosition()
        """The position of the last recorded event, which may not be visible before `publish`."""
        self._set_visible(views.position)

    def start(self) -> None:
        """Start to record queued batches."""
        self._task = asyncio.create_task(self._run(), name="writer")

    async def stop(self) -> None:
        """Accept no more batches, record the queued ones, and return once all are answered.

        An erasure in progress is cancelled, as it may take minutes and the next start ends it. May be called again.
        """
        self._stopping = True
        self._work.set()
        self._queue.close()
        if self._task is not None:
            await self._task
        for answering in self._answering:
            answering.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        self._thread.shutdown()

    @property
    def queued(self) -> tuple[int, int]:
        """The number of batches that are queued or being recorded, and their size in bytes."""
        return self._queue.batches, self._queue.bytes

    def is_full(self, size: int = 0) -> bool:
        """Return whether a post of this size would be refused now."""
        return self._queue.is_full(size)

    @property
    def seconds_per_event(self) -> float:
        """Recent seconds to record an event."""
        return self._queue.seconds_per_event

    @property
    def views(self) -> Views:
        """The present views, which `swap_views` may replace. For the writer's thread, and after `stop`."""
        return self._views

    async def post(self, batch: Batch) -> list[Receipt]:
        """Record a batch, and return the receipts of its events, in order, once they are durable.

        The events are visible after `publish`. Raise Refused, Overloaded, Unavailable. Cancellation does not withdraw
        the batch.
        """
        self._queue.refuse_if_full(batch.size)
        (outcome,) = await self._put((batch,))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def publish(self) -> None:
        """Return once all acknowledged events are visible to readers, immediately if they are.

        Raise Unavailable if the views have failed and lack acknowledged events: readers would take an older state for
        the present one.
        """
        if not self._lags:
            return
        answered = self.recorded.position
        if self.failure is None:
            if self._requested is None:
                self._requested = asyncio.get_running_loop().create_future()
                self._work.set()
            await asyncio.shield(self._requested)
        if self._head.position < answered:
            raise Unavailable(f"the last recorded events cannot be read at present: {self.failure}")

    async def submit(self, batches: Sequence[Batch]) -> asyncio.Future[list[Outcome]]:
        """Queue batches, each decided alone, in order, with shared commits; the future gets an outcome for each.

        If the queue is full, wait for room. Raise Unavailable if the writer is stopping.
        """
        await self._queue.wait_for_room()
        return self._put(batches)

    async def check(self, trial: Callable[[Decisions], T], size: int = 0) -> T:
        """Run `trial` in the writer's thread with decisions that record nothing, and return its result.

        Each batch of the trial sees those accepted before it. `size` is the memory of the trial while it is queued.
        Raise Overloaded, Unavailable, and what `trial` raises.
        """
        self._queue.refuse_if_full(size)

        def run() -> T:  # an exclusive task starts with all acknowledged events committed
            with self._views.trial():
                return trial(Decisions(self._log, self._views, self._now()))

        with self._queue.counted(size):
            return await self._run_exclusive(run)

    async def swap_views(self, replace: Callable[[Views], Views]) -> None:
        """Run `replace` in the writer's thread between two groups; it gets the views and returns the new ones.

        The new views may lack the last events, which are then folded in. If `replace` raises, the old views stay in
        use, so it must leave them usable.
        """

        def replaced() -> None:
            self._views = replace(self._views)
            self._recover_store()

        await self._run_exclusive(replaced, recovers=True)

    async def scrub(self) -> None:
        """Remove erased data from the files of the log, between two groups. Raise LogUnavailable."""
        deadline = perf_counter() + SCRUB_SECONDS
        while not await self._run_exclusive(self._log.scrub):
            if perf_counter() > deadline:
                raise LogUnavailable("a reader of the log prevents the erasure")
            await asyncio.sleep(0.02)

    async def _run_exclusive(self, work: Callable[[], T], *, recovers: bool = False) -> T:
        self._refuse_if_stopping()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.add(ExclusiveTask(work, future, recovers))
        self._work.set()
        return await future

    def _put(self, batches: Sequence[Batch]) -> asyncio.Future[list[Outcome]]:
        self._refuse_if_stopping()
        if self.refusal is not None:
            raise Unavailable(self.refusal)
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._queue.add(Posts.of(batches, future))
        self._work.set()
        return future

    def _refuse_if_stopping(self) -> None:
        if self._stopping:
            raise Unavailable("the registry is stopping")

    # --- the task ---

    async def _run(self) -> None:
        while True:
            if self._requested is not None or (self._stopping and not self._queue):
                await self._publish()
            if not self._queue:
                if self._stopping:
                    return
                if not await self._woken():
                    await (self._recover() if self.failure else self._publish())
                continue
            await asyncio.sleep(0)  # posts that have arrived already join the group
            match self._queue.next_work():
                case ExclusiveTask() as task:
                    await self._do_exclusive(task)
                case list() as works:
                    await self._record_group(works)

    async def _woken(self) -> bool:
        """Wait for work; return False if none came in time."""
        self._work.clear()
        timer = None
        if (wait_seconds := self._wait_seconds) is not None:
            timer = asyncio.get_running_loop().call_later(wait_seconds, self._work.set)
        await self._work.wait()
        if timer is None:
            return True
        timer.cancel()
        return bool(self._queue) or self._requested is not None or self._stopping

    @property
    def _wait_seconds(self) -> float | None:
        """Seconds to wait for work before a commit of the views or a recovery is due."""
        if self.failure:
            return RECOVER_SECONDS
        return IDLE_SECONDS if self._views.waiting else None

    async def _publish(self) -> None:
        """Commit the views if they have uncommitted events, and wake the readers that wait for it."""
        if self._views.waiting and self.failure is None:
            if await self._threaded(self._commit_views):
                self._set_visible(self._views.position)
            else:
                await self._recover()
        self._wake_readers()

    def _set_visible(self, position: int) -> None:
        """Note that events up to a position are visible to readers."""
        self._lags = False
        self.recorded.advance(position)
        self._head.advance(position)
        self._wake_readers()

    def _wake_readers(self) -> None:
        """Let the readers go on that wait for a commit."""
        requested, self._requested = self._requested, None
        if requested is not None:
            requested.set_result(None)

    async def _do_exclusive(self, task: ExclusiveTask) -> None:
        try:
            await self._publish()
            if self.failure is not None and not task.recovers and not await self._recover():
                raise Unavailable(self.failure)
            result = await self._threaded(task.work)
            if task.recovers:
                self._set_recovered()
        except Exception as error:  # noqa: BLE001 - the caller gets it
            if not task.future.done():
                task.future.set_exception(error)
        else:
            if not task.future.done():
                task.future.set_result(result)

    async def _record_group(self, works: list[Posts]) -> None:
        batches = [batch for work in works for batch in work.batches]
        start = perf_counter()
        outcomes = iter(await self._outcomes(batches))
        self._queue.done(works, perf_counter() - start)
        for work in works:
            own = [next(outcomes) for _ in work.batches]
            if self.erased is not None and any(batch.erases for batch in work.batches):
                task = asyncio.create_task(self._answer_erased(work, own, self.erased))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
            elif not work.future.done():
                work.future.set_result(own)

    async def _answer_erased(self, work: Posts, own: list[Outcome], erased: Callable[[], Awaitable[None]]) -> None:
        """Answer once the data is erased everywhere; a batch that erases gets the error if that failed."""
        try:
            await erased()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the client gets it
            failure = error if isinstance(error, Exception) else Unavailable(_STOPPED)
            own = [
                failure if batch.erases and isinstance(outcome, list) else outcome
                for batch, outcome in zip(work.batches, own, strict=True)
            ]
        if not work.future.done():
            work.future.set_result(own)

    async def _outcomes(self, batches: Sequence[Batch]) -> Sequence[Outcome]:
        """Record the batches, and return the outcome of each. Never raises."""
        for _ in range(MAX_ATTEMPTS):
            if self.failure is not None and not await self._recover():
                return [Unavailable(self.failure) for _ in batches]
            try:
                return await self._record(batches)
            except (HeadMoved, VersionConflict, DuplicateEvent):
                await self._recover()  # another writer was faster: decide again after its events
            except (LogError, sqlite3.OperationalError) as error:
                self._metrics.failed()
                self._logger.error("events could not be recorded", batches=len(batches), error=str(error))
                await self._recover()
                return [Unavailable("the store could not record the events") for _ in batches]
            except Exception as error:
                self._logger.exception("a batch could not be decided", batches=len(batches))
                await self._recover()
                if len(batches) == 1:
                    return [error]
                return [outcome for batch in batches for outcome in await self._outcomes([batch])]
        return [Unavailable("other writers were faster each time") for _ in batches]

    async def _record(self, batches: Sequence[Batch]) -> Sequence[Outcome]:
        """Decide and commit one group, and return the outcomes.

        A failure at any step leaves the effects of the steps before it. The log alone is the truth: the answers and the
        point to continue from can always be read from it.

        1. `views.batch`, batch by batch, in the open transaction of the views. Nothing is on disk. On failure the views
           are rolled back, and the whole group is answered with 503: a refusal may depend on an event that is gone.
        2. `log.insert_events`, the whole group in one transaction. After its return the events are recorded for ever.
           On failure as before, but the events may be recorded nevertheless: then the views catch up, and a client that
           posts again gets its receipt.
        3. The answers and the live streams. The next steps follow with the next reader, a moment without work, or after
           `PUBLISH_EVENTS` or `PUBLISH_SECONDS`:
        4. `views.commit`, rows and position together. On failure the events are recorded nevertheless, and answered so.
           The views are rolled back and catch up from the log. Until then the service is not ready and decides nothing.
           After a crash before or in this step the views are behind the log, and catch up at the next start.
        5. The visible position advances: readers and tasks that wait for a position see the events. Between the answer
           to a post, or an event in a stream, and this step no query runs (`publish`).
        """
        began = perf_counter()
        outcomes, pending = await self._decide(batches)
        if not pending.events:
            return outcomes
        position = self._views.position
        match await self._threaded(partial(self._commit, pending)):
            case True:
                self._set_visible(position)
            case None:
                self._lags = True
                self.recorded.advance(position)
            case False:
                self.recorded.advance(position)
                await self._recover()
        self._metrics.committed(len(pending.events), perf_counter() - began)
        return outcomes

    async def _decide(self, batches: Sequence[Batch]) -> tuple[list[Outcome], PendingEvents]:
        """Decide the batches; return their outcomes and the accepted events.

        Fast path: small batches are decided on the event loop, a few milliseconds at a time, which saves the change of
        threads. From the first batch on that is large or slow, the group is decided in the writer's thread.
        """
        self._views.begin()
        self._decided = self._now()
        decisions = Decisions(self._log, self._views, self._decided)
        outcomes: list[Outcome] = []
        began = perf_counter()
        for batch in batches:
            if not batch.is_small:
                break
            try:
                outcomes.append(_decide_one(decisions, batch, LOOP_SECONDS))
            except TooLong:
                break
            if self._views.rows_waiting > FLUSH_ROWS:
                await self._threaded(self._views.flush)
                began = perf_counter()
            elif perf_counter() - began >= LOOP_SECONDS:
                await asyncio.sleep(0)
                began = perf_counter()
        else:
            return outcomes, decisions.pending

        def decide_rest() -> None:
            outcomes.extend([_decide_one(decisions, batch) for batch in batches[len(outcomes) :]])
            if self._views.rows_waiting > FLUSH_ROWS:
                self._views.flush()

        await self._threaded(decide_rest)
        return outcomes, decisions.pending

    def _commit(self, pending: PendingEvents) -> bool | None:
        """Record a group; return whether the views are committed too, None if that is left for later."""
        self._log.insert_events(pending.events, effects=pending.effects)
        self._clock.observe(self._decided)
        now = perf_counter()
        if self._lagging_since == 0.0:
            self._lagging_since = self._flushed = now
        is_due = self._requested is not None or self._head.is_awaited or self._views.waiting >= PUBLISH_EVENTS
        if is_due or now - self._lagging_since >= PUBLISH_SECONDS:
            return self._commit_views()
        if now - self._flushed >= FLUSH_SECONDS or self._views.rows_waiting > FLUSH_ROWS:
            self._flushed = now
            return None if self._succeeds(self._views.flush) else False
        return None

    def _commit_views(self) -> bool:
        """Commit the views; return whether that succeeded. `failure` says why not."""
        self._lagging_since = 0.0
        return self._succeeds(self._views.commit)

    def _succeeds(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except Exception as error:
            self.failure = f"the views could not be committed: {error}"
            self._logger.exception("the views could not be committed", position=self._log.head())
            return False
        return True

    async def _recover(self) -> bool:
        """Reset log and views to the committed events; return whether that succeeded. `failure` says why not."""
        try:
            await self._threaded(self._recover_store)
        except Exception as error:
            if self.failure is None:
                self._logger.exception("the store cannot recover")
            self.failure = f"the store cannot recover: {error}"
            self._wake_readers()  # it is not known when the events become visible
            return False
        self._set_recovered()
        return True

    def _set_recovered(self) -> None:
        self.failure = None
        self._set_visible(self._views.position)

    def _recover_store(self) -> None:
        self._views.rollback()
        self._log.recover()
        catch_up(self._log, self._views)
        self._observe_last()

    async def _threaded(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _now(self) -> str:
        """Return the `recorded` of the next events, never before that of the last event."""
        return self._clock().isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _observe_last(self) -> None:
        last = self._log.at(self._log.head())
        if last is not None:
            self._clock.observe(orjson.loads(last.entry)["recorded"])


def _decide_one(decisions: Decisions, batch: Batch, seconds: float | None = None) -> Outcome:
    try:
        return decisions.decide(batch, seconds)
    except Refused as refused:
        return refused
