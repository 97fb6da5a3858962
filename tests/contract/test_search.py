"""Section 5: resolve and search in English and Chinese, the graph, the statistics."""

from __future__ import annotations

import itertools

import pytest

from tests.contract.server import SHA, event, is_problem, served


@pytest.fixture(scope="module")
def world():
    """Return a registry with companies and institutes, with names in several languages, that only these tests use."""
    with served() as server:
        parties = {
            "catl": (
                {"en": "Contemporary Amperex Technology Co., Limited", "zh": "宁德时代新能源科技股份有限公司"},
                ["CATL", {"zh": "宁德时代"}],
            ),
            "caes": ("Contemporary Amperex Energy Service Technology Ltd.", ["CAES"]),
            "byd": ({"en": "BYD Company", "zh": "比亚迪"}, ["Build Your Dreams"]),
            "miit": (
                {"en": "Ministry of Industry and Information Technology", "zh": "工业和信息化部"},
                [{"zh": "工信部"}],
            ),
            "most": ({"en": "Ministry of Science and Technology", "zh": "科学技术部"}, [{"zh": "科技部"}]),
            "cas": ({"en": "Chinese Academy of Sciences", "zh": "中国科学院"}, []),
            "iop": ({"en": "Institute of Physics, Chinese Academy of Sciences", "zh": "中国科学院物理研究所"}, []),
            "un": ({"en": "United Nations", "fr": "Nations Unies", "zh": "联合国"}, []),
            "unesco": ("United Nations Educational, Scientific and Cultural Organization", []),
            "nakhchivan": ("Société Générale d'Énergie", []),
            "volkswagen": ("Volkswagen AG", []),
            "vw-group-china": ("Volkswagen Group China", []),
            "tsinghua": ({"en": "Tsinghua University", "zh": "清华大学"}, []),
            "fudan": ({"en": "Fudan University", "zh": "复旦大学"}, []),
        }
        server.take(
            *(
                event("party.registered", f"parties/{slug}", name=name, kind="other", other_names=others)
                for slug, (name, others) in parties.items()
            )
        )
        server.take(
            event("party.registered", "parties/renamed", name={"en": "Amperex Daughter", "zh": "旧名电池"}, kind="company"),
            event("party.renamed", "parties/renamed", "2015-01-01", name={"en": "Newfangled Power", "zh": "新名能源"}),
            event("party.registered", "parties/double", name="Doppelganger Industries", kind="company"),
            event("party.merged", "parties/double", into="parties/byd"),
            event("agreement.signed", "agreements/framework", "2021-08-18", title={"en": "Framework agreement on battery swapping", "zh": "换电合作框架协议"}, kind="framework",
                  summary="Chengdu gets a headquarters for southwest China.", scope=["charging", "swapping"], parties=[{"party": "parties/catl"}, {"party": "parties/tsinghua"}]),
            event("lab.founded", "labs/joint", "2021-01-01", name={"en": "Clean Energy Joint Laboratory", "zh": "清洁能源联合实验室"}, founders=["parties/catl", "parties/iop"], fields=["AI technology"]),
            event("platform.launched", "platforms/casip", "2024-01-21", name={"en": "China All-Solid-State Battery Collaborative Innovation Platform", "zh": "中国全固态电池产学研协同创新平台"}, purpose="Bring solid-state batteries to market"),
            event("platform.member-joined", "platforms/casip", "2024-01-21", party="parties/catl"),
            event("document.registered", "documents/news", title={"en": "Report on the launch", "zh": "平台正式成立"}, sha256=SHA, publisher="智汇工业"),
        )  # fmt: skip
        yield server


def resolved(server, name, **query):
    return [
        item["subject"].rpartition("/")[2] for item in server.json("/v1/parties/resolve", name=name, **query)["items"]
    ]


def searched(server, q, **query):
    return [item["subject"] for item in server.items("/v1/search", q=q, **query)]


RESOLVED = {
    "Contemporary Amperex Technology Co., Limited": "catl",
    "contemporary amperex technology": "catl",
    "CONTEMPORARY AMPEREX TECHNOLOGY CO LTD": "catl",
    "CATL": "catl",
    "catl": "catl",
    "宁德时代": "catl",
    "宁德": "catl",
    "宁德时代新能源科技股份有限公司": "catl",
    "Contemporary Amprex Technology": "catl",
    "Contemporary Amperex Technologie Co. Ltd": "catl",
    "CAES": "caes",
    "比亚迪": "byd",
    "BYD": "byd",
    "Build your Dreams": "byd",
    "工信部": "miit",
    "工业和信息化部": "miit",
    "MIIT": "miit",
    "Ministry of Industry & Information Technology": "miit",
    "Ministery of Science and Technology": "most",
    "科技部": "most",
    "Chinese Academy of Science": "cas",
    "中国科学院": "cas",
    "物理研究所": "iop",
    "UN": "un",
    "Nations Unies": "un",
    "联合国": "un",
    "UNESCO": "unesco",
    "Societe Generale d'Energie": "nakhchivan",
    "SOCIÉTÉ GÉNÉRALE D’ÉNERGIE": "nakhchivan",
    "Volkswagen": "volkswagen",
    "Folkswagen AG": "volkswagen",
    "Volkswagon": "volkswagen",
    "Tsinghua": "tsinghua",
    "Tsinhua University": "tsinghua",
    "清华": "tsinghua",
    "University of Fudan": "fudan",
    "Newfangled Power": "renamed",
    "Amperex Daughter": "renamed",
    "旧名电池": "renamed",
    "新名能源": "renamed",
    "Doppelganger Industries": "byd",
    "ＢＹＤ": "byd",
}


