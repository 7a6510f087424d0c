"""Disks and nics of servers that are there already: accepted as rows, made true by workers."""

from __future__ import annotations

import dataclasses
from string import ascii_lowercase
from typing import Any

from andromede.audit.changes import Change
from andromede.compute import actions
from andromede.compute.core import Core, project_of
from andromede.compute.deeds import check
from andromede.compute.model import DEVICE, Device, DeviceState, Server, State
from andromede.compute.neighbours import NetworkFacts, PortFacts
from andromede.compute.planning import MOST_DEVICES
from andromede.compute.tables import DEVICES
from andromede.errors import Conflict, Denied, Error, Invalid, NotFound
from andromede.web.call import Call
from andromede.work import lifecycle

DISKS = frozenset({State.ACTIVE, State.PAUSED, State.STOPPED, State.VERIFY_RESIZE, State.SHELVED, State.OFFLOADED})
NICS = frozenset({State.ACTIVE, State.PAUSED, State.STOPPED})
NAMES = tuple(f"/dev/vd{letter}" for letter in ascii_lowercase)
"""What disks are called by whom nobody else named them; more than a server can have."""
GONE = frozenset({DeviceState.DETACHED, DeviceState.ERROR})


@dataclasses.dataclass(frozen=True, slots=True)
class NewDisk:
    """What a client says of a volume it attaches."""

    volume_id: str
    device_name: str = ""
    tag: str = ""


