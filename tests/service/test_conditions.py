"""`If-Match` and `If-None-Match` on a post."""

from __future__ import annotations

import asyncio

import pytest

from tests.service.registry import NDJSON, STRUCTURED, problem, registered, renamed


@pytest.mark.parametrize(
    ("condition", "is_met"),
    [
        ({"If_Match": '"1"'}, True),
        ({"If_Match": '"1-5f0c"'}, True),
        ({"If_Match": '"7", "1"'}, True),
        ({"If_Match": "*"}, True),
        ({"If_Match": ', ,"7",, "1",'}, True),
        ({"If_Match": '"2",W/"1",'}, False),
        ({"If_Match": '"2"'}, False),
        ({"If_Match": 'W/"1"'}, False),
        ({"If_Match": '"abc"'}, False),
        ({"If_None_Match": "*"}, False),
    ],
)
async def test_a_condition_on_a_known_subject_decides(registry, condition, is_met):
    await registry.take(registered("a"))
    answer = await registry.post(renamed("a", "B"), **condition)
    if is_met:
        assert answer.status == 201, await answer.text()
    else:
        await problem(answer, 412, "version-mismatch")


@pytest.mark.parametrize(
    ("condition", "is_met"), [({"If_None_Match": "*"}, True), ({"If_Match": "*"}, False), ({"If_Match": '"0"'}, True)]
)
async def test_a_condition_on_a_new_subject_decides(registry, condition, is_met):
    assert (await registry.post([registered("a")], **condition)).status == (201 if is_met else 412)


@pytest.mark.parametrize(
    "condition",
    [
        {"If_Match": "1"},
        {"If_Match": '"1'},
        {"If_Match": ""},
        {"If_Match": " , ,"},
        {"If_Match": '"1" "2"'},
        {"If_Match": '*, "1"'},
        {"If_None_Match": '"1"'},
        {"If_Match": "*", "If_None_Match": "*"},
    ],
)
async def test_invalid_condition_is_malformed(registry, condition):
    await problem(await registry.post(registered("a"), **condition), 400, "malformed-request")


@pytest.mark.parametrize(("tags", "status"), [(['"7"', '"1"'], 201), (['"7"', '"2"'], 412), (["", '"1"'], 201)])
async def test_tags_may_stand_in_several_header_lines(registry, tags, status):
    await registry.take(registered("a"))
    headers = [("If-Match", tag) for tag in tags]
    headers += [("Authorization", f"Bearer {registry.key}"), ("Content-Type", STRUCTURED)]
    async with registry.client.post("/v1/events", json=renamed("a", "B"), headers=headers) as answer:
        assert answer.status == status


@pytest.mark.parametrize(
    ("lines", "is_held"),
    [
        (["{}"], True),
        ([",{}"], True),
        ([' , "x" ,, {} , '], True),
        (['"x"', "{}"], True),
        (["W/{}"], True),
        (["*"], True),
        (["", "{}"], True),
        (['"x"'], False),
        (["{} x"], False),
        ([","], False),
    ],
)
@pytest.mark.parametrize("path", ["/v1/parties/a", "/v1/events/1", "/v1/parties", "/openapi.json", "/docs"])
async def test_an_answer_that_the_client_holds_is_found_in_any_list_of_tags(registry, path, lines, is_held):
    await registry.take(registered("a"))
    etag = (await registry.get(path)).headers["ETag"]
    headers = [("If-None-Match", line.replace("{}", etag)) for line in lines]
    async with registry.client.get(path, headers=headers) as answer:
        assert answer.status == (304 if is_held else 200)


async def test_a_condition_goes_with_one_event(registry):
    await problem(await registry.post([registered("a"), registered("b")], If_Match="*"), 400, "malformed-request")
    await problem(await registry.post(b"", type_=NDJSON, If_None_Match="*"), 400, "malformed-request")


async def test_of_two_posts_with_one_version_one_is_recorded(registry):
    await registry.take(registered("a"))
    answers = await asyncio.gather(*(registry.post(renamed("a", f"N{n}"), If_Match='"1"') for n in range(20)))
    assert sorted(answer.status for answer in answers) == [201] + [412] * 19
