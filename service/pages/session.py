"""Sessions: a browser that was given a key sends it as a cookie, for reading and for the forms of this site alone."""

from __future__ import annotations

from aiohttp import hdrs, web
from yarl import URL

from service.http.access import COOKIE, VERIFIED
from service.pages.form_bodies import read_form
from service.pages.site import page

_MOST_BYTES = 4_096


async def ask_key(request: web.Request) -> web.StreamResponse:
    """Return the page that asks for a key."""
    goal = _local(request.query.get("to", "/"))
    return await page(request, "key.html", lambda _reader, _visit: {"goal": goal, "times": None, "is_wrong": False})


async def start(request: web.Request) -> web.StreamResponse:
    """Keep a key for the session, and go to the page that asked for it; a wrong key is asked for again."""
    form = await read_form(request, _MOST_BYTES)
    text, goal = form.get("key", "").strip(), _local(form.get("to", "/"))
    if request.app[VERIFIED].find(text) is None:
        return await page(request, "key.html", lambda _reader, _visit: {"goal": goal, "times": None, "is_wrong": True})
    response = _see(goal)
    response.set_cookie(COOKIE, text, httponly=True, samesite="Strict", secure=request.secure, path="/")
    return response


async def end(request: web.Request) -> web.StreamResponse:
    """Forget the key of the session."""
    await read_form(request, _MOST_BYTES)
    response = _see("/")
    response.del_cookie(COOKIE, path="/")
    return response


def _see(address: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: address})


def _local(goal: str) -> str:
    """Return an address of this site; the home page for an address elsewhere."""
    try:
        url = URL(goal)
    except ValueError:
        return "/"
    is_local = not url.absolute and goal.startswith("/") and not goal.startswith(("//", "/\\"))
    return goal if is_local and goal.isprintable() else "/"
