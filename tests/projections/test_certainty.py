"""Status, statuses and certainty on every day equal those of a model that enumerates every possible world."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from domain.catalogue import CATALOGUE
from domain.corrections import Fact
from domain.edtf import parse_day, span_of
from domain.errors import Contradiction
from domain.lifespan import lifespan_of, summarise
from domain.membership import CONSENTS as CONSENT_TYPES
from domain.membership import MEMBERSHIP_TYPES, NO_CONSENT, membership_periods, parties_of
from domain.subject_state import is_agreement_wide
from tests.enumerated_worlds import (
    BEYOND,
    DAYS,
    FIRST,
    LAST,
    Happening,
    Reading,
    Timeline,
    Verdict,
    by_day,
    day,
    edtf,
    in_order,
    verdict,
)
from tests.membership_model import CONSENTS, MAKES, ONCE, memberships
from tests.recorded_views import RecordedViews, event, new_views, party

# On one day an end comes before a new beginning.
RANKS = {
    "launched": 3,
    "founded": 2,
    "adopted": 4,
    "signed": 5,
    "ratified": 11,
    "acceded": 12,
    "provisionally-applied": 13,
    "entered-into-force": 14,
    "suspended": 17,
    "resumed": 18,
    "withdrawn": -1,
    "opened": 24,
    "started": 25,
    "completed": 26,
    "joined": 29,
    "changed": 30,
    "left": -1,
    "terminated": 33,
    "closed": 34,
    "dissolved": 35,
}
ENDS = ("terminated", "closed", "dissolved")


def is_within_lifespan(reading: Reading) -> bool:
    """Return whether nothing lies before the creation or after the end; an adoption is no later than a signature, if
    possible.
    """
    created = min(on for fact, (on, _) in reading.items() if fact.what in MAKES)
    ended = min((effect for fact, (_, effect) in reading.items() if fact.what in ENDS), default=BEYOND)
    for fact, (on, effect) in reading.items():
        is_exempt = fact.what == "entered-into-force" and all(maker.what != "adopted" for maker in reading)
        if (on < created and not is_exempt) or (effect if fact.what in ENDS else on) > ended:
            return False
    adoptions = [fact for fact in reading if fact.what == "adopted"]
    signatures = [fact for fact in reading if fact.what == "signed"]
    if not adoptions or not signatures or min(fact.lo for fact in adoptions) > min(fact.hi for fact in signatures):
        return True
    return min(reading[fact][0] for fact in adoptions) <= min(reading[fact][0] for fact in signatures)


def with_beginnings(line: list[str | None], gaps: Sequence[tuple[int, int, str]]) -> Iterator[Timeline]:
    """Yield the timelines in which each membership of unknown beginning began on any of its days, the earliest first."""
    for begun in product(*(range(since, until + 1) for since, until, _ in gaps)):
        filled = list(line)
        for start, (_, until, status_before) in zip(begun, gaps, strict=True):
            for on in range(max(start, FIRST), min(until, LAST + 1)):
                filled[on - FIRST] = status_before
        yield tuple(filled)


# platforms


def platform_membership(reading: Reading) -> list[Timeline]:
    """Return the membership of one party in a platform, in one world."""
    if not is_within_lifespan(reading):
        return []
    created = next(on for fact, (on, _) in reading.items() if fact.what == "launched")

    def take(state, fact, today):
        status, since, gaps = state
        match fact.what:
            case "joined":
                return None if status in ("member", "over", "none") else ("member", today, gaps)
            case "changed" if status in ("over", "none"):
                return None
            case "changed" if status == "member":
                return state
            case "changed":
                begun = since if status is None else since + 1
                return ("member", today, (*gaps, (begun, today, "member"))) if begun <= today else None
            case "left" if status in ("over", "none"):
                return None
            case "left":
                if status == "left" and since == today:
                    return state
                if status == "member":
                    return ("left", today, gaps)
                begun = since if status is None else since + 1
                return ("left", today, (*gaps, (begun, today, "member"))) if begun <= today else None
            case "dissolved":
                return ("over" if status in ("member", "left", "over") else "none", today, gaps)
        return state

    folded = by_day(reading, reading, take, (None, created, ()))
    if folded is None:
        return []
    shown = {"over": "left", "none": None}
    line: list[Any] = [next((state[0] for on, state in reversed(folded) if on <= today), None) for today in DAYS]
    line = [shown.get(status, status) for status in line]
    return list(with_beginnings(line, folded[-1][1][2]))


def spanned(span: tuple[int, int], what: str, who: str | None, rank: int, id_: str, effect: Any = None) -> Happening:
    return Happening(what, who, *span, rank, id_, effect)


@st.composite
def spans(draw, *, undated: bool = True) -> Any:
    """Draw days lo to hi, often one, sometimes unbounded."""
    lo = draw(st.integers(FIRST, LAST))
    if undated and draw(st.integers(0, 7)) == 0:
        return FIRST, BEYOND
    return lo, draw(st.one_of(st.just(lo), st.integers(lo, LAST)))


@st.composite
def platform_facts(draw):
    facts = [spanned(draw(spans(undated=False)), "launched", None, RANKS["launched"], "0")]
    for index in range(draw(st.integers(1, 4))):
        what = draw(st.sampled_from(("joined", "joined", "left", "left", "changed")))
        facts.append(spanned(draw(spans()), what, "a", RANKS[what], f"{index + 1}"))
    if draw(st.integers(0, 2)) == 0:
        facts.append(spanned(draw(spans()), "dissolved", None, RANKS["dissolved"], "9"))
    assume(sum(fact.hi == BEYOND for fact in facts) <= 2)
    return facts


TYPES = {
    "launched": "platform.launched",
    "joined": "platform.member-joined",
    "changed": "platform.member-changed",
    "left": "platform.member-left",
    "dissolved": "platform.dissolved",
}


def post_platform(found: RecordedViews, facts: Sequence[Happening]) -> None:
    found.record(party("a"))
    documents = []
    for fact in facts:
        data = {"party": "parties/a"} if fact.who else {"name": "p"} if fact.what == "launched" else {}
        if fact.what == "changed":
            data["category"] = "full"
        documents.append(event(TYPES[fact.what], "platforms/p", edtf(fact.lo, fact.hi), id_=fact.id, **data))
    found.batch(*documents)


def claims(rows) -> dict:
    return {
        on: (row["status"], frozenset(row.get("statuses", [row["status"]])), row["certainty"] == "certain")
        for on, row in rows.items()
    }


def agree(expected: Verdict, rows: dict[int, dict]) -> None:
    """Compare the engine's rows, by day, with the model's verdict."""
    for index, on in enumerate(DAYS):
        possible = expected.possible[index]
        row = rows.get(on)
        soonest = expected.earliest[index] if expected.earliest is not None else None
        if row is None:
            assert soonest is None, (on, expected)
            assert expected.earliest is not None or None in possible, (on, expected)
            continue
        status, statuses, certain = row["status"], frozenset(row.get("statuses", [row["status"]])), row["certainty"]
        assert statuses == possible - {None}, (on, row, expected)
        assert (certain == "certain") == (len(possible) == 1), (on, row, expected)
        assert status in statuses
        if expected.earliest is not None:
            assert status == soonest, (on, row, expected)


def ties_by_day(found: RecordedViews, container: str) -> dict[int, dict]:
    rows = {}
    for on in DAYS:
        memberships_of_both = found.memberships("parties/a", container, on=day(on))
        assert len(memberships_of_both) <= 1, memberships_of_both
        if memberships_of_both:
            rows[on] = memberships_of_both[0]
    return rows


def states_by_day(found: RecordedViews, subject: str) -> dict[int, dict]:
    states = {on: found.state_or_error(subject, on=day(on)) for on in DAYS}
    return {on: state for on, state in states.items() if isinstance(state, dict)}


def may_alternate(facts: Sequence[Happening]) -> bool:
    """Return whether a leaving may lie between two beginnings, if all are on one day: then one of these may come first."""
    leavings = [fact.effect or (fact.lo, fact.hi) for fact in facts if fact.what in ("withdrawn", "left")]
    return any(
        other.what == fact.what and other is not fact and fact.lo <= latest and earliest <= other.hi
        for fact in facts
        for other in facts
        for earliest, latest in leavings
        if fact.what in (*ONCE, "joined")
    )


@settings(max_examples=150)
@given(platform_facts())
def test_membership_of_a_platform_equals_the_enumerated_worlds(facts):
    expected = verdict(facts, platform_membership)
    with new_views() as found:
        if expected is None:
            if not may_alternate(facts):
                with pytest.raises(Contradiction):
                    post_platform(found, facts)
        else:
            post_platform(found, facts)
            agree(expected, ties_by_day(found, "platforms/p"))


# agreements

OWN = ("provisionally-applied", "entered-into-force", "suspended", "resumed")


def agreement_tie(reading: Reading) -> list[Timeline]:
    return memberships(reading, "a") if is_within_lifespan(reading) else []


def agreement(reading: Reading) -> list[Timeline]:
    """Return the status of an agreement on each day, in one world."""
    if not is_within_lifespan(reading):
        return []
    whole = []
    for today in DAYS:
        done = {fact for fact in reading if reading[fact][1] <= today}
        of_all = [fact for _, fact in in_order(reading, (fact for fact in done if fact.who is None))]
        made = next((what for what in ("signed", "adopted") if any(fact.what == what for fact in done)), None)
        in_force = any(fact.what in ("entered-into-force", "resumed") for fact in of_all)
        stopped = [fact.what for fact in of_all if fact.what in ("suspended", "resumed")][-1:] == ["suspended"]
        if any(fact.what == "terminated" for fact in of_all):
            made = "terminated"
        elif made is not None and (stopped or in_force):
            made = "suspended" if stopped else "in-force"
        whole.append(made)
    lines = []
    for memberships_of_both in product(*(memberships(reading, who) for who in "ab")):
        line: list[Any] = []
        for index, made in enumerate(whole):
            held = {membership[index] for membership in memberships_of_both}
            joint = next((status for status in ("in-force", "suspended") if status in held), None)
            line.append(joint if made in ("adopted", "signed") and joint else made)
        lines.append(tuple(line))
    return lines


@st.composite
def agreement_facts(draw):
    facts = []
    made = draw(st.sampled_from(("signed ab", "signed a", "adopted", "adopted signed")))
    if "adopted" in made:
        facts.append(spanned(draw(spans(undated=False)), "adopted", None, RANKS["adopted"], "0"))
    if "signed" in made:
        facts.append(
            spanned(draw(spans(undated=False)), "signed", "ab" if "ab" in made else "a", RANKS["signed"], "00")
        )
    for index in range(draw(st.integers(1, 4))):
        what = draw(st.sampled_from((*ONCE, *OWN, "entered-into-force", "withdrawn")))
        whose = ["a", "a", "b"] if what in (*ONCE, "withdrawn") else ["a", "b", None]
        effect = draw(spans(undated=False)) if what == "withdrawn" and draw(st.booleans()) else None
        assume(effect is None or effect[0] >= max(fact.hi for fact in facts if fact.what in MAKES))
        span = draw(spans())
        effect = None if effect == span else effect  # the same date says nothing more
        facts.append(spanned(span, what, draw(st.sampled_from(whose)), RANKS[what], f"{index + 1}", effect))
    if draw(st.integers(0, 3)) == 0:
        effect = draw(spans(undated=False)) if draw(st.booleans()) else None
        facts.append(spanned(draw(spans()), "terminated", None, RANKS["terminated"], "9", effect))
    makers = [fact for fact in facts if fact.what in MAKES]
    made = max(maker.hi for maker in makers)
    if len(makers) > 1:  # only facts after all of them show which was the first
        assume(all(fact.lo >= made for fact in facts if fact not in makers))
        assume(
            made == FIRST
            or all(min((fact.lo, *(fact.effect or ()))) > made for fact in facts if fact.what == "withdrawn")
        )
    elif makers[0].lo < makers[0].hi and any(
        (fact.effect or (fact.lo,))[0] <= made for fact in facts if fact.what in (*CONSENTS, "withdrawn")
    ):  # what entered into force before the agreement comes before all else of the day on which that came about
        facts = [fact for fact in facts if fact.what != "entered-into-force" or fact.lo >= made]
    for who in "ab":  # two withdrawals may be one, recorded by two sources: the model is rough between them
        again = [fact for fact in facts if (fact.what, fact.who) == ("withdrawn", who)][1:]
        if again:
            assume(all(fact.hi < BEYOND for fact in again))
            assume(all(fact.lo > made for fact in facts if (fact.what, fact.who) == ("withdrawn", who)))
            facts = [replace(fact, effect=None) if fact.what == "withdrawn" else fact for fact in facts]
            facts = [fact for fact in facts if fact.what not in ("suspended", "resumed") or fact.who != who]
    assume(sum(fact.hi == BEYOND for fact in facts) <= 2)
    count = 1
    for fact in facts:
        first, last = fact.effect or (0, 0)
        count *= (fact.hi - fact.lo + 1) * (last - first + 1)
    assume(count <= 1500)
    return facts


def data_of(fact: Happening) -> dict[str, Any]:
    data: dict[str, Any] = {}
    match fact.what:
        case "adopted":
            data = {"title": "t", "kind": "treaty"}
        case "signed":
            signatories = [{"party": f"parties/{who}"} for who in fact.who or ""]
            data = {"title": "t", "kind": "treaty", "parties": signatories}
        case "terminated":
            data = {"reason": "terminated"}
        case _ if fact.who:
            data = {"party": f"parties/{fact.who}"}
    return data | {"effective": edtf(*fact.effect)} if fact.effect else data


def post_agreement(found: RecordedViews, facts: Sequence[Happening]) -> None:
    found.record(party("a"), party("b"))
    documents = []
    for fact in facts:
        occurred = edtf(fact.lo, fact.hi)
        documents.append(event(f"agreement.{fact.what}", "agreements/t", occurred, id_=fact.id, **data_of(fact)))
    found.batch(*documents)


def fact_of(happening: Happening, position: int) -> Fact:
    kind, occurred = f"agreement.{happening.what}", edtf(happening.lo, happening.hi)
    record = CATALOGUE[kind].data.model_validate_json(json.dumps(data_of(happening)))
    span = span_of(occurred)
    return Fact(position, "agreements/t", kind, "s", happening.id, occurred, span, span.hi, record, (position,))


BEGUN_BEFORE_WHAT_CAME_THAT_DAY = [
    Happening("adopted", None, 1, 1, 4, "0"),
    Happening("withdrawn", "a", 6, 7, -1, "1"),
    Happening("provisionally-applied", None, 6, 6, 13, "2"),
    Happening("ratified", "a", 7, 7, 11, "3"),
]
"""The withdrawal's first day is one of all that was applied: what it ends began before that, recorded by nobody."""

