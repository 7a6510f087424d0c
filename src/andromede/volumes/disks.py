"""Disks and their keys: what the host role does for volumes, snapshots and the root disks of servers alike.

Each disk has a key of its own in the key tree, below its project's. The pass phrase of the file is sealed under it;
with the key destroyed, nobody reads the file again.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path

from andromede.audit.changes import Change, Desk
from andromede.db import Reach, Tx
from andromede.errors import NotFound
from andromede.keys import KeyRing
from andromede.keys import store as key_store
from andromede.volumes import store
from andromede.volumes.engine import BlockEngine, Disk, Found, OpenDisk, Raw, Room, Source
from andromede.volumes.model import DiskRow
from andromede.volumes.tables import DISKS

KEY_BYTES = 32


class Disks:
    """`make` gives the engine of this host, and is called when it is first wanted: only the host role touches disks.
    The API process may hand a disk over to another project."""

    def __init__(self, desk: Desk, keys: KeyRing, make: Callable[[], BlockEngine]) -> None:
        self._desk = desk
        self._keys = keys
        self._make = make
        self._bases = threading.Lock()

    @cached_property
    def engine(self) -> BlockEngine:
        """The engine of this host."""
        return self._make()

    # --- rows and keys

    def _seal(self, tx: Tx, project_id: str, disk_id: str, secret: bytes) -> tuple[str, bytes]:
        """(key id, wrapped) of a pass phrase under a new key of the project."""
        key = self._keys.create_container(tx, project_id)
        return key.id, self._keys.seal_data_key(self._keys.newest(key.id, tx), disk_id, secret)

    def _row(self, disk_id: str) -> DiskRow:
        row = DISKS.find(self._desk.db, id=disk_id)
        if row is None:
            raise NotFound(f"there is no disk {disk_id}", "disk")
        return row

    def _ensured(self, project_id: str, disk_id: str, size: int, request_id: str, base: Source | None) -> DiskRow:
        """The row of a disk, with its key, before there is a file."""
        row = DISKS.find(self._desk.db, id=disk_id)
        if row is not None:
            return row
        with self._desk.system("disk:key", f"disk/{disk_id}", project_id, request_id, Reach.EVERYTHING) as change:
            key_id, wrapped = self._seal(change.tx, project_id, disk_id, self._desk.ids.secret(KEY_BYTES))
            path, kind = (str(base.path), base.format) if base else ("", "")
            row = DiskRow(disk_id, project_id, size, path, kind, key_id, wrapped, change.now_us)
            return DISKS.insert(change.tx, row)

    def _secret(self, row: DiskRow) -> bytes:
        self._keys.sync(key_store.changes(self._desk.db))
        return self._keys.open_data_key(row.key_id, row.id, row.wrapped, tenant=row.project_id)

    def _value(self, row: DiskRow) -> Disk:
        base = Source(Path(row.base), row.base_format) if row.base else None
        return Disk(row.id, row.size, base64.b64encode(self._secret(row)).decode(), base)

    def value(self, disk_id: str) -> Disk:
        """A disk with what opens it. NotFound reason `disk`; Denied when its key was destroyed or disabled."""
        return self._value(self._row(disk_id))

    def hand_over(self, change: Change, disk_id: str, project_id: str) -> None:
        """Give a disk to another project: sealed under a key of theirs, the former key destroyed."""
        row = DISKS.find(change.tx, id=disk_id)
        if row is None or row.project_id == project_id:
            return
        key_id, wrapped = self._seal(change.tx, project_id, disk_id, self._secret(row))
        DISKS.update(change.tx, {"id": disk_id}, project_id=project_id, key_id=key_id, wrapped=wrapped)
        self._keys.destroy_container(change.tx, row.key_id)

    # --- disks (host role)

    def create(
        self, project_id: str, disk_id: str, size: int, request_id: str, image: Source | None = None
    ) -> None:  # fmt: skip
        """A disk of `size` bytes, empty or a copy of an image. One that is there is left alone."""
        disk = self._value(self._ensured(project_id, disk_id, size, request_id, None))
        if image is None:
            self.engine.ensure(disk)
        else:
            self.engine.load(disk, image)

    def create_root(self, project_id: str, disk_id: str, size: int, request_id: str, base: Source | None) -> None:
        """A server's disk of `size` bytes that shows a read-only base until it is written to (without one: empty)."""
        with self._bases:  # nobody releases a base between its row and its name
            kept = self.engine.keep(base) if base else None
            row = self._ensured(project_id, disk_id, size, request_id, kept)
        self.engine.ensure(self._value(row))

    def copy(self, project_id: str, source_id: str, target_id: str, size: int, request_id: str) -> None:
        """An independent copy of a disk that nobody writes to, under a key of its own, of at least `size` bytes."""
        source = self.value(source_id)
        row = self._ensured(project_id, target_id, max(size, source.size), request_id, None)
        self.engine.copy(source, self._value(row))

    def remove(self, disk_id: str, request_id: str) -> None:
        """The disk is not there and its key destroyed. Unavailable reason `in_use`."""
        self.engine.remove(disk_id)
        row = DISKS.find(self._desk.db, id=disk_id)
        if row is None:
            return
        with self._desk.system(
            "disk:destroy_key", f"disk/{disk_id}", row.project_id, request_id, Reach.EVERYTHING
        ) as change:
            change.detail["key"] = row.key_id
            self._keys.destroy_container(change.tx, row.key_id)
            DISKS.remove(change.tx, id=disk_id)
        if row.base:
            with self._bases:
                if DISKS.find(self._desk.db, base=row.base) is None:
                    self.engine.release(Source(Path(row.base), row.base_format))

    def grow(self, disk_id: str, size: int) -> None:
        """A disk that nobody has open has at least `size` bytes."""
        disk = self.value(disk_id)
        self.engine.resize(Disk(disk.id, max(size, disk.size), disk.passphrase, disk.base))
        self.grown(disk_id, size)

    def grown(self, disk_id: str, size: int) -> None:
        """A hypervisor has grown the disk."""
        with self._desk.db.write(Reach.EVENTS) as tx:
            store.grow_disk(tx, disk_id, size)

    def open(self, disk_id: str) -> OpenDisk:
        """Descriptors and pass phrases for a hypervisor, which closes them. Unavailable while something else reads
        or writes the disk."""
        store.refuse_busy(self._desk.db, disk_id)
        return self.engine.open(self.value(disk_id))

    def plain(self, disk_id: str, writable: bool = False) -> AbstractContextManager[Raw]:
        """The bytes of a disk."""
        return self.engine.plain(self.value(disk_id), writable)

    def observe(self, disk_id: str) -> Found | None:
        """What is there."""
        return self.engine.observe(disk_id)

    def room(self) -> Room:
        """How full the host is."""
        return self.engine.room()
