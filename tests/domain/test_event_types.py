"""Every event type: which data it accepts, and that all errors are reported together with their pointers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rfc8785 import dumps

from domain.catalogue import CATALOGUE
from domain.cloudevent import canonical, checked, parse
from domain.errors import Invalid

SHA = "ab" * 32
EVIDENCE = [
    {
        "document": "documents/d",
        "start": 0,
        "end": 5,
        "exact": "words",
        "translation": {"en": "words"},
        "supports": ["/data/name", "/occurred"],
        "note": "page 3",
    },
    {"document": "documents/d"},
]
ANY = {"evidence": EVIDENCE, "note": {"zh": "注"}}
DESCRIBED = {
    "under": "agreements/u",
    "scope": ["solar", {"en": "wind", "zh": "风"}],
    "place": "Beijing",
    "summary": {"en": "all"},
    "until": "2030",
    "other_titles": ["U", {"zh": "乌"}],
    "languages": ["en", "zh-Hans"],
    "depositary": "parties/d",
    "secretariat": "parties/s",
}
SIGNATORIES = [
    {"party": "parties/a", "role": {"en": "depositary"}},
    {"party": "parties/a", "role": "host"},
    {"party": "parties/b"},
]
OF_PARTY: tuple[dict, dict] = ({}, {"party": "parties/a"})

MINIMAL_AND_FULL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "party.registered": (
        {"name": "CATL", "kind": "company"},
        {
            "name": {"en": "CATL", "zh": "宁德时代", "zh-Hans-CN": "宁德"},
            "kind": "international-organization",
            "other_names": ["C", {"zh": "宁"}],
            "identifiers": [{"scheme": "lei", "value": "300"}],
            "jurisdiction": "CN-FJ",
            "part_of": "parties/b",
        },
    ),
    "party.renamed": ({"name": "x"}, {"name": {"en": "x"}}),
    "party.name-added": ({"name": "x"}, {"name": {"en": "x"}}),
    "party.identified": ({"scheme": "uscc", "value": "9"}, {"scheme": "wikidata", "value": "Q1"}),
    "party.reorganized": ({"part_of": None}, {"part_of": "parties/b"}),
    "party.owner-added": ({"owner": "parties/b"}, {"owner": "parties/b", "share": "33.33"}),
    "party.owner-removed": ({"owner": "parties/b"}, {"owner": "parties/b"}),
    "party.merged": ({"into": "parties/b"}, {"into": "parties/b"}),
    "party.re-established": ({}, {}),
    "party.dissolved": ({}, {"successors": ["parties/b", "parties/c"]}),
    "agreement.announced": (
        {"title": "t", "kind": "joint-venture"},
        {"title": {"en": "t"}, "kind": "investment", "parties": SIGNATORIES, **DESCRIBED},
    ),
    "agreement.adopted": ({"title": "t", "kind": "treaty"}, {"title": {"en": "t"}, "kind": "other", **DESCRIBED}),
    "agreement.signed": (
        {"parties": [{"party": "parties/a"}]},
        {"parties": SIGNATORIES, "title": "t", "kind": "framework", **DESCRIBED},
    ),
    "agreement.ratified": (
        {"party": "parties/a"},
        {"party": "parties/a", "instrument": "formal-confirmation", "territory": {"en": "Guam"}},
    ),
    "agreement.acceded": (
        {"party": "parties/a"},
        {"party": "parties/a", "instrument": "participation", "territory": "Guam"},
    ),
    "agreement.entered-into-force": ({}, {"party": "parties/a", "with": ["parties/b", "parties/c"]}),
    "agreement.provisionally-applied": OF_PARTY,
    "agreement.suspended": OF_PARTY,
    "agreement.resumed": OF_PARTY,
    "agreement.amended": (
        {"summary": "s"},
        {
            "summary": "s",
            "title": "t",
            "scope_added": ["x"],
            "scope_removed": ["y"],
            "until": "2030-01",
            "by": "agreements/b",
        },
    ),
    "agreement.renewed": ({}, {"until": "2031"}),
    "agreement.withdrawn": ({"party": "parties/a"}, {"party": "parties/a", "effective": "2024?"}),
    "agreement.withdrawal-revoked": ({"party": "parties/a"}, {"party": "parties/a"}),
    "agreement.reinstated": OF_PARTY,
    "agreement.terminated": (
        {"reason": "expired"},
        {"reason": "superseded", "effective": "2024-01", "superseded_by": "agreements/b"},
    ),
    "agreement.declaration-made": (
        {"party": "parties/a", "kind": "objection"},
        {
            "party": "parties/a",
            "kind": "reservation",
            "text": {"en": "no"},
            "provision": "Article 3",
            "about": 7,
            "territory": "Guam",
        },
    ),
    "agreement.declaration-withdrawn": ({"event": 1}, {"event": 2**53 - 1}),
    "agreement.commitment-made": (
        {"commitment": "c-1", "kind": "facility", "title": "t"},
        {
            "commitment": "c",
            "kind": "target",
            "title": {"en": "t"},
            "by": ["parties/a"],
            "with": ["parties/b"],
            "place": "Shanghai",
            "due": "2030~",
            "amount": {"value": "-1234567.89", "currency": "CNY"},
        },
    ),
    "agreement.commitment-updated": (
        {"commitment": "c", "status": "planned"},
        {"commitment": "c", "status": "breached"},
    ),
    "lab.founded": (
        {"name": "l", "founders": ["parties/a"]},
        {
            "name": {"en": "l"},
            "founders": ["parties/a", "parties/b"],
            "under": "agreements/t",
            "place": "Shanghai",
            "fields": ["solar"],
            "phases": [
                {"phase": "one", "title": "One", "duration": "P3Y"},
                {"phase": "two", "duration": "P1Y6M", "after": ["one"]},
            ],
        },
    ),
    "lab.opened": ({}, {}),
    "lab.phase-started": ({"phase": "one"}, {"phase": "one"}),
    "lab.phase-completed": ({"phase": "one"}, {"phase": "one"}),
    "lab.recruitment-opened": (
        {"call": "c", "role": "fellow"},
        {"call": "c", "role": "fellow", "positions": {"min": 1, "max": 3}, "fields": ["solar"], "place": "Beijing"},
    ),
    "lab.recruitment-closed": ({"call": "c"}, {"call": "c", "hired": 0}),
    "lab.closed": ({}, {}),
    "platform.launched": (
        {"name": "p"},
        {
            "name": "p",
            "place": "Beijing",
            "purpose": "batteries",
            "directions": ["a", {"zh": "二"}],
            "convened_by": ["parties/a"],
            "target": "by 2030",
            "target_date": "2030",
        },
    ),
    "platform.member-joined": ({"party": "parties/a"}, {"party": "parties/a", "category": "core"}),
    "platform.member-changed": (
        {"party": "parties/a", "category": "full"},
        {"party": "parties/a", "category": {"en": "full"}},
    ),
    "platform.member-left": ({"party": "parties/a"}, {"party": "parties/a"}),
    "platform.supporter-added": ({"party": "parties/a"}, {"party": "parties/a", "support": "political"}),
    "platform.document-adopted": ({"title": "t", "kind": "charter"}, {"title": {"en": "t"}, "kind": "strategy"}),
    "platform.dissolved": ({}, {"successors": ["platforms/q"]}),
    "document.registered": (
        {"title": "t", "sha256": SHA},
        {
            "title": "t",
            "sha256": SHA,
            "citation": {"en": "1 UNTS 1"},
            "publisher": "p",
            "language": "zh-Hans",
            "published": "2024-01",
            "url": "https://example.org/x",
            "original": {"sha256": SHA, "media_type": "text/html; charset=utf-8"},
        },
    ),
    "evidence.added": ({"event": 1, "evidence": [{"document": "documents/d"}]}, {"event": 1, "evidence": EVIDENCE}),
    "event.corrected": (
        {"event": 1, "reason": "r", "occurred": None},
        {"event": 1, "reason": "r", "data": {"name": "x", "n": [1, None, True, {"a": "b"}]}, "occurred": "2024"},
    ),
    "event.retracted": ({"event": 1, "reason": "r"}, {"event": 1, "reason": {"en": "r"}}),
    "event.disputed": (
        {
            "event": 1,
            "claims": [{"pointer": "/occurred", "value": "2020"}],
            "evidence": [{"document": "documents/d"}],
        },
        {
            "event": 1,
            "claims": [{"pointer": "/occurred", "value": None}, {"pointer": "/data/a~1b/0", "value": {"x": [1]}}],
            "evidence": EVIDENCE,
        },
    ),
}
POSTED = sorted(set(MINIMAL_AND_FULL))
REQUIRED = {name: sorted(minimal) for name, (minimal, _) in MINIMAL_AND_FULL.items()}
del REQUIRED["event.corrected"]  # needs data or a date, whichever
REQUIRED["document.registered"] = ["title"]  # and sha256, url or citation


def posted(kind: str, data: Any = None, **attributes: Any) -> dict[str, Any]:
    """Return a document of a type."""
    collection = CATALOGUE[kind].collection if kind in CATALOGUE else None
    document = {
        "specversion": "1.0",
        "id": "1",
        "source": "test",
        "type": kind,
        "subject": f"{collection or 'parties'}/x",
        **({} if data is None else {"data": data}),
        **attributes,
    }
    return {name: value for name, value in document.items() if value is not ...}


def pointers(document: Any) -> list[str]:
    """Return the pointers of a document's flaws."""
    with pytest.raises(Invalid) as refused:
        parse(document)
    assert all(flaw.detail for flaw in refused.value.flaws)
    return sorted({flaw.pointer for flaw in refused.value.flaws})


