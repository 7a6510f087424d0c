"""Servers as each microversion shows them: one table of keys."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from andromede.compute.core import Version, fine, stamp
from andromede.compute.listing import refs
from andromede.compute.model import Device, Server
from andromede.compute.neighbours import AddressFacts
from andromede.compute.states import View, view
from andromede.web.call import Call

PROGRESSING = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"})
FAULTY = frozenset({"ERROR", "DELETED"})


@dataclass(frozen=True, slots=True)
class Context:
    """What views need besides the row, looked up for all servers of an answer at once."""

    call: Call[Any]
    version: Version
    devices: Mapping[str, Sequence[Device]] = field(default_factory=dict)
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    addresses: Mapping[str, Sequence[AddressFacts]] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)
    up: Mapping[str, bool] = field(default_factory=dict)


Show = Callable[[Context, Server, View], Any]
ABSENT = object()
"""A key that this server does not have."""


class Key(NamedTuple):
    """A key of the answer: since and until which microversion, whether for admins alone, and in which answers:
    s(how), d(etail), u(pdate), r(ebuild)."""

    name: str
    show: Show
    low: Version = (2, 1)
    high: Version = (9, 0)
    admin: bool = False
    where: str = "sdur"


def host_id(server: Server) -> str:
    """A host's name as a tenant sees it."""
    if not server.host:
        return ""
    return hashlib.sha224(f"{server.project_id}{server.host}".encode()).hexdigest()


def addresses(found: Sequence[AddressFacts], wide: bool) -> dict[str, list[dict[str, Any]]]:
    """Addresses by network; `wide` with kind and hardware address."""
    shown: dict[str, list[dict[str, Any]]] = {}
    for item in found:
        entry: dict[str, Any] = {"version": item.version, "addr": item.address}
        if wide:
            entry |= {"OS-EXT-IPS:type": item.kind, "OS-EXT-IPS-MAC:mac_addr": item.mac}
        shown.setdefault(item.network, []).append(entry)
    return shown


def _image(ctx: Context, server: Server, state: View) -> Any:
    if not server.image_id:
        return ""
    link = {"rel": "bookmark", "href": f"{ctx.call.base}/images/{server.image_id}"}
    return {"id": server.image_id, "links": [link]}


def _flavor(ctx: Context, server: Server, state: View) -> Any:
    flavor = server.flavor
    link = {"rel": "bookmark", "href": f"{ctx.call.base}/flavors/{flavor.get('id')}"}
    return {"id": flavor.get("id"), "links": [link]}


def _embedded(ctx: Context, server: Server, state: View) -> Any:
    flavor = server.flavor
    return {
        "original_name": flavor.get("name"),
        "vcpus": flavor.get("vcpus"),
        "ram": flavor.get("ram"),
        "disk": flavor.get("disk"),
        "ephemeral": flavor.get("ephemeral", 0),
        "swap": flavor.get("swap", 0),
        "extra_specs": flavor.get("extra_specs", {}),
    }


def _fault(ctx: Context, server: Server, state: View) -> Any:
    if state.status not in FAULTY or not server.fault:
        return ABSENT
    return {"code": 500, "created": stamp(server.since_us), "message": server.fault[:255]}


def _zone(ctx: Context, server: Server, state: View) -> str:
    if server.host:
        return ctx.zones.get(server.host, server.availability_zone or "nova")
    return server.availability_zone


def _volumes(ctx: Context, server: Server, state: View) -> list[dict[str, Any]]:
    rows = [row for row in ctx.devices.get(server.id, ()) if row.volume_id and row.state != "error"]
    if ctx.version < (2, 3):
        return [{"id": row.volume_id} for row in rows]
    return [{"id": row.volume_id, "delete_on_termination": row.delete_on_termination} for row in rows]


def _groups(ctx: Context, server: Server, state: View) -> Any:
    names = ctx.groups.get(server.id, ())
    return [{"name": name} for name in names] if names else ABSENT


def _host_status(ctx: Context, server: Server, state: View) -> str:
    return "" if not server.host else "UP" if ctx.up.get(server.host) else "UNKNOWN"


