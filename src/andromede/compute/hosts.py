"""Hypervisor hosts: what they offer, whether they live, and the sets that admins make of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from andromede.compute import capacity, capacity_store
from andromede.compute.core import Core
from andromede.compute.model import Aggregate, Host
from andromede.compute.tables import AGGREGATES, HOSTS
from andromede.db import Reach
from andromede.errors import Conflict, Invalid, NotFound
from andromede.web.call import Call


@dataclass(frozen=True, slots=True)
class Facts:
    """What a host tells of itself: memory in MiB, disk in GiB, ratios of overcommitment."""

    name: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    reserved_mb: int = 0
    vcpu_ratio: float = 1.0
    overhead_mb: int = 0
    address: str = "127.0.0.1"
    kind: str = "QEMU"
    version: int = 0
    cpu: Mapping[str, Any] = field(default_factory=dict)
    booted_us: int = 0


class Hosts:
    """Hosts by name and id; numbers are what microversions before 2.53 call them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def announce(self, facts: Facts) -> Host:
        """A host's sign of life, with what it offers: called by its worker every few seconds."""
        desk = self._core.desk
        now = desk.clock.now_us()
        with desk.db.write(Reach.EVENTS) as tx:
            host = HOSTS.find(tx, name=facts.name)
            shown: dict[str, Any] = {
                "address": facts.address, "kind": facts.kind, "version": facts.version, "cpu": dict(facts.cpu),
                "vcpus": facts.vcpus, "memory_mb": facts.memory_mb, "disk_gb": facts.disk_gb,
                "overhead_mb": facts.overhead_mb, "seen_us": now, "booted_us": facts.booted_us,
            }  # fmt: skip
            if host is None:
                number = tx.take("compute_host")
                host = HOSTS.insert(
                    tx,
                    Host(
                        id=desk.ids.dashed(), number=number, service_id=desk.ids.dashed(), name=facts.name,
                        enabled=True, disabled_reason="", forced_down=False, created_us=now, updated_us=now, report=1,
                        **shown,
                    ),
                )  # fmt: skip
            else:
                HOSTS.update(tx, {"id": host.id}, updated_us=now, report=host.report + 1, **shown)
                host = dataclasses.replace(host, updated_us=now, report=host.report + 1, **shown)
            stock = {
                "VCPU": (facts.vcpus, 0, facts.vcpu_ratio),
                "MEMORY_MB": (facts.memory_mb, facts.reserved_mb, 1.0),
                "DISK_GB": (facts.disk_gb, 0, 1.0),
            }
            capacity.stock(tx, host, stock, now)
        return host

    def listed(self) -> list[Host]:
        """Every host."""
        return HOSTS.select(self._core.desk.db)

    def find(self, **where: Any) -> Host | None:
        """A host by a column."""
        return HOSTS.find(self._core.desk.db, **where)

    def named(self, name: str) -> Host:
        """A host by name. Raises `NotFound`."""
        found = self.find(name=name)
        if found is None:
            raise NotFound(f"Compute host {name} could not be found.", "host")
        return found

    def is_up(self, host: Host) -> bool:
        """Whether it lives."""
        return capacity.is_up(host, self._core.desk.clock.now_us())

    def used(self, host: Host) -> tuple[dict[str, int], int]:
        """(what is given out by class, number of guests)."""
        return capacity_store.used(self._core.desk.db, host.id)

    def change(self, call: Call[Any], host: Host, **changes: Any) -> Host:
        """Enable, disable, force down."""
        with self._core.desk.change(call, f"compute_host/{host.name}") as change:
            HOSTS.update(change.tx, {"id": host.id}, updated_us=change.now_us, **changes)
        return dataclasses.replace(host, **changes)

    def remove(self, call: Call[Any], host: Host) -> None:
        """Forget a host that has no guests. Raises `Conflict`."""
        if self.used(host)[1]:
            raise Conflict(f"Unable to delete compute service {host.name}: it has guests; delete or move them first.")
        with self._core.desk.change(call, f"compute_host/{host.name}") as change:
            HOSTS.remove(change.tx, id=host.id)

    # --- aggregates and zones

    def aggregates(self) -> list[Aggregate]:
        """Every aggregate."""
        return AGGREGATES.select(self._core.desk.db)

    def aggregate(self, number: str) -> Aggregate:
        """One by its number or UUID. Raises `NotFound`."""
        plain = number.isascii() and number.isdigit() and len(number) < 18
        where: dict[str, Any] = {"id": int(number)} if plain else {"uuid": number}
        found = AGGREGATES.find(self._core.desk.db, **where)
        if found is None:
            raise NotFound(f"Aggregate {number} could not be found.", "aggregate")
        return found

    def add_aggregate(self, call: Call[Any], name: str, zone: str) -> Aggregate:
        """Make one. Raises `Conflict` for a name that is taken."""
        with self._core.desk.change(call, f"aggregate/{name}") as change:
            if AGGREGATES.find(change.tx, name=name) is not None:
                raise Conflict(f"Aggregate {name} already exists.", "aggregate")
            number = change.tx.take("compute_aggregate")
            meta = {"availability_zone": zone} if zone else {}
            made = Aggregate(number, self._core.desk.ids.dashed(), name, zone, meta, [], change.now_us, 0)
            return AGGREGATES.insert(change.tx, made)

    def change_aggregate(self, call: Call[Any], aggregate: Aggregate, **changes: Any) -> Aggregate:
        """Change columns of one. Raises `Conflict` for a name that is taken."""
        with self._core.desk.change(call, f"aggregate/{aggregate.name}") as change:
            name = changes.get("name", aggregate.name)
            other = AGGREGATES.find(change.tx, name=name)
            if other is not None and other.id != aggregate.id:
                raise Conflict(f"Aggregate {name} already exists.", "aggregate")
            AGGREGATES.update(change.tx, {"id": aggregate.id}, updated_us=change.now_us, **changes)
            return dataclasses.replace(aggregate, updated_us=change.now_us, **changes)

    def remove_aggregate(self, call: Call[Any], aggregate: Aggregate) -> None:
        """Delete one that has no hosts. Raises `Invalid`."""
        if aggregate.hosts:
            raise Invalid(
                f"Cannot remove host from aggregate {aggregate.id}. Reason: Host aggregate is not empty.", "aggregate"
            )
        with self._core.desk.change(call, f"aggregate/{aggregate.name}") as change:
            AGGREGATES.remove(change.tx, id=aggregate.id)

    def zones(self) -> dict[str, list[Host]]:
        """Zone -> its hosts; a host without one is in the default zone."""
        zone_of = {
            host: row.availability_zone for row in self.aggregates() if row.availability_zone for host in row.hosts
        }
        found: dict[str, list[Host]] = {}
        for host in self.listed():
            found.setdefault(zone_of.get(host.name, self._core.zone), []).append(host)
        return found

    def zone_of(self, host_name: str) -> str:
        """The zone of a host."""
        return next(
            (zone for zone, hosts in self.zones().items() for host in hosts if host.name == host_name), self._core.zone
        )
