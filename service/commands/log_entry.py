"""The forms of an event: stored in the log, folded by the views, as a receipt, as answered by `/v1/events`.

The entry is hashed and signed; it is encoded once, here, and never again. A receipt is made from the entry alone, so
that a repeat gets the same bytes for ever.
"""

from __future__ import annotations

import os
from binascii import b2a_base64
from collections.abc import Iterable
from hashlib import sha256
from typing import Annotated, NamedTuple

import orjson
from pydantic import Field
from typing_extensions import TypedDict

from domain.catalogue import CATALOGUE
from domain.cloudevent import Erasure, PostedEvent, canonical
from domain.corrections import Event, erased_data
from domain.merkle import leaf_hash
from projections.engine.answer_fields import EventId, EventPosition, EventSource, EventVersion, Recorded, SubjectAddress
from service.event_log import LoggedEvent, LogReader

SALT_BYTES = 16
_DIGEST = len(',"data_sha256":""') + 64


class ReceiptBody(TypedDict):
    """The receipt of a posted event: its place in the log."""

    position: EventPosition
    id: EventId
    source: EventSource
    subject: SubjectAddress
    version: EventVersion
    recorded: Recorded
    leaf: Annotated[str, Field(description="The log entry's Merkle leaf hash, base64.")]


class Receipt(NamedTuple):
    """The receipt of a recorded event. `body` is JSON; `is_new` is False for a repeat."""

    position: int
    body: bytes
    is_new: bool


def recorded_event(posted: PostedEvent, position: int, version: int, recorded: str, actor: str) -> Event:
    """Return the event of a post at its position."""
    erasure = posted.erasure
    return Event(
        position,
        version,
        posted.subject,
        posted.type,
        posted.source,
        posted.id,
        posted.time,
        posted.occurred,
        posted.data if erasure is None else erased_data(erasure.about),
        recorded,
        actor,
        erasure is not None,
        checked=posted.model,
    )


def logged(event: Event, erasure: Erasure | None = None) -> LoggedEvent:
    """Return the event as stored, with a salt of its own; without data, if that was erased in another log."""
    salt = os.urandom(SALT_BYTES) if erasure is None else b""
    data = event.data if erasure is None else b""
    # In the order of RFC 8785; all keys are ASCII and no value is a fraction, so orjson writes that form.
    entry: dict[str, str | int] = {
        "actor": event.actor,
        "data_sha256": sha256(salt + data).hexdigest() if erasure is None else erasure.digest,
        "id": event.id,
    }
    if event.occurred is not None:
        entry["occurred"] = event.occurred
    entry["position"] = event.position
    entry["recorded"] = event.recorded
    entry["source"] = event.source
    entry["specversion"] = "1.0"
    entry["subject"] = event.subject
    if event.time is not None:
        entry["time"] = event.time
    entry["type"] = event.type
    entry["v"] = CATALOGUE[event.type].shape
    entry["version"] = event.version
    return LoggedEvent(
        originator_id=event.subject,
        originator_version=event.version,
        topic=event.type,
        state=orjson.dumps(entry),
        id=event.position,
        source=event.source,
        event_id=event.id,
        data=data,
        salt=salt,
        about=None if erasure is None else erasure.about,
    )


def event_of(stored: LoggedEvent) -> Event:
    """Return the event of a stored one, with data in today's shape of its type."""
    entry = orjson.loads(stored.entry)
    return Event(
        stored.position,
        stored.version,
        stored.subject,
        stored.type,
        stored.source,
        stored.event_id,
        entry.get("time"),
        entry.get("occurred"),
        upcast(stored.type, entry["v"], stored.data) or erased_data(stored.about),
        entry["recorded"],
        entry["actor"],
        not stored.data,
    )


def upcast(type_: str, shape: int, data: bytes) -> bytes:
    """Return data of a version of the shape of a type in today's version; data of an unknown type as it is."""
    kind = CATALOGUE.get(type_)
    if kind is None or not data or shape >= kind.shape:
        return data
    return canonical(kind.upcast(orjson.loads(data), shape))


def receipt(stored: LoggedEvent, *, is_new: bool) -> Receipt:
    """Return the receipt of a stored event."""
    body: ReceiptBody = {
        "position": stored.position,
        "id": stored.event_id,
        "source": stored.source,
        "subject": stored.subject,
        "version": stored.version,
        "recorded": _recorded(stored.entry),
        "leaf": b2a_base64(leaf_hash(stored.entry), newline=False).decode(),
    }
    return Receipt(stored.position, orjson.dumps(body), is_new)


def answered(stored: LoggedEvent) -> bytes:
    """Return the event as JSON: as posted, with position, version and the parts of its proof.

    Erased data and salt are left out; `redacted` is the position of the event that erased them, and `about` that of the
    event it is about, if any.
    """
    if stored.data:
        return _spliced(stored.entry, stored.data, stored.salt)
    positions = (("redacted", stored.redacted), ("about", stored.about))
    more = b"".join(b',"%b":%d' % (name.encode(), position) for name, position in positions if position is not None)
    return b'%b,"entry":"%b"%b}' % (_members(stored.entry), _quoted(stored.entry), more)


def answered_lines(log: LogReader, rows: Iterable[tuple[int, bytes, bytes | None, bytes | None]]) -> bytes:
    """Return the events of these rows of `LogReader.select_parts` as JSON, one a line."""
    lines = []
    for position, entry, data, salt in rows:
        if data is None or salt is None:
            erased = log.at(position)
            assert erased is not None
            lines.append(answered(erased))
        else:
            lines.append(_spliced(entry, data, salt))
    lines.append(b"")
    return b"\n".join(lines)


def _spliced(entry: bytes, data: bytes, salt: bytes) -> bytes:
    """Return an event without erasures as JSON, from its stored parts: a fast path that equals `answered`.

    Nothing is decoded: the entry has attributes and position in the same form as the answer.
    """
    return b'%b,"data":%b,"entry":"%b","salt":"%b"}' % (
        _members(entry),
        data,
        _quoted(entry),
        b2a_base64(salt, newline=False),
    )


def _members(entry: bytes) -> bytes:
    """Return the entry without its end, the digest of the data and the version of its shape.

    Names of members cannot be mistaken for text, in which quotes are escaped.
    """
    digest, shape = entry.index(b',"data_sha256":"'), entry.rindex(b',"v":')
    return b"%b%b%b" % (entry[:digest], entry[digest + _DIGEST : shape], entry[entry.index(b",", shape + 1) : -1])


def _recorded(entry: bytes) -> str:
    """Return `recorded` of an entry, which has no escapes."""
    _, _, rest = entry.partition(b',"recorded":"')
    return rest[: rest.index(b'"')].decode()


def _quoted(entry: bytes) -> bytes:
    """Return the entry as the inside of a JSON string; an entry has only these two characters to escape."""
    return entry.replace(b"\\", rb"\\").replace(b'"', rb"\"")


def differences(stored: LoggedEvent, posted: PostedEvent) -> list[str]:
    """Return the attributes of a post that differ from the event recorded under its source and id.

    Erased data equals any.
    """
    entry = orjson.loads(stored.entry)
    found = [name for name in ("type", "subject", "time", "occurred") if entry.get(name) != getattr(posted, name)]
    same = stored.data, upcast(stored.type, entry["v"], stored.data)
    if stored.data and posted.erasure is None and posted.data not in same:
        found.append("data")
    return found
