"""Section 7: /openapi.json describes every path, event and problem, and real answers match it; health and metrics."""

from __future__ import annotations

import json
import re

import openapi_core
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.contract.server import BATCH, NDJSON, SHA, command, event

TYPES = [
    "party.registered",
    "party.renamed",
    "party.name-added",
    "party.identified",
    "party.reorganized",
    "party.merged",
    "party.dissolved",
    "agreement.adopted",
    "agreement.signed",
    "agreement.ratified",
    "agreement.acceded",
    "agreement.entered-into-force",
    "agreement.amended",
    "agreement.renewed",
    "agreement.provisionally-applied",
    "agreement.suspended",
    "agreement.resumed",
    "agreement.withdrawn",
    "agreement.terminated",
    "agreement.declaration-made",
    "agreement.declaration-withdrawn",
    "agreement.commitment-made",
    "agreement.commitment-updated",
    "lab.founded",
    "lab.opened",
    "lab.phase-started",
    "lab.phase-completed",
    "lab.recruitment-opened",
    "lab.recruitment-closed",
    "lab.closed",
    "platform.launched",
    "platform.member-joined",
    "platform.member-left",
    "platform.member-changed",
    "platform.supporter-added",
    "platform.document-adopted",
    "platform.dissolved",
    "document.registered",
    "evidence.added",
    "event.corrected",
    "event.retracted",
    "event.disputed",
]


@pytest.fixture(scope="module")
def document(shared):
    return shared.json("/openapi.json")


@pytest.fixture(scope="module")
def story(shared):
    """Record events of every kind, so that answers have all their parts."""
    one, two = shared.parties(2)
    document, agreement, lab, platform = (
        f"{name}/{shared.new('x')}" for name in ("documents", "agreements", "labs", "platforms")
    )
    passage = [{"document": document, "exact": "x", "supports": ["/data/title"]}]
    made = shared.take(
        event(
            "document.registered",
            document,
            title="D",
            sha256=SHA,
            published="2020",
            original={"sha256": SHA, "media_type": "text/plain"},
        ),
        event("party.identified", one, scheme="lei", value="1"),
        event("party.renamed", one, "2001", name={"en": "New", "zh": "新名"}),
        event(
            "agreement.adopted",
            agreement,
            "2000",
            title={"en": "T", "zh": "条约"},
            kind="treaty",
            scope=["a"],
            until="2010",
            evidence=passage,
        ),
        event("agreement.signed", agreement, "2001-01~", parties=[{"party": one, "role": "host"}, {"party": two}]),
        event(
            "agreement.declaration-made",
            agreement,
            "2001-02-01",
            party=one,
            kind="reservation",
            text="No",
            provision="5",
        ),
        event(
            "agreement.commitment-made",
            agreement,
            "2002",
            commitment="c",
            kind="investment",
            title="C",
            by=[one],
            with_=[two],
            due="2020",
            amount={"value": "1.5", "currency": "CNY"},
        ),
        event("agreement.amended", agreement, "2003", summary="S", title="TT"),
        event(
            "lab.founded",
            lab,
            "2001",
            name="L",
            founders=[one],
            under=agreement,
            phases=[{"phase": "one", "duration": "P3Y"}, {"phase": "two", "after": ["one"]}],
        ),
        event("lab.recruitment-opened", lab, "2002", call="c", role="R", positions={"min": 1}),
        event("platform.launched", platform, "2001", name="P", convened_by=[one], target_date="2030"),
        event("platform.member-joined", platform, "2002", party=one, category="maker"),
        event("platform.supporter-added", platform, "2002", party=two, support="funding"),
        event("platform.document-adopted", platform, "2002", title="Charter", kind="charter"),
        event("platform.member-changed", platform, "2003", party=one, category={"en": "full"}),
        event("party.owner-added", one, "2003", owner=two, share="12.5"),
        event("party.owner-added", two, "2004", owner=one),
    )
    shared.take(
        event(
            "event.disputed",
            agreement,
            event=made[4],
            claims=[{"pointer": "/occurred", "value": "2001-05"}],
            evidence=passage,
        ),
        event("evidence.added", agreement, event=made[4], evidence=passage),
        event("event.corrected", platform, event=made[11], reason="R", data={"party": one, "category": "user"}),
    )
    return {"parties": one, "agreements": agreement, "labs": lab, "platforms": platform, "documents": document}


