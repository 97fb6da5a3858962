"""The texts of documents, wherever there are any: kept by the audited side, or brought by the auditor. A text is taken
for what it is by its SHA-256 alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from domain.corrections import Event
from service.audit.history import DOCUMENTS, NotedEvents
from service.audit.report import Check, Finding, Verdict, counted

ReadText = Callable[[Event], bytes | None]
"""The text that an event says is stored, as it is kept now; None where it is not."""

_REGISTERED = f"{DOCUMENTS} AND type = 'document.registered'"
_STORED = (
    f"{DOCUMENTS} AND type = 'document.text-stored' AND NOT erased AND NOT EXISTS (SELECT 1 FROM noted AS later WHERE"
    f" {DOCUMENTS.replace('type', 'later.type')} AND later.type = 'document.text-erased'"
    " AND later.subject = noted.subject AND later.position > noted.position) AND source = ?"
)
"""What the log of an origin stored and was not erased later. Texts that other logs stored are not here."""
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Brought:
    """A text that the auditor brings."""

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Brought:
        """The text in a file. Raises OSError."""
        return cls(path, sha256(path.read_bytes()).hexdigest())


class Texts:
    """Texts by document, once a log has gone by."""

    def __init__(self, noted: NotedEvents, origin: str, read: ReadText | None, brought: Iterable[Brought]) -> None:
        """`read` is None where the audited side gives no texts; `origin` is the log's."""
        self._noted = noted
        self._origin = origin
        self._read = read
        self._brought = {each.sha256: each for each in brought}
        self._digests: dict[str, str | None] = {}

    def check(self, check: Check, otherwise: str) -> None:
        """Check that every text that is kept is the one that was stored; `otherwise` says why that cannot be."""
        count = 0
        for event in self._noted.events(_STORED, self._origin):
            count += 1
            if self._read is None:
                continue
            content, stored = self._read(event), str(event.plain.get("sha256"))
            if content is None:
                check.find(Finding("is gone, and nobody had it erased", event.position, event.subject, "text"))
            elif (found := sha256(content).hexdigest()) != stored:
                check.find(
                    Finding("is not the one that was stored", event.position, event.subject, "text", stored, found)
                )
        if count and self._read is None:
            check.ended(f"{counted(count, 'text')} kept, {otherwise}", Verdict.SKIPPED)
        else:
            check.ended(f"{counted(count, 'text')}, by SHA-256" if count else "no texts are kept")

    def strangers(self) -> list[Path]:
        """The files brought that are the text of no document registered."""
        left = dict(self._brought)
        if left:
            for event in self._noted.events(_REGISTERED):
                left.pop(self._said(event) or "", None)
        return [each.path for each in left.values()]

    def is_there(self, document: str) -> bool:
        """Whether there is a text of a document that may be the one registered."""
        digest = self._digest(document)
        return digest is not None and (digest in self._brought or self._stored(document) is not None)

    def text(self, document: str) -> str | None:
        """The text of a document, if there is one of the SHA-256 registered."""
        digest = self._digest(document)
        content = None
        if digest in self._brought:
            content = self._brought[digest].path.read_bytes()
        elif self._read is not None and (event := self._stored(document)) is not None:
            content = self._read(event)
        if content is None or sha256(content).hexdigest() != digest:
            return None
        return content.decode("utf-8", "replace")

    def _stored(self, document: str) -> Event | None:
        if self._read is None:
            return None
        return next(self._noted.events(f"{_STORED} AND subject = ?", self._origin, document), None)

    def _digest(self, document: str) -> str | None:
        """The SHA-256 that is registered of a document."""
        if document not in self._digests:
            if len(self._digests) >= _REMEMBERED:
                self._digests.clear()
            found = [self._said(event) for event in self._noted.events(f"{_REGISTERED} AND subject = ?", document)]
            self._digests[document] = next((digest for digest in reversed(found) if digest is not None), None)
        return self._digests[document]

    def _said(self, event: Event) -> str | None:
        """The SHA-256 that an event registers, as far as it stands."""
        standing = self._noted.standing(event)
        if standing.retracted_by(event) is not None:
            return None
        digest = standing.meaning(event).data.get("sha256")
        return digest if isinstance(digest, str) else None
