"""Search finds texts, best first, as of a position, and accepts any query."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections import search
from projections.engine import text_index
from projections.engine.chinese import simplified
from projections.engine.text_analysis import excerpt, normalised, parsed
from tests.recorded_views import (
    RecordedViews,
    adopted,
    corrected,
    document,
    event,
    lab,
    new_views,
    party,
    platform,
    retracted,
    signed,
    step,
)

WRITTEN = st.characters(exclude_categories=("Cs", "Cc"))
CATL = "Contemporary Amperex Technology Co., Limited"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RecordedViews]:
    made = RecordedViews(tmp_path / "views.sqlite")
    yield made
    made.close()


def found(registry: RecordedViews, q: str, *, as_of: int | None = None, **options: Any) -> list[str]:
    page = registry.reader.search(q, registry.question(as_of=as_of), limit=50, after=None, **options)
    scores = [item["score"] for item in page.items]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    return [item["subject"] for item in page.items]


def snippet(registry: RecordedViews, q: str) -> str:
    (item, *_) = registry.reader.search(q, registry.question(), limit=1, after=None).items
    return item["snippet"]


def merge(slug: str, into: str) -> dict:
    return event("party.merged", f"parties/{slug}", None, into=f"parties/{into}")


def test_every_text_of_a_fact_is_found_in_all_its_languages(registry):
    registry.record(
        party("a", name={"en": "Alpha", "zh": "阿尔法公司"}, other_names=["Alfa"], note="notewrought"),
        event("party.identified", "parties/a", scheme="lei", value="LEI00042"),
        signed(
            "deal",
            "2020",
            "a",
            title="Titleword",
            summary={"en": "Summaryword", "fr": "Résumémot"},
            place="Placeword",
            scope=["Scopeword", {"zh": "储能技术"}],
            parties=[{"party": "parties/a", "role": "Roleword"}],
        ),
        event(
            "agreement.commitment-made",
            "agreements/deal",
            "2021",
            commitment="c",
            kind="facility",
            title="Commitword",
            place="Yardword",
        ),
        step("amended", "deal", "2022", summary="Amendword", scope_added=["Addword"]),
        event(
            "agreement.declaration-made",
            "agreements/deal",
            "2022",
            party="parties/a",
            kind="reservation",
            text="Declareword",
            provision="Provisionword",
        ),
        platform("hub", "2020", name="Hub", purpose="Purposeword", directions=["Directionword"], target="Targetword"),
        event("platform.document-adopted", "platforms/hub", "2021", title="Charterword", kind="charter"),
        event("platform.member-joined", "platforms/hub", "2021", party="parties/a", category="Categoryword"),
        lab("lab", "2020", "a", name="Labword", fields=["Fieldword"], phases=[{"phase": "one", "title": "Phaseword"}]),
        event("lab.recruitment-opened", "labs/lab", "2021", call="call", role="Postdocword"),
        document("paper", title="Paperword", publisher="Publisherword"),
    )
    where = {
        "parties/a": "alpha 阿尔法 alfa notewrought LEI00042",
        "agreements/deal": "titleword summaryword resumemot placeword scopeword 储能 技术 roleword commitword yardword"
        " amendword addword declareword provisionword",
        "platforms/hub": "purposeword directionword targetword charterword categoryword",
        "labs/lab": "labword fieldword phaseword postdocword",
        "documents/paper": "paperword publisherword",
    }
    for subject, words in where.items():
        for word in words.split():
            assert found(registry, word) == [subject], word


def test_names_come_before_texts_and_exact_before_prefix_before_partial_matches(registry):
    registry.record(
        party("text", name="Zeta", note="battery"),
        party("begun", name="Batteryworks Nord"),
        party("within", name="Acme Battery Works"),
        party("first", name="Battery Union"),
        party("exact", name="BATTERY"),
    )
    assert found(registry, "battery") == [f"parties/{slug}" for slug in ("exact", "first", "within", "begun", "text")]
    assert found(registry, "battery union zz") == ["parties/first"]
    assert found(registry, "acme zz") == ["parties/within"]


def test_words_are_found_whatever_their_case_width_accents_and_punctuation(registry):
    registry.record(party("s", name="Société Générale d'Énergie"), party("u", name="U.S.A. Straße-Werk"))
    for q in ("societe generale", "SOCIÉTÉ", "ｓｏｃｉéｔé", "énergie société", "d’energie"):
        assert found(registry, q)[0] == "parties/s", q
    for q in ("usa", "U.S.A.", "strasse werk", "STRASSE", "Straße‑Werk"):
        assert found(registry, q) == ["parties/u"], q


def test_last_word_may_be_a_prefix(registry):
    registry.record(party("a", name=CATL))
    for q in ("contemporary ampe", "amp", "te", "Contemporary Amperex T"):
        assert found(registry, q) == ["parties/a"], q
    assert found(registry, "ampe technology zz") == []


@pytest.mark.parametrize(
    ("q", "wanted"),
    [
        ("batery", "platforms/cells"),
        ("Battrey", "platforms/cells"),
        ("labratory", "labs/joint"),
        ("Clean Enrgy Labratory", "labs/joint"),
        ("Tsinghau", "parties/tsinghua"),
        ("Tsignhua", "parties/tsinghua"),
        ("volkswagon", "parties/vw"),
        ("清化大学", "parties/tsinghua"),
    ],
)
def test_similar_spelling_of_any_text_is_found(registry, q, wanted):
    registry.record(
        party("tsinghua", name={"en": "Tsinghua University", "zh": "清华大学"}),
        party("vw", name="Volkswagen AG"),
        party("other", name={"en": "Peking Works", "zh": "北京大学"}),
        platform("cells", "2020", name="Cells", purpose="Solid-state battery research"),
        lab("joint", "2020", "vw", name="Clean Energy Joint Laboratory"),
    )
    assert found(registry, q) == [wanted]
    assert found(registry, q, collection="documents") == found(registry, q, as_of=0) == []


def test_words_evicted_from_the_cache_are_still_found_by_similarity(registry, monkeypatch):
    monkeypatch.setattr(text_index, "_REMEMBERED", 2)
    monkeypatch.setattr(search, "_REMEMBERED", 2)
    names = ("Harmony Foundry", "Quantum Foundry", "Harmony Observatory", "Quantum Harmony", "Foundry Observatory")
    registry.batch(*(party(f"p{at}", name=name) for at, name in enumerate(names)))
    registry.batch(*(party(f"q{at}", name=name) for at, name in enumerate(names)))
    for word in ("harmoni", "fondry", "quantim", "observatry"):
        assert len(found(registry, word)) == sum(name.lower().count(word[:2]) for name in names) * 2


def test_similar_spellings_come_last_and_only_if_few_results_are_found(registry):
    registry.record(
        party("near", name="Battery"),
        party("text", name="Zeta", note="baterying along"),
        party("exact", name="Batery"),
    )
    assert found(registry, "batery") == ["parties/exact", "parties/text", "parties/near"]
    registry.record(*(party(f"p{number}", name=f"Batery {number}") for number in range(5)))
    assert "parties/near" not in found(registry, "batery")


@pytest.mark.parametrize("q", ["qwertz", "vzlkswzgzn", "wagen", "bxttxry", "12346", "清北师范"])
def test_nonsense_finds_nothing(registry, q):
    registry.record(party("a", name="Volkswagen 12345"), party("b", name="Battery"), party("c", name="清华大学"))
    assert found(registry, q) == []


def test_snippet_shows_the_similar_word(registry):
    registry.record(party("a", name="Zeta", note=f"{'Filler words. ' * 40}A laboratory. {'More of it. ' * 40}"))
    assert "laboratory" in snippet(registry, "labratory")


def test_party_with_matching_initials_comes_after_one_with_that_name(registry):
    registry.record(
        party("un", name={"en": "United Nations", "fr": "Nations Unies"}),
        party("word", name="UN"),
        party("other", name="Nordic Union"),
    )
    assert found(registry, "UN")[:2] == ["parties/word", "parties/un"]
    assert found(registry, "zq") == found(registry, "   ") == []
    assert set(found(registry, "nu")) == {"parties/other", "parties/un"}


def test_snippet_is_the_name_with_the_matching_initials(registry):
    registry.record(party("un", name={"en": "United Nations", "fr": "Nations Unies"}))
    assert snippet(registry, "un") == "United Nations"
    assert snippet(registry, "nu") == "Nations Unies"


def test_one_chinese_character_finds_texts(registry):
    registry.record(
        party("n", name="宁德时代新能源科技股份有限公司"),
        party("s", name="宁波时钟"),
        party("c", name={"en": "Clock", "zh": "钟"}),
    )
    assert found(registry, "宁德") == found(registry, "时代") == found(registry, "新能源") == ["parties/n"]
    assert found(registry, "宁德时代") == found(registry, "公司") == ["parties/n"]
    assert set(found(registry, "宁")) == set(found(registry, "时")) == {"parties/n", "parties/s"}
    assert found(registry, "钟") == ["parties/c", "parties/s"]
    assert found(registry, "司") == ["parties/n"]
    assert found(registry, "宁德 clock") != []
    assert found(registry, "北京") == []


def test_former_names_and_acronyms_are_found(registry):
    registry.record(party("a", "2001", name="Old Harbour"), event("party.renamed", "parties/a", "2010", name=CATL))
    for q in ("old harbour", "amperex", "catl", "CATL"):
        assert found(registry, q) == ["parties/a"], q


def test_hit_on_a_merged_party_counts_for_its_survivor_as_of_the_question(registry):
    registry.record(party("a", name="Alpha"), party("b", name="Beta"))
    before = registry.head
    merged = registry.record(merge("b", "a"))
    assert found(registry, "beta") == found(registry, "alpha") == ["parties/a"]
    assert found(registry, "alpha beta") == ["parties/a"]
    assert found(registry, "beta", as_of=before) == ["parties/b"]
    registry.record(retracted("parties/b", merged))
    assert found(registry, "beta") == ["parties/b"]
    assert found(registry, "beta", as_of=merged) == ["parties/a"]


def test_correction_holds_from_its_position_on(registry):
    first = registry.record(party("a", name="Misspelt"))
    registry.record(corrected("parties/a", first, data={"name": "Wellspelt", "kind": "company"}))
    assert found(registry, "wellspelt") == found(registry, "misspelt", as_of=first) == ["parties/a"]
    assert found(registry, "misspelt") == found(registry, "wellspelt", as_of=first) == []


def test_retracted_subject_is_found_only_as_of_before(registry):
    first = registry.record(adopted("deal", "2020", title="Vanishing"))
    last = registry.record(retracted("agreements/deal", first))
    assert found(registry, "vanishing") == []
    assert found(registry, "vanishing", as_of=last - 1) == ["agreements/deal"]
    assert found(registry, "vanishing", as_of=0) == []


def test_search_can_be_limited_to_a_collection(registry):
    registry.record(party("a", name="Shared"), document("d", title="Shared"), platform("p", "2020", name="Shared"))
    assert set(found(registry, "shared")) == {"parties/a", "documents/d", "platforms/p"}
    assert found(registry, "shared", collection="documents") == ["documents/d"]
    assert found(registry, "shared", collection="labs") == []


def test_snippet_is_the_text_or_the_part_around_the_words(registry):
    long = "Filler words are here. " * 40
    registry.record(
        party("a", name="Zeta", note=f"{long}Élan vital, they say. {long}"), party("b", name="Short\n name")
    )
    assert snippet(registry, "short") == "Short name"
    part = snippet(registry, "elan")
    assert "Élan vital, they say." in part
    assert part[0] == part[-1] == "…"
    assert len(part) <= 202


@settings(max_examples=200)
@given(st.text(max_size=600), st.text(min_size=1, max_size=3))
def test_excerpt_is_bounded_and_taken_from_the_text(text, q):
    part = excerpt(text, parsed(q))
    assert len(part) <= 202
    assert part.strip("…") in " ".join(text.split())


def test_pages_neither_repeat_nor_skip_while_events_arrive(registry):
    registry.record(*(party(f"p{number}", name=f"Common Name {number}") for number in range(30)))
    question = registry.question()
    whole = registry.reader.search("common", question, limit=50, after=None)
    assert whole.after is None
    pages, after = [], None
    while True:
        page = registry.reader.search("common", question, limit=7, after=after)
        pages += page.items
        registry.record(party(f"later{len(pages)}", name="Common"))
        after = page.after
        if after is None:
            break
    assert pages == whole.items
    assert len(pages) == 30


def test_buffered_rows_are_found_like_indexed_ones(registry):
    """The index takes 256 facts at a time."""
    registry.record(party("first", name="Needle Common"))
    for number in range(300):
        registry.batch(party(f"p{number}", name=f"Common {number}", note="hay"))
        if number in (100, 254, 255, 299):
            assert found(registry, "needle") == found(registry, "need") == ["parties/first"]
            assert found(registry, f"common {number}")[0] == f"parties/p{number}"
    assert found(registry, "hay", as_of=1) == []
    assert len(found(registry, "common", as_of=6)) == 6
    assert len(found(registry, "hay")) == 50


PLAIN = st.text(st.sampled_from("aZ09 .-_,()&\x7f、。一七北京鿿龥"), max_size=20)


@settings(max_examples=500)
@given(PLAIN)
def test_fast_path_for_plain_text_equals_the_general_function(text):
    assert normalised(text) == normalised(f"{text} é").removesuffix(" e")


def test_characters_of_the_fast_path_have_no_other_form():
    chinese = "、。" + "".join(map(chr, range(0x4E00, 0xA000)))
    assert normalised(chinese) == normalised(f"{chinese} é").removesuffix(" e") == simplified(chinese)


SYNTAX = ['"', "'", "* a*", "( ((( )", "NEAR(a,b) AND OR", "{a}:c n:alpha", "^a -a +", "a;b -- % _ \\", "· xalpha· n0"]
LETTERS = ["😀", "👩\u200d👧", "\ud800", "a\0b", "\u200f\u202e", "ﷺ", "ǅ", "İ", "ß", "", " ", "\0"]
LONG = ["x" * 1000, "宁" * 1000, "a b " * 250, '" ' * 500, "é" * 999]
ODD = [*SYNTAX, "NOT x", "a AND", *LETTERS, *LONG]


@pytest.mark.parametrize("q", ODD, ids=range(len(ODD)))
def test_any_text_is_a_valid_search(registry, q):
    registry.record(party("a", name="Alpha"), party("b", name="北京"))
    found(registry, q)
    registry.reader.resolve(q, registry.question(), limit=5)
    for view in ("parties", "agreements", "memberships", "commitments", "timeline"):
        if q.strip():
            registry.items(view, q=q, on=None)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(WRITTEN, min_size=1, max_size=12), min_size=1, max_size=4), st.text(max_size=20))
def test_any_name_is_found_by_itself_and_any_query_is_valid(shared, names, q):
    names = [name for name in names if parsed(name).words]
    base = shared.head
    for index, name in enumerate(names):
        shared.record(party(f"p{base}-{index}", name=name))
        whole = [
            item["subject"] for item in shared.reader.search(name, shared.question(), limit=1000, after=None).items
        ]
        assert f"parties/p{base}-{index}" in whole
        (best, *_) = shared.reader.resolve(name, shared.question(), limit=1000)
        assert best["score"] == 1.0
    shared.reader.search(q, shared.question(), limit=5, after=None)
    shared.reader.resolve(q, shared.question(), limit=5)


@pytest.fixture(scope="module")
def shared() -> Iterator[RecordedViews]:
    with new_views() as made:
        yield made


def test_words_of_long_texts_are_not_cached():
    characters = [chr(code) for code in range(0x4E00, 0x4E00 + 19_000)]
    tracemalloc.start()
    try:
        for number in range(20):
            text = "".join(characters[number:])
            _, words = search.tokens_of("agreements/t", "agreement.adopted", {"summary": text})
            assert len(words) > 18_000
            del text, words
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 5 * 2**20
