"""Section 8: the command line, its options, starting and stopping, restarts; rebuilding while serving."""

from __future__ import annotations

import csv
import http.client
import io
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from tests.contract.server import CLOUDEVENT, COMMAND, SEEDED, SEEDS, SHA, Server, command, environment, event, served

LISTS = ["parties", "agreements", "labs", "platforms", "memberships", "commitments", "documents", "timeline"]


def lines(server: Server, count: int, word: str) -> bytes:
    events = server.whole(
        [
            event("party.registered", f"parties/{word}-{index}", name=f"{word} {index}", kind="company")
            for index in range(count)
        ]
    )
    return b"".join(json.dumps(given).encode() + b"\n" for given in events)


# Options


@pytest.mark.parametrize(
    ("arguments", "env", "right"),
    [
        (["--port", "x"], {}, "port"), (["--port", "99999"], {}, "port"), (["--read", "closed"], {}, "open"), (["--colour", "red"], {}, "--colour"),
        ([], {"REGISTRY_PORT": "many"}, "REGISTRY_PORT"), ([], {"REGISTRY_READ": "secret"}, "open"), (["--origin", "has spaces in it"], {}, "origin"), ([], {"REGISTRY_LOG": "mysql://x/y"}, "REGISTRY_LOG"), (["--seeds", "/does/not/exist"], {}, "/does/not/exist"),
        (["--host", "not a host"], {}, "host"), (["extra"], {}, "extra"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_refused_in_one_line_that_says_what_would_be_right(tmp_path, arguments, env, right):
    port = [] if "--port" in arguments or "REGISTRY_PORT" in env else ["--port", "0"]
    done = command("serve", "--data", tmp_path / "data", *port, *arguments, env=env, seconds=20)
    assert done.returncode != 0
    said = done.stderr.decode().strip()
    assert len(said.splitlines()) == 1, said
    assert right.lower() in said.lower()
    assert "Traceback" not in said


def test_unusable_data_directory_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    done = command("serve", "--data", tmp_path / "file", "--port", "0", seconds=20)
    assert done.returncode != 0
    assert len(done.stderr.decode().strip().splitlines()) == 1, done.stderr


def test_a_port_in_use_is_refused_in_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = command("serve", "--data", tmp_path / "data", "--port", str(taken.getsockname()[1]), seconds=20)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr.decode()
    assert "in use" in done.stderr.decode().splitlines()[-1].lower()


def test_two_servers_on_one_store_are_refused(server):
    done = command("serve", "--data", server.data, "--port", "0", seconds=20)
    assert done.returncode != 0
    assert len(done.stderr.decode().strip().splitlines()) == 1, done.stderr
    assert server.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["import"],
        ["import", "/does/not/exist"],
        ["export", "nonsense"],
        ["keys", "make"],
        ["import", "-", "--url", "nonsense"],
    ],
)
def test_wrong_commands_fail_in_one_line(tmp_path, arguments):
    done = command(*arguments, env={"REGISTRY_DATA": str(tmp_path / "data")}, stdin=b"", seconds=20)
    assert done.returncode != 0
    assert len(done.stderr.decode().strip().splitlines()) == 1, done.stderr
    assert not done.stdout


def test_flags_then_environment_then_defaults(tmp_path):
    env = {"REGISTRY_DATA": str(tmp_path / "env"), "REGISTRY_PORT": "1", "REGISTRY_HOST": "127.0.0.1"}
    with Server(tmp_path / "flag", "--first-key", env=env):
        assert (tmp_path / "flag").is_dir()
        assert not (tmp_path / "env").exists()
    done = command("keys", "create", "x", "--scope", "post", env=env)
    assert done.returncode == 0
    assert (tmp_path / "env").is_dir()


def test_version_and_help():
    assert re.fullmatch(r"\S*\s?\S*\d+\.\d+\.\d+\S*", command("version").stdout.decode().strip())
    said = command("--help").stdout.decode()
    for name in ("serve", "import", "export", "rebuild", "keys", "openapi", "version"):
        assert name in said
    assert "--scope" in command("keys", "create", "--help").stdout.decode()


# Starting


def test_starting_prints_the_address_a_key_and_a_line_that_works(tmp_path):
    with Server(tmp_path / "data", "--seeds", str(SEEDS), "--first-key") as server:
        assert server.address in server.output
        assert server.key
        (line,) = [line for line in server.output.splitlines() if line.strip().startswith("curl ")]
        if subprocess.run(["which", "curl"], capture_output=True, check=False).returncode == 0:
            done = subprocess.run(
                ["bash", "-c", line.strip()], capture_output=True, check=False, env=environment(), timeout=30
            )
            assert json.loads(done.stdout)["position"] == SEEDED + 1, done
        assert server.items("/v1/parties")
    with Server(tmp_path / "data", "--seeds", str(SEEDS), "--first-key") as again:
        assert not again.key, "shown once"
        assert again.head() in (SEEDED, SEEDED + 1), "seeds are recorded once"


def test_serve_alone_records_no_seeds(server):
    assert server.head() == 0
    assert server.items("/v1/parties") == []


def test_seeds_hold_the_facts(seeded):
    assert seeded.head() == SEEDED
    assert [item["subject"] for item in seeded.json("/v1/parties/resolve", name="宁德时代")["items"]][:1] in (
        [],
        ["parties/catl"],
    )
    members = {
        item["party"]["subject"] for item in seeded.items("/v1/memberships", in_="platforms/casip", on="2024-06-01")
    }
    assert "parties/catl" in members
    assert len(members) == 8
    assert seeded.state("platforms/casip")["launched"] == "2024-01-21"
    framework = seeded.state("agreements/catl-shanghai-framework")
    assert (framework["signed"], framework["status"]) == ("XXXX-08-18", "signed")


# Stopping


def test_sigterm_drains_within_ten_seconds_and_keeps_acknowledged_events(tmp_path):
    with Server(tmp_path / "data", "--first-key") as server:
        open_connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
        open_connections[0].sendall(b"GET /v1/events/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        open_connections[1].sendall(
            f"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nAuthorization: Bearer {server.key}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        acknowledged = [
            receipt["position"]
            for receipt in server.import_(
                [event("party.registered", f"parties/p{index}", name="X", kind="company") for index in range(500)]
            )
        ]
        time.sleep(0.2)
        begun = time.monotonic()
        status = server.stop()
        assert time.monotonic() - begun < 10
        assert status == 0, server.errors()[-2000:]
        for connection in open_connections:
            connection.close()
        server.restart()
        assert server.head() == acknowledged[-1] == 500
        assert len(server.items("/v1/parties")) == 500


def test_sigterm_ends_within_ten_seconds_whatever_clients_do(tmp_path):
    """Some clients send half a request, some read nothing of their answer."""
    with Server(tmp_path / "data", "--first-key") as server:
        server.imported(
            [event("party.registered", f"parties/p{n}", name="N" * 500, kind="company") for n in range(3000)]
        )
        key = f"Authorization: Bearer {server.key}\r\n"
        post = f"POST /v1/events HTTP/1.1\r\nHost: x\r\n{key}"
        ndjson = "HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n"
        sent = [
            "GET /v1/par",
            f"{post}Content-Type: application/cloudevents+json\r\nContent-Length: 100\r\n\r\n{{",
            f"{post}Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n",
            f"{post}Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\nf000\r\n" + "x\n" * 30_720,
            f"GET /v1/timeline?on=any {ndjson}",
            f"GET /v1/events {ndjson}",
            "GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/replay?view=parties HTTP/1.1\r\nHost: x\r\n\r\n",
        ]
        clients = []
        for text in sent:
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", server.port))
            client.sendall(text.encode())
            clients.append(client)
        time.sleep(0.5)
        begun = time.monotonic()
        assert server.stop() == 0, server.errors()[-2000:]
        assert time.monotonic() - begun < 10
        assert clients[1].recv(100).startswith(b"HTTP/1.1 503 "), "of half a request that was authorized"
        for client in clients:
            client.close()


@pytest.mark.parametrize("kept", [True, False], ids=["kept connections", "new connections"])
def test_sigterm_answers_every_request_that_was_sent(tmp_path, kept):
    """A client is refused a connection or gets its answer; no connection closes on a request."""
    unanswered: list[object] = []
    with Server(tmp_path / "data", "--first-key") as server:

        def client(name: int) -> None:
            connection = None
            for number in itertools.count():
                made = server.whole([event("party.registered", f"parties/{name}-{number}", name="N", kind="company")])
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
                    try:
                        connection.connect()
                    except OSError:
                        return
                try:
                    headers = {"Content-Type": CLOUDEVENT, **server.authorization}
                    connection.request("POST", "/v1/events", json.dumps(made[0]), headers)
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status == 201
                except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer
                    unanswered.append(error)
                    return
                if answer.will_close or not kept:
                    connection.close()
                    connection = None

        clients = [threading.Thread(target=client, args=(name,)) for name in range(16)]
        for each in clients:
            each.start()
        time.sleep(0.7)
        assert server.stop() == 0
        for each in clients:
            each.join(20)
    assert unanswered == []


def test_sigterm_waits_for_the_first_request_of_a_new_connection(tmp_path):
    """A client on a busy machine sends its request half a second after its connection began."""
    with Server(tmp_path / "data", "--first-key") as server:
        clients = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=20) for _ in range(8)]
        for client in clients:
            client.connect()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        for client in clients:
            client.request("GET", "/v1/parties")
        assert [client.getresponse().status for client in clients] == [200] * 8
        assert server.stop() == 0


