"""Requests that no operation answers: OPTIONS, a method that a path does not have, and a path that does not exist."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import hdrs, web

from service.http.operations import RESOURCES, Handler, keep_expectation
from service.http.origins import ORIGINS

MOST_SEGMENTS = 32
"""The most segments of a path whose resource is searched for. No resource has so many."""
NO_RESOURCE = "/{path}"
"""The pattern of all paths that do not exist."""
_DEEP = "/too/many/segments"


def add_routes(app: web.Application) -> None:
    """Add the routes of all other requests. The routes of the operations must be there."""
    for resource in app[RESOURCES].values():
        methods = {route.method for route in resource}
        resource.add_route(hdrs.METH_ANY, _other_method(methods), expect_handler=keep_expectation)
    app.router.add_route(hdrs.METH_ANY, "/{path:(?s:.*)}", _not_found, expect_handler=keep_expectation)
    _bound_search(app.router)


def _other_method(methods: Collection[str]) -> Handler:
    """Return a handler of OPTIONS, and of the methods that a resource does not have."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method == hdrs.METH_OPTIONS:
            return request.app[ORIGINS].options(request, methods)
        raise web.HTTPMethodNotAllowed(request.method, methods)

    return handle


async def _not_found(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


def _bound_search(router: web.UrlDispatcher) -> None:
    """Do not search for the resource of a path with too many segments: the search takes quadratic time."""

    async def resolve(request: web.Request) -> web.UrlMappingMatchInfo:
        if request.rel_url.raw_path.count("/") > MOST_SEGMENTS:
            request = request.clone(rel_url=_DEEP)
        return await web.UrlDispatcher.resolve(router, request)

    router.resolve = resolve  # type: ignore[method-assign]  # aiohttp takes no other router
