"""The Merkle tree compared with RFC 9162 as it is written, a recursion over whole lists of entries that shares nothing
with the functions under test, and with published test vectors.

The vectors are not part of the project. REGISTRY_PROOF_VECTORS names their file.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import merkle

VECTORS = os.environ.get("REGISTRY_PROOF_VECTORS")
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 300, 511, 512, 513)
MANY = [f"entry {number}".encode() for number in range(513)]


# The definitions of RFC 9162, section 2.1, word for word


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def split(count: int) -> int:
    """The largest power of two smaller than n."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def mth(entries: list[bytes]) -> bytes:
    if not entries:
        return digest(b"")
    if len(entries) == 1:
        return digest(b"\x00" + entries[0])
    k = split(len(entries))
    return digest(b"\x01" + mth(entries[:k]) + mth(entries[k:]))


def path_of(index: int, entries: list[bytes]) -> list[bytes]:
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if index < k:
        return [*path_of(index, entries[:k]), mth(entries[k:])]
    return [*path_of(index - k, entries[k:]), mth(entries[:k])]


def subproof(old: int, entries: list[bytes], whole: bool) -> list[bytes]:
    if old == len(entries):
        return [] if whole else [mth(entries)]
    k = split(len(entries))
    if old <= k:
        return [*subproof(old, entries[:k], whole), mth(entries[k:])]
    return [*subproof(old - k, entries[k:], False), mth(entries[:k])]


# The tree under test


class Tree:
    """Stored hashes in memory, which grow in the given steps."""

    def __init__(self, entries: list[bytes], steps: list[int] | None = None) -> None:
        self.levels: dict[int, list[bytes]] = {}
        size = 0
        for step in steps or [len(entries)]:
            leaves = [merkle.leaf_hash(entry) for entry in entries[size : size + step]]
            for level, index, hash_ in merkle.complete(size, leaves, self.stored):
                row = self.levels.setdefault(level, [])
                assert index == len(row), "each hash is given once, in order"
                row.append(hash_)
            size += len(leaves)

    def stored(self, level: int, first: int, count: int) -> list[bytes]:
        return self.levels.get(level, [])[first : first + count]


@pytest.fixture(scope="module")
def tree():
    return Tree(MANY)


def flipped(hash_: bytes, bit: int = 0) -> bytes:
    return hash_[:5] + bytes([hash_[5] ^ 1 << bit]) + hash_[6:]


def test_stored_hashes_are_those_of_tlog_tiles(tree):
    assert len(tree.levels[0]) == 513
    assert tree.levels[1] == [mth(MANY[:256]), mth(MANY[256:512])]
    assert set(tree.levels) == {0, 1}


def test_tree_of_65537_has_a_second_level_over_its_full_tiles():
    entries = [number.to_bytes(4, "big") for number in range(65_537)]
    tree = Tree(entries, [65_535, 1, 1])
    assert [len(tree.levels[level]) for level in range(3)] == [65_537, 256, 1]
    assert tree.levels[2] == [mth(entries[:65_536])]
    assert merkle.root(65_537, tree.stored) == mth(entries)
    path = merkle.prove_inclusion(65_536, 65_537, tree.stored)
    assert path == [mth(entries[:65_536])]
    assert merkle.prove_consistency(65_536, 65_537, tree.stored) == [merkle.leaf_hash(entries[-1])]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=6))
@settings(max_examples=60)
def test_hashes_do_not_depend_on_the_steps_in_which_a_tree_grows(steps):
    entries = [number.to_bytes(2, "big") for number in range(sum(steps))]
    assert Tree(entries, steps).levels == Tree(entries).levels


@pytest.mark.parametrize("size", SIZES)
def test_root_equals_the_definition_of_rfc_6962(tree, size):
    assert merkle.root(size, tree.stored) == mth(MANY[:size])


def test_root_of_the_empty_tree_is_the_hash_of_nothing():
    assert merkle.EMPTY_ROOT == merkle.root(0, Tree([]).stored) == digest(b"")


@given(st.data())
@settings(max_examples=150)
def test_inclusion_proofs_equal_the_definition_and_verify(tree, data):
    size = data.draw(st.integers(1, 513))
    index = data.draw(st.integers(0, size - 1))
    path = merkle.prove_inclusion(index, size, tree.stored)
    assert path == path_of(index, MANY[:size])
    merkle.check_inclusion(index, size, merkle.leaf_hash(MANY[index]), path, mth(MANY[:size]))


@given(st.data())
@settings(max_examples=60)
def test_inclusion_proofs_of_several_entries_equal_the_definition(tree, data):
    size = data.draw(st.integers(1, 513))
    indexes = data.draw(st.lists(st.integers(0, size - 1), max_size=8))
    paths = merkle.prove_inclusions(indexes, size, tree.stored)
    assert paths == [path_of(index, MANY[:size]) for index in indexes]


def test_inclusion_proofs_of_many_entries_read_each_hash_a_few_times(tree):
    read = 0

    def counted(level: int, first: int, count: int) -> list[bytes]:
        nonlocal read
        found = tree.stored(level, first, count)
        read += len(found)
        return found

    merkle.prove_inclusions(range(512), 512, counted)
    assert read < 9 * 512