def test_ctrl_c_stops_it_too(tmp_path):
    with Server(tmp_path / "data", "--first-key") as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(10) in (0, 130)
        assert "Traceback" not in server.errors()


def test_a_restart_changes_no_answer(tmp_path):
    with Server(tmp_path / "data", "--first-key", "--seeds", str(SEEDS)) as server:
        asked = [f"/v1/{path}?limit=1000&on={on}" for path in LISTS for on in ("2024-06-01", "any")] + [
            "/v1/statistics",
            "/v1/events?limit=1000",
            "/v1/platforms/casip/history",
            "/v1/graph",
            "/v1/search?q=battery",
        ]
        before = {address: (server.get(address).content, server.get(address).headers.get("ETag")) for address in asked}
        cursor = server.json("/v1/parties", limit=3)["next"]
        page = server.json(cursor)
        server.stop()
        server.restart()
        assert {
            address: (server.get(address).content, server.get(address).headers.get("ETag")) for address in asked
        } == before
        assert server.json(cursor) == page


def test_views_can_be_thrown_away(tmp_path):
    """They are folds of the log: removed or damaged, they are rebuilt."""
    with Server(tmp_path / "data", "--first-key", "--seeds", str(SEEDS)) as server:
        before = {path: server.items(f"/v1/{path}", on="any") for path in LISTS}
        etag = server.get("/v1/platforms/casip").headers["ETag"]
        server.stop()
        for path in server.data.glob("views*"):
            path.unlink()
        server.restart()
        assert {path: server.items(f"/v1/{path}", on="any") for path in LISTS} == before
        assert server.get("/v1/platforms/casip").headers["ETag"] == etag
        server.stop()
        for path in server.data.glob("views*"):
            if path.suffix == ".sqlite":
                path.write_bytes(b"this is no database" * 1000)
            else:
                path.unlink()
        server.restart()
        assert {path: server.items(f"/v1/{path}", on="any") for path in LISTS} == before


