"""Rate limiting: a client that reads too fast gets 429 with Retry-After; other clients and operators do not."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api_keys import Keys
from service.http import rate_limit
from service.http.rate_limit import BURST_SECONDS, RateLimiter, client_of
from service.problems import Problem
from tests.service.registry import problem, registered, running


async def test_a_reader_beyond_its_rate_is_answered_429_until_retry_after(tmp_path):
    async with running(tmp_path, rate=0.1) as registry:
        assert (await registry.get("/v1/parties")).status == 200
        answer = await registry.get("/v1/parties")
        await problem(answer, 429, "too-many-requests")
        assert 1 <= int(answer.headers["Retry-After"]) <= 10
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await registry.get(path)).status == 200
        await registry.take(registered("a"))


async def test_valid_key_has_its_own_bucket_and_an_unknown_one_none(tmp_path):
    async with running(tmp_path, rate=0.1) as registry:
        with closing(Keys(tmp_path / "keys.sqlite")) as keys:
            reader = keys.create("reader", ["read"])
        assert (await registry.get("/v1/parties")).status == 200
        for key, status in (("rk_unknown", 429), (reader, 200), (reader, 429), (registry.key, 200)):
            assert (await registry.get("/v1/parties", Authorization=f"Bearer {key}")).status == status


async def test_without_a_rate_no_client_is_limited(tmp_path):
    async with running(tmp_path) as registry:
        for _ in range(50):
            assert (await registry.get("/v1/parties")).status == 200


@given(
    st.floats(0.01, 1000),
    st.lists(st.floats(0, 100), max_size=100),
)
def test_a_client_never_reads_more_than_its_rate_and_one_burst(per_second, pauses):
    limiter, now, taken = RateLimiter(per_second), 0.0, 0
    for pause in pauses:
        now += pause
        try:
            limiter.take("a", now)
        except Problem as refused:
            seconds = int(refused.headers["Retry-After"])
            assert seconds >= 1
        else:
            taken += 1
    assert taken <= max(1, per_second * BURST_SECONDS) + now * per_second + 1e-6


@given(st.floats(0.01, 1000), st.integers(1, 100))
def test_client_that_waits_for_retry_after_is_answered(per_second, requests):
    limiter, now = RateLimiter(per_second), 0.0
    for _ in range(requests):
        try:
            limiter.take("a", now)
        except Problem as refused:
            now += int(refused.headers["Retry-After"])
            limiter.take("a", now)


def test_buckets_are_bounded_however_many_clients_there_are(monkeypatch):
    monkeypatch.setattr(rate_limit, "MOST_CLIENTS", 10)
    limiter = RateLimiter(1)
    for number in range(100):
        limiter.take(f"client {number}", 0.0)
    assert len(limiter._buckets) == 10


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_addresses_of_one_ipv6_network_are_one_client(one, other, is_same):
    assert (client_of(None, one) == client_of(None, other)) is is_same
