"""API keys: who may post, read and administer. Only hashes of keys are ever kept, in a file of their own, so that
another process can make and revoke keys while this one serves. It must never hand out a key's text a second time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe

MAX_NAME = 100


class Scope(StrEnum):
    """What a key allows. `admin` allows the others as well; `post` does not allow reading."""

    POST = "post"
    READ = "read"
    ADMIN = "admin"


class KeyNameTaken(Exception):
    """A key of this name is in use; it is revoked first."""


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
        path.touch(mode=0o600)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS keys (hash BLOB PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL,"
            " created TEXT NOT NULL, revoked TEXT)"
        )
        self._db.execute("CREATE UNIQUE INDEX IF NOT EXISTS keys_in_use ON keys (name) WHERE revoked IS NULL")
        self._known: dict[str, Key] = {}
        self._seen = -1

    def create(self, name: str, scopes: Iterable[str]) -> str:
        """A new key; its text is told here and never again.

        Raises KeyNameTaken, and ValueError for a name that is empty, too long or not printable, or an unknown scope.
        """
        if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
            raise ValueError(f"a name has 1 to {MAX_NAME} printable characters")
        granted = sorted({Scope(scope) for scope in scopes})
        if not granted:
            raise ValueError(f"a key has at least one scope of {', '.join(Scope)}")
        text = f"rk_{token_urlsafe(32)}"
        try:
            self._db.execute(
                "INSERT INTO keys (hash, name, scopes, created) VALUES (?, ?, ?, ?)",
                (_hash(text), name, " ".join(granted), _now()),
            )
        except sqlite3.IntegrityError:
            raise KeyNameTaken(f"a key named {name!r} is in use") from None
        self._known.clear()
        return text

    def revoke(self, name: str) -> bool:
        """Ends the key of this name for good; False where none is in use."""
        done = self._db.execute("UPDATE keys SET revoked = ? WHERE name = ? AND revoked IS NULL", (_now(), name))
        self._known.clear()
        return done.rowcount > 0

    def listed(self) -> list[Key]:
        """All keys ever made, oldest first."""
        rows = self._db.execute("SELECT name, scopes, created, revoked FROM keys ORDER BY created, name").fetchall()
        return [_key(*row) for row in rows]

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


def _key(name: str, scopes: str, created: str, revoked: str | None) -> Key:
    return Key(name, frozenset(Scope(scope) for scope in scopes.split()), created, revoked)


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogateescape")).digest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
