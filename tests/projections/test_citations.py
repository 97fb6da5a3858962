"""Citations of a document as of every position equal those from reading all events, after additions, corrections,
retractions, disputes and changes of the text."""

from __future__ import annotations

import random
from hashlib import sha256
from typing import Any

import pytest

from domain.corrections import Corrections, Event
from domain.decide import decide
from domain.errors import Refused
from domain.merkle import leaf_hash
from projections.citations import CitedPlace
from projections.engine.query_types import Gone
from tests.recorded_views import (
    RecordedViews,
    corrected,
    document,
    event,
    new_views,
    parties,
    party,
    retracted,
    text_event,
)

TEXT = "The quick 棕色的 fox 🦊 jumps over the lazy dog, twice."
DIGEST = sha256(TEXT.encode()).hexdigest()


def recorded(views: RecordedViews, kind: str, slug: str, text: str) -> int:
    """Record that a text is stored or erased, as the registry does; return the position."""
    number, subject = views.head + 1, f"documents/{slug}"
    own = text_event(kind, subject, text, position=number, version=views.views.version(subject) + 1)
    views.views.begin()
    try:
        with views.views.batch([leaf_hash(own.data)]) as history:
            decide(history, [own])
        if kind == "document.text-stored":
            views.views.store_text(own, text)
    except BaseException:
        views.views.rollback()
        raise
    views.views.commit()
    views.events.append(own)
    return number


def stored(views: RecordedViews, slug: str = "d", text: str = TEXT) -> int:
    return recorded(views, "document.text-stored", slug, text)


def erased(views: RecordedViews, slug: str = "d", text: str = TEXT) -> int:
    return recorded(views, "document.text-erased", slug, text)


def cite(start: int, end: int, exact: str | None = None, slug: str = "d") -> dict[str, Any]:
    given = {"document": f"documents/{slug}", "start": start, "end": end}
    return given if exact is None else {**given, "exact": exact}


def listed(views: RecordedViews, slug: str = "d", as_of: int | None = None, **options: Any) -> tuple[list[dict], dict]:
    """Return all citations of a document, page by page, and the summary of the list."""
    items: list[dict] = []
    question, after = views.question(None, as_of), None
    while True:
        page = views.reader.passages(
            f"documents/{slug}", question, status=options.get("status"), limit=options.get("limit", 1000), after=after
        )
        items += page.items
        if (after := page.after) is None:
            return items, dict(page.extra["used"])


def shown(items: list[dict]) -> list[tuple]:
    return sorted(
        (
            item.get("start", -1),
            item.get("end", -1),
            item.get("exact", ""),
            item["status"],
            item["event"],
            item["fact"]["position"],
            item["fact"]["type"],
            str(item["fact"]["occurred"]),
        )
        for item in items
    )


def in_order(views: RecordedViews, slug: str, as_of: int) -> list[dict]:
    """Return all citations of a document, each by its number alone."""
    subject, question = f"documents/{slug}", views.question(None, as_of)
    return [
        item
        for skip in range(views.reader.passage_count(subject, question))
        for item in views.reader.passages(subject, question, status=None, limit=1, after=None, skip=skip).items
    ]


def place_of(item: dict) -> tuple[int, int] | None:
    """Return the place that a verified citation quotes."""
    if item["status"] != "verified":
        return None
    start = item["start"] if "start" in item else TEXT.index(item["exact"])
    return start, item["end"] if "end" in item else start + len(item["exact"])


def quoted(places: list[CitedPlace]) -> list[tuple[int, int, int]]:
    """Return number, start and end of each passage of some places."""
    return sorted((each.number + more, each.start, each.end) for each in places for more in range(each.passages))


