"""GET /v1/events/{position}/proof: the proof that one event is in the log."""

from __future__ import annotations

from aiohttp import hdrs, web

from service.app_keys import HEAD
from service.http.answers import TEXT
from service.http.inclusion import covering_checkpoint, inclusion_proofs
from service.http.operations import STRING, Answer, Operation, Parameter, add
from service.problems import Kind, Problem
from service.views.readers import READERS


async def get_proof(request: web.Request) -> web.Response:
    """Return the inclusion proof of one event against the newest checkpoint."""
    position = int(request.match_info["position"])
    if position > request.app[HEAD].position:
        raise Problem(Kind.NOT_FOUND, f"the log has no position {position} yet")
    covering = await covering_checkpoint(request, position)
    (proof,) = await request.app[READERS].ask(lambda reader: inclusion_proofs(reader, [position], covering))
    return web.Response(
        body=proof.encode(),
        headers={hdrs.CONTENT_TYPE: f"{TEXT}; charset=utf-8", hdrs.CACHE_CONTROL: "no-cache"},
    )


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
                "An inclusion proof against the newest checkpoint, which can be verified offline (C2SP tlog-proof).",
                {TEXT: STRING},
            )
        },
        (Parameter("position", "The position of the event.", {"type": "integer", "minimum": 1}, where="path"),),
        (401, 403, 404, 422, 503),
        description="If no checkpoint covers the event yet, the answer waits for the next one.",
        scope="read",
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the routes of this module."""
    add(app, OPERATIONS)
