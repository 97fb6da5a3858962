"""An audit from beginning to end: one pass over the events, in memory that does not grow with them, then what can only
be said once all were seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from domain.tlog_formats import ED25519, Verifier
from service.audit.checkpoints import Signed, check_root, check_signature, check_since, check_witnesses, read_verifier
from service.audit.compare import Comparing
from service.audit.document_texts import Brought, Texts
from service.audit.event_checks import Entries
from service.audit.evidence import Evidence
from service.audit.history import NotedEvents
from service.audit.locate import name_changed, name_missing
from service.audit.order import Order
from service.audit.redactions import check_redactions
from service.audit.refold import Folded
from service.audit.report import Check, Finding, Report, Verdict, counted
from service.audit.sequence import Sequences
from service.audit.source import CannotAudit, Progress, Source, Unreadable
from service.audit.summary import Batch, Batches, Wanted
from service.audit.tree import Growth, Tiles

_UNFIT = "the log itself fails"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the auditor brings, and what is to be left out. Without a key the one is used that is found."""

    verifier: Verifier | None = None
    since: Signed | None = None
    witnesses: Sequence[Verifier] = ()
    quorum: int = 0
    brought: Sequence[Brought] = ()
    evidence: bool = True
    views: bool = True
    digests: bool = True
    """Of the views, also where nothing but the report needs them."""


def audit(source: Source, asked: Asked, progress: Progress) -> Report:
    """Audit a log. Raises CannotAudit where that cannot be begun, or not be ended."""
    began = perf_counter()
    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="registry-audit-")))
        report = _Audit(source, asked, folder, held).run(progress)
    report.seconds = perf_counter() - began
    return report


def unfit(target: str, reason: str) -> Report:
    """The report on a log that has no checkpoint to hold it to, but something else in its place."""
    report = Report(target)
    report.check("signature").find(Finding(reason, field="checkpoint"))
    return report


