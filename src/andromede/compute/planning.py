"""From a client's wish to what will be made: everything it names is looked up and checked here, nothing is written."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from andromede.compute.core import Core, is_admin, project_of, version
from andromede.compute.flavors import Flavors
from andromede.compute.groups import Groups
from andromede.compute.hosts import Hosts
from andromede.compute.keypairs import Keypairs
from andromede.compute.model import FORMS, Flavor, Keypair, ServerGroup
from andromede.compute.neighbours import ImageFacts, VolumeFacts
from andromede.compute.quotas import Quotas
from andromede.compute.server_bodies import DiskWish, NicWish, ServerWish
from andromede.errors import Conflict, Denied, Invalid, NotFound
from andromede.web.call import Call

GIB = 1 << 30
MOST_DEVICES = 14


@dataclass(frozen=True, slots=True)
class Plan:
    """What a server will be made of. `root_gb`: size of a local root disk, 0 where it lies on a volume."""

    wish: ServerWish
    flavor: Flavor
    image: ImageFacts | None
    disks: tuple[DiskWish, ...]
    root_gb: int
    networks: str
    nics: tuple[NicWish, ...]
    key: Keypair | None
    group_ids: tuple[str, ...]
    server_group: ServerGroup | None
    zone: str
    hosts: frozenset[str] | None

    @property
    def root(self) -> DiskWish:
        """The disk that is booted."""
        return self.disks[0]


def image_root_gb(image: ImageFacts) -> int:
    """The least size of a disk with this image, in GiB."""
    return max(1, image.min_disk, math.ceil(max(image.virtual_size, image.size) / GIB))


def check_bytes(image: ImageFacts) -> None:
    """Raise `Invalid` for an image that only names snapshots: no disk can be made of it alone."""
    if not image.size and image.properties.get("block_device_mapping"):
        raise Invalid(
            f"Image {image.id} has no bytes of its own, it names snapshots of volumes: create a server of it.", "image"
        )


def check_image(image: ImageFacts, flavor: Flavor, local: bool) -> None:
    """Raise `Invalid` where an image cannot run in a flavor."""
    if image.status != "active":
        raise Invalid(f"Image {image.id} is not active.", "image")
    if flavor.ram < image.min_ram:
        raise Invalid("Flavor's memory is too small for requested image.", "flavor")
    if local:
        check_bytes(image)
    if local and flavor.disk and flavor.disk < image_root_gb(image):
        raise Invalid(
            f"Flavor's disk is too small for requested image. Flavor disk is {flavor.disk} GiB, image needs "
            f"{image_root_gb(image)} GiB.",
            "flavor",
        )


class Planner:
    """Looks up what wishes name."""

    def __init__(self, core: Core, flavors: Flavors, keypairs: Keypairs, places: tuple[Hosts, Groups, Quotas]) -> None:
        self._core = core
        self._flavors = flavors
        self._keypairs = keypairs
        self._hosts, self._groups, self._quotas = places

    def plan(self, call: Call[Any], wish: ServerWish) -> Plan:
        """Raises `Invalid`, `Conflict`, `OverQuota` in the words of Nova."""
        project = project_of(call)
        self._quotas.check_items(project, "metadata_items", len(wish.metadata), "Metadata item")
        self.check_files(project, wish.personality)
        flavor = self.flavor(call, wish.flavor_ref)
        image = self.image(wish.image_ref, project) if wish.image_ref else None
        disks, image, root_gb = self._disks(wish, flavor, image, project)
        networks, nics = self._networks(call, wish, project)
        if len(disks) + len(nics) > MOST_DEVICES:
            raise Invalid(f"A server can have {MOST_DEVICES} disks and nics together.", "devices")
        zone, hosts = self._place(call, wish)
        group = self._group(wish, project)
        key = self._key(call, wish.key_name)
        groups = self._security_groups(wish, project)
        return Plan(wish, flavor, image, disks, root_gb, networks, nics, key, groups, group, zone, hosts)

    def flavor(self, call: Call[Any], reference: str) -> Flavor:
        """The flavor of a body. Raises `Invalid`."""
        try:
            return self._flavors.find(reference, call.who.project_id, is_admin(call))
        except NotFound as error:
            raise Invalid(f"Flavor {reference} could not be found.", "flavor") from error

    def image(self, image_id: str, project_id: str) -> ImageFacts:
        """The image of a body. Raises `Invalid`."""
        try:
            return self._core.images.find(image_id, project_id)
        except NotFound as error:
            raise Invalid(f"Image {image_id} could not be found.", "image") from error

    def check_files(self, project: str, files: Sequence[Mapping[str, str]]) -> None:
        """Raise `OverQuota` or `Invalid` for more files, or larger ones, than a server may be given."""
        limits = self._quotas.of(project)
        self._quotas.check_items(project, "injected_files", len(files), "Personality file")
        for item in files:
            size = len(item["contents"]) * 3 // 4 - item["contents"].count("=")
            if size > limits["injected_file_content_bytes"] >= 0:
                raise Invalid("Personality file content too long", "personality")
            if len(item["path"]) > limits["injected_file_path_bytes"] >= 0:
                raise Invalid("Personality file path too long", "personality")

    def _key(self, call: Call[Any], name: str) -> Keypair | None:
        if not name:
            return None
        try:
            return self._keypairs.find(call.who.user_id, name)
        except NotFound as error:
            raise Invalid("Invalid key_name provided.", "keypair") from error

    # --- disks

    def _disks(
        self, wish: ServerWish, flavor: Flavor, image: ImageFacts | None, project: str
    ) -> tuple[tuple[DiskWish, ...], ImageFacts | None, int]:
        wanted, image_disks = list(wish.disks), _disks_of_image(image) if image else []
        if image_disks and not any(disk.boot_index == 0 for disk in wanted):
            wanted += image_disks
        elif image is not None:
            same = [d for d in wanted if d.source == "image" and d.target == "local" and d.source_id == image.id]
            wanted = [disk for disk in wanted if disk not in same]
            if not any(disk.boot_index == 0 for disk in wanted):  # else the client says itself what is booted
                wanted.insert(0, DiskWish("image", image.id, "local", 0, 0, True))
        boots = sorted(disk.boot_index for disk in wanted if disk.boot_index >= 0)
        if not wanted or (not boots and image is None):
            raise Invalid("Invalid imageRef provided.", "image")
        if boots != list(range(len(boots))):
            raise Invalid(
                "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping "
                "combination is not valid.",
                "devices",
            )
        root = next(disk for disk in wanted if disk.boot_index == 0)
        rest = [self._resolved(disk, flavor, project) for disk in wanted if disk is not root]
        root, image, root_gb = self._root(root, flavor, image, project)
        rest += _of_flavor(flavor, rest)
        return (root, *rest), image, root_gb

    def _root(
        self, root: DiskWish, flavor: Flavor, image: ImageFacts | None, project: str
    ) -> tuple[DiskWish, ImageFacts | None, int]:
        if root.target == "local":
            if root.source != "image":
                raise Invalid("Block Device Mapping is Invalid: a blank local disk cannot be booted.", "devices")
            found = self.image(root.source_id, project)
            check_image(found, flavor, True)
            size = max(flavor.disk, image_root_gb(found))
            return dataclasses.replace(root, size=size, delete_on_termination=True), found, size
        resolved = self._resolved(root, flavor, project)
        if resolved.source == "image":
            found = self.image(resolved.source_id, project)
            check_image(found, flavor, False)
            if resolved.size < image_root_gb(found):
                raise Invalid(
                    f"Volume is smaller than the minimum size specified in image metadata. Volume size is "
                    f"{resolved.size} GiB, minimum size is {image_root_gb(found)} GiB.",
                    "devices",
                )
            return resolved, found, 0
        if resolved.source == "volume":
            volume = self._volume(resolved, project)
            if not volume.bootable:
                raise Invalid(f"Block Device {volume.id} is not bootable.", "devices")
            kept = dict(volume.image)
            facts = ImageFacts("", "", "active", properties=kept, min_ram=int(kept.get("min_ram") or 0))
            return resolved, facts, 0
        if resolved.source == "blank":
            raise Invalid("Block Device Mapping is Invalid: a blank volume cannot be booted.", "devices")
        if image is not None:
            check_image(image, flavor, False)
        return resolved, image, 0

    def _volume(self, disk: DiskWish, project: str) -> VolumeFacts:
        try:
            return self._core.volumes.find(disk.source_id, project)
        except NotFound as error:
            raise Invalid(
                f"Block Device Mapping is Invalid: failed to get volume {disk.source_id}.", "devices"
            ) from error

    def _resolved(self, disk: DiskWish, flavor: Flavor, project: str) -> DiskWish:
        """A disk that is not a local root, its size known."""
        if disk.source == "volume":
            volume = self._volume(disk, project)
            return dataclasses.replace(disk, size=volume.size)
        if disk.source == "snapshot":
            try:
                found = self._core.volumes.snapshot(disk.source_id, project)
            except NotFound as error:
                raise Invalid(
                    f"Block Device Mapping is Invalid: failed to get snapshot {disk.source_id}.", "devices"
                ) from error
            return dataclasses.replace(disk, size=max(disk.size, found.size))
        if disk.source == "image" and disk.target == "local":
            raise Invalid(
                "Block Device Mapping is Invalid: Mapping image to local is only supported for the root disk.",
                "devices",
            )
        if disk.target == "volume" and not disk.size:
            raise Invalid(
                f"Block Device Mapping is Invalid: {disk.source.capitalize()}s with destination_type 'volume' need "
                "to have a non-zero size specified",
                "devices",
            )
        if disk.source == "image":
            self.image(disk.source_id, project)
        if disk.target == "local":
            if disk.guest_format not in ("", *FORMS):
                raise Invalid(
                    f"Block Device Mapping is Invalid: guest_format {disk.guest_format[:80]} is none of "
                    f"{', '.join(FORMS)}.",
                    "devices",
                )
            most = math.ceil(flavor.swap / 1024) if disk.guest_format == "swap" else flavor.ephemeral
            if disk.size > most:
                kind = "Swap drive" if disk.guest_format == "swap" else "Ephemeral disks"
                raise Invalid(f"{kind} requested is larger than instance type allows.", "devices")
            return dataclasses.replace(disk, size=disk.size or most, delete_on_termination=True)
        return disk

    # --- nics and places

    def _networks(self, call: Call[Any], wish: ServerWish, project: str) -> tuple[str, tuple[NicWish, ...]]:
        if wish.networks == "none":
            return "none", ()
        networks = self._core.networks
        if wish.networks == "list":
            return "list", tuple(self._nic(nic, project) for nic in wish.nics)
        choices = list(networks.choices(project))
        if len(choices) > 1:
            raise Conflict(
                "Multiple possible networks found, use a Network ID to be more specific.", "networks"
            )  # fmt: skip
        if choices:
            return "list", (NicWish(choices[0].id),)
        if wish.networks == "auto" and version(call) >= (2, 37):
            raise Invalid(
                f"Unable to automatically allocate a network for project {project}: make a network, or ask for 'none'.",
                "networks",
            )
        return "none", ()

    def _nic(self, nic: NicWish, project: str) -> NicWish:
        networks = self._core.networks
        if nic.port_id:
            try:
                port = networks.port(nic.port_id, project)
            except NotFound as error:
                raise Invalid(f"Port id {nic.port_id} could not be found.", "networks") from error
            if port.device_id:
                raise Conflict(f"Port {nic.port_id} is still in use.", "networks")
            if not port.fixed_ips:
                raise Invalid(f"Port {nic.port_id} requires a FixedIP in order to be used.", "networks")
            return dataclasses.replace(nic, network_id=port.network_id)
        try:
            network = networks.find(nic.network_id, project)
        except NotFound as error:
            raise Invalid(f"Network {nic.network_id} could not be found.", "networks") from error
        if not network.subnets:
            raise Invalid(f"Network {nic.network_id} requires a subnet in order to boot instances on.", "networks")
        return nic

    def _security_groups(self, wish: ServerWish, project: str) -> tuple[str, ...]:
        if wish.groups is None:
            return ()
        known = self._core.networks.groups(project)
        found = []
        for name in wish.groups:
            hits = [group.id for group in known if group.id == name] or [g.id for g in known if g.name == name]
            if not hits:
                raise Invalid(
                    f"Unable to find security_group with name or id '{name}'", "security_group"
                )  # fmt: skip
            if len(hits) > 1:
                raise Conflict(
                    f"Multiple security_groups matches found for name '{name}', use an ID to be more specific.",
                    "security_group",
                )
            found += hits
        return tuple(found)

    def _group(self, wish: ServerWish, project: str) -> ServerGroup | None:
        asked = wish.hints.get("group")
        if asked is None:
            return None
        try:
            return self._groups.find(str(asked), project)
        except NotFound as error:
            raise Invalid(f"Instance group {asked} could not be found.", "server_group") from error

    def _place(self, call: Call[Any], wish: ServerWish) -> tuple[str, frozenset[str] | None]:
        """(zone, names of the hosts that may be)."""
        zone, _, host = wish.zone.partition(":")
        host = host.partition(":")[0] or wish.host
        if host and not is_admin(call):
            raise Denied("Policy doesn't allow os_compute_api:servers:create:forced_host to be performed.", "host")
        zones = self._hosts.zones()
        if zone and zone not in zones:
            raise Invalid("The requested availability zone is not available", "zone")
        if host:
            if self._hosts.find(name=host) is None:
                raise Invalid(f"Compute host {host} could not be found.", "host")
            return zone, frozenset({host})
        return zone, frozenset(item.name for item in zones[zone]) if zone else None


def _of_flavor(flavor: Flavor, given: list[DiskWish]) -> list[DiskWish]:
    """The ephemeral and swap disks of a flavor that the client did not ask for itself."""
    local = [disk for disk in given if disk.target == "local"]
    found = []
    if flavor.ephemeral and not any(disk.guest_format != "swap" for disk in local):
        found.append(DiskWish("blank", target="local", size=flavor.ephemeral, delete_on_termination=True))
    if flavor.swap and not any(disk.guest_format == "swap" for disk in local):
        size = math.ceil(flavor.swap / 1024)
        found.append(DiskWish("blank", target="local", size=size, delete_on_termination=True, guest_format="swap"))
    return found


def _index(value: Any) -> int:
    return -1 if value is None else int(value)


def _disks_of_image(image: ImageFacts) -> list[DiskWish]:
    """What an image of a volume-backed server maps: its snapshots."""
    raw = image.properties.get("block_device_mapping")
    if not raw:
        return []
    try:
        rows = json.loads(raw) if isinstance(raw, str) else raw
        return [
            DiskWish(
                "snapshot" if row.get("snapshot_id") else str(row["source_type"]),
                str(row.get("snapshot_id") or row.get("volume_id") or row.get("uuid") or ""),
                "volume", int(row.get("volume_size") or 0), _index(row.get("boot_index")),
                bool(row.get("delete_on_termination")), str(row.get("device_name") or ""),
            )
            for row in rows
            if isinstance(row, dict) and not row.get("no_device")
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid(f"Image {image.id} has a block_device_mapping that cannot be read.", "image") from error
