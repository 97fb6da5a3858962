"""Limits on open connections, for the server that opens files and for the connections themselves."""

from __future__ import annotations

MOST_CONNECTIONS = 2048
REFUSED_AT_ONCE = 256
"""Connections beyond `MOST_CONNECTIONS` that get a 503 before they are closed; any further one is closed immediately.
"""
