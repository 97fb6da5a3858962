"""The seeds match the five documents: well-formed, in a valid order, each fact with its passage.

The documents are not part of the project. Where REGISTRY_SEED_DOCUMENTS names their directory, every passage is looked
up in them.
"""

from __future__ import annotations

import calendar
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SEEDS = ROOT / "seeds"
DOCUMENTS = os.environ.get("REGISTRY_SEED_DOCUMENTS")
MANIFEST = json.loads((SEEDS / "manifest.json").read_text(encoding="utf-8"))["files"]

SUBJECT = re.compile(r"(parties|agreements|labs|platforms|documents)/[a-z0-9][a-z0-9-]{0,99}")
CREATING = {
    "party.registered",
    "document.registered",
    "agreement.announced",
    "agreement.signed",
    "lab.founded",
    "platform.launched",
}
LONGEST_PASSAGE = 700
LONGEST_COPY = 60

# Names put together from the text, which names no body: it speaks of "government funding" and of China, and of
# "Ouyang Minggao and other academicians".
NAMES_NOT_IN_TEXT = {"parties/chinese-government", "parties/casip-academicians"}

# What the passages of an event must hold besides names and dates, by file and id.
FIGURES = {
    ("02-casip-launch", "launch-2"): ["by 2030", "北京", "三个方向", "牵头成立", "Launched in January"],
    ("02-casip-launch", "adopted-management-rules"): ["表决通过", "管理办法"],
    ("02-casip-launch", "adopted-structure"): ["表决通过", "组织架构"],
    ("02-casip-launch", "supporter-chinese-academy-of-sciences"): ["research support"],
    ("02-casip-launch", "supporter-chinese-government"): ["government funding"],
    ("03-clean-energy-joint-lab", "contract"): ["contract"],
    ("02-casip-launch", "part-of-person-1"): ["Professor", "院士", "教授", "launch event"],
    ("02-casip-launch", "party-person-2"): ["理事长"],
    ("02-casip-launch", "party-person-3"): ["常委", "副主任"],
    ("02-casip-launch", "party-person-4"): ["代表", "热烈祝贺"],
    ("02-casip-launch", "party-person-7"): ["宣读", "复函"],
    ("02-casip-launch", "party-person-8"): ["院士"],
    ("03-clean-energy-joint-lab", "founded-2"): [
        "According to preliminary planning",
        "three phases",
        "3 years",
        "contingent upon",
        "Huairou Science City",
        "under construction",
        "sophisticated equipment research & production",
    ],
    ("03-clean-energy-joint-lab", "postdoc-call-2"): [
        "5-10",
        "post-doctoral",
        "Huairou Park",
        "from home and abroad",
        "Ph.D. holders",
        "frontier application research",
    ],
    ("03-clean-energy-joint-lab", "building-joint-laboratory"): ["under construction"],
    ("03-clean-energy-joint-lab", "commitment-joint-laboratory"): ["in stages"],
    ("03-clean-energy-joint-lab", "commitment-research-platform"): ["R&D platform", "industrial-academic cooperation"],
    ("03-clean-energy-joint-lab", "commitment-intellectual-property"): ["intellectual property", "new energy"],
    ("03-clean-energy-joint-lab", "commitment-equipment"): [
        "One Equipment and Two Platforms",
        "scientific apparatuses",
    ],
    ("04-catl-chengdu", "framework"): ["framework agreement", "energy storage"],
    ("04-catl-chengdu", "commitment-chengdu-research-institute"): ["Chengdu Research Institute"],
    ("04-catl-chengdu", "commitment-southwest-china-operation-headquarters"): [
        "Southwest China Operation Headquarters"
    ],
    ("04-catl-chengdu", "commitment-zero-carbon-park"): ["zero-carbon demonstration park", "Venous Industry Park"],
    ("04-catl-chengdu", "commitment-modular-battery-swap"): ["modular battery swap solution", "range anxiety", "users"],
    ("04-catl-chengdu", "commitment-lithium-ion-innovation-base"): ["base of innovation", "demonstration city"],
    ("05-catl-shanghai", "investment"): ["investment deal"],
    ("05-catl-shanghai", "commitment-manufacturing-base"): ["manufacturing base"],
    ("05-catl-shanghai", "commitment-global-innovation-center"): ["global innovation center", "Shanghai"],
    ("05-catl-shanghai", "commitment-international-headquarters"): ["headquarters of its international businesses"],
    ("05-catl-shanghai", "commitment-energy-research-institute"): ["energy research institute", "Shanghai"],
    ("05-catl-shanghai", "sichuan-development"): ["same day", "six subsidiaries"],
    ("05-catl-shanghai", "announced-shanghai-jiaotong"): ["will team up", "platform", "talent development"],
    ("05-catl-shanghai", "document-wechat"): ["WeChat"],
}


