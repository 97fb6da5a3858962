"""Documents as evidence: the texts that are held of them, and the passages that are cited from them, each with the
event it supports, as of any position.

A passage stands as long as the event it supports and the event that gives it; what it says is read from the events.
Nothing here decides what a text may be, or refuses a passage.
"""

from __future__ import annotations

import sqlite3
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from domain.corrections import Corrections, Event
from domain.document import DOCUMENT
from domain.payload import Data
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

DOCUMENTS = subject_view(
    DOCUMENT,
    date_field="published",
    filters=(WORDS, CERTAINTY),
    more_parts=(_TEXTS, _CITATIONS),
    passages=True,
)

NOWHERE = MAX_INTEGER
"""Start and stop of a passage that names no place in its document: after all that do."""
CACHED_BYTES = 2**24
"""Most bytes of texts that one `DocumentTexts` keeps at hand, beside the one used last."""

Citation = tuple[int, int, int, int, int, int]
"""A passage: the number of its document, start, stop, the positions of the event it supports and of the one that gives
it, and its place among the passages which that one gives for it."""

ALTERING = frozenset(("event.corrected", "event.retracted"))
"""Events that may alter the passages of what they speak of."""
_PUT = (
    "INSERT INTO citations(document, start, stop, fact, event, place, system_from, system_to)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class DocumentText:
    """That a text is held of a document, since the event at `position`; its size in code points."""

    row: int
    position: int
    sha256: str
    characters: int


class DocumentTexts:
    """The texts that are held, on one connection; those used last are kept in memory."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._cached: OrderedDict[str, str] = OrderedDict()
        self._bytes = 0

    def stored(self, document: int, as_of: int = CURRENT - 1) -> DocumentText | None:
        """The text that is held of a document as of a position."""
        row = self._db.execute(
            f"SELECT id, system_from, sha256, characters FROM document_texts WHERE document = ? AND {AS_OF}",
            (document, as_of, as_of),
        ).fetchone()
        return DocumentText(*row) if row else None

    def registered_sha256(self, document: int, as_of: int = CURRENT - 1) -> str | None:
        """The SHA-256 that is registered of a document's text; None where it was retracted or erased."""
        row = self._db.execute(
            f"SELECT body FROM subject_states WHERE subject = ? AND {AS_OF} LIMIT 1", (document, as_of, as_of)
        ).fetchone()
        found: str | None = decode_unnamed_state(row[0])[0].get("sha256") if row else None
        return found

    def checked(self, document: int, as_of: int = CURRENT - 1) -> DocumentText | None:
        """The text held of a document if it is the registered one, which passages are checked against."""
        held = self.stored(document, as_of)
        return held if held is not None and held.sha256 == self.registered_sha256(document, as_of) else None

    def text(self, held: DocumentText) -> str:
        """A text that is held."""
        found = self._cached.get(held.sha256)
        if found is None:
            (found,) = self._db.execute("SELECT text FROM document_texts WHERE id = ?", (held.row,)).fetchone()
            self._cached[held.sha256] = found
            self._bytes += sys.getsizeof(found)
            while self._bytes > CACHED_BYTES and len(self._cached) > 1:
                _, dropped = self._cached.popitem(last=False)
                self._bytes -= sys.getsizeof(dropped)
        self._cached.move_to_end(held.sha256)
        return found


def store_text(known: FactStore, event: Event, text: str) -> None:
    """From the event on, its document's text is held."""
    number = known.must_find(event.subject)
    known.now_holds(number, TEXT)
    known.db.execute(
        "INSERT INTO document_texts(document, system_from, system_to, sha256, characters, text)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (number, event.position, CURRENT, sha256(text.encode()).hexdigest(), len(text), text),
    )


def erase_text(known: FactStore, event: Event) -> None:
    """From the event on, no text of its document is held."""
    number = known.must_find(event.subject)
    known.db.execute(
        f"UPDATE document_texts SET system_to = ? WHERE document = ? AND system_to = {CURRENT}",
        (event.position, number),
    )


def cite(known: FactStore, event: Event, model: Data) -> None:
    """From the event on, the passages it gives stand, and those that rested on what it takes back no longer do."""
    if event.type in ALTERING:
        for spoken in altered(known, event):
            _replace(known, spoken, event.position)
    if not model.evidence:
        return
    supported = event
    if event.type == "evidence.added":
        target = None if event.about is None else known.event(event.about)
        if target is None:
            return
        if known.fact(target.position) is None and known.standing(target).retracted_by(target) is not None:
            return
        supported = target
    _put(
        known,
        [
            (
                known.must_find(passage.document),
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


def altered(known: EventIndex, event: Event) -> Iterator[Event]:
    """The events whose passages a correction or retraction may alter: the one it speaks of, and what that one does."""
    spoken = event if event.type in ALTERING else None
    while spoken is not None and spoken.about is not None:
        spoken = known.event(spoken.about)
        if spoken is not None:
            yield spoken


def citing(db: sqlite3.Connection, document: int, limit: int) -> list[int]:
    """Events that give standing passages of a document, at most so many, ascending."""
    rows = db.execute(
        f"SELECT DISTINCT event FROM citations WHERE document = ? AND system_to = {CURRENT} LIMIT ?", (document, limit)
    )
    return sorted(row[0] for row in rows)


def passages(standing: Corrections, event: Event) -> list[tuple[int, dict[str, Any]]]:
    """The passages that support an event and stand, each with the position of the event that gives it.

    What an `evidence.added` gives supports the event that it speaks of, not itself.
    """
    if standing.retracted_by(event) is not None:
        return []
    own = event.type == "evidence.added"
    return [(by, passage) for by, passage in standing.passages(event) if not own or by != event.position]


def placed(given: Iterable[tuple[int, dict[str, Any]]]) -> dict[tuple[int, int], dict[str, Any]]:
    """Passages by the position of the event that gives them and their place among those it gives."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    counts: dict[int, int] = {}
    for by, passage in given:
        found[by, counts.setdefault(by, 0)] = passage
        counts[by] += 1
    return found


def _placed(known: EventIndex, supported: Event, given: Iterable[tuple[int, dict[str, Any]]]) -> set[Citation]:
    return {
        (
            known.must_find(passage["document"]),
            passage.get("start", NOWHERE),
            passage.get("end", NOWHERE),
            supported.position,
            by,
            place,
        )
        for (by, place), passage in placed(given).items()
    }


def _replace(known: FactStore, supported: Event, position: int) -> None:
    """Puts the passages that support an event now in the place of those that did before the event at a position."""
    before, now = (
        _placed(known, supported, passages(known.standing(supported, as_of, "evidence.added"), supported))
        for as_of in (position - 1, position)
    )
    known.db.executemany(
        "UPDATE citations SET system_to = ?"
        " WHERE document = ? AND start = ? AND stop = ? AND fact = ? AND event = ? AND place = ?"
        f" AND system_to = {CURRENT}",
        [(position, *citation) for citation in before - now],
    )
    _put(known, now - before, position)


def _put(known: FactStore, citations: Iterable[Citation], position: int) -> None:
    for citation in sorted(citations):
        known.db.put(_PUT, (*citation, position, CURRENT))
