"""Parsing one posted CloudEvent: every attribute and the data are checked, and all flaws are reported together.

The result is well-formed. Whether it contradicts the history is decided elsewhere.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from domain.catalogue import CATALOGUE
from domain.edtf import parse_edtf
from domain.errors import Flaw, Invalid
from domain.event_type import EventType
from domain.payload import Data, nulls_in
from domain.values import MAX_INTEGER, POSTED, SLUG, is_printable, is_subject, pointer

MAX_ATTRIBUTE = 1024
MAX_DATA = 1_000_000
"""Most bytes of one event's data in canonical form."""

_REQUIRED = dict.fromkeys(("specversion", "id", "source", "type", "subject"))
_TIME = re.compile(
    r"(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])[Tt](?P<hour>[01]\d|2[0-3]):"
    r"(?P<minute>[0-5]\d):(?P<second>[0-5]\d|60)(?:\.\d+)?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<ahead_hours>[01]\d|2[0-3]):(?P<ahead_minutes>[0-5]\d))",
    re.ASCII,
)
_JSON_TYPE = re.compile(r"application/json(\s*;\s*charset=\"?utf-8\"?)?", re.IGNORECASE | re.ASCII)
_URI_REFERENCE = re.compile(r"\S+")


class Erasure(NamedTuple):
    """The remains of data that was erased in another log: the digest in its log entry, and the position there of the
    event that it is about (None: about no event, or not known).
    """

    digest: str
    about: int | None


class PostedEvent(NamedTuple):
    """A well-formed event without a position. `data` is exactly as posted, in RFC 8785 form.

    An event with an `erasure` comes from another log, in which its data was erased; its `data` is empty.
    """

    id: str
    source: str
    type: str
    subject: str
    time: str | None
    occurred: str | None
    data: bytes
    model: Data
    erasure: Erasure | None = None

    @property
    def kind(self) -> EventType:
        """Its row of the catalogue."""
        return CATALOGUE[self.type]


def canonical(data: object) -> bytes:
    """Return the RFC 8785 form of JSON without fractional numbers and with only ASCII keys. Raise ValueError for other
    JSON.
    """
    try:
        return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise ValueError(str(error)) from None


def parse(document: object) -> PostedEvent:
    """Return one event in the CloudEvents JSON format. Raise Invalid with every flaw found."""
    if not isinstance(document, dict):
        raise Invalid("an event is a JSON object", [Flaw("", "an event is a JSON object")])
    document = attributes_set(document)
    return _parsed(document, _attribute_flaws(document, _TEXTS), is_posted=True)


def parse_exported(document: Mapping[str, Any], erasure: Erasure | None, *, is_trusted: bool) -> PostedEvent:
    """Return one event of another log, whose data may be erased. Raise Invalid with every flaw found.

    Another registry recorded it. If that `is_trusted`, values are accepted that older versions did not refuse.
    """
    flaws = _attribute_flaws(document, _RECORDED_TEXTS if is_trusted else _EXPORTED_TEXTS)
    if erasure is None:
        return _parsed(document, flaws, is_posted=not is_trusted)
    flaws += _collection_flaws(document)
    if flaws:
        raise Invalid("the event is not well-formed", flaws)
    return _posted(document, b"", CATALOGUE[document["type"]].nothing)._replace(erasure=erasure)


def _collection_flaws(document: Mapping[str, Any]) -> list[Flaw]:
    """Return the flaw of a subject whose collection does not match the type of the event."""
    kind, subject = _kind(document), document.get("subject")
    if kind is None or not isinstance(subject, str) or not is_subject(subject):
        return []
    if kind.collection in (None, subject.split("/")[0]):
        return []
    return [Flaw("/subject", f"{kind.name} is about a subject in {kind.collection}/")]


def _kind(document: Mapping[str, Any]) -> EventType | None:
    return CATALOGUE.get(document["type"]) if isinstance(document.get("type"), str) else None


def _parsed(document: Mapping[str, Any], flaws: list[Flaw], *, is_posted: bool) -> PostedEvent:
    kind = _kind(document)
    data, encoded, model = document.get("data", {}), b"", None
    if kind is not None:
        flaws += _collection_flaws(document)
        encoded, model, found = _checked(kind, data, is_posted=is_posted)
        flaws += [Flaw(f"/data{flaw.pointer}", flaw.detail) for flaw in found]
    if flaws or model is None:
        raise Invalid("the event is not well-formed", flaws)
    return _posted(document, encoded, model)


def _posted(document: Mapping[str, Any], data: bytes, model: Data) -> PostedEvent:
    return PostedEvent(
        document["id"],
        document["source"],
        document["type"],
        document["subject"],
        document.get("time"),
        document.get("occurred"),
        data,
        model,
    )


