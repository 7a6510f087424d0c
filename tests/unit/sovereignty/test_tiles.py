"""Trees grown tile by tile against the plain definition of RFC 6962."""

from __future__ import annotations

import hashlib
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andromede.db import Database, migrate
from andromede.errors import Fatal, NotFound
from andromede.ledger import tree
from andromede.ledger.tree import TILE_WIDTH, leaf_hash
from andromede.sovereignty import schema, store, tiles
from andromede.sovereignty.store import Tile
from andromede.sovereignty.tiles import ENTRIES, Edge

ORIGIN = "andromede-000000000000/t/0000000000000001"
BORDERS = (0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 65_793)


def entries(first: int, to: int) -> list[bytes]:
    return [hashlib.sha256(number.to_bytes(8, "big")).digest() for number in range(first, to)]


LEAVES = [leaf_hash(entry) for entry in entries(0, BORDERS[-1])]


def in_memory(level: int, first: int, count: int) -> list[bytes]:
    """The plain definition: leaves, and perfect subtrees of 256**level of them."""
    if level == 0:
        return LEAVES[first : first + count]
    return [tree.fold(in_memory(level - 1, at * TILE_WIDTH, TILE_WIDTH)) for at in range(first, first + count)]


class Shelf:
    """Tiles in memory that refuses what a store must refuse."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}

    def put(self, made: list[Tile]) -> None:
        assert len({(tile.level, tile.number) for tile in made}) == len(made)
        for tile in made:
            before = self.tiles.get((tile.level, tile.number), b"")
            assert len(before) < len(tile.data) <= TILE_WIDTH * 32
            assert tile.data.startswith(before), "a published part changed"
            self.tiles[tile.level, tile.number] = tile.data

    def find(self, level: int, number: int) -> bytes | None:
        return self.tiles.get((level, number))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 600), st.sampled_from((255, 256, 257))), max_size=12))
def test_growing_in_any_steps_gives_the_tree_of_the_definition(steps: list[int]) -> None:
    edge, shelf, size = Edge(), Shelf(), 0
    for step in steps:
        shelf.put(edge.extend(entries(size, size + step)))
        size += step
        assert edge.size == size
        assert edge.root() == tree.subtree(in_memory, 0, size)
        again = Edge.load(shelf.find, size)
        assert again.root() == edge.root()
    read = tiles.reader(shelf.find, ORIGIN)
    assert tree.subtree(read, 0, size) == edge.root()
    for level, full, width in tree.tiles(size):
        if level:
            assert [len(shelf.tiles[level, number]) for number in range(full)] == [8192] * full
            assert len(shelf.tiles.get((level, full), b"")) == 32 * width


def test_tile_borders_over_the_database(db: Database) -> None:
    migrate(db, schema.MIGRATIONS)
    find = partial(store.tile, db, ORIGIN)
    size = 0
    for border in BORDERS:
        edge = Edge.load(find, size)
        with db.write() as tx:
            assert size == border or store.write_tiles(
                tx, [(ORIGIN, tile) for tile in edge.extend(entries(size, border))]
            )
        size = border
        expected = tree.subtree(in_memory, 0, size)
        assert edge.root() == expected
        read = tiles.reader(find, ORIGIN)
        assert tree.subtree(read, 0, size) == expected
        for index in {0, size // 2, size - 1} if size else ():
            path = tree.inclusion(read, index, size)
            assert tree.root_from_path(index, size, LEAVES[index], path) == expected
        for old in (value for value in BORDERS if 0 < value <= size):
            proof = tree.consistency(read, old, size)
            assert tree.check_consistency(old, size, tree.subtree(in_memory, 0, old), expected, proof)
    numbers = [tile.number for tile in store.tiles(db, ORIGIN, ENTRIES, -1, 1000)]
    assert numbers == list(range(-(-BORDERS[-1] // TILE_WIDTH)))


def test_a_stored_tile_only_grows(db: Database) -> None:
    migrate(db, schema.MIGRATIONS)
    wide, narrow = Tile(ENTRIES, 0, bytes(96)), Tile(ENTRIES, 0, b"\1" * 64)
    with db.write() as tx:
        assert store.write_tiles(tx, [(ORIGIN, wide)])
        assert not store.write_tiles(tx, [(ORIGIN, narrow)])
        assert not store.write_tiles(tx, [(ORIGIN, wide)])
    assert store.tile(db, ORIGIN, ENTRIES, 0) == bytes(96)
    with pytest.raises(Fatal):
        Edge.load(partial(store.tile, db, ORIGIN), 4)
    with pytest.raises(Fatal):
        tiles.reader(partial(store.tile, db, ORIGIN), ORIGIN)(0, 2, 2)
    assert store.tile(db, "other", ENTRIES, 0) is None


def test_reading_of_tiles_stops_at_their_width(db: Database) -> None:
    from andromede.sovereignty.log import Logs
    from andromede.sovereignty.logkeys import LogKeys

    migrate(db, schema.MIGRATIONS)
    edge = Edge()
    with db.write() as tx:
        assert store.write_tiles(tx, [(ORIGIN, tile) for tile in edge.extend(entries(0, 300))])
    logs = Logs(db, LogKeys({"ed25519": bytes(32), "mldsa44": bytes(32)}))
    assert logs.tile(ORIGIN, 0, 0) == b"".join(LEAVES[:256])
    assert logs.tile(ORIGIN, 0, 1, 44) == b"".join(LEAVES[256:300])
    assert logs.tile(ORIGIN, 1, 0, 1) == tree.fold(LEAVES[:256])
    assert logs.entries(ORIGIN, 1, 2) == b"".join(b"\x00\x20" + entry for entry in entries(256, 258))
    for level, number, width in ((0, 1, 45), (0, 2, 1), (1, 0, 2), (2, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)):
        with pytest.raises(NotFound):
            logs.tile(ORIGIN, level, number, width)
