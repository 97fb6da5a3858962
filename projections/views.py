"""All views together: events are judged, taken in and folded in the order of the log. The write half, one thread at a
time; also the one fold that serving, rebuilding and replaying use.

Nothing is written outside a transaction that the caller began. A batch that is refused leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

from domain.corrections import Event, Fact, stated
from domain.errors import Contradiction, Flaw, Invalid, Refused
from domain.payload import Data
from projections import disputes, documents, names, search
from projections.catalogue import ALL_SCOPES
from projections.decider import Decider
from projections.engine import merkle_tree, rollups
from projections.engine.clusters import add_edge, edges_of, replace_edges
from projections.engine.database import complete, complete_canonical_rows, connect, create, fold, is_empty
from projections.engine.specification import Scope
from projections.engine.text_index import TEXTS
from projections.engine.wal_checkpointing import WalCheckpointing
from projections.fact_store import FactStore
from projections.projector import Projector
from projections.single_view import CHANGING

INDEXES = (TEXTS, search.WRITTEN.parts, names.NAMES, names.SPELLINGS.parts)
"""Every index of words."""
SCHEMAS = (search.SCHEMA, names.SCHEMA, merkle_tree.SCHEMA, rollups.SCHEMA)


class StaleViews(Exception):
    """The file was folded by other code and is to be made anew."""


class Views:
    """One node's views, for writing. Raises StaleViews on opening a file that other code folded."""

    def __init__(self, path: Path, erasures: int = 0, *, building: bool = False, scope: Scope = ALL_SCOPES) -> None:
        """`erasures`, of a file that is made here, is how often the log it is folded from had erased something.

        One that is `building` is an empty file to be, which a whole log is folded into before anybody asks it: until
        `finish` it lacks what folding does without, survives no crash, and is stale to whoever else opens it. Of those,
        one of a `scope` of everything is only ever asked for the lines of that view.
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
        self.position = int(self._meta("position"))
        self._committed = self.position
        self._rollups = rollups.Rollups(self._db, self.position)
        self._checkpointing = WalCheckpointing(path, self.position)

    def _start(self) -> None:
        """Make what folds and judges, with nothing cached."""
        self._store = FactStore(self._db)
        self._projector = Projector(self._db, self._store, self._scope)
        self._decider = Decider(self._db, self._store)
        self._leaves: list[bytes] = []
        self._texts = search.TextWriter(self._db)
        self._names = names.NameWriter(self._db)

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Undo at its end whatever is admitted within, and leave what is cached as it was. Nothing may wait."""
        if self.waiting:
            raise RuntimeError("a trial would undo what waits to be committed")
        kept = self._store, self._projector, self._decider, self._leaves, self._texts, self._names
        self.begin()
        try:
            with self._db.apart():
                self._start()
                yield
        finally:
            self._store, self._projector, self._decider, self._leaves, self._texts, self._names = kept
            self.position = self._committed

    def finish(self) -> None:
        """Make what was `building` complete: to be asked, and folded on, as any other; of a portion, to be asked."""
        if self._scope is not ALL_SCOPES:
            complete_canonical_rows(self._db)
            return
        complete(self._db, partial(self._rollups.grow, self.position))
        self._is_building = False

    @property
    def waiting(self) -> int:
        """How many events are folded in that `commit` has not made visible yet."""
        return self.position - self._committed

    @property
    def rows_waiting(self) -> int:
        """How many rows of what is folded in wait in memory."""
        return self._db.waiting

    def begin(self) -> None:
        """Start a transaction, where none is open."""
        if not self._db.in_transaction:
            self._db.begin()

    def flush(self) -> None:
        """Write what waits in memory, so that `commit` has less to do; nobody sees it yet."""
        self._db.restart_transaction()
        self._db.flush()
        self._store.evict_if_full()

    def commit(self) -> None:
        """Make everything since `begin` visible to readers; does nothing where no transaction is open."""
        if not self._db.in_transaction:
            return
        self.flush()
        if self.position != self._committed:
            if self._scope is ALL_SCOPES:
                merkle_tree.grow(self._db, self._committed, self._leaves)
            if not self._is_building:
                self._rollups.grow(self.position)
            self._db.execute("UPDATE meta SET value = ? WHERE name = 'position'", (str(self.position),))
        self._db.execute("COMMIT")
        self._committed = self.position
        self._leaves.clear()
        if not self._is_building:
            self._checkpointing.committed(self.position)

    def rollback(self) -> None:
        """Undo everything since `begin`, but for what a `commit` that failed has kept after all."""
        self._store.forget()
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self.position = self._committed = int(self._meta("position"))
        self._rollups.go_back(self._committed)
        self._texts.forget()
        self._names.forget()
        self._leaves.clear()

    def admit(
        self,
        events: Sequence[Event],
        leaves: Sequence[bytes],
        seconds: float | None = None,
        *,
        are_checked: bool = True,
        has_gaps: bool = False,
    ) -> None:
        """Judge one batch and fold it in, whole or not at all; `leaves` are the Merkle leaf hashes of its log entries.

        Raises Refused: Invalid for what does not exist, Contradiction for what cannot be; TooLong where it takes more
        than so many seconds. With several events, a flaw's pointer starts with the event's index. Events of another log
        whose data or texts are not here are not checked for what they speak of; they must not contradict either.
        `has_gaps` says that the log which the events come from decided them on events that have lost their data since:
        they need not fit what is left, but for the subjects and events that they name.
        """
        position = self.position
        for part in (self._store, self._texts, self._names):
            part.begin_batch()
        try:
            with nullcontext() if seconds is None else self._db.limit.set_to(seconds, self._db):
                self._admit(events, are_checked=are_checked, has_gaps=has_gaps)
        except BaseException:
            self.position = position
            for part in (self._store, self._texts, self._names):
                part.undo_batch()
            raise
        for part in (self._store, self._texts, self._names):
            part.keep_batch()
        self._leaves += leaves

    def _admit(self, events: Sequence[Event], *, are_checked: bool, has_gaps: bool) -> None:
        changed: dict[int, list[Fact]] = {}
        for index, event in enumerate(events):
            try:
                model = event.model
                if are_checked:
                    self._decider.check(event, model, has_gaps=has_gaps)
                mine: dict[int, list[Fact]] = {}
                merge_lifespans = self._store_event(event, model, mine)
                if len(events) == 1 and not has_gaps:
                    self._decider.decide(mine, events)
                self._fold(event, mine, merge_lifespans)
                for number, facts in mine.items():
                    changed.setdefault(number, []).extend(facts)
            except Refused as refused:
                raise _within(refused, index, len(events)) from None
        if len(events) > 1:
            self._decider.decide(changed, events)

    def apply(self, event: Event, leaf: bytes) -> None:
        """Fold in the next event of the log, which was judged when it was recorded; `leaf` as in `admit`."""
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
        """Keep the text of a document that the event last folded in says is stored."""
        if self._scope.passages:
            documents.store_text(self._store, event, text)

    def position_of_text(self, subject: str, sha256: str) -> int | None:
        """The position of the event that stored the text of this SHA-256, if it is held and the registered one."""
        number = self._store.find(subject)
        held = None if number is None else documents.DocumentTexts(self._db).checked(number)
        return held.position if held is not None and held.sha256 == sha256 else None

    def has_text(self, subject: str) -> bool:
        """Whether a text of a document is held."""
        number = self._store.find(subject)
        return number is not None and documents.DocumentTexts(self._db).stored(number) is not None

    def version(self, subject: str) -> int:
        """The version of the last event about a subject, 0 if there is none."""
        return self._store.version(subject)

    def event(self, position: int) -> Event | None:
        """The event at a position, as the views keep it."""
        return self._store.event(position)

    def last(self) -> Event | None:
        """The last event folded in."""
        return self._store.event(self.position) if self.position else None

    def close(self) -> None:
        """Close the file; an open transaction is undone."""
        self._checkpointing.close()
        self._db.close()

    def _store_event(self, event: Event, model: Data, changed: dict[int, list[Fact]]) -> set[int]:
        """Keep the event and what is believed because of it; add the facts that came and went to `changed`.

        The parties whose being one with others it changed, all of them.
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
            if (fact := stated(event, model)) is None:
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
        """The event about the world that an event about an event, or about one of those, comes down to.

        None where that was erased and nobody knows.
        """
        found: Event | None = event
        while found is not None and found.kind.about_event:
            found = None if found.about is None else self._store.event(found.about)
        return found

    def _dispute_date(self, event: Event, changed: dict[int, list[Fact]]) -> None:
        """Add the dates that a dispute gives to those of the fact that it speaks of, whatever other disputes give."""
        dates = [claim["value"] for claim in event.plain.get("claims", ()) if claim["pointer"] == "/occurred"]
        spoken = None if event.about is None or not dates else self._store.event(event.about)
        before = None if spoken is None else self._store.fact(spoken.position)
        if spoken is not None and before is not None:
            self._change(before.subject, before, before.disputed(dates, spoken.recorded), event.position, changed)

    def _correct(self, root: Event, position: int, changed: dict[int, list[Fact]]) -> None:
        before = self._store.fact(root.position)
        after = self._store.corrections(root).fact(root, disputes.disputed_dates(self._store, root.position))
        self._change(root.subject, before, after, position, changed)

    def _change(
        self, subject: str, before: Fact | None, after: Fact | None, position: int, changed: dict[int, list[Fact]]
    ) -> None:
        """Believe one fact in the place of another from a position on."""
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
        """Take over who is one with whom, after mergers came or went; every party in the groups this changed."""
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
            replace_edges(self._db, edges_of(current), event.position)
            store.forget_mergers()
        return affected | {member for party in involved for member in self._store.cluster_of(party)}

    def _meta(self, name: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""


def _within(refused: Refused, index: int, count: int) -> Refused:
    if count == 1:
        return refused
    flaws = [Flaw(f"/{index}{flaw.pointer}", flaw.detail) for flaw in refused.flaws]
    kind = Invalid if isinstance(refused, Invalid) else Contradiction
    return kind(refused.detail, flaws, refused.positions)
