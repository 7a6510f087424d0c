"""The tables of block storage and the classes of their rows."""

from __future__ import annotations

from andromede.db.table import Table
from andromede.volumes.model import (
    Agent,
    Attachment,
    Backup,
    DiskRow,
    Group,
    GroupSnapshot,
    GroupType,
    Message,
    Qos,
    Snapshot,
    Transfer,
    Volume,
    VolumeType,
)

DISKS = Table("disk", DiskRow)
VOLUMES = Table("volume", Volume)
SNAPSHOTS = Table("volume_snapshot", Snapshot)
BACKUPS = Table("volume_backup", Backup)
ATTACHMENTS = Table("volume_attachment", Attachment, "created_us, id")
TRANSFERS = Table("volume_transfer", Transfer, "created_us, id")
TYPES = Table("volume_type", VolumeType, "created_us, name")
QOS = Table("volume_qos", Qos, "created_us, id")
MESSAGES = Table("volume_message", Message, "created_us, id")
AGENTS = Table("volume_service", Agent, "binary_name, host")
GROUP_TYPES = Table("volume_group_type", GroupType, "created_us, id")
GROUPS = Table("volume_group", Group, "created_us, id")
GROUP_SNAPSHOTS = Table("volume_group_snapshot", GroupSnapshot, "created_us, id")
