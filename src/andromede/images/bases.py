"""What hosts boot from: open images as qcow2 files in a folder of this host, made once and checked; others only for the
time in which they are copied."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from andromede.errors import Conflict, Fatal
from andromede.images.engine import Inspector
from andromede.images.model import ENGINE_FORMATS, Image

if TYPE_CHECKING:
    from andromede.images.service import Images


@dataclass(frozen=True, slots=True)
class Base:
    """A file of this host: `path`, and its format in qemu's words."""

    path: Path
    format: str


class Bases:
    """One per host process; several processes share the folder."""

    def __init__(
        self, folder: Path, inspector: Inspector, images: Callable[[], Images],
        in_use: Callable[[Path], bool] = lambda path: False,
    ) -> None:  # fmt: skip
        self._folder = folder
        self._inspector = inspector
        self._images = images
        self._in_use = in_use

    def local(self, image_id: str) -> Path:
        """A read-only qcow2 file that shows an open image, and stays while the image does. Conflict reason `state` for
        one that is not active, Conflict reason `private` for one that not everybody may read: copy that by
        `source`."""
        image = self._usable(image_id)
        if not image.is_open:
            raise Conflict(f"image {image_id} is {image.visibility}: it is copied, never kept in clear", "private")
        target = self._path(image)
        with self._alone(image):
            if not target.exists():
                self._write(image, target)
        return target

    @contextmanager
    def source(self, image_id: str) -> Iterator[Base]:
        """An image as a file, for the time of the context; of an open image its lasting one."""
        image = self._usable(image_id)
        if image.is_open:
            yield Base(self.local(image_id), "qcow2")
            return
        place = Path(tempfile.mkdtemp(prefix=".passing-", dir=self._made()))
        try:
            path = place / "disk"
            if image.disk_format in ENGINE_FORMATS:
                self._write(image, path)
                yield Base(path, "qcow2")
            else:
                self._copy(image, path)
                yield Base(path, "raw")
        finally:
            shutil.rmtree(place)

    def drop(self, image_id: str) -> None:
        """No file of the image is left, but under disks that still show it: those go with the last such disk."""
        for path in self._folder.glob(f"{image_id}*"):
            if not self._in_use(path):
                path.unlink(missing_ok=True)
        (self._folder / f".{image_id}.lock").unlink(missing_ok=True)

    def sweep(self) -> bool:
        """Remove the files of images that are gone and lie under no disk any more; False: no more is waiting."""
        for path in self._folder.glob("*.qcow2"):
            image_id = path.name[:36]
            if not self._images().is_there(image_id):
                self.drop(image_id)
        return False

    def clear(self) -> None:
        """Remove what a process that was killed left half done. Before any other use."""
        for place in self._folder.glob(".passing-*"):
            shutil.rmtree(place, ignore_errors=True)
        for draft in self._folder.glob("*.new"):
            draft.unlink(missing_ok=True)

    def _usable(self, image_id: str) -> Image:
        image = self._images().get(image_id)
        if image.state != "active" or not image.blob:
            raise Conflict(f"image {image_id} is {image.status}, not active", "state")
        return image

    def _path(self, image: Image) -> Path:
        return self._folder / f"{image.id}-{(image.os_hash_value or '')[:12]}.qcow2"

    def _made(self) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder

    @contextmanager
    def _alone(self, image: Image) -> Iterator[None]:
        with (self._made() / f".{image.id}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, image: Image, target: Path) -> None:
        """A qcow2 file of the image at `target`, whole or not at all."""
        if image.disk_format == "qcow2":
            self._copy(image, target)
            return
        kind = ENGINE_FORMATS.get(image.disk_format or "", "raw")
        self._inspector.flatten(self._checked(image), kind, target)

    def _copy(self, image: Image, target: Path) -> None:
        draft = target.with_suffix(".new")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                for piece in self._checked(image):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)

    def _checked(self, image: Image) -> Iterator[bytes]:
        """The stored bytes; at their end they must have the hash that the row tells."""
        digest = hashlib.sha512()
        for piece in self._images().read(image):
            digest.update(piece)
            yield piece
        if digest.hexdigest() != image.os_hash_value:
            raise Fatal(f"the data of image {image.id} has not the hash of its row", "damage")
