"""The small values of facts: slugs, references, texts for people, amounts, durations, digests.

Each is an annotated type that pydantic checks strictly; the JSON stays as it is, nothing is converted. Some checks are
newer than some logs. They run only if the validation context is `POSTED`, so that older events stay readable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    Field,
    GetCoreSchemaHandler,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from domain.edtf import parse_edtf

COLLECTIONS = ("parties", "agreements", "labs", "platforms", "documents")
SLUG = "[a-z0-9][a-z0-9-]{0,99}"
MAX_TEXT = 20_000
MAX_LONG_TEXT = 100_000
MAX_ITEMS = 10_000
MAX_INTEGER = 2**53 - 1

_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*|[xX](?:-[A-Za-z0-9]{1,8})+", re.ASCII)
POSTED = {"is_posted": True}
"""The validation context of data that a client posts now."""

_DURATION = "P(?=.)([0-9]+Y)?([0-9]+M)?([0-9]+W)?([0-9]+D)?(T(?=.)([0-9]+H)?([0-9]+M)?([0-9]+S)?)?"
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(f"{chr(at)}{chr(at + 1)}" for at in range(0xFFFE, 0x110000, 0x10000))
_PRINTABLE = f"[^\x00-\x1f\x7f-\x9f{_NONCHARACTERS}]*"
"""Neither control characters nor noncharacters, as in CloudEvents (1.0.2, 3.1, String)."""
_PRINTABLE_FORM = re.compile(_PRINTABLE)
_MEDIA_TYPE = "[A-Za-z0-9_!#$&^.+-]+/[A-Za-z0-9_!#$&^.+-]+(;.*)?"
_POINTER = re.compile(r"(?:/(?:[^~/]|~0|~1)*)*")
_SUBJECT = re.compile(rf"(?:{'|'.join(COLLECTIONS)})/{SLUG}", re.ASCII)


def is_subject(text: str) -> bool:
    """Return whether the text is `<collection>/<slug>`."""
    return _SUBJECT.fullmatch(text) is not None


def is_printable(text: str) -> bool:
    """Return whether the text has neither control characters nor noncharacters."""
    return _PRINTABLE_FORM.fullmatch(text) is not None


def texts_of(text: str | dict[str, str] | None) -> list[str]:
    """Return every language version of a text, in the given order."""
    if text is None:
        return []
    return [text] if isinstance(text, str) else list(text.values())


def text_key(text: str | Mapping[str, str]) -> object:
    """Return a key that equal texts share: the case of a language tag makes no difference (BCP 47, 2.1.1)."""
    return text if isinstance(text, str) else frozenset((tag.lower(), wording) for tag, wording in text.items())


def is_language_tag(tag: object) -> bool:
    """Return whether this is a well-formed BCP 47 language tag."""
    return isinstance(tag, str) and len(tag) <= 64 and _LANGUAGE_TAG.fullmatch(tag) is not None


def pointer(*tokens: str | int) -> str:
    """Return the RFC 6901 pointer of these tokens."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)


def pointer_tokens(pointer: str) -> list[str]:
    """Return the unescaped reference tokens of an RFC 6901 pointer. Raise ValueError."""
    if not _POINTER.fullmatch(pointer):
        raise ValueError("not a JSON Pointer (RFC 6901)")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _error(detail: str) -> PydanticCustomError:
    return PydanticCustomError("value", detail.replace("{", "(").replace("}", ")"))


def _text(value: Any, info: ValidationInfo) -> str | dict[str, str]:
    return _checked_text(value, info, MAX_TEXT)


def _long_text(value: Any, info: ValidationInfo) -> str | dict[str, str]:
    return _checked_text(value, info, MAX_LONG_TEXT)


def _checked_text(value: Any, info: ValidationInfo, most: int) -> str | dict[str, str]:
    """Return a text with at most so many characters in each language."""
    if isinstance(value, str) and 0 < len(value) <= most and not value.isspace():  # nearly all are
        return value
    if isinstance(value, str):
        wordings = {"": value}
    elif isinstance(value, dict) and value:
        wordings = value
        for tag in value:
            if not is_language_tag(tag):
                raise _error(f"{tag!r} is not a BCP 47 language tag")
        if info.context is POSTED and len({tag.lower() for tag in value}) < len(value):
            raise _error("a text has one wording for each language; the case of a tag does not matter")
    else:
        raise _error("a text is a string or a map from language tags to strings")
    for wording in wordings.values():
        _wording(wording, most)
    return value  # type: ignore[no-any-return]  # checked above


def _wording(value: Any, most: int) -> str:
    if not isinstance(value, str):
        raise _error("a text in one language is a string")
    if not value.strip():
        raise _error("a text is not empty")
    if len(value) > most:
        raise _error(f"a text has at most {most} characters")
    return value


def _edtf(value: Any) -> str:
    if not isinstance(value, str):
        raise _error("an EDTF date is a string")
    try:
        parse_edtf(value)
    except ValueError as error:
        raise _error(f"not a date: {error}") from None
    return value


def _posted_as(pattern: str, detail: str) -> AfterValidator:
    """Return a check that only posted values must pass, because older logs may contain other forms."""
    form = re.compile(pattern)

    def check(value: str, info: ValidationInfo) -> str:
        if info.context is POSTED and not form.fullmatch(value):
            raise _error(detail)
        return value

    return AfterValidator(check)


