"""What a backup takes of a host, with a hypervisor of a few lines: which file is copied how, when again, when not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from andromede import app
from andromede.app.hosting import guests, restored, rival, saved
from andromede.cli.starting import servers_left
from andromede.compute.engine import Copy, DiskDevice, Guest, Job, Layer, Observed
from andromede.compute.model import Device, DeviceState
from andromede.compute.tables import DEVICES, SERVERS
from andromede.db import Database
from andromede.engines.memory_guests import MemoryGuests
from andromede.engines.qemu.place import Place, Record, boot_id
from andromede.errors import Conflict, Fatal, Unavailable
from andromede.ops import backup, beside, copying, running
from andromede.ops.layout import Layout
from andromede.volumes.engine import Source
from andromede.volumes.tables import DISKS, VOLUMES
from tests.support.clock import FakeClock
from tests.support.hosted_api import Hosted
from tests.support.walks.servers import server

MIB = 1 << 20
KEY = b"k" * 32
BASE = b"an image in clear"


class Guests(MemoryGuests):
    """The twin, with processes and their records, whose copies write to the files that they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: Callable[[str], list[Layer]] | None = None
        self.silent = 0
        self.copying: Callable[[str], None] = lambda guest_id: None
        self.starting: set[str] = set()

    def run(self, guest_id: str, *disks: str) -> None:
        devices = tuple(DiskDevice(name, at, name, size_bytes=MIB) for at, name in enumerate(disks))
        self.ensure(Guest(guest_id, "running", 1, 64, devices))

    def place(self, guest_id: str) -> Any:
        had = self.guests.get(guest_id)
        there = had is not None and had.power != "suspended"
        pid = 0 if guest_id in self.starting else os.getpid()
        record = SimpleNamespace(ended=had is not None and had.power == "off", pid=pid, uid=7) if there else None
        return SimpleNamespace(record=lambda: record, exit_status=lambda uid: 1 if guest_id == "dead" else None)

    def live(self, guest_id: str) -> Any:
        record = self.place(guest_id).record()
        return None if record is None or record.ended else record

    def observe(self, guest_id: str) -> Observed | None:
        self.silent -= 1
        if self.silent >= 0:
            raise Unavailable("the hypervisor process does not answer", "monitor")
        seen = super().observe(guest_id)
        self.work()
        return seen

    def copy(self, guest_id: str, job: Copy) -> None:
        super().copy(guest_id, job)
        if job.pairs and not job.dismiss:
            assert job.top and self.opened
            for source, target in job.pairs:
                for layer in self.opened(target):
                    os.pwrite(layer.fd, f"now of {source}".encode(), 8 * MIB)
                    os.close(layer.fd)
            self.copying(guest_id)


@pytest.fixture
def hosted(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    from andromede.identity import passwords

    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)
    made = Hosted(db, tmp_path / "data", FakeClock())
    twin = Guests()
    made.site.__dict__["hypervisor"] = twin

    def hypervisor(site: Any, opened: Callable[[str], list[Layer]] | None = None) -> Guests:
        twin.opened = opened
        return twin

    monkeypatch.setattr(guests, "hypervisor", hypervisor)
    yield made
    made.site.close()


def disk(hosted: Hosted, disk_id: str, base: Path | None = None) -> Path:
    """A disk of 1 MiB, 8 MiB into whose file something is written."""
    disks = hosted.site.disks
    if base:
        disks.create_root(hosted.project_id, disk_id, MIB, "req", Source(base))
    else:
        disks.create(hosted.project_id, disk_id, MIB, "req")
    path = hosted.config.data / "volumes" / f"{disk_id}.qcow2"
    write(path, f"bytes of {disk_id}".encode())
    return path


def write(path: Path, content: bytes) -> None:
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), content, 8 * MIB)
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000))


def content(folder: Path, disk_id: str) -> bytes:
    return (folder / "volumes" / f"{disk_id}.qcow2").read_bytes()[8 * MIB :]


def copies(hosted: Hosted) -> saved.DiskCopies:
    return saved.DiskCopies(hosted.site, lambda count: None)


