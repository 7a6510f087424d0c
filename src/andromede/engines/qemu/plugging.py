"""Disks and nics of a running guest: one step towards the wished list for each call, by looking at what QEMU has."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from andromede.compute.engine import DiskDevice, Guest, Layer, NicDevice, Open, Plug
from andromede.engines.qemu import command
from andromede.engines.qemu.place import Place, Record
from andromede.engines.qemu.qmp import Monitor, Refused
from andromede.errors import Unavailable

_NODES = ("d", "f")


class Plugging:
    """The devices of one guest, over one connection."""

    def __init__(self, monitor: Monitor, place: Place, record: Record) -> None:
        self._monitor = monitor
        self._place = place
        self._record = record

    def step(self, guest: Guest, open_disk: Open, plug: Plug) -> bool:
        """Do one thing; whether there was one to do. A device that the guest was asked to let go and has not is asked
        again: a request during early boot is lost for ever."""
        there = self._monitor.devices()
        disks = {command.disk_name(disk.id): disk for disk in guest.disks}
        nics = {command.nic_name(nic.id): nic for nic in guest.nics}
        extra = [n for n in sorted(there) if n.startswith(("disk-", "nic-")) and n not in disks and n not in nics]
        if extra:
            for name in extra:
                self._ask(name)
            return True
        if self._sweep(there) or self._sweep_nets(there):
            return True
        for name, disk in disks.items():
            if name not in there:
                self._add_disk(disk, open_disk)
                return True
        for name, nic in nics.items():
            if name not in there:
                self._add_nic(nic, plug)
                return True
        return self._grow(guest)

    def _ask(self, device: str) -> None:
        try:
            self._monitor.run("device_del", {"id": device})
        except Refused as error:
            if device in self._monitor.devices() and error.reason != "GenericError":
                raise

    def _sweep(self, there: frozenset[str]) -> bool:
        """Remove the block nodes of disks whose device is gone, and their descriptors."""
        held = {command.hexed(name.removeprefix("disk-")) for name in there if name.startswith("disk-")}
        held |= {str(job["id"]).rpartition(".")[2] for job in self._monitor.run("query-jobs")}
        nodes = self._monitor.nodes()
        gone = {node[3:] for node in nodes if _is_layer(node)} - held
        for name in sorted(gone):
            drop_nodes(self._monitor, name)
        return bool(gone)

    def _sweep_nets(self, there: frozenset[str]) -> bool:
        """Remove the backends of nics whose device is gone."""
        gone = [port for port in self._record.nets if command.nic_name(port) not in there]
        for port in gone:
            _drop_net(self._monitor, port)
        if gone:
            self._remember([port for port in self._record.nets if port not in gone])
        return bool(gone)

    def _remember(self, nets: list[str]) -> None:
        self._record = self._place.write(replace(self._record, nets=nets))

    def _add_disk(self, disk: DiskDevice, open_disk: Open) -> None:
        add_nodes(self._monitor, disk.id, open_disk(disk.id))
        self._monitor.run("device_add", command.disk_device(disk))

    def _add_nic(self, nic: NicDevice, plug: Plug) -> None:
        tap, name = plug(nic.id), command.net_name(nic.id)
        try:
            self._remember([*self._record.nets, nic.id])
            self._monitor.run("getfd", {"fdname": name}, fd=tap)
        finally:
            os.close(tap)
        self._monitor.run("netdev_add", {"type": "tap", "id": name, "fd": name})
        self._monitor.run("device_add", command.nic_device(nic))
        if not nic.up:
            self._monitor.run("set_link", {"name": command.nic_name(nic.id), "up": False})

    def _grow(self, guest: Guest) -> bool:
        """Tell the guest of the first disk that has grown; whether there was one."""
        seen = sizes(self._monitor)
        for disk in guest.disks:
            if disk.size_bytes > seen.get(disk.id, disk.size_bytes):
                size = {"node-name": command.node_name(disk.id), "size": disk.size_bytes}
                self._monitor.patient("block_resize", size)
                return True
        return False


def _is_layer(node: str) -> bool:
    return node[:1] in _NODES and node[1:2].isdigit() and node[2:3] == "-"


def drop_nodes(monitor: Monitor, name: str) -> None:
    """Remove the block nodes of a disk (`command.hexed`), the upper ones first, and their descriptors."""
    nodes = sorted(node for node in monitor.nodes() if _is_layer(node) and node[3:] == name)
    for node in nodes:
        try:
            monitor.run("blockdev-del", {"node-name": node})
        except Refused as error:
            raise Unavailable(f"the block node {node} is still in use", "detach", cause=error.public) from error
    for opaque, number in _sets(monitor).items():
        if _is_layer(opaque) and opaque[3:] == name:
            monitor.run("remove-fd", {"fdset-id": number})


def _sets(monitor: Monitor) -> dict[str, int]:
    """Descriptors that QEMU has: name -> number of the set."""
    sets = monitor.run("query-fdsets")
    return {str(fd.get("opaque", "")): int(entry["fdset-id"]) for entry in sets for fd in entry["fds"]}


def _drop_net(monitor: Monitor, port_id: str) -> None:
    try:
        monitor.run("netdev_del", {"id": command.net_name(port_id)})
    except Refused as error:
        if error.reason != "DeviceNotFound" and command.nic_name(port_id) in monitor.devices():
            raise


def add_nodes(monitor: Monitor, disk_id: str, opened: Sequence[Layer]) -> None:
    """The block nodes of a disk, as far as they are missing; closes the descriptors."""
    nodes, last = monitor.nodes(), len(opened) - 1
    try:
        for at in range(last, -1, -1):
            layer, name = opened[at], command.node_name(disk_id, at)
            if command.file_name(disk_id, at) not in nodes:
                number = _sets(monitor).get(name)
                if number is None:
                    number = int(monitor.run("add-fd", {"opaque": name}, fd=layer.fd)["fdset-id"])
                monitor.run("blockdev-add", command.protocol(disk_id, at, number, layer.writable))
            if name not in nodes:
                node = command.image(disk_id, at, layer, at == last)
                with_key(monitor, command.key_name(disk_id, at), layer, _adding(monitor, node))
    finally:
        for layer in opened:
            os.close(layer.fd)


def _adding(monitor: Monitor, node: dict[str, Any]) -> Callable[[], object]:
    return lambda: monitor.run("blockdev-add", node)


def with_key(monitor: Monitor, name: str, layer: Layer, act: Callable[[], object]) -> None:
    """Do something while QEMU holds the layer's passphrase as the secret `name`."""
    if layer.passphrase is None:
        act()
        return
    forget(monitor, [name])
    secret = {"qom-type": "secret", "id": name, "format": "raw", "data": layer.passphrase.decode("ascii")}
    monitor.run("object-add", secret)
    try:
        act()
    finally:
        forget(monitor, [name])


def forget(monitor: Monitor, names: Sequence[str]) -> None:
    """Remove secrets as far as they are there."""
    there = {str(item["name"]) for item in monitor.run("qom-list", {"path": "/objects"})}
    for name in names:
        if name in there:
            monitor.run("object-del", {"id": name})


def forget_all(monitor: Monitor) -> None:
    """Remove every secret that a process was started with."""
    there = [str(item["name"]) for item in monitor.run("qom-list", {"path": "/objects"})]
    for name in there:
        if name[:1] == "k" and name[2:3] == "-":
            monitor.run("object-del", {"id": name})


def sizes(monitor: Monitor) -> dict[str, int]:
    """Disk id -> bytes that the guest sees."""
    found = {}
    for block in monitor.run("query-block"):
        name = str(block.get("qdev", "")).removeprefix("/machine/peripheral/").partition("/")[0]
        if name.startswith("disk-") and "inserted" in block:
            found[name.removeprefix("disk-")] = int(block["inserted"]["image"]["virtual-size"])
    return found
