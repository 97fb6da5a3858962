"""What an audit has to know of many events that fit each by itself and follow one another, as nearly all events do: all
that comes after is said of this, and the events themselves are looked at again only where it does not fit."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import cached_property, partial
from hashlib import sha256
from typing import Any, NamedTuple

from domain.merkle import HASH_BYTES, leaf_hash
from domain.values import MAX_INTEGER
from service.audit.columns import Columns, columns_of
from service.audit.event_checks import Forms, flaws, invalid
from service.audit.event_rows import Row
from service.audit.history import noted_of


class Wanted(NamedTuple):
    """What is to be told of events beside what every audit needs."""

    evidence: bool
    """Those that only cite documents."""
    rules: bool
    """Whether their data is what their types have."""


class Plain(NamedTuple):
    """Events of which each fits by itself, and of which only the first can fail to follow the one before."""

    first: int
    """The position of the first."""
    events: int
    recorded: tuple[str, str]
    """When the first and the last of them were recorded."""
    since: dict[str, int]
    until: dict[str, int]
    """The first and the last version of each subject."""
    ids: list[tuple[str, Sequence[str]]]
    """The ids of each source."""
    erased: int
    """How many have lost their data."""
    noted: list[Row]
    """Those that later ones may depend on."""
    are_valid: bool
    """Whether the data of each is what its type has, where that was wanted."""
    hashes: bytes
    """The leaf hash of each, one after the other."""


class Batch:
    """Some of the events, one after the other. `plain` is None where each has to be looked at."""

    def __init__(self, plain: Plain | None, read: Callable[[], list[Row]]) -> None:
        self.plain = plain
        self._read = read

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.rows) if self.plain is None else self.plain.events

    def leaves(self, first: int, count: int) -> list[bytes]:
        """The leaf hashes of some of them."""
        if self.plain is None:
            return [leaf_hash(row.entry) for row in self.rows[first : first + count]]
        hashes = self.plain.hashes
        return [
            hashes[at : at + HASH_BYTES] for at in range(first * HASH_BYTES, (first + count) * HASH_BYTES, HASH_BYTES)
        ]

    @cached_property
    def rows(self) -> list[Row]:
        """The events as they are kept. Raises as reading them does."""
        return self._read()


Batches = Generator[Batch, None, None]
"""Batches in order, and what is needed to look at them, which goes with this."""


class Looking:
    """Looks at one batch after the other, and remembers what it has seen."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._forms = Forms()

    def plain(self, rows: Sequence[Sequence[Any]]) -> Plain | None:
        """What there is to know of events (see `columns_of`); None where each has to be looked at."""
        columns = columns_of(rows)
        if columns is None:
            return None
        versions = _versions(columns)
        if versions is None or any(flaws(Row(*rows[index])) for index in self._forms.suspects(columns)):
            return None
        evidence, rules = self._wanted
        return Plain(
            columns.position[0],
            len(rows),
            (columns.recorded[0], columns.recorded[-1]),
            *versions,
            _ids(columns),
            columns.data.count(b""),
            [Row(*rows[index]) for index in noted_of(columns.type, columns.data, evidence=evidence)],
            rules
            and not any(data and invalid(Row(*row)) is not None for row, data in zip(rows, columns.data, strict=True)),
            b"".join([sha256(b"\x00" + entry).digest() for entry in columns.entry]),
        )


def batches(some: Iterable[list[Row]], wanted: Wanted) -> Batches:
    """Batches of the events that are given, looked at here."""
    looking = Looking(wanted)
    for rows in some:
        yield Batch(looking.plain(rows), partial(list, rows))


def _versions(columns: Columns) -> tuple[dict[str, int], dict[str, int]] | None:
    """The first and the last version of each subject; None where events do not follow one another."""
    first, count = columns.position[0], len(columns.position)
    if columns.position != tuple(range(first, first + count)) or [*columns.recorded] != sorted(columns.recorded):
        return None
    if max(columns.version) > MAX_INTEGER:
        return None
    since: dict[str, int] = {}
    until: dict[str, int] = {}
    known = until.get
    for subject, version in zip(columns.subject, columns.version, strict=True):
        before = known(subject)
        if before is None:
            since[subject] = version
        elif version != before + 1:
            return None
        until[subject] = version
    return since, until


def _ids(columns: Columns) -> list[tuple[str, Sequence[str]]]:
    sources = set(columns.source)
    if len(sources) == 1:
        return [(columns.source[0], columns.id)]
    found: dict[str, list[str]] = {source: [] for source in sources}
    for source, id_ in zip(columns.source, columns.id, strict=True):
        found[source].append(id_)
    return [*found.items()]
