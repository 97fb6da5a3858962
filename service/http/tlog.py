"""The transparency log, under `/log/`: its signed checkpoint, its verifier key, the tiles of its Merkle tree and of its
entries (C2SP tlog-tiles), and consistency proofs. It never serves an event beyond the published checkpoint, and no tile
while the log does not continue that checkpoint."""

from __future__ import annotations

from base64 import b64encode

import orjson
from aiohttp import hdrs, web

from domain.merkle import prove_consistency, root
from domain.tlog_formats import NoteError, Tile, entry_bundle, parse_tile
from projections.engine.query_types import BadQuestion
from projections.reader import Reader
from service.app_keys import LOGS, SETTINGS
from service.http.answers import JSON, TEXT, json_answer
from service.http.fields import combined
from service.http.inclusion import published
from service.http.negotiation import accepts_gzip
from service.http.operations import QUERY, STRING, Answer, Operation, Parameter, add
from service.problems import Kind, Problem
from service.schemas.answer_types import ConsistencyProof
from service.schemas.json_schema import ref
from service.transparency.checkpoint import PUBLISHER
from service.views.readers import READERS

BYTES = "application/octet-stream"
_PREFIX = "/log/tile/"
_TEXT_TYPE = f"{TEXT}; charset=utf-8"
_FOR_EVER = "max-age=31536000, immutable"


async def checkpoint(request: web.Request) -> web.StreamResponse:
    """Return the newest checkpoint, also while the log does not continue it: it was published."""
    newest = request.app[PUBLISHER].published or published(request)
    return _text(newest.note.signed)


async def vkey(request: web.Request) -> web.StreamResponse:
    """Return the key that verifies the log's checkpoints."""
    return _text(f"{request.app[PUBLISHER].verifier.text}\n")


async def tile(request: web.Request) -> web.StreamResponse:
    """Return one tile of hashes or of entries, full or partial."""
    try:
        wanted = parse_tile(request.rel_url.raw_path.removeprefix(_PREFIX))
    except NoteError as error:
        raise Problem(Kind.NOT_FOUND, f"not the address of a tile: {error}") from None
    first, size = wanted.number * 256, published(request).size
    if first + wanted.width > size >> 8 * (wanted.level or 0):
        raise Problem(Kind.NOT_FOUND, f"the log has no such tile yet: {size} events are published")
    body = await _content(request, wanted, first)
    shared = "public" if request.app[SETTINGS].read == "open" else "private"
    response = web.Response(body=body, headers={hdrs.CONTENT_TYPE: BYTES, hdrs.CACHE_CONTROL: f"{shared}, {_FOR_EVER}"})
    if wanted.level is None:
        response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
        if accepts_gzip(combined(request, hdrs.ACCEPT_ENCODING) or ""):
            response.enable_compression(web.ContentCoding.gzip)
    return response


async def _content(request: web.Request, wanted: Tile, first: int) -> bytes:
    level = wanted.level
    if level is None:
        parts = await request.app[LOGS].ask(lambda log: log.entries(first, first + wanted.width))
    else:
        parts = request.app[READERS].here(lambda reader: reader.hashes(level, first, wanted.width))
    if len(parts) != wanted.width:
        raise Problem(Kind.UNAVAILABLE, "the stored tree lacks what is published")
    return entry_bundle(parts) if level is None else b"".join(parts)


async def consistency(request: web.Request) -> web.StreamResponse:
    """Return the proof that the log of one size is the beginning of the log of another."""
    values = request[QUERY]
    most = published(request).size
    size = int(values["size"][0]) if "size" in values else most
    old = int(values["old"][0])
    flaws = {}
    if size > most:
        flaws["size"] = f"is more than the {most} published events"
    if old > size:
        flaws["old"] = f"is more than {size}, the size of the larger log"
    if flaws:
        raise BadQuestion(flaws)

    def proof(reader: Reader) -> bytes:
        found: ConsistencyProof = {
            "old": old,
            "size": size,
            "old_root": _shown(root(old, reader.hashes)),
            "root": _shown(root(size, reader.hashes)),
            "hashes": [_shown(each) for each in prove_consistency(old, size, reader.hashes)],
        }
        return orjson.dumps(found)

    return json_answer(await request.app[READERS].ask(proof), headers={hdrs.CACHE_CONTROL: "no-cache"})


def _text(text: str) -> web.StreamResponse:
    headers = {hdrs.CONTENT_TYPE: _TEXT_TYPE, hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(body=text.encode(), headers=headers)


def _shown(hash_: bytes) -> str:
    return b64encode(hash_).decode()


_COUNT = {"type": "integer", "minimum": 0}
_NUMBER = Parameter(
    "number",
    "The tile's place in its level, in groups of three digits, all but the last behind `x`: `x001/x234/067`; of a"
    " partial tile followed by `.p/` and its width, 1 to 255.",
    {"type": "string", "examples": ["000", "x001/067", "000.p/17"]},
    "path",
)
_LEVEL = Parameter(
    "level",
    "0 to 63; hash `i` of a level is the root over 256 to its power of entries.",
    {"type": "string", "examples": ["0", "1"]},
    "path",
)
CONSISTENCY = (
    Parameter("old", "The number of events in the smaller log.", _COUNT, required=True),
    Parameter("size", "The number of events in the larger log. Default: all published events.", _COUNT),
)
_TILE = {200: Answer("The tile. It never changes.", {BYTES: {"type": "string", "contentMediaType": BYTES}})}
_PROBLEMS = (401, 403, 422, 503)
OPERATIONS = (
    Operation(
        "GET",
        "/log/checkpoint",
        "getCheckpoint",
        "log",
        "The newest signed checkpoint",
        checkpoint,
        {200: Answer("A signed note (C2SP tlog-checkpoint), with its cosignatures.", {TEXT: STRING})},
        problems=_PROBLEMS,
        scope="read",
    ),
    Operation(
        "GET",
        "/log/vkey",
        "getVerifierKey",
        "log",
        "The key that verifies the log's checkpoints",
        vkey,
        {200: Answer("A verifier key (C2SP signed-note).", {TEXT: STRING})},
        problems=(422,),
    ),
    Operation(
        "GET",
        "/log/tile/entries/{number:.+}",
        "getEntries",
        "log",
        "The log entries of a tile",
        tile,
        _TILE,
        (_NUMBER,),
        (401, 403, 404, 422, 503),
        description="256 entries, or the width of the tile, each after its length in two bytes (C2SP tlog-tiles).",
        scope="read",
    ),
    Operation(
        "GET",
        "/log/tile/{level}/{number:.+}",
        "getTile",
        "log",
        "The hashes of a tile of the Merkle tree",
        tile,
        _TILE,
        (_LEVEL, _NUMBER),
        (401, 403, 404, 422, 503),
        description="256 hashes of 32 bytes, or the width of the tile (C2SP tlog-tiles).",
        scope="read",
    ),
    Operation(
        "GET",
        "/log/consistency",
        "getConsistency",
        "log",
        "The proof that a smaller log is the beginning of a larger one",
        consistency,
        {
            200: Answer("A consistency proof (RFC 9162, section 2.1.4).", {JSON: ref("ConsistencyProof")}),
        },
        CONSISTENCY,
        _PROBLEMS,
        scope="read",
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the routes of this module."""
    add(app, OPERATIONS)
