"""Looking into real files with the real qemu-img; addresses that are and are not followed; what hosts boot from."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andromede.clock import SystemClock
from andromede.engines.images import download, inspector
from andromede.engines.images.download import HttpDownloader, public
from andromede.engines.images.inspector import QemuInspector
from andromede.errors import Conflict, Fatal, Invalid, Unavailable
from andromede.images import sparse
from andromede.images.model import IMAGES
from tests.unit.images.gallery import Gallery

needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
MIB = 1 << 20


def image(folder: Path, *options: str, kind: str = "qcow2", size: str = "64M") -> Path:
    """A file that qemu-img makes."""
    path = folder / f"made.{kind}"
    subprocess.run(["qemu-img", "create", "-q", "-f", kind, *options, str(path), size], check=True)
    return path


def pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(50_000):
            yield piece


@pytest.fixture
def looker(tmp_path: Path) -> QemuInspector:
    return QemuInspector(tmp_path / "looks")


@needs_qemu
@pytest.mark.parametrize("kind", ["qcow2", "vmdk", "vdi", "vpc", "vhdx"])
def test_an_image_that_stands_alone_is_measured(looker: QemuInspector, tmp_path: Path, kind: str) -> None:
    found = looker.inspect(pieces(image(tmp_path, kind=kind)), kind)
    assert 64 * MIB <= found.virtual_size < 65 * MIB
    assert list((tmp_path / "looks").iterdir()) == []


@needs_qemu
def test_an_image_over_another_is_refused(looker: QemuInspector, tmp_path: Path) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(b"secret" * 1000)
    made = image(tmp_path, "-F", "raw", "-b", str(secret))
    with pytest.raises(Invalid, match=r"backing file|could not be read"):
        looker.inspect(pieces(made), "qcow2")


@needs_qemu
def test_an_image_whose_data_lies_elsewhere_is_refused(looker: QemuInspector, tmp_path: Path) -> None:
    made = image(tmp_path, "-o", f"data_file={tmp_path}/data.raw,data_file_raw=on", size="1M")
    (tmp_path / "data.raw").write_bytes(b"secret" * 1000)
    with pytest.raises(Invalid, match=r"another file|could not be read"):
        looker.inspect(pieces(made), "qcow2")


@needs_qemu
def test_a_vmdk_of_several_files_is_refused(looker: QemuInspector, tmp_path: Path) -> None:
    made = image(tmp_path, "-o", "subformat=monolithicFlat", kind="vmdk", size="1M")
    with pytest.raises(Invalid):
        looker.inspect(pieces(made), "vmdk")
    lines = ["# Disk DescriptorFile", "version=1", "CID=1", "parentCID=ffffffff", 'createType="monolithicFlat"',
             'RW 8 FLAT "/etc/passwd" 0', ""]  # fmt: skip
    with pytest.raises(Invalid):
        looker.inspect(iter(["\n".join(lines).encode()]), "vmdk")


@needs_qemu
def test_what_is_not_what_it_says_is_refused(looker: QemuInspector, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="could not be read"):
        looker.inspect(iter([b"no image at all" * 100]), "qcow2")
    with pytest.raises(Invalid, match=r"has .* bytes; at most"):
        looker.inspect(pieces(image(tmp_path, size="17T")), "qcow2")


@needs_qemu
def test_a_run_beyond_its_limits_is_ended(
    looker: QemuInspector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector, "MEMORY", 1 << 20)
    with pytest.raises(Invalid, match="could not be read"):
        looker.inspect(pieces(image(tmp_path)), "qcow2")
    monkeypatch.undo()
    monkeypatch.setattr(inspector, "INFO_SECONDS", 0)
    with pytest.raises(Invalid, match=r"within 0 seconds|limits"):
        looker.inspect(pieces(image(tmp_path)), "qcow2")


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"format": "raw"}, "is raw, not qcow2"),
        ({"format": "qcow2", "backing-filename": "x"}, "backing file"),
        ({"format": "qcow2", "format-specific": {"data": {"data-file": "x"}}}, "another file"),
        ({"format": "qcow2", "encrypted": True}, "encrypted"),
        ({"format": "qcow2"}, "has None bytes"),
    ],
)
def test_what_qemu_tells_is_judged(
    looker: QemuInspector, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], reason: str
) -> None:
    monkeypatch.setattr(inspector, "_run", lambda *words: json.dumps(found).encode())
    with pytest.raises(Invalid, match=reason):
        looker.inspect(iter([b"x"]), "qcow2")


def test_a_machine_without_qemu_says_so(looker: QemuInspector, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*words: Any, **named: Any) -> Any:
        raise FileNotFoundError("prlimit")

    monkeypatch.setattr(subprocess, "run", absent)
    with pytest.raises(Unavailable, match="install qemu-utils"):
        looker.inspect(iter([b"x"]), "qcow2")
    monkeypatch.setattr(inspector, "_run", lambda *words: b"{" * 10)
    with pytest.raises(Invalid, match="too long"):
        looker.inspect(iter([b"x"]), "qcow2")


@needs_qemu
def test_the_runs_have_no_rights(looker: QemuInspector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    seen: list[dict[str, Any]] = []
    plain = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda line, **named: seen.append(named) or plain(line, **named))
    looker.inspect(pieces(image(tmp_path)), "qcow2")
    assert seen[-1]["user"] == seen[-1]["group"] == inspector.NOBODY and seen[-1]["extra_groups"] == []


@needs_qemu
def test_an_image_is_flattened_to_qcow2(looker: QemuInspector, tmp_path: Path) -> None:
    raw = tmp_path / "plain.raw"
    raw.write_bytes(os.urandom(100_000) + bytes(1 << 20) + b"end" * 1000)
    raw.write_bytes(raw.read_bytes().ljust(1_200_128, b"\0"))
    for kind in ("raw", "vdi"):
        made = tmp_path / f"source.{kind}"
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", kind, str(raw), str(made)], check=True)
        target = tmp_path / f"{kind}.qcow2"
        looker.flatten(pieces(made), kind, target)
        assert target.stat().st_mode & 0o777 == 0o600 and target.stat().st_uid == os.geteuid()
        back = tmp_path / "back.raw"
        subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(target), str(back)], check=True)
        assert back.read_bytes()[: raw.stat().st_size].rstrip(b"\0") == raw.read_bytes().rstrip(b"\0")


# --- a disk as a stream


class Disk:
    """Extents by their place."""

    def __init__(self, size: int, held: dict[int, bytes]) -> None:
        self.size, self._held = size, held

    def extents(self) -> Iterator[tuple[int, int]]:
        return iter(sorted((at, len(data)) for at, data in self._held.items()))

    def read(self, at: int, length: int) -> bytes:
        found = bytearray(length)
        for start, data in self._held.items():
            low, high = max(start, at), min(start + len(data), at + length)
            if low < high:
                found[low - at : high - at] = data[low - start : high - start]
        return bytes(found)


DISKS = [
    Disk(MIB, {}),
    Disk(10_000_384, {100: os.urandom(200_000), 300_500: b"x" * 70_000, 9_999_872: b"end" * 10}),
    Disk(3 << 40, {(2 << 40) + 5: os.urandom(300_000), 512: b"a" * 600}),
]


@pytest.mark.parametrize("disk", DISKS)
def test_a_disk_flows_as_qcow2(disk: Disk, tmp_path: Path) -> None:
    length, flow = sparse.qcow2(disk)
    data = b"".join(flow)
    assert len(data) == length and data[:4] == b"QFI\xfb"
    if shutil.which("qemu-img") is None:
        return
    path = tmp_path / "flow.qcow2"
    path.write_bytes(data)
    checked = subprocess.run(["qemu-img", "check", str(path)], capture_output=True, text=True, check=True)
    assert "No errors" in checked.stdout
    if disk.size < 1 << 30:
        subprocess.run(["qemu-img", "convert", "-O", "raw", str(path), str(tmp_path / "raw")], check=True)
        size, whole = sparse.whole(disk)
        plain = b"".join(whole)
        assert len(plain) == size and (tmp_path / "raw").read_bytes()[:size] == plain


# --- fetching


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "240.0.0.1", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "2001:db8::1",
    ],
)  # fmt: skip
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not public(address)


@pytest.mark.parametrize("address", ["9.9.9.9", "151.101.2.132", "2620:fe::fe", "::ffff:9.9.9.9"])
def test_addresses_of_the_internet_are(address: str) -> None:
    assert public(address)


def told(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """What every name leads to."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *words, **named: found)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "only http and https"), ("ftp://x/", "only http"), ("http:///x", "only http"),
        ("http://u:p@host/", "user name"), ("http://host:22/", "port 22"), ("http://host:99999/", "no URL"),
        ("http://[::1/", "no URL"), ("http://host/", "not public"),
    ],
)  # fmt: skip
def test_urls_that_lead_elsewhere_are_refused(monkeypatch: pytest.MonkeyPatch, url: str, reason: str) -> None:
    told(monkeypatch, "9.9.9.9", "10.0.0.1")
    with pytest.raises(Invalid, match=reason):
        HttpDownloader(SystemClock()).resolve(url)