LEFT_BEFORE_THE_END_OF_THAT_DAY = [
    Happening("adopted", None, 1, 1, 4, "0"),
    Happening("withdrawn", "a", 1, 9, -1, "1", effect=(2, 2)),
    Happening("ratified", "b", 1, 9, 11, "2"),
    Happening("terminated", None, 2, 2, 33, "9"),
]
"""A withdrawal comes before an end of the same day, also where nobody recorded what it ends."""


@settings(max_examples=150)
@given(agreement_facts())
@example(LEFT_BEFORE_THE_END_OF_THAT_DAY)
@example(BEGUN_BEFORE_WHAT_CAME_THAT_DAY)
def test_status_of_an_agreement_and_a_membership_equal_the_enumerated_worlds(facts):
    expected = verdict(facts, agreement_tie)
    both = expected and verdict(facts, agreement)
    with new_views() as found:
        if expected is None or both is None:
            if not may_alternate(facts):
                with pytest.raises(Contradiction):
                    post_agreement(found, facts)
        else:
            post_agreement(found, facts)
            agree(expected, ties_by_day(found, "agreements/t"))
            agree(both, states_by_day(found, "agreements/t"))


@settings(max_examples=400)
@given(agreement_facts())
def test_membership_periods_of_an_agreement_equal_the_enumerated_worlds(facts):
    """The same without any other fact, for many more histories."""
    expected = verdict(facts, agreement_tie)
    stated = sorted((fact_of(fact, position) for position, fact in enumerate(facts, 1)), key=lambda fact: fact.order)
    own = [fact for fact in stated if fact.type in MEMBERSHIP_TYPES and "parties/a" in parties_of(fact)]
    if expected is None or not own:
        return
    consented = NO_CONSENT
    for fact in stated:
        if fact.type in CONSENT_TYPES:
            consented = consented.extended(parties_of(fact)[0], fact.span)
    days = membership_periods(
        own,
        [fact for fact in stated if is_agreement_wide(fact)],
        lifespan_of(summarise(stated).bounds),
        consented=consented.of_others("parties/a"),
    )
    rows = {}
    for on in DAYS:
        for each in days:
            if each.valid_from <= parse_day(day(on)) < each.valid_to:
                certainty = "certain" if each.is_certain else "possible"
                rows[on] = {"status": each.status, "statuses": each.statuses, "certainty": certainty}
    agree(expected, rows)


