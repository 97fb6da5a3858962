"""Pages: they show what the API answers, load nothing from elsewhere, and work without a script."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import date, timedelta
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urljoin
from uuid import uuid4

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st
from jinja2.ext import babel_extract
from markupsafe import Markup

from domain.catalogue import CATALOGUE
from domain.edtf import day_of, day_text, span_recorded
from projections.catalogue import LIST_VIEWS
from projections.citations import CitedPart, CitedPlace
from projections.engine.filters import Choice
from service.api_keys import Scope
from service.app_keys import KEYS
from service.http.access import COOKIE
from service.http.api_document import document
from service.http.operations import DESCRIBED
from service.pages.addresses import Address
from service.pages.dates import understood
from service.pages.forms import CHINESE, Field, data_of, fields_of, flattened
from service.pages.new_parties import form_of_new_party
from service.pages.record import POSTED_TYPES
from service.pages.sentences import SENTENCES, VALUES, VARIANTS, sentence
from service.pages.site import DIRECTORY
from service.pages.template_filters import kind_of, prose
from service.pages.text_marks import marked
from service.pages.wording import CATALOGUES, LANGUAGES, Wording
from service.schemas.events import data_name
from tests.domain.test_event_types import MINIMAL_AND_FULL
from tests.service.query_helpers import event, party, seeded, signed
from tests.service.registry import lines, registered, running

FIXED = ("/docs", "/docs/agreements", "/docs/shapes", "/words", "/problems", "/problems/not-found", "/session")
MOST_BYTES = 150_000
"""Most bytes of a page with its style and script."""
LISTS = ("parties", "agreements", "labs", "platforms", "documents", "memberships", "commitments", "timeline")
VOID = {"meta", "link", "input", "br", "line", "rect", "circle"}
ASSETS = {"/static/icon.svg", "/static/registry.css", "/static/registry.js"}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} {name} %s",
    "javascript:alert(1)",
    "\u202eabc\u2066",
    "x" * 1000,
]


class Page(HTMLParser):
    """The links of a page, and whether its elements are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.tags, self.labels, self.fields, self.text = [], [], [], [], [], [], []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open, self._open

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        assert not any(name.startswith("on") or name == "style" for name in given), given
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given["href"])
        if tag == "form":
            self.links.append(given["action"])
        if tag in ("link", "script", "img", "iframe"):
            self.loads.append(given.get("href") or given.get("src"))
        if tag == "label" and "for" in given:
            self.labels.append(given["for"])
        if tag in ("input", "select", "textarea") and given.get("type") != "hidden" and "id" in given:
            self.fields.append(given["id"])

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        self.text.append(data)


async def read(registry, path, **headers):
    answer = await registry.get(path, Accept="text/html,*/*;q=0.8", **headers)
    assert (answer.status, answer.content_type) == (200, "text/html"), path
    return answer, Page(await answer.text())


async def stored_text(registry, text, slug="d", **data):
    """Register a document with this text, and store the text."""
    data = {"title": "D", "sha256": sha256(text.encode()).hexdigest(), **data}
    await registry.take(event("document.registered", f"documents/{slug}", data))
    await put_text(registry, text, slug)


async def put_text(registry, text, slug="d"):
    """Store the text of a document."""
    headers = {"Authorization": f"Bearer {registry.key}", "Content-Type": "text/plain"}
    answer = await registry.client.put(f"/v1/documents/{slug}/text", data=text.encode(), headers=headers)
    assert answer.status == 201, await answer.text()


@pytest.fixture
async def seeds(tmp_path):
    async with seeded(tmp_path / "data") as registry:
        yield registry


async def _subjects(registry):
    return [
        item["subject"]
        for view in ("parties", "agreements", "labs", "platforms", "documents")
        for item in (await registry.json(f"/v1/{view}?on=any&limit=1000"))["items"]
    ]


async def test_every_page_is_sound_html_loads_only_its_own_files_and_links_to_what_exists(seeds):
    subjects = [f"/{subject}" for subject in await _subjects(seeds)]
    paths = [
        "/",
        "/search?q=battery",
        "/network",
        "/events",
        "/events/1",
        "/audit",
        *FIXED,
        *(f"/{view}" for view in LISTS),
    ]
    links = {}
    for path in [*paths, *subjects, f"{subjects[0]}/compare"]:
        answer, page = await read(seeds, path)
        assert set(page.loads) == ASSETS, path
        assert page.tags.count("h1") == page.tags.count("main") == 1, path
        assert len(set(page.ids)) == len(page.ids), path
        assert set(page.fields) <= set(page.labels), path
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "`" not in "".join(page.text) or path.startswith("/docs")
        for link in page.links:
            target, _, fragment = urljoin(path, link).partition("#")
            if target == path:
                assert not fragment or fragment in page.ids, (path, link)
            elif target.startswith("/"):
                links[target] = path
    for link, path in links.items():
        assert (await seeds.client.get(link, allow_redirects=True)).status == 200, (path, link)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_is_in_the_readers_language(seeds, language):
    subjects = [f"/{subject}" for subject in await _subjects(seeds)]
    for path in ["/", "/agreements", "/timeline", "/events", "/audit", *subjects[:3]]:
        for asked, headers in ((f"{path}?lang={language}", {}), (path, {"Accept_Language": f"{language},en;q=0.1"})):
            answer, _ = await read(seeds, asked, **headers)
            assert f'<html lang="{language}">' in await answer.text(), asked


async def test_both_times_and_the_language_stay_while_moving(seeds):
    _, page = await read(seeds, "/parties?on=2024-02-01&as_of=40&lang=zh")
    kept = [link for link in page.links if link.startswith("/parties/")]
    assert kept
    assert all("on=2024-02-01" in link and "as_of=40" in link and "lang=zh" in link for link in kept)
    assert any(link.startswith("/v1/parties") and "as_of=40" in link for link in page.links)


async def test_page_shows_the_subject_as_known_then(registry):
    await registry.take(registered("a"))
    await registry.take(event("party.renamed", "parties/a", {"name": "New name"}))
    before = await (await registry.get("/parties/a?as_of=1")).text()
    after = await (await registry.get("/parties/a")).text()
    assert "New name" not in before.partition("<main")[2].partition("</h1>")[0]
    assert "New name" in after.partition("<main")[2].partition("</h1>")[0]
    assert "differs" in before
    assert "differs" not in after


async def test_a_day_is_taken_as_the_end_of_that_day(registry):
    await registry.take(registered("a"))
    assert (await registry.get("/parties/a?as_of=2000-01-01")).status == 404
    assert (await registry.get("/parties/a?as_of=9000-01-01")).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/parties/nobody", 404),
        ("/events/99", 404),
        ("/agreements?kind=nothing", 422),
        ("/agreements?sort=nothing", 422),
        ("/agreements?cursor=nothing", 422),
        ("/parties?on=2024-02-30", 422),
        ("/parties?as_of=yesterday", 422),
        ("/parties?as_of=99999", 422),
        ("/parties?q=" + "x" * 3000, 422),
        ("/network?center=parties/nobody", 404),
        ("/events?type=nothing", 422),
    ],
)
async def test_page_says_in_html_what_went_wrong(registry, path, status):
    answer = await registry.get(path, Accept="text/html")
    assert (answer.status, answer.content_type) == (status, "text/html")
    Page(await answer.text())


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_is_shown_as_text(registry, text):
    note = {"note": text}
    await registry.take(
        [
            party("a", {"en": text, "zh": text}, other_names=[text], **note) | {"id": "a"},
            party("b", text) | {"id": "b"},
            event("document.registered", "documents/d", {"title": text, "sha256": "0" * 64, "publisher": text})
            | {"id": "d"},
            signed("x", "2020-01-01", "a", "b", title=text, summary=text, place=text, **note) | {"id": "x"},
        ]
    )
    for path in ("/", "/parties/a", "/agreements/x", "/documents/d", "/timeline", "/network", "/events/1", "/parties"):
        _, page = await read(registry, path)
        assert set(page.loads) == ASSETS
        assert "img" not in page.tags
        assert not any(link.startswith("javascript:") for link in page.links)