class _Audit:
    """One audit. Its checks stand in the report in the order in which they are made here."""

    def __init__(self, source: Source, asked: Asked, folder: Path, held: ExitStack) -> None:
        self._held = held
        self._source = source
        self._asked = asked
        self._report = report = Report(source.target)
        self._signature = report.check("signature")
        if asked.witnesses:
            report.check("witnesses")
        self._files = report.check("files") if source.has_files else None
        self._in_order = report.check("order")
        self._of_entries = report.check("entries")
        self._of_data = report.check("data")
        self._redactions = report.check("redactions")
        self._of_tiles = report.check("tiles")
        self._root = report.check("root")
        if asked.since is not None:
            report.check("since")
        self._texts = report.check("texts")
        self._evidence = report.check("evidence")
        self._views = report.check("views")
        self._of_log = (self._in_order, self._of_entries, self._of_data, self._of_tiles)
        self._found = 0  # so far, while the events go by
        self._order = Order(self._in_order, held.enter_context(closing(Sequences(folder))))
        self._entries = Entries(self._of_entries, self._of_data)
        sizes = [each.checkpoint.size for each in (source.signed, asked.since) if each is not None]
        self._growth = Growth(sizes)
        self._tiles = Tiles(self._of_tiles, self._growth, source.kept())
        self._noted = held.enter_context(closing(NotedEvents(folder, evidence=asked.evidence)))
        reading = source.reading()
        self._read = None if isinstance(reading, str) else reading
        self._without = reading if isinstance(reading, str) else ""
        self._folded = (
            held.enter_context(closing(Folded(self._views, folder, source.signed.checkpoint.origin, self._read)))
            if asked.views
            else None
        )

    def run(self, progress: Progress) -> Report:
        """What was found, also where the audit broke off once something was."""
        report = self._report
        try:
            self._run(progress)
        except CannotAudit as error:
            if not report.findings:
                raise
            report.notes.append(f"the audit broke off: {error}")
        self._source.finish()
        return report

    def _run(self, progress: Progress) -> None:
        verifier = self._check_signed()
        inspected = self._inspected()
        try:
            self._pass(progress)
            self._end_pass()
            self._check_growth(verifier)
            self._check_noted()
            self._check_views()
        except CannotAudit:  # what is wrong with the files may say why
            self._check_files(inspected)
            raise
        self._check_files(inspected)

    def _check_signed(self) -> Verifier:
        report, source, asked = self._report, self._source, self._asked
        verifier = asked.verifier
        if verifier is None:
            text, whence = source.key()
            verifier = read_verifier(text, ED25519, whence)
            report.notes.append(f"the key is the one in {whence}; --vkey holds the log to one that you keep")
        check_signature(self._signature, source.signed, verifier, source.origin)
        if asked.witnesses:
            check_witnesses(report.check("witnesses"), source.signed, asked.witnesses, asked.quorum)
        checkpoint = source.signed.checkpoint
        report.origin, report.key = checkpoint.origin, verifier.text
        report.size, report.root = checkpoint.size, checkpoint.root.hex()
        return verifier

    def _inspected(self) -> Future[Mapping[str, Sequence[str]]] | None:
        """What is wrong with the structure of the files, once a thread of its own has found out."""
        check = self._files
        if check is None or not self._asked.views:
            return None

        def inspect() -> Mapping[str, Sequence[str]]:
            with check.timed():
                return self._source.damages()

        pool = ThreadPoolExecutor(1)
        self._held.callback(pool.shutdown, wait=False)
        return pool.submit(inspect)

    def _check_files(self, inspected: Future[Mapping[str, Sequence[str]]] | None) -> None:
        if self._files is None:
            return
        if inspected is None:
            self._files.ended("", Verdict.SKIPPED)
            return
        found = inspected.result()
        for name, damages in found.items():
            for damage in damages:
                self._files.find(Finding(damage, field=name))
        self._files.ended(f"the structure of {' and '.join(found)}")

    # while the events go by

    def _pass(self, progress: Progress) -> None:
        try:
            wanted = Wanted(evidence=self._asked.evidence, rules=self._asked.views)
            with closing(self._source.batches(wanted)) as batches:
                while (batch := self._next(batches)) is not None:
                    self._take(batch)
                    progress(batch.count)
        except Unreadable as error:
            self._in_order.find(Finding(str(error), self._order.position + 1, field="position"))

    def _next(self, batches: Batches) -> Batch | None:
        with self._of_entries.timed():  # what is said of each event by itself is nearly all there is to do
            return next(batches, None)

    def _take(self, batch: Batch) -> None:
        with self._in_order.timed():
            self._order.take(batch)
        with self._of_entries.timed():
            if batch.summary is None:
                self._noted.take(self._entries.take(batch.rows))
            else:
                self._entries.count(batch.count, batch.summary.erased)
                self._noted.take(batch.summary.noted)
        with self._of_tiles.timed():
            self._grow(batch)
        count = sum(check.count for check in self._of_log)
        if count != self._found:
            self._found = count
            for check in self._of_log:
                name_changed(check, batch.rows, self._source.recalled)
        if self._folded is not None:
            if count:
                self._folded.stop(_UNFIT)
            with self._views.timed():
                self._folded.take(batch)

    def _grow(self, batch: Batch) -> None:
        """Add to the tree, up to the first gap, and compare the tiles that are complete by that."""
        growth, broken = self._growth, self._order.broken
        whole = batch.count if broken is None else max(0, min(batch.count, broken - 1 - growth.size))
        at = 0
        while at < whole:
            first, count = at, min(growth.room, whole - at)
            growth.add(batch.leaves(first, count))
            at += count
            try:
                self._tiles.take(batch, first, count)
            except Unreadable as error:
                self._of_tiles.find(Finding(str(error), field="tiles"))

    # once all went by

    def _end_pass(self) -> None:
        order, entries, source = self._order, self._entries, self._source
        with self._in_order.timed():
            order.lacks(source.head)
            order.end(source.rows)
        name_missing(self._in_order, source.recalled)
        subjects = counted(order.subjects, "subject")
        says = f"{counted(order.position, 'event')}: positions, versions of {subjects}, times of recording, names"
        self._report.events = order.position
        self._in_order.ended(says)
        self._of_entries.ended("each in its one form (RFC 8785), and what stands beside it")
        erased = f"; {entries.erased} without data" if entries.erased else ""
        self._of_data.ended(f"{counted(entries.whole, 'event')} with data that the entry commits to{erased}")
        stored = source.views()
        if self._tiles.count or source.signed.checkpoint.size == 0 or not isinstance(stored, str):
            self._of_tiles.ended(f"{counted(self._tiles.count, 'tile')}, each hash")
        else:
            self._of_tiles.ended(stored, Verdict.INCONCLUSIVE if self._asked.views else Verdict.SKIPPED)

    def _check_growth(self, verifier: Verifier) -> None:
        source, growth, broken = self._source, self._growth, self._order.broken
        with self._root.timed():
            check_root(self._root, source.signed, growth, broken)
        checks = [self._root]
        if self._asked.since is not None:
            checks.append(self._report.check("since"))
            check_since(checks[-1], self._asked.since, source.signed, verifier, growth, broken)
        for check in checks:
            name_missing(check, source.recalled)

    def _check_noted(self) -> None:
        """What later events say of earlier ones, and what texts say."""
        noted = self._noted
        noted.end()
        lacking = self._order.broken is not None or self._order.position < self._source.signed.checkpoint.size
        if lacking:  # what later events say may be just what is missing
            for check in (self._redactions, self._texts, self._evidence):
                check.ended("not every event is there", Verdict.INCONCLUSIVE)
            return

        def check_erased() -> None:
            note = check_redactions(noted, self._redactions, self._source.later)
            if note is not None:
                self._report.notes.append(note)

        _guarded(self._redactions, check_erased)
        if not self._asked.evidence:
            for check in (self._texts, self._evidence):
                check.ended("", Verdict.SKIPPED)
            return
        texts = Texts(noted, self._source.signed.checkpoint.origin, self._read, self._asked.brought)
        _guarded(self._texts, lambda: texts.check(self._texts, self._without))
        _guarded(self._evidence, lambda: Evidence(noted, texts).check(self._evidence))

    def _check_views(self) -> None:
        folded, stored = self._folded, self._source.views()
        if folded is None:
            self._views.ended("nor is the data judged by the rules for its type", Verdict.SKIPPED)
            return
        if any(check.findings for check in (*self._of_log, self._redactions)):
            folded.stop(_UNFIT)
        if folded.broken is not None:
            self._views.ended(f"not compared: {folded.broken}", Verdict.INCONCLUSIVE)
            return
        if isinstance(stored, str):
            self._views.ended(stored, Verdict.INCONCLUSIVE)
            return
        head = self._order.position
        if stored.position > head:
            says = f"is in the views, which go on to {stored.position}, and not in the log"
            self._views.find(Finding(says, head + 1, field="position"))
            name_missing(self._views, self._source.recalled)
        elif stored.position < head:
            self._report.notes.append(f"the stored views lack the last {counted(head - stored.position, 'event')}")
        with closing(folded.reader()) as reader:
            comparing = Comparing(self._views, reader, stored, min(head, stored.position), digests=self._asked.digests)
            _guarded(self._views, comparing.run)
        self._report.digests = comparing.digests


def _guarded(check: Check, work: Callable[[], None]) -> None:
    """Makes a check of what may hold anything at all: that it fails says so, and no more."""
    with check.timed():
        try:
            work()
        except CannotAudit:
            raise
        except Exception as error:  # noqa: BLE001 - the bytes of others decide what goes wrong
            check.ended(f"{type(error).__name__}: {error}", Verdict.INCONCLUSIVE)
