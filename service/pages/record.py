"""Recording a fact by hand: a form for each type of event, a preview that records nothing, then posting with a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import orjson
from aiohttp import web

from domain.catalogue import CATALOGUE
from domain.cloudevent import parse
from domain.edtf import day_of, day_text
from domain.errors import Refused
from projections.engine.query_types import NotFound
from projections.engine.reference_values import references_in, referred
from projections.reader import Reader
from service.api_keys import Scope
from service.app_keys import CLOCK, HEAD, LOGS, WRITER
from service.commands.cloudevents import MAX_EVENT, parsed
from service.commands.decisions import Batch, Decisions
from service.commands.log_entry import answered
from service.http.access import KEY
from service.http.overload import rejection
from service.pages.dates import date_help
from service.pages.form_bodies import read_form
from service.pages.forms import OCCURRED, PREFIX, Field, data_of, fields_of, flattened
from service.pages.item_titles import show_titles
from service.pages.new_parties import (
    PARTIES,
    REGISTERING,
    WaitingForm,
    first_unknown,
    form_of_new_party,
    offers,
    waiting_form,
    with_party,
)
from service.pages.site import Context, Visit, page, problem_page
from service.pages.uploads import store_recorded
from service.problems import Kind, Problem
from service.views.readers import READERS

_ATTRIBUTES = ("subject", "occurred", "source", "id")
_CORRECTION = "event.corrected"
_GROUPS = (
    ("parties", "party"),
    ("agreements", "agreement"),
    ("labs", "lab"),
    ("platforms", "platform"),
    ("documents", "document"),
    ("corrections", "event"),
)
POSTED_TYPES = {name: kind for name, kind in CATALOGUE.items() if kind.is_posted}


async def choose(request: web.Request) -> web.StreamResponse:
    """Return the page that asks what kind of fact to record."""
    query = {
        name: value for name, value in request.query.items() if name == "subject" or name.startswith("data.evidence.")
    }

    def find(_reader: Reader, _visit: Visit) -> Context:
        types = {
            heading: [
                (name, kind.description)
                for name, kind in POSTED_TYPES.items()
                if name.split(".")[0] == prefix or (prefix == "event" and name == "evidence.added")
            ]
            for heading, prefix in _GROUPS
        }
        return {"types": types, "given": query}

    return await page(request, "record.html", find)


async def blank(request: web.Request) -> web.StreamResponse:
    """Return the form of a type, filled in as far as the address says."""
    name = request.match_info["type"]
    if name not in POSTED_TYPES:
        return problem_page(request, Problem(Kind.NOT_FOUND, f"there is no type of event named {name!r}"))
    query = {key: value for key, value in request.query.items() if key != "lang"}
    target = _target(request, query.get("event"))
    filled = {key: query[key] for key in _ATTRIBUTES if query.get(key)}
    data = data_of(_schema(name, target), query)
    if target is not None:
        data["event"] = target["position"]
        filled.setdefault("subject", target["subject"])
        if name == _CORRECTION:
            data.setdefault("data", _without_remarks(target["data"]))
            data.setdefault("occurred", target.get("occurred"))
    filled.setdefault("source", f"{request.url.origin()}/record")
    filled.setdefault("id", str(uuid4()))
    filled["upload"] = query.get("upload", "")
    return await _form(request, name, filled, data, target)


async def send(request: web.Request) -> web.StreamResponse:
    """Preview what was filled in, or record it; where it is refused, return the form with every error at its field.

    The field `step` holds the button: `preview`, `record`, `edit`, `register:<field>` for the form of a new party,
    `choose:<field>:<party>` for one of the parties offered, `leave` for the form that waits for a new party.
    """
    name = request.match_info["type"]
    if name not in POSTED_TYPES:
        return problem_page(request, Problem(Kind.NOT_FOUND, f"there is no type of event named {name!r}"))
    if (no_room := await rejection(request)) is not None:
        return no_room
    form = await read_form(request, MAX_EVENT)
    await request.app[WRITER].publish()  # so that an entry that was just acknowledged is found
    waiting = waiting_form(form, POSTED_TYPES) if name == REGISTERING else None
    step, _, chosen = form.pop("step", "").partition(":")
    if step == "leave" and waiting is not None:
        return await _filled_form(request, waiting.type, waiting.form)
    if step == "register":
        return await _register(request, name, form, chosen)
    if step == "choose":
        field, _, party = chosen.partition(":")
        form = with_party(form, field, await _unknown(request, form, field), party)
    if step in ("choose", "edit"):
        return await _filled_form(request, name, form)
    filled, data, target = _read(request, name, form)
    if name == _CORRECTION and target is not None:
        _drop_unchanged(data, target)
    event = {"specversion": "1.0", "type": name, **{key: value for key, value in filled.items() if value}, "data": data}
    key = request[KEY]
    try:
        posted = parsed(event, request.app[LOGS].find, parse)
        batch = Batch([posted], key.name, len(posted.data), may_erase=key.allows(Scope.ADMIN))
        if step != "record":
            return await _preview(request, target, filled, event, batch, form)
        receipts = await request.app[WRITER].post(batch)
    except Refused as refused:
        return await _filled_form(request, name, form, refused=refused)
    if waiting is not None:
        await request.app[WRITER].publish()  # so that the form finds the new party
        party = filled["subject"]
        return await _filled_form(request, waiting.type, waiting.filled_in(party), registered=party)
    if form.get("upload"):
        return await store_recorded(request, filled["subject"], form["upload"])
    position = orjson.loads(receipts[0].body)["position"]
    return web.Response(status=303, headers={"Location": f"/events/{position}?recorded=1"})


async def _register(request: web.Request, name: str, form: dict[str, str], field: str) -> web.StreamResponse:
    """Return the form of the party that a field names and that is not recorded; the form that names it waits."""
    text = await _unknown(request, form, field)
    filled, data = form_of_new_party(text, form.get("source", ""))
    return await _form(request, REGISTERING, filled, data, None, waiting=WaitingForm(name, field, text, form))


async def _unknown(request: web.Request, form: Mapping[str, str], field: str) -> str:
    """Return the first name in a field that is no recorded party; empty if there is none."""
    as_of, value = request.app[HEAD].position, form.get(field, "")
    return await request.app[READERS].ask(lambda reader: first_unknown(value, reader, as_of)) or ""


def _read(
    request: web.Request, name: str, form: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, Any], dict[str, Any] | None]:
    """Return the attributes and the data that were filled in, and the entry that they are about."""
    target = _target(request, form.get("data.event"))
    filled = {key: form.get(key, "").strip() for key in _ATTRIBUTES}
    return filled, data_of(_schema(name, target), form), target


async def _filled_form(
    request: web.Request,
    name: str,
    form: Mapping[str, str],
    *,
    refused: Refused | None = None,
    registered: str | None = None,
) -> web.StreamResponse:
    """Return a form as it was filled in, after a refusal, or with a party that was registered for it."""
    waiting = waiting_form(form, POSTED_TYPES) if name == REGISTERING else None
    filled, data, target = _read(request, name, form)
    filled["upload"] = form.get("upload", "")
    return await _form(request, name, filled, data, target, refused=refused, waiting=waiting, registered=registered)


async def _form(
    request: web.Request,
    name: str,
    filled: Mapping[str, str],
    data: Mapping[str, Any],
    target: Mapping[str, Any] | None,
    *,
    refused: Refused | None = None,
    waiting: WaitingForm | None = None,
    registered: str | None = None,
) -> web.StreamResponse:
    flaws = () if refused is None else refused.flaws
    errors = {flaw.pointer: flaw.detail for flaw in flaws}
    schema = _schema(name, target)
    shown = fields_of(schema, data, errors, skip=("event",) if target is not None else ())

    def find(reader: Reader, visit: Visit) -> Context:
        kind = POSTED_TYPES[name]
        recorded = _day_of_recording(name, target, visit.now.today)
        named = [*shown]
        if kind.collection == PARTIES and not kind.is_creating:
            named.append(Field("subject", "subject", "subject", collection=PARTIES, value=filled.get("subject", "")))
        return {
            "type": name,
            "date_help": date_help(visit.wording, recorded),
            "recorded": day_text(recorded),
            "offers": offers(named, reader, visit.now_question),
            "may_register": len(named) > len(shown),
            "waiting": waiting,
            "registered": reader.named([registered], visit.now_question)[0] if registered else None,
            "about": kind.description,
            "collection": kind.collection or "",
            "filled": filled,
            "fields": shown,
            "target": target,
            "summary": None if refused is None else str(refused) or visit.wording.text("This cannot be recorded."),
            "positions": [] if refused is None else list(refused.positions),
            "errors": {flaw.pointer.strip("/"): flaw.detail for flaw in flaws},
        }

    return await page(request, "form.html", find, status=200 if refused is None else 422)


async def _preview(
    request: web.Request,
    target: Mapping[str, Any] | None,
    filled: Mapping[str, str],
    event: Mapping[str, Any],
    batch: Batch,
    form: Mapping[str, str],
) -> web.StreamResponse:
    subject = filled["subject"]
    today = request.app[CLOCK]().toordinal()

    def trial(decisions: Decisions) -> dict[str, Any] | None:
        decisions.decide(batch)
        return decisions.state(subject, today)

    after = await request.app[WRITER].check(trial, batch.size)

    def find(reader: Reader, visit: Visit) -> Context:
        before = None
        try:
            before = reader.state(subject, visit.now_question).body
        except NotFound:
            before = None
        name = event["type"]
        explain = date_help(visit.wording, _day_of_recording(name, target, today))
        return {
            "type": name,
            "event": _with_names(event, after or {}, reader, visit),
            "filled": filled,
            "form": form,
            "rows": [
                (field, (before or {}).get(field), (after or {}).get(field))
                for field in dict.fromkeys([*(before or {}), *(after or {})])
                if field not in ("events", "version", "position", "subject", "more")
            ],
            "dates": [
                (label, explain(value, is_occurrence=is_occurrence))
                for label, value, is_occurrence in _dates(_schema(name, target), event)
            ],
            "day": day_text(today),
        }

    return await page(request, "preview.html", find)


def _day_of_recording(name: str, target: Mapping[str, Any] | None, today: int) -> int:
    """Return the day of recording of the fact that a form states: of a correction, that of the corrected event."""
    return day_of(target["recorded"]) if name == _CORRECTION and target is not None else today


def _dates(schema: Mapping[str, Any], event: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Return the dates of an event: their label, what was filled in, and whether it is when the event occurred."""
    own = [("When it happened", event[OCCURRED], True)] if OCCURRED in event else []
    fields = flattened(fields_of(schema, event["data"], {}))
    return own + [
        (each.label, each.value, each.name == PREFIX + OCCURRED)
        for each in fields
        if each.kind == "date" and each.value
    ]