async def test_browser_at_an_address_of_the_api_is_sent_to_its_page(seeds):
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    for path, goal in (
        ("/v1/parties/catl?on=2024-01-01", "/parties/catl?on=2024-01-01"),
        ("/v1/agreements?status=signed", "/agreements?status=signed"),
        ("/v1/search?q=catl", "/search?q=catl"),
        ("/v1/events/3", "/events/3"),
        ("/v1/parties/catl/history", "/parties/catl"),
    ):
        answer = await seeds.client.get(path, headers=browser, allow_redirects=False)
        assert (answer.status, answer.headers["Location"], answer.headers["Vary"]) == (303, goal, "Accept")
        for accept in ("*/*", "application/json", "application/json, text/html;q=0.9"):
            other = await seeds.client.get(path, headers={"Accept": accept}, allow_redirects=False)
            assert (other.status, other.content_type) == (200, "application/json"), (path, accept)


async def test_where_reading_needs_a_key_a_browser_is_asked_for_it(tmp_path):
    async with running(tmp_path / "data", read="key") as registry:
        await registry.take(registered("a"))
        answer = await registry.client.get("/parties/a", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, "/session?to=/parties/a")
        form = {"key": "rk_wrong", "to": "/parties/a"}
        assert 'role="alert"' in await (await registry.client.post("/session", data=form)).text()
        key = registry.app[KEYS].create("reader", [Scope.READ])
        answer = await registry.client.post("/session", data={**form, "key": key}, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, "/parties/a")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        sent = {"Cookie": cookie.partition(";")[0]}
        assert (await registry.client.get("/parties/a", headers=sent)).status == 200
        assert (await registry.client.get("/v1/parties/a", headers=sent)).status == 200
        assert (await registry.client.post("/v1/events", headers=sent, json=registered("b"))).status == 401


