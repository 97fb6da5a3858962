"""CloudEvents written and read by the SDK of the CNCF, with a client that is not aiohttp."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import orjson
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from tests.service.registry import SOURCE, registered

ATTRIBUTES = {
    "id": 'registered-é 1%"',
    "source": SOURCE,
    "type": "party.registered",
    "subject": "parties/catl",
    "time": datetime(2026, 1, 31, 9, 30, 0, 123456, tzinfo=UTC),
    "occurred": "2011-12~",
    "specversion": "1.0",
}
DATA = {"name": {"en": "CATL", "zh": "宁德时代"}, "kind": "company"}


@pytest.fixture
async def client(registry):
    base = str(registry.client.make_url("/"))
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {registry.key}"}) as found:
        yield found


@pytest.mark.parametrize("write", [to_structured_event, to_binary_event])
async def test_events_that_the_sdk_writes_are_taken_and_read_by_it_again(client, write):
    attributes = ATTRIBUTES | ({"datacontenttype": "application/json"} if write is to_binary_event else {})
    message = write(CloudEvent(attributes, DATA))
    answer = await client.post("/v1/events", headers=message.headers, content=message.body)
    assert answer.status_code == 201, answer.text
    got = await client.get(answer.headers["Location"])
    event = from_http_event(HTTPMessage({"content-type": "application/cloudevents+json"}, got.content))
    assert event.get_data() == DATA
    said = event.get_attributes()
    assert {name: said[name] for name in ATTRIBUTES} == ATTRIBUTES
    assert (said["position"], said["actor"]) == (1, "analyst")


@pytest.mark.parametrize("first", [to_structured_event, to_binary_event])
async def test_an_event_is_the_same_in_either_mode(client, first):
    for write, status in ((first, 201), (to_binary_event, 200), (to_structured_event, 200)):
        message = write(CloudEvent(ATTRIBUTES | {"datacontenttype": "application/json"}, DATA))
        answer = await client.post("/v1/events", headers=message.headers, content=message.body)
        assert answer.status_code == status, answer.text


async def test_a_plain_client_may_stream_an_import_from_a_generator(client, registry):
    async def body():
        for number in range(300):
            yield orjson.dumps(registered(f"p{number}")) + b"\n"

    headers = {"Content-Type": "application/x-ndjson"}
    async with client.stream("POST", "/v1/events", headers=headers, content=body()) as answer:
        positions = [orjson.loads(line)["position"] async for line in answer.aiter_lines()]
    assert positions == list(range(1, 301))
    assert await registry.head() == 300
