"""The twin of the disk engine: disks in memory, for tests. It polices its callers and fails when it is told to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from andromede.errors import Conflict, Fatal, NoCapacity, NotFound, Unavailable
from andromede.volumes.engine import Disk, Found, Layer, OpenDisk, Raw, Room, Source

PAGE = 65536


@dataclass(slots=True)
class _Held:
    size: int
    passphrase: str
    pages: dict[int, bytes] = field(default_factory=dict)
    base: Source | None = None


class _Plain:
    def __init__(self, held: _Held) -> None:
        self._held = held
        self.size = held.size

    def extents(self) -> Iterator[tuple[int, int]]:
        return ((at * PAGE, min(PAGE, self.size - at * PAGE)) for at in sorted(self._held.pages))

    def read(self, at: int, length: int) -> bytes:
        if at < 0 or at + length > self.size:
            raise Conflict(f"a read of {length} bytes at {at} leaves the disk", "disk")
        first, last = at // PAGE, -(-(at + length) // PAGE)
        whole = b"".join(self._held.pages.get(page, bytes(PAGE)) for page in range(first, last))
        return whole[at - first * PAGE :][:length]

    def write(self, at: int, data: bytes) -> None:
        if at < 0 or at + len(data) > self.size:
            raise Conflict(f"a write of {len(data)} bytes at {at} leaves the disk", "disk")
        pages = self._held.pages
        while data:
            page, start = divmod(at, PAGE)
            piece, data = data[: PAGE - start], data[PAGE - start :]
            old = pages.get(page, bytes(PAGE))
            new = old[:start] + piece + old[start + len(piece) :]
            if any(new):
                pages[page] = new
            else:
                pages.pop(page, None)
            at += len(piece)


class MemoryDisks:
    """`fail(verb, disk id)` is called before and after the effect of every call and may raise; `busy` holds the ids of
    disks that a hypervisor has open; `left` is the room that is left."""

    def __init__(self, fail: Callable[[str, str], None] | None = None) -> None:
        self.disks: dict[str, _Held] = {}
        self.busy: set[str] = set()
        self.bases: set[str] = set()
        self.left = Room(1 << 40, 1 << 41)
        self.calls: list[tuple[str, str]] = []
        self.fail = fail or (lambda verb, disk_id: None)

    @contextlib.contextmanager
    def _call(self, verb: str, disk_id: str) -> Iterator[None]:
        self.calls.append((verb, disk_id))
        self.fail("before " + verb, disk_id)
        yield
        self.fail("after " + verb, disk_id)

    def _open(self, disk: Disk, alone: bool = True) -> _Held:
        held = self.disks.get(disk.id)
        if held is None:
            raise NotFound(f"disk {disk.id} is not on this host", "disk")
        if held.passphrase != disk.passphrase:
            raise Fatal(f"disk {disk.id} does not open with its key", "damage")
        if alone and disk.id in self.busy:
            raise Unavailable(f"disk {disk.id} is in use by a running process; detach it first", "in_use")
        return held

    def _make(self, disk: Disk, pages: dict[int, bytes]) -> None:
        if self.left.free < self.left.total / 10:
            raise NoCapacity("this host's storage is full: no new disks until there is room", "space")
        if len(disk.passphrase) < 40:
            raise Conflict(f"disk {disk.id} would be made without a key", "disk")
        self.disks[disk.id] = _Held(disk.size, disk.passphrase, pages, disk.base)

    def keep(self, base: Source) -> Source:
        if not base.path.exists():
            raise NotFound("the image under a new disk is not on this host", "disk")
        self.bases.add(str(base.path))
        return base

    def release(self, base: Source) -> None:
        if any(held.base == base for held in self.disks.values()):
            raise Conflict(f"a disk lies on {base.path}", "disk")
        self.bases.discard(str(base.path))

    def ensure(self, disk: Disk) -> None:
        with self._call("ensure", disk.id):
            if disk.id not in self.disks:
                self._make(disk, {})

    def remove(self, disk_id: str) -> None:
        with self._call("remove", disk_id):
            if disk_id in self.busy:
                raise Unavailable(f"disk {disk_id} is in use by a running process", "in_use")
            self.disks.pop(disk_id, None)

    def observe(self, disk_id: str) -> Found | None:
        held = self.disks.get(disk_id)
        return Found(held.size, len(held.pages) * PAGE, disk_id in self.busy) if held else None

    def resize(self, disk: Disk) -> None:
        with self._call("resize", disk.id):
            held = self._open(disk)
            held.size = max(held.size, disk.size)

    def copy(self, source: Disk, target: Disk) -> None:
        with self._call("copy", target.id):
            if target.id not in self.disks:
                held = self._open(source)
                if target.size < held.size:
                    raise Conflict(f"disk {target.id} is smaller than its source", "disk")
                self._make(target, dict(held.pages))

    def load(self, disk: Disk, source: Source) -> None:
        with self._call("load", disk.id):
            if disk.id in self.disks:
                return
            try:
                whole = source.path.read_bytes()
            except OSError as error:
                raise NotFound(f"the image for disk {disk.id} is not on this host", "disk") from error
            held = _Held(disk.size, disk.passphrase)
            _Plain(held).write(0, whole)
            self._make(disk, held.pages)

    def open(self, disk: Disk) -> OpenDisk:
        self._open(disk)
        fd = os.memfd_create(disk.id[:32], os.MFD_CLOEXEC)
        return OpenDisk(disk.id, disk.size, (Layer("disk", fd, "qcow2", True, disk.passphrase),))

    @contextlib.contextmanager
    def plain(self, disk: Disk, writable: bool = False) -> Iterator[Raw]:
        with self._call("plain", disk.id):
            yield _Plain(self._open(disk))

    def room(self) -> Room:
        return self.left

    def names(self) -> list[str]:
        return sorted(self.disks)
