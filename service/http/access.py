"""Access: the key of a request (`Authorization: Bearer`), and its scopes. Posting always needs a key; reading needs one
where the settings say so. `service.http.operations` checks the scope of every route."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from service.api_keys import Key, Keys, Scope
from service.problems import Kind, Problem

COOKIE = "registry-key"
"""The cookie of a browser's session on the pages, which holds a key."""
_READING = frozenset(("GET", "HEAD"))

KEY: web.RequestKey[Key] = web.RequestKey("key", Key)
"""The key of a request, once its scope is checked."""


class Verified:
    """A cache of verified keys for one turn of the event loop.

    All requests of a turn arrived before it, so that a key revoked during the turn was valid for each of them. A lookup
    costs as much as parsing an event.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._found: dict[str, Key | None] = {}

    def find(self, text: str) -> Key | None:
        """Return the key with this text; None if it is unknown, or was revoked before the request arrived."""
        found = self._found
        if not found:
            asyncio.get_running_loop().call_soon(found.clear)
        if text not in found:
            found[text] = self._keys.verify(text) if text.isascii() else None
        return found[text]


VERIFIED: web.AppKey[Verified] = web.AppKey("verified", Verified)


def sent_key(request: web.BaseRequest, verified: Verified) -> Key | None:
    """Return the key of a request; None if there is none, or it is unknown or revoked."""
    text = _sent(request)
    return verified.find(text) if text else None


def require(request: web.Request, scope: Scope, *, by_session: bool = False) -> Key:
    """Return the request's key, which allows this. Raise a 401 or 403 problem.

    `by_session`: a form of the pages, which checks by itself that no other site sent it, may post with the session's.
    """
    text = _sent(request, by_session=by_session)
    if not text:
        raise Problem(
            Kind.UNAUTHORIZED, "send a key: Authorization: Bearer <key>", headers={"WWW-Authenticate": "Bearer"}
        )
    key = request.app[VERIFIED].find(text)
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


def _sent(request: web.BaseRequest, *, by_session: bool = False) -> str:
    """Return the key that a request was sent with; for reading, also that of the browser's session. Empty: none."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    is_allowed = by_session or request.method in _READING
    return request.cookies.get(COOKIE, "") if is_allowed and hdrs.COOKIE in request.headers else ""