def test_every_event_type_has_an_example():
    by_the_service = {name for name in CATALOGUE if name.startswith("document.text-")} | {"event.redacted"}
    assert set(POSTED) == set(CATALOGUE) - by_the_service


@pytest.mark.parametrize("kind", POSTED)
def test_accepted_with_required_fields_only_and_with_all_fields(kind):
    least, everything = MINIMAL_AND_FULL[kind]
    for data in (least, {**ANY, **everything}):
        taken = parse(posted(kind, data, occurred="2024-01-21", time="2024-01-21T10:00:00Z"))
        assert taken.data == dumps(data)
        assert (taken.type, taken.occurred, taken.time) == (kind, "2024-01-21", "2024-01-21T10:00:00Z")


@pytest.mark.parametrize("kind", POSTED)
def test_example_of_the_api_document_is_valid(kind):
    example = CATALOGUE[kind].example
    assert example is not None
    occurred = ... if example.occurred is None else example.occurred
    parse(posted(kind, dict(example.data), subject=example.subject, occurred=occurred))


@pytest.mark.parametrize("kind", [kind for kind, (least, _) in MINIMAL_AND_FULL.items() if not least])
def test_absent_data_is_empty_data(kind):
    assert parse(posted(kind)).data == b"{}"


@pytest.mark.parametrize("kind", POSTED)
def test_unknown_field_is_refused(kind):
    least, _ = MINIMAL_AND_FULL[kind]
    assert pointers(posted(kind, {**least, "colour": "red"})) == ["/data/colour"]


