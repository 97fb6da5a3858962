"""Documents: the data of their events, and what each event does to a document."""

from __future__ import annotations

from domain.event_type import Aggregate, Creates, EventType
from domain.payload import Count, Data, Record
from domain.values import Edtf, Language, MediaType, Sha256, Text, Url


class Original(Record):
    sha256: Sha256
    media_type: MediaType


class DocumentRegistered(Data):
    title: Text
    sha256: Sha256
    publisher: Text | None = None
    language: Language | None = None
    published: Edtf | None = None
    url: Url | None = None
    original: Original | None = None


class OfText(Data):
    sha256: Sha256
    characters: Count


DOCUMENT = Aggregate(
    collection="documents",
    statuses=("registered",),
    name_field="title",
    events=(
        EventType(
            name="document.registered",
            data=DocumentRegistered,
            collection="documents",
            rank=1,
            creates=Creates.ONCE,
            status="registered",
            attributes=("title", "sha256", "publisher", "language", "published", "url", "original"),
        ),
        EventType(name="document.text-stored", data=OfText, collection="documents", rank=42, is_posted=False),
        EventType(name="document.text-erased", data=OfText, collection="documents", rank=43, is_posted=False),
    ),
)
