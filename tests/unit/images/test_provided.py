"""The images that an installation provides: built once, offered as the standard asks, built again when they are old."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path

import pytest

from andromede.errors import Unavailable
from andromede.images import provided
from andromede.images.provided import OFFERS, RECIPE, Provided, Provider, Tools
from andromede.images.recipes import packages, shelf
from andromede.images.recipes.shelf import Recipe, Shelf
from tests.support.clock import FakeIds
from tests.unit.images.gallery import Gallery

QCOW2 = b"QFI\xfb\0\0\0\2" + bytes(16) + (1 << 20).to_bytes(8, "big") + bytes(300)
SCS = (
    "architecture", "hw_disk_bus", "hw_rng_model", "image_build_date", "image_description", "image_original_user",
    "image_source", "os_distro", "os_purpose", "os_version", "provided_until", "replace_frequency", "uuid_validity",
)  # fmt: skip
"""What SCS-0102 asks of every public image."""


class Builds:
    """Builds of the recipes, counted; broken while `broken`."""

    def __init__(self) -> None:
        self.count, self.broken = 0, False

    def __call__(self, folder: Path, target: Path, say: packages.Say) -> None:
        if self.broken:
            raise Unavailable("no mirror answers", "apt")
        say("building")
        self.count += 1
        target.write_bytes(QCOW2 + bytes([self.count]))


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    made = Builds()
    recipes: Mapping[str, Recipe] = {name: Recipe(made, ("disk.py",)) for name in OFFERS}
    monkeypatch.setattr(shelf, "RECIPES", recipes)
    return made


def provider(gallery: Gallery, folder: Path, *names: str) -> Provider:
    cloud = gallery.cloud
    owner = cloud.call("GET", "/identity/v3/projects?name=admin", cloud.admin).json["projects"][0]["id"]
    base = cloud.base
    tools = Tools(gallery.images, Shelf(folder, gallery.clock), gallery.clock, FakeIds(), base.log, lambda: owner)
    return Provider(tools, names)


def test_both_are_offered_as_the_standard_asks(gallery: Gallery, builds: Builds, tmp_path: Path) -> None:
    provider(gallery, tmp_path / "shelf", "tiny", "debian-12").ensure()
    found = gallery.get("/v2/images?sort=name:asc")["images"]
    assert [image["name"] for image in found] == ["Debian 12 (built here)", "tiny"]
    for image in found:
        assert image["status"] == "active" and image["visibility"] == "public" and image["size"] == len(QCOW2) + 1
        assert all(image[name] for name in SCS), image
        assert image["min_disk"] >= 1 and image["min_ram"] > 0 and image["virtual_size"] <= image["min_disk"] << 30
        built = datetime.datetime.fromisoformat(image["image_build_date"])
        assert built <= datetime.datetime.fromisoformat(image["created_at"])
    assert (found[0]["os_distro"], found[0]["os_version"]) == ("debian", "12")
    assert found[1]["os_distro"] != "debian", "checks of entropy take the newest Debian"


def test_what_is_there_is_left_alone(gallery: Gallery, builds: Builds, tmp_path: Path) -> None:
    made = provider(gallery, tmp_path / "shelf", "tiny")
    for _ in range(2):
        assert made.ensure() is False
    assert builds.count == 1 and gallery.names() == ["tiny"]
    gallery.clock.advance(400 * 86_400)
    made.ensure()
    assert builds.count == 1


def test_an_old_debian_is_built_again_and_the_former_one_hidden(
    gallery: Gallery, builds: Builds, tmp_path: Path
) -> None:
    made = provider(gallery, tmp_path / "shelf", "debian-12")
    made.ensure()
    first = gallery.get("/v2/images")["images"][0]
    gallery.clock.advance(29 * 86_400)
    made.ensure()
    cloud = gallery.cloud
    cloud.member = cloud.login("demo", cloud.secrets.demo_password, "demo")
    (second,) = gallery.get("/v2/images")["images"]
    assert builds.count == 2 and second["id"] != first["id"] and second["checksum"] != first["checksum"]
    assert [image["id"] for image in gallery.get("/v2/images?os_hidden=true")["images"]] == [first["id"]]
    assert gallery.show(first)["status"] == "active", "who knows its id goes on using it"


def test_a_failed_build_is_an_alert_and_the_next_turn_the_retry(
    gallery: Gallery, builds: Builds, tmp_path: Path
) -> None:
    made = provider(gallery, tmp_path / "shelf", "unknown", "tiny")
    builds.broken = True
    made.ensure()
    told = gallery.cloud.log.getvalue()
    assert "no mirror answers" in told and "hosting.images names 'unknown'" in told and '"alert": true' in told
    assert gallery.names() == []
    builds.broken = False
    made.ensure()
    assert gallery.names() == ["tiny"]


def test_an_upload_that_fails_leaves_no_image(
    gallery: Gallery, builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = provider(gallery, tmp_path / "shelf", "tiny")
    monkeypatch.setattr(gallery.images, "room", lambda image, length: 10)
    made.ensure()
    monkeypatch.undo()
    gallery.runner.settle()
    assert gallery.cloud.db.one("SELECT count(*) FROM image") == (0,)


def test_what_a_killed_process_left_half_made_goes(gallery: Gallery, builds: Builds, tmp_path: Path) -> None:
    left = gallery.make(gallery.cloud.admin, name="tiny", visibility="public", **{RECIPE: "tiny"})
    monkey = provider(gallery, tmp_path / "shelf", "tiny")
    monkey.ensure()
    assert gallery.status("GET", left["self"]) == 404 and len(gallery.names()) == 1


def test_before_there_is_an_administrator_nothing_is_built(gallery: Gallery, builds: Builds, tmp_path: Path) -> None:
    base = gallery.cloud.base
    tools = Tools(gallery.images, Shelf(tmp_path, gallery.clock), gallery.clock, FakeIds(), base.log, lambda: None)
    Provider(tools, ["tiny"]).ensure()
    assert builds.count == 0


def test_an_image_without_its_date_counts_as_old(gallery: Gallery, builds: Builds, tmp_path: Path) -> None:
    made = provider(gallery, tmp_path / "shelf", "debian-12")
    facts = {RECIPE: "debian-12"}
    gallery.filled(QCOW2, gallery.cloud.admin, disk_format="qcow2", visibility="public", **facts)
    made.ensure()
    assert gallery.names() == ["Debian 12 (built here)"]
    assert isinstance(provided.OFFERS["debian-12"], Provided)
