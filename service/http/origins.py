"""Cross-origin reads (CORS, Fetch standard), and the answer to OPTIONS. Nothing can be posted from another origin."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aiohttp import hdrs, web

from service.http.responses import CompleteResponse, lines
from service.problems import allow

_EXPOSED = "Content-Location, ETag, Link, Memento-Datetime, Registry-Position, Retry-After, WWW-Authenticate"
_PREFLIGHT: Mapping[str, str] = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, HEAD",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: (
        "Accept, Accept-Datetime, Authorization, If-None-Match, Last-Event-ID, Registry-Position"
    ),
    hdrs.ACCESS_CONTROL_MAX_AGE: "86400",
}


class Origins:
    """The origins whose pages may read answers: `*` is any."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)
        self._lines = lines(_shared_with("*")) if "*" in self._origins else b""

    def headers(self, request: web.BaseRequest) -> dict[str, str]:
        """The headers that let a page read the answer to a request; empty where none may."""
        if "*" in self._origins:
            return _shared_with("*")
        if not self._origins:
            return {}
        origin = request.headers.get(hdrs.ORIGIN, "")
        return {hdrs.VARY: hdrs.ORIGIN, **(_shared_with(origin) if origin in self._origins else {})}

    def encoded(self, request: web.BaseRequest) -> bytes:
        """The same headers as they are sent."""
        return self._lines or lines(self.headers(request))

    async def options(self, router: web.UrlDispatcher, request: web.Request) -> CompleteResponse:
        """The answer to OPTIONS: the methods of the resource and, to a preflight of a read, that it may be made.

        Raises HTTPNotFound where the address leads nowhere.
        """
        error = (await router.resolve(request)).http_exception
        if not isinstance(error, web.HTTPMethodNotAllowed):
            raise error or web.HTTPNotFound
        headers: dict[str, str] = {hdrs.ALLOW: allow(error), hdrs.CACHE_CONTROL: "no-cache"}
        if request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD) in (hdrs.METH_GET, hdrs.METH_HEAD):
            headers.update(self.headers(request), **_PREFLIGHT)
        return CompleteResponse(204, b"", "", lines(headers))


def _shared_with(origin: str) -> dict[str, str]:
    return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin, hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: _EXPOSED}


ORIGINS: web.AppKey[Origins] = web.AppKey("origins", Origins)
