"""One contract for every engine of disks: the twin in memory, and qcow2 files with LUKS inside. The latter needs
qemu-img and qemu-nbd, and no rights."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from andromede.engines import formatting
from andromede.engines.memory_disks import MemoryDisks
from andromede.engines.qcow2 import layout
from andromede.engines.qcow2.engine import Qcow2Engine
from andromede.engines.qcow2.tool import Command, explained, run, secret
from andromede.errors import Fatal, Invalid, NoCapacity, NotFound, Unavailable
from andromede.ids import RandomIds
from andromede.volumes.engine import GIB, BlockEngine, Disk, Source

MIB = 1 << 20
IDS = RandomIds()
needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-img") is None or shutil.which("qemu-nbd") is None, reason="qemu-utils is not installed"
)
MARK = b"this is known plain text, "


def new(size: int = 64 * MIB, base: Source | None = None) -> Disk:
    return Disk(IDS.dashed(), size, base64.b64encode(IDS.secret(32)).decode(), base)


@pytest.fixture
def real(tmp_path: Path) -> Qcow2Engine:
    return Qcow2Engine(tmp_path / "volumes", IDS, least_free=0.0)


@pytest.fixture(params=["memory", pytest.param("qcow2", marks=needs_qemu)])
def engine(request: pytest.FixtureRequest) -> BlockEngine:
    made: BlockEngine = MemoryDisks() if request.param == "memory" else request.getfixturevalue("real")
    return made


def fill(engine: BlockEngine, disk: Disk, at: int, data: bytes) -> None:
    with engine.plain(disk, writable=True) as raw:
        raw.write(at, data)


def bytes_of(engine: BlockEngine, disk: Disk, at: int, length: int) -> bytes:
    with engine.plain(disk) as raw:
        return raw.read(at, length)


def test_a_new_disk_is_empty_and_making_it_again_changes_nothing(engine: BlockEngine) -> None:
    disk = new(GIB)
    assert engine.observe(disk.id) is None
    engine.ensure(disk)
    with engine.plain(disk) as raw:
        assert raw.size == GIB
        assert list(raw.extents()) == []
        assert raw.read(GIB - 4096, 4096) == bytes(4096)
    fill(engine, disk, 5 * MIB, MARK * 1000)
    engine.ensure(disk)
    assert bytes_of(engine, disk, 5 * MIB, len(MARK)) == MARK
    found = engine.observe(disk.id)
    assert found is not None and found.size == GIB and 0 < found.stored < 8 * MIB and not found.in_use
    assert engine.names() == [disk.id]


def test_extents_tell_where_bytes_are_and_zeroes_give_room_back(engine: BlockEngine) -> None:
    disk = new(256 * MIB)
    engine.ensure(disk)
    fill(engine, disk, 0, b"a" * MIB)
    fill(engine, disk, 200 * MIB, b"b" * (20 * MIB))
    with engine.plain(disk, writable=True) as raw:
        assert sum(length for _, length in raw.extents()) == 21 * MIB
        assert raw.read(199 * MIB, 22 * MIB) == bytes(MIB) + b"b" * (20 * MIB) + bytes(MIB)
        raw.write(200 * MIB, bytes(20 * MIB))
    with engine.plain(disk) as raw:
        assert next(start for start, _ in raw.extents()) == 0
        assert sum(length for _, length in raw.extents()) == MIB


def test_a_disk_grows_and_never_shrinks(engine: BlockEngine) -> None:
    disk = new()
    engine.ensure(disk)
    fill(engine, disk, 1000, MARK)
    larger = Disk(disk.id, 128 * MIB, disk.passphrase)
    for _ in range(2):
        engine.resize(larger)
        found = engine.observe(disk.id)
        assert found is not None and found.size == 128 * MIB
    engine.resize(disk)
    assert bytes_of(engine, larger, 128 * MIB - 512, 512) == bytes(512)
    assert bytes_of(engine, larger, 1000, len(MARK)) == MARK


def test_a_copy_is_independent_and_may_be_larger(engine: BlockEngine) -> None:
    source, target = new(), new(96 * MIB)
    engine.ensure(source)
    fill(engine, source, 10 * MIB, MARK * 10_000)
    engine.copy(source, target)
    fill(engine, source, 10 * MIB, b"changed")
    engine.copy(source, target)  # it is there: nothing happens
    assert bytes_of(engine, target, 10 * MIB, len(MARK)) == MARK
    engine.remove(source.id)
    engine.remove(source.id)
    assert engine.observe(source.id) is None
    with engine.plain(target) as raw:
        assert raw.size == 96 * MIB and raw.read(10 * MIB, len(MARK) * 10_000) == MARK * 10_000
    with pytest.raises(NotFound):
        engine.copy(source, new())


def test_an_image_becomes_a_disk(engine: BlockEngine, tmp_path: Path) -> None:
    image, disk = tmp_path / "image.raw", new()
    image.write_bytes(MARK * 50_000 + bytes(-len(MARK) * 50_000 % 512))
    for _ in range(2):
        engine.load(disk, Source(image, "raw"))
    assert bytes_of(engine, disk, 0, len(MARK) * 50_000) == MARK * 50_000
    with pytest.raises(NotFound):
        engine.load(new(), Source(tmp_path / "absent", "raw"))


def test_the_wrong_key_opens_nothing(engine: BlockEngine) -> None:
    disk = new()
    engine.ensure(disk)
    stranger = Disk(disk.id, disk.size, new().passphrase)
    with pytest.raises(Fatal), engine.plain(stranger):
        pass
    with pytest.raises(Fatal):
        engine.copy(stranger, new())


def test_what_is_not_there_is_said(engine: BlockEngine) -> None:
    with pytest.raises(NotFound):
        engine.resize(new())
    with pytest.raises(NotFound):
        engine.open(new())
    with pytest.raises(NotFound), engine.plain(new()):
        pass
    assert 0 < engine.room().free <= engine.room().total


def test_open_gives_descriptors(engine: BlockEngine) -> None:
    disk = new()
    engine.ensure(disk)
    opened = engine.open(disk)
    assert [(layer.role, layer.writable, layer.passphrase) for layer in opened.layers] == [
        ("disk", True, disk.passphrase)
    ]
    opened.close()
    assert disk.passphrase not in repr(opened) + repr(disk)


# --- the real engine alone


@needs_qemu
def test_files_hold_no_plain_text_and_are_sound(real: Qcow2Engine, tmp_path: Path) -> None:
    disk, copied = new(), new()
    real.ensure(disk)
    fill(real, disk, 0, MARK * 40_000)
    real.copy(disk, copied)
    for one in (disk, copied):
        path = tmp_path / "volumes" / f"{one.id}.qcow2"
        assert path.stat().st_mode & 0o777 == 0o600
        held = path.read_bytes()
        assert MARK not in held and one.passphrase.encode() not in held and len(held) > len(MARK) * 40_000
        with secret(one.passphrase) as fd:
            options = f"driver=qcow2,encrypt.format=luks,encrypt.key-secret=s,file.filename={path}"
            line = ["qemu-img", "check", "--object", f"secret,id=s,format=raw,file=/dev/fd/{fd}", "--image-opts"]
            subprocess.run([*line, options], pass_fds=[fd], check=True, capture_output=True)
    first = (tmp_path / "volumes" / f"{disk.id}.qcow2").read_bytes()
    second = (tmp_path / "volumes" / f"{copied.id}.qcow2").read_bytes()
    assert first[4 * layout.CLUSTER + 112 :][:20] != second[4 * layout.CLUSTER + 112 :][:20]  # digests of volume keys
    assert (tmp_path / "volumes").stat().st_mode & 0o777 == 0o700


@needs_qemu
def test_the_head_is_overwritten_before_a_file_goes(real: Qcow2Engine, tmp_path: Path) -> None:
    disk = new()
    real.ensure(disk)
    fill(real, disk, 0, MARK * 1000)
    path = tmp_path / "volumes" / f"{disk.id}.qcow2"
    with open(path, "rb") as kept:
        real.remove(disk.id)
        assert kept.read(2 * MIB) == bytes(2 * MIB)


@needs_qemu
def test_an_overlay_shows_its_base_and_leaves_it_alone(real: Qcow2Engine, tmp_path: Path) -> None:
    raw_image, image = tmp_path / "i.raw", tmp_path / "base,1.qcow2"
    raw_image.write_bytes(MARK * 20_000 + bytes(-len(MARK) * 20_000 % 512))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw_image, image], check=True)
    kept = real.keep(Source(image))
    assert real.keep(Source(image)) == kept
    image.unlink()  # the image goes, the disk stays
    base = kept.path
    before = base.read_bytes()
    disk = new(64 * MIB, kept)
    real.ensure(disk)
    assert bytes_of(real, disk, 0, len(MARK)) == MARK
    fill(real, disk, 0, b"mine")
    assert bytes_of(real, disk, 0, 8) == b"mine" + MARK[4:8]
    assert base.read_bytes() == before
    opened = real.open(disk)
    assert [(layer.role, layer.writable) for layer in opened.layers] == [("disk", True), ("base", False)]
    opened.close()
    flat = new(64 * MIB)
    real.copy(disk, flat)
    real.release(kept)
    real.release(Source(raw_image))
    assert not base.exists() and raw_image.exists()
    assert bytes_of(real, flat, 0, 8) == b"mine" + MARK[4:8]
    with pytest.raises(NotFound):
        real.open(disk)
    with pytest.raises(NotFound):
        real.keep(Source(image))


@needs_qemu
def test_a_sealed_base_shows_through(real: Qcow2Engine, tmp_path: Path) -> None:
    below = new()
    real.ensure(below)
    fill(real, below, 4096, MARK)
    base = Source(tmp_path / "volumes" / f"{below.id}.qcow2", "qcow2", below.passphrase)
    disk = new(64 * MIB, base)
    real.ensure(disk)
    assert bytes_of(real, disk, 4096, len(MARK)) == MARK


@needs_qemu
def test_a_disk_that_a_process_has_open_is_left_alone(real: Qcow2Engine) -> None:
    disk = new()
    real.ensure(disk)
    with real.plain(disk, writable=True) as raw:
        raw.write(0, MARK)
        found = real.observe(disk.id)
        assert found is not None and found.in_use
        for attempt in (
            lambda: real.remove(disk.id),
            lambda: real.copy(disk, new()),
            lambda: real.resize(Disk(disk.id, 128 * MIB, disk.passphrase)),
        ):
            with pytest.raises(Unavailable) as refused:
                attempt()
            assert refused.value.reason == "in_use"
    assert bytes_of(real, disk, 0, len(MARK)) == MARK
    found = real.observe(disk.id)
    assert found is not None and not found.in_use


@needs_qemu
def test_a_copy_that_was_cut_off_is_made_again(real: Qcow2Engine, tmp_path: Path) -> None:
    disk = new()
    (tmp_path / "volumes" / f"{disk.id}.part").write_bytes(b"half")
    real.ensure(disk)
    assert bytes_of(real, disk, 0, 16) == bytes(16)
    assert not list((tmp_path / "volumes").glob("*.part"))


@needs_qemu
def test_a_full_host_takes_no_new_disks(tmp_path: Path) -> None:
    engine = Qcow2Engine(tmp_path / "volumes", IDS, least_free=1.0)
    with pytest.raises(NoCapacity, match="MiB of storage left"):
        engine.ensure(new())
    assert engine.names() == []


def test_a_copy_that_fails_leaves_no_file(real: Qcow2Engine, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        real.copy(new(), new())
    assert list((tmp_path / "volumes").iterdir()) == []


def test_ids_are_no_paths(tmp_path: Path) -> None:
    engine = Qcow2Engine(tmp_path / "volumes", IDS)
    for name in ("", "../x", "A", "a/b"):
        with pytest.raises(Invalid):
            engine.observe(name)


def test_sizes_have_bounds(tmp_path: Path) -> None:
    for size in (0, -1, layout.LARGEST + 1):
        with pytest.raises(Invalid):
            layout.write(tmp_path / "x", size, b"k", IDS)
    with pytest.raises(Invalid):
        layout.write(tmp_path / "x", 1, b"k", IDS, ("/" + "x" * 2000, "qcow2"))


def test_what_is_no_disk_is_seen(tmp_path: Path) -> None:
    engine = Qcow2Engine(tmp_path / "volumes", IDS)
    (tmp_path / "volumes" / "ab.qcow2").write_bytes(b"short")
    found = engine.observe("ab")
    assert found is not None and found.size == 0


def test_failures_of_the_tool_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(explained("write failed: No space left on device", "x"), NoCapacity)
    assert isinstance(explained("anything", "x"), Unavailable)
    tool = tmp_path / "qemu-img"
    tool.write_text("#!/bin/sh\nexec sleep 5\n")
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    from contextlib import ExitStack

    with ExitStack() as stack:
        with pytest.raises(Unavailable, match="took longer"):
            run(Command(stack), ["info"], "x", 0.2)
        monkeypatch.setenv("PATH", "/nonexistent")
        with pytest.raises(Unavailable, match="cannot be run"):
            run(Command(stack), ["info"], "x")


@needs_qemu
def test_a_reader_that_cannot_start_is_said(real: Qcow2Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = new()
    real.ensure(disk)
    broken = tmp_path / "qemu-nbd"
    broken.write_text("#!/bin/sh\necho no luck >&2\nexit 1\n")
    broken.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Unavailable), real.plain(disk):
        pass


@pytest.mark.skipif(
    shutil.which("mke2fs", path=formatting._PATH) is None or shutil.which("e2fsck", path=formatting._PATH) is None,
    reason="mke2fs and e2fsck (package e2fsprogs) are not here",
)
def test_a_disk_is_formatted_and_its_file_system_is_sound(engine: BlockEngine, tmp_path: Path) -> None:
    disk = new(300 * MIB)
    engine.ensure(disk)
    for _ in range(2):  # a step may be repeated
        with formatting.made("ext4", disk.size, disk.id) as file, engine.plain(disk, writable=True) as raw:
            for at, data in formatting.pieces(file):
                raw.write(at, data)
    found = engine.observe(disk.id)
    assert found is not None and found.stored < 40 * MIB, "what is empty takes no room"
    copy = tmp_path / "copy"
    with engine.plain(disk) as raw, copy.open("wb") as out:
        out.truncate(disk.size)
        for start, length in raw.extents():
            out.seek(start)
            out.write(raw.read(start, length))
    checker = shutil.which("e2fsck", path=formatting._PATH) or ""
    done = subprocess.run([checker, "-f", "-n", str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
