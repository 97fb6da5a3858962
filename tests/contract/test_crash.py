"""`kill -9` during imports and posts, and full disks: acknowledged events are there, and no event is there in part."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import resource
import threading
import time

import httpx
import pytest

from tests.contract.server import BATCH, CLOUDEVENT, NDJSON, SOURCE, Server, event, served

ROUNDS = 15


class Load:
    """Clients that post until the server goes, and store every receipt."""

    def __init__(self, server: Server, tag: int) -> None:
        self.server, self.tag = server, tag
        self.receipts: list[dict] = []
        self.heard = 0  # lines of the import's answer, read only at its end
        self.sent: dict[str, dict] = {}
        self.batches: list[list[str]] = []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=work) for work in (self._import, self._post, self._batch)]
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()

    def _made(self, word: str, number: int) -> dict:
        id_ = f"{word}-{self.tag}-{number}"
        made = {
            "specversion": "1.0",
            "source": SOURCE,
            "id": id_,
            "type": "party.registered",
            "subject": f"parties/{id_}",
            "data": {"name": f"Name {id_}", "kind": "company"},
        }
        self.sent[id_] = made
        return made

    def _import(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)

        def body():
            for number in itertools.count():
                if self.stop.is_set():
                    return
                yield b"".join(json.dumps(self._made("i", number * 20 + index)).encode() + b"\n" for index in range(20))

        def send() -> None:
            try:
                connection.request(
                    "POST",
                    "/v1/events",
                    body=body(),
                    headers={"Content-Type": NDJSON, **self.server.authorization},
                    encode_chunked=True,
                )
            except OSError:
                return

        # The answer begins before the request ends, which http.client reads only afterwards: so this one reads what it can at the end.
        connection.connect()
        sender = threading.Thread(target=send)
        sender.start()
        buffer = b""
        assert connection.sock is not None
        try:
            while chunk := connection.sock.recv(1 << 16):
                buffer += chunk
                self.heard += chunk.count(b"\n")
        except OSError:
            pass
        sender.join(20)
        connection.close()
        for line in buffer.split(b"\n"):
            if line.startswith(b"{") and line.endswith(b"}"):
                receipt = json.loads(line)
                assert "leaf" in receipt, receipt
                self.receipts.append(receipt)

    def _post(self) -> None:
        with httpx.Client(base_url=self.server.address, trust_env=False, timeout=20) as client:
            for number in itertools.count():
                try:
                    answer = client.post(
                        "/v1/events",
                        json=self._made("s", number),
                        headers={"Content-Type": CLOUDEVENT, **self.server.authorization},
                    )
                except httpx.HTTPError:
                    return
                if answer.status_code != 201 or self.stop.is_set():
                    return
                self.receipts.append(answer.json())

    def _batch(self) -> None:
        with httpx.Client(base_url=self.server.address, trust_env=False, timeout=20) as client:
            for number in itertools.count():
                batch = [self._made("b", number * 5 + index) for index in range(5)]
                self.batches.append([each["id"] for each in batch])
                try:
                    answer = client.post(
                        "/v1/events", json=batch, headers={"Content-Type": BATCH, **self.server.authorization}
                    )
                except httpx.HTTPError:
                    return
                if answer.status_code != 201 or self.stop.is_set():
                    return
                self.receipts += answer.json()


def assert_all_is_there(server: Server, loads: list[Load]) -> None:
    """Check that every receipt matches its position, positions have no gaps, batches are whole, and views equal the
    log.
    """
    log = server.items("/v1/events")
    assert [item["position"] for item in log] == list(range(1, len(log) + 1))
    by_id = {item["id"]: item for item in log}
    assert len(by_id) == len(log), "nothing twice"
    recorded = [item["recorded"] for item in log]
    assert recorded == sorted(recorded)
    for load in loads:
        for receipt in load.receipts:
            stored = log[receipt["position"] - 1]
            assert (stored["id"], stored["subject"], stored["version"], stored["recorded"]) == (
                receipt["id"],
                receipt["subject"],
                receipt["version"],
                receipt["recorded"],
            )
        for id_, item in ((id_, by_id[id_]) for id_ in load.sent if id_ in by_id):
            assert item["data"] == load.sent[id_]["data"], "no half event"
        for batch in load.batches:
            assert sum(id_ in by_id for id_ in batch) in (0, len(batch)), "no half batch"
    parties = {item["subject"] for item in server.items("/v1/parties")}
    assert parties == {item["subject"] for item in log}


def crash(server: Server, choice: random.Random, tag: int) -> Load:
    """Post events, and kill the server at some moment after acknowledgements."""
    load = Load(server, tag)
    enough, deadline = choice.randrange(1, 400), time.monotonic() + 20
    while load.heard + len(load.receipts) < enough and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(choice.random() * 0.02)
    server.kill()
    load.join()
    return load


def test_kill_9_in_the_middle_loses_nothing_that_was_acknowledged():
    choice = random.Random(9)
    with served() as server:
        key = server.key
        loads = []
        for tag in range(ROUNDS):
            loads.append(crash(server, choice, tag))
            server.restart()
            server.key = key
            if tag % 5 == 4:
                assert_all_is_there(server, loads)
        assert sum(len(load.receipts) for load in loads) > ROUNDS * 5
        # And the same again is told from the new.
        again = loads[-1]
        known = [receipt for receipt in again.receipts if receipt["id"].startswith("s-")][-1:]
        for receipt in known:
            answer = server.send(again.sent[receipt["id"]])
            assert (answer.status_code, answer.json()) == (200, receipt)


def limit_files(server: Server, size: int) -> None:
    """Limit the size of every file of the server, as on a full disk; -1 removes the limit."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process as Linux can")
