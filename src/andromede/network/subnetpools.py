"""Rules of subnet pools and address scopes (Networking API v2.0, "Subnet pools", "Address scopes")."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

from andromede.network import addressing, links_store
from andromede.network.core import Job
from andromede.network.faults import bad, clash, forbidden
from andromede.network.model import PoolRow, ScopeRow
from andromede.network.shapes_more import POOL, SCOPE
from andromede.network.tables import POOLS, SCOPES, SUBNETS

MIN = {4: 8, 6: 64}
MAX = {4: 32, 6: 128}


def create(job: Job, values: dict[str, Any]) -> PoolRow:
    """A new pool."""
    prefixes = _prefixes(values["prefixes"])
    version = addressing.network(prefixes[0]).version
    values |= {"prefixes": prefixes} | _lengths(values, version)
    _scope(job, values["address_scope_id"], version)
    _only_default(job, values["is_default"], version, "")
    row: PoolRow = job.insert(POOL, values, ip_version=version)
    job.concern(row.project_id)
    return row


def _prefixes(given: list[str]) -> list[str]:
    nets = [addressing.network(one) for one in given]
    if not nets:
        bad("Empty subnet pool prefix list.", "EmptySubnetPoolPrefixList")
    if len({net.version for net in nets}) > 1:
        bad("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.", "PrefixVersionMismatch")
    return [str(net) for net in sorted(ipaddress.collapse_addresses(nets))]  # type: ignore[type-var]


def _lengths(values: dict[str, Any], version: int) -> dict[str, int]:
    low = values.get("min_prefixlen", -1)
    high = values.get("max_prefixlen", -1)
    low = MIN[version] if low < 0 else low
    high = MAX[version] if high < 0 else high
    default = values.get("default_prefixlen", -1)
    default = low if default < 0 else default
    if not 0 <= low <= default <= high <= MAX[version]:
        bad(f"Illegal prefix bounds: min_prefixlen={low}, default_prefixlen={default}, max_prefixlen={high}",
            "IllegalSubnetPoolPrefixBounds")  # fmt: skip
    return {"min_prefixlen": low, "max_prefixlen": high, "default_prefixlen": default}


def _scope(job: Job, scope_id: str, version: int) -> None:
    if not scope_id:
        return
    scope: ScopeRow = job.seen(SCOPE, scope_id)
    if not job.who.owns(scope):
        forbidden("create_subnetpool:address_scope_id")
    if scope.ip_version != version:
        bad(f"Illegal subnetpool association: subnetpool cannot associate with address scope {scope_id} because "
            f"subnetpool ip_version is not {scope.ip_version}.",
            "IllegalSubnetPoolIpVersionAssociationToAddressScope")  # fmt: skip


def _only_default(job: Job, is_default: bool, version: int, pool_id: str) -> None:
    other = POOLS.find(job.tx, is_default=True, ip_version=version) if is_default else None
    if other is not None and other.id != pool_id:
        bad(f"A default subnetpool for this IP family has already been set: {other.id}.", "InvalidInput")


def update(job: Job, row: PoolRow, values: dict[str, Any]) -> PoolRow:
    """Change a pool; prefixes may only be added."""
    if "prefixes" in values:
        values["prefixes"] = _prefixes(values["prefixes"])
        kept = [addressing.network(one) for one in values["prefixes"]]
        for old in row.prefixes:
            net = addressing.network(old)
            if not any(net.version == one.version and net.subnet_of(one) for one in kept):  # type: ignore[arg-type]
                bad("Illegal subnetpool update: removing prefixes is not allowed.", "IllegalSubnetPoolUpdate")
    now = {name: getattr(row, name) for name in ("min_prefixlen", "max_prefixlen", "default_prefixlen")}
    values |= _lengths(now | {name: values[name] for name in now if name in values}, row.ip_version)
    if "address_scope_id" in values:
        _scope(job, values["address_scope_id"], row.ip_version)
    _only_default(job, values.get("is_default", row.is_default), row.ip_version, row.id)
    new: PoolRow = job.update(POOL, row, **values)
    return new


def delete(job: Job, row: PoolRow) -> None:
    """Remove a pool that no subnet comes from."""
    if SUBNETS.find(job.tx, subnetpool_id=row.id):
        bad("Unable to delete subnet pool: Subnet pool has existing allocations.", "SubnetPoolDeleteError")
    links_store.untag(job.tx, row.id)
    POOLS.remove(job.tx, id=row.id)


def add_prefixes(job: Job, row: PoolRow, prefixes: list[str]) -> PoolRow:
    """More prefixes."""
    return update(job, row, {"prefixes": [*row.prefixes, *prefixes]})


def remove_prefixes(job: Job, row: PoolRow, prefixes: list[str]) -> PoolRow:
    """Fewer prefixes, as far as no subnet needs them."""
    left = [one for one in row.prefixes if one not in prefixes]
    for subnet in SUBNETS.select(job.tx, {"subnetpool_id": row.id}):
        if not any(addressing.overlap(one, subnet.cidr) for one in left):
            clash(f"Illegal prefix removal: subnet {subnet.id} uses it.", "IllegalSubnetPoolPrefixRemoval")
    job.update(POOL, row, prefixes=left)
    return replace(row, prefixes=left)


def provide(job: Job, values: dict[str, Any]) -> None:
    """Fill in the range of a new subnet, from a pool where it names one. Raises `Invalid` and `Conflict`."""
    length, version = values.pop("prefixlen"), values["ip_version"]
    if values.pop("use_default_subnetpool"):
        default = POOLS.find(job.tx, is_default=True, ip_version=version or 4)
        if default is None:
            bad(f"No default IPv{version or 4} subnet pool was found", "InvalidInput")
        values["subnetpool_id"] = default.id
    if not values["subnetpool_id"]:
        if not values["cidr"]:
            bad("a subnetpool must be specified in the absence of a cidr", "HTTPBadRequest")
        if length >= 0:
            bad("prefixlen is only for subnets from a subnet pool", "HTTPBadRequest")
        return
    pool: PoolRow = job.seen(POOL, values["subnetpool_id"])
    if version not in (0, pool.ip_version):
        bad(f"Cannot allocate IPv{version} subnet from IPv{pool.ip_version} subnet pool.", "InvalidInput")
    taken = [one.cidr for one in SUBNETS.select(job.tx, {"subnetpool_id": pool.id})]
    values["cidr"] = _specific(pool, values["cidr"], taken) if values["cidr"] else _any(pool, length, taken)


def _bounds(pool: PoolRow, length: int) -> None:
    if length > pool.max_prefixlen:
        bad(f"Unable to allocate subnet with prefix length {length}, maximum allowed prefix length is "
            f"{pool.max_prefixlen}.", "MaxPrefixSubnetAllocationError")  # fmt: skip
    if length < pool.min_prefixlen:
        bad(f"Unable to allocate subnet with prefix length {length}, minimum allowed prefix length is "
            f"{pool.min_prefixlen}.", "MinPrefixSubnetAllocationError")  # fmt: skip


def _specific(pool: PoolRow, cidr: str, taken: list[str]) -> str:
    net = addressing.network(cidr)
    _bounds(pool, net.prefixlen)
    inside = any(
        net.version == (one := addressing.network(prefix)).version and net.subnet_of(one)  # type: ignore[arg-type]
        for prefix in pool.prefixes
    )
    if not inside or any(addressing.overlap(cidr, other) for other in taken):
        bad("Failed to allocate subnet: Cannot allocate requested subnet from the available set of prefixes.",
            "SubnetAllocationError")  # fmt: skip
    return cidr


def _any(pool: PoolRow, length: int, taken: list[str]) -> str:
    length = pool.default_prefixlen if length < 0 else length
    _bounds(pool, length)
    found = addressing.free_range(pool.prefixes, taken, length)
    if found is None:
        bad(f"Failed to allocate subnet: Insufficient prefix space to allocate subnet size /{length}.",
            "SubnetAllocationError")  # fmt: skip
    return found


def create_scope(job: Job, values: dict[str, Any]) -> ScopeRow:
    """A new address scope."""
    if values["ip_version"] == 5:
        bad("ip_version must be 4 or 6", "HTTPBadRequest")
    row: ScopeRow = job.insert(SCOPE, values)
    job.concern(row.project_id)
    return row


def update_scope(job: Job, row: ScopeRow, values: dict[str, Any]) -> ScopeRow:
    """Change an address scope."""
    if row.shared and not values.get("shared", True):
        bad("Unable to update address scope: Shared address scope can't be unshared.", "AddressScopeUpdateError")
    new: ScopeRow = job.update(SCOPE, row, **values)
    return new


def delete_scope(job: Job, row: ScopeRow) -> None:
    """Remove an address scope that no pool is in."""
    if POOLS.find(job.tx, address_scope_id=row.id):
        clash(f"Unable to complete operation on address scope {row.id}. There are one or more subnet pools in use on "
              "the address scope.", "AddressScopeInUse")  # fmt: skip
    SCOPES.remove(job.tx, id=row.id)
