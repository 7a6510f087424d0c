"""Rules of address groups (Networking API v2.0, "Address groups")."""

from __future__ import annotations

from typing import Any

from andromede.errors import NotFound
from andromede.network import links_store
from andromede.network.core import Job
from andromede.network.faults import bad, clash
from andromede.network.kinds import listing, prefix
from andromede.network.model import AddressGroupRow
from andromede.network.shapes_more import ADDRESS_GROUP
from andromede.network.tables import ADDRESS_GROUPS, DEFAULT_RULES, RBAC, RULES

RANGES = listing(prefix, 1000)


def create(job: Job, values: dict[str, Any]) -> AddressGroupRow:
    """A new address group."""
    row: AddressGroupRow = job.insert(ADDRESS_GROUP, values)
    job.concern(row.project_id)
    return row


def update(job: Job, row: AddressGroupRow, values: dict[str, Any]) -> AddressGroupRow:
    """Change name or description."""
    new: AddressGroupRow = job.update(ADDRESS_GROUP, row, **values)
    return new


def delete(job: Job, row: AddressGroupRow) -> None:
    """Remove an address group that no rule names."""
    if any(table.find(job.tx, remote_addresses=row.id) for table in (RULES, DEFAULT_RULES)):
        clash(f"Address group {row.id} is in use on one or more security group rules.", "AddressGroupInUse")
    RBAC.remove(job.tx, object_id=row.id)
    ADDRESS_GROUPS.remove(job.tx, id=row.id)


def _given(body: dict[str, Any]) -> list[str]:
    found: list[str] = RANGES("addresses", body.get("addresses"))
    if not found or set(body) != {"addresses"}:
        bad("the body must hold a list of addresses")
    return found


def _set(job: Job, row: AddressGroupRow, addresses: list[str]) -> AddressGroupRow:
    new: AddressGroupRow = job.update(ADDRESS_GROUP, row, addresses=addresses)
    naming = links_store.groups_naming(job.tx, "remote_addresses", [row.id])
    job.touch(*links_store.networks_of_groups(job.tx, naming))
    return new


def add(job: Job, row: AddressGroupRow, body: dict[str, Any]) -> AddressGroupRow:
    """More addresses."""
    given = _given(body)
    if there := [one for one in given if one in row.addresses]:
        clash(f"Addresses {', '.join(there)} already exist in the address group {row.id}.", "AddressesAlreadyExist")
    return _set(job, row, [*row.addresses, *given])


def remove(job: Job, row: AddressGroupRow, body: dict[str, Any]) -> AddressGroupRow:
    """Fewer addresses."""
    given = _given(body)
    if absent := [one for one in given if one not in row.addresses]:
        raise NotFound(f"Addresses {', '.join(absent)} not found in the address group {row.id}.", "AddressesNotFound")
    return _set(job, row, [one for one in row.addresses if one not in given])