@pytest.mark.parametrize(
    "goal",
    [
        "https://example.org/",
        "//example.org/",
        "/\\example.org",
        "javascript:alert(1)",
        "",
        "/\t/example.org",
        "/\r\nSet-Cookie: a=b",
        "/\x00",
    ],
)
async def test_session_leads_to_no_other_site(registry, goal):
    key = registry.app[KEYS].create("reader", [Scope.READ])
    answer = await registry.client.post("/session", data={"key": key, "to": goal}, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.org"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://a:99999"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_form_of_another_site_is_refused(registry, headers):
    answer = await registry.client.post("/session", data={"key": "x"}, headers=headers)
    assert answer.status == 403


async def test_page_of_a_merged_party_leads_to_its_survivor_until_the_merger_is_retracted(registry):
    merger = event("party.merged", "parties/a", {"into": "parties/b"})
    await registry.take([*(party(name) | {"id": name} for name in "ab"), merger])
    answer = await registry.client.get("/parties/a?lang=zh", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (308, "/parties/b?lang=zh")
    assert answer.headers["Cache-Control"] == "no-cache"


async def test_page_names_its_origin_to_its_own_site(registry):
    """A browser sends `Origin: null` with the forms of a page whose policy is `no-referrer`."""
    answer = await registry.get("/session")
    assert answer.headers["Referrer-Policy"] == "same-origin"


async def test_browser_reads_a_refusal_as_a_page(registry, session):
    answer = await registry.get("/nowhere", Accept="text/html")
    assert (answer.status, answer.content_type) == (404, "text/html")
    Page(await answer.text())
    sent = {"Accept": "text/html", "Origin": "https://example.org"}
    answer = await registry.client.post("/session", data={"key": "x"}, headers=sent)
    assert (answer.status, answer.content_type) == (403, "text/html")
    for path, accept in (("/v1/nowhere", "text/html"), ("/nowhere", "*/*")):
        answer = await registry.get(path, Accept=accept)
        assert (answer.status, answer.content_type) == (404, "application/problem+json")


def test_every_event_type_has_a_sentence():
    assert set(CATALOGUE) <= set(SENTENCES)


def _crowd(many):
    """Return events of a platform, an agreement and a party with long lists; names as long as those of ministries."""
    name = "National Institute for Materials and Energy Storage Number {}".format
    share = {"role": "partner of the consortium"}
    events = [event("platform.launched", "platforms/big", {"name": name("of all")}, "2019-01-01"), party("head")]
    for each in range(many):
        joined = {"party": f"parties/p{each}"}
        events += [
            party(f"p{each}", {"en": name(each), "zh": f"国家材料与能源研究院{each}"}, part_of="parties/head"),
            event("platform.member-joined", "platforms/big", joined, f"20{19 + each % 6}-0{1 + each % 9}-17"),
        ]
    shares = [{"party": f"parties/p{each}", **share} for each in range(many)]
    signing = {"title": name("for a treaty"), "kind": "framework", "parties": shares}
    events.append(event("agreement.signed", "agreements/big", signing, "2020-03-04") | {"id": "signed"})
    for each in range(many):
        promise = {"commitment": f"c{each}", "title": name(each), "kind": "research", "by": [f"parties/p{each}"]}
        events.append(event("agreement.commitment-made", "agreements/big", {**promise, "due": "2027-05"}, "2020-03-04"))
    return events


async def test_page_of_a_subject_with_long_lists_is_light_and_leads_to_the_rest(registry):
    for result in await registry.import_(lines(*_crowd(110))):
        assert "leaf" in result, result
    for path in ("/platforms/big", "/agreements/big", "/parties/head", "/parties/p1"):
        for query in ("", "?on=2025-01-01", "?on=2025-01-01&lang=zh"):
            assert await _weight(registry, path + query) < MOST_BYTES, path + query
    _, page = await read(registry, "/platforms/big")
    assert "/memberships?in=platforms%2Fbig" in page.links
    assert any(link.startswith("/v1/platforms/big/members?") for link in page.links)
    assert "/timeline?subject=platforms%2Fbig" in page.links


async def test_member_beyond_the_shown_list_is_not_marked_as_different(registry):
    for result in await registry.import_(lines(*_crowd(110))):
        assert "leaf" in result, result
    shown = await (await registry.get("/platforms/big?on=2024-12-31")).text()
    assert '<tr class="differs">' not in shown


def _said(type_: str, data: dict[str, object], language: str = "en", name: str = "Acme") -> str:
    """Return the text of a sentence."""
    fact = {"type": type_, "subject": {"subject": "parties/acme", "name": name}, "data": data}
    return str(sentence(fact, Wording(language), lambda to: Markup("<a>{}</a>").format(to["name"])))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", sorted(MINIMAL_AND_FULL))
def test_no_sentence_has_a_gap(name, language):
    for data in MINIMAL_AND_FULL[name]:
        assert "–" not in _said(name, data, language)


@pytest.mark.parametrize(
    ("type_", "data", "english"),
    [
        ("party.dissolved", {}, "<a>Acme Ltd.</a> was dissolved."),
        ("party.name-added", {"name": "A Ltd."}, "<a>Acme Ltd.</a> is also called A Ltd."),
        (
            "agreement.declaration-made",
            {"kind": "objection", "party": "b"},
            "b objected to a declaration under <a>Acme Ltd.</a>",
        ),
        ("agreement.terminated", {"reason": "terminated"}, "<a>Acme Ltd.</a> was terminated."),
        ("agreement.terminated", {"reason": "superseded"}, "<a>Acme Ltd.</a> ended: superseded."),
    ],
)
def test_sentence_reads_well(type_, data, english):
    assert _said(type_, data, name="Acme Ltd.") == english


async def test_pages_show_every_field_of_an_agreement_and_a_party(registry):
    described = {
        "other_titles": ["Second title"],
        "secretariat": "parties/b",
        "parties": [{"party": "parties/c", "role": "observer"}],
    }
    await registry.take(
        [
            *(party(name, name.upper()) | {"id": name} for name in "abc"),
            event("agreement.announced", "agreements/x", {"title": "X", "kind": "treaty", **described}) | {"id": "x"},
            signed("x", "2020-01-01", "a", "b") | {"id": "y"},
            event("agreement.terminated", "agreements/x", {"reason": "terminated"}, "2021-01-01") | {"id": "z"},
            event("agreement.reinstated", "agreements/x", {}, "2022-02-02") | {"id": "r"},
            event("party.dissolved", "parties/a", {}, "2021-01-01") | {"id": "d"},
            event("party.re-established", "parties/a", {}, "2022-03-04") | {"id": "e"},
            event("party.owner-added", "parties/c", {"owner": "parties/b", "share": "12.5"}, "2021-05") | {"id": "o"},
        ]
    )
    for path, shown in {
        "/agreements/x": ("Second title", "Secretariat", "2 February 2022", "Who was expected to sign", "observer"),
        "/parties/a": ("Established again", "4 March 2022"),
        "/parties/c": ("12.5 %", "from May 2021"),
    }.items():
        answer, _ = await read(registry, path)
        text = await answer.text()
        assert [each for each in shown if each not in text] == []


def _interface_texts() -> set[str]:
    """Return every text of the interface: of templates, of code, sentences and words of closed choices."""
    found: set[str] = {*SENTENCES.values(), *VARIANTS.values(), *VALUES.values()}
    for path in DIRECTORY.glob("templates/*.html"):
        with path.open("rb") as file:
            for _, _, given, _ in babel_extract(file, ("_", "_n"), [], {}):
                if given is not None:
                    found.add(given if isinstance(given, str) else next(each for each in given if each))
    for path in DIRECTORY.glob("*.py"):
        with path.open("rb") as file:
            for _, given, _, _ in extract("python", file, {"text": None, "number_of": (1, 2)}):
                found.add(given if isinstance(given, str) else given[0])
    for view in LIST_VIEWS.values():
        found |= {part.replace("-", " ") for part in (view.name, *view.sorts)}
        for each in view.filters:
            found.add(each.name.replace("_", " "))
            if isinstance(each.value, Choice):
                found |= {part.replace("-", " ") for value in each.value.values for part in value.split(".")}
    for name, kind in POSTED_TYPES.items():
        found |= {kind.description, *_code_texts(name)}
        for field in _fields_of_type(name):
            found |= {field.label, field.help, *(part for choice in field.choices for part in _code_texts(choice))}
    return found


def _code_texts(code: str) -> list[str]:
    """Return the texts that show a word of a closed choice."""
    return [part.replace("-", " ") for part in code.split(".")]


def _fields_of_type(name: str) -> Iterator[Field]:
    """Yield every field of the form of a type, those inside others too."""
    return flattened(fields_of(POSTED_TYPES[name].data.model_json_schema(), {}, {}))


@pytest.mark.parametrize("name", sorted(POSTED_TYPES))
def test_every_field_of_a_form_has_a_sentence(name):
    assert [field.name for field in _fields_of_type(name) if not field.help] == []


@pytest.mark.parametrize(
    ("name", "field", "kind"),
    [
        ("party.renamed", "data.name", "text"),
        ("agreement.signed", "data.title", "text"),
        ("agreement.signed", "data.note", "text"),
        ("agreement.declaration-made", "data.text", "text"),
        ("agreement.signed", "data.scope", "lines"),
        ("agreement.signed", "data.until", "date"),
        ("agreement.signed", "data.parties.0.party", "subject"),
        ("event.corrected", "data.occurred", "date"),
        ("event.corrected", "data.data", "json"),
        ("document.registered", "data.original.media_type", "line"),
        ("lab.founded", "data.founders", "subjects"),
        ("lab.founded", "data.phases.0.duration", "line"),
    ],
)
def test_field_of_a_form_is_of_the_kind_of_its_values(name, field, kind):
    assert {each.name: each.kind for each in _fields_of_type(name)}[field] == kind


@pytest.mark.parametrize("name", sorted(POSTED_TYPES))
async def test_form_in_chinese_has_no_english_label_or_sentence(registry, name):
    sent = {"Cookie": f"{COOKIE}={registry.key}"}
    text = await (await registry.client.get(f"/record/{name}?lang=zh", headers=sent)).text()
    texts = re.findall(r"<(?:label|legend)\b[^>]*>(.*?)</(?:label|legend)>", text.partition("<main")[2])
    texts += re.findall(r'<div class="(?:note|lead)"[^>]*>(.*?)</div>', text, re.DOTALL)
    assert len(texts) > len(list(_fields_of_type(name)))
    assert [each for each in texts if not each.isdigit() and not re.search("[一-鿿]", each)] == []


def test_interface_has_every_text_in_chinese():
    with (CATALOGUES / "zh/LC_MESSAGES/pages.po").open("rb") as file:
        catalogue = read_po(file, locale="zh")
    texts = {message.id if isinstance(message.id, str) else message.id[0] for message in catalogue if message.string}
    assert not _interface_texts() - texts


@pytest.mark.parametrize(
    ("occurred", "english"),
    [
        (None, "date not known"),
        ("2024-01-21", "21 January 2024"),
        ("2024-01", "January 2024"),
        ("2024", "2024"),
        ("2024?", "2024 (uncertain)"),
        ("2024-01~", "about January 2024"),
        ("2024-01-21%", "about 21 January 2024 (uncertain)"),
        ("XXXX-08-18", "18 August, year not stated"),
        ("2021-08/..", "on some day from August 2021 on"),
        ("../2024-03", "by March 2024"),
        ("2021-08/2021-09", "between August 2021 and September 2021"),
    ],
)
def test_edtf_date_is_said_in_words(occurred, english):
    assert Wording("en").period(occurred) == english
    assert Wording("zh").period(occurred)


@given(
    st.text(min_size=1, max_size=40),
    st.integers(0, 50),
    st.lists(st.tuples(st.integers(0, 95), st.integers(1, 60), st.integers(1, 3)), max_size=6),
)
def test_segments_of_a_part_are_its_text_and_count_the_passages_that_cover_it(text, first, spans):
    last = first + len(text)
    places = sorted(
        CitedPlace(start, start + length, number, count)
        for number, (start, length, count) in enumerate(spans, 1)
        if start < last and start + length > first
    )
    segments = list(marked(CitedPart(text, first, last, places)))
    assert "".join(segment.text for segment in segments) == text
    for segment in segments:
        for at in range(segment.start, segment.start + len(segment.text)):
            assert segment.passages == sum(each.passages for each in places if each.start <= at < each.end)
        assert segment.starts == any(each.start == segment.start for each in places)
    within = [each for each in places if each.end <= last]
    assert sorted(each for segment in segments for each in segment.ends) == within


def test_address_keeps_times_and_language_alone():
    address = Address("/parties", (("on", "2024-01-01"), ("lang", "zh"), ("kind", "company"), ("cursor", "x")))
    assert address.to("/labs") == "/labs?on=2024-01-01&lang=zh"
    assert address.changed(cursor=None) == "/parties?on=2024-01-01&lang=zh&kind=company"
    assert address.api() == "/v1/parties?on=2024-01-01&kind=company&cursor=x"


async def _docs(registry):
    """Return the pages of the API document by their paths; the first page is `/docs`."""
    _, first = await read(registry, "/docs")
    paths = dict.fromkeys(link.partition("#")[0] for link in first.links if link.startswith("/docs/"))
    return {"/docs": first, **{path: (await read(registry, path))[1] for path in paths}}


async def test_docs_show_every_operation_event_type_and_shape_once(registry):
    pages = await _docs(registry)
    first = pages.pop("/docs")
    described = document(registry.app[DESCRIBED])
    operations = {row["operationId"] for methods in described["paths"].values() for row in methods.values()}
    shapes = {name for name in described["components"]["schemas"] if name not in CATALOGUE}
    data = {data_name(kind) for kind in CATALOGUE.values()}
    shown = {*operations, *(f"event-{name}" for name in CATALOGUE), *(f"shape-{name}" for name in shapes - data)}
    ids = [each for page in pages.values() for each in page.ids]
    assert {each: ids.count(each) for each in shown} == dict.fromkeys(shown, 1)
    text = " ".join(" ".join("".join(page.text).split()) for page in pages.values())
    for word in ("as_of", "evidence", "commitment-made", "application/x-ndjson", "may be absent"):
        assert word in text
    assert "/v1/parties/{slug}" in "".join(first.text)


async def test_anchor_of_the_whole_api_document_leads_to_its_part(registry):
    """An address like `/docs#getParty` is from the time of one page for all."""
    pages = await _docs(registry)
    first = pages["/docs"]
    described = document(registry.app[DESCRIBED])
    old = {row["operationId"] for methods in described["paths"].values() for row in methods.values()}
    old |= {f"event-{name}" for name in CATALOGUE}
    old |= {f"shape-{name}" for name in described["components"]["schemas"] if name not in CATALOGUE}
    old |= {f"tag-{row['tags'][0]}" for methods in described["paths"].values() for row in methods.values()}
    assert {*old, "events", "shapes"} <= set(first.ids)
    for path, page in pages.items():
        for link in page.links:
            target, _, fragment = urljoin(path, link).partition("#")
            if target in pages and fragment:
                assert fragment in pages[target].ids, (path, link)


async def test_unknown_part_of_the_api_document_is_not_found(registry):
    answer = await registry.get("/docs/nothing", Accept="text/html")
    assert (answer.status, answer.content_type) == (404, "text/html")


async def _weight(registry, path):
    """Return how many bytes a page has with its style and its scripts."""
    body = await (await registry.get(path, Accept="text/html")).read()
    loads = Page(body.decode()).loads
    return len(body) + sum([len(await (await registry.get(each)).read()) for each in loads])


async def test_every_page_is_light_with_its_style_and_script(seeds):
    subjects = [f"/{subject}" for subject in await _subjects(seeds)]
    paths = ["/", "/search?q=battery", "/network", "/network?depth=3", "/events", "/events/1", "/audit", *FIXED]
    paths += [*(f"/{view}" for view in LISTS), *subjects, f"{subjects[0]}/compare", "/parties/nobody"]
    paths += [path for path in await _docs(seeds) if path != "/docs"]
    heavy = {path: weight for path in paths if (weight := await _weight(seeds, path)) > MOST_BYTES}
    assert not heavy


async def test_page_with_a_matching_etag_is_not_sent_again(registry):
    for path in ("/", "/docs", "/static/registry.css", "/openapi.json"):
        etag = (await registry.get(path)).headers["ETag"]
        assert (await registry.get(path, If_None_Match=etag)).status == 304


def test_prose_is_escaped():
    assert prose("a <b> `c<d`\n\nnext") == "<p>a &lt;b&gt; <code>c&lt;d</code></p><p>next</p>"


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"$ref": "#/components/schemas/Text"}, '<a href="/docs/shapes#shape-Text">Text</a>'),
        ({"enum": ["a", "<b>"]}, "<code>a</code>, <code>&lt;b&gt;</code>"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or nothing"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"type": "array", "items": {"const": "x"}}, "list of <code>x</code>"),
        ({}, "any value"),
    ],
)
def test_schema_is_described_in_a_few_words(schema, shown):
    assert kind_of(schema, {"Text": "/docs/shapes#shape-Text"}) == shown


