"""Pages of the log: its entries, one entry, and the audit that a reader's own browser does."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from domain.catalogue import CATALOGUE
from projections.engine.query_types import BadQuestion
from projections.reader import Reader
from service.app_keys import HEAD, LOGS
from service.commands.log_entry import answered
from service.event_log import LogReader
from service.http.log_filter import filter_of
from service.pages.addresses import whole_number
from service.pages.site import Context, Visit, page, problem_page
from service.problems import Kind, Problem, problem_of
from service.transparency.checkpoint import PUBLISHER

_PAGE = 50


async def log(request: web.Request) -> web.StreamResponse:
    """Return the page of the log: the newest entries first, or from the oldest on those that pass a filter."""
    query, head = request.query, request.app[HEAD].position
    given = {name: query[name] for name in ("type", "subject", "source") if query.get(name)}
    try:
        wanted = filter_of({name: (value,) for name, value in given.items()})
    except BadQuestion as error:
        return problem_page(request, problem_of(error))
    until = min(whole_number(query.get("until"), head), head)
    after = whole_number(query.get("after"), 0) if given else max(0, until - _PAGE)

    def entries(reader: LogReader) -> list[dict[str, Any]]:
        return [orjson.loads(answered(event)) for event in wanted.read(reader, after, until, _PAGE)]

    found = await request.app[LOGS].ask(entries)
    if not given:
        found.reverse()

    def find(reader: Reader, visit: Visit) -> Context:
        following = None
        if given and len(found) == _PAGE:
            following = visit.address.changed(after=found[-1]["position"])
        elif not given and after:
            following = visit.address.changed(until=after)
        return {
            "entries": _named(reader, visit, found),
            "next": following,
            "types": list(CATALOGUE),
            "given": given,
            "head": head,
            "is_newest": not given and until == head,
        }

    return await page(request, "log.html", find)


async def entry(request: web.Request) -> web.StreamResponse:
    """Return the page of one entry: the fact it records, the bytes that are hashed, and its verification."""
    position = int(request.match_info["position"])
    found = request.app[LOGS].here.at(position) if position <= request.app[HEAD].position else None
    if found is None:
        return problem_page(request, Problem(Kind.NOT_FOUND, f"the log has no position {position} yet"))
    shown = orjson.loads(answered(found))

    def find(reader: Reader, visit: Visit) -> Context:
        (named,) = _named(reader, visit, [shown])
        data = orjson.dumps(shown["data"], option=orjson.OPT_INDENT_2).decode() if shown.get("data") else None
        is_new = "recorded" in request.query
        return {"entry": named, "data": data, "head": request.app[HEAD].position, "is_new": is_new}

    return await page(request, "entry.html", find)


async def audit(request: web.Request) -> web.StreamResponse:
    """Return the audit page: the log's size, root and signatures, and what a reader can verify."""
    publisher = request.app[PUBLISHER]
    published = publisher.published
    position = whole_number(request.query.get("entry"), request.app[HEAD].position)

    def find(_reader: Reader, _visit: Visit) -> Context:
        return {
            "note": None if published is None else published.note.signed,
            "size": 0 if published is None else published.size,
            "signatures": [] if published is None else [each.name for each in published.note.signatures],
            "log_name": publisher.verifier.name,
            "verifier": publisher.verifier.text,
            "refusal": publisher.refusal,
            "position": position,
            "origin": str(request.url.origin()),
        }

    return await page(request, "audit.html", find)


def _named(reader: Reader, visit: Visit, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return entries with their subjects as `{"subject", "name"}`."""
    names = reader.named([each["subject"] for each in entries], visit.now_question)
    return [{**each, "subject": name} for each, name in zip(entries, names, strict=True)]
