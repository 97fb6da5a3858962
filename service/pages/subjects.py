"""Pages of subjects: an agreement, a party, a lab, a platform, a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from projections.citations import PART_CHARACTERS
from projections.engine.query_types import Gone, NotFound, TimeSlice
from projections.reader import Reader
from service.api_keys import Key, Scope
from service.http.access import VERIFIED, sent_key
from service.pages import pictures
from service.pages.addresses import whole_number
from service.pages.facts import facts, remarks
from service.pages.site import Context, Visit, page
from service.pages.text_marks import marked
from service.pages.uploads import MOST_FILE_BYTES

TEMPLATES = {
    "parties": "party.html",
    "agreements": "agreement.html",
    "labs": "lab.html",
    "platforms": "platform.html",
    "documents": "document.html",
}
_MOST = 50
"""Most items of each list of a page, which links the rest."""
_OF_PART = 5
"""Memberships of a part that the page of its party lists."""
_LISTED = 50
"""Passages that the page of a document lists."""
_LABELS = 3
"""Places that a mark in a text names."""
_DEEPEST = 8
"""Levels of an agreement's tree that are followed upwards."""


def subject_page(collection: str) -> Callable[[web.Request], Any]:
    """Return the handler of the pages of one collection."""

    async def handler(request: web.Request) -> web.StreamResponse:
        subject = f"{collection}/{request.match_info['slug']}"
        key = sent_key(request, request.app[VERIFIED])

        def find(reader: Reader, visit: Visit) -> Context:
            context = _subject(reader, visit, collection, subject)
            match collection:
                case "agreements":
                    context |= _agreement(reader, visit, context["state"])
                case "parties":
                    context |= _party(reader, visit, context["state"])
                case "platforms":
                    context |= _platform(visit, context["state"])
                case "labs":
                    context |= _lab(visit, context["state"])
                case "documents":
                    context |= _document(reader, visit, subject, key)
            return context

        return await page(request, TEMPLATES[collection], find)

    return handler


def _subject(reader: Reader, visit: Visit, collection: str, subject: str) -> Context:
    """Return what every subject's page shows: its state, today's to compare with, its facts and their corrections."""
    question = visit.times.question
    state = reader.state(subject, question, most=_MOST).body
    about = {"party" if collection == "parties" else "subject": [subject]}
    found = facts(reader, question, about, limit=_MOST)
    return {
        "collection": collection,
        "subject": subject,
        "state": state,
        "today": _today(reader, visit, state) if visit.times.is_moved else None,
        "fact_list": found.items,
        "more_facts": visit.address.to("/timeline", **{name: value for name, (value,) in about.items()})
        if found.after is not None
        else None,
        "remark_list": remarks(reader, subject, question),
    }


