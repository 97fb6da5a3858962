"""The API document: valid OpenAPI, complete, and matched by every answer."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry as Resources
from referencing.jsonschema import DRAFT202012

from domain.catalogue import CATALOGUE
from domain.cloudevent import checked
from service.app import make_app
from service.http import search, views
from service.http.api_document import document, shown_path
from service.http.operations import DESCRIBED
from service.problems import KINDS
from service.schemas.events import data_name, event_schemas
from service.settings import Settings
from tests.service.query_helpers import SEEDED, event, party, seed_lines, seeded, signed
from tests.service.registry import NDJSON, registered, renamed


@pytest.fixture
def described():
    rows = make_app(Settings())[DESCRIBED]
    return orjson.loads(orjson.dumps(document(rows)))


class Judge:
    """Checks answers against the document. A member that the schema lacks is an error here, but not for clients, who
    must expect new members.
    """

    def __init__(self, described):
        strict = copy.deepcopy(described)
        for schema in strict["components"]["schemas"].values():
            _close(schema)
        self._document = strict
        self._resources = Resources().with_resource("urn:api", DRAFT202012.create_resource(strict))
        self.seen: set[tuple[str, str, str]] = set()

    async def judge(self, answer, method, template):
        operation = self._document["paths"][template][method.lower()]
        status = str(answer.status)
        assert status in operation["responses"], f"{method} {template} answered {status}: {await answer.text()}"
        self.seen.add((operation["operationId"], status, answer.content_type))
        where = ["paths", template, method.lower(), "responses", status]
        response = operation["responses"][status]
        if "$ref" in response:
            where = response["$ref"].split("/")[1:]
            response = self._document["components"]["responses"][where[-1]]
        for name in ("ETag", "Location", "Link", "Memento-Datetime", "Content-Location", "Registry-Position"):
            assert name in response["headers"] or name not in answer.headers, (template, status, name)
        assert "Registry-Position" in answer.headers
        if status in ("303", "304", "308"):
            assert await answer.read() == b""
            return
        assert answer.content_type in response["content"], (template, answer.content_type)
        body = await answer.read()
        documents = body.splitlines() if answer.content_type == NDJSON else [body]
        if response["content"][answer.content_type]["schema"].get("format") == "binary":  # bytes for generated clients
            assert all(isinstance(orjson.loads(line), dict) for line in documents)
        elif answer.content_type.endswith("json"):
            for line in documents:
                self._check([*where, "content", answer.content_type, "schema"], orjson.loads(line))

    def component(self, name, value):
        self._check(["components", "schemas", name], value)

    def _check(self, where, value):
        pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in where)
        validator = Draft202012Validator({"$ref": f"urn:api#/{pointer}"}, registry=self._resources)
        errors = [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]
        assert not errors, (pointer, errors)


def _close(schema):
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for key, part in schema.items():
            if key != "allOf":  # the parts of an object know only some of its fields
                _close(part)
    elif isinstance(schema, list):
        for part in schema:
            _close(part)


# the document by itself


def test_document_is_valid_openapi(described):
    validate(described)
    assert described["openapi"].startswith("3.1")


def test_document_has_exactly_the_routes(described):
    app = make_app(Settings())
    pages = {shown_path(row.path) for row in app[DESCRIBED] if row.is_page}
    routed = {
        (shown_path(route.resource.canonical), route.method.lower())
        for route in app.router.routes()
        if route.resource is not None and route.method not in ("HEAD", "*")
    }
    routed = {(path, method) for path, method in routed if path not in pages}
    assert routed == {(path, method) for path, methods in described["paths"].items() for method in methods}


def test_every_route_is_declared_in_a_row():
    app = make_app(Settings())
    routes = [route for route in app.router.routes() if route.method not in ("HEAD", "*")]
    routed = {(shown_path(route.resource.canonical), route.method) for route in routes if route.resource is not None}
    assert routed == {(shown_path(row.path), row.method) for row in app[DESCRIBED]}
    assert len(routes) == len(app[DESCRIBED])


def test_operations_have_unique_names_and_list_their_problems(described):
    rows = [row for methods in described["paths"].values() for row in methods.values()]
    names = [row["operationId"] for row in rows]
    assert len(set(names)) == len(names)
    for row in rows:
        assert row["summary"], row
        assert not row["summary"].endswith("."), row["summary"]
        assert row["tags"][0] in {tag["name"] for tag in described["tags"]}
        for parameter in row["parameters"]:
            assert parameter["description"].endswith("."), parameter


def test_document_has_every_event_type_and_every_problem(described):
    schemas = described["components"]["schemas"]
    assert [each["$ref"].rpartition("/")[2] for each in schemas["Event"]["oneOf"]] == [
        name for name, kind in CATALOGUE.items() if kind.is_posted
    ]
    told = [
        kind
        for name in described["components"]["responses"]
        for kind in schemas[name]["allOf"][1]["properties"]["type"]["enum"]
    ]
    assert sorted(told) == sorted(f"/problems/{kind}" for kind in KINDS)


def test_names_of_schemas_and_operations_differ_by_more_than_case_and_signs(described):
    for names in (
        described["components"]["schemas"],
        [row["operationId"] for methods in described["paths"].values() for row in methods.values()],
    ):
        plain = [re.sub("[^a-z0-9]", "", name.lower()) for name in names]
        assert len(set(plain)) == len(plain)


def test_every_schema_and_every_field_has_a_sentence(described):
    schemas = described["components"]["schemas"]
    fields = {
        f"{name}.{field}": part for name, each in schemas.items() for field, part in each.get("properties", {}).items()
    }
    for name, schema in {**schemas, **fields}.items():
        assert schema.get("description", "").endswith("."), name


def test_fields_of_states_and_items_take_the_sentences_of_the_events_that_state_them(described):
    schemas = described["components"]["schemas"]
    for shown, stated in (
        (
            schemas["parties"]["properties"]["jurisdiction"],
            schemas["PartyRegisteredData"]["properties"]["jurisdiction"],
        ),
        (schemas["agreements"]["properties"]["under"], schemas["AgreementAdoptedData"]["properties"]["under"]),
        (schemas["labs.calls"]["properties"]["hired"], schemas["RecruitmentClosedData"]["properties"]["hired"]),
        (schemas["commitments"]["properties"]["due"], schemas["CommitmentMadeData"]["properties"]["due"]),
    ):
        assert shown["description"] == stated["description"]


def test_every_path_parameter_is_described(described):
    for path, methods in described["paths"].items():
        named = {part.strip("{}") for part in path.split("/") if part.startswith("{")}
        for row in methods.values():
            assert {each["name"] for each in row["parameters"] if each["in"] == "path"} == named, path


def test_command_prints_the_document(described):
    printed = subprocess.run([Path(sys.executable).with_name("registry"), "openapi"], capture_output=True, check=True)
    assert orjson.loads(printed.stdout) == described


async def test_served_document_is_the_same(registry, described):
    assert await registry.json("/openapi.json") == described


# events


def test_event_schemas_accept_the_seeds(described):
    judge = Judge(described)
    for line in seed_lines().splitlines():
        judge.component("Event", orjson.loads(line))


@pytest.mark.parametrize("name", CATALOGUE)
def test_schema_accepts_null_only_where_the_registry_does(name):
    kind = CATALOGUE[name]
    properties = event_schemas()[data_name(kind)]["properties"]
    assert set(properties) == {field.alias or key for key, field in kind.data.model_fields.items()}
    for member, schema in properties.items():
        model, flaws = checked(kind, {member: None})
        refused = any(flaw.pointer == f"/{member}" for flaw in flaws)
        assert refused == ("null" not in schema.get("type", ())), (name, member)
        assert model is None or not refused


# answers


async def test_every_answer_of_a_run_matches_the_document(tmp_path, described):
    judge = Judge(described)
    async with seeded(tmp_path / "data") as registry:
        await _more_events(registry)
        for operation in (*views.OPERATIONS, *search.OPERATIONS):
            for address in _addresses(operation):
                for accept in (
                    "text/html",
                    "image/png",
                    "text/csv",
                    NDJSON,
                    "application/link-format",
                    "application/json",
                ):
                    answer = await registry.client.get(address, headers={"Accept": accept}, allow_redirects=False)
                    await judge.judge(answer, "GET", operation.path)
                    if "ETag" in answer.headers:
                        held = {"Accept": accept, "If-None-Match": answer.headers["ETag"]}
                        await judge.judge(await registry.client.get(address, headers=held), "GET", operation.path)
            await judge.judge(
                await registry.get(operation.path.replace("{slug}", "nobody") + "?colour=red"), "GET", operation.path
            )
        for address in ("/v1/events", "/v1/events?limit=3", "/openapi.json", "/healthz", "/readyz", "/problems"):
            await judge.judge(await registry.get(address), "GET", address.partition("?")[0])
        await judge.judge(await registry.get("/v1/events", Accept=NDJSON), "GET", "/v1/events")
        for address in ("/v1/digests", "/v1/replay?view=labs", "/v1/replay?view=nations"):
            await judge.judge(await registry.get(address), "GET", address.partition("?")[0])
        await judge.judge(await registry.get("/metrics"), "GET", "/metrics")
        for position in (1, 999):
            await judge.judge(await registry.get(f"/v1/events/{position}"), "GET", "/v1/events/{position}")
        for kind in KINDS:
            await judge.judge(await registry.get(f"/problems/{kind}"), "GET", "/problems/{kind}")
        await _posts(registry, judge)
    listed = {row.name for row in (*views.OPERATIONS, *search.OPERATIONS)}
    assert {name for name, status, _ in judge.seen if status == "200"} >= listed
    assert {name for name, status, _ in judge.seen if status == "422"} >= listed


def _addresses(operation):
    """Yield queries with answers of every kind, for each operation."""
    needed = {"/v1/search": "q=battery&", "/v1/parties/resolve": "name=CATL&"}.get(operation.path, "")
    slugs = {
        "parties": ["catl", "was-catl", "retracted", "gone-on"],
        "agreements": ["treaty", "catl-chengdu-framework"],
        "labs": ["clean-energy-joint-lab"],
        "platforms": ["casip", "old"],
        "documents": ["catl-chengdu-news"],
    }
    paths = [operation.path.replace("{slug}", slug) for slug in slugs.get(operation.tag, [""])]
    known = {each.name for each in operation.parameters}
    for path in dict.fromkeys(paths):
        yield f"{path}?{needed}on=any"
        yield f"{path}?{needed}as_of={SEEDED}"
        if "evidence" in known:
            yield f"{path}?{needed}evidence=full&on=any"
        if "cursor" in known:
            yield f"{path}?{needed}limit=1"


async def test_log_and_proof_answers_match_the_document(tmp_path, described):
    judge = Judge(described)
    tile, entries, proof = "/log/tile/{level}/{number}", "/log/tile/entries/{number}", "/v1/events/{position}/proof"
    async with seeded(tmp_path / "data") as registry:
        for address, template, status in (
            (f"/v1/events/{SEEDED}/proof", proof, 200),
            (f"/v1/events/{SEEDED + 1}/proof", proof, 404),
            (f"/v1/events/{SEEDED}/proof?x=1", proof, 422),
            ("/log/checkpoint", "/log/checkpoint", 200),
            ("/log/checkpoint?x=1", "/log/checkpoint", 422),
            ("/log/vkey", "/log/vkey", 200),
            (f"/log/tile/0/000.p/{SEEDED}", tile, 200),
            ("/log/tile/0/000", tile, 404),
            (f"/log/tile/0/000.p/{SEEDED}?x=1", tile, 422),
            (f"/log/tile/entries/000.p/{SEEDED}", entries, 200),
            ("/log/tile/entries/000", entries, 404),
            ("/log/consistency?old=7&size=70", "/log/consistency", 200),
            (f"/log/consistency?old={SEEDED + 1}", "/log/consistency", 422),
        ):
            answer = await registry.get(address)
            assert answer.status == status, address
            await judge.judge(answer, "GET", template)
        for view in ("parties", "agreements", "labs", "platforms", "documents"):
            for item in (await registry.json(f"/v1/{view}?on=any&limit=3"))["items"]:
                answer = await registry.get(f"/v1/{item['subject']}?on=any&evidence=full&proof=true")
                assert (await answer.json())["proofs"]
                await judge.judge(answer, "GET", f"/v1/{view}/{{slug}}")


async def _more_events(registry):
    """Return an event of each type that the seeds lack."""
    digest = "0" * 64
    await registry.take(
        [
            event(
                "document.registered",
                "documents/full",
                {
                    "title": "Full",
                    "sha256": digest,
                    "publisher": {"en": "P"},
                    "language": "en",
                    "published": "2024-01",
                    "url": "https://example.org/",
                    "original": {"sha256": digest, "media_type": "application/pdf"},
                },
            ),
            party("was-catl", "Catl Ltd"),
            party("retracted"),
            party(
                "a",
                kind="state",
                jurisdiction="CN",
                other_names=["Alpha"],
                identifiers=[{"scheme": "lei", "value": "1"}],
            ),
            party(
                "b", part_of="parties/a", evidence=[{"document": "documents/full", "exact": "B", "translation": "b"}]
            ),
            party("gone-on"),
            signed(
                "treaty",
                "2020-01~",
                "a",
                "b",
                kind="treaty",
                scope=["peace"],
                place="Here",
                summary="Of peace",
                until="2020-12",
            ),
            signed("later", "2024", "a", "b", under="agreements/treaty"),
        ]
    )
    head = await registry.head()
    facts = [
        event("party.merged", "parties/was-catl", {"into": "parties/catl"}),
        event("party.dissolved", "parties/gone-on", {"successors": ["parties/a"]}, "2024"),
        event("party.name-added", "parties/a", {"name": {"zh": "甲"}}),
        event("party.identified", "parties/a", {"scheme": "wikidata", "value": "Q1"}),
        event(
            "agreement.ratified", "agreements/treaty", {"party": "parties/a", "instrument": "ratification"}, "2020-02"
        ),
        event("agreement.entered-into-force", "agreements/treaty", {}, "2020-03"),
        event(
            "agreement.amended",
            "agreements/treaty",
            {"summary": "More", "by": "agreements/later", "scope_added": ["trade"]},
            "2020-04",
        ),
        event(
            "agreement.declaration-made",
            "agreements/treaty",
            {"party": "parties/b", "kind": "reservation", "text": "No", "provision": "1"},
            "2020-05",
        ),
        event("agreement.suspended", "agreements/treaty", {}, "2020-06"),
        event("agreement.resumed", "agreements/treaty", {}, "2020-07"),
        event("agreement.withdrawn", "agreements/treaty", {"party": "parties/b", "effective": "2020-09"}, "2020-08"),
        event(
            "agreement.commitment-made",
            "agreements/treaty",
            {
                "commitment": "c",
                "kind": "facility",
                "title": "C",
                "by": ["parties/a"],
                "with": ["parties/b"],
                "place": "Here",
                "due": "2020-11",
                "amount": {"value": "1.50", "currency": "EUR"},
            },
            "2020-05",
        ),
        event(
            "agreement.commitment-updated",
            "agreements/treaty",
            {"commitment": "c", "status": "in-progress"},
            "2020-06?",
        ),
        event(
            "agreement.terminated",
            "agreements/treaty",
            {"reason": "superseded", "superseded_by": "agreements/later"},
            "2020-11",
        ),
        event("lab.opened", "labs/clean-energy-joint-lab", {}, "2024-02"),
        event("lab.phase-started", "labs/clean-energy-joint-lab", {"phase": "phase-1"}, "2024-03"),
        event("lab.phase-completed", "labs/clean-energy-joint-lab", {"phase": "phase-1"}, "2024-04"),
        event("lab.recruitment-closed", "labs/clean-energy-joint-lab", {"call": "post-docs", "hired": 3}, "2024-05"),
        event("platform.launched", "platforms/old", {"name": "Old", "target_date": "2020"}, "2010"),
        event("platform.member-joined", "platforms/old", {"party": "parties/a", "category": {"en": "state"}}, "2011"),
        event("platform.member-left", "platforms/old", {"party": "parties/a"}, "2012"),
        event("platform.supporter-added", "platforms/old", {"party": "parties/b", "support": "funding"}, "2012"),
        event("platform.document-adopted", "platforms/old", {"title": "Charter", "kind": "charter"}, "2013"),
        event("platform.dissolved", "platforms/old", {}, "2014"),
        event("event.retracted", "parties/retracted", {"event": head - 5, "reason": "not so"}),
        event(
            "event.disputed",
            "agreements/treaty",
            {
                "event": head - 1,
                "claims": [{"pointer": "/data/place", "value": "There"}],
                "evidence": [{"document": "documents/full", "exact": "x"}],
            },
        ),
        event("event.corrected", "agreements/later", {"event": head, "reason": "month found", "occurred": "2024-02"}),
        event(
            "evidence.added",
            "agreements/later",
            {"event": head, "evidence": [{"document": "documents/full", "start": 1, "end": 2}]},
        ),
    ]
    for fact in facts:
        await registry.take(fact)


async def _posts(registry, judge):
    for body in (
        registered("new"),
        registered("new"),
        [registered("one"), renamed("one", "One")],
        registered("new") | {"data": {"name": "Else", "kind": "company"}},
        renamed("nobody", "N"),
        registered("bad", data={"kind": "planet"}),
        event("party.registered", "parties/new", {"name": "again", "kind": "company"}),
        b"{",
    ):
        await judge.judge(await registry.post(body), "POST", "/v1/events")
    await judge.judge(await registry.post(registered("x"), key=None), "POST", "/v1/events")
    await judge.judge(await registry.post(registered("x"), key="rk_wrong"), "POST", "/v1/events")
    await judge.judge(await registry.post(registered("x"), type_="text/plain"), "POST", "/v1/events")
    await judge.judge(await registry.post(renamed("new", "x"), If_Match='"9"'), "POST", "/v1/events")
    results = await registry.import_(
        b"\n".join([orjson.dumps(registered("imported")), b"{", orjson.dumps(renamed("nobody", "x"))])
    )
    judge.component("Receipt", results[0])
    for result in results[1:]:
        judge.component("Problem", result)
