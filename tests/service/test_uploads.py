"""Uploading a document's text: sound, scanned, protected and hostile files, and what becomes of their texts."""

from __future__ import annotations

import asyncio
import re
from hashlib import sha256
from html import unescape
from io import BytesIO
from time import monotonic, perf_counter

import aiohttp
import pytest
from lxml.html import document_fromstring

from service import extraction_jobs
from service.api_keys import Scope
from service.app_keys import KEYS
from service.http.access import COOKIE
from service.jobs import job
from service.pages import uploads
from service.text_extraction import Flaw, NoText, extract
from tests.service.files import encrypted, pdf, pdf_of
from tests.service.query_helpers import event
from tests.service.test_pages import Page

TEXT = "The Parties agree to build a laboratory."
HTML = f"<!doctype html><title>News</title><p>{TEXT}</p>".encode()


def digest(content: bytes | str) -> str:
    return sha256(content.encode() if isinstance(content, str) else content).hexdigest()


@pytest.fixture
def send(registry):
    """Return a function that sends a form with the session's cookie, and a file where one is given."""

    async def send(path, file=None, *, name="file.txt", type_="text/plain", key=None, headers=None, **fields):
        form = aiohttp.FormData(fields)
        if file is not None:
            form.add_field("file", BytesIO(file), filename=name, content_type=type_)
        sent = {"Cookie": f"{COOKIE}={key or registry.key}", **(headers or {})}
        return await registry.client.post(path, data=form, headers=sent, allow_redirects=False)

    return send


async def opened(registry, path, key=None):
    """Return a page with the session's cookie."""
    return await registry.client.get(
        path, headers={"Cookie": f"{COOKIE}={key or registry.key}", "Accept": "text/html"}, allow_redirects=False
    )


async def uploaded(registry, send, file, **more):
    """Upload a file that has a text; return the address of the page that shows it, and the page."""
    answer = await send("/upload", file, **more)
    assert answer.status == 303, await answer.text()
    shown = await opened(registry, answer.headers["Location"])
    assert shown.status == 200
    return answer.headers["Location"], await shown.text()


async def head(registry):
    return (await registry.json("/v1/events"))["position"]


async def stored(registry, document="documents/d"):
    """Return the stored text of a document."""
    reader = registry.app[KEYS].create(f"reader of {document}", [Scope.READ])
    answer = await registry.get(f"/v1/{document}/text", Authorization=f"Bearer {reader}")
    return await answer.read() if answer.status == 200 else None


def filled(html):
    """Return what the last form of a page is filled with."""
    form = document_fromstring(html).xpath("//main//form")[-1]
    return {name: value or "" for name, value in form.fields.items()}


def link(html, label):
    """Return the address of the link with this label."""
    (address,) = re.findall(rf'<a [^>]*href="([^"]+)"[^>]*>{label}</a>', html)
    return unescape(address)


@pytest.mark.parametrize(
    ("file", "text", "media_type"),
    [
        (pdf("The Parties agree.", "Page two."), "The Parties agree.\n\nPage two.", "application/pdf"),
        (pdf("Packed", filters=2), "Packed", "application/pdf"),
        (encrypted(pdf("Open to all"), ""), "Open to all", "application/pdf"),
        (HTML, TEXT, "text/html"),
        (b"\xef\xbb\xbf<html><p>A &amp; B<br>C</html>", "A & B\nC", "text/html"),
        ("<html><meta charset=gb2312><p>镕基</html>".encode("gb18030"), "镕基", "text/html"),
        ("<html><p>宁德</html>".encode("utf-16"), None, None),
        (b"<html><script>a()</script><p hidden>no<!-- no --><style>a</style><p>yes</html>", "yes", "text/html"),
        (b"<html><table><tr><td> a <td>b<tr><td>c</table><pre>d\ne</pre></html>", "a\tb\nc\nd\ne", "text/html"),
        (b"<html><p>The <b>Par</b>ties\n  agree</p></html>", "The Parties agree", "text/html"),
        ("宁德 \r\n\tA\x07".encode(), "宁德 \r\n\tA\x07", "text/plain"),
    ],
)
def test_text_of_a_file(file, text, media_type):
    if text is None:
        with pytest.raises(NoText):
            extract(file)
        assert extract(file, is_html=True).text == "宁德"
    else:
        found = extract(file)
        assert (found.text, found.media_type) == (text, media_type)


