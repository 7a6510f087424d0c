"""Neighbours of compute on a hypervisor host, as the steps of servers want them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from andromede.app.hosting.volumes import pictures
from andromede.errors import Conflict, NotFound, Unavailable

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.compute.crew import Plugged
    from andromede.compute.model import Device, Server
    from andromede.db import Tx
    from andromede.volumes.model import Volume

OWNER = "compute:nova"
_COMING = ("creating", "downloading", "uploading", "restoring-backup", "maintenance")
_USABLE = ("available", "reserved", "attaching", "in-use", "detaching", "extending")


class Ports:
    """Over the network service."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def make(self, server: Server, nic: Device, taken: frozenset[str]) -> str:
        from andromede.network.service import PortWish

        networks = self._site.networks
        for port in networks.ports_of(server.id):
            if port.id not in taken and port.network_id == nic.network_id:
                return port.id
        address = str(nic.wish.get("fixed_ip") or "")
        wish = PortWish(
            fixed_ips=[("", address)] if address else None, device_id=server.id, device_owner=OWNER,
            security_groups=[str(group) for group in server.security_groups] or None,
        )  # fmt: skip
        return networks.create_port(server.project_id, nic.network_id, wish, nic.request_id or server.request_id).id

    def bind(self, port_id: str, server: Server) -> None:
        self._site.networks.bind(port_id, server.id, self._site.host, server.request_id, owner=OWNER)

    def unbind(self, port_id: str, server: Server) -> None:
        if self._is_of(port_id, server):
            self._site.networks.unbind(port_id, server.request_id)

    def park(self, port_id: str, server: Server) -> None:
        if self._is_of(port_id, server):
            self._site.networks.unbind(port_id, server.request_id, keep_device=True)

    def _is_of(self, port_id: str, server: Server) -> bool:
        try:
            return self._site.networks.port(port_id).device_id == server.id
        except NotFound:
            return False

    def delete(self, port_id: str, server: Server) -> None:
        self._site.networks.delete_port(port_id, server.request_id)

    def wired(self, port_id: str) -> bool:
        return self._site.networks.is_wired(port_id)

    def held(self, server: Server, held: bool) -> None:
        self._site.networks.held(server.id, held)

    def facts(self, port_id: str) -> Plugged:
        from andromede.compute.crew import Plugged

        port = self._site.networks.port(port_id)
        return Plugged(port.id, port.network_id, port.mac_address, port.mtu)


class Disks:
    """Over block storage's disks."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def root(self, server: Server, disk_id: str, size: int, image_id: str) -> None:
        from andromede.app.hosting.pictures import PicturesHere

        images, disks = PicturesHere(self._site), self._site.disks
        base = images.base(image_id)
        if base is not None:
            disks.create_root(server.project_id, disk_id, size, server.request_id, base)
            return
        with images.source(image_id) as source:  # of an image that not everybody may read no copy in clear stays
            disks.create(server.project_id, disk_id, size, server.request_id, source)

    def blank(self, server: Server, disk_id: str, size: int, form: str = "") -> None:
        from andromede.engines import formatting

        self._site.disks.create(server.project_id, disk_id, size, server.request_id)
        if form:
            with formatting.made(form, size, disk_id) as image, self._site.disks.plain(disk_id, writable=True) as raw:
                for at, data in formatting.pieces(image):
                    raw.write(at, data)

    def copy(self, server: Server, source_id: str, target_id: str, size: int) -> None:
        self._site.disks.copy(server.project_id, source_id, target_id, size, server.request_id)

    def remove(self, disk_id: str, server: Server) -> None:
        self._site.disks.remove(disk_id, server.request_id)

    def size(self, disk_id: str) -> int:
        return self._site.disks.value(disk_id).size


class Volumes:
    """Over block storage's volumes."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def make(self, server: Server, disk: Device) -> str:
        from andromede.compute.shape import derived
        from andromede.volumes.service import VolumeWish

        if disk.source == "snapshot" and self._site.volumes.find_snapshot(disk.source_id, None).state == "creating":
            raise Unavailable(f"snapshot {disk.source_id} is not there yet", "snapshot")

        def origin(kind: str) -> str:
            return disk.source_id if disk.source == kind else ""

        wish = VolumeWish(
            id=derived(disk.id, "volume"), size=disk.size_gb, type=disk.volume_type, zone=server.availability_zone,
            image_id=origin("image"), snapshot_id=origin("snapshot"), source_id=origin("volume"),
        )  # fmt: skip
        return self._site.volumes.create_for(server.project_id, server.user_id, wish, server.request_id).id

    def ready(self, volume_id: str) -> bool:
        volume = self._site.volumes.find(volume_id, None)
        if volume.state in _COMING:
            return False
        if volume.state not in _USABLE:
            raise Conflict(f"volume {volume_id} is {volume.state}: {volume.fault or 'it cannot be attached'}", "volume")
        return True

    def attach(self, server: Server, disk: Device) -> None:
        volumes = self._site.volumes
        if not any(known.server_id == server.id for known in volumes.attachments(disk.volume_id)):
            volumes.reserve(disk.volume_id, None, server.id, server.request_id)
        volumes.roll_detaching(disk.volume_id, server.id, server.request_id)
        volumes.attach(disk.volume_id, server.id, disk.device_name, server.request_id)

    def detach(self, server: Server, disk: Device) -> None:
        self._site.volumes.detach(disk.volume_id, server.id, server.request_id)

    def delete(self, server: Server, disk: Device) -> None:
        if not self._site.volumes.attachments(disk.volume_id):  # what another server uses is not this one's to delete
            self._site.volumes.delete(disk.volume_id, server.request_id)


