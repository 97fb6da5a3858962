"""Thousands of facts in the shape of real sources, queried on many days and as of earlier positions, and compared with
an oracle."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import pytest

from tests.contract.real_sources import HELD, Expected, Fact, Record, consortium, iso, shuffled, trades, treaties
from tests.contract.server import Server, event, served

STATES = [f"parties/state-{number:03}" for number in range(190)]
FIRMS = [f"parties/firm-{number:03}" for number in range(300)]


class World:
    """A registry filled from records, which have the positions of their facts."""

    def __init__(self, server: Server, records: Sequence[Record], names: Sequence[str], choice: random.Random) -> None:
        self.server = server
        self.records = records
        server.imported([event("party.registered", name, name=f"Party {name[-3:]}", kind="state") for name in names])
        facts = shuffled(choice, records)
        for fact, receipt in zip(facts, server.imported([fact.event for fact in facts]), strict=True):
            fact.position = receipt["position"]
            fact.when = fact.when.recorded(date.fromisoformat(receipt["recorded"][:10]).toordinal())
        self.first, self.last = facts[0].position, facts[-1].position

    def known(self, position: int | None) -> list[Record]:
        return [record if position is None else record.at(position) for record in self.records]


def days(records: Sequence[Record], choice: random.Random, count: int) -> list[int]:
    """Return days near facts, and some others."""
    facts: list[Fact] = [fact for record in records for fact in record.facts if fact.when.low > 1]
    near = [
        choice.choice([fact.when.low, min(fact.when.high, fact.when.low + 4000)]) + choice.choice([-1, 0, 1])
        for fact in choice.sample(facts, count)
    ]
    return [*near, date(1940, 1, 1).toordinal(), date(2026, 6, 1).toordinal(), date(2100, 1, 1).toordinal()]


def differences(items: Sequence[dict], told: dict, held: set[str] | None, status: str | None = None) -> Iterator[str]:
    """Yield the differences between the items of a list and the oracle."""
    shown = {key_of(item): item for item in items}
    if len(shown) != len(items):
        yield "something is listed twice"
    for key, tells in told.items():
        if "unknown" in tells.statuses:
            shown.pop(key, None)
            continue
        item = shown.pop(key, None)
        wanted = tells.statuses - {None}
        expected = bool(wanted) if held is None else bool(wanted & held)
        if status is not None:
            expected = status in wanted
        if (item is not None) != expected:
            yield f"{key}: {'listed' if item else 'not listed'}, but the readings give {tells}"
        elif item is not None:
            yield from errors_in(key, item, tells, status)
    yield from (f"{key}: unexpected {item}" for key, item in shown.items())


def errors_in(key, item: dict, tells: Expected, status: str | None) -> Iterator[str]:
    """Yield the errors in an item's claim."""
    wanted = tells.statuses - {None}
    claimed = status or item["status"]
    if (item["certainty"] == "certain") != (tells.statuses == {claimed}):
        yield f"{key}: {claimed} is {item['certainty']}, but the readings give {tells}"
    listed = set(item.get("statuses", [item["status"]]))
    if listed != wanted:
        yield f"{key}: may be {listed}, but the readings give {tells}"
    if tells.earliest in wanted and status is None and item["status"] != tells.earliest:
        yield f"{key}: {item['status']} at the earliest, but the readings give {tells}"


def key_of(item: dict):
    return (item["party"]["subject"], item["in"]["subject"]) if "in" in item else item["subject"]


def compare_memberships(world: World, on: int, as_of: int | None, statuses: Sequence[str]) -> list[str]:
    """Compare every membership on a day."""
    told: dict[Any, Any] = {}
    for record in world.known(as_of):
        ask = record.membership if record.subject.startswith("platforms") else record.tie
        told |= {(party, record.subject): ask(party, on) for party in record.parties()}
    query = {"on": iso(on), "as_of": as_of}
    wrong = list(differences(world.server.items("/v1/memberships", **query), told, HELD))
    for status in statuses:
        wrong += [
            f"status={status} {each}"
            for each in differences(world.server.items("/v1/memberships", status=status, **query), told, None, status)
        ]
    return [f"on {iso(on)} as of {as_of}: {each}" for each in wrong]


def compare_agreements(world: World, on: int, as_of: int | None, statuses: Sequence[str]) -> list[str]:
    """Compare every agreement on a day."""
    told = {record.subject: record.status(on) for record in world.known(as_of) if record.facts}
    query = {"on": iso(on), "as_of": as_of}
    wrong = list(differences(world.server.items("/v1/agreements", **query), told, None))
    for status in statuses:
        wrong += [
            f"status={status} {each}"
            for each in differences(world.server.items("/v1/agreements", status=status, **query), told, None, status)
        ]
    return [f"on {iso(on)} as of {as_of}: {each}" for each in wrong]


