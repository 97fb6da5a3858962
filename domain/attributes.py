"""Attributes: the fields of a subject that events state, their values on a day, and the positions of the events behind
each.

It knows no status and no rule.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from domain.agreement import ANNOUNCED, OfParty
from domain.catalogue import AGGREGATES, CATALOGUE
from domain.corrections import Fact
from domain.event_type import Creates, TakesEffect
from domain.values import text_key

_KINDS = [kind for aggregate in AGGREGATES for kind in aggregate.events]

DATES = {kind.name: kind.date_field for kind in _KINDS if kind.date_field is not None}
"""The field that shows when an event occurred, by type."""

TEXTS = frozenset(("name", "title", "other_titles", "summary", "place", "purpose", "target"))
"""The attributes in which an undated value never overrides a dated one."""

END_FIELDS = {
    aggregate.collection: frozenset(
        name for kind in aggregate.events if kind.ends for name in (kind.date_field, *kind.attributes) if name
    )
    for aggregate in AGGREGATES
}
"""The fields that say when and why a subject ended."""

FIELDS = {kind.name: kind.attributes for kind in _KINDS if kind.attributes}
"""The attributes that each type describes."""

REFERENCES = frozenset(name for kind in _KINDS for name in kind.attributes if name in kind.data.REFERENCES)
"""Attributes that name other subjects."""

ORDER = {
    name: place
    for place, name in enumerate(
        dict.fromkeys(
            ("name", "title", *(name for each in FIELDS.values() for name in each), *DATES.values(), "signed", "status")
        )
    )
}
"""The order of fields in a state."""


_CREATION_ATTRIBUTES = {
    type_: sorted({*FIELDS[type_], *([DATES[type_]] if type_ in DATES else ())}, key=ORDER.__getitem__)
    for type_, kind in CATALOGUE.items()
    if kind.is_creating
}
_UNTIL = frozenset(type_ for type_, names in FIELDS.items() if "until" in names)


def until_of(fact: Fact) -> str | None:
    """Return the day until which a fact extends its agreement."""
    until: str | None = fact.data.until if fact.type in _UNTIL else None  # type: ignore[attr-defined]
    return until


def creation_attributes(fact: Fact) -> dict[str, Any]:
    """Return the attributes of a creating fact, in the order of a state."""
    fields: dict[str, Any] = {}
    for name in _CREATION_ATTRIBUTES[fact.type]:
        value = getattr(fact.data, name) if name in FIELDS[fact.type] else fact.occurred
        if value is not None:
            fields[name] = _plain(name, value)
    return fields


class Attributes:
    """The attributes of a subject, day after day. The facts are in the order of folding: creating ones first, then by
    their first day, undated ones last.
    """

    def __init__(self, facts: Sequence[Fact], first: Collection[int] = ()) -> None:
        """`first` are the positions of the first creating fact of each type."""
        creating = [fact for fact in facts if fact.creates]
        self._first = self._first_facts(creating, first)
        self._creating = sorted(creating, key=lambda fact: fact.type != ANNOUNCED)
        others = facts[len(creating) :]
        self._dated = [fact for fact in others if fact.is_dated]
        self._undated = [fact for fact in others if not fact.is_dated]
        self._earlier: list[bool] | None = None
        self._taken = 0
        self._so_far = _Described()

    @staticmethod
    def _first_facts(creating: Sequence[Fact], first: Collection[int]) -> Sequence[Fact]:
        """Return the first announcement, and the first adoption or signature, which replaces its attributes.

        Without an announcement, the first adoption or signature is always among these facts.
        """
        announced = [fact for fact in creating if fact.type == ANNOUNCED][:1]
        made = [fact for fact in creating if fact.type != ANNOUNCED][:1]
        return [*announced, *(fact for fact in made if not announced or fact.position in first)]

    def on(self, day: int) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
        """Return the attributes on a day and their source events, not to be changed. Days are requested in ascending
        order.
        """
        earlier = [fact.span.lo <= day or fact.kind.creates is Creates.ONCE for fact in self._creating]
        if earlier != self._earlier:
            self._earlier, self._taken, self._so_far = earlier, 0, _Described()
            for fact, is_earlier in zip(self._creating, earlier, strict=True):
                again = fact.kind.creates is Creates.AGAIN and fact not in self._first
                self._so_far.take(fact, later=not is_earlier, again=again)
        while self._taken < len(self._dated) and self._dated[self._taken].span.lo <= day:
            self._so_far.take(self._dated[self._taken])
            self._taken += 1
        if not self._undated:
            return self._so_far.fields, self._so_far.provenance
        found = self._so_far.copy()
        for fact in self._undated:
            found.take(fact)
        return found.fields, found.provenance


class _Described:
    """The attributes after some facts, applied one by one."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.provenance: dict[str, tuple[int, ...]] = {}
        self._dated: set[str] = set()

    def copy(self) -> _Described:
        copied = _Described()
        copied.fields, copied.provenance, copied._dated = self.fields.copy(), self.provenance.copy(), self._dated.copy()
        return copied

    def take(self, fact: Fact, *, later: bool = False, again: bool = False) -> None:
        """Apply a fact. A `later` signature changes nothing before its day, but title and kind are never absent. An
        adoption or signature that is not the first (`again`) fills only absent attributes, and its place is not the
        place of the agreement.
        """
        fields, provenance, is_dated = self.fields, self.provenance, fact.is_dated
        if fact.kind.reinstates:
            if isinstance(fact.data, OfParty) and fact.data.party is not None:
                return
            for name in ("until", *END_FIELDS[fact.kind.collection or ""]):
                fields.pop(name, None)
                provenance.pop(name, None)
        date = DATES.get(fact.type)
        is_last = fact.kind.creates is Creates.ONCE or fact.kind.reinstates
        if date is not None and not later and (date not in fields or is_last):
            when = fact.data.effective if isinstance(fact.data, TakesEffect) else None
            when = when or fact.occurred
            if when is not None:
                fields[date], provenance[date] = when, fact.positions
        ended = fact.kind.cleared_if_absent
        for stated in FIELDS.get(fact.type, ()):
            value = getattr(fact.data, stated)
            if value is None and stated != ended:
                continue
            name = shown_as(stated)
            if later and (name not in _ALWAYS or name in fields):
                continue
            if again and name != "scope" and (name in fields or (name, fact.type) == ("place", "agreement.signed")):
                continue
            if value is None:
                fields.pop(name, None)
                provenance[name] = fact.positions
                continue
            if name == "scope":
                fields[name] = _SCOPES[stated](fields.get(name, ()), value)
                provenance[name] = tuple(sorted({*provenance.get(name, ()), *fact.positions}))
            elif is_dated or name not in TEXTS or name not in self._dated:
                fields[name] = _plain(name, value)
                provenance[name] = fact.positions
            if is_dated:
                self._dated.add(name)


def _added(terms: Sequence[Any], more: Sequence[Any]) -> list[Any]:
    known = {text_key(term) for term in terms}
    return [*terms, *(term for term in more if text_key(term) not in known)]


def _removed(terms: Sequence[Any], gone: Sequence[Any]) -> list[Any]:
    removed = {text_key(term) for term in gone}
    return [term for term in terms if text_key(term) not in removed]


_SCOPES = {"scope": _added, "scope_added": _added, "scope_removed": _removed}


def shown_as(attribute: str) -> str:
    """Return the field of a subject that an attribute of a type changes."""
    return "scope" if attribute in _SCOPES else attribute


_ALWAYS = frozenset(("title", "kind"))


def _plain(name: str, value: Any) -> Any:
    if name in REFERENCES:
        return {"subject": value} if isinstance(value, str) else [{"subject": each} for each in value]
    if isinstance(value, tuple):
        return list(value)
    return value.model_dump() if hasattr(value, "model_dump") else value
