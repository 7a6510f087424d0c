"""Checks of a machine and an installation. Every finding names the one command that mends it."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from andromede.clock import Clock
from andromede.config import Config
from andromede.errors import Error
from andromede.ops import listeners, running
from andromede.ops.layout import Layout

Level = Literal["ok", "warning", "error"]
NEWEST_TESTED = (3, 13)
LOW_DISK = 1 << 30
LOWEST_DISK = 64 << 20
SLOW_FSYNC = 0.05
NEAR_EXPIRY_DAYS = 30
BUILT_US = 1_767_225_600_000_000  # 2026-01-01: a clock before that is wrong


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome; `mend` is a command, empty when all is well."""

    check: str
    level: Level
    text: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined."""

    place: Layout
    config: Config
    clock: Clock


def _quoted(path: object) -> str:
    return shlex.quote(str(path))


def python(patient: Patient) -> Iterator[Finding]:
    """The interpreter is one that we test."""
    shown = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] > NEWEST_TESTED:
        yield Finding("python", "warning", f"Python {shown} is newer than what was tested", "python3.11 -m venv .venv")
    else:
        yield Finding("python", "ok", f"Python {shown}")


def disk(patient: Patient) -> Iterator[Finding]:
    """There is room to write."""
    found = os.statvfs(patient.place.data)
    free = found.f_bavail * found.f_frsize
    text = f"{free >> 20} MiB free for {patient.place.data}"
    mend = f"du -xh --max-depth=2 {_quoted(patient.place.data)} | sort -h | tail"
    if free < LOWEST_DISK:
        yield Finding("disk", "error", text + ": writes will fail", mend)
    elif free < LOW_DISK:
        yield Finding("disk", "warning", text, mend)
    else:
        yield Finding("disk", "ok", text)
    if found.f_files and found.f_favail < 10_000:
        yield Finding("disk", "warning", f"only {found.f_favail} inodes free", f"df -i {_quoted(patient.place.data)}")


def fsync(patient: Patient) -> Iterator[Finding]:
    """What is written can be made durable, and at what price."""
    path = patient.place.run / "doctor.tmp"
    times = []
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            for _ in range(5):
                os.pwrite(fd, b"x" * 4096, 0)
                begin = patient.clock.monotonic()
                os.fdatasync(fd)
                times.append(patient.clock.monotonic() - begin)
        finally:
            os.close(fd)
            path.unlink()
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = f"df -h {_quoted(patient.place.data)}" if full else f"findmnt --target {_quoted(patient.place.data)}"
        yield Finding("fsync", "error", f"a file cannot be made durable: {error.strerror}", mend)
        return
    middle = sorted(times)[2]
    kind = _filesystem(patient.place)
    text = f"a flush takes {middle * 1000:.2f} ms ({kind})"
    if kind in ("tmpfs", "ramfs"):
        yield Finding("fsync", "warning", f"{text}: nothing here survives a restart of the machine",
                      "andromede backup DEST")  # fmt: skip
    elif middle > SLOW_FSYNC:
        yield Finding("fsync", "warning", f"{text}: small writes will be slow", "iostat -x 1 5")
    else:
        yield Finding("fsync", "ok", text)


def _filesystem(place: Layout) -> str:
    done = subprocess.run(
        ["stat", "-f", "-c", "%T", str(place.data)], capture_output=True, text=True, check=False, timeout=10
    )
    return done.stdout.strip() or "unknown"


SECRET_FILES = ("andromede.db", "clouds.yaml", "s3.env", "andromede.toml")


def modes(patient: Patient) -> Iterator[Finding]:
    """Nobody else can read data, keys or credentials."""
    place = patient.place
    paths = [place.data, place.keys, place.tls, place.run, place.logs, *(place.data / name for name in SECRET_FILES)]
    for folder in (place.keys, place.tls):
        if folder.is_dir():
            paths += [path for path in folder.rglob("*") if not path.is_symlink()]
    wrong = 0
    for path in paths:
        if not path.exists():
            continue
        found = path.stat()
        if stat.S_IMODE(found.st_mode) & 0o077 and path.name != "ca.pem":
            wrong += 1
            yield Finding("modes", "error", f"{path} is open to other users", f"chmod go-rwx {_quoted(path)}")
        if found.st_uid != os.geteuid():
            wrong += 1
            yield Finding("modes", "error", f"{path} belongs to another user", f"sudo chown $(id -un) {_quoted(path)}")
    if not wrong:
        yield Finding("modes", "ok", "data, keys and credentials are closed to other users")


def ledger_keys(patient: Patient) -> Iterator[Finding]:
    """The keys that sign checkpoints are there."""
    path = patient.place.keys / "ledger.json"
    if path.exists():
        yield Finding("ledger", "ok", f"checkpoints are signed with the keys in {path}")
    elif (patient.place.keys / "root.json").exists():
        text = f"{path} is missing: no checkpoint is signed and no receipt can be given until it is back"
        yield Finding("ledger", "error", text, "andromede restore BACKUP --data NEW_DIRECTORY")


def ports(patient: Patient) -> Iterator[Finding]:
    """The ports are ours or free."""
    if running.is_locked(patient.place):
        state = running.read(patient.place)
        for name, url in (("API", state.api_url), ("object", state.objects_url)) if state else ():
            yield _answers(name, url)
        return
    server = patient.config.server
    for name, text in (("API", server.listen), ("object", server.objects)):
        try:
            for listener in listeners.bind(text):
                listener.close()
        except Error as error:
            yield Finding("ports", "error", error.public, f"ss -ltnp sport = :{listeners.parse(text).port}")
        else:
            yield Finding("ports", "ok", f"the {name} port {text} is free")


def _answers(name: str, url: str) -> Finding:
    host, _, port = url.partition("://")[2].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), 3.0).close()
    except (OSError, ValueError) as error:
        return Finding("ports", "error", f"the {name} port {url} does not answer: {error}", "andromede status")
    return Finding("ports", "ok", f"the {name} port {url} answers")


def time(patient: Patient) -> Iterator[Finding]:
    """The clock is plausible and kept; signatures are refused at 15 minutes of difference."""
    if patient.clock.now_us() < BUILT_US:
        yield Finding("clock", "error", "the clock stands before 2026", "sudo timedatectl set-ntp true")
        return
    if shutil.which("timedatectl"):
        done = subprocess.run(
            ["timedatectl", "show", "-p", "NTPSynchronized", "--value"],
            capture_output=True, text=True, check=False, timeout=10,
        )  # fmt: skip
        if done.stdout.strip() == "no":
            text = "the clock is not synchronised; clients' signatures fail when it is 15 minutes off"
            yield Finding("clock", "warning", text, "sudo timedatectl set-ntp true")
            return
    yield Finding("clock", "ok", "the clock is plausible")


def database(patient: Patient) -> Iterator[Finding]:
    """The database answers and has this program's schema."""
    from andromede.db import open_database

    where = "PostgreSQL" if patient.config.storage.database.startswith("postgres") else "SQLite"
    try:
        db = open_database(patient.config.database_dsn)
        try:
            db.one("SELECT 1")
            problems = db.check() if where == "PostgreSQL" else []
        finally:
            db.close()
    except ModuleNotFoundError:
        yield Finding("database", "error", "the PostgreSQL driver is missing", "pip install 'andromede[postgresql]'")
        return
    except Exception as error:
        mend = "pg_isready -d DSN" if where == "PostgreSQL" else f"ls -l {_quoted(patient.place.data)}"
        yield Finding("database", "error", f"{where} does not answer: {error}", mend)
        return
    if problems:
        yield Finding("database", "error", f"{where}: {'; '.join(problems)}", "andromede fsck")
    else:
        yield Finding("database", "ok", f"{where} answers")


