"""Current disputes, as rows: one for each claim, with the positions between which it is shown with a fact.

A claim is current while neither its dispute nor the disputed event is retracted. Claims are rows because a subject may
have any number of disputes, of which an answer shows a few. Nothing here reads them for answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from domain.corrections import Event
from projections.engine.database import CURRENT
from projections.engine.event_index import DISPUTED, EventIndex
from projections.fact_store import FactStore

_DATE = "/occurred"
_PUT = (
    "INSERT INTO disputes(id, subject, about, event, place, system_from, system_to, dated, claim)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_END = "UPDATE disputes SET system_to = ? WHERE id = ?"
_BELOW = (
    "WITH RECURSIVE below(position) AS (VALUES (?) UNION ALL SELECT e.position FROM below b CROSS JOIN events e"
    " ON e.about = b.position) SELECT e.position FROM below b CROSS JOIN events e ON e.position = b.position"
    f" WHERE e.rank = {DISPUTED} ORDER BY 1"
)


def dispute(store: FactStore, event: Event) -> None:
    """Update the current claims after an event about another event."""
    if event.type == "event.disputed":
        _replace(store, event, event.position, {})
    elif event.type in ("event.corrected", "event.retracted"):
        cache: dict[int, bool] = {}
        for changed in _changed(store, event):
            store.db.limit.check()
            _replace(store, changed, event.position, cache)


def disputed_dates(store: FactStore, position: int) -> list[str | None]:
    """Return the dates that current claims give for the event at a position."""
    rows = store.db.execute(
        f"SELECT DISTINCT claim FROM disputes WHERE about = ? AND system_to = {CURRENT} AND dated", (position,)
    ).fetchall()
    return [orjson.loads(row[0])["value"] for row in rows]


def _changed(store: FactStore, event: Event) -> Iterator[Event]:
    """Yield the disputes that a correction or retraction may change.

    These are the disputes that it is about, directly or through other events, and those of the events below one that it
    retracts, or whose retraction it retracts.
    """
    disputes: dict[int, Event] = {}
    below: int | None = None
    by: Event | None = event
    while by is not None and by.about is not None:
        target = store.event(by.about)
        if target is not None and target.type == "event.disputed":
            disputes[target.position] = target
        if by.type == "event.retracted":
            below = by.about
        by = target
    if below is not None:
        positions = [row[0] for row in store.db.execute(_BELOW, (below,))]
        store.db.limit.check(len(positions))
        for position in positions:
            if (found := store.event(position)) is not None:
                disputes[position] = found
    yield from disputes.values()


def _replace(store: FactStore, event: Event, position: int, cache: dict[int, bool]) -> None:
    """Replace the current claims of a dispute, from a position on.

    `cache` remembers for the next dispute which events are current.
    """
    assert event.about is not None
    claims: list[dict[str, Any]] = []
    corrections = store.corrections(event)
    if corrections.retracted_by(event) is None and _is_current(store, event.about, cache):
        claims = corrections.effective_event(event).data.get("claims", [])
    wanted = {(place, orjson.dumps(claim)) for place, claim in enumerate(claims)}
    rows = store.db.execute(
        f"SELECT place, claim, id FROM disputes WHERE event = ? AND system_to = {CURRENT}", (event.position,)
    )
    current = {(place, claim): row for place, claim, row in rows.fetchall()}
    for key in current.keys() - wanted:
        store.db.amend(_END, (position, current[key]))
    subject = store.must_find(event.subject)
    for place, claim in sorted(wanted - current.keys()):
        dated = claims[place]["pointer"] == _DATE
        row = store.db.next_id("disputes")
        store.db.put(_PUT, (row, subject, event.about, event.position, place, position, CURRENT, dated, claim))


def _is_current(store: EventIndex, position: int, cache: dict[int, bool]) -> bool:
    """Return whether neither an event is retracted nor the event that it is about, unless it retracts that one."""
    if position not in cache:
        event = store.event(position)
        cache[position] = (
            event is not None
            and store.corrections(event).retracted_by(event) is None
            and (
                not event.kind.about_event
                or event.about is None
                or event.type == "event.retracted"
                or _is_current(store, event.about, cache)
            )
        )
    return cache[position]
