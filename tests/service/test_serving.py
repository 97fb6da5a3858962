"""`registry serve`: what it prints, the first start and the next, and how it stops."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import threading
import time

import orjson
import pytest

from service.transparency.signing import make_key
from tests.service.commands import REGISTRY, call, done, environment, refused, serving
from tests.service.query_helpers import SEEDED, SEEDS, party
from tests.service.registry import STRUCTURED


def key_in(said):
    (key, *_) = re.findall(r"rk_\S+", said)
    return key


def test_the_first_start_records_the_seeds_and_prints_a_key_and_a_line_that_works(tmp_path):
    data = tmp_path / "data"
    with serving(data, "--seeds", SEEDS, "--first-key") as server:
        assert server.json("/v1/events?limit=1")["position"] == SEEDED
        assert server.json("/v1/events/1")["actor"] == "seeds"
        (line,) = re.findall(r"^ *(curl .*)$", server.said, re.MULTILINE)
        assert key_in(server.said) in line
        for _ in range(2):
            receipt = orjson.loads(subprocess.run(line, shell=True, capture_output=True, check=True).stdout)
            assert receipt["position"] == SEEDED + 1
        assert server.json(f"/v1/events/{SEEDED + 1}")["actor"] == "first"
        assert server.json("/v1/parties/united-nations")["name"] == {"en": "United Nations", "fr": "Nations Unies"}


def test_the_next_start_records_nothing_and_prints_no_key(tmp_path):
    data = tmp_path / "data"
    with serving(data, "--seeds", SEEDS, "--first-key") as server:
        key = key_in(server.said)
        server.stop()
    with serving(data, "--seeds", SEEDS, "--first-key") as server:
        assert "rk_" not in server.said
        assert server.json("/v1/events?limit=1")["position"] == SEEDED
        status, _ = post(server, party("catl-2"), key)
        assert status == 201


def test_serving_alone_records_nothing_and_makes_no_key(tmp_path):
    with serving(tmp_path / "data") as server:
        assert "rk_" not in server.said
        assert server.json("/v1/events")["items"] == []
        assert done("keys", "list", data=server.data) == b""


def test_seeds_that_cannot_be_recorded_are_refused_whole_and_leave_nothing(tmp_path):
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    (seeds / "manifest.json").write_bytes(orjson.dumps({"files": [{"file": "one.ndjson"}]}))
    good, lost = party("a"), party("b", part_of="parties/nobody")
    (seeds / "one.ndjson").write_bytes(orjson.dumps(good) + b"\n" + orjson.dumps(lost) + b"\n")
    said = refused("serve", "--port", 0, "--seeds", seeds, data=tmp_path / "data", code=1)
    assert f"{seeds / 'one.ndjson'}, line 2" in said
    assert "no log" in refused("export", "log", data=tmp_path / "data", code=1)
    (seeds / "one.ndjson").write_bytes(orjson.dumps(good) + b"\n" + orjson.dumps(good | {"id": "again"}) + b"\n")
    assert "line 2" in refused("serve", "--port", 0, "--seeds", seeds, data=tmp_path / "data", code=1)
    (seeds / "one.ndjson").write_bytes(b"{\n")
    assert "line 1" in refused("serve", "--port", 0, "--seeds", seeds, data=tmp_path / "data", code=1)
    assert "no seeds" in refused("serve", "--port", 0, "--seeds", tmp_path, data=tmp_path / "data", code=1)


def test_two_servers_cannot_share_a_directory(tmp_path):
    with serving(tmp_path / "data") as server:
        assert "held" in refused("serve", "--port", 0, data=server.data, code=1)
        assert server.json("/readyz")["status"] == "ready"
    with serving(tmp_path / "data"):
        pass


def test_a_port_in_use_is_said_in_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("serve", "--port", port, "--first-key", data=tmp_path / "data", code=1)
        assert f"port {port}" in said
        assert not (tmp_path / "data").exists()
    with serving(tmp_path / "data", "--first-key") as server:
        assert key_in(server.said), "no key was made that nobody was shown"


def test_first_key_may_read_where_reading_needs_a_key(tmp_path):
    with serving(tmp_path / "data", "--first-key", "--read", "key") as server:
        key = key_in(server.said)
        assert "scope post and read" in server.said
        assert server.get("/v1/parties")[0] == 401
        assert server.get("/v1/parties", Authorization=f"Bearer {key}")[0] == 200
        assert post(server, party("a"), key)[0] == 201


def other_key(path, name="example.org/other"):
    make_key(path, name)
    return path


@pytest.mark.parametrize(
    ("cause", "log"), [("signing key", "none"), ("signing key", "imported"), ("seeds", "none"), ("output", "none")]
)
def test_first_start_that_fails_fixes_nothing(tmp_path, cause, log):
    """The next start may give the log another name, records the seeds and prints a key."""
    data = tmp_path / "data"
    if log == "imported":
        done("import", "-", data=data, stdin=orjson.dumps(party("a")))
    command = ["serve", "--port", 0, "--first-key", "--origin", "example.org/mistaken"]
    if cause == "signing key":
        refused(*command, "--seeds", SEEDS, "--signing-key", other_key(tmp_path / "key"), data=data, code=1)
    elif cause == "seeds":
        refused(*command, "--seeds", tmp_path, data=data, code=1)
    else:
        closed = f"{REGISTRY} {' '.join(map(str, command))} --seeds {SEEDS} > /dev/full"
        ended = subprocess.run(closed, shell=True, env=environment(data), capture_output=True, timeout=60, check=False)
        assert ended.returncode != 0
        assert b"Traceback" not in ended.stderr
    with serving(data, "--first-key", "--seeds", SEEDS, "--origin", "example.org/right") as server:
        assert key_in(server.said)
        assert server.get("/log/vkey")[1].startswith(b"example.org/right+")
        assert server.json("/v1/events?limit=1")["position"] == (1 if log == "imported" else SEEDED)


def test_later_start_that_fails_takes_nothing_back(tmp_path):
    data = tmp_path / "data"
    with serving(data, "--first-key", "--seeds", SEEDS) as server:
        vkey = server.get("/log/vkey")[1]
        server.stop()
    refused("serve", "--port", 0, "--signing-key", other_key(tmp_path / "key"), data=data, code=1)
    with serving(data) as server:
        assert server.get("/log/vkey")[1] == vkey
        assert server.json("/v1/events?limit=1")["position"] == SEEDED


@pytest.mark.parametrize(
    ("arguments", "environment", "right"),
    [
        (["--port", "many"], {}, "65535"),
        ([], {"REGISTRY_PORT": "70000"}, "65535"),
        (["--read", "sometimes"], {}, "'open'"),
        ([], {"REGISTRY_READ": "no"}, "'key'"),
        ([], {"REGISTRY_LOG": "postgresql://localhost/registry"}, "REGISTRY_LOG"),
        (["--host", "a b"], {}, "127.0.0.1"),
        (["--prot", "80"], {}, "--port"),
        (["extra"], {}, "registry serve --help"),
        (["--data", __file__], {}, "directory"),
        (["--origin", "two words"], {}, "example.org/registry"),
    ],
)
def test_a_wrong_option_is_refused_with_what_would_be_right(tmp_path, arguments, environment, right):
    assert right in refused("serve", *arguments, data=tmp_path / "data", code=2, **environment)


def test_flags_come_before_the_environment(tmp_path):
    with serving(tmp_path / "ignored", "--data", tmp_path / "data", "--read", "key", REGISTRY_READ="open") as server:
        assert (tmp_path / "data" / "log.sqlite").exists()
        assert server.get("/v1/parties")[0] == 401
    assert not (tmp_path / "ignored").exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_server_stops_on_sigterm_and_exits_cleanly(tmp_path, how):
    with serving(tmp_path / "data") as server:
        assert server.stop(how) < 5
        assert server.process.returncode == 0


def test_server_stops_within_ten_seconds_whatever_clients_do(tmp_path):
    """One client sends half a request, one reads half an answer, one follows the live stream."""
    with serving(tmp_path / "data", "--seeds", SEEDS) as server:
        port = int(server.url.rpartition(":")[2])
        with (
            socket.create_connection(("127.0.0.1", port)) as half,
            socket.create_connection(("127.0.0.1", port)) as live,
            socket.create_connection(("127.0.0.1", port)) as idle,
        ):
            half.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            live.sendall(b"GET /v1/events/stream HTTP/1.1\r\nHost: x\r\n\r\n")
            idle.sendall(b"GET /v1/parties HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.3)
            assert server.stop() < 10
        assert server.process.returncode == 0


def test_acknowledged_events_are_there_after_a_restart(tmp_path):
    data = tmp_path / "data"
    key = done("keys", "create", "poster", "--scope", "post", data=data).decode().strip()
    acknowledged = []
    with serving(data) as server:

        def keep_posting(name):
            for number in range(1000):
                try:
                    status, body = post(server, party(f"{name}-{number}"), key)
                except OSError:
                    return
                if status != 201:
                    return
                acknowledged.append(orjson.loads(body)["subject"])

        posting = [threading.Thread(target=keep_posting, args=(f"t{number}",)) for number in range(4)]
        for thread in posting:
            thread.start()
        time.sleep(0.7)
        server.stop()
        for thread in posting:
            thread.join()
    kept = {orjson.loads(line)["subject"] for line in done("export", "log", data=data).splitlines()}
    assert acknowledged
    assert set(acknowledged) <= kept


def post(server, event, key):
    headers = {"Content-Type": STRUCTURED, "Authorization": f"Bearer {key}"}
    return call(f"{server.url}/v1/events", orjson.dumps(event), headers)
