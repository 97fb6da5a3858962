"""The texts of documents, from the audited registry or from the auditor. Its SHA-256 alone identifies a text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from domain.corrections import Event
from service.audit.history import DOCUMENTS, NotedEvents
from service.audit.report import Check, Finding, Verdict, counted

ReadText = Callable[[Event], bytes | None]
"""Returns the present text of an event that stored one; None if it is missing."""

_REGISTERED = f"{DOCUMENTS} AND type = 'document.registered'"
_STORED = (
    f"{DOCUMENTS} AND type = 'document.text-stored' AND NOT erased AND NOT EXISTS (SELECT 1 FROM noted AS later WHERE"
    f" {DOCUMENTS.replace('type', 'later.type')} AND later.type = 'document.text-erased'"
    " AND later.subject = noted.subject AND later.position > noted.position) AND source = ?"
)
"""Texts that the log of an origin stored and did not erase. A log does not hold texts that other logs stored."""
_CACHED = 10_000
"""Documents whose SHA-256 and stored text are cached: most quotations of a log are from a few documents."""


@dataclass(frozen=True, slots=True)
class AuditorText:
    """A text that the auditor gives."""

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path) -> AuditorText:
        """Return the text in a file. Raises OSError."""
        return cls(path, sha256(path.read_bytes()).hexdigest())


class Texts:
    """Texts by document, after the pass over the log."""

    def __init__(self, noted: NotedEvents, origin: str, read: ReadText | None, given: Iterable[AuditorText]) -> None:
        """`read` is None if the audited registry gives no texts; `origin` is the log's."""
        self._noted = noted
        self._origin = origin
        self._read = read
        self._given = {each.sha256: each for each in given}
        self._digest = lru_cache(maxsize=_CACHED)(self._find_digest)
        self._stored = lru_cache(maxsize=_CACHED)(self._find_stored)

    def check(self, check: Check, otherwise: str) -> None:
        """Check that every stored text is unchanged. `otherwise` says why texts are not available."""
        count = 0
        for event in self._noted.events(_STORED, self._origin):
            count += 1
            if self._read is None:
                continue
            content, stored = self._read(event), str(event.plain.get("sha256"))
            if content is None:
                check.find(Finding("is missing, and no event erased it", event.position, event.subject, "text"))
            elif (found := sha256(content).hexdigest()) != stored:
                check.find(Finding("is not the stored text", event.position, event.subject, "text", stored, found))
        if count and self._read is None:
            check.ended(f"{counted(count, 'text')} stored, {otherwise}", Verdict.SKIPPED)
        else:
            check.ended(f"{counted(count, 'text')}, by SHA-256" if count else "no texts are stored")

    def unknown_files(self) -> list[Path]:
        """Return the auditor's files that are the text of no registered document."""
        left = dict(self._given)
        if left:
            for event in self._noted.events(_REGISTERED):
                left.pop(self._registered(event) or "", None)
        return [each.path for each in left.values()]

    def is_available(self, document: str) -> bool:
        """Return whether a text of a document may be available."""
        digest = self._digest(document)
        return digest is not None and (digest in self._given or self._stored(document) is not None)

    def text(self, document: str) -> str | None:
        """Return the text of a document with the registered SHA-256, or None."""
        digest = self._digest(document)
        content = None
        if digest in self._given:
            content = self._given[digest].path.read_bytes()
        elif self._read is not None and (event := self._stored(document)) is not None:
            content = self._read(event)
        if content is None or sha256(content).hexdigest() != digest:
            return None
        return content.decode("utf-8", "replace")

    def _find_stored(self, document: str) -> Event | None:
        """Return the event that stored the present text of a document; None if there is none to read."""
        if self._read is None:
            return None
        return next(self._noted.events(f"{_STORED} AND subject = ?", self._origin, document), None)

    def _find_digest(self, document: str) -> str | None:
        """Return the registered SHA-256 of a document, or None."""
        found = [self._registered(event) for event in self._noted.events(f"{_REGISTERED} AND subject = ?", document)]
        return next((digest for digest in reversed(found) if digest is not None), None)

    def _registered(self, event: Event) -> str | None:
        """Return the SHA-256 that an event registers, after corrections; None if the event is retracted."""
        corrections = self._noted.corrections(event)
        if corrections.retracted_by(event) is not None:
            return None
        digest = corrections.effective_event(event).data.get("sha256")
        return digest if isinstance(digest, str) else None
