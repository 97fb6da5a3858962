"""The audit: everything that a log claims, worked out again from its bytes.

It believes nothing that the audited side computed. Events come as they are kept, answered or exported; order, entries,
data, tree, signatures, evidence and views are then derived anew and compared with what is kept beside them. What it
rests on is the log's verifier key and, against a history that was rewritten and signed again, a checkpoint that the
auditor kept: give both yourself. It changes nothing that it audits.

The JSON report (`Report.document`):

    {"target": str, "origin": str | null, "key": str | null,    the verifier key that signatures were held to
     "events": int,                                             that were read
     "checkpoint": {"size": int, "root": hex} | null,
     "digests": {view: "sha256:..."},                           of the views that the audit folded
     "verdict": "pass" | "fail" | "inconclusive",
     "status": 0 | 1 | 2,                                       the exit status
     "seconds": number,
     "checks": [{"name", "verdict" (as above, or "skipped"), "says", "seconds", "findings": int}],
     "findings": [{"check", "position" | null, "subject" | null, "field" | null, "says", "expected", "found"}],
     "notes": [str]}

Where it could not be begun or ended, there are only `target`, `verdict`, `status` and a `reason`.
Findings are in the order of positions, those of no event in particular at the end; of each check the first hundred.
"""
