"""The rules: certain contradictions are refused with the positions in the way, missing or imprecise facts are accepted.

They run on a history in memory. `tests/projections/test_recorded_history.py` runs the same cases on the fact store.
"""

from __future__ import annotations

from hashlib import sha256

import pytest

from domain.errors import Contradiction, Invalid
from tests.domain.history_fake import Posts
from tests.recorded_views import (
    adopted,
    also_signed,
    announced,
    changed,
    corrected,
    disputed,
    document,
    event,
    joined,
    lab,
    left,
    of_lab,
    owned,
    parties,
    party,
    platform,
    retracted,
    signed,
    step,
)

ABC = parties("a", "b", "c")
"""Positions 1 to 3."""
P = platform("p", "2020-01-01")
"""Position 4 after `ABC`."""
T = signed("t", "2020-01-01", "a")
L = lab("l", "2020-01-01", "a", phases=[{"phase": "x"}, {"phase": "y", "after": ["x"]}, {"phase": "z", "after": ["y"]}])
DECLARED = step("declaration-made", "t", None, "a", kind="reservation", text="not article 3")
COMMITTED = step("commitment-made", "t", None, commitment="x", kind="research", title="x")


def renamed(slug: str, occurred: str | None = None, name: str = "new"):
    return event("party.renamed", f"parties/{slug}", occurred, name=name)


def dissolved(slug: str, occurred: str | None = None):
    return event("party.dissolved", f"parties/{slug}", occurred)


def merged(slug: str, into: str):
    return event("party.merged", f"parties/{slug}", None, into=f"parties/{into}")


def reestablished(slug: str, occurred: str | None = None):
    return event("party.re-established", f"parties/{slug}", occurred)


def part_of(slug: str, parent: str | None, occurred: str | None):
    return event("party.reorganized", f"parties/{slug}", occurred, part_of=parent and f"parties/{parent}")


