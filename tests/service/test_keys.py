"""Keys: posting and reading, from the creation of a key until it is revoked."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from contextlib import closing

import pytest

from service.api_keys import KeyNameTaken, Keys, Scope
from service.app_keys import KEYS, READY
from service.http.access import Verified
from service.http.api_document import shown_path
from service.http.operations import DESCRIBED
from tests.service.registry import problem, registered, running


@pytest.fixture
def keys(registry):
    """Return the keys as another process sees them."""
    with closing(Keys(registry.data / "keys.sqlite")) as found:
        yield found


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, "Bearer"),
        ("", "Bearer"),
        ("Basic dXNlcjpwYXNz", "Bearer"),
        ("Bearer", "Bearer"),
        ("Bearer rk_nonsense", 'Bearer error="invalid_token"'),
        ("Bearer \xe9", 'Bearer error="invalid_token"'),
        ("Bearer " + "x" * 8000, 'Bearer error="invalid_token"'),
    ],
)
async def test_posting_without_a_valid_key_is_unauthorized(registry, authorization, challenge):
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await registry.client.post("/v1/events", json=registered("a"), headers=headers)
    await problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == challenge
    assert await registry.head() == 0


async def test_a_key_without_the_scope_is_forbidden(registry, keys):
    answer = await registry.post(registered("a"), key=keys.create("reader", ["read"]))
    await problem(answer, 403, "forbidden")
    assert 'scope="post"' in answer.headers["WWW-Authenticate"]


async def test_an_admin_key_may_post(registry, keys):
    assert (await registry.post(registered("a"), key=keys.create("admin", ["admin"]))).status == 201


async def test_the_scheme_is_not_case_sensitive(registry):
    answer = await registry.client.post(
        "/v1/events",
        json=registered("a"),
        headers={"Authorization": f"bearer {registry.key}", "Content-Type": "application/cloudevents+json"},
    )
    assert answer.status == 201


async def test_the_name_of_the_key_is_the_actor(registry, keys):
    await registry.take(registered("a"), key=keys.create("Ms Né", ["post"]))
    assert (await registry.json("/v1/events/1"))["actor"] == "Ms Né"


async def test_key_created_or_revoked_by_another_process_counts_immediately(registry):
    code = (
        "import sys; from pathlib import Path; from service.api_keys import Keys; keys = Keys(Path(sys.argv[1]));"
        "print(keys.create('other', ['post']) if sys.argv[2] == 'create' else keys.revoke('other'))"
    )

    def run(action: str) -> str:
        path = str(registry.data / "keys.sqlite")
        return subprocess.run(
            [sys.executable, "-c", code, path, action], check=True, capture_output=True, text=True
        ).stdout

    key = run("create").strip()
    assert (await registry.post(registered("a"), key=key)).status == 201
    assert (await registry.post(registered("a"), key=key)).status == 200
    assert run("revoke").strip() == "True"
    await problem(await registry.post(registered("a"), key=key), 401, "unauthorized")


async def test_reading_is_open_by_default(tmp_path):
    async with running(tmp_path, read="key") as registry:
        for path in ("/v1/events", "/v1/events/1", "/v1/events/stream", "/v1/parties", "/v1/parties/a", "/metrics"):
            await problem(await registry.get(path), 401, "unauthorized")
            assert (await registry.client.head(path)).status == 401
        for path in ("/healthz", "/readyz", "/problems", "/problems/unauthorized", "/openapi.json", "/docs"):
            assert (await registry.get(path)).status == 200, path
        await registry.take(registered("a"))
        await problem(await registry.get("/v1/events/1", Authorization=f"Bearer {registry.key}"), 403, "forbidden")
        with closing(Keys(tmp_path / "keys.sqlite")) as keys:
            reader, admin = keys.create("reader", ["read"]), keys.create("admin", ["admin"])
        for key in (reader, admin):
            assert (await registry.get("/v1/events/1", Authorization=f"Bearer {key}")).status == 200


async def test_if_reading_needs_a_key_answers_without_one_hide_the_position(tmp_path):
    async with running(tmp_path, read="key") as registry:
        await registry.take(registered("a"))
        with closing(Keys(tmp_path / "keys.sqlite")) as keys:
            reader = {"Authorization": f"Bearer {keys.create('reader', ['read'])}"}
        for path in ("/healthz", "/readyz", "/metrics", "/v1/parties", "/nowhere", "/problems", "/docs", "/log/vkey"):
            answer = await registry.get(path)
            assert "Registry-Position" not in answer.headers, path
            assert b"position" not in await answer.read() or path in ("/docs", "/problems"), path
        registry.app[READY].block("a reason")
        assert "detail" not in await problem(await registry.get("/readyz"), 503, "not-ready")
        assert (await problem(await registry.get("/readyz", **reader), 503, "not-ready"))["detail"] == "a reason"
        registry.app[READY].unblock("a reason")
        assert (await (await registry.get("/readyz", **reader)).json())["position"] == 1
        answer = await registry.get("/v1/parties", **reader)
        assert answer.headers["Registry-Position"] == "1"
        assert "registry_position 1.0" in await (await registry.get("/metrics", **reader)).text()


async def test_every_operation_with_a_scope_needs_a_key(tmp_path):
    """The scope is in the operation's row, from which the API document is made."""
    async with running(tmp_path, read="key") as registry:
        rows = registry.app[DESCRIBED]
        assert {row.scope for row in rows} == {None, "read", "post", "admin"}
        for row in rows:
            path = re.sub(r"\{\w+\}", "1", shown_path(row.path))
            answer = await registry.client.request(row.method, path, allow_redirects=False)
            if row.is_page:
                asks_key = answer.status == 303 and answer.headers["Location"].startswith("/session?")
            else:
                asks_key = answer.status == 401
            assert asks_key is (row.scope is not None), row.path


