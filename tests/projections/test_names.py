"""Resolving a name finds its party by any spelling, and nothing where no name is similar."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from projections.engine.text_analysis import acronyms_of, bare, key_of, runs_of
from tests.recorded_views import RecordedViews, corrected, event, party, retracted

CATL = "Contemporary Amperex Technology Co., Limited"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RecordedViews]:
    made = RecordedViews(tmp_path / "views.sqlite")
    yield made
    made.close()


def resolved(
    registry: RecordedViews, name: str, *, as_of: int | None = None, limit: int = 10
) -> list[tuple[str, float]]:
    items = registry.reader.resolve(name, registry.question(as_of=as_of), limit=limit)
    scores = [item["score"] for item in items]
    assert scores == sorted(scores, reverse=True)
    assert len({item["subject"] for item in items}) == len(items) <= limit
    return [(item["subject"].removeprefix("parties/"), item["score"]) for item in items]


def best(registry: RecordedViews, name: str, *, as_of: int | None = None) -> tuple[str, float]:
    return resolved(registry, name, as_of=as_of)[0]


def slugs(registry: RecordedViews, name: str, *, as_of: int | None = None) -> list[str]:
    return [slug for slug, _ in resolved(registry, name, as_of=as_of)]


@pytest.mark.parametrize(
    "name",
    [
        CATL,
        "contemporary amperex technology co ltd",
        "Contemporary Amperex Technology",
        "CONTEMPORARY AMPEREX TECHNOLOGY CO., LTD.",
        "Contemporary Ampérex Technology, Inc.",
        "ＣＯＮＴＥＭＰＯＲＡＲＹ Amperex Technology",
        "Contemporary-Amperex Technology",
        "ContemporaryAmperex Technology",
        "宁德时代新能源科技股份有限公司",
        "宁德时代新能源科技",
        "宁德时代新能源科技有限公司",
        "宁德时代",
        "91350900587527783P",
        "uscc:91350900587527783P",
    ],
)
def test_any_name_of_a_party_has_the_highest_score(registry, name):
    registry.record(
        party("other", name="Contemporary Amperex Energy Service Technology Ltd."),
        party(
            "catl",
            name={"en": CATL, "zh": "宁德时代新能源科技股份有限公司"},
            other_names=["宁德时代"],
            identifiers=[{"scheme": "uscc", "value": "91350900587527783P"}],
        ),
    )
    assert best(registry, name) == ("catl", 1.0)


@pytest.mark.parametrize(
    "names",
    [
        ("Zeta Research Association (ZRA)", "Zeta Research Association"),
        ("ZETA RESEARCH ASSOCIATION", "zeta research association", "Zeta Research Association"),
        ("Zeta Research Association Ltd", "Zeta-Research Association", "Zeta Research Association"),
        ("Zéta Research Association", "Zeta Research Association"),
        ("Zeta Research Association", "Zéta Research Association"),
    ],
)
def test_exact_spelling_comes_before_names_equal_after_case_folding(tmp_path, names):
    for at, order in enumerate(itertools.permutations(range(len(names)))):
        made = RecordedViews(tmp_path / f"{at}.sqlite")
        try:
            made.batch(*(party(f"p{index}", name=names[index]) for index in order))
            for index, name in enumerate(names):
                assert slugs(made, name)[0] == f"p{index}"
        finally:
            made.close()


def test_exact_spelling_comes_before_hundreds_of_names_equal_after_case_folding(registry):
    registry.batch(
        party("exact", name="Zeta Institute"), *(party(f"p{at}", name="ZETA institute") for at in range(300))
    )
    assert slugs(registry, "Zeta Institute")[0] == "exact"


def test_results_do_not_depend_on_the_order_of_recording(tmp_path):
    heads = ("Northern", "Southern", "Eastern", "Western", "Nothern")
    kinds = ("Bank", "Institute", "Ministry", "Council")
    documents = [
        party(f"p{at:03}", name=f"{heads[at % 5]} {kinds[at % 4]} {'of Trade ' * (at % 3)}{at // 7}".strip())
        for at in range(260)
    ]
    documents += [party(f"q{at}", name="Same Name", other_names=[f"Alias {at % 2}"]) for at in range(6)]
    queries = (
        "same name",
        "Northern",
        "bank",
        "northern bank",
        "Nortern Bank",
        "ministry of trade",
        "alias",
        "council 1",
    )
    found = []
    for at, seed in enumerate((None, 1, 2)):
        order = list(documents)
        if seed is not None:
            random.Random(seed).shuffle(order)
        made = RecordedViews(tmp_path / f"{at}.sqlite")
        try:
            made.batch(*order)
            answers = []
            for text in queries:
                answers.append(made.reader.resolve(text, made.question(), limit=50))
                page = made.reader.search(text, made.question(), limit=50, after=None)
                answers.append([{name: hit[name] for name in ("subject", "snippet", "score")} for hit in page.items])
            found.append([[{**each, "name": None} for each in answer] for answer in answers])
        finally:
            made.close()
    assert found[0] == found[1] == found[2]
    assert all(found[0])


def test_result_names_the_matched_spelling(registry):
    registry.record(
        party("catl", name={"en": CATL, "zh": "宁德时代"}),
        event("party.identified", "parties/catl", scheme="lei", value="X-1"),
    )
    for name, matched in {
        "宁德时代": "宁德时代",
        "contemporary amperex technology": CATL,
        "lei x1": "lei:X-1",
        "catl": CATL,
    }.items():
        (item,) = registry.reader.resolve(name, registry.question(), limit=3)
        assert item["matched"] == matched
        assert item["name"] == {"en": CATL, "zh": "宁德时代"}


@pytest.mark.parametrize(
    ("name", "acronyms"),
    [
        (CATL, {"CATL", "CAT", "C.A.T.L."}),
        ("Ministry of Science and Technology", {"MOST", "MST"}),
        ("Massachusetts Institute of Technology", {"MIT", "mit"}),
        ("State Grid Corporation of China (SGCC)", {"SGCC"}),
    ],
)
def test_derived_acronym_finds_the_party(registry, name, acronyms):
    registry.record(party("a", name=name), party("b", name="Another Body"))
    for acronym in acronyms:
        slug, score = best(registry, acronym)
        assert slug == "a"
        assert score >= 0.9


def test_two_initials_find_the_party_with_a_lower_score_than_a_name(registry):
    registry.record(
        party("un", name={"en": "United Nations", "fr": "Nations Unies"}),
        party("named", name="UN"),
        party("small", name="The Foo"),
        party("form", name="Foo Ltd"),
    )
    assert resolved(registry, "UN") == [("named", 1.0), ("un", 0.8)]
    assert resolved(registry, "n.u.") == [("un", 0.8)]
    assert resolved(registry, "TF") == resolved(registry, "FL") == []
    slug, score = best(registry, "Ural Nickel")
    assert slug == "named"
    assert score < 0.8


def test_name_is_found_among_many_with_the_same_initials(registry):
    registry.record(party("named", name="UN"))
    registry.batch(*(party(f"p{number}", name=f"United{number} Nations") for number in range(250)))
    assert best(registry, "UN") == ("named", 1.0)


@pytest.mark.parametrize(
    "name", ["Institute of Physics CAS", "CAS Institute of Physics", "Institute of Physics (C.A.S.)", "Physics, CAS"]
)
def test_part_of_a_name_may_be_initials(registry, name):
    registry.record(
        party("iop", name="Institute of Physics, Chinese Academy of Sciences"),
        party("other", name="Institute of Chemistry"),
    )
    slug, score = best(registry, name)
    assert slug == "iop"
    assert 0.6 <= score <= 0.85


def test_name_that_holds_most_of_the_words_is_found_after_those_that_hold_all(registry):
    registry.record(
        party("most", name="Institute of Physics, Chinese Academy of Sciences"),
        party("all", name="Institute of Physics, Beijing Polytechnic University"),
        party("few", name="Institute of Chemistry"),
    )
    assert slugs(registry, "Institute of Physics Beijing") == ["all", "most"]
    assert slugs(registry, "Sciences Academy Physics Zz Qwertz") == ["most"]


def test_recorded_acronym_comes_before_a_derived_one(registry):
    registry.record(
        party("fits", name="Chengdu Air Transport Lines"), party("given", name="Somebody", other_names=["CATL"])
    )
    assert resolved(registry, "CATL") == [("given", 1.0), ("fits", 0.9)]


def test_full_name_finds_a_party_registered_by_its_acronym(registry):
    registry.record(party("a", name="CATL"))
    slug, score = best(registry, CATL)
    assert slug == "a"
    assert score < 0.9


def test_former_name_finds_the_party_after_the_one_that_has_the_name_now(registry):
    registry.record(
        party("old", "2001", name="Harbour Works"), event("party.renamed", "parties/old", "2010", name="Ocean Works")
    )
    assert best(registry, "harbour works") == ("old", 1.0)
    registry.record(party("new", "2011", name="Harbour Works"))
    assert slugs(registry, "harbour works")[:2] == ["new", "old"]
    registry.record(event("party.name-added", "parties/old", None, name="Quay Works"))
    assert best(registry, "Quay works") == ("old", 1.0)


@pytest.mark.parametrize(
    "name",
    [
        "Contemprary Amperex Technology",
        "Contemporary Amprex Tecnology Co Ltd",
        "Kontemporary Amperex Technology",
        "Contemporary Amperx",
        "Amperex Technology Contemporary",
        "Contemporary Amperex Technology Group",
        "宁得时代新能源科技",
        "宁德时代能源科技有限公司",
        "宁德时代新能源",
    ],
)
def test_similar_spelling_or_part_of_a_name_is_found_with_a_lower_score(registry, name):
    registry.record(
        party("catl", name={"en": CATL, "zh": "宁德时代新能源科技股份有限公司"}), party("b", name="Beijing Institute")
    )
    slug, score = best(registry, name)
    assert slug == "catl"
    assert 0.55 <= score < 1


def test_most_similar_name_comes_first(registry):
    registry.record(
        party("b", name="Beijing Institute"),
        party("n", name="Nanjing Institute"),
        party("l", name="Beijing Institute of Long Names"),
    )
    assert slugs(registry, "Bejing Institute")[0] == "b"
    assert slugs(registry, "Beijing Institute")[:2] == ["b", "l"]


@pytest.mark.parametrize(
    "name", ["Omicron Chemistry Institut", "Omikron Chemistry Institute", "Omicron Chemstry Institute"]
)
def test_similar_names_are_found_beside_one_with_matching_initials(registry, name):
    registry.record(
        party("initials", name="Omicron Chemistry Institute (OCI)"), party("plain", name="Omicron Chemistry Institute")
    )
    assert set(slugs(registry, name)) == {"initials", "plain"}


@pytest.mark.parametrize(
    "name",
    [
        "qwertz uiop",
        "zzzzzz",
        "完全无关的名字",
        "x",
        "12345678",
        "Battery Castle",
        "",
        "   ",
        "()",
        "😀",
        "bx",
        "Castle CATL",
    ],
)
def test_nonsense_finds_no_party(registry, name):
    registry.record(
        party("catl", name={"en": CATL, "zh": "宁德时代新能源科技股份有限公司"}), party("b", name="Beijing Institute")
    )
    assert resolved(registry, name) == []


def test_resolve_finds_only_parties(registry):
    registry.record(event("platform.launched", "platforms/p", "2020", name="Only Platform"))
    assert resolved(registry, "Only Platform") == []


def test_name_of_a_merged_party_finds_its_survivor_as_of_the_query(registry):
    registry.record(party("a", name="Alpha"), party("b", name="Beta"))
    before = registry.head
    registry.record(event("party.merged", "parties/b", None, into="parties/a"))
    assert best(registry, "beta") == ("a", 1.0)
    assert best(registry, "beta", as_of=before) == ("b", 1.0)


def test_corrected_and_retracted_names_are_found_only_as_of_before(registry):
    first = registry.record(party("a", name="Misspelt"))
    second = registry.record(corrected("parties/a", first, data={"name": "Quite Other", "kind": "company"}))
    assert resolved(registry, "Misspelt") == []
    assert best(registry, "Misspelt", as_of=first) == ("a", 1.0)
    registry.record(retracted("parties/a", first))
    assert resolved(registry, "Quite Other") == []
    assert best(registry, "Quite Other", as_of=second) == ("a", 1.0)
    assert resolved(registry, "Quite Other", as_of=first) == []


def test_buffered_names_are_found_like_indexed_ones(registry):
    """The index takes 256 rows at a time."""
    registry.record(party("first", name="Pottinger Aerodrome"))
    for number in range(300):
        registry.batch(party(f"p{number}", name=f"Company Number{number:03}"))
        if number in (10, 254, 255, 299):
            assert best(registry, "Pottinger Aerodrome") == ("first", 1.0)
            assert slugs(registry, "Potinger Aerodrom")[0] == "first"
            assert best(registry, f"number{number:03}")[0] == f"p{number}"


@pytest.mark.parametrize(
    ("name", "remaining"),
    [
        ("Foo Limited Liability Company", ["foo"]),
        ("The Foo Company", ["foo"]),
        ("Fiat S.p.A.", ["fiat"]),
        ("Limited", ["limited"]),
        ("有限公司", ["有限公司"]),
        ("株式会社日立製作所", ["日立制作所"]),
        ("中国石油天然气集团有限公司", ["中国石油天然气集团"]),
        ("Foo 有限责任公司", ["foo"]),
    ],
)
def test_legal_forms_are_ignored(name, remaining):
    assert list(bare(runs_of(name))) == remaining
    assert key_of(name) == "".join(remaining)


def test_number_of_acronyms_of_a_long_name_is_bounded():
    assert len(acronyms_of("The of and for in on at to a an of the Co. Ltd. Inc. Co.")) <= 16
    assert acronyms_of("word " * 1000) == frozenset()


INVISIBLE = ("\u00ad", "\u034f", "\u200b", "\u200e", "\u2060", "\ufe0f", "\ufeff", "\U000e0100", "\u3164", "\u180e")


def with_invisible(name: str, character: str) -> str:
    """The name with an invisible character after each of its letters but the last."""
    return "".join(each + (character if each != " " else "") for each in name[:-1]) + name[-1]


@pytest.mark.parametrize("character", INVISIBLE, ids=lambda character: f"{ord(character):04X}")
def test_invisible_characters_hide_no_name(registry, character):
    names = ("Zeta Research Association", "东海研究院")
    registry.batch(*(party(f"p{at}", name=with_invisible(name, character)) for at, name in enumerate(names)))
    for at, name in enumerate(names):
        assert best(registry, name) == (f"p{at}", 1.0)
        assert best(registry, with_invisible(name, "\u200c")) == (f"p{at}", 1.0)
        for words in (name, name[:7], with_invisible(name, "\u2060")):
            found = registry.reader.search(words, registry.question(), limit=5, after=None).items
            assert [hit["subject"] for hit in found] == [f"parties/p{at}"]
            assert registry.subjects("parties", q=words) == [f"parties/p{at}"]


@pytest.mark.parametrize(
    ("simple", "traditional"),
    [
        ("宁德时代", "寧德時代"),
        ("国家开发银行", "國家開發銀行"),
        ("云南干果发展公司", "雲南乾果發展公司"),
        ("乾坤研究所", "乾坤研究所"),
        ("后里汇丰", "後裡匯豐"),
    ],
)
def test_simplified_and_traditional_chinese_find_each_other(registry, simple, traditional):
    registry.batch(party("s", name=simple), party("t", name=traditional), party("o", name="东海"))
    for name, first in ((simple, "s"), (traditional, "t")):
        if simple != traditional:
            assert resolved(registry, name)[:2] == [(first, 1.0), ("t" if first == "s" else "s", 1.0)]
        for words in (name, name[:2], name[-2:]):
            found = registry.reader.search(words, registry.question(), limit=5, after=None).items
            assert {hit["subject"] for hit in found} == {"parties/s", "parties/t"}
            assert {hit["snippet"] for hit in found} == {simple, traditional}
            assert set(registry.subjects("parties", q=words)) == {"parties/s", "parties/t"}


@pytest.mark.parametrize(
    ("name", "pinyin"),
    [
        ("宁德时代新能源科技股份有限公司", "Ningde Shidai"),
        ("宁德时代新能源科技股份有限公司", "ningdeshidai xinnengyuan keji"),
        ("宁德时代新能源科技股份有限公司", "Níngdé Shídài Xīnnéngyuán"),
        ("寧德時代", "ningdeshidai"),
        ("寧德時代", "ning de shi dai"),
        ("清华大学", "Qinghua Daxue"),
        ("重庆银行", "chongqing yinhang"),
        ("重庆银行", "chongqingyinhang"),
        ("西安", "Xi'an"),
        ("绿源", "Lüyuan"),
        ("绿源", "lvyuan"),
        ("绿源", "luyuan"),
        ("BYD 比亚迪", "biyadi"),
    ],
)
def test_chinese_names_are_found_by_their_pinyin(registry, name, pinyin):
    registry.batch(
        party("wanted", name={"en": "Wanted Body", "zh": name}),
        party("other", name="东海造船厂"),
        party("third", name="Long March Song Company"),
    )
    (slug, score), *rest = resolved(registry, pinyin)
    assert (slug, score > 0.6) == ("wanted", True)
    assert all(other < score for _, other in rest)
    found = registry.reader.search(pinyin, registry.question(), limit=5, after=None).items
    assert found[0]["subject"] == "parties/wanted"
    if "'" not in pinyin and pinyin != "ning de shi dai":
        assert registry.subjects("parties", q=pinyin) == ["parties/wanted"]


def test_latin_spelling_of_a_name_goes_before_the_pinyin_of_another(registry):
    registry.batch(party("chinese", name="长江"), party("latin", name="Changjiang"))
    assert resolved(registry, "changjiang") == [("latin", 1.0), ("chinese", 0.95)]


def test_dictionaries_are_loaded_only_for_chinese_text():
    script = (
        "import sys; from projections.engine.text_analysis import runs_of; from projections.engine.chinese import spellings_of\n"
        "spellings_of(runs_of('Société Générale Ωmega')); assert not {'opencc', 'pypinyin'} & set(sys.modules)\n"
        "runs_of('漢字'); assert 'opencc' in sys.modules and 'pypinyin' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
