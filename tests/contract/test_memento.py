"""Memento (RFC 7089) on recorded time: `Accept-Datetime`, `Memento-Datetime`, TimeMaps."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import pytest

from tests.contract.server import Server, event, is_problem, served

NDJSON = "application/x-ndjson"
LINK_FORMAT = "application/link-format"
FUTURE = "Fri, 31 Dec 9999 23:59:59 GMT"
LONG_AGO = "Sat, 01 Jan 2000 00:00:00 GMT"


def http_date(recorded: str) -> str:
    """The HTTP-date of an instant as the registry writes it."""
    return format_datetime(datetime.fromisoformat(recorded), usegmt=True)


def next_second() -> None:
    """Wait for the next second of the clock, so that later recordings have another second."""
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.02)


def get_at(server: Server, path: str, then: str, **headers: str) -> httpx.Response:
    sent = {"Accept-Datetime": then, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return server.get(path, headers=sent)


def links(answer: httpx.Response) -> dict[str, dict[str, str]]:
    """Return the links of a header by relation."""
    return {relation: link for link in answer.links.values() for relation in link["rel"].split()}


def mapped(text: str) -> list[tuple[str, dict[str, str]]]:
    """Return the links of a TimeMap (RFC 6690): address and attributes."""
    assert re.fullmatch(r'<[^>]*>(; ?\w+="[^"]*")+(,\n<[^>]*>(; ?\w+="[^"]*")+)*\n', text), text
    return [
        (address, dict(re.findall(r'(\w+)="([^"]*)"', attributes)))
        for address, attributes in re.findall(r'<([^>]*)>((?:; ?\w+="[^"]*")+)', text)
    ]


class RecordedParts:
    """A server with three parts of a story, each recorded in other seconds; `ends` are the last positions."""

    def __init__(self, server: Server) -> None:
        self.server = server
        take = server.take
        first = take(
            event("party.registered", "parties/a", name="Alpha", kind="company"),
            event("party.registered", "parties/b", name="Beta", kind="company"),
            event("party.registered", "parties/b2", name="Beta again", kind="company"),
            event("platform.launched", "platforms/p", "2001-01-01", name="Platform"),
            event("agreement.adopted", "agreements/t", "2001-01-01", title="Treaty", kind="treaty"),
        )
        next_second()
        second = take(
            event("party.renamed", "parties/a", "2002-01-01", name="Alpha & Co"),
            event("agreement.signed", "agreements/t", "2002-02-02", parties=[{"party": "parties/a"}, {"party": "parties/b"}]),
            *(event("platform.member-joined", "platforms/p", "2002-03-03", party=f"parties/{slug}") for slug in "ab"),
        )  # fmt: skip
        next_second()
        third = take(
            event("party.merged", "parties/b2", into="parties/b"),
            event("platform.member-left", "platforms/p", "2003-03-03", party="parties/a"),
            event("party.registered", "parties/c", name="Gamma", kind="state"),
        )
        self.ends = [first[-1], second[-1], third[-1]]

    def then(self, position: int) -> str:
        """Return the HTTP-date at which a position was recorded."""
        return http_date(self.server.json(f"/v1/events/{position}")["recorded"])


@pytest.fixture(scope="module")
def recorded_parts() -> Iterator[RecordedParts]:
    with served() as server:
        yield RecordedParts(server)


ADDRESSES = [
    "/v1/parties/a",
    "/v1/parties/b?on=any",
    "/v1/agreements/t?evidence=full&on=2002-06-01",
    "/v1/platforms/p",
    "/v1/parties",
    "/v1/parties?limit=1&sort=-name",
    "/v1/agreements?party=parties/a&party=parties/b",
    "/v1/memberships?on=any&limit=1",
    "/v1/timeline?limit=2&party=parties/a",
    "/v1/platforms/p/members?limit=1",
    "/v1/platforms/p/history",
    "/v1/parties/a/history?limit=1&on=any",
    "/v1/platforms/p/history?from=2001-06-01&to=2002-06-01",
    "/v1/search?q=alpha",
    "/v1/parties/resolve?name=Alpha",
    "/v1/statistics?on=any",
    "/v1/graph?center=parties/a&depth=2",
]


# negotiating


@pytest.mark.parametrize("address", ADDRESSES)
def test_accept_datetime_gives_the_answer_as_of_its_position(recorded_parts, address):
    for end in recorded_parts.ends:
        answer = get_at(recorded_parts.server, address, recorded_parts.then(end))
        assert answer.status_code == 200, answer.text
        memento = recorded_parts.server.get(address, as_of=end)
        assert memento.status_code == 200
        assert answer.content == memento.content
        assert answer.headers["ETag"] == memento.headers["ETag"]
        assert answer.headers["Memento-Datetime"] == memento.headers["Memento-Datetime"] == recorded_parts.then(end)
        named = recorded_parts.server.get(answer.headers["Content-Location"])
        assert named.content == answer.content
        assert named.request.url.params["as_of"] == str(end)
        assert "Content-Location" not in memento.headers


@pytest.mark.parametrize("accept", ["text/csv", NDJSON])
@pytest.mark.parametrize("address", ["/v1/parties?on=any", "/v1/parties?limit=1", "/v1/agreements/t/parties", "/v1/parties/a/history"])  # fmt: skip
def test_lists_are_negotiated_in_every_form(recorded_parts, address, accept):
    for end in recorded_parts.ends[1:]:
        answer = get_at(recorded_parts.server, address, recorded_parts.then(end), Accept=accept)
        memento = recorded_parts.server.client.get(
            httpx.URL(address).copy_merge_params({"as_of": end}), headers={"Accept": accept}
        )
        assert answer.headers["Content-Type"].split(";")[0] == accept
        assert answer.content == memento.content
        for found in (answer, memento):
            assert found.headers["Memento-Datetime"] == recorded_parts.then(end)
            assert links(found)["memento"]["datetime"] == recorded_parts.then(end)
        assert answer.links.get("next") == memento.links.get("next")
        assert ("next" in answer.links) == ("limit" in address)
        again = get_at(
            recorded_parts.server,
            address,
            recorded_parts.then(end),
            Accept=accept,
            If_None_Match=answer.headers["ETag"],
        )
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["Memento-Datetime"] == recorded_parts.then(end)


def test_graphs_are_negotiated_in_every_form(recorded_parts):
    for accept in ("application/gexf+xml", "application/graphml+xml"):
        answer = get_at(recorded_parts.server, "/v1/graph", recorded_parts.then(recorded_parts.ends[0]), Accept=accept)
        memento = recorded_parts.server.get("/v1/graph", as_of=recorded_parts.ends[0], headers={"Accept": accept})
        assert answer.headers["Content-Type"].split(";")[0] == accept
        assert answer.content == memento.content
        assert answer.headers["Memento-Datetime"] == recorded_parts.then(recorded_parts.ends[0])


def test_cached_answer_for_one_datetime_is_not_sent_for_another(recorded_parts):
    for address in ("/v1/parties/a", "/v1/platforms/p", "/v1/parties", "/v1/statistics"):
        for _ in range(2):
            plain = recorded_parts.server.get(address)
            positions = [
                get_at(recorded_parts.server, address, recorded_parts.then(end)).content for end in recorded_parts.ends
            ]
            assert positions == [recorded_parts.server.get(address, as_of=end).content for end in recorded_parts.ends]
            assert recorded_parts.server.get(address).content == plain.content
            assert "Memento-Datetime" not in plain.headers
            assert "Content-Location" not in plain.headers


def test_answers_vary_by_accept_datetime_unless_the_address_pins_the_time(recorded_parts):
    for address in ADDRESSES:
        for answer in (
            recorded_parts.server.get(address),
            get_at(recorded_parts.server, address, recorded_parts.then(recorded_parts.ends[0])),
        ):
            assert {part.strip() for part in answer.headers["Vary"].split(",")} == {"Accept", "Accept-Datetime"}, (
                address
            )
        assert recorded_parts.server.get(address, as_of=recorded_parts.ends[0]).headers["Vary"] == "Accept"


def test_an_address_with_as_of_is_not_negotiated(recorded_parts):
    for address in ADDRESSES:
        pinned = httpx.URL(address).copy_merge_params({"as_of": recorded_parts.ends[1]})
        plain = recorded_parts.server.client.get(pinned)
        for then in (recorded_parts.then(recorded_parts.ends[0]), FUTURE, "no date at all"):
            answer = recorded_parts.server.client.get(pinned, headers={"Accept-Datetime": then})
            assert answer.content == plain.content
            assert answer.headers["Memento-Datetime"] == recorded_parts.then(recorded_parts.ends[1])
            assert "Content-Location" not in answer.headers


def test_datetime_includes_all_events_of_its_second(recorded_parts):
    last = recorded_parts.ends[0]
    one_by_one = {recorded_parts.then(position) for position in range(1, last + 1)}
    assert one_by_one == {recorded_parts.then(last)}, "a batch shares one instant"
    assert get_at(recorded_parts.server, "/v1/parties", recorded_parts.then(1)).json()["position"] == last


def test_datetime_between_events_gets_the_state_of_the_earlier_one(recorded_parts):
    end, following = (datetime.fromisoformat(recorded_parts.server.json(f"/v1/events/{each}")["recorded"]) for each in (recorded_parts.ends[0], recorded_parts.ends[0] + 1))  # fmt: skip
    assert int(following.timestamp()) > int(end.timestamp())
    before = format_datetime(datetime.fromtimestamp(int(following.timestamp()) - 1, UTC), usegmt=True)
    answer = get_at(recorded_parts.server, "/v1/parties", before)
    assert answer.json()["position"] == recorded_parts.ends[0]
    assert answer.headers["Memento-Datetime"] == recorded_parts.then(recorded_parts.ends[0])


def test_datetime_in_the_future_gets_the_current_state(recorded_parts):
    for then in (FUTURE, format_datetime(datetime.fromtimestamp(int(time.time()) + 3600, UTC), usegmt=True)):
        for address in ("/v1/parties/a", "/v1/parties", "/v1/statistics"):
            answer = get_at(recorded_parts.server, address, then)
            assert answer.content == recorded_parts.server.get(address).content
            assert answer.headers["Memento-Datetime"] == recorded_parts.then(recorded_parts.ends[-1])
            assert answer.headers["Content-Location"] == f"{address}?as_of={recorded_parts.ends[-1]}"


def test_datetime_in_the_future_follows_new_events(server):
    first = server.party("One")
    assert get_at(server, "/v1/parties", FUTURE).json()["position"] == 1
    server.party("Two")
    assert get_at(server, "/v1/parties", FUTURE).json()["position"] == 2
    assert get_at(server, f"/v1/{first}", FUTURE).headers["Content-Location"] == f"/v1/{first}?as_of=2"


def test_datetime_before_the_first_event_gets_an_empty_registry(recorded_parts):
    problem = is_problem(get_at(recorded_parts.server, "/v1/parties/a", LONG_AGO), 404)
    assert problem["detail"] == recorded_parts.server.get("/v1/parties/a", as_of=0).json()["detail"]
    answer = get_at(recorded_parts.server, "/v1/parties", LONG_AGO)
    assert answer.json() == {"items": [], "next": None, "position": 0}
    assert answer.content == recorded_parts.server.get("/v1/parties", as_of=0).content
    assert answer.headers["Memento-Datetime"] == LONG_AGO
    assert "Memento-Datetime" not in recorded_parts.server.get("/v1/parties", as_of=0).headers, (
        "no event was recorded then"
    )


def test_datetime_before_a_subject_was_recorded_is_404(recorded_parts):
    is_problem(get_at(recorded_parts.server, "/v1/parties/c", recorded_parts.then(recorded_parts.ends[1])), 404)
    assert (
        get_at(recorded_parts.server, "/v1/parties/c", recorded_parts.then(recorded_parts.ends[2])).status_code == 200
    )


def test_refusal_for_one_datetime_is_not_cached_for_another(recorded_parts):
    for answer in (
        get_at(recorded_parts.server, "/v1/parties/c", recorded_parts.then(recorded_parts.ends[0])),
        get_at(recorded_parts.server, "/v1/parties/c", "no date"),
        recorded_parts.server.get("/v1/parties/never-made"),
        recorded_parts.server.get("/v1/parties", limit="x"),
    ):
        assert answer.status_code in (400, 404, 422)
        assert answer.headers["Cache-Control"] == "no-cache"


def test_a_party_answers_for_itself_before_it_was_merged(recorded_parts):
    then = get_at(recorded_parts.server, "/v1/parties/b2?on=any", recorded_parts.then(recorded_parts.ends[1]))
    assert then.status_code == 200
    assert then.json()["subject"] == "parties/b2"
    now = get_at(recorded_parts.server, "/v1/parties/b2?on=any", recorded_parts.then(recorded_parts.ends[2]))
    assert (now.status_code, now.headers["Location"]) == (308, "/v1/parties/b?on=any")
    assert now.headers["Vary"] == "Accept, Accept-Datetime"


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "now", "12", "2026-01-31", "2026-01-31T09:30:00Z", "Sat, 31 Jan 2026 09:30:00", "Sat, 31 Jan 2026 09:30:00 UTC", "Sat, 31 Jan 2026 09:30:00 +0000",
        "sat, 31 jan 2026 09:30:00 gmt", "Sat, 31 Jan 26 09:30:00 GMT", "Saturday, 31-Jan-26 09:30:00 GMT", "Sat Jan 31 09:30:00 2026", "Sat, 30 Feb 2026 09:30:00 GMT",
        "Sat, 31 Jan 2026 24:00:00 GMT", "Sat, 31 Jan 2026 09:60:00 GMT", "Sat, 31 Jan 2026 09:30:61 GMT", "Sat, 31 Jax 2026 09:30:00 GMT", "Sat, 00 Jan 2026 09:30:00 GMT",
        "Sat, 01 Jan 0000 00:00:00 GMT", "Sat, 31 Jan 2026 09:30:00 GMT, Sat, 31 Jan 2026 09:30:00 GMT", "Sat,  31 Jan 2026 09:30:00 GMT", "Sat, 31 Jan 20260 09:30:00 GMT", "'; DROP TABLE events",
    ],
)  # fmt: skip
def test_invalid_datetime_is_refused(recorded_parts, text):
    for address in ("/v1/parties/a", "/v1/parties", "/v1/statistics", "/v1/parties/a/history"):
        answer = get_at(recorded_parts.server, address, text)
        problem = is_problem(answer, 400)
        assert "Accept-Datetime" in problem["detail"]
        assert "Accept-Datetime" in answer.headers["Vary"]


def test_header_bytes_that_are_no_text_are_refused(recorded_parts):
    for value in (b"\xff\xfe", "Sat, ３１ Jan 2026 09:30:00 GMT".encode(), b"x" * 8_000):
        answer = recorded_parts.server.client.get("/v1/parties", headers=[(b"Accept-Datetime", value)])
        is_problem(answer, 400)


def test_two_datetimes_are_refused(recorded_parts):
    then = recorded_parts.then(recorded_parts.ends[0])
    answer = recorded_parts.server.client.get(
        "/v1/parties", headers=[("Accept-Datetime", then), ("Accept-Datetime", then)]
    )
    is_problem(answer, 400)


def test_a_leap_second_is_a_date(recorded_parts):
    assert get_at(recorded_parts.server, "/v1/parties", "Sat, 31 Dec 2016 23:59:60 GMT").json()["position"] == 0


def test_on_is_independent_of_accept_datetime(recorded_parts):
    then = recorded_parts.then(recorded_parts.ends[2])
    on = [
        get_at(recorded_parts.server, f"/v1/platforms/p?on={day}", then).json()["members"]
        for day in ("2002-06-01", "2004-01-01")
    ]
    assert [[member["party"]["subject"] for member in members] for members in on] == [["parties/a", "parties/b"], ["parties/b"]]  # fmt: skip
    then = recorded_parts.then(recorded_parts.ends[1])
    known = get_at(recorded_parts.server, "/v1/platforms/p?on=2004-01-01", then).json()["members"]
    assert [member["party"]["subject"] for member in known] == ["parties/a", "parties/b"], (
        "nobody had recorded the leaving"
    )


# what mementos say


def test_a_memento_names_its_original_and_its_timegate(recorded_parts):
    for address in ADDRESSES:
        memento = recorded_parts.server.get(address, as_of=recorded_parts.ends[1])
        found = links(memento)
        original = str(memento.url.join(found["original"]["url"]))
        assert original == str(memento.url.join(found["timegate"]["url"]))
        assert "as_of" not in httpx.URL(original).params
        assert recorded_parts.server.client.get(original, headers={"Accept-Datetime": recorded_parts.then(recorded_parts.ends[1])}).content == memento.content  # fmt: skip
        assert found["memento"]["datetime"] == recorded_parts.then(recorded_parts.ends[1])
        assert recorded_parts.server.get(found["memento"]["url"]).content == memento.content


def test_memento_by_instant_names_the_memento_by_position(recorded_parts):
    recorded = recorded_parts.server.json(f"/v1/events/{recorded_parts.ends[1]}")["recorded"]
    answer = recorded_parts.server.get("/v1/parties/a", as_of=recorded)
    assert answer.headers["Memento-Datetime"] == recorded_parts.then(recorded_parts.ends[1])
    assert links(answer)["memento"]["url"] == f"/v1/parties/a?as_of={recorded_parts.ends[1]}"


def test_a_state_names_its_timegate_and_its_timemap(recorded_parts):
    found = links(recorded_parts.server.get("/v1/parties/a?on=any"))
    assert found["timegate"]["url"] == found["original"]["url"] == "/v1/parties/a?on=any"
    assert found["timemap"] == {"url": "/v1/parties/a/timemap?on=any", "rel": "timemap", "type": LINK_FORMAT}
    assert "memento" not in found


@pytest.mark.parametrize("query", ["", "?on=2002-06-01", "?on=any&evidence=full", "?as_of=8&on=any", "?proof=true"])
def test_timemap_named_by_a_state_exists(recorded_parts, query):
    state = recorded_parts.server.get(f"/v1/agreements/t{query}")
    timemap = recorded_parts.server.get(links(state)["timemap"]["url"])
    assert timemap.status_code == 200
    assert mapped(timemap.text)[0][0] == links(state)["original"]["url"]


def test_list_without_as_of_links_only_to_its_next_page(recorded_parts):
    assert set(recorded_parts.server.get("/v1/parties?limit=1").links) == {"next"}
    assert "Link" not in recorded_parts.server.get("/v1/parties").headers


@pytest.mark.parametrize("words", ['a">, <x>; rel="next', "α, β;γ", "100% <b>", "a&b=c+d", "'\\'", "\U0001f600"])
def test_links_are_valid_for_any_query(recorded_parts, words):
    recorded_parts.server.party(f"{words} zebra")
    answer = recorded_parts.server.get("/v1/search", q=f"{words} zebra", as_of=recorded_parts.server.head(), limit=1)
    found = links(answer)
    assert set(found) <= {"next", "original", "timegate", "memento"}
    for link in (found["original"], found["memento"]):
        assert httpx.URL(link["url"]).params["q"] == f"{words} zebra"
    assert recorded_parts.server.get(found["memento"]["url"]).content == answer.content


def test_not_modified_answer_has_memento_datetime(recorded_parts):
    for address in ADDRESSES:
        then = recorded_parts.then(recorded_parts.ends[1])
        first = get_at(recorded_parts.server, address, then)
        again = get_at(recorded_parts.server, address, then, If_None_Match=first.headers["ETag"])
        assert (again.status_code, again.content) == (304, b"")
        for name in ("Memento-Datetime", "Content-Location", "Vary", "ETag", "Link"):
            assert again.headers[name] == first.headers[name], (address, name)
    changed = get_at(recorded_parts.server, "/v1/parties/a", recorded_parts.then(recorded_parts.ends[1]), If_None_Match=get_at(recorded_parts.server, "/v1/parties/a", recorded_parts.then(recorded_parts.ends[0])).headers["ETag"])  # fmt: skip
    assert changed.status_code == 200, "another instant, another answer"


def test_head_has_the_headers_of_get(recorded_parts):
    for address in ("/v1/parties/a", "/v1/parties?limit=1", "/v1/statistics", "/v1/parties/a/timemap"):
        sent = {"Accept-Datetime": recorded_parts.then(recorded_parts.ends[1])}
        got, headed = (
            recorded_parts.server.client.request(method, address, headers=sent) for method in ("GET", "HEAD")
        )
        assert headed.content == b""
        for name in ("Memento-Datetime", "Content-Location", "Vary", "ETag", "Link", "Content-Type"):
            assert headed.headers.get(name) == got.headers.get(name), (address, name)


# pages


def test_pages_of_a_negotiated_list_stay_at_its_instant_while_events_arrive(server):
    server.parties(6)
    then, end = http_date(server.json("/v1/events/6")["recorded"]), 6
    next_second()
    server.parties(3)
    address, seen, places = "/v1/parties?limit=2", list[str](), list[tuple[int, str]]()
    while address:
        answer = get_at(server, address, then)
        places.append((answer.json()["position"], answer.headers["Memento-Datetime"]))
        seen += [item["subject"] for item in answer.json()["items"]]
        assert answer.links.get("next", {}).get("url") == answer.json()["next"]
        assert links(answer)["original"]["url"] == "/v1/parties?limit=2"
        address = answer.json()["next"]
        server.party("Late")
    assert places == [(end, then)] * 3
    assert seen == [item["subject"] for item in server.items("/v1/parties", as_of=end)]


def test_cursor_pins_the_time_and_ignores_accept_datetime(recorded_parts):
    following = recorded_parts.server.json("/v1/parties", limit=1)["next"]
    plain = recorded_parts.server.get(following)
    for then in (recorded_parts.then(recorded_parts.ends[0]), LONG_AGO, FUTURE, "no date"):
        answer = get_at(recorded_parts.server, following, then)
        assert answer.status_code == 200
        assert answer.content == plain.content
        assert answer.headers["Vary"] == "Accept"


# TimeMaps


def test_a_timemap_lists_the_mementos_of_a_state(recorded_parts):
    for subject in ("parties/a", "parties/b", "agreements/t", "platforms/p"):
        answer = recorded_parts.server.get(f"/v1/{subject}/timemap")
        assert answer.headers["Content-Type"].split(";")[0] == LINK_FORMAT
        found = mapped(answer.text)
        by_relation = {relation: (address, more) for address, more in found for relation in more["rel"].split()}
        assert by_relation["original"][0] == by_relation["timegate"][0] == f"/v1/{subject}"
        assert by_relation["self"][0] == f"/v1/{subject}/timemap"
        mementos = [(address, more) for address, more in found if "memento" in more["rel"].split()]
        history = recorded_parts.server.items(f"/v1/{subject}/history")
        assert [address for address, _ in mementos] == [f"/v1/{subject}?as_of={item['position']}" for item in history]
        assert [more["datetime"] for _, more in mementos] == [http_date(item["recorded"]) for item in history]
        assert mementos[0][1]["rel"].split()[0] == "first"
        assert "last" in mementos[-1][1]["rel"].split()
        assert by_relation["self"][1]["from"] == mementos[0][1]["datetime"]
        assert by_relation["self"][1]["until"] == mementos[-1][1]["datetime"]
        for address, more in mementos:
            assert recorded_parts.server.get(address).headers["Memento-Datetime"] == more["datetime"]


def test_timemap_repeats_the_query_of_the_state(recorded_parts):
    found = mapped(recorded_parts.server.get("/v1/parties/a/timemap?on=2001-01-01&evidence=full").text)
    assert found[0][0] == "/v1/parties/a?on=2001-01-01&evidence=full"
    for address, more in found:
        if "memento" in more["rel"]:
            assert dict(httpx.URL(address).params).keys() == {"on", "evidence", "as_of"}
            assert recorded_parts.server.get(address).status_code == 200


def test_a_long_timemap_comes_in_pages(server):
    party = server.party()
    server.imported([event("party.name-added", party, name=f"Name {n}") for n in range(1500)])
    first = server.get(f"/v1/{party}/timemap")
    pages, answer = [mapped(first.text)], first
    while "next" in answer.links:
        named = [address for address, more in pages[-1] if more["rel"] == "timemap"]
        assert named == [answer.links["next"]["url"]]
        answer = server.get(answer.links["next"]["url"])
        pages.append(mapped(answer.text))
    mementos = [[(address, more["rel"]) for address, more in page if "memento" in more["rel"]] for page in pages]
    assert [len(page) for page in mementos] == [1000, 501]
    whole = mementos[0] + mementos[1]
    assert [address for address, _ in whole] == [f"/v1/{party}?as_of={position}" for position in range(1, 1502)]
    assert [relation for _, relation in whole] == ["first memento", *["memento"] * 1499, "last memento"]


def test_timemap_of_an_unknown_or_merged_subject(recorded_parts):
    is_problem(recorded_parts.server.get("/v1/parties/never-made/timemap"), 404)
    is_problem(recorded_parts.server.get("/v1/parties/NO/timemap"), 404)
    moved = recorded_parts.server.get("/v1/parties/b2/timemap?on=any")
    assert (moved.status_code, moved.headers["Location"]) == (308, "/v1/parties/b/timemap?on=any")


def test_timemap_of_a_subject_that_answers_410_is_still_readable(shared):
    party = shared.party()
    at = shared.head()
    shared.take(event("event.retracted", party, event=at, reason="R"))
    assert shared.get(f"/v1/{party}").status_code == 410
    found = mapped(shared.get(f"/v1/{party}/timemap").text)
    assert [more["rel"] for _, more in found[2:]] == ["first memento", "last memento"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("from=0", 422), ("from=x", 422), ("from=-1", 422), ("from=1&from=2", 422), ("on=x", 422), ("as_of=1", 422), ("limit=1", 422), ("from=99999999", 200)],
)  # fmt: skip
def test_queries_of_a_timemap_are_checked(recorded_parts, query, status):
    answer = recorded_parts.server.get(f"/v1/parties/a/timemap?{query}")
    if status == 200:
        assert [more["rel"] for _, more in mapped(answer.text)] == ["original timegate", "self"]
    else:
        is_problem(answer, status)


def test_a_timemap_has_one_form(recorded_parts):
    is_problem(recorded_parts.server.get("/v1/parties/a/timemap", headers={"Accept": "text/csv"}), 406)
    answer = recorded_parts.server.get("/v1/parties/a/timemap", headers={"Accept": LINK_FORMAT})
    again = recorded_parts.server.get("/v1/parties/a/timemap", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


# the API document


def test_openapi_describes_datetime_negotiation(shared):
    document = shared.json("/openapi.json")
    negotiated = 0
    compared = {"/v1/digests"}  # which is of a position, whoever asks
    for path, methods in document["paths"].items():
        for row in methods.values() if path not in compared else ():
            names = {each["name"] for each in row["parameters"] if each["in"] == "query"}
            headers = {each["name"] for each in row["parameters"] if each["in"] == "header"}
            assert ("Accept-Datetime" in headers) == ("as_of" in names), path
            if "as_of" in names:
                negotiated += 1
                assert {"Memento-Datetime", "Content-Location", "Link"} <= set(row["responses"]["200"]["headers"]), path
                assert "400" in row["responses"], path
    assert negotiated >= 30
