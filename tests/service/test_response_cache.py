"""The cache of answers: its bound in bytes, eviction of the least recently used, and ETags."""

from __future__ import annotations

import pytest

from service.http.response_cache import CachedResponse, ResponseCache, body_tag, question_tag


def ready(size):
    return CachedResponse(b"x" * size, "application/json", {})


def test_cache_weight_includes_the_address():
    kept = ResponseCache(most=10_000)
    for name in "ab":
        kept.put(name * 8000, ready(10))
    assert kept.get("a" * 8000) is None
    assert kept.get("b" * 8000) is not None


def test_least_recently_used_answer_is_evicted_first():
    kept = ResponseCache(most=10_000)
    for name in "abcd":
        kept.put(name, ready(1500))  # each counts for more than its body
    assert kept.get("a") is None
    assert kept.get("b") is not None
    kept.put("e", ready(1500))
    assert [name for name in "abcde" if kept.get(name)] == ["b", "d", "e"]


def test_cache_stays_within_its_bytes():
    kept = ResponseCache(most=100_000)
    for number in range(1000):
        kept.put(number, ready(number % 7 * 1000))
    held = [found for number in range(1000) if (found := kept.get(number))]
    assert 0 < sum(len(each.body) for each in held) <= 100_000
    for number in range(1000):
        kept.put(number, ready(0))
    assert sum(kept.get(number) is not None for number in range(1000)) <= 100


def test_large_answer_is_not_cached():
    kept = ResponseCache()
    kept.put("large", ready(2**20 + 1))
    assert kept.get("large") is None


def test_equal_answer_is_counted_once_in_the_cache():
    kept = ResponseCache(most=10_000)
    for _ in range(100):
        kept.put("a", ready(3000))
    kept.put("b", ready(3000))
    assert kept.get("a")
    assert kept.get("b")


@pytest.mark.parametrize("version", [None, 3])
def test_strong_etag_depends_on_body_and_code(monkeypatch, version):
    first = body_tag(b"{}", version)
    assert first == body_tag(b"{}", version)
    assert first != body_tag(b"[]", version)
    assert first.startswith('"3-' if version else '"')
    monkeypatch.setattr("service.http.response_cache.fold", lambda: "other code")
    assert first != body_tag(b"{}", version)


def test_weak_etag_depends_on_query_and_code(monkeypatch):
    first = question_tag("/v1/parties", "text/csv", 1)
    assert first.startswith('W/"')
    assert first != question_tag("/v1/parties", "text/csv", 2)
    monkeypatch.setattr("service.http.response_cache.fold", lambda: "other code")
    assert first != question_tag("/v1/parties", "text/csv", 1)