def schema_of(document, path: str, method: str, status: int, content_type: str):
    """Return the schema of an answer, by path template; None where none is described."""
    answers = document["paths"][path][method]["responses"]
    assert str(status) in answers or "default" in answers, f"{method} {path} does not describe {status}"
    described = answers.get(str(status)) or answers["default"]
    while "$ref" in described:
        described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
    assert content_type in described["content"], f"{method} {path} {status} does not describe {content_type}"
    return described["content"][content_type].get("schema")


def check(document, path: str, method: str, answer) -> None:
    """Check that an answer matches its schema."""
    content_type = answer.headers["Content-Type"].split(";")[0]
    schema = schema_of(document, path, method, answer.status_code, content_type)
    assert schema, path
    if not content_type.endswith("json"):
        assert schema == {"type": "string"}, (path, content_type)
        return
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    registry = Registry().with_resource("urn:registry", resource)
    absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:registry#/'))
    validator = Draft202012Validator(absolute, registry=registry)
    errors = list(validator.iter_errors(answer.json()))
    assert not errors, (path, [(error.json_path, error.message[:200]) for error in errors[:4]])
    assert not validator.is_valid("something else altogether"), f"{method} {path} takes anything"


def test_it_is_an_openapi_3_1_document(document):
    assert document["openapi"].startswith("3.1")
    openapi_core.OpenAPI.from_dict(document)
    assert document == json.loads(command("openapi").stdout)


def test_every_type_of_event_is_described(document):
    text = json.dumps(document)
    for type_ in TYPES:
        assert f'"{type_}"' in text, type_


def test_every_path_of_the_contract_is_described(document):
    for path in ("/v1/events", "/v1/events/{position}", "/v1/events/stream", "/v1/parties/resolve", "/v1/search", "/v1/graph", "/v1/statistics", "/v1/timeline", "/v1/memberships", "/v1/commitments", "/v1/events/{position}/proof", "/log/checkpoint", "/log/vkey", "/log/tile/{level}/{number}", "/log/tile/entries/{number}", "/healthz", "/readyz", "/metrics", "/openapi.json",
                 *(f"/v1/{name}{rest}" for name in ("parties", "agreements", "labs", "platforms", "documents") for rest in ("", "/{slug}", "/{slug}/history"))):  # fmt: skip
        assert path in document["paths"], path


def test_filters_are_described(document):
    filters = {
        "parties": "kind jurisdiction part_of identifier", "agreements": "party kind status scope under signed_from signed_to", "labs": "founder field status",
        "platforms": "member supporter status", "memberships": "party in category status", "commitments": "party agreement kind status due_before", "timeline": "party subject type from to",
    }  # fmt: skip
    for path, names in filters.items():
        described = set()
        for parameter in document["paths"][f"/v1/{path}"]["get"]["parameters"]:
            while "$ref" in parameter:
                parameter = document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]  # noqa: PLW2901
            described.add(parameter["name"])
        assert {*names.split(), "as_of", "on", "q", "sort", "limit", "cursor"} <= described, (path, described)


@pytest.mark.parametrize("collection", ["parties", "agreements", "labs", "platforms", "documents"])
def test_states_lists_and_histories_match_their_schemas(shared, document, story, collection):
    subject = story[collection]
    for query in ({}, {"on": "2002-06-01"}, {"on": "any"}, {"evidence": "full"}):
        check(document, f"/v1/{collection}/{{slug}}", "get", shared.get(f"/v1/{subject}", **query))
        check(document, f"/v1/{collection}", "get", shared.get(f"/v1/{collection}", limit=1000, **query))
    for pair in ({}, {"from": "1"}, {"from": "2000-01-01", "to": "2002-06-01"}, {"from": "x"}):
        check(document, f"/v1/{collection}/{{slug}}/history", "get", shared.get(f"/v1/{subject}/history", **pair))
    check(document, f"/v1/{collection}/{{slug}}", "get", shared.get(f"/v1/{collection}/never-made"))
    check(document, f"/v1/{collection}", "get", shared.get(f"/v1/{collection}", limit="x"))
    for path in document["paths"]:
        if path.startswith(f"/v1/{collection}/{{slug}}/"):
            check(document, path, "get", shared.get(path.replace("{slug}", subject.partition("/")[2])))


