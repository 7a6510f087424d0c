"""Values of block storage."""

from __future__ import annotations

from dataclasses import dataclass, field

from andromede.volumes.engine import GIB
from andromede.work.lifecycle import Work

CONTAINER = "volumebackups"
"""What backups are shown to lie in, where their client named nothing else."""


@dataclass(frozen=True, slots=True)
class DiskRow:
    """What a disk is made of: `size` in bytes; `base`: the path of a read-only image below it, or ""; `wrapped`: its
    pass phrase, sealed under the key `key_id` of the project that owns it, which nothing else is sealed under."""

    id: str
    project_id: str
    size: int
    base: str
    base_format: str
    key_id: str
    wrapped: bytes = field(repr=False)
    created_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Work):
    """A volume; `state` is what Cinder calls its status. Sizes in GiB; `new_size`: what it is growing to, else 0;
    `previous`: the state to come back to; `wish`: what a working state needs to know. `image_metadata`: of the image
    that it was made from; `readonly`: as an administrator set it, None when nobody did."""

    id: str
    project_id: str
    user_id: str
    name: str | None = None
    description: str | None = None
    size: int
    new_size: int = 0
    type_id: str
    zone: str
    bootable: bool = False
    multiattach: bool = False
    readonly: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    image_metadata: dict[str, str] = field(default_factory=dict)
    snapshot_id: str = ""
    source_id: str = ""
    image_id: str = ""
    group_id: str = ""
    previous: str = ""
    wish: dict[str, str] = field(default_factory=dict)
    migration: str | None = None
    created_us: int
    updated_us: int | None = None

    @property
    def bytes(self) -> int:
        """Its size in bytes."""
        return self.size * GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Work):
    """An independent copy of a volume as it was at one instant. `size`: GiB."""

    id: str
    project_id: str
    user_id: str
    volume_id: str
    name: str | None = None
    description: str | None = None
    size: int
    metadata: dict[str, str] = field(default_factory=dict)
    group_snapshot_id: str = ""
    progress: str = "0%"
    wish: dict[str, str] = field(default_factory=dict)
    created_us: int
    updated_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup(Work):
    """A volume's bytes in the object store. `data_id`: the name under which they lie there (an imported record shares
    that of another); `data_us`: the instant whose bytes they are; `parent_id`: the backup that it builds upon;
    `restore_id`: the volume that it is being restored to; `objects`: pieces of its own; `data_project`: the project
    whose account holds them, where that is another."""

    id: str
    project_id: str
    user_id: str
    volume_id: str
    snapshot_id: str = ""
    parent_id: str = ""
    name: str | None = None
    description: str | None = None
    size: int
    zone: str
    container: str = CONTAINER
    objects: int = 0
    incremental: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    data_id: str
    data_us: int
    restore_id: str = ""
    wish: dict[str, str] = field(default_factory=dict)
    created_us: int
    updated_us: int | None = None
    data_project: str = ""

    @property
    def account(self) -> str:
        """The project whose account holds the data."""
        return self.data_project or self.project_id


@dataclass(frozen=True, slots=True)
class Attachment:
    """A volume at a server, or held for one. `status`: reserved, attaching, attached or detaching; `device`: the name
    that was asked for or given (`/dev/vdb`); `connector`: what a client that attaches by itself told."""

    id: str
    project_id: str
    volume_id: str
    server_id: str
    host: str
    device: str
    mode: str
    status: str
    connector: dict[str, object]
    attached_us: int | None
    created_us: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """A volume on offer to whoever knows the key whose salted digest is kept."""

    id: str
    project_id: str
    volume_id: str
    name: str | None
    salt: str
    digest: str
    snapshots: bool
    destination: str
    accepted: bool
    created_us: int


@dataclass(frozen=True, slots=True)
class VolumeType:
    """A kind of volume. Every one is encrypted, whatever `encryption` says: that is what an administrator noted."""

    id: str
    name: str
    description: str | None
    is_public: bool
    specs: dict[str, str]
    qos_id: str
    encryption: dict[str, object]
    created_us: int
    updated_us: int | None


@dataclass(frozen=True, slots=True)
class Qos:
    """Limits by name, which types refer to."""

    id: str
    name: str
    consumer: str
    specs: dict[str, str]
    created_us: int


@dataclass(frozen=True, slots=True)
class Message:
    """Why something did not work, for the project's members."""

    id: str
    project_id: str
    resource_type: str
    resource_id: str
    event_id: str
    text: str
    request_id: str
    created_us: int


@dataclass(frozen=True, slots=True)
class Agent:
    """A part of the service on a host, as it was last seen; Cinder calls it a service."""

    binary_name: str
    host: str
    disabled: bool
    reason: str | None
    seen_us: int
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class GroupType:
    """A kind of group."""

    id: str
    name: str
    description: str | None
    is_public: bool
    specs: dict[str, str]
    created_us: int


@dataclass(frozen=True, slots=True)
class Group:
    """Volumes that are snapshotted together."""

    id: str
    project_id: str
    name: str
    description: str | None
    zone: str
    type_id: str
    volume_types: list[str]
    group_snapshot_id: str
    source_group_id: str
    status: str
    created_us: int


@dataclass(frozen=True, slots=True)
class GroupSnapshot:
    """Snapshots that were taken together."""

    id: str
    project_id: str
    name: str
    description: str | None
    group_id: str
    type_id: str
    status: str
    created_us: int


@dataclass(frozen=True, slots=True)
class VolumeWish:
    """A volume as another service wants it. At most one of `image_id`, `snapshot_id`, `source_id`; `size` in GiB, 0:
    that of the source; `type`: name or id, "": the default; `id`: what it is to be called, so that the wish may be
    repeated, "": a new one."""

    size: int = 0
    name: str | None = None
    description: str | None = None
    image_id: str = ""
    snapshot_id: str = ""
    source_id: str = ""
    backup_id: str = ""
    type: str = ""
    zone: str = ""
    multiattach: bool = False
    group_id: str = ""
    id: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
