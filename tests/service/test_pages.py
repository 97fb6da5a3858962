"""The pages for people: they match the document, load nothing from elsewhere, and work without a script."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest

from domain.catalogue import CATALOGUE
from service.http.operations import DESCRIBED
from service.http.pages import kind_of
from service.http.templates import prose

PAGES = ("/", "/docs", "/problems", "/problems/not-found")
VOID = {"meta", "link", "input", "br"}


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
        if tag == "label":
            self.labels.append(given["for"])
        if tag == "input":
            self.fields.append(given["id"])

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        self.text.append(data)


async def read(registry, path):
    answer = await registry.get(path, Accept="text/html,*/*;q=0.8")
    assert (answer.status, answer.content_type) == (200, "text/html"), path
    return answer, Page(await answer.text())


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_loads_only_its_own_style_and_no_script(registry, path):
    answer, page = await read(registry, path)
    assert page.loads == ["/static/registry.css"]
    assert "script" not in page.tags
    assert "'none'" in answer.headers["Content-Security-Policy"]
    style = await registry.get("/static/registry.css")
    assert (style.status, style.content_type) == (200, "text/css")
    assert "url(" not in await style.text()
    assert "@import" not in await style.text()


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_can_be_used_by_keyboard_and_read_aloud(registry, path):
    _, page = await read(registry, path)
    assert page.tags.count("h1") == page.tags.count("main") == 1
    assert "#main" in page.links
    assert len(set(page.ids)) == len(page.ids)
    assert page.labels == page.fields
    assert "title" in page.tags


async def test_every_link_on_every_page_leads_somewhere(registry):
    seen = {}
    for path in PAGES:
        _, page = await read(registry, path)
        seen[path] = page
    for path, page in seen.items():
        for link in page.links:
            target, _, fragment = urljoin(path, link).partition("#")
            if target in seen:
                assert not fragment or fragment in seen[target].ids, (path, link)
            else:
                query = {"/v1/search": "?q=x", "/v1/parties/resolve": "?name=x"}.get(target, "")
                assert (await registry.get(target + query)).status == 200, (path, link)


async def test_the_page_shows_every_operation_and_every_type_of_event(registry):
    _, page = await read(registry, "/docs")
    assert {row.name for row in registry.app[DESCRIBED]} <= set(page.ids)
    assert {f"event-{name}" for name in CATALOGUE} <= set(page.ids)
    text = " ".join("".join(page.text).split())
    assert "parties" in text
    for word in ("as_of", "evidence", "commitment-made", "application/x-ndjson", "may be absent"):
        assert word in text


async def test_page_with_a_matching_etag_is_not_sent_again(registry):
    for path in ("/", "/docs", "/static/registry.css", "/openapi.json"):
        etag = (await registry.get(path)).headers["ETag"]
        assert (await registry.get(path, If_None_Match=etag)).status == 304


def test_prose_is_escaped():
    assert prose("a <b> `c<d`\n\nnext") == "<p>a &lt;b&gt; <code>c&lt;d</code></p><p>next</p>"


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"$ref": "#/components/schemas/Text"}, '<a href="#shape-Text">Text</a>'),
        ({"enum": ["a", "<b>"]}, "<code>a</code>, <code>&lt;b&gt;</code>"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or nothing"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"type": "array", "items": {"const": "x"}}, "list of <code>x</code>"),
        ({}, "any value"),
    ],
)
def test_schema_is_described_in_a_few_words(schema, shown):
    assert kind_of(schema) == shown


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_has_the_site_header_and_no_raw_backticks(registry, path):
    text = await (await registry.get(path, Accept="text/html")).text()
    assert 'class="brand"' in text
    assert "`" not in text
