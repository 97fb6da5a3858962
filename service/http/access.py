"""Who may do what, by the key sent as `Authorization: Bearer`. Posting always needs one, reading where configured."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from service.http.problems import Kind, Problem
from service.keys import Key, Scope
from service.parts import KEYS

KEY: web.RequestKey[Key] = web.RequestKey("key", Key)
"""The key a request was allowed with, for those that were asked for one."""

_ALWAYS_OPEN = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/log/vkey", "/problems", "/static/")


def require(request: web.Request, scope: Scope) -> Key:
    """The request's key, which allows this. Raises a 401 or 403 problem."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if not text or scheme.lower() != "bearer":
        raise Problem(
            Kind.UNAUTHORIZED, "send a key: Authorization: Bearer <key>", headers={"WWW-Authenticate": "Bearer"}
        )
    key = request.app[KEYS].verify(text.strip())
    if key is None:
        raise Problem(
            Kind.UNAUTHORIZED,
            "the key is unknown or was revoked",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
    request[KEY] = key
    if not key.allows(scope):
        raise Problem(
            Kind.FORBIDDEN,
            f"the key has no scope {scope!s}",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope!s}"'},
        )
    return key


@web.middleware
async def readers_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets only keys that may read ask. Around the requests of a registry whose reading is not open."""
    if request.method in ("GET", "HEAD") and not request.path.startswith(_ALWAYS_OPEN):
        require(request, Scope.READ)
    return await handler(request)