@pytest.mark.parametrize("kind", sorted(REQUIRED))
def test_all_missing_fields_are_reported_together(kind):
    assert [f"/data/{name}" for name in REQUIRED[kind]] == (pointers(posted(kind, {})) if REQUIRED[kind] else [])


@pytest.mark.parametrize("kind", POSTED)
def test_field_of_a_wrong_type_is_refused_with_its_pointer(kind):
    _, everything = MINIMAL_AND_FULL[kind]
    for name in {**everything, **ANY}:
        wrong = {**everything, name: 1.5}
        assert [at for at in pointers(posted(kind, wrong)) if at.startswith(f"/data/{name}")], name


@pytest.mark.parametrize("kind", POSTED)
def test_null_is_accepted_only_for_nullable_fields(kind):
    _, everything = MINIMAL_AND_FULL[kind]
    for name in everything:
        if (kind, name) in (("party.reorganized", "part_of"), ("event.corrected", "occurred")):
            parse(posted(kind, {**everything, name: None}))
        else:
            assert f"/data/{name}" in pointers(posted(kind, {**everything, name: None}))


@pytest.mark.parametrize(
    ("kind", "data", "at"),
    [
        ("party.registered", {"name": "", "kind": "company"}, ["/data/name"]),
        ("party.registered", {"name": "  ", "kind": "company"}, ["/data/name"]),
        ("party.registered", {"name": {}, "kind": "company"}, ["/data/name"]),
        ("party.registered", {"name": {"english!": "x"}, "kind": "company"}, ["/data/name"]),
        ("party.registered", {"name": {"en": 1}, "kind": "company"}, ["/data/name"]),
        ("party.registered", {"name": "x", "kind": "ship"}, ["/data/kind"]),
        ("party.registered", {"name": "x", "kind": "company", "jurisdiction": "China"}, ["/data/jurisdiction"]),
        ("party.registered", {"name": "x", "kind": "company", "part_of": "agreements/a"}, ["/data/part_of"]),
        ("party.registered", {"name": "x", "kind": "company", "part_of": "parties/A"}, ["/data/part_of"]),
        (
            "party.registered",
            {"name": "x", "kind": "company", "identifiers": [{"scheme": "lei"}, {"scheme": "!", "value": "", "x": 1}]},
            [
                "/data/identifiers/0/value",
                "/data/identifiers/1/scheme",
                "/data/identifiers/1/value",
                "/data/identifiers/1/x",
            ],
        ),
        ("party.owner-added", {"owner": "labs/b", "share": "101"}, ["/data/owner", "/data/share"]),
        ("party.owner-added", {"owner": "parties/b", "share": "100.01"}, ["/data/share"]),
        ("party.owner-added", {"owner": "parties/b", "share": "-1"}, ["/data/share"]),
        ("agreement.signed", {"parties": []}, ["/data/parties"]),
        ("agreement.signed", {"parties": [{"party": "parties/a"}, {}]}, ["/data/parties/1/party"]),
        ("agreement.terminated", {"reason": "boredom", "effective": "soon"}, ["/data/effective", "/data/reason"]),
        ("agreement.ratified", {"party": "parties/a", "instrument": "accession"}, ["/data/instrument"]),
        (
            "agreement.commitment-made",
            {"commitment": "C", "kind": "x", "title": "t", "amount": {"value": "1,5", "currency": "yuan"}},
            ["/data/amount/currency", "/data/amount/value", "/data/commitment", "/data/kind"],
        ),
        (
            "agreement.commitment-made",
            {"commitment": "c", "kind": "other", "title": "t", "amount": {"value": 1, "currency": "CNY"}},
            ["/data/amount/value"],
        ),
        ("agreement.declaration-withdrawn", {"event": 0}, ["/data/event"]),
        ("agreement.declaration-withdrawn", {"event": "1"}, ["/data/event"]),
        ("agreement.declaration-withdrawn", {"event": True}, ["/data/event"]),
        ("agreement.declaration-withdrawn", {"event": 2**53}, ["/data/event"]),
        ("lab.founded", {"name": "l", "founders": []}, ["/data/founders"]),
        (
            "lab.founded",
            {"name": "l", "founders": ["parties/a"], "phases": [{"phase": "x", "duration": "3 years"}]},
            ["/data/phases/0/duration"],
        ),
        ("lab.recruitment-closed", {"call": "c", "hired": -1}, ["/data/hired"]),
        ("document.registered", {"title": "t", "sha256": "AB" * 32}, ["/data/sha256"]),
        ("document.registered", {"title": "t", "sha256": SHA, "url": "not a url"}, ["/data/url"]),
        ("evidence.added", {"event": 1, "evidence": []}, ["/data/evidence"]),
        ("party.renamed", {"name": "x", "note": ["n"]}, ["/data/note"]),
        ("party.renamed", {"name": "x", "evidence": [{"document": "parties/a"}]}, ["/data/evidence/0/document"]),
        ("party.renamed", {"name": "x\x00"}, ["/data"]),
        ("event.disputed", {"event": 1, "claims": [], "evidence": []}, ["/data/claims", "/data/evidence"]),
        (
            "event.disputed",
            {"event": 1, "claims": [{"pointer": "/data/x", "value": 1.5}], "evidence": [{"document": "documents/d"}]},
            ["/data/claims/0/value"],
        ),
        ("lab.founded", {"name": "l", "founders": ["x"]}, ["/data/founders/0"]),
    ],
)
def test_wrong_values_are_refused_with_their_pointer(kind, data, at):
    assert pointers(posted(kind, data)) == at


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("agreement.signed", {"parties": [{"party": "parties/a"}, {"party": "parties/a"}]}),
        (
            "agreement.signed",
            {"parties": [{"party": "parties/a", "role": {"en": "x"}}, {"party": "parties/a", "role": {"EN": "x"}}]},
        ),
        ("agreement.entered-into-force", {"with": ["parties/b"]}),
        ("agreement.entered-into-force", {"party": "parties/a", "with": ["parties/a"]}),
        ("agreement.commitment-made", {"commitment": "c", "kind": "other", "title": "t", "amount": {"value": "1"}}),
        (
            "agreement.commitment-made",
            {
                "commitment": "c",
                "kind": "other",
                "title": "t",
                "amount": {"value": "1", "currency": "CNY", "unit": "t"},
            },
        ),
        ("lab.founded", {"name": "l", "founders": ["parties/a", "parties/a"]}),
        ("lab.founded", {"name": "l", "founders": ["parties/a"], "phases": [{"phase": "x"}, {"phase": "x"}]}),
        ("lab.founded", {"name": "l", "founders": ["parties/a"], "phases": [{"phase": "x", "after": ["y"]}]}),
        ("lab.founded", {"name": "l", "founders": ["parties/a"], "phases": [{"phase": "x", "after": ["x"]}]}),
        (
            "lab.founded",
            {
                "name": "l",
                "founders": ["parties/a"],
                "phases": [{"phase": "x", "after": ["y"]}, {"phase": "y", "after": ["x"]}],
            },
        ),
        ("lab.recruitment-opened", {"call": "c", "role": "r", "positions": {"min": 3, "max": 1}}),
        ("party.renamed", {"name": "x", "evidence": [{"document": "documents/d", "start": 1}]}),
        ("party.renamed", {"name": "x", "evidence": [{"document": "documents/d", "start": 5, "end": 5}]}),
        ("event.corrected", {"event": 1, "reason": "r"}),
        ("event.corrected", {"event": 1, "reason": "r", "data": {"name": "x"}, "data_patch": {"name": "y"}}),
        ("document.registered", {"title": "t", "publisher": "p"}),
        ("event.corrected", {"event": 1, "reason": "r", "data": {"n": 1.5}}),
        ("event.corrected", {"event": 1, "reason": "r", "data": {"n": {"ñ": 1}}}),
    ],
)
def test_contradictory_fields_are_refused(kind, data):
    assert pointers(posted(kind, data))[0].startswith("/data")


