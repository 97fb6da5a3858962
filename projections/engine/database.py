"""The SQLite file that a node's views live in: its tables, its connections, its fingerprint.

Everything in it is folded from the log and may be deleted. A row is a rectangle: known from position `p0` to before
`p1`, true in the world from day `d0` to before `d1`. Nothing here knows what the rows mean.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal, overload
from unicodedata import unidata_version

import domain
import projections
from domain.catalogue import CATALOGUE
from domain.edtf import AFTER
from projections.engine.buffer import Buffer

CURRENT = 2**47 - 1
"""The `p1` of what is still known: the most that SQLite keeps in six bytes, and no position ever comes near it.

In SQL it stands as a literal: compared with a parameter, SQLite must plan a query anew at every call to see whether a
partial index serves it (measured: 5 times the price of a lookup).
"""

SPAN = "CASE WHEN hi - at <= 31 THEN 0 WHEN hi - at <= 400 THEN 1 ELSE 2 END"
"""In SQL, how imprecise a fact's date is: some days, some months, or longer; without an earliest day, the first."""

IMPRECISE = f"upto >= 0 AND (upto <> at OR at = {AFTER})"
"""In SQL, that a thing has a date, and not just one day: `at` is then no bound of it (see `domain.edtf`)."""

SIGNING = ", ".join(
    str(CATALOGUE[name].rank)
    for name in ("agreement.adopted", "agreement.signed", "agreement.ratified", "agreement.acceded")
)
"""The ranks of the events that make an agreement or consent to be bound by it, of which it may have many, in SQL."""

UNSURE = "(certain = 0 OR ever <> 1 << status)"
"""In SQL, that what a row claims is not certain, on its days or whenever."""

_DISSOLVED = CATALOGUE["party.dissolved"].rank
DISSOLVED = f"rank = {_DISSOLVED}"
"""In SQL, that a fact is about the end of a party."""
LIFE_ENDED = f"p1 <> {CURRENT} AND rank IN ({CATALOGUE['party.registered'].rank}, {_DISSOLVED})"
"""In SQL, that a fact about the beginning or the end of a party is no longer believed."""

