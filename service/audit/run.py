"""One audit from start to end: a pass over the events, then the checks that need all of them.

Its memory does not grow with the log.
"""

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
from service.audit.compare import Comparison
from service.audit.document_texts import AuditorText, Texts
from service.audit.event_checks import Entries
from service.audit.evidence import Evidence
from service.audit.history import NotedEvents, noted_of
from service.audit.locate import name_changed, name_missing
from service.audit.order import Order
from service.audit.order_state import OrderState
from service.audit.rebuilt_views import RebuiltViews
from service.audit.redactions import check_redactions
from service.audit.report import Check, Finding, Report, Verdict, counted
from service.audit.source import CannotAudit, Progress, Source, Unreadable
from service.audit.summary import Batch, Batches, Wanted
from service.audit.tree import MerkleTree, TileComparison

_LOG_FAILS = "the log itself fails"


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """The inputs of the auditor, and the checks to run. Without a verifier key, the audit uses the one it finds."""

    verifier: Verifier | None = None
    since: Signed | None = None
    witnesses: Sequence[Verifier] = ()
    quorum: int = 0
    texts: Sequence[AuditorText] = ()
    evidence: bool = True
    views: bool = True
    digests: bool = True
    """Whether the report holds the digests of the views."""


def audit(source: Source, options: AuditOptions, progress: Progress) -> Report:
    """Audit a log. Raises CannotAudit if the audit cannot start or end."""
    began = perf_counter()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="registry-audit-")))
        report = _Audit(source, options, folder, stack).run(progress)
    report.seconds = perf_counter() - began
    return report


def failed_report(target: str, reason: str) -> Report:
    """Return the report of a log whose checkpoint cannot be read."""
    report = Report(target)
    report.check("signature").find(Finding(reason, field="checkpoint"))
    return report


