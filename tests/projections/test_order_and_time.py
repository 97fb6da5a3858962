"""Any order of the same facts gives the same state, and answers as of earlier positions never change."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonpatch import apply_patch

from domain.errors import Refused
from tests.recorded_views import (
    RecordedViews,
    adopted,
    also_signed,
    corrected,
    disputed,
    document,
    event,
    joined,
    lab,
    left,
    new_views,
    of_lab,
    party,
    platform,
    retracted,
    signed,
    step,
)

DAYS = (None, "1990-06-01", "2001-06-01", "2003-01-01", "2010-06-01", "2026-06-01")
VIEWS = ("parties", "agreements", "labs", "platforms", "documents", "memberships", "commitments", "timeline")
OF_THE_LOG = frozenset(("position", "version", "events", "event", "recorded", "more"))
SLUGS = ("a", "b", "c", "d")
COMMITMENT = {"kind": "other", "title": "plant"}
RESERVATION = {"kind": "reservation", "text": "but"}


def date(chance: random.Random) -> str | None:
    """Draw an exact, imprecise or unknown date."""
    year, month, day = chance.randint(1995, 2008), chance.randint(1, 12), chance.randint(1, 28)
    exact = f"{year}-{month:02}-{day:02}"
    forms = (exact, exact, exact, f"{year}-{month:02}", str(year), f"{year}~", f"{exact}?", f"{year}/..", None)
    return chance.choice((*forms, f"XXXX-{month:02}-{day:02}"))


def facts(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Draw facts about one platform, one treaty, one lab and their parties; some contradict others and are refused."""
    for slug in SLUGS:
        part_of = {"part_of": f"parties/{chance.choice(SLUGS)}"} if chance.random() < 0.2 else {}
        yield party(slug, chance.choice((None, "1980", "1985-05-05")), **part_of)
    yield document("d")
    yield platform("p", chance.choice(("1994", "1990-01-01", None)), purpose="one")
    yield chance.choice((adopted("t", date(chance)), signed("t", date(chance), "a", "b", scope=["x"])))
    yield signed("t2", date(chance), "a", "c", under="agreements/t", until=chance.choice(("2004", "2020-01-01")))
    phases = [{"phase": "one"}, {"phase": "two", "after": ["one"]}]
    yield lab("l", chance.choice((None, "1992")), "a", "b", phases=phases, fields=["energy"])
    for number in range(chance.randint(5, 22)):
        slug, day = chance.choice(SLUGS), date(chance)
        treaty = chance.choice(("t", "t2"))
        yield chance.choice(
            (
                joined(slug, "p", day, category="maker"),
                left(slug, "p", day),
                event("platform.supporter-added", "platforms/p", day, party=f"parties/{slug}", support="research"),
                event("platform.document-adopted", "platforms/p", day, title=f"rules {number}", kind="rules"),
                event("platform.dissolved", "platforms/p", chance.choice(("2009", "2012-03-03"))),
                also_signed(treaty, day, slug),
                step("ratified", treaty, day, slug),
                step("acceded", treaty, day, slug),
                step("entered-into-force", treaty, day, chance.choice((slug, None))),
                step("provisionally-applied", treaty, day, chance.choice((slug, None))),
                step("suspended", treaty, day, chance.choice((slug, None))),
                step("resumed", treaty, day, chance.choice((slug, None))),
                step("withdrawn", treaty, day, slug),
                step("amended", treaty, day, summary=f"change {number}", title=f"title {number}", scope_added=["y"]),
                step("renewed", treaty, day, until="2022"),
                step("terminated", treaty, chance.choice(("2010", "2015-01-01", None)), reason="expired"),
                event(
                    "agreement.commitment-made", f"agreements/{treaty}", day, **COMMITMENT, commitment=f"c{number % 3}"
                ),
                step("commitment-updated", treaty, day, commitment=f"c{number % 3}", status="fulfilled"),
                event(
                    "agreement.declaration-made", f"agreements/{treaty}", day, **RESERVATION, party=f"parties/{slug}"
                ),
                of_lab("opened", "l", day),
                of_lab("phase-started", "l", day, phase=chance.choice(("one", "two"))),
                of_lab("phase-completed", "l", day, phase="one"),
                of_lab("recruitment-opened", "l", day, call="r", role="fellow"),
                of_lab("recruitment-closed", "l", day, call="r", hired=2),
                event("party.renamed", f"parties/{slug}", day, name=f"name {number}"),
                event("party.name-added", f"parties/{slug}", day, name=f"alias {number}"),
                event("party.identified", f"parties/{slug}", day, scheme="lei", value=f"L{number}"),
                event("party.reorganized", f"parties/{slug}", day, part_of=f"parties/{chance.choice(SLUGS)}"),
            )
        )


def plain(value: Any) -> Any:
    """Return an answer without positions and versions."""
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items() if name not in OF_THE_LOG}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value


def comparable(answers: dict[str, Any]) -> dict[str, Any]:
    """Return answers without positions and versions; facts of equal days stay in the order of the log."""
    return {
        name: sorted(plain(items), key=repr) if name.startswith("timeline") else plain(items)
        for name, items in answers.items()
    }


