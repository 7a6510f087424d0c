"""Values of the image service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from andromede.db.table import Table
from andromede.work.lifecycle import Work

VISIBILITIES = ("public", "private", "shared", "community")
DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
MEMBER_STATUSES = ("pending", "accepted", "rejected")
FLAT = frozenset({"raw", "iso", "ami", "ari", "aki"})
"""Disk formats without a structure of their own: what the guest sees is what is stored."""
ENGINE_FORMATS: Mapping[str, str] = {
    "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx", "ploop": "parallels",
}  # fmt: skip
"""Glance's name of a structured format -> qemu's."""
SHOWN: Mapping[str, str] = {
    "checking": "saving", "verifying": "importing", "staging": "uploading", "deleting": "deleted", "stuck": "deleted",
}  # fmt: skip
"""State of the row -> status that clients see, where they differ."""
STORE = "andromede"
"""The one store, where clients may name one."""
PURPOSE = "images"
"""Of the hidden containers that hold the bytes."""
FAULT = "os_glance_fault"
"""Property that says why an image was refused."""
FAILED = "os_glance_failed_import"
"""Property that names the store into which an import failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(Work):
    """One image. `min_disk` in GiB, `min_ram` in MiB, sizes in bytes and None while nothing is stored; `project_id`
    owns it; `keeper`: the project in whose container and under whose keys the bytes lie; `gone`: deleted, bytes may
    still be on their way out; `wish`: how bytes come in (`method`, `uri`, `task`)."""

    id: str
    project_id: str
    user_id: str
    name: str | None
    visibility: str
    disk_format: str | None
    container_format: str | None
    min_disk: int = 0
    min_ram: int = 0
    protected: bool = False
    os_hidden: bool = False
    size: int | None = None
    virtual_size: int | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    created_us: int
    updated_us: int
    tags: list[str] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    blob: str = ""
    staged: str = ""
    keeper: str = ""
    gone: bool = False
    wish: dict[str, Any] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The project that owns it."""
        return self.project_id

    @property
    def status(self) -> str:
        """As clients see it."""
        return SHOWN.get(self.state, self.state)

    @property
    def is_open(self) -> bool:
        """Whether every project may use it, so that its bytes need no secrecy on a host."""
        return self.visibility in ("public", "community")


@dataclass(frozen=True, slots=True)
class Member:
    """A project with which an image is shared, and what it thinks of that."""

    image_id: str
    member_id: str
    status: str
    created_us: int
    updated_us: int


@dataclass(frozen=True, slots=True)
class Task:
    """One import. `status`: pending, processing, success, failure."""

    id: str
    image_id: str
    project_id: str
    user_id: str
    request_id: str
    status: str
    message: str
    input: dict[str, Any]
    created_us: int
    updated_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """What to make. Defaults as a client that says nothing gets them. `bare`: no bytes will come, its properties say
    all (snapshots to boot from); active at once."""

    id: str | None = None
    name: str | None = None
    visibility: str = "shared"
    disk_format: str | None = None
    container_format: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    protected: bool = False
    os_hidden: bool = False
    tags: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False


IMAGES = Table("image", Image)
MEMBERS = Table("image_member", Member, "image_id, created_us, member_id")
TASKS = Table("image_task", Task, "image_id, created_us, id")