class _Audit:
    """One audit. The report has its checks in the order of their creation here."""

    def __init__(self, source: Source, options: AuditOptions, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self._source = source
        self._options = options
        self._report = report = Report(source.target)
        self._signature = report.check("signature")
        if options.witnesses:
            report.check("witnesses")
        self._files = report.check("files") if source.has_files else None
        self._in_order = report.check("order")
        self._of_entries = report.check("entries")
        self._of_data = report.check("data")
        self._redactions = report.check("redactions")
        self._of_tiles = report.check("tiles")
        self._root = report.check("root")
        if options.since is not None:
            report.check("since")
        self._texts = report.check("texts")
        self._evidence = report.check("evidence")
        self._views = report.check("views")
        self._of_log = (self._in_order, self._of_entries, self._of_data, self._of_tiles)
        self._found = 0  # findings in checks of the log so far
        self._order = Order(self._in_order, stack.enter_context(closing(OrderState(folder))))
        self._entries = Entries(self._of_entries, self._of_data)
        sizes = [each.checkpoint.size for each in (source.signed, options.since) if each is not None]
        self._tree = MerkleTree(sizes)
        self._tiles = TileComparison(self._of_tiles, self._tree, source.tiles())
        self._noted = stack.enter_context(closing(NotedEvents(folder, evidence=options.evidence)))
        reading = source.text_reader()
        self._read = None if isinstance(reading, str) else reading
        self._no_texts = reading if isinstance(reading, str) else ""
        self._folded = (
            stack.enter_context(closing(RebuiltViews(self._views, folder, source.signed.checkpoint.origin, self._read)))
            if options.views
            else None
        )

    def run(self, progress: Progress) -> Report:
        """Return the report, also if the audit stopped early after a finding."""
        report = self._report
        try:
            self._run(progress)
        except CannotAudit as error:
            if not report.findings:
                raise
            report.notes.append(f"the audit stopped early: {error}")
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
        except CannotAudit:  # damage of the files may be the reason
            self._check_files(inspected)
            raise
        self._check_files(inspected)

    def _check_signed(self) -> Verifier:
        report, source, options = self._report, self._source, self._options
        verifier = options.verifier
        if verifier is None:
            text, place = source.key()
            verifier = read_verifier(text, ED25519, place)
            report.notes.append(f"the key comes from {place}; give one that you trust with --vkey")
        check_signature(self._signature, source.signed, verifier, source.origin)
        if options.witnesses:
            check_witnesses(report.check("witnesses"), source.signed, options.witnesses, options.quorum)
        checkpoint = source.signed.checkpoint
        report.origin, report.key = checkpoint.origin, verifier.text
        report.size, report.root = checkpoint.size, checkpoint.root.hex()
        return verifier

    def _inspected(self) -> Future[Mapping[str, Sequence[str]]] | None:
        """Start the check of the structure of the files in a thread of its own, and return its result."""
        check = self._files
        if check is None or not self._options.views:
            return None

        def inspect() -> Mapping[str, Sequence[str]]:
            with check.timed():
                return self._source.damages()

        pool = ThreadPoolExecutor(1)
        self._stack.callback(pool.shutdown, wait=False)
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

    # the pass

    def _pass(self, progress: Progress) -> None:
        try:
            wanted = Wanted(evidence=self._options.evidence, rules=self._options.views)
            with closing(self._source.batches(wanted)) as batches:
                while (batch := self._next(batches)) is not None:
                    self._take(batch)
                    progress(batch.count)
        except Unreadable as error:
            self._in_order.find(Finding(str(error), self._order.position + 1, field="position"))

    def _next(self, batches: Batches) -> Batch | None:
        with self._of_entries.timed():  # reading includes the checks of each event
            return next(batches, None)

    def _take(self, batch: Batch) -> None:
        with self._in_order.timed():
            self._order.take(batch)
        with self._of_entries.timed():
            if batch.summary is None:
                passing = self._entries.take(batch.rows)
                self._noted.add(noted_of(passing, evidence=self._options.evidence))
            else:
                self._entries.count(batch.count, batch.summary.erased)
                self._noted.add(batch.summary.noted)
        with self._of_tiles.timed():
            self._grow(batch)
        count = sum(check.count for check in self._of_log)
        if count != self._found:
            self._found = count
            for check in self._of_log:
                name_changed(check, batch.rows, self._source.recall)
        if self._folded is not None:
            if count:
                self._folded.stop(_LOG_FAILS)
            with self._views.timed():
                self._folded.take(batch)

    def _grow(self, batch: Batch) -> None:
        """Add leaves to the tree, up to the first gap, and compare the tiles that are complete then."""
        tree, broken = self._tree, self._order.broken
        usable = batch.count if broken is None else max(0, min(batch.count, broken - 1 - tree.size))
        first = 0
        while first < usable:
            count = min(tree.room, usable - first)
            tree.add(batch.leaves(first, count))
            try:
                self._tiles.take(batch, first, count)
            except Unreadable as error:
                self._of_tiles.find(Finding(str(error), field="tiles"))
            first += count

    # after the pass

    def _end_pass(self) -> None:
        order, entries, source = self._order, self._entries, self._source
        with self._in_order.timed():
            order.lacks(source.head)
            order.end(source.rows)
        name_missing(self._in_order, source.recall)
        subjects = counted(order.subjects, "subject")
        says = f"{counted(order.position, 'event')}: positions, versions of {subjects}, times of recording, names"
        self._report.events = order.position
        self._in_order.ended(says)
        self._of_entries.ended("each in RFC 8785 form, and equal to the columns beside it")
        erased = f"; {entries.erased} without data" if entries.erased else ""
        self._of_data.ended(f"{counted(entries.with_data, 'event')} with data that the entry commits to{erased}")
        stored = source.views()
        if self._tiles.count or source.signed.checkpoint.size == 0 or not isinstance(stored, str):
            self._of_tiles.ended(f"{counted(self._tiles.count, 'tile')}, each hash")
        else:
            self._of_tiles.ended(stored, Verdict.INCONCLUSIVE if self._options.views else Verdict.SKIPPED)

    def _check_growth(self, verifier: Verifier) -> None:
        source, tree, broken = self._source, self._tree, self._order.broken
        with self._root.timed():
            check_root(self._root, source.signed, tree, broken)
        checks = [self._root]
        if self._options.since is not None:
            checks.append(self._report.check("since"))
            check_since(checks[-1], self._options.since, source.signed, verifier, tree, broken)
        for check in checks:
            name_missing(check, source.recall)

    def _check_noted(self) -> None:
        """Check redactions, texts of documents and evidence."""
        noted = self._noted
        noted.end()
        lacking = self._order.broken is not None or self._order.position < self._source.signed.checkpoint.size
        if lacking:  # the missing events may be the ones that these checks need
            for check in (self._redactions, self._texts, self._evidence):
                check.ended("events are missing", Verdict.INCONCLUSIVE)
            return

        def check_erased() -> None:
            note = check_redactions(noted, self._redactions, self._source.later_redactions)
            if note is not None:
                self._report.notes.append(note)

        _guarded(self._redactions, check_erased)
        if not self._options.evidence:
            for check in (self._texts, self._evidence):
                check.ended("", Verdict.SKIPPED)
            return
        texts = Texts(noted, self._source.signed.checkpoint.origin, self._read, self._options.texts)
        _guarded(self._texts, lambda: texts.check(self._texts, self._no_texts))
        _guarded(self._evidence, lambda: Evidence(noted, texts).check(self._evidence))

    def _check_views(self) -> None:
        folded, stored = self._folded, self._source.views()
        if folded is None:
            self._views.ended("nor is the data checked by the rules for its type", Verdict.SKIPPED)
            return
        if any(check.findings for check in (*self._of_log, self._redactions)):
            folded.stop(_LOG_FAILS)
        if folded.broken is not None:
            self._views.ended(f"not compared: {folded.broken}", Verdict.INCONCLUSIVE)
            return
        if isinstance(stored, str):
            self._views.ended(stored, Verdict.INCONCLUSIVE)
            return
        head = self._order.position
        if stored.position > head:
            says = f"is missing from the log, and the views hold events up to {stored.position}"
            self._views.find(Finding(says, head + 1, field="position"))
            name_missing(self._views, self._source.recall)
        elif stored.position < head:
            self._report.notes.append(f"the stored views lack the last {counted(head - stored.position, 'event')}")
        with closing(folded.reader()) as reader:
            comparing = Comparison(
                self._views, reader, stored, min(head, stored.position), digests=self._options.digests
            )
            _guarded(self._views, comparing.run)
        self._report.digests = comparing.digests


def _guarded(check: Check, work: Callable[[], None]) -> None:
    """Run a check of untrusted bytes. An unexpected error makes it inconclusive and does not end the audit."""
    with check.timed():
        try:
            work()
        except CannotAudit:
            raise
        except Exception as error:  # noqa: BLE001 - untrusted bytes decide which error it is
            check.ended(f"{type(error).__name__}: {error}", Verdict.INCONCLUSIVE)
