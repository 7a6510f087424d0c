"""What a guest has on its host: a folder, a user id of its own, a process. All of it is found by looking.

<runtime>/<installation>/g/<guest>/record     root's: which process, which uid, what it was given
                                  console.log root's; QEMU has a descriptor
                                  qemu.log    root's; QEMU's standard error
                                  s/          the guest's uid's, 0700: sockets qmp, ser, vnc; pid; exit
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from andromede.engines.qemu.accelerator import boot_id
from andromede.errors import NoCapacity

FIRST_UID = 0x7000_0000
UIDS = 1 << 20
"""Ids of users that nobody else has: above the range that systemd gives to containers (of systemd)."""
_TRIES = 3
_TAIL = 4096
_OURS = 3
"""How many folders above a guest's are the program's: <runtime>/<installation>/g."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a process was started with. `started`: field 22 of its /proc/PID/stat; `ended`: its end was wished;
    `nets`: ports that it has or had a backend of, since QEMU lists none."""

    uid: int
    boot: str
    pid: int = 0
    started: str = ""
    ended: bool = False
    nets: list[str] = field(default_factory=list)


class Place:
    """One guest's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sockets = folder / "s"
        self.qmp = self.sockets / "qmp"
        self.serial = self.sockets / "ser"
        self.vnc = self.sockets / "vnc"
        self.console = folder / "console.log"
        self.log = folder / "qemu.log"

    def record(self) -> Record | None:
        """None where nothing was started since the machine came up."""
        try:
            found = Record(**json.loads((self.folder / "record").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return None
        return found if found.boot == boot_id() else None

    def write(self, record: Record) -> Record:
        """Replace the record."""
        new = self.folder / "record.new"
        new.write_text(json.dumps(asdict(record)), encoding="utf-8")
        os.chmod(new, 0o600)
        os.replace(new, self.folder / "record")
        return record

    def prepare(self, uids: Path) -> Record:
        """Make the folder ready for a new process, and a uid its own."""
        self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        for folder in (self.folder, *self.folder.parents[:_OURS]):
            mode = folder.stat().st_mode & 0o777
            if mode & 0o011 != 0o011:  # whatever the umask: the guest passes through to its own folder
                os.chmod(folder, mode | 0o011)  # noqa: S103
        known = self.record()
        uid = known.uid if known else take_uid(uids, self.folder.name)
        _clear(self.sockets)
        self.sockets.mkdir(mode=0o700)
        os.chown(self.sockets, uid, uid)
        return self.write(Record(uid, boot_id()))

    def process(self, record: Record) -> Record | None:
        """The record with its process if that runs: a process of the guest's uid with the pid that QEMU wrote."""
        pid = record.pid or self._pid(record.uid)
        if not pid:
            return None
        started = start_of(pid, record.uid)
        if not started or (record.started and record.started != started):
            return None
        return record if record.pid else self.write(replace(record, pid=pid, started=started))

    def _pid(self, uid: int) -> int:
        text = self.read("pid", uid)
        return int(text) if text.strip().isdigit() else 0

    def exit_status(self, uid: int) -> int | None:
        """What the shell that waits wrote: 128 + n for signal n; None while QEMU runs or if the shell died too."""
        text = self.read("exit", uid).strip()
        return int(text) if text.isdigit() else None

    def read(self, name: str, uid: int) -> str:
        """A small file that the guest's uid wrote, empty if it is not there."""
        return self.bytes(name, uid, _TAIL).decode("ascii", "replace")

    def bytes(self, name: str, uid: int, most: int) -> bytes:
        """The first bytes of a file that the guest's uid wrote. A QEMU that was taken over cannot lead us to another
        file."""
        try:
            fd = os.open(self.sockets / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return b""
        with os.fdopen(fd, "rb") as file:
            facts = os.fstat(fd)
            return file.read(most) if stat.S_ISREG(facts.st_mode) and facts.st_uid == uid else b""

    def tail(self) -> str:
        """QEMU's last line on standard error."""
        with contextlib.suppress(OSError):
            with open(self.log, "rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL))
                lines = log.read().decode("utf-8", "replace").strip().splitlines()
                return lines[-1][:300] if lines else ""
        return ""

    def remove(self, uids: Path) -> None:
        """Everything of the guest on this host."""
        record = self.record()
        _clear(self.folder)
        if record is not None:
            give_uid(uids, record.uid, self.folder.name)


def _clear(folder: Path) -> None:
    """Remove it. The shell of a process that has ended may write its status meanwhile, and so keep the folder: once for
    each start, so that the next try meets none."""
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


def start_of(pid: int, uid: int) -> str:
    """When a process of `uid` began (proc(5), stat field 22); empty if there is none, or it is dead and not reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        if os.stat(f"/proc/{pid}").st_uid != uid and _real_uid(pid) != uid:
            return ""
    except (OSError, IndexError):
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _real_uid(pid: int) -> int:
    """The owner of /proc/PID is root while a process may not be dumped, so its status is asked."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("Uid:")), -1)


def take_uid(uids: Path, guest: str) -> int:
    """A uid that no other guest of this machine has: a file in a folder that all installations share."""
    uids.mkdir(mode=0o700, parents=True, exist_ok=True)
    first = zlib.crc32(guest.encode()) % UIDS
    for number in _ring(first):
        path = uids / str(FIRST_UID + number)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if path.read_text(encoding="utf-8") == guest:
                return FIRST_UID + number
            continue
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(guest)
        return FIRST_UID + number
    raise NoCapacity("every user id for guests of this machine is taken", "uids")


def _ring(first: int) -> Iterator[int]:
    for step in range(UIDS):
        yield (first + step) % UIDS


def give_uid(uids: Path, uid: int, guest: str) -> None:
    """Let another guest have it."""
    path = uids / str(uid)
    with contextlib.suppress(OSError):
        if path.read_text(encoding="utf-8") == guest:
            path.unlink()
