"""Canonical rows: the rows of a view as of a position in JSON, in an order that every fold of the same log gives.

They contain everything that answers are made from: subjects by name, days as dates, but no numbers of rows and no
transaction time. Subjects come in the order of their first events. A row that was tampered with is encoded unchanged. A
day is `YYYY-MM-DD`, null if it is unbounded on the usual side of its column, `..` if it is unbounded on the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from domain.edtf import AFTER, BEFORE, day_text
from domain.event_type import Aggregate
from domain.list_items import STATUS_ORDER
from domain.membership import FOREVER, ORDER_OF_STATUSES
from projections.engine.bitemporal import COLLECTIONS, STATE_TERMS
from projections.engine.item_lists import ItemList
from projections.engine.row_codecs import canonical_membership, decode_subject_state

KNOWN = "{0}.system_from <= :as_of AND {0}.system_to > :as_of"
"""In SQL, that a row of a table was known at the position."""
PERIOD = "t.valid_from, t.valid_to, t.is_final_period, t.status, t.possible_statuses, t.is_certain, t.final_statuses"
"""In SQL, the columns that `period` takes."""
UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""The errors of reading a body that was tampered with."""
_STATE_TERMS = ", ".join(f"'{kind}'" for kind in STATE_TERMS)
_TERM = "json_array(CAST(x.kind AS TEXT), CAST({} AS TEXT))"
_BOOLEANS = {0: False, 1: True}

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one table among the canonical rows of a view.

    `keys` order the rows and name each; they are selected first. `seek` is the condition on `:k0`, `:k1` ... (the keys
    of the last row) by which an index continues. `first` are keys before all others.
    """

    keys: tuple[str, ...]
    columns: str
    source: str
    seek: str
    first: tuple[Any, ...]
    shape: Callable[[Row], dict[str, Any]]
    is_everywhere: bool = False
    """Whether all of it is known wherever some subjects of its view are folded, and not only where its own are."""

    @property
    def sql(self) -> str:
        """The query for the rows after some keys."""
        places = ", ".join(f":k{index}" for index in range(len(self.keys)))
        order = ", ".join(self.keys)
        return (
            f"SELECT {order}, {self.columns} FROM {self.source} AND {self.seek} AND ({order}) > ({places})"
            f" ORDER BY {order} LIMIT :limit"
        )


# values


@lru_cache(maxsize=65536)
def encoded_day(day: Any, unbounded: int = AFTER) -> Any:
    """Return a day as a date; null for `unbounded`, `..` for the other bound."""
    if day == unbounded:
        return None
    if isinstance(day, int) and BEFORE < day < AFTER:
        return day_text(day)
    return ".." if day in (BEFORE, AFTER) else day


@lru_cache(maxsize=4096)
def names_of_bits(bits: Any, order: Sequence[str]) -> Any:
    """Return the statuses of some bits; a value that cannot be such bits is returned unchanged."""
    if not isinstance(bits, int) or not 0 <= bits < 1 << len(order):
        return bits
    return [name for index, name in enumerate(order) if bits >> index & 1]


def name_at(index: Any, order: Sequence[str]) -> Any:
    """Return the name at an index."""
    return order[index] if isinstance(index, int) and 0 <= index < len(order) else index


def encoded_boolean(value: Any) -> Any:
    """Return 0 or 1 as a boolean."""
    return _BOOLEANS.get(value, value)


def stored_json(stored: Any) -> Any:
    """Return stored JSON as a fragment that is written unchanged; None if nothing is stored."""
    return orjson.Fragment(stored) if isinstance(stored, bytes | str) and stored else None


def period(row: Row, order: Sequence[str]) -> dict[str, Any]:
    """Return the period of a row, from `PERIOD`, with its statuses."""
    valid_from, valid_to, is_final_period, status, possible_statuses, is_certain, final_statuses = row
    return {
        "from": encoded_day(valid_from, BEFORE),
        "until": encoded_day(valid_to, FOREVER),
        "last": encoded_boolean(is_final_period),
        "status": name_at(status, order),
        "statuses": names_of_bits(possible_statuses, order),
        "certain": encoded_boolean(is_certain),
        "ever": names_of_bits(final_statuses, order),
    }


def _by_kind(terms: str) -> Any:
    """Return terms by their kind."""
    try:
        pairs = sorted(orjson.loads(terms), key=repr)
    except ValueError:
        return terms
    found: dict[str, list[Any]] = {}
    for kind, value in pairs:
        found.setdefault(kind, []).append(value)
    return found


# tables that several views share


def subject_states(aggregate: Aggregate, *, has_terms: bool) -> Part:
    """Return the states of the subjects of one collection."""
    collection = aggregate.collection
    terms = "NULL"
    if has_terms:
        terms = (
            f"(SELECT json_group_array({_TERM.format('x.value')}) FROM terms x"
            f" WHERE x.owner = t.id AND x.kind IN ({_STATE_TERMS}))"
        )

    def shape(row: Row) -> dict[str, Any]:
        subject, terms, kind, jurisdiction, sort, at, upto, ref, name, body = row[:10]
        return {
            "subject": subject,
            **period(row[10:], aggregate.statuses),
            "kind": kind,
            "jurisdiction": jurisdiction,
            "sorted_as": sort,
            "earliest": encoded_day(at),
            "latest": "none" if upto == -1 else encoded_day(upto),
            "refers_to": ref,
            **({"terms": _by_kind(terms)} if has_terms else {}),
            "name": stored_json(name),
            "body": _state_body(body, aggregate.name_field, name),
        }

    return Part(
        ("s.id", "t.valid_from", "t.id"),
        f"s.name, {terms}, t.kind, t.jurisdiction, t.sort, t.at, t.upto, ifnull(r.name, t.ref), t.name, t.body,"
        f" {PERIOD}",
        "subjects s CROSS JOIN subject_states t INDEXED BY subject_states_of_subject ON t.subject = s.id"
        f" LEFT JOIN subjects r ON r.id = t.ref WHERE +s.name > '{collection}/' AND +s.name < '{collection}0'"
        f" AND t.collection = {COLLECTIONS.index(collection)} AND {KNOWN.format('t')}",
        "s.id >= :k0",
        (-1, -1, -1),
        shape,
    )


def _state_body(stored: Any, named: str, name: Any) -> Any:
    """Return the body of a subject state, in full."""
    try:
        fields, events = decode_subject_state(stored, named, name)
    except UNREADABLE:
        return stored_json(stored)
    return {"fields": fields, "events": events}


def list_items(lists: Sequence[ItemList]) -> Part:
    """Return the items of some lists inside states."""
    names: Mapping[Any, str] = {each.number: each.name for each in lists}
    texts = ", ".join(f"'{each.terms.kind}'" for each in lists if each.terms and not each.terms.are_subjects)
    value = f"CASE WHEN x.kind IN ({texts}) THEN x.value ELSE (SELECT name FROM subjects WHERE id = x.value) END"

    def shape(row: Row) -> dict[str, Any]:
        subject, section, key, terms, kind, due, at, label, body = row[:9]
        return {
            "subject": subject,
            "section": names.get(section, section),
            "entry": key,
            **period(row[9:], STATUS_ORDER),
            "kind": kind,
            "due": encoded_day(due),
            "earliest": encoded_day(at),
            "label": label,
            "terms": _by_kind(terms),
            "body": stored_json(body),
        }

    return Part(
        ("t.subject", "t.section", "t.at", "t.label", "w.text", "t.valid_from", "t.id"),
        f"s.name, t.section, w.text, (SELECT json_group_array({_TERM.format(value)}) FROM terms x"
        f" WHERE x.owner = t.id AND x.kind NOT IN ({_STATE_TERMS})),"
        f" t.kind, t.due, t.at, t.label, t.body, {PERIOD}",
        "list_items t INDEXED BY list_items_in_order CROSS JOIN strings w ON w.id = t.key CROSS JOIN subjects s"
        f" ON s.id = t.subject WHERE t.section IN ({', '.join(map(str, names))}) AND {KNOWN.format('t')}",
        "(t.subject, t.section, t.at, t.label) >= (:k0, :k1, :k2, :k3)",
        (-1, -1, -1, "", "", -1, -1),
        shape,
    )


_FORCE = ("in-force", "suspended", "neither")


def _membership(row: Row) -> dict[str, Any]:
    container, party, interval, force, source_event, at, category, label, role, body = row[:10]
    return {
        "party": party,
        "in": container,
        "interval": interval,
        **period(row[10:], ORDER_OF_STATUSES),
        "may_be": names_of_bits(force, _FORCE),
        "borne_by": source_event,
        "earliest": encoded_day(at),
        "category": category,
        "label": label,
        "body": _membership_body(body, role),
    }


def _membership_body(stored: Any, role: Any) -> Any:
    """Return the body of a membership, in full."""
    try:
        return canonical_membership(stored, role)
    except UNREADABLE:
        return stored_json(stored)


_MEMBERSHIP_COLUMNS = (
    "s.name, m.name, t.interval, t.force, t.source_event, t.at, t.category, t.container_name || ' ' || t.party_name"
    f" || printf(' %04d', t.interval), t.role, t.body, {PERIOD}"
)
OF_NO_PARTY = "{} NOT BETWEEN 'parties/' AND 'parties0'"
"""In SQL, that a subject with memberships is no party: memberships in parties are those of their owners."""

MEMBERSHIP_ROWS = Part(
    ("t.container", "t.party", "t.interval", "t.valid_from", "t.id"),
    _MEMBERSHIP_COLUMNS,
    "memberships t INDEXED BY memberships_of_container CROSS JOIN subjects s ON s.id = t.container"
    f" CROSS JOIN subjects m ON m.id = t.party WHERE {KNOWN.format('t')} AND {OF_NO_PARTY.format('s.name')}",
    "(t.container, t.party) >= (:k0, :k1)",
    (-1, -1, -1, -1, -1),
    _membership,
)
OWNER_ROWS = Part(
    ("s.id", "t.party", "t.interval", "t.valid_from", "t.id"),
    _MEMBERSHIP_COLUMNS,
    "subjects s CROSS JOIN memberships t INDEXED BY memberships_of_container ON t.container = s.id"
    f" CROSS JOIN subjects m ON m.id = t.party WHERE {KNOWN.format('t')}"
    " AND +s.name > 'parties/' AND +s.name < 'parties0'",
    "s.id >= :k0",
    (-1, -1, -1, -1, -1),
    _membership,
)
"""The owners of parties."""
