"""`registry rebuild`: the same views from the log, with a server that goes on serving, and without one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pty
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import orjson
import pytest

from projections.engine.query_types import TimeSlice
from service.data_directory import VIEWS, VIEWS_READY, remove_unused_views
from service.lock import directory_lock, rebuild_lock
from service.views import rebuild
from service.views.readers import READERS
from tests.service.commands import REGISTRY, call, done, environment, refused, run, serving
from tests.service.query_helpers import SEEDED, SEEDS, party, seed_lines
from tests.service.registry import STRUCTURED, registered, renamed, running


def answers(server):
    return [
        server.get(path)[1]
        for path in ("/v1/parties?limit=1000", "/v1/agreements", "/v1/timeline?limit=1000", "/v1/statistics")
    ]


def spoil(data):
    """Change the stored views, as a fault would."""
    with closing(sqlite3.connect(data / VIEWS)) as views:
        views.execute("DELETE FROM memberships")
        views.commit()


def leftovers(data):
    return sorted(path.name for path in data.iterdir() if "next" in path.name or "ready" in path.name)


def test_views_are_rebuilt_without_a_server(tmp_path):
    data = tmp_path / "data"
    done("import", "-", data=data, stdin=seed_lines())
    before = done("export", "memberships", data=data)
    spoil(data)
    assert done("export", "memberships", data=data) != before
    assert run("rebuild", data=data).stderr == b"the views were rebuilt\n"
    assert done("export", "memberships", data=data) == before
    assert leftovers(data) == []


def test_fold_restores_the_garbage_collector_settings_even_after_an_error(tmp_path):
    data = tmp_path / "data"
    done("import", "-", data=data, stdin=seed_lines())
    before, within = gc.get_threshold(), []

    def report(position):
        within.append(gc.get_threshold())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild.build(data, report)
    assert within[0][0] >= before[0] == gc.get_threshold()[0]
    assert gc.get_threshold() == before


def test_views_are_rebuilt_while_they_are_served(tmp_path):
    data = tmp_path / "data"
    with serving(data, "--seeds", SEEDS) as server:
        before = answers(server)
        spoil(data)
        assert server.get("/v1/memberships?limit=9")[1] == b'{"items":[],"next":null,"position":%d}' % SEEDED
        key = done("keys", "create", "poster", "--scope", "post", data=data).decode().strip()
        ended = run("rebuild", data=data)
        assert (ended.returncode, ended.stderr) == (0, b"the server has taken over the rebuilt views\n")
        assert answers(server) == before
        assert len(server.json("/v1/memberships?limit=9")["items"]) == 9, "not as it was kept from before"
        assert leftovers(data) == []
        headers = {"Content-Type": STRUCTURED, "Authorization": f"Bearer {key}"}
        assert call(f"{server.url}/v1/events", orjson.dumps(party("later")), headers)[0] == 201
        assert server.json("/v1/parties/later")["version"] == 1
        server.stop()
    with serving(data) as server:
        assert server.json("/v1/parties/later")["version"] == 1
        assert "made anew" not in (tmp_path / "data.log").read_text()


def test_nothing_is_lost_or_refused_while_views_are_rebuilt(tmp_path):
    data = tmp_path / "data"
    with serving(data, "--seeds", SEEDS) as server:
        key = done("keys", "create", "poster", "--scope", "post", data=data).decode().strip()
        headers = {"Content-Type": STRUCTURED, "Authorization": f"Bearer {key}"}
        stop, statuses, seen = threading.Event(), [], []

        def post():
            number = 0
            while not stop.is_set():
                number += 1
                time.sleep(0.01)
                status, _ = call(f"{server.url}/v1/events", orjson.dumps(party(f"n{number}")), headers)
                statuses.append(status)
                seen.append(server.get(f"/v1/parties/n{number}")[0])

        thread = threading.Thread(target=post)
        thread.start()
        try:
            for _ in range(2):
                done("rebuild", data=data)
        finally:
            stop.set()
            thread.join()
        assert set(statuses) == {201}
        assert set(seen) == {200}
        parties = server.json("/v1/statistics")["parties"]["total"]
        server.stop()
    run("rebuild", data=data)
    with serving(data) as server:
        assert server.json("/v1/statistics")["parties"]["total"] == parties


async def test_running_query_ends_on_the_views_it_began_on(tmp_path):
    async with running(tmp_path / "data") as registry:
        await registry.take(registered("a"))
        assert (await registry.json("/v1/parties/a"))["name"] == "A"
        begun, may_end = threading.Event(), threading.Event()

        def slow(reader):
            before = reader.head()
            begun.set()
            assert may_end.wait(20)
            return before, reader.head(), reader.state("parties/a", TimeSlice(1, None)).version

        asked = asyncio.create_task(registry.app[READERS].ask(slow))
        await asyncio.to_thread(begun.wait, 20)
        assert await taken(registry.data, rebuild.offer(rebuild.build(registry.data, lambda _: None)))
        await registry.take(renamed("a", "New"))
        may_end.set()
        assert await asked == (1, 1, 1)
        assert (await registry.json("/v1/parties/a"))["name"] == "New"
        assert (await registry.json("/v1/parties"))["items"][0]["name"] == "New"


async def test_views_folded_by_other_code_are_not_swapped_in(tmp_path):
    async with running(tmp_path / "data") as registry:
        await registry.take(registered("a"))
        built = rebuild.build(registry.data, lambda _: None)
        with closing(sqlite3.connect(built)) as views:
            views.execute("UPDATE meta SET value = 'other' WHERE name = 'fold'")
            views.commit()
        assert await taken(registry.data, rebuild.offer(built)) is False
        assert (await registry.json("/v1/parties/a"))["version"] == 1
        assert leftovers(registry.data) == []


async def test_invalid_views_file_is_removed_and_the_old_views_stay(tmp_path):
    async with running(tmp_path / "data") as registry:
        await registry.take(registered("a"))
        ready = registry.data / VIEWS_READY
        ready.write_bytes(b"no database at all" * 1000)
        assert await taken(registry.data, ready.stat().st_ino) is False
        await registry.take(registered("b"))
        assert len((await registry.json("/v1/parties"))["items"]) == 2


async def taken(data, offered):
    return await asyncio.to_thread(waited_for, data, offered)


def waited_for(data, offered):
    deadline = time.monotonic() + 20
    while (found := rebuild.was_taken(data, offered)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_interrupted_rebuild_starts_again(tmp_path):
    data = tmp_path / "data"
    done("import", "-", data=data, stdin=seed_lines())
    (data / "views.next.sqlite").write_bytes(b"half")
    (data / "views.next.sqlite-wal").write_bytes(b"half")
    done("rebuild", data=data)
    assert leftovers(data) == []


def test_finished_views_are_swapped_in_by_the_next_server(tmp_path):
    data = tmp_path / "data"
    done("import", "-", data=data, stdin=seed_lines())
    offered = rebuild.offer(rebuild.build(data, lambda _: None))
    with serving(data):
        assert waited_for(data, offered)


def test_second_rebuild_is_refused_while_one_runs(tmp_path):
    data = tmp_path / "data"
    done("import", "-", data=data, stdin=seed_lines())
    with rebuild_lock(data):
        assert "rebuilt by another process" in refused("rebuild", data=data, code=1)
        with serving(data):
            assert "rebuilt by another process" in refused("rebuild", data=data, code=1)
    assert run("rebuild", data=data).stderr == b"the views were rebuilt\n"


def test_rebuild_of_an_empty_directory_is_refused(tmp_path):
    assert "nothing to rebuild" in refused("rebuild", data=tmp_path / "none", code=1)


@pytest.mark.parametrize("command", ["rebuild", "export"])
def test_progress_bar_is_hidden_without_a_terminal(tmp_path, command):
    data = tmp_path / "data"
    done("import", "-", data=data, stdin=seed_lines())
    arguments = ["rebuild"] if command == "rebuild" else ["export", "log"]
    ended = subprocess.run([REGISTRY, *arguments], env=environment(data), capture_output=True, check=True)
    assert b"%" not in ended.stderr
    assert b"#" not in ended.stderr


def test_progress_bar_is_shown_on_a_terminal(tmp_path):
    data = tmp_path / "data"
    done("import", "-", data=data, stdin=seed_lines())
    ours, theirs = pty.openpty()
    process = subprocess.Popen([REGISTRY, "rebuild"], env=environment(data), stdin=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    drawn = b""
    with contextlib.suppress(OSError):  # what a terminal says when the other side is closed
        while chunk := os.read(ours, 4096):
            drawn += chunk
    os.close(ours)
    assert process.wait(timeout=20) == 0
    assert b"Rebuilding" in drawn
    assert b"100%" in drawn


def test_rebuild_for_a_server_that_has_gone_writes_nothing(tmp_path):
    data = tmp_path / "data"
    done("import", "-", data=data, stdin=seed_lines())
    built = data / "views.erased.sqlite"
    for server, status, is_built in ((os.getppid(), 1, False), (os.getpid(), 0, True)):
        ended = subprocess.run(
            [sys.executable, "-m", "service.views.rebuild", built, str(server)],
            check=False,
            timeout=60,
            capture_output=True,
        )
        assert (ended.returncode, ended.stderr, built.exists()) == (status, b"", is_built)


def test_rebuild_overtaken_by_an_erasure_reports_it(tmp_path):
    data = tmp_path / "data"
    done("import", "-", data=data, stdin=seed_lines())
    with directory_lock(data):  # as a server does
        rebuilding = subprocess.Popen([REGISTRY, "rebuild", "--data", data], stderr=subprocess.PIPE, env=environment())
        while rebuilding.poll() is None:
            remove_unused_views(data)  # as it does where something is erased
            time.sleep(0.001)
        assert rebuilding.stderr is not None
        with rebuilding.stderr:
            said = rebuilding.stderr.read().decode()
    assert rebuilding.returncode == 1
    assert "something was erased" in said
    assert "Traceback" not in said
    assert leftovers(data) == []
