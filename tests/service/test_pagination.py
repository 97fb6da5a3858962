"""Pages of lists: each item once, none skipped, while events arrive; a cursor belongs to one query."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import orjson
import pytest

from service.http.query_parameters import _check
from tests.service.query_helpers import event, party, seeded, signed
from tests.service.registry import problem, renamed


async def pages(registry, address, between=None):
    """Return every page of a list, following `next` alone."""
    found = []
    while address:
        answer = await registry.get(address)
        assert answer.status == 200, await answer.text()
        page = await answer.json()
        assert answer.headers.get("Link") == (f'<{page["next"]}>; rel="next"' if page["next"] else None)
        found.append(page)
        address = page["next"]
        if between is not None:
            await between(len(found))
    return found


def items(found):
    return [item for page in found for item in page["items"]]


async def test_pages_neither_repeat_nor_skip_while_events_arrive(registry):
    await registry.take([party(f"p{number:02}") for number in range(20)])

    async def meanwhile(turn):
        await registry.take(party(f"a{turn}"))  # would stand before all of them
        await registry.take(renamed(f"p{turn:02}", f"Zzz{turn}"))

    found = await pages(registry, "/v1/parties?limit=3&sort=name", meanwhile)
    assert [item["subject"] for item in items(found)] == [f"parties/p{number:02}" for number in range(20)]
    assert {page["position"] for page in found} == {20}
    assert not any("Zzz" in item["name"] for item in items(found))


async def test_pages_stay_on_the_day_they_began_on(registry):
    await registry.take([party("a"), party("b")])
    for number in range(3):
        await registry.take(signed(f"deal-{number}", f"2026-01-3{number % 2}", "a", "b"))
    await registry.take(signed("deal-later", "2026-02-01", "a", "b"))

    async def at_midnight(_):
        registry.clock.move(days=1)

    found = items(await pages(registry, "/v1/agreements?limit=1", at_midnight))
    assert [item["subject"] for item in found] == ["agreements/deal-0", "agreements/deal-1", "agreements/deal-2"]


@pytest.mark.parametrize(
    "address",
    [
        "/v1/parties?",
        "/v1/parties?sort=-name",
        "/v1/agreements?on=any",
        "/v1/agreements?sort=-signed&on=any",
        "/v1/documents?sort=published",
        "/v1/memberships?on=any",
        "/v1/memberships?sort=-from&on=any",
        "/v1/commitments?on=any",
        "/v1/commitments?sort=due&on=any",
        "/v1/commitments?sort=-made&on=any",
        "/v1/timeline?",
        "/v1/timeline?sort=-occurred",
        "/v1/timeline?sort=-position",
        "/v1/timeline?party=parties/catl",
        "/v1/platforms/casip/members?",
        "/v1/platforms/casip/history?",
        "/v1/agreements/catl-chengdu-framework/commitments?",
        "/v1/search?q=battery",
    ],
)
async def test_small_pages_join_to_one_large_page(tmp_path, address):
    async with seeded(tmp_path / "data") as registry:
        whole = (await registry.json(f"{address}&limit=1000"))["items"]
        for limit in (1, 2, 7):
            assert items(await pages(registry, f"{address}&limit={limit}")) == whole
        assert whole


async def test_next_address_repeats_the_query(registry):
    await registry.take([party("a", kind="state"), party("b"), party("c", {"en": "C+ & D", "zh": "丙"})])
    first = await registry.json("/v1/parties?kind=company&limit=1&as_of=2026-01-31T13:00:00%2B01:00")
    assert [item["subject"] for item in first["items"]] == ["parties/b"]
    assert first["next"].startswith("/v1/parties?")
    second = await registry.json(first["next"])
    assert ([item["subject"] for item in second["items"]], second["next"]) == (["parties/c"], None)


async def test_cursor_pins_both_times_and_they_may_be_omitted(registry):
    await registry.take([party("a"), party("b"), party("c")])
    given = (await registry.json("/v1/parties?limit=1&as_of=2&on=2026-01-01"))["next"].partition("cursor=")[2]
    page = await registry.json(f"/v1/parties?cursor={given}")
    assert ([item["subject"] for item in page["items"]], page["position"], page["next"]) == (["parties/b"], 2, None)
    for other in ("as_of=3", "on=2026-01-02", "on=any"):
        answer = await registry.get(f"/v1/parties?cursor={given}&{other}")
        found = await problem(answer, 422, "invalid-query")
        assert found["errors"][0]["parameter"] == other.partition("=")[0]


async def test_cursor_belongs_to_its_query(registry):
    await registry.take([party("a"), party("b"), party("c")])
    given = (await registry.json("/v1/parties?limit=1&kind=company"))["next"].partition("cursor=")[2]
    for address in (
        f"/v1/parties?cursor={given}",
        f"/v1/parties?cursor={given}&kind=state",
        f"/v1/parties?cursor={given}&kind=company&sort=-subject",
        f"/v1/parties?cursor={given}&kind=company&q=x",
        f"/v1/agreements?cursor={given}&kind=contract",
    ):
        found = await problem(await registry.get(address), 422, "invalid-query")
        assert found["errors"][0]["parameter"] == "cursor", address


async def test_a_cursor_that_was_tampered_with_is_refused(registry):
    await registry.take([party("a"), party("b"), party("c")])
    given = (await registry.json("/v1/parties?limit=1"))["next"].partition("cursor=")[2]
    for place in range(0, len(given), 3):
        changed = given[:place] + ("A" if given[place] != "A" else "B") + given[place + 1 :]
        await problem(await registry.get(f"/v1/parties?cursor={changed}"), 422, "invalid-query")


@pytest.mark.parametrize(
    "address",
    [
        "/v1/parties?",
        "/v1/agreements?sort=-signed&",
        "/v1/agreements?sort=title&",
        "/v1/memberships?sort=-from&",
        "/v1/commitments?sort=due&",
        "/v1/parties/a/history?",
        "/v1/parties/a/identifiers?",
        "/v1/agreements/t0/parties?",
        "/v1/documents/d/passages?",
        "/v1/timeline?",
        "/v1/timeline?sort=-position&",
        "/v1/search?q=alpha&",
        "/v1/events?",
    ],
)
async def test_forged_cursor_causes_no_internal_error(registry, address):
    await registry.take([party("a", "Alpha Beta"), party("b", "Alpha Gamma")])
    await registry.take(event("document.registered", "documents/d", {"title": "D", "sha256": "0" * 64}))
    for number in range(2):
        await registry.take(event("party.identified", "parties/a", {"scheme": "lei", "value": str(number)}))
        await registry.take(signed(f"t{number}", "2020-01-01", "a", "b"))
        made = {"commitment": f"c{number}", "kind": "other", "title": "C", "due": "2030"}
        await registry.take(event("agreement.commitment-made", "agreements/t0", made, occurred="2020-01-02"))
        cited = {"event": 1, "evidence": [{"document": "documents/d", "start": number, "end": 9}]}
        await registry.take(event("evidence.added", "parties/a", cited))
    page = await registry.json(f"{address}limit=1")
    content = orjson.loads(urlsafe_b64decode(page["next"].partition("cursor=")[2] + "==")[6:])
    real = content[3]
    every = [None, "x", True, 1e308, -1, 2**40, 1 - 2**53, 2**64]
    keys = [*([each] for each in every), [], list(range(20)), [*real, 1], real[:-1]]
    keys += [[*real[:at], each, *real[at + 1 :]] for at in range(len(real)) for each in every]
    forged = [[*content[:3], each] for each in keys]
    forged += [[*content[:at], each, *content[at + 1 :]] for at in (0, 1) for each in every]
    for each in forged:
        body = json.dumps(each).encode()
        cursor = urlsafe_b64encode(_check(body) + body).decode().rstrip("=")
        answer = await registry.get(f"{address}cursor={cursor}")
        assert answer.status in (200, 404, 422), (each, await answer.text())  # 404: not known at that position


async def test_fault_behind_a_cursor_is_an_internal_error(registry, monkeypatch):
    await registry.take([party("a"), party("b")])
    address = (await registry.json("/v1/parties?limit=1"))["next"]

    def broken(*_: object, **__: object) -> None:
        raise TypeError("a real fault")

    monkeypatch.setattr("projections.lists.Lists.page", broken)
    await problem(await registry.get(address), 500, "internal-error")


async def test_a_cursor_of_a_position_the_log_has_not_reached_is_refused(registry):
    await registry.take([party("a"), party("b")])
    given = (await registry.json("/v1/parties?limit=1"))["next"].partition("cursor=")[2]
    content = orjson.loads(urlsafe_b64decode(given + "==")[6:])
    content[0] = 3
    body = orjson.dumps(content)
    ahead = urlsafe_b64encode(_check(body) + body).decode().rstrip("=")
    await problem(await registry.get(f"/v1/parties?cursor={ahead}"), 422, "invalid-query")