@pytest.mark.parametrize(
    ("attributes", "at"),
    [
        ({"specversion": "0.3"}, ["/specversion"]),
        ({"specversion": ..., "id": ...}, ["/id", "/specversion"]),
        ({"id": ""}, ["/id"]),
        ({"id": 7}, ["/id"]),
        ({"id": "x" * 1025}, ["/id"]),
        ({"source": "é" * 513}, ["/source"]),
        ({"source": "two words"}, ["/source"]),
        ({"type": "party.born"}, ["/type"]),
        ({"subject": "parties/"}, ["/subject"]),
        ({"subject": "parties/-x"}, ["/subject"]),
        ({"subject": "parties/" + "x" * 101}, ["/subject"]),
        ({"subject": "ships/x"}, ["/subject"]),
        ({"subject": "agreements/x"}, ["/subject"]),
        ({"time": "yesterday"}, ["/time"]),
        ({"time": "2024-01-21"}, ["/time"]),
        ({"time": "2026-02-30T00:00:00Z"}, ["/time"]),
        ({"time": "2025-02-29T00:00:00Z"}, ["/time"]),
        ({"time": "2016-12-31T12:00:60Z"}, ["/time"]),
        ({"time": "2016-12-30T23:59:60Z"}, ["/time"]),
        ({"time": "2016-12-31T23:59:60+01:00"}, ["/time"]),
        ({"time": "2024-01-21T00:00:00.\u0663Z"}, ["/time"]),
        ({"time": f"2024-01-21T00:00:00.{'0' * 1024}Z"}, ["/time"]),
        ({"id": "a\tb"}, ["/id"]),
        ({"id": "a\x85"}, ["/id"]),
        ({"id": "a\ufffe"}, ["/id"]),
        ({"source": "a\x7f"}, ["/source"]),
        ({"source": "https://x.example/\ufdd0"}, ["/source"]),
        ({"source": "https://x.example/\U0010ffff"}, ["/source"]),
        ({"type": None, "id": None}, ["/id", "/type"]),
        ({"datacontenttype": "application/j\u017fon"}, ["/datacontenttype"]),
        ({"occurred": "2023-02-30"}, ["/occurred"]),
        ({"occurred": ""}, ["/occurred"]),
        ({"datacontenttype": "text/plain"}, ["/datacontenttype"]),
        ({"dataschema": "x"}, ["/dataschema"]),
        ({"data": "x"}, ["/data"]),
        ({"data": []}, ["/data"]),
        ({"data": None}, ["/data"]),
        ({"id": "", "occurred": "x", "data": {"nome": 1}}, ["/data/name", "/data/nome", "/id", "/occurred"]),
    ],
)
def test_wrong_attributes_are_all_reported_together(attributes, at):
    document = {**posted("party.renamed", {"name": "x"}), **attributes}
    assert pointers({name: value for name, value in document.items() if value is not ...}) == at


