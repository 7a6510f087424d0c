"""Disks as files: qcow2 with LUKS inside, each under a pass phrase of its own. Below `folder` of mode 0700, files of
mode 0600: `ID.qcow2`, and `ID.part` while a copy is being made. `bases/` holds second names of the image files that
disks lie on, on the same file system."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from andromede.durable import make_folder, sync_folder
from andromede.engines.qcow2 import layout, luks, nbd
from andromede.engines.qcow2.tool import Command, run
from andromede.errors import Error, Invalid, NoCapacity, NotFound, Unavailable
from andromede.ids import Ids
from andromede.volumes.engine import Disk, Found, Layer, OpenDisk, Raw, Room, Source

LEAST_FREE = 0.10
"""Share of the file system below which nothing new is placed."""
_HEAD_END = 4 * layout.CLUSTER + luks.HEAD_BYTES
_SAFE = frozenset("0123456789abcdef-")


class Qcow2Engine:
    """Safe to use from many threads, as long as no two of them work on one disk."""

    def __init__(self, folder: Path, ids: Ids, least_free: float = LEAST_FREE) -> None:
        self._folder = folder
        self._bases = folder / "bases"
        self._ids = ids
        self._least_free = least_free
        make_folder(folder)
        os.chmod(folder, 0o700)

    def _path(self, disk_id: str, end: str = "qcow2") -> Path:
        if not disk_id or not set(disk_id) <= _SAFE:
            raise Invalid(f"{disk_id!r} is no id of a disk", "disk")
        return self._folder / f"{disk_id}.{end}"

    def file(self, disk_id: str) -> Path:
        """Where a disk lies, or would lie."""
        return self._path(disk_id)

    def _there(self, disk: Disk) -> Path:
        path = self._path(disk.id)
        if not path.exists():
            raise NotFound(f"disk {disk.id} is not on this host", "disk")
        return path

    def _make(self, disk: Disk, fill: Callable[[Path], None] | None = None) -> None:
        """Write a new file beside, fill it and give it its name."""
        path = self._path(disk.id)
        if path.exists():
            return
        room = self.room()
        if room.free < self._least_free * room.total:
            raise NoCapacity(
                f"this host has {room.free >> 20} MiB of storage left, less than {self._least_free:.0%}: "
                "no new disks until there is room",
                "space",
            )
        part = self._path(disk.id, "part")
        base = (str(disk.base.path), disk.base.format) if disk.base else None
        try:
            layout.write(part, disk.size, disk.passphrase.encode(), self._ids, base)
            if fill:
                fill(part)
            with open(part, "rb") as file:
                os.fsync(file.fileno())
        except OSError as error:
            part.unlink(missing_ok=True)
            raise Unavailable(f"disk {disk.id} could not be written", "disk", cause=str(error)) from error
        except Error:
            part.unlink(missing_ok=True)  # what failed for want of room must not keep the room
            raise
        os.rename(part, path)
        sync_folder(self._folder)

    def keep(self, base: Source) -> Source:
        kept = self._bases / base.path.name
        make_folder(self._bases)
        try:
            os.link(base.path, kept)
        except FileExistsError:
            pass
        except FileNotFoundError as error:
            raise NotFound("the image under a new disk is not on this host", "disk") from error
        sync_folder(self._bases)
        return Source(kept, base.format, base.passphrase)

    def release(self, base: Source) -> None:
        if base.path.parent == self._bases:
            base.path.unlink(missing_ok=True)

    def ensure(self, disk: Disk) -> None:
        self._make(disk)

    def copy(self, source: Disk, target: Disk) -> None:
        self._make(target, lambda part: self._convert(source, part, target))

    def load(self, disk: Disk, source: Source) -> None:
        if not source.path.exists():
            raise NotFound(f"the image for disk {disk.id} is not on this host", "disk")
        self._make(disk, lambda part: self._convert(source, part, disk))

    def _convert(self, source: Disk | Source, part: Path, target: Disk) -> None:
        with ExitStack() as stack:
            command = Command(stack)
            if isinstance(source, Disk):
                read = command.disk(self._there(source), source)
            else:
                read = command.source(source)
            write = command.source(Source(part, "qcow2", target.passphrase))
            line = ["convert", "-n", "--target-is-zero", "--image-opts", "--target-image-opts", read, write]
            run(command, line, f"the copy to disk {target.id}")

    def remove(self, disk_id: str) -> None:
        self._path(disk_id, "part").unlink(missing_ok=True)
        path = self._path(disk_id)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            if _locked(fd):
                raise Unavailable(f"disk {disk_id} is in use by a running process", "in_use")
            os.pwrite(fd, bytes(min(_HEAD_END, os.fstat(fd).st_size)), 0)
            os.fdatasync(fd)
        finally:
            os.close(fd)
        path.unlink(missing_ok=True)
        sync_folder(self._folder)

    def observe(self, disk_id: str) -> Found | None:
        try:
            fd = os.open(self._path(disk_id), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            head = os.pread(fd, 32, 0)
            if len(head) < 32 or head[:4] != b"QFI\xfb":
                return Found(0, os.fstat(fd).st_blocks * 512, _locked(fd))
            return Found(int(struct.unpack(">Q", head[24:32])[0]), os.fstat(fd).st_blocks * 512, _locked(fd))
        finally:
            os.close(fd)

    def resize(self, disk: Disk) -> None:
        found = self.observe(disk.id)
        if found is not None and found.size >= disk.size:
            return
        path = self._there(disk)
        with ExitStack() as stack:
            command = Command(stack)
            options = command.disk(path, disk)
            run(command, ["resize", "-q", "--image-opts", options, str(disk.size)], f"disk {disk.id}", 300.0)

    def open(self, disk: Disk) -> OpenDisk:
        layers = [Layer("disk", os.open(self._there(disk), os.O_RDWR | os.O_CLOEXEC), "qcow2", True, disk.passphrase)]
        if disk.base:
            try:
                fd = os.open(disk.base.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                os.close(layers[0].fd)
                raise NotFound(f"the base of disk {disk.id} is not on this host", "disk", cause=str(error)) from error
            layers.append(Layer("base", fd, disk.base.format, False, disk.base.passphrase))
        return OpenDisk(disk.id, disk.size, tuple(layers))

    @contextlib.contextmanager
    def plain(self, disk: Disk, writable: bool = False) -> Iterator[Raw]:
        path = self._there(disk)
        with ExitStack() as stack:
            command = Command(stack)
            options = command.disk(path, disk, ",discard=unmap,file.discard=unmap" if writable else "")
            extents = self._extents(command, options, disk.id)
            line = [*command.objects, "--image-opts", options, *([] if writable else ["-r"])]
            name = f".{disk.id[:36]}.{self._ids.hex()[:8]}"
            yield stack.enter_context(nbd.serving(self._folder, name, line, command.fds, (extents, writable)))

    @staticmethod
    def _extents(command: Command, options: str, disk_id: str) -> list[tuple[int, int]]:
        found = run(command, ["map", "--output=json", "--image-opts", options], f"disk {disk_id}", 300.0)
        return [(part["start"], part["length"]) for part in json.loads(found) if part["data"] and not part["zero"]]

    def room(self) -> Room:
        found = os.statvfs(self._folder)
        return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)

    def names(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("*.qcow2"))


def _locked(fd: int) -> bool:
    """Whether another process holds one of QEMU's locks on the file (block/file-posix.c: bytes from 100 and 200)."""
    asked = struct.pack("hh4xqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 100, 200, 0)
    return bool(struct.unpack("hh4xqqi4x", fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK)
