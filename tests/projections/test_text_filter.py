"""A list filtered by `q` has every matching item and no other, however common the words, as of any position."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from projections.engine import text_filter, text_index
from tests.recorded_views import RecordedViews, corrected, event, joined, party, platform, retracted, signed

COMMON, RARE = 1, 10_000
WORDS = ("amber", "amberley", "basalt", "cobalt", "dolomite", "东海", "西海")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RecordedViews]:
    made = RecordedViews(tmp_path / "views.sqlite")
    yield made
    made.close()


@pytest.fixture(params=[COMMON, RARE], ids=["common", "rare"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Set how many rows are few: with a low number almost every word is common."""
    monkeypatch.setattr(text_filter, "FEW", request.param)
    if request.param == COMMON:
        monkeypatch.setattr(text_index, "_AT_ONCE", 2)
    return request.param


def subjects(
    registry: RecordedViews, view: str, q: str, *, as_of: int | None = None, sort: str | None = None
) -> list[str]:
    return registry.subjects(view, q=q, on=None, as_of=as_of, sort=sort)


def test_subjects_are_found_by_all_words_of_one_fact_with_a_prefix_of_the_last(registry, few):
    registry.record(
        party("a", name="Alpha Works"),
        party("b", name="Beta Works", note="beside Alpha"),
        party("c", name="Gamma"),
        event("party.name-added", "parties/c", None, name="Alphaville"),
        signed("deal", "2020", "a", title="Alpha deal", summary="Works"),
    )
    assert subjects(registry, "parties", "alpha works") == ["parties/a", "parties/b"]
    assert subjects(registry, "parties", "ALPH") == ["parties/a", "parties/b", "parties/c"]
    assert subjects(registry, "parties", "works alph") == ["parties/a", "parties/b"]
    assert subjects(registry, "parties", "gamma alpha") == []
    assert (
        subjects(registry, "agreements", "alpha")
        == subjects(registry, "agreements", "works deal")
        == ["agreements/deal"]
    )
    assert subjects(registry, "labs", "alpha") == subjects(registry, "parties", "( ) 😀") == []
    assert subjects(registry, "parties", "alpha", sort="-subject") == ["parties/c", "parties/b", "parties/a"]


def test_memberships_are_found_by_names_of_party_and_container(registry, few):
    registry.record(
        *(party(slug, name=f"{slug.title()} Institute") for slug in ("alpha", "beta")),
        platform("hub", "2020", name="Hub Institute", purpose="Alpha research"),
        platform("net", "2020", name="Net"),
        *(joined(slug, where, "2021") for slug in ("alpha", "beta") for where in ("hub", "net")),
    )

    def memberships(q: str) -> list[tuple[str, str]]:
        items = registry.items("memberships", q=q, on=None)
        return sorted((item["party"]["subject"][8:], item["in"]["subject"][10:]) for item in items)

    assert memberships("alpha") == [("alpha", "hub"), ("alpha", "net")]
    assert memberships("hub") == [("alpha", "hub"), ("beta", "hub")]
    assert memberships("alpha hu") == [("alpha", "hub")]
    assert len(memberships("institute")) == 4
    assert memberships("research") == memberships("alpha zz") == []


def test_commitments_are_found_by_their_own_texts_or_their_agreements_titles(registry, few):
    registry.record(
        party("a"),
        signed("deal", "2020", "a", title="Harbour deal", summary="Summary"),
        signed("pact", "2020", "a", title="Mountain pact"),
    )
    for agreement, slug, title in (("deal", "one", "Crane"), ("deal", "two", "Quay"), ("pact", "one", "Tunnel crane")):
        registry.record(
            event(
                "agreement.commitment-made",
                f"agreements/{agreement}",
                "2021",
                commitment=slug,
                kind="facility",
                title=title,
            )
        )
    corrected_at = registry.record(
        corrected("agreements/pact", registry.head, data={"commitment": "one", "kind": "facility", "title": "Cable"})
    )

    def found(q: str, as_of: int | None = None) -> list[tuple[str, str]]:
        items = registry.items("commitments", q=q, on=None, as_of=as_of)
        return sorted((item["agreement"]["subject"][11:], item["commitment"]) for item in items)

    assert found("crane") == [("deal", "one")]
    assert found("crane", corrected_at - 1) == [("deal", "one"), ("pact", "one")]
    assert found("cabl") == found("mountain cable") == [("pact", "one")]
    assert found("harbour") == [("deal", "one"), ("deal", "two")]
    assert found("quay harbour") == [("deal", "two")]
    assert found("summary") == found("harbour tunnel") == []