# labs, their phases, platforms themselves

LAB = {
    "founded": "lab.founded",
    "opened": "lab.opened",
    "closed": "lab.closed",
    "started": "lab.phase-started",
    "completed": "lab.phase-completed",
}


def waits(reading: Reading) -> bool:
    """Return whether no phase starts before the completion of the one it is contingent on."""
    starts = [on for fact, (on, _) in reading.items() if (fact.what, fact.who) == ("started", "y")]
    completions = [on for fact, (on, _) in reading.items() if (fact.what, fact.who) == ("completed", "x")]
    return not starts or not completions or max(completions) <= min(starts)


def whole(statuses: dict[str, str]) -> Callable[[Reading], list[Timeline]]:
    """Return the status of a lab or a platform: that of its latest fact with one."""

    def timelines(reading: Reading) -> list[Timeline]:
        if not is_within_lifespan(reading) or not waits(reading):
            return []
        ordered = in_order(reading, (fact for fact in reading if fact.what in statuses))
        return [tuple(next((statuses[f.what] for on, f in reversed(ordered) if on <= day), None) for day in DAYS)]

    return timelines


def phase(name: str) -> Callable[[Reading], list[Timeline]]:
    """Return the status of a phase: planned with the lab, then by its latest fact."""

    def timelines(reading: Reading) -> list[Timeline]:
        if not is_within_lifespan(reading) or not waits(reading):
            return []
        days = {what: [on for fact, (on, _) in reading.items() if fact.what == what] for what in ("founded",)}
        for what in ("started", "completed"):
            days[what] = [on for fact, (on, _) in reading.items() if (fact.what, fact.who) == (what, name)]
        return [
            tuple(
                next(
                    (
                        status
                        for what, status in (("completed", "completed"), ("started", "started"), ("founded", "planned"))
                        if days[what] and min(days[what]) <= day
                    ),
                    None,
                )
                for day in DAYS
            )
        ]

    return timelines


