"""Cross-origin requests (CORS, Fetch standard), and the response to OPTIONS. No other origin can post."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aiohttp import hdrs, web

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
    """The origins whose pages may read responses: `*` is any."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)
        self._for_any = _allow_origin("*") if "*" in self._origins else None

    def headers(self, request: web.BaseRequest) -> Mapping[str, str]:
        """Return the headers that let a page read the response to a request; empty if none may."""
        if self._for_any is not None:
            return self._for_any
        if not self._origins:
            return {}
        origin = request.headers.get(hdrs.ORIGIN, "")
        return {hdrs.VARY: hdrs.ORIGIN, **(_allow_origin(origin) if origin in self._origins else {})}

    def options(self, request: web.Request, methods: Collection[str]) -> web.Response:
        """Return the response to OPTIONS: the methods of the resource, and whether a page may read it."""
        headers: dict[str, str] = {hdrs.ALLOW: allow(methods), hdrs.CACHE_CONTROL: "no-cache"}
        if request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD) in (hdrs.METH_GET, hdrs.METH_HEAD):
            headers.update(self.headers(request), **_PREFLIGHT)
        return web.Response(status=204, headers=headers)


def _allow_origin(origin: str) -> dict[str, str]:
    return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin, hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: _EXPOSED}


ORIGINS: web.AppKey[Origins] = web.AppKey("origins", Origins)