@pytest.mark.parametrize(
    "address",
    [
        "/v1/memberships",
        "/v1/commitments",
        "/v1/timeline",
        "/v1/search?q=new",
        "/v1/parties/resolve?name=new",
        "/v1/graph",
        "/v1/statistics",
        "/v1/events",
        "/v1/digests",
        "/v1/digests?as_of=1&view=nations",
        "/v1/replay?until=1",
        "/healthz",
        "/readyz",
    ],
)
def test_other_answers_match_their_schemas(shared, document, story, address):
    path = address.partition("?")[0]
    check(document, path, "get", shared.get(address))
    check(
        document, path, "get", shared.get(f"/v1/graph?center={story['parties']}&depth=2")
    ) if path == "/v1/graph" else None


def test_receipts_problems_and_events_match_their_schemas(shared, document):
    given = shared.whole([event("party.registered", f"parties/{shared.new('p')}", name="X", kind="company")])[0]
    for answer in (
        shared.send(given), shared.send(given), shared.send([given], BATCH), shared.send({**given, "data": {}}), shared.send({**given, "id": shared.new(), "data": {}}),
        shared.send(b"{"), shared.send(b"{}", "text/plain"), shared.send(given, key="x"), shared.post(given, If_Match='"7"'), shared.send({**given, "id": shared.new(), "source": "s"}, If_Match='"7"'),
        shared.send([given] * 100_000, BATCH),
    ):  # fmt: skip
        check(document, "/v1/events", "post", answer)
    assert NDJSON in document["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    check(document, "/v1/events/{position}", "get", shared.get("/v1/events/1"))
    check(document, "/v1/events/{position}", "get", shared.get("/v1/events/99999999"))


@pytest.mark.parametrize("type_", TYPES)
def test_schema_of_every_event_accepts_valid_and_refuses_invalid_data(document, type_):
    """Each type's own schema refuses an unknown field."""
    found = [
        schema
        for schema in walk(document["components"]["schemas"])
        if isinstance(schema, dict) and (schema.get("const") == type_ or schema.get("enum") == [type_])
    ]
    assert found, type_


ABOUT = {
    "agreement.declaration-withdrawn": "agreement.declaration-made",
    "evidence.added": "agreement.signed",
    "event.corrected": "agreement.signed",
    "event.retracted": "platform.supporter-added",
    "event.disputed": "agreement.adopted",
    "event.redacted": "party.name-added",
}
"""The types of the events that the examples of some types are about."""


def test_examples_of_all_types_are_recorded_as_one_story(server, document):
    types = document["components"]["schemas"]["Event"]["discriminator"]["mapping"]
    pending = {type_: document["components"]["schemas"][type_]["examples"][0] for type_ in types}
    assert all(example["type"] == type_ for type_, example in pending.items())
    named = set(re.findall(r'"(parties/[a-z-]+)"', json.dumps(list(pending.values()))))
    others = sorted(named - {pending["party.registered"]["subject"]})
    server.take(*(event("party.registered", subject, name="A party", kind="other") for subject in others))
    admin = server.make_key("admin", "admin", "post")
    positions: dict[str, int] = {}
    problems: dict[str, str] = {}
    while ready := [type_ for type_ in pending if ABOUT.get(type_) is None or ABOUT[type_] in positions]:
        recorded = len(positions)
        for type_ in ready:
            example = pending[type_]
            if type_ in ABOUT:
                example = {**example, "data": {**example["data"], "event": positions[ABOUT[type_]]}}
            answer = server.send(example, "application/json", key=admin)
            if answer.status_code == 201:
                positions[type_] = answer.json()["position"]
                del pending[type_]
            else:
                problems[type_] = answer.text
        assert len(positions) > recorded, {type_: problems.get(type_) for type_ in pending}
    assert not pending


def walk(value):
    yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(each)


def test_pages_show_the_openapi_document(shared):
    page = shared.get("/docs", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "/v1/events" in page.text


# Health and metrics


def test_health_readiness_and_metrics(shared):
    assert shared.get("/healthz").status_code == 200
    assert shared.get("/readyz").status_code == 200
    answer = shared.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? (-?[0-9.e+-]+|NaN|[+-]Inf)( \d+)?", line), line


def test_number_of_metrics_is_bounded(shared):
    """Invented addresses create no new series."""
    before = len(shared.get("/metrics").text.splitlines())
    for index in range(200):
        shared.get(f"/v1/parties/made-up-{index}")
        shared.get(f"/v1/made-up-{index}")
        shared.client.request(f"M{index}", "/v1/parties")
    assert len(shared.get("/metrics").text.splitlines()) - before < 60
