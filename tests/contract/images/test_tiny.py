"""The guest `tiny`, really built from Debian's packages and really booted by QEMU's emulation."""

import json
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from andromede.clock import SystemClock
from andromede.errors import Unavailable
from andromede.images.recipes import packages, tiny
from andromede.images.recipes.shelf import Built, Shelf

pytestmark = pytest.mark.timeout(300)
BOOT_SECONDS = 120.0


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The image, from the shelf that the environment names or one of the test's own."""
    try:
        packages.wanted([*tiny.PROGRAMS, ("qemu-system-x86_64", "qemu-system-x86")])
        found = packages.depends("linux-image-cloud-amd64", tmp_path_factory.mktemp("apt"))
    except Unavailable as error:
        pytest.skip(error.public)
    if not found:
        pytest.skip("apt knows no linux-image-cloud-amd64 here")
    folder = os.environ.get("ANDROMEDE_HOSTING_IMAGE_CACHE") or tmp_path_factory.mktemp("shelf")
    return Shelf(Path(folder), SystemClock()).get("tiny", lambda text: None)


def until(true: Callable[[], bool], seconds: float = BOOT_SECONDS) -> None:
    """Wait for something that is to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.1)


class Guest:
    """One QEMU with a disk over the image."""

    def __init__(self, folder: Path, base: Path, size: str) -> None:
        self.folder, self.disk = folder, folder / "root.qcow2"
        if not self.disk.exists():
            over = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(self.disk), size]
            subprocess.run(over, check=True)
        (folder / "console").unlink(missing_ok=True)
        (folder / "qmp").unlink(missing_ok=True)
        (folder / "serial").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256", "-nodefaults",
             "-no-user-config", "-display", "none", "-no-reboot", "-qmp", "unix:qmp,server=on,wait=off",
             "-chardev", "socket,id=s,path=serial,server=on,wait=off,logfile=console",
             "-device", "isa-serial,chardev=s",
             "-device", "pcie-root-port,id=rp0,chassis=1",
             "-drive", f"if=none,id=d,format=qcow2,file={self.disk.name}",
             "-device", "virtio-blk-pci,bus=rp0,drive=d", "-device", "virtio-rng-pci"],
            cwd=folder,
        )  # fmt: skip

    def text(self) -> str:
        """What stands on the console."""
        path = self.folder / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    def type(self, line: str, answer: str) -> None:
        """A line on the serial console, and a line that must come back."""
        with self._connected("serial") as link:
            until(lambda: "# " in self.text())
            link.sendall(line.encode() + b"\n")
            until(lambda: f"\n{answer}\n" in self.text())

    def power_down(self) -> None:
        """The power button, and the end that it leads to."""
        with self._connected("qmp") as link, link.makefile("rw") as channel:
            channel.readline()
            for command in ("qmp_capabilities", "system_powerdown"):
                channel.write(json.dumps({"execute": command}) + "\n")
                channel.flush()
                channel.readline()
            assert self.process.wait(BOOT_SECONDS) == 0

    def _connected(self, name: str) -> socket.socket:
        link = socket.socket(socket.AF_UNIX)
        here = os.open(self.folder, os.O_PATH)
        link.connect(f"/proc/self/fd/{here}/{name}")
        os.close(here)
        return link

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def test_tiny_boots_keeps_what_is_written_grows_and_stops_softly(built: Built, tmp_path: Path) -> None:
    assert shutil.which("qemu-img")
    guest = Guest(tmp_path, built.path, "256M")
    try:
        until(lambda: "\nready\n" in guest.text())
        guest.type("echo kept >/mnt/note; sync; su tiny -c 'sudo id -u; id -un'; echo $((20 + 22))", "42")
        assert "\n0\ntiny\n" in guest.text()
        guest.power_down()
    finally:
        guest.end()
    subprocess.run(["qemu-img", "resize", "-q", str(tmp_path / "root.qcow2"), "1G"], check=True)
    guest = Guest(tmp_path, built.path, "")
    try:
        until(lambda: "\nready\n" in guest.text())
        guest.type("cat /mnt/note; df -m / | awk 'END { print ($2 > 800) + 41 }'", "42")
        assert "\nkept\n" in guest.text()
        guest.power_down()
    finally:
        guest.end()


def half_made(folder: Path, base: Path) -> None:
    """A disk of 1 GiB whose first start was cut off: its second partition is there, and what belongs on it is not."""
    over = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), "root.qcow2", "1G"]
    subprocess.run(over, cwd=folder, check=True)
    at = 65_536
    entry = struct.pack("<B3sB3sII", 0, b"\xfe\xff\xff", 0x7F, b"\xfe\xff\xff", at, (1 << 30) // 512 - at)
    (folder / "entry").write_bytes(entry)
    line = ["qemu-io", "-c", f"write -s entry 462 {len(entry)}", "root.qcow2"]
    subprocess.run(line, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def test_tiny_comes_back_after_its_power_was_cut(built: Built, tmp_path: Path) -> None:
    half_made(tmp_path, built.path)
    guest = Guest(tmp_path, built.path, "1G")
    try:
        until(lambda: "\nready\n" in guest.text())
        guest.type("echo $(grep -c '/dev/vda2 / ext4' /proc/mounts) root", "1 root")
        guest.type("sleep 6; echo $((20 + 22))", "42")  # its file system commits every 5 s (ext4(5))
    finally:
        guest.end()
    guest = Guest(tmp_path, built.path, "")
    try:
        until(lambda: "\nready\n" in guest.text())
        assert "can't run" not in guest.text()
        guest.power_down()
    finally:
        guest.end()
