"""A client that trusts no server: it has the log's verifier key and the specifications (RFC 9162, C2SP signed-note,
tlog-checkpoint, tlog-tiles, tlog-proof), and computes everything else from the served bytes.

It imports nothing of the project and shares no code with it, so that both cannot make the same mistake.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EMPTY = hashlib.sha256(b"").digest()


def leaf_of(entry: bytes | str) -> bytes:
    return hashlib.sha256(b"\x00" + (entry.encode() if isinstance(entry, str) else entry)).digest()


def joined(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root, layer by layer: an odd node at the end moves up unchanged, which gives the tree of RFC 9162."""
    if not leaves:
        return EMPTY
    layer = list(leaves)
    while len(layer) > 1:
        paired = [joined(layer[at], layer[at + 1]) for at in range(0, len(layer) - 1, 2)]
        layer = paired + layer[len(paired) * 2 :]
    return layer[0]


def path_root(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """Return the root that an inclusion proof leads to, from the whole tree down to the leaf and back up."""
    assert 0 <= index < size
    turns = []  # from the root down: whether the leaf is on the left
    while size > 1:
        left = 1 << (size - 1).bit_length() - 1
        turns.append(index < left)
        index, size = (index, left) if index < left else (index - left, size - left)
    assert len(turns) == len(path), "a proof has one hash for each fork on the way"
    hash_ = leaf
    for is_left, sibling in zip(reversed(turns), path, strict=True):
        assert len(sibling) == 32
        hash_ = joined(hash_, sibling) if is_left else joined(sibling, hash_)
    return hash_


def consistency_roots(old: int, size: int, old_root: bytes, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the roots of both sizes that a consistency proof leads to (0 < old < size), by the recursion of its
    definition.
    """
    hashes = list(path)

    def work(part: int, whole: int, is_beginning: bool) -> tuple[bytes, bytes]:
        """Return the root of the first `part` of a subtree of `whole`, and that of the subtree."""
        if part == whole:
            known = old_root if is_beginning else hashes.pop(0)
            return known, known
        left = 1 << (whole - 1).bit_length() - 1
        if part <= left:
            inner, outer = work(part, left, is_beginning)
            return inner, joined(outer, hashes.pop(0))
        inner, outer = work(part - left, whole - left, False)
        beside = hashes.pop(0)
        return joined(beside, inner), joined(beside, outer)

    found = work(old, size, True)
    assert not hashes, "a proof has no hash too many"
    return found


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint."""

    size: int
    root: bytes
    signed: str


@dataclass(frozen=True)
class Key:
    """A verifier key."""

    text: str

    def verify(self, signed: str) -> str:
        """Return the text of a note that the key has signed."""
        name, key_id, encoded = self.text.split("+", 2)
        material = base64.b64decode(encoded, validate=True)
        assert material[0] == 1
        assert len(material) == 33
        assert hashlib.sha256(name.encode() + b"\n" + material).digest()[:4].hex() == key_id
        assert signed.endswith("\n")
        text, signatures = signed[: signed.rindex("\n\n") + 1], signed[signed.rindex("\n\n") + 2 :]
        good = 0
        for line in signatures.splitlines():
            dash, signer, blob = line.split(" ")
            assert dash == "\u2014"
            raw = base64.b64decode(blob, validate=True)
            if (signer, raw[:4].hex()) == (name, key_id):
                Ed25519PublicKey.from_public_bytes(material[1:]).verify(raw[4:], text.encode())
                good += 1
        assert good == 1, "the log signs once"
        return text

    def checkpoint(self, signed: str) -> Checkpoint:
        """Return the verified checkpoint of a note, whose origin must be the name of the key."""
        origin, size, root, end = self.verify(signed).split("\n")
        assert (origin, end) == (self.text.partition("+")[0], "")
        assert size == str(int(size))
        hash_ = base64.b64decode(root, validate=True)
        assert len(hash_) == 32
        assert hash_ == EMPTY or int(size)
        return Checkpoint(int(size), hash_, signed)

    def proof(self, text: str, entry: str, position: int) -> Checkpoint:
        """Return the checkpoint of a proof that an entry is in the log at its position."""
        head, _, signed = text.partition("\n\n")
        first, index, *path = head.split("\n")
        assert first == "c2sp.org/tlog-proof@v1"
        assert index == f"index {position - 1}"
        found = self.checkpoint(signed)
        hashes = [base64.b64decode(line, validate=True) for line in path]
        assert path_root(position - 1, found.size, leaf_of(entry), hashes) == found.root
        return found


def tile_path(level: int | str, number: int, width: int) -> str:
    """Return the path of a tile under `/log/`."""
    digits = f"{number:03d}".rjust(-(-len(f"{number:03d}") // 3) * 3, "0")
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    shown = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{shown}" + ("" if width == 256 else f".p/{width}")


def widths(size: int) -> Iterator[tuple[int, int]]:
    """Yield number and width of the tiles that this number of hashes fills."""
    for number in range(-(-size // 256)):
        yield number, min(256, size - number * 256)


class Auditor:
    """Reads a log by its tiles; `get` returns the bytes at a path under `/log/`."""

    def __init__(self, get: Callable[[str], bytes], key: str) -> None:
        self.get = get
        self.key = Key(key)

    def checkpoint(self) -> Checkpoint:
        """Return the newest checkpoint, verified."""
        return self.key.checkpoint(self.get("checkpoint").decode())

    def leaves(self, size: int) -> list[bytes]:
        """Return the leaf hashes, from the tiles of that size."""
        found: list[bytes] = []
        for number, width in widths(size):
            tile = self.get(tile_path(0, number, width))
            assert len(tile) == 32 * width
            found += [tile[at : at + 32] for at in range(0, len(tile), 32)]
        return found

    def entries(self, size: int) -> list[bytes]:
        """Return the entries, from the bundles of that size."""
        found: list[bytes] = []
        for number, width in widths(size):
            bundle, at, count = self.get(tile_path("entries", number, width)), 0, 0
            while at < len(bundle):
                length = int.from_bytes(bundle[at : at + 2], "big")
                found.append(bundle[at + 2 : at + 2 + length])
                assert len(found[-1]) == length
                at, count = at + 2 + length, count + 1
            assert count == width
        return found

    def audit(self, checkpoint: Checkpoint) -> list[bytes]:
        """Check every tile of every level and every entry of a checkpoint's size; return the entries."""
        leaves, entries = self.leaves(checkpoint.size), self.entries(checkpoint.size)
        assert list(map(leaf_of, entries)) == leaves
        assert root_of(leaves) == checkpoint.root
        level, below = 0, leaves
        while len(below) >= 256:
            level += 1
            above = [root_of(below[at : at + 256]) for at in range(0, len(below) - 255, 256)]
            for number, width in widths(len(above)):
                expected = b"".join(above[number * 256 : number * 256 + width])
                assert self.get(tile_path(level, number, width)) == expected
            below = above
        return entries
