"""Documents: the view of their list and digest, their stored texts, and the citations of passages from them.

A citation is current as long as the event it supports and the event that gives it; its content is read from the events.
Nothing here decides what a text may be, or refuses a passage.
"""

from __future__ import annotations

import sqlite3
import sys
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from domain.corrections import ALTERING, Event, altered
from domain.document import DOCUMENT
from domain.payload import Count, Data
from domain.values import MAX_INTEGER
from projections.engine.canonical_rows import KNOWN, Part, Row
from projections.engine.database import AS_OF, CURRENT
from projections.engine.event_index import TEXT, EventIndex
from projections.engine.filters import CERTAINTY, WORDS
from projections.engine.row_codecs import decode_unnamed_state
from projections.engine.specification import subject_view
from projections.fact_store import FactStore


def _text(row: Row) -> dict[str, Any]:
    subject, digest, characters, text = row
    return {
        "subject": subject,
        "sha256": digest,
        "characters": characters,
        "text": f"sha256:{sha256(text if isinstance(text, bytes) else str(text).encode()).hexdigest()}",
    }


_TEXTS = Part(
    ("t.document", "t.id"),
    "s.name, t.sha256, t.characters, t.text",
    f"document_texts t CROSS JOIN subjects s ON s.id = t.document WHERE {KNOWN.format('t')}",
    "t.document >= :k0",
    (-1, -1),
    _text,
)


def _citation(row: Row) -> dict[str, Any]:
    subject, start, stop, fact, event, place = row
    return {"subject": subject, "start": start, "stop": stop, "supports": fact, "cited_by": event, "place": place}


_CITATIONS = Part(
    ("t.document", "t.start", "t.stop", "t.fact", "t.event", "t.place"),
    "s.name, t.start, t.stop, t.fact, t.event, t.place",
    f"citations t CROSS JOIN subjects s ON s.id = t.document WHERE {KNOWN.format('t')}",
    "(t.document, t.start) >= (:k0, :k1)",
    (-1, -1, -1, -1, -1, -1),
    _citation,
)


class StoredText(TypedDict):
    """The stored text of a document."""

    characters: Annotated[Count, Field(description="Its length in Unicode code points.")]


class _MoreFields(TypedDict):
    text: Annotated[StoredText, Field(description="Present where the text of the document is stored.")]


DOCUMENTS = subject_view(
    DOCUMENT,
    more_fields=_MoreFields,
    date_field="published",
    filters=(WORDS, CERTAINTY),
    more_parts=(_TEXTS, _CITATIONS),
    passages=True,
)

NOWHERE = MAX_INTEGER
"""Start and stop of a passage that names no place in its document, which sorts it after all others."""
CACHED_BYTES = 2**24
"""Most bytes of texts that one `DocumentTexts` caches beside the last one."""

Citation = tuple[int, int, int, int, int, int]
"""The number of the document, start, stop, the positions of the supported and of the citing event, and the place among
the passages that the citing event gives."""

