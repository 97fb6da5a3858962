"""Documents: the data of their events, what each event does to a document, and what contradicts a document: a text that
is not the registered one, a false quotation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from domain.errors import Contradiction, Flaw, Invalid
from domain.event_type import Aggregate, Creates, EventType, Example
from domain.payload import Count, Data, Record, flawed
from domain.quotation import flaw_of
from domain.values import Edtf, Language, MediaType, Sha256, Text, Url

if TYPE_CHECKING:  # the catalogue, on which these depend, is built from this module
    from domain.corrections import Event
    from domain.history import History

_CHARACTERS = 4096
"""Characters of a text that are searched in one step of `History.check_time`."""


class Original(Record):
    """The file from which the text of a document was taken."""

    sha256: Sha256 = Field(description="The SHA-256 of the file.")
    media_type: MediaType = Field(description="The media type of the file.")


class DocumentRegistered(Data):
    """A document is put on record, so that passages of it can be cited. It needs `sha256`, `url` or `citation`."""

    title: Text = Field(description="The title of the document.")
    sha256: Sha256 | None = Field(
        None,
        description="The SHA-256 of the text that citations count in, as UTF-8; without it passages stay `unverified`.",
    )
    citation: Text | None = Field(None, description="How the document is cited, for one that is not on the web.")
    publisher: Text | None = Field(None, description="Who published it.")
    language: Language | None = Field(None, description="The language of its text (BCP 47).")
    published: Edtf | None = Field(None, description="When it was published.")
    url: Url | None = Field(None, description="Where it is found.")
    original: Original | None = Field(None, description="The file from which the text was taken.")

    @model_validator(mode="after")
    def _identified(self) -> DocumentRegistered:
        if self.sha256 is None and self.url is None and self.citation is None:
            raise flawed("/sha256", "a document has a sha256, a url or a citation")
        return self


class OfText(Data):
    """The text of a document is stored or erased by the registry itself."""

    sha256: Sha256 = Field(description="The SHA-256 of the text, as UTF-8.")
    characters: Count = Field(description="The length of the text in Unicode code points.")


DOCUMENT = Aggregate(
    collection="documents",
    description="A document that passages are cited from.",
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
            attributes=("title", "sha256", "citation", "publisher", "language", "published", "url", "original"),
            example=Example(
                "documents/harbour-notice",
                {
                    "title": "Notice of the Harbour Treaty",
                    "url": "https://example.org/notice",
                    "published": "2020-03-02",
                },
            ),
        ),
        EventType(
            name="document.text-stored",
            data=OfText,
            collection="documents",
            rank=42,
            about="The registry stores the text of a document.",
            is_posted=False,
        ),
        EventType(
            name="document.text-erased",
            data=OfText,
            collection="documents",
            rank=43,
            about="The registry erases the text of a document for good.",
            is_posted=False,
        ),
    ),
)


def registered_sha256(history: History, document: str) -> str | None:
    """Return the registered SHA-256 of a document's text; None if it was retracted or erased."""
    for fact in history.facts(document, ("document.registered",), limit=1):
        assert isinstance(fact.data, DocumentRegistered)
        return fact.data.sha256
    return None


def check_text(history: History, event: Event, data: OfText) -> None:
    """Raise Invalid if a text to be stored is not the registered one, Contradiction if another is stored already, or if
    a text to be erased is not stored.
    """
    document, stored = event.subject, history.stored_text(event.subject)
    if event.type == "document.text-erased":
        if stored is None:
            raise Contradiction(f"no text of {document} is stored")
        if (stored.sha256, stored.characters) != (data.sha256, data.characters):
            raise Contradiction(
                f"the stored text of {document} has another SHA-256 or length", positions=[stored.position]
            )
        return
    registered = registered_sha256(history, document)
    if data.sha256 != registered:
        detail = f"the SHA-256 of this text is {data.sha256}; registered of {document} is {registered or 'none'}"
        raise Invalid(detail, [Flaw("", detail)])
    if stored is not None:
        detail = f"a text of {document} with the SHA-256 {stored.sha256} is stored already; delete it first"
        raise Contradiction(detail, positions=[stored.position])


def false_quotations(history: History, data: Mapping[str, Any], at: str) -> Iterator[Flaw]:
    """Yield the passages in the evidence of data, at a pointer, that are not in the stored text of their document.

    A text that is not the registered one is not compared.
    """
    for index, passage in enumerate(data.get("evidence", ())):
        document = passage["document"]
        stored = history.stored_text(document)
        if stored is None or stored.sha256 != registered_sha256(history, document):
            continue
        history.check_time(stored.characters // _CHARACTERS)
        if (flaw := flaw_of(passage, history.text(document))) is not None:
            yield Flaw(f"{at}/evidence/{index}{flaw.pointer}", flaw.detail)