@pytest.fixture
async def session(registry):
    """Return what posts a form with a session of the first key."""

    async def post(path, **form):
        sent = {"Cookie": f"{COOKIE}={registry.key}"}
        return await registry.client.post(path, data=form, headers=sent, allow_redirects=False)

    return post


ACME = {
    "subject": "parties/acme",
    "id": "1",
    "source": "https://example.org/",
    "data.name": "Acme",
    "data.kind": "company",
}


@pytest.mark.parametrize("name", [name for name, kind in CATALOGUE.items() if kind.is_posted])
async def test_every_posted_type_has_a_form(registry, session, name):
    await registry.take(registered("a"))
    answer = await registry.client.get(f"/record/{name}?event=1", headers={"Cookie": f"{COOKIE}={registry.key}"})
    page = Page(await answer.text())
    assert answer.status == 200
    assert set(page.fields) <= set(page.labels)
    assert len(set(page.ids)) == len(page.ids)


async def test_fact_is_previewed_without_recording_then_recorded_once(registry, session):
    shown = await session("/record/party.registered", step="preview", **ACME)
    assert shown.status == 200
    assert "Acme" in await shown.text()
    assert (await registry.json("/v1/events"))["position"] == 0
    for _ in range(2):
        done = await session("/record/party.registered", step="record", **ACME)
        assert (done.status, done.headers["Location"]) == (303, "/events/1?recorded=1")
    assert (await registry.json("/v1/events"))["position"] == 1


async def test_preview_shows_the_state_before_and_after(registry, session):
    await registry.take(registered("acme"))
    form = {**ACME, "id": "2", "data.name": "Renamed"}
    shown = await (await session("/record/party.renamed", step="preview", **form)).text()
    assert "<mark>Acme</mark>" in shown
    assert "<mark>Renamed</mark>" in shown
    assert (await registry.json("/v1/parties/acme"))["name"] == "Acme"


async def test_every_error_stands_at_its_field(session):
    form = {**ACME, "data.kind": "", "occurred": "2024-13", "data.jurisdiction": "x"}
    answer = await session("/record/party.registered", step="preview", **form)
    page = Page(text := await answer.text())
    assert answer.status == 422
    assert {"f-data.kind-error", "f-data.jurisdiction-error"} <= set(page.ids)
    assert "#f-occurred" in page.links
    assert 'value="parties/acme"' in text


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("party.registered", "data.kind", '{"a":' * 300 + "1" + "}" * 300),
        ("lab.recruitment-opened", "data.positions.min", "9" * 5000),
        ("lab.recruitment-opened", "data.positions.min", "9" * 20),
    ],
)
async def test_value_that_no_event_can_have_is_an_error_of_its_field(session, name, field, value):
    answer = await session(f"/record/{name}", step="preview", **{**ACME, field: value})
    assert answer.status == 422
    assert f'id="f-{field}"' in await answer.text()


