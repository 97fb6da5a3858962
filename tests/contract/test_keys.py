"""Section 7: keys, their scopes, and reading with a key only."""

from __future__ import annotations

import pytest

from tests.contract.server import CLOUDEVENT, Server, command, event, is_problem, served

PATHS = [
    "/v1/parties",
    "/v1/events",
    "/v1/statistics",
    "/v1/parties/resolve?name=x",
    "/v1/search?q=xx",
    "/v1/graph",
    "/v1/timeline",
    "/v1/events/stream",
    "/v1/parties/none",
]


def posted(server: Server, headers: dict[str, str]):
    given = server.whole([event("party.registered", f"parties/{server.new('p')}", name="X", kind="company")])[0]
    return server.client.post("/v1/events", json=given, headers={"Content-Type": CLOUDEVENT, **headers})


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Bearer \u00e9"},
        {"Authorization": "x" * 5000},
    ],
)
def test_posting_needs_a_key(shared, headers):
    before = shared.head()
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = posted(shared, sent)
    is_problem(answer, 401)
    assert answer.headers["WWW-Authenticate"].lower().startswith("bearer")
    assert shared.head() == before


def test_scheme_of_authorization_ignores_case(shared):
    assert posted(shared, {"Authorization": f"bearer {shared.key}"}).status_code == 201


def test_refusal_without_a_key_reveals_nothing_about_the_post(shared):
    """Refused before the body is read: the answer is the same for malformed and repeated events."""
    given = shared.whole([event("party.registered", f"parties/{shared.new('p')}", name="X", kind="company")])[0]
    assert shared.send(given).status_code == 201
    for body in (given, b"{"):
        is_problem(shared.send(body, key="wrong"), 401)
    is_problem(shared.send(given, validate=True, key="wrong"), 401)


def test_key_is_valid_and_revoked_immediately(shared):
    name = shared.new("key")
    key = shared.make_key(name, "post")
    answer = posted(shared, bearer(key))
    assert answer.status_code == 201
    assert shared.json(answer.headers["Location"])["actor"] == name
    assert command("keys", "revoke", name, "--data", shared.data).returncode == 0
    is_problem(posted(shared, bearer(key)), 401)
    assert shared.json(answer.headers["Location"])["actor"] == name


def test_a_key_without_the_scope_is_403(shared):
    is_problem(posted(shared, bearer(shared.make_key(shared.new("key"), "read"))), 403)
    assert posted(shared, bearer(shared.make_key(shared.new("key"), "read", "post"))).status_code == 201


def test_redaction_is_for_admins(shared):
    """Only the scope is tested here."""
    party = shared.party()
    answer = shared.post(event("event.redacted", party, event=shared.head(), reason="R"), validate=True)
    assert answer.status_code in (403, 422)


def test_keys_are_stored_only_as_hashes(shared):
    key = shared.make_key(shared.new("key"), "post")
    secret = key.removeprefix("rk_")
    for path in shared.data.iterdir():
        if path.is_file():
            content = path.read_bytes()
            assert secret.encode() not in content, path.name
            assert shared.key.removeprefix("rk_").encode() not in content, path.name
    assert key not in shared.errors()
    assert shared.key not in shared.errors()


def test_the_command_prints_only_the_key(shared):
    done = command("keys", "create", shared.new("key"), "--scope", "post", "--data", shared.data)
    assert done.stdout.decode().split() == [done.stdout.decode().strip()]
    assert done.returncode == 0


@pytest.mark.parametrize("arguments", [["--scope", "everything"], [""], ["--scope", ""]])
def test_wrong_scopes_are_refused_in_one_line(shared, arguments):
    done = command("keys", "create", shared.new("key"), *arguments, "--data", shared.data)
    assert done.returncode != 0
    assert len(done.stderr.decode().strip().splitlines()) == 1, done.stderr
    assert not done.stdout


def test_key_name_is_unique(shared):
    name = shared.new("key")
    shared.make_key(name, "post")
    again = command("keys", "create", name, "--scope", "post", "--data", shared.data)
    assert again.returncode != 0
    assert not again.stdout
    assert len(again.stderr.decode().strip().splitlines()) == 1


def test_revoking_an_unknown_key_fails_in_one_line(shared):
    done = command("keys", "revoke", "nobody", "--data", shared.data)
    assert done.returncode != 0
    assert len(done.stderr.decode().strip().splitlines()) == 1


def test_reading_with_a_key_only():
    with served(env={"REGISTRY_READ": "key"}) as server:
        key = server.make_key("reader", "read")
        for path in PATHS:
            is_problem(server.client.get(path), 401)
            is_problem(server.client.get(path, headers=bearer("wrong")), 401)
            if "stream" not in path:
                assert server.client.get(path, headers=bearer(key)).status_code in (200, 404), path
        for path in ("/healthz", "/readyz", "/openapi.json"):
            assert server.client.get(path).status_code == 200, path
        assert posted(server, server.authorization).status_code == 201
        is_problem(server.client.get("/v1/parties", headers=bearer(key + "x")), 401)
        command("keys", "revoke", "reader", "--data", server.data)
        is_problem(server.client.get("/v1/parties", headers=bearer(key)), 401)
