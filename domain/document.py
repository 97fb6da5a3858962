"""Documents: the data of their events, and what each event does to a document."""

from __future__ import annotations

from pydantic import Field, model_validator

from domain.event_type import Aggregate, Creates, EventType
from domain.payload import Count, Data, Record, flawed
from domain.values import Edtf, Language, MediaType, Sha256, Text, Url


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
        ),
        EventType(name="document.text-stored", data=OfText, collection="documents", rank=42, is_posted=False),
        EventType(name="document.text-erased", data=OfText, collection="documents", rank=43, is_posted=False),
    ),
)
