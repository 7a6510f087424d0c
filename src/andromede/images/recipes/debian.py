"""Debian 12 with cloud-init, openssh and rng-tools5: what a tenant expects of a cloud's image, made by mmdebstrap from
the mirror that apt uses. Needs root, two minutes and 3 GB of room."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from andromede.errors import Unavailable
from andromede.images.recipes import disk, packages
from andromede.images.recipes.packages import Say

PROGRAMS = (
    ("mmdebstrap", "mmdebstrap"), ("qemu-img", "qemu-utils"), ("mcopy", "mtools"), ("syslinux", "syslinux"),
    ("mke2fs", "e2fsprogs"), ("tar", "tar"), ("apt-get", "apt"), ("dpkg-deb", "dpkg"),
)  # fmt: skip
SUITE = "bookworm"
INCLUDED = (
    "linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "udev", "dbus", "cloud-init", "cloud-guest-utils",
    "openssh-server", "rng-tools5", "ifupdown", "isc-dhcp-client", "iproute2", "iputils-ping", "netbase", "e2fsprogs",
    "sudo", "procps", "less", "ca-certificates", "acpid",
)  # fmt: skip
EMPTIED = (
    "boot", "usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists",
)  # fmt: skip
WRITTEN = {
    "etc/cloud/cloud.cfg.d/90_datasource.cfg": "datasource_list: [ ConfigDrive, OpenStack, None ]\n",
    "etc/fstab": "LABEL=root / ext4 defaults 0 1\n",
    "etc/machine-id": "",
    "etc/resolv.conf": "",
}
COMMAND = "root=LABEL=root ro console=tty0 console=ttyS0 quiet net.ifnames=0"
FAT_SECTORS = 64 * disk.MIB // disk.SECTOR
ROOT_AT = 65 * disk.MIB
SIZE = 1100 * disk.MIB
BUILD_SECONDS = 3600


def build(folder: Path, target: Path, say: Say) -> None:
    """Make the image at `target`. Raises `Unavailable`."""
    packages.wanted(PROGRAMS)
    if os.geteuid() != 0:
        raise Unavailable("the image debian-12 is built by root alone, who owns its files", "root")
    say("fetching and installing Debian 12 from its packages; this takes a minute or more")
    archive, root = folder / "root.tar", folder / "root"
    line = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(INCLUDED)}", SUITE, archive.name]
    packages.run(line, folder, BUILD_SECONDS)
    root.mkdir()
    packages.run(["tar", "-C", root.name, "-xf", archive.name], folder)
    archive.unlink()
    kernel, ramdisk = _taken(root, folder)
    _prepare(root)
    say("writing the disk")
    mbr = packages.fetch(["syslinux-common"], folder)[0]
    code = next(data for member, data in packages.files(mbr) if member.name.endswith("/mbr.bin"))
    raw = folder / "debian.raw"
    with raw.open("wb") as file:
        file.truncate(SIZE)
    start = ROOT_AT // disk.SECTOR
    parts = [
        disk.Part(disk.FAT32, disk.START, FAT_SECTORS), disk.Part(disk.LINUX, start, SIZE // disk.SECTOR - start),
    ]  # fmt: skip
    disk.lay(raw, disk.boot_record(code, b"AN12", parts), disk.Boot(kernel, ramdisk, COMMAND, FAT_SECTORS))
    _root(root, raw)
    say("compressing it")
    disk.compress(raw, target)
    raw.unlink()
    shutil.rmtree(root)


def _taken(root: Path, folder: Path) -> tuple[Path, Path]:
    """Kernel and RAM disk, out of the tree."""
    found = []
    for kind in ("vmlinuz", "initrd.img"):
        path = max((root / "boot").glob(f"{kind}-*"))
        found.append(Path(shutil.move(path, folder / kind)))
    return found[0], found[1]


def _prepare(root: Path) -> None:
    for name in EMPTIED:
        for entry in (root / name).iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    for name, text in WRITTEN.items():
        path = root / name
        path.unlink(missing_ok=True)
        path.write_text(text)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()


def _root(root: Path, raw: Path) -> None:
    """Lay the tree into the second partition."""
    part = raw.parent / "part"
    with part.open("wb") as file:
        file.truncate(SIZE - ROOT_AT)
    options = ["-q", "-t", "ext4", "-L", "root", "-O", "^metadata_csum_seed", "-d", root.name, part.name]
    packages.run(["mke2fs", *options], raw.parent)
    where = ["bs=1M", f"seek={ROOT_AT // disk.MIB}", "conv=notrunc,sparse"]
    packages.run(["dd", f"if={part.name}", f"of={raw.name}", *where], raw.parent)
    part.unlink()
