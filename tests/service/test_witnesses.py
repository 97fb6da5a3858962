"""Witnesses: their cosignatures stand with the checkpoint, and nothing waits for them. The witness here follows the
C2SP specifications with its own code; tlog-scales checks its cosignatures."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tlog_scales.signing import Vkey, VkeySet
from tlog_scales.tlog import Checkpoint as Scaled

from service.settings import Settings
from service.transparency import checkpoint, witnesses
from service.transparency.signing import make_key
from tests.contract.auditor import EMPTY, Checkpoint, Key, consistency_roots
from tests.service.registry import Registry, registered, running

ORIGIN = "log.example/registry"
NAME = "witness.example/w"
WHEN = 1_790_000_000


class Witness:
    """A witness that knows the log's key; `mood` may answer in its place."""

    def __init__(self, log: Key, number: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
        self.name = f"{NAME}{number}"
        material = b"\x04" + self._key.public_key().public_bytes_raw()
        self.key_id = hashlib.sha256(self.name.encode() + b"\n" + material).digest()[:4]
        self.vkey = f"{self.name}+{self.key_id.hex()}+{base64.b64encode(material).decode()}"
        self.log = log
        self.seen = Checkpoint(0, EMPTY, "")
        self.asked: list[tuple[int, int]] = []
        self.answers: list[int] = []
        self.mood: Callable[[], Awaitable[web.Response | None]] | None = None
        self.url = ""

    async def add_checkpoint(self, request: web.Request) -> web.Response:
        body = await request.text()
        old, new = self._asked(body)
        self.asked.append((old, new.size))
        answer = await self.mood() if self.mood is not None else None
        if answer is None:
            answer = self._judged(body, old, new)
        self.answers.append(answer.status)
        return answer

    def _asked(self, body: str) -> tuple[int, Checkpoint]:
        head, _, signed = body.partition("\n\n")
        first = head.split("\n")[0]
        assert first == f"old {int(first.removeprefix('old '))}"
        assert signed.count("\u2014") == 1, "only the log's own signature"
        return int(first.removeprefix("old ")), self.log.checkpoint(signed)

    def _judged(self, body: str, old: int, new: Checkpoint) -> web.Response:
        if old != self.seen.size:
            return web.Response(status=409, text=f"{self.seen.size}\n", content_type="text/x.tlog.size")
        path = [base64.b64decode(line, validate=True) for line in body.partition("\n\n")[0].split("\n")[1:]]
        if old in (0, new.size):
            assert path == []
            assert old == 0 or new.root == self.seen.root
        else:
            assert consistency_roots(old, new.size, self.seen.root, path) == (self.seen.root, new.root)
        self.seen = new
        return web.Response(text=self.line(new.signed))

    def line(self, signed: str, when: int = WHEN) -> str:
        text = signed[: signed.index("\n\n") + 1]
        message = f"cosignature/v1\ntime {when}\n{text}".encode()
        blob = base64.b64encode(self.key_id + when.to_bytes(8, "big") + self._key.sign(message)).decode()
        return f"\u2014 {self.name} {blob}\n"


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(checkpoint, "PERIOD_SECONDS", 0.1)
    monkeypatch.setattr(witnesses, "MAX_WAIT_SECONDS", 0.05)


@pytest.fixture
def key(tmp_path):
    return tmp_path / "log.key"


@pytest.fixture
async def two(key) -> AsyncIterator[list[Witness]]:
    """Return two listening witnesses, which know the log by the key in the file."""
    log = Key(make_key(key, ORIGIN).verifier.text)
    found, servers = [Witness(log, 1), Witness(log, 2)], []
    for witness in found:
        app = web.Application()
        app.router.add_post("/some/where/add-checkpoint", witness.add_checkpoint)
        server = TestServer(app)
        await server.start_server()
        witness.url = str(server.make_url("/some/where"))
        servers.append(server)
    yield found
    for server in servers:
        await server.close()


@asynccontextmanager
async def witnessed(key: Path, *asked: Witness):
    """Return a registry with these witnesses in its settings."""
    text = ", ".join(f"{each.vkey} {each.url}/" for each in asked)
    given = Settings.load({"witnesses": text}).witnesses
    assert [(each.verifier.text, each.url) for each in given] == [(each.vkey, each.url) for each in asked]
    async with running(key.parent / "data", origin=ORIGIN, signing_key=key, witnesses=given) as registry:
        yield registry


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(15):
        while not await holds():  # noqa: ASYNC110 - seen as a client sees it
            await asyncio.sleep(0.01)


async def signed_by(registry: Registry) -> tuple[int, set[str], str]:
    """Return size, signers and text of the newest checkpoint."""
    signed = await (await registry.get("/log/checkpoint")).text()
    block = signed.partition("\n\n")[2]
    return int(signed.split("\n")[1]), {line.split(" ")[1] for line in block.splitlines()}, signed


async def cosigned(registry: Registry, size: int, *witnesses_: Witness) -> str:
    async def is_so() -> bool:
        at, names, _ = await signed_by(registry)
        return at == size and {each.name for each in witnesses_} <= names

    await until(is_so)
    return (await signed_by(registry))[2]


async def test_cosignatures_follow_the_checkpoint_in_proofs_and_in_its_file(key, two):
    async with witnessed(key, *two) as registry:
        signed = await cosigned(registry, 0, *two)
        for number in range(1, 4):
            await registry.take(registered(f"party-{number}"))
            signed = await cosigned(registry, number, *two)
            scaled = Scaled.from_text(signed)
            known = VkeySet(*(Vkey.from_string(each.vkey) for each in two))
            assert {vkey.name for vkey, _ in known.verify(scaled.signatures, scaled)} == {each.name for each in two}
            assert two[0].log.checkpoint(signed).size == number
        proof = await (await registry.get("/v1/events/1/proof")).text()
        assert proof.partition("\n\n")[2] == signed
        proofs = (await registry.json("/v1/parties/party-1?proof=true"))["proofs"]
        assert proofs["1"]["proof"] == proof
        assert (registry.data / "checkpoint").read_text() == signed
    # Each was told the size it had seen last, after the first question.
    for witness in two:
        assert [old for old, _ in witness.asked] == [0, *(new for _, new in witness.asked[:-1])]


async def test_witness_answers_409_with_the_size_to_prove_from(key, two):
    async with witnessed(key, two[0]) as registry:
        for number in range(3):
            await registry.take(registered(f"party-{number}"))
        await cosigned(registry, 3, two[0])
    two[0].asked.clear()
    two[0].answers.clear()
    async with witnessed(key, two[0]) as registry:
        await cosigned(registry, 3, two[0])
        await until(lambda: answered(two[0], 2))
        assert two[0].asked[:2] == [(0, 3), (3, 3)]
        assert two[0].answers[:2] == [409, 200]
        for number in range(3, 8):
            await registry.take(registered(f"party-{number}"))
        await cosigned(registry, 8, two[0])


async def answered(witness: Witness, times: int) -> bool:
    return len(witness.answers) >= times


async def test_witness_that_never_answers_delays_nothing(key, two):
    gone = asyncio.Event()

    async def silent() -> web.Response | None:
        await gone.wait()
        return None

    two[0].mood = silent
    async with witnessed(key, *two) as registry:
        for number in range(1, 4):
            await registry.take(registered(f"party-{number}"))
            assert two[0].name not in await cosigned(registry, number, two[1])
        assert (await registry.get("/readyz")).status == 200
        assert len(two[0].asked) == 1
        gone.set()
        await cosigned(registry, 3, *two)
        assert two[0].asked[-1][1] == 3, "only the newest is asked for"


@pytest.mark.parametrize(
    "answer",
    [
        lambda witness: web.Response(status=500, text="no"),
        lambda witness: web.Response(status=404),
        lambda witness: web.Response(status=403),
        lambda witness: web.Response(status=422, text="the proof fails"),
        lambda witness: web.Response(status=409, text="soon"),
        lambda witness: web.Response(status=409, text="-1\n"),
        lambda witness: web.Response(status=409, text="99\n"),
        lambda witness: web.Response(status=409, text="9" * 400),
        lambda witness: web.Response(status=301, headers={"Location": "/elsewhere"}),
        lambda witness: web.Response(text=""),
        lambda witness: web.Response(text="thank you\n"),
        lambda witness: web.Response(body=b"\xff\xfe"),
        lambda witness: web.Response(text="x" * 200_000),
        lambda witness: web.Response(text=witness.line("other.example/log\n1\nx\n\n")),
        lambda witness: web.Response(text=Witness(witness.log, 9).line(f"{ORIGIN}\n1\nx\n\n")),
    ],
)
async def test_wrong_answer_of_a_witness_is_logged_and_retried(key, two, answer):
    async def wrong() -> web.Response | None:
        return answer(two[0])

    two[0].mood = wrong
    async with witnessed(key, *two) as registry:
        await registry.take(registered("a"))
        signed = await cosigned(registry, 1, two[1])
        await until(lambda: answered(two[0], 3))
        assert (await signed_by(registry))[2] == signed
        assert signed.count("\u2014") == 2
        told = [line for line in registry.lines() if line["event"] == "a witness did not cosign"]
        assert {line["witness"] for line in told} == {two[0].name}
        assert all(line["reason"] and len(line["reason"]) < 400 for line in told)
        assert (await registry.get("/readyz")).status == 200
        two[0].mood = None
        await cosigned(registry, 1, *two)


async def test_unreachable_witness_is_retried(key, two):
    gone = Witness(two[0].log, 3)
    gone.url = "http://127.0.0.1:1/witness"
    async with witnessed(key, gone, two[1]) as registry:
        await registry.take(registered("a"))
        await cosigned(registry, 1, two[1])

        async def told() -> bool:
            return len([line for line in registry.lines() if line["event"] == "a witness did not cosign"]) >= 2

        await until(told)


async def test_cosignatures_of_unknown_witnesses_are_ignored(key, two):
    async def more() -> web.Response | None:
        signed = f"{ORIGIN}\n0\n{base64.b64encode(EMPTY).decode()}\n\n"
        stranger = Witness(two[0].log, 9).line(signed)
        return web.Response(text=stranger + two[0].line(signed) + stranger)

    two[0].mood = more
    async with witnessed(key, two[0]) as registry:
        signed = await cosigned(registry, 0, two[0])
        assert [line.split(" ")[1] for line in signed.partition("\n\n")[2].splitlines()] == [ORIGIN, two[0].name]


async def test_log_that_does_not_continue_is_not_sent_to_witnesses(key, two):
    async with witnessed(key, two[0]) as registry:
        await registry.take(registered("a"))
        await cosigned(registry, 1, two[0])
    for path in (key.parent / "data").glob("*.sqlite*"):
        path.unlink()
    two[0].asked.clear()
    async with witnessed(key, two[0]) as registry:
        assert (await registry.get("/readyz")).status == 503
        await asyncio.sleep(0.3)
        assert two[0].asked == []
