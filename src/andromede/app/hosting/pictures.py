"""Images in the form in which block storage and compute ask for them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from andromede.images import sparse
from andromede.images.content import Reading
from andromede.images.model import Image, NewImage
from andromede.volumes.engine import Raw, Source
from andromede.volumes.ports import NewPicture, Picture

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site


class PicturesHere:
    """The image service for those who make disks of images and images of disks."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def find(self, image_id: str, project_id: str) -> Picture:
        """An image that the project sees; with an empty id of a project, any."""
        images = self._site.images
        return _picture(images.find(image_id, project_id) if project_id else images.get(image_id))

    @contextmanager
    def source(self, image_id: str) -> Iterator[Source]:
        """A file of this host that shows the image, for the time of the context."""
        with self._site.bases.source(image_id) as base:
            yield Source(base.path, base.format)

    def base(self, image_id: str) -> Source | None:
        """A file that stays while the image does, to lie under disks; None for an image that not everybody may read,
        and that is to be copied instead."""
        if not self._site.images.get(image_id).is_open:
            return None
        return Source(self._site.bases.local(image_id), "qcow2")

    def begin(self, project_id: str, user_id: str, wish: NewPicture, request_id: str) -> Picture:
        """A queued image of the project."""
        new = NewImage(
            name=wish.name, visibility=wish.visibility, disk_format=wish.disk_format,
            container_format=wish.container_format, min_disk=wish.min_disk, protected=wish.protected,
            properties={name: str(value) for name, value in wish.properties.items()},
        )  # fmt: skip
        return _picture(self._site.images.create_from(project_id, user_id, new, request_id))

    def upload(self, image_id: str, raw: Raw, request_id: str) -> None:
        """Fill a queued image with a disk's bytes."""
        image = self._site.images.get(image_id)
        length, pieces = sparse.qcow2(raw) if image.disk_format == "qcow2" else sparse.whole(raw)
        self._site.images.upload(image_id, Reading(pieces, length), length, request_id)

    def fail(self, image_id: str, why: str, request_id: str) -> None:
        """A queued image will not be filled."""
        self._site.images.fail(image_id, why, request_id)

    def file(self, image_id: str) -> BinaryIO:
        """A nameless file with the bytes of an image: kernels and RAM disks."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        source = self._site.images.open(image_id)
        while piece := source.read(1 << 20):
            file.write(piece)
        file.flush()
        file.seek(0)
        return file


def _picture(image: Image) -> Picture:
    return Picture(
        image.id, image.name or "", image.status, image.disk_format or "raw", image.container_format or "bare",
        image.min_disk, image.min_ram, image.size or 0, image.virtual_size or 0, image.checksum or "",
        image.properties,
    )  # fmt: skip