# Import and export


def test_import_into_a_database_and_export_of_its_log(tmp_path, server):
    events = server.whole(
        [event("party.registered", f"parties/p{index}", name=f"N {index}", kind="company") for index in range(50)]
    )
    content = b"".join(json.dumps(given).encode() + b"\n" for given in events)
    (tmp_path / "events.ndjson").write_bytes(content)
    done = command(
        "import", tmp_path / "events.ndjson", "--data", tmp_path / "other", "--results", tmp_path / "results"
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in (tmp_path / "results").read_text().splitlines()]
    assert [result["position"] for result in results] == list(range(1, 51))
    again = command("import", "-", "--data", tmp_path / "other", stdin=content)
    assert again.returncode == 0, "the same import again is safe"
    log = command("export", "log", "--data", tmp_path / "other")
    exported = [json.loads(line) for line in log.stdout.splitlines()]
    assert [item["position"] for item in exported] == list(range(1, 51))
    assert all("entry" in item and "salt" in item for item in exported)
    view = command("export", "parties", "--data", tmp_path / "other")
    assert len(list(csv.DictReader(io.StringIO(view.stdout.decode(), newline="")))) == 50


def test_import_with_bad_lines_says_so(tmp_path, server):
    content = b"{\n" + lines(server, 2, "w") + b'{"specversion": "1.0"}\n'
    done = command("import", "-", "--data", tmp_path / "other", "--results", tmp_path / "results", stdin=content)
    assert done.returncode != 0, "some lines were refused"
    results = [json.loads(line) for line in (tmp_path / "results").read_text().splitlines()]
    assert [result.get("line") for result in results if "leaf" not in result] == [1, 4]
    assert sum("leaf" in result for result in results) == 2


