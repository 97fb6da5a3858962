"""Views for tests: records events into a file of views and queries it, without a server.

The functions that return an event are named after its type.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from domain.cloudevent import parse
from domain.corrections import Event
from domain.decide import decide
from domain.edtf import parse_day
from domain.errors import Refused
from domain.merkle import leaf_hash
from projections.engine.query_types import Gone, Merged, NotFound, TimeSlice
from projections.reader import Reader
from projections.views import Views

TODAY = "2026-06-01"
SHA = "0" * 64
Document = Mapping[str, Any]


def events_of(documents: Sequence[Document], head: int, version_of: Callable[[str], int], number: int) -> list[Event]:
    """Return documents as events after a position; those without an id are numbered from `number`."""
    events, versions = [], dict[str, int]()
    for index, document in enumerate(documents):
        posted = parse({"specversion": "1.0", "source": "test", "id": f"made-{number + index}", **document})
        version = versions[posted.subject] = versions.get(posted.subject, version_of(posted.subject)) + 1
        position = head + 1 + index
        events.append(
            Event(
                position,
                version,
                posted.subject,
                posted.type,
                posted.source,
                posted.id,
                posted.time,
                posted.occurred,
                posted.data,
                f"2026-01-01T00:00:00.{position:06}Z",
                "tester",
            )
        )
    return events


def text_event(kind: str, subject: str, text: str, *, position: int, version: int) -> Event:
    """Return the event that the registry records when the text of a document is stored or erased."""
    data = b'{"characters":%d,"sha256":"%s"}' % (len(text), sha256(text.encode()).hexdigest().encode())
    recorded = f"2026-01-01T00:00:00.{position:06}Z"
    return Event(position, version, subject, kind, "registry", f"own-{position}", None, None, data, recorded, "tester")


class RecordedViews:
    """A file of views with both its halves. Each document is a batch of its own unless `batch` is used."""

    def __init__(self, path: Path) -> None:
        self.views = Views(path)
        self.views._db.execute("PRAGMA synchronous = OFF")  # these views need not survive a crash
        self.reader = Reader(path)
        self.events: list[Event] = []
        self._made = 0

    def close(self) -> None:
        """Close both halves."""
        self.reader.close()
        self.views.close()

    @property
    def head(self) -> int:
        """The position of the last event."""
        return self.views.position

    def record(self, *documents: Document) -> int:
        """Record documents one by one; return the last position."""
        for document in documents:
            self.batch(document)
        return self.head

    def batch(self, *documents: Document) -> list[int]:
        """Record documents as one batch; return their positions. Raise Refused."""
        events = events_of(documents, self.head, self.views.version, self._made)
        self._made += len(documents)
        self.views.begin()
        try:
            with self.views.batch([leaf_hash(event.data) for event in events]) as history:
                decide(history, events)
        except BaseException:
            self.views.rollback()
            raise
        self.views.commit()
        self.events += events
        return [event.position for event in events]

    def refused(self, *documents: Document) -> Refused:
        """Return the refusal of documents posted as one batch; fail the test if they are accepted."""
        before = self.head
        try:
            self.batch(*documents)
        except Refused as refused:
            assert self.head == before
            return refused
        raise AssertionError(f"{[document['type'] for document in documents]} was accepted")

    def apply(self, event: Event) -> None:
        """Fold an event of the log of other views."""
        self.views.begin()
        self.views.apply(event, leaf_hash(event.data))
        self.views.commit()
        self.events.append(event)

    def question(self, on: str | None = TODAY, as_of: int | None = None) -> TimeSlice:
        """Return a time slice; `on=None` is any day."""
        return TimeSlice(self.head if as_of is None else as_of, None if on is None else parse_day(on))

    def state(
        self, subject: str, *, on: str | None = TODAY, as_of: int | None = None, evidence: bool = False
    ) -> dict[str, Any]:
        """Return the state of a subject. Raise NotFound, Gone, Merged."""
        return self.reader.state(subject, self.question(on, as_of), evidence=evidence).body

    def state_or_error(self, subject: str, *, on: str | None = TODAY, as_of: int | None = None) -> Any:
        """Return the state of a subject, or the name of the exception."""
        try:
            return self.state(subject, on=on, as_of=as_of)
        except (NotFound, Gone, Merged) as error:
            return f"{type(error).__name__}: {error}"

    def page(
        self,
        view: str,
        *,
        on: str | None = TODAY,
        as_of: int | None = None,
        sort: str | None = None,
        limit: int = 1000,
        after: Sequence[Any] | None = None,
        **filters: str | Sequence[str],
    ) -> tuple[list[dict[str, Any]], Any]:
        """Return one page of a list and the key of the next. `in_` and `from_` are `in` and `from`."""
        given = {
            name.removesuffix("_"): [value] if isinstance(value, str) else list(value)
            for name, value in filters.items()
        }
        question = self.question(on, as_of)
        page = self.reader.page(view, question, given, sort=sort, limit=limit, after=after)
        return page.items, None if page.after is None else json.loads(json.dumps(page.after))

    def items(self, view: str, **options: Any) -> list[dict[str, Any]]:
        """Return every item of a list."""
        return self.page(view, **options)[0]

    def subjects(self, view: str, **options: Any) -> list[str]:
        """Return the subjects of a list, in order."""
        return [item["subject"] for item in self.items(view, **options)]

    def membership(
        self, party: str, container: str, *, on: str | None = TODAY, as_of: int | None = None
    ) -> dict[str, Any]:
        """Return the one membership of a party in a subject that holds, may hold, or has ended, on a day."""
        number = self.memberships(party, container, on=on, as_of=as_of)
        assert len(number) == 1, number
        return number[0]

    def memberships(
        self, party: str, container: str, *, on: str | None = TODAY, as_of: int | None = None
    ) -> list[dict[str, Any]]:
        """Return every membership of a party in a subject, ended or not."""
        found = self.items("memberships", on=on, as_of=as_of, party=party, in_=container)
        for status in ("left", "withdrawn", "ended") if on is not None else ():
            for item in self.items("memberships", on=on, as_of=as_of, party=party, in_=container, status=status):
                if without_certainty(item) not in map(without_certainty, found):
                    found.append(item)
        return found

    def history(self, subject: str, *, on: str | None = TODAY, as_of: int | None = None) -> list[dict[str, Any]]:
        """Return every event about a subject with its patch, as a mutable copy."""
        items = self.reader.history(subject, self.question(on, as_of), limit=1000, after=None).items
        return [json.loads(json.dumps(item)) for item in items]


@contextmanager
def new_views() -> Iterator[RecordedViews]:
    """Return views that are removed at the end, for tests that need many."""
    with tempfile.TemporaryDirectory() as folder:
        made = RecordedViews(Path(folder) / "views.sqlite")
        try:
            yield made
        finally:
            made.close()


def without_certainty(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item without the members that a filter changes."""
    return {name: value for name, value in item.items() if name != "certainty"}


