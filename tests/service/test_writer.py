"""The writer: groups that share a commit, and every step failing before and after its effect."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing, contextmanager
from time import sleep

import pytest

import domain.decide
from domain.cloudevent import parse
from domain.errors import DifferentContent
from projections.views import Views
from service.api_keys import Scope
from service.app_keys import HEAD, KEYS, METRICS, WRITER
from service.commands import write_queue as queue
from service.commands import writer as writing
from service.commands.decisions import Batch, Decisions
from service.commands.log_entry import logged, recorded_event
from service.event_log import Log, LogUnavailable
from tests.service.registry import problem, registered, renamed, running


def sample(registry, name: str) -> float:
    return registry.app[METRICS].registry.get_sample_value(name) or 0


@contextmanager
def broken(monkeypatch, part, method, *, kept=False, error=None, times=1):
    """Make the first calls of a method raise; with `kept`, after their effect."""
    real, left = getattr(part, method), [times]

    def call(*args, **named):
        if left[0] <= 0:
            return real(*args, **named)
        left[0] -= 1
        if kept:
            real(*args, **named)
        raise error or LogUnavailable("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(part, method, call)
        yield


@contextmanager
def held(monkeypatch, registry, reached=None):
    """Block commits until the yielded event is set; set the event `reached` once one is blocked."""
    log, release, reached = registry.app[WRITER]._log, threading.Event(), reached or threading.Event()
    real = log.insert_events

    def insert(*group, **effects):
        reached.set()
        release.wait(20)
        return real(*group, **effects)

    with monkeypatch.context() as patch:
        patch.setattr(log, "insert_events", insert)
        try:
            yield release
        finally:
            release.set()


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)


async def test_many_clients_share_commits_and_read_their_acknowledged_events(registry):
    async def client(number: int) -> list[int]:
        positions = []
        for turn in range(5):
            receipt = await registry.take(registered(f"p-{number}-{turn}"))
            event = await registry.json(f"/v1/events/{receipt['position']}")
            assert event["subject"] == receipt["subject"]
            state = await registry.get(f"/v1/{receipt['subject']}")
            assert state.status == 200, await state.text()
            positions.append(receipt["position"])
        return positions

    told = await asyncio.gather(*(client(number) for number in range(64)))
    assert sorted(position for positions in told for position in positions) == list(range(1, 321))
    assert all(positions == sorted(positions) for positions in told)
    assert sample(registry, "registry_group_events_sum") == 320
    assert sample(registry, "registry_group_events_count") < 250


@contextmanager
def counted(monkeypatch, part, method):
    """Append the calls of a method to the yielded list."""
    real, calls = getattr(part, method), []

    def call(*args, **named):
        calls.append(args)
        return real(*args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(part, method, call)
        yield calls


async def test_views_commit_only_for_readers(registry, monkeypatch):
    monkeypatch.setattr(writing, "IDLE_SECONDS", 60.0)
    monkeypatch.setattr(writing, "PUBLISH_SECONDS", 60.0)
    writer = registry.app[WRITER]
    await registry.take(registered("first"))
    await writer.publish()
    with (
        counted(monkeypatch, writer.views, "commit") as shown,
        counted(monkeypatch, writer._log, "insert_events") as kept,
    ):
        for number in range(10):
            await registry.take(registered(f"p-{number}"))
        assert (len(kept), len(shown)) == (10, 0)
        assert (await registry.get("/v1/parties/p-9")).status == 200
        assert (await registry.get("/v1/parties/p-0")).status == 200
        assert len(shown) == 1


async def test_views_commit_after_many_events_and_for_followers(registry, monkeypatch):
    monkeypatch.setattr(writing, "IDLE_SECONDS", 60.0)
    monkeypatch.setattr(writing, "PUBLISH_SECONDS", 60.0)
    monkeypatch.setattr(writing, "PUBLISH_EVENTS", 5)
    writer, head = registry.app[WRITER], registry.app[HEAD]
    await registry.take(registered("first"))
    await writer.publish()
    assert head.position == 1
    for number in range(4):
        await registry.take(registered(f"p-{number}"))
    assert head.position == 1
    await registry.take(registered("p-4"))
    assert head.position == 6
    following = asyncio.create_task(head.moved())
    await until(lambda: head.is_awaited)
    await registry.take(registered("p-5"))
    await asyncio.wait_for(following, 10)
    assert (head.position, writer.views.waiting) == (7, 0)


async def test_rows_are_written_a_few_at_a_time_and_shown_together(registry, monkeypatch):
    monkeypatch.setattr(writing, "IDLE_SECONDS", 60.0)
    monkeypatch.setattr(writing, "PUBLISH_SECONDS", 60.0)
    monkeypatch.setattr(writing, "FLUSH_SECONDS", 0.0)
    writer = registry.app[WRITER]
    with counted(monkeypatch, writer.views, "flush") as written, counted(monkeypatch, writer.views, "commit") as shown:
        for number in range(5):
            await registry.take(registered(f"p-{number}"))
            assert writer.views._db.is_flushed
        assert (len(written), len(shown), writer.views.waiting) == (5, 0, 5)
        assert (await registry.get("/v1/parties/p-4")).status == 200
        assert (len(shown), writer.views.waiting) == (1, 0)


async def test_failed_flush_of_views_never_fails_a_recorded_event(registry, monkeypatch):
    monkeypatch.setattr(writing, "IDLE_SECONDS", 60.0)
    monkeypatch.setattr(writing, "PUBLISH_SECONDS", 60.0)
    monkeypatch.setattr(writing, "FLUSH_SECONDS", 0.0)
    with broken(monkeypatch, registry.app[WRITER].views, "flush"):
        await registry.take(registered("a"))
    await registry.take(registered("b"))
    assert (await registry.get("/v1/parties/a")).status == 200
    assert (await registry.get("/v1/parties/b")).status == 200
    assert any(line["level"] == "error" for line in registry.lines())


async def test_registry_position_of_post_answers_never_goes_back(registry, monkeypatch):
    monkeypatch.setattr(writing, "IDLE_SECONDS", 60.0)
    monkeypatch.setattr(writing, "PUBLISH_SECONDS", 60.0)
    await registry.take([registered("a"), registered("b")])
    for document, status in ((renamed("nobody", "N"), 422), (registered("a"), 200)):
        answer = await registry.post(document)
        assert (answer.status, answer.headers["Registry-Position"]) == (status, "2")


async def test_views_commit_soon_when_idle(registry, monkeypatch):
    await registry.take(registered("a"))
    await until(lambda: registry.app[HEAD].position == 1)


async def test_acknowledged_events_are_visible_while_more_are_recorded(registry, monkeypatch):
    monkeypatch.setattr(writing, "PUBLISH_SECONDS", 60.0)
    await registry.take(registered("a"))
    with held(monkeypatch, registry) as release:
        more = asyncio.create_task(registry.post(registered("b")))
        await until(lambda: registry.app[WRITER].queued[0] == 1)
        reading = asyncio.create_task(registry.get("/v1/parties/a"))
        await asyncio.sleep(0.05)
        release.set()
        assert (await reading).status == 200
        assert (await more).status == 201


async def test_healthz_answers_while_the_disk_blocks_readers(registry, monkeypatch):
    monkeypatch.setattr(writing, "IDLE_SECONDS", 60.0)
    monkeypatch.setattr(writing, "PUBLISH_SECONDS", 60.0)
    await registry.take([registered("a"), registered("b")])
    await registry.take(registered("c"))
    with held(monkeypatch, registry) as release:
        more = asyncio.create_task(registry.post(registered("d")))
        await until(lambda: registry.app[WRITER].queued[0] == 1)
        reading = asyncio.create_task(registry.get("/v1/parties/c"))
        for path in ("/healthz", "/metrics"):
            answer = await asyncio.wait_for(registry.get(path), 10)
            assert (answer.status, answer.headers["Registry-Position"]) == (200, "3")
        assert not reading.done()
        release.set()
        assert (await reading).status == 200
        assert (await more).status == 201


async def test_a_commit_that_fails_is_answered_503_and_leaves_nothing(registry, monkeypatch):
    await registry.take(registered("a"))
    with broken(monkeypatch, registry.app[WRITER]._log, "insert_events"):
        answer = await registry.post(registered("b"))
        await problem(answer, 503, "unavailable")
        assert answer.headers["Retry-After"] == "1"
    assert await registry.head() == 1
    assert (await registry.get("/v1/parties/b")).status == 404
    assert any(line["level"] == "error" for line in registry.lines())
    assert sample(registry, "registry_group_failures_total") == 1
    assert (await registry.take(registered("b")))["position"] == 2
    assert (await registry.get("/v1/parties/b")).status == 200


async def test_failed_commit_that_reached_the_disk_is_recovered(registry, monkeypatch):
    with broken(monkeypatch, registry.app[WRITER]._log, "insert_events", kept=True):
        await problem(await registry.post(registered("a")), 503, "unavailable")
    assert await registry.head() == 1
    assert (await registry.get("/v1/parties/a")).status == 200
    again = await registry.post(registered("a"))
    assert (again.status, (await again.json())["position"]) == (200, 1)
    assert (await registry.take(renamed("a", "B")))["version"] == 2


async def test_group_that_sqlite_cannot_insert_leaves_nothing(registry, monkeypatch):
    log = registry.app[WRITER]._log
    with broken(monkeypatch, log, "_insert_events", kept=True, error=sqlite3.OperationalError("disk I/O error")):
        await problem(await registry.post(registered("a")), 503, "unavailable")
    with broken(monkeypatch, log, "_insert_events", error=sqlite3.OperationalError("disk I/O error")):
        await problem(await registry.post(registered("a")), 503, "unavailable")
    assert await registry.head() == 0
    assert (await registry.take(registered("a")))["position"] == 1


async def test_no_post_is_refused_because_of_an_event_that_was_not_recorded(registry, monkeypatch):
    reached = threading.Event()
    with held(monkeypatch, registry, reached) as release:
        first = asyncio.create_task(registry.post(registered("first")))
        await until(reached.is_set)
        both = [asyncio.create_task(registry.post(registered("a", id=str(number)))) for number in range(2)]
        await until(lambda: registry.app[WRITER].queued[0] == 3)
        with broken(monkeypatch, registry.app[WRITER]._log, "insert_events"):
            release.set()
            assert (await first).status == 201
            assert [answer.status for answer in await asyncio.gather(*both)] == [503, 503]


async def test_views_that_fail_to_commit_never_fail_a_recorded_event(registry, monkeypatch):
    views = registry.app[WRITER].views
    with broken(monkeypatch, views, "commit", error=sqlite3.OperationalError("disk full")):
        answer = await registry.post(registered("a"))
    assert answer.status == 201
    assert (await registry.get("/v1/parties/a")).status == 200
    assert await registry.head() == 1
    assert (await registry.take(renamed("a", "B")))["version"] == 2


async def test_views_continue_after_a_failed_commit_that_reached_the_disk(registry, monkeypatch):
    db = registry.app[WRITER].views._db
    real, failures = db.execute, [sqlite3.OperationalError("disk I/O error")]

    def execute(statement, *values):
        found = real(statement, *values)
        if statement == "COMMIT" and failures:
            raise failures.pop()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(db, "execute", execute)
        await registry.take(registered("a"))
        assert (await registry.get("/v1/parties/a")).status == 200
        assert failures == []
    assert registry.app[WRITER].failure is None
    assert (await registry.take(renamed("a", "B")))["version"] == 2
    assert (await registry.json("/v1/parties/a"))["version"] == 2


async def test_while_views_lag_readiness_is_red_and_nothing_is_decided(registry, monkeypatch):
    monkeypatch.setattr(writing, "RECOVER_SECONDS", 0.05)
    views = registry.app[WRITER].views
    with broken(monkeypatch, views, "commit", error=sqlite3.OperationalError("disk full"), times=10**9):
        answer = await registry.post(registered("a"))
        assert (answer.status, answer.headers["Registry-Position"]) == (201, "1")
        await until(lambda: registry.app[WRITER].failure is not None)
        await problem(await registry.get("/readyz"), 503, "not-ready")
        await problem(await registry.post(registered("b")), 503, "unavailable")
        await problem(await registry.post(registered("b"), query="?validate=only"), 503, "unavailable")
        for path in ("/v1/parties/a", "/v1/parties", "/v1/events", "/v1/events/1", "/v1/parties/a?as_of=0"):
            answer = await registry.get(path)
            await problem(answer, 503, "unavailable")
            assert answer.headers["Retry-After"] == "1"
        for path in ("/healthz", "/metrics", "/problems", "/openapi.json"):
            assert (await registry.get(path)).status == 200
    await until(lambda: registry.app[WRITER].failure is None)
    assert (await registry.get("/readyz")).status == 200
    assert (await registry.get("/v1/parties/a")).status == 200
    assert (await registry.take(registered("b")))["position"] == 2


async def test_batch_that_raises_in_a_rule_fails_alone(registry, monkeypatch):

    def decide(history, events, **checks):
        if events[0].subject == "parties/poison":
            raise ZeroDivisionError
        domain.decide.decide(history, events, **checks)

    monkeypatch.setattr("service.commands.decisions.decide", decide)
    slugs = ["a", "poison", "b"]
    answers = await asyncio.gather(*(registry.post(registered(slug)) for slug in slugs))
    assert [answer.status for answer in answers] == [201, 500, 201]
    found = await problem(answers[1], 500, "internal-error")
    assert "ZeroDivision" not in str(found)
    assert any("ZeroDivisionError" in line.get("exception", "") for line in registry.lines())
    assert await registry.head() == 2


async def test_full_write_queue_refuses_posts(registry, monkeypatch):
    monkeypatch.setattr(queue, "MAX_QUEUED", 3)
    with held(monkeypatch, registry) as release:
        posts = [asyncio.create_task(registry.post(registered(f"p{number}"))) for number in range(8)]
        await until(lambda: sum(post.done() for post in posts) == 5)
        release.set()
        answers = await asyncio.gather(*posts)
    assert sorted(answer.status for answer in answers) == [201] * 3 + [503] * 5
    rejection = next(answer for answer in answers if answer.status == 503)
    await problem(rejection, 503, "overloaded")
    assert rejection.headers["Retry-After"] == "1"
    assert await registry.head() == 3


async def test_too_many_queued_bytes_refuse_posts(registry, monkeypatch):
    monkeypatch.setattr(queue, "MAX_QUEUED_BYTES", 1000)
    await problem(await registry.post(registered("a", data={"name": "N" * 1000, "kind": "company"})), 503, "overloaded")
    await registry.take(registered("a"))


async def test_a_client_that_goes_away_does_not_take_its_event_back(registry, monkeypatch):
    with held(monkeypatch, registry) as release:
        post = asyncio.create_task(registry.post(registered("a")))
        await until(lambda: registry.app[WRITER].queued[0] == 1)
        post.cancel()
        with pytest.raises(asyncio.CancelledError):
            await post
        release.set()
        await until(lambda: registry.app[WRITER].queued[0] == 0)
    assert (await registry.post(registered("a"))).status == 200


async def test_stopping_records_and_answers_what_is_queued(tmp_path, monkeypatch):
    async with running(tmp_path) as registry:
        with held(monkeypatch, registry) as release:
            posts = [asyncio.create_task(registry.post(registered(f"p{number}"))) for number in range(10)]
            await until(lambda: registry.app[WRITER].queued[0] == 10)
            stopping = asyncio.create_task(registry.client.server.close())
            await asyncio.sleep(0.05)
            release.set()
            assert [answer.status for answer in await asyncio.gather(*posts)] == [201] * 10
            await stopping
    async with running(tmp_path) as registry:
        assert await registry.head() == 10


async def test_stopping_does_not_wait_for_an_erasure(registry):
    writer = registry.app[WRITER]
    position = (await registry.take(registered("a")))["position"]
    writer.erased = asyncio.Event().wait
    redaction = registered("a", id="redaction", type="event.redacted", data={"event": position, "reason": "personal"})
    key = registry.app[KEYS].create("admin", [Scope.ADMIN])
    post = asyncio.create_task(registry.post(redaction, key=key))
    await until(lambda: writer._answering)
    await asyncio.wait_for(writer.stop(), 10)
    found = await problem(await post, 503, "unavailable")
    assert found["detail"].startswith("the event is recorded")


async def test_a_race_lost_to_another_writer_is_decided_again(registry):
    await registry.take(registered("a"))
    posted = parse(renamed("a", "Elsewhere"))
    event = recorded_event(posted, 2, 2, "2026-01-31T12:00:01.000000Z", "elsewhere")
    with closing(Log(registry.data / "log.sqlite")) as other:
        other.insert_events([logged(event)])
    receipt = await registry.take(renamed("a", "Here"))
    assert (receipt["position"], receipt["version"]) == (3, 3)
    assert receipt["recorded"] >= "2026-01-31T12:00:01.000000Z"
    history = await registry.json("/v1/events?subject=parties/a")
    assert [item["data"]["name"] for item in history["items"]] == ["A", "Elsewhere", "Here"]
    assert (await registry.post(renamed("a", "Elsewhere"))).status == 200


async def test_views_may_be_replaced_between_two_groups(registry, tmp_path):
    await registry.take([registered("a"), registered("b")])

    def replace(old: Views) -> Views:
        old.close()
        return Views(tmp_path / "other.sqlite")

    await registry.app[WRITER].swap_views(replace)
    assert registry.app[WRITER].views.position == 2
    assert (await registry.take(renamed("a", "C")))["version"] == 2


async def test_views_that_cannot_be_recovered_can_be_replaced(registry, monkeypatch, tmp_path):
    views = registry.app[WRITER].views
    with broken(monkeypatch, views, "commit", error=sqlite3.OperationalError("disk full"), times=10**9):
        assert (await registry.post(registered("a"))).status == 201
        assert (await registry.get("/v1/parties/a")).status == 503
        assert registry.app[WRITER].failure is not None
        await registry.app[WRITER].swap_views(lambda old: (old.close(), Views(tmp_path / "other.sqlite"))[1])
        assert (await registry.get("/readyz")).status == 200
        assert await registry.head() == 1
        assert (await registry.take(renamed("a", "B")))["version"] == 2


async def test_queued_validations_are_bounded_like_posts(registry, monkeypatch):
    monkeypatch.setattr(queue, "MAX_QUEUED", 1)
    with held(monkeypatch, registry) as release:
        first = asyncio.create_task(registry.post(registered("a")))
        await until(lambda: registry.app[WRITER].queued[0] == 1)
        await problem(await registry.post(registered("b"), query="?validate=only"), 503, "overloaded")
        release.set()
        assert (await first).status == 201
    assert (await registry.post(registered("b"), query="?validate=only")).status == 201
    assert registry.app[WRITER].queued == (0, 0)


async def test_large_batch_does_not_block_the_event_loop(registry, monkeypatch):
    decided_on = []

    def decide(history, events, **checks):
        decided_on.append((len(events), threading.get_ident()))
        domain.decide.decide(history, events, **checks)

    monkeypatch.setattr("service.commands.decisions.decide", decide)
    monkeypatch.setattr(writing, "LOOP_SECONDS", 60.0)
    await registry.take([registered("alone")])
    await registry.take([registered(f"p{number}") for number in range(1000)])
    (few, here), (many, elsewhere) = decided_on
    assert (few, here) == (1, threading.get_ident())
    assert many == 1000
    assert elsewhere != here


async def test_slow_batch_moves_to_the_thread_with_all_after_it(registry, monkeypatch):
    threads: dict[str, list[int]] = {}

    def decide(history, events, **checks):
        threads.setdefault(events[0].subject, []).append(threading.get_ident())
        domain.decide.decide(history, events, **checks)

    monkeypatch.setattr("service.commands.decisions.decide", decide)
    monkeypatch.setattr(writing, "LOOP_SECONDS", 0.0)
    posted = [registered("a"), registered("a", id="again"), registered("b"), renamed("a", "c"), registered("b", id="x")]
    answers = await asyncio.gather(*(registry.post(each) for each in posted))
    assert [answer.status for answer in answers] == [201, 409, 201, 201, 409]
    here = threading.get_ident()
    assert threads["parties/a"][0] == here
    assert here not in {each for idents in threads.values() for each in idents[1:]}


async def test_event_loop_serves_others_while_a_group_is_decided(registry, monkeypatch):
    real, turns = writing._decide_one, 0

    def taken(*arguments):
        sleep(0.004)
        return real(*arguments)

    async def count():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    monkeypatch.setattr(writing, "_decide_one", taken)
    batches = [Batch((parse(registered(f"p{number}")),), "me", 1) for number in range(30)]
    outcomes = await registry.app[WRITER].submit(batches)
    counting = asyncio.create_task(count())
    assert all(isinstance(each, list) for each in await outcomes)
    counting.cancel()
    assert turns >= 30


def test_group_sees_its_own_events_redactions_and_texts_before_they_are_in_the_log(tmp_path):
    def batch(document: dict) -> Batch:
        return Batch((parse(document),), "me", 1, may_erase=True)

    redaction = {**renamed("a", "b"), "id": "r", "type": "event.redacted", "data": {"event": 1, "reason": "asked for"}}
    other_data = {**registered("a"), "data": {"name": "Another", "kind": "company"}}
    with closing(Log(tmp_path / "log")) as log, closing(Views(tmp_path / "views")) as views:
        views.begin()
        decisions = Decisions(log, views, "2026-01-01T00:00:00.000000Z")
        (first,) = decisions.decide(batch(registered("a")))
        (again,) = decisions.decide(batch(registered("a")))
        assert (again.body, again.is_new) == (first.body, False)
        for different in ({**registered("a"), "occurred": "2020"}, other_data):
            with pytest.raises(DifferentContent):
                decisions.decide(batch(different))
        decisions.decide(batch(redaction))
        for repeat in (registered("a"), other_data):  # erased data equals any
            (again,) = decisions.decide(batch(repeat))
            assert (again.body, again.is_new) == (first.body, False)
        decisions.decide(batch(registered("b")))
        pending = decisions.pending
        assert (log.head(), len(pending.events)) == (0, 3)
        erased = pending.at(1)
        assert erased is not None
        assert (erased.data, erased.salt, erased.redacted, erased.about) == (b"", b"", 2, None)
        assert pending.find("urn:test", "nothing") is pending.at(4) is None
        log.insert_events(pending.events, effects=pending.effects)
        assert [pending.at(position) for position in (1, 2, 3)] == log.select_notifications(None, 9)
        assert log.at(1) == erased
        assert log.erasures() == 1


async def test_redaction_and_repeat_of_an_event_in_one_group(registry, monkeypatch):
    key = registry.app[KEYS].create("admin", [Scope.ADMIN, Scope.POST])
    recorded = await registry.take(registered("a"))
    redaction = registered("a", id="redaction", type="event.redacted", data={"event": 1, "reason": "personal"})
    reached = threading.Event()
    with held(monkeypatch, registry, reached) as release:
        first = asyncio.create_task(registry.post(registered("first")))
        await until(reached.is_set)
        group = [asyncio.create_task(registry.post(redaction, key=key))]
        await until(lambda: registry.app[WRITER].queued[0] == 2)
        group.append(asyncio.create_task(registry.post(registered("a", data={"name": "Other", "kind": "company"}))))
        await until(lambda: registry.app[WRITER].queued[0] == 3)
        release.set()
        assert (await first).status == 201
        assert [answer.status for answer in await asyncio.gather(*group)] == [201, 200]
    assert (await (await group[1]).json())["leaf"] == recorded["leaf"]
    assert await registry.head() == 3