FLAWED = {
    "nothing": (b" \n", Flaw.EMPTY),
    "archive": (b"PK\x03\x04\x00\x00", Flaw.UNSUPPORTED),
    "gb18030": ("宁德".encode("gb18030"), Flaw.NOT_UTF8),
    "utf-16": ("宁德".encode("utf-16"), Flaw.NOT_UTF8),
    "points": (b" . . .", Flaw.NO_TEXT),
    "scan": (pdf("", ""), Flaw.NO_TEXT),
    "picture in HTML": (b"<html><img src=a></html>", Flaw.NO_TEXT),
    "protected": (encrypted(pdf("secret"), "word"), Flaw.ENCRYPTED),
    "no PDF": (b"%PDF-1.7 and no more", Flaw.MALFORMED),
    "cut short": (pdf("A")[:200], Flaw.MALFORMED),
    "many pages": (pdf(*["A"] * 2001), Flaw.TOO_MANY_PAGES),
    "deep arrays": (pdf_of([b"[" * 100_000]), None),
    "long": (b"a" * (16 * 2**20 + 1), Flaw.TOO_LONG),
    "bomb": (pdf_of([b"BT (A) Tj ET" + b" " * 10**8], filters=1), Flaw.TOO_COMPLEX),
}


@pytest.mark.parametrize("name", FLAWED)
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_file_without_a_text_is_refused_with_a_reason(registry, send, name, language):
    file, flaw = FLAWED[name]
    answer = await send(f"/upload?lang={language}", file, document="documents/d")
    html = await answer.text()
    page = Page(html)
    assert answer.status == 422, html
    assert 'role="alert"' in html
    assert 'value="documents/d"' in html
    assert set(page.fields) <= set(page.labels)
    if flaw is not None and language == "en":
        reasons = {
            Flaw.EMPTY: "is empty",
            Flaw.UNSUPPORTED: "neither a PDF nor HTML",
            Flaw.NOT_UTF8: "not in UTF-8",
            Flaw.NO_TEXT: "text recognition",
            Flaw.ENCRYPTED: "protected by a password",
            Flaw.MALFORMED: "damaged or cut short",
            Flaw.TOO_MANY_PAGES: "more than 2,000 pages",
            Flaw.TOO_LONG: "longer than 16 MiB",
            Flaw.TOO_COMPLEX: "too much time or memory",
        }
        assert reasons[flaw] in html
    assert await head(registry) == 0


