"""What the data of events is made of: frozen records, evidence, and what any event may carry.

Shapes only. Flaws are raised so that a client learns where in its document they stand.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from domain.values import MAX_INTEGER, MAX_TEXT, Document, Pointer, Text

Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]


def flawed(at: str, detail: str) -> PydanticCustomError:
    """A flaw of a record that stands at a pointer within it."""
    return PydanticCustomError("record", "{detail}", {"at": at, "detail": detail})


def _record_in(annotation: object) -> type[Record] | None:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return annotation
    return next((found for part in get_args(annotation) if (found := _record_in(part)) is not None), None)


class Record(BaseModel):
    """A frozen JSON object without unknown members.

    `NULLABLE` names the fields that take null, `INNER` the records that fields hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    NULLABLE: ClassVar[frozenset[str]] = frozenset()
    INNER: ClassVar[dict[str, type[Record]]] = {}

    @classmethod
    def __pydantic_on_complete__(cls) -> None:
        cls.INNER = {
            field.alias or name: inner
            for name, field in cls.model_fields.items()
            if (inner := _record_in(field.annotation)) is not None
        }


class Evidence(Record):
    """A passage of a document, after the W3C Web Annotation text selectors; offsets in Unicode code points."""

    document: Document
    start: Count | None = None
    end: Count | None = None
    exact: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)] | None = None
    translation: Text | None = None
    supports: Annotated[tuple[Pointer, ...], Field(max_length=100)] | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _positioned(self) -> Evidence:
        if (self.start is None) != (self.end is None):
            raise flawed("", "start and end are given together")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise flawed("/end", "a passage starts before it ends")
        return self


Passages = Annotated[tuple[Evidence, ...], Field(max_length=1000)]


class Data(Record):
    """What every event's data may carry."""

    evidence: Passages | None = None
    note: Text | None = None
