"""Backups: sealed, complete, refused when damaged; upgrades that go back."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from andromede.config import Config, Storage
from andromede.db import Database, Migration, migrate, open_database
from andromede.errors import Conflict, Fatal, Invalid, NoCapacity, Unavailable
from andromede.ops import backup, beside, copying, layout, migration, sealing
from andromede.ops.backup import Job
from andromede.ops.layout import Layout
from tests.support.clock import FakeClock, FakeIds

ROWS = Migration("thing", 1, "rows", "CREATE TABLE thing (n {int} PRIMARY KEY);\n")
MORE = Migration("thing", 2, "more", "CREATE TABLE more (n {int} PRIMARY KEY);\n")
BROKEN = Migration("thing", 3, "broken", "CREATE TABLE thing (n {int} PRIMARY KEY);\n")
CANARY = b"canary-4f1d"


def sealed(data: bytes, key: bytes) -> bytes:
    target = io.BytesIO()
    sealer = sealing.Sealer(target, key)
    for at in range(0, len(data), 300_000):
        sealer.write(data[at : at + 300_000])
    sealer.close()
    return target.getvalue()


@pytest.mark.parametrize("size", [0, 1, sealing.FRAME - 1, sealing.FRAME, sealing.FRAME + 1, 3 * sealing.FRAME])
def test_sealed_streams_come_back(size: int) -> None:
    data, key = os.urandom(size), b"k" * 32
    assert sealing.Opener(io.BytesIO(sealed(data, key)), key).read() == data
    opener = sealing.Opener(io.BytesIO(sealed(data, key)), key)
    assert b"".join(iter(lambda: opener.read(70_001), b"")) == data


def test_cut_swapped_or_changed_frames_are_damage() -> None:
    data, key = os.urandom(3 * sealing.FRAME), b"k" * 32
    whole = sealed(data, key)
    head, frame = len(sealing.MAGIC) + 16, sealing.FRAME + sealing.TAG
    flipped = bytearray(whole)
    flipped[head + 5] ^= 1
    swapped = whole[:head] + whole[head + frame : head + 2 * frame] + whole[head : head + frame]
    for wrong in (bytes(flipped), swapped, whole[: head + frame], whole[: head + 10], whole[:head], whole + b"x"):
        with pytest.raises(Fatal):
            sealing.Opener(io.BytesIO(wrong), key).read()
    with pytest.raises(Invalid, match="another backup"):
        sealing.Opener(io.BytesIO(whole), b"j" * 32)
    with pytest.raises(Fatal, match="no sealed file"):
        sealing.Opener(io.BytesIO(b"x" * 100), key)


def test_copies_keep_holes_and_notice_changes(tmp_path: Path) -> None:
    source, target = tmp_path / "s", tmp_path / "t"
    (source / "log").mkdir(parents=True)
    log = source / "log" / "a-1"
    with log.open("wb") as file:
        file.write(b"start")
        file.truncate(4 << 20)
    copied = copying.Copied()
    copying.copy_changed(source, target, copied, lambda: None)
    copy = target / "log" / "a-1"
    assert copy.read_bytes() == log.read_bytes()
    assert copy.stat().st_blocks * 512 < 1 << 20
    before = copied.files
    copying.copy_changed(source, target, copied, lambda: None)
    assert copied.files == before == 1
    with log.open("r+b") as file:
        file.write(b"START")
    os.utime(log, ns=(1, 1))
    copying.copy_changed(source, target, copied, lambda: None)
    assert copy.read_bytes()[:5] == b"START"


@pytest.fixture
def job(tmp_path: Path, clock: FakeClock, ids: FakeIds) -> Job:
    place = Layout(tmp_path / "data")
    layout.prepare(place, clock, ids)
    for name, content in (
        ("keys/root.json", b"root " + CANARY),
        ("keys/witness.json", b"seeds"),
        ("blobs/file/aa/x", b"sealed"),
        ("clouds.yaml", CANARY),
    ):
        path = place.data / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(content)
    return Job(place, Config(place.data), tmp_path / "copy", tmp_path / "copy.key", clock, ids, lambda: None)


def into(job: Job, place: Path) -> Job:
    return dataclasses.replace(job, place=Layout(place), config=Config(place))


def test_a_backup_restores_and_tells_nothing_without_its_key(job: Job, db: Database, tmp_path: Path) -> None:
    if db.dialect != "sqlite":
        pytest.skip("the round trip of PostgreSQL needs a second database: tests/e2e")
    migrate(db, [ROWS])
    with db.write() as tx:
        tx.run("INSERT INTO thing (n) VALUES (?)", (7,))
    made = backup.take(job, db)
    assert (made.blobs, made.database) == (1, "sqlite")
    whole = b"".join(path.read_bytes() for path in job.folder.rglob("*") if path.is_file())
    assert CANARY not in whole
    assert job.place.last_backup.exists()
    goal = into(job, tmp_path / "second")
    assert backup.restore(goal, "") == made
    assert (goal.place.keys / "root.json").read_bytes() == b"root " + CANARY
    assert not (goal.place.keys / "witness.json").exists(), "a restored witness has an old memory: it gets new keys"
    assert (goal.place.data / "blobs/file/aa/x").read_bytes() == b"sealed"
    keys = [goal.place.keys, *goal.place.keys.rglob("*")]
    assert [path for path in keys if path.stat().st_mode & 0o077] == []
    copy = open_database(f"sqlite:///{goal.place.data}/andromede.db")
    assert copy.all("SELECT n FROM thing") == [(7,)]
    copy.close()


def test_restores_that_cannot_work_leave_nothing(job: Job, db: Database, tmp_path: Path) -> None:
    if db.dialect != "sqlite":
        pytest.skip("the same code on either database")
    migrate(db, [ROWS])
    backup.take(job, db)
    goal = into(job, tmp_path / "second")
    with pytest.raises(Invalid, match="key file"):
        backup.restore(dataclasses.replace(goal, key_file=tmp_path / "none.key"), "")
    sealing.new_key(tmp_path / "other.key", job.ids, "other")
    with pytest.raises(Invalid, match="another backup"):
        backup.restore(dataclasses.replace(goal, key_file=tmp_path / "other.key"), "")
    with pytest.raises(Invalid, match="--database"):
        backup.restore(goal, "postgresql:///x")
    state = job.folder / backup.STATE
    state.write_bytes(state.read_bytes()[:-1])
    with pytest.raises(Fatal, match="damaged"):
        backup.restore(goal, "")
    assert not goal.place.data.exists()
    with pytest.raises(Conflict, match="not empty"):
        backup.restore(into(job, job.place.data), "")
    (job.folder / backup.MANIFEST).unlink()
    with pytest.raises(Invalid, match="no complete backup"):
        backup.restore(goal, "")


@pytest.mark.parametrize("name, kind", [
    ("../outside", tarfile.REGTYPE), ("/outside", tarfile.REGTYPE), ("keys/link", tarfile.SYMTYPE),
    ("keys/pipe", tarfile.FIFOTYPE),
])  # fmt: skip
def test_what_is_no_file_of_an_installation_is_not_restored(
    job: Job, db: Database, tmp_path: Path, name: str, kind: bytes
) -> None:
    if db.dialect != "sqlite":
        pytest.skip("the same code on either database")
    migrate(db, [ROWS])
    backup.take(job, db)
    entry, whole = tarfile.TarInfo(name), io.BytesIO()
    entry.type, entry.linkname = kind, "/outside"
    with tarfile.open(fileobj=whole, mode="w") as archive:
        archive.addfile(entry, io.BytesIO())
    (job.folder / backup.STATE).write_bytes(sealed(whole.getvalue(), sealing.read_key(job.key_file)))
    goal = into(job, tmp_path / "second")
    with pytest.raises(Fatal, match="no file of an installation"):
        backup.restore(goal, "")
    assert not goal.place.data.exists() and not (tmp_path / "outside").exists()


def test_a_lost_blob_file_is_noticed(job: Job, db: Database, tmp_path: Path) -> None:
    if db.dialect != "sqlite":
        pytest.skip("the same code on either database")
    migrate(db, [ROWS])
    backup.take(job, db)
    (job.folder / "blobs/file/aa/x").unlink()
    with pytest.raises(Fatal, match="lacks 1 of its 1"):
        backup.restore(into(job, tmp_path / "second"), "")


class OneDisk:
    """What lies beside rows and blobs: one file, which is brought over whole at the first pass."""

    def __init__(self, job: Job, needs: int = 0) -> None:
        self.job, self.needs = job, needs
        self.passes: list[bool] = []

    def room(self) -> int:
        return self.needs

    def copy(self, folder: Path, key: bytes) -> None:
        self.passes.append((folder / "blobs").exists())
        (folder / "volumes").mkdir(exist_ok=True)
        (folder / "volumes/a0.qcow2").write_bytes(b"ciphertext")

    def held(self) -> list[beside.Held]:
        return [beside.Held("volumes/a0.qcow2", "volume a0", 10, "running")]

    def lacks(self) -> list[beside.Lack]:
        return [beside.Lack("volume b0", "it was being written to")]


def test_a_backup_names_disks_and_brings_them_back(job: Job, db: Database, tmp_path: Path) -> None:
    if db.dialect != "sqlite":
        pytest.skip("the same code on either database")
    migrate(db, [ROWS])
    (job.place.data / "volumes").mkdir()
    disks = OneDisk(job)
    made = backup.take(dataclasses.replace(job, disks=disks, host="one"), db)
    assert disks.passes == [False, True], "before all blobs, and after the snapshot"
    assert (made.disks, made.host, made.holds, made.lacks) == (True, "one", tuple(disks.held()), tuple(disks.lacks()))
    assert made.disk_bytes > 0 and backup.read(job.folder) == made
    moved: list[int] = []
    goal = dataclasses.replace(into(job, tmp_path / "second"), host="two", moved=moved.append)
    assert backup.restore(goal, "") == made
    assert (goal.place.data / "volumes/a0.qcow2").read_bytes() == b"ciphertext" and sum(moved) == 10
    assert goal.place.settings.read_text().endswith('[hosting]\nhost = "one"\n'), "rows name their host"
    same = dataclasses.replace(into(job, tmp_path / "third"), host="one")
    backup.restore(same, "")
    assert not same.place.settings.exists()
    (job.folder / "volumes/a0.qcow2").unlink()
    with pytest.raises(Fatal, match=r"lacks volumes/a0\.qcow2"):
        backup.restore(into(job, tmp_path / "fourth"), "")


def test_room_is_looked_at_first(job: Job, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(db, [ROWS])
    with pytest.raises(NoCapacity, match="--without-disks"):
        backup.take(dataclasses.replace(job, disks=OneDisk(job, 1 << 60)), db)
    assert list(job.folder.iterdir()) == [], "nothing was begun"
    assert backup.take(job, db).disks is False
    monkeypatch.setattr(copying, "taken", lambda root: 1 << 60)
    with pytest.raises(NoCapacity, match="restored installation"):
        backup.restore(into(job, tmp_path / "second"), "postgresql:///x" if db.dialect == "postgresql" else "")


def test_backups_of_former_and_of_newer_releases(job: Job, db: Database) -> None:
    migrate(db, [ROWS])
    backup.take(job, db)
    path = job.folder / backup.MANIFEST
    told = json.loads(path.read_text())
    old = {name: told[name] for name in told if name not in ("disks", "disk_bytes", "host", "holds", "lacks")}
    path.write_text(json.dumps(old | {"format": 1}))
    assert (backup.read(job.folder).holds, backup.read(job.folder).host) == ((), "")
    path.write_text(json.dumps(told | {"format": 3, "program": "9.0", "more": 1}))
    with pytest.raises(Invalid, match=r"release 9\.0, which is newer"):
        backup.read(job.folder)


def test_one_backup_at_a_time(job: Job, db: Database) -> None:
    migrate(db, [ROWS])
    assert not backup.under_way(job.place)
    with backup._alone(job.place, job.clock):
        assert backup.under_way(job.place)
        with pytest.raises(Conflict, match="another backup"):
            backup.take(job, db)
    assert not backup.under_way(job.place)


def test_a_file_of_a_backup_is_opened_by_its_own_key_only(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CANARY * 300_000)
    key = b"k" * 32
    for name in ("a.sealed", "b.sealed"):
        beside.seal(source, tmp_path / name, key, lambda count: None)
    one, two = (tmp_path / "a.sealed").read_bytes(), (tmp_path / "b.sealed").read_bytes()
    assert CANARY not in one and one[64:] != two[64:]
    whole = sealing.Opener(io.BytesIO(one), sealing.part_key(key, "a.sealed")).read()
    assert whole == source.read_bytes()
    with pytest.raises(Invalid, match="another backup"):
        sealing.Opener(io.BytesIO(one), sealing.part_key(key, "b.sealed"))


class Slow:
    """A database whose snapshot takes an hour, and one whose disk is full."""

    dialect = "sqlite"

    def __init__(self, clock: FakeClock, error: OSError | None = None) -> None:
        self._clock = clock
        self._error = error

    def backup(self, path: str) -> None:
        self._clock.advance(3600)
        if self._error:
            raise self._error


def test_a_backup_slower_than_the_collector_is_refused(job: Job, clock: FakeClock) -> None:
    with pytest.raises(Unavailable, match="garbage_grace_seconds"):
        backup.take(job, Slow(clock))  # type: ignore[arg-type]
    assert not (job.folder / backup.MANIFEST).exists()
    assert not list(job.place.run.glob("*.part"))
    with pytest.raises(Conflict, match="not empty"):
        backup.take(job, Slow(clock))  # type: ignore[arg-type]


def test_a_full_disk_is_said(job: Job, clock: FakeClock) -> None:
    with pytest.raises(NoCapacity, match="No space left"):
        backup.take(job, Slow(clock, OSError(28, "No space left on device")))  # type: ignore[arg-type]


def test_the_settings_name_the_new_database(tmp_path: Path) -> None:
    path = tmp_path / "andromede.toml"
    backup.name_database(path, "postgresql:///a")
    assert path.read_text() == '[storage]\ndatabase = "postgresql:///a"\n'
    path.write_text('[server]\nregion = "x"\n[storage]\ndatabase = "old"\nengine = "disk"\n')
    backup.name_database(path, "postgresql:///b")
    assert path.read_text() == '[server]\nregion = "x"\n[storage]\ndatabase = "postgresql:///b"\nengine = "disk"\n'


def test_an_upgrade_takes_a_snapshot_and_goes_back(tmp_path: Path, clock: FakeClock, ids: FakeIds) -> None:
    place = Layout(tmp_path / "data")
    layout.prepare(place, clock, ids)
    dsn = Config(place.data, storage=Storage()).database_dsn
    assert migration.upgrade(place, dsn, [ROWS], clock).snapshot is None
    db = open_database(dsn)
    with db.write() as tx:
        tx.run("INSERT INTO thing (n) VALUES (?)", (1,))
    db.close()
    with pytest.raises(Fatal, match="as it was before"):
        migration.upgrade(place, dsn, [ROWS, MORE, BROKEN], clock)
    db = open_database(dsn)
    assert db.all("SELECT n FROM thing") == [(1,)]
    assert db.all("SELECT name FROM sqlite_master WHERE name = 'more'") == []
    db.close()
    clock.advance(60)
    done = migration.upgrade(place, dsn, [ROWS, MORE], clock)
    assert done.applied == ["thing 2: more"]
    assert done.snapshot is not None
    assert done.snapshot.exists()
    assert migration.upgrade(place, dsn, [ROWS, MORE], clock) == migration.Upgrade([], None)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
@pytest.mark.parametrize("name", ["plain", "../out", "/out", "keys/../../out"])
def test_only_files_and_folders_inside_are_laid(tmp_path: Path, kind: bytes, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode = kind, "../out", 0o666
    room = io.BytesIO()
    with tarfile.open(fileobj=room, mode="w") as archive:
        archive.addfile(entry)
    into = tmp_path / "data"
    into.mkdir()
    good = name == "plain" and kind in (tarfile.REGTYPE, tarfile.DIRTYPE)
    with tarfile.open(fileobj=io.BytesIO(room.getvalue())) as archive:
        read = archive.next()
        assert read is not None
        if good:
            backup._lay(archive, read, into)
            assert (into / "plain").stat().st_mode & 0o022 == 0
        else:
            with pytest.raises(Fatal, match="no file of an installation"):
                backup._lay(archive, read, into)
    assert {path.name for path in tmp_path.rglob("*")} == ({"data", "plain"} if good else {"data"})