def lines(file: str) -> list[str]:
    text = (SEEDS / file).read_text(encoding="utf-8")
    assert text.endswith("\n")
    return text.splitlines()


def stem(file: str) -> str:
    return file.removesuffix(".ndjson")


SEEDED = [(stem(entry["file"]), json.loads(line)) for entry in MANIFEST for line in lines(entry["file"])]
CITING = [(file, event) for file, event in SEEDED if not event["data"].get("sha256")]


def named(seeded: list[tuple[str, dict]]) -> dict[str, Any]:
    return {"argvalues": seeded, "ids": [f"{file}-{event['id']}" for file, event in seeded]}


def strings(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Yield every string within a value, with its field."""
    match value:
        case str():
            yield field, value
        case list():
            for part in value:
                yield from strings(part, field)
        case dict():
            for key, part in value.items():
                language_map = field in {"name", "other_names", "title"}
                yield from strings(part, field if language_map else key)


def references(event: dict) -> set[str]:
    return {text for _, text in strings(event["data"]) if SUBJECT.fullmatch(text)}


def resolves(pointer: str, document: Any) -> bool:
    for token in pointer.split("/")[1:]:
        try:
            document = document[int(token) if isinstance(document, list) else token]
        except (KeyError, IndexError, ValueError, TypeError):
            return False
    return True


def names_by_party() -> dict[str, set[str]]:
    names: dict[str, set[str]] = {}
    for _, event in SEEDED:
        if event["type"] in {"party.registered", "party.name-added"}:
            of_party = names.setdefault(event["subject"], set())
            of_party.update(text for field, text in strings(event["data"]) if field in {"name", "other_names"})
    return names


def spellings(occurred: str) -> list[list[str]]:
    """Return the spellings of this date in a text: one of each list must occur."""
    first = occurred.partition("/")[0]
    year, month, day = first.split("-")
    spelled = [[f"{calendar.month_name[int(month)]} {int(day)}", f"{int(month)}月{int(day)}日"]]
    return spelled if year == "XXXX" else [*spelled, [year]]


# The seeds by themselves


def test_the_manifest_lists_every_file_once():
    listed = [entry["file"] for entry in MANIFEST]
    assert listed == sorted(path.name for path in SEEDS.glob("*.ndjson"))
    assert len({entry["document"] for entry in MANIFEST}) == len({entry["source_file"] for entry in MANIFEST}) == 5


@pytest.mark.parametrize("entry", MANIFEST, ids=[entry["file"] for entry in MANIFEST])
def test_a_file_opens_with_its_document_and_has_as_many_events_as_the_manifest_says(entry):
    events = [json.loads(line) for line in lines(entry["file"])]
    assert len(events) == entry["events"]
    assert events[0]["type"] == "document.registered"
    assert events[0]["subject"] == entry["document"]
    assert events[0]["data"]["sha256"] == entry["sha256"]
    assert {event["source"].rpartition("/")[2] for event in events} == {stem(entry["file"])}


@pytest.mark.parametrize(("file", "event"), **named(SEEDED))
def test_seed_events_have_their_attributes_in_a_fixed_order(file, event):
    keys = ["specversion", "id", "source", "type", "subject", "occurred", "data"]
    assert list(event) == [key for key in keys if key in event]
    assert set(keys) - set(event) <= {"occurred"}
    assert event["specversion"] == "1.0"
    assert SUBJECT.fullmatch(event["subject"])


def test_ids_of_seed_events_are_unique_in_their_source():
    ids = [(event["source"], event["id"]) for _, event in SEEDED]
    assert len(set(ids)) == len(ids)


def test_seed_subjects_are_created_once_and_before_any_reference():
    made: set[str] = set()
    for _, event in SEEDED:
        assert references(event) <= made, event["id"]
        assert (event["type"] in CREATING) == (event["subject"] not in made), event["id"]
        made.add(event["subject"])


@pytest.mark.parametrize(("file", "event"), **named(CITING))
def test_every_fact_cites_short_passages_of_registered_documents(file, event):
    lengths = {entry["document"]: entry["code_points"] for entry in MANIFEST}
    assert event["data"]["evidence"]
    for passage in event["data"]["evidence"]:
        assert set(passage) <= {"document", "start", "end", "translation", "supports", "note"}
        assert 0 <= passage["start"] < passage["end"] <= lengths[passage["document"]]
        assert passage["end"] - passage["start"] < LONGEST_PASSAGE
        for pointer in passage.get("supports", []):
            assert resolves(pointer, event), pointer


def test_seeds_name_no_person_in_fields_that_cannot_be_erased():
    people = [event for _, event in SEEDED if event["data"].get("kind") == "person"]
    words = {word.casefold() for event in people for text in event["data"]["name"].values() for word in text.split()}
    for _, event in SEEDED:
        kept = " ".join(str(value) for key, value in event.items() if key != "data")
        kept += " ".join(references(event))
        assert not [word for word in words if word in kept.casefold()]


def test_seeds_name_a_person_only_in_the_registration_of_that_person():
    people = {event["subject"]: event["data"]["name"] for _, event in SEEDED if event["data"].get("kind") == "person"}
    for person, name in people.items():
        for _, event in SEEDED:
            if (event["type"], event["subject"]) != ("party.registered", person):
                assert not [text for _, text in strings(event) for word in name.values() if word in text], event["id"]


def test_supporters_have_a_kind_of_support_only_where_a_source_names_it():
    kinds = {
        event["data"]["party"].partition("/")[2]: event["data"].get("support")
        for _, event in SEEDED
        if event["type"] == "platform.supporter-added"
    }
    assert {slug: kind for slug, kind in kinds.items() if kind is not None} == {
        "chinese-academy-of-sciences": "research",
        "chinese-government": "funding",
        "china-industry-university-research-promotion": "other",
    }


# The seeds beside the documents


@pytest.fixture(scope="module")
def documents() -> dict[str, str]:
    if not DOCUMENTS:
        pytest.skip("REGISTRY_SEED_DOCUMENTS names no directory of the source documents")
    return {entry["document"]: (Path(DOCUMENTS) / entry["source_file"]).read_bytes().decode() for entry in MANIFEST}


@pytest.fixture
def cited(documents):
    def passages(event: dict) -> list[str]:
        evidence = event["data"]["evidence"]
        translations = [text for it in evidence for text in it.get("translation", {}).values()]
        return [*(documents[it["document"]][it["start"] : it["end"]] for it in evidence), *translations]

    return passages


@pytest.mark.parametrize("entry", MANIFEST, ids=[entry["source_file"] for entry in MANIFEST])
def test_the_manifest_describes_the_document_byte_for_byte(documents, entry):
    text = documents[entry["document"]]
    assert hashlib.sha256(text.encode()).hexdigest() == entry["sha256"]
    assert len(text) == entry["code_points"]


@pytest.mark.parametrize(("file", "event"), **named(CITING))
def test_a_passage_is_cut_between_words(documents, file, event):
    for passage in event["data"]["evidence"]:
        text, start, end = documents[passage["document"]], passage["start"], passage["end"]
        assert text[start:end] == text[start:end].strip()
        for edge in (start, end):
            around = text[max(edge - 1, 0) : edge + 1]
            assert not re.fullmatch(r"[A-Za-z0-9]{2}", around), text[start:end]


@pytest.mark.parametrize(("file", "event"), **named(CITING))
def test_the_passages_name_every_party_the_fact_is_about(cited, file, event):
    names = names_by_party()
    parties = {party for party in references(event) | {event["subject"]} if party in names} - NAMES_NOT_IN_TEXT
    said = "\n".join(cited(event)).casefold()
    for party in parties:
        assert any(name.casefold() in said for name in names[party]), party


@pytest.mark.parametrize(
    ("file", "event"), **named([it for it in CITING if it[1]["type"] in {"party.registered", "party.name-added"}])
)
def test_passages_contain_every_name(cited, file, event):
    said = "\n".join(cited(event)).casefold()
    given = [text for field, text in strings(event["data"]) if field in {"name", "other_names"}]
    assert given
    if event["subject"] not in NAMES_NOT_IN_TEXT:
        assert [name for name in given if name.casefold() not in said] == []


@pytest.mark.parametrize(("file", "event"), **named([it for it in CITING if "occurred" in it[1]]))
def test_passages_contain_the_date(cited, file, event):
    said = "\n".join(cited(event))
    for alternatives in spellings(event["occurred"]):
        assert any(spelling in said for spelling in alternatives), alternatives


@pytest.mark.parametrize(("file", "name"), FIGURES, ids=[f"{file}-{name}" for file, name in FIGURES])
def test_passages_contain_the_words_behind_the_fact(cited, file, name):
    (event,) = (event for in_file, event in SEEDED if (in_file, event["id"]) == (file, name))
    said = "\n".join(cited(event))
    assert [token for token in FIGURES[file, name] if token not in said] == []


@pytest.mark.parametrize(("file", "event"), **named(SEEDED))
def test_seeds_copy_only_names_from_documents(documents, file, event):
    """No run of more than 60 code points is copied from a document; names stay as they are."""
    sources = [" ".join(text.split()).casefold() for text in documents.values()]
    for field, text in strings(event):
        if field in {"name", "other_names"}:
            continue
        flat = " ".join(text.split()).casefold()
        for start in range(len(flat) - LONGEST_COPY):
            window = flat[start : start + LONGEST_COPY + 1]
            assert not any(window in source for source in sources), text
