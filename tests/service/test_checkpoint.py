"""Checkpoints: recorded, signed, stored, published, in this order whatever fails between; a log that does not continue
its last checkpoint is never signed and takes no event."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from base64 import b64decode
from collections.abc import Awaitable, Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import orjson
import pytest

from domain.cloudevent import parse
from service import data_directory
from service.app_keys import READY, WRITER
from service.commands.decisions import Batch
from service.metrics import Readiness
from service.transparency import checkpoint
from service.transparency.checkpoint import PUBLISHER
from service.transparency.signing import CannotSign, make_key
from tests.contract.auditor import EMPTY, Auditor, Checkpoint, Key, root_of
from tests.service.commands import REGISTRY, environment, refused, run
from tests.service.query_helpers import SEEDED, SEEDS
from tests.service.registry import Registry, lines, problem, registered, renamed, running

T = TypeVar("T")
ORIGIN = "log.example/registry"


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Make a checkpoint every tenth of a second, so that no test waits for one."""
    monkeypatch.setattr(checkpoint, "PERIOD_SECONDS", 0.1)


async def text(registry: Registry, path: str) -> str:
    answer = await registry.get(path)
    assert answer.status == 200, await answer.text()
    return await answer.text()


async def newest(registry: Registry) -> Checkpoint:
    """Return the served checkpoint, verified by the served key."""
    return Key((await text(registry, "/log/vkey")).strip()).checkpoint(await text(registry, "/log/checkpoint"))


async def until(found: Callable[[], Awaitable[T]], holds: Callable[[T], object]) -> T:
    """Return the answer once the condition holds."""
    async with asyncio.timeout(10):
        while not holds(it := await found()):  # noqa: ASYNC110 - seen as a client sees it
            await asyncio.sleep(0.01)
    return it


async def covering(registry: Registry, size: int) -> Checkpoint:
    return await until(lambda: newest(registry), lambda found: found.size >= size)


async def readiness(registry: Registry, status: int) -> str:
    """Return the body of `/readyz` once it has this status."""
    answer = await until(lambda: registry.get("/readyz"), lambda answer: answer.status == status)
    return await answer.text()


async def checked_tiles(registry: Registry, size: int) -> list[bytes]:
    """Check every tile and entry of a published size; return the entries."""
    held: dict[str, bytes] = {}
    found = await covering(registry, size)

    def get(path: str) -> bytes:
        if path not in held:
            raise LookupError(path)
        return held[path]

    auditor = Auditor(get, (await text(registry, "/log/vkey")).strip())
    while True:
        try:
            return auditor.audit(found)
        except LookupError as missing:
            (path,) = missing.args
            answer = await registry.get(f"/log/{path}")
            assert answer.status == 200, path
            held[path] = await answer.read()


def kept(data: Path) -> str:
    return (data / "checkpoint").read_text()


async def post(registry: Registry, *slugs: str) -> None:
    for slug in slugs:
        await registry.take(registered(slug))


def copied(data: Path, to: Path) -> None:
    """Copy the databases of a stopped registry, as an old backup: without key and checkpoint."""
    to.mkdir()
    for path in data.glob("*.sqlite*"):
        shutil.copy(path, to)


def restored(backup: Path, data: Path) -> None:
    for path in data.glob("*.sqlite*"):
        path.unlink()
    for path in backup.iterdir():
        shutil.copy(path, data)


async def is_red(registry: Registry, said: str) -> None:
    """Check that nothing is signed, recorded or proven; the last checkpoint, the key and the reason are shown."""
    before = kept(registry.data)
    found = await problem(await registry.get("/readyz"), 503, "not-ready")
    assert re.search(said, found["detail"]), found["detail"]
    position = await registry.head()
    for answer in (
        await registry.post(registered("refused")),
        await registry.post([registered("refused")]),
        await registry.post(lines(registered("refused")), type_="application/x-ndjson"),
        await registry.post(registered("refused"), query="?validate=only"),
        await registry.get("/log/tile/0/000.p/1"),
        await registry.get("/log/tile/entries/000.p/1"),
        await registry.get("/log/consistency?old=0"),
    ):
        told = await problem(answer, 503, "not-ready")
        assert told["detail"] == found["detail"]
        assert "Retry-After" in answer.headers
    if position:
        await problem(await registry.get("/v1/events/1/proof"), 503, "not-ready")
    await asyncio.sleep(0.3)  # three times as long as a checkpoint takes
    assert await registry.head() == position
    assert await text(registry, "/log/checkpoint") == kept(registry.data) == before
    assert (await text(registry, "/log/vkey")).strip()
    assert any(line["event"] == "signing and recording stopped" for line in registry.lines())


