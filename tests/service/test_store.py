"""Opening a data directory: after a crash, with views that lag, are stale, broken or of another log."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.service.registry import registered, renamed, running


async def state(registry, slug: str):
    return await registry.json(f"/v1/parties/{slug}?as_of={await registry.head()}&on=any")


async def test_recorded_events_are_there_after_a_restart(tmp_path):
    async with running(tmp_path) as registry:
        receipt = await registry.take(registered("a"))
        before = await state(registry, "a")
    async with running(tmp_path) as registry:
        assert await registry.take(registered("a")) == receipt
        assert await state(registry, "a") == before
        assert (await registry.take(renamed("a", "B")))["position"] == 2


def _drop(path) -> None:
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink()


def _spoil(path) -> None:
    _drop(path)
    path.write_bytes(b"garbage" * 1000)


def _make_stale(path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET value = 'older' WHERE name = 'fold'")


def _make_ahead(path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE tracking SET notification_id = 99 WHERE application_name = 'log'")


@pytest.mark.parametrize("harm", [_drop, _spoil, _make_stale, _make_ahead])
async def test_views_that_do_not_match_are_rebuilt_from_the_log(tmp_path, harm):
    async with running(tmp_path) as registry:
        await registry.take([registered("a"), renamed("a", "B"), registered("b")])
        before = await state(registry, "a")
    harm(tmp_path / "views.sqlite")
    async with running(tmp_path) as registry:
        assert await state(registry, "a") == before
        assert (await registry.take(renamed("a", "C")))["position"] == 4


async def test_views_of_another_log_are_rebuilt(tmp_path):
    async with running(tmp_path / "one") as registry:
        await registry.take([registered("a"), registered("b")])
    async with running(tmp_path / "two") as registry:
        await registry.take([registered("c"), registered("d")])
    _drop(tmp_path / "two" / "views.sqlite")
    for part in (tmp_path / "one").glob("views.sqlite*"):
        part.rename(tmp_path / "two" / part.name)
    async with running(tmp_path / "two") as registry:
        assert (await registry.get("/v1/parties/a")).status == 404
        assert (await registry.get("/v1/parties/c")).status == 200


async def test_views_that_lag_catch_up(tmp_path):
    async with running(tmp_path) as registry:
        await registry.take(registered("a"))
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("views.sqlite*")}
    async with running(tmp_path) as registry:
        await registry.take([renamed("a", "B"), registered("b")])
        after = await state(registry, "a")
    _drop(tmp_path / "views.sqlite")
    for name, content in kept.items():
        (tmp_path / name).write_bytes(content)
    async with running(tmp_path) as registry:
        assert await state(registry, "a") == after
        assert (await registry.get("/v1/parties/b")).status == 200


_CRASH = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())
from tests.service.registry import running, registered

async def main():
    async with running(Path(sys.argv[1])) as registry:
        views, log = registry.app[WRITER].views, registry.app[WRITER]._log
        await registry.take(registered("a"))
        await registry.app[WRITER].publish()  # so that the next commit of the views is that of the next event
        step = sys.argv[2]
        if step == "answered":
            print(await registry.take(registered("b")), flush=True)
            os.kill(os.getpid(), 9)
        insert = log._insert_events
        target, name = {
            "before log": (log, "insert_events"), "in log": (log, "_insert_events"), "after log": (views, "commit")
        }[step]
        def crash(*group, **effects):
            if step == "in log":
                insert(*group, **effects)
            os.kill(os.getpid(), 9)
        setattr(target, name, crash)
        await registry.post(registered("b"))

from service.app_keys import WRITER
asyncio.run(main())
"""


@pytest.mark.parametrize(("step", "head"), [("answered", 2), ("before log", 1), ("in log", 1), ("after log", 2)])
async def test_a_crash_leaves_a_store_that_opens_again_without_repair(tmp_path, step, head):
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", _CRASH, str(tmp_path), step], capture_output=True, check=False
    )
    assert done.returncode == -9, done.stderr.decode()
    async with running(tmp_path) as registry:
        assert await registry.head() == head
        assert (await registry.get("/v1/parties/a")).status == 200
        assert (await registry.get("/v1/parties/b")).status == (200 if head == 2 else 404)
        assert (await registry.post(registered("b"))).status == (200 if head == 2 else 201)
        assert (await registry.take(registered("c")))["position"] == 3
