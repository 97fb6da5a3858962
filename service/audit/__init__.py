"""The audit: every claim of a log, computed again from the bytes of its events.

It trusts no result of the audited registry and changes nothing there. It computes order, entries, data, tree, evidence
and views again and compares them with the stored ones. It trusts the log's verifier key and, against a history that was
rewritten and signed again, a checkpoint that the auditor saved: the auditor should give both.

The JSON report (`Report.document`):

    {"target": str, "origin": str | null, "key": str | null,    the verifier key that signatures were held to
     "events": int,                                             the number of events read
     "checkpoint": {"size": int, "root": hex} | null,
     "digests": {view: "sha256:..."},                           of the audit's own views
     "verdict": "pass" | "fail" | "inconclusive",
     "status": 0 | 1 | 2,                                       the exit status
     "seconds": number,
     "checks": [{"name", "verdict" (as above, or "skipped"), "says", "seconds", "findings": int}],
     "findings": [{"check", "position" | null, "subject" | null, "field" | null, "says", "expected", "found"}],
     "notes": [str]}

If the audit could not run, there are only `target`, `verdict`, `status` and a `reason`.
Findings are in the order of positions, those without a position last. Each check has its first hundred.
"""
