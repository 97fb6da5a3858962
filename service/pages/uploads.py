"""Uploading a document's text: a file is turned into text, the text is shown, and only then stored or registered.

An uploaded text waits in memory, for the key that sent it alone. Nothing is recorded before a further form is sent.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from time import monotonic
from typing import Any

import orjson
from aiohttp import hdrs, web

from domain.errors import Refused
from domain.values import SLUG
from projections.citations import PART_CHARACTERS, part_of
from projections.engine.query_types import TimeSlice
from projections.reader import Reader
from service.app_keys import LOGS, WRITER
from service.commands.document_texts import storage_batch
from service.extraction_jobs import EXTRACTIONS, TooManyExtractions
from service.http.access import KEY
from service.http.overload import rejection
from service.pages.addresses import Address, whole_number
from service.pages.form_bodies import read_file_form, read_form
from service.pages.site import Context, Visit, page, problem_page
from service.problems import Kind, Problem, problem_of
from service.text_extraction import MOST_PAGES, PLAIN, Extracted, NoText

MOST_FILE_BYTES = 32 * 2**20
MOST_WAITING_BYTES = 64 * 2**20
"""Most bytes of all texts that wait; beyond that the oldest are dropped."""
WAITING_SECONDS = 3600.0
_MOST_FORM_BYTES = 4_096
_DOCUMENT = re.compile(f"documents/{SLUG}", re.ASCII)
_HTML_TYPES = ("text/html", "application/xhtml+xml")
_STATUSES = {"too-large": 413, "gone": 404, "busy": 503}


@dataclass(frozen=True, slots=True)
class Upload:
    """A text that waits, in UTF-8, with its SHA-256; the name of the key that sent it; and the file that it is from.

    `original`: the SHA-256 and the media type of that file; None where the text is the file itself.
    """

    actor: str
    text: bytes
    sha256: str
    original: dict[str, str] | None
    pages: int
    pages_without_text: int
    until: float

    @property
    def registered(self) -> dict[str, Any]:
        """The fields of a registered document that name this text and its file."""
        return {"sha256": self.sha256} | ({} if self.original is None else {"original": self.original})


class Uploads:
    """The texts that wait, each under a token that cannot be guessed. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Upload] = OrderedDict()
        self._bytes = 0

    def add(self, upload: Upload) -> str:
        """Let a text wait; return its token."""
        token = token_urlsafe(16)
        self._waiting[token] = upload
        self._bytes += len(upload.text)
        for oldest, waiting in list(self._waiting.items()):
            if self._bytes <= MOST_WAITING_BYTES and waiting.until >= monotonic():
                break
            del self._waiting[oldest]
            self._bytes -= len(waiting.text)
        return token

    def find(self, token: str, actor: str) -> Upload | None:
        """Return the text under a token; None if it waits no longer, or another key sent it."""
        found = self._waiting.get(token)
        return found if found is not None and found.actor == actor and found.until >= monotonic() else None


UPLOADS: web.AppKey[Uploads] = web.AppKey("uploads", Uploads)


async def ask(request: web.Request) -> web.StreamResponse:
    """Return the page that asks for a file."""
    return await _ask(request, request.query.get("document", ""))


async def receive(request: web.Request) -> web.StreamResponse:
    """Turn a file into text, and go to the page that shows it; where that fails, return the form with the reason."""
    document = ""
    try:
        fields, file = await read_file_form(request, MOST_FILE_BYTES + _MOST_FORM_BYTES)
        document = fields.get("document", "")
        if file is None:
            return await _ask(request, document, "no-file")
        found = await request.app[EXTRACTIONS].extract(file.content, is_html=file.media_type in _HTML_TYPES)
        upload = await asyncio.to_thread(_upload, request[KEY].name, file.content, found)
    except Problem as problem:
        if problem.kind is not Kind.TOO_LARGE:
            raise
        return await _ask(request, document, "too-large")
    except NoText as refused:
        return await _ask(request, document, refused.flaw)
    except TooManyExtractions:
        return await _ask(request, document, "busy")
    return _see(request, f"/upload/{request.app[UPLOADS].add(upload)}", document)


async def show(request: web.Request) -> web.StreamResponse:
    """Return the page that shows an uploaded text, and what can be done with it."""
    token, document = request.match_info["token"], request.query.get("document", "")
    upload = request.app[UPLOADS].find(token, request[KEY].name)
    if upload is None:
        return await _ask(request, document, "gone")

    def find(reader: Reader, visit: Visit) -> Context:
        part = part_of(upload.text.decode(), whole_number(request.query.get("start"), 0))
        context = {
            "times": None,
            "part": part,
            "previous_start": max(0, part.start - PART_CHARACTERS),
            "upload": upload,
            "document": None,
            "register": visit.address.to("/record/document.registered", upload=token, **_fields(upload.registered)),
        }
        if _DOCUMENT.fullmatch(document):
            context |= _about(reader, visit, document, upload, token)
        return context

    return await page(request, "upload_preview.html", find)


