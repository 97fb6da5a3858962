"""Digests of the views as of a position, over their canonical rows.

Two files of views that were folded from the same log give the same canonical rows, whatever the numbers of their rows.
So equal digests show that stored views follow from the log. Nothing is repaired here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from projections import history
from projections.catalogue import LIST_VIEWS

DIGESTS = {**{name: view.digest for name, view in LIST_VIEWS.items()}, "history": history.DIGEST}
"""What each digest covers, by view: what the lists show, and the events as the views store them."""
VIEWS = tuple(DIGESTS)
PARTS = {view: digest.parts for view, digest in DIGESTS.items()}
"""The canonical rows of each view, in this order."""
SCOPES = {view: digest.scope for view, digest in DIGESTS.items()}
"""The scope of a fold that gives the canonical rows of a view."""
AT_ONCE = 100
"""Rows read in one query where others must not wait: a millisecond."""
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Lines:
    """Some canonical rows of a view, each a line of JSON, and the key to continue after; None at the end."""

    lines: list[bytes]
    after: tuple[Any, ...] | None


class Digests:
    """Canonical rows and digests of one file of views, on one connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def some(self, view: str, as_of: int, after: Sequence[Any] | None, limit: int = AT_ONCE) -> Lines:
        """Return at most `limit` rows of a view (one of VIEWS) as of a position, after those before.

        Calls share no state, and events recorded between them do not change the rows.
        """
        index, keys = (after[0], after[1:]) if after else (0, PARTS[view][0].first)
        part = PARTS[view][index]
        values = {f"k{at}": key for at, key in enumerate(keys)}
        rows = self._rows(part.sql, {**values, "as_of": as_of, "limit": limit})
        width, shape = len(part.keys), part.shape
        lines = [orjson.dumps(shape(row[width:]), repr, orjson.OPT_APPEND_NEWLINE) for row in rows]
        if len(rows) == limit:
            return Lines(lines, (index, *rows[-1][:width]))
        return Lines(lines, (index + 1, *PARTS[view][index + 1].first) if index + 1 < len(PARTS[view]) else None)

    def _rows(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.OperationalError:  # tampered text may not decode: the digest must still show it
            self._db.text_factory = _shown
            try:
                return self._db.execute(sql, values).fetchall()
            finally:
                self._db.text_factory = str

    def lines(self, view: str, as_of: int) -> Iterator[bytes]:
        """Yield every canonical row of a view as of a position, in constant memory."""
        for index in range(len(PARTS[view])):
            yield from self.part(view, index, as_of)

    def part(self, view: str, index: int, as_of: int) -> Iterator[bytes]:
        """Yield the canonical rows of one part of a view (see PARTS)."""
        after: tuple[Any, ...] | None = (index, *PARTS[view][index].first)
        while after is not None and after[0] == index:
            found = self.some(view, as_of, after, _CHUNK)
            yield from found.lines
            after = found.after

    def digest(self, view: str, as_of: int) -> str:
        """Return the digest of a view as of a position."""
        digest = sha256()
        for line in self.lines(view, as_of):
            digest.update(line)
        return written(digest.digest())


def written(digest: bytes) -> str:
    """Return a SHA-256 as it is answered."""
    return f"sha256:{digest.hex()}"


def _shown(text: bytes) -> str:
    return text.decode(errors="backslashreplace")
