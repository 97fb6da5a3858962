"""An event in its forms: as the log keeps it, as the views fold it, as a receipt, as `/v1/events` answers it.

The entry is what is hashed and signed; it is made once, here, and never encoded again. A receipt is made from the entry
alone, so that a repeat gets the same bytes for ever.
"""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from domain.events import CATALOGUE
from domain.facts import Event, erased_data
from domain.merkle import leaf_hash
from domain.posting import Posted
from service.log import LoggedEvent

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a client gets for a recorded event. `body` is JSON; `is_new` says whether this very post recorded it."""

    position: int
    body: bytes
    is_new: bool


def recorded_event(posted: Posted, position: int, version: int, recorded: str, actor: str) -> Event:
    """The event that a post becomes at its place."""
    return Event(
        position,
        version,
        posted.subject,
        posted.type,
        posted.source,
        posted.id,
        posted.time,
        posted.occurred,
        posted.data,
        recorded,
        actor,
        checked=posted.model,
    )


def logged(event: Event) -> LoggedEvent:
    """The event as the log keeps it, with a salt of its own."""
    salt = os.urandom(SALT_BYTES)
    # In the order of RFC 8785; all keys are ASCII and no value is a fraction, so orjson writes that form.
    entry: dict[str, str | int] = {
        "actor": event.actor,
        "data_sha256": sha256(salt + event.data).hexdigest(),
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
        event.position,
        event.version,
        event.subject,
        event.type,
        event.source,
        event.id,
        orjson.dumps(entry),
        event.data,
        salt,
    )


def event_of(stored: LoggedEvent) -> Event:
    """The event that the log keeps."""
    entry = orjson.loads(stored.entry)
    return Event(
        stored.position,
        stored.version,
        stored.subject,
        stored.type,
        stored.source,
        stored.id,
        entry.get("time"),
        entry.get("occurred"),
        stored.data or erased_data(stored.about),
        entry["recorded"],
        entry["actor"],
        not stored.data,
    )


def receipt(stored: LoggedEvent, *, is_new: bool) -> Receipt:
    """The receipt of an event in the log."""
    entry = orjson.loads(stored.entry)
    body = orjson.dumps(
        {
            "position": entry["position"],
            "id": entry["id"],
            "source": entry["source"],
            "subject": entry["subject"],
            "version": entry["version"],
            "recorded": entry["recorded"],
            "leaf": b64encode(leaf_hash(stored.entry)).decode(),
        }
    )
    return Receipt(stored.position, body, is_new)


def answered(stored: LoggedEvent) -> bytes:
    """The event as JSON: as posted, with its places, and with what is needed to check it.

    Erased data and salt are left out; `redacted` tells the position of the event that had them erased, and `about` that
    of the event it spoke of, if any.
    """
    entry = orjson.loads(stored.entry)
    item: dict[str, Any] = {name: entry[name] for name in ("specversion", "id", "source", "type", "subject")}
    item |= {name: entry[name] for name in ("time", "occurred") if name in entry}
    if stored.data:
        item["data"] = orjson.Fragment(stored.data)
    item |= {name: entry[name] for name in ("position", "version", "recorded", "actor")}
    item["entry"] = stored.entry.decode()
    if stored.salt:
        item["salt"] = b64encode(stored.salt).decode()
    for name, position in (("redacted", stored.redacted), ("about", stored.about)):
        if position is not None:
            item[name] = position
    return orjson.dumps(item)


def differences(stored: LoggedEvent, posted: Posted) -> list[str]:
    """Which attributes of a post are not those of the event recorded under its source and id.

    Erased data equals any.
    """
    entry = orjson.loads(stored.entry)
    found = [name for name in ("type", "subject", "time", "occurred") if entry.get(name) != getattr(posted, name)]
    if stored.data and stored.data != posted.data:
        found.append("data")
    return found
