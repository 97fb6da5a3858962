"""Limits that several parts of the service keep: open connections, the size of a document's text."""

from __future__ import annotations

MOST_CONNECTIONS = 2048
REFUSED_AT_ONCE = 256
"""Connections beyond `MOST_CONNECTIONS` that get a 503 before they are closed; any further one is closed immediately.
"""
MOST_TEXT_BYTES = 16 * 2**20
"""Most bytes of a document's text."""