async def test_file_that_is_too_large_or_missing_is_refused_with_a_reason(send, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_FILE_BYTES", 10_000)
    answer = await send("/upload", b"a" * 20_000)
    assert answer.status == 413
    assert "larger than" in await answer.text()
    answer = await send("/upload", b"", name="")
    assert answer.status == 422
    assert "Choose a file first." in await answer.text()


@pytest.mark.parametrize("bomb", ["memory", "time"])
async def test_reading_that_takes_too_much_ends_and_the_server_goes_on(registry, send, monkeypatch, bomb):
    monkeypatch.setattr(extraction_jobs, "SECONDS", 3 if bomb == "time" else 60)
    file = pdf_of([b"BT (A) Tj ET " * 100_000] * 200, filters=2) if bomb == "time" else b"<html>" + b"<p>x" * 8_000_000
    began = perf_counter()
    waiting = asyncio.create_task(send("/upload", file))
    slowest = 0.0
    while not waiting.done():
        asked = perf_counter()
        assert (await registry.get("/healthz")).status == 200
        slowest = max(slowest, perf_counter() - asked)
        await asyncio.sleep(0.05)
    answer = await waiting
    assert answer.status == 422
    assert "too much time or memory" in await answer.text()
    assert perf_counter() - began < 60
    assert slowest < 2


async def test_only_a_few_files_are_read_at_a_time(registry, send, monkeypatch):
    monkeypatch.setattr(extraction_jobs, "MOST", 0)
    answer = await send("/upload", HTML)
    assert answer.status == 503
    assert "Upload the file again" in await answer.text()


async def test_process_that_reads_a_file_is_bounded():
    async with job("service.text_extraction") as extraction:
        await extraction.finish()
    with pytest.raises(NoText):
        await extraction_jobs.Extractions().extract(b"%PDF-1.4", is_html=False)
    found = await extraction_jobs.Extractions().extract(HTML, is_html=False)
    assert found == extract(HTML)


async def test_text_of_a_registered_document_is_shown_then_stored(registry, send):
    data = {"title": "D", "sha256": digest(TEXT)}
    await registry.take(event("document.registered", "documents/d", data))
    at, html = await uploaded(registry, send, HTML, document="documents/d")
    assert TEXT in html
    assert digest(HTML) in html
    assert await head(registry) == 1
    assert await stored(registry) is None
    done = await send(at.partition("?")[0], document="documents/d")
    assert (done.status, done.headers["Location"]) == (303, "/documents/d")
    recorded = await registry.json("/v1/events/2")
    assert recorded["type"] == "document.text-stored"
    answer = await opened(registry, at)
    assert "stored already" in await answer.text()


async def test_document_is_registered_with_an_uploaded_text(registry, send):
    _at, html = await uploaded(registry, send, pdf(TEXT))
    form = await (await opened(registry, link(html, "Register a document with this text"))).text()
    fields = {**filled(form), "subject": "documents/d", "data.title": "D"}
    shown = await (await send("/record/document.registered", **fields, step="preview")).text()
    assert filled(shown)["upload"] == fields["upload"]
    done = await send("/record/document.registered", **fields, step="record")
    assert (done.status, done.headers["Location"]) == (303, "/documents/d")
    assert (await registry.json("/v1/documents/d"))["original"] == {
        "sha256": digest(pdf(TEXT)),
        "media_type": "application/pdf",
    }
    assert await stored(registry) == TEXT.encode()


async def test_document_without_a_sha256_is_corrected_then_its_text_is_stored(registry, send):
    await registry.take(event("document.registered", "documents/d", {"title": "D", "citation": "D 1"}))
    _at, html = await uploaded(registry, send, pdf(TEXT), document="documents/d")
    assert "without the SHA-256 of its text" in html
    form = await (await opened(registry, link(html, "Correct the registration"))).text()
    fields = filled(form)
    done = await send("/record/event.corrected", **fields, step="record")
    assert (done.status, done.headers["Location"]) == (303, "/documents/d"), await done.text()
    state = await registry.json("/v1/documents/d")
    assert (state["citation"], state["sha256"]) == ("D 1", digest(TEXT))
    assert state["original"]["sha256"] == digest(pdf(TEXT))
    assert await stored(registry) == TEXT.encode()


async def test_text_other_than_the_registered_one_is_not_stored(registry, send):
    await registry.take(event("document.registered", "documents/d", {"title": "D", "sha256": digest("Another")}))
    at, html = await uploaded(registry, send, HTML, document="documents/d")
    assert "SHA-256 of another text" in html
    assert digest("Another") in html
    done = await send(at.partition("?")[0], document="documents/d")
    assert done.status == 422
    assert await head(registry) == 1
    at, html = await uploaded(registry, send, b"Another", document="documents/d")
    done = await send(at.partition("?")[0], document="documents/d")
    assert done.status == 303
    at, html = await uploaded(registry, send, HTML, document="documents/d")
    assert "Another text of the document is stored" in html


async def test_uploaded_text_is_shown_to_its_key_alone_and_only_while_it_waits(registry, send, monkeypatch):
    keys = registry.app[KEYS]
    other, reader = keys.create("other", [Scope.POST]), keys.create("reader", [Scope.READ])
    at, html = await uploaded(registry, send, HTML)
    assert TEXT in html
    for key, status in ((other, 404), (reader, 403)):
        answer = await opened(registry, at, key)
        assert answer.status == status
        assert TEXT not in await answer.text()
        assert (await send(at, document="documents/d", key=key)).status == status
    answer = await registry.client.get(at, allow_redirects=False)
    assert (answer.status, answer.headers["Location"].partition("?")[0]) == (303, "/session")
    monkeypatch.setattr(uploads, "WAITING_SECONDS", 0.1)
    done = await send("/upload", HTML)
    await asyncio.sleep(0.2)
    answer = await opened(registry, done.headers["Location"])
    assert answer.status == 404
    assert "this one is gone" in await answer.text()


def test_texts_that_wait_take_bounded_memory(monkeypatch):
    monkeypatch.setattr(uploads, "MOST_WAITING_BYTES", 1000)
    waiting = uploads.Uploads()
    texts = [uploads.Upload("a", bytes(300), "", None, 0, 0, monotonic() + 60) for _ in range(5)]
    tokens = [waiting.add(each) for each in texts]
    assert [waiting.find(token, "a") is not None for token in tokens] == [False, False, True, True, True]
    assert waiting.find(tokens[4], "b") is None


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}])
async def test_file_from_a_form_of_another_site_is_refused(registry, send, headers):
    assert (await send("/upload", HTML, headers=headers)).status == 403
    at, _ = await uploaded(registry, send, HTML)
    assert (await send(at, document="documents/d", headers=headers)).status == 403


