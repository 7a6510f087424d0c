"""What must survive a loss of power has its name flushed too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.durable import make_folder
from andromede.engines.disk import DiskEngine
from andromede.identity.keyring import KeyRing
from andromede.keys.custody import write_once
from andromede.ops.layout import Layout, prepare, private_write
from tests.support.clock import FakeClock, FakeIds


@pytest.fixture
def open_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[Path]]:
    """Folders with names that were made or changed and not flushed since."""
    found: set[Path] = set()
    rename, fsync, mkdir, real_open = os.rename, os.fsync, os.mkdir, os.open

    def renamed(old: str | Path, new: str | Path) -> None:
        rename(old, new)
        found.add(Path(new).parent)

    def made(path: str | Path, *rest: int, **more: int) -> None:
        mkdir(path, *rest, **more)
        found.add(Path(path).parent)

    def opened(path: str | Path, flags: int, *rest: int, **more: int) -> int:
        fresh = flags & os.O_CREAT and not os.path.exists(path)
        fd = real_open(path, flags, *rest, **more)
        if fresh:
            found.add(Path(path).parent)
        return fd

    def flushed(fd: int) -> None:
        fsync(fd)
        found.discard(Path(os.readlink(f"/proc/self/fd/{fd}")))

    for name, call in (("rename", renamed), ("fsync", flushed), ("mkdir", made), ("open", opened)):
        monkeypatch.setattr(os, name, call)
    yield found


def test_keys_of_tokens_and_credentials(tmp_path: Path, open_names: set[Path]) -> None:
    ring = KeyRing(tmp_path / "keys" / "credential")
    ring.create(FakeIds())
    assert open_names == set()
    for _ in range(4):
        ring.rotate(FakeIds())
        assert open_names == set()


def test_a_staged_key_is_safe_before_its_name_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a loss of power could keep the second rename and lose the first: and with it the key that signs."""
    ring = KeyRing(tmp_path / "fernet")
    ring.create(FakeIds())
    steps: list[str] = []
    rename, fsync = os.rename, os.fsync
    monkeypatch.setattr(os, "rename", lambda old, new: (steps.append(f"rename {Path(new).name}"), rename(old, new))[1])

    def flushed(fd: int) -> None:
        steps.append(f"flush {Path(os.readlink(f'/proc/self/fd/{fd}')).name}")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", flushed)
    ring.rotate(FakeIds())
    assert steps == ["rename 2", "flush fernet", "flush .0.new", "rename 0", "flush fernet"]


def test_private_files_root_keys_and_folders(tmp_path: Path, open_names: set[Path]) -> None:
    private_write(tmp_path / "clouds.yaml", "x")
    assert open_names == set()
    write_once(tmp_path / "a" / "keys" / "root.json", {"v": 1})
    assert open_names == set()
    make_folder(tmp_path / "b" / "c" / "d")
    assert open_names == set()


def test_the_folders_of_blobs(tmp_path: Path, open_names: set[Path]) -> None:
    DiskEngine(tmp_path / "blobs", "objects-0").close()
    assert open_names == set()


def test_a_first_start_that_the_power_cut_off_may_be_repeated(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "installation.json.part").write_bytes(b"")
    (tmp_path / "run").mkdir()
    assert prepare(Layout(tmp_path), clock, FakeIds())
    assert (tmp_path / "installation.json").exists()