def _today(reader: Reader, visit: Visit, state: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the state of the same subject today, as known now; None where it has none.

    A list that is too long to be compared is that of `state`, so that nothing of it is marked as different.
    """
    try:
        today = reader.state(state["subject"], visit.now_question).body
    except (NotFound, Gone):
        return None
    return {**today, **{name: state[name] for name in today.get("more", ()) if name in state}}


def _agreement(reader: Reader, visit: Visit, state: Mapping[str, Any]) -> Context:
    due = [each for each in state["commitments"] if each.get("due")]
    return {
        "family": _family(reader, visit.times.question, state),
        "due_chart": pictures.chart(
            visit,
            "due",
            visit.wording.text("When commitments are due"),
            [(each["title"], each["due"], each["due"], each["status"], visit.address.path) for each in due],
        ),
    }


def _family(reader: Reader, question: TimeSlice, state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tree of agreements around one: those it stands under, itself, those under it and those beside it."""
    root, seen = state, {state["subject"]}
    for _ in range(_DEEPEST):
        above = root.get("under")
        if above is None or above["subject"] in seen:
            break
        seen.add(above["subject"])
        try:
            root = reader.state(above["subject"], question).body
        except (NotFound, Gone):
            break
    tree = _below(reader, question, root, set(), 2)
    return [tree] if tree["below"] else []


def _below(
    reader: Reader, question: TimeSlice, state: Mapping[str, Any], seen: set[str], levels: int
) -> dict[str, Any]:
    node = {"subject": state["subject"], "name": state.get("title"), "status": state["status"], "below": []}
    seen.add(state["subject"])
    if levels:
        page = reader.page(
            "agreements", question, {"under": [state["subject"]]}, sort="signed", limit=_MOST, after=None
        )
        node["below"] = [
            _below(reader, question, each, seen, levels - 1) for each in page.items if each["subject"] not in seen
        ]
    return node


def _party(reader: Reader, visit: Visit, state: Mapping[str, Any]) -> Context:
    question, subject = visit.times.question, state["subject"]
    party = {"party": [subject]}
    members = reader.page("memberships", question, {**party, "status": ["any"]}, sort=None, limit=_MOST, after=None)
    parts = reader.page("parties", question, {"part_of": [subject]}, sort="name", limit=_MOST, after=None).items
    for part in parts:
        held = reader.page("memberships", question, {"party": [part["subject"]]}, sort=None, limit=_OF_PART, after=None)
        part["memberships"] = held.items
    commitments = reader.page("commitments", question, party, sort="due", limit=_MOST, after=None)
    return {
        "memberships": members.items,
        "more_memberships": visit.address.to("/memberships", party=subject) if members.after is not None else None,
        "parts": parts,
        "with_subsidiaries": [
            (view, visit.address.to(f"/{view}", party=subject, include="subsidiaries"))
            for view in ("memberships", "commitments", "timeline")
            if parts or state["owns"]
        ],
        "commitments": commitments.items,
        "chart": pictures.chart(
            visit,
            "memberships-chart",
            visit.wording.text("What it takes part in, over time"),
            [
                (
                    each["in"]["name"],
                    each["from"],
                    each["to"],
                    each["status"],
                    visit.address.subject(each["in"]["subject"]),
                )
                for each in members.items
                if each["from"] or each["to"]
            ],
        ),
    }


def _lab(visit: Visit, state: Mapping[str, Any]) -> Context:
    """Return what each phase waits for, by the titles of phases."""
    titles = {each["phase"]: each.get("title") or each["phase"] for each in state["phases"]}
    return {
        "waits_for": {
            each["phase"]: visit.wording.list(
                visit.wording.name(titles.get(phase, phase)) for phase in each.get("waits_for") or ()
            )
            for each in state["phases"]
        }
    }


def _platform(visit: Visit, state: Mapping[str, Any]) -> Context:
    return {
        "chart": pictures.chart(
            visit,
            "members-chart",
            visit.wording.text("Members over time"),
            [
                (
                    each["party"]["name"],
                    each["from"],
                    each["to"],
                    each["status"],
                    visit.address.subject(each["party"]["subject"]),
                )
                for each in state["members"]
                if each["from"] or each["to"]
            ],
        )
    }


def _document(reader: Reader, visit: Visit, subject: str, key: Key | None) -> Context:
    question, query = visit.times.question, dict(visit.address.query)
    is_stored = reader.document_text(subject, question.as_of) is not None
    lacks_text = not is_stored and not visit.times.is_moved
    part = None
    if is_stored and key is not None and key.allows(Scope.READ):
        part = reader.cited_part(subject, question, whole_number(query.get("start"), 0))
    end = 0 if part is None else part.start + len(part.text)
    total = reader.passage_count(subject, question)
    here = 0 if part is None else reader.passage_count(subject, question, before=part.start)
    first = min(max(whole_number(query.get("passage"), here + 1), 1), max(total - _LISTED, 0) + 1)
    cited = reader.passages(subject, question, status=None, limit=_LISTED, after=None, skip=first - 1)
    for number, each in enumerate(cited.items, first):
        each["number"] = number
        if part is not None and each["status"] == "verified" and "start" not in each:
            each["start"] = reader.text(subject, question.as_of)[1].find(each["exact"])
            each["end"] = each["start"] + len(each["exact"])
    return {
        "cited": cited.items,
        "first_cited": first,
        "cited_total": total,
        "listed": _LISTED,
        "used": cited.extra["used"],
        "part": part,
        "previous_start": 0 if part is None else max(0, part.start - PART_CHARACTERS),
        "segments": [] if part is None else list(marked(part)),
        "begun_before": [] if part is None else [each for each in part.places if each.start < part.start],
        "ending_after": [] if part is None else [each for each in part.places if each.end > end],
        "most_labels": _LABELS,
        "is_hidden": is_stored and part is None,
        "lacks_text": lacks_text,
        "can_upload": lacks_text and key is not None and key.allows(Scope.POST),
        "document": {"subject": subject},
        "most_bytes": MOST_FILE_BYTES,
        "key_name": None if key is None else key.name,
    }