# The usual way


async def test_an_empty_log_is_signed_at_its_first_start(data):
    async with running(data, origin=ORIGIN) as registry:
        found = await newest(registry)
        assert (found.size, found.root) == (0, EMPTY)
        assert found.signed == kept(data)
        assert found.signed.startswith(f"{ORIGIN}\n0\n")
        assert stat.S_IMODE((data / "log.key").stat().st_mode) == 0o600
        assert stat.S_IMODE((data / "checkpoint").stat().st_mode) == 0o600


async def test_recorded_events_are_signed_stored_and_published(data):
    async with running(data) as registry:
        await post(registry, "a", "b")
        assert await checked_tiles(registry, 2) == [
            orjson.loads(line)["entry"].encode() for line in (await (await registry.get("/v1/events", Accept="application/x-ndjson")).read()).splitlines()
        ]  # fmt: skip
        assert (await newest(registry)).signed == kept(data)


async def test_log_without_checkpoints_is_signed_as_it_is(data):
    async with running(data) as registry:
        await post(registry, "a", "b")
    for name in ("checkpoint", "log.key"):
        (data / name).unlink()
    async with running(data) as registry:
        assert (await newest(registry)).size == 2
        await checked_tiles(registry, 2)


async def test_restarts_keep_the_key_and_the_checkpoint(data):
    seen, keys = [], set()
    for number in range(4):
        async with running(data) as registry:
            await post(registry, f"party-{number}")
            seen.append(await covering(registry, number + 1))
            keys.add(await text(registry, "/log/vkey"))
            leaves = [sha256(b"\x00" + entry).digest() for entry in await checked_tiles(registry, number + 1)]
        for each in seen:
            assert root_of(leaves[: each.size]) == each.root
    assert len(keys) == 1
    async with running(data) as registry:  # nothing new, nothing signed anew
        assert (await newest(registry)).signed == seen[-1].signed


async def test_no_more_than_one_checkpoint_is_signed_in_a_period(data, monkeypatch):
    monkeypatch.setattr(checkpoint, "PERIOD_SECONDS", 0.5)
    signed: list[bytes] = []
    replace = data_directory.replace

    def counted(path: Path, content: bytes, mode: int) -> None:
        if path.name == "checkpoint":
            signed.append(content)
        replace(path, content, mode)

    monkeypatch.setattr(data_directory, "replace", counted)
    async with running(data) as registry:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(40):
            await post(registry, f"party-{number}")
        await covering(registry, 40)
        assert 2 <= len(signed) <= 2 + (loop.time() - began) / 0.5


async def test_proof_waits_for_its_checkpoint_for_a_bounded_time(data, monkeypatch):
    monkeypatch.setattr(checkpoint, "PERIOD_SECONDS", 0.3)
    async with running(data) as registry:
        for slug in ("a", "b", "c"):
            position = (await registry.take(registered(slug)))["position"]
            assert f"index {position - 1}\n" in await text(registry, f"/v1/events/{position}/proof")
        monkeypatch.setattr("service.http.inclusion.WAIT_SECONDS", 0.05)
        monkeypatch.setattr(checkpoint, "PERIOD_SECONDS", 60.0)
        await post(registry, "d")
        await covering(registry, 4)
        await post(registry, "e")
        answer = await registry.get("/v1/events/5/proof")
        assert "position 5" in (await problem(answer, 503, "position-ahead"))["detail"]
        assert answer.headers["Retry-After"] == "1"
        await problem(await registry.get("/v1/parties/e?proof=true"), 503, "position-ahead")
        assert (await registry.get("/v1/parties/e")).status == 200
        await problem(await registry.get("/log/consistency?old=4&size=5"), 422, "invalid-query")
        await problem(await registry.get("/log/tile/0/000.p/5"), 404, "not-found")
        await problem(await registry.get("/log/tile/entries/000.p/5"), 404, "not-found")


