"""API keys: who may post, read and administer.

Only hashes of keys are stored, in a file of their own, so that another process can create and revoke keys while this
one serves. The text of a key is never shown a second time.
"""

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
    """The right that a key gives. `admin` includes the others; `post` does not include reading."""

    POST = "post"
    READ = "read"
    ADMIN = "admin"


RESERVED = frozenset(("seeds", "import"))
"""Actors under which the registry itself records events."""


class KeyNameTaken(Exception):
    """A key of this name exists or existed. A name is never used again, so that `actor` means one key for ever."""


@dataclass(frozen=True, slots=True)
class Key:
    """A stored key. `name` is the actor of its events; `created` and `revoked` are RFC 3339 instants."""

    name: str
    scopes: frozenset[Scope]
    created: str
    revoked: str | None = None

    def allows(self, scope: Scope) -> bool:
        """Return whether the key has this right."""
        return self.revoked is None and (scope in self.scopes or Scope.ADMIN in self.scopes)


class Keys:
    """The keys in one file, which is created if missing. One thread at a time; any number of processes."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, sqlite3.Error."""
        with suppress(FileExistsError):
            path.touch(mode=FILE_MODE, exist_ok=False)  # SQLite gives its other files the same mode
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS keys (hash BLOB PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL,"
            " created TEXT NOT NULL, revoked TEXT)"
        )
        self._cache: dict[str, Key] = {}
        self._data_version = -1

    def create(self, name: str, scopes: Iterable[str]) -> str:
        """Create a key and return its text, which is not stored.

        Raises KeyNameTaken if a key has or had the name, and ValueError if the name is empty, too long or not
        printable, or a scope is unknown.
        """
        if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
            raise ValueError(f"a name has 1 to {MAX_NAME} printable characters")
        granted = sorted({Scope(scope) for scope in scopes})
        if not granted:
            raise ValueError(f"a key has at least one scope of {', '.join(Scope)}")
        if name in RESERVED:
            raise KeyNameTaken(f"the registry itself records events as {name!r}: give the key another name")
        text = f"rk_{token_urlsafe(32)}"
        inserted = self._db.execute(
            "INSERT INTO keys (hash, name, scopes, created) SELECT ?1, ?2, ?3, ?4"
            " WHERE NOT EXISTS (SELECT 1 FROM keys WHERE name = ?2)",
            (_hash(text), name, " ".join(granted), _now()),
        )
        if inserted.rowcount == 0:
            raise KeyNameTaken(
                f"a key named {name!r} exists, or existed and is revoked. Its events have its name as their actor, so"
                " give this key another name"
            )
        self._cache.clear()
        return text

    def revoke(self, name: str) -> bool:
        """Revoke the key of this name for ever; return False if there is no such key in use."""
        done = self._db.execute("UPDATE keys SET revoked = ? WHERE name = ? AND revoked IS NULL", (_now(), name))
        self._cache.clear()
        return done.rowcount > 0

    def merge(self, other: Path) -> None:
        """Add the keys of another file, and revoke those that are revoked there.

        Raises sqlite3.Error; then nothing has changed.
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
            self._cache.clear()

    def delete(self, text: str) -> None:
        """Delete the key with this text, which nobody has seen, so that its name is free again."""
        self._db.execute("DELETE FROM keys WHERE hash = ?", (_hash(text),))
        self._cache.clear()

    def all(self) -> list[Key]:
        """Return all keys ever created, oldest first."""
        return _all(self._db)

    def verify(self, text: str) -> Key | None:
        """Return the key with this text; None if there is none, or any process has revoked it."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version != self._data_version:
            self._cache.clear()
            self._data_version = version
        key = self._cache.get(text)
        if key is None and (key := self._find(text)) is not None:
            self._cache[text] = key  # only keys that exist: guesses would fill the memory
        return key

    def close(self) -> None:
        self._db.close()

    def _find(self, text: str) -> Key | None:
        with closing(
            self._db.execute(
                "SELECT name, scopes, created, revoked FROM keys WHERE hash = ? AND revoked IS NULL", (_hash(text),)
            )
        ) as found:
            row = found.fetchone()
        return None if row is None else _key(*row)


def read_keys(path: Path) -> list[Key]:
    """Return all keys of a file, oldest first. Nothing is written, also not in its directory. Raises sqlite3.Error."""
    with closing(sqlite3.connect(read_only_uri(path), uri=True)) as db:
        return _all(db)


def _all(db: sqlite3.Connection) -> list[Key]:
    rows = db.execute("SELECT name, scopes, created, revoked FROM keys ORDER BY created, name")
    return [_key(*row) for row in rows]


def _key(name: str, scopes: str, created: str, revoked: str | None) -> Key:
    return Key(name, frozenset(Scope(scope) for scope in scopes.split()), created, revoked)


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogateescape")).digest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
