"""The membership of a party in an agreement on each day of one possible world, by the sentences of the contract alone.

Nothing is folded step by step: the membership of a day is looked up, then the facts about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from tests.enumerated_worlds import BEYOND, DAYS, Happening, Reading, Timeline, by_day

MAKES = ("launched", "founded", "adopted", "signed")
CONSENTS = ("ratified", "acceded")
ONCE = ("signed", *CONSENTS)


@dataclass
class Membership:
    """The days `begun` to before `ended`, and the party's own facts of it. A membership without a recorded beginning
    began by `begun_by`.
    """

    begun: int
    begun_by: int
    ended: int | None = None
    facts: list[tuple[int, Happening]] = field(default_factory=list)
    is_recorded: bool = True

    def days(self, *what: str) -> list[int]:
        """Return the days of its facts of some types, in order."""
        return [on for on, fact in self.facts if fact.what in what]


def memberships(reading: Reading, who: str) -> list[Timeline]:
    """Return the status on each day: several where the beginning of a membership is missing, none for a contradiction."""
    found = _of_party(reading, who)
    if found is None:
        return []
    missing = [each for each in found if not each.is_recorded]
    lines = []
    for begun in product(*(range(each.begun, each.begun_by + 1) for each in missing)):
        for each, day in zip(missing, begun, strict=True):
            each.begun = day
        lines.append(tuple(_status(reading, found, today) for today in DAYS))
    return lines


def _of_party(reading: Reading, who: str) -> list[Membership] | None:
    makers = [fact for fact in reading if fact.what in MAKES]
    created = min(reading[fact][0] for fact in makers)
    end = _end(reading)
    found: list[Membership] = []
    own = [fact for fact in reading if fact.who is not None and who in fact.who]
    paused = 0
    beyond: list[str] = []
    for on, fact in _in_turn(reading, own, created):
        present = found[-1] if found and found[-1].ended is None else None
        if on > end:  # a withdrawal, or a return, that would have taken effect later
            if fact.what in ONCE and fact.what in beyond:
                return None
            beyond.append(fact.what)
            if fact.what == "withdrawn" and present is None:
                begun = max(paused, found[-1].ended or 0) + 1 if found else created
                begun_by = min(_last_notice(fact, created), end)
                if begun <= begun_by:
                    found.append(Membership(begun, begun_by, is_recorded=False))
            continue
        if fact.what == "withdrawn":
            if present is not None:
                present.ended = on
            elif not found or found[-1].ended != on:
                begun = max(paused, found[-1].ended or 0) + 1 if found else created
                begun_by = min(on, _last_notice(fact, created))
                if begun > begun_by:
                    return None
                found.append(Membership(begun, begun_by, on, is_recorded=False))
            continue
        if present is None:
            if found and fact.what in ("suspended", "resumed"):
                paused = on  # of a party that has left: it says nothing
                continue
            present = Membership(on, on)
            found.append(present)
        if fact.what in ONCE and present.days(fact.what):
            return None
        present.facts.append((on, fact))
    return found


def _last_notice(withdrawal: Happening, created: int) -> int:
    """Return the last possible day of the notice; the party is a party on that day."""
    return max(withdrawal.hi, created)


def _in_turn(reading: Reading, own: Sequence[Happening], created: int) -> list[tuple[int, Happening]]:
    """Return a party's facts by the day they take effect: on one day an end before a new beginning, but none before the
    only creation of the agreement.
    """
    makers = [fact for fact in reading if fact.what in MAKES]
    is_maker = len(makers) == 1 and makers[0] in own

    def key(each: tuple[int, Happening]) -> tuple[int, int, int, str]:
        on, fact = each
        first = -1 if is_maker and fact in makers else 0 if fact.what == "withdrawn" else 1
        return on, first, fact.rank, fact.id

    dated = []
    for fact in own:
        on = max(reading[fact][1], created)
        for leaving in own:
            notice, effect = reading[leaving]
            returns = _returns(reading, leaving, own)
            follows = fact.what in ("entered-into-force", "provisionally-applied")
            is_after_one = any((reading[each][1], each.rank) <= (on, fact.rank) for each in returns)
            if fact in returns or (follows and notice <= on < effect and is_after_one):
                on = effect
        dated.append((on, fact))
    return sorted(dated, key=key)


def _returns(reading: Reading, leaving: Happening, own: Iterable[Happening]) -> list[Happening]:
    """Return the returns recorded during the notice of a withdrawal. The only creation of the agreement is no return."""
    if leaving.what != "withdrawn":
        return []
    notice, effect = reading[leaving]
    makers = [fact for fact in reading if fact.what in MAKES]
    return [fact for fact in own if fact.what in ONCE and notice <= reading[fact][1] < effect and [fact] != makers]


def _end(reading: Reading) -> int:
    return min((effect for fact, (_, effect) in reading.items() if fact.what == "terminated"), default=BEYOND + 1)


def _status(reading: Reading, found: Sequence[Membership], today: int) -> str | None:
    present = next((each for each in reversed(found) if each.begun <= today), None)
    if present is None:
        return None
    if present.ended is not None and present.ended <= today:
        return "withdrawn"
    if _end(reading) <= today:
        return "ended"
    standing = _standing(reading, present, today)
    paused = [what for on, what in _of_whole(reading, "suspended", "resumed") if on <= today]
    own = [fact.what for on, fact in present.facts if on <= today and fact.what in ("suspended", "resumed")]
    is_paused = paused[-1:] == ["suspended"] and standing in ("in-force", "provisional")
    return "suspended" if is_paused or own[-1:] == ["suspended"] else standing


def _standing(reading: Reading, present: Membership, today: int) -> str | None:
    """Return the status: in force precedes bound, bound provisional application, that signed."""
    created = min(reading[fact][0] for fact in reading if fact.what in MAKES)
    consented = [on for on in present.days(*CONSENTS) if on <= today]
    signed = [on for on in present.days("signed") if on <= today]
    if not present.is_recorded:
        consented.append(present.begun)
    own_day = present.days("entered-into-force")
    if any(on <= today for on in own_day) or _is_resumed_from_nothing(present, today):
        return "in-force"
    for dated, _ in _of_whole(reading, "entered-into-force") if not own_day else ():
        day = max(dated, created)
        anybody = any(fact.what in CONSENTS and reading[fact][0] <= day for fact in reading)
        of_those = consented if anybody or any(on <= day for on in consented) else signed
        if present.begun <= day <= today and any(on <= day for on in of_those):
            return "in-force"
    if consented:
        return "bound"
    provisional = [on for on in present.days("provisionally-applied") if on <= today]
    provisional += [
        day
        for day, _ in _of_whole(reading, "provisionally-applied")
        if day <= today and any(on <= day for on in signed)
    ]
    return "provisional" if provisional else "signed" if signed else None


def _is_resumed_from_nothing(present: Membership, today: int) -> bool:
    """Return whether a suspension without a recorded beginning ended: then the membership was in force before."""
    first = next((fact.what for on, fact in present.facts if on <= today and fact.what != "suspended"), None)
    return first == "resumed"


def _of_whole(reading: Reading, *what: str) -> list[tuple[int, str]]:
    """Return the days and types of the facts about the agreement as a whole, in order."""
    facts = [fact for fact in reading if fact.who is None and fact.what in what]
    return [
        (reading[fact][1], fact.what) for fact in sorted(facts, key=lambda fact: (reading[fact][1], fact.rank, fact.id))
    ]


# revocations and reinstatements


@dataclass(frozen=True)
class Undone:
    """The agreement and the membership of one party on a day, where ends may be undone."""

    base: str | None = None
    """The status without suspension and end."""
    end: str | None = None
    consents: tuple[str, ...] = ()
    """The signature and the consents of this membership."""
    is_paused: bool = False
    is_over: bool = False
    made: str = "adopted"
    """The status of an agreement that is neither in force nor suspended."""
    is_in_force: bool = False
    """Whether the agreement is so as a whole."""
    revoked: tuple[Happening, ...] = ()

    @property
    def status(self) -> str | None:
        """The status of the membership."""
        return self.end or ("suspended" if self.is_paused and self.base == "in-force" else self.base)

    @property
    def agreement(self) -> str:
        """The status of the agreement, which was adopted."""
        if self.is_over:
            return "terminated"
        if self.is_paused or self.is_in_force:
            return "suspended" if self.is_paused else "in-force"
        return "in-force" if self.status == "in-force" else self.made


def undone(reading: Reading) -> list[Undone]:
    """Return the agreement and the membership of its only party on each day; nothing for a contradiction.

    The agreement is adopted on the first day and ends at most once; the party withdraws at most once, and takes no step
    between a notice and its effect.
    """
    ends = [fact for fact in reading if fact.what == "terminated"]
    leavings = [fact for fact in reading if fact.what == "withdrawn"]

    def has_ended(facts: Sequence[Happening], today: int) -> bool:
        """Return whether one has ended by that day, or no end is recorded."""
        return not facts or any(reading[fact][1] <= today for fact in facts)

    def take(state: Undone, fact: Happening, today: int) -> Undone | None:
        if state.is_over and fact.what not in ("reinstated", "withdrawn"):
            return None
        match fact.what:
            case "signed" | "ratified" | "acceded":
                before = replace(state, base=None, end=None, consents=()) if state.end else state
                if fact.what in before.consents:
                    return None
                weakest = "signed" if fact.what == "signed" else "bound"
                base = before.base if before.base in ("bound", "in-force") else weakest
                made = "signed" if fact.what == "signed" else state.made
                return replace(before, base=base, consents=(*before.consents, fact.what), made=made)
            case "entered-into-force" if fact.who is not None:
                return replace(state, base="in-force", end=None, consents=() if state.end else state.consents)
            case "entered-into-force":
                return replace(state, is_in_force=True, base="in-force" if state.base and not state.end else state.base)
            case "suspended":
                return replace(state, is_paused=True)
            case "withdrawn" if fact in state.revoked:
                return state
            case "withdrawn" if state.is_over:
                return state if fact.effect and state.end == "ended" else None
            case "withdrawn":
                return None if state.end or not state.base else replace(state, end="withdrawn")
            case "withdrawal-revoked":
                pending = [each for each in leavings if reading[each][0] <= today < reading[each][1]]
                may_be = [each for each in leavings if each.lo <= fact.hi and _last_effect(each) > fact.lo]
                if state.end or (may_be and not pending):
                    return None
                return replace(state, revoked=(*state.revoked, *pending))
            case "terminated":
                return replace(state, is_over=True, end=state.end or ("ended" if state.base else None))
            case "reinstated":
                return _reinstated(state, fact) if has_ended([*ends, *(leavings if fact.who else ())], today) else None
        return state

    folded = by_day(reading, reading, take, Undone())
    if folded is None:
        return []
    return [next((state for on, state in reversed(folded) if on <= today), Undone()) for today in DAYS]


def _last_effect(withdrawal: Happening) -> int:
    return (withdrawal.effect or (withdrawal.lo, withdrawal.hi))[1]


def _reinstated(state: Undone, fact: Happening) -> Undone:
    """Return the state from a reinstatement on. A party that left before the end does not return with the agreement."""
    is_in_force = state.is_in_force or fact.who is None or state.is_over
    following = replace(state, is_over=False, is_paused=False, is_in_force=is_in_force)
    if fact.who is None and (state.base is None or state.end == "withdrawn"):
        return following
    return replace(following, base="in-force", end=None, consents=() if state.end else state.consents)
