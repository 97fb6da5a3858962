"""Section 6: the log as tlog-tiles, checked by an auditor of the tests that shares no code with the project, and by
tlog-scales."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import os
import random
import re
import subprocess
import threading
import time
from itertools import combinations, pairwise

import httpx
import pytest
from tlog_scales.backend import make_backend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash

from tests.contract.auditor import EMPTY, Auditor, Checkpoint, consistency_roots, root_of
from tests.contract.server import COMMAND, NDJSON, SEEDED, SEEDS, Server, event, is_problem, served

FOR_EVER = "max-age=31536000, immutable"


def fetched(server: Server, path: str) -> bytes:
    answer = server.get(f"/log/{path}")
    assert answer.status_code == 200, (path, answer.text)
    return answer.content


def auditor_of(server: Server) -> Auditor:
    return Auditor(lambda path: fetched(server, path), server.get("/log/vkey").text.strip())


def covered(server: Server, size: int) -> Checkpoint:
    """Return the first checkpoint that covers this number of events; one comes every second."""
    auditor, deadline = auditor_of(server), time.monotonic() + 20
    while (found := auditor.checkpoint()).size < size:
        assert time.monotonic() < deadline, f"no checkpoint covers {size} events: {found}"
        time.sleep(0.05)
    return found


def grow(server: Server, size: int) -> Checkpoint:
    """Import parties until this number of events is published."""
    missing = size - server.head()
    if missing:
        slugs = [server.new("g") for _ in range(missing)]
        server.imported([event("party.registered", f"parties/{slug}", name=slug, kind="company") for slug in slugs])
    return covered(server, size)


class Scales:
    """tlog-scales, reading the same log over HTTP."""

    def __init__(self, server: Server) -> None:
        self.vkey = Vkey.from_string(server.get("/log/vkey").text.strip())
        self.location = f"{server.address}/log"

    def reader(self, size: int | None = None) -> TilesReader:
        """Return a reader that has verified the newest checkpoint; with a size, one that knows only that of a tree."""
        reader = TilesReader(make_backend(self.location))
        if size is not None:
            reader.set_size(size)
            return reader
        checkpoint = reader.get_checkpoint()
        checkpoint.verify(self.vkey)
        assert reader.calculate_root_hash() == checkpoint.root_hash
        return reader

    def judge(self, indexes: list[int], earlier: list[Checkpoint]) -> int:
        """Verify the newest checkpoint, these entries in it, and that it continues the earlier ones; return its size."""
        reader = TilesReader(make_backend(self.location))
        checkpoint = reader.get_checkpoint()
        checkpoint.verify(self.vkey)
        assert reader.calculate_root_hash() == checkpoint.root_hash
        for index in indexes:
            proof = reader.get_inclusion_proof(index, checkpoint.size)
            proof.check(leaf_hash(reader.get_entry(index)), checkpoint.root_hash)
        for before in earlier:
            if before.size == 0:  # the beginning of every log, which it makes no proof of
                continue
            reader.get_consistency_proof(before.size, checkpoint.size).check(before.root, checkpoint.root_hash)
        return int(checkpoint.size)


@pytest.fixture(scope="module")
def grown():
    """Return a log that was read whole at some sizes, also at the edges of tiles, and the answers."""
    with served() as server:
        seen: list[Checkpoint] = []
        for size in (0, 1, 2, 255, 256, 257, 600):
            checkpoint = grow(server, size)
            assert checkpoint.size == size
            assert len(auditor_of(server).audit(checkpoint)) == size
            indexes = sorted({0, 1, 254, 255, 256, size - 1, size // 2} & set(range(size)))
            assert Scales(server).judge(indexes, seen) == size
            seen.append(checkpoint)
        yield server, seen


def test_log_verifies_at_every_size_by_our_code_and_by_another_library(grown):
    _, seen = grown
    assert seen[0].root == EMPTY
    assert [each.size for each in seen] == [0, 1, 2, 255, 256, 257, 600]


def test_every_earlier_size_can_still_be_read_from_tiles(grown):
    server, seen = grown
    auditor = auditor_of(server)
    for checkpoint in seen:
        auditor.audit(checkpoint)
        if checkpoint.size:
            assert Scales(server).reader(checkpoint.size).calculate_root_hash() == checkpoint.root


def test_tile_entries_equal_the_entries_of_events(grown):
    server, seen = grown
    events = server.items("/v1/events")
    assert [entry.decode() for entry in auditor_of(server).entries(seen[-1].size)] == [each["entry"] for each in events]


def test_receipts_hold_the_log_to_its_leaves(server):
    receipts = server.imported(
        [event("party.registered", f"parties/{server.new('r')}", name="R", kind="company") for _ in range(3)]
    )
    covered(server, 3)
    leaves = auditor_of(server).leaves(3)
    assert [base64.b64decode(receipt["leaf"]) for receipt in receipts] == leaves


def test_empty_log_serves_only_its_checkpoint(server):
    assert auditor_of(server).checkpoint().root == EMPTY
    for path in ("tile/0/000", "tile/0/000.p/1", "tile/entries/000", "tile/entries/000.p/1", "tile/1/000.p/1"):
        is_problem(server.get(f"/log/{path}"), 404)


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("tile/0/000", 8192),
        ("tile/0/001", 8192),
        ("tile/0/002.p/88", 88 * 32),
        ("tile/0/002.p/1", 32),
        ("tile/0/000.p/255", 255 * 32),
        ("tile/1/000.p/2", 64),
        ("tile/1/000.p/1", 32),
    ],
)
def test_full_tiles_and_partial_ones_of_every_published_width_are_served(grown, path, size):
    server, _ = grown
    answer = server.get(f"/log/{path}")
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == size
    full = server.get(f"/log/{path.partition('.p/')[0]}")
    if full.status_code == 200:
        assert full.content.startswith(answer.content)


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/002",
        "tile/0/002.p/89",
        "tile/0/002.p/255",
        "tile/0/003",
        "tile/0/003.p/1",
        "tile/0/999",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/1/000",
        "tile/1/000.p/3",
        "tile/1/001.p/1",
        "tile/2/000.p/1",
        "tile/63/000.p/1",
        "tile/entries/002",
        "tile/entries/002.p/89",
        "tile/entries/003.p/1",
    ],
)
def test_nothing_beyond_the_published_size_is_served(grown, path):
    is_problem(grown[0].get(f"/log/{path}"), 404)


@pytest.mark.parametrize(
    "path",
    [
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/x000/001",
        "tile/0/000/001",
        "tile/0/x001",
        "tile/0//000",
        "tile//0/000",
        "tile/0/000/",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/00",
        "tile/0/000.p/001",
        "tile/0/000.p/256",
        "tile/0/000.p/1/",
        "tile/0/000.p/-1",
        "tile/0/000.p/+1",
        "tile/0/000.p/1.p/1",
        "tile/0/000.P/1",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/+0/000",
        "tile/0/-00",
        "tile/0/%2B00",
        "tile/0/%200",
        "tile/0/00%D9%A0",
        "tile/0/x000%2F001",
        "tile/0/000%2Ep%2F1",
        "tile/x/000",
        "tile/data/000",
        "tile/Entries/000",
        "tile/entries/0",
        "tile/entries/0/000",
        "tile/entries/000.p/256",
        "tile/0/" + "x999/" * 300 + "999",
        "checkpoint/",
        "checkpoints",
        "vkey/x",
        "",
    ],
)
def test_a_malformed_path_is_not_found(grown, path):
    is_problem(grown[0].get(f"/log/{path}"), 404)


def test_path_is_used_without_normalisation(grown):
    """Sent without a client that would normalise it."""
    server, _ = grown
    for path, status in (("/log/tile/0/000", 200), ("/log/tile/0/../0/000", 404), ("/log/tile/0/000?", 200)):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.putrequest("GET", path, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        # Dot segments may be resolved by whoever reads an address (RFC 3986); then it leads to the tile itself.
        assert answer.status == status or (".." in path and len(body) == 8192), (path, answer.status)


def test_checkpoint_and_key_are_text_and_tiles_are_bytes_that_never_change(grown):
    server, _ = grown
    for path in ("checkpoint", "vkey"):
        answer = server.get(f"/log/{path}")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
    for path in ("tile/0/000", "tile/0/000.p/3", "tile/1/000.p/2", "tile/entries/000", "tile/entries/000.p/3"):
        answer = server.get(f"/log/{path}")
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Cache-Control"] == f"public, {FOR_EVER}"
        assert "Vary" not in answer.headers or answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path", ["checkpoint", "vkey", "tile/0/000", "tile/entries/001.p/7", "tile/0/777", "consistency?old=0"]
)
def test_head_of_tiles_is_get_without_the_body(grown, path):
    server, _ = grown
    plain = {"Accept-Encoding": "identity"}
    got = server.get(f"/log/{path}", headers=plain)
    head = server.client.head(f"/log/{path}", headers=plain)
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("Content-Type", "Content-Length", "Cache-Control"):
        assert head.headers.get(name) == got.headers.get(name)


def test_entries_are_compressed_if_the_client_accepts_gzip(grown):
    server, _ = grown
    raw = {}
    for accepted in ("identity", "gzip", "gzip;q=0", "br, gzip;q=0.5", "*"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/log/tile/entries/000", headers={"Accept-Encoding": accepted})
        answer = connection.getresponse()
        raw[accepted] = (answer.headers.get("Content-Encoding"), answer.read())
        assert answer.headers["Vary"] == "Accept-Encoding"
        connection.close()
    plain = raw["identity"][1]
    for accepted, (coding, body) in raw.items():
        assert (coding == "gzip") == accepted.endswith(("gzip", "0.5", "*")), accepted
        assert (gzip.decompress(body) if coding else body) == plain
    assert len(raw["gzip"][1]) < len(plain) / 2


@pytest.mark.parametrize("path", ["checkpoint", "vkey", "tile/0/000", "consistency"])
def test_other_methods_and_unknown_parameters_are_refused(grown, path):
    server, _ = grown
    is_problem(server.client.post(f"/log/{path}"), 405)
    is_problem(server.get(f"/log/{path}?colour=red"), 422)


# Consistency


def test_any_two_published_sizes_are_proven_consistent(grown):
    server, seen = grown
    leaves = auditor_of(server).leaves(600)
    chosen = random.Random(7).sample(range(1, 600), 60)
    for old, size in [*combinations([each.size for each in seen], 2), *zip(chosen[::2], chosen[1::2], strict=True)]:
        old, size = sorted((old, size))  # noqa: PLW2901
        found = server.json("/log/consistency", old=old, size=size)
        assert (found["old"], found["size"]) == (old, size)
        assert base64.b64decode(found["old_root"]) == root_of(leaves[:old])
        assert base64.b64decode(found["root"]) == root_of(leaves[:size])
        path = [base64.b64decode(each) for each in found["hashes"]]
        if old in (0, size):
            assert path == []
        else:
            assert consistency_roots(old, size, root_of(leaves[:old]), path) == (
                root_of(leaves[:old]),
                root_of(leaves[:size]),
            )


def test_consistency_proof_ends_at_the_published_size_by_default(grown):
    server, _ = grown
    found = server.json("/log/consistency", old=255)
    assert found["size"] == 600
    same = server.json("/log/consistency", old=600)
    assert (same["hashes"], same["root"]) == ([], same["old_root"])


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({}, {"old"}),
        ({"size": 5}, {"old"}),
        ({"old": "x"}, {"old"}),
        ({"old": -1}, {"old"}),
        ({"old": "01"}, {"old"}),
        ({"old": 601}, {"old"}),
        ({"old": 6, "size": 5}, {"old"}),
        ({"old": 1, "size": 601}, {"size"}),
        ({"old": 700, "size": 601}, {"old", "size"}),
        ({"old": 10**15, "size": 10**15}, {"size"}),
    ],
)
def test_consistency_proof_of_an_unpublished_size_is_refused(grown, query, wrong):
    problem = is_problem(grown[0].get("/log/consistency", **query), 422)
    assert {error["parameter"] for error in problem["errors"]} == wrong


# Growing


def test_checkpoints_seen_while_importing_are_pairwise_consistent_and_fully_served(server):
    auditor, scales = auditor_of(server), Scales(server)
    seen: list[Checkpoint] = []
    lines = b"".join(
        json.dumps(each).encode() + b"\n"
        for each in server.whole(
            event("party.registered", f"parties/{server.new('i')}", name="I", kind="company") for _ in range(2500)
        )
    )
    results: list[httpx.Response] = []
    importing = threading.Thread(target=lambda: results.append(server.send(lines, NDJSON)))
    importing.start()
    try:
        while importing.is_alive() or not seen or seen[-1].size < 2500:
            found = auditor.checkpoint()
            if not seen or found.signed != seen[-1].signed:
                auditor.audit(found)
                assert scales.judge([0, found.size - 1] if found.size else [], seen) >= found.size
                seen.append(found)
            time.sleep(0.02)
    finally:
        importing.join(60)
    assert results[0].status_code == 200
    assert len({each.size for each in seen}) == len(seen), "one size has one checkpoint"
    leaves = auditor.leaves(2500)
    for before, after in pairwise(seen):
        assert before.size < after.size
    for each in seen:
        assert root_of(leaves[: each.size]) == each.root
    for before, after in combinations(seen, 2):
        proof = [
            base64.b64decode(each)
            for each in server.json("/log/consistency", old=before.size, size=after.size)["hashes"]
        ]
        if before.size:
            assert consistency_roots(before.size, after.size, before.root, proof) == (before.root, after.root)


def test_log_continues_over_restarts_and_crashes(tmp_path):
    seen: list[Checkpoint] = []
    keys = set()
    with Server(tmp_path / "data", "--first-key") as server:
        for ending in (server.stop, server.kill, server.stop, server.kill, None):
            seen.append(grow(server, server.head() + 40))
            server.take(event("party.registered", f"parties/{server.new('l')}", name="Late", kind="company"))
            keys.add(server.get("/log/vkey").text)
            assert auditor_of(server).checkpoint().size >= seen[-1].size
            if ending is not None:
                ending()
                server.restart()
        assert len(keys) == 1
        last = covered(server, server.head())
        auditor_of(server).audit(last)
        assert Scales(server).judge([0, 40, last.size - 1], seen) == last.size


# Who may


def test_if_reading_needs_a_key_only_the_verifier_key_is_open(tmp_path):
    with served("--read", "key") as server:
        server.party()
        reader = {"Authorization": f"Bearer {server.make_key('auditor', 'read')}"}
        deadline = time.monotonic() + 10
        while server.get("/log/tile/0/000.p/1", headers=reader).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        paths = ["checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1", "consistency?old=0", "../v1/events/1/proof"]
        for path in paths:
            is_problem(server.get(f"/log/{path}"), 401)
            assert server.get(f"/log/{path}", headers=reader).status_code == 200
        assert server.get("/log/vkey").status_code == 200
        kept = server.get("/log/tile/0/000.p/1", headers=reader).headers["Cache-Control"]
        assert kept == f"private, {FOR_EVER}", "no cache in between may give it to others"


def test_the_verifier_key_is_printed_at_start(server):
    key = server.get("/log/vkey").text.strip()
    assert f"Verifier key of the log: {key}\n" in server.output


def test_a_name_and_a_key_can_be_given(tmp_path):
    with served("--origin", "log.example/registry") as server:
        server.party()
        assert server.get("/log/vkey").text.startswith("log.example/registry+")
        signed = covered(server, 1)
        text = (server.data / "log.key").read_text()
    given = tmp_path / "given.key"
    given.write_text(text)
    given.chmod(0o600)
    with served("--origin", "log.example/registry", env={"REGISTRY_SIGNING_KEY": str(given)}) as server:
        assert auditor_of(server).checkpoint().size == 0
        assert auditor_of(server).key.checkpoint(signed.signed) == signed
        assert not (server.data / "log.key").exists()
        server.stop()
        done = subprocess.run(
            [COMMAND, "serve", "--data", server.data, "--port", "0"], capture_output=True, timeout=20, check=False,
            env={name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")},
        )  # fmt: skip
        assert done.returncode != 0
        assert re.fullmatch(r"registry: .*log\.key is gone.*--signing-key\n", done.stderr.decode())


def test_seeds_make_a_valid_log(seeded):
    checkpoint = covered(seeded, SEEDED)
    entries = auditor_of(seeded).audit(checkpoint)
    ids = [json.loads(line)["id"] for each in json.loads((SEEDS / "manifest.json").read_text())["files"] for line in (SEEDS / each["file"]).read_text().splitlines()]  # fmt: skip
    assert [json.loads(entry)["id"] for entry in entries] == ids
    assert Scales(seeded).judge(list(range(0, checkpoint.size, 7)), []) == checkpoint.size
