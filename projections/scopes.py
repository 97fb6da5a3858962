"""What each view rests on, of all that is folded: so that one alone can be folded from a log, by the same code, without
what only others need. Nothing here folds."""

from __future__ import annotations

from dataclasses import dataclass

from projections.engine.bitemporal import SECTIONS

CHANGING = frozenset(("event.corrected", "event.retracted", "event.disputed"))
"""Events about events that may change what is believed of the world."""
MERGER = "party.merged"
PARTY_LIFE = ("party.registered", "party.dissolved")
"""When a party came about and ended, which its memberships depend on."""
_THINGS, _TIES = "subject_states", "memberships"


@dataclass(frozen=True, slots=True)
class Scope:
    """What is folded.

    Of subjects of `folded` collections the `rows` are written: things, ties, entries of sections. Of others nothing is,
    but who is one with whom.
    """

    folded: frozenset[str]
    rows: frozenset[str]
    by_subject: bool = False
    """Whether each line rests on the events of one subject, on who is one with whom, and on when parties came about and
    ended (see `projections.single_view`)."""
    facts: bool = True
    words: bool = False
    """Whether texts and names are indexed."""
    passages: bool = False
    """Whether passages of documents, and their texts, are kept."""
    passing: frozenset[str] = frozenset()
    """Of `rows` those that no line tells: what else follows from them is told."""


def _of(*collections: str, rows: tuple[str, ...], passing: tuple[str, ...] = ()) -> Scope:
    return Scope(frozenset(collections), frozenset((*rows, *passing)), by_subject=True, passing=frozenset(passing))


_ALL = frozenset(("parties", "agreements", "labs", "platforms", "documents"))
ALL_SCOPES = Scope(_ALL, frozenset((_THINGS, _TIES, *SECTIONS)), words=True, passages=True)
PORTIONS = {
    "parties": _of("parties", rows=(_THINGS, "other_names", "identifiers")),
    # Whether an agreement is in force follows from its ties.
    "agreements": _of("agreements", rows=(_THINGS, "declarations", "amendments"), passing=(_TIES,)),
    "labs": _of("labs", rows=(_THINGS, "phases", "calls")),
    "platforms": _of("platforms", rows=(_THINGS, "supporters", "documents")),
    "documents": Scope(frozenset(("documents",)), frozenset((_THINGS,)), passages=True),
    "memberships": _of("agreements", "labs", "platforms", rows=(_TIES,)),
    "commitments": _of("agreements", rows=("commitments",)),
    "timeline": Scope(frozenset(), frozenset(), words=True),
    "history": Scope(frozenset(), frozenset(), facts=False),
}
"""By view."""
