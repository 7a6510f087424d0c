"""What a guest may read of itself: the same documents for the metadata service and the config drive."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from andromede.compute.model import Device, Server
from andromede.compute.neighbours import AddressFacts, NicFacts

DOMAIN = "novalocal"
VERSIONS = (
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27",
    "2020-10-14", "latest",
)  # fmt: skip
"""Of the OpenStack form."""
EC2_VERSIONS = ("2009-04-04", "latest")


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents of one server. `ec2`: path below `meta-data/` -> text; `user_data`: decoded, None without."""

    server_id: str
    project_id: str
    meta_data: dict[str, Any]
    network_data: dict[str, Any]
    vendor_data: dict[str, Any]
    vendor_data2: dict[str, Any]
    user_data: bytes | None
    ec2: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Injected files: path -> content."""
    password: str = ""
    """What the guest left for its owner."""

    def drive(self) -> dict[str, bytes]:
        """The files of a config drive, by path."""
        found = {
            "openstack/latest/meta_data.json": _bytes(self.meta_data),
            "openstack/latest/network_data.json": _bytes(self.network_data),
            "openstack/latest/vendor_data.json": _bytes(self.vendor_data),
            "openstack/latest/vendor_data2.json": _bytes(self.vendor_data2),
            "ec2/latest/meta-data.json": _bytes(_tree(self.ec2)),
        }
        if self.user_data is not None:
            found["openstack/latest/user_data"] = self.user_data
            found["ec2/latest/user-data"] = self.user_data
        for number, content in enumerate(self.files.values()):
            found[f"openstack/content/{number:04d}"] = content
        return found

    def openstack(self, name: str) -> bytes | None:
        """A document of the OpenStack form; None for what there is not."""
        if name == "user_data":
            return self.user_data
        found = {
            "meta_data.json": self.meta_data,
            "network_data.json": self.network_data,
            "vendor_data.json": self.vendor_data,
            "vendor_data2.json": self.vendor_data2,
        }.get(name)
        if name == "password":
            return self.password.encode()
        return None if found is None else _bytes(found)

    def content(self, name: str) -> bytes | None:
        """An injected file by its number."""
        listed = list(self.files.values())
        return listed[int(name)] if name.isascii() and name.isdigit() and int(name) < len(listed) else None

    def meta(self, path: str) -> str | None:
        """The EC2 form below `meta-data/`: a text or a listing; None for what there is not."""
        path = path.strip("/")
        if path in self.ec2:
            return self.ec2[path]
        if path == "public-keys":
            names = {key: text for key, text in self.ec2.items() if key.startswith("public-keys/")}
            return f"0={self.meta_data['keys'][0]['name']}" if names else None
        prefix = f"{path}/" if path else ""
        below = sorted(
            {
                key[len(prefix) :].partition("/")[0] + ("/" if "/" in key[len(prefix) :] else "")
                for key in self.ec2
                if key.startswith(prefix)
            }
        )
        return "\n".join(below) if below else None


def _bytes(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _tree(flat: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, text in flat.items():
        *folders, name = path.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = text
    return tree


def _plain(text: str) -> bytes:
    return base64.b64decode("".join(text.split()))


def network_data(nics: Sequence[NicFacts]) -> dict[str, Any]:
    """`network_data.json` (Nova metadata guide)."""
    links, networks, services = [], [], []
    for number, nic in enumerate(nics):
        link = f"tap{nic.port_id[:11]}"
        links.append(
            {
                "id": link, "vif_id": nic.port_id, "type": "phy", "mtu": nic.mtu, "ethernet_mac_address": nic.mac,
            }
        )  # fmt: skip
        for place, subnet in enumerate(nic.subnets):
            net = ipaddress.ip_network(subnet.cidr, strict=False)
            kind = f"ipv{net.version}" + ("_dhcp" if subnet.dhcp else "")
            entry: dict[str, Any] = {
                "id": f"network{number}" if not place else f"network{number}-{place}", "type": kind, "link": link,
                "network_id": nic.network_id,
            }  # fmt: skip
            if not subnet.dhcp:
                zero = "0.0.0.0" if net.version == 4 else "::"  # noqa: S104
                routes = [{"network": zero, "netmask": zero, "gateway": subnet.gateway}] if subnet.gateway else []
                for target, hop in subnet.routes:
                    wide = ipaddress.ip_network(target, strict=False)
                    routes.append({"network": str(wide.network_address), "netmask": str(wide.netmask), "gateway": hop})
                found = [{"type": "dns", "address": address} for address in subnet.dns]
                entry |= {
                    "ip_address": subnet.address, "netmask": str(net.netmask), "routes": routes, "services": found,
                }  # fmt: skip
                services += found
            networks.append(entry)
    return {"links": links, "networks": networks, "services": services}


def _devices(devices: Sequence[Device]) -> list[dict[str, Any]]:
    found = []
    for device in devices:
        if not device.tag:
            continue
        entry: dict[str, Any] = {"type": device.kind, "tags": [device.tag]}
        if device.bus:
            entry["bus"] = device.bus
        if device.slot:
            entry["address"] = device.slot
        if device.kind == "nic":
            entry["mac"] = device.mac
        else:
            entry["serial"] = device.volume_id or device.disk_id
        found.append(entry)
    return found


def _mapped(devices: Sequence[Device]) -> dict[str, str]:
    """Names of the disks beside the root, by what they are for (EC2)."""
    found, count = {}, {"ephemeral": 0, "ebs": 0}
    for device in devices:
        if device.kind != "disk" or device.boot_index == 0:
            continue
        word = "swap" if device.guest_format == "swap" else "ebs" if device.volume_id else "ephemeral"
        found[f"block-device-mapping/{word}" + (str(count[word]) if word in count else "")] = device.device_name
        if word in count:
            count[word] += 1
    return found


def _ec2(server: Server, zone: str, addresses: Sequence[AddressFacts], groups: Sequence[str]) -> dict[str, str]:
    fixed = [item.address for item in addresses if item.kind == "fixed" and item.version == 4]
    floating = [item.address for item in addresses if item.kind == "floating"]
    found = {
        "ami-id": f"ami-{server.image_id[:8] or '00000000'}",
        "ami-launch-index": str(server.launch_index),
        "block-device-mapping/ami": server.root_device_name.removeprefix("/dev/"),
        "block-device-mapping/root": server.root_device_name,
        "hostname": f"{server.hostname}.{DOMAIN}",
        "instance-action": "none",
        "instance-id": f"i-{server.id[:8]}",
        "instance-type": str(server.flavor.get("name", "")),
        "local-hostname": f"{server.hostname}.{DOMAIN}",
        "local-ipv4": fixed[0] if fixed else "",
        "placement/availability-zone": zone,
        "public-hostname": f"{server.hostname}.{DOMAIN}",
        "public-ipv4": floating[0] if floating else "",
        "reservation-id": server.reservation_id,
        "security-groups": "\n".join(groups),
    }
    return found | ({"public-keys/0/openssh-key": server.public_key} if server.public_key else {})


def documents(
    server: Server, devices: Sequence[Device], nics: Sequence[NicFacts], known: tuple[str, Sequence[AddressFacts],
    Sequence[str]], seed: bytes,
) -> Documents:  # fmt: skip
    """The documents of a server. `known`: its zone, addresses and the names of its security groups; `seed`: random
    bytes for the guest's own generator."""
    zone, addresses, groups = known
    files = {str(item["path"]): _plain(str(item["contents"])) for item in server.personality}
    meta: dict[str, Any] = {
        "uuid": server.id,
        "name": server.name,
        "hostname": f"{server.hostname}.{DOMAIN}",
        "availability_zone": zone,
        "launch_index": server.launch_index,
        "project_id": server.project_id,
        "random_seed": base64.b64encode(seed).decode(),
        "devices": _devices(devices),
        "dedicated_cpus": [],
    }
    if server.metadata:
        meta["meta"] = server.metadata
    if server.public_key:
        meta["public_keys"] = {server.key_name: server.public_key}
        meta["keys"] = [{"name": server.key_name, "type": server.key_type or "ssh", "data": server.public_key}]
    if server.admin_pass:
        meta["admin_pass"] = server.admin_pass
    if files:
        meta["files"] = [{"path": path, "content_path": f"/content/{n:04d}"} for n, path in enumerate(files)]
    vendor = {"cloud-init": "#cloud-config\nmanage_etc_hosts: true\n"}
    return Documents(
        server.id, server.project_id, meta, network_data(nics), vendor, {"static": vendor},
        _plain(server.user_data) if server.user_data else None,
        {**_ec2(server, zone, addresses, groups), **_mapped(devices)}, files, server.guest_password,
    )  # fmt: skip