async def test_last_events_are_signed_when_the_registry_stops(data, monkeypatch):
    async with running(data) as registry:
        await post(registry, "a")
        await covering(registry, 1)
        monkeypatch.setattr(checkpoint, "PERIOD_SECONDS", 60.0)
        await post(registry, "b")
        await covering(registry, 2)
        posting = asyncio.gather(*(post(registry, f"c-{number}") for number in range(20)))
        await until(registry.head, lambda position: position > 2)
        await posting
        assert (await newest(registry)).size == 2
        verifier = (await text(registry, "/log/vkey")).strip()
    assert Key(verifier).checkpoint(kept(data)).size == 22


async def test_queued_posts_recorded_during_a_stop_are_signed(data, monkeypatch):
    monkeypatch.setattr(checkpoint, "PERIOD_SECONDS", 60.0)
    async with running(data) as registry:
        verifier = (await text(registry, "/log/vkey")).strip()
        writer = registry.app[WRITER]
        some = Batch([parse(registered(f"p-{number}")) for number in range(100)], "nobody", 100, is_list=True)
        await writer.submit([some])  # as of a client that went away
    assert Key(verifier).checkpoint(kept(data)).size == 100


async def test_metrics_have_the_signed_size(data):
    async with running(data) as registry:
        await post(registry, "a", "b")
        await covering(registry, 2)
        assert "registry_checkpoint_position 2.0" in await text(registry, "/metrics")


# The order, each step failed and not kept, and failed but kept


async def test_checkpoint_is_published_only_after_it_is_stored(data, monkeypatch):
    async with running(data) as registry:
        publisher, replace = registry.app[PUBLISHER], data_directory.replace
        sizes: list[tuple[int, int]] = []

        def watched(path: Path, content: bytes, mode: int) -> None:
            sizes.append((publisher.published.size, int(content.split(b"\n")[1])))
            replace(path, content, mode)
            assert publisher.published.size == sizes[-1][0]

        monkeypatch.setattr(data_directory, "replace", watched)
        await post(registry, "a")
        await covering(registry, 1)
        await post(registry, "b", "c")
        await covering(registry, 3)
        assert all(published < signed for published, signed in sizes)
        assert sizes[0] == (0, 1)


@pytest.mark.parametrize("is_kept", [False, True])
async def test_checkpoint_that_cannot_be_stored_is_reported_and_retried_and_not_published(data, monkeypatch, is_kept):
    async with running(data) as registry:
        await post(registry, "a")
        before = await covering(registry, 1)
        replace = data_directory.replace

        def full(path: Path, content: bytes, mode: int) -> None:
            if is_kept:
                replace(path, content, mode)
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(data_directory, "replace", full)
        await post(registry, "b")
        assert "No space left on device" in await readiness(registry, 503)
        await post(registry, "c")  # recording does not depend on it
        await asyncio.sleep(0.3)
        assert (await newest(registry)).signed == before.signed
        assert (kept(data) == before.signed) is not is_kept
        monkeypatch.setattr(data_directory, "replace", replace)
        found = await covering(registry, 3)
        assert found.signed == kept(data)
        await checked_tiles(registry, 3)
        await readiness(registry, 200)
        told = [line for line in registry.lines() if line["event"] == "no checkpoint can be published"]
        assert len(told) == 1, "said once, not every second"
        assert "No space" in told[0]["exception"]


async def test_first_checkpoint_that_cannot_be_stored_is_reported_and_made_later(data, monkeypatch):
    replace = data_directory.replace

    def full(path: Path, content: bytes, mode: int) -> None:
        if path.name == "checkpoint":
            raise OSError(28, "No space left on device")
        replace(path, content, mode)

    monkeypatch.setattr(data_directory, "replace", full)
    async with running(data) as registry:
        await problem(await registry.get("/readyz"), 503, "not-ready")
        for path in ("/log/checkpoint", "/log/tile/0/000.p/1", "/log/consistency?old=0"):
            await problem(await registry.get(path), 503, "not-ready")
        assert (await registry.get("/log/vkey")).status == 200
        await post(registry, "a")
        monkeypatch.setattr(data_directory, "replace", replace)
        await readiness(registry, 200)
        await checked_tiles(registry, 1)


