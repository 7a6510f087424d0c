"""The growing edge of a log: what is needed to append entries and to know the root, without the rest of the tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from andromede.errors import Fatal
from andromede.ledger.tree import EMPTY_ROOT, HASH_SIZE, TILE_WIDTH, Reader, fold, leaf_hash, node_hash
from andromede.sovereignty.store import Tile

ENTRIES = -1
"""The level of tiles that hold entries; hashes of level 0 are derived from them and not stored."""
Find = Callable[[int, int], bytes | None]
"""(level, number) -> the stored bytes of a tile."""


def split(data: bytes) -> list[bytes]:
    """The hashes that stand side by side in a tile."""
    return [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]


def reader(find: Find, origin: str) -> Reader:
    """Hashes of a log by level, from stored tiles. `Fatal` when a tile is missing or too narrow."""

    def read(level: int, first: int, count: int) -> Sequence[bytes]:
        found: list[bytes] = []
        while len(found) < count:
            number, offset = divmod(first + len(found), TILE_WIDTH)
            width = min(TILE_WIDTH - offset, count - len(found))
            data = find(level or ENTRIES, number) or b""
            part = split(data[offset * HASH_SIZE : (offset + width) * HASH_SIZE])
            if len(part) != width:
                raise Fatal(f"the ledger {origin} lacks hashes of tile {level}/{number}: run andromede fsck", "ledger")
            found += part if level else map(leaf_hash, part)
        return found

    return read


class Edge:
    """The partial tiles at the right of a tree of `size` leaves."""

    __slots__ = ("_entries", "_levels", "size")

    def __init__(self) -> None:
        self.size = 0
        self._entries: list[bytes] = []
        self._levels: list[list[bytes]] = [[]]

    @classmethod
    def load(cls, find: Find, size: int) -> Edge:
        """The edge of a stored tree. `Fatal` when a partial tile does not have the width that `size` asks for."""
        edge = cls()
        edge.size = size
        edge._entries = _partial(find, ENTRIES, size)
        edge._levels = [[leaf_hash(entry) for entry in edge._entries]]
        count = size // TILE_WIDTH
        while count:
            edge._levels.append(_partial(find, len(edge._levels), count))
            count //= TILE_WIDTH
        return edge

    def root(self) -> bytes:
        """The root of the tree (RFC 6962 section 2.1)."""
        root = None
        for hashes in self._levels:
            end, width = len(hashes), 1
            while end:
                if end & width:
                    peak = fold(hashes[end - width : end])
                    root = peak if root is None else node_hash(peak, root)
                    end -= width
                width *= 2
        return EMPTY_ROOT if root is None else root

    def extend(self, entries: Sequence[bytes]) -> list[Tile]:
        """Append entries; the tiles that are new or wider than before, each once."""
        made: list[Tile] = []
        raised = 1  # levels below this one have a partial tile that changed
        for entry in entries:
            self._entries.append(entry)
            self._levels[0].append(leaf_hash(entry))
            self.size += 1
            if len(self._entries) == TILE_WIDTH:
                made.append(Tile(ENTRIES, self.size // TILE_WIDTH - 1, b"".join(self._entries)))
                self._entries = []
                raised = max(raised, self._carry(made))
        if self._entries and entries:
            made.append(Tile(ENTRIES, self.size // TILE_WIDTH, b"".join(self._entries)))
        for level in range(1, raised):
            if self._levels[level]:
                made.append(Tile(level, self._number(level), b"".join(self._levels[level])))
        return made

    def _number(self, level: int) -> int:
        return self.size >> 8 * (level + 1)

    def _carry(self, made: list[Tile]) -> int:
        level = 0
        while len(self._levels[level]) == TILE_WIDTH:
            if level:
                made.append(Tile(level, self._number(level) - 1, b"".join(self._levels[level])))
            top = fold(self._levels[level])
            self._levels[level] = []
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(top)
        return level + 1


def _partial(find: Find, level: int, count: int) -> list[bytes]:
    number, width = divmod(count, TILE_WIDTH)
    if not width:
        return []
    data = find(level, number) or b""
    if len(data) != width * HASH_SIZE:
        raise Fatal(f"tile {level}/{number} has {len(data)} bytes where {width} hashes are wanted", "ledger")
    return split(data)
