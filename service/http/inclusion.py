"""Inclusion: the published checkpoint, and proofs against it that events are in the log. All proofs of one answer are
against one checkpoint, so an auditor verifies one signature.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import orjson
from aiohttp import web

from domain.merkle import prove_inclusions
from domain.tlog_formats import Proof
from projections.reader import Reader
from service.app_keys import LOGS
from service.event_log import LoggedEvent, LogReader
from service.http.operations import Parameter
from service.problems import Kind, Problem
from service.schemas.answer_types import ProvenEvent
from service.transparency.checkpoint import PUBLISHER, Published
from service.views.readers import READERS

WAIT_SECONDS = 4.0
"""How long an answer waits for a checkpoint that covers its events. One is signed every second."""

PROOF = Parameter(
    "proof",
    "`true` adds, for every event that the state names, its log entry, its data and salt, and a proof that it is in the"
    " log.",
    {"type": "string", "enum": ["true"]},
)


def published(request: web.Request) -> Published:
    """Return the published checkpoint. Raise a 503 problem where there is none, or the log does not continue it."""
    publisher = request.app[PUBLISHER]
    if publisher.refusal is not None:
        raise Problem(Kind.NOT_READY, publisher.refusal)
    if publisher.published is None:
        raise Problem(Kind.NOT_READY, "no checkpoint of the log is published yet")
    return publisher.published


async def proven(request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
    """Return a state with `proofs`, by position, of every event that the state names."""
    positions = sorted(_named(body))
    covering = await covering_checkpoint(request, positions[-1])
    events = await request.app[LOGS].ask(lambda log: _events(log, positions))
    proofs = await request.app[READERS].ask(lambda reader: inclusion_proofs(reader, positions, covering))
    return {
        **body,
        "proofs": {str(event.position): _evidence(event, proof) for event, proof in zip(events, proofs, strict=True)},
    }


async def covering_checkpoint(request: web.Request, position: int) -> Published:
    """Return the newest checkpoint once it covers a position. Raise a 503 problem where none does in time."""
    published(request)
    publisher = request.app[PUBLISHER]
    if not await publisher.covered.reached(position, WAIT_SECONDS):
        raise Problem(Kind.POSITION_AHEAD, f"no checkpoint covers position {position} yet")
    return published(request)


def inclusion_proofs(reader: Reader, positions: Sequence[int], against: Published) -> list[str]:
    """Return the inclusion proof of each position, as text (C2SP tlog-proof)."""
    indexes = [position - 1 for position in positions]
    paths = prove_inclusions(indexes, against.size, reader.hashes)
    return [Proof(index, tuple(path), against.note.signed).text for index, path in zip(indexes, paths, strict=True)]


def _events(log: LogReader, positions: Sequence[int]) -> list[LoggedEvent]:
    return [event for position in positions if (event := log.at(position)) is not None]


def _evidence(event: LoggedEvent, proof: str) -> ProvenEvent:
    shown: ProvenEvent = {"entry": event.entry.decode(), "proof": proof}
    if event.data:
        shown["salt"] = b64encode(event.salt).decode()
        shown["data"] = orjson.Fragment(event.data)  # type: ignore[typeddict-item]  # JSON as it is stored
    return shown


def _named(body: dict[str, Any]) -> set[int]:
    """Return the positions of all events that a state names: sources, evidence, disputes, and the last event.

    Skip `value`: in a dispute it is free JSON of the client.
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
