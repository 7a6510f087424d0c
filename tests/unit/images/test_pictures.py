"""Images in the form in which block storage and compute ask for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from andromede.app.hosting.compute_neighbours import ImagesHere
from andromede.app.hosting.pictures import PicturesHere
from andromede.errors import NotFound
from andromede.volumes.ports import NewPicture
from tests.unit.images.gallery import Gallery

QCOW2 = b"QFI\xfb\0\0\0\3" + bytes(16) + (5 << 20).to_bytes(8, "big") + bytes(3000)


class Raw:
    """A disk of 1 MiB with a few bytes."""

    size = 1 << 20

    def extents(self) -> Iterator[tuple[int, int]]:
        yield 4096, 11

    def read(self, at: int, length: int) -> bytes:
        return (bytes(4096) + b"some bytes!" + bytes(self.size))[at : at + length]

    def write(self, at: int, data: bytes) -> None:
        raise AssertionError("an image is made by reading")


@pytest.fixture
def pictures(gallery: Gallery) -> PicturesHere:
    return PicturesHere(gallery.cloud.site)


def test_a_project_finds_what_it_sees(gallery: Gallery, pictures: PicturesHere) -> None:
    shown = gallery.filled(b"flat", name="mine", color="blue", min_disk=2)
    found = pictures.find(shown["id"], gallery.cloud.project_id)
    assert (found.name, found.status, found.size, found.min_disk, found.disk_format) == ("mine", "active", 4, 2, "raw")
    assert found.properties == {"color": "blue"} and found.checksum == shown["checksum"]
    assert pictures.find(shown["id"], "") == found
    with pytest.raises(NotFound):
        pictures.find(shown["id"], gallery.cloud.other_project)


@pytest.mark.parametrize(("disk_format", "size"), [("raw", 1 << 20), ("qcow2", None)])
def test_an_image_is_made_of_a_disk(
    gallery: Gallery, pictures: PicturesHere, disk_format: str, size: int | None
) -> None:
    wish = NewPicture("copy", disk_format, properties={"a": "b"})
    made = pictures.begin(gallery.cloud.project_id, "user", wish, "req-1")
    assert made.status == "queued"
    pictures.upload(made.id, Raw(), "req-1")
    pictures.upload(made.id, Raw(), "req-1")
    shown = gallery.get(f"/v2/images/{made.id}")
    assert shown["status"] == "active" and shown["virtual_size"] == 1 << 20 and shown["a"] == "b"
    assert size is None or shown["size"] == size
    with pictures.file(made.id) as file:
        assert b"some bytes!" in file.read()
    with pictures.source(made.id) as source:
        assert source.format == disk_format and source.path.stat().st_size == shown["size"]
    assert not source.path.exists() and pictures.base(made.id) is None


def test_an_open_image_lies_under_disks(gallery: Gallery, pictures: PicturesHere) -> None:
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed")
    shown = gallery.filled(QCOW2, gallery.cloud.admin, disk_format="qcow2", visibility="public")
    base = pictures.base(shown["id"])
    assert base is not None and base.format == "qcow2" and base.path.read_bytes() == QCOW2
    gallery.cloud.site.bases.drop(shown["id"])
    assert not base.path.exists(), "no disk shows it"


def test_compute_finds_images_and_makes_them(gallery: Gallery) -> None:
    images = ImagesHere(gallery.cloud.site)
    shown = gallery.filled(b"flat", min_ram=64)
    facts = images.find(shown["id"], gallery.cloud.project_id)
    assert (facts.status, facts.owner, facts.min_ram) == ("active", gallery.cloud.project_id, 64)
    with pytest.raises(NotFound, match="could not be found"):
        images.find(shown["id"], gallery.cloud.other_project)
    told = {"base": "x", "andromede_recipe": "tiny", "os_glance_fault": "y", "min_disk": "3"}
    made = images.create(gallery.cloud.project_id, "user", "snap", told, "req-1")
    snap = gallery.get(f"/v2/images/{made}")
    assert snap["base"] == "x" and "andromede_recipe" not in snap and "os_glance_fault" not in snap
    assert snap["disk_format"] == "qcow2" and snap["visibility"] == "private" and snap["min_disk"] == 3