def naive(events: list[Event], slug: str, text: str | None) -> tuple[list[tuple], set[int]]:
    """Return the same from reading all events, and the used characters."""
    about: dict[int, list[Event]] = {}
    for each in events:
        if each.about is not None:
            about.setdefault(each.about, []).append(each)
    standing = Corrections(about)
    found, used = [], set()
    for each in events:
        if standing.retracted_by(each) is not None:
            continue
        for by, passage in standing.passages(each):
            if passage["document"] != f"documents/{slug}" or (each.type == "evidence.added" and by == each.position):
                continue
            start, end, exact = passage.get("start"), passage.get("end", 0), passage.get("exact")
            status = "unverified"
            if text is not None and (start is not None or exact is not None):
                there = text if start is None else text[start:end] if end <= len(text) else None
                holds = there is not None and (exact is None or (exact in there if start is None else exact == there))
                status = "verified" if holds else "failed"
            occurred = str(standing.effective_event(each).occurred)
            place = (-1, -1) if start is None else (start, end)
            found.append((*place, exact or "", status, by, each.position, each.type, occurred))
            if start is not None:
                used |= set(range(start, end))
            elif status == "verified":
                first = str(text).index(str(exact))
                used |= set(range(first, first + len(str(exact))))
    return sorted(found), used


def evidence(chance: random.Random) -> list[dict[str, Any]]:
    """Draw passages: right, wrong, beyond the end, without a position, of the whole document."""

    def one() -> dict[str, Any]:
        slug = chance.choice("dde")
        start = chance.randint(0, len(TEXT) + 5)
        end = start + chance.randint(1, 12)
        exact = TEXT[start:end] if chance.random() < 0.7 else "no such words"
        match chance.randint(0, 3):
            case 0:
                return cite(start, end, slug=slug)
            case 1 if exact:
                return {"document": f"documents/{slug}", "exact": exact}
            case 2 if exact:
                return cite(start, end, exact, slug)
        return {"document": f"documents/{slug}"}

    return [one() for _ in range(chance.randint(1, 3))]


def something(chance: random.Random, views: RecordedViews) -> None:
    """Draw one more event, which may be refused."""
    spoken = chance.choice(views.events)
    own = {} if chance.random() < 0.5 else {"evidence": evidence(chance)}
    match chance.randint(0, 11):
        case 0 | 1 | 2:
            views.record(event("party.name-added", "parties/a", "2020", name=str(views.head), **own))
        case 3 | 4:
            views.record(event("evidence.added", spoken.subject, event=spoken.position, evidence=evidence(chance)))
        case 5 | 6:
            again = dict(spoken.plain)
            if chance.random() < 0.7:
                again["evidence"] = evidence(chance)
            views.record(corrected(spoken.subject, spoken.position, data=again, **own))
        case 7 | 8:
            views.record({**retracted(spoken.subject, spoken.position)})
        case 9:
            claims = [{"pointer": "/occurred", "value": "2021"}]
            views.record(
                event("event.disputed", spoken.subject, event=spoken.position, claims=claims, evidence=evidence(chance))
            )
        case 10:
            stored(views)
        case 11:
            erased(views)


@pytest.mark.parametrize("seed", range(25))
def test_citations_as_of_every_position_are_the_current_ones(seed):
    chance = random.Random(seed)
    with new_views() as views:
        views.record(document("d", sha256=DIGEST), document("e"), *parties("a", "b"))
        taken: list[int] = [views.head]
        texts: dict[int, str | None] = {views.head: None}
        for _ in range(60):
            try:
                something(chance, views)
            except Refused:
                continue
            last = views.events[-1].type
            texts[views.head] = {"document.text-stored": TEXT, "document.text-erased": None}.get(last, texts[taken[-1]])
            taken.append(views.head)
        assert len(taken) > 15
        for as_of in taken:
            for slug in "de":
                try:
                    items, used = listed(views, slug, as_of, limit=3)
                except Gone:
                    continue
                text = texts[as_of] if slug == "d" else None
                expected, characters = naive(views.events[:as_of], slug, text)
                assert shown(items) == expected
                starts = [item.get("start", 10**9) for item in items]
                assert starts == sorted(starts)
                if text is not None:
                    characters &= set(range(len(text)))
                assert used == {
                    "characters": len(characters),
                    "of": None if text is None else len(text),
                    "share": None if text is None else round(len(characters) / len(text), 3),
                }
                if text is not None:
                    places = views.reader.cited_part(f"documents/{slug}", views.question(None, as_of), 0).places
                    assert quoted(places) == [
                        (number, *place)
                        for number, item in enumerate(in_order(views, slug, as_of), 1)
                        if (place := place_of(item)) is not None
                    ]
                for status in ("verified", "unverified", "failed"):
                    chosen, whole = listed(views, slug, as_of, limit=2, status=status)
                    assert chosen == [item for item in items if item["status"] == status]
                    assert whole == used


