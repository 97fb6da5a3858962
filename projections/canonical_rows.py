"""The lines that the views amount to as of a position: which rows of which tables, in which order, and how each row is
said in JSON. Only what is stored is said, and all of it that answers are made from: subjects by name and days as dates,
no numbers of rows and no positions between which a row was known.

The order is one that any fold of the same log gives: subjects are numbered in the order of their first events. A row
that was tampered with is said as it stands. A day is `YYYY-MM-DD`, null where it is unbounded on the side that the
column looks to, `..` on the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

from domain.edtf import AFTER, BEFORE, day_text
from domain.list_items import STATUS_ORDER
from domain.membership import FOREVER, ORDER_OF_STATUSES
from domain.subject_state import STATUSES
from projections.engine.bitemporal import COLLECTIONS, SECTIONS, STATE_TERMS
from projections.engine.event_index import KINDS
from projections.engine.row_codecs import NAMED, read_thing, spell_tie

_SECTIONS_OF = {
    "parties": ("other_names", "identifiers"),
    "agreements": ("declarations", "amendments"),
    "labs": ("phases", "calls"),
    "platforms": ("supporters", "documents"),
    "documents": (),
    "commitments": ("commitments",),
}
_FORCE = ("in-force", "suspended", "neither")
_STATE_TERMS = ", ".join(f"'{kind}'" for kind in STATE_TERMS)
_TERM = "json_array(CAST(x.kind AS TEXT), CAST({} AS TEXT))"
_TRUTH = {0: False, 1: True}
_UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""What comes of reading a body that was tampered with."""
_KNOWN = "{0}.system_from <= :as_of AND {0}.system_to > :as_of"

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one table among the lines of a view.

    `keys` order them and name each; they are selected first. `seek` is the condition on `:k0`, `:k1` ... (the keys of
    the last line) by which an index finds where to go on, `first` are keys before all others.
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
        """The query for the lines after some keys."""
        places = ", ".join(f":k{index}" for index in range(len(self.keys)))
        order = ", ".join(self.keys)
        return (
            f"SELECT {order}, {self.columns} FROM {self.source} AND {self.seek} AND ({order}) > ({places})"
            f" ORDER BY {order} LIMIT :limit"
        )


@lru_cache(maxsize=65536)
def _day(day: Any, unbounded: int = AFTER) -> Any:
    if day == unbounded:
        return None
    if isinstance(day, int) and BEFORE < day < AFTER:
        return day_text(day)
    return ".." if day in (BEFORE, AFTER) else day


@lru_cache(maxsize=4096)
def _marked(mask: Any, order: Sequence[str]) -> Any:
    """The names of a mask's bits."""
    if not isinstance(mask, int) or not 0 <= mask < 1 << len(order):
        return mask
    return [name for index, name in enumerate(order) if mask >> index & 1]


def _named(index: Any, order: Sequence[str]) -> Any:
    return order[index] if isinstance(index, int) and 0 <= index < len(order) else index


def _plain(stored: Any) -> Any:
    """JSON as it is stored."""
    return orjson.Fragment(stored) if isinstance(stored, bytes | str) and stored else None


def _thing(stored: Any, named: str, name: Any) -> Any:
    """The body of a thing, in full."""
    try:
        fields, events = read_thing(stored, named, name)
    except _UNREADABLE:
        return _plain(stored)
    return {"fields": fields, "events": events}


def _tied(stored: Any, role: Any) -> Any:
    """The body of a tie, in full."""
    try:
        return spell_tie(stored, role)
    except _UNREADABLE:
        return _plain(stored)


def _listed(terms: str) -> Any:
    try:
        pairs = sorted(orjson.loads(terms), key=repr)
    except ValueError:
        return terms
    found: dict[str, list[Any]] = {}
    for kind, value in pairs:
        found.setdefault(kind, []).append(value)
    return found


def _days(row: Row, order: Sequence[str]) -> dict[str, Any]:
    """What things, ties and entries say alike: from when to when, and in which status."""
    since, until, last, status, mask, certain, ever = row
    return {
        "from": _day(since, BEFORE),
        "until": _day(until, FOREVER),
        "last": _TRUTH.get(last, last),
        "status": _named(status, order),
        "statuses": _marked(mask, order),
        "certain": _TRUTH.get(certain, certain),
        "ever": _marked(ever, order),
    }


_OF_DAYS = "t.valid_from, t.valid_to, t.last, t.status, t.mask, t.certain, t.ever"