_SCHEMA = f"""
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE words(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE subjects(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, last INTEGER NOT NULL,
    holds INTEGER NOT NULL, life BLOB, basis BLOB, force BLOB);
CREATE TABLE events(
    position INTEGER PRIMARY KEY, subject INTEGER NOT NULL, version INTEGER NOT NULL, rank INTEGER NOT NULL,
    recorded TEXT NOT NULL, about INTEGER, source INTEGER NOT NULL, id TEXT NOT NULL, time TEXT, occurred TEXT,
    actor INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX events_about ON events(about, rank) WHERE about IS NOT NULL;
CREATE TABLE disputes(
    id INTEGER PRIMARY KEY, subject INTEGER NOT NULL, about INTEGER NOT NULL, event INTEGER NOT NULL,
    place INTEGER NOT NULL, p0 INTEGER NOT NULL, p1 INTEGER NOT NULL, dated INTEGER NOT NULL, claim BLOB NOT NULL);
CREATE INDEX disputes_by_event ON disputes(event) WHERE p1 = {CURRENT};
CREATE INDEX disputes_of_dates ON disputes(about, claim) WHERE p1 = {CURRENT} AND dated;

CREATE TABLE held(
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL, p0 INTEGER NOT NULL, p1 INTEGER NOT NULL, sha256 TEXT NOT NULL,
    characters INTEGER NOT NULL, text TEXT NOT NULL);
CREATE INDEX held_of_document ON held(document);
CREATE TABLE cited(
    document INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, fact INTEGER NOT NULL,
    event INTEGER NOT NULL, place INTEGER NOT NULL, p0 INTEGER NOT NULL, p1 INTEGER NOT NULL,
    PRIMARY KEY (document, start, stop, fact, event, place, p0)) WITHOUT ROWID;

CREATE TABLE facts(
    id INTEGER PRIMARY KEY, position INTEGER NOT NULL, subject INTEGER NOT NULL, rank INTEGER NOT NULL,
    p0 INTEGER NOT NULL, p1 INTEGER NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL, at INTEGER NOT NULL,
    stated INTEGER NOT NULL, core INTEGER NOT NULL, label TEXT NOT NULL, meaning BLOB);
CREATE INDEX facts_of_event ON facts(position);
CREATE INDEX facts_of_subject ON facts(subject, lo) WHERE p1 = {CURRENT};
CREATE INDEX facts_of_rank ON facts(subject, rank, hi) WHERE p1 = {CURRENT};
CREATE INDEX facts_signing ON facts(subject, rank, at, stated, label) WHERE p1 = {CURRENT} AND rank IN ({SIGNING});
CREATE INDEX facts_core ON facts(subject) WHERE p1 = {CURRENT} AND core;
CREATE TABLE links(
    key INTEGER NOT NULL, subject INTEGER NOT NULL, rank INTEGER NOT NULL, fact INTEGER NOT NULL, at INTEGER NOT NULL,
    hi INTEGER NOT NULL, PRIMARY KEY (key, subject, rank, fact)) WITHOUT ROWID;
CREATE TABLE mergers(
    id INTEGER PRIMARY KEY, loser INTEGER NOT NULL, survivor INTEGER NOT NULL, event INTEGER NOT NULL,
    p0 INTEGER NOT NULL, p1 INTEGER NOT NULL);
CREATE INDEX mergers_of_loser ON mergers(loser);
CREATE INDEX mergers_of_survivor ON mergers(survivor);

CREATE TABLE things(
    id INTEGER PRIMARY KEY, subject INTEGER NOT NULL, collection INTEGER NOT NULL,
    p0 INTEGER NOT NULL, p1 INTEGER NOT NULL, d0 INTEGER NOT NULL, d1 INTEGER NOT NULL, last INTEGER NOT NULL,
    status INTEGER NOT NULL, mask INTEGER NOT NULL, certain INTEGER NOT NULL, ever INTEGER NOT NULL,
    kind TEXT, jurisdiction TEXT, sort TEXT NOT NULL, at INTEGER NOT NULL, upto INTEGER NOT NULL, ref INTEGER,
    name BLOB, body BLOB NOT NULL);
CREATE INDEX things_of_subject ON things(subject, p1);
CREATE TABLE ties(
    id INTEGER PRIMARY KEY, container INTEGER NOT NULL, party INTEGER NOT NULL, interval INTEGER NOT NULL,
    p0 INTEGER NOT NULL, p1 INTEGER NOT NULL, d0 INTEGER NOT NULL, d1 INTEGER NOT NULL, last INTEGER NOT NULL,
    status INTEGER NOT NULL, mask INTEGER NOT NULL, certain INTEGER NOT NULL, ever INTEGER NOT NULL,
    force INTEGER NOT NULL, bearer INTEGER NOT NULL, at INTEGER NOT NULL, category TEXT,
    role BLOB, container_name TEXT NOT NULL, party_name TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX ties_of_container ON ties(container, party, p1);
CREATE INDEX ties_unbegun ON ties(container, party) WHERE p1 = {CURRENT} AND at = {AFTER};
CREATE TABLE entries(
    id INTEGER PRIMARY KEY, subject INTEGER NOT NULL, section INTEGER NOT NULL, key INTEGER NOT NULL,
    p0 INTEGER NOT NULL, p1 INTEGER NOT NULL, d0 INTEGER NOT NULL, d1 INTEGER NOT NULL, last INTEGER NOT NULL,
    status INTEGER, mask INTEGER NOT NULL, certain INTEGER NOT NULL, ever INTEGER NOT NULL,
    kind TEXT, due INTEGER NOT NULL, at INTEGER NOT NULL, label TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX entries_of_subject ON entries(subject, section, key, p1);
CREATE TABLE terms(
    kind INTEGER NOT NULL, value TEXT NOT NULL, owner INTEGER NOT NULL, PRIMARY KEY (kind, value, owner)) WITHOUT ROWID;
"""
_ASKED = f"""
CREATE INDEX events_of_subject ON events(subject);
CREATE INDEX events_speaking ON events(subject, rank) WHERE about IS NOT NULL;
CREATE INDEX disputes_of_subject ON disputes(subject, event, place, p0, p1);
CREATE INDEX disputes_about ON disputes(about, event, place, p0, p1);
CREATE INDEX facts_in_time ON facts(rank, {SPAN}, at, hi, label);
CREATE INDEX facts_by_subject ON facts(subject, at, hi);
CREATE INDEX things_by_name ON things(collection, sort);
CREATE INDEX things_by_kind ON things(collection, kind);
CREATE INDEX things_by_status ON things(collection, mask, ever, d1, d0, p1);
CREATE INDEX things_by_date ON things(collection, at);
CREATE INDEX things_imprecise ON things(collection, upto, at) WHERE {IMPRECISE};
CREATE INDEX things_unsure ON things(collection, d1, d0, p1) WHERE {UNSURE};
CREATE INDEX things_by_ref ON things(ref) WHERE ref IS NOT NULL;
CREATE INDEX ties_of_party ON ties(
    party, container_name, interval, p1, p0, d0, d1, last, mask, status, container);
CREATE INDEX ties_in_order ON ties(container, at, party_name, interval);
CREATE INDEX ties_as_known ON ties(container);
CREATE INDEX ties_by_status ON ties(mask, ever, d1, d0, p1);
CREATE INDEX ties_unsure ON ties(d1, d0, p1) WHERE {UNSURE};
CREATE INDEX ties_by_date ON ties(at);
CREATE INDEX ties_by_category ON ties(category) WHERE category IS NOT NULL;
CREATE INDEX ties_by_name ON ties(container, party_name, interval);
CREATE INDEX entries_in_order ON entries(subject, section, at, label);
CREATE INDEX entries_as_known ON entries(subject, section);
CREATE INDEX entries_by_label ON entries(label) WHERE section = 0;
CREATE INDEX entries_by_status ON entries(mask, ever, d1, d0, p1) WHERE section = 0;
CREATE INDEX entries_unsure ON entries(d1, d0, p1) WHERE section = 0 AND {UNSURE};
CREATE INDEX entries_by_kind ON entries(kind) WHERE section = 0;
CREATE INDEX entries_by_date ON entries(at, label) WHERE section = 0;
CREATE INDEX entries_by_due ON entries(due, label) WHERE section = 0;
CREATE INDEX links_in_time ON links(key, at, hi, fact) WHERE key > 0;
CREATE INDEX terms_of_owner ON terms(owner, kind);
CREATE INDEX facts_dissolved ON facts(p0) WHERE {DISSOLVED};
CREATE INDEX facts_life_ended ON facts(p1) WHERE {LIFE_ENDED};
CREATE INDEX facts_ended ON facts(p1) WHERE p1 <> {CURRENT};
CREATE INDEX things_ended ON things(p1) WHERE p1 <> {CURRENT};
CREATE INDEX ties_ended ON ties(p1) WHERE p1 <> {CURRENT};
CREATE INDEX entries_ended ON entries(p1) WHERE p1 <> {CURRENT};
"""
"""The indexes that folding never reads: questions do, and judging what is posted."""

