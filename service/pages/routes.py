"""The pages as rows of operations. They have the addresses of the API without `/v1`."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from service.extraction_jobs import EXTRACTIONS, Extractions
from service.http.answers import JSON
from service.http.operations import HTML, STRING, Answer, Handler, Operation, add
from service.pages import compare, dates, docs, lists, log, overview, record, session, subjects, uploads, words
from service.pages.problem_pages import ProblemPages
from service.pages.site import make_site
from service.pages.uploads import UPLOADS, Uploads

LISTS = ("parties", "agreements", "labs", "platforms", "documents", "memberships", "commitments", "timeline")


def _page(path: str, name: str, summary: str, handler: Handler, *, is_open: bool = False) -> Operation:
    """Return the row of a page; `is_open`: it says nothing of what is recorded, so it needs no key."""
    answers = {200: Answer("A page.", {HTML: STRING}, ("ETag",))}
    row = Operation("GET", path, name, "pages", summary, handler, answers, is_page=True)
    return row if is_open else replace(row, scope="read")


def _operations() -> tuple[Operation, ...]:
    return (
        _page("/", "home", "Where to begin", overview.home),
        _page("/search", "searchPage", "What some words find", overview.search),
        _page("/network", "networkPage", "Who is tied to whom", overview.network),
        *(_page(f"/{view}", f"{view}Page", f"The list of {view}", lists.list_page(view)) for view in LISTS),
        *(
            _page(
                f"/{collection}/{{slug}}",
                f"{collection}SubjectPage",
                f"One of {collection}",
                subjects.subject_page(collection),
            )
            for collection in subjects.TEMPLATES
        ),
        *(
            _page(
                f"/{collection}/{{slug}}/compare",
                f"{collection}ComparePage",
                "Two times side by side",
                compare.compare_page(collection),
            )
            for collection in subjects.TEMPLATES
        ),
        _page("/events", "logPage", "The log", log.log),
        _page("/events/{position:[0-9]{1,15}}", "entryPage", "One entry of the log", log.entry),
        _page("/audit", "auditPage", "What a reader can verify", log.audit),
        replace(_page("/record", "recordPage", "What kind of fact to record", record.choose), scope="post"),
        replace(_page("/record/{type}", "formPage", "The form of a type of event", record.blank), scope="post"),
        Operation(
            "POST",
            "/record/{type}",
            "recordFact",
            "pages",
            "Preview or record",
            record.send,
            {},
            scope="post",
            is_page=True,
        ),
        Operation(
            "GET",
            "/dates",
            "explainDate",
            "pages",
            "How a date is understood",
            dates.explain_date,
            {200: Answer("The sentences.", {JSON: {"type": "object"}}, ("ETag",))},
            is_page=True,
        ),
        replace(_page("/upload", "uploadPage", "The form for a document's file", uploads.ask), scope="post"),
        replace(_page("/upload/{token}", "uploadedPage", "An uploaded text", uploads.show), scope="post"),
        *(
            Operation("POST", path, name, "pages", summary, handler, {}, scope="post", is_page=True)
            for path, name, summary, handler in (
                ("/upload", "uploadFile", "Turn a file into text", uploads.receive),
                ("/upload/{token}", "storeUpload", "Store an uploaded text", uploads.store),
            )
        ),
        _page("/words", "wordsPage", "What the words mean", words.words, is_open=True),
        _page("/docs", "docs", "The API document to read", docs.docs, is_open=True),
        _page("/docs/{part}", "docsPart", "One part of the API document", docs.docs_part, is_open=True),
        *(
            _page(f"/static/{name}", f"static-{name}", "A file of the pages", docs.static_file(name), is_open=True)
            for name in docs.STATIC
        ),
        _page("/session", "askKey", "The page that asks for a key", session.ask_key, is_open=True),
        Operation("POST", "/session", "startSession", "pages", "Keep a key", session.start, {}, is_page=True),
        Operation("POST", "/session/end", "endSession", "pages", "Forget the key", session.end, {}, is_page=True),
        *ProblemPages().operations(),
    )


def add_routes(app: web.Application) -> None:
    """Add the pages to an application."""
    make_site(app)
    app[UPLOADS], app[EXTRACTIONS] = Uploads(), Extractions()
    add(app, _operations())
