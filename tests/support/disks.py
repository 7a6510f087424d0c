"""Block storage on twins: disks in memory, a vault in memory, guests that have disks open, images that are files."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from andromede.audit import Recorder
from andromede.audit.changes import Desk
from andromede.clock import Clock
from andromede.db import Database, Tx
from andromede.engines.memory_disks import MemoryDisks
from andromede.errors import NotFound, Unavailable
from andromede.ids import Ids
from andromede.keys import FileRoot, KeyRing
from andromede.volumes.disks import Disks
from andromede.volumes.engine import BlockEngine, Raw, Source
from andromede.volumes.model import Volume
from andromede.volumes.ports import LiveDisks, NewPicture, Picture, Vault
from andromede.volumes.steps import Host
from andromede.volumes.tables import DISKS

PROJECT = "1" * 32
GIB = 1 << 30


class MemoryVault:
    """Bytes by project and name."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], bytes] = {}

    def put(self, project_id: str, name: str, data: bytes, request_id: str) -> None:
        self.held[(project_id, name)] = data

    def get(self, project_id: str, name: str) -> bytes:
        if (project_id, name) not in self.held:
            raise NotFound(f"there is no object {name}", "object")
        return self.held[(project_id, name)]

    def names(self, project_id: str, prefix: str) -> Iterator[str]:
        return iter([name for owner, name in self.held if owner == project_id and name.startswith(prefix)])

    def remove(self, project_id: str, name: str, request_id: str) -> None:
        self.held.pop((project_id, name), None)


class TwinGuests:
    """Guests that have disks open. A copy takes two looks, growing takes one."""

    def __init__(self, engine: MemoryDisks) -> None:
        self._engine = engine
        self.jobs: dict[str, int] = {}
        self.grown: dict[str, int] = {}
        self.told: list[tuple[str, str, int]] = []

    def grow(self, server_id: str, disk_id: str, size: int) -> bool:
        if disk_id not in self._engine.busy:
            raise Unavailable("the guest does not run", "live")
        done = self.grown.get(disk_id) == size
        self.grown[disk_id] = size
        self._engine.disks[disk_id].size = size
        return done

    def extended(self, tx: Tx, server_id: str, volume: Volume) -> None:
        self.told.append((server_id, volume.id, volume.new_size))

    def copy(self, server_id: str, disk_id: str, target_id: str, job_id: str) -> bool:
        if disk_id not in self._engine.busy or not server_id:
            raise Unavailable("the guest does not run", "live")
        self.jobs[job_id] = self.jobs.get(job_id, 0) + 1
        if self.jobs[job_id] == 1:
            source, target = self._engine.disks[disk_id], self._engine.disks[target_id]
            assert source.size == target.size and not target.pages
            target.pages.update(source.pages)
        return self.jobs[job_id] > 1

    def forget(self, server_id: str, job_id: str) -> None:
        self.jobs.pop(job_id, None)


class TwinPictures:
    """Images that are raw files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures: dict[str, Picture] = {}
        self.uploaded: dict[str, bytes] = {}
        self.refused: set[str] = set()
        self.failed: dict[str, str] = {}

    def add(self, picture: Picture, data: bytes) -> None:
        self.pictures[picture.id] = picture
        (self.folder / picture.id).write_bytes(data)

    def find(self, image_id: str, project_id: str) -> Picture:
        if image_id not in self.pictures:
            raise NotFound(f"Image {image_id} could not be found.", "image")
        return self.pictures[image_id]

    def base(self, image_id: str) -> Source | None:
        self.find(image_id, "")
        return Source(self.folder / image_id, "raw")

    @contextlib.contextmanager
    def source(self, image_id: str) -> Iterator[Source]:
        self.find(image_id, "")
        yield Source(self.folder / image_id, "raw")

    def begin(self, project_id: str, user_id: str, wish: NewPicture, request_id: str) -> Picture:
        picture = Picture(f"{len(self.pictures):08d}-0000-4000-8000-000000000000", wish.name, "queued")
        self.pictures[picture.id] = picture
        return picture

    def upload(self, image_id: str, raw: Raw, request_id: str) -> None:
        if image_id in self.refused:
            raise NotFound(f"Image {image_id} was deleted.", "image")
        self.uploaded[image_id] = raw.read(0, 1 << 16)

    def fail(self, image_id: str, why: str, request_id: str) -> None:
        self.failed[image_id] = why


@dataclass(slots=True)
class Twins:
    """One host on twins."""

    db: Database
    clock: Clock
    ids: Ids
    folder: Path
    wake: Callable[[], None] = lambda: None
    engine: MemoryDisks = field(default_factory=MemoryDisks)
    vault: MemoryVault = field(default_factory=MemoryVault)
    desk: Desk = field(init=False)
    keys: KeyRing = field(init=False)
    guests: TwinGuests = field(init=False)
    pictures: TwinPictures = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(self.db, self.clock, self.ids, Recorder("host-0", self.clock, self.ids), self.wake)
        self.keys = KeyRing(self.db, FileRoot("root", bytes(32)), self.clock, self.ids)
        self.guests = TwinGuests(self.engine)
        self.pictures = TwinPictures(self.folder)

    def host(
        self, engine: BlockEngine | None = None, live: LiveDisks | None = None, vault: Vault | None = None
    ) -> Host:
        disks = Disks(self.desk, self.keys, lambda: engine or self.engine)
        return Host(self.desk, disks, self.pictures, live or self.guests, vault or self.vault)

    def filled(self, disk_id: str, text: bytes, size: int = GIB, project_id: str = PROJECT) -> None:
        """A disk with bytes at its beginning and at its end."""
        disks = Disks(self.desk, self.keys, lambda: self.engine)
        disks.create(project_id, disk_id, size, "req-0")
        with disks.plain(disk_id, writable=True) as raw:
            raw.write(0, text)
            raw.write(size - len(text), text)

    def contents(self) -> dict[str, tuple[int, str]]:
        """Disk -> size and a digest of its bytes."""
        return {
            disk_id: (held.size, hashlib.sha256(repr(sorted(held.pages.items())).encode()).hexdigest())
            for disk_id, held in self.engine.disks.items()
        }

    def left(self, *kept: str) -> list[str]:
        """Disks, their rows and their keys beyond those that are to be kept."""
        rows = {row.id: row.key_id for row in DISKS.select(self.db)}
        keys = {key.id for key in self.keys.list() if key.level == "container" and key.state == "active"}
        found = [f"disk {name}" for name in self.engine.disks if name not in kept]
        found += [f"row {name}" for name in rows if name not in kept]
        return found + [f"key {key}" for key in keys - {key for name, key in rows.items() if name in kept}]
