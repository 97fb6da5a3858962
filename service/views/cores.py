"""How many processes share work that one of them would take long for."""

from __future__ import annotations

import os

MOST = 4
"""Processes: whoever puts together what they find keeps up with no more."""


def cores() -> int:
    """How many of this machine's cores this process may use, MOST at most."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST)
