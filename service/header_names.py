"""Names of the headers that this service defines: its server sends them, its auditor reads them."""

from __future__ import annotations

FOLD = "Registry-Fold"
"""Of digests: the fingerprint of the code that folds. Only digests of the same code can be compared."""
POSITION = "Registry-Position"
"""Of a response: the last position that it may depend on. Of a request: the position to wait for."""
