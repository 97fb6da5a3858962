"""The Merkle tree of RFC 9162 (section 2.1) with SHA-256: hashes, roots, inclusion and consistency proofs.

Functions on bytes, without storage. Stored hashes are those of tlog-tiles: hash `i` of level `L` is the root over the
256^L entries from `i * 256^L` on, so level 0 has the leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from hashlib import sha256

HASH_BYTES = 32
TILE_HEIGHT = 8
EMPTY_ROOT = sha256(b"").digest()

Stored = Callable[[int, int, int], Sequence[bytes]]
"""(level, first index, count) -> that many stored hashes; fewer where there are no more."""


class ProofError(ValueError):
    """A proof does not prove its claim; the argument is the reason."""


class MissingHash(LookupError):
    """A stored hash that the tree of that size needs is missing; the argument says which."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the 32-byte Merkle leaf hash of a log entry."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def complete(first: int, leaves: Sequence[bytes], stored: Stored) -> list[tuple[int, int, bytes]]:
    """Return the hashes to store, as (level, index, hash), when leaves join a tree of `first` entries.

    `stored` must already return the hashes of the entries before.
    """
    found = [(0, first + offset, leaf) for offset, leaf in enumerate(leaves)]
    level, fresh, start = 0, list(leaves), first
    width = 1 << TILE_HEIGHT
    while fresh:
        above: list[bytes] = []
        full_before, full_now = start // width, (start + len(fresh)) // width
        for tile in range(full_before, full_now):
            old = max(0, start - tile * width)
            hashes = list(stored(level, tile * width, old)) if old else []
            offset = max(0, tile * width - start)
            hashes += fresh[offset : offset + width - old]
            above.append(_fold(hashes))
        found += [(level + 1, full_before + offset, hash_) for offset, hash_ in enumerate(above)]
        level, fresh, start = level + 1, above, full_before
    return found


def root(size: int, stored: Stored) -> bytes:
    """Return the root of the tree of the first `size` entries. Raise MissingHash."""
    return EMPTY_ROOT if size == 0 else _over(0, size, stored)


def prove_inclusion(index: int, size: int, stored: Stored) -> list[bytes]:
    """Return the path from entry `index` to the root of the first `size` entries, the leaf's sibling first. Raise
    MissingHash.
    """
    (path,) = prove_inclusions([index], size, stored)
    return path


def prove_inclusions(indexes: Iterable[int], size: int, stored: Stored) -> list[list[bytes]]:
    """Return the path of each entry, as `prove_inclusion`. Roots that several paths contain are computed once."""

    @cache
    def over(low: int, high: int) -> bytes:
        return _over(low, high, stored)

    return [_path(index, size, over) for index in indexes]


def _path(index: int, size: int, over: Callable[[int, int], bytes]) -> list[bytes]:
    if not 0 <= index < size:
        raise ValueError(f"entry {index} is not in a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(over(middle, high))
            high = middle
        else:
            path.append(over(low, middle))
            low = middle
    return path[::-1]


def prove_consistency(old: int, size: int, stored: Stored) -> list[bytes]:
    """Return the proof that the tree of the first `old` entries is a prefix of that of the first `size`.

    Raise MissingHash.
    """
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {old} is no beginning of a tree of {size}")
    if old in (0, size):
        return []
    path: list[bytes] = []
    low, high, whole = 0, size, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_over(middle, high, stored))
            high = middle
        else:
            path.append(_over(low, middle, stored))
            low, whole = middle, False
    if not whole:
        path.append(_over(low, high, stored))
    return path[::-1]


def check_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], expected: bytes) -> None:
    """Raise ProofError unless the path leads from the leaf at `index` to the root of `size` entries."""
    _check_hashes(leaf, *path, expected)
    if not 0 <= index < size:
        raise ProofError(f"entry {index} is not in a tree of {size}")
    first, last, hash_ = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ProofError("the path is too long")
        if first & 1 or first == last:
            hash_ = node_hash(sibling, hash_)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            hash_ = node_hash(hash_, sibling)
        first, last = first >> 1, last >> 1
    if last != 0:
        raise ProofError("the path is too short")
    if hash_ != expected:
        raise ProofError("the path leads to another root")


def check_consistency(old: int, size: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Raise ProofError unless the path shows that the old root's tree is a prefix of the new one's."""
    if old != size:  # two equal roots of one size are all that is to be shown
        _check_hashes(old_root, new_root, *path)
    if not 0 <= old <= size:
        raise ProofError(f"a tree of {old} is no beginning of a tree of {size}")
    if old in (0, size):
        if path:
            raise ProofError("the path is too long")
        if old == 0 and old_root != EMPTY_ROOT:
            raise ProofError("the root of the empty tree is another")
        if old == size and old_root != new_root:
            raise ProofError("trees of the same size have different roots")
        return
    hashes = list(path)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        raise ProofError("the path is too short")
    first, last = old - 1, size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    one = other = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofError("the path is too long")
        if first & 1 or first == last:
            one, other = node_hash(sibling, one), node_hash(sibling, other)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            other = node_hash(other, sibling)
        first, last = first >> 1, last >> 1
    if last != 0:
        raise ProofError("the path is too short")
    if one != old_root:
        raise ProofError("the path does not start from the old root")
    if other != new_root:
        raise ProofError("the path leads to another root")


def _split(count: int) -> int:
    """Return the largest power of two below a count of at least two."""
    return 1 << (count - 1).bit_length() - 1


def _over(low: int, high: int, stored: Stored) -> bytes:
    """Return the root over the entries `low` to before `high`, a range that the splitting of a tree leads to."""
    count = high - low
    if count & (count - 1):
        middle = low + _split(count)
        return node_hash(_over(low, middle, stored), _over(middle, high, stored))
    level, rest = divmod(count.bit_length() - 1, TILE_HEIGHT)
    first = low >> level * TILE_HEIGHT
    hashes = stored(level, first, 1 << rest)
    if len(hashes) != 1 << rest:
        raise MissingHash(f"hash {first + len(hashes)} of level {level} is not stored")
    return _fold(hashes)


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def _check_hashes(*hashes: bytes) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise ProofError(f"a hash has {HASH_BYTES} bytes")