@pytest.mark.parametrize("document", [None, [], "x", 1])
def test_event_is_an_object(document):
    assert pointers(document) == [""]


@pytest.mark.parametrize(
    "time",
    [
        "2016-12-31T23:59:60Z",
        "1990-12-31T15:59:60.5-08:00",
        "2017-01-01T00:59:60+01:00",
        "2024-02-29T23:00:00Z",
        "0000-02-29T00:00:00Z",
    ],
)
def test_time_is_any_instant_of_rfc_3339(time):
    assert parse(posted("party.renamed", {"name": "x"}, time=time)).time == time


def test_attribute_that_is_null_is_absent():
    nothing = dict.fromkeys(("time", "occurred", "datacontenttype", "dataschema", "traceparent"))
    assert parse(posted("party.renamed", {"name": "x"}, **nothing)) == parse(posted("party.renamed", {"name": "x"}))


@pytest.mark.parametrize("duration", ["P\uff13Y", "P\u0663Y", "P1YT", "PT", "P", "P1Y ", "p1Y", "P1.5Y", "P1M1Y"])
def test_invalid_durations_are_refused(duration):
    founded = {"name": "l", "founders": ["parties/a"], "phases": [{"phase": "x", "duration": duration}]}
    assert pointers(posted("lab.founded", founded)) == ["/data/phases/0/duration"]


