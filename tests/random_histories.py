"""Random histories: facts of every type about a few subjects, with corrections, retractions, disputes and mergers.

Events name each other by id; `posted` replaces ids by positions once those are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from domain.catalogue import CATALOGUE
from domain.errors import Refused
from tests.recorded_views import SHA, RecordedViews

GENERATED: Any = {
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.explicit, Phase.reuse, Phase.generate),
    "report_multiple_bugs": False,
}
"""Settings for tests over histories: a failing one is reported unshrunk, as shrinking takes minutes."""

PARTIES = ("parties/a", "parties/b", "parties/c")
AGREEMENTS = ("agreements/t", "agreements/t", "agreements/s")
DATES = (
    None,
    "2020",
    "2020-03",
    "2020-03-10",
    "2020-06-01",
    "2021",
    "2021-02-03",
    "2021-05-05",
    "2021-02/2021-06",
    "2021?",
    "2022-01-01",
    "2022-06~",
    "2022/..",
    "2023-03-03",
    "XXXX-08-18",
)
EARLY = (None, "2020", "2020-03", "2020-01-05", "2019")
DAYS = ("2019-12-31", "2020-03-15", "2021-03-01", "2022-01-01", "2023-12-31", None)

dates = st.sampled_from(DATES)
texts = st.sampled_from(("one", "two", {"en": "three", "zh": "三"}))
parties = st.sampled_from(PARTIES)
agreements = st.sampled_from(AGREEMENTS)
slugs = st.sampled_from(("x", "y"))
terms = st.lists(st.sampled_from(("solar", "wind", "storage")), max_size=2, unique=True)
several = st.lists(parties, min_size=1, max_size=2, unique=True)


def fields(needed: Mapping[str, st.SearchStrategy], **optional: st.SearchStrategy) -> st.SearchStrategy:
    """Draw data with these fields."""
    with_notes = {**optional, "note": texts} if "note" not in optional else optional
    return st.fixed_dictionaries(dict(needed), optional=with_notes)


_described = {
    "under": agreements,
    "scope": terms,
    "place": texts,
    "summary": texts,
    "until": dates.filter(bool),
    "other_titles": st.lists(texts, max_size=2),
    "languages": st.just(["en", "zh"]),
    "depositary": parties,
    "secretariat": parties,
}
_signatories = st.lists(
    st.tuples(parties, st.sampled_from((None, None, "host", "guest"))), min_size=1, max_size=4, unique=True
).map(lambda each: [{"party": party} | ({"role": role} if role else {}) for party, role in each])
_of_party = fields({}, party=parties)
_with_others = st.permutations(PARTIES).map(lambda each: {"party": each[0], "with": each[1:]})
_treaty = {"title": texts, "kind": st.sampled_from(("treaty", "contract"))}
_phases = st.just([{"phase": "x"}, {"phase": "y", "after": ["x"]}])
_event = st.integers(0, 10**6)
"""A number that becomes the position of an event that may be spoken of."""

DATA: dict[str, st.SearchStrategy] = {
    "party.registered": fields(
        {"name": texts, "kind": st.just("company")},
        other_names=st.lists(texts, max_size=2),
        identifiers=st.just([{"scheme": "lei", "value": "1"}]),
        jurisdiction=st.sampled_from(("CN", "DE")),
        part_of=parties,
    ),
    "party.renamed": fields({"name": texts}),
    "party.name-added": fields({"name": texts}),
    "party.identified": fields({"scheme": st.just("ror"), "value": st.sampled_from(("1", "2"))}),
    "party.reorganized": fields({"part_of": st.one_of(st.none(), parties)}),
    "party.owner-added": fields({"owner": parties}, share=st.sampled_from(("50", "33.3"))),
    "party.owner-removed": fields({"owner": parties}),
    "party.merged": fields({"into": parties}),
    "party.dissolved": fields({}, successors=several),
    "party.re-established": fields({}),
    "agreement.announced": fields(_treaty, parties=_signatories, **_described),
    "agreement.adopted": fields(_treaty, **_described),
    "agreement.signed": fields({"parties": _signatories, **_treaty}, **_described),
    "agreement.ratified": fields({"party": parties}, instrument=st.just("approval"), territory=texts),
    "agreement.acceded": fields({"party": parties}, territory=texts),
    "agreement.entered-into-force": st.one_of(_of_party, _with_others),
    "agreement.amended": fields(
        {"summary": texts}, title=texts, scope_added=terms, scope_removed=terms, until=dates.filter(bool), by=agreements
    ),
    "agreement.renewed": fields({}, until=dates.filter(bool)),
    "agreement.provisionally-applied": _of_party,
    "agreement.suspended": _of_party,
    "agreement.resumed": _of_party,
    "agreement.withdrawn": fields({"party": parties}, effective=dates.filter(bool)),
    "agreement.withdrawal-revoked": fields({"party": parties}),
    "agreement.reinstated": _of_party,
    "agreement.terminated": fields(
        {"reason": st.just("expired")}, effective=dates.filter(bool), superseded_by=agreements
    ),
    "agreement.declaration-made": fields(
        {"party": parties, "kind": st.just("reservation")}, text=texts, territory=texts, about=_event
    ),
    "agreement.declaration-withdrawn": fields({"event": _event}),
    "agreement.commitment-made": fields(
        {"commitment": slugs, "kind": st.just("research"), "title": texts},
        by=several,
        due=dates.filter(bool),
        amount=st.sampled_from(({"value": "1.5", "currency": "CNY"}, {"value": "2", "unit": "MWh"})),
        **{"with": several},
    ),
    "agreement.commitment-updated": fields(
        {
            "commitment": slugs,
            "status": st.sampled_from(("planned", "in-progress", "fulfilled", "breached", "cancelled")),
        }
    ),
    "lab.founded": fields({"name": texts, "founders": several, "phases": _phases}, under=agreements, fields=terms),
    "lab.opened": fields({}),
    "lab.phase-started": fields({"phase": slugs}),
    "lab.phase-completed": fields({"phase": slugs}),
    "lab.recruitment-opened": fields({"call": slugs, "role": texts}, positions=st.just({"min": 1, "max": 2})),
    "lab.recruitment-closed": fields({"call": slugs}, hired=st.integers(0, 9)),
    "lab.closed": fields({}),
    "platform.launched": fields({"name": texts}, convened_by=several, target_date=dates.filter(bool)),
    "platform.member-joined": fields({"party": parties}, category=texts),
    "platform.member-changed": fields({"party": parties, "category": texts}),
    "platform.member-left": fields({"party": parties}),
    "platform.supporter-added": fields({"party": parties}, support=st.just("funding")),
    "platform.document-adopted": fields({"title": texts, "kind": st.just("charter")}),
    "platform.dissolved": fields({}),
    "document.registered": st.one_of(
        fields({"title": texts, "sha256": st.just(SHA)}, published=dates.filter(bool), citation=texts),
        fields({"title": texts, "citation": texts}, url=st.just("https://example.org/x")),
    ),
}
CREATING = (
    "party.registered",
    "agreement.announced",
    "agreement.adopted",
    "agreement.signed",
    "lab.founded",
    "platform.launched",
    "document.registered",
)
SUBJECTS = {
    "parties": PARTIES,
    "agreements": AGREEMENTS,
    "labs": ("labs/l",),
    "platforms": ("platforms/p",),
    "documents": ("documents/d", "documents/e"),
}
_EVIDENCE = [{"document": "documents/d", "start": 0, "end": 3}]


@st.composite
def facts(draw: Any, kind: str, index: int, *, subject: str | None = None, early: bool = False) -> dict[str, Any]:
    """Draw a fact of one type."""
    document = {
        "type": kind,
        "subject": subject or draw(st.sampled_from(SUBJECTS[CATALOGUE[kind].collection or ""])),
        "id": f"e{index}",
        "source": draw(st.sampled_from(("s", "t"))),
        "data": draw(DATA[kind]),
    }
    occurred = draw(st.sampled_from(EARLY)) if early else draw(dates)
    if occurred is not None:
        document["occurred"] = occurred
    return document


@st.composite
def remarks(draw: Any, about: dict[str, Any], index: int, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Draw an event about another one."""
    kind = draw(st.sampled_from(kinds))
    data: dict[str, Any] = {"event": about["id"]}
    if kind not in {"evidence.added", "event.disputed"}:
        data["reason"] = "misread"
    if kind == "event.corrected":
        what = draw(st.sampled_from(("data", "occurred", "both"))) if about["type"] in DATA else "data"
        if what != "occurred":
            data["data"] = draw(DATA[about["type"]]) if about["type"] in DATA else {**about["data"], "reason": "again"}
            data["data"].pop("about", None)
        if what != "data":
            data["occurred"] = draw(dates)
    if kind == "event.disputed":
        data["claims"] = [{"pointer": "/occurred", "value": draw(dates)}]
    if kind in ("evidence.added", "event.disputed"):
        data["evidence"] = _EVIDENCE
    return {"type": kind, "subject": about["subject"], "id": f"e{index}", "source": "s", "data": data}