@pytest.mark.parametrize(("name", "wanted"), RESOLVED.items())
def test_resolve_finds_a_party_by_any_name(world, name, wanted):
    items = world.json("/v1/parties/resolve", name=name)["items"]
    assert items, name
    assert items[0]["subject"] == f"parties/{wanted}", [(item["subject"], item["score"]) for item in items[:3]]
    for item in items:
        assert set(item) >= {"subject", "name", "matched", "score"}
    scores = [item["score"] for item in items]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("name", ["Zzyzx Qwerty", "龘靐", "1234567890", "!!!", "of the and", "x" * 300])
def test_unknown_names_score_below_exact_ones(world, name):
    items = world.json("/v1/parties/resolve", name=name)["items"]
    exact = world.json("/v1/parties/resolve", name="CATL")["items"][0]["score"]
    assert all(item["score"] < exact for item in items)


def test_resolve_as_of_a_position_ignores_later_names(world):
    head = next(item["position"] for item in world.items("/v1/events") if item["type"] == "party.renamed")
    assert "renamed" not in resolved(world, "新名能源", as_of=head - 1)
    assert "renamed" in resolved(world, "旧名电池", as_of=head - 1)


@pytest.mark.parametrize(
    "name",
    ["宁\u200b德\u2060时代", "寧德時代", "Ningde Shidai", "ningdeshidai", "C\u00adA\u200eTL\ufe0f"],
)
def test_resolve_ignores_invisible_characters_and_takes_any_chinese_form_and_pinyin(world, name):
    assert resolved(world, name)[0] == "catl"
    assert "parties/catl" in [item["subject"] for item in world.items("/v1/search", q=name)]
    assert "parties/catl" in [item["subject"] for item in world.items("/v1/parties", q=name)]


def test_resolve_needs_a_name(world):
    is_problem(world.get("/v1/parties/resolve"), 400, 422)
    blank = world.get("/v1/parties/resolve", name=" ")
    assert blank.status_code == 422 or blank.json()["items"] == []


UNNUMBERED_COLUMNS = {
    "battery": {"agreements/framework", "platforms/casip"},
    "Battery swapping": {"agreements/framework"},
    "换电": {"agreements/framework"},
    "框架": {"agreements/framework"},
    "框架协议": {"agreements/framework"},
    "headquarters": {"agreements/framework"},
    "实验室": {"labs/joint"},
    "实验": {"labs/joint"},
    "clean energy": {"labs/joint"},
    "固态": {"platforms/casip"},
    "全固态电池": {"platforms/casip"},
    "平台": {"platforms/casip", "documents/news"},
    "solid-state": {"platforms/casip"},
    "solid state": {"platforms/casip"},
    "成立": {"documents/news"},
    "智汇工业": {"documents/news"},
    "宁德": {"parties/catl"},
    "宁德时代": {"parties/catl"},
    "工信部": {"parties/miit"},
    "catl": {"parties/catl"},
    "AI": {"labs/joint"},
    "volkswagen": {"parties/volkswagen", "parties/vw-group-china"},
    "societe": {"parties/nakhchivan"},
    "旧名": {"parties/renamed"},
    "newfangled": {"parties/renamed"},
}


@pytest.mark.parametrize(("q", "wanted"), UNNUMBERED_COLUMNS.items())
def test_search_in_all_collections(world, q, wanted):
    found = searched(world, q)
    assert wanted <= set(found), found[:6]
    for item in world.json("/v1/search", q=q)["items"]:
        assert set(item) >= {"subject", "name", "snippet", "score"}


@pytest.mark.parametrize("q", ["CATL", "宁德时代", "换电合作框架协议", "Clean Energy Joint Laboratory"])
def test_exact_names_come_first(world, q):
    first = {
        "CATL": "parties/catl",
        "宁德时代": "parties/catl",
        "换电合作框架协议": "agreements/framework",
        "Clean Energy Joint Laboratory": "labs/joint",
    }[q]
    assert searched(world, q)[0] == first


@pytest.mark.parametrize(("q", "wanted"), [("MIIT", "miit"), ("CATL", "catl"), ("CAS", "cas")])
def test_search_finds_acronyms(world, q, wanted):
    assert f"parties/{wanted}" in searched(world, q)


