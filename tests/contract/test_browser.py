"""The pages in a real browser: what a newcomer does, what the scripts add, accessibility, and every size.

Needs Chromium (`apt-get install chromium`, or `CHROMIUM` names another); without it these tests are skipped.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.contract.server import Event, Server, command, event

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
KINDS = (
    "/",
    "/agreements",
    "/agreements/catl-chengdu-framework",
    "/agreements/catl-chengdu-framework/compare?as_of=2000-01-01",
    "/parties/catl",
    "/platforms/casip",
    "/labs/clean-energy-joint-lab",
    "/documents/casip-launch-news",
    "/timeline?on=2024-02-01",
    "/network?center=parties/catl&depth=2",
    "/search?q=battery",
    "/events",
    "/events/19",
    "/audit",
    "/session",
    "/parties/nobody",
    "/docs",
    "/docs/agreements",
    "/words",
    "/record",
    "/problems/not-found",
)
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

expect.set_options(timeout=30_000)  # a busy machine is slow

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: apt-get install chromium, or name one by the variable CHROMIUM"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser without a window."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser, seeded: Server) -> Iterator[Page]:
    """Return an English page on the seeds, which fails the test for a script error or a request to another host."""
    yield from _page(browser, seeded)


def _page(browser: Browser, server: Server, **options: Any) -> Iterator[Page]:
    context = browser.new_context(base_url=server.address, locale="en-GB", **options)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
    opened.on("request", lambda request: faults.append(request.url) if _is_elsewhere(request.url, server) else None)
    yield opened
    context.close()
    assert not faults


def _is_elsewhere(address: str, server: Server) -> bool:
    return urlsplit(address).netloc != urlsplit(server.address).netloc


def test_newcomer_finds_who_agreed_what_how_it_is_known_and_what_was_known_before(page):
    page.goto("/")
    page.get_by_role("searchbox").fill("CATL")
    suggestion = page.locator(".suggestions a").first
    expect(suggestion).to_be_visible()
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("main").get_by_role("link", name="CATL", exact=True).first.click()
    expect(page).to_have_url(f"{page.url.partition('/parties')[0]}/parties/catl")
    page.get_by_role("link", name="Framework agreement of CATL and Chengdu on strategic cooperation").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Framework agreement of CATL and Chengdu")
    page.get_by_text("How this is known: 2 passages").first.click()
    page.get_by_role("link", name="Report on agreements of CATL and others with Chengdu").first.click()
    expect(page.get_by_role("heading", name="Its text, and what is cited from it")).to_be_visible()
    page.go_back()
    page.get_by_label("What held on", exact=True).fill("2024-02-01")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("status").first).to_contain_text("You see what held on 1 February 2024")
    page.get_by_role("navigation", name="Site").get_by_role("link", name="Parties").click()
    assert "on=2024-02-01" in page.url
    page.get_by_role("link", name="Back to today").click()
    assert "on=" not in page.url


def test_slider_moves_the_day(page):
    page.goto("/platforms/casip")
    page.get_by_label("What held on, as a slider").press("ArrowLeft")
    page.wait_for_url("**/platforms/casip?on=*")


def test_suggestions_are_reached_by_keyboard(page):
    page.goto("/")
    page.get_by_role("searchbox").fill("solid-state")
    expect(page.locator(".suggestions a").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".suggestions a").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox")).to_be_focused()
    expect(page.locator(".suggestions")).to_be_hidden()


@pytest.mark.parametrize("position", [1, 19, 52])
def test_browser_verifies_an_entry_by_itself(page, position):
    page.goto(f"/events/{position}")
    page.get_by_role("button", name="Verify").click()
    expect(page.locator(".passed")).to_contain_text(f"Verified: entry {position} is in the log")
    expect(page.locator("[data-verify] li")).to_have_count(6)


def _with_other_data(answer: dict[str, object]) -> None:
    answer["data"] = {"name": "Another", "kind": "company"}


def _with_other_type(answer: dict[str, object]) -> None:
    answer["type"] = "party.renamed"


def _with_other_entry(answer: dict[str, object]) -> None:
    answer["actor"] = "nobody"
    answer["entry"] = str(answer["entry"]).replace('"actor":"seeds"', '"actor":"nobody"')


@pytest.mark.parametrize("change", [_with_other_data, _with_other_type, _with_other_entry])
def test_tampered_answer_is_found_out(page, change):
    def tamper(route: Route) -> None:
        answer = route.fetch().json()
        change(answer)
        route.fulfill(json=answer)

    page.route("**/v1/events/2", tamper)
    page.goto("/events/2")
    page.get_by_role("button", name="Verify").click()
    expect(page.locator(".failed")).to_contain_text("Verification failed")
    expect(page.locator(".passed")).to_have_count(0)


def test_forged_checkpoint_is_found_out(page):
    def tamper(route: Route) -> None:
        text = route.fetch().text()
        signature = text.rstrip("\n").rpartition(" ")[2]
        route.fulfill(body=text.replace(signature, signature[:-12] + "AAAAAAAAAAA="))

    page.route("**/v1/events/2/proof", tamper)
    page.goto("/audit?entry=2")
    page.get_by_role("button", name="Verify").click()
    expect(page.locator(".failed")).to_contain_text("Verification failed")


def test_new_entry_arrives_while_the_log_is_open(browser, server):
    for page in _page(browser, server):
        page.goto("/events")
        live = page.locator("#live")
        expect(live).to_be_hidden()
        page.wait_for_timeout(500)
        server.post(event("party.registered", "parties/a", name="A", kind="company"))
        expect(live).to_contain_text("1 new entry since this page was opened.")
        live.get_by_role("link").click()
        expect(page.locator("#entries tr")).to_have_count(1)


def test_page_in_chinese(page):
    page.goto("/platforms/casip?lang=zh")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.get_by_role("heading", level=1)).to_contain_text("中国全固态电池产学研协同创新平台")
    expect(page.locator('h1 [lang="en"]')).to_contain_text("China All-Solid-State Battery")
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_button_that_needs_a_script_is_not_shown_without_it(browser, seeded):
    for page in _page(browser, seeded, java_script_enabled=False):
        page.goto("/events/2")
        expect(page.get_by_role("button", name="Verify")).to_be_hidden()
        assert "<noscript>" in page.content()


def test_pages_work_without_scripts(browser, seeded):
    for page in _page(browser, seeded, java_script_enabled=False):
        page.goto("/platforms/casip")
        page.get_by_label("What held on", exact=True).fill("2000-01-01")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Not found")
        page.get_by_role("searchbox").fill("battery")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Found for")


@pytest.mark.parametrize("path", KINDS)
def test_axe_finds_nothing_on_any_kind_of_page(browser, seeded, path):
    for scheme in ("light", "dark"):
        for page in _page(browser, seeded, color_scheme=scheme):
            page.goto(path)
            violations = Axe().run(page, options=WCAG).response["violations"]
            found = [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in violations]
            assert not found, json.dumps(found, indent=1)


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_no_page_is_wider_than_the_screen(browser, seeded, width):
    wide = []
    for page in _page(browser, seeded, viewport={"width": width, "height": 900}):
        for path in KINDS:
            page.goto(path)
            extent = page.evaluate("document.documentElement.scrollWidth")
            wide += [(path, extent)] if extent > width else []
    assert not wide


@pytest.mark.parametrize("scripts", [True, False])
def test_results_come_before_the_filters_on_a_phone(browser, seeded, scripts):
    viewport = {"width": 360, "height": 740}
    for page in _page(browser, seeded, viewport=viewport, java_script_enabled=scripts):
        for view, first in (
            ("agreements", ".results a"),
            ("memberships", ".listed td a"),
            ("timeline", ".listed figure"),
        ):
            page.goto(f"/{view}")
            expect(page.locator(first).first).to_be_in_viewport()
            page.get_by_role("link", name="Filters").press("Enter")
            expect(page.get_by_role("form", name="Filters").get_by_label("Words")).to_be_in_viewport()
        page.goto("/agreements")
        page.get_by_role("form", name="Filters").get_by_role("link", name="framework").click()
        expect(page.locator(".chosen")).to_contain_text("framework")


def test_filters_stand_beside_the_results_where_there_is_room(page):
    page.set_viewport_size({"width": 1600, "height": 900})
    page.goto("/agreements")
    expect(page.get_by_role("form", name="Filters").get_by_label("Words")).to_be_in_viewport()
    expect(page.get_by_role("link", name="Filters")).to_be_hidden()


def _network_of_300() -> list[Event]:
    """Return the events of 15 platforms and 285 parties, most with long names, some in Chinese."""
    events = [
        event("platform.launched", f"platforms/q{each}", name=f"Platform for Storage {each}") for each in range(15)
    ]
    for each in range(285):
        name = ("宁德时代新能源科技股份有限公司", "National Institute of Materials", "MWM Holding")[each % 3]
        subject = f"parties/p{each}"
        events.append(event("party.registered", subject, name=f"{name} {each}", kind="company"))
        joined = sorted({each % 15, each * each % 15})
        events += [event("platform.member-joined", f"platforms/q{platform}", party=subject) for platform in joined]
    return events


def _overlaps(page: Page) -> list[list[str]]:
    """Return the pairs of labels of the network that cover each other, as the browser has drawn them."""
    return page.evaluate(
        """() => {
            const labels = [...document.querySelectorAll(".node text")].map((each) => [each.textContent, each.getBBox()]);
            const pairs = labels.flatMap(([name, a], index) =>
                labels.slice(0, index).filter(([, b]) =>
                    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height,
                ).map(([other]) => [name, other]),
            );
            return pairs;
        }"""
    )


@pytest.mark.parametrize("path", ["/", "/network", "/network?lang=zh", "/network?center=parties/catl&depth=2"])
def test_no_two_labels_of_the_network_overlap(page, path):
    page.goto(path)
    assert page.locator(".node text").count() > 15
    assert not _overlaps(page)


def test_network_of_300_subjects_stays_readable_and_light(browser, server):
    server.imported(_network_of_300())
    for page in _page(browser, server, viewport={"width": 1600, "height": 900}):
        answer = page.goto("/network")
        assert answer is not None
        assert len(answer.body()) < 120_000  # beside it, style and script weigh 20 kB
        assert page.locator(".node").count() == 300
        assert page.locator(".node text").count() > 120
        assert page.locator(".of-platforms text").count() > 12
        assert not _overlaps(page)
        assert page.locator(".node text").first.evaluate("each => each.getBoundingClientRect().height") > 11
        assert "National Institute of Materials 283" in page.locator("table").inner_text()
        assert page.locator(".node title").filter(has_text="MWM Holding 284").count() == 1


TEXT = "Beijing, 3 May. Acme 宁德 and Umbrella agreed to build a laboratory together. Nothing else was said."


def test_passage_is_marked_and_a_fact_recorded_then_corrected(browser, server):
    server.post(
        event(
            "document.registered",
            "documents/news",
            title="News",
            language="en",
            sha256=hashlib.sha256(TEXT.encode()).hexdigest(),
        )
    )
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "text/plain; charset=utf-8"}
    assert server.client.put("/v1/documents/news/text", content=TEXT.encode(), headers=headers).status_code == 201
    made = command("keys", "create", "editor", "--scope", "post", "--scope", "read", "--data", server.data)
    for page in _page(browser, server):
        page.goto("/documents/news")
        expect(page.get_by_role("main")).to_contain_text(
            "only a key with the scope “read” shows it. You have not given"
        )
        page.goto("/record")
        page.get_by_label("Key").fill(made.stdout.decode().strip())
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Record a fact")
        page.goto("/documents/news")
        page.locator(".text").evaluate(
            """(text) => {
                const node = text.firstChild;
                const start = node.textContent.indexOf("Acme");
                getSelection().setBaseAndExtent(node, start, node, start + "Acme 宁德".length);
            }"""
        )
        page.get_by_role("link", name="Record a fact with this passage").click()
        page.get_by_role("link", name="registered", exact=True).first.click()
        page.get_by_label("Subject", exact=True).fill("parties/acme")
        page.get_by_label("name may stay empty").or_(page.get_by_label("name", exact=True)).first.fill("Acme")
        page.get_by_label("When it happened").fill("2024-05")
        page.get_by_role("button", name="See what it changes").click()
        expect(page.locator(".error").first).to_have_text("is required")
        page.get_by_label("kind", exact=True).select_option("company")
        page.get_by_role("button", name="See what it changes").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Before it is recorded")
        expect(page.get_by_role("main")).to_contain_text("from 1 May 2024 to 31 May 2024")
        page.get_by_role("button", name="Record it").click()
        expect(page.get_by_role("status").first).to_contain_text("It is recorded.")
        page.get_by_role("link", name="See the subject").click()
        expect(page.locator("blockquote mark")).to_have_text("Acme 宁德")
        expect(page.locator(".check-verified")).to_be_visible()
        page.get_by_role("link", name="Correct it").click()
        page.get_by_label("reason", exact=True).fill("It is a university.")
        page.get_by_label("kind", exact=True).select_option("university")
        page.get_by_role("button", name="See what it changes").click()
        expect(page.locator("mark").filter(has_text="university")).to_be_visible()
        page.get_by_role("button", name="Record it").click()
        page.goto("/parties/acme")
        expect(page.locator("dl.summary")).to_contain_text("university")
        expect(page.get_by_role("main")).to_contain_text("was corrected: It is a university.")
        violations = Axe().run(page, options=WCAG).response["violations"]
        assert not violations


def test_passage_marked_in_a_later_part_of_a_long_text_is_found_there(browser, server):
    text = "🦊 Preamble\r\n" * 1500 + "The Parties\r\nagree on 宁德." + " Nothing else.\r\n" * 1000
    digest = hashlib.sha256(text.encode()).hexdigest()
    server.post(event("document.registered", "documents/treaty", title="Treaty", language="en", sha256=digest))
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "text/plain; charset=utf-8"}
    assert server.client.put("/v1/documents/treaty/text", content=text.encode(), headers=headers).status_code == 201
    made = command("keys", "create", "editor", "--scope", "post", "--scope", "read", "--data", server.data)
    for page in _page(browser, server):
        page.goto("/session?to=/documents/treaty")
        page.get_by_label("Key").fill(made.stdout.decode().strip())
        page.get_by_role("button", name="Go on").click()
        page.get_by_role("link", name="Next part").click()
        page.locator(".text").evaluate(
            """(text) => {
                const node = text.firstChild;
                const start = node.textContent.indexOf("The Parties");
                getSelection().setBaseAndExtent(node, start, node, start + "The Parties\\r\\nagree on 宁德".length);
            }"""
        )
        page.get_by_role("link", name="Record a fact with this passage").click()
        page.get_by_role("link", name="registered", exact=True).first.click()
        at = text.index("The Parties")
        expect(page.locator('form.record [name="data.evidence.0.start"]')).to_have_value(str(at))
        expect(page.locator('form.record [name="data.evidence.0.end"]')).to_have_value(str(at + 24))
        quotation = {"document": "documents/treaty", "start": at, "end": at + 24, "exact": text[at : at + 24]}
        server.post(event("party.registered", "parties/a", name="A", kind="company", evidence=[quotation]))
        page.goto("/documents/treaty")
        expect(page.locator(".text mark")).to_have_count(0)
        page.get_by_role("link", name=f"characters {at} to {at + 24}").click()
        expect(page.locator(".text mark")).to_contain_text("agree on 宁德")
        expect(page.locator(f"#at-{at}")).to_be_in_viewport()
        page.locator(".text mark sup a").click()
        expect(page.locator("#cited-1")).to_be_in_viewport()
        assert not Axe().run(page, options=WCAG).response["violations"]


def _recording(browser: Browser, server: Server, path: str, **options: Any) -> Iterator[Page]:
    """Yield a page with a form, in a session with a key that may post."""
    made = command("keys", "create", "clerk", "--scope", "post", "--scope", "read", "--data", server.data)
    for page in _page(browser, server, **options):
        page.goto(path)
        page.locator("#key").fill(made.stdout.decode().strip())
        page.get_by_role("main").get_by_role("button").first.click()
        expect(page.locator("form.record, form.upload")).to_be_visible()
        yield page


def _fill_in_signing(page: Page) -> None:
    page.locator("#f-subject").fill("agreements/x")
    page.locator("#f-occurred").fill("2024-01")
    page.locator('[id="f-data.title"]').fill("Agreement on tests")
    page.locator('[id="f-data.kind"]').select_option("contract")


def _register_then_record(page: Page, button: Any) -> None:
    """Register the new party that a button offers, and record the signing that waited."""
    button.click()
    expect(page.locator("#f-subject")).to_have_value("parties/new-works")
    expect(page.locator('[id="f-data.name"]')).to_have_value("New Works")
    page.locator('[id="f-data.kind"]').select_option("company")
    page.get_by_role("button", name="See what it changes").click()
    page.get_by_role("button", name="Record it").click()
    expect(page.get_by_role("status").first).to_contain_text("New Works is recorded, and filled in here.")
    expect(page.locator('[id="f-data.parties.0.party"]')).to_have_value("parties/new-works")
    expect(page.locator('[id="f-data.title"]')).to_have_value("Agreement on tests")
    page.get_by_role("button", name="See what it changes").click()
    expect(page.locator(".lead").first).to_contain_text("New Works signed Agreement on tests.")
    page.get_by_role("button", name="Record it").click()
    expect(page.get_by_role("status").first).to_contain_text("It is recorded.")


def test_new_party_is_registered_while_a_form_is_filled_in(browser, server):
    server.post(event("party.registered", "parties/old", name="Old Works", kind="company"))
    for page in _recording(browser, server, "/record/agreement.signed"):
        _fill_in_signing(page)
        field = page.locator('[id="f-data.parties.0.party"]')
        register = page.locator(".suggestions").get_by_role("button", name="Register a new party")
        field.press_sequentially("Old Works")
        page.locator(".suggestions").get_by_role("link", name="Old Works").click()
        expect(field).to_have_value("parties/old")
        field.fill("")
        field.press_sequentially("New Works")
        expect(register).to_be_visible()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowDown")
        _register_then_record(page, register)


def test_new_party_is_registered_from_a_form_without_scripts(browser, server):
    for page in _recording(browser, server, "/record/agreement.signed", java_script_enabled=False):
        _fill_in_signing(page)
        register = page.get_by_role("button", name="Register a new party")
        expect(register).to_have_count(0)
        page.locator('[id="f-data.parties.0.party"]').fill("New Works")
        page.locator("#f-occurred").press("Enter")
        expect(page.get_by_role("main")).to_contain_text("“New Works” is not a recorded party.")
        _register_then_record(page, register)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Not so before 1 January 2024, possible from then on, and certain from 31 January 2024 on."),
        ("zh", "2024年1月1日前不成立，此后可能，2024年1月31日起确定。"),
    ],
)
def test_date_is_explained_while_it_is_typed(browser, server, language, said):
    for page in _recording(browser, server, f"/record/agreement.signed?lang={language}"):
        explained = page.locator("#f-occurred-understood")
        expect(explained).to_be_empty()
        page.locator("#f-occurred").press_sequentially("2024-01")
        expect(explained).to_contain_text(said)
        page.locator("#f-occurred").press_sequentially("-99")
        expect(explained).not_to_contain_text(said)
        expect(explained.locator("p")).to_have_count(1)
        page.locator("#f-occurred").fill("")
        expect(explained).to_be_empty()
        page.locator('[id="f-data.until"]').press_sequentially("2030~")
        expect(page.locator('[id="f-data.until-understood"] p')).to_have_count(1)


def test_date_is_explained_after_the_preview_without_scripts(browser, server):
    server.post(event("party.registered", "parties/a", name="A", kind="company"))
    for page in _recording(browser, server, "/record/party.renamed", java_script_enabled=False):
        page.locator("#f-subject").fill("parties/a")
        page.locator('[id="f-data.name"]').fill("B")
        page.locator("#f-occurred").fill("2024-01")
        said = "certain from 31 January 2024 on"
        for button in ("See what it changes", "Change it"):
            page.get_by_role("button", name=button).click()
            expect(page.locator(".understood").first).to_contain_text(said)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [360, 1600])
def test_axe_finds_nothing_on_forms(browser, server, language, width):
    path = f"/record/agreement.signed?lang={language}"
    for page in _recording(browser, server, path, viewport={"width": width, "height": 900}):
        page.locator('[id="f-data.parties.0.party"]').fill("New Works")
        page.locator("#f-subject").fill("agreements/x")
        page.locator("#f-occurred").fill("2024-01")
        page.locator("form.record button").last.click()
        expect(page.locator(".error").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not Axe().run(page, options=WCAG).response["violations"]


@pytest.mark.parametrize("scripts", [True, False])
def test_text_of_a_new_document_is_uploaded_and_stored(browser, server, scripts):
    html = b"<!doctype html><title>News</title><p>The parties agree to build a laboratory."
    for page in _recording(browser, server, "/upload", java_script_enabled=scripts):
        assert not scripts or not Axe().run(page, options=WCAG).response["violations"]
        page.locator("#file").set_input_files({"name": "news.html", "mimeType": "text/html", "buffer": html})
        page.get_by_role("button", name="Read its text").click()
        expect(page.locator(".text")).to_have_text("The parties agree to build a laboratory.")
        assert not scripts or not Axe().run(page, options=WCAG).response["violations"]
        page.get_by_role("link", name="Register a document with this text").click()
        page.locator("#f-subject").fill("documents/news")
        page.locator('[id="f-data.title"]').fill("News")
        page.locator("form.record button").last.click()
        page.get_by_role("button", name="Record it").click()
        expect(page.locator(".text")).to_contain_text("build a laboratory")
        assert page.url.endswith("/documents/news")


PICTURES = {
    "home": "/",
    "agreement": "/agreements/catl-shanghai-framework",
    "network": "/network?center=parties/catl&depth=2",
    "compare": "/platforms/casip/compare?on=2023-12-31",
    "audit": "/audit?entry=19",
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_the_documentation_are_taken(page, name, tmp_path):
    """The variable PICTURES names the folder to renew: `PICTURES=docs/pictures` and this test alone."""
    page.set_viewport_size({"width": 1100, "height": 800})
    page.goto(PICTURES[name])
    if name == "audit":
        page.get_by_role("button", name="Verify").click()
        expect(page.locator(".passed")).to_be_visible()
    if name == "agreement":
        page.get_by_text("How this is known").first.click()
    path = Path(os.environ.get("PICTURES", tmp_path)) / f"{name}.png"
    page.screenshot(path=path)
    assert path.stat().st_size > 10_000