class Attaching:
    """Hot plug of volumes and ports, and what changes on ports."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def devices(self, server: Server, kind: str) -> list[Device]:
        """The disks or nics of a server that are not on their way out of memory."""
        rows = DEVICES.select(self._core.desk.db, {"server_id": server.id, "kind": kind})
        return [row for row in rows if row.state not in GONE]

    def volume(self, server: Server, volume_id: str) -> Device:
        """The attachment of a volume. Raises `NotFound`."""
        for device in self.devices(server, "disk"):
            if device.volume_id == volume_id:
                return device
        raise NotFound(f"volume_id not found: {volume_id}", "attachment")

    def port(self, server: Server, port_id: str) -> Device:
        """The attachment of a port. Raises `NotFound`."""
        for device in self.devices(server, "nic"):
            if device.port_id == port_id:
                return device
        raise NotFound(f"Port {port_id} is not attached to instance {server.id}.", "attachment")

    # --- volumes

    def attach_volume(self, call: Call[Any], server: Server, new: NewDisk) -> Device:
        """Reserve a volume and wish it attached. Raises `NotFound`, `Invalid`, `Conflict`, `Denied`."""
        project = server.project_id
        volume = self._core.volumes.find(new.volume_id, project)
        check(server, "attach_volume", DISKS)
        there = self.devices(server, "disk")
        if any(row.volume_id == new.volume_id for row in there):
            raise Invalid(f"Invalid volume: volume {new.volume_id} already attached to the instance", "volume")
        if new.device_name and any(row.device_name == new.device_name for row in there):
            raise Conflict(f"The supplied device path ({new.device_name}) is in use.", "device")
        self._room(server, "disk")
        device = Device(
            id=self._core.desk.ids.dashed(), project_id=project, server_id=server.id, kind="disk",
            state=DeviceState.ATTACHING, since_us=0, position=max((row.position for row in there), default=-1) + 1,
            source="volume", source_id=volume.id, target="volume", disk_id=volume.id, volume_id=volume.id,
            size_gb=volume.size, tag=new.tag,
            device_name=new.device_name, request_id=call.request_id,
        )  # fmt: skip
        return self._insert(call, server, device, "attach_volume")

    def _room(self, server: Server, kind: str) -> None:
        if len(self.devices(server, "disk")) + len(self.devices(server, "nic")) >= MOST_DEVICES:
            raise Denied(f"The maximum allowed number of devices ({MOST_DEVICES}) of a server is reached.", kind)

    def _insert(self, call: Call[Any], server: Server, device: Device, action: str) -> Device:
        with self._core.desk.change(call, f"server/{server.id}", server.project_id) as change:
            there = DEVICES.select(change.tx, {"server_id": server.id})
            for row in there:
                if (row.kind, row.volume_id, row.port_id) != (device.kind, device.volume_id, device.port_id):
                    continue
                if row.state not in GONE:
                    what = device.volume_id or device.port_id
                    raise Conflict(f"{what} is being attached to instance {server.id} already.", "attachment")
                DEVICES.remove(change.tx, id=row.id)  # an attach that failed, and is tried again
            if device.kind == "disk" and not device.device_name:
                used = {row.device_name for row in there if row.state not in GONE}
                device = dataclasses.replace(device, device_name=next(name for name in NAMES if name not in used))
            device = dataclasses.replace(
                device, since_us=change.now_us, due_us=change.now_us, created_us=change.now_us
            )  # fmt: skip
            DEVICES.insert(change.tx, device)
            if device.volume_id:
                self._core.volumes.reserve(
                    device.volume_id, server.project_id, server.id, call.request_id, change.tx
                )  # fmt: skip
            self._note(change, call, server, action)
            change.detail = {"device": device.volume_id or device.port_id}
        return device

    def _note(self, change: Change, call: Call[Any], server: Server, action: str) -> None:
        who = (call.request_id, call.who.project_id or server.project_id, call.who.user_id)
        actions.begin(change.tx, server, who, action, change.now_us)

    def detach_volume(self, call: Call[Any], server: Server, volume_id: str) -> None:
        """Wish a volume off a server."""
        device = self.volume(server, volume_id)
        if device.boot_index == 0 and server.state != State.OFFLOADED:
            raise Denied("Cannot detach a root device volume", "attachment")
        check(server, "detach_volume", DISKS)
        self._begin(call, server, device, "detach_volume")

    def _begin(self, call: Call[Any], server: Server, device: Device, action: str) -> None:
        with self._core.desk.change(call, f"server/{server.id}", server.project_id) as change:
            move = ((DeviceState.ATTACHED,), DeviceState.DETACHING)
            moved = lifecycle.begin(
                change.tx, DEVICE, device.id, move, change.now_us, request_id=call.request_id
            )  # fmt: skip
            if not moved:
                raise Conflict(
                    f"{device.volume_id or device.port_id} is {device.state}, it cannot be detached now.", "attachment"
                )
            if device.volume_id:
                self._core.volumes.begin_detaching(device.volume_id, server.id, call.request_id, change.tx)
            self._note(change, call, server, action)
            change.detail = {"device": device.volume_id or device.port_id}

    # --- ports

    def attach_port(self, call: Call[Any], server: Server, place: tuple[str, str, str], tag: str) -> PortFacts:
        """Plug a port in: `place` is (port, or network with perhaps an address; all may be empty)."""
        check(server, "attach_interface", NICS)
        self._room(server, "nic")
        port_id, network_id, fixed_ip = place
        networks, made = self._core.networks, not port_id
        if port_id:
            port = networks.port(port_id, server.project_id)
            if port.device_id:
                raise Conflict(f"Port {port_id} is still in use.", "port")
        else:
            network = self._network(server.project_id, network_id)
            port = networks.create_port(server.project_id, server.id, network.id, fixed_ip, call.request_id)
        nics = self.devices(server, "nic")
        device = Device(
            id=self._core.desk.ids.dashed(), project_id=server.project_id, server_id=server.id, kind="nic",
            state=DeviceState.ATTACHING, since_us=0, position=max((row.position for row in nics), default=-1) + 1,
            source="network" if made else "port", network_id=port.network_id, port_id=port.id, mac=port.mac,
            made=made, delete_on_termination=made, tag=tag, request_id=call.request_id,
        )  # fmt: skip
        try:
            self._insert(call, server, device, "attach_interface")
        except Error:
            if made:
                networks.delete_port(port.id, call.request_id)
            raise
        return port

    def _network(self, project_id: str, network_id: str) -> NetworkFacts:
        if network_id:
            try:
                return self._core.networks.find(network_id, project_id)
            except NotFound as error:
                raise Invalid(f"Network {network_id} could not be found.", "network") from error
        choices = list(self._core.networks.choices(project_id))
        if len(choices) != 1:
            raise Conflict("Multiple possible networks found, use a Network ID to be more specific.", "network")
        return choices[0]

    def detach_port(self, call: Call[Any], server: Server, port_id: str) -> None:
        """Wish a port off a server."""
        device = self.port(server, port_id)
        check(server, "detach_interface", NICS)
        self._begin(call, server, device, "detach_interface")

    def _event(self, call: Call[Any], server: Server) -> None:
        with self._core.desk.change(call, f"server/{server.id}", server.project_id):
            pass

    def change_group(self, call: Call[Any], server: Server, name: str, add: bool) -> None:
        """Put a server's ports into a security group, or out of it. Raises `NotFound`."""
        known = self._core.networks.groups(server.project_id)
        hits = [group for group in known if name in (group.id, group.name)]
        if not hits:
            raise NotFound(f"Security group {name} not found for project {server.project_id}.", "security_group")
        if not add and hits[0].id not in {group.id for group in self._core.networks.groups_of(server.id)}:
            raise NotFound(f"Security group {name} is not associated with instance {server.id}.", "security_group")
        self._event(call, server)
        self._core.networks.change_group(server.id, hits[0].id, add, call.request_id)

    def add_fixed_ip(self, call: Call[Any], server: Server, network_id: str) -> None:
        """One more address on a network that the server is on."""
        for port in self._core.networks.ports_of(server.id):
            if port.network_id == network_id:
                self._event(call, server)
                self._core.networks.add_address(port.id, call.request_id)
                return
        raise Invalid(f"Network {network_id} is not among those of instance {server.id}.", "network")

    def remove_fixed_ip(self, call: Call[Any], server: Server, address: str) -> None:
        """Take an address away. Raises `Invalid`."""
        for port in self._core.networks.ports_of(server.id):
            if address in {ip for _, ip in port.fixed_ips}:
                self._event(call, server)
                self._core.networks.remove_address(port.id, address, call.request_id)
                return
        raise Invalid(f"Fixed IP {address} is not of instance {server.id}.", "address")

    def floating_ip(self, call: Call[Any], server: Server, address: str, fixed: str | None) -> None:
        """Point a floating IP at a server, or with None at nothing."""
        ports = [port for port in self._core.networks.ports_of(server.id) if port.fixed_ips]
        if fixed is None:
            held = [item.address for item in self._core.networks.addresses([server.id]).get(server.id, ())]
            if address not in held:
                listed = self._core.network(
                    call, "GET", "/v2.0/floatingips", None, (("floating_ip_address", address),)
                )  # fmt: skip
                if not listed["floatingips"]:
                    raise NotFound(f"floating IP {address} not found", "floating_ip")
                raise Conflict(f"Floating IP {address} is not associated with instance {server.id}.", "floating_ip")
            self._event(call, server)
            self._core.networks.associate(project_of(call), address, "", "", call.request_id)
            return
        fits = [port for port in ports if not fixed or fixed in {ip for _, ip in port.fixed_ips}]
        if not fits:
            raise Invalid(
                f"No fixed IPs associated to instance {server.id}" + (f" with address {fixed}" if fixed else ""), "ip"
            )
        self._event(call, server)
        try:
            self._core.networks.associate(project_of(call), address, fits[0].id, fixed, call.request_id)
        except Conflict as error:
            raise Invalid(error.public, error.reason) from error
