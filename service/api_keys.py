"""API keys: who may post, read and administer. Only hashes of keys are ever kept, in a file of their own, so that
another process can make and revoke keys while this one serves. It must never hand out a key's text a second time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe

from service.data_directory import FILE_MODE, read_only_uri

MAX_NAME = 100


class Scope(StrEnum):
    """What a key allows. `admin` allows the others as well; `post` does not allow reading."""

    POST = "post"
    READ = "read"
    ADMIN = "admin"


RESERVED = frozenset(("seeds", "import"))
"""Names under which the registry itself records events."""


class KeyNameTaken(Exception):
    """A key of this name exists or existed, so that `actor` names one key for ever."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept. `name` is the actor of what it posts; `created` and `revoked` are RFC 3339 instants."""

    name: str
    scopes: frozenset[Scope]
    created: str
    revoked: str | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether it may be used for this."""
        return self.revoked is None and (scope in self.scopes or Scope.ADMIN in self.scopes)


class Keys:
    """The keys in one file, made where it is missing. One thread at a time; any number of processes."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, sqlite3.Error."""
        with suppress(FileExistsError):
            path.touch(mode=FILE_MODE, exist_ok=False)  # SQLite gives its companions the same mode
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS keys (hash BLOB PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL,"
            " created TEXT NOT NULL, revoked TEXT)"
        )
        self._known: dict[str, Key] = {}
        self._seen = -1

    def create(self, name: str, scopes: Iterable[str]) -> str:
        """A new key; its text is told here and never again.

        Raises KeyNameTaken for a name that any key has or had, and ValueError for a name that is empty, too long or not
        printable, or an unknown scope.
        """
        if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
            raise ValueError(f"a name has 1 to {MAX_NAME} printable characters")
        granted = sorted({Scope(scope) for scope in scopes})
        if not granted:
            raise ValueError(f"a key has at least one scope of {', '.join(Scope)}")
        if name in RESERVED:
            raise KeyNameTaken(f"the registry itself records events as {name!r}: give the key another name")
        text = f"rk_{token_urlsafe(32)}"
        made = self._db.execute(
            "INSERT INTO keys (hash, name, scopes, created) SELECT ?1, ?2, ?3, ?4"
            " WHERE NOT EXISTS (SELECT 1 FROM keys WHERE name = ?2)",
            (_hash(text), name, " ".join(granted), _now()),
        )
        if made.rowcount == 0:
            raise KeyNameTaken(
                f"a key named {name!r} is in use, or was and is revoked: what it posted bears its name, so give this"
                " key another"
            )
        self._known.clear()
        return text

    def revoke(self, name: str) -> bool:
        """Ends the key of this name for good; False where none is in use."""
        done = self._db.execute("UPDATE keys SET revoked = ? WHERE name = ? AND revoked IS NULL", (_now(), name))
        self._known.clear()
        return done.rowcount > 0

    def merge(self, other: Path) -> None:
        """Take over the keys that another file has beside these, and revoke those that are revoked there.

        Raises sqlite3.Error; then nothing was taken over.
        """
        self._db.execute("ATTACH ? AS other", (str(other),))
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "UPDATE keys SET revoked = (SELECT revoked FROM other.keys AS theirs WHERE theirs.hash = keys.hash)"
                " WHERE revoked IS NULL AND hash IN (SELECT hash FROM other.keys)"
            )
            self._db.execute("INSERT OR IGNORE INTO keys SELECT * FROM other.keys")
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._db.execute("DETACH other")
            self._known.clear()

    def forget(self, text: str) -> None:
        """Remove the key with this text, which nobody was ever shown, so that its name is free again."""
        self._db.execute("DELETE FROM keys WHERE hash = ?", (_hash(text),))
        self._known.clear()

    def listed(self) -> list[Key]:
        """All keys ever made, oldest first."""
        return _listed(self._db)

    def verify(self, text: str) -> Key | None:
        """The key with this text, unless there is none or it was revoked, be it an instant ago by another process."""
        (seen,) = self._db.execute("PRAGMA data_version").fetchone()
        if seen != self._seen:
            self._known.clear()
            self._seen = seen
        key = self._known.get(text)
        if key is None and (key := self._found(text)) is not None:
            self._known[text] = key  # only those that exist: guesses would fill the memory
        return key

    def close(self) -> None:
        self._db.close()

    def _found(self, text: str) -> Key | None:
        with closing(
            self._db.execute(
                "SELECT name, scopes, created, revoked FROM keys WHERE hash = ? AND revoked IS NULL", (_hash(text),)
            )
        ) as found:
            row = found.fetchone()
        return None if row is None else _key(*row)


def listed(path: Path) -> list[Key]:
    """All keys ever made that a file holds, oldest first. Writes nothing, in its directory neither.

    Raises sqlite3.Error.
    """
    with closing(sqlite3.connect(read_only_uri(path), uri=True)) as db:
        return _listed(db)


def _listed(db: sqlite3.Connection) -> list[Key]:
    rows = db.execute("SELECT name, scopes, created, revoked FROM keys ORDER BY created, name")
    return [_key(*row) for row in rows]


def _key(name: str, scopes: str, created: str, revoked: str | None) -> Key:
    return Key(name, frozenset(Scope(scope) for scope in scopes.split()), created, revoked)


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogateescape")).digest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
