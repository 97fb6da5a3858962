"""Texts of documents on their way into the log and out of it: the rules for a body, and the events that the registry
records for it.

It stores nothing and never changes a byte, as the SHA-256 of a text identifies it.
"""

from __future__ import annotations

from hashlib import sha256
from uuid import uuid4

from domain.catalogue import CATALOGUE
from domain.cloudevent import PostedEvent, canonical, checked
from domain.errors import Flaw, Invalid
from projections.documents import DocumentText
from service.commands.cloudevents import Malformed
from service.commands.decisions import Batch


def storage_batch(origin: str, subject: str, raw: bytes, actor: str) -> Batch:
    """Return the batch that records and stores a document's text. Raise Malformed, Invalid."""
    text = _decoded(raw)
    posted = _posted(origin, "document.text-stored", subject, sha256(raw).hexdigest(), len(text))
    return Batch((posted,), actor, len(raw), text=text)


def erasure_batch(origin: str, subject: str, held: DocumentText, actor: str) -> Batch:
    """Return the batch that records and performs the erasure of a document's text; the actor must have the right."""
    posted = _posted(origin, "document.text-erased", subject, held.sha256, held.characters)
    return Batch((posted,), actor, len(posted.data), may_erase=True)


def _posted(origin: str, type_: str, subject: str, digest: str, characters: int) -> PostedEvent:
    """Return an event of the registry itself, named by its log and an id that no client can use."""
    data = {"characters": characters, "sha256": digest}
    model, flaws = checked(CATALOGUE[type_], data)
    assert model is not None, flaws
    return PostedEvent(str(uuid4()), origin, type_, subject, None, None, canonical(data), model)


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"the text is not in UTF-8: {error.reason} at byte {error.start}") from None
    flaw = "is empty" if not text else "holds U+0000" if "\x00" in text else None
    if flaw is not None:
        raise Invalid(f"the text {flaw}", [Flaw("", f"a text that {flaw} is not accepted")])
    return text