async def test_json_that_is_too_deep_is_a_text(session):
    text = '{"en":' * 300 + "1" + "}" * 300
    answer = await session("/record/party.registered", step="edit", **{**ACME, "data.name": text})
    assert answer.status == 200


async def test_correction_changes_only_what_was_changed(registry, session):
    await registry.take(registered("acme") | {"occurred": "2001"})
    form = {"subject": "parties/acme", "id": "2", "source": "https://example.org/", "data.event": "1"}
    form |= {
        "data.reason": "A slip.",
        "data.data.name": "Acme",
        "data.data.kind": "university",
        "data.occurred": "2001",
    }
    done = await session("/record/event.corrected", step="record", **form)
    assert done.status == 303
    recorded = (await registry.json("/v1/events/2"))["data"]
    assert recorded == {"event": 1, "reason": "A slip.", "data": {"name": "Acme", "kind": "university"}}


async def test_form_needs_a_key_with_the_scope_to_post(registry):
    reader = registry.app[KEYS].create("reader", [Scope.READ])
    answer = await registry.client.get("/record", headers={"Cookie": f"{COOKIE}={reader}"})
    assert answer.status == 403
    answer = await registry.client.post("/record/party.registered", data=ACME, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/session?to=/record/party.registered")


async def test_key_without_the_right_can_be_replaced(tmp_path):
    async with running(tmp_path / "data", read="key") as registry:
        poster = registry.app[KEYS].create("poster", [Scope.POST])
        sent = {"Cookie": f"{COOKIE}={poster}", "Accept": "text/html"}
        answer = await registry.client.get("/parties", headers=sent)
        assert answer.status == 403
        assert "/session?to=%2Fparties" in Page(await answer.text()).links


async def test_form_that_another_site_sent_records_nothing(registry):
    sent = {"Cookie": f"{COOKIE}={registry.key}", "Sec-Fetch-Site": "cross-site"}
    form = {"step": "record", **ACME}
    assert (await registry.client.post("/record/party.registered", data=form, headers=sent)).status == 403
    assert (await registry.json("/v1/events"))["position"] == 0


@pytest.mark.parametrize("name", sorted(MINIMAL_AND_FULL))
def test_form_gives_back_the_data_that_it_was_filled_with(name):
    schema = CATALOGUE[name].data.model_json_schema()
    for data in MINIMAL_AND_FULL[name]:
        filled = data_of(schema, _filled(fields_of(schema, data, {})))
        assert filled == {member: value for member, value in data.items() if value is not None or member in filled}


def _filled(fields) -> dict[str, str]:
    form = {}
    for field in fields:
        form[field.name], form[field.name + CHINESE] = field.value, field.other
        for part in (field.parts, *field.rows):
            form |= _filled(part)
    return form


async def test_bitemporal_chart_shows_what_was_known_when(registry):
    await registry.take([event("platform.launched", "platforms/p", {"name": "P"}, "2020-01-01")])
    await registry.take([event("platform.dissolved", "platforms/p", {}, "2024-01-01")])
    _, page = await read(registry, "/platforms/p/compare")
    text = " ".join("".join(page.text).split())
    assert "What was known when, of which day" in text
    table = text.partition("The same as a table")[2]
    row = next(part for part in table.split("1 January 2024")[1:])
    assert row.startswith("launcheddissolved")


async def test_timeline_draws_facts_with_dates(seeds):
    _, page = await read(seeds, "/timeline")
    assert "These facts, in the order of valid time" in "".join(page.text)
    assert page.tags.count("svg") == 1


@pytest.mark.parametrize(
    ("language", "none", "only_posts", "unknown"),
    [
        ("en", "You have not given a key", "Your key, poster, records facts but shows no texts", "was revoked"),
        ("zh", "您还没有输入密钥", "您的密钥 poster 可以登记事实，但不能显示文本", "已被撤销"),
    ],
)
async def test_page_says_why_a_text_is_not_shown_and_what_to_do(registry, language, none, only_posts, unknown):
    text = "Acme and Umbrella agree."
    await stored_text(registry, text)

    async def shown(key):
        answer = await registry.client.get(
            f"/documents/d?lang={language}", headers={"Cookie": key and f"{COOKIE}={key}"}
        )
        return await answer.text()

    keys = registry.app[KEYS]
    for key, why in (("", none), (keys.create("poster", [Scope.POST]), only_posts), ("x", unknown)):
        page = await shown(key)
        assert text not in page
        assert why in page
        assert "registry keys create NAME --scope read --scope post" in page
        assert "/session?" in page
    assert text in await shown(keys.create("reader", [Scope.READ]))


def _covered(html):
    """Return the text of a document's page with the number of its first character, and which of its characters are marked."""
    shown = re.search(r'<div class="text".*? data-start="(\d+)"[^>]*>(.*?)</div>', html, re.DOTALL)
    assert shown
    parts = re.split(r"(<mark[^>]*>|</mark>)", re.sub(r"<sup>.*?</sup>|<span id=[^>]*></span>", "", shown[2]))
    text, marks, is_marked = "", [], False
    for part in parts:
        if part.startswith("<"):
            is_marked = part != "</mark>"
        else:
            text += unescape(part)
            marks += [is_marked] * len(unescape(part))
    return int(shown[1]), text, marks


async def _parts(registry, address):
    """Yield the pages of a document's parts, from this address on by their links to the next part."""
    reader = registry.app[KEYS].create(f"reader {uuid4()}", [Scope.READ])
    while address:
        answer = await registry.client.get(address, headers={"Cookie": f"{COOKIE}={reader}"})
        assert answer.status == 200
        yield (html := await answer.text())
        following = re.findall(r'<a rel="next" href="([^"]+)">Next part', html)
        address = unescape(following[0]) if following else ""


CITED = "Zwölf <b>Parteien</b> & \r\n宁德 einigen sich.\n" * 1500


async def test_every_passage_of_a_long_text_is_marked_on_one_of_its_parts(registry):
    await stored_text(registry, CITED, language="de")
    chance = random.Random(5)
    starts = [chance.randrange(len(CITED) - 50) for _ in range(300)]
    places = [(start, start + chance.randint(1, 50)) for start in starts] + [(100, 20_000)]
    quoted = {"document": "documents/d", "exact": "Zwölf <b>"}
    evidence = [[{"document": "documents/d", "start": start, "end": end}, quoted] for start, end in places]
    await registry.take([party(f"p{at}", evidence=each) for at, each in enumerate(evidence)])
    cited = [False] * len(CITED)
    for start, end in [*places, (0, len(quoted["exact"]))]:
        cited[start:end] = [True] * (end - start)
    text, numbers = "", set()
    marks: list[bool] = []
    async for html in _parts(registry, "/documents/d"):
        start, shown, covered = _covered(html)
        assert start == len(text)
        text, marks = text + shown, marks + covered
        for first, last in re.findall(r'#cited-\d+">(\d+)(?:–(\d+))?<', html):
            numbers |= set(range(int(first), int(last or first) + 1))
        assert len(html) < 120_000
    assert text == CITED
    assert marks == cited
    assert numbers == set(range(1, 603))


async def test_mark_leads_to_its_fact_and_back_from_any_page_of_the_list(registry):
    await stored_text(registry, "ab" * 20_000)
    evidence = [{"document": "documents/d", "start": at * 300, "end": at * 300 + 5} for at in range(120)]
    await registry.take(party("p", evidence=evidence) | {"id": "p"})
    async for html in _parts(registry, "/documents/d?start=12000"):
        page = Page(html)
        for link in page.links:
            address, _, anchor = link.partition("#")
            if anchor.startswith(("cited-", "at-")):
                there = page if not address else Page(await anext(_parts(registry, address)))
                assert anchor in there.ids
        assert len(set(page.ids)) == len(page.ids)


@pytest.mark.parametrize("crowd", ["one place", "many places"])
async def test_part_with_thousands_of_passages_stays_small(registry, crowd):
    text = "&" * 30_000
    await stored_text(registry, text)
    chance = random.Random(7)
    for number in range(30):
        places = [(chance.randrange(100), chance.randrange(15_000, 15_100)) for _ in range(100)]
        if crowd == "one place":
            places = [(12, 15)] * 100
        evidence = [{"document": "documents/d", "start": start, "end": end} for start, end in places]
        await registry.take(party(f"p{number}", evidence=evidence) | {"id": str(number)})
    async for html in _parts(registry, "/documents/d"):
        Page(html)
        assert len(html) < 125_000


async def test_failed_quotation_is_listed_and_not_marked(registry):
    text = "Acme and Umbrella agree."
    data = {"title": "D", "sha256": sha256(text.encode()).hexdigest()}
    await registry.take(event("document.registered", "documents/d", data))
    passages = [
        {"document": "documents/d", "start": 0, "end": 4, "exact": "Acne"},
        {"document": "documents/d", "exact": "Umbrel"},
        {"document": "documents/d", "exact": "Umber"},
        {"document": "documents/d"},
    ]
    await registry.take(party("p", evidence=passages))
    await put_text(registry, text)
    html = await anext(_parts(registry, "/documents/d"))
    assert _covered(html)[2] == [9 <= at < 15 for at in range(len(text))]
    assert html.count("not found in the stored text") == 2
    assert 'class="passage-failed"' in html


async def test_session_is_ended_from_any_page(registry, session):
    shown = await registry.client.get("/", headers={"Cookie": f"{COOKIE}={registry.key}"})
    assert 'action="/session/end"' in await shown.text()
    assert 'action="/session/end"' not in await (await registry.get("/")).text()
    ended = await session("/session/end")
    assert (ended.status, ended.headers["Location"]) == (303, "/")
    assert "Max-Age=0" in ended.headers["Set-Cookie"]


async def test_line_breaks_in_a_query_add_no_header_to_the_way_to_a_page(registry):
    query = "q=a%0d%0aSet-Cookie:%20a=b"
    answer = await registry.client.get(f"/v1/parties?{query}", headers={"Accept": "text/html"}, allow_redirects=False)
    assert answer.status == 303
    assert "Set-Cookie" not in answer.headers
    assert "\n" not in answer.headers["Location"]


LAB = [
    {"phase": "build", "title": {"en": "Building", "zh": "建设"}, "duration": "P1Y"},
    {"phase": "run", "title": "Running", "after": ["build"]},
]
COMMITMENT = {"commitment": "hall-a", "kind": "facility", "title": {"en": "A test hall", "zh": "试验大厅"}}


def _one_of_each() -> list[dict[str, object]]:
    """Return events that leave one subject of each collection, one commitment, and one of all that pages count."""
    cited = [{"document": "documents/d", "start": 0, "end": 1}]
    opened = {"call": "post-a", "role": "Engineer", "positions": {"min": 1, "max": 1}}
    return [
        event("document.registered", "documents/d", {"title": "D", "url": "https://example.org/"}) | {"id": "d"},
        party("a", "Acme", evidence=cited) | {"id": "a"},
        signed("x", "2020-01-01", "a") | {"id": "x"},
        event("agreement.commitment-made", "agreements/x", COMMITMENT, "2020-02-01") | {"id": "c"},
        event("lab.founded", "labs/l", {"name": "L", "founders": ["parties/a"], "phases": LAB}, "2020-03-01")
        | {"id": "l"},
        event("lab.recruitment-opened", "labs/l", opened, "2020-04-01") | {"id": "o"},
        event("platform.launched", "platforms/p", {"name": "P"}, "2020-01-01") | {"id": "p"},
    ]


def _changes() -> list[dict[str, object]]:
    """Return events that name a commitment, a phase and a call by slug."""
    update = {"commitment": "hall-a", "status": "fulfilled"}
    return [
        event("agreement.commitment-updated", "agreements/x", update, "2021-01-01") | {"id": "u"},
        event("lab.phase-started", "labs/l", {"phase": "build"}, "2021-01-01") | {"id": "s"},
        event("lab.phase-completed", "labs/l", {"phase": "build"}, "2021-06-01") | {"id": "e"},
        event("lab.recruitment-closed", "labs/l", {"call": "post-a", "hired": 1}, "2021-01-01") | {"id": "h"},
    ]


async def _text(registry, path):
    _, page = await read(registry, path)
    return " ".join("".join(page.text).split())


async def test_sentences_name_commitments_phases_and_calls_by_title(registry):
    await registry.take([*_one_of_each(), *_changes()])
    english = await _text(registry, "/timeline")
    for said in (
        "The commitment “A test hall” under X is now: fulfilled.",
        "The phase “Building” of L started.",
        "The phase “Building” of L was completed.",
        "L closed the call “Engineer”.",
    ):
        assert said in english, said
    chinese = await _text(registry, "/labs/l?lang=zh")
    assert "阶段“建设”开始" in chinese
    assert "试验大厅" in await _text(registry, "/agreements/x?lang=zh")
    for path in ("/timeline", "/labs/l", "/agreements/x", "/labs/l/compare"):
        assert not re.search("“(hall-a|build|post-a)”", await _text(registry, path)), path


async def test_sentence_on_a_phase_without_a_title_names_its_slug(registry):
    founded = {"name": "L", "founders": ["parties/a"], "phases": [{"phase": "build"}]}
    await registry.take(
        [
            party("a") | {"id": "a"},
            event("lab.founded", "labs/l", founded, "2020") | {"id": "l"},
            event("lab.phase-started", "labs/l", {"phase": "build"}, "2021") | {"id": "s"},
        ]
    )
    assert "The phase “build” of L started." in await _text(registry, "/labs/l")


async def test_phase_says_by_title_what_it_waits_for(registry):
    await registry.take(_one_of_each())
    assert "waits for Building" in await _text(registry, "/labs/l")
    assert "等待 建设" in await _text(registry, "/labs/l?lang=zh")


async def test_preview_names_what_it_speaks_of(registry, session):
    await registry.take(_one_of_each())
    sent = {"id": "n", "source": "https://example.org/", "step": "preview"}
    for name, form, said in (
        ("lab.phase-started", {"subject": "labs/l", "data.phase": "build"}, "The phase “Building” of L started."),
        ("platform.member-joined", {"subject": "platforms/p", "data.party": "parties/a"}, "Acme joined P."),
        ("party.registered", ACME, "Acme is recorded as a party"),
    ):
        answer = await session(f"/record/{name}", **{**form, **sent})
        assert said in " ".join("".join(Page(await answer.text()).text).split()), name


async def test_one_of_anything_is_counted_in_the_singular(registry):
    await registry.take(_one_of_each())
    home = await _text(registry, "/")
    for counted in ("1 party", "1 agreement", "1 lab", "1 platform", "1 document", "1 commitment", "2 memberships"):
        assert re.search(rf"\b{counted}\b", home), counted
    assert f"{len(_one_of_each())} entries in the log" in home
    subjects = [f"/{subject}" for subject in await _subjects(registry)]
    listed = [f"/{view}" for view in LISTS]
    for path in ("/", "/search?q=acme", "/network?center=platforms/p", "/events", "/events/1", *subjects, *listed):
        assert re.findall(r"\b1 (?!was |is |has |status )[a-z]+s\b", await _text(registry, path)) == [], path


async def test_log_of_one_entry_has_one_entry(registry):
    await registry.take(registered("a"))
    assert "1 entry in the log" in await _text(registry, "/")


def test_no_text_for_many_follows_a_number():
    """A number and the word after it are one text for `ngettext`, never a number beside a word."""
    counted = re.compile(r"\{(?:n|size|min|max|count|number|total)\} (?:[a-z]+ )?[a-z]+s\b")
    for path in [*DIRECTORY.glob("templates/*.html"), *DIRECTORY.glob("*.py")]:
        text = path.read_text()
        assert re.findall(r"wording\.number\([^{}]*\)\s*\}\}(?:</\w+>|\s)*(?:\{\{|\w)", text) == [], path.name
    singular: set[str] = {*SENTENCES.values(), *VARIANTS.values(), *VALUES.values()}
    for path in DIRECTORY.glob("templates/*.html"):
        with path.open("rb") as file:
            singular |= {given for _, _, given, _ in babel_extract(file, ("_",), [], {}) if isinstance(given, str)}
    for path in DIRECTORY.glob("*.py"):
        with path.open("rb") as file:
            singular |= {given for _, given, _, _ in extract("python", file, {"text": None}) if isinstance(given, str)}
    assert [text for text in singular if counted.search(text)] == []


def _form_of(text: str) -> dict[str, str]:
    """Return the fields of the form of a page that records a fact, as a browser would send them."""
    found: dict[str, str] = {}
    field = ""

    class Form(HTMLParser):
        def handle_starttag(self, tag, attrs):
            nonlocal field
            given = dict(attrs)
            field = given.get("name") or "" if tag == "textarea" else field
            if tag == "input" and given.get("name") not in (None, "q"):
                found[given["name"]] = given.get("value") or ""
            if tag == "select":
                self.select = given["name"]
                found[self.select] = ""
            if tag == "option" and "selected" in given:
                found[self.select] = given["value"]

        def handle_data(self, data):
            if field:
                found[field] = found.get(field, "") + data

        def handle_endtag(self, tag):
            nonlocal field
            field = "" if tag == "textarea" else field

    Form().feed(text.partition("<main")[2])
    return found


SIGNING = {
    "subject": "agreements/x",
    "id": "s",
    "source": "https://example.org/",
    "occurred": "2024-01",
    "data.title": "A & B <i>",
    "data.title~zh": "甲乙协议",
    "data.kind": "contract",
    "data.parties.0.party": "parties/a",
    "data.parties.1.party": "宁德时代",
    "data.parties.1.role": "host",
}


async def test_unknown_party_is_registered_from_the_form_which_comes_back_filled_in(registry, session):
    await registry.take(registered("a"))
    refused = await session("/record/agreement.signed", step="preview", **SIGNING)
    text = await refused.text()
    assert refused.status == 422
    assert "“宁德时代” is not a recorded party." in text
    assert 'value="register:data.parties.1.party"' in text
    asked = await session("/record/agreement.signed", **{**SIGNING, "step": "register:data.parties.1.party"})
    form = _form_of(await asked.text())
    assert (form["subject"], form["data.name~zh"]) == ("parties/ning-de-shi-dai", "宁德时代")
    form["data.kind"] = "company"
    previewed = _form_of(await (await session("/record/party.registered", **{**form, "step": "preview"})).text())
    back = await session("/record/party.registered", **{**previewed, "step": "record"})
    text = await back.text()
    assert 'role="status"' in text
    assert "宁德时代" in text.partition('role="status"')[2].partition("</p>")[0]
    filled = _form_of(text)
    assert {name: filled[name] for name in SIGNING} == {**SIGNING, "data.parties.1.party": "parties/ning-de-shi-dai"}
    done = await session("/record/agreement.signed", **{**filled, "step": "record"})
    assert done.status == 303
    assert (await registry.json("/v1/events/3"))["data"]["parties"][1]["party"] == "parties/ning-de-shi-dai"


async def test_party_that_names_another_new_party_is_registered_after_it(registry, session):
    form = {**SIGNING, "step": "register:data.parties.0.party"}
    first = _form_of(await (await session("/record/agreement.signed", **form)).text())
    assert first["subject"] == "parties/a"
    first |= {"data.name": "A", "data.kind": "company", "data.part_of": "B Group", "step": "register:data.part_of"}
    second = _form_of(await (await session("/record/party.registered", **first)).text())
    assert (second["subject"], second["data.name"]) == ("parties/b-group", "B Group")
    second |= {"data.kind": "company", "step": "record"}
    first = _form_of(await (await session("/record/party.registered", **second)).text())
    assert (first["data.name"], first["data.part_of"]) == ("A", "parties/b-group")
    waiting = _form_of(await (await session("/record/party.registered", **{**first, "step": "record"})).text())
    assert {name: waiting[name] for name in SIGNING} == SIGNING
    assert (await registry.json("/v1/parties/a"))["part_of"]["subject"] == "parties/b-group"


async def test_form_comes_back_as_it_was_where_no_party_is_registered(session):
    asked = await session("/record/agreement.signed", **{**SIGNING, "step": "register:data.parties.1.party"})
    form = _form_of(await asked.text())
    back = _form_of(await (await session("/record/party.registered", **{**form, "step": "leave"})).text())
    assert {name: back[name] for name in SIGNING} == SIGNING


async def test_refused_new_party_keeps_the_form_that_waits(session):
    asked = await session("/record/agreement.signed", **{**SIGNING, "step": "register:data.parties.1.party"})
    form = _form_of(await asked.text())
    refused = await session("/record/party.registered", **{**form, "step": "record"})
    assert refused.status == 422
    assert _form_of(await refused.text())["waiting"] == form["waiting"]


async def test_party_of_a_similar_name_is_offered_and_chosen(registry, session):
    await registry.take([party("catl", "CATL") | {"id": "c"}, party("old", "Old Works in Ulm") | {"id": "o"}])
    form = {**SIGNING, "data.parties.0.party": "catl", "data.parties.1.party": "works ulm"}
    text = await (await session("/record/agreement.signed", **form, step="edit")).text()
    assert 'value="choose:data.parties.0.party:parties/catl"' in text
    assert 'value="choose:data.parties.1.party:parties/old"' in text
    chosen = await session("/record/agreement.signed", **form, step="choose:data.parties.0.party:parties/catl")
    assert _form_of(await chosen.text())["data.parties.0.party"] == "parties/catl"


async def test_first_unknown_line_of_several_parties_is_registered(registry, session):
    await registry.take(registered("a"))
    form = {**ACME, "subject": "labs/l", "data.founders": "parties/a\nNew One\nNew Two", "data.name": "L"}
    asked = _form_of(await (await session("/record/lab.founded", **form, step="register:data.founders")).text())
    assert asked["data.name"] == "New One"
    asked |= {"data.kind": "company", "step": "record"}
    back = await (await session("/record/party.registered", **asked)).text()
    assert _form_of(back)["data.founders"] == "parties/a\nparties/new-one\nNew Two"
    assert "“New Two” is not a recorded party." in back


async def test_known_party_is_not_offered_for_registration(registry, session):
    await registry.take([registered("a") | {"id": "a"}, party("b") | {"id": "b"}])
    await registry.take(event("party.merged", "parties/a", {"into": "parties/b"}))
    form = {**SIGNING, "data.parties.1.party": "parties/b"}
    assert (
        "is not a recorded party" not in await (await session("/record/agreement.signed", **form, step="edit")).text()
    )


@pytest.mark.parametrize(
    "waiting",
    [
        "x",
        "[]",
        "{}",
        '{"type":"none","field":"","text":"","form":{}}',
        '{"type":[],"field":"","text":"","form":{}}',
        '{"type":"party.renamed","field":"","text":"","form":[]}',
        '{"type":"party.renamed","field":"","text":"","form":{"data.name":1}}',
    ],
)
async def test_waiting_form_of_another_shape_is_refused(registry, session, waiting):
    answer = await session("/record/party.registered", step="record", waiting=waiting, **ACME)
    assert answer.status == 400
    assert (await registry.json("/v1/events"))["position"] == 0


@pytest.mark.parametrize("text", [*HOSTILE, "x y " * 10_000])
async def test_hostile_name_of_a_new_party_is_shown_as_text(session, text):
    form = {**SIGNING, "data.parties.0.party": text}
    for step in ("edit", "register:data.parties.0.party"):
        answer = await session("/record/agreement.signed", **form, step=step)
        page = Page(await answer.text())
        assert answer.status == 200
        assert set(page.loads) == ASSETS
        assert "img" not in page.tags


async def test_correction_keeps_what_was_left_as_it_is_while_it_is_changed(registry, session):
    await registry.take(registered("acme") | {"occurred": "2001"})
    form = {"subject": "parties/acme", "id": "2", "source": "https://example.org/", "data.event": "1"}
    form |= {"data.reason": "A slip.", "data.data.name": "Acme", "data.data.kind": "company", "data.occurred": "2002"}
    back = _form_of(await (await session("/record/event.corrected", step="edit", **form)).text())
    assert {name: back[name] for name in form} == form


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Siemens AG", "siemens-ag"),
        ("Société Générale", "societe-generale"),
        ("宁德时代", "ning-de-shi-dai"),
        ("Ωμ", ""),
    ],
)
def test_new_party_has_a_slug_after_its_name(name, slug):
    assert form_of_new_party(name, "")[0]["subject"] == f"parties/{slug}"