@st.composite
def lab_facts(draw):
    facts = [spanned(draw(spans(undated=False)), "founded", None, RANKS["founded"], "0")]
    for index in range(draw(st.integers(1, 3))):
        what = draw(st.sampled_from(("opened", "started", "started", "completed", "completed")))
        who = None if what == "opened" else draw(st.sampled_from("xy"))
        facts.append(spanned(draw(spans()), what, who, RANKS[what], f"{index + 1}"))
    if draw(st.integers(0, 2)) == 0:
        facts.append(spanned(draw(spans()), "closed", None, RANKS["closed"], "9"))
    assume(sum(fact.hi == BEYOND for fact in facts) <= 2)
    return facts


def post_lab(found: RecordedViews, facts: Sequence[Happening]) -> None:
    documents = []
    for fact in facts:
        data: dict[str, Any] = {"phase": fact.who} if fact.who else {}
        if fact.what == "founded":
            phases = [{"phase": "x"}, {"phase": "y", "after": ["x"]}]
            data = {"name": "l", "founders": ["parties/a"], "phases": phases}
        documents.append(event(LAB[fact.what], "labs/l", edtf(fact.lo, fact.hi), id_=fact.id, **data))
    found.batch(party("a"), *documents)


@settings(max_examples=100)
@given(lab_facts())
def test_statuses_of_a_lab_and_its_phases_equal_the_enumerated_worlds(facts):
    expected = verdict(facts, whole({"founded": "founded", "opened": "operating", "closed": "closed"}))
    with new_views() as found:
        if expected is None:
            with pytest.raises(Contradiction):
                post_lab(found, facts)
            return
        post_lab(found, facts)
        states = states_by_day(found, "labs/l")
        agree(expected, states)
        for name in ("x", "y"):
            phases = verdict(facts, phase(name))
            assert phases is not None
            listed = {on: [each for each in state["phases"] if each["phase"] == name] for on, state in states.items()}
            agree(phases, {on: rows[0] for on, rows in listed.items() if rows})