async def test_missing_tree_rows_are_reported_and_awaited_before_signing(data):
    async with running(data) as registry:
        await post(registry, "a", "b")
        await covering(registry, 2)
        with closing(sqlite3.connect(data / "views.sqlite")) as views:
            rows = views.execute("SELECT * FROM tree").fetchall()
            views.execute("DELETE FROM tree")
            views.commit()
            await post(registry, "c")
            assert "is not stored" in await readiness(registry, 503)
            assert (await newest(registry)).size == 2
            await problem(await registry.get("/log/tile/0/000.p/1"), 503, "unavailable")
            views.executemany("INSERT OR IGNORE INTO tree VALUES (?, ?)", rows)
            views.commit()
        await checked_tiles(registry, 3)
        assert (await registry.get("/readyz")).status == 200


_DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from service import data_directory
from service.server import serve
from service.settings import Settings

replace, when, size = data_directory.replace, sys.argv[2], int(sys.argv[3])

def dying(path, content, mode):
    if path.name == "checkpoint" and int(content.split(b"\\n")[1]) >= size:
        if when == "kept":
            replace(path, content, mode)
        os.kill(os.getpid(), signal.SIGKILL)
    replace(path, content, mode)

data_directory.replace = dying
asyncio.run(serve(Settings(data=Path(sys.argv[1]), port=0), seeds=Path(sys.argv[4]), first_key=False,
                  started=lambda started: print("started", flush=True)))
