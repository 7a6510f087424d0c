"""What a backup takes of this host: disks, the images under them, the memory of suspended guests.

A disk that a running guest has is copied by the guest's own hypervisor, with all others of that guest as they are at
one instant, into a new file under the same pass phrase. Any other is copied as a file, and again if it was written to
meanwhile. Nobody waits for a backup: a guest that starts or stops in the middle of it has its disks copied anew."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from andromede.clock import US
from andromede.errors import Conflict, Error, Unavailable
from andromede.ops import backup, copying
from andromede.ops.beside import BASES, DISKS, MEMORY, SEALED, Held, Lack, seal

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.compute.engine import Copy, Job, Layer, Observed
    from andromede.engines.qcow2.engine import Qcow2Engine
    from andromede.volumes.engine import Disk
    from andromede.volumes.model import DiskRow

JOB = "backup-"
"""What the names of a backup's copies begin with."""
TRIES = 6
_POLL, _TICK = 0.2, 0.05
"""Seconds between two looks at a copy, and in which the kernel's clock of files surely moves."""
_LOOKS = 20

Sign = tuple[int, int, int]


class DiskCopies:
    """`andromede.ops.beside.Beside`; `moved` is told of bytes. Used by the one process that takes the backup."""

    def __init__(self, site: Site, moved: Callable[[int], None]) -> None:
        self._site = site
        self._moved = moved
        self._clock = site.base.clock
        self._done: dict[str, tuple[int, int]] = {}
        self._saved: dict[str, Sign] = {}
        self._held: dict[str, Held] = {}
        self._why: dict[str, str] = {}
        self._lacks: list[Lack] = []
        self._folder = Path()

    @property
    def _data(self) -> Path:
        return self._site.config.data

    @property
    def _disks(self) -> Qcow2Engine:
        from andromede.engines.qcow2.engine import Qcow2Engine

        return Qcow2Engine(self._data / DISKS, self._site.base.ids)

    def room(self) -> int:
        """The bytes that disks and saved memory take."""
        return copying.taken(self._data / DISKS) + copying.taken(self._data / MEMORY)

    def held(self) -> list[Held]:
        """By their names."""
        return [self._held[name] for name in sorted(self._held)]

    def lacks(self) -> list[Lack]:
        """As of the last pass."""
        return self._lacks

    def copy(self, folder: Path, key: bytes) -> None:
        """Bring over what is new since the last call. What cannot be copied is told in `lacks`."""
        if not (self._data / DISKS).is_dir():
            return
        self._folder = folder
        for name in (DISKS, BASES, MEMORY):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        forget_copies(self._site)
        for turn in range(TRIES):
            self._clock.sleep(0.5 * turn)
            self._why = {}
            self._bases(key)
            busy = self._of_guests()
            whole = self._of_suspended()
            for row in self._pending():
                if row.id not in busy:
                    self._at_rest(row.id)
            if whole and not self._pending():
                break
        left = [Lack(self._named(row.id), self._why.get(row.id, "it was never at rest")) for row in self._pending()]
        self._lacks = left + [Lack(what, why) for what, why in self._why.items() if what.startswith("memory ")]
        for name in (DISKS, BASES, MEMORY):
            copying.sync_file(folder / name)

    def _rows(self) -> list[DiskRow]:
        from andromede.volumes.tables import DISKS as TABLE

        return TABLE.select(self._site.base.db, {})

    def _pending(self) -> list[DiskRow]:
        """Disks that have a file, and no copy that is of the same disk and size."""
        return [row for row in self._rows() if self._done.get(row.id) != (row.created_us, row.size)
                and self._disks.file(row.id).exists()]  # fmt: skip

    def _named(self, disk_id: str) -> str:
        from andromede.volumes.tables import SNAPSHOTS, VOLUMES

        for word, table in (("volume", VOLUMES), ("snapshot", SNAPSHOTS)):
            if table.find(self._site.base.db, id=disk_id) is not None:
                return f"{word} {disk_id}"
        return f"disk {disk_id} of a server"

    def _note(self, file: str, of: str, how: str) -> None:
        self._held[file] = Held(file, of, (self._folder / file).stat().st_size, how)

    def _finished(self, row: DiskRow, how: str) -> None:
        self._done[row.id] = (row.created_us, row.size)
        self._note(f"{DISKS}/{row.id}.qcow2", self._named(row.id), how)

    def _goal(self, disk_id: str) -> Path:
        return self._folder / DISKS / f"{disk_id}.qcow2"

    # --- images under disks

    def _bases(self, key: bytes) -> None:
        """They are in clear where they lie, so they are sealed. They go with the last disk that shows them."""
        for path in sorted({Path(row.base) for row in self._rows() if row.base}):
            file = f"{BASES}/{path.name}{SEALED}"
            if file not in self._held:
                with contextlib.suppress(FileNotFoundError):
                    seal(path, self._folder / file, key, self._moved)
                    self._note(file, f"image {path.stem} under disks", "at rest")

    # --- disks that nobody has open

    def _sign(self, path: Path) -> Sign:
        """Changes whenever the file is written to later: a last change is let grow older than a tick first."""
        found = path.stat()
        if abs(self._clock.now_us() - found.st_mtime_ns // 1000) < _TICK * US:
            self._clock.sleep(_TICK)
            found = path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _file(self, path: Path, goal: Path) -> bool:
        """Copy a file; whether it stayed the same meanwhile."""
        try:
            before = self._sign(path)
            copying.copy_file(path, goal, self._moved)
            if before == self._sign(path):
                return True
        except FileNotFoundError:
            pass
        goal.unlink(missing_ok=True)
        return False

    def _at_rest(self, disk_id: str) -> bool:
        row = next((row for row in self._rows() if row.id == disk_id), None)
        self._done.pop(disk_id, None)
        self._held.pop(f"{DISKS}/{disk_id}.qcow2", None)
        if row is None or not self._file(self._disks.file(disk_id), self._goal(disk_id)):
            self._why[disk_id] = "it was being written to"
            return False
        self._finished(row, "at rest")
        return True

    # --- suspended guests

    def _of_suspended(self) -> bool:
        """Memory is of use only with the disks of that instant, so they are copied together; whether all were."""
        whole = True
        for path in sorted((self._data / MEMORY).glob("*.memory")):
            if self._site.hypervisor.live(path.stem) is None:
                whole &= self._suspended(path)
        for guest in [guest for guest in self._saved if not (self._data / MEMORY / f"{guest}.memory").exists()]:
            self._drop_memory(guest)
        return whole

    def _suspended(self, path: Path) -> bool:
        from andromede.compute.tables import DEVICES

        guest, file = path.stem, f"{MEMORY}/{path.name}"
        try:
            sign = self._sign(path)
            if self._saved.get(guest) == sign:
                return True
            self._drop_memory(guest)
            rows = DEVICES.select(self._site.base.db, {"server_id": guest, "kind": "disk"})
            disks = [row.disk_id for row in rows if row.disk_id]
            before = [self._sign(self._disks.file(disk)) for disk in disks]
            if not self._file(path, self._folder / file) or not all(self._at_rest(disk) for disk in disks):
                raise Conflict("the server was resumed meanwhile", "memory")
            if sign != self._sign(path) or before != [self._sign(self._disks.file(disk)) for disk in disks]:
                raise Conflict("the server was resumed meanwhile", "memory")
        except (Error, FileNotFoundError) as error:
            self._why[f"memory of server {guest}"] = str(error)
            (self._folder / file).unlink(missing_ok=True)
            return False
        self._saved[guest] = sign
        self._note(file, f"memory of server {guest}", "at rest")
        return True

    def _drop_memory(self, guest: str) -> None:
        self._saved.pop(guest, None)
        self._held.pop(f"{MEMORY}/{guest}.memory", None)
        (self._folder / MEMORY / f"{guest}.memory").unlink(missing_ok=True)

    # --- running guests

    def _of_guests(self) -> set[str]:
        """Copy the disks of running guests of which one is pending; all disks that running guests have."""
        busy: set[str] = set()
        for guest_id in self._site.hypervisor.known():
            disks: list[str] = []
            try:
                seen = running(self._site, guest_id)
                disks = sorted(seen.disks) if seen else []
                if seen and set(disks) & {row.id for row in self._pending()}:
                    self._guest(guest_id, seen)
            except Error as error:
                self._why |= dict.fromkeys(disks, error.public)
            busy |= set(disks)
        return busy

    def _guest(self, guest_id: str, seen: Observed) -> None:
        from andromede.compute.engine import Copy
        from andromede.engines.qcow2.engine import Qcow2Engine

        ids = self._site.base.ids
        rows = {row.id: row for row in self._rows() if row.id in seen.disks}
        engine = Qcow2Engine(self._folder / DISKS, ids, least_free=0.0)
        targets: dict[str, Disk] = {}
        for disk_id in rows:
            self._done.pop(disk_id, None)
            self._held.pop(f"{DISKS}/{disk_id}.qcow2", None)
            self._goal(disk_id).unlink(missing_ok=True)
            made = replace(self._site.disks.value(disk_id), size=seen.disks[disk_id])
            engine.ensure(made)
            targets[ids.dashed()] = replace(made, base=None)
        copy = Copy(f"{JOB}{ids.hex()[:16]}", tuple((disk.id, target) for target, disk in targets.items()), top=True)
        try:
            self._copied(guest_id, copy, lambda target: _layers(engine, targets[target]))
        except Error:
            for disk_id in rows:
                self._goal(disk_id).unlink(missing_ok=True)
            raise
        for row in rows.values():
            copying.sync_file(self._goal(row.id))
            self._finished(row, "running")

    def _copied(self, guest_id: str, copy: Copy, opened: Callable[[str], list[Layer]]) -> None:
        from andromede.app.hosting.guests import hypervisor

        hypervisor(self._site, opened).copy(guest_id, copy)
        told = 0
        try:
            while True:
                job = self._job(guest_id, copy.id)
                self._moved(max(0, job.done - told))
                told = max(told, job.done)
                if job.concluded:
                    break
                self._clock.sleep(_POLL)
        finally:
            with contextlib.suppress(Error):
                dismiss(self._site, guest_id, copy)
        if job.error:
            raise Conflict(f"its hypervisor could not copy it: {job.error}", "copy")

    def _job(self, guest_id: str, name: str) -> Job:
        """The copy as it is now. The monitor takes one visitor at a time, so a look may fail."""
        for turn in range(_LOOKS):
            self._clock.sleep(_POLL * turn)
            with contextlib.suppress(Unavailable):
                seen = running(self._site, guest_id)
                if seen is None:
                    raise Conflict("its guest ended meanwhile", "power")
                found = next((job for job in seen.jobs if job.id == name), None)
                if found is None:
                    raise Conflict("the copy was given up", "copy")
                return found
        raise Unavailable("its hypervisor does not answer", "monitor")


def _layers(engine: Qcow2Engine, disk: Disk) -> list[Layer]:
    from andromede.compute.engine import Layer

    return [Layer(one.fd, one.format, one.writable, one.passphrase.encode("ascii")) for one in engine.open(disk).layers]


def running(site: Site, guest_id: str) -> Observed | None:
    """A guest that has disks open now. Raises `Unavailable` for one that is starting."""
    record = site.hypervisor.place(guest_id).record()
    if record is None or record.ended:
        return None
    if not record.pid:  # the host role is about to note its process
        if site.hypervisor.place(guest_id).exit_status(record.uid) is None:
            raise Unavailable(f"server {guest_id} is starting", "power")
        return None
    seen = site.hypervisor.observe(guest_id)
    if seen is not None and seen.power == "starting":
        raise Unavailable(f"server {guest_id} is starting", "power")
    return seen if seen is not None and seen.disks else None


def dismiss(site: Site, guest_id: str, copy: Copy) -> None:
    """Let a guest forget a copy, and let go of its files; one under way is given up."""
    for turn in range(_LOOKS):
        site.base.clock.sleep(_POLL * turn)
        with contextlib.suppress(Unavailable):
            site.hypervisor.copy(guest_id, replace(copy, dismiss=True))
            seen = site.hypervisor.observe(guest_id)
            if seen is None or all(job.id != copy.id for job in seen.jobs):
                return


def _left(site: Site) -> Iterator[tuple[str, str]]:
    for guest_id in site.hypervisor.known():
        with contextlib.suppress(Error):
            seen = running(site, guest_id)
            for job in seen.jobs if seen else ():
                if job.id.startswith(JOB):
                    yield guest_id, job.id


def forget_copies(site: Site) -> None:
    """What backups that were killed have left with guests: open files on a medium that wants to be taken away. To be
    called while no backup is being taken, or by the one that is."""
    from andromede.compute.engine import Copy

    for guest_id, name in list(_left(site)):
        with contextlib.suppress(Error):
            dismiss(site, guest_id, Copy(name, ()))


def tidy(site: Site) -> bool:
    """The same, unless a backup is being taken now."""
    if not backup.under_way(site.place):
        forget_copies(site)
    return False
