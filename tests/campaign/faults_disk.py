"""Real disks that are full or turn read-only, in a mount namespace of their own; and disks that are slow."""

from __future__ import annotations

import copy
import ctypes
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.campaign.faults_calls import effect, settled
from tests.campaign.faults_report import Report
from tests.campaign.faults_site import CHANGES, READS, SMALL, Connection, Operation, Site, alerts, content, running
from tests.support.faultshim import SYNC, Fault
from tests.support.installation import wait_until

MIB = 1 << 20
BODIES = ("PUT", "multipart", "copy", "COPY")
_NEWNS = 0x00020000


def missing() -> str:
    """Why no disk can be mounted here; empty when one can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    if not Path("/dev/loop-control").exists():
        return "no loop devices"
    return ""


def apart() -> None:
    """Give this process mounts of its own, which end with it."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


@dataclass(frozen=True, slots=True)
class Disk:
    """A small ext4 file system. `device`: its loop device's name."""

    mount: Path
    device: str

    def free(self) -> int:
        found = os.statvfs(self.mount)
        return found.f_bavail * found.f_frsize

    def fill(self) -> None:
        """Until not a byte is left."""
        with (self.mount / "filler").open("ab", buffering=0) as file:
            piece = b"\1" * MIB
            while len(piece) >= 512:
                try:
                    file.write(piece)
                except OSError:
                    piece = piece[: len(piece) // 2]
            os.fsync(file.fileno())

    def empty(self) -> None:
        (self.mount / "filler").unlink(missing_ok=True)

    def fail(self) -> None:
        """The kernel finds an error in the file system and lets nobody write any more."""
        Path(f"/sys/fs/ext4/{self.device}/trigger_fs_error").write_text("andromede")


@contextmanager
def disk(size: int, options: str = "") -> Iterator[Disk]:
    """A loop-mounted ext4 of so many bytes. Only for a process that is `apart`."""
    folder = Path(tempfile.mkdtemp(prefix="faults-disk-"))
    image, mount = folder / "image", folder / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    wanted = ",".join(filter(None, ("loop", options)))
    subprocess.run(["mount", "-o", wanted, str(image), str(mount)], check=True)
    try:
        source = subprocess.run(["findmnt", "-no", "SOURCE", str(mount)], check=True, capture_output=True, text=True)
        yield Disk(mount, source.stdout.strip().rpartition("/")[2])
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False)
        image.unlink()
        mount.rmdir()
        folder.rmdir()


def is_body(operation: Operation) -> bool:
    """Whether it stores bytes."""
    return any(word in operation.name for word in BODIES)


def full(report: Report, size: int = 700 * MIB) -> None:
    """A full disk: bodies are refused, deletes and reads go on, and room mends everything."""
    with disk(size) as place:
        data = place.mount / "data"
        data.mkdir()
        with running(data=data) as site:
            wait_until("the reserve", lambda: (data / "andromede.db.reserve").exists(), 30)
            for number in range(2):
                _one_full(report, site, place, f"round{number}")
            settled(site, report, "full disk")