"""


@pytest.mark.parametrize(("when", "held"), [("signed", 0), ("kept", SEEDED)])
async def test_kill_between_signing_storing_and_publishing_is_recovered(data, when, held):
    """The process records the seeds and dies while it signs them."""
    died = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _DIES, data, when, str(SEEDED), SEEDS],
        capture_output=True,
        timeout=60,
        env=environment(),
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    before = kept(data)
    assert before.split("\n")[1] == str(held)
    async with running(data) as registry:
        assert await registry.head() == SEEDED
        await checked_tiles(registry, SEEDED)
        assert (await registry.get("/readyz")).status == 200
        assert (before == kept(data)) == (held == SEEDED)


# What does not continue what was signed


async def test_log_restored_from_an_older_backup_is_never_signed(data, tmp_path):
    async with running(data) as registry:
        await post(registry, "a", "b", "c")
    copied(data, tmp_path / "backup")
    async with running(data) as registry:
        await post(registry, "d", "e")
        await covering(registry, 5)
    copied(data, tmp_path / "whole")
    promised = kept(data)
    restored(tmp_path / "backup", data)
    for _ in range(2):  # starting again mends nothing
        async with running(data) as registry:
            await is_red(registry, r"went back: 5 events were signed, and it holds 3\..*restore a log")
    assert kept(data) == promised
    restored(tmp_path / "whole", data)
    async with running(data) as registry:
        assert (await registry.get("/readyz")).status == 200
        await post(registry, "f")
        await checked_tiles(registry, 6)


async def test_lost_log_is_not_restarted_under_its_name(data):
    async with running(data, origin=ORIGIN) as registry:
        await post(registry, "a")
        await covering(registry, 1)
    for path in data.glob("*.sqlite*"):
        path.unlink()
    async with running(data, origin=ORIGIN) as registry:
        await is_red(registry, "went back: 1 events were signed, and it holds 0")


async def test_a_forked_log_of_the_same_length_is_never_signed(data, tmp_path):
    async with running(data) as registry:
        await post(registry, "a", "b")
    copied(data, tmp_path / "backup")
    async with running(data) as registry:
        await post(registry, "c", "d")
        await covering(registry, 4)
    restored(tmp_path / "backup", data)
    promised = kept(data)
    (data / "checkpoint").unlink()
    async with running(data) as registry:  # events that would have followed the backup
        await post(registry, "x", "y")
        await covering(registry, 4)
    (data / "checkpoint").write_text(promised)
    async with running(data) as registry:
        await is_red(registry, "forked: its first 4 events have the root [0-9a-f]{64}, and [0-9a-f]{64} was signed")


async def test_a_forked_log_that_has_grown_further_is_never_signed(data, tmp_path):
    async with running(data) as registry:
        await post(registry, "a")
        await covering(registry, 1)
        promised = kept(data)
    for path in (*data.glob("*.sqlite*"), data / "checkpoint", data / "log.key"):
        path.unlink() if path.name != "log.key" else path.rename(tmp_path / "log.key")
    origin = promised.split("\n")[0]
    async with running(data, origin=origin) as registry:
        await post(registry, *"bcdef")
    (data / "checkpoint").write_text(promised)
    shutil.copy(tmp_path / "log.key", data)
    async with running(data) as registry:
        await is_red(registry, "forked: its first 1 events")


async def test_changed_tree_is_detected_before_the_next_signature_and_repaired_by_a_rebuild(data):
    async with running(data) as registry:
        await post(registry, "a", "b", "c")
        await covering(registry, 3)
        with closing(sqlite3.connect(data / "views.sqlite")) as views:
            views.execute("UPDATE tree SET hash = ? WHERE id = (SELECT max(id) FROM tree)", (bytes(32),))
            views.commit()
        await post(registry, "d")
        await readiness(registry, 503)
        await is_red(registry, "forked: its first 3 events.*registry rebuild")
    assert run("rebuild", data=data).returncode == 0
    async with running(data) as registry:
        await checked_tiles(registry, 4)


async def test_checkpoint_of_another_key_is_preserved_and_not_continued(data):
    async with running(data, origin=ORIGIN) as registry:
        await post(registry, "a")
        await covering(registry, 1)
        own = await text(registry, "/log/vkey")
    (data / "log.key").rename(data / "old.key")
    make_key(data / "log.key", ORIGIN)
    async with running(data) as registry:
        await is_red(registry, "not signed by this log's key")
        assert await text(registry, "/log/vkey") != own
    (data / "old.key").rename(data / "log.key")
    async with running(data) as registry:
        assert (await newest(registry)).size == 1


async def test_checkpoint_with_a_damaged_signature_is_not_continued(data):
    async with running(data) as registry:
        await post(registry, "a")
        signed = (await covering(registry, 1)).signed
    spoilt = signed.replace("\n1\n", "\n0\n").replace(
        signed.split("\n")[2], "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    )
    (data / "checkpoint").write_text(spoilt)
    async with running(data) as registry:
        await is_red(registry, "not signed by this log's key")


async def test_seeds_are_not_recorded_into_a_lost_log(data):
    async with running(data, origin=ORIGIN) as registry:
        await post(registry, "a")
        await covering(registry, 1)
    for path in data.glob("*.sqlite*"):
        path.unlink()
    process = await asyncio.create_subprocess_exec(
        REGISTRY, "serve", "--port", "0", "--origin", ORIGIN, "--seeds", SEEDS, env=environment(data),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            assert b"serves" in await process.stdout.readline()
    finally:
        process.kill()
        await process.communicate()
    with closing(sqlite3.connect(data / "log.sqlite")) as log:
        assert log.execute("SELECT count(*) FROM events").fetchone() == (0,)


async def test_offline_import_into_an_older_log_is_refused(data, tmp_path):
    async with running(data) as registry:
        await post(registry, "a")
    copied(data, tmp_path / "backup")
    async with running(data) as registry:
        await post(registry, "b")
        await covering(registry, 2)
    restored(tmp_path / "backup", data)
    (tmp_path / "more.ndjson").write_bytes(lines(registered("c")))
    ended = await asyncio.to_thread(run, "import", tmp_path / "more.ndjson", data=data)
    assert ended.returncode == 1
    assert "went back: 2 events were signed, and it holds 1" in ended.stderr.decode()
    with closing(sqlite3.connect(data / "log.sqlite")) as log:
        assert log.execute("SELECT count(*) FROM events").fetchone() == (1,)


async def test_offline_import_into_a_log_that_continues_is_accepted(data, tmp_path):
    async with running(data) as registry:
        await post(registry, "a")
    (tmp_path / "more.ndjson").write_bytes(lines(registered("c"), renamed("c", "New")))
    ended = await asyncio.to_thread(run, "import", tmp_path / "more.ndjson", data=data)
    assert ended.returncode == 0, ended.stderr.decode()
    async with running(data) as registry:
        await checked_tiles(registry, 3)


# What is refused at start, in one line


async def begun(data: Path, origin: str = ORIGIN) -> str:
    async with running(data, origin=origin) as registry:
        await post(registry, "a")
        return (await covering(registry, 1)).signed


async def test_a_checkpoint_of_another_log_is_refused_at_start(data):
    signed = await begun(data)
    (data / "checkpoint").write_text(signed.replace(ORIGIN, "other.example/log"))
    said = refused("serve", "--port", "0", data=data, code=1)
    assert "'other.example/log'" in said
    assert f"'{ORIGIN}'" in said
    assert "went back" not in said


@pytest.mark.parametrize("content", ["", "nonsense\n", "a\n1\nx\n\n\u2014 a AAAAAAAA\n", "\x00"])
async def test_invalid_checkpoint_file_is_refused_at_start(data, content):
    signed = await begun(data)
    (data / "checkpoint").write_text(content)
    said = refused("serve", "--port", "0", data=data, code=1)
    assert "is not a checkpoint" in said
    (data / "checkpoint").write_bytes(b"\xff" + signed.encode())
    assert "is not a checkpoint" in refused("serve", "--port", "0", data=data, code=1)
    assert refused("import", os.devnull, data=data, code=1)


async def test_missing_key_is_not_created_again(data):
    await begun(data)
    (data / "log.key").unlink()
    assert "log.key is gone" in refused("serve", "--port", "0", data=data, code=1)
    assert not (data / "log.key").exists()


async def test_key_of_another_log_is_refused_at_start(data, tmp_path):
    await begun(data)
    make_key(tmp_path / "other.key", "other.example/log")
    said = refused("serve", "--port", "0", "--signing-key", tmp_path / "other.key", data=data, code=1)
    assert f"this log is '{ORIGIN}'" in said
    (data / "log.key").chmod(0o644)
    assert "chmod 600" in refused("serve", "--port", "0", data=data, code=1)
    (data / "log.key").chmod(0o600)
    (data / "log.key").write_text("nothing\n")
    assert f"PRIVATE+KEY+{ORIGIN}+" in refused("serve", "--port", "0", data=data, code=1)


def test_a_given_key_must_be_there(data, tmp_path):
    said = refused("serve", "--port", "0", "--signing-key", tmp_path / "none", data=data, code=2)
    assert "REGISTRY_SIGNING_KEY" in said
    assert not data.exists()


async def test_given_key_signs_and_none_is_created(data, tmp_path):
    given = tmp_path / "given.key"
    verifier = make_key(given, ORIGIN).verifier
    async with running(data, origin=ORIGIN, signing_key=given) as registry:
        assert (await text(registry, "/log/vkey")).strip() == verifier.text
        assert (await newest(registry)).size == 0
    assert not (data / "log.key").exists()
    with pytest.raises(CannotSign, match="--signing-key"):
        async with running(data, origin=ORIGIN):
            pass


# What people see


async def test_readiness_recovers_once_checkpoints_can_be_stored(data, monkeypatch):
    async with running(data) as registry:
        ready: Readiness = registry.app[READY]
        replace, reason = data_directory.replace, "one thing"

        def full(path: Path, content: bytes, mode: int) -> None:
            raise OSError(5, reason)

        monkeypatch.setattr(data_directory, "replace", full)
        await post(registry, "a")
        await until(lambda: registry.get("/readyz"), lambda _: any("one thing" in each for each in ready.reasons))
        reason = "another"
        await until(lambda: registry.get("/readyz"), lambda _: any("another" in each for each in ready.reasons))
        assert len(ready.reasons) == 1, "each reason takes the place of the one before"
        monkeypatch.setattr(data_directory, "replace", replace)
        await covering(registry, 1)
        assert ready.reasons == []


def test_the_key_is_printed_at_start_and_its_secret_nowhere(data):
    process = subprocess.Popen(
        [REGISTRY, "serve", "--port", "0", "--first-key"], env=environment(data), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = b""
        while b"curl" not in said:
            line = process.stdout.readline()
            assert line
            said += line
    finally:
        process.terminate()
        out, log = process.communicate(timeout=20)
    raw = (data / "log.key").read_text().strip()
    name, key_id, secret = raw.removeprefix("PRIVATE+KEY+").split("+", 2)
    assert f"{name}+{key_id}+".encode() in said
    for part in (secret, b64decode(secret)[1:].hex()):
        assert part.encode() not in said + out + log
