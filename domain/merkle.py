"""RFC 9162 (section 2.1) hashing with SHA-256. Functions on bytes, nothing kept."""

from __future__ import annotations

from hashlib import sha256


def leaf_hash(entry: bytes) -> bytes:
    """The 32-byte Merkle leaf hash of a log entry."""
    return sha256(b"\x00" + entry).digest()
