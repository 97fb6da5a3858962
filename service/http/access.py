"""Who may do what, by the key sent as `Authorization: Bearer`. Posting always needs one, reading where configured."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

from service.http.problems import Kind, Problem
from service.keys import Key, Keys, Scope

KEY: web.RequestKey[Key] = web.RequestKey("key", Key)
"""The key a request was allowed with, for those that were asked for one."""


class Verified:
    """Keys as they were found in this turn of the loop. Whatever is asked in the same turn had come before they were
    looked for, so nobody can tell it from having looked again, which would cost as much as reading the event.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._found: dict[str, Key | None] = {}

    def find(self, text: str) -> Key | None:
        """The key with this text, unless there is none or it was revoked before the request came."""
        found = self._found
        if not found:
            asyncio.get_running_loop().call_soon(found.clear)
        if text not in found:
            found[text] = self._keys.verify(text)
        return found[text]


VERIFIED: web.AppKey[Verified] = web.AppKey("verified", Verified)
_ALWAYS_OPEN = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/log/vkey", "/problems", "/static/")


def require(request: web.Request, scope: Scope) -> Key:
    """The request's key, which allows this. Raises a 401 or 403 problem."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if not text or scheme.lower() != "bearer":
        raise Problem(
            Kind.UNAUTHORIZED, "send a key: Authorization: Bearer <key>", headers={"WWW-Authenticate": "Bearer"}
        )
    key = request.app[VERIFIED].find(text.strip())
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
