"""The body of `POST /servers` into a wish, by microversion; nothing is looked up here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from andromede.compute.checks import Fields, is_uuid, refuse
from andromede.compute.core import Version
from andromede.errors import Invalid

MOST_TAGS = 50
PLAIN = (
    "name", "flavorRef", "imageRef", "adminPass", "metadata", "networks", "OS-DCF:diskConfig", "accessIPv4",
    "accessIPv6", "availability_zone", "block_device_mapping", "block_device_mapping_v2", "config_drive", "key_name",
    "min_count", "max_count", "return_reservation_id", "security_groups", "user_data",
)  # fmt: skip
SINCE: tuple[tuple[str, Version], ...] = (
    ("description", (2, 19)),
    ("tags", (2, 52)),
    ("trusted_image_certificates", (2, 63)),
    ("host", (2, 74)),
    ("hypervisor_hostname", (2, 74)),
    ("hostname", (2, 90)),
)


@dataclass(frozen=True, slots=True)
class DiskWish:
    """A block device: `source` image, volume, snapshot or blank; `target` local or volume; size in GiB, 0 unknown."""

    source: str
    source_id: str = ""
    target: str = "volume"
    size: int = 0
    boot_index: int = -1
    delete_on_termination: bool = False
    device_name: str = ""
    guest_format: str = ""
    volume_type: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class NicWish:
    """A nic: of a port, or on a network with perhaps a fixed address."""

    network_id: str = ""
    port_id: str = ""
    fixed_ip: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class ServerWish:
    """What a client wants. `networks`: auto, none, list, or default where it said nothing. `groups`: None where it
    said nothing."""

    name: str
    flavor_ref: str
    image_ref: str
    disks: tuple[DiskWish, ...] = ()
    networks: str = "default"
    nics: tuple[NicWish, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] | None = None
    key_name: str = ""
    user_data: str = ""
    personality: tuple[dict[str, str], ...] = ()
    config_drive: bool = False
    zone: str = ""
    admin_pass: str = ""
    tags: tuple[str, ...] = ()
    description: str | None = None
    hostname: str = ""
    access: tuple[str, str] = ("", "")
    disk_config: str = "MANUAL"
    counts: tuple[int, int] = (1, 1)
    reservation: bool = False
    hints: dict[str, Any] = field(default_factory=dict)
    host: str = ""


def tags(values: Any) -> tuple[str, ...]:
    """Tags of a body."""
    if not isinstance(values, list) or len(values) > MOST_TAGS:
        raise refuse("tags", values, f"It must be a list of at most {MOST_TAGS} tags.")
    for value in values:
        tag(value)
    if len(set(values)) != len(values):
        raise refuse("tags", values, "It has non-unique elements.")
    return tuple(values)


def tag(value: Any) -> str:
    """One tag."""
    if not isinstance(value, str) or not 1 <= len(value) <= 60 or "/" in value or "," in value:
        raise refuse("tag", value, "A tag has 1 to 60 characters and neither '/' nor ','.")
    return value


def _tagged(version: Version, nic: bool) -> bool:
    return (2, 32) <= version <= ((2, 36) if nic else (2, 32)) or version >= (2, 42)


def _nic(fields: Fields, version: Version) -> NicWish:
    fields.only("uuid", "port", "fixed_ip", *(("tag",) if _tagged(version, True) else ()))
    port = fields.uuid("port") if fields.get("port") is not None else None
    network = fields.get("uuid")
    if port is None and not (isinstance(network, str) and is_uuid(network)):
        raise Invalid(f"Bad networks format: network uuid is not in proper format ({str(network)[:80]})", "schema")
    if port is not None and fields.get("fixed_ip"):
        raise Invalid(f"Specified Fixed IP '{fields.get('fixed_ip')}' cannot be used with port '{port}'", "schema")
    address = fields.text("fixed_ip", 0, 64) or ""
    if address:
        fields.address("fixed_ip", 6 if ":" in address else 4)
    name = tag(fields.get("tag")) if fields.get("tag") is not None else ""
    return NicWish(str(network) if port is None else "", port or "", address, name)


def _networks(fields: Fields, version: Version) -> tuple[str, tuple[NicWish, ...]]:
    value = fields.get("networks")
    if "networks" not in fields:
        if version >= (2, 37):
            raise Invalid("Invalid input for server: 'networks' is a required property.", "schema")
        return "default", ()
    if isinstance(value, str) and version >= (2, 37):
        if value not in ("auto", "none"):
            raise refuse("networks", value, "It must be a list, 'auto' or 'none'.")
        return value, ()
    nics = tuple(_nic(item, version) for item in fields.objects("networks", 32))
    ports = [nic.port_id for nic in nics if nic.port_id]
    if len(set(ports)) != len(ports):
        raise Invalid("Bad networks format: a port is named twice", "schema")
    return ("list" if nics else "default"), nics


def _bool(fields: Fields, name: str) -> bool:
    return fields.flag(name) if fields.get(name) is not None else False


def _size(fields: Fields, name: str) -> int:
    return 0 if fields.get(name) in (None, "") else fields.integer(name, 0) or 0


def _old_disk(fields: Fields) -> DiskWish | None:
    fields.only(
        "device_name", "volume_id", "snapshot_id", "volume_size", "delete_on_termination", "no_device", "virtual_name",
        "virtual_name", "connection_info",
    )  # fmt: skip
    if fields.get("no_device"):
        return None
    volume, snapshot = fields.get("volume_id"), fields.get("snapshot_id")
    for name in ("volume_id", "snapshot_id"):
        if fields.get(name) is not None:
            fields.uuid(name)
    if not volume and not snapshot:
        raise Invalid("Block Device Mapping is Invalid: a volume_id or a snapshot_id is needed.", "schema")
    name = fields.text("device_name", 1, 255, null=True) or ""
    return DiskWish(
        "volume" if volume else "snapshot", str(volume or snapshot), "volume", _size(fields, "volume_size"), -1,
        _bool(fields, "delete_on_termination"), name if name.startswith("/dev/") or not name else f"/dev/{name}",
    )  # fmt: skip


def _disk(fields: Fields, version: Version) -> DiskWish | None:
    fields.only(
        "boot_index", "uuid", "source_type", "destination_type", "volume_size", "device_name", "disk_bus",
        "device_type", "guest_format", "delete_on_termination", "no_device", "image_id", "volume_id", "snapshot_id",
        "connection_info", "virtual_name", *(("tag",) if _tagged(version, False) else ()),
        *(("volume_type",) if version >= (2, 67) else ()),
    )  # fmt: skip
    if fields.get("no_device"):
        return None
    fields.need("source_type")
    fields.text("disk_bus", 0, 255, null=True)  # every disk is a virtio one
    source = str(fields.choice("source_type", "volume", "image", "snapshot", "blank"))
    target = fields.choice("destination_type", "local", "volume") if fields.get("destination_type") else None
    target = target or ("local" if source in ("image", "blank") else "volume")
    if source in ("volume", "snapshot") and target == "local":
        raise Invalid(f"Block Device Mapping is Invalid: Mapping {source} to local is not supported.", "schema")
    source_id = "" if source == "blank" else fields.uuid("uuid") or ""
    if source != "blank" and not source_id:
        raise Invalid("Block Device Mapping is Invalid: Missing device UUID.", "schema")
    index = fields.integer("boot_index", -1) if fields.get("boot_index") not in (None, "") else None
    name = fields.text("device_name", 1, 255, null=True) or ""
    if " " in name:
        raise refuse("device_name", name, "It must not hold blanks.")
    return DiskWish(
        source, source_id, target, _size(fields, "volume_size"), -1 if index is None else index,
        _bool(fields, "delete_on_termination"), name if name.startswith("/dev/") or not name else f"/dev/{name}",
        fields.text("guest_format", 0, 255, null=True) or "", fields.text("volume_type", 0, 255, null=True) or "",
        tag(fields.get("tag")) if fields.get("tag") is not None else "",
    )  # fmt: skip


def disks(fields: Fields, version: Version) -> tuple[DiskWish, ...]:
    """The block devices of a body, of either form."""
    old, new = fields.get("block_device_mapping"), fields.get("block_device_mapping_v2")
    if old and new:
        raise Invalid(
            "Using different block_device_mapping syntaxes is not allowed in the same request.", "schema"
        )  # fmt: skip
    if new is not None:
        found = [_disk(item, version) for item in fields.objects("block_device_mapping_v2", 64)]
        return tuple(disk for disk in found if disk is not None)
    listed = fields.objects("block_device_mapping", 64) if old is not None else []
    plain = [disk for item in listed if (disk := _old_disk(item)) is not None]
    if plain and not fields.get("imageRef"):
        plain[0] = dataclasses.replace(plain[0], boot_index=0)
    return tuple(plain)


def _counts(fields: Fields) -> tuple[int, int]:
    low = fields.integer("min_count", 1) if "min_count" in fields else None
    high = fields.integer("max_count", 1) if "max_count" in fields else None
    least, most = low or 1, high or low or 1
    if least > most:
        raise Invalid("min_count must be <= max_count", "schema")
    return least, most


def files(fields: Fields) -> tuple[dict[str, str], ...]:
    """Files for the guest: `{"path", "contents" (base64)}`."""
    found = []
    for item in fields.objects("personality"):
        item.only("path", "contents")
        item.need("path", "contents")
        found.append({"path": item.text("path", 1, 4096) or "", "contents": item.base64("contents", 1 << 20) or ""})
    return tuple(found)


def reference(fields: Fields, name: str) -> str:
    """An id, also as the end of a URL."""
    value = fields.get(name)
    if value is None or isinstance(value, bool) or not isinstance(value, (str, int)):
        raise refuse(name, value, f"{value!r} is not of type 'string', 'integer'.")
    return str(value).rstrip("/").rpartition("/")[2]


def _image(fields: Fields) -> str:
    value = fields.get("imageRef")
    if value is None or value == "":
        return ""
    found = reference(fields, "imageRef")
    if not is_uuid(found):
        raise Invalid("Invalid imageRef provided.", "schema")
    return found


def _groups(fields: Fields) -> tuple[str, ...] | None:
    if "security_groups" not in fields:
        return None
    found = []
    for item in fields.objects("security_groups"):
        item.need("name")
        found.append(item.text("name", 1, 255) or "")
    return tuple(dict.fromkeys(found))


def parse(body: Any, version: Version) -> ServerWish:
    """The wish. Raises `Invalid`."""
    outer = Fields(body, "body")
    outer.only("server", "os:scheduler_hints", "OS-SCH-HNT:scheduler_hints")
    fields = Fields.of(body, "server", "os:scheduler_hints", "OS-SCH-HNT:scheduler_hints")
    personal = ("personality",) if version < (2, 57) else ()
    fields.only(*PLAIN, *personal, *(name for name, since in SINCE if version >= since))
    fields.need("name", "flavorRef")
    hints = Fields(
        outer.get("os:scheduler_hints") or outer.get("OS-SCH-HNT:scheduler_hints") or {}, "os:scheduler_hints"
    )
    group = hints.get("group")
    if group is not None and not (isinstance(group, str) and is_uuid(group)):
        raise refuse("group", group, "It is not a 'uuid'.")
    networks, nics = _networks(fields, version)
    return ServerWish(
        name=fields.name("name") or "",
        flavor_ref=reference(fields, "flavorRef"),
        image_ref=_image(fields),
        disks=disks(fields, version),
        networks=networks,
        nics=nics,
        metadata=fields.metadata("metadata"),
        groups=_groups(fields),
        key_name=fields.text("key_name", 1, 255, null=True) or "",
        user_data=fields.base64("user_data") or "",
        personality=files(fields) if personal else (),
        config_drive=_bool(fields, "config_drive"),
        zone=fields.text("availability_zone", 1, 255, null=True) or "",
        admin_pass=fields.text("adminPass", 0, 255) or "",
        tags=tags(fields.get("tags")) if "tags" in fields else (),
        description=fields.text("description", 0, 255, null=True),
        hostname=fields.text("hostname", 1, 63) or "",
        access=(fields.address("accessIPv4", 4) or "", fields.address("accessIPv6", 6) or ""),
        disk_config=fields.choice("OS-DCF:diskConfig", "AUTO", "MANUAL") or "MANUAL",
        counts=_counts(fields),
        reservation=_bool(fields, "return_reservation_id"),
        hints=dict(hints.raw),
        host=fields.text("host", 1, 255) or fields.text("hypervisor_hostname", 1, 255) or "",
    )
