"""Swap areas and file systems for disks of servers."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from andromede.engines import formatting
from andromede.errors import Fatal, Unavailable

NAME = "6f5902ac-2378-49c9-a1a0-000000000001"
HERE = shutil.which("mke2fs", path=formatting._PATH)


def test_a_swap_area(tmp_path: Path) -> None:
    with formatting.made("swap", 8 << 20, NAME) as file:
        assert file.stat().st_size == 8 << 20
        page = file.read_bytes()[:4096]
        assert page[-10:] == b"SWAPSPACE2"
        assert struct.unpack_from("<III", page, 1024) == (1, 2047, 0)
        assert sum(len(data) for _, data in formatting.pieces(file)) <= 64 << 10, "holes are left out"
    assert not file.exists()


@pytest.mark.skipif(HERE is None, reason="mke2fs (package e2fsprogs) is not here")
@pytest.mark.parametrize("form", ["ext2", "ext3", "ext4"])
def test_a_file_system(form: str, tmp_path: Path) -> None:
    with formatting.made(form, 64 << 20, NAME) as file:
        copy = tmp_path / "copy"
        with copy.open("wb") as out:
            out.truncate(64 << 20)
            for at, data in formatting.pieces(file):
                out.seek(at)
                out.write(data)
        assert copy.read_bytes() == file.read_bytes()
    head = copy.read_bytes()[1024:2048]
    assert head[56:58] == b"\x53\xef"
    assert head[120:136].rstrip(b"\0") == b"ephemeral0"
    assert head[104:120].hex() == NAME.replace("-", "")


def test_what_cannot_be_formatted_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*words: object, **more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "mke2fs: no room\n")

    monkeypatch.setattr(formatting.shutil, "which", lambda name, path: "mke2fs")
    monkeypatch.setattr(formatting.subprocess, "run", fails)
    with (
        pytest.raises(Fatal, match="could not make a file system of type ext4"),
        formatting.made("ext4", 1 << 20, NAME),
    ):
        pass
    monkeypatch.setattr(formatting.shutil, "which", lambda name, path: None)
    with pytest.raises(Unavailable, match="e2fsprogs"), formatting.made("ext4", 1 << 20, NAME):
        pass


def test_an_empty_file_has_no_pieces(tmp_path: Path) -> None:
    hole = tmp_path / "hole"
    with hole.open("wb") as out:
        out.truncate(1 << 20)
    assert list(formatting.pieces(hole)) == []
