"""The API document (OpenAPI 3.1), made from the rows that the routes and their checks are made from. It must never
claim more about an operation than its row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from domain.catalogue import AGGREGATES
from service.http.operations import Answer, Operation, Parameter
from service.http.problem_responses import MEDIA_TYPE
from service.problems import KINDS, KindOfProblem
from service.schemas.events import event_schemas
from service.schemas.json_schema import Schema, object_of, one_of, ref
from service.schemas.views import components

Document = dict[str, Any]

TAGS: Mapping[str, str] = {
    "events": "The log: every event in order, and how to record more.",
    "log": "Proof that the log was not edited: signed checkpoints, tiles, proofs (C2SP).",
    "digests": "Proof that the views agree with the log.",
    **{aggregate.collection: aggregate.description for aggregate in AGGREGATES},
    "memberships": "Parties in agreements, labs and platforms.",
    "commitments": "What parties committed themselves to.",
    "timeline": "What happened, in the order of valid time.",
    "finding": "Search, names, graph and statistics.",
    "problems": "The kinds of problems.",
    "pages": "Pages for people.",
    "running": "For operators of the registry.",
}
_ABOUT = """\
Facts are recorded as events in a log to which events are only ever added. All answers are derived from the log.

Every query takes two times. `as_of`, a position or an instant, is the state of knowledge; `on`, a day, is the day in
the world. Dates are EDTF, as precise as they are known. Where imprecise dates leave a state open, `certainty` is
`possible` and `statuses` lists all possible ones. An event has happened by the day on which it was recorded: that day
closes a date with an open end (absent, `2021-08/..`, `XXXX-08-18`). The memberships of a party end on the day on which
it is dissolved. `Accept-Datetime` (Memento, RFC 7089) can replace `as_of`: it includes the events recorded by the end
of that second.

If reading is open, pages of any origin may read (CORS; `REGISTRY_CORS`), and OPTIONS lists the methods of a resource.
A header line of a request has at most 8 KiB, and there are at most 64 lines.

Errors are problems (RFC 9457). Every answer has `Registry-Position`, the position of the last event that it may depend
on. In a request this header is the position that the answer must include: the registry waits until it has reached it.
"""
_HEADERS: Mapping[str, Document] = {
    "ETag": {
        "description": "Identifies this answer. Sent as `If-None-Match`, it gets 304 while nothing has changed.",
        "schema": {"type": "string"},
    },
    "Content-Location": {
        "description": "With `Accept-Datetime`, the address of the same answer as of its position.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Link": {
        "description": 'The next page, `rel="next"`, if there is one; original, TimeMap and memento (RFC 7089).',
        "schema": {"type": "string"},
    },
    "Memento-Datetime": {
        "description": "When the requested position was recorded (RFC 7089).",
        "schema": {"type": "string"},
    },
    "Location": {
        "description": "The address to follow.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Registry-Position": {
        "description": "The position of the last event that the answer may depend on.",
        "schema": {"type": "integer", "minimum": 0},
    },
}
_ANYWHERE = (400, 431)
"""The statuses of malformed requests, at any path."""
_ENDS_WITH_PATTERN = re.compile(r"\{(\w+):[^/]*\}(?=/|$)")


def document(operations: Iterable[Operation]) -> Document:
    """Return the whole document."""
    described = [each for each in operations if not each.is_page]
    paths: dict[str, Document] = {}
    for each in described:
        paths.setdefault(shown_path(each.path), {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Agreement Registry",
            "version": version("agreement-registry"),
            "summary": "Who agreed what, when, on what evidence.",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**event_schemas(), **components(), **_problem_schemas()}.items())),
            "responses": {f"Problem{status}": _problem(status) for status in _statuses()},
            "headers": dict(_HEADERS),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key made with `registry keys create`. Reading needs none unless so configured.",
                }
            },
        },
    }


def shown_path(path: str) -> str:
    """Return the path of a route without the patterns of its parts."""
    return _ENDS_WITH_PATTERN.sub(r"{\1}", path)


def _operation(row: Operation) -> Document:
    answers = {str(status): _answer(answer) for status, answer in row.answers.items()}
    if row.method == "GET" and "ETag" in row.answers[200].headers:
        answers["304"] = {"description": "The client holds this answer.", "headers": _headers(row.answers[200].headers)}
    if row.page is not None:
        headers = _headers(("Location",))
        answers["303"] = {"description": "A client that prefers HTML is sent to the page of this.", "headers": headers}
    for status in (*row.problems, *_ANYWHERE):
        answers[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    described: Document = {
        "operationId": row.name,
        "tags": [row.tag],
        "summary": row.summary,
        "parameters": [_parameter(each) for each in row.parameters],
        "responses": dict(sorted(answers.items())),
    }
    if row.description:
        described["description"] = row.description
    if row.body is not None:
        described["requestBody"] = {"required": True, "content": _content(row.body)}
    if row.scope == "read" and not row.keyed:
        described["security"] = [{}, {"key": []}]
    elif row.scope is not None:
        described["security"] = [{"key": []}]
    return described


def _parameter(parameter: Parameter) -> Document:
    schema: Document = dict(parameter.schema)
    if parameter.repeatable or parameter.several:
        schema = {"type": "array", "items": schema}
    style = {"style": "form", "explode": False} if parameter.several else {}
    return {
        "name": str(parameter.name),
        "in": parameter.where,
        "required": parameter.required or parameter.where == "path",
        "description": parameter.description,
        **style,
        "schema": schema,
    }


def _answer(answer: Answer) -> Document:
    shown: Document = {"description": answer.description, "headers": _headers(answer.headers)}
    if answer.content:
        shown["content"] = _content(answer.content)
    return shown


def _content(content: Mapping[str, Any]) -> Document:
    return {media_type: {"schema": schema} for media_type, schema in content.items()}


def _headers(names: Iterable[str]) -> Document:
    return {str(name): {"$ref": f"#/components/headers/{name}"} for name in (*names, "Registry-Position")}


def _statuses() -> list[int]:
    return sorted({explained.status for explained in KINDS.values()})


def _kinds(status: int) -> dict[str, KindOfProblem]:
    """Return the kinds of problems of a status, by their `type`."""
    return {f"/problems/{kind}": explained for kind, explained in KINDS.items() if explained.status == status}


def _problem_schemas() -> dict[str, Schema]:
    """Return the component of the problems of each status. Generators merge no `const` with a type, but an `enum`."""
    return {
        f"Problem{status}": {
            "description": f"A problem of status {status}.",
            "allOf": [
                ref("Problem"),
                object_of(
                    {"type": _one_of_types(list(_kinds(status))), "status": {"type": "integer", "enum": [status]}}
                ),
            ],
        }
        for status in _statuses()
    }


def _one_of_types(types: list[str]) -> Schema:
    """Return the schema of the types of problems, with the names that generated clients have for them."""
    names = [type_.rpartition("/")[2].replace("-", "_").upper() for type_ in types]
    return {**one_of(types), "x-enum-varnames": names}


def _problem(status: int) -> Document:
    """Return the response with any problem of a status."""
    kinds = _kinds(status).items()
    return {
        "description": "\n\n".join(f"`{type_}`: {kind.title}. {kind.text}" for type_, kind in kinds),
        "headers": _headers(()),
        "content": {MEDIA_TYPE: {"schema": ref(f"Problem{status}")}},
    }