ATTR = "OS-EXT-SRV-ATTR:"
KEYS: tuple[Key, ...] = (
    Key("id", lambda c, s, v: s.id),
    Key("name", lambda c, s, v: s.name),
    Key("status", lambda c, s, v: v.status),
    Key("tenant_id", lambda c, s, v: s.project_id),
    Key("user_id", lambda c, s, v: s.user_id),
    Key("metadata", lambda c, s, v: s.metadata),
    Key("hostId", lambda c, s, v: host_id(s)),
    Key("image", _image),
    Key("flavor", _flavor, high=(2, 46)),
    Key("flavor", _embedded, (2, 47)),
    Key("created", lambda c, s, v: stamp(s.created_us)),
    Key("updated", lambda c, s, v: stamp(s.updated_us)),
    Key("addresses", lambda c, s, v: addresses(c.addresses.get(s.id, ()), True), where="sd"),
    Key("addresses", lambda c, s, v: addresses(c.addresses.get(s.id, ()), False), high=(2, 74), where="ur"),
    Key("addresses", lambda c, s, v: addresses(c.addresses.get(s.id, ()), True), (2, 75), where="ur"),
    Key("accessIPv4", lambda c, s, v: s.access_ip_v4),
    Key("accessIPv6", lambda c, s, v: s.access_ip_v6),
    Key("links", lambda c, s, v: refs(c.call, f"servers/{s.id}")),
    Key("OS-DCF:diskConfig", lambda c, s, v: s.disk_config),
    Key("progress", lambda c, s, v: s.progress if v.status in PROGRESSING else ABSENT),
    Key("fault", _fault),
    Key("config_drive", lambda c, s, v: "True" if s.config_drive else "", where="sd"),
    Key("key_name", lambda c, s, v: s.key_name or None, where="sd"),
    Key("key_name", lambda c, s, v: s.key_name or None, (2, 54), where="r"),
    Key("security_groups", _groups, where="sd"),
    Key("os-extended-volumes:volumes_attached", _volumes, where="sd"),
    Key("OS-EXT-AZ:availability_zone", _zone, where="sd"),
    Key("OS-SRV-USG:launched_at", lambda c, s, v: fine(s.launched_us), where="sd"),
    Key("OS-SRV-USG:terminated_at", lambda c, s, v: fine(s.terminated_us), where="sd"),
    Key("OS-EXT-STS:task_state", lambda c, s, v: v.task_state, where="sd"),
    Key("OS-EXT-STS:vm_state", lambda c, s, v: v.vm_state, where="sd"),
    Key("OS-EXT-STS:power_state", lambda c, s, v: v.power_state, where="sd"),
    Key(ATTR + "host", lambda c, s, v: s.host or None, admin=True, where="sd"),
    Key(ATTR + "hypervisor_hostname", lambda c, s, v: s.host or None, admin=True, where="sd"),
    Key(ATTR + "instance_name", lambda c, s, v: f"instance-{s.id[:8]}", admin=True, where="sd"),
    Key(ATTR + "reservation_id", lambda c, s, v: s.reservation_id, (2, 3), admin=True, where="sd"),
    Key(ATTR + "launch_index", lambda c, s, v: s.launch_index, (2, 3), admin=True, where="sd"),
    Key(ATTR + "hostname", lambda c, s, v: s.hostname, (2, 3), admin=True, where="sd"),
    Key(ATTR + "kernel_id", lambda c, s, v: _property(s, "kernel_id"), (2, 3), admin=True, where="sd"),
    Key(ATTR + "ramdisk_id", lambda c, s, v: _property(s, "ramdisk_id"), (2, 3), admin=True, where="sd"),
    Key(ATTR + "root_device_name", lambda c, s, v: s.root_device_name, (2, 3), admin=True, where="sd"),
    Key(ATTR + "user_data", lambda c, s, v: s.user_data or None, (2, 3), admin=True, where="sd"),
    Key("user_data", lambda c, s, v: s.user_data or None, (2, 57), where="r"),
    Key("locked", lambda c, s, v: s.locked, (2, 9)),
    Key("host_status", _host_status, (2, 16), admin=True, where="sd"),
    Key("description", lambda c, s, v: s.description, (2, 19)),
    Key("tags", lambda c, s, v: list(c.tags.get(s.id, ())), (2, 26)),
)


def _property(server: Server, name: str) -> str:
    return str((server.image.get("properties") or {}).get(name) or "")


@lru_cache(maxsize=256)
def keys(version: Version, admin: bool, where: str) -> tuple[tuple[str, Show], ...]:
    """The keys of an answer."""
    return tuple(
        (key.name, key.show)
        for key in KEYS
        if key.low <= version <= key.high and (admin or not key.admin) and where in key.where
    )


def whole(ctx: Context, server: Server, admin: bool, where: str) -> dict[str, Any]:
    """A server in an answer of this kind."""
    state = view(server)
    found = {name: show(ctx, server, state) for name, show in keys(ctx.version, admin, where)}
    return {name: value for name, value in found.items() if value is not ABSENT}


def brief(call: Call[Any], server: Server) -> dict[str, Any]:
    """A server in the short list."""
    return {"id": server.id, "name": server.name, "links": refs(call, f"servers/{server.id}")}
