"""Operations of the API, one row each: route, scope, parameters, answers. The routes, the checks of scope and query,
and the API document all come from these rows, so they cannot contradict each other."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import hdrs, web
from multidict import MultiMapping
from yarl import URL

from projections.engine.query_types import BadQuestion
from service.api_keys import Scope
from service.app_keys import SETTINGS
from service.http.access import require
from service.http.fields import combined
from service.http.negotiation import choose
from service.problems import Kind, Problem

Schema = Mapping[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Values = Mapping[str, tuple[str, ...]]
"""The values of each query parameter of a request, in their order."""

JSON = "application/json"
HTML = "text/html"
SESSION = URL("/session")
"""The page that asks for a key."""
STRING: Schema = {"type": "string"}
LINES: Schema = {"type": "string", "format": "binary", "description": "One JSON object a line."}
"""The schema of NDJSON. Generators of clients take it as bytes."""
MAX_VALUE = 2000
"""Most characters of one query parameter."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation. Of its schema `enum`, `pattern`, `minLength` and `maxLength` are enforced, and for
    integers `minimum` and `maximum`.

    `repeatable`: it may occur several times. `several`: it takes several values, separated by commas.
    """

    name: str
    description: str
    schema: Schema
    where: Literal["query", "path", "header"] = "query"
    required: bool = False
    repeatable: bool = False
    several: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer of an operation: the schema of the body by media type, and its headers."""

    description: str
    content: Mapping[str, Schema]
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path: the route, the checks before the handler, and the entry in the API document.

    `answers`: what it answers, by status; `problems`: the statuses of its problems; `body`: schemas by media type.
    With 422 among its problems, the query is checked against the parameters, and the handler finds it in `QUERY`.

    `scope`: the scope that a key needs; None if no key is needed. Scope `read` needs a key only where reading is not
    open, or the operation is `keyed`.

    `page`: the path of the page that shows the same to people; a client that prefers HTML is redirected to it.
    `is_page`: the operation is a page, which the API document leaves out.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    name: str
    tag: str
    summary: str
    handler: Handler
    answers: Mapping[int, Answer]
    parameters: tuple[Parameter, ...] = ()
    problems: tuple[int, ...] = ()
    body: Mapping[str, Schema] | None = None
    description: str = ""
    scope: Literal["read", "post", "admin"] | None = None
    keyed: bool = False
    page: str | None = None
    is_page: bool = False


DESCRIBED: web.AppKey[list[Operation]] = web.AppKey("described operations", list)
"""Every operation of the application, in the order of its routes."""


QUERY: web.RequestKey[Values] = web.RequestKey("query")
"""The query of a request, checked against the parameters of its operation."""
RESOURCES: web.AppKey[dict[str, web.Resource]] = web.AppKey("resources", dict)
"""The resource of each path."""


def add(app: web.Application, operations: Iterable[Operation]) -> None:
    """Add the routes of these operations, in their order, and list their rows. GET also answers HEAD."""
    if DESCRIBED not in app:
        app[DESCRIBED], app[RESOURCES] = [], {}
    resources = app[RESOURCES]
    for each in operations:
        if each.path not in resources:
            resources[each.path] = app.router.add_resource(each.path)
        handler = _guarded(each)
        for method in ("GET", "HEAD") if each.method == "GET" else (each.method,):
            resources[each.path].add_route(method, handler, expect_handler=keep_expectation)
        app[DESCRIBED].append(each)


async def keep_expectation(_request: web.Request) -> None:
    """Send no `100 Continue` before the handler: it does so when it needs the body."""


def _guarded(row: Operation) -> Handler:
    """Return the row's handler behind the checks that the row declares: its page, its scope, its query."""
    scope = None if row.scope is None else Scope(row.scope)
    is_always_needed = row.keyed or scope is not Scope.READ
    checks_query = 422 in row.problems
    parameters = tuple(each for each in row.parameters if each.where == "query")

    async def guarded(request: web.Request) -> web.StreamResponse:
        if row.page is not None and prefers_html(request):
            return _to_page(request, row.page)
        if scope is not None and (is_always_needed or request.app[SETTINGS].read == "key"):
            try:
                require(request, scope, by_session=row.is_page)
            except Problem as problem:
                if row.is_page and problem.kind is Kind.UNAUTHORIZED:
                    return web.Response(
                        status=303, headers={hdrs.LOCATION: str(SESSION.with_query(to=request.path_qs))}
                    )
                raise
        if checks_query:
            request[QUERY] = read_query(request.query, parameters)
        return await row.handler(request)

    return guarded


def prefers_html(request: web.Request) -> bool:
    """Return whether the client names HTML and prefers it to JSON, as browsers do."""
    accept = combined(request, hdrs.ACCEPT) or ""
    return HTML in accept.lower() and choose(accept, (JSON, HTML)) == HTML


def _to_page(request: web.Request, page: str) -> web.Response:
    """Return 303 to the page of the same question."""
    location = URL(page.format(**request.match_info)).with_query(request.rel_url.query)
    return web.Response(status=303, headers={hdrs.LOCATION: str(location), hdrs.VARY: hdrs.ACCEPT})


def read_query(query: MultiMapping[str], parameters: Sequence[Parameter]) -> Values:
    """Return a query that has only these parameters, with allowed values. Raise BadQuestion with all flaws."""
    if not query and not any(each.required for each in parameters):
        return {}
    known = {each.name: each for each in parameters}
    values: dict[str, tuple[str, ...]] = {}
    flaws: dict[str, str] = {}
    for name in dict.fromkeys(query):
        parameter = known.get(name)
        if parameter is None:
            flaws[name] = f"is not a parameter here; there are {_listed(known)}"
            continue
        given = tuple(query.getall(name))
        if len(given) > 1 and not parameter.repeatable:
            flaws[name] = "is given once"
        if parameter.several:
            given = tuple(dict.fromkeys(part for each in given for part in each.split(",")))
        values[name] = given
        for value in values[name]:
            if (flaw := _flaw(value, parameter.schema)) is not None:
                flaws.setdefault(name, flaw)
    for name, parameter in known.items():
        if parameter.required and name not in values:
            flaws[name] = "is required"
    if flaws:
        raise BadQuestion(flaws)
    return values


def _has_form(value: str, pattern: str) -> bool:
    """Return whether a pattern of JSON Schema matches: there `$` is only the end of the text, not of a line."""
    return re.search(pattern, value, re.ASCII) is not None and not value.endswith("\n")


def _listed(known: Mapping[str, Parameter]) -> str:
    return ", ".join(known) if known else "none"


def _flaw(value: str, schema: Schema) -> str | None:
    if len(value) > MAX_VALUE:
        return f"has at most {MAX_VALUE} characters"
    if "\x00" in value:
        return "holds no U+0000"
    if not value.strip():
        return "is not empty"
    if "enum" in schema and value not in schema["enum"]:
        return f"is one of {', '.join(schema['enum'])}"
    if len(value) < schema.get("minLength", 0):
        return f"has at least {schema['minLength']} characters"
    if len(value) > schema.get("maxLength", MAX_VALUE):
        return f"has at most {schema['maxLength']} characters"
    if "pattern" in schema and not _has_form(value, schema["pattern"]):
        return f"is of the form {schema['pattern']}"
    if schema.get("type") == "integer":
        low, high = schema.get("minimum", 0), schema.get("maximum", 2**53 - 1)
        if not _INTEGER.fullmatch(value) or not low <= int(value) <= high:
            return f"is a whole number from {low} to {high}"
    return None