def _things(collection: str) -> Part:
    order = STATUSES[collection]
    has_terms = collection in ("agreements", "labs")
    terms = (
        f"(SELECT json_group_array({_TERM.format('x.value')}) FROM terms x"
        f" WHERE x.owner = t.id AND x.kind IN ({_STATE_TERMS}))"
        if has_terms
        else "NULL"
    )

    def shape(row: Row) -> dict[str, Any]:
        subject, terms, kind, jurisdiction, sort, at, upto, ref, name, body = row[:10]
        return {
            "subject": subject,
            **_days(row[10:], order),
            "kind": kind,
            "jurisdiction": jurisdiction,
            "sorted_as": sort,
            "earliest": _day(at),
            "latest": "none" if upto == -1 else _day(upto),
            "refers_to": ref,
            **({"terms": _listed(terms)} if has_terms else {}),
            "name": _plain(name),
            "body": _thing(body, NAMED[collection], name),
        }

    return Part(
        ("s.id", "t.valid_from", "t.id"),
        f"s.name, {terms}, t.kind, t.jurisdiction, t.sort, t.at, t.upto, ifnull(r.name, t.ref), t.name, t.body,"
        f" {_OF_DAYS}",
        "subjects s CROSS JOIN subject_states t INDEXED BY subject_states_of_subject ON t.subject = s.id"
        f" LEFT JOIN subjects r ON r.id = t.ref WHERE +s.name > '{collection}/' AND +s.name < '{collection}0'"
        f" AND t.collection = {COLLECTIONS.index(collection)} AND {_KNOWN.format('t')}",
        "s.id >= :k0",
        (-1, -1, -1),
        shape,
    )


def _entries(sections: Sequence[str]) -> Part:
    def shape(row: Row) -> dict[str, Any]:
        subject, section, key, terms, kind, due, at, label, body = row[:9]
        return {
            "subject": subject,
            "section": _named(section, SECTIONS),
            "entry": key,
            **_days(row[9:], STATUS_ORDER),
            "kind": kind,
            "due": _day(due),
            "earliest": _day(at),
            "label": label,
            "terms": _listed(terms),
            "body": _plain(body),
        }

    numbers = ", ".join(str(SECTIONS.index(section)) for section in sections)
    named = "CASE WHEN x.kind = 'identifier' THEN x.value ELSE (SELECT name FROM subjects WHERE id = x.value) END"
    return Part(
        ("t.subject", "t.section", "t.at", "t.label", "w.text", "t.valid_from", "t.id"),
        f"s.name, t.section, w.text, (SELECT json_group_array({_TERM.format(named)}) FROM terms x"
        f" WHERE x.owner = t.id AND x.kind NOT IN ({_STATE_TERMS})), t.kind, t.due, t.at, t.label, t.body, {_OF_DAYS}",
        "list_items t INDEXED BY list_items_in_order CROSS JOIN strings w ON w.id = t.key CROSS JOIN subjects s"
        f" ON s.id = t.subject WHERE t.section IN ({numbers}) AND {_KNOWN.format('t')}",
        "(t.subject, t.section, t.at, t.label) >= (:k0, :k1, :k2, :k3)",
        (-1, -1, -1, "", "", -1, -1),
        shape,
    )


def _tie(row: Row) -> dict[str, Any]:
    container, party, interval, force, bearer, at, category, label, role, body = row[:10]
    return {
        "party": party,
        "in": container,
        "interval": interval,
        **_days(row[10:], ORDER_OF_STATUSES),
        "may_be": _marked(force, _FORCE),
        "borne_by": bearer,
        "earliest": _day(at),
        "category": category,
        "label": label,
        "body": _tied(body, role),
    }


_TIES = Part(
    ("t.container", "t.party", "t.interval", "t.valid_from", "t.id"),
    f"s.name, m.name, t.interval, t.force, t.bearer, t.at, t.category, t.container_name || ' ' || t.party_name"
    f" || printf(' %04d', t.interval), t.role, t.body, {_OF_DAYS}",
    "memberships t INDEXED BY memberships_of_container CROSS JOIN subjects s ON s.id = t.container"
    f" CROSS JOIN subjects m ON m.id = t.party WHERE {_KNOWN.format('t')}",
    "(t.container, t.party) >= (:k0, :k1)",
    (-1, -1, -1, -1, -1),
    _tie,
)


def _merger(row: Row) -> dict[str, Any]:
    loser, survivor, event = row
    return {"subject": loser, "is_one_with": survivor, "event": event}


_MERGERS = Part(
    ("t.loser", "t.event", "t.id"),
    "s.name, m.name, t.event",
    "mergers t CROSS JOIN subjects s ON s.id = t.loser CROSS JOIN subjects m ON m.id = t.survivor"
    f" WHERE {_KNOWN.format('t')}",
    "t.loser >= :k0",
    (-1, -1, -1),
    _merger,
    is_everywhere=True,
)


def _held(row: Row) -> dict[str, Any]:
    subject, digest, characters, text = row
    return {
        "subject": subject,
        "sha256": digest,
        "characters": characters,
        "text": f"sha256:{sha256(text if isinstance(text, bytes) else str(text).encode()).hexdigest()}",
    }


_HELD = Part(
    ("t.document", "t.id"),
    "s.name, t.sha256, t.characters, t.text",
    f"document_texts t CROSS JOIN subjects s ON s.id = t.document WHERE {_KNOWN.format('t')}",
    "t.document >= :k0",
    (-1, -1),
    _held,
)


def _citation(row: Row) -> dict[str, Any]:
    subject, start, stop, fact, event, place = row
    return {"subject": subject, "start": start, "stop": stop, "supports": fact, "cited_by": event, "place": place}


