"""The projector: folds the keys of a subject that changed facts touch, and writes their rows.

The memberships, the list items (`projections.list_item_projector`) and the attributes of a subject are folded apart, so
that a post costs what its own party, phase or commitment costs, whatever the size of the subject. Rows that stay as
they were are not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from domain.agreement import ANNOUNCED
from domain.attributes import until_of
from domain.corrections import Fact
from domain.edtf import AFTER, BEFORE, Span
from domain.lifespan import Bounds, lifespan_of, order_creations
from domain.membership import (
    CONSENTS,
    MEMBERSHIP_TYPES,
    NO_CONSENT,
    ORDER_OF_STATUSES,
    OWNER_TYPES,
    FirstConsent,
    InForcePossibilities,
    Lifespan,
    MembershipPeriod,
    in_force_from,
    membership_periods,
    parties_of,
    with_lapses,
)
from domain.subject_state import (
    DatedMark,
    InForcePeriod,
    StatePeriod,
    describes,
    in_force_periods,
    is_agreement_wide,
    state_periods,
)
from domain.values import texts_of
from projections.catalogue import ALL_SCOPES, SUBJECT_VIEWS
from projections.engine.bitemporal import (
    LIST_ITEMS,
    MEMBERSHIP_COLUMNS,
    MEMBERSHIPS,
    PUT_TERM,
    SUBJECT_STATES,
    write,
)
from projections.engine.buffer import Buffer, Row
from projections.engine.database import CURRENT
from projections.engine.specification import Scope
from projections.engine.subject_cache import NOTHING_IN_FORCE, Basis, Subject
from projections.engine.subject_states import subject_state_row
from projections.fact_store import FactStore
from projections.list_item_projector import ListItemProjector
from projections.memberships import MembershipDraft, membership_drafts

_WITH_FORCE = (
    "SELECT valid_from, valid_to, status, force, source_event, party_name"
    f" FROM memberships INDEXED BY memberships_of_container WHERE container = ? AND system_to = {CURRENT} AND force & 3"
)
_WITHOUT_BEGINNING = (
    "SELECT DISTINCT party FROM memberships INDEXED BY memberships_unbegun"
    f" WHERE container = ? AND system_to = {CURRENT} AND at = {AFTER}"
)
_VALID_FROM, _VALID_TO, _STATUS, _FORCE, _SOURCE_EVENT, _EARLIEST, _PARTY_NAME = (
    MEMBERSHIP_COLUMNS.index(name)
    for name in ("valid_from", "valid_to", "status", "force", "source_event", "at", "party_name")
)


@dataclass(slots=True)
class Context:
    """The inputs of every row of a subject.

    `describing` are the facts of its attributes; `whole` are those of them that change all memberships.
    `force` is the joint force of its memberships. `states` are None until they are folded.
    """

    lifespan: Lifespan
    describing: Sequence[Fact]
    whole: Sequence[Fact]
    marks: Mapping[str, DatedMark]
    force: Sequence[InForcePeriod]
    basis: Basis
    states: Sequence[StatePeriod] | None


class Projector:
    """Folds and writes rows, on the connection of the write half."""

    def __init__(self, connection: Buffer, store: FactStore, scope: Scope = ALL_SCOPES) -> None:
        self._db = connection
        self._store = store
        self._scope = scope
        self._has_states = SUBJECT_STATES.name in scope.rows
        self._list_items = ListItemProjector(connection, store, scope)

    def fold(self, number: int, changed: Sequence[Fact], position: int, *, whole: bool = False) -> None:
        """Update the rows of a subject at a position, after these facts came or went; `whole` folds all its rows."""
        subject = self._store.subjects.get(number)
        collection = subject.name.partition("/")[0]
        if collection not in self._scope.folded:
            return
        if collection == "parties":
            subject = self._store.subjects.get(self._store.survivor(number))
        self._store.subjects.save_for_undo(subject)
        was: Context | None = subject.context
        shown = None if was is None or whole else (was.states, was.lifespan.creation)
        describing = whole or any(fact.creates or describes(fact) for fact in changed)
        context = self._context(subject, collection, None if describing else was)
        parties, again, everything = self._to_fold(subject, context, changed)
        if whole:
            parties = {*parties, *self._owners(subject), *self._members(subject)}
        if parties and MEMBERSHIPS.name in self._scope.rows:
            self._fold_and_join(subject, collection, parties, context, position)
        if context.states is None:
            self._db.limit.check(len(context.describing))
            context.states = self._states(collection, context) if self._has_states else ()
        self._list_items.fold(
            subject,
            collection,
            [*changed, *again],
            context.lifespan,
            context.describing,
            context.states,
            position,
            everything=whole or everything,
        )
        if shown != (context.states, context.lifespan.creation):
            self._write_states(subject, collection, context.states, context, position)
        was_basis = subject.basis
        self._keep(subject, context)
        subject.context = context
        if collection == "parties" and was_basis is not None and not whole:
            self._fold_memberships_of_party(subject, was_basis, context.basis, changed, position)

    def _fold_memberships_of_party(
        self, party: Subject, old: Basis, new: Basis, changed: Sequence[Fact], position: int
    ) -> None:
        """Fold the memberships of a party where its lifespan changed, or the fact that ended it."""
        if MEMBERSHIPS.name not in self._scope.rows or self._scope.by_subject:  # then all lifespans are known before
            return
        if old[:2] == new[:2] and not any(fact.kind.ends or fact.kind.reinstates for fact in changed):
            return
        containers = sorted(self._containers([party.number]))
        self._db.limit.check(len(containers))
        for container in containers:
            self.fold_memberships(container, [party.number], position)

    def _containers(self, parties: Iterable[int]) -> set[int]:
        """Return the subjects in which these parties, and those merged with them, have or had memberships."""
        store = self._store
        members = {member for party in parties for member in store.cluster_of(party)}
        return {store.survivor(container) for member in members for container in store.containers(member)}

    def merge(self, numbers: Iterable[int], position: int) -> None:
        """Update every row of some parties at a position, after mergers or splits among them."""
        numbers = sorted(set(numbers))
        for number in numbers:
            subject = self._store.subjects.get(number)
            self._store.subjects.save_for_undo(subject)
            subject.context = None
            if self._store.survivor(number) != number:
                for table in (SUBJECT_STATES, LIST_ITEMS, MEMBERSHIPS):
                    self._db.execute(
                        f"UPDATE {table.name} SET system_to = ? WHERE {table.columns[0]} = ? AND system_to = {CURRENT}",
                        (position, number),
                    )
                self._store.subjects.evict(subject)
                self._store.subjects.mark_dirty(subject)
                subject.basis, subject.force = None, NOTHING_IN_FORCE
        for number in numbers:
            if self._store.survivor(number) == number:
                self.fold(number, (), position, whole=True)
        for container in sorted(self._containers(numbers)):
            self.fold_memberships(container, numbers, position)

    def fold_memberships(self, container: int, parties: Iterable[int], position: int) -> None:
        """Fold the memberships of these parties in a subject, and what depends on them."""
        subject = self._store.subjects.get(container)
        self._store.subjects.save_for_undo(subject)
        collection = subject.name.partition("/")[0]
        if collection not in self._scope.folded or MEMBERSHIPS.name not in self._scope.rows:
            subject.context = None
            return
        context = self._context(subject, collection, None)
        if self._fold_and_join(subject, collection, parties, context, position):
            self._write_states(subject, collection, self._states(collection, context), context, position)
            self._keep(subject, context)
        subject.context = None

    def _keep(self, subject: Subject, context: Context) -> None:
        """Store what the rows of a subject were folded with."""
        if subject.basis != context.basis or subject.force != context.force:
            self._store.subjects.mark_dirty(subject)
            subject.basis, subject.force = context.basis, context.force

    # what rows depend on

    def _context(self, subject: Subject, collection: str, was: Context | None) -> Context:
        """Return the context of a subject; `was` is the last one, where no creating or describing fact changed."""
        group = self._store.cluster_of(subject.number) if collection == "parties" else [subject.number]
        bounds = self._store.bounds(group)
        lifespan = lifespan_of(bounds)
        if was is None:
            describing = self._describing(group)
        elif was.lifespan == lifespan and was.basis.consent == _consent(subject, was.whole, lifespan):
            return was
        else:
            describing = was.describing
        marks = self._marks(subject, collection, describing, lifespan, bounds)
        lasts = any(until_of(fact) is not None for fact in describing)
        states = _state_periods(collection, describing, marks, lifespan, subject.force) if lasts else None
        whole = [fact for fact in describing if is_agreement_wide(fact)]
        basis = Basis(
            lifespan.creation.lo,
            None if lifespan.end is None else (lifespan.end.lo, lifespan.end.hi),
            _consent(subject, whole, lifespan),
            () if states is None else _lapses(states),
            tuple([(fact.type, *fact.effective, fact.occurred, fact.positions) for fact in whole]),
            lifespan.creation.hi if lifespan.has_single_creation or collection == "parties" else None,
            lifespan.from_announcement.creation.lo,
        )
        return Context(lifespan, describing, whole, marks, subject.force, basis, states)

    def _describing(self, group: Sequence[int]) -> Sequence[Fact]:
        """Return the facts that describe a subject or those merged with it; its own creating facts come first."""
        if len(group) == 1:
            return self._store.describing(group[0])
        describing = [fact for member in reversed(group) for fact in self._store.describing(member)]
        return sorted(describing, key=lambda fact: (fact.order[0], () if fact.creates else fact.order))

    def _marks(
        self, subject: Subject, collection: str, describing: Sequence[Fact], lifespan: Lifespan, bounds: Bounds
    ) -> dict[str, DatedMark]:
        if collection != "agreements":
            return {
                fact.type: DatedMark(lifespan.creation, fact.position, fact.occurred)
                for fact in describing
                if fact.creates
            }
        adopted, signed = bounds.adopted, bounds.signed
        if adopted is not None and signed is not None:
            adopted, signed = order_creations(adopted, signed)
        creation = adopted if adopted is not None and (signed is None or adopted.lo <= signed.hi) else signed
        marks = {}
        for name, span, position in (
            ("agreement.adopted", adopted, subject.lifespan.adopted_by),
            ("agreement.signed", signed, subject.lifespan.signed_by),
        ):
            if span is not None and position is not None:
                fact = self._store.fact(position, subject.number)
                days = lifespan.creation if span is creation else span
                marks[name] = (
                    DatedMark(days, position)
                    if fact is None
                    else DatedMark(days, position, fact.occurred, fact.span.hi)
                )
        if lifespan.announced is not None:
            first = next(fact for fact in describing if fact.type == ANNOUNCED)
            marks[ANNOUNCED] = DatedMark(lifespan.announced, first.position, first.occurred, first.span.hi)
        return marks

    def _states(self, collection: str, context: Context) -> list[StatePeriod]:
        return _state_periods(collection, context.describing, context.marks, context.lifespan, context.force)

    def _to_fold(
        self, subject: Subject, context: Context, changed: Sequence[Fact]
    ) -> tuple[set[int], Sequence[Fact], bool]:
        """Return what changed facts touch: the parties whose memberships are to be folded, further facts whose list
        items are, and whether all list items are."""
        named = self._parties_of(changed)
        old, new = subject.basis, context.basis
        if old is None or old == new:
            return named, (), False
        group = self._store.cluster_of(subject.number) if subject.name.startswith("parties/") else [subject.number]
        # A name or identifier of a registration holds from the creation of all parties merged with its own.
        is_moved = old.created_by != new.created_by or (old.creation != new.creation and len(group) > 1)
        again = [fact for each in group for fact in self._store.creating_facts(each)] if is_moved else []
        is_whole = (old.end, old.consent, old.lapses, old.provenance) != (
            new.end,
            new.consent,
            new.lapses,
            new.provenance,
        )
        if old.creation != new.creation:
            day = max(old.creation, new.creation)
            again += [fact for each in group for fact in self._store.begun_before(day, each)]
            is_whole |= any(fact.span.lo < day for fact in context.whole)
            named.update(self._members_from_creation(subject))
        if old.planned_from != new.planned_from and subject.name.startswith("agreements/"):
            again += self._store.begun_before(max(old.planned_from, new.planned_from), subject.number)
        if old.created_by != new.created_by and subject.name.startswith(
            "agreements/"
        ):  # it may be in force from that day on
            day = max(old.created_by or BEFORE, new.created_by or BEFORE)
            again += self._store.begun_before(day, subject.number)
            is_whole |= any(fact.span.lo < day for fact in context.whole)
        named |= self._parties_of(again) | self._owners(subject)
        if is_whole:
            named.update(self._members(subject))
        return named, again, old.end != new.end

    def _parties_of(self, facts: Iterable[Fact]) -> set[int]:
        """Return the parties whose memberships facts create or change."""
        find, survivor = self._store.subjects.find, self._store.survivor
        named = [find(party) for fact in facts if fact.type in MEMBERSHIP_TYPES for party in parties_of(fact)]
        return {survivor(party.number) for party in named if party is not None}

    def _members(self, subject: Subject) -> Iterable[int]:
        """Return the parties with a current membership in a subject."""
        if subject.cached is not None:
            return [row[1] for row in subject.cached.of(MEMBERSHIPS.name)]
        rows = self._db.execute(
            f"SELECT DISTINCT party FROM memberships WHERE container = ? AND system_to = {CURRENT}", (subject.number,)
        )
        return [row[0] for row in rows]

    def _owners(self, subject: Subject) -> set[int]:
        """Return the owners of a party by its facts: those of merged parties may contradict, and then have no row."""
        if not subject.name.startswith("parties/"):
            return set()
        members = self._store.same_as(subject.number)
        return self._parties_of(fact for member in members for fact in self._store.of_types(OWNER_TYPES, member))

    def _members_from_creation(self, subject: Subject) -> Iterable[int]:
        """Return the members without a known beginning: their memberships begin with the creation of the subject."""
        if subject.cached is not None:
            return [row[1] for row in subject.cached.of(MEMBERSHIPS.name) if row[_EARLIEST] == AFTER]
        return [party for (party,) in self._db.execute(_WITHOUT_BEGINNING, (subject.number,))]

    # memberships

    def _fold_and_join(
        self, subject: Subject, collection: str, parties: Iterable[int], context: Context, position: int
    ) -> bool:
        """Fold and write memberships; return whether their joint force changed, which the context then has."""
        closed, opened = self._fold_memberships(subject, parties, context, position)
        if collection != "agreements" or not self._has_states or not self._changes_force(context.force, closed, opened):
            return False
        context.force, context.states = self._force_of_memberships(subject), None
        return True

    def _fold_memberships(
        self, subject: Subject, parties: Iterable[int], context: Context, position: int
    ) -> tuple[list[Row], list[Row]]:
        """Fold and write memberships; return the rows closed and opened."""
        wanted: dict[Row, list[Row]] = {}
        shared: dict[int, list[MembershipDraft]] = {}
        membership_facts = None
        if subject.cached is not None and len(self._store.same_as(subject.number)) == 1:
            membership_facts = [each for each in subject.cached.facts.values() if each.fact.type in MEMBERSHIP_TYPES]
        for party in sorted(parties):
            group = self._store.cluster_of(party)
            if group[0] != party:
                own = []
            elif membership_facts is None:
                own = self._store.membership_facts(group, subject.number)
            else:
                own = [each.fact for each in membership_facts if not each.keys.isdisjoint(group)]
                own = self._store.of_members(own, group)
            self._db.limit.check(len(own))
            drafts = self._drafts(group, own, subject, context, shared) if own else []
            name, party_name = subject.name, self._store.subjects.get(party).name
            wanted[subject.number, party] = [
                (*columns, roles.get(party_name), name, party_name, body) for columns, body, roles in drafts
            ]
        closed, opened = write(self._db, MEMBERSHIPS, subject, wanted, position)
        return closed, [row for row, _ in opened]

    def _drafts(
        self,
        group: Sequence[int],
        own: Sequence[Fact],
        subject: Subject,
        context: Context,
        shared: dict[int, list[MembershipDraft]],
    ) -> list[MembershipDraft]:
        """Return the rows of a party's membership from its facts, without name and role; `group` is its cluster.

        `shared` holds, by position, the rows of memberships that rest on one signature alone, which are the same.
        """
        party = self._store.party_lifespan(group)
        if party is not None and not party.affects(own):
            party = None
        is_shared = len(own) == 1 and party is None and own[0].type not in CONSENTS
        drafts = shared.get(own[0].position) if is_shared else None
        if drafts is None:
            same = self._store.same_as(subject.number)
            names = [self._store.name(member) for member in group] if len(group) > 1 else []
            names += [self._store.name(member) for member in same] if len(same) > 1 else []
            lifespan, whole, consented = context.lifespan, context.whole, self._consented(own, context, names)
            days = membership_periods(own, whole, lifespan, consented=consented, names=names, party=party)
            dissolved = () if party is None else party.dissolved
            drafts = membership_drafts(own, whole, lifespan, with_lapses(days, context.basis.lapses), dissolved)
            if is_shared:
                shared[own[0].position] = drafts
        return drafts

    def _consented(self, own: Sequence[Fact], context: Context, names: Sequence[str]) -> Span:
        """Return when the first of the other parties consented to be bound, as far as the membership depends on it."""
        consent = context.basis.consent
        if consent == NO_CONSENT or not any(fact.type in CONSENTS for fact in own):
            return consent.of_others("")
        if not names:
            return consent.of_others(parties_of(own[-1])[0])
        others = NO_CONSENT
        for fact in self._store.facts(self._store.must_find(own[0].subject)):
            if fact.type in CONSENTS and fact not in own:
                others = others.extended(parties_of(fact)[0], fact.span)
        return others.of_others("")

    def _changes_force(self, force: Sequence[InForcePeriod], closed: Sequence[Row], opened: Sequence[Row]) -> bool:
        """Return whether rows that came and went may change the joint force of the memberships of an agreement."""
        if any(row[_FORCE] & 3 for row in closed):
            return True
        counted = [row for row in opened if row[_FORCE] & 3]
        if not counted:
            return False
        settled_days = [
            (days.valid_from, days.valid_to)
            for days in force
            if days.possible == InForcePossibilities(True, False, False)
        ]
        return any(
            not any(since <= row[_VALID_FROM] and row[_VALID_TO] <= until for since, until in settled_days)
            for row in counted
        )

    def _force_of_memberships(self, subject: Subject) -> tuple[InForcePeriod, ...]:
        rows: Iterable[Row]
        if subject.cached is not None:
            held = [row for row in subject.cached.of(MEMBERSHIPS.name) if row[_FORCE] & 3]
            rows = map(itemgetter(_VALID_FROM, _VALID_TO, _STATUS, _FORCE, _SOURCE_EVENT, _PARTY_NAME), held)
        else:
            rows = self._db.execute(_WITH_FORCE, (subject.number,))
        periods = []
        for valid_from, valid_to, status, force, source_event, _ in sorted(rows, key=itemgetter(5, 0)):
            may = InForcePossibilities(bool(force & 1), bool(force & 2), bool(force & 4))
            name = ORDER_OF_STATUSES[status]
            period = MembershipPeriod(valid_from, valid_to, 0, name, (), False, False, (), None, None, may)
            periods.append((period, source_event or None))
        return tuple(in_force_periods(periods))

    # states

    def _write_states(
        self, subject: Subject, collection: str, states: Sequence[StatePeriod], context: Context, position: int
    ) -> None:
        if not self._has_states:
            return
        view = SUBJECT_VIEWS[collection]
        rows: dict[Row, Mapping[str, Any]] = {}
        signed = context.marks.get("agreement.signed")
        latest = AFTER if signed is None else signed.latest
        for days in states:
            ref = days.fields.get("part_of") or days.fields.get("under")
            row = subject_state_row(
                view, days, context.lifespan, latest, self._store.find(ref["subject"]) if ref else None
            )
            rows[row] = days.fields
        _, opened = write(self._db, SUBJECT_STATES, subject, {(subject.number,): list(rows)}, position)
        for row, number in opened:
            for term in _terms(view.terms, rows[row[1:]]):
                self._db.put(PUT_TERM, (*term, number))


def _consent(subject: Subject, whole: Sequence[Fact], lifespan: Lifespan) -> FirstConsent:
    """Return the first consent to be bound by an agreement, as far as its own entry into force depends on it."""
    days = [in_force_from(fact.span, lifespan) for fact in whole if fact.type == "agreement.entered-into-force"]
    if not days:
        return NO_CONSENT
    return subject.lifespan.consent.cut_to(min(day.lo for day in days), max(day.hi for day in days))


def _state_periods(
    collection: str,
    describing: Sequence[Fact],
    marks: Mapping[str, DatedMark],
    lifespan: Lifespan,
    force: Sequence[InForcePeriod],
) -> list[StatePeriod]:
    if not marks:
        return []
    counts = collection == "agreements" and force is not NOTHING_IN_FORCE
    return state_periods(collection, describing, marks, lifespan, force if counts else ())


def _terms(kinds: Iterable[str], fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the terms that a state is found by, each with its kind."""
    values = {(kind, text.casefold()) for kind in kinds for term in fields.get(kind, ()) for text in texts_of(term)}
    return sorted(values)


def _lapses(states: Iterable[StatePeriod]) -> tuple[tuple[int, int], ...]:
    """Return the days on which an agreement is past its `until`, on which its memberships depend."""
    found: list[tuple[int, int]] = []
    for days in states:
        if days.lapsed and found and found[-1][1] == days.valid_from:
            found[-1] = (found[-1][0], days.valid_to)
        elif days.lapsed:
            found.append((days.valid_from, days.valid_to))
    return tuple(found)
