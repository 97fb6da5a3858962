"""`registry backup` and `restore`: a consistent copy while serving, its restore, and the report of what is missing."""

from __future__ import annotations

import threading

import orjson
import pytest

from service.backup import MANIFEST
from tests.service.commands import call, done, refused, run, serving
from tests.service.query_helpers import SEEDED, SEEDS, party
from tests.service.registry import STRUCTURED


def post(server, slug, key):
    headers = {"Content-Type": STRUCTURED, "Authorization": f"Bearer {key}"}
    return call(f"{server.url}/v1/events", orjson.dumps(party(slug)), headers)[0]


def key_of(name, data):
    return done("keys", "create", name, "--scope", "post", data=data).decode().strip()


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def copy(tmp_path):
    return tmp_path / "backups" / "one"


def said(*arguments, **more):
    ended = run(*arguments, **more)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr.decode()


def test_backup_made_while_serving_is_the_registry_as_of_one_moment(data, copy, tmp_path):
    with serving(data, "--seeds", SEEDS) as server:
        poster, gone = key_of("poster", data), key_of("gone", data)
        done("keys", "revoke", "gone", data=data)
        vkey, stop = server.get("/log/vkey")[1], threading.Event()
        acknowledged: list[int] = []

        def keep_posting():
            while not stop.is_set():
                assert post(server, f"p-{len(acknowledged)}", poster) == 201
                acknowledged.append(1)

        thread = threading.Thread(target=keep_posting)
        thread.start()
        try:
            before = len(acknowledged)
            made = said("backup", copy, data=data)
        finally:
            stop.set()
            thread.join()
        events = int(made.split(" holds ")[1].split()[0])
        assert SEEDED + before <= events <= SEEDED + len(acknowledged)
        assert "2 keys" in made
        assert "verified" in made
    assert {path.name for path in copy.iterdir()} == {
        "backup.json",
        "checkpoint",
        "keys.sqlite",
        "log.key",
        "log.sqlite",
    }
    assert not [path for path in (copy, *copy.iterdir()) if path.stat().st_mode & 0o077]
    restored = tmp_path / "restored"
    assert f"the {events} events" in said("restore", copy, data=restored)
    with serving(restored) as server:
        assert server.get("/log/vkey")[1] == vkey
        assert server.json("/v1/events?limit=1")["position"] == events
        assert post(server, "after", gone) == 401
        assert post(server, "after", poster) == 201
    done("audit", data=restored)


def test_restore_of_older_backup_keeps_the_checkpoint_and_revocations_and_reports_missing_events(data, copy):
    with serving(data) as server:
        poster, leaver = key_of("poster", data), key_of("leaver", data)
        assert post(server, "a", leaver) == 201
        said("backup", copy, data=data)
        done("keys", "revoke", "leaver", data=data)
        later = key_of("later", data)
        for slug in ("b", "c"):
            assert post(server, slug, poster) == 201
        server.stop()
    assert "--replace" in refused("restore", copy, data=data, code=1)
    told = said("restore", copy, "--replace", data=data)
    assert "3 events were signed, and 2 of them are missing" in told
    (aside,) = data.glob("replaced-*")
    assert (aside / "log.sqlite").exists()
    with serving(data) as server:
        status, ready = server.get("/readyz")
        assert status == 503
        assert b"went back" in ready
        assert post(server, "d", leaver) == 401, "a key that was revoked since"
        assert post(server, "d", later) == 503, "a key that was made since"
        server.stop()
    for path in aside.iterdir():  # and back again
        path.rename(data / path.name)
    with serving(data) as server:
        assert server.json("/readyz")["status"] == "ready"
        assert post(server, "d", poster) == 201


def test_restore_after_total_loss_warns_that_revocations_are_lost(data, copy, tmp_path):
    with serving(data) as server:
        assert post(server, "a", key_of("poster", data)) == 201
        server.stop()
    said("backup", copy, data=data)
    told = said("restore", copy, data=tmp_path / "new")
    assert "revoke again" in told
    assert "the log holds all 1 events of the last signed checkpoint" in told


def test_incomplete_backup_is_refused(data, copy, tmp_path):
    with serving(data, "--seeds", SEEDS) as server:
        server.stop()
    said("backup", copy, data=data)
    assert "not empty" in refused("backup", copy, data=data, code=1)
    for name in ("log.sqlite", "log.key", "checkpoint"):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[:-2] + b"xx")
        assert name in refused("restore", copy, data=tmp_path / "new", code=1)
        (copy / name).unlink()
        assert name in refused("restore", copy, data=tmp_path / "new", code=1)
        (copy / name).write_bytes(content)
    (copy / MANIFEST).unlink()
    assert "not a backup" in refused("restore", copy, data=tmp_path / "new", code=1)
    assert not (tmp_path / "new").exists()


def test_backup_of_damaged_log_fails_and_leaves_nothing(data, copy):
    with serving(data, "--seeds", SEEDS) as server:
        server.stop()
    content = bytearray((data / "log.sqlite").read_bytes())
    content[5 * 8192 : 6 * 8192] = bytes(8192)
    (data / "log.sqlite").write_bytes(content)
    refused("backup", copy, data=data, code=1)
    assert list(copy.iterdir()) == []


def test_failed_backup_or_restore_gives_the_reason(data, copy, tmp_path):
    assert "nothing to back up" in refused("backup", copy, data=data, code=1)
    with serving(data) as server:
        said("backup", copy, data=data)
        assert "held" in refused("restore", copy, "--replace", data=data, code=1)
        assert server.json("/readyz")["status"] == "ready"
    assert run("backup", tmp_path / "full", data=data, file_bytes=3000).returncode == 1
    assert list((tmp_path / "full").iterdir()) == []
    with serving(tmp_path / "other"):
        pass
    assert "is of the log" in refused("restore", copy, "--replace", data=tmp_path / "other", code=1)
    (data / "log.key").rename(tmp_path / "elsewhere.key")
    assert "--signing-key" in refused("backup", tmp_path / "two", data=data, code=1)
    said("backup", tmp_path / "two", "--signing-key", tmp_path / "elsewhere.key", data=data)
    assert (tmp_path / "two" / "log.key").exists()