_CITED = Part(
    ("t.document", "t.start", "t.stop", "t.fact", "t.event", "t.place"),
    "s.name, t.start, t.stop, t.fact, t.event, t.place",
    f"citations t CROSS JOIN subjects s ON s.id = t.document WHERE {_KNOWN.format('t')}",
    "(t.document, t.start) >= (:k0, :k1)",
    (-1, -1, -1, -1, -1, -1),
    _citation,
)


def _fact(row: Row) -> dict[str, Any]:
    position, subject, rank, lo, hi, at, stated, core, label, meaning, source, id_, occurred, recorded, data = row[:15]
    positions, said = [position], _plain(data)
    if meaning is not None:
        try:
            occurred, positions, said = orjson.loads(meaning)
        except (TypeError, ValueError):
            said = repr(meaning)
    return {
        "position": position,
        "subject": subject,
        "type": _type(rank),
        "occurred": occurred,
        "earliest": _day(lo, BEFORE),
        "latest": _day(hi),
        "sorted_as": [_day(at), _day(stated), label],
        "describes": _TRUTH.get(core, core),
        "events": positions,
        "source": source,
        "id": id_,
        "recorded": recorded,
        "data": said,
        "words": row[15],
        "names": row[16],
    }


_FACTS = Part(
    ("t.position", "t.id"),
    "t.position, s.name, t.rank, t.lo, t.hi, t.at, t.stated, t.core, t.label, t.meaning, w.text, e.id, e.occurred,"
    " e.recorded, e.data, trim(x.tokens), trim(n.tokens)",
    "facts t INDEXED BY facts_of_event CROSS JOIN events e ON e.position = t.position CROSS JOIN subjects s"
    " ON s.id = t.subject CROSS JOIN strings w ON w.id = e.source LEFT JOIN text_index x ON x.id = t.id"
    f" LEFT JOIN names n ON n.id = t.id WHERE {_KNOWN.format('t')}",
    "t.position >= :k0",
    (-1, -1),
    _fact,
)


def _type(rank: Any) -> Any:
    return KINDS[rank].name if isinstance(rank, int) and 0 <= rank < len(KINDS) else rank


def _link(row: Row) -> dict[str, Any]:
    position, subject, rank, named, at, hi = row
    return {
        "position": position,
        "subject": subject,
        "type": _type(rank),
        "speaks_of": named,
        "sorted_as": _day(at),
        "latest": _day(hi),
    }


_LINKED = "CROSS JOIN facts t ON t.id = l.fact CROSS JOIN subjects s ON s.id = l.subject"
_NAMED = Part(
    ("l.key", "l.subject", "t.position", "t.id"),
    "t.position, s.name, l.rank, m.name, l.at, l.hi",
    f"tags l {_LINKED} CROSS JOIN subjects m ON m.id = l.key WHERE l.key > 0 AND {_KNOWN.format('t')}",
    "(l.key, l.subject) >= (:k0, :k1)",
    (0, -1, -1, -1),
    _link,
)
_SPOKEN_OF = Part(
    ("w.text", "l.subject", "t.position", "t.id"),
    "t.position, s.name, l.rank, w.text, l.at, l.hi",
    f"strings w CROSS JOIN tags l ON l.key = -w.id {_LINKED} WHERE {_KNOWN.format('t')}",
    "w.text >= :k0",
    ("", -1, -1, -1),
    _link,
)


def _event(row: Row) -> dict[str, Any]:
    position, subject, version, rank, recorded, about, source, id_, time, occurred, actor, data = row
    return {
        "position": position,
        "version": version,
        "subject": subject,
        "type": _type(rank),
        "source": source,
        "id": id_,
        "time": time,
        "occurred": occurred,
        "recorded": recorded,
        "actor": actor,
        "about": about,
        "data": _plain(data),
    }


_EVENTS = Part(
    ("t.position",),
    "t.position, s.name, t.version, t.rank, t.recorded, t.about, w.text, t.id, t.time, t.occurred, a.text, t.data",
    "events t CROSS JOIN subjects s ON s.id = t.subject CROSS JOIN strings w ON w.id = t.source CROSS JOIN strings a"
    " ON a.id = t.actor WHERE t.position <= :as_of",
    "t.position > :k0",
    (0,),
    _event,
)
PARTS: dict[str, tuple[Part, ...]] = {
    "parties": (_things("parties"), _entries(_SECTIONS_OF["parties"]), _MERGERS),
    "agreements": (_things("agreements"), _entries(_SECTIONS_OF["agreements"])),
    "labs": (_things("labs"), _entries(_SECTIONS_OF["labs"])),
    "platforms": (_things("platforms"), _entries(_SECTIONS_OF["platforms"])),
    "documents": (_things("documents"), _HELD, _CITED),
    "memberships": (_TIES,),
    "commitments": (_entries(_SECTIONS_OF["commitments"]),),
    "timeline": (_FACTS, _NAMED, _SPOKEN_OF),
    "history": (_EVENTS,),
}
"""What is said of each view, in this order."""