TODAY = date(2026, 6, 15).toordinal()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "2024-01",
            [
                "Understood as: January 2024 (from 1 January 2024 to 31 January 2024).",
                "Not so before 1 January 2024, possible from then on, and certain from 31 January 2024 on.",
            ],
        ),
        (
            "2024-01-21",
            [
                "Understood as: 21 January 2024 (on 21 January 2024).",
                "Certain from 21 January 2024 on, and not so before.",
            ],
        ),
        (
            "2021-08/..",
            [
                "Understood as: on some day from August 2021 on (no earlier than 1 August 2021).",
                "Not so before 1 August 2021, possible from then on, and certain from 15 June 2026 on.",
                "A date with an open end ends no later than the day of recording.",
            ],
        ),
        (
            "../2024-03",
            [
                "Understood as: by March 2024 (no later than 31 March 2024).",
                "Possible on every day before 31 March 2024, and certain from then on.",
            ],
        ),
        (
            "XXXX-08-18",
            [
                "Understood as: 18 August, year not stated (no bound is known).",
                "Possible on every day before 18 August 2025, and certain from then on.",
                "A date with an open end ends no later than the day of recording.",
            ],
        ),
        (
            "2030/..",
            [
                "Understood as: on some day from 2030 on (no earlier than 1 January 2030).",
                "Not so before 1 January 2030; possible from then on, and never certain.",
            ],
        ),
        ("2024-02-30", ["This is no date that the registry takes."]),
        ("soon", ["This is no date that the registry takes."]),
        ("2" * 10_000, ["This is no date that the registry takes."]),
    ],
)
def test_help_says_how_a_date_is_understood(text, lines):
    assert understood(Wording("en"), TODAY, text, is_occurrence=True) == lines
    assert understood(Wording("en"), TODAY, text, is_occurrence=False) == lines[:1]
    assert len(understood(Wording("zh"), TODAY, text, is_occurrence=True)) == len(lines)