def _with_names(event: Mapping[str, Any], after: Mapping[str, Any], reader: Reader, visit: Visit) -> dict[str, Any]:
    """Return an event with the names of subjects and list items; its own subject has the name of the state after it."""
    data = referred(POSTED_TYPES[event["type"]].data, event["data"])
    references = references_in([data])
    for reference, named in zip(
        references, reader.named([each["subject"] for each in references], visit.now_question), strict=True
    ):
        reference["name"] = named["name"]
    subject = {"subject": event["subject"], "name": after.get("name") or after.get("title")}
    shown = {**event, "subject": subject, "data": data}
    show_titles([shown], reader, visit.head)
    return shown


def _schema(name: str, target: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the schema of a type's data; of a correction, with the fields of the event that is corrected."""
    schema = POSTED_TYPES[name].data.model_json_schema()
    if name == _CORRECTION and target is not None:
        inner = CATALOGUE[target["type"]].data.model_json_schema()
        schema["$defs"] = {**schema.get("$defs", {}), **inner.pop("$defs", {})}
        for member in ("evidence", "note"):
            inner["properties"].pop(member, None)
        schema["properties"] = {**schema["properties"], "data": inner}
    return schema


def _without_remarks(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return data without evidence and note, which a correction leaves as they are."""
    return {name: value for name, value in data.items() if name not in ("evidence", "note")}


def _drop_unchanged(data: dict[str, Any], target: Mapping[str, Any]) -> None:
    """Drop from a correction what it leaves as it is, so that it corrects nothing else."""
    if data.get("data") == _without_remarks(target["data"]):
        del data["data"]
    if data.get("occurred") == target.get("occurred"):
        data.pop("occurred", None)
    elif "occurred" not in data:
        data["occurred"] = None


def _target(request: web.Request, position: str | None) -> dict[str, Any] | None:
    """Return the entry that an event is about; None where it is about none, or the position is none of the log."""
    if not position or not position.isascii() or not position.isdigit() or len(position) > 15:
        return None
    found = request.app[LOGS].here.at(int(position)) if int(position) <= request.app[HEAD].position else None
    if found is None:
        return None
    shown: dict[str, Any] = orjson.loads(answered(found))
    return shown if shown.get("data") is not None else None
