"""Disputes as they stand: a row for each claim, from the position on from which it stands beside a fact.

A claim stands while neither its dispute is retracted nor the event that it speaks of. Rows are kept, as a subject may
have any number of disputes, of which an answer shows a few; nothing here reads them for answers.
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


def dispute(known: FactStore, event: Event) -> None:
    """From an event on, which speaks of another, the claims stand that then do."""
    if event.type == "event.disputed":
        _renew(known, event, event.position, {})
    elif event.type in ("event.corrected", "event.retracted"):
        stands: dict[int, bool] = {}
        for changed in _changed(known, event):
            known.db.limit.check()
            _renew(known, changed, event.position, stands)


def disputed_dates(known: FactStore, position: int) -> list[str | None]:
    """The days that standing claims give for the event at a position."""
    rows = known.db.execute(
        f"SELECT DISTINCT claim FROM disputes WHERE about = ? AND system_to = {CURRENT} AND dated", (position,)
    ).fetchall()
    return [orjson.loads(row[0])["value"] for row in rows]


def _changed(known: FactStore, event: Event) -> Iterator[Event]:
    """The disputes that a correction or retraction may change: those it speaks of, directly or through others, and
    those that come down to an event which it retracts or has stand again."""
    disputes: dict[int, Event] = {}
    below: int | None = None
    by: Event | None = event
    while by is not None and by.about is not None:
        spoken = known.event(by.about)
        if spoken is not None and spoken.type == "event.disputed":
            disputes[spoken.position] = spoken
        if by.type == "event.retracted":
            below = by.about
        by = spoken
    if below is not None:
        positions = [row[0] for row in known.db.execute(_BELOW, (below,))]
        known.db.limit.check(len(positions))
        for position in positions:
            if (found := known.event(position)) is not None:
                disputes[position] = found
    yield from disputes.values()


def _renew(known: FactStore, event: Event, position: int, stands: dict[int, bool]) -> None:
    """Put the claims of a dispute that stand now in the place of those that did before the event at a position.

    `stands` keeps which events do, for the next dispute.
    """
    assert event.about is not None
    claims: list[dict[str, Any]] = []
    standing = known.standing(event)
    if standing.retracted_by(event) is None and _stands(known, event.about, stands):
        claims = standing.meaning(event).data.get("claims", [])
    wanted = {(place, orjson.dumps(claim)) for place, claim in enumerate(claims)}
    rows = known.db.execute(
        f"SELECT place, claim, id FROM disputes WHERE event = ? AND system_to = {CURRENT}", (event.position,)
    )
    current = {(place, claim): row for place, claim, row in rows.fetchall()}
    for key in current.keys() - wanted:
        known.db.amend(_END, (position, current[key]))
    subject = known.must_find(event.subject)
    for place, claim in sorted(wanted - current.keys()):
        dated = claims[place]["pointer"] == _DATE
        row = known.db.next_id("disputes")
        known.db.put(_PUT, (row, subject, event.about, event.position, place, position, CURRENT, dated, claim))


def _stands(known: EventIndex, position: int, stands: dict[int, bool]) -> bool:
    """Whether an event is not retracted, nor what it speaks of, if it is about another and does not retract it."""
    if position not in stands:
        event = known.event(position)
        stands[position] = (
            event is not None
            and known.standing(event).retracted_by(event) is None
            and (
                not event.kind.about_event
                or event.about is None
                or event.type == "event.retracted"
                or _stands(known, event.about, stands)
            )
        )
    return stands[position]
