"""The images that an installation provides: built on this machine, public, owned by the administrators' project, with
all that the standard for such images asks to be told (SCS-0102)."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from andromede.clock import US, Clock
from andromede.errors import Error, Invalid
from andromede.ids import Ids, request_id
from andromede.images.model import IMAGES, Image, NewImage
from andromede.images.recipes.shelf import Shelf
from andromede.images.service import Images
from andromede.log import Log

RECIPE = "andromede_recipe"
"""Property that names what an image was built by."""
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Provided:
    """How a built image is offered. `days`: its age at which it is built again, 0: never."""

    name: str
    properties: Mapping[str, str]
    min_disk: int = 1
    min_ram: int = 128
    days: int = 0
    tags: Sequence[str] = field(default=())


_COMMON = {
    "architecture": "x86_64", "hw_disk_bus": "virtio", "hw_vif_model": "virtio", "hw_rng_model": "virtio",
    "os_type": "linux", "image_source": "private", "provided_until": "none", "uuid_validity": "last-2",
}  # fmt: skip
OFFERS: Mapping[str, Provided] = {
    "tiny": Provided(
        "tiny",
        _COMMON | {
            "os_distro": "tiny", "os_version": "1", "os_purpose": "minimal", "image_original_user": "tiny",
            "replace_frequency": "never", "hotfix_hours": "0",
            "image_description": "Busybox and dropbear on Debian's kernel, ready in seconds; for trials and tests. "
            "Built by this cloud from Debian packages.",
        },
    ),
    "debian-12": Provided(
        "Debian 12 (built here)",
        _COMMON | {
            "os_distro": "debian", "os_version": "12", "os_purpose": "generic", "image_original_user": "debian",
            "replace_frequency": "monthly", "hotfix_hours": "0",
            "image_description": "Debian 12 with cloud-init, openssh and rng-tools5, built by this cloud from Debian "
            "packages; not Debian's own cloud image.",
        },
        min_disk=3, min_ram=512, days=28,
    ),
}  # fmt: skip


class File:
    """A file on its way into an image."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")

    def readinto(self, view: memoryview, /) -> int:
        """As of a file."""
        return self._file.readinto(view)

    def close(self) -> None:
        """Give it back."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class Tools:
    """What the provider stands on. `owner` gives the id of the administrators' project, None before there is one."""

    images: Images
    shelf: Shelf
    clock: Clock
    ids: Ids
    log: Log
    owner: Callable[[], str | None]


class Provider:
    """Makes sure that the wished images are there. Host role; a failure is an alert, and the next turn the retry."""

    def __init__(self, tools: Tools, names: Sequence[str]) -> None:
        self._tools = tools
        self._names = names

    def ensure(self) -> bool:
        """Build and register what is missing or too old; False: no more is waiting."""
        for name in self._names:
            try:
                self._one(name)
            except Error as error:
                self._tools.log.alert("image.build", image=name, cause=error.public)
        return False

    def _one(self, name: str) -> None:
        tools, offer = self._tools, OFFERS.get(name)
        if offer is None:
            raise Invalid(f"hosting.images names {name!r}; there are: {', '.join(OFFERS)}", "config")
        owner = tools.owner()
        if owner is None:
            return
        there = self._found(name, owner)
        if there and not self._old(there[-1], offer):
            return
        tools.log.event("image.building", image=name)
        built = tools.shelf.get(
            name, lambda text: tools.log.event("image.building", image=name, stage=text), bool(there)
        )
        why = request_id(tools.ids)
        facts = dict(offer.properties) | {"image_build_date": built.built_at, RECIPE: name}
        new = NewImage(
            name=offer.name, visibility="public", disk_format="qcow2", container_format="bare",
            min_disk=offer.min_disk, min_ram=offer.min_ram, tags=tuple(offer.tags), properties=facts,
        )  # fmt: skip
        image = tools.images.create_from(owner, "", new, why)
        body = File(built.path)
        try:
            tools.images.upload(image.id, body, built.size, why)
        except BaseException:
            tools.images.remove(image.id, why)
            raise
        finally:
            body.close()
        for old in there:
            tools.images.hide(old.id, why)
        tools.log.event("image.provided", image=name, id=image.id, size=built.size)

    def _found(self, name: str, owner: str) -> list[Image]:
        """The visible images that were built by this recipe, oldest first; half-made ones of an earlier run go."""
        tools = self._tools
        rows = IMAGES.select(tools.images.desk.db, {"project_id": owner, "gone": 0, "os_hidden": 0})
        mine = [image for image in rows if image.properties.get(RECIPE) == name]
        for image in mine:
            if image.state == "queued":
                tools.images.remove(image.id, request_id(tools.ids))
        return sorted((image for image in mine if image.state != "queued"), key=lambda image: image.created_us)

    def _old(self, image: Image, offer: Provided) -> bool:
        if not offer.days:
            return False
        try:
            made = datetime.datetime.fromisoformat(image.properties.get("image_build_date", "").replace("Z", "+00:00"))
        except ValueError:
            return True
        return self._tools.clock.now_us() / US - made.timestamp() > offer.days * DAY