def _one_full(report: Report, site: Site, place: Disk, tag: str) -> None:
    fault = "full disk"
    for operation in CHANGES:
        if operation.before is not None:
            assert operation.before(site, _name(operation, tag)).ok
    since = site.installation.log_size
    place.fill()
    site.s3("PUT", "/box/pushes", content("pushes", SMALL))  # who finds it full first may be refused once
    site.identity("POST", "/projects", {"project": {"name": f"pushes-{tag}", "domain_id": "default"}}, site.admin)
    for operation in [*CHANGES, *READS]:
        name = _name(operation, tag)
        answer = operation.run(site, name)
        wrong = answer.faults()
        if is_body(operation) and answer.ok:
            wrong.append("a body was taken though the disk is full")
        if not is_body(operation) and not answer.ok:
            wrong.append(f"not done on a full disk: {answer.word}")
        report.check(fault, operation.name, answer.word, *wrong, *effect(site, operation, name, answer))
    reads = sum(site.s3("GET", "/box/little").ok for _ in range(1000))
    report.check(fault, "1,000 reads", f"{reads} answered", "" if reads == 1000 else "reads ended")
    wait_until("an alert", lambda: any(a["event"] == "storage.full" for a in alerts(site.installation, since)), 90)
    found = sorted({alert["event"] for alert in alerts(site.installation, since)})
    report.check(fault, "alert", " ".join(found))
    place.fill()  # others take what the reserve gave: now nothing can be done, and everybody is told so
    for operation in [*CHANGES, *READS]:
        answer = operation.run(site, _name(operation, f"{tag}-nothing"))
        report.check("full disk, reserve gone", operation.name, answer.word, *answer.faults())
    place.empty()
    for operation in CHANGES:
        name = _name(operation, f"{tag}-after")
        if operation.before is not None:
            assert operation.before(site, name).ok
        answer = operation.run(site, name)
        wrong = [] if answer.ok else [f"{answer.word} {answer.text[:150]}"]
        report.check(
            "full disk, room again", operation.name, answer.word, *wrong, *effect(site, operation, name, answer)
        )
    wait_until("the reserve is back", lambda: (place.mount / "data/andromede.db.reserve").stat().st_size > 0, 60)


def _name(operation: Operation, tag: str) -> str:
    return f"{tag}-{operation.name}".lower().replace(" ", "-")


def read_only(report: Report, size: int = 400 * MIB) -> None:
    """The file system turns read-only under the program (an ext4 error), and is mended and mounted again."""
    with disk(size, "errors=remount-ro") as place:
        data = place.mount / "data"
        data.mkdir()
        with running(data=data) as site:
            for operation in CHANGES:
                if operation.before is not None:
                    assert operation.before(site, _name(operation, "ro")).ok
            place.fail()
            for operation in [*CHANGES, *READS]:
                answer = operation.run(site, _name(operation, "ro"))
                wrong = answer.faults()
                if answer.ok and operation in CHANGES:
                    wrong.append("acknowledged on a read-only disk")
                report.check("read-only disk", operation.name, answer.word, *wrong)
            done = site.installation.run("down", check=False)
            left = site.installation.pids("up")
            wrong = [] if done.returncode == 0 and not left else [done.stdout[-300:] or f"{left} still run"]
            report.check("read-only disk", "andromede down", f"exit code {done.returncode}", *wrong)


def slow(report: Report, site: Site, seconds: float = 2.0, writers: int = 16) -> None:
    """Every flush takes long: writes wait, reads do not wait with them for ever, nothing is lost."""
    shim = site.installation.shim
    assert shim is not None
    fault = f"each flush takes {seconds:g} s"
    longest: dict[str, float] = {}
    words: list[tuple[str, str]] = []
    lock = threading.Lock()

    def at_work(number: int) -> None:
        own = copy.copy(site)
        own.objects = Connection(site.host)
        for n in range(2):
            for kind in ("write", "read"):
                begin = time.monotonic()
                name = f"slow-{number}-{n}"
                answer = (
                    own.s3("PUT", f"/box/{name}", content(name, SMALL))
                    if kind == "write"
                    else own.s3("GET", "/box/source")
                )
                with lock:
                    longest[kind] = max(longest.get(kind, 0.0), time.monotonic() - begin)
                    words.append((kind, answer.word))
        own.objects.close()

    with shim.armed(Fault(SYNC, 0, delay=seconds)):
        threads = [threading.Thread(target=at_work, args=(number,)) for number in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for kind, word in words:
        report.check(fault, f"S3 {kind}", word, "" if word in ("200", "503 SlowDown") else f"{word}")
    for kind, most in longest.items():
        bound = 30.0  # what clients wait at least
        report.check(fault, f"S3 {kind}, longest", f"{most:.1f} s", "" if most < bound else f"{most:.1f} s")
    for number in range(writers):
        for n in range(2):
            name = f"slow-{number}-{n}"
            found = site.s3("GET", f"/box/{name}")
            report.check(
                fault, "read back", found.word, "" if found.body == content(name, SMALL) else f"{name} differs"
            )
