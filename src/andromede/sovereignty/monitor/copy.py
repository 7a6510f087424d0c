"""The tenant's own copy of the tree: leaf hashes in a file, so that old roots and proofs need no server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from andromede.errors import Fatal
from andromede.ledger import tree
from andromede.ledger.tree import HASH_SIZE, TILE_WIDTH


class Copy:
    """32 bytes per entry in `leaves`, and per full tile in `tiles`. What lies beyond `size` was not yet verified
    when the monitor stopped, and is cut off. Raises `Fatal` when the files are shorter than the state says."""

    def __init__(self, folder: Path, size: int) -> None:
        self.size = size
        self._leaves = _open(folder / "leaves", size)
        self._tiles = _open(folder / "tiles", size // TILE_WIDTH)

    def close(self) -> None:
        """Close the files."""
        self._leaves.close()
        self._tiles.close()

    def append(self, leaves: Sequence[bytes]) -> None:
        """Add leaf hashes at the end."""
        self._leaves.seek(self.size * HASH_SIZE)
        self._leaves.write(b"".join(leaves))
        full = self.size // TILE_WIDTH
        self.size += len(leaves)
        self._tiles.seek(full * HASH_SIZE)
        for number in range(full, self.size // TILE_WIDTH):
            self._tiles.write(tree.fold(self.read(0, number * TILE_WIDTH, TILE_WIDTH)))

    def cut(self, size: int) -> None:
        """Forget everything from `size` on."""
        self._leaves.truncate(size * HASH_SIZE)
        self._tiles.truncate(size // TILE_WIDTH * HASH_SIZE)
        self.size = size

    def sync(self) -> None:
        """Make what was appended durable."""
        for file in (self._leaves, self._tiles):
            file.flush()
            os.fsync(file.fileno())

    def read(self, level: int, first: int, count: int) -> list[bytes]:
        """A `tree.Reader` over the copy."""
        if level > 1:
            return [tree.fold(self.read(level - 1, n * TILE_WIDTH, TILE_WIDTH)) for n in range(first, first + count)]
        file = self._tiles if level else self._leaves
        file.seek(first * HASH_SIZE)
        data = file.read(count * HASH_SIZE)
        return [data[n : n + HASH_SIZE] for n in range(0, len(data), HASH_SIZE)]

    def root(self, size: int) -> bytes:
        """The root of the first `size` entries."""
        return tree.subtree(self.read, 0, size)

    def nodes(self, old: int, size: int) -> list[bytes]:
        """A full consistency proof (`tree.prefix_roots`)."""
        return full_proof(self.read, old, size)


def full_proof(read: tree.Reader, old: int, size: int) -> list[bytes]:
    """The nodes that lead to the roots of `old` and of `size` leaves, 0 < old < size, whatever those roots are."""
    proof = tree.consistency(read, old, size)
    return [tree.subtree(read, 0, old), *proof] if old & (old - 1) == 0 else proof


def _open(path: Path, count: int) -> BinaryIO:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    file = os.fdopen(descriptor, "r+b")
    have = os.fstat(descriptor).st_size
    if have < count * HASH_SIZE:
        file.close()
        raise Fatal(
            f"{path} holds fewer hashes than the state beside it says; keep this folder aside as it is and begin "
            "anew with another --state",
            "state",
        )
    file.truncate(count * HASH_SIZE)
    return file