@given(
    st.from_regex(r"([0-9]{4}|XXXX)[?~%]?(-[01][0-9][?~%]?(-[0-3][0-9][?~%]?)?)?(/(\.\.|[0-9]{4}))?", fullmatch=True)
)
def test_help_says_something_of_every_text(text):
    for language in LANGUAGES:
        lines = understood(Wording(language), TODAY, text, is_occurrence=True)
        try:
            span = span_recorded(text, TODAY)
        except ValueError:
            assert len(lines) == 1
        else:
            assert all(Wording(language).day(bound) in lines[1] for bound in (span.earliest, span.latest) if bound)


async def test_address_explains_a_date_in_the_readers_language(registry):
    answer = await registry.get("/dates?text=2024~&of=occurred&lang=zh")
    assert answer.content_type == "application/json"
    assert (await answer.json())["lines"][0].startswith("理解为：约 2024年")
    assert (await registry.json("/dates?text="))["lines"] == []
    assert (await registry.json("/dates?text=<b>%26"))["lines"] == ["This is no date that the registry takes."]
    open_end = "/dates?text=2021-08/..&of=occurred&recorded=2022-02-03&lang=en"
    assert "certain from 3 February 2022 on" in (await registry.json(open_end))["lines"][1]
    assert len((await registry.json("/dates?text=2021&recorded=never"))["lines"]) == 1


