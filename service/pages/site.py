"""The site: one way from a request to a page. Reads the times and the language, asks the views, renders a template.

Every page is `Vary`ing on the language; none loads anything from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp_jinja2
from aiohttp import hdrs, web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from projections.engine.query_types import Merged, TimeSlice
from projections.reader import Reader
from service.app_keys import CLOCK, HEAD, REQUEST_ID
from service.http.access import COOKIE
from service.http.fields import combined, etag_matches
from service.http.operations import MAX_VALUE
from service.http.problem_responses import PROBLEM_PAGE
from service.pages.addresses import Address
from service.pages.sentences import sentence
from service.pages.template_filters import prose, verbatim
from service.pages.times import PageTimes, read_page_times
from service.pages.wording import LANGUAGES, Wording
from service.problems import KINDS, Kind, Problem, problem_of
from service.question_times import Now
from service.views.readers import READERS

HTML = "text/html"
DIRECTORY = Path(__file__).parent
SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
_VARY = "Accept-Language, Cookie"
Context = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page is made for: its address, the reader's words and the two times."""

    address: Address
    wording: Wording
    times: PageTimes
    now: Now

    @property
    def head(self) -> int:
        """The last position in the views."""
        return self.now.head

    @property
    def now_question(self) -> TimeSlice:
        """The question of today, as known now."""
        return TimeSlice(self.now.head, self.now.today)


class Members(dict[str, Any]):
    """A JSON object whose absent members are None, as templates ask for members that may be absent."""

    def __missing__(self, name: str) -> None:
        return None


def members(value: Any) -> Any:
    """Return a JSON value with `Members` for every object in it."""
    if isinstance(value, dict):
        return Members((name, members(each)) for name, each in value.items())
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [members(each) for each in value]
    return value


Find = Callable[[Reader, Visit], Context]
"""Returns what a template shows, from the views. It runs on a reader's thread and raises what readers raise."""


def make_site(app: web.Application) -> Environment:
    """Set up the templates of an application."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=FileSystemLoader(DIRECTORY / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["languages"] = LANGUAGES
    environment.filters["prose"] = prose
    environment.filters["verbatim"] = verbatim
    app[PROBLEM_PAGE] = problem_page
    return environment


async def page(request: web.Request, template: str, find: Find, *, status: int = 200) -> web.StreamResponse:
    """Return a page that a template makes of what `find` finds; a page that says why where it finds nothing."""
    address = Address(request.path, tuple(request.query.items()))
    wording = reader_wording(request)
    now = Now(request.app[HEAD].position, request.app[CLOCK]())

    def rendered(reader: Reader) -> bytes:
        visit = Visit(address, wording, read_page_times(_checked(request), now, reader), now)
        context = {"times": visit.times, **{name: members(value) for name, value in find(reader, visit).items()}}
        return _render(request, template, visit.address, wording, {"visit": visit, **context})

    try:
        body = await request.app[READERS].ask(rendered)
    except Merged as merged:
        headers = {hdrs.LOCATION: address.to(f"/{merged.into}"), hdrs.CACHE_CONTROL: "no-cache", hdrs.VARY: _VARY}
        return web.Response(status=308, headers=headers)
    except (web.HTTPException, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - each is shown as a page, an unforeseen one by the server
        return problem_page(request, problem_of(error), error)
    return answer(request, body) if status == 200 else _response(body, {hdrs.CACHE_CONTROL: "no-store"}, status)


def problem_page(request: web.Request, problem: Problem, error: Exception | None = None) -> web.Response:
    """Return a page that says what went wrong. Raise an unforeseen `error` again: the server logs it."""
    if problem.kind is Kind.INTERNAL and error is not None:
        raise error
    address, wording = Address(request.path, tuple(request.query.items())), reader_wording(request)
    kind = KINDS[problem.kind]
    context: Context = {"title": kind.title, "status": kind.status, "detail": problem.detail, "kind": str(problem.kind)}
    context["errors"], context["request_id"] = problem.errors, request[REQUEST_ID]
    body = _render(request, "error.html", address, wording, {"times": None, **context})
    return _response(body, {hdrs.CACHE_CONTROL: "no-cache", **problem.headers}, kind.status)


def fixed_page(request: web.Request, template: str, context: Context) -> web.Response:
    """Return a page that says nothing of what is recorded, so it has no times."""
    address, wording = Address(request.path, tuple(request.query.items())), reader_wording(request)
    return answer(request, _render(request, template, address, wording, {"times": None, **context}))


def answer(request: web.Request, body: bytes, content_type: str = HTML) -> web.Response:
    """Return a body with its entity tag, or 304 where the client has it."""
    headers: dict[str, str] = {hdrs.ETAG: f'"{sha256(body).hexdigest()[:32]}"', hdrs.CACHE_CONTROL: "no-cache"}
    if etag_matches(request, headers[hdrs.ETAG]):
        return web.Response(status=304, headers={**headers, hdrs.VARY: _VARY})
    return _response(body, headers, content_type=content_type)


def _response(body: bytes, headers: Mapping[str, str], status: int = 200, content_type: str = HTML) -> web.Response:
    more = {
        hdrs.VARY: _VARY,
        "Content-Security-Policy": SECURITY_POLICY,
        "Referrer-Policy": "same-origin",
    }
    return web.Response(
        body=body, status=status, content_type=content_type, charset="utf-8", headers={**headers, **more}
    )


def _render(request: web.Request, template: str, address: Address, wording: Wording, context: Context) -> bytes:
    def link(to: Mapping[str, Any]) -> Markup:
        name = wording.name(to.get("name")) or to["subject"]
        return Markup('<a href="{}">{}</a>').format(address.subject(to["subject"]), name)

    return (
        aiohttp_jinja2.get_env(request.app)
        .get_template(template)
        .render(
            has_session=COOKIE in request.cookies,
            address=address,
            wording=wording,
            _=wording.text,
            _n=wording.number_of,
            sentence=lambda fact: sentence(fact, wording, link),
            **context,
        )
        .encode()
    )


def _checked(request: web.Request) -> dict[str, str]:
    """Return the first value of each parameter. Raise a 422 problem for a value that is too long or holds U+0000."""
    values = {name: request.query[name] for name in request.query}
    for name, value in values.items():
        if len(value) > MAX_VALUE or "\x00" in value:
            raise Problem(Kind.INVALID_QUERY, f"{name} has at most {MAX_VALUE} characters, none of them U+0000")
    return values


def reader_wording(request: web.Request) -> Wording:
    """Return the words of the reader's language."""
    return Wording(_language(request))


def _language(request: web.Request) -> str:
    """Return the language of a page: the one in its address, or else the one that the browser prefers."""
    wanted = request.query.get("lang")
    if wanted in LANGUAGES:
        return wanted
    accepted = parse_accept_header(combined(request, hdrs.ACCEPT_LANGUAGE) or "", LanguageAccept)
    return accepted.best_match(LANGUAGES, "en")
