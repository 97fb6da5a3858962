"""Posted CloudEvents: strict JSON, in the structured and the binary mode, parsed to well-formed events.

Strict means that no two readers can understand the same bytes differently: UTF-8, no lone surrogates, no duplicate
names in an object, bounded nesting. Nothing is repaired; only a byte order mark before a document is ignored (RFC 8259,
section 8.1).
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from domain.catalogue import CATALOGUE
from domain.cloudevent import PostedEvent, attributes_set, parse
from domain.errors import DifferentContent, Flaw, Invalid
from service.event_log import LoggedEvent

MAX_EVENT = 2**20
MAX_BATCH = 8 * 2**20
MAX_BATCH_EVENTS = 1000
MAX_DEPTH = 64
MAX_ATTRIBUTES = 2**14
"""Bytes of the `ce-*` headers of an event together: no valid event has more."""

Find = Callable[[str, str], LoggedEvent | None]
"""The recorded event of a source and id."""

_HEADER = "ce-"
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})?")


class Malformed(Exception):
    """The posted bytes cannot be parsed. `pointer` leads to the faulty part, as far as it is known."""

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.pointer = pointer


def decode(raw: bytes) -> Any:
    """Return the JSON document. Raise Malformed."""
    raw = raw.removeprefix(BOM_UTF8)
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON in UTF-8: {error}") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(document) > MAX_DEPTH:
        raise Malformed(f"nested more than {MAX_DEPTH} deep")
    # A repeated name is dropped in decoding, and a colon with it; colons in strings stay, unless they are escaped.
    if rb"\u003" in raw or raw.count(b":") != orjson.dumps(document).count(b":"):
        json.loads(raw, object_pairs_hook=_distinct)
    return document


def from_headers(headers: Iterable[tuple[str, str]], media_type: str, body: bytes) -> dict[str, Any]:
    """Return the structured form of an event in binary mode (CloudEvents HTTP binding 3.1). Raise Malformed."""
    document: dict[str, Any] = {"datacontenttype": media_type}
    size = 0
    for name, value in headers:
        if name.lower().startswith(_HEADER):
            size += len(value)
            if size > MAX_ATTRIBUTES:
                raise Malformed(f"the ce-* headers have more than {MAX_ATTRIBUTES} bytes together")
            attribute = name[len(_HEADER) :].lower()
            if attribute in document or attribute == "data":
                raise Malformed(f"the header {name} is not allowed here, or is there twice")
            document[attribute] = _header_text(name, value)
    if body.strip():
        document["data"] = decode(body)
    return document


def parsed(document: Any, find: Find, parse: Callable[[Any], PostedEvent] = parse) -> PostedEvent:
    """Parse an event; one that is recorded already may be sent again with the same content.

    Raise Invalid, or DifferentContent if the recorded content is another.

    The recorded event of the same source and id is looked up before any refusal: rules may have changed since, and data
    may have been erased.
    """
    try:
        return parse(document)
    except Invalid:
        recorded = _recorded(document, find)
        if recorded is None:
            raise
        return recorded


def parsed_list(documents: Sequence[object], find: Find) -> list[PostedEvent]:
    """Return the events of a batch. Raise Invalid or DifferentContent with the errors of all of them."""
    events: list[PostedEvent] = []
    flaws: list[Flaw] = []
    kind: type[Invalid | DifferentContent] = DifferentContent
    positions: list[int] = []
    for index, document in enumerate(documents):
        try:
            events.append(parsed(document, find))
        except (Invalid, DifferentContent) as refused:
            flaws += [Flaw(f"/{index}{flaw.pointer}", flaw.detail) for flaw in refused.flaws]
            positions += refused.positions
            if isinstance(refused, Invalid):
                kind = Invalid
    if flaws:
        wrong = len({flaw.pointer.split("/")[1] for flaw in flaws})
        raise kind(f"{wrong} of {len(documents)} events are refused, so none is recorded", flaws, positions)
    return events


def _recorded(document: object, find: Find) -> PostedEvent | None:
    if not isinstance(document, Mapping):
        return None
    document = attributes_set(document)
    source, id_ = document.get("source"), document.get("id")
    if not isinstance(source, str) or not isinstance(id_, str):
        return None
    stored = find(source, id_)
    if stored is None:
        return None
    entry = orjson.loads(stored.entry)
    names = ("specversion", "type", "subject", "time", "occurred")
    different = [name for name in names if document.get(name) != entry.get(name)]
    different += sorted(set(document) - {*names, "id", "source", "data", "datacontenttype"})
    if stored.data and _plain(document.get("data", {})) != stored.data:
        different.append("data")
    if different:
        flaws = [Flaw(f"/{name}", "differs from the recorded event") for name in different]
        raise DifferentContent("this source and id were recorded with other content", flaws, [stored.position])
    model = CATALOGUE[stored.type].data.model_construct()
    return PostedEvent(
        id_, source, stored.type, stored.subject, entry.get("time"), entry.get("occurred"), stored.data, model
    )


def _plain(value: object) -> bytes:
    """Return a form in which equal JSON is equal bytes; whole numbers may be written as fractions."""

    def whole(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: whole(inner) for name, inner in part.items()}
        if isinstance(part, list):
            return [whole(inner) for inner in part]
        return int(part) if isinstance(part, float) and part.is_integer() and abs(part) < 2**53 else part

    return orjson.dumps(whole(value), option=orjson.OPT_SORT_KEYS)


def _header_text(name: str, value: str) -> str:
    if quoted := _QUOTED.fullmatch(value.strip()):
        value = _ESCAPED.sub(r"\1", quoted[1])

    def unescaped(match: re.Match[bytes]) -> bytes:
        if match[1] is None:
            raise Malformed(f"the header {name} holds a % that escapes nothing; a % itself is written %25")
        return bytes.fromhex(match[1].decode())

    try:
        return _PERCENT.sub(unescaped, value.encode("utf-8", "surrogateescape")).decode()
    except UnicodeDecodeError:
        raise Malformed(f"the header {name} is not percent-encoded UTF-8") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Malformed(f"the name {name!r} is twice in one object")
        found[name] = value
    return found


def _depth(document: Any) -> int:
    depth, level = 0, [document]
    while level:
        depth += 1
        level = [
            part
            for each in level
            for part in (each.values() if isinstance(each, dict) else each)
            if isinstance(part, (dict, list))
        ]
        if depth > MAX_DEPTH:
            break
    return depth