def all_answers(made: RecordedViews, as_of: int | None = None) -> dict[str, Any]:
    """Return the answers of all lists, on several days."""
    return {f"{view} on {day}": made.items(view, on=day, as_of=as_of) for view in VIEWS for day in DAYS}


@pytest.mark.parametrize("seed", range(40))
def test_state_does_not_depend_on_the_order_of_recording(seed):
    chance = random.Random(seed)
    with new_views() as first:
        accepted = []
        for number, fact in enumerate(facts(chance)):
            fact["id"] = f"fact-{number:02}"
            try:
                first.batch(fact)
            except Refused:
                continue
            accepted.append(fact)
        expected = comparable(all_answers(first))
        makers = [fact for fact in accepted if fact["type"] in MAKERS]
        others = [fact for fact in accepted if fact["type"] not in MAKERS]
        for _ in range(3):
            chance.shuffle(others)
            with new_views() as again:
                waiting = [*makers, *others]
                again.batch(*_referable(waiting))
                assert comparable(all_answers(again)) == expected
                one_by_one = _one_by_one(_referable(waiting))
                if one_by_one is not None:
                    assert comparable(one_by_one) == expected


MAKERS = ("party.registered", "document.registered", "platform.launched", "lab.founded")


def _referable(waiting: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the facts in an order in which each follows the facts it refers to."""
    early = ("agreement.adopted", "agreement.commitment-made", "lab.recruitment-opened")
    titled = [fact for fact in waiting if "title" in fact.get("data", {}) and fact["type"] == "agreement.signed"]
    rank = {id(fact): 0 for fact in waiting if fact["type"] in MAKERS}
    for fact in titled:
        rank[id(fact)] = 1
    for fact in waiting:
        if fact["type"] in early:
            rank[id(fact)] = 1 if fact["type"] == "agreement.adopted" else 2
    return sorted(
        waiting, key=lambda fact: (rank.get(id(fact), 3), rank.get(id(fact)) == 1 and "under" in fact["data"])
    )


def _one_by_one(ordered: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Record the same facts each in its own batch; None where a contradiction half way would end well."""
    with new_views() as made:
        for fact in ordered:
            try:
                made.batch(fact)
            except Refused:
                return None
        return all_answers(made)


def edits(chance: random.Random, made: RecordedViews) -> Iterator[dict[str, Any]]:
    """Draw corrections, retractions, disputes, evidence and mergers about recorded events."""
    for _ in range(chance.randint(2, 8)):
        about = chance.choice(made.events)
        number = about.position
        loser, into = chance.sample(SLUGS, 2)
        yield chance.choice(
            (
                corrected(about.subject, number, occurred=date(chance)),
                retracted(about.subject, number),
                disputed(about.subject, number, occurred=chance.choice(("1999", "2002-02-02"))),
                event("evidence.added", about.subject, event=number, evidence=[{"document": "documents/d"}]),
                event("party.merged", f"parties/{loser}", None, into=f"parties/{into}"),
            )
        )


@pytest.mark.parametrize("seed", range(25))
def test_answers_as_of_a_position_equal_those_given_when_it_was_the_head(seed):
    chance = random.Random(1000 + seed)
    with new_views() as made, new_views() as then:
        for source in (facts(chance), edits(chance, made), facts(chance)):
            for number, fact in enumerate(source):
                fact["id"] = f"{chance.random()}-{number}"
                try:
                    made.batch(fact)
                except Refused:
                    continue
            if not made.events:
                return
        for edit in edits(chance, made):
            try:
                made.batch(edit)
            except Refused:
                continue
        for recorded in made.events:
            then.apply(recorded)
            if recorded.position % 3 == 0 or recorded.position > made.head - 6:
                assert all_answers(then) == all_answers(made, as_of=recorded.position), recorded


@pytest.mark.parametrize("seed", range(40))
def test_patches_of_a_history_turn_each_state_into_the_next(seed):
    chance = random.Random(2000 + seed)
    with new_views() as made:
        for fact in facts(chance):
            try:
                made.batch(fact)
            except Refused:
                continue
        for edit in edits(chance, made):
            try:
                made.batch(edit)
            except Refused:
                continue
        for subject in ("platforms/p", "agreements/t", "labs/l", "parties/a"):
            if isinstance(made.state_or_error(subject), str):
                continue
            state = None
            for item in made.history(subject):
                state = apply_patch(state, item["patch"]) if state is not None else _started(item["patch"])
            assert _unnamed(state) == _unnamed(made.state(subject))


def _started(patch: list[dict[str, Any]]) -> Any:
    assert [operation["path"] for operation in patch] in ([], [""])
    return patch[0]["value"] if patch else None


def _unnamed(value: Any) -> Any:
    """Return a state without the parts that depend on other subjects or on its place in the log."""
    if isinstance(value, dict):
        if isinstance(value.get("subject"), str) and set(value) <= {"subject", "name"}:
            return value["subject"]
        skipped = ("name",) if "party" in value or "founder" in str(value.get("status")) else ()
        return {name: _unnamed(part) for name, part in value.items() if name not in skipped}
    if isinstance(value, list):
        return [_unnamed(part) for part in value]
    return value