def test_a_host_without_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*words: Any, **named: Any) -> Any:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    with pytest.raises(Invalid, match=r"does-not\.exist has no address"):
        HttpDownloader(SystemClock()).resolve("http://does-not.exist/x")


def test_the_address_that_was_looked_at_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, "9.9.9.9")
    place = HttpDownloader(SystemClock()).resolve("https://host/a?b=c")
    assert place == download.Place("https", "host", 443, "/a?b=c", "9.9.9.9")
    asked: list[Any] = []

    def connect(where: Any, seconds: float) -> Any:
        asked.append(where)
        raise OSError("no way")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(Invalid, match="host cannot be reached"), HttpDownloader(SystemClock()).open("https://host/"):
        pass
    assert asked == [("9.9.9.9", 443)]


class Pages(http.server.BaseHTTPRequestHandler):
    """A few pages, good and bad."""

    def do_GET(self) -> None:
        if self.path == "/image":
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(b"i" * 5000)
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(b"i" * 10)
        elif self.path == "/nonsense":
            self.wfile.write(b"\0\1\2\r\n\r\n")
        elif self.path in ("/once", "/loop"):
            self.send_response(302)
            self.send_header("Location", "/image" if self.path == "/once" else "/loop")
            self.end_headers()
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def pages() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_is_fetched_with_its_length(pages: str) -> None:
    for path in ("/image", "/once"):
        with HttpDownloader(SystemClock(), private=True).open(pages + path) as body:
            found, part = bytearray(), bytearray(700)
            assert body.length == 5000
            while count := body.readinto(memoryview(part)):
                found += part[:count]
        assert found == b"i" * 5000
    with pytest.raises(Invalid, match=r"port|not public"), HttpDownloader(SystemClock()).open(pages + "/image"):
        pass


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/none", "answered 404"), ("/loop", "redirect"), ("/nonsense", "no answer that could be read")],
)
def test_pages_that_give_nothing_are_refused(pages: str, path: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason), HttpDownloader(SystemClock(), private=True).open(pages + path):
        pass


