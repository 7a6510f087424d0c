"""The compute API in one process over neighbours that are values: what its unit tests ask."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from andromede.compute.core import beside
from andromede.compute.engine import Figures
from andromede.compute.hosts import Facts
from andromede.compute.neighbours import (
    AddressFacts,
    GroupFacts,
    ImageFacts,
    NetworkFacts,
    NicFacts,
    PortFacts,
    SubnetFacts,
    VolumeFacts,
)
from andromede.compute.tables import DEVICES, SERVERS
from andromede.db import Database, Tx
from andromede.errors import Conflict, Invalid, NotFound
from tests.support.clock import FakeClock
from tests.support.cloud import Answer
from tests.support.hosted_api import Hosted

IMAGE = "11111111-1111-4111-8111-111111111111"
BIG_IMAGE = "22222222-2222-4222-8222-222222222222"
NETWORK = "33333333-3333-4333-8333-333333333333"
PORT = "44444444-4444-4444-8444-444444444444"
VOLUME = "55555555-5555-4555-8555-555555555555"
BOOT_VOLUME = "66666666-6666-4666-8666-666666666666"
GROUP = "77777777-7777-4777-8777-777777777777"
WEB_GROUP = "88888888-8888-4888-8888-888888888888"
SNAPSHOT = "99999999-9999-4999-8999-999999999999"
SUBNET = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
NOTHING = "00000000-0000-4000-8000-000000000000"
GIB = 1 << 30


@dataclasses.dataclass
class Pictures:
    """Images."""

    known: dict[str, ImageFacts]
    made: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def find(self, image_id: str, project_id: str) -> ImageFacts:
        if image_id not in self.known:
            raise NotFound(f"Image {image_id} could not be found.", "image")
        return self.known[image_id]

    def create(self, project_id: str, user_id: str, name: str, properties: Mapping[str, Any], request_id: str) -> str:
        self.made.append({"name": name, "project": project_id, **properties})
        return self.named(len(self.made))

    def create_mapped(
        self, tx: Tx, owner: tuple[str, str], name: str, properties: Mapping[str, Any], request_id: str
    ) -> str:
        return self.create(owner[0], owner[1], name, properties, request_id)

    @staticmethod
    def named(number: int) -> str:
        """The id of the image that was made as the so-manieth."""
        return f"dddddddd-dddd-4ddd-8ddd-{number:012d}"


@dataclasses.dataclass
class Wires:
    """Networks, ports and security groups of one project."""

    project_id: str
    networks: list[NetworkFacts]
    ports: dict[str, PortFacts]
    floating: dict[str, str] = dataclasses.field(default_factory=dict)
    joined: dict[str, set[str]] = dataclasses.field(default_factory=dict)

    def choices(self, project_id: str) -> Sequence[NetworkFacts]:
        return self.networks

    def find(self, network_id: str, project_id: str) -> NetworkFacts:
        for network in self.networks:
            if network.id == network_id:
                return network
        raise NotFound(f"Network {network_id} could not be found.", "network")

    def port(self, port_id: str, project_id: str) -> PortFacts:
        if port_id not in self.ports:
            raise NotFound(f"Port {port_id} could not be found.", "port")
        return self.ports[port_id]

    def ports_of(self, server_id: str) -> Sequence[PortFacts]:
        return [port for port in self.ports.values() if port.device_id == server_id]

    def addresses(self, server_ids: Sequence[str]) -> Mapping[str, Sequence[AddressFacts]]:
        found: dict[str, list[AddressFacts]] = {}
        for port in self.ports.values():
            if port.device_id in server_ids:
                for _, address in port.fixed_ips:
                    version = 6 if ":" in address else 4
                    fixed = AddressFacts("private", address, version, "fixed", port.mac, port.id)
                    found.setdefault(port.device_id, []).append(fixed)
                found.setdefault(port.device_id, []).extend(
                    AddressFacts("private", address, 4, "floating", port.mac, port.id)
                    for address, at in self.floating.items()
                    if at == port.id
                )
        return found

    def group_names(self, server_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        names = {group.id: group.name for group in self.groups(self.project_id)}
        return {key: sorted(names[one] for one in self.joined.get(key, ())) for key in server_ids}

    def groups(self, project_id: str) -> Sequence[GroupFacts]:
        rule = {
            "id": "r1", "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22,
            "port_range_max": 22, "remote_ip_prefix": None, "remote_group_id": None,
        }  # fmt: skip
        egress = {**rule, "id": "r2", "direction": "egress"}
        icmp = {**rule, "id": "r3", "protocol": "icmp", "port_range_min": None, "port_range_max": None}
        peers = {**rule, "id": "r4", "protocol": "udp", "port_range_min": None, "port_range_max": None,
                 "remote_group_id": GROUP}  # fmt: skip
        return [
            GroupFacts(GROUP, "default", "Default security group", project_id),
            GroupFacts(WEB_GROUP, "web", "", project_id, (rule, egress, icmp, peers)),
        ]

    def groups_of(self, server_id: str) -> Sequence[GroupFacts]:
        return [group for group in self.groups(self.project_id) if group.id in self.joined.get(server_id, ())]

    def nics(self, server_id: str) -> Sequence[NicFacts]:
        subnet = SubnetFacts(SUBNET, "10.0.0.5", "10.0.0.0/24", "10.0.0.1", True, ("9.9.9.9",))
        still = SubnetFacts(SUBNET, "fd00::5", "fd00::/64", "fd00::1", False, ("9.9.9.9",), (("fd01::/64", "fd00::2"),))
        return [
            NicFacts(port.id, port.network_id, port.mac, 1450, (subnet, still)) for port in self.ports_of(server_id)
        ]

    def server_of(self, port_id: str) -> str:
        return self.port(port_id, self.project_id).device_id

    def create_port(
        self, project_id: str, server_id: str, network_id: str, fixed_ip: str, request_id: str
    ) -> PortFacts:
        if fixed_ip == "10.0.0.66":
            raise Invalid("Fixed IP address 10.0.0.66 is already in use.", "port")
        number = len(self.ports)
        made = PortFacts(
            f"bbbbbbbb-bbbb-4bbb-8bbb-{number:012d}", network_id, f"fa:16:3e:00:00:{number:02x}", "DOWN", server_id,
            project_id, ((SUBNET, fixed_ip or f"10.0.0.{100 + number}"),),
        )  # fmt: skip
        self.ports[made.id] = made
        return made

    def delete_port(self, port_id: str, request_id: str) -> None:
        del self.ports[port_id]

    def add_address(self, port_id: str, request_id: str) -> None:
        port = self.ports[port_id]
        self.ports[port_id] = dataclasses.replace(port, fixed_ips=(*port.fixed_ips, (SUBNET, "10.0.0.200")))

    def remove_address(self, port_id: str, address: str, request_id: str) -> None:
        port = self.ports[port_id]
        left = tuple(pair for pair in port.fixed_ips if pair[1] != address)
        self.ports[port_id] = dataclasses.replace(port, fixed_ips=left)

    def associate(self, project_id: str, address: str, port_id: str, fixed_ip: str, request_id: str) -> None:
        if address not in self.floating:
            raise NotFound(f"Floating IP {address} could not be found.", "floating_ip")
        self.floating[address] = port_id

    def change_group(self, server_id: str, group_id: str, add: bool, request_id: str) -> None:
        joined = self.joined.setdefault(server_id, set())
        (joined.add if add else joined.discard)(group_id)


@dataclasses.dataclass
class Blocks:
    """Volumes."""

    known: dict[str, VolumeFacts]
    held: dict[str, str] = dataclasses.field(default_factory=dict)
    taken: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    """Snapshots: the volume and the name."""

    def find(self, volume_id: str, project_id: str) -> VolumeFacts:
        if volume_id not in self.known:
            raise NotFound(f"Volume {volume_id} could not be found.", "volume")
        return self.known[volume_id]

    def snapshot(self, snapshot_id: str, project_id: str) -> VolumeFacts:
        if snapshot_id != SNAPSHOT:
            raise NotFound(f"Snapshot {snapshot_id} could not be found.", "snapshot")
        return VolumeFacts(SNAPSHOT, "snap", "available", 2, True)

    def reserve(self, volume_id: str, project_id: str, server_id: str, request_id: str, tx: Tx) -> None:
        if volume_id in self.held:
            raise Invalid(f"Volume {volume_id} is reserved, it is not available.", "state")
        self.held[volume_id] = server_id

    def take_snapshot(self, volume_id: str, who: tuple[str, str], name: str, tx: Tx) -> str:
        self.taken.append((volume_id, name))
        return SNAPSHOT

    def begin_detaching(self, volume_id: str, server_id: str, request_id: str, tx: Tx) -> None:
        if self.held.get(volume_id) != server_id:
            raise NotFound(f"Volume {volume_id} is not attached to server {server_id}.", "attachment")
        self.held[volume_id] = "detaching"


class Looks:
    """Consoles and counters."""

    def console(self, guest_id: str, lines: int | None) -> str:
        text = ["booting", "login:"]
        return "\n".join(text if lines is None else text[-lines:] if lines else [])

    def screenshot(self, guest_id: str) -> bytes:
        raise Conflict("no screen")

    def figures(self, guest_id: str) -> Figures:
        disk = {"read_bytes": 1, "read_requests": 2, "write_bytes": 3, "write_requests": 4, "errors_count": 0}
        return Figures(60, (5, 6), 256, 128, {"vda": disk}, {PORT: {"rx_octets": 1}})


class Nova:
    """The compute API of an installation with one host of 8 CPUs, 16 GiB and 100 GiB."""

    def __init__(self, db: Database, folder: Path, clock: FakeClock) -> None:
        self.hosted = Hosted(db, folder, clock)
        self.clock, self.db = clock, db
        self.compute = self.hosted.site.compute
        self.project_id = self.hosted.project_id
        self.images = Pictures(
            {
                IMAGE: ImageFacts(IMAGE, "tiny", "active", "", 0, 64, 10 << 20, 50 << 20, "qcow2", "bare", {"os": "x"}),
                BIG_IMAGE: ImageFacts(BIG_IMAGE, "big", "active", "", 30, 0, 10 << 20, 20 * GIB, "qcow2", "bare"),
            }
        )
        free = PortFacts(PORT, NETWORK, "fa:16:3e:aa:bb:cc", "DOWN", "", self.project_id, ((SUBNET, "10.0.0.5"),))
        self.wires = Wires(self.project_id, [NetworkFacts(NETWORK, "private")], {PORT: free})
        self.blocks = Blocks(
            {
                VOLUME: VolumeFacts(VOLUME, "data", "available", 1),
                BOOT_VOLUME: VolumeFacts(BOOT_VOLUME, "root", "available", 3, True, image={"min_ram": "64"}),
            }
        )
        for name, value in (
            ("images", self.images), ("networks", self.wires), ("volumes", self.blocks), ("views", Looks()),
            ("console_url", beside),
        ):  # fmt: skip
            object.__setattr__(self.compute.core, name, value)
        self.alive()

    def alive(self) -> None:
        """The host gives a sign of life."""
        self.compute.hosts.announce(Facts("h1", 8, 16384, 100, vcpu_ratio=1.0, overhead_mb=64, cpu={"arch": "x86_64"}))

    def call(
        self, method: str, path: str, body: Any = None, version: str | None = None, token: str | None = None
    ) -> Answer:
        """One request of the member at a microversion."""
        headers = {} if version is None else {"openstack-api-version": f"compute {version}"}
        where = f"/compute/v2.1{path}"
        return self.hosted.call(method, where, token or self.hosted.member, body, headers)

    def admin(self, method: str, path: str, body: Any = None, version: str | None = None) -> Answer:
        """The same of the administrator."""
        return self.call(method, path, body, version, self.hosted.admin)

    def server(self, version: str | None = None, **fields: Any) -> dict[str, Any]:
        """Accept a server; the answer's object."""
        body = {"name": "web", "flavorRef": "tiny", "imageRef": IMAGE, **fields}
        answer = self.call("POST", "/servers", {"server": body}, version)
        assert answer.status == 202, answer.raw
        return dict(answer.json["server"])

    def active(self, version: str | None = None, **fields: Any) -> str:
        """A server that runs; its id."""
        return self.arrive(str(self.server(version, **fields)["id"]))

    def arrive(self, server_id: str, state: str = "active", **columns: Any) -> str:
        """What a worker would make of it."""
        sets = {"state": state, "due_us": None, "task": "", "power": "running", **columns}
        if state == "active":
            sets["launched_us"] = self.clock.now_us()
        with self.db.write() as tx:
            SERVERS.update(tx, {"id": server_id}, **sets)
            DEVICES.update(tx, {"server_id": server_id}, state="attached", due_us=None)
        return server_id

    def row(self, server_id: str) -> Any:
        """The row."""
        return SERVERS.find(self.db, id=server_id)

    def act(
        self, server_id: str, name: str, value: Any = None, version: str | None = None, token: str | None = None
    ) -> Answer:
        """An action."""
        return self.call("POST", f"/servers/{server_id}/action", {name: value}, version, token)
