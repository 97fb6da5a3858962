"""Lists of a party with its subsidiaries over HTTP: pages, formats, validators, problems, the API document, the pages."""

from __future__ import annotations

import csv
import json
from io import StringIO

import pytest

from tests.service.query_helpers import event, party, signed
from tests.service.registry import problem
from tests.service.test_pages import read
from tests.service.test_pagination import items, pages

SUBSIDIARIES = "party=parties/group&include=subsidiaries"
LISTS = ("memberships", "commitments", "timeline")


@pytest.fixture
async def group(registry):
    """Record a group with a part, and a works that the part owns until 2025; each signed a contract to build."""
    slugs = ("group", "part", "works", "other")
    await registry.take([party(slug) for slug in slugs])
    await registry.take(event("party.reorganized", "parties/part", {"part_of": "parties/group"}, "2020-01-01"))
    owner = {"owner": "parties/part"}
    await registry.take(event("party.owner-added", "parties/works", owner, "2020-01-01"))
    await registry.take(event("party.owner-removed", "parties/works", owner, "2025-01-01"))
    for slug in slugs:
        await registry.take(signed(f"of-{slug}", "2021-01-01", slug))
        made = {"commitment": "site", "kind": "facility", "title": "Site", "by": [f"parties/{slug}"]}
        await registry.take(event("agreement.commitment-made", f"agreements/of-{slug}", made, "2021-01-01"))
    return registry


@pytest.mark.parametrize("view", LISTS)
async def test_pages_and_tables_have_the_items_of_subsidiaries(group, view):
    address = f"/v1/{view}?{SUBSIDIARIES}&on=2024-01-01"
    whole = (await group.json(address))["items"]
    assert len(whole) >= 3
    assert len((await group.json(f"/v1/{view}?{SUBSIDIARIES}&on=2025-01-01"))["items"]) < len(whole)

    async def leave(_):
        if await group.head() == before:
            moved = event("party.reorganized", "parties/part", {"part_of": None}, "2023-01-01")
            await group.take(moved)

    before = await group.head()
    assert items(await pages(group, f"{address}&limit=1", leave)) == whole
    assert len((await group.json(address))["items"]) < len(whole)
    known = f"{address}&as_of={before}"
    assert (await group.json(known))["items"] == whole
    table = await (await group.get(f"{known}&format=csv")).text()
    assert len(list(csv.DictReader(StringIO(table)))) == len(whole)
    lines = (await (await group.get(f"{known}&format=ndjson")).text()).splitlines()
    assert [json.loads(line) for line in lines] == whole


@pytest.mark.parametrize("view", LISTS)
async def test_entity_tag_changes_with_what_subsidiaries_do(group, view):
    address = f"/v1/{view}?{SUBSIDIARIES}&on=2024-01-01"
    tag = (await group.get(address)).headers["ETag"]
    assert (await group.get(address, If_None_Match=tag)).status == 304
    await group.take(event("party.owner-removed", "parties/works", {"owner": "parties/part"}, "2023-01-01"))
    assert (await group.get(address, If_None_Match=tag)).status == 200


@pytest.mark.parametrize("view", LISTS)
async def test_flaws_of_include_are_named(group, view):
    for query in ("include=subsidiaries", "party=parties/group&include=parents"):
        found = await problem(await group.get(f"/v1/{view}?{query}"), 422, "invalid-query")
        assert [flaw["parameter"] for flaw in found["errors"]] == ["include"], found


async def test_include_is_in_the_document_of_these_lists_alone(registry):
    document = await registry.json("/openapi.json")
    taken = {
        path
        for path, methods in document["paths"].items()
        for parameter in methods.get("get", {}).get("parameters", ())
        if parameter.get("name") == "include"
    }
    assert taken == {f"/v1/{view}" for view in LISTS}


@pytest.mark.parametrize("view", LISTS)
async def test_page_of_a_list_offers_subsidiaries_with_a_party_alone(group, view):
    _, page = await read(group, f"/{view}?on=2024-01-01")
    assert not [link for link in page.links if "include=" in link]
    _, page = await read(group, f"/{view}?party=parties/group&on=2024-01-01")
    (more,) = [link for link in page.links if "include=subsidiaries" in link and link.startswith(f"/{view}?")]
    _, page = await read(group, more)
    assert "/parties/works?on=2024-01-01" in page.links
    assert f"/{view}?on=2024-01-01" in page.links
    assert not [link for link in page.links if "include=" in link and "party=" not in link]
    assert f"/{view}?party=parties%2Fgroup&on=2024-01-01" in page.links


@pytest.mark.parametrize("view", LISTS)
async def test_form_without_its_party_drops_subsidiaries(group, view):
    emptied = f"/{view}?on=2024-01-01&party=&include=subsidiaries"
    answer = await group.client.get(emptied, headers={"Accept": "text/html"}, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, f"/{view}?on=2024-01-01")


async def test_page_of_a_party_links_to_its_lists_with_subsidiaries_where_it_has_any(group):
    for slug, day, has_any in (
        ("group", "2024-01-01", True),  # it has a part
        ("part", "2024-01-01", True),  # it owns the works
        ("part", "2025-01-01", False),
        ("works", "2024-01-01", False),
    ):
        _, page = await read(group, f"/parties/{slug}?on={day}")
        links = [f"/{view}?on={day}&party=parties%2F{slug}&include=subsidiaries" for view in LISTS]
        assert [link for link in page.links if "include=" in link] == (links if has_any else [])
        for link in links if has_any else []:
            await read(group, link)