@pytest.mark.parametrize("duration", ["P3Y", "P1Y6M", "P2W", "PT36H", "P1DT12H", "P0D"])
def test_durations_are_those_of_iso_8601(duration):
    parse(
        posted(
            "lab.founded", {"name": "l", "founders": ["parties/a"], "phases": [{"phase": "x", "duration": duration}]}
        )
    )


@pytest.mark.parametrize("value", ["3\x7f", "3\t", "3\x85", "3\ufdef", "3\U0001fffe"])
def test_identifiers_and_addresses_hold_no_control_characters_and_no_noncharacters(value):
    assert pointers(posted("party.identified", {"scheme": "lei", "value": value})) == ["/data/value"]
    registered = {"title": "t", "sha256": SHA, "url": f"https://x.example/{value}"}
    assert pointers(posted("document.registered", registered)) == ["/data/url"]


@pytest.mark.parametrize("name", [{"en": "a", "EN": "b"}, {"zh-Hans": "a", "ZH-hans": "a"}])
def test_text_has_one_wording_a_language_whatever_the_case_of_its_tag(name):
    assert pointers(posted("party.renamed", {"name": name})) == ["/data/name"]


@pytest.mark.parametrize(("kind", "data"), [
    ("party.renamed", {"name": {"en": "a", "EN": "b"}}),
    ("party.identified", {"scheme": "lei", "value": "a\x01"}),
    ("lab.founded", {"name": "l", "founders": ["parties/a"], "phases": [{"phase": "x", "duration": "P\u0663YT"}]}),
    ("document.registered", {"title": "t", "sha256": SHA, "original": {"sha256": SHA, "media_type": "t\xe9xt/plain"}}),
])  # fmt: skip
def test_data_of_older_logs_is_readable_even_if_it_is_refused_when_posted(kind, data):
    assert pointers(posted(kind, data)) != []
    model, flaws = checked(CATALOGUE[kind], data, is_posted=False)
    assert (flaws, model) == ([], CATALOGUE[kind].data.model_validate_json(canonical(data)))


def test_datacontenttype_json_is_accepted_and_ids_have_up_to_1024_bytes():
    parse(posted("party.renamed", {"name": "x"}, datacontenttype="application/json", id="x" * 1024, source="s" * 1024))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(max_codepoint=126)), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_canonical_form_is_that_of_rfc_8785(value):
    assert canonical(value) == dumps(value)


@given(JSON)
def test_arbitrary_json_never_breaks_the_checks(value):
    for kind in ("party.registered", "lab.founded", "event.corrected", "event.disputed"):
        try:
            parse(posted(kind, value))
        except Invalid:
            continue
