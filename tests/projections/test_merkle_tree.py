"""The Merkle tree as a view: the stored hashes of tlog-tiles, checked by tlog-scales at sizes where tiles and levels
begin; the same for any steps of growth."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tlog_scales.reader import TilesReader
from tlog_scales.tlog import ConsistencyProof, InclusionProof

from domain.merkle import leaf_hash, prove_consistency, prove_inclusion, root
from domain.tlog_formats import parse_tile
from projections.engine import merkle_tree

SIZES = (0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537)
LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(SIZES[-1])]


def grown(*sizes: int) -> sqlite3.Connection:
    """Return a tree that grew to these sizes in turn."""
    db = sqlite3.connect(":memory:")
    db.executescript(merkle_tree.SCHEMA)
    for before, after in pairwise((0, *sizes)):
        merkle_tree.grow(db, before, LEAVES[before:after])
    return db


class Tree:
    """Stored hashes, and the tiles of a published size made from them."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.size = 0

    def stored(self, level: int, first: int, count: int) -> list[bytes]:
        return merkle_tree.hashes(self.db, level, first, count)

    def get(self, *parts: str) -> bytes | None:
        tile = parse_tile("/".join(parts[1:]))
        assert parts[0] == "tile"
        assert tile.level is not None
        if tile.number * 256 + tile.width > self.size >> 8 * tile.level:
            return None
        return b"".join(self.stored(tile.level, tile.number * 256, tile.width))

    def read(self, size: int) -> TilesReader:
        """Read by tlog-scales, which gets the size and reads tiles."""
        self.size = size
        reader = TilesReader(self)
        reader.set_size(size)
        return reader


@pytest.fixture(scope="module")
def whole() -> Iterator[Tree]:
    with closing(grown(*SIZES)) as db:
        yield Tree(db)


@pytest.mark.parametrize("size", SIZES)
def test_another_library_computes_the_same_root_from_the_tiles(whole, size):
    assert whole.read(size).calculate_root_hash() == root(size, whole.stored)


@pytest.mark.parametrize("size", SIZES[1:])
def test_another_library_makes_the_same_inclusion_proofs_and_accepts_ours(whole, size):
    reader = whole.read(size)
    for index in sorted({0, 1, 254, 255, 256, 65_535, 65_536, size // 2, size - 1} & set(range(size))):
        path = prove_inclusion(index, size, whole.stored)
        assert reader.get_inclusion_proof(index, size).node_hashes == path
        InclusionProof(index, size, path).check(LEAVES[index], root(size, whole.stored))


@pytest.mark.parametrize(("old", "size"), list(combinations(SIZES[1:], 2)))
def test_another_library_makes_the_same_consistency_proofs_and_accepts_ours(whole, old, size):
    path = prove_consistency(old, size, whole.stored)
    assert whole.read(size).get_consistency_proof(old, size).node_hashes == path
    ConsistencyProof(old, size, path).check(root(old, whole.stored), root(size, whole.stored))


def test_missing_tree_hashes_are_not_returned(whole):
    assert len(whole.stored(0, 65_530, 20)) == 7
    assert whole.stored(0, 65_537, 1) == []
    assert len(whole.stored(1, 0, 300)) == 256
    assert len(whole.stored(2, 0, 2)) == 1
    assert whole.stored(3, 0, 1) == []


@given(st.lists(st.integers(0, 1200), min_size=1, max_size=6))
@settings(max_examples=40)
def test_rows_do_not_depend_on_the_steps_in_which_a_log_grows(steps):
    sizes = sorted(steps)
    with closing(grown(*sizes)) as stepped, closing(grown(sizes[-1])) as at_once:
        rows = "SELECT * FROM tree ORDER BY id"
        assert stepped.execute(rows).fetchall() == at_once.execute(rows).fetchall()
