"""The port of block storage: encrypted disks on this host. Every call may be repeated; engines hold no state that
rows lack, and learn pass phrases with each call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes to make a disk of: an image whose format was checked (no backing and no data file), or the read-only
    base under a disk. `format`: qcow2 or raw. `passphrase`: of a base that is sealed itself."""

    path: Path
    format: str = "qcow2"
    passphrase: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as it is wished: `size` in bytes, `passphrase` the text that opens it, `base` what shows through where
    nothing was written. A base is never written to."""

    id: str
    size: int
    passphrase: str = field(repr=False)
    base: Source | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A disk as it is: its `size`, the bytes that it takes on this host, and whether a process has it open."""

    size: int
    stored: int
    in_use: bool


@dataclass(frozen=True, slots=True)
class Layer:
    """One open file of a disk. `role`: `disk` (the first, the only one written to) or `base`. `passphrase` is empty
    for a base that is not sealed."""

    role: str
    fd: int
    format: str
    writable: bool
    passphrase: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class OpenDisk:
    """Open descriptors from the top of a disk to its base; the caller closes them once they were passed on."""

    id: str
    size: int
    layers: tuple[Layer, ...]

    def close(self) -> None:
        """Close this process's descriptors."""
        for layer in self.layers:
            os.close(layer.fd)


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of the folder's file system."""

    free: int
    total: int


class Raw(Protocol):
    """The plain bytes of a disk that nobody else has open."""

    size: int

    def extents(self) -> Iterator[tuple[int, int]]:
        """(start, length) of what may hold anything but zeroes, in order."""

    def read(self, at: int, length: int) -> bytes:
        """Bytes that lie within the disk."""

    def write(self, at: int, data: bytes) -> None:
        """Durable once the context ends; zeroes give room back."""


class BlockEngine(Protocol):
    """Disks of this host by id. `Unavailable` reason `in_use` where a process has the disk open, `NoCapacity` where
    the host is full, `NotFound` reason `disk` for a source that is not there, `Fatal` reason `damage`."""

    def keep(self, base: Source) -> Source:
        """A base under a name that lasts until `release`, whatever becomes of the image it was made of."""

    def release(self, base: Source) -> None:
        """No disk lies on a kept base any more."""

    def ensure(self, disk: Disk) -> None:
        """The disk is there; a new one is empty. One that is there is left alone, whatever its size."""

    def remove(self, disk_id: str) -> None:
        """The disk is not there, and the head without which it does not open is overwritten."""

    def observe(self, disk_id: str) -> Found | None:
        """What is there."""

    def resize(self, disk: Disk) -> None:
        """A disk that nobody has open has at least the wished size."""

    def copy(self, source: Disk, target: Disk) -> None:
        """A target that is not there becomes an independent copy of all bytes of the source, which nobody writes to."""

    def load(self, disk: Disk, source: Source) -> None:
        """A disk that is not there becomes a copy of an image; the rest of it is empty."""

    def open(self, disk: Disk) -> OpenDisk:
        """Descriptors for a hypervisor."""

    def plain(self, disk: Disk, writable: bool = False) -> AbstractContextManager[Raw]:
        """The bytes, for backups and images."""

    def room(self) -> Room:
        """How full the host is."""

    def names(self) -> list[str]:
        """The ids of all disks, for `fsck`."""
