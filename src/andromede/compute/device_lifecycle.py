"""Disks and nics that are plugged into a server that is there already, and pulled out again."""

from __future__ import annotations

from collections.abc import Callable

from andromede.clock import US
from andromede.compute.actions import recorded
from andromede.compute.building import Building
from andromede.compute.crew import Crew
from andromede.compute.engine import Observed
from andromede.compute.model import Device, DeviceState, Server, State
from andromede.compute.shape import devices, free_slot, guest_of, resting_power
from andromede.compute.stage import SOON
from andromede.compute.states import REST
from andromede.compute.tables import DEVICES, SERVERS
from andromede.db import Tx
from andromede.errors import Error, Unavailable
from andromede.work.lifecycle import Deadline, Lifecycle, Next, Step

LET_GO_SECONDS = 120
"""A guest that has not let go of a device by then keeps it, and whoever asked is told so."""
_GONE = (State.DELETED, State.DELETING)


class Plugging:
    """The steps of devices."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self._building = Building(crew)

    def attaching(self, row: Device) -> Next:
        """Made ready, given a slot, plugged in, and noted."""
        server = self._server(row)
        if server is None:
            return Next(DeviceState.ERROR, fault="the server is being deleted")
        if server.state not in REST:
            return Next(DeviceState.ATTACHING, 5 * SOON)
        try:
            return self._attach(server, row)
        except Unavailable:
            raise
        except Error as error:
            self._building.release(server, row)
            return Next(DeviceState.ERROR, fault=error.public)

    def _attach(self, server: Server, row: Device) -> Next:
        if row.kind == "nic" and not row.port_id:
            taken = frozenset(other.port_id for other in devices(self.crew, server) if other.port_id)
            made = self.crew.ports.make(server, row, taken)
            return Next(row.state, changes={"port_id": made, "made": True})
        if row.kind == "nic" and not row.mac:
            port = self.crew.ports.facts(row.port_id)
            return Next(row.state, changes={"mac": port.mac, "network_id": port.network_id})
        waiting = self._unready(server, row)
        if waiting is not None:
            return waiting
        if not row.slot:
            return Next(row.state, then=_placing(row))
        power = resting_power(server)
        if power not in ("off", "suspended"):
            self.crew.hypervisor.ensure(guest_of(self.crew, server, power))
            if not _has(self.crew.hypervisor.observe(server.id), row):
                return Next(row.state, SOON, fault="the hypervisor has not plugged the device in yet")
        if row.kind == "disk":
            self.crew.volumes.attach(server, row)
        else:
            self.crew.ports.held(server, power not in ("off", "suspended"))
        return Next(DeviceState.ATTACHED)

    def _unready(self, server: Server, row: Device) -> Next | None:
        if row.kind == "disk":
            if row.volume_id and not row.disk_id:
                return Next(row.state, changes={"disk_id": row.volume_id})
            return None if self.crew.volumes.ready(row.volume_id) else Next(row.state, 2 * SOON)
        self.crew.ports.bind(row.port_id, server)
        if resting_power(server) != "off" and not self.crew.ports.wired(row.port_id):
            return Next(row.state, SOON, fault=f"port {row.port_id} does not carry packets yet")
        return None

    def detaching(self, row: Device) -> Next:
        """The guest lets go, then whatever stood behind the device is free."""
        server = self._server(row)
        if server is None:
            return Next(DeviceState.DETACHED)
        if server.state not in REST:
            return Next(DeviceState.DETACHING, 5 * SOON)
        power, age = resting_power(server), (self.crew.clock.now_us() - row.since_us) / US
        if power not in ("off", "suspended") and row.slot:
            self.crew.hypervisor.ensure(guest_of(self.crew, server, power))
            if _has(self.crew.hypervisor.observe(server.id), row):
                return self._wait(server, row, age)
            self.crew.hypervisor.ensure(guest_of(self.crew, server, power))  # what stood behind it in the process
        self._building.release(server, row)
        return Next(DeviceState.DETACHED)

    def _wait(self, server: Server, row: Device, age: float) -> Next:
        if age < LET_GO_SECONDS:
            return Next(DeviceState.DETACHING, SOON if age < 2 else 1.0)
        if row.kind == "disk":
            self.crew.volumes.attach(server, row)
        why = f"the guest of server {server.id} did not let go of the device within {LET_GO_SECONDS} seconds"
        return Next(DeviceState.ATTACHED, fault=why + "; detach it again, or stop the server first")

    def _server(self, row: Device) -> Server | None:
        server = SERVERS.find(self.crew.db, id=row.server_id)
        return None if server is None or server.state in _GONE else server


def _has(seen: Observed | None, row: Device) -> bool:
    if seen is None:
        return False
    return row.disk_id in seen.disks if row.kind == "disk" else row.port_id in seen.nics


def _placing(row: Device) -> Callable[[Tx], None]:
    """A slot that no other device has, chosen in the transaction that writes it."""

    def then(tx: Tx) -> None:
        slot = free_slot(DEVICES.select(tx, {"server_id": row.server_id}))
        DEVICES.update(tx, {"id": row.id}, slot=slot, bus=f"rp{slot}")

    return then


def lifecycle(crew: Crew) -> Lifecycle[Device]:
    """Devices of servers that are there already; those of a server that is being made or deleted are its own affair."""
    plugging = Plugging(crew)
    steps: dict[str, Step[Device]] = {
        DeviceState.ATTACHING: plugging.attaching,
        DeviceState.DETACHING: plugging.detaching,
    }
    moves: dict[str, frozenset[str]] = {
        DeviceState.ATTACHING: frozenset({DeviceState.ATTACHED, DeviceState.ERROR, DeviceState.DETACHING}),
        DeviceState.DETACHING: frozenset({DeviceState.ATTACHED, DeviceState.DETACHED}),
        DeviceState.ATTACHED: frozenset({DeviceState.DETACHING}),
        DeviceState.ERROR: frozenset({DeviceState.DETACHING}),
    }
    deadlines: dict[str, Deadline] = {
        DeviceState.ATTACHING: Deadline(300.0, DeviceState.DETACHING),  # volume and port are free again then
        DeviceState.DETACHING: Deadline(3600.0, DeviceState.DETACHING),  # else nobody could take them out any more
    }
    made = Lifecycle(
        "server_device", DEVICES, steps, moves, deadlines, {"delete": DeviceState.DETACHING},
        frozenset({DeviceState.DETACHED}),
    )  # fmt: skip
    return recorded(made, crew.clock)