_PUT = (
    "INSERT INTO citations(document, start, stop, fact, event, place, system_from, system_to)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class DocumentText:
    """A stored text of a document: its row, the position of the event that stored it, its size in code points."""

    row: int
    position: int
    sha256: str
    characters: int


class DocumentTexts:
    """The stored texts of documents, on one connection, with a cache."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._cached: OrderedDict[str, str] = OrderedDict()
        self._bytes = 0

    def stored(self, document: int, as_of: int = CURRENT - 1) -> DocumentText | None:
        """Return the stored text of a document as of a position, None if there is none."""
        row = self._db.execute(
            f"SELECT id, system_from, sha256, characters FROM document_texts WHERE document = ? AND {AS_OF}",
            (document, as_of, as_of),
        ).fetchone()
        return DocumentText(*row) if row else None

    def registered_sha256(self, document: int, as_of: int = CURRENT - 1) -> str | None:
        """Return the registered SHA-256 of a document's text, None where it was retracted or erased."""
        row = self._db.execute(
            f"SELECT body FROM subject_states WHERE subject = ? AND {AS_OF} LIMIT 1", (document, as_of, as_of)
        ).fetchone()
        found: str | None = decode_unnamed_state(row[0])[0].get("sha256") if row else None
        return found

    def checked(self, document: int, as_of: int = CURRENT - 1) -> DocumentText | None:
        """Return the stored text that passages are checked against: only the registered one is."""
        text = self.stored(document, as_of)
        return text if text is not None and text.sha256 == self.registered_sha256(document, as_of) else None

    def text(self, stored: DocumentText) -> str:
        """Return the characters of a stored text."""
        found = self._cached.get(stored.sha256)
        if found is None:
            (found,) = self._db.execute("SELECT text FROM document_texts WHERE id = ?", (stored.row,)).fetchone()
            self._cached[stored.sha256] = found
            self._bytes += sys.getsizeof(found)
            while self._bytes > CACHED_BYTES and len(self._cached) > 1:
                _, dropped = self._cached.popitem(last=False)
                self._bytes -= sys.getsizeof(dropped)
        self._cached.move_to_end(stored.sha256)
        return found


def store_text(store: FactStore, event: Event, text: str) -> None:
    """Store the text of the event's document, from the event on."""
    number = store.must_find(event.subject)
    store.now_holds(number, TEXT)
    store.db.execute(
        "INSERT INTO document_texts(document, system_from, system_to, sha256, characters, text)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (number, event.position, CURRENT, sha256(text.encode()).hexdigest(), len(text), text),
    )


def erase_text(store: FactStore, event: Event) -> None:
    """End the stored text of a document at the position of its erasure."""
    number = store.must_find(event.subject)
    store.db.execute(
        f"UPDATE document_texts SET system_to = ? WHERE document = ? AND system_to = {CURRENT}",
        (event.position, number),
    )


def cite(store: FactStore, event: Event, model: Data) -> None:
    """Store the citations that an event gives, and update those of the events that it corrects or retracts."""
    if event.type in ALTERING:
        for changed in altered(event, store.event):
            _replace(store, changed, event.position)
    if not model.evidence:
        return
    supported = event
    if event.type == "evidence.added":
        target = None if event.about is None else store.event(event.about)
        if target is None:
            return
        if store.fact(target.position) is None and store.corrections(target).retracted_by(target) is not None:
            return
        supported = target
    _put(
        store,
        [
            (
                store.must_find(passage.document),
                NOWHERE if passage.start is None else passage.start,
                NOWHERE if passage.end is None else passage.end,
                supported.position,
                event.position,
                place,
            )
            for place, passage in enumerate(model.evidence)
        ],
        event.position,
    )


def citing(db: sqlite3.Connection, document: int, limit: int) -> list[int]:
    """Return the positions of at most `limit` events with current citations of a document, ascending."""
    rows = db.execute(
        f"SELECT DISTINCT event FROM citations WHERE document = ? AND system_to = {CURRENT} LIMIT ?", (document, limit)
    )
    return sorted(row[0] for row in rows)


def placed(given: Iterable[tuple[int, dict[str, Any]]]) -> dict[tuple[int, int], dict[str, Any]]:
    """Return passages by the position of the event that gives them and their place there."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    counts: dict[int, int] = {}
    for by, passage in given:
        found[by, counts.setdefault(by, 0)] = passage
        counts[by] += 1
    return found


def _placed(store: EventIndex, supported: Event, given: Iterable[tuple[int, dict[str, Any]]]) -> set[Citation]:
    return {
        (
            store.must_find(passage["document"]),
            passage.get("start", NOWHERE),
            passage.get("end", NOWHERE),
            supported.position,
            by,
            place,
        )
        for (by, place), passage in placed(given).items()
    }


def _replace(store: FactStore, supported: Event, position: int) -> None:
    """Replace the citations that supported an event before a position by those that support it now."""
    before, now = (
        _placed(store, supported, store.corrections(supported, as_of, "evidence.added").supporting_passages(supported))
        for as_of in (position - 1, position)
    )
    store.db.executemany(
        "UPDATE citations SET system_to = ?"
        " WHERE document = ? AND start = ? AND stop = ? AND fact = ? AND event = ? AND place = ?"
        f" AND system_to = {CURRENT}",
        [(position, *citation) for citation in before - now],
    )
    _put(store, now - before, position)


def _put(store: FactStore, citations: Iterable[Citation], position: int) -> None:
    for citation in sorted(citations):
        store.db.put(_PUT, (*citation, position, CURRENT))
