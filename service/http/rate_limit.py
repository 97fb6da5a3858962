"""Rate limiting: a token bucket for each client that reads, so that one client cannot take all readers. A client is a
key, or without one an address; of an IPv6 address, its /64 network."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_address
from math import ceil

from aiohttp import web

from service.problems import Kind, Problem

BURST_SECONDS = 10
"""A silent client saves up the requests of this time, and may then send them immediately."""
MOST_CLIENTS = 10_000
"""The most buckets in memory; the one not used for longest is evicted first."""
_IPV6_NETWORK = 64


class RateLimiter:
    """Token buckets of `rate` requests a second."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate * BURST_SECONDS)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def take(self, client: str, now: float) -> None:
        """Take one token of the client at this monotonic time. Raise a 429 problem where there is none."""
        tokens, counted = self._buckets.pop(client, (self._most, now))
        tokens = min(self._most, tokens + (now - counted) * self._rate)
        is_allowed = tokens >= 1
        self._buckets[client] = tokens - is_allowed, now
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        if not is_allowed:
            seconds = ceil((1 - tokens) / self._rate)
            raise Problem(
                Kind.TOO_MANY_REQUESTS,
                f"more than {self._rate:g} requests a second",
                headers={"Retry-After": str(seconds)},
            )


RATE_LIMITER: web.AppKey[RateLimiter | None] = web.AppKey("rate limiter")
"""None where the rate is not limited."""


def client_of(key: str | None, remote: str | None) -> str:
    """Return the name by which a client is limited: its key, or else its IPv4 address or IPv6 network."""
    if key is not None:
        return f"key {key}"
    try:
        address = ip_address(remote or "")
    except ValueError:
        return remote or ""
    if address.version == 6:
        return str(int(address) >> (128 - _IPV6_NETWORK))
    return str(address)
