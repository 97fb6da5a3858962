"""Proofs that events are in the log: of one event, as a text of its own, and of every event that a state names, beside
the state. All of one answer are against one published checkpoint, so they hold or fall together."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import orjson
from aiohttp import hdrs, web

from domain.merkle import prove_inclusion
from domain.tlog_formats import Proof
from projections.reader import Reader
from service.app_keys import HEAD, LOGS
from service.event_log import LoggedEvent, LogReader
from service.http.answer_schemas import STRING
from service.http.operations import Answer, Operation, Parameter, add, read_query
from service.http.problems import Kind, Problem
from service.http.tlog import TEXT, published
from service.transparency.checkpoint import PUBLISHER, Published
from service.views.readers import READERS

WAIT_SECONDS = 4.0
"""How long an answer waits for the checkpoint that it needs. One comes every second."""

PROOF = Parameter(
    "proof",
    "`true` adds, for every event that the state names, its log entry, its data and salt, and a proof that it is in the"
    " log.",
    {"type": "string", "enum": ["true"]},
)


async def get_proof(request: web.Request) -> web.Response:
    """One event's proof against the newest checkpoint."""
    read_query(request.query, ())
    position = int(request.match_info["position"])
    if position > request.app[HEAD].position:
        raise Problem(Kind.NOT_FOUND, f"the log has no position {position} yet")
    covering = await _covering(request, position)
    (proof,) = await request.app[READERS].ask(lambda reader: _proofs(reader, [position], covering))
    return web.Response(
        body=proof.encode(),
        headers={hdrs.CONTENT_TYPE: f"{TEXT}; charset=utf-8", hdrs.CACHE_CONTROL: "no-cache"},
    )


async def proven(request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
    """The state with `proofs`: by position, of every event that it names."""
    positions = sorted(_named(body))
    covering = await _covering(request, positions[-1])
    events = await request.app[LOGS].ask(lambda log: _events(log, positions))
    proofs = await request.app[READERS].ask(lambda reader: _proofs(reader, positions, covering))
    return {
        **body,
        "proofs": {str(event.position): _evidence(event, proof) for event, proof in zip(events, proofs, strict=True)},
    }


async def _covering(request: web.Request, position: int) -> Published:
    """The newest checkpoint, once it covers a position of the log. Raises a 503 problem where none does in time."""
    published(request)
    publisher = request.app[PUBLISHER]
    if not await publisher.covered.reached(position, WAIT_SECONDS):
        raise Problem(Kind.POSITION_AHEAD, f"no checkpoint covers position {position} yet")
    return published(request)


def _proofs(reader: Reader, positions: Iterable[int], against: Published) -> list[str]:
    signed, hashes = against.note.signed, cache(reader.hashes)  # the paths of neighbours are mostly the same
    return [
        Proof(position - 1, tuple(prove_inclusion(position - 1, against.size, hashes)), signed).text
        for position in positions
    ]


def _events(log: LogReader, positions: Sequence[int]) -> list[LoggedEvent]:
    return [event for position in positions if (event := log.at(position)) is not None]


def _evidence(event: LoggedEvent, proof: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"entry": event.entry.decode()}
    if event.data:
        shown |= {"salt": b64encode(event.salt).decode(), "data": orjson.Fragment(event.data)}
    return shown | {"proof": proof}


def _named(body: dict[str, Any]) -> set[int]:
    """The positions of all events that a state names: those that bear its facts or support them, those that dispute
    them, and its last.

    `value` is left alone: in a dispute it is whatever its poster wrote.
    """
    found: set[int] = set()
    pending: list[Any] = [body]
    while pending:
        match pending.pop():
            case dict() as part:
                for name, value in part.items():
                    if name in ("position", "event") and isinstance(value, int):
                        found.add(value)
                    elif name == "events":
                        lists = value.values() if isinstance(value, dict) else [value]
                        found.update(each for listed in lists for each in listed if isinstance(each, int))
                    elif name != "value":
                        pending.append(value)
            case list() as part:
                pending += part
    return found


OPERATIONS = (
    Operation(
        "GET",
        r"/v1/events/{position:[1-9][0-9]{0,15}}/proof",
        "getEventProof",
        "log",
        "The proof that an event is in the log",
        get_proof,
        {
            200: Answer(
                "An inclusion proof against the newest checkpoint, to be checked offline (C2SP tlog-proof).",
                {TEXT: STRING},
            )
        },
        (Parameter("position", "Its place in the log.", {"type": "integer", "minimum": 1}, where="path"),),
        (401, 403, 404, 422, 503),
        description="It waits for the next checkpoint where none covers the event yet.",
        scope="read",
    ),
)


def add_routes(app: web.Application) -> None:
    """Adds what this module answers."""
    add(app, OPERATIONS)