def certificates(patient: Patient) -> Iterator[Finding]:
    """Certificates are readable and not about to end."""
    server = patient.config.server
    local = patient.place.tls / "server.pem"
    path = server.tls_certificate or (str(local) if local.exists() else "")
    if not path:
        if server.tls:
            yield Finding("tls", "ok", "the local authority is made at the first start")
        return
    from pathlib import Path

    from andromede.clock import utc
    from andromede.ops import tls

    renew = "andromede up --tls" if path == str(local) else f"openssl x509 -in {_quoted(path)} -noout -enddate"
    try:
        days = (tls.load_certificate(Path(path)).not_valid_after_utc - utc(patient.clock.now_us())).days
    except Error as error:
        yield Finding("tls", "error", error.public, renew)
        return
    level: Level = "error" if days < 0 else "warning" if days < NEAR_EXPIRY_DAYS else "ok"
    yield Finding("tls", level, f"the certificate {path} ends in {days} days", "" if level == "ok" else renew)


def limits(patient: Patient) -> Iterator[Finding]:
    """Enough open files for many connections."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        yield Finding("limits", "warning", f"at most {hard} open files per process", "ulimit -Hn 65536")
    else:
        yield Finding("limits", "ok", f"{soft} open files per process, up to {hard}")


CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    python, disk, fsync, modes, ledger_keys, ports, time, database, certificates, limits,
)  # fmt: skip


Check = Callable[[Patient], Iterator[Finding]]


def examine(patient: Patient, more: Sequence[Check] = ()) -> list[Finding]:
    """All checks, in order, and `more`; one that fails by itself is a finding too."""
    found: list[Finding] = []
    for check in (*CHECKS, *more):
        try:
            found += check(patient)
        except (OSError, subprocess.SubprocessError) as error:
            found.append(Finding(check.__name__, "error", f"cannot be checked: {error}", "andromede doctor"))
    return found