def none(wrong: Sequence[str]) -> None:
    assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(wrong[:12])


TIE = ["signed", "bound", "in-force", "suspended", "withdrawn", "ended"]
WHOLE = ["adopted", "signed", "in-force", "suspended", "terminated"]


@pytest.fixture(scope="module")
def deposited():
    choice = random.Random(1969)
    with served() as server:
        yield World(server, treaties(choice, STATES, 60), STATES, choice)


@pytest.fixture(scope="module")
def traded():
    choice = random.Random(1947)
    with served() as server:
        yield World(server, trades(choice, STATES, 300), STATES, choice)


@pytest.fixture(scope="module")
def joined():
    choice = random.Random(2024)
    with served() as server:
        yield World(server, [consortium(choice, FIRMS)], FIRMS, choice)


def test_treaties_in_force_and_their_parties(deposited):
    choice = random.Random(3)
    wrong = []
    for on in days(deposited.records, choice, 6):
        wrong += compare_agreements(deposited, on, None, WHOLE)
        wrong += compare_memberships(deposited, on, None, choice.sample(TIE, 2))
    none(wrong)


def test_treaties_as_of_the_middle_of_the_log(deposited):
    choice = random.Random(4)
    wrong = []
    for on in days(deposited.records, choice, 3):
        as_of = choice.randrange(deposited.first, deposited.last)
        wrong += compare_agreements(deposited, on, as_of, WHOLE)
        wrong += compare_memberships(deposited, on, as_of, choice.sample(TIE, 2))
    none(wrong)


def test_trade_agreements(traded):
    choice = random.Random(5)
    wrong = []
    for on in days(traded.records, choice, 8):
        for as_of in (None, choice.randrange(traded.first, traded.last)):
            wrong += compare_agreements(traded, on, as_of, WHOLE)
            wrong += compare_memberships(traded, on, as_of, choice.sample(TIE, 1))
    none(wrong)


def test_the_members_of_a_consortium(joined):
    choice = random.Random(6)
    wrong = []
    for on in days(joined.records, choice, 9):
        for as_of in (None, choice.randrange(joined.first, joined.last)):
            wrong += compare_memberships(joined, on, as_of, ["member", "left"])
    none(wrong)


def test_on_any_gives_one_item_an_interval(deposited):
    """For parties with exact dates only: start and end of each membership."""
    wrong = []
    items: dict = {}
    for item in deposited.server.items("/v1/memberships", on="any"):
        items.setdefault(key_of(item), []).append((item["from"], item["to"]))
    for record in deposited.records:
        if any(fact.type == "agreement.terminated" for fact in record.facts):
            continue
        for party in record.parties():
            facts = sorted(
                (fact for fact in record.facts if party in fact.parties and not fact.type.endswith("declaration-made")),
                key=lambda fact: fact.when.low,
            )
            if not all(fact.when.exact for fact in facts):
                continue
            spans: list[list] = []
            for fact in facts:
                if not spans or spans[-1][1]:
                    spans.append([fact.when.text, None])
                if fact.type == "agreement.withdrawn":
                    spans[-1][1] = fact.when.text
            if sorted(items.get((party, record.subject), []), key=str) != sorted(map(tuple, spans), key=str):
                wrong.append(f"{party} in {record.subject}: {items.get((party, record.subject))}, expected {spans}")
    none(wrong)


def test_states_agree_with_lists(deposited):
    """The state of a treaty and the whole of its parties equal the lists."""
    choice = random.Random(7)
    for record in choice.sample(deposited.records, 12):
        on = iso(days([record], choice, 1)[0])
        listed = [item for item in deposited.server.items("/v1/agreements", on=on) if item["subject"] == record.subject]
        answer = deposited.server.get(f"/v1/{record.subject}", on=on)
        if not listed:
            assert answer.status_code == 404, "had certainly not come about"
            continue
        state = answer.json()
        assert (state["status"], state["certainty"], state.get("statuses")) == (
            listed[0]["status"],
            listed[0]["certainty"],
            listed[0].get("statuses"),
        )
        ties = {
            item["party"]["subject"]: item["status"]
            for item in deposited.server.items("/v1/memberships", in_=record.subject, on=on)
        }
        whole = {
            item["party"]["subject"]: item["status"]
            for item in deposited.server.items(f"/v1/{record.subject}/parties", on=on)
        }
        assert {party: status for party, status in whole.items() if party in ties} == ties
