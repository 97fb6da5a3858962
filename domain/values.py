"""The small values that facts are made of: slugs, references, texts for people, amounts, durations, digests.

Each is an annotated type that pydantic checks strictly; JSON goes in and the same JSON stays, nothing is converted.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from domain.times import parse_edtf

COLLECTIONS = ("parties", "agreements", "labs", "platforms", "documents")
SLUG = "[a-z0-9][a-z0-9-]{0,99}"
MAX_TEXT = 20_000
MAX_ITEMS = 10_000
MAX_INTEGER = 2**53 - 1

_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*|[xX](?:-[A-Za-z0-9]{1,8})+", re.ASCII)
_DURATION = r"^P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?$"
_POINTER = re.compile(r"(?:/(?:[^~/]|~0|~1)*)*")
_SUBJECT = re.compile(rf"(?:{'|'.join(COLLECTIONS)})/{SLUG}", re.ASCII)


def is_subject(text: str) -> bool:
    """Whether the text is `<collection>/<slug>`."""
    return _SUBJECT.fullmatch(text) is not None


def texts_of(text: str | dict[str, str] | None) -> list[str]:
    """Every wording of a text, in the order given."""
    if text is None:
        return []
    return [text] if isinstance(text, str) else list(text.values())


def is_language_tag(tag: object) -> bool:
    """Whether this is a well-formed BCP 47 language tag."""
    return isinstance(tag, str) and len(tag) <= 64 and _LANGUAGE_TAG.fullmatch(tag) is not None


def pointer_tokens(pointer: str) -> list[str]:
    """The unescaped reference tokens of an RFC 6901 pointer. Raises ValueError."""
    if not _POINTER.fullmatch(pointer):
        raise ValueError("not a JSON Pointer (RFC 6901)")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _error(detail: str) -> PydanticCustomError:
    return PydanticCustomError("value", detail.replace("{", "(").replace("}", ")"))


def _text(value: Any) -> str | dict[str, str]:
    if isinstance(value, str) and 0 < len(value) <= MAX_TEXT and not value.isspace():  # nearly all are
        return value
    if isinstance(value, str):
        wordings = {"": value}
    elif isinstance(value, dict) and value:
        wordings = value
        for tag in value:
            if not is_language_tag(tag):
                raise _error(f"{tag!r} is not a BCP 47 language tag")
    else:
        raise _error("a text is a string or a map from language tags to strings")
    for wording in wordings.values():
        if not isinstance(wording, str) or not wording.strip():  # type: ignore[redundant-expr]  # JSON knows no types
            raise _error("a text is not empty")
        if len(wording) > MAX_TEXT:
            raise _error(f"a text has at most {MAX_TEXT} characters")
    return value  # type: ignore[no-any-return]  # checked above


def _edtf(value: Any) -> str:
    if not isinstance(value, str):
        raise _error("an EDTF date is a string")
    try:
        parse_edtf(value)
    except ValueError as error:
        raise _error(f"not a date: {error}") from None
    return value


def _pointer(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1000 or not _POINTER.fullmatch(value):
        raise _error("not a JSON Pointer (RFC 6901)")
    return value


def _json(value: Any) -> Any:
    pending = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if depth > 16:
            raise _error("nested more than 16 deep")
        match item:
            case None | bool() | str():
                pass
            case int():
                if abs(item) > MAX_INTEGER:
                    raise _error(f"numbers are integers within plus or minus {MAX_INTEGER}")
            case float():
                raise _error("numbers are integers; write amounts as decimal strings")
            case list():
                pending += [(part, depth + 1) for part in item]
            case dict():
                for key, part in item.items():
                    if not isinstance(key, str) or not key.isascii():
                        raise _error("keys are ASCII")
                    pending.append((part, depth + 1))
            case _:
                raise _error("not a JSON value")
    return value


Text = Annotated[
    str | dict[str, str],
    PlainValidator(_text),
    WithJsonSchema(
        {
            "title": "Text",
            "description": "A string, or a map from BCP 47 language tags to strings.",
            "oneOf": [
                {"type": "string", "minLength": 1, "maxLength": MAX_TEXT},
                {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string", "minLength": 1}},
            ],
        }
    ),
]
Edtf = Annotated[
    str,
    PlainValidator(_edtf),
    WithJsonSchema({"type": "string", "title": "EDTF date", "examples": ["2024-01-21", "2024-01", "XXXX-08-18"]}),
]
Pointer = Annotated[str, PlainValidator(_pointer), WithJsonSchema({"type": "string", "title": "JSON Pointer"})]
Json = Annotated[Any, PlainValidator(_json), WithJsonSchema({"title": "Any JSON value without fractional numbers"})]

Slug = Annotated[str, StringConstraints(pattern=f"^{SLUG}$")]
Subject = Annotated[str, StringConstraints(pattern=f"^({'|'.join(COLLECTIONS)})/{SLUG}$")]
Party = Annotated[str, StringConstraints(pattern=f"^parties/{SLUG}$")]
Agreement = Annotated[str, StringConstraints(pattern=f"^agreements/{SLUG}$")]
Document = Annotated[str, StringConstraints(pattern=f"^documents/{SLUG}$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Scheme = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Jurisdiction = Annotated[str, StringConstraints(pattern="^[A-Z]{2,4}(-[A-Z0-9]{1,3})?$")]
Language = Annotated[str, StringConstraints(pattern=f"^({_LANGUAGE_TAG.pattern.replace('?:', '')})$", max_length=64)]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Decimal = Annotated[str, StringConstraints(pattern=r"^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,18})?$")]
Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
Duration = Annotated[str, StringConstraints(pattern=_DURATION.replace("(?=.)", ""), max_length=100, min_length=3)]
Url = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$", max_length=2000)]
MediaType = Annotated[str, StringConstraints(pattern=r"^[\w!#$&^.+-]+/[\w!#$&^.+-]+(;.*)?$", max_length=200)]