def attributes_set(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that are set: an attribute that is null is absent (CloudEvents JSON format 2.2)."""
    return {name: value for name, value in document.items() if value is not None or name == "data"}


def checked(kind: EventType, data: object, *, is_posted: bool = True) -> tuple[Data | None, list[Flaw]]:
    """Return the data of a type as a record; pointers of the flaws start at the data.

    Data that is not posted but read from a log is accepted if any version of the registry would have accepted it.
    """
    _, model, flaws = _checked(kind, data, is_posted=is_posted)
    return model, flaws


def _checked(kind: EventType, data: object, *, is_posted: bool = True) -> tuple[bytes, Data | None, list[Flaw]]:
    """Return the data of a type in canonical form and as a record."""
    if not isinstance(data, dict):
        return b"", None, [Flaw("", "data is a JSON object")]
    try:
        encoded = canonical(data)
    except ValueError:
        return b"", None, [Flaw("", f"numbers are integers within {-MAX_INTEGER} and {MAX_INTEGER}")]
    if len(encoded) > MAX_DATA:
        return b"", None, [Flaw("", f"data takes at most {MAX_DATA} bytes")]
    if _holds_nul(encoded):
        return b"", None, [Flaw("", "strings hold no U+0000")]
    nulls: list[Flaw] = []
    if b"null" in encoded:
        nulls = [Flaw(at, "null is not taken here; leave the field out") for at in nulls_in(kind.data, data)]
    try:
        model = kind.data.model_validate_json(encoded, context=POSTED if is_posted else None)
    except ValidationError as error:
        found = [_flaw(detail) for detail in _true(error.errors(include_url=False, include_input=False))]
        return b"", None, [*found, *nulls]
    return (b"", None, nulls) if nulls else (encoded, model, [])


def _holds_nul(encoded: bytes) -> bool:
    return b"\\u0000" in encoded and re.search(rb"(?<!\\)(?:\\\\)*\\u0000", encoded) is not None


def _attribute_flaws(document: Mapping[str, object], checks: Mapping[str, Callable[[str], str | None]]) -> list[Flaw]:
    """Return the flaws of the attributes: unknown names, missing names, then values."""
    flaws: list[Flaw] = []
    for name, value in document.items():
        if (check := checks.get(name)) is not None:
            wrong = check(value) if isinstance(value, str) and value else _no_text(value)
            if wrong is not None:
                flaws.append(Flaw(pointer(name), wrong))
    if _REQUIRED.keys() <= document.keys() <= _ATTRIBUTES:
        return flaws
    odd = [Flaw(pointer(name), "not an attribute the registry takes") for name in document if name not in _ATTRIBUTES]
    return [*odd, *(Flaw(pointer(name), "is required") for name in _REQUIRED if name not in document), *flaws]


def _no_text(value: object) -> str:
    if not isinstance(value, str):
        return "is a string"
    return "is not empty"


def _specversion(value: str) -> str | None:
    return None if value == "1.0" else "is 1.0"


def _id(value: str) -> str | None:
    if len(value.encode()) > MAX_ATTRIBUTE:
        return f"is at most {MAX_ATTRIBUTE} bytes"
    return None if is_printable(value) else "holds no control characters and no noncharacters"


@lru_cache(maxsize=1024)  # sources are few
def _source(value: str) -> str | None:
    return _id(value) or (None if _URI_REFERENCE.fullmatch(value) else "is a URI reference")


def _type(value: str) -> str | None:
    if (kind := CATALOGUE.get(value)) is None:
        return "is not a type the registry knows"
    return None if kind.is_posted else "is recorded by the registry itself, when a document's text is put or deleted"


def _subject(value: str) -> str | None:
    return None if is_subject(value) else f"is <collection>/<slug>, the slug matching {SLUG}"


def _time(value: str) -> str | None:
    parts = _TIME.fullmatch(value) if len(value) <= MAX_ATTRIBUTE else None
    return None if parts is not None and _is_instant(parts) else "is an RFC 3339 timestamp"


def _is_instant(parts: re.Match[str]) -> bool:
    """Return whether the day exists and, for second 60, whether it may be a leap second: the last one of a month in
    UTC.
    """
    year, month, day = int(parts["year"]), int(parts["month"]), int(parts["day"])
    last = monthrange(year or 400, month)[1]  # the calendar repeats after 400 years; year 0 is a leap year
    if day > last:
        return False
    if parts["second"] != "60":
        return True
    minutes = int(parts["hour"]) * 60 + int(parts["minute"])
    ahead = int(parts["ahead_hours"] or 0) * 60 + int(parts["ahead_minutes"] or 0)
    days, minute = divmod(minutes + ahead if parts["sign"] == "-" else minutes - ahead, 1440)
    return minute == 1439 and (day + days in (0, last))


def _occurred(value: str) -> str | None:
    try:
        parse_edtf(value)
    except ValueError as error:
        return f"is an EDTF date: {error}"
    return None


def _datacontenttype(value: str) -> str | None:
    return None if _JSON_TYPE.fullmatch(value) else "is application/json"


_TEXTS: Mapping[str, Callable[[str], str | None]] = {
    "specversion": _specversion,
    "id": _id,
    "source": _source,
    "type": _type,
    "subject": _subject,
    "time": _time,
    "occurred": _occurred,
    "datacontenttype": _datacontenttype,
}
"""What is wrong with each attribute, which is a text that is not empty; None if nothing is."""
_ATTRIBUTES = _TEXTS.keys() | {"data"}


def _recorded_type(value: str) -> str | None:
    return None if value in CATALOGUE else "is not a type the registry knows"


def _recorded_text(value: str) -> str | None:
    return None if len(value.encode()) <= MAX_ATTRIBUTE and "\x00" not in value else f"is at most {MAX_ATTRIBUTE} bytes"


_EXPORTED_TEXTS = {**_TEXTS, "type": _recorded_type}
"""The same of an exported event, which a registry may have recorded by itself."""
_RECORDED_TEXTS = {**_EXPORTED_TEXTS, **dict.fromkeys(("id", "source", "time"), _recorded_text)}
"""The same of one that was recorded: what every version of the registry refused."""


def _true(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return errors without those of lists that are too short only because some of their items are refused."""
    within = {detail["loc"][:length] for detail in details for length in range(len(detail["loc"]))}
    return [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in within]


def _flaw(detail: ErrorDetails) -> Flaw:
    message = detail["msg"]
    if detail["type"] == "extra_forbidden":
        message = "not a field the registry takes"
    elif detail["type"] == "missing":
        message = "is required"
    return Flaw(pointer(*detail["loc"]) + detail.get("ctx", {}).get("at", ""), message)