@pytest.mark.parametrize("q", ["batery", "labratory", "Tsinghau", "volkswagon"])
def test_search_finds_near_spellings(world, q):
    wanted = {
        "batery": "platforms/casip",
        "labratory": "labs/joint",
        "Tsinghau": "parties/tsinghua",
        "volkswagon": "parties/volkswagen",
    }[q]
    assert wanted in searched(world, q)


def test_search_pages_without_repeats(world):
    whole = searched(world, "technology")
    paged = [item["subject"] for page in world.pages("/v1/search", q="technology", limit=1) for item in page["items"]]
    assert paged == whole
    assert len(whole) == len(set(whole)) >= 3


def test_search_as_of(world):
    head = next(item["position"] for item in world.items("/v1/events") if item["type"] == "platform.launched")
    assert "platforms/casip" not in searched(world, "固态", as_of=head - 1)
    assert "platforms/casip" in searched(world, "固态", as_of=head)


@pytest.mark.parametrize(
    "q",
    [
        '"',
        "'",
        "*",
        "AND",
        "a OR b",
        "NEAR(",
        "x:y",
        "%",
        "_",
        "\\",
        "🦓",
        "a" * 1000,
        "宁",
        "-",
        "()",
        "name:*",
        "\u202e",
        "é",
    ],
)
def test_unusual_searches_are_no_errors(world, q):
    for path, name in (("/v1/search", "q"), ("/v1/parties/resolve", "name")):
        answer = world.get(path, **{name: q})
        assert answer.status_code in (200, 422), (path, q, answer.text)


def test_retracted_name_is_no_longer_found(world):
    at = world.took(event("party.name-added", "parties/fudan", name="Xylophone College"))
    assert resolved(world, "Xylophone College")[:1] == ["fudan"]
    world.take(event("event.retracted", "parties/fudan", event=at, reason="R"))
    assert "fudan" not in resolved(world, "Xylophone College")[:1]
    assert searched(world, "xylophone") == []
    assert searched(world, "xylophone", as_of=at) == ["parties/fudan"]


# The graph


def test_the_graph_around_a_party(world):
    graph = world.json("/v1/graph", center="parties/catl", depth=1, on="2025-01-01")
    nodes = {node["subject"] for node in graph["nodes"]}
    assert nodes == {"parties/catl", "agreements/framework", "labs/joint", "platforms/casip"}
    assert {(edge["source"], edge["target"]) for edge in graph["edges"]} == {
        ("parties/catl", each) for each in nodes - {"parties/catl"}
    }
    for edge in graph["edges"]:
        assert edge["type"]
        assert edge["certainty"] == "certain"
    wider = world.json("/v1/graph", center="parties/catl", depth=2, on="2025-01-01")
    assert {node["subject"] for node in wider["nodes"]} == nodes | {"parties/tsinghua", "parties/iop"}


def test_graph_has_both_ends_of_every_edge_and_shows_its_day(world):
    for depth, on in itertools.product((1, 2, 3), ("2020-01-01", "2021-06-01", "2024-06-01", "any")):
        graph = world.json("/v1/graph", center="parties/catl", depth=depth, on=on)
        nodes = [node["subject"] for node in graph["nodes"]]
        assert len(nodes) == len(set(nodes))
        assert {end for edge in graph["edges"] for end in (edge["source"], edge["target"])} <= set(nodes)
    early = {
        node["subject"] for node in world.json("/v1/graph", center="parties/catl", depth=1, on="2021-06-01")["nodes"]
    }
    assert early == {"parties/catl", "labs/joint"}


def test_graph_of_a_merged_party_and_of_an_unknown_one(world):
    answer = world.get("/v1/graph", center="parties/double", depth=1)
    assert answer.status_code in (200, 308)
    is_problem(world.get("/v1/graph", center="parties/never-made"), 404)
    is_problem(world.get("/v1/graph", center="nonsense"), 404, 422)


# Statistics


def test_statistics_count_the_items_of_the_lists(world):
    for query in ({}, {"on": "2021-06-01"}, {"on": "2025-01-01"}, {"as_of": 10}):
        told = world.json("/v1/statistics", **query)
        for path in ("parties", "agreements", "labs", "platforms", "documents"):
            items = world.items(f"/v1/{path}", **query)
            assert told[path]["total"] == len(items), (path, query)
            for status, count in told[path]["status"].items():
                assert count == sum(item["status"] == status for item in items), (path, status)
            for kind, count in told[path].get("kind", {}).items():
                assert count == sum(item["kind"] == kind for item in items), (path, kind)
        ties = world.items("/v1/memberships", **query)
        assert told["memberships"]["total"] == len(ties)
        for each in told["party"]:
            assert each["ties"] == sum(tie["party"]["subject"] == each["party"]["subject"] for tie in ties)
        assert told["events"]["total"] == query.get("as_of", world.head())
