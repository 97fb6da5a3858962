"""Signing: the log's Ed25519 key, and the verification of signatures and cosignatures.

The key stays in its file and in memory. It is never logged, sent or written elsewhere, and never replaces another key.
"""

from __future__ import annotations

import os
import stat
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.tlog_formats import ED25519, Note, Signature, Verifier, cosigned
from service.data_directory import FILE_MODE, replace

SEED_BYTES = 32
_PREFIX = "PRIVATE+KEY+"
_STAMP_BYTES = 8
_UNSAFE = stat.S_IWGRP | stat.S_IRWXO


class CannotSign(Exception):
    """The log cannot be signed with the present key. The text is one line that says what to do."""


class Signer:
    """A private key and the name it signs as."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = Verifier(name, self._key.public_key().public_bytes_raw())

    def sign(self, text: str) -> Note:
        """Return the text as a note with this key's signature."""
        verifier = self.verifier
        return Note(text, (Signature(verifier.name, verifier.key_id, self._key.sign(text.encode())),))


def make_key(path: Path, name: str) -> Signer:
    """Create a key in a file that only its owner can read, in the form of Go's note signer keys. Raises OSError."""
    seed = os.urandom(SEED_BYTES)
    signer = Signer(name, seed)
    text = f"{_PREFIX}{name}+{signer.verifier.key_id.hex()}+{b64encode(ED25519 + seed).decode()}\n"
    replace(path, text.encode(), FILE_MODE)
    return signer


def read_key(path: Path, name: str) -> Signer:
    """Return the key in a file, which signs as `name`. Raises CannotSign, OSError.

    A file that all users can read, or that others can write, is refused: a key that others may have proves nothing. A
    group may read it, as secrets are often mounted for a group.
    """
    if path.stat().st_mode & _UNSAFE:
        raise CannotSign(f"{path} is open to other users, so its signatures prove nothing: run chmod 600 {path}")
    text = path.read_bytes().strip().decode("utf-8", "replace")
    found, _, rest = text.removeprefix(_PREFIX).partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        key = b64decode(encoded, validate=True)
    except (Base64Error, ValueError):
        key = b""
    if not text.startswith(_PREFIX) or key[:1] != ED25519 or len(key) != 1 + SEED_BYTES:
        raise CannotSign(f"{path} is not a signing key; one is PRIVATE+KEY+{name}+<key id>+<base64 of 1 and a seed>")
    if found != name:
        raise CannotSign(f"{path} is the key of {found!r}, and this log is {name!r}: give the key of that name")
    signer = Signer(name, key[1:])
    if key_id != signer.verifier.key_id.hex():
        raise CannotSign(f"{path} is damaged: its key id is not that of its key; restore it from a backup")
    return signer


def is_signed(note: Note, verifier: Verifier) -> bool:
    """Return whether a note is signed by this key. One false signature in its name makes the note invalid."""
    claimed = note.by(verifier)
    return bool(claimed) and all(_verifies(verifier, each.signature, note.text.encode()) for each in claimed)


def is_cosigned(text: str, signature: Signature, witness: Verifier) -> bool:
    """Return whether this witness cosigned the checkpoint of this text (C2SP tlog-cosignature, Ed25519)."""
    if (signature.name, signature.key_id) != (witness.name, witness.key_id):
        return False
    when = int.from_bytes(signature.signature[:_STAMP_BYTES], "big")
    return 0 < when < 2**63 and _verifies(witness, signature.signature[_STAMP_BYTES:], cosigned(text, when))


def _verifies(verifier: Verifier, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(verifier.public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
