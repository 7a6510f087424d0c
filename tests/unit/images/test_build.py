"""The parts of image building that need no Debian: file system in memory, boot record, shelf."""

import json
import stat
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.errors import Invalid, Unavailable
from andromede.images.recipes import disk, packages, shelf, tiny
from andromede.images.recipes.shelf import Recipe, Shelf
from andromede.images.recipes.tree import Tree
from tests.support.clock import FakeClock


def silent(text: str) -> None:
    """Nobody is told."""


def records(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Path, mode and content of each record of a newc archive."""
    at = 0
    while at < len(data):
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name = data[at + 110 : at + 110 + fields[11] - 1].decode()
        body = (at + 110 + fields[11] + 3) // 4 * 4
        yield name, fields[1], data[body : body + fields[6]]
        at = (body + fields[6] + 3) // 4 * 4


def test_a_tree_is_an_archive_of_its_files_links_and_folders() -> None:
    tree = Tree()
    tree.folder("tmp", 0o1777)
    tree.file("bin/sh", "text", 0o4755)
    tree.link("sbin/init", "/bin/sh")
    tree.folder("tmp", 0o700)
    found = {name: (mode, data) for name, mode, data in records(b"".join(tree.cpio()))}
    assert found == {
        "bin": (stat.S_IFDIR | 0o755, b""),
        "bin/sh": (stat.S_IFREG | 0o4755, b"text"),
        "sbin": (stat.S_IFDIR | 0o755, b""),
        "sbin/init": (stat.S_IFLNK | 0o777, b"/bin/sh"),
        "tmp": (stat.S_IFDIR | 0o1777, b""),
        "TRAILER!!!": (0, b""),
    }


def test_the_boot_record_holds_code_signature_and_partitions() -> None:
    record = disk.boot_record(b"code", b"TINY", [disk.Part(disk.FAT16, 2048, 100), disk.Part(disk.LINUX, 4096, 7)])
    assert len(record) == 512 and record.startswith(b"code\0") and record.endswith(b"\x55\xaa")
    assert record[440:446] == b"TINY\0\0"
    first, second = (struct.unpack("<B3xB3xII", record[at : at + 16]) for at in (446, 462))
    assert first == (0x80, disk.FAT16, 2048, 100)
    assert second == (0, disk.LINUX, 4096, 7)


def test_the_scripts_of_the_guest_are_shell(tmp_path: Path) -> None:
    root = shelf.resources.files("andromede.images.recipes") / "guest"
    scripts = [entry for entry in root.iterdir() if entry.read_text().startswith("#!")]
    assert {entry.name for entry in scripts} == {*tiny.GUEST}
    for entry in scripts:
        (tmp_path / entry.name).write_text(entry.read_text())
        subprocess.run(["sh", "-n", str(tmp_path / entry.name)], check=True)


def test_programs_that_fail_hang_or_are_missing_are_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"without nothing-such; run: apt-get install .* nothing-such"):
        packages.wanted([("sh", "dash"), ("no-such-program", "nothing-such")])
    with pytest.raises(Unavailable, match=r"sh failed with exit code 3: sorry"):
        packages.run(["sh", "-c", "echo sorry >&2; exit 3"], tmp_path)
    with pytest.raises(Unavailable, match="did not end within 0 seconds"):
        packages.run(["sleep", "5"], tmp_path, 0.05)
    assert packages.run(["pwd"], tmp_path).decode().strip() == str(tmp_path)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A recipe `toy` of one text; its builds are counted."""
    done: list[Path] = []

    def build(folder: Path, target: Path, say: packages.Say) -> None:
        say("working")
        target.write_bytes(b"image %d" % len(done))
        done.append(folder)

    monkeypatch.setitem(shelf.RECIPES, "toy", Recipe(build, ("tree.py", "guest")))  # type: ignore[arg-type]
    return done


def test_a_recipe_runs_once_and_again_when_asked(tmp_path: Path, builds: list[Path]) -> None:
    clock = FakeClock()
    shop, told = Shelf(tmp_path / "shelf", clock), list[str]()
    first = shop.get("toy", told.append)
    assert told == ["working"] and first.path.read_bytes() == b"image 0" and first.size == 7
    assert Shelf(tmp_path / "shelf", clock).get("toy", told.append) == first
    assert len(builds) == 1 and not builds[0].exists()
    clock.advance(60)
    second = shop.get("toy", silent, fresh=True)
    assert second.path == first.path and second.path.read_bytes() == b"image 1"
    assert second.built_at > first.built_at and second.sha512 != first.sha512


def test_what_an_older_recipe_made_is_replaced(
    tmp_path: Path, builds: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shelf(tmp_path, FakeClock())
    old = shop.get("toy", silent)
    monkeypatch.setitem(shelf.RECIPES, "toy", Recipe(shelf.RECIPES["toy"].build, ("disk.py",)))  # type: ignore[arg-type]
    new = shop.get("toy", silent)
    assert new.path != old.path and not old.path.exists() and not old.path.with_suffix(".json").exists()


def test_a_damaged_shelf_builds_again(tmp_path: Path, builds: list[Path]) -> None:
    shop = Shelf(tmp_path, FakeClock())
    built = shop.get("toy", silent)
    built.path.write_bytes(b"cut")
    assert shop.find("toy") is None
    assert shop.get("toy", silent).path.read_bytes() == b"image 1"
    built.path.with_suffix(".json").write_text(json.dumps({"name": "toy"}))
    assert shop.find("toy") is None


def test_a_failed_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(folder: Path, target: Path, say: packages.Say) -> None:
        target.write_bytes(b"half")
        raise Unavailable("no more", "test")

    monkeypatch.setitem(shelf.RECIPES, "toy", Recipe(build, ("tree.py",)))  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="no more"):
        Shelf(tmp_path, FakeClock()).get("toy", silent)
    assert [entry.name for entry in tmp_path.iterdir()] == [".toy.lock"]


def test_an_image_without_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no recipe for an image 'other'; there are: tiny"):
        Shelf(tmp_path, FakeClock()).get("other", silent)
