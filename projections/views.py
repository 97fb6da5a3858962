"""All views together: events are judged, taken in and folded in the order of the log. The write half, one thread at a
time; also the one fold that serving, rebuilding and replaying use.

Nothing is written outside a transaction that the caller began. A batch that is refused leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from domain.corrections import Event, Fact, uncorrected_fact
from domain.party import merger_edges
from domain.payload import Data
from projections import disputes, documents, names, search
from projections.catalogue import ALL_SCOPES
from projections.engine import merkle_tree, rollups
from projections.engine.clusters import add_edge, replace_edges
from projections.engine.database import complete, complete_canonical_rows, connect, create, fold, is_empty
from projections.engine.event_index import EventIndex
from projections.engine.query_types import Gone, Merged, NotFound, TimeSlice
from projections.engine.specification import Scope
from projections.engine.text_index import TEXTS
from projections.engine.tracking import ViewsTracking
from projections.engine.wal_checkpointing import WalCheckpointing
from projections.fact_store import FactStore
from projections.projector import Projector
from projections.recorded_history import RecordedHistory
from projections.single_view import CHANGING
from projections.states import States

INDEXES = (TEXTS, search.WRITTEN.parts, names.NAMES, names.SPELLINGS.parts)
"""Every text index."""
SCHEMAS = (search.SCHEMA, names.SCHEMA, merkle_tree.SCHEMA, rollups.SCHEMA)


class StaleViews(Exception):
    """The file was folded by other code and must be rebuilt."""


class Views:
    """The views of one node, for writing. Opening a file that other code folded raises StaleViews."""

    def __init__(self, path: Path, erasures: int = 0, *, building: bool = False, scope: Scope = ALL_SCOPES) -> None:
        """Open the file, or create it; `erasures` is the number of erasures in the log, stored in a new file.

        `building`: a whole log is folded into an empty file before it is read. Until `finish` the file lacks what
        folding does not need, survives no crash, and is stale to others that open it. With a `scope` smaller than all
        views it only serves the canonical rows of one view.
        """
        self._db = connect(path, building=building)
        self._is_building = building
        self._scope = scope
        if is_empty(self._db):
            create(self._db, SCHEMAS, building=building)
            self._db.execute("INSERT INTO meta VALUES ('erasures', ?)", (str(erasures),))
        if not building and self._meta("fold") != fold():
            self._db.close()
            raise StaleViews("they were folded by other code")
        self.erasures = int(self._meta("erasures"))
        self._start()
        self._tracking = ViewsTracking(self._db)
        self.position = self._tracking.position()
        self._committed = self.position
        self._rollups = rollups.Rollups(self._db, self.position)
        self._checkpointing = WalCheckpointing(path, self.position)

    def _start(self) -> None:
        """Create the parts that fold and decide, with empty caches."""
        self._store = FactStore(self._db)
        self._projector = Projector(self._db, self._store, self._scope)
        self._document_texts = documents.DocumentTexts(self._db)
        self._appended: tuple[Event, dict[int, list[Fact]], set[int]] | None = None
        """The last event of the batch, which is not folded yet."""
        self._leaves: list[bytes] = []
        self._texts = search.TextWriter(self._db)
        self._names = names.NameWriter(self._db)

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Undo everything admitted within, and leave caches as they were. Everything must be committed before."""
        if self.waiting:
            raise RuntimeError("a trial would undo events that are not committed")
        saved = self._store, self._projector, self._document_texts, self._leaves, self._texts, self._names
        self.begin()
        try:
            with self._db.apart():
                self._start()
                yield
        finally:
            self._store, self._projector, self._document_texts, self._leaves, self._texts, self._names = saved
            self.position = self._committed

    def finish(self) -> None:
        """Complete a file that was `building`: then it can be read, and, if it has all views, folded further."""
        if self._scope is not ALL_SCOPES:
            complete_canonical_rows(self._db)
            return
        complete(self._db, partial(self._rollups.grow, self.position))
        self._is_building = False

    @property
    def waiting(self) -> int:
        """The number of events folded since the last commit."""
        return self.position - self._committed

    @property
    def rows_waiting(self) -> int:
        """The number of rows that are not written yet."""
        return self._db.waiting

    def begin(self) -> None:
        """Begin a transaction, unless one is open."""
        if not self._db.in_transaction:
            self._db.begin()

    def flush(self) -> None:
        """Write the rows that wait in memory, so that `commit` has less to do; readers do not see them yet."""
        self._db.restart_transaction()
        self._db.flush()
        self._store.evict_if_full()

    def commit(self) -> None:
        """Make everything since `begin` visible to readers; without an open transaction do nothing."""
        if not self._db.in_transaction:
            return
        self.flush()
        if self.position != self._committed:
            if self._scope is ALL_SCOPES:
                merkle_tree.grow(self._db, self._committed, self._leaves)
            if not self._is_building:
                self._rollups.grow(self.position)
            self._tracking.advance(self.position)
        self._db.execute("COMMIT")
        self._committed = self.position
        self._leaves.clear()
        if not self._is_building:
            self._checkpointing.committed(self.position)

    def rollback(self) -> None:
        """Undo everything since `begin`, except what a failed `commit` has written nevertheless."""
        self._store.forget()
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self.position = self._committed = self._tracking.position()
        self._rollups.go_back(self._committed)
        self._texts.forget()
        self._names.forget()
        self._leaves.clear()

    @contextmanager
    def batch(self, leaves: Sequence[bytes], seconds: float | None = None) -> Iterator[RecordedHistory]:
        """Fold a batch of events, whole or not at all; `leaves` are the leaf hashes of their log entries.

        The block appends the events to the history that it gets. If it raises, nothing of the batch remains. Raise
        TooLong after `seconds`.
        """
        position = self.position
        for part in (self._store, self._texts, self._names):
            part.begin_batch()
        try:
            with nullcontext() if seconds is None else self._db.limit.set_to(seconds, self._db):
                yield RecordedHistory(self._store, self._document_texts, self._append)
                self._fold_appended()
        except BaseException:
            self.position, self._appended = position, None
            for part in (self._store, self._texts, self._names):
                part.undo_batch()
            raise
        for part in (self._store, self._texts, self._names):
            part.release_batch()
        self._leaves += leaves

    def _append(self, event: Event, model: Data) -> Mapping[int, Sequence[Fact]]:
        """Store an event of a batch; it is folded after it was decided, or before the next one is stored."""
        self._fold_appended()
        changed: dict[int, list[Fact]] = {}
        self._appended = event, changed, self._store_event(event, model, changed)
        return changed

    def _fold_appended(self) -> None:
        if self._appended is not None:
            self._fold(*self._appended)
            self._appended = None

    def apply(self, event: Event, leaf: bytes) -> None:
        """Fold the next event of the log, which was decided when it was recorded; `leaf` is its leaf hash."""
        self._store.evict_if_full()
        if event.version == 1:
            self._store.subjects.miss(event.subject)
        self._leaves.append(leaf)
        if not self._scope.facts:
            self._check_order(event)
            self._store.put_event(event)
            return
        changed: dict[int, list[Fact]] = {}
        merge_lifespans = self._store_event(event, event.model, changed)
        self._fold(event, changed, merge_lifespans)

    def store_text(self, event: Event, text: str) -> None:
        """Store the text of a document, after its `document.text-stored` was folded."""
        if self._scope.passages:
            documents.store_text(self._store, event, text)

    def position_of_text(self, subject: str, sha256: str) -> int | None:
        """Return the position of the event that stored the text of this SHA-256, if it is stored and registered."""
        number = self._store.find(subject)
        text = None if number is None else self._document_texts.checked(number)
        return text.position if text is not None and text.sha256 == sha256 else None

    def has_text(self, subject: str) -> bool:
        """Return whether a text of a document is stored."""
        number = self._store.find(subject)
        return number is not None and self._document_texts.stored(number) is not None

    def pending_state(self, subject: str, day: int) -> dict[str, Any] | None:
        """Return the state of a subject on a day with all events folded so far; None where it has none."""
        self._db.restart_transaction()
        self._db.flush()
        try:
            return States(self._db, EventIndex(self._db)).state(subject, TimeSlice(self.position, day)).body
        except (NotFound, Gone, Merged):
            return None

    def version(self, subject: str) -> int:
        """Return the version of the last event about a subject, 0 if there is none."""
        return self._store.version(subject)

    def event(self, position: int) -> Event | None:
        """Return the event at a position, as the views store it."""
        return self._store.event(position)

    def last(self) -> Event | None:
        """Return the last event that was folded."""
        return self._store.event(self.position) if self.position else None

    def close(self) -> None:
        """Close the file and undo an open transaction."""
        self._checkpointing.close()
        self._db.close()

    def _store_event(self, event: Event, model: Data, changed: dict[int, list[Fact]]) -> set[int]:
        """Store an event and its facts; add the facts that came and went to `changed`.

        Return all parties whose mergers it changed.
        """
        self._check_order(event)
        number = self._store.put_event(event)
        if event.kind.about_event:
            disputes.dispute(self._store, event)
        if self._scope.passages:
            documents.cite(self._store, event, model)
        if event.type == "document.text-erased":
            documents.erase_text(self._store, event)
        elif event.kind.collection is not None and event.kind.is_posted:
            if (fact := uncorrected_fact(event, model)) is None:
                return set()
            self._put(fact, number, event.position, changed, altered=False)
        elif event.type == "event.disputed":
            self._dispute_date(event, changed)
        elif event.type in CHANGING and (root := self._root(event)) is not None:
            self._correct(root, event.position, changed)
        merge_lifespans: set[int] = set()
        for each, facts in changed.items():
            if mergers := [fact for fact in facts if fact.type == "party.merged"]:
                merge_lifespans |= self._merge(event, each, mergers)
        return merge_lifespans

    def _check_order(self, event: Event) -> None:
        if event.position != self.position + 1:
            raise ValueError(f"event {event.position} does not follow {self.position}")
        self.position = event.position

    def _root(self, event: Event) -> Event | None:
        """Return the event about the world that an event is about, directly or through others.

        None if the data that names it was erased.
        """
        found: Event | None = event
        while found is not None and found.kind.about_event:
            found = None if found.about is None else self._store.event(found.about)
        return found

    def _dispute_date(self, event: Event, changed: dict[int, list[Fact]]) -> None:
        """Add the dates that a dispute claims to those of the disputed fact."""
        dates = [claim["value"] for claim in event.plain.get("claims", ()) if claim["pointer"] == "/occurred"]
        target = None if event.about is None or not dates else self._store.event(event.about)
        before = None if target is None else self._store.fact(target.position)
        if target is not None and before is not None:
            self._change(before.subject, before, before.disputed(dates, target.recorded), event.position, changed)

    def _correct(self, root: Event, position: int, changed: dict[int, list[Fact]]) -> None:
        before = self._store.fact(root.position)
        after = self._store.corrections(root).fact(root, disputes.disputed_dates(self._store, root.position))
        self._change(root.subject, before, after, position, changed)

    def _change(
        self, subject: str, before: Fact | None, after: Fact | None, position: int, changed: dict[int, list[Fact]]
    ) -> None:
        """Replace a current fact by another from a position on; None is no fact."""
        if before == after:
            return
        number = self._store.find(subject)
        assert number is not None
        if before is not None:
            self._store.end_fact(before, number, position)
            changed.setdefault(number, []).append(before)
        if after is not None:
            self._put(after, number, position, changed, altered=True)

    def _put(self, fact: Fact, number: int, position: int, changed: dict[int, list[Fact]], *, altered: bool) -> None:
        row = self._store.put_fact(fact, number, position, altered=altered)
        if self._scope.words:
            self._texts.add(row, fact)
            self._names.add(row, fact)
        changed.setdefault(number, []).append(fact)

    def _fold(self, event: Event, changed: dict[int, list[Fact]], merge_lifespans: set[int]) -> None:
        if merge_lifespans:
            self._projector.merge(merge_lifespans, event.position)
        for number, facts in changed.items():
            self._projector.fold(number, facts, event.position)

    def _merge(self, event: Event, number: int, mergers: Sequence[Fact]) -> set[int]:
        """Update the clusters of parties after mergers came or went; return every party in the changed clusters."""
        store = self._store
        involved = {number, *(store.must_find(fact.data.into) for fact in mergers)}  # type: ignore[attr-defined]
        affected = {member for party in involved for member in self._store.cluster_of(party)}
        if event.type == "party.merged":
            into = store.must_find(mergers[0].data.into)  # type: ignore[attr-defined]
            edge = (self._store.survivor(number), self._store.survivor(into), event.position)
            add_edge(self._db, edge, event.position)
            store.forget_mergers()
        else:
            current = [
                (store.must_find(fact.subject), store.must_find(fact.data.into), fact.position)  # type: ignore[attr-defined]
                for fact in store.mergers()
            ]
            replace_edges(self._db, merger_edges(current), event.position)
            store.forget_mergers()
        return affected | {member for party in involved for member in self._store.cluster_of(party)}

    def _meta(self, name: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""
