"""Merkle tree of RFC 6962 section 2.1 over C2SP tlog-tiles.

A tile of level L holds up to 256 hashes; a hash of level L is the root of a full subtree of 256**L
leaves. All functions take a `Reader`, so the tree may live in files, rows or memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

HASH_SIZE = 32
TILE_WIDTH = 256
EMPTY_ROOT = hashlib.sha256(b"").digest()

Reader = Callable[[int, int, int], Sequence[bytes]]
"""(level, first, count) -> that many consecutive hashes of a level."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root of a perfect tree over 2**k hashes."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def _perfect(read: Reader, height: int, index: int) -> bytes:
    level, rest = divmod(height, 8)
    return fold(read(level, index << rest, 1 << rest))


def _split(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)


def subtree(read: Reader, low: int, high: int) -> bytes:
    """MTH(D[low:high]) where the range is one that RFC 6962 splits produce."""
    count = high - low
    if count == 0:
        return EMPTY_ROOT
    if count & (count - 1) == 0 and low % count == 0:
        height = count.bit_length() - 1
        return _perfect(read, height, low >> height)
    middle = low + _split(count)
    return node_hash(subtree(read, low, middle), subtree(read, middle, high))


def inclusion(read: Reader, index: int, size: int) -> list[bytes]:
    """The audit path of a leaf in the tree of `size` leaves, leaf side first."""
    if not 0 <= index < size:
        raise ValueError(f"index {index} is not in a tree of {size}")
    low, high, path = 0, size, []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(subtree(read, middle, high))
            high = middle
        else:
            path.append(subtree(read, low, middle))
            low = middle
    return path[::-1]


def consistency(read: Reader, old: int, new: int) -> list[bytes]:
    """The proof that the tree of `old` leaves is a prefix of the tree of `new` (RFC 6962 2.1.2)."""
    if not 0 <= old <= new:
        raise ValueError(f"{old} is not at most {new}")
    if old in (0, new):
        return []

    def sub(low: int, high: int, whole: bool) -> list[bytes]:
        if high == old:
            return [] if whole else [subtree(read, low, high)]
        middle = low + _split(high - low)
        if old <= middle:
            return [*sub(low, middle, whole), subtree(read, middle, high)]
        return [*sub(middle, high, False), subtree(read, low, middle)]

    return sub(0, new, True)


def root_from_path(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that an audit path leads to (RFC 9162 2.1.3.2); ValueError when its length is wrong."""
    if not 0 <= index < size:
        raise ValueError("index outside the tree")
    fn, sn, root = index, size - 1, leaf
    for step in path:
        if sn == 0:
            raise ValueError("path too long")
        if fn & 1 or fn == sn:
            root = node_hash(step, root)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            root = node_hash(root, step)
        fn >>= 1
        sn >>= 1
    if sn:
        raise ValueError("path too short")
    return root


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the old tree is a prefix of the new one (RFC 9162 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return old_root == new_root and not proof
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    nodes = [old_root, *proof] if old & (old - 1) == 0 else proof
    return prefix_roots(old, new, nodes) == (old_root, new_root)


def prefix_roots(old: int, new: int, nodes: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The roots of the first `old` and of all `new` leaves (0 < old < new) that the nodes of a consistency proof
    lead to; None when their number is wrong. `nodes` starts with a subtree that ends at `old`, which a proof leaves
    out when `old` is a power of two."""
    if not nodes or not 0 < old < new:
        return None
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    first = second = nodes[0]
    for step in nodes[1:]:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            first, second = node_hash(step, first), node_hash(step, second)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            second = node_hash(second, step)
        fn >>= 1
        sn >>= 1
    return (first, second) if sn == 0 else None


def tile_path(level: int, number: int, width: int = 0) -> str:
    """`tile/<L>/<N>[.p/<W>]`: 1234067 is `x001/x234/067`; width 1-255 names a partial tile."""
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03d}")
    return f"tile/{level}/" + "/".join(groups) + (f".p/{width}" if width else "")


def tiles(size: int) -> list[tuple[int, int, int]]:
    """(level, full tiles, width of the partial tile or 0) of a tree."""
    found, level = [], 0
    while size > 0:
        found.append((level, size // TILE_WIDTH, size % TILE_WIDTH))
        size //= TILE_WIDTH
        level += 1
    return found