def test_import_into_a_url(server):
    content = lines(server, 300, "w")
    done = command("import", "-", "--url", server.address, "--key", server.key, stdin=content)
    assert done.returncode == 0, done.stderr
    assert server.head() == 300
    refused = command("import", "-", "--url", server.address, "--key", "wrong", stdin=content)
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr.decode()
    nobody = command("import", "-", "--url", "http://127.0.0.1:9", "--key", "x", stdin=content)
    assert nobody.returncode != 0
    assert "Traceback" not in nobody.stderr.decode()


def test_import_into_the_data_of_a_server_that_runs_is_refused(server):
    done = command("import", "-", "--data", server.data, stdin=lines(server, 1, "w"))
    assert done.returncode != 0
    assert len(done.stderr.decode().strip().splitlines()) == 1, done.stderr
    assert server.head() == 0


def test_a_log_exported_is_imported_as_it_was(tmp_path, seeded):
    """Another registry imports an export: the posted attributes and data of each line."""
    log = command("export", "log", "--data", seeded.data)
    names = ("specversion", "id", "source", "type", "subject", "time", "occurred", "data")
    posted = b"".join(
        json.dumps({name: item[name] for name in names if name in item}).encode() + b"\n"
        for item in map(json.loads, log.stdout.splitlines())
    )
    done = command("import", "-", "--data", tmp_path / "other", stdin=posted)
    assert done.returncode == 0
    with Server(tmp_path / "other") as other:
        for path in LISTS[:-1]:
            assert other.items(f"/v1/{path}", on="any") == seeded.items(f"/v1/{path}", on="any"), path


# Rebuilding


def test_rebuild_while_serving_swaps_the_views_and_changes_no_answer(tmp_path):
    with Server(tmp_path / "data", "--first-key", "--seeds", str(SEEDS)) as server:
        document = f"documents/{server.new('d')}"
        server.take(event("document.registered", document, title="D", sha256=SHA))
        before = {path: server.items(f"/v1/{path}", on="any", as_of=SEEDED + 1) for path in LISTS}
        stop = threading.Event()
        wrong: list[object] = []
        made: list[str] = []

        def use() -> None:
            while not stop.is_set():
                made.append(server.party("While rebuilding"))
                if server.get(f"/v1/{made[-1]}").status_code != 200:
                    wrong.append(made[-1])

        user = threading.Thread(target=use)
        user.start()
        try:
            for _ in range(2):
                done = command("rebuild", "--data", server.data)
                assert done.returncode == 0, done.stderr
                time.sleep(0.3)
        finally:
            stop.set()
            user.join()
        assert not wrong
        assert {path: server.items(f"/v1/{path}", on="any", as_of=SEEDED + 1) for path in LISTS} == before
        assert len(server.items("/v1/parties", q="while rebuilding")) == len(made)
        assert server.get("/readyz").status_code == 200
        server.stop()
        server.restart()
        assert len(server.items("/v1/parties", q="while rebuilding")) == len(made)


def test_rebuild_of_a_store_at_rest(tmp_path):
    with Server(tmp_path / "data", "--first-key", "--seeds", str(SEEDS)) as server:
        before = server.items("/v1/memberships", on="any")
        server.stop()
        assert command("rebuild", "--data", server.data).returncode == 0
        server.restart()
        assert server.items("/v1/memberships", on="any") == before


# Memory


def resident(process: int) -> int:
    with open(f"/proc/{process}/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads memory from /proc")  # noqa: PTH110
def test_an_import_takes_constant_memory():
    with served() as server:
        body = lambda start, count: b"".join(  # noqa: E731
            b'{"specversion":"1.0","source":"https://x.example","id":"%d","type":"party.registered","subject":"parties/p%d","data":{"name":"Party number %d","kind":"company","note":"%s"}}\n'
            % (number, number, number, b"x" * 600)
            for number in range(start, start + count)
        )
        server.send(body(0, 3000), "application/x-ndjson")
        before = resident(server.process.pid)
        answer = server.send(body(3000, 9000), "application/x-ndjson")
        assert len(answer.text.splitlines()) == 9000
        assert server.head() == 12_000
        assert resident(server.process.pid) - before < 40 << 20


def test_the_command_is_installed():
    assert COMMAND.exists()