async def test_every_operation_with_a_scope_refuses_keys_without_it(tmp_path):
    async with running(tmp_path, read="key") as registry:
        others = {"read": [Scope.POST], "post": [Scope.READ], "admin": [Scope.POST, Scope.READ]}
        keys = {scope: registry.app[KEYS].create(f"not-{scope}", others[scope]) for scope in others}
        for row in registry.app[DESCRIBED]:
            if row.scope is not None:
                path = re.sub(r"\{\w+\}", "1", shown_path(row.path))
                headers = {"Authorization": f"Bearer {keys[row.scope]}"}
                answer = await registry.client.request(row.method, path, headers=headers, allow_redirects=False)
                assert answer.status == 403, row.path


async def test_only_hashes_of_keys_are_stored_in_a_private_file(registry, keys):
    key = keys.create("new", ["post", "read"])
    stored = b"".join(path.read_bytes() for path in registry.data.glob("keys.sqlite*"))
    assert key.startswith("rk_")
    assert key.encode() not in stored
    assert key[3:].encode() not in stored
    assert (registry.data / "keys.sqlite").stat().st_mode & 0o077 == 0


async def test_name_is_used_by_one_key_for_ever(keys):
    keys.create("a", ["post"])
    with pytest.raises(KeyNameTaken, match="'a' exists"):
        keys.create("a", ["read"])
    assert keys.revoke("a")
    assert not keys.revoke("a")
    assert not keys.revoke("nobody")
    with pytest.raises(KeyNameTaken, match="revoked"):
        keys.create("a", ["read"])
    listed = [key for key in keys.all() if key.name == "a"]
    assert [(key.scopes, key.revoked is None) for key in listed] == [(frozenset({Scope.POST}), False)]


@pytest.mark.parametrize("name", ["seeds", "import"])
async def test_key_is_not_named_as_the_registry_itself_records_events(keys, name):
    with pytest.raises(KeyNameTaken):
        keys.create(name, ["post"])


@pytest.mark.parametrize(
    ("name", "scopes"),
    [("", ["post"]), (" ", ["post"]), ("a\n", ["post"]), ("x" * 101, ["post"]), ("a", []), ("a", ["x"])],
)
async def test_invalid_key_is_not_created(keys, name, scopes):
    before = keys.all()
    with pytest.raises(ValueError, match=r"1 to 100|at least one|not a valid"):
        keys.create(name, scopes)
    assert keys.all() == before


async def test_no_key_is_ever_logged(registry):
    await registry.take(registered("a"))
    await registry.post(registered("a"), key="rk_guess")
    assert registry.key.encode() not in registry.logged()
    assert b"rk_" not in registry.logged()


async def test_key_cache_expires_with_each_turn_of_the_loop(keys):
    verified, text = Verified(keys), keys.create("passer-by", ["post"])
    assert verified.find(text) is not None
    assert verified.find("rk_guessed") is None
    keys.revoke("passer-by")
    await asyncio.sleep(0)  # nothing that the loop reads from now on was sent before the key was revoked
    assert verified.find(text) is None
    again = keys.create("passer-by-2", ["post"])
    await asyncio.sleep(0)
    assert verified.find(again) is not None
