"""Names of the files of a static export: those of tlog-tiles (C2SP), and others that an audit needs.

checkpoint, tile/<L>/<N>[.p/<W>], tile/entries/<N>[.p/<W>]    the static log (C2SP tlog-tiles)
vkey              the key that verifies the checkpoint
events.ndjson     the events that the checkpoint covers, each as `/v1/events` answers it
digests.json      {"position", "digests", "fold", "erasures"}: of the stored views as of that position
texts/<sha256>    the texts of documents, if they were exported
"""

from __future__ import annotations

import re
from pathlib import Path

CHECKPOINT = "checkpoint"
VKEY = "vkey"
EVENTS = "events.ndjson"
DIGESTS = "digests.json"
TEXTS = "texts"
MOST_BUNDLE_BYTES = 256 * (2 + 2**16)
"""The size of the largest entry bundle: 256 entries, each shorter than 64 KiB and after its length of two bytes."""
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def text_path(directory: Path, sha256: object) -> Path | None:
    """Return the path of a text; None if `sha256` is not a SHA-256, as a log from elsewhere may have any value here."""
    if isinstance(sha256, str) and _SHA256.fullmatch(sha256):
        return directory / TEXTS / sha256
    return None