def take(hosted: Hosted, folder: Path, made: saved.DiskCopies | None = None) -> dict[str, str]:
    """A pass; file -> how."""
    made = made or copies(hosted)
    folder.mkdir(exist_ok=True)
    made.copy(folder, KEY)
    assert all((folder / one.file).stat().st_size == one.size for one in made.held())
    return {one.file.partition("/")[2].partition(".")[0]: one.how for one in made.held()}


def twin(hosted: Hosted) -> Guests:
    found = hosted.site.hypervisor
    assert isinstance(found, Guests)
    return found


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "images-cache" / "debian.qcow2"
    path.parent.mkdir(parents=True)
    path.write_bytes(BASE)
    return path


def suspend(hosted: Hosted, number: int, *disks: str) -> Path:
    """A suspended server with those disks; the file of its memory."""
    row = server(number, "suspended", project_id=hosted.project_id)
    with hosted.db.write() as tx:
        SERVERS.insert(tx, row)
        for at, disk_id in enumerate(disks):
            DEVICES.insert(tx, Device(id=f"{number}-{at}", project_id=hosted.project_id, server_id=row.id, kind="disk",
                                      state=DeviceState.ATTACHED, since_us=1, disk_id=disk_id))  # fmt: skip
    path = hosted.config.data / "memory" / f"{row.id}.memory"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"sealed memory")
    return path


def test_everything_is_taken_in_its_way_and_comes_back(hosted: Hosted, tmp_path: Path, base: Path) -> None:
    disk(hosted, "a0")
    disk(hosted, "b0", base)
    disk(hosted, "c0")
    twin(hosted).run("g", "b0")
    memory = suspend(hosted, 3, "c0")
    made, folder = copies(hosted), tmp_path / "copy"
    how = take(hosted, folder, made)
    rest = "at rest"
    assert how == {"a0": rest, "b0": "running", "c0": rest, "debian": rest, memory.stem: rest} and made.lacks() == []
    assert {one.of for one in made.held()} >= {"disk a0 of a server", f"memory of server {memory.stem}"}
    assert content(folder, "a0") == b"bytes of a0" and content(folder, "b0") == b"now of b0"
    assert twin(hosted).guests["g"].jobs == {}, "the guest keeps nothing of it"
    assert BASE not in b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert made.room() > 0
    again = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    assert take(hosted, folder, made) == how
    assert again == {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}, "nothing is copied twice"

    data, moved = tmp_path / "second", list[int]()
    beside.restore(folder, data, made.held(), KEY, moved.append)
    assert (data / "volumes/bases/debian.qcow2").read_bytes() == BASE
    assert (data / "memory" / memory.name).read_bytes() == b"sealed memory" and content(data, "b0") == b"now of b0"
    assert sum(moved) > 0 and (data / "volumes").stat().st_mode & 0o777 == 0o700


def test_what_is_no_file_of_a_backup_or_was_cut_is_refused(hosted: Hosted, tmp_path: Path) -> None:
    disk(hosted, "a0")
    made, folder = copies(hosted), tmp_path / "copy"
    take(hosted, folder, made)
    held = made.held()[0]
    for wrong in (replace(held, file="volumes/../../x.qcow2"), replace(held, file="volumes/none.qcow2")):
        with pytest.raises(Fatal):
            beside.restore(folder, tmp_path / "second", [wrong], KEY, lambda count: None)
    (folder / held.file).write_bytes(b"")
    with pytest.raises(Fatal, match="was cut"):
        beside.restore(folder, tmp_path / "second", [held], KEY, lambda count: None)


