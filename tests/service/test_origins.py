"""Reads from pages of other origins (CORS), and what OPTIONS answers."""

from __future__ import annotations

import pytest

from service.api_keys import Scope
from service.app_keys import KEYS
from tests.service.registry import problem, registered, running

PAGE = "https://page.example"
PATHS = [
    "/v1/parties",
    "/v1/parties/a",
    "/v1/events/1",
    "/v1/parties/none",
    "/healthz",
    "/openapi.json",
    "/log/checkpoint",
]


async def options(registry, path, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await registry.client.options(path, headers=named)


async def test_open_reads_answer_any_origin(registry):
    await registry.take(registered("a"))
    for path in (*PATHS, *PATHS):  # the second time, what was answered before
        for method in ("GET", "HEAD"):
            answer = await registry.client.request(method, path, headers={"Origin": PAGE})
            assert answer.headers["Access-Control-Allow-Origin"] == "*", path
            assert "Registry-Position" in answer.headers["Access-Control-Expose-Headers"]
            assert "Access-Control-Allow-Credentials" not in answer.headers
    answer = await registry.get("/v1/parties", Accept="text/csv", Origin=PAGE)
    assert answer.headers.getall("Access-Control-Allow-Origin") == ["*"]


async def test_posts_answer_no_other_origin(registry):
    answer = await registry.post(registered("a"), Origin=PAGE)
    assert answer.status == 201
    assert "Access-Control-Allow-Origin" not in answer.headers
    answer = await options(registry, "/v1/events", Origin=PAGE, Access_Control_Request_Method="POST")
    assert answer.status == 204
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_preflight_of_a_read_is_answered(registry):
    answer = await options(
        registry,
        "/v1/parties",
        Origin=PAGE,
        Access_Control_Request_Method="GET",
        Access_Control_Request_Headers="registry-position",
    )
    assert (answer.status, await answer.read()) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "GET" in answer.headers["Access-Control-Allow-Methods"]
    assert "Registry-Position" in answer.headers["Access-Control-Allow-Headers"]
    assert "Content-Length" not in answer.headers


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/events", "GET,HEAD,OPTIONS,POST"),
        ("/v1/parties", "GET,HEAD,OPTIONS"),
        ("/v1/documents/a/text", "DELETE,GET,HEAD,OPTIONS,PUT"),
        ("/healthz", "GET,HEAD,OPTIONS"),
    ],
)
async def test_options_says_which_methods_an_address_takes(registry, path, allowed):
    answer = await options(registry, path)
    assert (answer.status, answer.headers["Allow"]) == (204, allowed)
    refused = await problem(await registry.client.request("PATCH", path), 405, "method-not-allowed")
    assert refused["detail"] == f"this resource supports {allowed}"


async def test_options_of_an_unknown_address_is_404(registry):
    await problem(await options(registry, "/nowhere"), 404, "not-found")


async def test_only_configured_origins_may_read(tmp_path):
    async with running(tmp_path, cors=(PAGE,)) as registry:
        await registry.take(registered("a"))
        for path in (*PATHS, *PATHS):
            answer = await registry.get(path, Origin=PAGE)
            assert answer.headers["Access-Control-Allow-Origin"] == PAGE
            assert "Origin" in ", ".join(answer.headers.getall("Vary"))
            answer = await registry.get(path, Origin="https://other.example")
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Origin" in ", ".join(answer.headers.getall("Vary"))


async def test_if_reading_needs_a_key_only_configured_origins_read(tmp_path):
    async with running(tmp_path / "none", read="key") as registry:
        for path in PATHS:
            assert "Access-Control-Allow-Origin" not in (await registry.get(path, Origin=PAGE)).headers
    async with running(tmp_path / "set", read="key", cors=(PAGE,)) as registry:
        key = registry.app[KEYS].create("reader", [Scope.READ])
        answer = await registry.get("/v1/parties", Origin=PAGE, Authorization=f"Bearer {key}")
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, PAGE)
        answer = await options(registry, "/v1/parties", Origin=PAGE, Access_Control_Request_Method="GET")
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


async def test_cors_can_be_switched_off(tmp_path):
    async with running(tmp_path, cors=()) as registry:
        answer = await registry.get("/v1/parties", Origin=PAGE)
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Origin" not in answer.headers["Vary"]
