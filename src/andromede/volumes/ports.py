"""What block storage wants of its neighbours: as narrow as it needs them, wired by the composition root."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from andromede.db import Tx
from andromede.volumes.engine import Raw, Source
from andromede.volumes.model import Volume


@dataclass(frozen=True, slots=True)
class Picture:
    """An image. Sizes in bytes, `min_disk` in GiB, `min_ram` in MiB; `virtual_size`: of the disk inside, or 0."""

    id: str
    name: str
    status: str
    disk_format: str = "raw"
    container_format: str = "bare"
    min_disk: int = 0
    min_ram: int = 0
    size: int = 0
    virtual_size: int = 0
    checksum: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewPicture:
    """An image to be made of a volume."""

    name: str
    disk_format: str = "raw"
    container_format: str = "bare"
    visibility: str = "private"
    protected: bool = False
    min_disk: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)


class Pictures(Protocol):
    """The images of the installation."""

    def find(self, image_id: str, project_id: str) -> Picture:
        """NotFound for an image that the project may not see."""

    def base(self, image_id: str) -> Source | None:
        """A read-only file of this host that disks may lie on; None for an image that has to be copied. Host role."""

    def source(self, image_id: str) -> AbstractContextManager[Source]:
        """Its bytes as a file of this host, checked, for the time of the context. Host role."""

    def begin(self, project_id: str, user_id: str, wish: NewPicture, request_id: str) -> Picture:
        """A queued image of the project."""

    def upload(self, image_id: str, raw: Raw, request_id: str) -> None:
        """Fill a queued image with a disk's bytes in its format; one that is filled is left alone. Host role."""

    def fail(self, image_id: str, why: str, request_id: str) -> None:
        """A queued image will not be filled; one that is filled or gone is left alone."""


class LiveDisks(Protocol):
    """Disks that a running guest has open. Host role."""

    def grow(self, server_id: str, disk_id: str, size: int) -> bool:
        """Whether the guest sees at least `size` bytes; asks for it if not. May be repeated."""

    def extended(self, tx: Tx, server_id: str, volume: Volume) -> None:
        """Note in the history of a server that a volume of its has grown to `new_size`, as part of the caller's
        transaction."""

    def copy(self, server_id: str, disk_id: str, target_id: str, job_id: str) -> bool:
        """Begin to copy the disk, as it is at one instant, to an empty one of the same size; whether the copy is
        whole. Repeated until it is. Raises when it failed; then the next call begins anew."""

    def forget(self, server_id: str, job_id: str) -> None:
        """A copy that is whole, or whose guest has ended, needs no more attention."""


class Vault(Protocol):
    """Bytes of a project in the object store, under names that its own clients do not see."""

    def put(self, project_id: str, name: str, data: bytes, request_id: str) -> None:
        """Store or replace."""

    def get(self, project_id: str, name: str) -> bytes:
        """NotFound reason `object`."""

    def names(self, project_id: str, prefix: str) -> Iterator[str]:
        """Every name that begins so."""

    def remove(self, project_id: str, name: str, request_id: str) -> None:
        """It is not there."""