class Images:
    """Over the images that block storage uses, too."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def size(self, image_id: str) -> int:
        image = pictures(self._site).find(image_id, "")
        return image.virtual_size or image.size

    def fill(self, image_id: str, disk_id: str, server: Server) -> None:
        with self._site.disks.plain(disk_id) as raw:
            pictures(self._site).upload(image_id, raw, server.request_id)

    def fail(self, image_id: str, why: str) -> None:
        self._site.images.fail(image_id, why, "")

    def delete(self, image_id: str, server: Server) -> None:
        self._site.images.remove(image_id, server.request_id)

    def rotate(self, server: Server, kind: str, keep: int) -> None:
        told = {"image_type": "backup", "backup_type": kind, "instance_uuid": server.id}
        for image in self._site.images.with_properties(server.project_id, told)[keep:]:
            if not image.protected:
                self._site.images.remove(image.id, server.request_id)


class LiveDisks:
    """What block storage wants of disks that guests have open."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def grow(self, server_id: str, disk_id: str, size: int) -> bool:
        return self._site.hypervisor.grow(server_id, disk_id, size)

    def extended(self, tx: Tx, server_id: str, volume: Volume) -> None:
        from andromede.compute import actions
        from andromede.compute.tables import DEVICES, SERVERS

        server, now, wish = SERVERS.find(tx, id=server_id), self._site.base.clock.now_us(), volume.request_id
        if server is None:  # a client's own machine
            return
        DEVICES.update(tx, {"server_id": server_id, "volume_id": volume.id}, size_gb=volume.new_size)
        actions.begin(tx, server, (wish, volume.project_id, volume.user_id), "extend_volume", volume.since_us)
        actions.event(tx, (server_id, wish), "compute_extend_volume", (volume.since_us, now))
        actions.finish(tx, server_id, wish, now)

    def copy(self, server_id: str, disk_id: str, target_id: str, job_id: str) -> bool:
        from andromede.compute.engine import Copy

        guests = self._site.hypervisor
        seen = guests.observe(server_id)
        job = next((job for job in seen.jobs if job.id == job_id), None) if seen else None
        copy = Copy(job_id, ((disk_id, target_id),))
        if job is None:
            guests.copy(server_id, copy)
        elif job.concluded:
            guests.copy(server_id, Copy(job_id, copy.pairs, dismiss=True))
            if job.error:
                raise Conflict(f"disk {disk_id} could not be copied: {job.error}", "copy")
            return True
        return False

    def forget(self, server_id: str, job_id: str) -> None:
        from andromede.compute.engine import Copy

        seen = self._site.hypervisor.observe(server_id)
        if seen is not None and any(job.id == job_id for job in seen.jobs):
            self._site.hypervisor.copy(server_id, Copy(job_id, (), dismiss=True))


class Books:
    """Over the rows of capacity."""

    def release(self, tx: Tx, server: Server, now_us: int) -> None:
        from andromede.compute import capacity

        capacity.release(tx, server.id, now_us)

    def settle(self, tx: Tx, server: Server, flavor: Mapping[str, Any], root_gb: int, now_us: int) -> None:
        from andromede.compute import capacity

        resources = capacity.resources_of(flavor, root_gb if server.root_disk_id else 0)
        claim = capacity.Claim(server.id, server.project_id, server.user_id, resources)
        capacity.grow(tx, claim, server.host, now_us)
