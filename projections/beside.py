"""What stands beside facts: disputes, by which other sources say otherwise, and the evidence they rest on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from domain.events import CATALOGUE
from domain.passages import status_of
from projections.documents import Held, Texts
from projections.ledger import Ledger
from projections.questions import LISTS, Question
from projections.references import References
from projections.referring import Reference

_DISPUTED = CATALOGUE["event.disputed"].rank
_MOST_DISPUTES = 100
_BORNE = frozenset(("steps", *(name for names in LISTS.values() for name in names))) - {"other_names"}
"""The lists whose items name the events that bear them."""


class Beside:
    """Disputes and evidence, on one connection."""

    def __init__(self, db: sqlite3.Connection, ledger: Ledger, references: References, texts: Texts) -> None:
        self._db = db
        self._ledger = ledger
        self._references = references
        self._texts = texts

    def disputes_of(self, number: int, as_of: int) -> list[dict[str, Any]]:
        rows = self._db.execute(
            "SELECT * FROM events WHERE subject = ? AND rank = ? AND about IS NOT NULL AND position <= ?"
            " ORDER BY position LIMIT ?",
            (number, _DISPUTED, as_of, _MOST_DISPUTES),
        ).fetchall()
        found: list[dict[str, Any]] = []
        for row in rows:
            event = self._ledger.decoded(row)
            standing = self._ledger.standing(event, as_of)
            if standing.retracted_by(event) is not None:
                continue
            claimed = standing.meaning(event).data.get("claims", ())
            if event.about is not None and claimed and self._stands(event.about, as_of):
                found += [{**each, "position": event.position, "event": event.about} for each in claimed]
        return found

    def _stands(self, position: int, as_of: int) -> bool:
        """Whether an event is not retracted, nor what it speaks of, if it is about another and does not retract it."""
        event = self._ledger.event(position)
        if event is None or self._ledger.standing(event, as_of).retracted_by(event) is not None:
            return False
        if not event.kind.about_event or event.about is None or event.type == "event.retracted":
            return True
        return self._stands(event.about, as_of)

    def show_disputes(self, items: Iterable[dict[str, Any]], as_of: int) -> None:
        """Put standing disputes beside items that stand for themselves, by the events that bear them."""
        bearing: dict[int, list[dict[str, Any]]] = {}
        for item in items:
            for position in item["events"]:
                bearing.setdefault(position, []).append(item)
        rows = self._db.execute(
            "SELECT e.about, e.position FROM json_each(?) j CROSS JOIN events e ON e.about = j.value"
            " WHERE e.rank = ? AND e.position <= ? ORDER BY e.about, e.position",
            (orjson.dumps(list(bearing)).decode(), _DISPUTED, as_of),
        ).fetchall()
        for about, by in rows:
            event = self._ledger.event(by)
            assert event is not None
            standing = self._ledger.standing(event, as_of)
            if standing.retracted_by(event) is None:
                claims = standing.meaning(event).data.get("claims", ())
                for item in bearing[about] if claims else ():
                    item.setdefault("disputed", []).extend({**each, "position": by, "event": about} for each in claims)

    def cite(self, items: Iterable[dict[str, Any]], question: Question) -> None:
        """Put the passages cited for each item's events beside them, as `evidence` by position."""
        verified = self.verifying(question)
        for item in items:
            cited: dict[str, list[dict[str, Any]]] = {}
            for position in sorted(_positions(item)):
                event = self._ledger.event(position)
                if event is None:
                    continue
                passages = self._ledger.standing(event, question.as_of).passages(event)
                if passages:
                    cited[str(position)] = [{**verified(passage), "event": by} for by, passage in passages]
            item["evidence"] = cited
            self._references.name_others([cited], question)

    def verifying(self, question: Question) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """A function that gives a passage its `status` as of the question, and its document as a reference."""
        known: dict[str, Held | None] = {}

        def verified(passage: Mapping[str, Any]) -> dict[str, Any]:
            document = passage["document"]
            if document not in known:
                number = self._ledger.find(document)
                known[document] = None if number is None else self._texts.own(number, question.as_of)
            held = known[document]
            text = None if held is None else self._texts.text(held)
            return {**passage, "document": Reference(document), "status": status_of(passage, text)}

        return verified


def _positions(item: Mapping[str, Any]) -> set[int]:
    """The positions of the events that bear a state, an item of a list, or what is listed in it."""
    events = item["events"]
    found = {
        position for positions in (events.values() if type(events) is dict else [events]) for position in positions
    }
    for name in _BORNE & item.keys():
        for each in item[name]:
            found |= _positions(each)
    return found