async def test_uploading_needs_a_key_with_the_scope_to_post(registry, send):
    reader = registry.app[KEYS].create("reader", [Scope.READ])
    assert (await send("/upload", HTML, key=reader)).status == 403
    answer = await send("/upload", HTML, key="unknown")
    assert (answer.status, answer.headers["Location"]) == (303, "/session?to=/upload")


@pytest.mark.parametrize(
    ("type_", "body", "status"),
    [
        ("application/x-www-form-urlencoded", b"file=a", 415),
        ("multipart/form-data", b"--a\r\n", 400),
        ("multipart/form-data; boundary=a", b"--b\r\n", 400),
        ("multipart/form-data; boundary=a", b"--a\r\n\r\n\r\n" * 30 + b"--a--", 400),
        ("multipart/form-data; boundary=a", b"\x00\xff" * 1000, 400),
        ("multipart/form-data; boundary=a", b"", 400),
    ],
)
async def test_malformed_form_is_refused(registry, type_, body, status):
    headers = {"Cookie": f"{COOKIE}={registry.key}", "Content-Type": type_}
    answer = await registry.client.post("/upload", data=BytesIO(body), headers=headers)
    assert answer.status == status


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\u202eabc\u2066 {{ 7 * 7 }} %s"]
)
async def test_hostile_text_is_shown_as_text(registry, send, text):
    _, html = await uploaded(registry, send, text.encode())
    page = Page(html)
    assert text in "".join(page.text)
    assert "img" not in page.tags
    assert page.tags.count("script") == 1


async def test_long_text_is_shown_in_parts(registry, send):
    text = "Words & more.\n" * 5000
    address, shown = (await uploaded(registry, send, text.encode()))[0], ""
    while address:
        html = await (await opened(registry, address)).text()
        assert len(html) < 120_000
        shown += re.search(r'<div class="text"[^>]*>(.*?)</div>', html, re.DOTALL)[1]  # type: ignore[index]
        following = re.findall(r'<a rel="next" href="([^"]+)"', html)
        address = unescape(following[0]) if following else ""
    assert unescape(shown) == text


@pytest.mark.parametrize("document", ["documents/none", "parties/a", "documents/../x", "x" * 500])
async def test_text_of_a_document_that_does_not_exist_is_not_stored(registry, send, document):
    at, _ = await uploaded(registry, send, HTML)
    assert (await send(at, document=document)).status in (400, 404, 422)
    assert await head(registry) == 0


async def test_document_page_offers_the_form_to_a_key_that_posts(registry, send):
    await registry.take(event("document.registered", "documents/d", {"title": "D", "sha256": digest(TEXT)}))
    assert 'href="/upload?document=documents%2Fd"' in await (await registry.get("/documents/d")).text()
    html = await (await opened(registry, "/documents/d")).text()
    assert filled(html) == {"document": "documents/d", "file": ""}
    at, _ = await uploaded(registry, send, TEXT.encode(), document="documents/d")
    await send(at.partition("?")[0], document="documents/d")
    html = await (await opened(registry, "/documents/d")).text()
    assert "/upload" not in html
