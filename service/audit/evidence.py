"""The check of evidence: every current quotation stands in the text of its document, if the text is available."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from domain.corrections import Event
from domain.quotation import Status, flaw_of, status_of
from projections.documents import placed
from service.audit.document_texts import Texts
from service.audit.history import NotedEvents
from service.audit.report import Check, Finding, Verdict, counted

_SCHEMA = "CREATE TABLE cited(document TEXT, by INTEGER, subject TEXT, place INTEGER, passage BLOB)"
_ALONE = """
SELECT position, subject, data FROM noted
WHERE cites AND about IS NULL AND NOT EXISTS (SELECT 1 FROM noted AS other WHERE other.about = noted.position)
"""
"""Events with quotations that are about no other event and that no other event is about: most events of most logs."""
_INVOLVED = """
WITH RECURSIVE involved(position) AS (
    SELECT position FROM noted WHERE cites
        AND (about IS NOT NULL OR EXISTS (SELECT 1 FROM noted AS other WHERE other.about = noted.position))
    UNION SELECT noted.about FROM involved JOIN noted USING (position) WHERE noted.about IS NOT NULL)
SELECT involved.position,
    ifnull(noted.subject, (SELECT subject FROM noted AS other WHERE other.about = involved.position))
FROM involved LEFT JOIN noted USING (position)
"""
"""All other events that quotations may support, and their subjects."""
_AT_ONCE = 1000


class Evidence:
    """The quotations of a log, after the pass over it."""

    def __init__(self, noted: NotedEvents, texts: Texts) -> None:
        self._noted = noted
        self._texts = texts
        self._counts = dict.fromkeys(Status, 0)

    def check(self, check: Check) -> None:
        """Check every current quotation."""
        db = self._noted.db
        db.execute(_SCHEMA)
        given = self._given()
        while batch := list(islice(given, _AT_ONCE)):
            db.executemany("INSERT INTO cited VALUES (?, ?, ?, ?, ?)", batch)
        db.execute("CREATE INDEX of_document ON cited(document)")
        for (document,) in db.execute("SELECT DISTINCT document FROM cited ORDER BY document").fetchall():
            self._check_document(check, document)
        says = f"{counted(sum(self._counts.values()), 'passage')}: "
        says += ", ".join(f"{count} {status}" for status, count in self._counts.items())
        unknown = ", ".join(str(path) for path in self._texts.unknown_files())
        if unknown:
            check.ended(f"{unknown}: the text of no registered document; {says}", Verdict.INCONCLUSIVE)
        else:
            check.ended(says)

    def _check_document(self, check: Check, document: str) -> None:
        text = self._texts.text(document)
        rows = self._noted.db.execute(
            "SELECT by, subject, place, passage FROM cited WHERE document = ? ORDER BY by, place", (document,)
        )
        for by, subject, place, content in rows:
            passage = orjson.loads(content)
            status = status_of(passage, text)
            self._counts[status] += 1
            if text is not None and status is Status.FAILED and (flaw := flaw_of(passage, text)) is not None:
                at = f"/data/evidence/{place}{flaw.pointer}"
                check.find(Finding(f"{flaw.detail} ({document})", by, subject, at, found=passage.get("exact")))

    def _given(self) -> Iterator[tuple[str, int, str, int, bytes]]:
        """Yield every quotation whose text may be available, and count the others."""
        for by, subject, place, passage in self._passages():
            if self._texts.is_available(passage["document"]):
                yield passage["document"], by, subject, place, orjson.dumps(passage)
            else:
                self._counts[Status.UNVERIFIED] += 1

    def _passages(self) -> Iterator[tuple[int, str, int, dict[str, Any]]]:
        """Yield every current quotation: the position and subject of its event, its index there, and its content."""
        for position, subject, data in self._noted.db.execute(_ALONE):
            for place, passage in enumerate(orjson.loads(data).get("evidence", ())):
                yield position, subject, place, passage
        for position, subject in self._noted.db.execute(_INVOLVED):
            event = self._noted.event(position) or _unnoted(position, subject)
            given = self._noted.corrections(event).supporting_passages(event)
            for (by, place), passage in placed(given).items():
                yield by, subject, place, passage


def _unnoted(position: int, subject: str) -> Event:
    """Return an event that was not noted, as it has no quotations itself."""
    return Event(position, 0, subject, "", "", "", None, None, b"{}", "", "")
