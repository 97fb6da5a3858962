"""Random stories: answers as of a position never change, rebuilt views equal the views, the order of recording does not
matter, no 500."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.contract.random_facts import Cast
from tests.contract.server import BATCH, Server, served
from tests.contract.test_history import assert_history_leads_through_the_states

LISTS = ["parties", "agreements", "labs", "platforms", "memberships", "commitments", "documents", "timeline"]
DAYS = ["2003-06-01", "2006-01-01", "2020-01-01", "any"]


def everything(server: Server, cast: Cast, as_of: int | None = None) -> dict[str, Any]:
    """Return the answers to every query about a story."""
    seen: dict[str, Any] = {
        f"{path} on {on}": server.items(f"/v1/{path}", on=on, as_of=as_of) for path in LISTS for on in DAYS
    }
    seen["statistics"] = server.json("/v1/statistics", as_of=as_of)
    seen["graph"] = server.json("/v1/graph", as_of=as_of, on="any")
    for subject in cast.subjects:
        answer = server.get(f"/v1/{subject}", as_of=as_of, on="2006-01-01")
        seen[subject] = (
            answer.status_code,
            answer.headers["Location"].partition("?")[0]
            if answer.status_code == 308
            else without_request(answer.json()),
        )
    return seen


def without_request(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an answer without the request id of a problem."""
    return {name: value for name, value in body.items() if name != "request_id"}


def assert_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    for what, seen in first.items():
        assert seen == second[what], what


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_answer_as_of_a_position_equals_the_answer_given_then(seed):
    choice = random.Random(seed)
    cast = Cast.named("")
    with served() as server:
        posted = cast.making(choice)
        server.take(*posted)
        snapshots = {}
        for number in range(90):
            if choice.random() < 0.6:
                given = cast.fact(choice, number)
            else:
                position = choice.randrange(len(posted)) + 1
                given = cast.about(choice, posted[position - 1], position, number)
            answer = server.post(given)
            assert answer.status_code in (201, 409, 422), (answer.text, given)
            if answer.status_code == 201:
                posted.append(given)
                assert answer.json()["position"] == len(posted)
                if choice.random() < 0.15:
                    snapshots[len(posted)] = everything(server, cast)
        assert len(posted) > 50
        for position, seen in snapshots.items():
            assert_same(seen, everything(server, cast, position))
        for subject in cast.subjects:
            if server.get(f"/v1/{subject}").status_code != 308:
                assert_history_leads_through_the_states(server, subject, on="2006-01-01")
        now = everything(server, cast)
        server.stop()
        for path in server.data.glob("views*"):
            path.unlink()
        server.restart()
        assert_same(now, everything(server, cast))


def without_places(value: Any) -> Any:
    """Return an answer without positions, versions and ids."""
    if isinstance(value, dict):
        return {
            key: without_places(each)
            for key, each in value.items()
            if key not in ("position", "version", "events", "event", "recorded", "id", "source", "request_id")
        }
    return [without_places(each) for each in value] if isinstance(value, list) else value


def test_state_does_not_depend_on_the_order_of_recording(shared):
    """As one batch: the same verdict, and the same answers on every day."""
    taken = 0
    for seed in range(40):
        choice = random.Random(seed)
        template = Cast.named("TAG-")
        making = template.making(choice)
        facts = [template.fact(choice, number) for number in range(choice.choice([3, 4, 6]))]
        outcomes = []
        for attempt in range(3):
            tag = shared.new("o") + "-"
            batch = json.loads(
                json.dumps(
                    [
                        {**given, "id": f"{number:03}", "source": f"https://x.example/{tag}"}
                        for number, given in enumerate([*making, *facts])
                    ]
                ).replace("TAG-", tag)
            )
            first, rest = batch[: len(making)], batch[len(making) :]
            if attempt:
                random.Random(attempt).shuffle(rest)
            rest.sort(
                key=lambda given: given["type"] in ("agreement.commitment-updated", "lab.recruitment-closed")
            )  # references in order
            answer = shared.send(first + rest, BATCH)
            assert answer.status_code in (201, 409, 422), answer.text
            seen: Any = None
            if answer.status_code == 201:
                cast = Cast.named(tag)
                asked = [shared.get(f"/v1/{subject}", on=on) for subject in cast.subjects for on in DAYS]
                asked += [
                    shared.get("/v1/memberships", in_=subject, on=on)
                    for subject in [*cast.agreements, cast.lab, *cast.platforms]
                    for on in DAYS
                ]
                seen = json.loads(
                    json.dumps(without_places([each.json().get("items", each.json()) for each in asked])).replace(
                        tag, "TAG-"
                    )
                )
            outcomes.append((answer.status_code, seen))
        taken += outcomes[0][0] == 201
        assert all(status == outcomes[0][0] for status, _ in outcomes), (seed, [status for status, _ in outcomes])
        assert all(seen == outcomes[0][1] for _, seen in outcomes), seed
    assert taken > 8
