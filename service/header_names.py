"""Headers: the names that this service defines, which its auditor reads, and the headers of every response."""

from __future__ import annotations

FOLD = "Registry-Fold"
"""Of digests: the fingerprint of the code that folds. Only digests of the same code can be compared."""
POSITION = "Registry-Position"
"""Of a response: the last position that it may depend on. Of a request: the position to wait for."""
SERVER_HEADERS = {"X-Content-Type-Options": "nosniff", "Server": "agreement-registry"}
"""Headers of every response. `Server` has no version, whose known faults could be looked up."""
