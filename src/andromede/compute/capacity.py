"""Who gets room on which host. A claim is written in the transaction that writes the server's row; the generation of
the provider is checked in it, so parallel claims never overshoot."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from andromede.clock import US
from andromede.compute import capacity_store
from andromede.compute.capacity_model import Allocation, Consumer, Inventory, Provider
from andromede.compute.model import Host
from andromede.compute.tables import ALLOCATIONS, CONSUMERS, HOSTS, INVENTORIES, PROVIDERS, SERVERS
from andromede.db import Tx
from andromede.db.table import Reader
from andromede.errors import NoCapacity

ALIVE_SECONDS = 60
"""A host that gave no sign for longer is down."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a consumer wants: `resources` by class. `hosts`: names it may lie on, None is any; `avoid`: names it may
    not."""

    consumer_id: str
    project_id: str
    user_id: str
    resources: Mapping[str, int]
    hosts: Collection[str] | None = None
    avoid: Collection[str] = field(default_factory=frozenset)


def resources_of(flavor: Mapping[str, Any], root_gb: int | None = None) -> dict[str, int]:
    """What a flavor takes. `root_gb`: size of a local root, 0 for one on a volume."""
    swap = math.ceil(int(flavor.get("swap") or 0) / 1024)
    disk = (int(flavor["disk"]) if root_gb is None else root_gb) + int(flavor.get("ephemeral") or 0) + swap
    found = {"VCPU": int(flavor["vcpus"]), "MEMORY_MB": int(flavor["ram"]), "DISK_GB": disk}
    return {name: amount for name, amount in found.items() if amount > 0}


def is_up(host: Host, now_us: int) -> bool:
    """Whether a host gives signs of life."""
    return not host.forced_down and now_us - host.seen_us <= ALIVE_SECONDS * US


def room(db: Reader, host: Host, resources: Mapping[str, int]) -> float | None:
    """The share of memory that is free on a host, None when the resources do not fit."""
    taken, guests = capacity_store.used(db, host.id)
    stock = {row.resource_class: row for row in INVENTORIES.select(db, {"provider_id": host.id})}
    for name, amount in resources.items():
        inventory = stock.get(name)
        if inventory is None or amount > inventory.max_unit:
            return None
        books = taken.get(name, 0) + amount
        if name == "MEMORY_MB":
            books += host.overhead_mb * (guests + 1)
        if books > inventory.capacity:
            return None
    memory = stock.get("MEMORY_MB")
    return 0.0 if memory is None else 1.0 - taken.get("MEMORY_MB", 0) / max(memory.capacity, 1)


def claim(tx: Tx, wanted: Claim, now_us: int) -> str:
    """Take room on the best host for the resources; its name. A consumer that has allocations gets them exchanged.
    Raises `NoCapacity`."""
    found: list[tuple[float, Host]] = []
    for host in HOSTS.select(tx):
        if not host.enabled or not is_up(host, now_us) or host.name in wanted.avoid:
            continue
        if wanted.hosts is not None and host.name not in wanted.hosts:
            continue
        free = room(tx, host, wanted.resources)
        if free is not None:
            found.append((free, host))
    if not found:
        raise NoCapacity("No valid host was found. There are not enough hosts available.", "host")
    host = max(found, key=lambda pair: (pair[0], -pair[1].number))[1]
    _write(tx, wanted, host.id, now_us)
    return host.name


def _write(tx: Tx, wanted: Claim, provider_id: str, now_us: int) -> None:
    provider = PROVIDERS.find(tx, id=provider_id)
    if provider is None or not capacity_store.turn(tx, provider_id, provider.generation, now_us):
        raise NoCapacity("No valid host was found: the host's books changed meanwhile; try again.", "generation")
    key = wanted.consumer_id
    consumer = CONSUMERS.find(tx, id=key)
    if consumer is None:
        CONSUMERS.insert(tx, Consumer(key, wanted.project_id, wanted.user_id, 1, "INSTANCE", now_us, now_us))
    else:
        CONSUMERS.update(tx, {"id": key}, generation=consumer.generation + 1, updated_us=now_us)
    ALLOCATIONS.remove(tx, consumer_id=key)
    for name, amount in wanted.resources.items():
        ALLOCATIONS.insert(tx, Allocation(key, provider_id, name, amount))


def grow(tx: Tx, wanted: Claim, host_name: str, now_us: int) -> None:
    """Exchange a consumer's allocations on its own host for others (resize: the sum of old and new, then one of them).
    What it holds already counts as free. Raises `NoCapacity`, and nothing is changed then."""
    host = HOSTS.find(tx, name=host_name)
    if host is None:
        raise NoCapacity(f"No valid host was found: host {host_name} is not there.", "host")
    had = {row.resource_class: row.used for row in ALLOCATIONS.select(tx, {"consumer_id": wanted.consumer_id})}
    more = {name: amount - had.get(name, 0) for name, amount in wanted.resources.items()}
    rising = {name: amount for name, amount in more.items() if amount > 0}
    if rising and room(tx, host, rising) is None:
        raise NoCapacity("No valid host was found. No valid host found for resize", "host")
    _write(tx, wanted, host.id, now_us)
    sizes = {"vcpus": wanted.resources.get("VCPU", 0), "ram_mb": wanted.resources.get("MEMORY_MB", 0)}
    SERVERS.update(tx, {"id": wanted.consumer_id}, **sizes)  # what quotas count


def held(db: Reader, consumer_id: str) -> dict[str, int]:
    """What a consumer holds, by resource class."""
    return {row.resource_class: row.used for row in ALLOCATIONS.select(db, {"consumer_id": consumer_id})}


def release(tx: Tx, consumer_id: str, now_us: int) -> None:
    """Give back all that a consumer holds."""
    rows = ALLOCATIONS.select(tx, {"consumer_id": consumer_id})
    for provider_id in {row.provider_id for row in rows}:
        provider = PROVIDERS.find(tx, id=provider_id)
        if provider is not None:
            capacity_store.turn(tx, provider_id, provider.generation, now_us)
    ALLOCATIONS.remove(tx, consumer_id=consumer_id)
    CONSUMERS.remove(tx, id=consumer_id)


def stock(tx: Tx, host: Host, inventories: Mapping[str, tuple[int, int, float]], now_us: int) -> None:
    """Write what a host offers: class -> (total, reserved, ratio). Only what differs is written."""
    provider = PROVIDERS.find(tx, id=host.id)
    if provider is None:
        provider = PROVIDERS.insert(tx, Provider(host.id, host.name, 0, None, host.id, now_us, now_us))
    had = {row.resource_class: row for row in INVENTORIES.select(tx, {"provider_id": host.id})}
    changed = False
    for name, (total, reserved, ratio) in inventories.items():
        row = Inventory(host.id, name, total, reserved, 1, max(total, 1), 1, repr(float(ratio)))
        if had.get(name) == row:
            continue
        INVENTORIES.remove(tx, provider_id=host.id, resource_class=name)
        INVENTORIES.insert(tx, row)
        changed = True
    if changed:
        capacity_store.turn(tx, host.id, provider.generation, now_us)