@given(st.data())
@settings(max_examples=150)
def test_consistency_proofs_equal_the_definition_and_verify(tree, data):
    size = data.draw(st.integers(0, 513))
    old = data.draw(st.integers(0, size))
    path = merkle.prove_consistency(old, size, tree.stored)
    assert path == (subproof(old, MANY[:size], True) if 0 < old < size else [])
    merkle.check_consistency(old, size, path, mth(MANY[:old]), mth(MANY[:size]))


@given(st.data())
@settings(max_examples=150)
def test_inclusion_proof_fails_for_anything_else(tree, data):
    size = data.draw(st.integers(1, 513))
    index = data.draw(st.integers(0, size - 1))
    leaf, root = merkle.leaf_hash(MANY[index]), mth(MANY[:size])
    path = path_of(index, MANY[:size])
    other = data.draw(st.integers(0, 600).filter(lambda number: number != index))
    wrong = [
        (index, size, leaf, [*path, root], root),
        (index, size, leaf, [leaf, *path], root),
        (index, size, flipped(leaf), path, root),
        (index, size, leaf, path, flipped(root)),
        (index, size, leaf[:31], path, root),
        (index, size, leaf, path, root[:31]),
        (-1, size, leaf, path, root),
        (size, size, leaf, path, root),
    ]
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        wrong += [
            (other, size, leaf, path, root),
            (index, size, leaf, path[:-1], root),
            (index, size, leaf, [*path[:at], flipped(path[at]), *path[at + 1 :]], root),
            (index, size, leaf, [*path[:at], path[at][:31], *path[at + 1 :]], root),
            (index, size, leaf, [*path[:at], path[at] + b"\x00", *path[at + 1 :]], root),
        ]
    for case in wrong:
        with pytest.raises(merkle.ProofError):
            merkle.check_inclusion(*case)


@given(st.data())
@settings(max_examples=150)
def test_consistency_proof_fails_for_anything_else(tree, data):
    size = data.draw(st.integers(1, 513))
    old = data.draw(st.integers(0, size))
    before, root = mth(MANY[:old]), mth(MANY[:size])
    path = merkle.prove_consistency(old, size, tree.stored)
    wrong = [
        (old, size, [*path, root], before, root),
        (old, size, [before, *path], before, root),
        (old, size, path, flipped(before), root),
        (old, size, path, before[:31], root),
        (old, size, path, before, root[:31]),
        (-1, size, path, before, root),
        (size + 1, size, path, before, root),
    ]
    if old:  # the empty tree is a beginning of any
        wrong.append((old, size, path, before, flipped(root)))
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        wrong += [
            (old, size, path[:-1], before, root),
            (old, size, [], before, root),
            (old, size, [*path[:at], flipped(path[at]), *path[at + 1 :]], before, root),
            (old, size, [*path[:at], path[at][:31], *path[at + 1 :]], before, root),
            (0, size, path, digest(b""), root),
            (size, size, path, root, root),
            (old, size, path, root, before),
        ]
    for case in wrong:
        with pytest.raises(merkle.ProofError):
            merkle.check_consistency(*case)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3), (4, 3)])
def test_proof_of_a_missing_entry_is_refused(tree, index, size):
    with pytest.raises(ValueError, match="is not in a tree"):
        merkle.prove_inclusion(index, size, tree.stored)


@pytest.mark.parametrize(("old", "size"), [(-1, 3), (4, 3), (1, 0)])
def test_consistency_proof_from_a_larger_tree_is_refused(tree, old, size):
    with pytest.raises(ValueError, match="is no beginning"):
        merkle.prove_consistency(old, size, tree.stored)


def test_missing_hash_is_named_in_the_error():
    tree = Tree(MANY[:300])
    for ask in (
        lambda: merkle.root(301, tree.stored),
        lambda: merkle.prove_inclusion(0, 301, tree.stored),
        lambda: merkle.prove_consistency(300, 302, tree.stored),
    ):
        with pytest.raises(merkle.MissingHash, match="hash 300 of level 0"):
            ask()


@pytest.mark.skipif(not VECTORS, reason="REGISTRY_PROOF_VECTORS names no file of published cases")
def test_published_test_vectors_have_their_published_result():
    cases = [json.loads(line) for line in Path(VECTORS or "").read_text(encoding="utf-8").splitlines()]
    assert len(cases) == 196
    judged = {True: 0, False: 0}
    for case in cases:
        path = [b64decode(each) for each in case["proof"] or []]
        try:
            if case["kind"] == "inclusion":
                leaf, root = b64decode(case["leafHash"]), b64decode(case["root"])
                merkle.check_inclusion(case["leafIdx"], case["treeSize"], leaf, path, root)
            else:
                roots = b64decode(case["root1"] or ""), b64decode(case["root2"] or "")
                merkle.check_consistency(case["size1"], case["size2"], path, *roots)
            fails = False
        except merkle.ProofError:
            fails = True
        assert fails == case["wantErr"], case["case"]
        judged[fails] += 1
    assert all(judged.values()), judged
