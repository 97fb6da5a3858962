"""Records in the shape of real sources, made from a seed, and a plain oracle that knows what held on a day.

The oracle enumerates the possible worlds of the imprecise dates, drops those that contradict the rules of section 2,
and reads the rest. It shares nothing with the registry.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from tests.contract.server import Event, event

FIRST, LAST = date(1, 1, 1).toordinal(), date(9999, 12, 31).toordinal()


def iso(number: int) -> str:
    """Return a day in ISO 8601."""
    return date.fromordinal(number).isoformat()


@dataclass(frozen=True)
class When:
    """A date as far as it is known: its EDTF, its earliest and its latest day."""

    text: str | None
    low: int
    high: int

    @property
    def exact(self) -> bool:
        return self.low == self.high

    def recorded(self, day: int) -> When:
        """Return the date as recorded on a day, which bounds an open end."""
        return replace(self, high=day) if self.high == LAST else self


UNKNOWN = When(None, FIRST, LAST)


def exactly(number: int) -> When:
    return When(iso(number), number, number)


def month(number: int) -> When:
    """Return a day's month, as a date."""
    at = date.fromordinal(number)
    after = date(at.year + at.month // 12, at.month % 12 + 1, 1)
    return When(f"{at.year:04}-{at.month:02}", at.replace(day=1).toordinal(), after.toordinal() - 1)


def year(number: int) -> When:
    """Return a day's year, as a date."""
    at = date.fromordinal(number)
    return When(f"{at.year:04}", date(at.year, 1, 1).toordinal(), date(at.year, 12, 31).toordinal())


def vaguely(choice: random.Random, number: int, share: float) -> When:
    """Return the day, or sometimes only its month, its year, or an interval."""
    if choice.random() >= share:
        return exactly(number)
    low, high = number - choice.randrange(40), number + choice.randrange(1, 40)
    return choice.choice(
        [
            month(number),
            year(number),
            When(f"{iso(low)}/{iso(high)}", low, high),
            When(f"{iso(low)}/..", low, LAST),
            When(f"{iso(number)}~", number - 1, number + 1),
        ]
    )


@dataclass(eq=False)
class Fact:
    """One fact. `when` is the day it takes effect; `notice` the one it is recorded under where that differs."""

    subject: str
    type: str
    when: When
    data: dict
    parties: tuple[str, ...] = ()
    notice: When | None = None
    late: bool = False  # rests on others, so it is recorded after them
    position: int = 0  # once recorded

    @property
    def event(self) -> Event:
        return event(self.type, self.subject, (self.notice or self.when).text, **self.data)


JOINS = ("agreement.ratified", "agreement.acceded", "platform.member-joined")
LEAVES = ("agreement.withdrawn", "platform.member-left")
MAKES = ("agreement.adopted", "agreement.signed", "platform.launched")
ENDS = ("agreement.terminated", "platform.dissolved")
SPOKEN = ("agreement.declaration-made", "agreement.renewed")  # neither makes, ties nor ends
HELD = {"signed", "bound", "in-force", "provisional", "suspended", "member"}

Dated = list[tuple[Fact, int]]


@dataclass
class Expected:
    """The oracle's answer for a day: the possible statuses (None: no membership), and that with all dates at their
    earliest.
    """

    statuses: set[str | None]
    earliest: str | None


def evaluate(
    facts: Sequence[Fact], others: Collection[Fact], on: int, status: Callable[[Dated], set[str | None]]
) -> Expected:
    """Return the statuses in every possible world of these facts; `others` of the same subject only exclude worlds."""
    near = {on, on + 1}
    for fact in facts:
        near |= {fact.when.low, fact.when.low - 1, fact.when.low + 1, fact.when.high}
    near |= (
        {bound + by for fact in others for bound in (fact.when.low, fact.when.high) for by in (0, 1)}
        if len(others) < 3
        else set()
    )
    choices = [
        [fact.when.low] if fact.when.exact else sorted(at for at in near if fact.when.low <= at <= fact.when.high)
        for fact in facts
    ]
    found: set[str | None] = set()
    for reading in itertools.product(*choices):
        dated = list(zip(facts, reading, strict=True))
        if is_consistent(dated, others):
            found |= status(dated)
    earliest = [(fact, fact.when.low) for fact in facts]
    first = status(earliest) if is_consistent(earliest, others) else {None}
    return Expected(found, first.pop() if len(first) == 1 else None)


def is_consistent(dated: Dated, others: Collection[Fact]) -> bool:
    """Return whether a possible world contradicts none of the rules."""
    makers = [at for fact, at in dated if fact.type in MAKES] + [fact.when.low for fact in others if fact.type in MAKES]
    begin = min(makers, default=FIRST)
    end = min((at for fact, at in dated if fact.type in ENDS), default=LAST)
    adopted = any(fact.type == "agreement.adopted" for fact in (*(fact for fact, _ in dated), *others))
    # Entering into force may be dated before the signature, though not before an adoption.
    exempt = MAKES if adopted else (*MAKES, "agreement.entered-into-force")
    for fact, at in dated:
        if (fact.type not in exempt and at < begin) or at > end:
            return False
    if any((fact.type not in exempt and fact.when.high < begin) or fact.when.low > end for fact in others):
        return False
    for party in {party for fact, _ in dated for party in fact.parties}:
        joins = sorted(at for fact, at in dated if party in fact.parties and fact.type in JOINS)
        leaves = [at for fact, at in dated if party in fact.parties and fact.type in LEAVES]
        for first, second in itertools.pairwise(joins):
            if not any(first < at < second for at in leaves):
                return False
    return True


@dataclass
class Record:
    """An agreement or a platform with all its facts, the creating one first."""

    subject: str
    facts: list[Fact] = field(default_factory=list)

    def add(self, type_: str, when: When, *parties: str, **more) -> Fact:
        """Add a fact, of these parties or of the whole."""
        options = {name: more.pop(name) for name in ("notice", "late") if name in more}
        data = {name.removesuffix("_"): value for name, value in more.items()}
        fact = Fact(self.subject, type_, when, data, parties, **options)
        self.facts.append(fact)
        return fact

    def at(self, position: int) -> Record:
        """Return the record as of a position."""
        return Record(self.subject, [fact for fact in self.facts if fact.position <= position])

    def parties(self) -> list[str]:
        return sorted({party for fact in self.facts if fact.type not in SPOKEN for party in fact.parties})

    # Agreements

    def _consented(self, party: str, by: int) -> set[bool]:
        """Return whether any other party may have consented to be bound by a day."""
        spans = [
            fact.when
            for fact in self.facts
            if fact.type in ("agreement.ratified", "agreement.acceded") and party not in fact.parties
        ]
        if any(when.high <= by for when in spans):
            return {True}
        return {False, True} if any(when.low <= by for when in spans) else {False}

    def tie(self, party: str, on: int) -> Expected:
        """Return the status of a party in an agreement on a day."""
        facts = [fact for fact in self.facts if fact.type not in SPOKEN and (not fact.parties or party in fact.parties)]
        others = [fact for fact in self.facts if fact not in facts]
        return evaluate(facts, others, on, lambda dated: self._tie(dated, party, on))

    def status(self, on: int) -> Expected:
        """Return the status of an agreement on a day. Entries into force of single parties give worlds but no other
        status.
        """
        idle = ("agreement.ratified", "agreement.acceded", *SPOKEN)
        facts = [fact for fact in self.facts if fact.type not in idle]
        others = [fact for fact in self.facts if fact.type in idle]
        vague = [fact for fact in facts if not fact.when.exact]
        # An exact signature matters by the first of them alone, and so do the rest by what lies around the day.
        signed = sorted((fact for fact in facts if fact.type == "agreement.signed"), key=lambda fact: fact.when.low)
        kept = [fact for fact in facts if fact.type != "agreement.signed"] + signed[:1]
        if vague:
            others = [
                bound
                for bound in (
                    min(others, key=lambda fact: fact.when.high, default=None),
                    max(others, key=lambda fact: fact.when.low, default=None),
                )
                if bound
            ]
        return evaluate(kept, [*others, *signed[1:][-1:]], on, lambda dated: self._whole(dated, on))

    def _until(self, on: int) -> set[bool]:
        """Return whether a day may be past the agreement's `until`, unrenewed."""
        told = [
            (fact.when.low, When(until, *bounds(until)) if (until := fact.data.get("until")) else None)
            for fact in self.facts
            if fact.when.low <= on and ("until" in fact.data or fact.type == "agreement.renewed")
        ]
        if not told:
            return {False}
        until = max(told, key=lambda each: each[0])[1]
        return {True, False} if until and until.low < on else {False}

    def _tie(self, dated: Dated, party: str, on: int) -> set[str | None]:
        whole: dict[str, list[int]] = {}
        mine: dict[str, list[int]] = {}
        for fact, at in dated:
            (mine if fact.parties else whole).setdefault(fact.type.partition(".")[2], []).append(at)
        left = max((at for at in mine.get("withdrawn", ()) if at <= on), default=None)
        since = FIRST if left is None else left
        now = {name: [at for at in days if since <= at <= on] for name, days in mine.items()}
        consents = now.get("ratified", []) + now.get("acceded", [])
        tied = now.get("signed", []) + consents + now.get("entered-into-force", [])
        if not tied:
            if left is not None:
                return {"withdrawn"}
            return {"unknown"} if any(at > on for at in mine.get("withdrawn", ())) else {None}
        if any(at <= on for at in whole.get("terminated", ())):
            return {"ended"}
        told = [fact for fact, _ in dated]
        rest = [(fact, fact.when.low) for fact in self.facts if fact not in told]
        begin = min(at for fact, at in [*dated, *rest] if fact.type in MAKES)
        forces = {bool(now.get("entered-into-force"))}
        own = [at for at in mine.get("entered-into-force", ()) if at > on]
        for dated_at in whole.get("entered-into-force", ()) if not own or mine.get("withdrawn") else ():
            at = max(dated_at, begin)
            found = set()
            for others in self._consented(party, at) if at <= on else ():
                consented = others or any(agreed <= at for agreed in consents)
                bound = consents if consented else now.get("signed", [])
                found.add(any(agreed <= at for agreed in bound))
            forces = {force or entered for force in forces for entered in found or {False}}
        stopped = max((at for at in whole.get("suspended", ()) if at <= on), default=None)
        is_stopped = stopped is not None and not any(stopped < at <= on for at in whole.get("resumed", ()))
        if any(at <= on for name in ("suspended", "resumed") for at in whole.get(name, ())) and not whole.get(
            "entered-into-force"
        ):
            return {"unknown"}  # whether what is suspended must have been in force is left open
        if is_stopped and not all(forces):
            return {"unknown"}
        statuses = {
            "suspended" if is_stopped else "in-force" if force else "bound" if consents else "signed"
            for force in forces
        }
        return {"ended" if past else status for past in self._until(on) for status in statuses}

    def _whole(self, dated: Dated, on: int) -> set[str | None]:
        days: dict[str, list[int]] = {}
        parties: dict[str, Dated] = {}
        for fact, at in dated:
            if at <= on and not fact.parties:
                days.setdefault(fact.type.partition(".")[2], []).append(at)
            for party in fact.parties:
                parties.setdefault(party, []).append((fact, at))
        signed = any(fact.type == "agreement.signed" and at <= on for fact, at in dated)
        if not signed and "adopted" not in days:
            return {None}
        if "terminated" in days:
            return {"terminated"}
        stopped = max(days.get("suspended", ()), default=None)
        if stopped is not None and not any(stopped < at for at in days.get("resumed", ())):
            return {"suspended"} if "entered-into-force" in days else {"unknown"}
        force = "entered-into-force" in days
        if "resumed" in days and not force:
            return {"unknown"}
        for own in parties.values():
            entered = max(
                (at for fact, at in own if fact.type == "agreement.entered-into-force" and at <= on), default=None
            )
            force = force or (
                entered is not None
                and not any(fact.type == "agreement.withdrawn" and entered < at <= on for fact, at in own)
            )
        status = "in-force" if force else "signed" if signed else "adopted"
        return {"terminated" if past else status for past in self._until(on)}

    # Platforms

    def membership(self, party: str, on: int) -> Expected:
        """Return the status of a party in a platform on a day."""
        facts = [fact for fact in self.facts if not fact.parties or party in fact.parties]
        own = [fact for fact in facts if fact.parties]
        for fact, other in itertools.permutations(own, 2):
            if fact.when.exact and fact.when.low - 1 <= on <= fact.when.low and not other.when.exact:
                return Expected(
                    {"unknown"}, None
                )  # which comes first of a joining and a leaving on one day is left open
        return evaluate(
            facts,
            [fact for fact in self.facts if fact.parties and party not in fact.parties],
            on,
            lambda dated: self._membership(dated, on),
        )

    @staticmethod
    def _membership(dated: Dated, on: int) -> set[str | None]:
        if any(fact.type in ENDS and at <= on for fact, at in dated):
            return {"left"} if any(fact.parties and at <= on for fact, at in dated) else {None}
        steps = sorted((at, fact.type in JOINS) for fact, at in dated if fact.parties)
        past = [joins for at, joins in steps if at <= on]
        if past:
            return {"member" if past[-1] else "left"}
        return {"unknown"} if steps and not steps[0][1] else {None}


def bounds(text: str) -> tuple[int, int]:
    """Return the bounds of a whole date or a year."""
    if len(text) == 4:
        return date(int(text), 1, 1).toordinal(), date(int(text), 12, 31).toordinal()
    at = date.fromisoformat(text).toordinal()
    return at, at


def shuffled(choice: random.Random, records: Sequence[Record]) -> list[Fact]:
    """Return all facts in the order of an import: creating ones first, dependent ones last, the rest in any order."""
    first = [record.facts[0] for record in records]
    rest = [fact for record in records for fact in record.facts[1:]]
    choice.shuffle(rest)
    return [*first, *(fact for fact in rest if not fact.late), *(fact for fact in rest if fact.late)]


# (a) Treaties deposited with an international organization


def treaties(choice: random.Random, names: Sequence[str], count: int) -> list[Record]:
    """Return treaties: adopted, signed by some, ratified or acceded to by more, in force as a whole and for each later
    party.
    """
    return [_treaty(choice, f"agreements/treaty-{number:02}", names) for number in range(count)]


def _treaty(choice: random.Random, subject: str, names: Sequence[str]) -> Record:
    made = Record(subject)
    start = date(choice.randrange(1946, 2005), choice.randrange(1, 13), choice.randrange(1, 28)).toordinal()
    made.add("agreement.adopted", vaguely(choice, start, 0.15), title=f"Convention {subject[-2:]}", kind="treaty")
    pool = choice.sample(names, min(len(names), choice.choice([8, 20, 60, 120, 190])))
    signed: dict[str, int] = {}
    for party in pool:
        if choice.random() < 0.45:
            signed[party] = start + choice.choice([0, 0, 1, choice.randrange(700)])
    for at in sorted(set(signed.values())):
        together = tuple(party for party in signed if signed[party] == at)
        made.add("agreement.signed", exactly(at), *together, parties=[{"party": party} for party in together])
    agreed = {party: signed.get(party, start) + 500 + choice.randrange(6000) for party in pool if choice.random() < 0.8}
    needed = choice.choice([3, 10, 20, 40])
    force = sorted(agreed.values())[needed - 1] + 90 if len(agreed) >= needed and choice.random() < 0.85 else None
    whole = None if force is None else made.add("agreement.entered-into-force", vaguely(choice, force, 0.15))
    each = choice.random() < 0.6
    last = max([start + 800, *agreed.values()]) + 500
    for party, at in agreed.items():
        when = vaguely(choice, at, 0.03)
        if party in signed:
            made.add(
                "agreement.ratified",
                when,
                party,
                party=party,
                instrument=choice.choice(["ratification", "acceptance", "approval"]),
            )
        else:
            kind = choice.choice(["accession", "accession", "succession"])
            made.add("agreement.acceded", when, party, party=party, instrument=kind)
            if kind == "succession" and force is not None and when.exact:  # in force for it since its independence
                made.add("agreement.entered-into-force", exactly(at - choice.randrange(1, 400)), party, party=party)
                continue
        if not when.exact:
            continue
        if force is not None and at > force and each:
            made.add("agreement.entered-into-force", exactly(at + choice.choice([30, 60, 90])), party, party=party)
        if choice.random() < 0.05:
            notice = at + choice.randrange(500, 5000)
            effect = notice + choice.choice([0, 90, 365])
            more = {"effective": iso(effect)} if effect > notice else {}
            made.add("agreement.withdrawn", exactly(effect), party, party=party, notice=exactly(notice), **more)
            last = max(last, effect)
            if choice.random() < 0.4:
                again = effect + choice.randrange(100, 1000)
                made.add("agreement.acceded", exactly(again), party, party=party, instrument="accession", late=True)
                last = max(last, again)
        if choice.random() < 0.1:
            made.add(
                "agreement.declaration-made",
                exactly(at),
                party,
                party=party,
                kind=choice.choice(["reservation", "declaration", "objection"]),
                text=f"Not bound by article {choice.randrange(1, 40)}.",
            )
    if whole is not None and whole.when.exact and choice.random() < 0.2:
        made.add("agreement.suspended", exactly(last + 200))
        made.add("agreement.resumed", exactly(last + 500))
    if choice.random() < 0.15:
        made.add(
            "agreement.terminated",
            vaguely(choice, last + 1000, 0.3),
            reason=choice.choice(["expired", "superseded", "terminated"]),
        )
    return made


# (b) Trade agreements with signing, force and end


def trades(choice: random.Random, names: Sequence[str], count: int) -> list[Record]:
    """Return trade agreements: signed by two to five; in force as a whole; until a day, renewed, or ended; some dates
    with only a year.
    """
    return [_trade(choice, f"agreements/trade-{number:03}", names) for number in range(count)]


def _trade(choice: random.Random, subject: str, names: Sequence[str]) -> Record:
    made = Record(subject)
    start = date(choice.randrange(1958, 2021), choice.randrange(1, 13), choice.randrange(1, 28)).toordinal()
    parties = choice.sample(names, choice.randrange(2, 6))
    signing = vaguely(choice, start, 0.2)
    force = start + choice.randrange(900, 1800)
    until = force + choice.randrange(1000, 4000)
    ends = choice.random()
    more = {"until": iso(until) if choice.random() < 0.8 else iso(until)[:4]} if ends < 0.4 else {}
    made.add(
        "agreement.signed",
        signing,
        *parties,
        title=f"Trade agreement {subject[-3:]}",
        kind="cooperation",
        parties=[{"party": party} for party in parties],
        scope=["trade"],
        **more,
    )
    if choice.random() < 0.9:
        made.add("agreement.entered-into-force", vaguely(choice, force, 0.2))
    if more and choice.random() < 0.5:
        longer = {} if choice.random() < 0.3 else {"until": iso(until + 2000)}
        made.add("agreement.renewed", exactly(until - 400), **longer)
    if ends > 0.8:
        notice = force + 4000
        effect = notice + choice.choice([0, 180, 365])
        made.add(
            "agreement.terminated",
            exactly(effect),
            notice=exactly(notice),
            reason="terminated",
            **({"effective": iso(effect)} if effect > notice else {}),
        )
    return made


# (c) A consortium with its members


def consortium(choice: random.Random, names: Sequence[str]) -> Record:
    """Return a platform that hundreds join, with and without dates; some leave, and some of these return."""
    made = Record("platforms/consortium")
    start = date(2010, 1, 1).toordinal()
    made.add("platform.launched", exactly(start), name="Consortium")
    for party in names:
        at = start + choice.randrange(2000)
        way = choice.random()
        if way < 0.25:
            made.add("platform.member-joined", UNKNOWN, party, party=party)
        else:
            made.add("platform.member-joined", vaguely(choice, at, 0.3), party, party=party)
        if choice.random() < 0.3:
            leaving = at + choice.randrange(800, 1500)
            when = vaguely(choice, leaving, 0.3) if choice.random() < 0.9 else UNKNOWN
            made.add("platform.member-left", when, party, party=party)
            if choice.random() < 0.5 and when is not UNKNOWN and when.high != LAST:
                made.add(
                    "platform.member-joined",
                    vaguely(choice, when.high + choice.randrange(400, 900), 0.2),
                    party,
                    party=party,
                    late=True,
                )
    return made
