"""Documents as evidence: which events cite a document, and the texts that are held of it, as of any position.

It keeps what the log says and never judges a passage.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from domain.facts import Event
from projections.known import Known
from projections.store import OPEN


def cite(known: Known, event: Event) -> None:
    """Keep which documents an event cites."""
    if b'"evidence"' not in event.data:
        return
    cited = {known.must_find(passage["document"]) for passage in passages_of(event)}
    known.db.executemany("INSERT INTO cited VALUES (?, ?)", [(number, event.position) for number in sorted(cited)])


def passages_of(event: Event) -> Iterator[dict[str, Any]]:
    """The passages that an event gives: as its own evidence, or, of a correction, as that of the event corrected."""
    said = event.plain
    yield from said.get("evidence", ())
    if event.type == "event.corrected":
        yield from said.get("data", {}).get("evidence", ())


def hold(known: Known, event: Event, text: str) -> None:
    """From the event on, its document's text is held."""
    known.db.execute(
        "INSERT INTO held(document, p0, p1, sha256, characters, text) VALUES (?, ?, ?, ?, ?, ?)",
        (
            known.must_find(event.subject),
            event.position,
            OPEN,
            sha256(text.encode()).hexdigest(),
            len(text),
            text,
        ),
    )


def is_held(known: Known, number: int) -> bool:
    """Whether a text of the document is held."""
    return known.db.execute(f"SELECT 1 FROM held WHERE document = ? AND p1 = {OPEN}", (number,)).fetchone() is not None


def let_go(known: Known, event: Event) -> None:
    """From the event on, no text of its document is held."""
    number = known.must_find(event.subject)
    known.db.execute(f"UPDATE held SET p1 = ? WHERE document = ? AND p1 = {OPEN}", (event.position, number))