@settings(max_examples=75)
@given(platform_facts())
def test_status_of_a_platform_equals_the_enumerated_worlds(facts):
    expected = verdict(facts, whole({"launched": "launched", "dissolved": "dissolved"}))
    assume(verdict(facts, platform_membership) is not None)
    assert expected is not None
    with new_views() as found:
        post_platform(found, facts)
        agree(expected, states_by_day(found, "platforms/p"))


# commitments


def commitment(reading: Reading) -> list[Timeline]:
    """Return the status: planned when made, then that of the last update; no update precedes it."""
    made = next(on for fact, (on, _) in reading.items() if fact.what == "made")
    updates = in_order(reading, (fact for fact in reading if fact.what != "made"))
    if updates and updates[0][0] < made:
        return []
    line = [next((fact.what for on, fact in reversed(updates) if on <= today), "planned") for today in DAYS]
    return [tuple(status if today >= made else None for today, status in zip(DAYS, line, strict=True))]


@st.composite
def commitment_facts(draw):
    facts = [spanned(draw(spans()), "made", None, 22, "0")]
    for index in range(draw(st.integers(0, 3))):
        status = draw(st.sampled_from(("planned", "in-progress", "fulfilled", "cancelled")))
        facts.append(spanned(draw(spans()), status, None, 23, f"{index + 1}"))
    assume(sum(fact.hi == BEYOND for fact in facts) <= 2)
    return facts


@settings(max_examples=75)
@given(commitment_facts())
def test_status_of_a_commitment_equals_the_enumerated_worlds(facts):
    expected = verdict(facts, commitment)
    assume(expected is not None)
    assert expected is not None
    with new_views() as found:
        found.record(event("agreement.adopted", "agreements/t", day(FIRST), title="t", kind="treaty"))
        for fact in facts:
            data = {"commitment": "x", "status": fact.what}
            if fact.what == "made":
                data = {"commitment": "x", "kind": "research", "title": "x"}
            kind = "agreement.commitment-made" if fact.what == "made" else "agreement.commitment-updated"
            found.record(event(kind, "agreements/t", edtf(fact.lo, fact.hi), id_=fact.id, **data))
        states = states_by_day(found, "agreements/t")
        agree(expected, {on: state["commitments"][0] for on, state in states.items() if state["commitments"]})
