"""The parts of event data: frozen records, evidence, and the fields that any event may have.

Shapes only. Flaws carry pointers into the posted document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from domain.values import (
    MAX_INTEGER,
    MAX_ITEMS,
    MAX_TEXT,
    REFERENCE,
    Document,
    Language,
    Party,
    Platform,
    Pointer,
    Text,
    pointer,
)

Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Position = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
Terms = Annotated[tuple[Text, ...], Field(max_length=1000)]
Texts = Annotated[tuple[Text, ...], Field(max_length=1000)]
Languages = Annotated[tuple[Language, ...], Field(max_length=1000)]
Parties = Annotated[tuple[Party, ...], Field(max_length=MAX_ITEMS)]
Platforms = Annotated[tuple[Platform, ...], Field(max_length=MAX_ITEMS)]


def flawed(at: str, detail: str) -> PydanticCustomError:
    """Return the error of a record with a flaw at a pointer within it."""
    return PydanticCustomError("record", "{detail}", {"at": at, "detail": detail})


def record_in(annotation: object) -> type[Record] | None:
    """Return the record type of an annotation, or of the lists that it allows."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return annotation
    return next((found for part in get_args(annotation) if (found := record_in(part)) is not None), None)


def names_subjects(annotation: object) -> bool:
    """Return whether values of an annotation are references or lists of them, not counting those inside records."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return False
    if REFERENCE in getattr(annotation, "__metadata__", ()):
        return True
    return any(map(names_subjects, get_args(annotation)))


class Record(BaseModel):
    """A frozen JSON object without unknown members.

    `NULLABLE` names the fields that may be null, `INNER` the records inside fields, `REFERENCES` the fields with
    references to subjects or lists of them, all by their names in JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    NULLABLE: ClassVar[frozenset[str]] = frozenset()
    INNER: ClassVar[dict[str, type[Record]]] = {}
    REFERENCES: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def field(cls, name: str) -> FieldInfo | None:
        """Return the field with a name in JSON."""
        found = cls.model_fields.get(name)
        if found is not None and found.alias in (None, name):
            return found
        return next((field for field in cls.model_fields.values() if field.alias == name), None)

    @classmethod
    def __pydantic_on_complete__(cls) -> None:
        cls.INNER = {
            field.alias or name: inner
            for name, field in cls.model_fields.items()
            if (inner := record_in(field.annotation)) is not None
        }
        cls.REFERENCES = frozenset(
            field.alias or name
            for name, field in cls.model_fields.items()
            if REFERENCE in field.metadata or names_subjects(field.annotation)
        )


class Evidence(Record):
    """A passage of a document, after the W3C Web Annotation text selectors; offsets in Unicode code points."""

    document: Document = Field(description="The document.")
    start: Count | None = Field(None, description="The code point at which it starts, from 0 on.")
    end: Count | None = Field(None, description="The code point before which it ends.")
    exact: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)] | None = Field(None, description="Its words.")
    translation: Text | None = Field(None, description="A translation of its words.")
    supports: Annotated[tuple[Pointer, ...], Field(max_length=100)] | None = Field(
        None, description="The parts of the event that it supports; absent: all of it."
    )
    note: Text | None = Field(None, description="A note on the passage.")

    @model_validator(mode="after")
    def _positioned(self) -> Evidence:
        if (self.start is None) != (self.end is None):
            raise flawed("", "start and end are given together")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise flawed("/end", "a passage starts before it ends")
        return self


Passages = Annotated[tuple[Evidence, ...], Field(max_length=1000)]


class Data(Record):
    """The data of an event: the fields that every type may have."""

    evidence: Passages | None = Field(None, description="The passages of documents that support it.")
    note: Text | None = Field(None, description="A note on the event.")


def nulls_in(shape: type[Record], value: object, at: str = "") -> list[str]:
    """Return the places of nulls in fields that may not be null."""
    found: list[str] = []
    if not isinstance(value, Mapping):
        return found
    for name, field in value.items():
        if field is None:
            if name not in shape.NULLABLE:
                found.append(at + pointer(name))
        elif isinstance(field, list) and (inner := shape.INNER.get(name)):
            for index, part in enumerate(field):
                found += nulls_in(inner, part, at + pointer(name, index))
        elif isinstance(field, Mapping) and (inner := shape.INNER.get(name)):
            found += nulls_in(inner, field, at + pointer(name))
    return found


def references_in(
    shape: type[Record], value: Mapping[str, Any], at: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every reference in a record as JSON, by the declared types of its fields, with its path.

    Values of another type under the name of a record or reference are skipped.
    """
    for name, part in value.items():
        parts = [((*at, name, index), each) for index, each in enumerate(part)] if isinstance(part, list) else []
        for path, each in parts or [((*at, name), part)]:
            if name in shape.REFERENCES and isinstance(each, str):
                yield path, each
            elif isinstance(each, Mapping) and (inner := shape.INNER.get(name)) is not None:
                yield from references_in(inner, each, path)


def subjects_in(record: Record) -> set[str]:
    """Return every subject that a record names, without those in its evidence."""
    named: set[str] = set()
    references, inner = _attributes(type(record))
    for name in references:
        value = getattr(record, name)
        if isinstance(value, str):
            named.add(value)
        elif value is not None:
            named.update(value)
    for name in inner:
        value = getattr(record, name)
        for part in (value,) if isinstance(value, Record) else value or ():
            named |= subjects_in(part)
    return named


@cache
def _attributes(shape: type[Record]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the attributes of a record with references, and those with records that have references."""
    references, inner = [], []
    for name, field in shape.model_fields.items():
        if (field.alias or name) in shape.REFERENCES:
            references.append(name)
        elif name != "evidence" and (within := shape.INNER.get(field.alias or name)) and any(_attributes(within)):
            inner.append(name)
    return tuple(references), tuple(inner)
