"""Claims of other sources: the places in an event to which a claim may point, and their possible values.

The declared types of the data decide, never the shape of a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import orjson
from pydantic import TypeAdapter, ValidationError

from domain.payload import Record, names_subjects, nulls_in, record_in, references_in
from domain.values import POSTED, Text, Wording, is_language_tag

_INDEX = re.compile("0|[1-9][0-9]{0,8}")
_adapters: dict[tuple[type[Record], tuple[str, ...]], TypeAdapter[Any]] = {}
"""By record and by the fields that lead to a place; there are no more than declared fields."""


class Place(NamedTuple):
    """A place in the data of an event: its declared type, and whether it may stay empty."""

    shape: type[Record]
    path: tuple[str, ...]
    annotation: Any
    may_be_absent: bool

    def flaw_of(self, value: object) -> str | None:
        """Return why a place cannot have a JSON value; None if it can. Null claims that the place is empty."""
        if value is None:
            return None if self.may_be_absent else "null is not possible there"
        adapter = _adapters.get((self.shape, self.path))
        if adapter is None:
            adapter = _adapters[self.shape, self.path] = TypeAdapter(self.annotation)
        try:
            adapter.validate_json(orjson.dumps(value), strict=True, context=POSTED)
        except ValidationError as error:
            return f"is not possible there: {error.errors(include_url=False, include_input=False)[0]['msg']}"
        inner = record_in(self.annotation)
        if inner is not None and any(nulls_in(inner, each) for each in _each(value)):
            return "is not possible there: null is not allowed in it"
        return None

    def references_in(self, value: object) -> Iterator[str]:
        """Yield the subjects that a value for this place names."""
        inner = record_in(self.annotation)
        for each in _each(value):
            if isinstance(each, str) and names_subjects(self.annotation):
                yield each
            elif inner is not None and isinstance(each, Mapping):
                yield from (subject for _, subject in references_in(inner, each))


def place_in(shape: type[Record], data: Mapping[str, Any], tokens: Sequence[str]) -> Place | None:
    """Return the place that a pointer's tokens lead to; None if the declared types have no such place.

    All but the last token lead through values of the data.
    """
    annotation: Any = shape
    value: Any = data
    may_be_absent, path = False, list[str]()
    for token in tokens:
        declared = _declared(annotation)
        if isinstance(declared, type) and issubclass(declared, Record) and isinstance(value, Mapping):
            field = declared.field(token)
            if field is None:
                return None
            annotation = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            may_be_absent = token in declared.NULLABLE or not field.is_required()
            value = value.get(token)
            path.append(token)
        elif get_origin(declared) is tuple and isinstance(value, list):
            if not _is_index(token, len(value)):
                return None
            annotation, may_be_absent, value = get_args(declared)[0], False, value[int(token)]
            path.append("*")
        elif declared == Text and isinstance(value, Mapping) and is_language_tag(token):
            others = [tag for tag in value if tag.lower() != token.lower()]
            annotation, may_be_absent, value = Wording, bool(others), None
            path.append("*")
        else:
            return None
    return Place(shape, tuple(path), annotation, may_be_absent)


def _declared(annotation: Any) -> Any:
    """Return the declared type without null and bounds: a record, a tuple, `Text`, or a type without places."""
    while annotation != Text:
        arguments = get_args(annotation)
        if get_origin(annotation) is Annotated:
            annotation = arguments[0]
        elif NoneType in arguments and len(arguments) == 2:
            annotation = next(each for each in arguments if each is not NoneType)
        else:
            break
    return annotation


def _is_index(token: str, length: int) -> bool:
    """Return whether a token of a pointer names an element of an array (RFC 6901, 4)."""
    return _INDEX.fullmatch(token) is not None and int(token) < length


def _each(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else (value,)