@st.composite
def histories(draw: Any, *, most: int = 20, undone: bool = True) -> list[dict[str, Any]]:
    """Draw events to be recorded in order; some may be refused. Without `undone`, nothing is retracted or merged."""
    documents: list[dict[str, Any]] = []

    def add(kind: str, subject: str | None = None, *, early: bool = False) -> dict[str, Any]:
        documents.append(draw(facts(kind, len(documents), subject=subject, early=early)))
        return documents[-1]["data"]

    def make(kind: str, subject: str) -> None:
        data = add(kind, subject, early=True)
        for name in ("part_of", "under"):
            data.pop(name, None)

    make("document.registered", "documents/d")
    for subject in PARTIES:
        make("party.registered", subject)
    focus = draw(st.sampled_from(("agreements", "agreements", "platforms", "labs", "parties", "")))
    collections = [focus] if focus else ["agreements", "labs", "platforms"]
    if "agreements" in collections:
        makers = ("agreement.adopted", "agreement.signed", "agreement.announced")
        make(draw(st.sampled_from(makers)), "agreements/t")
        make("agreement.adopted", "agreements/s")
        add("agreement.commitment-made", "agreements/t")["commitment"] = "x"
        add("agreement.declaration-made", "agreements/t").pop("about", None)
    if "labs" in collections:
        make("lab.founded", "labs/l")
        add("lab.recruitment-opened", "labs/l")["call"] = "x"
    if "platforms" in collections:
        make("platform.launched", "platforms/p")
    remarking: tuple[str, ...] = ("event.corrected", "event.corrected", "event.disputed", "evidence.added")
    if undone:
        remarking = (*remarking, "event.retracted", "event.retracted", "event.retracted")
    kinds = [
        kind
        for kind in DATA
        if (CATALOGUE[kind].collection in collections or (kind.startswith("party") and undone))
        and (undone or kind != "party.merged")
        and kind not in ("party.registered", "lab.founded", "platform.launched")
    ]
    for choice in draw(st.lists(st.integers(0, 9), min_size=most // 2, max_size=most)):
        if choice < 3:
            documents.append(draw(remarks(draw(st.sampled_from(documents)), len(documents), remarking)))
        elif choice == 3 and undone:
            add(draw(st.sampled_from(CREATING)))
        else:
            add(draw(st.sampled_from(kinds)))
    return documents


def posted(document: dict[str, Any], positions: Mapping[str, int], views: RecordedViews) -> dict[str, Any]:
    """Return a document with the position of the event it is about."""
    spoken = document["data"].get("event", document["data"].get("about"))
    field = "event" if "event" in document["data"] else "about"
    if isinstance(spoken, str):
        return {**document, "data": {**document["data"], field: positions.get(spoken, 10**6)}}
    if isinstance(spoken, int):
        made = [event.position for event in views.events if event.type == "agreement.declaration-made"]
        at = made[spoken % len(made)] if made else 10**6
        return {**document, "data": {**document["data"], field: at}}
    return document


def recording(views: RecordedViews, documents: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Record documents one by one, skipping refused ones; yield each as posted, while it is the last."""
    positions: dict[str, int] = {}
    for document in documents:
        ready = posted(document, positions, views)
        try:
            positions[document["id"]] = views.record(ready)
        except Refused:
            continue
        yield ready


def recorded(views: RecordedViews, documents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Record documents; return those that were accepted, as posted."""
    return list(recording(views, documents))


def everything(views: RecordedViews, as_of: int | None = None) -> dict[str, Any]:
    """Return the answers to every query about these subjects, on several days."""
    answers: dict[str, Any] = {}
    for on in DAYS:
        for subject in sorted(set(sum(SUBJECTS.values(), ()))):
            answers[f"{subject} on {on}"] = views.state_or_error(subject, on=on, as_of=as_of)
        for view in (
            "parties",
            "agreements",
            "labs",
            "platforms",
            "documents",
            "memberships",
            "commitments",
            "timeline",
        ):
            answers[f"{view} on {on}"] = views.items(view, on=on, as_of=as_of)
        answers[f"statistics on {on}"] = views.reader.statistics(views.question(on, as_of))
        answers[f"graph on {on}"] = views.reader.graph(None, 1, views.question(on, as_of), 100)
        for status in ("left", "withdrawn", "ended", "member", "in-force"):
            answers[f"{status} on {on}"] = views.items("memberships", on=on, as_of=as_of, status=status)
    return answers


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the answers that differ."""
    return {query: (one[query], other[query]) for query in one if one[query] != other[query]}