def event(kind: str, subject: str, occurred: str | None = None, /, **data: Any) -> dict[str, Any]:
    """Return a posted event. `id_` and `source_` set attributes; `with_` is `with`; the rest is data."""
    document: dict[str, Any] = {"type": kind, "subject": subject}
    if occurred is not None:
        document["occurred"] = occurred
    for name in ("id", "source", "time"):
        if f"{name}_" in data:
            document[name] = data.pop(f"{name}_")
    if data:
        document["data"] = {name.removesuffix("_"): value for name, value in data.items()}
    return document


def party(slug: str, occurred: str | None = None, **data: Any) -> dict[str, Any]:
    """Return the registration of a party; by default a company named after its slug."""
    return event("party.registered", f"parties/{slug}", occurred, **{"name": slug, "kind": "company", **data})


def parties(*slugs: str) -> list[dict[str, Any]]:
    """Return the registrations of undated parties."""
    return [party(slug) for slug in slugs]


def owned(slug: str, owner: str, occurred: str | None = None, **data: Any) -> dict[str, Any]:
    """Return the adding of an owner of a party."""
    return event("party.owner-added", f"parties/{slug}", occurred, owner=f"parties/{owner}", **data)


def disowned(slug: str, owner: str, occurred: str | None = None) -> dict[str, Any]:
    """Return the removal of an owner of a party."""
    return event("party.owner-removed", f"parties/{slug}", occurred, owner=f"parties/{owner}")


def merged(slug: str, into: str) -> dict[str, Any]:
    """Return the merger of a party that was recorded twice."""
    return event("party.merged", f"parties/{slug}", None, into=f"parties/{into}")


def dissolved(slug: str, occurred: str | None = None) -> dict[str, Any]:
    """Return the dissolution of a party."""
    return event("party.dissolved", f"parties/{slug}", occurred)


def platform(slug: str, occurred: str | None = None, **data: Any) -> dict[str, Any]:
    """Return the launch of a platform."""
    return event("platform.launched", f"platforms/{slug}", occurred, **{"name": slug, **data})


