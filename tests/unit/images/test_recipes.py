"""The recipes of images, with Debian's programs told what to do: which files go where, and in what order."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from andromede.errors import Unavailable
from andromede.images.recipes import debian, disk, packages, tiny

KERNEL = "6.1.0-1-cloud-amd64"


def member(name: str, data: bytes = b"", link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    if link:
        info.type, info.linkname = tarfile.SYMTYPE, link
    return info, data


CONTENT: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
    f"linux-image-{KERNEL}": [
        member(f"boot/vmlinuz-{KERNEL}", b"kernel"), member(f"lib/modules/{KERNEL}/kernel/virtio_blk.ko", b"module"),
        member(f"lib/modules/{KERNEL}/kernel/other.ko", b"other"),
    ],
    "libc6": [member("lib/x86_64-linux-gnu/libc.so.6", b"libc"), member("lib/x86_64-linux-gnu/libother.so.1", b"no")],
    "syslinux-common": [member("usr/lib/syslinux/mbr/mbr.bin", b"boot code")],
    "libgmp10": [
        member("usr/lib/x86_64-linux-gnu/libgmp.so.10.4.1", b"gmp"),
        member("usr/lib/x86_64-linux-gnu/libgmp.so.10", link="libgmp.so.10.4.1"),
        member("usr/share/doc/libgmp10/readme", b"no"),
    ],
    "busybox-static": [member("bin/busybox", b"#!/bin/sh\necho init; echo ls; echo nc; echo sh\n")],
    "dash": [member("bin/dash", b"dash")],
}  # fmt: skip


class Debian:
    """Stands in for apt, dpkg and the tools of disks; every command line is kept."""

    def __init__(self) -> None:
        self.lines: list[list[str]] = []

    def run(self, argv: list[str], folder: Path, seconds: float = 0) -> bytes:
        self.lines.append(argv)
        if argv[0] == "apt-cache":
            return f"linux-image-cloud-amd64\n  Depends: linux-image-{KERNEL}\n".encode()
        if argv[0] == "qemu-img":
            Path(argv[-1]).write_bytes(b"compressed")
        elif argv[0] == "mmdebstrap":
            with tarfile.open(folder / argv[-1], "w") as archive:
                for path in ("boot/vmlinuz-6.1", "boot/initrd.img-6.1", "etc/ssh/ssh_host_rsa_key", "etc/machine-id",
                             "usr/share/doc/x/y", "usr/share/man/m", "usr/share/locale/l", "var/cache/apt/a",
                             "var/lib/apt/lists/l", "etc/cloud/cloud.cfg.d/05_logging.cfg"):  # fmt: skip
                    info, data = member(path, path.encode())
                    archive.addfile(info, io.BytesIO(data))
        elif argv[0] == "tar":
            with tarfile.open(folder / argv[-1]) as archive:
                archive.extractall(folder / "root")
        return b""

    def fetch(self, names: list[str], folder: Path) -> list[Path]:
        return [folder / f"{name}.deb" for name in names]

    def files(self, package: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        yield from CONTENT.get(package.stem, [])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Debian:
    made = Debian()
    monkeypatch.setattr(packages, "wanted", lambda programs: None)
    for name in ("run", "fetch", "files"):
        monkeypatch.setattr(packages, name, getattr(made, name))
    return made


def test_tiny_is_laid_out(told: Debian, tmp_path: Path) -> None:
    said: list[str] = []
    tiny.build(tmp_path, tmp_path / "tiny.qcow2", said.append)
    assert (tmp_path / "tiny.qcow2").read_bytes() == b"compressed" and len(said) == 4
    assert (tmp_path / "vmlinuz").read_bytes() == b"kernel" and (tmp_path / "initrd.gz").stat().st_size > 1000
    assert "INITRD initrd.gz" in (tmp_path / "syslinux.cfg").read_text()
    assert [line[0] for line in told.lines if line[0] != "apt-cache"] == [
        "mformat", "syslinux", "mcopy", "mcopy", "mcopy", "qemu-img",
    ]  # fmt: skip


def test_the_tree_of_tiny_holds_what_was_wanted_and_no_more(told: Debian, tmp_path: Path) -> None:
    found = {name: tmp_path / f"{name}.deb" for name in (*CONTENT, *tiny.BINARIES, *tiny.LIBRARIES)}
    tree = tiny._system(found)
    assert tiny._take_kernel(tree, found[f"linux-image-{KERNEL}"], KERNEL) == b"kernel"
    entries = tree.entries
    assert entries["lib/libgmp.so.10"].data == b"libgmp.so.10.4.1" and entries["lib/libgmp.so.10.4.1"].data == b"gmp"
    assert entries["lib/libc.so.6"].data == b"libc" and "lib/libother.so.1" not in entries
    assert entries["lib/modules/virtio_blk.ko"].data == b"module" and "lib/modules/other.ko" not in entries
    assert entries["bin/sh"].data == b"dash", "no applet takes the place of a program"
    assert entries["sbin/init"].data == entries["bin/ls"].data == b"/bin/busybox" and "bin/init" not in entries
    assert entries["bin/nc"].data.startswith(b"#!/bin/sh") and entries["bin/curl"].data.startswith(b"#!/bin/sh")
    assert entries["bin/busybox"].mode & 0o7777 == 0o4755


@pytest.mark.parametrize(("words", "told", "code"), [
    ("http://x/a", "wget -q -Y off -O - http://x/a", 0),
    ("-sSf -k -A me -H a:b -m 5 -o f http://x", "timeout 5 busybox wget -q -Y off -O f -U me --header a:b "
     "--no-check-certificate http://x", 0),
    ("-X POST -d data http://x", "wget -q -Y off -O - --post-data data http://x", 0),
    ("-X POST http://x", "wget -q -Y off -O - --post-data  http://x", 0),
    ("-X PUT http://x", "curl: (1) this guest's curl knows GET and POST, not PUT", 1),
    ("-I http://x", "curl: (2) this guest's curl does not know -I", 2),
    ("-s", "curl: (2) no URL specified", 2), ("-V", "curl of tiny, over wget of busybox", 0),
])  # fmt: skip
def test_curl_of_tiny_is_wget(tmp_path: Path, words: str, told: str, code: int) -> None:
    box = tmp_path / "busybox"
    box.write_text('#!/bin/sh\necho "$@"\n')
    box.chmod(0o700)
    script = resources.files("andromede.images.recipes") / "guest" / "curl"
    done = subprocess.run(
        ["/bin/sh", "-s", "--", *words.split()], input=script.read_text(), capture_output=True, text=True, check=False,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )  # fmt: skip
    assert (sorted((done.stdout + done.stderr).split()), done.returncode) == (sorted(told.split()), code)


def test_files_that_came_along_are_written_once_for_each_server(tmp_path: Path) -> None:
    drive, root = tmp_path / "drive", tmp_path / "root"
    (drive / "openstack" / "content").mkdir(parents=True)
    contents = {"/etc/a b.conf": "one\n", "two": "no end of line"}
    for number, text in enumerate(contents.values()):
        (drive / "openstack" / "content" / f"{number:04d}").write_text(text)
    script = resources.files("andromede.images.recipes") / "guest" / "given"

    def boot(uuid: str) -> None:
        files = [{"path": path, "content_path": f"/content/{n:04d}"} for n, path in enumerate(contents)]
        (tmp_path / "meta").write_text(json.dumps({"uuid": uuid, "name": "x", "files": files, "keys": []}))
        words = ["/bin/sh", "-s", "--", str(tmp_path / "meta"), str(drive), str(root)]
        subprocess.run(words, input=script.read_text(), text=True, check=True)

    boot("first")
    assert [(root / path.lstrip("/")).read_text() for path in contents] == list(contents.values())
    (root / "two").write_text("changed in the guest")
    boot("first")
    assert (root / "two").read_text() == "changed in the guest"
    boot("second")
    assert (root / "two").read_text() == "no end of line"


def test_debian_is_laid_out(told: Debian, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    roots: list[list[str]] = []

    def keep(root: Path, raw: Path) -> None:
        roots.append(sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()))
        assert raw.stat().st_size == debian.SIZE
        with raw.open("rb") as file:
            assert file.read(512)[440:444] == b"AN12"
        plain(root, raw)

    plain = debian._root
    monkeypatch.setattr(debian, "_root", keep)
    debian.build(tmp_path, tmp_path / "debian.qcow2", lambda text: None)
    assert roots == [["etc/cloud/cloud.cfg.d/05_logging.cfg", *sorted(debian.WRITTEN)]]
    assert (tmp_path / "vmlinuz").read_bytes() == b"boot/vmlinuz-6.1"
    lines = {line[0]: line for line in told.lines}
    assert "cloud-init" in lines["mmdebstrap"][3] and "rng-tools5" in lines["mmdebstrap"][3]
    assert f"seek={debian.ROOT_AT // disk.MIB}" in lines["dd"]
    assert {entry.name for entry in tmp_path.iterdir()} == {"vmlinuz", "initrd.img", "syslinux.cfg", "debian.qcow2"}


def test_debian_is_built_by_root_alone(told: Debian, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match="built by root alone"):
        debian.build(tmp_path, tmp_path / "debian.qcow2", lambda text: None)


def test_packages_are_fetched_in_the_newest_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = packages.run

    def run(argv: list[str], folder: Path, seconds: float = 0) -> bytes:
        if argv[0] == "apt-get":
            (folder / "one_1_amd64.deb").write_bytes(b"")
            (folder / "one_2_amd64.deb").write_bytes(b"")
        return b""

    monkeypatch.setattr(packages, "run", run)
    assert packages.fetch(["one"], tmp_path) == [tmp_path / "one_2_amd64.deb"]
    monkeypatch.setattr(packages, "run", lambda argv, folder, seconds=0: plain(["false"], folder))
    with pytest.raises(Unavailable, match="run: apt-get update"):
        packages.fetch(["one"], tmp_path)


def test_a_package_is_read_without_unpacking_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for info, data in (member("./bin/x", b"text"), member("./bin/y", link="x")):
            archive.addfile(info, io.BytesIO(data))
        folder = tarfile.TarInfo("./bin")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    monkeypatch.setattr(packages, "run", lambda argv, folder, seconds=0: raw.getvalue())
    found = [(info.name, info.linkname, data) for info, data in packages.files(tmp_path / "x.deb")]
    assert found == [("bin/x", "", b"text"), ("bin/y", "x", b"")]
