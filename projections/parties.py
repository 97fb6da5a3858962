"""Parties: the lists inside their state, the filters of their list, and its digest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from typing_extensions import TypedDict

from domain.corrections import Fact
from domain.list_items import ItemPeriod
from domain.membership import FOREVER, OWNERSHIP_STATUSES
from domain.party import PARTY, PartyIdentified, PartyKind, PartyNameAdded, PartyRegistered
from domain.subject_state import StatePeriod
from domain.values import Label, Scheme, Text
from projections.engine.canonical_rows import KNOWN, OWNER_ROWS, Part, Row
from projections.engine.filters import CERTAINTY, WORDS, Filter, Identifier, SubjectOf, Word, of_kind
from projections.engine.item_lists import FORMER, Item, MembershipList, OwnedItem, OwnerItem, Terms, simple_list
from projections.engine.planner import Planner
from projections.engine.specification import subject_view


class OtherNameItem(TypedDict):
    """A further name of a party, beside its present one."""

    name: Text


def _registered_names(fact: Fact) -> dict[str, OtherNameItem]:
    assert isinstance(fact.data, PartyRegistered)
    return {f"name:{fact.position}:{index}": {"name": name} for index, name in enumerate(fact.data.other_names or ())}


def _added_name(fact: Fact) -> dict[str, OtherNameItem]:
    assert isinstance(fact.data, PartyNameAdded)
    return {f"name:{fact.position}:0": {"name": fact.data.name}}


def _former_names(describing: Sequence[Fact], states: Sequence[StatePeriod]) -> dict[str, list[Item]]:
    """Return the names that a party has or had, by key, on the days on which it goes by another."""
    found: dict[str, list[Item]] = {}
    for fact in describing:
        name = getattr(fact.data, "name", None)
        if name is None or not fact.type.startswith("party."):
            continue
        runs: list[tuple[int, int]] = []
        for state in states:
            if state.fields.get("name") != name and (
                fact.creates or not fact.is_dated or fact.span.lo <= state.valid_from
            ):
                if runs and runs[-1][1] == state.valid_from:
                    runs[-1] = (runs[-1][0], state.valid_to)
                else:
                    runs.append((state.valid_from, state.valid_to))
        value = {"name": name, "events": list(fact.positions)}
        found[f"{FORMER}{fact.position}"] = [
            Item(
                ItemPeriod(since, until, None, (), True, index == len(runs) - 1 and until == FOREVER, (), value),
                fact,
                f"{fact.span.sort_key[0]:07} {fact.source} {fact.id}",
            )
            for index, (since, until) in enumerate(runs)
        ]
    return found


class IdentifierItem(TypedDict):
    """An identifier of a party in a scheme."""

    scheme: Scheme
    value: Label


def _registered_identifiers(fact: Fact) -> dict[str, IdentifierItem]:
    assert isinstance(fact.data, PartyRegistered)
    return {
        f"identifier:{fact.position}:{index}": {"scheme": each.scheme, "value": each.value}
        for index, each in enumerate(fact.data.identifiers or ())
    }


def _added_identifier(fact: Fact) -> dict[str, IdentifierItem]:
    assert isinstance(fact.data, PartyIdentified)
    return {f"identifier:{fact.position}:0": {"scheme": fact.data.scheme, "value": fact.data.value}}


OTHER_NAMES = simple_list(
    "other_names",
    7,
    {"party.name-added": _added_name, "party.registered": _registered_names},
    item=OtherNameItem,
    derive=_former_names,
)
IDENTIFIERS = simple_list(
    "identifiers",
    8,
    {"party.identified": _added_identifier, "party.registered": _registered_identifiers},
    item=IdentifierItem,
    terms=Terms("identifier", lambda value: [f"{value['scheme']}:{value['value']}"]),
)


def _by_identifier(planner: Planner, identifier: str) -> None:
    planner.query.add(
        "t.subject IN (SELECT e.subject FROM list_items e JOIN terms x ON x.owner = e.id"
        " WHERE x.kind = 'identifier' AND x.value = ? AND e.system_from <= ? AND e.system_to > ?)",
        identifier,
        planner.question.as_of,
        planner.question.as_of,
        narrow=True,
    )


def _merger(row: Row) -> dict[str, Any]:
    loser, survivor, event = row
    return {"subject": loser, "is_one_with": survivor, "event": event}


_MERGERS = Part(
    ("t.loser", "t.event", "t.id"),
    "s.name, m.name, t.event",
    "mergers t CROSS JOIN subjects s ON s.id = t.loser CROSS JOIN subjects m ON m.id = t.survivor"
    f" WHERE {KNOWN.format('t')}",
    "t.loser >= :k0",
    (-1, -1, -1),
    _merger,
    is_everywhere=True,
)

PARTIES = subject_view(
    PARTY,
    lists=(
        OTHER_NAMES,
        IDENTIFIERS,
        MembershipList(name="owners", fields=OwnerItem, statuses=OWNERSHIP_STATUSES, is_current=True),
        MembershipList(name="owns", fields=OwnedItem, statuses=OWNERSHIP_STATUSES, is_current=True, is_of_member=True),
    ),
    more_parts=(OWNER_ROWS, _MERGERS),
    has_memberships=True,
    filters=(
        WORDS,
        of_kind(get_args(PartyKind), "party"),
        Filter(
            "jurisdiction",
            Word(examples=("CN",)),
            "The jurisdiction, ISO 3166.",
            lambda planner, values: planner.query.add("t.jurisdiction = ?", values[0]),
        ),
        Filter(
            "part_of",
            SubjectOf(("parties",)),
            "The party it is part of.",
            lambda planner, values: planner.by_reference(values[0]),
        ),
        Filter(
            "owner",
            SubjectOf(("parties",)),
            "A party that owns it, whole or in part.",
            lambda planner, values: planner.by_member(values[0]),
        ),
        Filter(
            "identifier",
            Identifier(examples=("lei:529900T8BM49AURSDO55",)),
            "An identifier, `scheme:value`.",
            lambda planner, values: _by_identifier(planner, values[0]),
        ),
        CERTAINTY,
    ),
)