def test_evidence_in_a_correction_of_a_correction_supports_the_fact(views: RecordedViews):
    views.record(document("d", sha256=DIGEST), party("a"))
    views.record(corrected("parties/a", 2, data={"name": "A", "kind": "company", "evidence": [cite(0, 3)]}))
    again = {"name": "A", "kind": "company", "evidence": [cite(4, 9)]}
    views.record(corrected("parties/a", 3, data={"event": 2, "reason": "misread", "data": again}))
    items, _ = listed(views)
    assert [(item["start"], item["fact"]["position"]) for item in items] == [(4, 2)]
    assert [item["start"] for item in listed(views, as_of=3)[0]] == [0]


def test_text_with_an_outdated_hash_verifies_nothing(views: RecordedViews):
    views.record(document("d", sha256=DIGEST), party("a", evidence=[cite(4, 9, "quick")]))
    stored(views)
    assert [item["status"] for item in listed(views)[0]] == ["verified"]
    other = sha256(b"another").hexdigest()
    views.record(corrected("documents/d", 1, data={"title": "D", "sha256": other}))
    items, used = listed(views)
    assert ([item["status"] for item in items], used["of"]) == (["unverified"], None)
    assert [item["status"] for item in listed(views, as_of=3)[0]] == ["verified"]
    assert views.state("documents/d")["text"] == {"characters": len(TEXT)}
    views.record(party("b", evidence=[cite(4, 9, "quack")]))
    with pytest.raises(Refused, match="stored already"):
        stored(views, text="another")
    erased(views)
    with pytest.raises(Refused, match=other):
        stored(views)
    stored(views, text="another")
    assert [item["status"] for item in listed(views)[0]] == ["failed", "failed"]


def test_cited_document_cannot_be_retracted_and_an_uncited_one_can(views: RecordedViews):
    views.record(document("d", sha256=DIGEST), *parties("a", "b"))
    views.record(event("evidence.added", "parties/a", event=2, evidence=[cite(0, 3)]))
    views.record(corrected("parties/b", 3, data={"name": "B", "kind": "company", "evidence": [cite(0, 3)]}))
    assert views.refused(retracted("documents/d", 1)).positions == (3, 4)
    views.record(retracted("parties/b", 3))
    assert views.refused(retracted("documents/d", 1)).positions == (4,)
    views.record(retracted("parties/a", 4))
    views.record(retracted("documents/d", 1))
    for subject, retraction in (("parties/b", 6), ("parties/a", 7)):
        assert 8 in views.refused(retracted(subject, retraction)).positions
    views.record(document("d", sha256=DIGEST), retracted("parties/a", 7))
    assert [item["event"] for item in listed(views)[0]] == [4]


def test_text_of_a_retracted_document_can_still_be_erased(views: RecordedViews):
    views.record(document("d", sha256=DIGEST))
    stored(views)
    views.record(retracted("documents/d", 1))
    with pytest.raises(Refused):
        stored(views)
    erased(views)
    assert views.reader.document_text("documents/d", views.head) is None
    assert views.reader.document_text("documents/d", 2) is not None
    with pytest.raises(Refused):
        erased(views)


def test_document_state_names_its_text_and_the_event_that_stored_it(views: RecordedViews):
    views.record(document("d", sha256=DIGEST))
    position = stored(views)
    erased(views)
    again = stored(views)
    for as_of, at in ((1, None), (position, position), (position + 1, None), (again, again)):
        state = views.state("documents/d", as_of=as_of)
        assert state.get("text") == (None if at is None else {"characters": len(TEXT)})
        assert state["events"].get("text") == (None if at is None else [at])


def test_text_cache_is_bounded(views: RecordedViews, monkeypatch):
    monkeypatch.setattr("projections.documents.CACHED_BYTES", 10_000)
    for number in range(6):
        text = f"{number}" * 4_000
        views.record(document(f"d{number}", sha256=sha256(text.encode()).hexdigest()))
        stored(views, f"d{number}", text)
    texts = views.reader._states.texts
    for _ in range(2):
        for number in range(6):
            _, text = views.reader.text(f"documents/d{number}", views.head)
            assert text == f"{number}" * 4_000
            assert sum(map(len, texts._cached.values())) <= 10_000
    assert len(texts._cached) == 2
