"""Response cache: answers from the views as bytes with their headers, within a bound of memory.

The key of an answer names everything that the answer depends on, so no entry is ever invalidated.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from hashlib import sha256

from aiohttp import hdrs, web
from multidict import CIMultiDict

from projections.engine.database import fold
from service.http.fields import etag_matches

MOST_BYTES = 32 * 2**20
"""The most memory that cached responses take."""
_MOST_EACH_BYTES = 2**20
_OVERHEAD = 1536


class CachedResponse:
    """An immutable response of status 200, without the headers that every response has."""

    __slots__ = ("_media_type", "body", "etag", "headers")

    def __init__(self, body: bytes, media_type: str, more: Mapping[str, str], *, version: int | None = None) -> None:
        """`more`: headers beside those of every answer from the views. `version`: of the subject, for a state."""
        self.body = bytes(memoryview(body))  # a copy: bytes from orjson hold up to three times their length in memory
        self._media_type = media_type
        self.etag = body_tag(body, version)
        self.headers = CIMultiDict(headers(self.etag, more))

    def answer(self, request: web.Request) -> web.Response:
        """Return the response, or 304 where the client has it."""
        headers = self.headers.copy()
        if etag_matches(request, self.etag):
            return web.Response(status=304, headers=headers)
        headers[hdrs.CONTENT_TYPE] = self._media_type
        return web.Response(body=self.body, headers=headers)


class ResponseCache:
    """The responses used most recently, within `most` bytes; the least recently used one is evicted first."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._bytes = 0
        self._responses: OrderedDict[Hashable, CachedResponse] = OrderedDict()

    def get(self, key: Hashable) -> CachedResponse | None:
        """Return the response that is cached under a key."""
        cached = self._responses.get(key)
        if cached is not None:
            self._responses.move_to_end(key)
        return cached

    def clear(self) -> None:
        """Evict all responses."""
        self._responses.clear()
        self._bytes = 0

    def put(self, key: Hashable, cached: CachedResponse) -> None:
        """Cache a response unless it is large."""
        size = _size(key, cached)
        if size > _MOST_EACH_BYTES or key in self._responses:
            return
        self._responses[key] = cached
        self._bytes += size
        while self._bytes > self._most:
            self._bytes -= _size(*self._responses.popitem(last=False))


def _size(key: Hashable, cached: CachedResponse) -> int:
    """Return the approximate memory of an entry. The key counts too: an address may be longer than its answer."""
    return len(cached.body) + len(repr(key)) + len(repr(cached.headers)) + _OVERHEAD


RESPONSE_CACHE: web.AppKey[ResponseCache] = web.AppKey("response cache", ResponseCache)


def body_tag(body: bytes, version: int | None = None) -> str:
    """Return a strong entity tag of a body and of the code that folded it; a state's begins with its version."""
    digest = sha256(fold().encode() + b"\x00" + body).hexdigest()[:24]
    return f'"{digest}"' if version is None else f'"{version}-{digest}"'


def question_tag(*parts: object) -> str:
    """Return a weak entity tag of everything that an answer depends on: a stream cannot be hashed before it is sent."""
    return 'W/"' + sha256(repr((fold(), *parts)).encode()).hexdigest()[:24] + '"'


def headers(etag: str, more: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an answer from the views: clients may cache it, and revalidate it before each use."""
    return {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept", **more}
