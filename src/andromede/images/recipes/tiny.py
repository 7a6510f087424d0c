"""The guest `tiny`: Debian's kernel, busybox and dropbear in 25 MB, ready in seconds; for trials and tests.

It takes its root from memory, or from the second partition of its disk, which it makes at its first start and grows
with the disk. Users `root` and `tiny` (who may become root with sudo) log in with the key that the cloud gives.
"""

from __future__ import annotations

import gzip
import subprocess
from importlib import resources
from pathlib import Path

from andromede.images.recipes import disk, packages
from andromede.images.recipes.packages import Say
from andromede.images.recipes.tree import Tree

PROGRAMS = (
    ("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("qemu-img", "qemu-utils"), ("mcopy", "mtools"),
    ("syslinux", "syslinux"),
)  # fmt: skip
_MODULES = (
    "virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk failover net_failover "
    "virtio_net virtio-rng virtio_console virtio_balloon scsi_common scsi_mod sd_mod virtio_scsi cdrom sr_mod isofs "
    "fat vfat nls_ascii nls_cp437 button evdev pvpanic pvpanic-pci"
)
MODULES = tuple(_MODULES.split())
"""In the order in which they are loaded; without button and evdev no soft stop, without pvpanic no panic is seen."""
_LIBRARIES = (
    "libcrypt1 zlib1g libtomcrypt1 libtommath1 libgmp10 libblkid1 libuuid1 libcom-err2 libext2fs2 libmount1 "
    "libsmartcols1 libudev1 libselinux1 libpcre2-8-0 libbsd0 libmd0"
)
LIBRARIES = tuple(_LIBRARIES.split())
C_LIBRARY = ("ld-linux-x86-64.so.2", "libc.so.6", "libresolv.so.2", "libm.so.6", "libdl.so.2", "libpthread.so.0")
BINARIES = {
    "busybox-static": {"bin/busybox": "bin/busybox"},
    "dash": {"bin/dash": "bin/sh"},
    "dropbear-bin": {"usr/sbin/dropbear": "sbin/dropbear", "usr/bin/dropbearkey": "bin/dropbearkey"},
    "openssh-sftp-server": {"usr/lib/openssh/sftp-server": "usr/lib/sftp-server"},
    "e2fsprogs": {"sbin/mke2fs": "sbin/mke2fs", "sbin/resize2fs": "sbin/resize2fs", "sbin/e2fsck": "sbin/e2fsck"},
    "util-linux": {"bin/lsblk": "bin/lsblk", "sbin/blkid": "sbin/blkid"},
    "netcat-openbsd": {"bin/nc.openbsd": "bin/nc.openbsd"},
}
"""Package -> the files taken from it and their places in the guest. The shell is dash, because busybox's runs its own
applets in the place of programs of the same name."""
GUEST = {
    "init": "init", "boot": "sbin/boot", "leased": "sbin/leased", "still": "sbin/still", "sudo": "bin/sudo",
    "nc": "bin/nc", "curl": "bin/curl", "given": "sbin/given", "mkfs": "sbin/mkfs", "power": "etc/acpi/PWRF/00000080",
}  # fmt: skip
COMMAND = "console=tty0 console=ttyS0 quiet panic=-1"
SIGNATURE = b"TINY"
FAT_SECTORS = 31 * disk.MIB // disk.SECTOR
SIZE = 112 * disk.MIB
"""Room for a root of 80 MiB on a disk that is no larger than the image."""


def build(folder: Path, target: Path, say: Say) -> None:
    """Make the image at `target`, with `vmlinuz` and `initrd.gz` left in `folder`. Raises `Unavailable`."""
    packages.wanted(PROGRAMS)
    say("fetching the kernel and the programs of the guest from Debian")
    version = _kernel(folder)
    names = [f"linux-image-{version}", "libc6", "syslinux-common", *LIBRARIES, *BINARIES]
    found = dict(zip(names, packages.fetch(names, folder), strict=True))
    say("laying out its file system")
    tree = _system(found)
    kernel = _take_kernel(tree, found[names[0]], version)
    (folder / "vmlinuz").write_bytes(kernel)
    with gzip.GzipFile(folder / "initrd.gz", "wb", compresslevel=6, mtime=0) as out:
        out.writelines(tree.cpio())
    say("writing the disk")
    code = next(data for member, data in packages.files(found["syslinux-common"]) if member.name.endswith("/mbr.bin"))
    raw = folder / "tiny.raw"
    with raw.open("wb") as file:
        file.truncate(SIZE)
    record = disk.boot_record(code, SIGNATURE, [disk.Part(disk.FAT16, disk.START, FAT_SECTORS)])
    disk.lay(raw, record, disk.Boot(folder / "vmlinuz", folder / "initrd.gz", COMMAND, FAT_SECTORS))
    say("compressing it")
    disk.compress(raw, target)
    raw.unlink()


def _kernel(folder: Path) -> str:
    """The version of Debian's kernel for clouds, as in `6.1.0-40-cloud-amd64`."""
    named = packages.depends("linux-image-cloud-amd64", folder)
    return next(name for name in named if name.startswith("linux-image-")).removeprefix("linux-image-")


def _take_kernel(tree: Tree, package: Path, version: str) -> bytes:
    """Put the modules into the tree; the kernel."""
    kernel = b""
    for member, data in packages.files(package):
        name = member.name.rpartition("/")[2]
        if member.name == f"boot/vmlinuz-{version}":
            kernel = data
        elif name.removesuffix(".ko") in MODULES and name.endswith(".ko"):
            tree.file(f"lib/modules/{name}", data)
    tree.file("etc/modules", "".join(f"{name}\n" for name in MODULES))
    return kernel


def _system(found: dict[str, Path]) -> Tree:
    tree = Tree()
    for folder in ("dev", "proc", "sys", "run", "mnt", "new", "usr/bin", "usr/sbin", "var/log", "etc/dropbear"):
        tree.folder(folder)
    tree.folder("tmp", 0o1777)
    tree.folder("root", 0o700)
    tree.folder("home/tiny", 0o755, owner=1000)
    tree.link("var/run", "/run")
    tree.link("var/tmp", "../tmp")
    for package, wanted in BINARIES.items():
        for member, data in packages.files(found[package]):
            if member.name in wanted:
                tree.file(wanted[member.name], data, 0o4755 if wanted[member.name] == "bin/busybox" else 0o755)
    for package in LIBRARIES:
        for member, data in packages.files(found[package]):
            _library(tree, member.name, data, member.linkname if member.issym() else "")
    for member, data in packages.files(found["libc6"]):
        if member.name.rpartition("/")[2] in C_LIBRARY and data:
            tree.file(f"lib/{member.name.rpartition('/')[2]}", data, 0o755)
    tree.link("lib64", "lib")
    tree.link("lib/x86_64-linux-gnu", ".")
    _own(tree)
    _applets(tree, found["busybox-static"])
    return tree


def _library(tree: Tree, path: str, data: bytes, target: str) -> None:
    name = path.rpartition("/")[2]
    if ".so." not in name or "lib/x86_64-linux-gnu/" not in path or path.count("/") > 3:
        return
    if target:
        tree.link(f"lib/{name}", target)
    else:
        tree.file(f"lib/{name}", data, 0o755)


def _own(tree: Tree) -> None:
    """What is ours in the guest."""
    source = resources.files("andromede.images.recipes") / "guest"
    for name, path in GUEST.items():
        tree.file(path, (source / name).read_text(), 0o755)
    tree.file("etc/inittab", (source / "inittab").read_text())
    tree.file("etc/profile", (source / "profile").read_text())
    tree.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\ntiny:x:1000:1000:tiny:/home/tiny:/bin/sh\n")
    tree.file("etc/group", "root:x:0:\ntty:x:5:\ndisk:x:6:\ntiny:x:1000:\n")
    tree.file("etc/shadow", "root::19000:0:99999:7:::\ntiny:*:19000:0:99999:7:::\n", 0o600)
    tree.file("etc/shells", "/bin/sh\n")
    tree.file("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    tree.file("etc/hostname", "tiny\n")
    tree.file("etc/resolv.conf", "")
    tree.file("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")
    tree.file("etc/os-release", 'NAME="tiny"\nID=tiny\nVERSION_ID="1"\nPRETTY_NAME="tiny, of Debian packages"\n')
    for kind in ("ext2", "ext3", "ext4"):
        tree.link(f"sbin/mkfs.{kind}", "mke2fs")


def _applets(tree: Tree, package: Path) -> None:
    """A link for every applet of busybox, as the busybox of the package names them."""
    program = package.parent / "busybox"
    program.write_bytes(tree.entries["bin/busybox"].data)
    program.chmod(0o700)
    names = subprocess.run([str(program), "--list"], capture_output=True, check=True, timeout=30).stdout.decode()
    program.unlink()
    sbin = {"init", "poweroff", "reboot", "halt", "udhcpc", "insmod", "switch_root", "blockdev", "acpid", "route"}
    for name in names.split():
        place = f"sbin/{name}" if name in sbin else f"bin/{name}"
        if f"bin/{name}" not in tree.entries and f"sbin/{name}" not in tree.entries:
            tree.link(place, "/bin/busybox")