def joined(slug: str, platform_slug: str, occurred: str | None = None, **data: Any) -> dict[str, Any]:
    """Return the joining of a party to a platform."""
    data = {"party": f"parties/{slug}", **data}
    return event("platform.member-joined", f"platforms/{platform_slug}", occurred, **data)


def changed(slug: str, platform_slug: str, category: Any, occurred: str | None = None) -> dict[str, Any]:
    """Return the change of the category of a party's membership in a platform."""
    data = {"party": f"parties/{slug}", "category": category}
    return event("platform.member-changed", f"platforms/{platform_slug}", occurred, **data)


def left(slug: str, platform_slug: str, occurred: str | None = None, **data: Any) -> dict[str, Any]:
    """Return the leaving of a party from a platform."""
    return event("platform.member-left", f"platforms/{platform_slug}", occurred, party=f"parties/{slug}", **data)


def signed(agreement: str, occurred: str | None, *slugs: str, **data: Any) -> dict[str, Any]:
    """Return a signature with title and kind, as the first event of an agreement."""
    signatories = [{"party": f"parties/{slug}"} for slug in slugs]
    data = {"title": agreement, "kind": "treaty", "parties": signatories, **data}
    return event("agreement.signed", f"agreements/{agreement}", occurred, **data)


def also_signed(agreement: str, occurred: str | None, *slugs: str, **data: Any) -> dict[str, Any]:
    """Return a later signature, without attributes by default."""
    signatories = [{"party": f"parties/{slug}"} for slug in slugs]
    return event("agreement.signed", f"agreements/{agreement}", occurred, parties=signatories, **data)


def announced(agreement: str, occurred: str | None = None, *slugs: str, **data: Any) -> dict[str, Any]:
    """Return the announcement of an agreement with these parties."""
    expected = {"parties": [{"party": f"parties/{slug}"} for slug in slugs]} if slugs else {}
    data = {"title": agreement, "kind": "treaty", **expected, **data}
    return event("agreement.announced", f"agreements/{agreement}", occurred, **data)


def adopted(agreement: str, occurred: str | None = None, **data: Any) -> dict[str, Any]:
    """Return the adoption of a treaty."""
    data = {"title": agreement, "kind": "treaty", **data}
    return event("agreement.adopted", f"agreements/{agreement}", occurred, **data)


def step(
    kind: str, agreement: str, occurred: str | None = None, slug: str | None = None, /, **data: Any
) -> dict[str, Any]:
    """Return `agreement.<kind>`, of one party if `slug` is given, else of the agreement itself."""
    if slug is not None:
        data = {"party": f"parties/{slug}", **data}
    return event(f"agreement.{kind}", f"agreements/{agreement}", occurred, **data)


def lab(slug: str, occurred: str | None, *founders: str, **data: Any) -> dict[str, Any]:
    """Return the founding of a lab."""
    data = {"name": slug, "founders": [f"parties/{founder}" for founder in founders], **data}
    return event("lab.founded", f"labs/{slug}", occurred, **data)


def of_lab(kind: str, slug: str, occurred: str | None = None, /, **data: Any) -> dict[str, Any]:
    """Return `lab.<kind>`."""
    return event(f"lab.{kind}", f"labs/{slug}", occurred, **data)


def document(slug: str, occurred: str | None = None, **data: Any) -> dict[str, Any]:
    """Return the registration of a document."""
    return event("document.registered", f"documents/{slug}", occurred, **{"title": slug, "sha256": SHA, **data})


def corrected(subject: str, position: int, **data: Any) -> dict[str, Any]:
    """Return a correction of `data`, `occurred` or both."""
    return event("event.corrected", subject, None, event=position, reason="misread", **data)


def retracted(subject: str, position: int) -> dict[str, Any]:
    """Return a retraction."""
    return event("event.retracted", subject, None, event=position, reason="a mistake")


def disputed(subject: str, position: int, **claims: Any) -> dict[str, Any]:
    """Return a dispute; claims by pointer, `occurred=` for the date. Its evidence cites `documents/d`, which must
    exist.
    """
    listed = [{"pointer": "/occurred" if at == "occurred" else at, "value": value} for at, value in claims.items()]
    evidence = [{"document": "documents/d", "start": 0, "end": 1}]
    return event("event.disputed", subject, None, event=position, claims=listed, evidence=evidence)


def status_of(item: Mapping[str, Any]) -> tuple[str, tuple[str, ...], str]:
    """Return an item's status, possible statuses and certainty."""
    return item["status"], tuple(item.get("statuses", (item["status"],))), item["certainty"]