def test_a_disk_that_is_written_to_is_copied_again(
    hosted: Hosted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, true, times = disk(hosted, "a0"), copying.copy_file, [2]

    def copy_file(source: Path, target: Path, moved: Callable[[int], None]) -> int:
        size = true(source, target, moved)
        if times[0]:
            times[0] -= 1
            write(path, f"later {times[0]}".encode())
        return size

    monkeypatch.setattr(copying, "copy_file", copy_file)
    made = copies(hosted)
    assert take(hosted, tmp_path / "copy", made) == {"a0": "at rest"} and made.lacks() == []
    assert content(tmp_path / "copy", "a0").startswith(b"later 0")
    times[0] = 1000
    made = copies(hosted)
    assert take(hosted, tmp_path / "never", made) == {}
    assert [(lack.of, lack.why) for lack in made.lacks()] == [("disk a0 of a server", "it was being written to")]
    assert list((tmp_path / "never/volumes").iterdir()) == []


def test_guests_that_end_start_or_do_not_answer(hosted: Hosted, tmp_path: Path) -> None:
    disk(hosted, "a0")
    disk(hosted, "b0")
    here = twin(hosted)
    here.run("g", "a0", "b0")

    def ends(guest_id: str) -> None:
        here.guests[guest_id].power, here.guests[guest_id].disks = "off", {}

    here.copying = ends
    assert take(hosted, tmp_path / "ended") == {"a0": "at rest", "b0": "at rest"}
    assert content(tmp_path / "ended", "a0") == b"bytes of a0"
    here.copying = lambda guest_id: None
    here.run("g", "a0")
    here.run("dead", "z0")
    here.starting = {"dead"}
    here.silent = 3
    made = copies(hosted)
    assert take(hosted, tmp_path / "slow", made)["a0"] in ("running", "at rest")
    here.starting = {"g"}
    assert take(hosted, tmp_path / "starting")["a0"] == "at rest"


def test_a_copy_that_fails_or_vanishes_is_told(hosted: Hosted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk(hosted, "a0")
    here = twin(hosted)
    here.run("g", "a0")

    def fails(guest_id: str) -> None:
        jobs = here.guests[guest_id].jobs
        here.guests[guest_id].jobs = {name: replace(job, error="No space left on device") for name, job in jobs.items()}

    here.copying = fails
    made = copies(hosted)
    assert take(hosted, tmp_path / "failed", made) == {}
    assert made.lacks()[0].why.endswith("No space left on device")
    here.copying = lambda guest_id: here.guests[guest_id].jobs.clear()
    made = copies(hosted)
    assert take(hosted, tmp_path / "vanished", made) == {}
    assert "given up" in made.lacks()[0].why

    def mute(guest_id: str) -> None:
        here.silent = 10_000

    here.copying = mute
    made = copies(hosted)
    take(hosted, tmp_path / "mute", made)
    assert twin(hosted).silent > 0


def test_the_second_pass_takes_what_is_new_grown_or_resumed(hosted: Hosted, tmp_path: Path) -> None:
    disk(hosted, "a0")
    disk(hosted, "c0")
    memory = suspend(hosted, 3, "c0")
    made, folder = copies(hosted), tmp_path / "copy"
    assert set(take(hosted, folder, made)) == {"a0", "c0", memory.stem}
    disk(hosted, "d0")
    write(disk(hosted, "a0"), b"grown")
    with hosted.db.write() as tx:
        DISKS.update(tx, {"id": "a0"}, size=2 * MIB)
    memory.unlink()
    assert set(take(hosted, folder, made)) == {"a0", "c0", "d0"}, "memory that is of use no more is not kept"
    assert content(folder, "a0").startswith(b"grown") and not (folder / "memory" / memory.name).exists()
    memory.write_bytes(b"of another time")
    write(disk(hosted, "c0"), b"newer")
    assert memory.stem in take(hosted, folder, made) and content(folder, "c0").startswith(b"newer")


def test_memory_is_not_taken_with_disks_of_another_instant(
    hosted: Hosted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, true = disk(hosted, "c0"), copying.copy_file
    memory = suspend(hosted, 3, "c0")

    def copy_file(source: Path, target: Path, moved: Callable[[int], None]) -> int:
        size = true(source, target, moved)
        if source == path:
            memory.touch()
        return size

    monkeypatch.setattr(copying, "copy_file", copy_file)
    made = copies(hosted)
    assert take(hosted, tmp_path / "copy", made) == {"c0": "at rest"}
    assert [lack.of for lack in made.lacks()] == [f"memory of server {memory.stem}"]
    memory.with_name("0-0.memory").touch()
    path.unlink()
    assert take(hosted, tmp_path / "gone") == {"0-0": "at rest"}, "one without disks stands alone"


def test_what_a_killed_backup_left_with_guests_goes(hosted: Hosted) -> None:
    here = twin(hosted)
    here.run("g", "a0")
    here.guests["g"].jobs = {name: Job(name, 1, 1, True) for name in ("backup-1", "an image")}
    with backup._alone(hosted.site.place, hosted.clock):
        saved.tidy(hosted.site)
        assert len(here.guests["g"].jobs) == 2
        with pytest.raises(Conflict, match="another backup"), backup._alone(hosted.site.place, hosted.clock):
            pass
    saved.tidy(hosted.site)
    assert list(here.guests["g"].jobs) == ["an image"]
    assert copies(hosted).room() == 0


def test_a_restored_installation_fits_its_place(hosted: Hosted, tmp_path: Path, base: Path) -> None:
    disk(hosted, "b0", base)
    volume = {"size": 1, "name": "v"}
    made = hosted.call("POST", f"/volume/v3/{hosted.project_id}/volumes", hosted.member, {"volume": volume})
    data = hosted.config.data
    with hosted.db.write() as tx:
        DISKS.update(tx, {"id": "b0"}, base="/elsewhere/volumes/bases/debian.qcow2")
        VOLUMES.update(tx, {"id": made.json["volume"]["id"]}, state="available")
    suspend(hosted, 3, "b0")
    for name in ("volumes/5-5.qcow2", "memory/5-5.memory", "volumes/bases/5-5.qcow2"):
        (data / name).write_bytes(b"of no row")
    lost, elsewhere = app.settle_disks(hosted.base)
    row = DISKS.find(hosted.db, id="b0")
    assert row is not None and row.base == str(data / "volumes/bases/debian.qcow2") and Path(row.base).exists()
    assert [finding["subject"] for finding in lost] == [f"volume {made.json['volume']['id']}"] and elsewhere == []
    assert not list(data.rglob("5-5.*")) and len(list((data / "memory").iterdir())) == 1
    assert restored.settle(hosted.site) == []
    with app.disk_copies(hosted.base, lambda count: None) as disks:
        assert disks.room() > 0 and disks.held() == []


def test_one_of_two_copies_hosts_on_a_machine(hosted: Hosted, tmp_path: Path) -> None:
    path, second = disk(hosted, "a0"), tmp_path / "second"
    config = replace(hosted.config, hosting=replace(hosted.config.hosting, runtime=str(tmp_path / "run")))
    copy = replace(config, data=second)
    (second / "run").mkdir(parents=True)
    (second / "installation.json").write_bytes((config.data / "installation.json").read_bytes())
    rival.refuse(config)
    rival.claim(config)
    rival.refuse(copy)
    lock = running.acquire(Layout(config.data))
    rival.refuse(config)
    with pytest.raises(Conflict, match="HOSTING_ENABLED=off"):
        rival.refuse(copy)
    rival.refuse(replace(copy, hosting=replace(copy.hosting, enabled="off")))
    os.close(lock)
    place = Place(next((tmp_path / "run").iterdir()) / "g" / "guest")
    place.folder.mkdir(parents=True)
    place.write(Record(os.getuid(), boot_id(), os.getpid()))
    assert servers_left(config).startswith("one server goes on running") and servers_left(copy)
    place.write(Record(os.getuid() + 1, boot_id(), os.getpid()))
    assert servers_left(config) == "", "the process is another's by now"
    place.write(Record(os.getuid(), boot_id(), os.getpid()))
    with path.open("rb"):
        rival.refuse(config)
        with pytest.raises(Conflict, match="1 servers of this installation run here on disks"):
            rival.refuse(copy)
        path.unlink()
        assert rival.guests_elsewhere(config) == ["guest"], "or the folder that they run in is gone"
    rival.refuse(copy)
