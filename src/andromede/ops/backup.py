"""Backups: a sealed state (database, keys, settings, client files) beside copies of the sealed blobs.

Order: all blobs, then the database, then the blobs that came meanwhile. Bytes that the database refers
to at its snapshot are kept by the collector for `garbage_grace_seconds` more, so the second pass finds
whatever the first one missed, provided that it ends within that time; else the backup is refused. Disks are copied
before the snapshot, and those that are new by then after it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from andromede import __version__
from andromede.clock import US, Clock
from andromede.config import Config
from andromede.db import Database, open_database
from andromede.durable import sync_folder
from andromede.errors import Conflict, Fatal, Invalid, NoCapacity, Unavailable
from andromede.ids import Ids
from andromede.ops import beside, copying, sealing
from andromede.ops.beside import Beside, Held, Lack
from andromede.ops.layout import Layout, private_write, read_manifest

FORMAT = 2
"""1: without disks."""
STATE = "state.sealed"
MANIFEST = "backup.json"
BLOBS = "blobs"
LOCK = "backup.lock"
_LOCK_SECONDS = 2.0
"""Somebody may be looking at the lock."""
KEPT_FILES = ("installation.json", "andromede.toml", "clouds.yaml", "s3.env")
KEPT_FOLDERS = ("keys", "tls")
WITNESS_KEYS = "keys/witness.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `backup.json` tells without the key. `disks`: whether disks were to be copied; `holds` and `lacks`: what was
    and what could not be; `disk_bytes`: what they take; `host`: the name of the host that servers and volumes lie on,
    if there is one."""

    format: int
    id: str
    installation: str
    program: str
    taken_us: int
    database: str
    engine: str
    blobs: int
    blob_bytes: int
    disks: bool = False
    disk_bytes: int = 0
    host: str = ""
    holds: tuple[Held, ...] = ()
    lacks: tuple[Lack, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """A backup or restore to do. `step` is called once per blob, `moved` with bytes of disks; `disks`: what is copied
    beside rows and blobs, None to leave it out; `host`: this host's name."""

    place: Layout
    config: Config
    folder: Path
    key_file: Path
    clock: Clock
    ids: Ids
    step: Callable[[], None]
    moved: Callable[[int], None] = lambda count: None
    disks: Beside | None = None
    host: str = field(default_factory=socket.gethostname)


def read(folder: Path) -> Manifest:
    """The manifest of a backup. Raises `Invalid`."""
    try:
        told = json.loads((folder / MANIFEST).read_text())
        if int(told["format"]) > FORMAT:
            raise Invalid(f"{folder} was made by release {told['program']}, which is newer than this one", "backup")
        lists = {"holds": beside.held_of(told.get("holds", ())),
                 "lacks": tuple(Lack(**entry) for entry in told.get("lacks", ()))}  # fmt: skip
        return Manifest(**{**told, **lists})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Invalid(f"{folder} holds no complete backup: {MANIFEST} cannot be read ({error})", "backup") from error


def _make_folder(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} is not empty; name a new directory for each backup", "backup")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Invalid(f"{folder} cannot be made: {error.strerror}; name another directory", "backup") from error


def take(job: Job, db: Database) -> Manifest:
    """Write the backup. Raises `Conflict`, `Invalid`, `NoCapacity` or `Unavailable`; what was written stays,
    without a manifest, and is no backup."""
    _make_folder(job.folder)
    try:
        with _alone(job.place, job.clock):
            _require_room(job)
            return _take(job, db)
    except OSError as error:
        raise NoCapacity(
            f"the backup in {job.folder} could not be written: {error.strerror}; make room and take a new one", "backup"
        ) from error


@contextlib.contextmanager
def _alone(place: Layout, clock: Clock) -> Iterator[None]:
    """Nobody else takes a backup of the installation meanwhile. Raises `Conflict` if somebody does."""
    until = clock.monotonic() + _LOCK_SECONDS
    fd = os.open(place.run / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _locked(fd):
            if clock.monotonic() > until:
                text = "another backup of this installation is being taken; wait until it ends"
                raise Conflict(text, "backup")
            clock.sleep(0.1)
        yield
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def under_way(place: Layout) -> bool:
    """Whether a backup of the installation is being taken."""
    try:
        fd = os.open(place.run / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _locked(fd)
    finally:
        os.close(fd)


def _require_room(job: Job) -> None:
    needed = job.disks.room() if job.disks else 0
    if job.config.storage.engine == "disk":
        needed += copying.taken(job.place.data / BLOBS)
    with contextlib.suppress(FileNotFoundError):  # of PostgreSQL
        needed += (job.place.data / "andromede.db").stat().st_size
    left_out = " (without disks: --without-disks)" if job.disks else ""
    copying.require_room(job.folder, needed, "the backup" + left_out)


def _take(job: Job, db: Database) -> Manifest:
    backup_id, key = job.ids.dashed(), job.ids.secret(32)
    if job.disks:
        job.disks.copy(job.folder, key)  # before blobs, whose second pass has but little time
    blobs, copied = job.place.data / BLOBS, copying.Copied()
    if job.config.storage.engine == "disk":
        copying.copy_changed(blobs, job.folder / BLOBS, copied, job.step)
    snapshot = job.place.run / f"backup-{backup_id}.part"  # in the clear: never on the backup's medium
    taken_us = job.clock.now_us()
    try:
        return _finish(job, db, snapshot, (backup_id, key, taken_us, copied))
    finally:
        snapshot.unlink(missing_ok=True)


def _finish(job: Job, db: Database, snapshot: Path, so_far: tuple[str, bytes, int, copying.Copied]) -> Manifest:
    backup_id, key, taken_us, copied = so_far
    _snapshot(db, snapshot)
    if job.config.storage.engine == "disk":
        copying.copy_changed(job.place.data / BLOBS, job.folder / BLOBS, copied, job.step)
    seconds = (job.clock.now_us() - taken_us) // US
    if seconds >= job.config.objects.garbage_grace_seconds:
        raise Unavailable(
            f"blobs written meanwhile took {seconds} s to copy, longer than they are kept; "
            "raise objects.garbage_grace_seconds above that, or take the backup at a quieter time",
            "backup",
        )
    if job.disks:
        job.disks.copy(job.folder, key)
    sealing.write_key(job.key_file, key, backup_id)
    _seal(job, snapshot, db.dialect, key)
    held = tuple(job.disks.held()) if job.disks else ()
    manifest = Manifest(
        FORMAT, backup_id, str(read_manifest(job.place)["id"]), __version__, taken_us, db.dialect,
        job.config.storage.engine, copied.files, copied.bytes, job.disks is not None,
        sum((job.folder / one.file).stat().st_blocks * 512 for one in held),
        job.host if (job.place.data / beside.DISKS).is_dir() else "", held,
        tuple(job.disks.lacks()) if job.disks else (),
    )  # fmt: skip
    private_write(job.folder / MANIFEST, json.dumps(asdict(manifest), indent=1) + "\n")
    sync_folder(job.folder)
    private_write(job.place.last_backup, json.dumps({"taken_us": taken_us, "dest": str(job.folder), "id": backup_id}))
    return manifest


def _snapshot(db: Database, target: Path) -> None:
    try:
        db.backup(str(target))
    except FileNotFoundError as error:
        raise Unavailable("pg_dump is not installed; get it with: apt install postgresql-client", "backup") from error


def _seal(job: Job, snapshot: Path, dialect: str, key: bytes) -> None:
    with open(job.folder / STATE, "xb", opener=lambda path, flags: _private(path, flags)) as file:
        sealer = sealing.Sealer(file, key)
        with tarfile.open(fileobj=cast(BinaryIO, sealer), mode="w|", format=tarfile.PAX_FORMAT) as archive:
            archive.add(snapshot, "andromede.db" if dialect == "sqlite" else "postgresql.dump")
            for name in (*KEPT_FILES, *KEPT_FOLDERS):
                path = job.place.data / name
                if path.exists():
                    archive.add(path, name, filter=_kept)
        sealer.close()
        file.flush()


def _kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """A witness's keys stay out: with the memory of the day of the backup they would cosign forks of later days."""
    return None if entry.name == WITNESS_KEYS else entry


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def restore(job: Job, dsn: str) -> Manifest:
    """Make `job.place` from the backup in `job.folder`; `dsn` is the empty PostgreSQL database to fill, if the
    backup is of one. Raises `Conflict` for a directory that is not empty."""
    manifest = read(job.folder)
    key = sealing.read_key(job.key_file)
    data = job.place.data
    if data.exists() and any(data.iterdir()):
        raise Conflict(f"{data} is not empty; restore into a new directory with --data DIR", "data")
    if (manifest.database == "postgresql") != bool(dsn):
        need = "name an empty one with --database DSN" if not dsn else "leave out --database"
        raise Invalid(f"this backup is of a {manifest.database} installation: {need}", "config")
    copying.require_room(data, copying.taken(job.folder), "the restored installation")
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    data.chmod(0o700)
    try:
        _unseal(job, key)
        beside.restore(job.folder, data, manifest.holds, key, job.moved)
        copied = copying.Copied()
        if (job.folder / BLOBS).is_dir():
            copying.copy_changed(job.folder / BLOBS, data / BLOBS, copied, job.step)
        if copied.files < manifest.blobs:
            raise Fatal(
                f"the backup lacks {manifest.blobs - copied.files} of its {manifest.blobs} blob files; "
                "use another copy of it",
                "backup",
            )
        if dsn:
            _load(dsn, data)
        if manifest.host and manifest.host != job.host:
            write_setting(job.place.settings, "hosting", "host", manifest.host)
    except BaseException:
        shutil.rmtree(data, ignore_errors=True)
        raise
    for folder in (job.place.run, job.place.logs):
        folder.mkdir(mode=0o700, exist_ok=True)
    return manifest


def _unseal(job: Job, key: bytes) -> None:
    with open(job.folder / STATE, "rb") as file:
        opener = sealing.Opener(file, key)
        with tarfile.open(fileobj=cast(BinaryIO, opener), mode="r|") as archive:
            for entry in archive:
                _lay(archive, entry, job.place.data)
        while opener.read(1 << 20):
            pass  # the last frame proves that nothing was cut off


def _lay(archive: tarfile.TarFile, entry: tarfile.TarInfo, data: Path) -> None:
    """Write one folder or file of the state below `data`. Folders and keys are for their owner only, whatever they
    were where the backup was taken; other files are written by nobody else. Not with `tarfile`'s extraction filters:
    Python has them since 3.11.4. Raises `Fatal` for what is no file or folder below `data`."""
    path = PurePosixPath(entry.name)
    if path.is_absolute() or ".." in path.parts or not (entry.isreg() or entry.isdir()):
        raise Fatal(
            f"the backup holds {entry.name!r}, which is no file of an installation; use another copy of it", "backup"
        )
    target = data / path
    if entry.isdir():
        target.mkdir(mode=0o700, exist_ok=True)
        return
    content = archive.extractfile(entry)
    assert content is not None  # a regular file has content
    mode = 0o600 if path.parts[0] == "keys" else 0o600 | entry.mode & 0o055
    with content, open(target, "xb", opener=_private) as file:
        shutil.copyfileobj(content, file, 1 << 20)
    target.chmod(mode)


def _load(dsn: str, data: Path) -> None:
    from andromede.db.postgresql import load_dump

    dump = data / "postgresql.dump"
    db = open_database(dsn)
    try:
        if db.one("SELECT 1 FROM information_schema.tables WHERE table_schema = 'public'"):
            raise Conflict("the database is not empty; make a new one with: createdb NAME", "database")
    finally:
        db.close()
    load_dump(dsn, str(dump))
    dump.unlink()
    name_database(data / "andromede.toml", dsn)


def name_database(settings: Path, dsn: str) -> None:
    """Write the database's address into the settings file."""
    write_setting(settings, "storage", "database", dsn)


def write_setting(settings: Path, section: str, name: str, value: str) -> None:
    """Write one setting into the settings file, in the place of a former value."""
    lines = settings.read_text().splitlines() if settings.exists() else []
    entry, head, within, kept = f"{name} = {json.dumps(value)}", f"[{section}]", "", list[str]()
    for line in lines:
        within = line.strip() if line.strip().startswith("[") else within
        if within != head or line.partition("=")[0].strip() != name:
            kept.append(line)
    heads = [line.strip() for line in kept]
    if head in heads:
        kept.insert(heads.index(head) + 1, entry)
    else:
        kept += ["", head, entry]
    private_write(settings, "\n".join(kept).lstrip("\n") + "\n")
