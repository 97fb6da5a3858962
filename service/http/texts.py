"""Texts of documents, and the passages that cite them. The registry itself records that a text was stored or erased. A
text may be under copyright, so reading it always needs a key; erasing it needs the scope `admin`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from aiohttp import hdrs, web

from domain.errors import Contradiction
from domain.quotation import Status
from domain.values import SLUG
from projections.documents import DocumentText
from projections.engine.query_types import NotFound
from projections.reader import Reader
from service.app_keys import HEAD, LOGS, WRITER
from service.commands.decisions import Batch
from service.commands.document_texts import erasure_batch, storage_batch
from service.http.access import KEY
from service.http.answers import JSON, TEXT, json_answer, negotiate, now_of
from service.http.bodies import read_body, refuse_encoded
from service.http.fields import etag_matches, media_type
from service.http.lists import Listing, Source, about_columns, answer_list, list_answer
from service.http.memento import ACCEPT_DATETIME, HEADERS, time_headers
from service.http.operations import QUERY, STRING, Answer, Operation, Parameter, Values, add
from service.http.query_parameters import AS_OF, ON, PAGED
from service.limits import MOST_TEXT_BYTES
from service.problems import Kind, Problem
from service.question_times import read_times
from service.schemas.json_schema import ref
from service.schemas.views import page_of_citations, table_of
from service.views.readers import READERS

_SLUG = Parameter(
    "slug", "The document's place in its collection.", {"type": "string", "pattern": f"^{SLUG}$"}, "path", required=True
)
_VALIDATE = Parameter(
    "validate",
    "Run every check and answer as if recording, but record nothing.",
    {"type": "string", "enum": ["only"]},
)
_STATUS = Parameter(
    "status",
    "Only passages of this status: `verified` in the stored text, `failed` there, or `unverified` without one.",
    {"type": "string", "enum": list(Status)},
)
_TABLE = table_of("Citation")
_PASSAGES = (AS_OF, ON, _STATUS, *PAGED, ACCEPT_DATETIME)


async def put_text(request: web.Request) -> web.StreamResponse:
    """Store the text of a document. Return the receipt of the event that records it: the first one, if the text is
    stored already.
    """
    key = request[KEY]
    is_trial = _is_trial(request)
    subject = _subject(request)
    _refuse_absent(request, subject)
    refuse_encoded(request)
    if hdrs.CONTENT_TYPE in request.headers and media_type(request) != TEXT:
        raise Problem(Kind.UNSUPPORTED_TYPE, f"a document's text is put as {TEXT}", headers={hdrs.ACCEPT: TEXT})
    raw = await read_body(request, MOST_TEXT_BYTES)
    batch = await asyncio.to_thread(storage_batch, request.app[LOGS].here.origin(), subject, raw, key.name)
    return await _recorded(request, batch, is_trial=is_trial)


async def delete_text(request: web.Request) -> web.StreamResponse:
    """Erase the stored text of a document for good. Return the receipt of the event that records it."""
    key = request[KEY]
    is_trial = _is_trial(request)
    subject = _subject(request)
    head, readers = request.app[HEAD], request.app[READERS]

    def now() -> DocumentText | None:
        return readers.here(lambda reader: reader.document_text(subject, head.position))

    stored = now()
    while stored is not None:
        try:
            batch = erasure_batch(request.app[LOGS].here.origin(), subject, stored, key.name)
            return await _recorded(request, batch, is_trial=is_trial, status=200)
        except Contradiction:  # another request erased it first
            before, stored = stored, now()
            if stored == before:
                raise
    raise NotFound(f"no text of {subject} is stored")


async def get_text(request: web.Request) -> web.StreamResponse:
    """Return the text of a document as of a position, with the bytes that were stored."""
    negotiate(request, (TEXT,))
    values = request[QUERY]
    subject, now = _subject(request), now_of(request)

    def found(reader: Reader) -> tuple[str, bytes, dict[str, str]]:
        as_of = read_times(values, now, reader.position_at).as_of
        stored, text = reader.text(subject, as_of)
        return f'"{stored.sha256}"', text.encode(), time_headers(request, now, as_of, reader.recorded)

    etag, body, placed = await request.app[READERS].ask(found)
    headers = {hdrs.ETAG: etag, hdrs.CACHE_CONTROL: "private, no-cache", **placed}
    if etag_matches(request, etag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers={**headers, hdrs.CONTENT_TYPE: f"{TEXT}; charset=utf-8"})


async def list_passages(request: web.Request) -> web.StreamResponse:
    """Return the passages that cite a document, in the order of its text, each with its check and the fact that it
    supports.
    """
    subject = _subject(request)

    def source(values: Values) -> Source:
        status = values[_STATUS.name][0] if _STATUS.name in values else None
        return lambda reader, question, limit, after: reader.passages(
            subject, question, status=status, limit=limit, after=after
        )

    return await answer_list(request, Listing(_TABLE, source))


async def _recorded(request: web.Request, batch: Batch, *, is_trial: bool, status: int = 201) -> web.StreamResponse:
    """Record a batch of one event, or only check it. Return its receipt, with `status` if the event is new."""
    writer = request.app[WRITER]
    if is_trial:
        (receipt,) = await writer.check(lambda decisions: decisions.decide(batch), batch.size)
    else:
        (receipt,) = await writer.post(batch)
    headers = {} if is_trial and receipt.is_new else {"Location": f"/v1/events/{receipt.position}"}
    return json_answer(receipt.body, status=status if receipt.is_new else 200, headers=headers)


def _is_trial(request: web.Request) -> bool:
    """Return whether the request only checks (`validate=only`). Raise a 503 problem if nothing can be recorded."""
    if (refusal := request.app[WRITER].refusal) is not None:
        raise Problem(Kind.NOT_READY, refusal)
    if hdrs.IF_MATCH in request.headers or hdrs.IF_NONE_MATCH in request.headers:
        raise Problem(Kind.MALFORMED, "no conditions here: a document has only the text with its SHA-256")
    return "validate" in request[QUERY]


def _refuse_absent(request: web.Request, subject: str) -> None:
    """Raise NotFound or Gone if the subject does not exist."""
    position = request.app[HEAD].position
    request.app[READERS].here(lambda reader: reader.check_exists(subject, position))


def _subject(request: web.Request) -> str:
    return f"documents/{request.match_info['slug']}"


_PATH = f"/v1/documents/{{slug:{SLUG}}}"
_RECEIPT = ref("Receipt")
_CITATIONS = list_answer(ref("Citation"))
OPERATIONS = (
    Operation(
        "PUT",
        f"{_PATH}/text",
        "putDocumentText",
        "documents",
        "Store a document's text, to check quotations",
        put_text,
        {
            201: Answer("Stored, and recorded as `document.text-stored`.", {JSON: _RECEIPT}, ("Location",)),
            200: Answer("The same text is stored already: the first receipt.", {JSON: _RECEIPT}, ("Location",)),
        },
        (_SLUG, _VALIDATE),
        (400, 401, 403, 404, 408, 409, 410, 413, 415, 422, 503),
        {f"{TEXT}; charset=utf-8": {**STRING, "format": "binary"}},
        "The body is the text that citations count in, in UTF-8, at most 16 MiB and without U+0000. It is refused"
        " unless its SHA-256 is the one that the document was registered with. From then on a false quotation is"
        " refused.",
        "post",
    ),
    Operation(
        "DELETE",
        f"{_PATH}/text",
        "deleteDocumentText",
        "documents",
        "Erase a document's text for good",
        delete_text,
        {200: Answer("Erased, and recorded as `document.text-erased`.", {JSON: _RECEIPT}, ("Location",))},
        (_SLUG, _VALIDATE),
        (400, 401, 403, 404, 409, 422, 503),
        description="The answer comes when no file contains the text any longer. The text can be stored again.",
        scope="admin",
    ),
    Operation(
        "GET",
        f"{_PATH}/text",
        "getDocumentText",
        "documents",
        "A document's text",
        get_text,
        {200: Answer("The text; its `ETag` is its SHA-256.", {TEXT: STRING}, ("ETag", *HEADERS))},
        (_SLUG, AS_OF, ACCEPT_DATETIME),
        (400, 401, 403, 404, 406, 410, 422, 503),
        description="It always needs a key with scope `read`: a text may be under copyright.",
        scope="read",
        keyed=True,
    ),
    Operation(
        "GET",
        f"{_PATH}/passages",
        "listDocumentPassages",
        "documents",
        "The cited passages of a document, and their facts",
        list_passages,
        {200: replace(_CITATIONS, content={**_CITATIONS.content, JSON: page_of_citations()})},
        (_SLUG, *_PASSAGES),
        (400, 401, 403, 404, 406, 410, 422, 503),
        description=(
            "In the order of their starts, those without a place last; each with the event that it supports."
            f" {about_columns(_TABLE)}"
        ),
        scope="read",
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the routes of this module."""
    add(app, OPERATIONS)
