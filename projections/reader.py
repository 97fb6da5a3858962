"""The read half of the views of a node: every query of the registry, on a read-only connection of its own.

It sees committed events only and never waits for the write half. One thread at a time uses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from domain.values import Reference
from projections import names, search
from projections.annotations import DISPUTED
from projections.catalogue import SUBJECT_VIEWS
from projections.citations import Citations, CitedPart
from projections.digests import Digests, Lines
from projections.documents import DocumentText
from projections.engine import merkle_tree
from projections.engine.database import connect
from projections.engine.event_index import EventIndex
from projections.engine.query_types import Difference, NotFound, Page, State, TimeSlice, check_after
from projections.engine.tracking import ViewsTracking
from projections.graph import Graph, GraphPart
from projections.history import History
from projections.lists import Lists
from projections.states import IN_STATE, States
from projections.statistics import Statistics
from projections.timeline import Timeline


class Reader:
    """Answers queries from one file of views."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path, read_only=True)
        index = EventIndex(self._db)
        self._index = index
        self._states = States(self._db, index)
        self._references, self._annotations = self._states.references, self._states.annotations
        self._lists = Lists(self._db, index, self._states)
        self._history = History(self._db, index, self._states)
        self._timeline = Timeline(self._db, index)
        self._citations = Citations(self._db, index, self._states)
        self._graph = Graph(self._db, index, self._states)
        self._statistics = Statistics(self._db, index, self._references)
        self._digests = Digests(self._db)
        self._tracking = ViewsTracking(self._db)
        self._seen = -1

    def _refresh(self) -> None:
        """Drop the cached mergers if the file has changed."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version != self._seen:
            self._seen = version
            self._index.forget_mergers()

    def hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """Return at most `count` hashes of the Merkle tree (see `domain.merkle`), from `first` on."""
        return merkle_tree.hashes(self._db, level, first, count)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def head(self) -> int:
        """Return the position of the views: that of the last folded event, 0 if there is none."""
        return self._tracking.position()

    def erasures(self) -> int:
        """Return the number of erasures of the log when the views were begun."""
        row = self._db.execute("SELECT value FROM meta WHERE name = 'erasures'").fetchone()
        return int(row[0])

    def position_at(self, recorded: str) -> int:
        """Return the last position recorded at or before an instant in the form `2026-01-31T09:30:00.123456Z`."""
        low, high = 0, self.head()
        while low < high:
            middle = (low + high + 1) // 2
            (then,) = self._db.execute("SELECT recorded FROM events WHERE position = ?", (middle,)).fetchone()
            if then <= recorded:
                low = middle
            else:
                high = middle - 1
        return low

    def limited(self, seconds: float) -> AbstractContextManager[None]:
        """Limit the time of a state: in this context one that takes longer than `seconds` raises TooLong."""
        return self._states.limit.set_to(seconds, self._db)

    def state(self, subject: str, question: TimeSlice, *, evidence: bool = False, most: int = IN_STATE) -> State:
        """Return the state of a subject, its lists cut after `most` items. Raise NotFound, Gone, Merged."""
        self._refresh()
        return self._states.state(subject, question, evidence=evidence, most=most)

    def page(
        self,
        view: str,
        question: TimeSlice,
        filters: Mapping[str, Sequence[str]],
        *,
        sort: str | None,
        limit: int,
        after: Sequence[Any] | None,
        evidence: bool = False,
    ) -> Page:
        """Return one page of a list (see `projections.catalogue`). Raise BadQuestion."""
        self._refresh()
        if view == "timeline":
            page = self._timeline.page(question, filters, sort=sort, limit=limit, after=after)
        else:
            page = self._lists.page(view, question, filters, sort=sort, limit=limit, after=after)
        if view not in SUBJECT_VIEWS:  # the items of those are states, which have both already
            self._annotations.show_disputes(page.items, question)
            self._references.name_others(page.items, question)
        if evidence:
            self._annotations.cite(page.items, question)
        return page

    def state_list(
        self,
        subject: str,
        name: str,
        question: TimeSlice,
        *,
        certainties: Sequence[str] = (),
        limit: int,
        after: Sequence[Any] | None,
        events: Sequence[int] = (),
    ) -> Page:
        """Return one page of a list inside a state.

        `certainties`, if any, select its items; `events`, if any, select disputes by the event in dispute.
        Raise NotFound, Gone, Merged.
        """
        self._refresh()
        number = self._states.number(subject, question)
        page = self._states.list_page(number, name, question, certainties, limit, after, events)
        if name == DISPUTED:
            return page
        self._annotations.show_disputes(page.items, question)
        self._references.name_others([page.items], question)
        return page

    def passages(
        self,
        subject: str,
        question: TimeSlice,
        *,
        status: str | None,
        limit: int,
        after: Sequence[Any] | None,
        skip: int = 0,
    ) -> Page:
        """Return one page of the current passages that cite a document, and the cited share. Raise NotFound, Gone."""
        self._refresh()
        page = self._citations.page(subject, question, status=status, limit=limit, after=after, skip=skip)
        self._references.name_others([page.items], question)
        return page

    def passage_count(self, subject: str, question: TimeSlice, *, before: int | None = None) -> int:
        """Return the number of these passages, or of those that start before a place. Raise NotFound, Gone."""
        self._refresh()
        return self._citations.count(subject, question, before=before)

    def cited_part(self, subject: str, question: TimeSlice, start: int) -> CitedPart:
        """Return the part of a document's text from a place on, with the places that passages quote.

        Raise NotFound, also if no text is stored; Gone.
        """
        self._refresh()
        return self._citations.part(subject, question, self._stored_text(subject, question.as_of), start)

    def check_exists(self, subject: str, as_of: int) -> None:
        """Raise NotFound, Gone or Merged unless a subject has a current fact."""
        self._refresh()
        self._states.number(subject, TimeSlice(as_of, None))

    def document_text(self, subject: str, as_of: int) -> DocumentText | None:
        """Return the stored text of a document without its characters; None if no text is stored."""
        number = self._index.find(subject)
        return None if number is None else self._states.texts.stored(number, as_of)

    def text(self, subject: str, as_of: int) -> tuple[DocumentText, str]:
        """Return the stored text of a document. Raise NotFound, also if no text is stored; Gone."""
        stored = self._stored_text(subject, as_of)
        return stored, self._states.texts.text(stored)

    def _stored_text(self, subject: str, as_of: int) -> DocumentText:
        self.check_exists(subject, as_of)
        stored = self.document_text(subject, as_of)
        if stored is None:
            raise NotFound(f"no text of {subject} is stored")
        return stored

    def history(self, subject: str, question: TimeSlice, *, limit: int, after: Sequence[Any] | None) -> Page:
        """Return one page of the events about a subject, each with the change it made. Raise NotFound, Merged."""
        self._refresh()
        page = self._history.history(subject, question, limit=limit, after=after)
        self._annotations.show_disputes(page.items, question)
        self._references.name_others([{**item, "patch": None} for item in page.items], question)
        return page

    def difference(self, subject: str, first: TimeSlice, second: TimeSlice, *, most: int) -> Difference:
        """Return the patch from one state of a subject to another, and at most `most` of the events between.

        Raise NotFound, Merged.
        """
        self._refresh()
        return self._history.difference(subject, first, second, most)

    def versions(self, subject: str, as_of: int, *, since: int, limit: int) -> list[tuple[int, str]]:
        """Return the versions of a subject after `since`: position and time of recording. Raise NotFound, Merged."""
        self._refresh()
        return self._history.versions(subject, as_of, since, limit)

    def recorded(self, position: int) -> str | None:
        """Return when the event at a position was recorded; None if there is no such event."""
        return self._history.recorded(position)

    def actors(self, positions: Iterable[int]) -> dict[int, str]:
        """Return who posted the events at some positions."""
        return {position: event.actor for position, event in self._index.events(positions).items()}

    def named(self, subjects: Sequence[str], question: TimeSlice) -> list[Reference]:
        """Return subjects as `{"subject", "name"}`; the name is null if there is none."""
        self._refresh()
        references = [Reference(subject) for subject in subjects]
        self._references.name(references, question)
        return references

    def resolve(self, name: str, question: TimeSlice, *, limit: int) -> list[dict[str, Any]]:
        """Return the parties that a name may mean, ranked, each with `subject`, `name`, `matched` and `score`."""
        self._refresh()
        return self._named(names.resolve(self._db, name, question.as_of, limit), question)

    def search(
        self, words: str, question: TimeSlice, *, limit: int, after: Sequence[Any] | None, collection: str | None = None
    ) -> Page:
        """Return a page of subjects with a matching text, ranked: `subject`, `name`, `snippet` and `score` of each."""
        self._refresh()
        check_after(after, int)
        start = max(0, after[0]) if after else 0
        hits = search.search(self._db, words, question.as_of, collection=collection, limit=limit + 1, offset=start)
        following = [start + limit] if len(hits) > limit else None
        return Page(self._named(hits[:limit], question), following)

    def graph(self, center: str | None, depth: int, question: TimeSlice, limit: int) -> GraphPart:
        """Return the graph of subjects and their connections around a subject. Raise NotFound, Gone, Merged."""
        self._refresh()
        return self._graph.graph(center, depth, question, limit)

    def statistics(self, question: TimeSlice) -> dict[str, Any]:
        """Return counts by type, kind, status, year and party."""
        self._refresh()
        return self._statistics.statistics(question)

    def lines(self, view: str, as_of: int) -> Iterator[bytes]:
        """Yield the canonical rows of a view (one of `digests.VIEWS`) as of a position, in constant memory."""
        return self._digests.lines(view, as_of)

    def some_canonical_rows(self, view: str, as_of: int, after: Sequence[Any] | None) -> Lines:
        """Return some of these rows, found within milliseconds, and the key to continue after."""
        return self._digests.some(view, as_of, after)

    def digest(self, view: str, as_of: int) -> str:
        """Return `sha256:` and the SHA-256 of these rows in hexadecimal."""
        return self._digests.digest(view, as_of)

    def _named(self, hits: Sequence[Mapping[str, Any]], question: TimeSlice) -> list[dict[str, Any]]:
        found = [Reference(self._index.name(hit["subject"])) for hit in hits]
        self._references.name(found, question)
        return [{**hit, **reference} for hit, reference in zip(hits, found, strict=True)]
