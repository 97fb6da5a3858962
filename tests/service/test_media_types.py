"""Media types: which one a client gets, lists as CSV and NDJSON, the graph as XML."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree as ET

import orjson
import pytest

from projections.catalogue import LIST_VIEWS, SUBJECT_VIEWS
from service import csv_tables
from service.http import lists
from service.http.negotiation import choose
from service.schemas.views import components, entry_name, table_of
from tests.service.query_helpers import event, party, seeded
from tests.service.registry import problem

JSON, CSV, NDJSON = "application/json", "text/csv", "application/x-ndjson"
VIEWS = tuple(LIST_VIEWS)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("TEXT/CSV; charset=utf-8", CSV),
        ("text/*", CSV),
        ("application/*", JSON),
        ("application/json;q=0.5, text/csv", CSV),
        ("application/json;q=0.5, text/csv;q=0.4", JSON),
        ("text/csv;q=0.1, application/x-ndjson;q=0.2", NDJSON),
        ("text/csv, */*;q=0.1", CSV),
        ("text/csv, */*", CSV),
        ("application/x-ndjson, application/json", NDJSON),
        ("application/json, application/x-ndjson", JSON),
        ("*/*, application/json;q=0", CSV),
        ("application/*;q=0, */*", CSV),
        ("application/*;q=0.3, application/json;q=0.9, text/csv;q=0.8", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        ('text/csv;header="a,b;q=0", text/html', CSV),
        ("nonsense", JSON),
        ("text/csv;q=2, application/json;q=0.1", JSON),
        ("text/html", None),
        ("application/json;q=0", None),
        ("*/*;q=0", None),
    ],
)
def test_media_type_is_the_one_the_client_prefers(accept, chosen):
    assert choose(accept, (JSON, CSV, NDJSON)) == chosen


async def test_unacceptable_media_types_get_406_with_the_available_ones(registry):
    await registry.take(party("catl"))
    for path, offered in (
        ("/v1/parties", CSV),
        ("/v1/parties/catl", JSON),
        ("/v1/statistics", JSON),
        ("/v1/graph", "application/gexf+xml"),
    ):
        found = await problem(await registry.get(path, Accept="image/png"), 406, "not-acceptable")
        assert offered in found["detail"]
    await problem(await registry.get("/v1/parties/catl", Accept=CSV), 406, "not-acceptable")


async def test_several_accept_headers_are_one(registry):
    async with registry.client.get("/v1/parties", headers=[("Accept", "image/png"), ("Accept", "text/csv")]) as answer:
        assert answer.content_type == CSV


async def test_cached_answer_respects_accept_of_each_client(registry):
    both = [("Accept", "image/png"), ("Accept", "application/json")]
    async with registry.client.get("/v1/parties", headers=both) as answer:
        assert answer.content_type == JSON
    await problem(await registry.get("/v1/parties", Accept="image/png"), 406, "not-acceptable")


async def test_answers_vary_by_accept(registry):
    for accept in (JSON, CSV, NDJSON):
        answer = await registry.get("/v1/parties", Accept=accept)
        assert answer.content_type == accept
        assert answer.headers["Vary"] == "Accept, Accept-Datetime"
    assert (await registry.get("/v1/parties", Accept=CSV)).headers["Content-Type"] == "text/csv; charset=utf-8"


async def rows(registry, path):
    answer = await registry.get(path, Accept=CSV)
    assert answer.status == 200, await answer.text()
    text = (await answer.read()).decode()
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


async def ndjson(registry, path):
    answer = await registry.get(path, Accept=NDJSON)
    assert answer.status == 200, await answer.text()
    return [orjson.loads(line) for line in (await answer.read()).splitlines()]


async def test_every_list_is_answered_whole_as_ndjson_and_as_csv(tmp_path):
    async with seeded(tmp_path / "data") as registry:
        paths = [f"/v1/{view}?on=any" for view in VIEWS]
        paths += [
            "/v1/platforms/casip/members",
            "/v1/platforms/casip/history",
            "/v1/labs/clean-energy-joint-lab/phases",
        ]
        paths += ["/v1/search?q=battery", "/v1/parties/resolve?name=CATL"]
        for path in paths:
            mark = "&" if "?" in path else "?"
            whole = (await registry.json(f"{path}{mark}limit=1000"))["items"]
            assert whole, path
            assert await ndjson(registry, path) == whole
            assert len(await rows(registry, path)) == len(whole)


async def test_streamed_list_stays_pinned_to_its_first_position(registry, monkeypatch):
    monkeypatch.setattr(lists, "MAX_LIMIT", 3)
    await registry.take([party(f"p{number:02}") for number in range(10)])
    answer = await registry.get("/v1/parties?as_of=9", Accept=NDJSON)
    found = [orjson.loads(line)["subject"] for line in (await answer.read()).splitlines()]
    assert found == [f"parties/p{number:02}" for number in range(9)]
    assert [row["subject"] for row in await rows(registry, "/v1/parties")] == [
        f"parties/p{number:02}" for number in range(10)
    ]


async def test_limit_makes_a_stream_one_page_with_a_next_link(registry):
    await registry.take([party(f"p{number}") for number in range(5)])
    answer = await registry.get("/v1/parties?limit=2", Accept=NDJSON)
    assert len((await answer.read()).splitlines()) == 2
    following = answer.headers["Link"].removeprefix("<").partition(">")[0]
    rest = await registry.get(following.replace("limit=2", "limit=9"), Accept=NDJSON)
    assert [orjson.loads(line)["subject"] for line in (await rest.read()).splitlines()] == [
        f"parties/p{n}" for n in (2, 3, 4)
    ]
    assert "Link" not in rest.headers
    whole = await registry.get("/v1/parties", Accept=NDJSON)
    assert "Link" not in whole.headers


async def test_streamed_list_with_a_matching_etag_is_not_sent_again(registry):
    await registry.take(party("a"))
    first = await registry.get("/v1/parties", Accept=CSV)
    again = await registry.get("/v1/parties", Accept=CSV, If_None_Match=first.headers["ETag"])
    assert (again.status, await again.read()) == (304, b"")
    other = await registry.get("/v1/parties", Accept=NDJSON, If_None_Match=first.headers["ETag"])
    assert other.status == 200
    await registry.take(party("b"))
    later = await registry.get("/v1/parties", Accept=CSV, If_None_Match=first.headers["ETag"])
    assert later.status == 200


async def test_streamed_list_that_cannot_start_is_a_problem(registry):
    await problem(await registry.get("/v1/parties?kind=planet", Accept=CSV), 422, "invalid-query")
    await problem(await registry.get("/v1/parties/nobody/history", Accept=NDJSON), 404, "not-found")


async def test_csv_row_preserves_quotes_commas_and_line_ends(registry):
    awkward = 'Line one\nline "two", three\r\n; =1+1'
    await registry.take(
        party("catl", {"zh": "宁德时代", "en-GB": awkward}, other_names=["A", {"zh": "乙"}], jurisdiction="CN")
    )
    await registry.take(event("party.reorganized", "parties/catl", {"part_of": None}))
    await registry.take(party("sub", "Sub", part_of="parties/catl"))
    first, second = await rows(registry, "/v1/parties")
    assert first["name"] == awkward
    assert orjson.loads(first["other_names"]) == ["A", {"zh": "乙"}]
    assert (first["part_of"], first["jurisdiction"], first["version"]) == ("", "CN", "2")
    assert (second["part_of"], second["part_of_name"]) == ("parties/catl", awkward)


@pytest.mark.parametrize("accept", [JSON, CSV, "image/png"])
async def test_the_format_of_the_query_comes_before_the_header(tmp_path, accept):
    async with seeded(tmp_path / "data") as registry:
        paths = ["/v1/platforms/casip/members", "/v1/platforms/casip/history", "/v1/search?q=battery"]
        for path in [*(f"/v1/{view}?on=any" for view in VIEWS), *paths, "/v1/parties/resolve?name=CATL"]:
            mark = "&" if "?" in path else "?"
            for name, media_type in (("json", JSON), ("csv", CSV), ("ndjson", NDJSON)):
                by_query = await registry.get(f"{path}{mark}format={name}", Accept=accept)
                by_header = await registry.get(path, Accept=media_type)
                assert by_query.content_type == media_type, path
                if name != "json":  # `next` keeps the format
                    assert await by_query.read() == await by_header.read(), path
        log = await registry.get("/v1/events?format=ndjson", Accept=accept)
        assert await log.read() == await (await registry.get("/v1/events", Accept=NDJSON)).read()
        for path in ("/v1/parties?format=xml", "/v1/events?format=csv", "/v1/parties?bom=1&format=json"):
            await problem(await registry.get(path), 422, "invalid-query")


async def test_pages_go_on_in_the_format_of_the_query(registry):
    await registry.take([party(f"p{number}") for number in range(5)])
    page = await registry.json("/v1/parties?limit=2&format=json")
    rest = await registry.json(page["next"].replace("limit=2", "limit=9"))
    assert [item["subject"] for item in rest["items"]] == [f"parties/p{number}" for number in (2, 3, 4)]
    first = await registry.get("/v1/parties?limit=2&format=csv&bom=1")
    following = first.headers["Link"].removeprefix("<").partition(">")[0]
    again = await registry.get(following.replace("csv", "ndjson").replace("&bom=1", ""))
    assert orjson.loads((await again.read()).splitlines()[0])["subject"] == "parties/p2"


async def test_bom_precedes_csv_if_requested(registry):
    await registry.take(party("a", "宁德时代"))
    plain = await (await registry.get("/v1/parties?format=csv")).read()
    marked = await (await registry.get("/v1/parties?bom=1", Accept=CSV)).read()
    assert marked == b"\xef\xbb\xbf" + plain


@pytest.mark.parametrize(
    "name",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1+1",
        "＝1+1",
        "＋1",
        "－1",
        "＠a",
        '=HYPERLINK("x")',
    ],
)
async def test_cell_that_a_spreadsheet_would_execute_is_quoted(registry, name):
    await registry.take([party("a", name), party("b", {"en": name, "zh": "乙"})])
    text = (await (await registry.get("/v1/parties?format=csv")).read()).decode()
    for row in csv.DictReader(io.StringIO(text, newline=""), strict=True):
        assert row["name"] == f"'{name}"
    assert text.count("\"'") == 2, "and wrapped in double quotes"


async def test_separator_of_another_csv_dialect_starts_no_cell(registry):
    await registry.take([party("a", "A;=1+1"), party("b", "A\t=1+1")])
    text = (await (await registry.get("/v1/parties?format=csv")).read()).decode()
    assert '"A;=1+1"' in text
    assert '"A\t=1+1"' in text


async def test_numbers_below_zero_are_numbers_in_csv():
    assert csv_tables.table("a").rows([{"a": "-1.50"}, {"a": -1}, {"a": "-x"}]) == b'-1.50\r\n-1\r\n"\'-x"\r\n'


async def test_csv_has_names_in_all_languages(registry):
    names = {"zh": "宁德时代", "en": "CATL", "de": "Zeitgenössische"}
    await registry.take(party("catl", names))
    await registry.take([party("plain", "Plain"), party("sub", "Sub", part_of="parties/catl")])
    catl, plain, sub = await rows(registry, "/v1/parties")
    assert (catl["name"], orjson.loads(catl["name_by_language"])) == ("CATL", names)
    assert (plain["name"], plain["name_by_language"]) == ("Plain", "")
    assert (sub["part_of_name"], orjson.loads(sub["part_of_name_by_language"])) == ("CATL", names)


async def test_csv_columns_do_not_depend_on_the_items(registry):
    empty = {view: await (await registry.get(f"/v1/{view}", Accept=CSV)).text() for view in VIEWS}
    for view, text in empty.items():
        assert text == ",".join(table_of(view).names) + "\r\n"
    await registry.take(party("a"))
    text = await (await registry.get("/v1/parties", Accept=CSV)).text()
    assert text.startswith(empty["parties"])


def test_every_field_of_an_item_has_a_column():
    shown_elsewhere = {"evidence", "more", "notes", "proofs"}
    lists = [entry_name(view.name, each.name) for view in SUBJECT_VIEWS.values() for each in view.lists]
    for name in (*VIEWS, *lists):
        table, fields = table_of(name), set(components()[name]["properties"])
        assert {column.path[0] for column in table.columns} == fields - shown_elsewhere, name
        assert len(set(table.names)) == len(table.names), name


# the graph


async def drawn(tmp_path, media_type):
    async with seeded(tmp_path / "data") as registry:
        graph = await registry.json("/v1/graph?on=any")
        answer = await registry.get("/v1/graph?on=any", Accept=media_type)
        assert answer.content_type == media_type
        return graph, ET.fromstring(await answer.read())


async def test_the_graph_is_drawn_as_gexf(tmp_path):
    graph, root = await drawn(tmp_path, "application/gexf+xml")
    space = {"g": "http://gexf.net/1.3"}
    nodes = root.findall(".//g:node", space)
    assert {node.get("id") for node in nodes} == {node["subject"] for node in graph["nodes"]}
    edges = root.findall(".//g:edge", space)
    assert [(edge.get("source"), edge.get("target")) for edge in edges] == [
        (e["source"], e["target"]) for e in graph["edges"]
    ]
    declared = {(kind.get("class"), each.get("id")) for kind in root.findall(".//g:attributes", space) for each in kind}
    for tag in ("node", "edge"):
        for value in root.findall(f".//g:{tag}//g:attvalue", space):
            assert (tag, value.get("for")) in declared
    assert edges


async def test_the_graph_is_drawn_as_graphml(tmp_path):
    graph, root = await drawn(tmp_path, "application/graphml+xml")
    space = {"g": "http://graphml.graphdrawing.org/xmlns"}
    names = {
        node.get("id"): node.find("g:data[@key='node-name']", space).text for node in root.findall(".//g:node", space)
    }
    assert names.keys() == {node["subject"] for node in graph["nodes"]}
    assert names["platforms/casip"] == "China All-Solid-State Battery Collaborative Innovation Platform (CASIP)"
    keys = {key.get("id") for key in root.findall("g:key", space)}
    assert {data.get("key") for data in root.findall(".//g:data", space)} <= keys
    assert len(root.findall(".//g:edge", space)) == len(graph["edges"])


async def test_name_with_characters_invalid_in_xml_is_drawn(registry):
    await registry.take([party("a", "A\x01\ufffe<&>"), party("b")])
    for media_type in ("application/gexf+xml", "application/graphml+xml"):
        ET.fromstring(await (await registry.get("/v1/graph", Accept=media_type)).read())


async def test_the_graph_reaches_as_far_as_its_depth(tmp_path):
    async with seeded(tmp_path / "data") as registry:
        near, far = [await registry.json(f"/v1/graph?center=platforms/casip&depth={depth}&on=any") for depth in (1, 2)]
        assert {node["subject"] for node in near["nodes"]} < {node["subject"] for node in far["nodes"]}
        alone = await registry.json("/v1/graph?center=platforms/casip&depth=0")
        assert ([node["subject"] for node in alone["nodes"]], alone["edges"]) == (["platforms/casip"], [])
        assert (await registry.json("/v1/graph?limit=3&on=any"))["truncated"] is True
