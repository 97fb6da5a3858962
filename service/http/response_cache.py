"""Ready answers: bytes with what is said about them, and those of late kept, so that asking again costs next to
nothing. An answer is kept under everything it depends on; nothing here ever has to be told that something changed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from hashlib import sha256

from aiohttp import web

from projections.engine.database import fold
from service.http.answers import etag_matches
from service.http.responses import CompleteResponse, lines

KEPT = 32 * 2**20
"""Most bytes of answers that are kept."""
_KEPT_EACH = 2**20
_OVERHEAD = 1536


class CachedResponse:
    """An answer of status 200, complete but for what every answer bears. It does not change."""

    __slots__ = ("body", "etag", "headers", "media_type", "route")

    def __init__(self, body: bytes, media_type: str, etag: str, more: Mapping[str, str] | None = None) -> None:
        """`more` are headers beside those that every answer of the views has."""
        self.body = bytes(memoryview(body))  # a copy: what orjson gives holds up to three times its length in memory
        self.media_type = media_type
        self.etag = etag
        self.headers = lines(headers(etag, more or {}))
        self.route = "none"
        """The pattern of the addresses that it was kept for."""

    def answer(self, request: web.Request) -> CompleteResponse:
        """The answer, or 304 where the client holds it."""
        if etag_matches(request, self.etag):
            return CompleteResponse(304, b"", self.media_type, self.headers)
        return CompleteResponse(200, self.body, self.media_type, self.headers)


class ResponseCache:
    """The answers given of late, within `KEPT` bytes; the one not asked for longest goes first."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._bytes = 0
        self._answers: OrderedDict[Hashable, CachedResponse] = OrderedDict()

    def get(self, key: Hashable) -> CachedResponse | None:
        ready = self._answers.get(key)
        if ready is not None:
            self._answers.move_to_end(key)
        return ready

    def clear(self) -> None:
        """Drops all of them."""
        self._answers.clear()
        self._bytes = 0

    def keep(self, key: Hashable, ready: CachedResponse, route: str = "none") -> None:
        """Keeps the answer unless it is large; `key` says everything that it depends on."""
        ready.route = route
        size = _size(key, ready)
        if size > _KEPT_EACH or key in self._answers:
            return
        self._answers[key] = ready
        self._bytes += size
        while self._bytes > self._most:
            self._bytes -= _size(*self._answers.popitem(last=False))


def _size(key: Hashable, ready: CachedResponse) -> int:
    """About how many bytes of memory it takes; an address, which stands in both, may be longer than what it answers."""
    return len(ready.body) + len(repr(key)) + len(ready.headers) + _OVERHEAD


KEPT_ANSWERS: web.AppKey[ResponseCache] = web.AppKey("kept answers", ResponseCache)


def body_tag(body: bytes, version: int | None = None) -> str:
    """A strong validator of these bytes and of the code that folded them; of a state it opens with its version."""
    digest = sha256(fold().encode() + b"\x00" + body).hexdigest()[:24]
    return f'"{digest}"' if version is None else f'"{version}-{digest}"'


def question_tag(*asked: object) -> str:
    """A weak validator of an answer too long to be hashed before it is sent: of all that it depends on."""
    return 'W/"' + sha256(repr((fold(), *asked)).encode()).hexdigest()[:24] + '"'


def headers(etag: str, more: Mapping[str, str]) -> dict[str, str]:
    """What every answer says about itself: it may be kept, but is asked for again before it is used."""
    return {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept", **more}
