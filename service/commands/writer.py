"""The one writer: takes what is posted in groups, decides each batch against all before it, commits once, answers all.

There is no timer: a group is what came while the one before was committed. It must never answer before what it answers
is on disk, never let anybody read less than what was answered before they asked, never let one batch's refusal touch
another, and never lose what it has queued because a client went away. The order of the durable steps stands in
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
"""What takes longer is not decided on the loop but in the writer's thread; so long, too, batches are decided on the
loop before it turns to others."""
SETTLE_ROWS = 256
"""More rows do not wait in memory between two batches: whatever is asked next writes them first, on the loop."""
PUBLISH_EVENTS = 1_000
PUBLISH_SECONDS = 1.0
"""So many events, or so long, the views hold at most before they commit them, while nobody asks: a page of theirs is
written once for each commit that touches it."""
SETTLE_SECONDS = 0.1
"""So long they keep rows in memory at most: to write all of them at once would hold up whoever posts."""
IDLE_SECONDS = 0.01
"""How long they wait for more to record before they do."""
RACES = 8
"""How often a group is decided again because another writer was faster."""
MEND_SECONDS = 1.0
SCRUB_SECONDS = 10.0

_STOPPED = "it is recorded, and erased from the log; when the registry starts again, it is erased everywhere else"

T = TypeVar("T")


class Unavailable(Exception):
    """It was not recorded, or nobody knows whether it was. The same again is safe, and may work later."""


class Writer:
    """Owns the log and the write half of the views. Made and used on the loop's thread."""

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
        """`views` are caught up with `log`."""
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
        """The `recorded` of the group that was decided last."""
        self._observe_last()
        self._lags = False
        """Whether anything is answered that cannot be read yet."""
        self._lagging_since = self._settled = 0.0
        self._asked: asyncio.Future[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self.erased: Callable[[], Awaitable[None]] | None = None
        """Has what the log erased erased everywhere else; awaited before a batch that erases is answered."""
        self.failure: str | None = None
        """Why nothing can be recorded at the moment, if so."""
        self.refusal: str | None = None
        """Why nothing may be recorded until the next start, if so: whoever finds that out says it here."""
        self.recorded = LogPosition()
        """Moves with what is recorded for sure, though it may be that nobody can read it before `publish`."""
        self._show(views.position)

    def start(self) -> None:
        """Begins to take what is queued."""
        self._task = asyncio.create_task(self._run(), name="writer")

    async def stop(self) -> None:
        """Takes nothing more, records what is queued, and returns once all of it is answered. Erasing that is under way
        is given up, as it may take minutes and the next start ends it. May be called again.
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
        """How many batches wait or are being recorded, and their bytes."""
        return self._waiting.batches, self._waiting.bytes

    def is_full(self, size: int = 0) -> bool:
        """Whether a post of this size would not be taken now."""
        return self._waiting.is_full(size)

    @property
    def each(self) -> float:
        """Seconds that an event takes to be recorded, of late."""
        return self._waiting.each

    @property
    def views(self) -> Views:
        """The views as they are now; `between` may put others in their place. For the writer's thread and the end."""
        return self._views

    async def post(self, batch: Batch) -> list[Receipt]:
        """Records a batch; the receipts of its events, in order, once they are durable.

        They can be read after `publish`. Raises Refused, Overloaded, Unavailable. Being cancelled does not take the
        batch back.
        """
        self._waiting.refuse_if_full(batch.size)
        (outcome,) = await self._put((batch,))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def publish(self) -> None:
        """Return once everything answered so far can be read; immediately where it can be.

        Raises Unavailable where the views have failed and lack something that was answered: an older state would be
        taken for the present one.
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
        """Has each batch recorded on its own, in order, sharing commits; the future gets an outcome for each.

        Waits for room instead of turning away. Raises Unavailable once the writer is stopping.
        """
        await self._waiting.room()
        return self._put(batches)

    async def check(self, trial: Callable[[Decisions], T], size: int = 0) -> T:
        """Runs `trial` in the writer's thread with a desk that judges as always, and keeps nothing of it.

        Each batch sees those taken before it. `size` is what the trial takes in memory while it waits. Raises
        Overloaded, Unavailable, and what `trial` raises.
        """
        self._waiting.refuse_if_full(size)

        def tried() -> T:  # nothing waits: what is acknowledged is committed before a turn
            with self._views.trial():
                return trial(Decisions(self._log, self._views, self._now(), is_trial=True))

        with self._waiting.counted(size):
            return await self._turn(tried)

    async def between(self, replace: Callable[[Views], Views]) -> None:
        """Runs `replace` in the writer's thread between two groups: it gets the views, and what it returns is used from
        then on. What it returns may lack the last events, which are folded in at once. If it raises, the views it was
        given are still used, so they must be fit for that.
        """

        def replaced() -> None:
            self._views = replace(self._views)
            self._mended()

        await self._turn(replaced, mends=True)

    async def scrub(self) -> None:
        """Removes from the log's files what was erased, between two groups. Raises LogUnavailable."""
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
        """Waits for something to do; False where nothing came in time."""
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
        """Seconds to wait for work before something else is to be done."""
        if self.failure:
            return MEND_SECONDS
        return IDLE_SECONDS if self._views.waiting else None

    async def _publish(self) -> None:
        """Commits the views, where they hold what they have not committed, and tells whoever waits for it."""
        if self._views.waiting and self.failure is None:
            if await self._threaded(self._commit_views):
                self._show(self._views.position)
            else:
                await self._mend()
        self._let_go()

    def _show(self, position: int) -> None:
        """Everything up to a position can be read from now on."""
        self._lags = False
        self.recorded.advance(position)
        self._head.advance(position)
        self._let_go()

    def _let_go(self) -> None:
        """Lets those read who wait for it."""
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
        """Answers once what was erased is gone; a batch that erases is told if that failed."""
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
        """What became of each; never raises."""
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
        """Decides and commits one group.

        The order is the promise. A failure at any step leaves what the steps before it made durable, and the log alone
        is the truth, so what is to be answered and where to go on can always be read from it.

        1. `views.admit` and `log.append`, batch by batch, in open transactions. Nothing is on disk. Fails: both are
           rolled back, and the group is answered 503 (all of it: a refusal may rest on an event that now is not).
        2. `log.commit`. Once it returns the events are recorded for ever. Fails: as before, except that they may have
           been kept after all: then the views catch up, and a client that posts again gets its receipt.
        3. The answers and the live streams; with the next reader, a moment without work, or after `PUBLISH_EVENTS` or
           `PUBLISH_SECONDS`:
        4. `views.commit`. Fails: the events are recorded all the same, and are answered so. The views go back and catch
           up from the log; until they have, readiness is red and nothing more is decided. A crash before or in this
           step leaves them behind the log, and they catch up at the next start.
        5. The head advances: readers and those who wait for a position see the events. No reader is asked between an
           answer to a post, or what a stream told, and this (`publish`).
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
        """Small batches are decided on the loop, which costs less, a few milliseconds at a time; from the first one on
        that is not small, or takes longer than such a time, the rest of the group is in the writer's thread."""
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
        """Whether the views are committed too; None where that is left for later. Raises if the log is not."""
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
        """Whether it worked; `failure` says why not."""
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
        """Back to what the log has committed, the views in step with it; whether it worked. `failure` says why not."""
        try:
            await self._threaded(self._mended)
        except Exception as error:
            if self.failure is None:
                self._logger.exception("the store cannot be brought back in step")
            self.failure = f"the store cannot be brought back in step: {error}"
            self._let_go()  # nobody knows when it can be read
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
        """The instant that events are recorded as of; never before what was recorded last."""
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