def _percent(value: str) -> str:
    if value.startswith("100.") and value.strip("0.") != "1":
        raise _error("a share is at most 100 per cent")
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


def _text_schema(most: int) -> WithJsonSchema:
    wording = {"type": "string", "minLength": 1, "maxLength": most}
    return WithJsonSchema(
        {
            "description": "A string, or a map from BCP 47 language tags to strings.",
            "oneOf": [wording, {"type": "object", "minProperties": 1, "additionalProperties": wording}],
        }
    )


Text = Annotated[str | dict[str, str], PlainValidator(_text), _text_schema(MAX_TEXT)]
LongText = Annotated[str | dict[str, str], PlainValidator(_long_text), _text_schema(MAX_LONG_TEXT)]
"""A text that is longer than others, such as that of a declaration."""
Wording = Annotated[str, AfterValidator(partial(_wording, most=MAX_TEXT))]
"""A text in one language."""
Edtf = Annotated[
    str,
    PlainValidator(_edtf),
    WithJsonSchema(
        {
            "type": "string",
            "description": "A date as far as it is known (EDTF, ISO 8601-2).",
            "examples": ["2024-01-21", "2024-01", "XXXX-08-18"],
        }
    ),
]
Pointer = Annotated[
    str,
    PlainValidator(_pointer),
    WithJsonSchema({"type": "string", "format": "json-pointer", "description": "A JSON Pointer (RFC 6901)."}),
]
Json = Annotated[Any, PlainValidator(_json), WithJsonSchema({"description": "JSON without fractional numbers."})]

Instant = Annotated[
    str,
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T09:30:00.123456Z"]}),
]
"""When an event was recorded, in UTC, as RFC 3339."""

Address = Annotated[str, WithJsonSchema({"type": "string", "format": "uri-reference"})]
"""An address within the registry."""

REFERENCE: Final = object()
"""Marks the annotated types whose values name another subject."""

Slug = Annotated[str, StringConstraints(pattern=f"^{SLUG}$")]
Subject = Annotated[str, StringConstraints(pattern=f"^({'|'.join(COLLECTIONS)})/{SLUG}$"), REFERENCE]
Party = Annotated[str, StringConstraints(pattern=f"^parties/{SLUG}$"), REFERENCE]
Agreement = Annotated[str, StringConstraints(pattern=f"^agreements/{SLUG}$"), REFERENCE]
Platform = Annotated[str, StringConstraints(pattern=f"^platforms/{SLUG}$"), REFERENCE]
Document = Annotated[str, StringConstraints(pattern=f"^documents/{SLUG}$"), REFERENCE]
Label = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1000),
    _posted_as(_PRINTABLE, "holds no control characters and no noncharacters"),
]
Scheme = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Jurisdiction = Annotated[str, StringConstraints(pattern="^[A-Z]{2,4}(-[A-Z0-9]{1,3})?$")]
Language = Annotated[str, StringConstraints(pattern=f"^({_LANGUAGE_TAG.pattern.replace('?:', '')})$", max_length=64)]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Decimal = Annotated[str, StringConstraints(pattern=r"^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,18})?$")]
Percent = Annotated[
    str,
    StringConstraints(pattern=r"^(0|[1-9][0-9]?|100)(\.[0-9]{1,18})?$"),
    AfterValidator(_percent),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(100(\.0{1,18})?|(0|[1-9][0-9]?)(\.[0-9]{1,18})?)$",
            "examples": ["51", "33.4"],
        }
    ),
]
Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
Duration = Annotated[
    str,
    StringConstraints(pattern=rf"^{_DURATION.replace('(?=.)', '').replace('[0-9]', '[^A-Z]')}$", max_length=100),
    _posted_as(_DURATION, "not an ISO 8601 duration, such as P3Y or P1Y6M"),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION}$", "minLength": 3, "maxLength": 100}),
]
Url = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$", max_length=2000),
    _posted_as(_PRINTABLE, "holds no control characters and no noncharacters"),
]
MediaType = Annotated[
    str,
    StringConstraints(pattern=r"^[^\s/;]+/[^\s/;]+(;.*)?$", max_length=200),
    _posted_as(_MEDIA_TYPE, "not a media type, such as text/html"),
    WithJsonSchema({"type": "string", "pattern": f"^{_MEDIA_TYPE}$", "maxLength": 200}),
]


class Reference(dict[str, Any]):
    """Another subject, with its name as of the question."""

    # In a row it is `{"subject": ...}`; `projections.engine.references` adds the name. Only its type says that it is a
    # reference: a text may look the same, as `subject` is a well-formed language tag.

    def __init__(self, subject: str) -> None:
        super().__init__(subject=subject)

    @classmethod
    def __get_pydantic_core_schema__(cls, _: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        members = {
            "subject": Annotated[Subject, Field(description="The subject, as `collection/slug`.")],
            "name": Annotated[Text | None, Field(description="Its name or title; null where none is known.")],
        }
        fields = {name: core_schema.typed_dict_field(handler.generate_schema(each)) for name, each in members.items()}
        return core_schema.typed_dict_schema(fields, cls=cls, ref=f"{cls.__module__}.{cls.__qualname__}:{id(cls)}")
