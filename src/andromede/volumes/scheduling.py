"""Whether the backend of this host can make a volume of a type (what Cinder's scheduler filters by)."""

from __future__ import annotations

from collections.abc import Mapping

from andromede.db.table import Reader
from andromede.errors import NoCapacity
from andromede.volumes.model import VolumeType
from andromede.volumes.tables import AGENTS

CAPABILITIES: Mapping[str, str] = {
    "volume_backend_name": "qcow2",
    "storage_protocol": "qcow2",
    "vendor_name": "Andromede",
    "driver_version": "1.0",
    "multiattach": "true",
    "thin_provisioning_support": "true",
    "replication_enabled": "false",
}
"""What the backend says of itself."""
_SCOPE = "capabilities"


def _fits(wanted: str, found: str) -> bool:
    """`<is> True`, `<in> part`, `<or> a <or> b` or the very value (Cinder, "Capabilities filter")."""
    sign, _, rest = wanted.strip().partition(" ")
    if sign == "<is>":
        return rest.strip().lower() == found.lower()
    if sign == "<in>":
        return rest.strip() in found
    if sign == "<or>":
        return found in [part.strip() for part in wanted.split("<or>")]
    return wanted.strip().lower() == found.lower()


def place(reader: Reader, kind: VolumeType | None) -> None:
    """Raise `NoCapacity` where no backend takes a new volume of the type."""
    parts = AGENTS.select(reader, {"binary_name": "cinder-volume"})
    if parts and all(part.disabled for part in parts):
        why = next((part.reason for part in parts if part.reason), None) or "an administrator has disabled it"
        raise NoCapacity(f"No valid backend was found: {parts[0].host} takes no new volumes ({why}).", "backend")
    if kind is not None:
        check(kind)


def check(kind: VolumeType) -> None:
    """Raise `NoCapacity` where an extra spec asks for what the backend does not offer. Keys of other scopes than
    `capabilities:` are for others."""
    for key, wanted in kind.specs.items():
        scope, colon, name = key.partition(":")
        if colon and scope != _SCOPE:
            continue
        name = name if colon else key
        if name in CAPABILITIES and not _fits(wanted, CAPABILITIES[name]):
            raise NoCapacity(
                f"No valid backend was found: type {kind.name} wants {name} {wanted}, and this installation has "
                f"{CAPABILITIES[name]}.",
                "backend",
            )
