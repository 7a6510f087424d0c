"""A disk as the bytes of a qcow2 image, written from beginning to end without a file in between: what holds nothing
takes no room (docs/interop/qcow2.txt of QEMU, version 2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Protocol

BITS = 16
CLUSTER = 1 << BITS
COPIED = 1 << 63
_ENTRIES = CLUSTER // 8
_COUNTS = CLUSTER // 2


class Disk(Protocol):
    """Bytes of a disk; `extents`: (start, length) of what may hold anything but zeroes, in order."""

    size: int

    def extents(self) -> Iterator[tuple[int, int]]: ...
    def read(self, at: int, length: int) -> bytes: ...


def whole(disk: Disk) -> tuple[int, Iterator[bytes]]:
    """(length, pieces) of the disk as it is, zeroes included."""

    def pieces() -> Iterator[bytes]:
        at = 0
        for start, length in disk.extents():
            yield from _zeroes(start - at)
            for part in range(start, start + length, CLUSTER * 16):
                yield disk.read(part, min(CLUSTER * 16, start + length - part))
            at = start + length
        yield from _zeroes(disk.size - at)

    return disk.size, pieces()


def _zeroes(count: int) -> Iterator[bytes]:
    blank = bytes(CLUSTER)
    while count > 0:
        yield blank[: min(count, CLUSTER)]
        count -= CLUSTER


def qcow2(disk: Disk) -> tuple[int, Iterator[bytes]]:
    """(length, pieces) of the disk as a qcow2 image that stands alone."""
    used = _used(disk)
    tables = sorted({number // _ENTRIES for number in used})
    entries = max(1, _parts(disk.size, CLUSTER * _ENTRIES))
    l1_clusters = _parts(entries * 8, CLUSTER)
    fixed = 1 + l1_clusters + len(tables) + len(used)
    blocks = table = 0
    while blocks < _parts(fixed + blocks + table, _COUNTS) or table < _parts(blocks * 8, CLUSTER):
        blocks = _parts(fixed + blocks + table, _COUNTS)
        table = max(1, _parts(blocks * 8, CLUSTER))
    l2_at = 1 + l1_clusters
    table_at = l2_at + len(tables)
    data_at = table_at + table + blocks
    total = data_at + len(used)

    def pieces() -> Iterator[bytes]:
        head = struct.pack(
            ">IIQIIQIIQQIIQ", 0x514649FB, 2, 0, 0, BITS, disk.size, 0, entries, CLUSTER, table_at * CLUSTER, table, 0, 0
        )  # fmt: skip
        yield head.ljust(CLUSTER, b"\0")
        l1 = [0] * entries
        for place, number in enumerate(tables):
            l1[number] = ((l2_at + place) * CLUSTER) | COPIED
        yield struct.pack(f">{entries}Q", *l1).ljust(l1_clusters * CLUSTER, b"\0")
        yield from _l2(used, tables, data_at)
        pointers = [(table_at + table + number) * CLUSTER for number in range(blocks)]
        yield struct.pack(f">{blocks}Q", *pointers).ljust(table * CLUSTER, b"\0")
        yield (b"\0\1" * total).ljust(blocks * CLUSTER, b"\0")
        for number in used:
            start = number * CLUSTER
            yield disk.read(start, min(CLUSTER, disk.size - start)).ljust(CLUSTER, b"\0")

    return total * CLUSTER, pieces()


def _l2(used: list[int], tables: list[int], data_at: int) -> Iterator[bytes]:
    at = 0
    for number in tables:
        l2 = [0] * _ENTRIES
        while at < len(used) and used[at] // _ENTRIES == number:
            l2[used[at] % _ENTRIES] = ((data_at + at) * CLUSTER) | COPIED
            at += 1
        yield struct.pack(f">{_ENTRIES}Q", *l2)


def _used(disk: Disk) -> list[int]:
    """Numbers of the clusters that may hold anything, in order."""
    found: list[int] = []
    for start, length in disk.extents():
        first, last = start // CLUSTER, (start + length - 1) // CLUSTER
        if found and found[-1] >= first:
            first = found[-1] + 1
        found.extend(range(first, last + 1))
    return found


def _parts(whole_size: int, part: int) -> int:
    return -(-whole_size // part)
