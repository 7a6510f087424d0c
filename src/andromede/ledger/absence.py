"""Proof that a name is not in an index: its neighbours in the sorted Merkle tree stand next to each other.

The index is a tree of RFC 6962 over the sorted 32-byte keys of all live objects. Its size and root stand in a ledger
event, so whoever trusts that event can check an absence without seeing any other name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from andromede.ledger.note import BadNote
from andromede.ledger.tree import EMPTY_ROOT, HASH_SIZE, Reader, inclusion, leaf_hash, root_from_path, subtree


def live_key(salt: bytes, name: str) -> bytes:
    """SHA-256("andromede/live/v1\\n" || index salt || name)."""
    return hashlib.sha256(b"andromede/live/v1\n" + salt + name.encode()).digest()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A key of the index with its place and audit path."""

    index: int
    key: bytes
    path: tuple[bytes, ...]


def check_sorted(keys: Sequence[bytes]) -> None:
    """A full audit of an index: keys of 32 bytes that strictly increase. Raises BadNote with the place."""
    for at, key in enumerate(keys):
        if len(key) != HASH_SIZE or (at and keys[at - 1] >= key):
            raise BadNote(f"the keys of the index do not increase at {at}")


def index_reader(keys: Sequence[bytes]) -> Reader:
    """A reader of the index's tree in memory."""
    levels = [[leaf_hash(key) for key in keys]]

    def read(level: int, first: int, count: int) -> Sequence[bytes]:
        while len(levels) <= level:
            row = levels[-1]
            levels.append([subtree(_row(row), at, at + 256) for at in range(0, len(row) - 255, 256)])
        return levels[level][first : first + count]

    return read


def _row(row: Sequence[bytes]) -> Reader:
    return lambda level, first, count: row[first : first + count]


def prove_absence(keys: Sequence[bytes], key: bytes) -> tuple[Neighbour, ...]:
    """The neighbours of a key that is not among the sorted keys: two, or one at an end, or none in an empty index.
    Raises BadNote when the keys are not sorted or the key is among them."""
    check_sorted(keys)
    at = sum(other < key for other in keys)
    if at < len(keys) and keys[at] == key:
        raise BadNote("the key is in the index")
    read = index_reader(keys)
    places = [place for place in (at - 1, at) if 0 <= place < len(keys)]
    return tuple(Neighbour(place, keys[place], tuple(inclusion(read, place, len(keys)))) for place in places)


def check_absence(key: bytes, size: int, root: bytes, neighbours: Sequence[Neighbour]) -> None:
    """Whether the neighbours prove that `key` is not in the index of `size` keys under `root`, both taken from a
    ledger event. Raises BadNote with the reason when they do not."""
    if len(key) != HASH_SIZE:
        raise BadNote("a key has 32 bytes")
    for one in neighbours:
        try:
            led = root_from_path(one.index, size, leaf_hash(one.key), one.path)
        except ValueError as error:
            raise BadNote(f"the path of entry {one.index} does not fit: {error}") from error
        if len(one.key) != HASH_SIZE or led != root:
            raise BadNote(f"entry {one.index} does not lead to the root of the index")
    if not neighbours:
        if size or root != EMPTY_ROOT:
            raise BadNote("no neighbour is shown of an index that is not empty")
    elif len(neighbours) == 1:
        _at_an_end(key, size, neighbours[0])
    elif len(neighbours) > 2 or neighbours[0].index + 1 != neighbours[1].index:
        raise BadNote("the neighbours do not stand next to each other")
    elif not neighbours[0].key < key < neighbours[1].key:
        raise BadNote("the key does not lie between its neighbours")


def _at_an_end(key: bytes, size: int, only: Neighbour) -> None:
    before, after = only.index == 0 and key < only.key, only.index == size - 1 and only.key < key
    if not (before or after):
        raise BadNote("one neighbour proves an absence only before the first key or after the last")