def test_a_body_has_its_time(pages: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "WHOLE_SECONDS", -1.0)
    with HttpDownloader(SystemClock(), private=True).open(pages + "/image") as body:
        with pytest.raises(Invalid, match="longer than the longest"):
            body.readinto(memoryview(bytearray(10)))


# --- what hosts boot from


def test_an_open_image_becomes_a_lasting_base(gallery: Gallery) -> None:
    data = b"QFI\xfb\0\0\0\3" + bytes(16) + (1 << 20).to_bytes(8, "big") + bytes(300)
    shown = gallery.filled(data, gallery.cloud.admin, disk_format="qcow2", visibility="public")
    path = gallery.bases.local(shown["id"])
    assert path.read_bytes() == data and path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"kept")
    assert gallery.bases.local(shown["id"]).read_bytes() == b"kept", "made once"
    with gallery.bases.source(shown["id"]) as base:
        assert (base.path, base.format) == (path, "qcow2")
    gallery.bases.sweep()
    assert path.exists()
    gallery.do("DELETE", shown["self"], who=gallery.cloud.admin)
    gallery.bases.sweep()
    assert not path.exists()


def test_a_flat_image_becomes_a_qcow2_base(gallery: Gallery) -> None:
    shown = gallery.filled(b"flat", gallery.cloud.admin, disk_format="raw", visibility="public")
    assert gallery.bases.local(shown["id"]).read_bytes() == b"flat raw flat"


def test_a_private_image_is_there_for_the_time_of_a_copy(gallery: Gallery) -> None:
    shown = gallery.filled(b"flat", disk_format="raw", visibility="private")
    with pytest.raises(Conflict, match="it is copied, never kept in clear"):
        gallery.bases.local(shown["id"])
    with gallery.bases.source(shown["id"]) as base:
        assert base.format == "raw" and base.path.read_bytes() == b"flat" and base.path.stat().st_mode & 0o777 == 0o600
    assert not base.path.parent.exists()
    vmdk = gallery.filled(b"KDMV" + bytes(600), disk_format="vmdk")
    with gallery.bases.source(vmdk["id"]) as base:
        assert base.format == "qcow2" and base.path.read_bytes().startswith(b"flat vmdk KDMV")


def test_a_base_that_lies_under_a_disk_stays(gallery: Gallery) -> None:
    shown = gallery.filled(b"flat", gallery.cloud.admin, visibility="community")
    path = gallery.bases.local(shown["id"])
    gallery.bases._in_use = lambda where: where == path
    gallery.bases.drop(shown["id"])
    assert path.exists()
    gallery.bases._in_use = lambda where: False
    gallery.bases.drop(shown["id"])
    assert not path.exists()


def test_damaged_data_makes_no_base(gallery: Gallery) -> None:
    shown = gallery.filled(b"flat", gallery.cloud.admin, disk_format="raw", visibility="public")
    with gallery.cloud.db.write() as tx:
        IMAGES.update(tx, {"id": shown["id"]}, os_hash_value="0" * 128, disk_format="qcow2")
    with pytest.raises(Fatal, match="has not the hash of its row"):
        gallery.bases.local(shown["id"])
    folder = gallery.bases._folder
    assert [path.name for path in folder.iterdir() if not path.name.endswith(".lock")] == []


def test_what_a_killed_process_left_is_cleared(gallery: Gallery) -> None:
    folder = gallery.bases._folder
    (folder / ".passing-x").mkdir(parents=True)
    (folder / ".passing-x" / "disk").write_bytes(b"clear")
    (folder / "half.new").write_bytes(b"half")
    gallery.bases.clear()
    assert list(folder.iterdir()) == []