async def store(request: web.Request) -> web.StreamResponse:
    """Store an uploaded text as that of a document, and go to its page."""
    if (no_room := await rejection(request)) is not None:
        return no_room
    form = await read_form(request, _MOST_FORM_BYTES)
    document = form.get("document", "")
    upload = request.app[UPLOADS].find(request.match_info["token"], request[KEY].name)
    if upload is None:
        return await _ask(request, document, "gone")
    if not _DOCUMENT.fullmatch(document):
        return problem_page(request, Problem(Kind.MALFORMED, "the form names no document"))
    try:
        await _store(request, document, upload)
    except Refused as refused:
        return problem_page(request, problem_of(refused))
    return _see(request, f"/{document}")


async def store_recorded(request: web.Request, document: str, token: str) -> web.StreamResponse:
    """Store an uploaded text whose document was just recorded, and go to its page, or to the page that says why not."""
    upload = request.app[UPLOADS].find(token, request[KEY].name)
    if upload is None or not _DOCUMENT.fullmatch(document):
        return _see(request, f"/upload/{token}", document)
    try:
        await _store(request, document, upload)
    except Refused:
        return _see(request, f"/upload/{token}", document)
    return _see(request, f"/{document}")


async def _store(request: web.Request, document: str, upload: Upload) -> None:
    origin = request.app[LOGS].here.origin()
    batch = await asyncio.to_thread(storage_batch, origin, document, upload.text, request[KEY].name)
    await request.app[WRITER].post(batch)


async def _ask(request: web.Request, document: str, flaw: str | None = None) -> web.StreamResponse:
    def find(reader: Reader, visit: Visit) -> Context:
        named = reader.named([document], visit.now_question)[0] if _DOCUMENT.fullmatch(document) else None
        context = {"times": None, "document": named, "flaw": flaw, "most_pages": MOST_PAGES}
        return {**context, "most_bytes": MOST_FILE_BYTES}

    return await page(request, "upload.html", find, status=200 if flaw is None else _STATUSES.get(flaw, 422))


def _upload(actor: str, content: bytes, found: Extracted) -> Upload:
    text = found.text.encode()
    original = {"sha256": sha256(content).hexdigest(), "media_type": found.media_type}
    return Upload(
        actor,
        text,
        sha256(text).hexdigest(),
        None if found.media_type == PLAIN else original,
        found.pages,
        found.pages_without_text,
        monotonic() + WAITING_SECONDS,
    )


def _about(reader: Reader, visit: Visit, document: str, upload: Upload, token: str) -> Context:
    """Return what the page says of the document that the text is for.

    `situation`: `ready`, or why the text cannot be stored: `stored`, `other-stored`, `unnamed` (no SHA-256 is
    registered) or `differs` (another one is).
    """
    state = reader.state(document, visit.now_question).body
    stored = reader.document_text(document, visit.head)
    registered = state.get("sha256")
    if stored is not None:
        situation = "stored" if stored.sha256 == upload.sha256 else "other-stored"
    elif registered is None:
        situation = "unnamed"
    else:
        situation = "ready" if registered == upload.sha256 else "differs"
    filters = {"subject": [document], "type": ["document.registered"]}
    facts = reader.page("timeline", TimeSlice(visit.head, None), filters, sort=None, limit=1, after=None).items
    correction = {
        "data.data_patch": orjson.dumps(upload.registered).decode(),
        "data.reason": str(visit.wording.text("The text of the document was uploaded.")),
        "upload": token,
    }
    return {
        "document": {"subject": document, "name": state["title"]},
        "situation": situation,
        "registered": registered,
        "correct": visit.address.to("/record/event.corrected", event=facts[0]["position"], **correction)
        if facts
        else None,
    }


def _fields(data: dict[str, Any], at: str = "data") -> dict[str, str]:
    """Return data as the parameters that fill in its form."""
    found: dict[str, str] = {}
    for name, value in data.items():
        found |= _fields(value, f"{at}.{name}") if isinstance(value, dict) else {f"{at}.{name}": value}
    return found


def _see(request: web.Request, path: str, document: str | None = None) -> web.Response:
    """Return the way to a page, in the language of this one."""
    address = Address(request.path, tuple(request.query.items()))
    return web.Response(status=303, headers={hdrs.LOCATION: address.to(path, document=document or None)})
