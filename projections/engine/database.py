"""The SQLite file of the views of a node: its tables, its connections, and the fingerprint of the code that folds.

Everything in it is folded from the log and may be deleted. A row is current from position `system_from` to before
`system_to` (transaction time), and holds from day `valid_from` to before `valid_to` (valid time). This module does not
know the meaning of rows.
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
from projections.engine.tracking import ViewsTracking

CURRENT = 2**47 - 1
"""The `system_to` of current rows: the greatest number that SQLite stores in six bytes; no position comes near it.

In SQL it is a literal. If it were a parameter, SQLite would plan a query again at every call, to see whether a partial
index serves it (measured: 5 times the price of a lookup).
"""

AS_OF = "system_from <= ? AND system_to > ?"
"""In SQL, the condition that a row was current as of a position, which is bound twice."""

SPAN = "CASE WHEN hi - at <= 31 THEN 0 WHEN hi - at <= 400 THEN 1 ELSE 2 END"
"""In SQL, the imprecision of the date of a fact: 0 is some days or no earliest day, 1 some months, 2 longer."""

IMPRECISE = f"upto >= 0 AND (upto <> at OR at = {AFTER})"
"""In SQL, the condition that the date of a subject has several days."""

SIGNING = ", ".join(
    str(CATALOGUE[name].rank)
    for name in ("agreement.adopted", "agreement.signed", "agreement.ratified", "agreement.acceded")
)
"""In SQL, the ranks of the events that create an agreement or consent to be bound by it. It may have many of them."""

UNSURE = "(is_certain = 0 OR final_statuses <> 1 << status)"
"""In SQL, the condition that the claim of a row is only possible: on its days, or without a day."""

_DISSOLVED = ", ".join(str(CATALOGUE[name].rank) for name in ("party.dissolved", "party.re-established"))
DISSOLVED = f"rank IN ({_DISSOLVED})"
"""In SQL, the condition that a fact is a dissolution or re-establishment of a party."""
LIFESPAN_CHANGED = f"system_to <> {CURRENT} AND rank IN ({CATALOGUE['party.registered'].rank}, {_DISSOLVED})"
"""In SQL, the condition that a registration, dissolution or re-establishment of a party is no longer current."""

_SCHEMA = f"""
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE strings(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE subjects(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, last INTEGER NOT NULL,
    holds INTEGER NOT NULL, lifespan BLOB, basis BLOB, force BLOB);
CREATE TABLE events(
    position INTEGER PRIMARY KEY, subject INTEGER NOT NULL, version INTEGER NOT NULL, rank INTEGER NOT NULL,
    recorded TEXT NOT NULL, about INTEGER, source INTEGER NOT NULL, id TEXT NOT NULL, time TEXT, occurred TEXT,
    actor INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX events_about ON events(about, rank) WHERE about IS NOT NULL;
CREATE TABLE disputes(
    id INTEGER PRIMARY KEY, subject INTEGER NOT NULL, about INTEGER NOT NULL, event INTEGER NOT NULL,
    place INTEGER NOT NULL, system_from INTEGER NOT NULL, system_to INTEGER NOT NULL, dated INTEGER NOT NULL,
    claim BLOB NOT NULL);
CREATE INDEX disputes_by_event ON disputes(event) WHERE system_to = {CURRENT};
CREATE INDEX disputes_of_dates ON disputes(about, claim) WHERE system_to = {CURRENT} AND dated;

CREATE TABLE document_texts(
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL, system_from INTEGER NOT NULL, system_to INTEGER NOT NULL,
    sha256 TEXT NOT NULL, characters INTEGER NOT NULL, text TEXT NOT NULL);
CREATE INDEX document_texts_of_document ON document_texts(document);
CREATE TABLE citations(
    document INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, fact INTEGER NOT NULL,
    event INTEGER NOT NULL, place INTEGER NOT NULL, system_from INTEGER NOT NULL, system_to INTEGER NOT NULL,
    PRIMARY KEY (document, start, stop, fact, event, place, system_from)) WITHOUT ROWID;

CREATE TABLE facts(
    id INTEGER PRIMARY KEY, position INTEGER NOT NULL, subject INTEGER NOT NULL, rank INTEGER NOT NULL,
    system_from INTEGER NOT NULL, system_to INTEGER NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL,
    at INTEGER NOT NULL, stated INTEGER NOT NULL, core INTEGER NOT NULL, label TEXT NOT NULL, meaning BLOB);
CREATE INDEX facts_of_event ON facts(position);
CREATE INDEX facts_of_subject ON facts(subject, lo) WHERE system_to = {CURRENT};
CREATE INDEX facts_of_rank ON facts(subject, rank, hi) WHERE system_to = {CURRENT};
CREATE INDEX facts_signing ON facts(subject, rank, at, stated, label)
    WHERE system_to = {CURRENT} AND rank IN ({SIGNING});
CREATE INDEX facts_core ON facts(subject) WHERE system_to = {CURRENT} AND core;
CREATE TABLE tags(
    key INTEGER NOT NULL, subject INTEGER NOT NULL, rank INTEGER NOT NULL, fact INTEGER NOT NULL, at INTEGER NOT NULL,
    hi INTEGER NOT NULL, PRIMARY KEY (key, subject, rank, fact)) WITHOUT ROWID;
CREATE TABLE mergers(
    id INTEGER PRIMARY KEY, loser INTEGER NOT NULL, survivor INTEGER NOT NULL, event INTEGER NOT NULL,
    system_from INTEGER NOT NULL, system_to INTEGER NOT NULL);
CREATE INDEX mergers_of_loser ON mergers(loser);
CREATE INDEX mergers_of_survivor ON mergers(survivor);

CREATE TABLE subject_states(
    id INTEGER PRIMARY KEY, subject INTEGER NOT NULL, collection INTEGER NOT NULL,
    system_from INTEGER NOT NULL, system_to INTEGER NOT NULL, valid_from INTEGER NOT NULL, valid_to INTEGER NOT NULL,
    is_final_period INTEGER NOT NULL, status INTEGER NOT NULL, possible_statuses INTEGER NOT NULL,
    is_certain INTEGER NOT NULL, final_statuses INTEGER NOT NULL, kind TEXT, jurisdiction TEXT, sort TEXT NOT NULL,
    at INTEGER NOT NULL, upto INTEGER NOT NULL, ref INTEGER, name BLOB, body BLOB NOT NULL);
CREATE INDEX subject_states_of_subject ON subject_states(subject, system_to);
CREATE TABLE memberships(
    id INTEGER PRIMARY KEY, container INTEGER NOT NULL, party INTEGER NOT NULL, interval INTEGER NOT NULL,
    system_from INTEGER NOT NULL, system_to INTEGER NOT NULL, valid_from INTEGER NOT NULL, valid_to INTEGER NOT NULL,
    is_final_period INTEGER NOT NULL, status INTEGER NOT NULL, possible_statuses INTEGER NOT NULL,
    is_certain INTEGER NOT NULL, final_statuses INTEGER NOT NULL, force INTEGER NOT NULL,
    source_event INTEGER NOT NULL, at INTEGER NOT NULL, category TEXT,
    role BLOB, container_name TEXT NOT NULL, party_name TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX memberships_of_container ON memberships(container, party, system_to);
CREATE INDEX memberships_unbegun ON memberships(container, party) WHERE system_to = {CURRENT} AND at = {AFTER};
CREATE TABLE list_items(
    id INTEGER PRIMARY KEY, subject INTEGER NOT NULL, section INTEGER NOT NULL, key INTEGER NOT NULL,
    system_from INTEGER NOT NULL, system_to INTEGER NOT NULL, valid_from INTEGER NOT NULL, valid_to INTEGER NOT NULL,
    is_final_period INTEGER NOT NULL, status INTEGER, possible_statuses INTEGER NOT NULL,
    is_certain INTEGER NOT NULL, final_statuses INTEGER NOT NULL,
    kind TEXT, due INTEGER NOT NULL, at INTEGER NOT NULL, label TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX list_items_of_subject ON list_items(subject, section, key, system_to);
CREATE TABLE terms(
    kind TEXT NOT NULL, value TEXT NOT NULL, owner INTEGER NOT NULL, PRIMARY KEY (kind, value, owner)) WITHOUT ROWID;
"""
_QUERY_INDEXES = f"""
CREATE INDEX events_of_subject ON events(subject);
CREATE INDEX events_speaking ON events(subject, rank) WHERE about IS NOT NULL;
CREATE INDEX disputes_of_subject ON disputes(subject, event, place, system_from, system_to);
CREATE INDEX disputes_about ON disputes(about, event, place, system_from, system_to);
CREATE INDEX facts_in_time ON facts(rank, {SPAN}, at, hi, label);
CREATE INDEX facts_by_subject ON facts(subject, at, hi);
CREATE INDEX subject_states_by_name ON subject_states(collection, sort);
CREATE INDEX subject_states_by_kind ON subject_states(collection, kind);
CREATE INDEX subject_states_by_status ON subject_states(
    collection, possible_statuses, final_statuses, valid_to, valid_from, system_to);
CREATE INDEX subject_states_by_date ON subject_states(collection, at);
CREATE INDEX subject_states_imprecise ON subject_states(collection, upto, at) WHERE {IMPRECISE};
CREATE INDEX subject_states_unsure ON subject_states(collection, valid_to, valid_from, system_to) WHERE {UNSURE};
CREATE INDEX subject_states_by_ref ON subject_states(ref) WHERE ref IS NOT NULL;
CREATE INDEX memberships_of_party ON memberships(
    party, container_name, interval, system_to, system_from, valid_from, valid_to, is_final_period,
    possible_statuses, status, container);
CREATE INDEX memberships_in_order ON memberships(container, at, party_name, interval);
CREATE INDEX memberships_as_known ON memberships(container);
CREATE INDEX memberships_by_status ON memberships(possible_statuses, final_statuses, valid_to, valid_from, system_to);
CREATE INDEX memberships_unsure ON memberships(valid_to, valid_from, system_to) WHERE {UNSURE};
CREATE INDEX memberships_by_date ON memberships(at);
CREATE INDEX memberships_by_category ON memberships(category) WHERE category IS NOT NULL;
CREATE INDEX memberships_by_name ON memberships(container, party_name, interval);
CREATE INDEX list_items_in_order ON list_items(subject, section, at, label);
CREATE INDEX list_items_as_known ON list_items(subject, section);
CREATE INDEX list_items_by_label ON list_items(label) WHERE section = 0;
CREATE INDEX list_items_by_status ON list_items(possible_statuses, final_statuses, valid_to, valid_from, system_to)
    WHERE section = 0;
CREATE INDEX list_items_unsure ON list_items(valid_to, valid_from, system_to) WHERE section = 0 AND {UNSURE};
CREATE INDEX list_items_by_kind ON list_items(kind) WHERE section = 0;
CREATE INDEX list_items_by_date ON list_items(at, label) WHERE section = 0;
CREATE INDEX list_items_by_due ON list_items(due, label) WHERE section = 0;
CREATE INDEX tags_in_time ON tags(key, at, hi, fact) WHERE key > 0;
CREATE INDEX terms_of_owner ON terms(owner, kind);
CREATE INDEX facts_dissolved ON facts(system_from) WHERE {DISSOLVED};
CREATE INDEX facts_lifespan_changed ON facts(system_to) WHERE {LIFESPAN_CHANGED};
CREATE INDEX facts_ended ON facts(system_to) WHERE system_to <> {CURRENT};
CREATE INDEX subject_states_ended ON subject_states(system_to) WHERE system_to <> {CURRENT};
CREATE INDEX memberships_ended ON memberships(system_to) WHERE system_to <> {CURRENT};
CREATE INDEX list_items_ended ON list_items(system_to) WHERE system_to <> {CURRENT};
"""
"""The indexes that folding never reads; queries and decisions do."""

_CANONICAL_ROW_INDEXES = (["list_items_in_order"], ["terms_of_owner"])
"""The indexes among these that canonical rows need."""

_SERVED = ("journal_mode = WAL", "synchronous = NORMAL", "wal_autocheckpoint = 16000", "cache_size = -32768")
_BUILDING = ("journal_mode = MEMORY", "synchronous = OFF", "cache_size = -65536")


@overload
def connect(path: Path, *, building: bool = False) -> Buffer: ...


@overload
def connect(path: Path, *, read_only: Literal[True]) -> sqlite3.Connection: ...


def connect(path: Path, *, read_only: bool = False, building: bool = False) -> sqlite3.Connection:
    """Return a connection in autocommit mode, which any one thread at a time may use.

    Writes to a file that is `building` survive neither a crash nor a power cut.
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
    """Return the URI of a file that is only read.

    SQLite creates files beside a database in WAL mode, even to read it. Where it cannot, the file is opened as
    immutable; this is safe without a write-ahead log, as no process can write in that directory.
    """
    is_fixed = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if is_fixed else ''}"


def create(connection: sqlite3.Connection, schemas: Iterable[str], *, building: bool = False) -> None:
    """Create every table in an empty file.

    A file that is `building` has no fingerprint and no indexes for queries until `complete`.
    """
    connection.execute("BEGIN IMMEDIATE")
    _run(connection, _SCHEMA + "".join(schemas) + ("" if building else _QUERY_INDEXES))
    connection.execute("INSERT INTO meta VALUES ('fold', ?)", ("" if building else fold(),))
    ViewsTracking(connection).create_table()
    connection.execute("COMMIT")


def complete(connection: sqlite3.Connection, fill: Callable[[], None]) -> None:
    """Complete a file that was `building`: add the indexes for queries, then the fingerprint.

    `fill` adds the rows that need these indexes. To index all rows at once takes a tenth of the time of one by one.
    """
    connection.execute("PRAGMA temp_store = FILE")  # the rows to sort may be larger than memory
    connection.execute("BEGIN IMMEDIATE")
    _run(connection, _QUERY_INDEXES)
    fill()
    connection.execute("UPDATE meta SET value = ? WHERE name = 'fold'", (fold(),))
    connection.execute("COMMIT")
    for setting in (*_SERVED, "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {setting}")


def complete_canonical_rows(connection: sqlite3.Connection) -> None:
    """Add to a file that is `building` only the indexes that canonical rows need (see `projections.digests`)."""
    connection.execute("PRAGMA temp_store = FILE")
    _run(
        connection,
        ";\n".join(each for each in _QUERY_INDEXES.split(";\n") if each.split()[2:3] in _CANONICAL_ROW_INDEXES),
    )


def _run(connection: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";\n"):
        if statement.strip():
            connection.execute(statement)


def is_empty(connection: sqlite3.Connection) -> bool:
    """Return whether the file has no tables yet."""
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


@lru_cache(maxsize=1)
def fold() -> str:
    """Return the fingerprint of the code that folds, 16 hexadecimal digits.

    It is a SHA-256 over the sources of `domain` and `projections` and the versions of the dictionaries for texts.
    """
    digest = hashlib.sha256()
    for dictionary in (unidata_version, version("opencc"), version("pypinyin")):
        digest.update(dictionary.encode() + b"\0")
    for package in (domain, projections):
        for folder in package.__path__:
            for source in sorted(Path(folder).rglob("*.py")):
                digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def first_after(db: sqlite3.Connection, table: str, position: int, least: int | None = None) -> int:
    """Return the id of the first row of a table that was recorded after a position; ids ascend with positions.

    The search goes down from the last row or, if `least` is given as a lower bound of the id, up from there. It is fast
    near its start.
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
    (since,) = db.execute(f"SELECT system_from FROM {table} WHERE id >= ? LIMIT 1", (id_,)).fetchone()
    return int(since)