_OF_LINES = (["entries_in_order"], ["terms_of_owner"])
"""Those of them that lines are read by."""

_SERVED = ("journal_mode = WAL", "synchronous = NORMAL", "wal_autocheckpoint = 16000", "cache_size = -32768")
_BUILDING = ("journal_mode = MEMORY", "synchronous = OFF", "cache_size = -65536")


@overload
def connect(path: Path, *, building: bool = False) -> Buffer: ...


@overload
def connect(path: Path, *, read_only: Literal[True]) -> sqlite3.Connection: ...


def connect(path: Path, *, read_only: bool = False, building: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode, usable from any one thread at a time.

    What it writes to a file that is still `building` survives neither a crash nor a power cut.
    """
    if read_only:
        connection = sqlite3.connect(
            _read_only_uri(path), uri=True, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        connection.execute("PRAGMA query_only = 1")
        connection.execute("PRAGMA cache_size = -8192")
    else:
        with suppress(FileExistsError):
            path.touch(mode=0o600, exist_ok=False)  # SQLite gives its companions the same mode
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=512, factory=Buffer
        )
        connection.execute("PRAGMA page_size = 8192")
        for setting in _BUILDING if building else _SERVED:
            connection.execute(f"PRAGMA {setting}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA busy_timeout = 10000")
    return connection


def _read_only_uri(path: Path) -> str:
    """The address of a file that is only read.

    SQLite makes files beside a database in WAL mode, even to read it. Where it cannot, the file is read without them;
    that is safe while there is no write-ahead log, as nobody writes in that directory.
    """
    is_fixed = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if is_fixed else ''}"


def create(connection: sqlite3.Connection, schemas: Iterable[str], *, building: bool = False) -> None:
    """Make every table in an empty file; of one that is `building` no code may take itself for the one that folded it,
    nor ask it anything, before `complete`."""
    connection.execute("BEGIN IMMEDIATE")
    _run(connection, _SCHEMA + "".join(schemas) + ("" if building else _ASKED))
    connection.execute("INSERT INTO meta VALUES ('fold', ?), ('position', '0')", ("" if building else fold(),))
    connection.execute("COMMIT")


def complete(connection: sqlite3.Connection, fill: Callable[[], None]) -> None:
    """Make a file that was `building` what any other is; `fill` adds what is made with the help of the indexes. All its
    rows at once, sorted, are put into an index in a tenth of the time that one after the other takes."""
    connection.execute("PRAGMA temp_store = FILE")  # what is sorted may be larger than memory
    connection.execute("BEGIN IMMEDIATE")
    _run(connection, _ASKED)
    fill()
    connection.execute("UPDATE meta SET value = ? WHERE name = 'fold'", (fold(),))
    connection.execute("COMMIT")
    for setting in (*_SERVED, "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {setting}")


def complete_lines(connection: sqlite3.Connection) -> None:
    """Make of a file that is `building` one that can tell its lines (see `projections.canonical_rows`), and no more."""
    connection.execute("PRAGMA temp_store = FILE")
    _run(connection, ";\n".join(each for each in _ASKED.split(";\n") if each.split()[2:3] in _OF_LINES))


def _run(connection: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";\n"):
        if statement.strip():
            connection.execute(statement)


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether the file has no tables yet."""
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


@lru_cache(maxsize=1)
def fold() -> str:
    """The fingerprint of the code that folds: SHA-256 over its sources and the versions of the dictionaries it indexes
    texts by, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for dictionary in (unidata_version, version("opencc"), version("pypinyin")):
        digest.update(dictionary.encode() + b"\0")
    for package in (domain, projections):
        for folder in package.__path__:
            for source in sorted(Path(folder).rglob("*.py")):
                digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def first_after(db: sqlite3.Connection, table: str, position: int, least: int | None = None) -> int:
    """The id of the first row of a table not yet known at a position: ids ascend as rows come to be known.

    It is looked for from the end down or, where it is no less than an id, from that on up; near there it is found soon.
    """
    (last,) = db.execute(f"SELECT max(id) FROM {table}").fetchone()
    low, high, step = least or 1, (last or 0) + 1, 64
    if least is not None:
        while low + step < high and _since(db, table, low + step) <= position:
            low, step = low + step + 1, step * 4
        high = min(high, low + step)
    while least is None and high - step > low:
        if _since(db, table, high - step) <= position:
            low = high - step + 1
            break
        high, step = high - step, step * 4
    while low < high:
        middle = (low + high) // 2
        if _since(db, table, middle) <= position:
            low = middle + 1
        else:
            high = middle
    return low


def _since(db: sqlite3.Connection, table: str, id_: int) -> int:
    (since,) = db.execute(f"SELECT p0 FROM {table} WHERE id >= ? LIMIT 1", (id_,)).fetchone()
    return int(since)