@pytest.mark.parametrize("full", ["log", "views", "both"])
def test_on_full_disk_acknowledged_events_are_read_or_the_answer_is_503(full):
    """Never an older state: no 404, and no position before the acknowledged one."""
    with served() as server:
        server.take(*(event("party.registered", f"parties/before-{n}", name="N", kind="company") for n in range(50)))
        size = {name: (server.data / f"{name}.sqlite-wal").stat().st_size for name in ("log", "views")}
        limit_files(server, {"log": size["log"], "views": size["views"], "both": max(size.values())}[full] + 50_000)
        head, refused, unread = 50, 0, 0
        for number in range(400):
            subject = f"parties/after-{number}"
            answer = server.post(event("party.registered", subject, name="x" * 4000, kind="company"))
            assert answer.status_code in (201, 503), answer.text
            refused += answer.status_code == 503
            if answer.status_code == 201:
                head = answer.json()["position"]
            for path in (f"/v1/{subject}", "/v1/parties?limit=1", "/v1/events?limit=1", "/v1/parties/before-49"):
                found = server.get(path)
                if found.status_code == 503:
                    assert found.headers["Retry-After"]
                    unread += 1
                elif path == f"/v1/{subject}" and answer.status_code == 503:
                    assert found.status_code in (200, 404)
                else:
                    assert found.status_code == 200, (path, found.text)
                    assert found.json()["position"] >= (0 if path.startswith("/v1/parties/") else head), path
            assert server.get("/healthz").status_code == 200
            if refused >= 3:
                break
        assert refused, "the disk was full"
        limit_files(server, resource.RLIM_INFINITY)
        deadline = time.monotonic() + 20
        while server.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert server.json("/v1/parties", limit=1)["position"] >= head
        assert server.post(event("party.registered", "parties/later", name="N", kind="company")).status_code == 201


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process as Linux can")
def test_on_full_disk_events_missing_from_the_views_are_never_answered_404():
    """Single posts, as their views are committed late; reads only once the disk is full."""
    with served() as server:
        server.take(*(event("party.registered", f"parties/before-{n}", name="N", kind="company") for n in range(50)))
        acknowledged, status = [], 201
        limit_files(server, (server.data / "log.sqlite-wal").stat().st_size + 300_000)
        for number in range(2000):
            subject = f"parties/b-{number}"
            status = server.post(event("party.registered", subject, name="x" * 500, kind="company")).status_code
            if status != 201:
                break
            acknowledged.append(subject)
        assert status == 503, "the disk was full"
        assert acknowledged
        for subject in acknowledged[-20:]:
            assert server.get(f"/v1/{subject}").status_code in (200, 503), subject
        listed = server.get("/v1/parties?limit=1")
        assert listed.status_code == 503 or listed.json()["position"] >= 50 + len(acknowledged)