# Each: what is given, what is then refused, and the positions in the way.
CONTRADICTIONS = {
    "before the signature, but after the announcement": (
        [*ABC, announced("t", "2019-01-01"), also_signed("t", "2020-01-01", "a")],
        step("ratified", "t", "2019-06", "a"),
        (4, 5),
    ),
    "a commitment before the announcement": (
        [*ABC, announced("t", "2020-01-01")],
        step("commitment-made", "t", "2019", commitment="x", kind="research", title="x"),
        (4,),
    ),
    "revoking a notice that took effect": (
        [*ABC, T, step("withdrawn", "t", "2021", "a", effective="2022")],
        step("withdrawal-revoked", "t", "2023", "a"),
        (5,),
    ),
    "reinstating before the end": (
        [*ABC, T, step("terminated", "t", "2022", reason="terminated")],
        step("reinstated", "t", "2021"),
        (5,),
    ),
    "reinstating a party before it left": (
        [*ABC, T, step("withdrawn", "t", "2022", "a")],
        step("reinstated", "t", "2021", "a"),
        (5,),
    ),
    "between an end and the reinstatement": (
        [*ABC, T, step("terminated", "t", "2021", reason="terminated"), step("reinstated", "t", "2024")],
        step("ratified", "t", "2022", "a"),
        (5,),
    ),
    "before the launch": ([*ABC, P], joined("a", "p", "2019-12-31"), (4,)),
    "before the launch, on every reading": ([*ABC, P], joined("a", "p", "2019"), (4,)),
    "before the founding": ([*ABC, L], of_lab("opened", "l", "2019"), (4,)),
    "before the earliest signature": ([*ABC, T], step("ratified", "t", "2019-06", "a"), (4,)),
    "before every maker": (
        [*ABC, adopted("t", "2020-01-01"), also_signed("t", "2021-01-01", "a")],
        step("ratified", "t", "2019", "a"),
        (4, 5),
    ),
    "before a dated registration": ([party("a", "2020-01-01")], renamed("a", "2019"), (1,)),
    "dissolved before a dated registration": ([party("a", "2020-01-01")], dissolved("a", "2019-12-31"), (1,)),
    "after a dissolution": (
        [*ABC, P, event("platform.dissolved", "platforms/p", "2021-06-01")],
        joined("a", "p", "2021-06-02"),
        (5,),
    ),
    "after a dissolution known to the year": (
        [*ABC, P, event("platform.dissolved", "platforms/p", "2021")],
        joined("a", "p", "2022"),
        (5,),
    ),
    "after a closing": ([*ABC, L, of_lab("closed", "l", "2021")], of_lab("opened", "l", "2022"), (5,)),
    "after a termination takes effect": (
        [*ABC, T, step("terminated", "t", "2020-06-01", reason="terminated", effective="2021-01-01")],
        step("ratified", "t", "2021-01-02", "a"),
        (5,),
    ),
    "signed after the end": (
        [*ABC, T, step("terminated", "t", "2021-01-01", reason="expired")],
        also_signed("t", "2022", "b"),
        (5,),
    ),
    "a party's end": ([party("a"), dissolved("a", "2020")], renamed("a", "2021"), (2,)),
    "an end with facts after it": (
        [*ABC, P, joined("a", "p", "2021"), joined("b", "p", "2022"), joined("c", "p", "2020-06-01")],
        event("platform.dissolved", "platforms/p", "2020-06-01"),
        (5, 6),
    ),
    "a second, later end": (
        [*ABC, P, event("platform.dissolved", "platforms/p", "2021-01-01")],
        event("platform.dissolved", "platforms/p", "2022-01-01"),
        (5,),
    ),
    "an end before the beginning": ([*ABC, T], step("terminated", "t", None, reason="expired", effective="2019"), (4,)),
    "joining twice": ([*ABC, P, joined("a", "p", "2021")], joined("a", "p", "2022"), (5,)),
    "joining twice, undated": ([*ABC, P, joined("a", "p")], joined("a", "p"), (5,)),
    "joining between joining and leaving": (
        [*ABC, P, joined("a", "p", "2021"), left("a", "p", "2023")],
        joined("a", "p", "2022"),
        (5,),
    ),
    "joining a third time": (
        [*ABC, P, joined("a", "p", "2020-02"), left("a", "p", "2020-03"), joined("a", "p", "2020-04")],
        joined("a", "p", "2020-05"),
        (7,),
    ),
    "ratifying twice": ([*ABC, T, step("ratified", "t", "2021", "a")], step("ratified", "t", "2022", "a"), (5,)),
    "acceding twice": ([*ABC, T, step("acceded", "t", "2021", "b")], step("acceded", "t", "2022", "b"), (5,)),
    "signing twice": ([*ABC, T], also_signed("t", "2021", "b", "a"), (4,)),
    "ratifying twice by a party that signed twice": (
        [
            *ABC,
            T,
            step("withdrawn", "t", "2020-06-01", "a"),
            also_signed("t", "2021-01-01", "a"),
            step("ratified", "t", "2022-01-01", "a"),
        ],
        step("ratified", "t", "2023-01-01", "a"),
        (7,),
    ),
    "a phase before one it waits for": (
        [*ABC, L, of_lab("phase-completed", "l", "2021-01-01", phase="x")],
        of_lab("phase-started", "l", "2020-06", phase="y"),
        (5,),
    ),
    "a phase before one it waits for through another": (
        [*ABC, L, of_lab("phase-completed", "l", "2021-01-01", phase="x")],
        of_lab("phase-started", "l", "2020-06", phase="z"),
        (5,),
    ),
    "completing what another has not waited for": (
        [*ABC, L, of_lab("phase-started", "l", "2020-06", phase="y")],
        of_lab("phase-completed", "l", "2021", phase="x"),
        (5,),
    ),
    "part of itself": ([*ABC, part_of("a", "b", "2020")], part_of("b", "a", "2021"), (4,)),
    "part of itself at once": (ABC, part_of("a", "a", "2021"), ()),
    "part of itself through a chain": (
        [*ABC, part_of("a", "b", "2020"), part_of("b", "c", "2021")],
        part_of("c", "a", "2022"),
        (4, 5),
    ),
    "part of itself since it was registered": (
        [party("a"), party("b", part_of="parties/a")],
        part_of("a", "b", "2021"),
        (2,),
    ),
    "part of itself at the end of days": ([*ABC, part_of("a", "b", None)], part_of("b", "a", None), (4,)),
    "owning itself": (ABC, owned("a", "a", "2021"), ()),
    "owning itself once merged": ([*ABC, owned("a", "b", "2021")], merged("a", "b"), (4,)),
    "becoming an owner twice": ([*ABC, owned("a", "b", "2021")], owned("a", "b", "2022"), (4,)),
    "registered again": (ABC, party("a"), (1,)),
    "launched again": ([*ABC, P], platform("p", "2021"), (4,)),
    "founded again": ([*ABC, L], lab("l", "2021", "b"), (4,)),
    "a document registered again": ([document("d")], document("d"), (1,)),
    "the same commitment": ([*ABC, T, COMMITTED], COMMITTED, (5,)),
    "owned by a dissolved party": ([*ABC, dissolved("b", "2020")], owned("a", "b", "2021"), (4,)),
    "owned after its end": ([*ABC, dissolved("a", "2020")], owned("a", "b", "2021"), (4,)),
    "owned by a party that comes about later": (
        [party("a"), party("b", "2020-01-01")],
        owned("a", "b", "2019"),
        (2,),
    ),
    "re-established before its dissolution": ([*ABC, dissolved("a", "2020")], reestablished("a", "2019"), (4,)),
    "joining before the re-establishment": (
        [*ABC, dissolved("a", "2020"), reestablished("a", "2025"), P],
        joined("a", "p", "2022"),
        (4,),
    ),
    "dissolved a second time before the re-establishment": (
        [*ABC, dissolved("a", "2020"), reestablished("a", "2025")],
        dissolved("a", "2022"),
        (4,),
    ),
    "its own successor": (ABC, event("party.dissolved", "parties/a", None, successors=["parties/b", "parties/a"]), ()),
    "its own successor as merged": (
        [*ABC, merged("a", "b")],
        event("party.dissolved", "parties/b", None, successors=["parties/a"]),
        (),
    ),
    "its own successor once merged": (
        [*ABC, event("party.dissolved", "parties/a", None, successors=["parties/b"])],
        merged("a", "b"),
        (4,),
    ),
    "its own successor once corrected": (
        [*ABC, dissolved("a", "2020")],
        corrected("parties/a", 4, data={"successors": ["parties/a"]}),
        (4,),
    ),
    "a platform that is its own successor": (
        [*ABC, P],
        event("platform.dissolved", "platforms/p", None, successors=["platforms/p"]),
        (),
    ),
    "merged with itself": (ABC, merged("a", "a"), ()),
    "merged in a circle": ([*ABC, merged("a", "b")], merged("b", "a"), (4,)),
    "merged in a longer circle": ([*ABC, merged("a", "b"), merged("b", "c")], merged("c", "a"), (4, 5)),
    "merged again": ([*ABC, merged("a", "b")], merged("a", "b"), (4,)),
    "merged into what it is part of": ([*ABC, part_of("a", "b", "2020")], merged("a", "b"), (4,)),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_certain_contradiction_is_refused_with_the_positions_in_the_way(posts: Posts, case):
    given, refused, in_the_way = CONTRADICTIONS[case]
    posts.record(*given)
    why = posts.refused(refused)
    assert isinstance(why, Contradiction), why.flaws
    assert why.positions == in_the_way
    assert why.detail


ACCEPTED = {
    "a commitment after the announcement": [
        *ABC,
        announced("t", "2019-01-01"),
        step("commitment-made", "t", "2019-06", commitment="x", kind="research", title="x"),
        also_signed("t", "2020-01-01", "a"),
    ],
    "ratifying before the announcement": [*ABC, announced("t", "2020-01-01"), step("ratified", "t", "2019", "a")],
    "revoking a notice that may not have taken effect": [
        *ABC,
        T,
        step("withdrawn", "t", "2021", "a", effective="2022"),
        step("withdrawal-revoked", "t", "2022", "a"),
    ],
    "revoking a notice that is not recorded": [*ABC, T, step("withdrawal-revoked", "t", "2021", "a")],
    "reinstating what may have ended": [
        *ABC,
        T,
        step("terminated", "t", "2021", reason="terminated"),
        step("reinstated", "t", "2021-03"),
    ],
    "reinstating without a recorded end": [
        *ABC,
        T,
        step("reinstated", "t", "2021"),
        step("reinstated", "t", "2022", "b"),
    ],
    "after a reinstatement": [
        *ABC,
        T,
        step("terminated", "t", "2021", reason="terminated"),
        step("reinstated", "t", "2024"),
        step("ratified", "t", "2025", "a"),
        step("terminated", "t", "2026-01-01", reason="completed"),
    ],
    "ratifying without a signature": [*ABC, T, step("ratified", "t", "2021", "b")],
    "in force before any instrument": [*ABC, T, step("entered-into-force", "t", "2021", "b")],
    "an instrument after being in force": [
        *ABC,
        T,
        step("entered-into-force", "t", "2021", "b"),
        step("acceded", "t", "2022", "b", instrument="succession"),
    ],
    "leaving without joining": [*ABC, P, left("a", "p", "2021")],
    "leaving twice": [*ABC, P, left("a", "p", "2021"), left("a", "p", "2022")],
    "withdrawing without consent": [*ABC, T, step("withdrawn", "t", "2021", "b")],
    "resuming without a suspension": [*ABC, T, step("resumed", "t", "2021", "b")],
    "on the day of the launch": [*ABC, P, joined("a", "p", "2020-01-01")],
    "perhaps after the launch": [*ABC, P, joined("a", "p", "2020")],
    "an uncertain year that may be after the launch": [*ABC, P, joined("a", "p", "2019?")],
    "no date before a dated launch": [*ABC, P, joined("a", "p")],
    "no year": [*ABC, P, joined("a", "p", "XXXX-08-18"), left("a", "p", "XXXX-08-17")],
    "on the day of the end": [
        *ABC,
        P,
        event("platform.dissolved", "platforms/p", "2021-06-01"),
        joined("a", "p", "2021-06-01"),
    ],
    "perhaps before the end": [
        *ABC,
        P,
        event("platform.dissolved", "platforms/p", "2021-06-01"),
        joined("a", "p", "2021"),
    ],
    "an end that may come after": [
        *ABC,
        P,
        joined("a", "p", "2021"),
        event("platform.dissolved", "platforms/p", "2021"),
    ],
    "a notice before the end with effect after it": [
        *ABC,
        T,
        step("terminated", "t", "2021-01-01", reason="expired"),
        step("withdrawn", "t", "2020-06-01", "a", effective="2022-01-01"),
    ],
    "the same end from two sources": [
        *ABC,
        P,
        event("platform.dissolved", "platforms/p", "2021"),
        event("platform.dissolved", "platforms/p", "2021-06"),
    ],
    "rejoining": [*ABC, P, joined("a", "p", "2021"), left("a", "p", "2022"), joined("a", "p", "2023")],
    "rejoining on the day of leaving": [
        *ABC,
        P,
        joined("a", "p", "2021-01-01"),
        left("a", "p", "2022-02-02"),
        joined("a", "p", "2022-02-02"),
    ],
    "rejoining where a leaving may lie between": [
        *ABC,
        P,
        joined("a", "p", "2020-02-01"),
        left("a", "p", "2020"),
        joined("a", "p", "2020-12-01"),
    ],
    "rejoining where an undated leaving may lie between": [
        *ABC,
        P,
        joined("a", "p", "2020-02-01"),
        left("a", "p"),
        joined("a", "p", "2020-12-01"),
    ],
    "signing, ratifying and acceding": [
        *ABC,
        T,
        step("ratified", "t", "2021", "a"),
        step("acceded", "t", "2022", "a"),
    ],
    "acceding again after withdrawing on the same day, with imprecise steps beside": [
        *ABC,
        T,
        step("entered-into-force", "t", "2020", "a"),
        step("acceded", "t", "2020-05-05", "a"),
        step("withdrawn", "t", "2021-06-06", "a"),
        step("acceded", "t", "2021-06-06", "a"),
    ],
    "a phase whose predecessor nobody saw completed": [*ABC, L, of_lab("phase-started", "l", "2020-06", phase="z")],
    "a phase in the year of the completion": [
        *ABC,
        L,
        of_lab("phase-completed", "l", "2021-06-01", phase="x"),
        of_lab("phase-started", "l", "2021", phase="y"),
    ],
    "completing without starting": [*ABC, L, of_lab("phase-completed", "l", "2021", phase="z")],
    "adopted after a signature": [*ABC, T, adopted("t", "2021-01-01")],
    "a registration without a date": [party("a"), renamed("a", "1900")],
    "part of another in turn": [
        *ABC,
        part_of("a", "b", "2020-01-01"),
        part_of("a", None, "2021-01-01"),
        part_of("b", "a", "2021-01-01"),
    ],
    "part of each other perhaps in turn": [
        *ABC,
        part_of("a", "b", "2020"),
        part_of("a", None, "2021"),
        part_of("b", "a", "2021"),
    ],
    "part of what is registered later, and parted by then": [
        *ABC,
        part_of("b", "a", "2010-01-01"),
        part_of("b", None, "2012-01-01"),
        party("d", "2015-01-01", part_of="parties/b"),
        part_of("b", "d", "2011-01-01"),
        part_of("b", None, "2011-06-01"),
    ],
    "doubled memberships of merged parties": [
        *ABC,
        P,
        joined("a", "p", "2021-01-01"),
        joined("b", "p", "2022-01-01"),
        merged("a", "b"),
    ],
    "a commitment updated before it was made, as dated": [
        *ABC,
        T,
        {**COMMITTED, "occurred": "2021-05"},
        step("commitment-updated", "t", "2021-03", commitment="x", status="fulfilled"),
    ],
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_history_without_a_certain_contradiction_is_accepted(posts: Posts, case):
    posts.record(*ACCEPTED[case])
    assert posts.head == len(ACCEPTED[case])


# Each: what is given, what is then refused, and the pointers of its flaws.
MISSING = {
    "a party that is not there": ([*ABC, P], joined("x", "p"), ["/data/party"]),
    "a parent that is not there": ([], party("a", part_of="parties/x"), ["/data/part_of"]),
    "itself, not there yet": ([], party("a", part_of="parties/a"), ["/data/part_of"]),
    "signatories that are not there": (
        ABC,
        signed("t", None, "a", "x", "y"),
        ["/data/parties/1/party", "/data/parties/2/party"],
    ),
    "an agreement that is not there": (ABC, signed("t", None, "a", under="agreements/x"), ["/data/under"]),
    "founders that are not there": (ABC, lab("l", None, "a", "x"), ["/data/founders/1"]),
    "conveners that are not there": ([], platform("p", convened_by=["parties/x"]), ["/data/convened_by/0"]),
    "successors that are not there": (
        ABC,
        event("party.dissolved", "parties/a", None, successors=["parties/b", "parties/x"]),
        ["/data/successors/1"],
    ),
    "those with whom a commitment is made": (
        [*ABC, T],
        step(
            "commitment-made", "t", None, commitment="x", kind="other", title="x", by=["parties/x"], with_=["parties/y"]
        ),
        ["/data/by/0", "/data/with/0"],
    ),
    "a document that is not there": (
        [],
        party("a", evidence=[{"document": "documents/x", "start": 0, "end": 1}]),
        ["/data/evidence/0/document"],
    ),
    "a commitment that was not made": (
        [*ABC, T],
        step("commitment-updated", "t", None, commitment="x", status="planned"),
        ["/data/commitment"],
    ),
    "a phase that was not planned": ([*ABC, L], of_lab("phase-started", "l", phase="q"), ["/data/phase"]),
    "a call that was not opened": ([*ABC, L], of_lab("recruitment-closed", "l", call="q"), ["/data/call"]),
    "a declaration that was not made": ([*ABC, T], step("declaration-withdrawn", "t", None, event=4), ["/data/event"]),
    "a declaration on another agreement": (
        [*ABC, T, signed("s", None, "a"), DECLARED],
        step("declaration-withdrawn", "s", None, event=6),
        ["/data/event"],
    ),
    "a first event that makes nothing": (ABC, renamed("x"), ["/subject"]),
    "a first signature without title and kind": (ABC, also_signed("t", None, "a"), ["/data/title", "/data/kind"]),
    "a position that is not there": (ABC, retracted("parties/a", 99), ["/data/event"]),
    "itself": (ABC, retracted("parties/a", 4), ["/data/event"]),
    "an event about another subject": (ABC, retracted("parties/b", 1), ["/data/event"]),
    "a correction of an event about another subject": (ABC, corrected("parties/b", 1, occurred=None), ["/data/event"]),
    "evidence for an event about another subject": (
        [*ABC, document("d")],
        event(
            "evidence.added", "parties/b", None, event=1, evidence=[{"document": "documents/d", "start": 0, "end": 1}]
        ),
        ["/data/event"],
    ),
    "a patch of what is no field of the corrected type": (
        ABC,
        corrected("parties/a", 1, data_patch={"nome": "x"}),
        ["/data/data_patch/nome"],
    ),
    "a patch that takes away what is needed": (
        ABC,
        corrected("parties/a", 1, data_patch={"kind": None}),
        ["/data/data_patch/kind"],
    ),
    "a patch that names what is not there": (
        ABC,
        corrected("parties/a", 1, data_patch={"part_of": "parties/x"}),
        ["/data/data_patch/part_of"],
    ),
    "data that is not of the corrected type": (
        ABC,
        corrected("parties/a", 1, data={"nome": "x"}),
        ["/data/data/kind", "/data/data/name", "/data/data/nome"],
    ),
    "a correction naming what is not there": (
        ABC,
        corrected("parties/a", 1, data={"name": "x", "kind": "state", "part_of": "parties/x"}),
        ["/data/data/part_of"],
    ),
    "a correction to a commitment that was not made": (
        [*ABC, T, COMMITTED, step("commitment-updated", "t", None, commitment="x", status="planned")],
        corrected("agreements/t", 6, data={"commitment": "y", "status": "planned"}),
        ["/data/data/commitment"],
    ),
    "a corrected correction that would correct another event": (
        [*ABC, renamed("a"), corrected("parties/a", 4, occurred="2020")],
        corrected("parties/a", 5, data={"event": 1, "reason": "r", "occurred": "2021"}),
        ["/data/data/event"],
    ),
    "a corrected correction that would put in what is no data of the type": (
        [*ABC, corrected("parties/a", 1, data={"name": "x", "kind": "company"})],
        corrected("parties/a", 4, data={"event": 1, "reason": "r", "data": {"name": "x"}}),
        ["/data/data/data/kind"],
    ),
    "a corrected correction that would name what is not there": (
        [*ABC, corrected("parties/a", 1, data={"name": "x", "kind": "company"})],
        corrected(
            "parties/a",
            4,
            data={"event": 1, "reason": "r", "data": {"name": "x", "kind": "state", "part_of": "parties/x"}},
        ),
        ["/data/data/data/part_of"],
    ),
    "a party wholly retracted": ([*ABC, P, retracted("parties/a", 1)], joined("a", "p"), ["/data/party"]),
    "speaking of a party wholly retracted": ([*ABC, retracted("parties/a", 1)], renamed("a"), ["/subject"]),
}


@pytest.mark.parametrize("case", MISSING)
def test_event_about_an_unknown_item_is_invalid(posts: Posts, case):
    given, refused, pointers = MISSING[case]
    posts.record(*given)
    why = posts.refused(refused)
    assert isinstance(why, Invalid), why.detail
    assert sorted(flaw.pointer for flaw in why.flaws) == sorted(pointers)


# Each: what is given, what would undo part of it, and the positions of what depends on that.
DEPENDED_ON = {
    "a party others rest on": ([*ABC, P, joined("a", "p"), joined("b", "p")], retracted("parties/a", 1), (5,)),
    "a party that is a parent": ([*ABC, part_of("b", "a", "2020")], retracted("parties/a", 1), (4,)),
    "a party that another was merged into": ([*ABC, merged("a", "b")], retracted("parties/b", 2), (4,)),
    "a party that was merged": ([*ABC, merged("a", "b")], retracted("parties/a", 1), (4,)),
    "an agreement that others are under": (
        [*ABC, T, signed("s", None, "a", under="agreements/t")],
        retracted("agreements/t", 4),
        (5,),
    ),
    "a document that is cited": (
        [document("d"), party("a", evidence=[{"document": "documents/d", "start": 0, "end": 1}])],
        retracted("documents/d", 1),
        (2,),
    ),
    "a first event with others on it": (
        [*ABC, P, joined("a", "p"), left("a", "p")],
        retracted("platforms/p", 4),
        (5, 6),
    ),
    "the signature that has title and kind": (
        [*ABC, T, also_signed("t", "2021", "b")],
        retracted("agreements/t", 4),
        (5,),
    ),
    "the opening of a commitment": (
        [*ABC, T, COMMITTED, step("commitment-updated", "t", None, commitment="x", status="planned")],
        retracted("agreements/t", 5),
        (6,),
    ),
    "the opening of a call": (
        [*ABC, L, of_lab("recruitment-opened", "l", call="q", role="r"), of_lab("recruitment-closed", "l", call="q")],
        retracted("labs/l", 5),
        (6,),
    ),
    "a declaration that was withdrawn": (
        [*ABC, T, DECLARED, step("declaration-withdrawn", "t", None, event=5)],
        retracted("agreements/t", 5),
        (6,),
    ),
    "phases that were started": (
        [*ABC, L, of_lab("phase-started", "l", phase="y")],
        corrected("labs/l", 4, data={"name": "l", "founders": ["parties/a"], "phases": [{"phase": "x"}]}),
        (5,),
    ),
    "the leaving between two joinings": (
        [*ABC, P, joined("a", "p", "2021"), left("a", "p", "2022"), joined("a", "p", "2023")],
        retracted("platforms/p", 6),
        (5, 7),
    ),
    "the date of the leaving between two joinings": (
        [*ABC, P, joined("a", "p", "2021"), left("a", "p", "2022"), joined("a", "p", "2023")],
        corrected("platforms/p", 6, occurred="2024"),
        (5, 7),
    ),
    "the date of a launch": (
        [*ABC, P, joined("a", "p", "2021"), joined("b", "p", "2023")],
        corrected("platforms/p", 4, occurred="2022"),
        (4, 5),
    ),
    "who joined": (
        [*ABC, P, joined("a", "p", "2021"), joined("b", "p", "2023")],
        corrected("platforms/p", 6, data={"party": "parties/a"}),
        (5, 6),
    ),
    "a retraction that made room for another first event": (
        [party("a"), retracted("parties/a", 1), party("a")],
        retracted("parties/a", 2),
        (1, 3),
    ),
    "a retraction that made room for another joining": (
        [*ABC, P, joined("a", "p", "2021"), retracted("platforms/p", 5), joined("a", "p", "2022")],
        retracted("platforms/p", 6),
        (5, 7),
    ),
    "a retraction on a subject that is wholly retracted": (
        [party("a"), renamed("a"), retracted("parties/a", 2), retracted("parties/a", 1)],
        retracted("parties/a", 3),
        (2,),
    ),
    "a retraction of what speaks of a party since retracted": (
        [*ABC, P, joined("a", "p"), retracted("platforms/p", 5), retracted("parties/a", 1)],
        retracted("platforms/p", 6),
        (5, 7),
    ),
    "a correction from a party since retracted": (
        [
            *ABC,
            P,
            joined("a", "p"),
            corrected("platforms/p", 5, data={"party": "parties/b"}),
            retracted("parties/a", 1),
        ],
        retracted("platforms/p", 6),
        (5, 7),
    ),
    "a retracted merger, another having been recorded the other way round": (
        [*ABC, merged("a", "b"), retracted("parties/a", 4), merged("b", "a")],
        retracted("parties/a", 5),
        (4, 6),
    ),
    "a merger, corrected into a circle": (
        [*ABC, merged("a", "b"), merged("b", "c")],
        corrected("parties/b", 5, data={"into": "parties/a"}),
        (4, 5),
    ),
    "a merger without which a party joined twice": (
        [*ABC, P, merged("b", "a"), joined("a", "p", "2021"), left("b", "p", "2022"), joined("a", "p", "2023")],
        retracted("parties/b", 5),
        (6, 8),
    ),
    "a merger without which a party was renamed before it came about": (
        [party("a", "2020-01-01"), party("b", "2010-01-01"), merged("b", "a"), renamed("a", "2015")],
        retracted("parties/b", 3),
        (1, 4),
    ),
}


@pytest.mark.parametrize("case", DEPENDED_ON)
def test_retraction_of_a_fact_that_others_depend_on_is_refused(posts: Posts, case):
    given, undone, depending = DEPENDED_ON[case]
    posts.record(*given)
    why = posts.refused(undone)
    assert isinstance(why, Contradiction), why.flaws
    assert why.positions == depending


def test_batch_is_checked_as_a_whole(posts: Posts):
    posts.record(*ABC, P)
    posts.batch(joined("a", "p", "2021"), joined("a", "p", "2023"), left("a", "p", "2022"))
    posts.batch(event("platform.dissolved", "platforms/p", "2022"), corrected("platforms/p", 8, occurred="2024"))
    assert posts.head == 9


def test_references_of_a_batch_are_checked_in_order(posts: Posts):
    posts.batch(party("a"), platform("p"), joined("a", "p"))
    why = posts.refused(platform("q"), joined("b", "q"), party("b"))
    assert isinstance(why, Invalid)
    assert [flaw.pointer for flaw in why.flaws] == ["/1/data/party"]
    why = posts.refused(
        signed("t", None, "a"), step("commitment-updated", "t", None, commitment="x", status="planned"), COMMITTED
    )
    assert [flaw.pointer for flaw in why.flaws] == ["/1/data/commitment"]


def test_refused_batch_leaves_nothing(posts: Posts):
    posts.record(*ABC, P)
    why = posts.refused(joined("a", "p", "2021"), party("d"), joined("d", "p"), joined("a", "p", "2022"))
    assert isinstance(why, Contradiction)
    assert {flaw.pointer for flaw in why.flaws} == {"/0", "/3"}
    assert posts.head == 4
    assert isinstance(posts.refused(joined("d", "p")), Invalid)


def test_merged_parties_join_once(posts: Posts):
    posts.record(*ABC, P, joined("a", "p", "2021"), merged("b", "a"))
    assert posts.refused(joined("b", "p", "2022")).positions == (5,)
    posts.record(left("b", "p", "2022"), joined("b", "p", "2023"))


def test_merged_parties_have_one_lifespan(posts: Posts):
    posts.record(party("a", "2010-01-01"), party("b", "2020-01-01"), dissolved("a", "2021"), merged("b", "a"))
    posts.record(renamed("b", "2015"))
    assert posts.refused(renamed("b", "2022")).positions == (3,)


def test_disputed_date_adds_possible_days(posts: Posts):
    posts.record(*ABC, P, document("d"), joined("a", "p", "2021"), disputed("platforms/p", 4, occurred="2018"))
    posts.record(joined("b", "p", "2019"))
    assert posts.refused(retracted("platforms/p", 7)).positions == (4, 8)


def test_claimed_date_is_a_date(posts: Posts):
    posts.record(*ABC, document("d"))
    with pytest.raises(Invalid):
        posts.record(disputed("parties/a", 1, occurred="some day"))


STEPS = {
    "signing": also_signed("t", "1995-01-01", "a"),
    "ratifying": step("ratified", "t", "1995-01-01", "a"),
    "acceding": step("acceded", "t", "1995-01-01", "a"),
    "joining": joined("a", "p", "1995-01-01"),
    "changing the category": changed("a", "p", "full", "1995-01-01"),
    "founding": lab("l", "1995-01-01", "a"),
}


@pytest.mark.parametrize("name", STEPS)
def test_step_after_the_end_of_its_party_is_refused_in_either_order(posts: Posts, name):
    posts.record(*parties("a", "b"), signed("t", "1980-01-01", "b"), platform("p", "1980-01-01"))
    end = posts.record(dissolved("a", "1990-10-03"))
    assert end in posts.refused(STEPS[name]).positions
    posts.record(retracted("parties/a", end))
    at = posts.record(STEPS[name])
    refused = posts.refused(dissolved("a", "1990-10-03"))
    assert isinstance(refused, Contradiction)
    assert refused.positions == (at,)
    assert posts.refused(retracted("parties/a", end + 1)).positions == (end, at)
    posts.record(dissolved("a", "1995-01-01"))  # on the day it still could


@pytest.mark.parametrize("name", STEPS)
def test_step_before_the_creation_of_its_party_is_refused_in_either_order(posts: Posts, name):
    posts.record(*parties("b"), signed("t", "1980-01-01", "b"), platform("p", "1980-01-01"))
    at = posts.record(party("a", "1996"))
    assert posts.refused(STEPS[name]).positions == (at,)
    posts.record(corrected("parties/a", at, occurred="1995"))
    step_at = posts.record(STEPS[name])
    assert posts.refused(corrected("parties/a", at, occurred="1995-01-02")).positions == (at, step_at)
    posts.record(corrected("parties/a", at, occurred=None))


def test_change_of_category_while_a_party_is_no_member_is_refused(posts: Posts):
    posts.record(*ABC, P, joined("a", "p", "2021-01-01"))
    assert posts.refused(changed("a", "p", "full", "2020-06-01")).positions == (5,)
    posts.record(changed("a", "p", "full", "2021-06-01"))


# events about events

REDACTED = event("event.redacted", "parties/a", event=1, reason="personal data")


def test_redaction_of_a_redacted_event_is_refused(posts: Posts):
    posts.record(*ABC, REDACTED)
    refused = posts.refused(REDACTED)
    assert isinstance(refused, Contradiction)
    assert refused.positions == (4,)


def test_retraction_of_a_redaction_is_refused(posts: Posts):
    posts.record(*ABC, REDACTED)
    assert [flaw.pointer for flaw in posts.refused(retracted("parties/a", 4)).flaws] == ["/data/event"]


def test_events_about_events_are_nested_to_a_depth(posts: Posts):
    posts.record(party("a"))
    for position in range(1, 33):
        posts.record(retracted("parties/a", position))
    assert [flaw.pointer for flaw in posts.refused(retracted("parties/a", 33)).flaws] == ["/data/event"]


def test_merged_parties_may_correct_each_other(posts: Posts):
    posts.record(
        *ABC, merged("b", "a"), corrected("parties/a", 2, occurred="2020"), corrected("parties/b", 1, occurred="2020")
    )


CLAIMS = {
    "a date": ("occurred", "2020", []),
    "a value of the field": ("/data/jurisdiction", "CN", []),
    "an element of a list": ("/data/other_names/0", "y", []),
    "a subject that exists": ("/data/part_of", "parties/b", []),
    "a field that the type has not": ("/data/nothing", "x", ["/data/claims/0/pointer"]),
    "an element that the list has not": ("/data/other_names/7", "x", ["/data/claims/0/pointer"]),
    "a value of another type": ("/data/jurisdiction", 7, ["/data/claims/0/value"]),
    "a required field that is absent": ("/data/name", None, ["/data/claims/0/value"]),
    "a subject that does not exist": ("/data/part_of", "parties/x", ["/data/claims/0/value"]),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_dispute_claims_a_value_that_could_be_there(posts: Posts, case):
    pointer, value, flaws = CLAIMS[case]
    posts.record(document("d"), party("a", other_names=["x"]), party("b"))
    dispute = disputed("parties/a", 2, **{pointer: value})
    if flaws:
        assert [flaw.pointer for flaw in posts.refused(dispute).flaws] == flaws
    else:
        posts.record(dispute)


def test_claim_about_a_correction_fits_what_the_correction_is_about(posts: Posts):
    posts.record(document("d"), party("a"), corrected("parties/a", 2, data={"name": "b", "kind": "company"}))
    posts.record(disputed("parties/a", 3, **{"/data/data/name": "c"}))
    for pointer, value in (("/data/data/kind", "x"), ("/data/data", {"name": "c"}), ("/data/data/nothing", "c")):
        assert isinstance(posts.refused(disputed("parties/a", 3, **{pointer: value})), Invalid)


def test_claim_about_a_dispute_fits_what_the_dispute_is_about(posts: Posts):
    posts.record(document("d"), party("a"), disputed("parties/a", 2, **{"/data/jurisdiction": "CN"}))
    posts.record(disputed("parties/a", 3, **{"/data/claims/0/value": "DE"}))
    refused = posts.refused(disputed("parties/a", 3, **{"/data/claims/0/value": "x"}))
    assert [flaw.pointer for flaw in refused.flaws] == ["/data/claims/0/value"]


def test_retraction_of_a_correction_is_refused_if_its_original_party_is_gone(posts: Posts):
    posts.record(*parties("a", "b"), adopted("t", "2000"))
    reservation = {"kind": "reservation", "text": "but"}
    at = posts.record(step("declaration-made", "t", None, "b", **reservation))
    change = posts.record(corrected("agreements/t", at, data={"party": "parties/a", **reservation}))
    gone = posts.record(retracted("parties/b", 2))
    refused = posts.refused(retracted("agreements/t", change))
    assert isinstance(refused, Contradiction)
    assert {at, gone} <= set(refused.positions)


def test_retraction_of_a_retraction_is_refused_if_the_subject_is_gone(posts: Posts):
    posts.record(*parties("a"), platform("p", "2000"))
    at = posts.record(joined("a", "p", "2001"))
    undone = posts.record(retracted("platforms/p", at))
    posts.record(retracted("platforms/p", 2))
    refused = posts.refused(retracted("platforms/p", undone))
    assert isinstance(refused, Contradiction)
    assert at in refused.positions


def test_retraction_of_a_retraction_is_refused_if_a_party_of_the_creation_is_gone(posts: Posts):
    posts.record(*parties("a"))
    at = posts.record(signed("t", "2020-01-01", "a"))
    undone = posts.record(retracted("agreements/t", at))
    gone = posts.record(retracted("parties/a", 1))
    refused = posts.refused(retracted("agreements/t", undone))
    assert isinstance(refused, Contradiction)
    assert {at, gone} <= set(refused.positions)


# declarations

OBJECTION = step("declaration-made", "t", None, "b", kind="objection", about=5)


def test_objection_is_to_a_declaration_on_the_same_agreement(posts: Posts):
    posts.record(*ABC, T, DECLARED, signed("s", None, "a"), OBJECTION)
    for agreement, about in (("t", 4), ("t", 99), ("s", 5)):
        objection = step("declaration-made", agreement, None, "b", kind="objection", about=about)
        assert [flaw.pointer for flaw in posts.refused(objection).flaws] == ["/data/about"]
    assert posts.refused(retracted("agreements/t", 5)).positions == (7,)


# texts and quotations

TEXT = "The quick 棕色的 fox jumps over the lazy dog, twice."
DIGEST = sha256(TEXT.encode()).hexdigest()


def cite(start: int | None = None, end: int | None = None, exact: str | None = None):
    members = {"start": start, "end": end, "exact": exact}
    return {"document": "documents/d", **{name: value for name, value in members.items() if value is not None}}


def test_false_quotations_are_refused_in_every_event_type(posts: Posts):
    posts.record(document("d", sha256=DIGEST), party("a"))
    posts.store_text("d", TEXT)
    right, wrong, beyond = cite(4, 9, "quick"), cite(4, 9, "quack"), cite(40, len(TEXT) + 1)
    named = {"name": "A", "kind": "company"}

    def pointers(*given):
        return [flaw.pointer for flaw in posts.refused(*given).flaws]

    assert pointers(party("b", evidence=[right, wrong, beyond])) == ["/data/evidence/1/exact", "/data/evidence/2/end"]
    assert pointers(event("evidence.added", "parties/a", event=2, evidence=[wrong])) == ["/data/evidence/0/exact"]
    claims = [{"pointer": "/occurred", "value": "2021"}]
    dispute = event("event.disputed", "parties/a", event=2, claims=claims, evidence=[beyond])
    assert pointers(dispute) == ["/data/evidence/0/end"]
    assert pointers(corrected("parties/a", 2, data={**named, "evidence": [right, wrong]}, evidence=[wrong])) == [
        "/data/evidence/0/exact",
        "/data/data/evidence/1/exact",
    ]
    posts.record(corrected("parties/a", 2, data={**named, "evidence": [right]}))
    nested = {"event": 2, "reason": "misread", "data": {**named, "evidence": [wrong]}}
    assert pointers(corrected("parties/a", posts.head, data=nested)) == ["/data/data/data/evidence/0/exact"]
    retraction = event("event.retracted", "parties/a", event=2, reason="no", evidence=[wrong])
    assert pointers(retraction) == ["/data/evidence/0/exact"]
    batch = party("x"), party("b", evidence=[wrong]), party("c", evidence=[wrong])
    assert pointers(*batch) == ["/1/data/evidence/0/exact"]
    posts.record(party("b", evidence=[right, cite(), cite(exact="棕色的")]))


def test_quotations_are_compared_with_the_registered_text_only(posts: Posts):
    posts.record(document("d", sha256=DIGEST), party("a", evidence=[cite(4, 9, "quack")]))
    posts.store_text("d", TEXT)
    posts.record(corrected("documents/d", 1, data={"title": "D", "sha256": sha256(b"another").hexdigest()}))
    posts.record(party("b", evidence=[cite(4, 9, "quack")]))


def test_only_the_registered_text_is_stored_and_only_once(posts: Posts):
    posts.record(document("d", sha256=DIGEST))
    with pytest.raises(Invalid):
        posts.store_text("d", "another")
    at = posts.store_text("d", TEXT)
    with pytest.raises(Contradiction) as refused:
        posts.store_text("d", TEXT)
    assert refused.value.positions == (at,)


def test_only_the_stored_text_is_erased(posts: Posts):
    posts.record(document("d", sha256=DIGEST))
    with pytest.raises(Contradiction):
        posts.erase_text("d", TEXT)
    posts.store_text("d", TEXT)
    with pytest.raises(Contradiction):
        posts.erase_text("d", "another")
    posts.record(retracted("documents/d", 1))
    with pytest.raises(Invalid):
        posts.store_text("d", TEXT)
    posts.erase_text("d", TEXT)