async def test_form_and_preview_say_how_each_date_is_understood(registry, session):
    await registry.take([registered("a") | {"id": "a"}, signed("x", "2020-01-01", "a") | {"id": "x"}])
    commitment = {
        "subject": "agreements/x",
        "id": "c",
        "source": "https://example.org/",
        "occurred": "2024-01",
        "data.commitment": "hall",
        "data.kind": "facility",
        "data.title": "A hall",
        "data.due": "2027?",
    }
    for step in ("edit", "preview"):
        answer = await session("/record/agreement.commitment-made", **commitment, step=step)
        text = " ".join("".join(Page(await answer.text()).text).split())
        assert "Not so before 1 January 2024, possible from then on, and certain from 31 January 2024 on." in text, step
        assert "Understood as: 2027 (uncertain) (from 1 January 2026 to 31 December 2028)." in text, step
        assert "Not so before 1 January 2026" not in text, step


async def test_open_end_of_a_corrected_date_is_the_day_of_the_first_recording(registry, session):
    await registry.take(registered("acme") | {"occurred": "2001"})
    day = day_text(day_of((await registry.json("/v1/events/1"))["recorded"]))
    registry.clock.now += timedelta(days=40)
    form = {"subject": "parties/acme", "id": "2", "source": "https://example.org/", "data.event": "1"}
    form |= {
        "data.reason": "A slip.",
        "data.data.name": "Acme",
        "data.data.kind": "company",
        "data.occurred": "2001/..",
    }
    for step in ("edit", "preview"):
        text = await (await session("/record/event.corrected", step=step, **form)).text()
        assert f"certain from {Wording('en').day(day)} on" in text, step
        assert step == "preview" or f'data-date="occurred" data-recorded="{day}"' in text