def test_timeline_items_are_found_by_own_texts_or_names_of_their_subject(registry, few):
    registry.record(
        party("a", "2001", name="Alpha", note="noted"),
        event("party.renamed", "parties/a", "2010", name="Omega"),
        event("party.reorganized", "parties/a", "2011", part_of=None, note="restructured"),
        platform("hub", "2020", name="Hub"),
    )

    def types(q: str) -> list[str]:
        return [item["type"].partition(".")[2] for item in registry.items("timeline", q=q, on=None)]

    assert types("alpha") == types("omega") == ["registered", "renamed", "reorganized"]
    assert types("restructured") == ["reorganized"]
    assert types("alpha noted") == ["registered"]
    assert types("hub") == ["launched"]
    assert types("zz") == []


def test_merged_parties_are_found_by_names_of_both(registry, few):
    registry.record(party("a", name="Alpha"), party("b", name="Beta"), platform("hub", "2020", name="Hub"))
    registry.record(joined("b", "hub", "2021"))
    before = registry.head
    registry.record(event("party.merged", "parties/b", None, into="parties/a"))
    assert subjects(registry, "parties", "beta") == subjects(registry, "parties", "alpha") == ["parties/a"]
    assert subjects(registry, "parties", "beta", as_of=before) == ["parties/b"]
    for q in ("alpha", "beta"):
        assert [item["party"]["subject"] for item in registry.items("memberships", q=q, on=None)] == ["parties/a"]


@pytest.mark.parametrize("seed", range(6))
def test_any_filtered_list_equals_a_scan_of_all_facts(registry, few, seed):
    """Compared with plain containment of words, with corrections and retractions, as of every position."""
    rng = random.Random(seed)
    believed: list[dict[int, tuple[str, str]]] = [{}]
    for number in range(40):
        standing, slug, text = dict(believed[-1]), f"p{number}", " ".join(rng.choices(WORDS, k=3))
        subject = f"parties/{slug}"
        choice = rng.random()
        if standing and choice < 0.3:
            position, (subject, _) = rng.choice(list(standing.items()))
            registry.record(corrected(subject, position, data={"name": text, "kind": "company"}))
            standing[position] = (subject, text)
        elif standing and choice < 0.5:
            position, (subject, _) = rng.choice(list(standing.items()))
            registry.record(retracted(subject, position))
            del standing[position]
        else:
            standing[registry.record(party(slug, name=text))] = (subject, text)
        believed.append(standing)
    for q in (*WORDS, "amb", "col", "amber basalt", "basalt amber", "海", "东", "cobalt 西海"):
        *whole, last = q.split()
        for as_of, standing in enumerate(believed):
            wanted = {
                subject
                for subject, text in standing.values()
                if all(word in text.split() for word in whole)
                and (last in text if not last.isascii() else any(word.startswith(last) for word in text.split()))
            }
            assert set(subjects(registry, "parties", q, as_of=as_of)) == wanted, (q, as_of)
            hits = registry.reader.search(q, registry.question(as_of=as_of), limit=100, after=None).items
            assert wanted <= {hit["subject"] for hit in hits}


def test_prefix_shared_by_many_words_finds_all_of_them(registry, few):
    for number in range(300):
        registry.batch(party(f"p{number:03}", name=f"Co{number:03}x"))
    assert len(subjects(registry, "parties", "co")) == 300
    assert len(subjects(registry, "parties", "co1")) == 100
