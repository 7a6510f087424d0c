"""What hangs on rows: tags, addresses, security groups of ports, policies; asked for many rows at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from andromede.db import Tx
from andromede.db.table import PART, Reader
from andromede.network.model import AddressRow, PortRow, SubnetRow
from andromede.network.tables import ADDRESSES, PORTS, SUBNETS


def _each(tx: Reader, sql: str, ids: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    """Rows of a statement with `{ids}`, for any number of ids."""
    for at in range(0, len(ids), PART):
        part = ids[at : at + PART]
        yield from tx.all(sql.replace("{ids}", ", ".join("?" * len(part))), part)


def _lists(rows: Iterable[tuple[Any, ...]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in rows:
        found.setdefault(str(key), []).append(str(value))
    return found


def tags(tx: Reader, ids: Sequence[str]) -> dict[str, list[str]]:
    """Object -> its tags in order."""
    sql = "SELECT object_id, tag FROM network_tag WHERE object_id IN ({ids}) ORDER BY object_id, tag"
    return _lists(_each(tx, sql, ids))


def tag(tx: Tx, object_id: str, name: str) -> None:
    """Put a tag on an object; again is no error."""
    tx.run("INSERT INTO network_tag (object_id, tag) VALUES (?, ?) ON CONFLICT DO NOTHING", (object_id, name))


def untag(tx: Tx, object_id: str, name: str | None = None) -> int:
    """Take one tag or all off an object; how many."""
    if name is None:
        return tx.run("DELETE FROM network_tag WHERE object_id = ?", (object_id,))
    return tx.run("DELETE FROM network_tag WHERE object_id = ? AND tag = ?", (object_id, name))


def subnets_of(tx: Reader, networks: Sequence[str]) -> dict[str, list[str]]:
    """Network -> its subnets, the oldest first."""
    sql = "SELECT network_id, id FROM network_subnet WHERE network_id IN ({ids}) ORDER BY created_us, id"
    return _lists(_each(tx, sql, networks))


def shown_to(tx: Reader, ids: Sequence[str], project_id: str) -> set[str]:
    """Those of the objects that a policy shows to everybody or to this project."""
    sql = (
        "SELECT object_id FROM network_rbac WHERE action = 'access_as_shared' AND target_tenant IN ('*', ?) "
        "AND object_id IN ({ids})"
    )
    found: set[str] = set()
    for at in range(0, len(ids), PART):
        part = ids[at : at + PART]
        marks = ", ".join("?" * len(part))
        found |= {str(row[0]) for row in tx.all(sql.replace("{ids}", marks), [project_id, *part])}
    return found


def addresses(tx: Reader, ports: Sequence[str]) -> dict[str, list[AddressRow]]:
    """Port -> its addresses in order."""
    found: dict[str, list[AddressRow]] = {}
    for row in ADDRESSES.select(tx, {"port_id": list(ports)}):
        found.setdefault(row.port_id, []).append(row)
    return found


def groups_of(tx: Reader, ports: Sequence[str]) -> dict[str, list[str]]:
    """Port -> its security groups."""
    sql = "SELECT port_id, group_id FROM network_port_group WHERE port_id IN ({ids}) ORDER BY port_id, group_id"
    return _lists(_each(tx, sql, ports))


def set_groups(tx: Tx, port: PortRow, groups: Sequence[str]) -> None:
    """The security groups of a port, instead of those it had."""
    tx.run("DELETE FROM network_port_group WHERE port_id = ?", (port.id,))
    tx.many(
        "INSERT INTO network_port_group (port_id, group_id, network_id) VALUES (?, ?, ?)",
        [(port.id, one, port.network_id) for one in groups],
    )


def group_ports(tx: Reader, group_id: str) -> int:
    """How many ports a security group has."""
    row = tx.one("SELECT count(*) FROM network_port_group WHERE group_id = ?", (group_id,))
    return int(row[0]) if row else 0


def networks_of_groups(tx: Reader, groups: Sequence[str]) -> list[str]:
    """Networks with bound ports in these groups: what the groups let through is loaded there."""
    sql = (
        "SELECT DISTINCT p.network_id FROM network_port_group g JOIN network_port p ON p.id = g.port_id "
        "WHERE p.host <> '' AND g.group_id IN ({ids})"
    )
    return [str(row[0]) for row in _each(tx, sql, list(groups))]


def groups_naming(tx: Reader, column: str, ids: Sequence[str]) -> list[str]:
    """Groups with rules whose `remote_group` or `remote_addresses` is one of these."""
    if column not in ("remote_group", "remote_addresses"):
        raise ValueError(column)
    sql = f"SELECT DISTINCT group_id FROM network_rule WHERE {column} IN ({{ids}})"
    return [str(row[0]) for row in _each(tx, sql, list(ids))]


def foreign_device(tx: Reader, device_id: str, project_id: str) -> bool:
    """Whether another project has a port in this device, or a router of this id."""
    sql = (
        "SELECT 1 FROM network_port WHERE device_id = ? AND project_id NOT IN (?, '') UNION ALL "
        "SELECT 1 FROM network_router WHERE id = ? AND project_id <> ?"
    )
    return tx.one(sql, (device_id, project_id, device_id, project_id)) is not None


def used_addresses(tx: Reader, subnet_id: str) -> set[str]:
    """Addresses that are taken in a subnet."""
    return {str(row[0]) for row in tx.all("SELECT address FROM network_address WHERE subnet_id = ?", (subnet_id,))}


def taken(tx: Reader, subnet_id: str, address: str) -> bool:
    """Whether a port holds this address."""
    sql = "SELECT 1 FROM network_address WHERE subnet_id = ? AND address = ?"
    return tx.one(sql, (subnet_id, address)) is not None


def taken_among(tx: Reader, subnet_id: str, addresses: Sequence[str]) -> set[str]:
    """Those of the addresses that ports hold."""
    sql = f"SELECT address FROM network_address WHERE subnet_id = ? AND address IN ({', '.join('?' * len(addresses))})"
    return {str(row[0]) for row in tx.all(sql, [subnet_id, *addresses])}


def hold(tx: Tx, row: AddressRow) -> bool:
    """Give an address to a port, unless it is taken; whether it was free."""
    sql = (
        "INSERT INTO network_address (subnet_id, address, port_id, network_id, position) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING"
    )
    return tx.run(sql, (row.subnet_id, row.address, row.port_id, row.network_id, row.position)) == 1


def users_of_subnet(tx: Reader, subnet_id: str) -> list[PortRow]:
    """Ports with an address in a subnet."""
    return PORTS.query(
        tx, "WHERE t.id IN (SELECT port_id FROM network_address WHERE subnet_id = ?) ORDER BY t.id", (subnet_id,)
    )


def subnets_of_port(tx: Reader, port_id: str) -> list[SubnetRow]:
    """Subnets in which a port has addresses."""
    return SUBNETS.query(
        tx, "WHERE t.id IN (SELECT subnet_id FROM network_address WHERE port_id = ?) ORDER BY t.created_us, t.id",
        (port_id,),
    )  # fmt: skip


def routers_on(tx: Reader, networks: Sequence[str]) -> list[str]:
    """Routers with a leg or a gateway on these networks."""
    sql = (
        "SELECT DISTINCT device_id FROM network_port WHERE network_id IN ({ids}) "
        "AND device_owner IN ('network:router_interface', 'network:router_gateway')"
    )
    return [str(row[0]) for row in _each(tx, sql, list(networks))]


def networks_at(tx: Reader, routers: Sequence[str]) -> list[str]:
    """Networks on which these routers have a leg."""
    sql = (
        "SELECT DISTINCT network_id FROM network_port WHERE device_id IN ({ids}) "
        "AND device_owner = 'network:router_interface'"
    )
    return [str(row[0]) for row in _each(tx, sql, list(routers))]


def networks_seeing(tx: Reader, network_id: str, groups: Sequence[str]) -> list[str]:
    """The networks among which ports of a network are members of groups, itself and those that its routers join, and
    which have ports in any of these groups."""
    sql = (
        "SELECT DISTINCT o.network_id FROM network_port o JOIN network_port leg ON o.device_id = leg.device_id "
        "WHERE leg.network_id = ? AND leg.device_owner = 'network:router_interface' "
        "AND o.device_owner IN ('network:router_interface', 'network:router_gateway')"
    )
    near = sorted({network_id, *(str(row[0]) for row in tx.all(sql, (network_id,)))})
    marks, places = ", ".join("?" * len(groups)), ", ".join("?" * len(near))
    found = f"SELECT 1 FROM network_port_group g WHERE g.group_id IN ({marks}) AND g.network_id IN (n.id, '')"
    rows = tx.all(f"SELECT n.id FROM network_network n WHERE n.id IN ({places}) AND EXISTS ({found})", [*near, *groups])
    return [str(row[0]) for row in rows]


def members_among(
    tx: Reader, asked: Sequence[tuple[str, str]], networks: Sequence[str]
) -> set[tuple[str, str]]:  # fmt: skip
    """Those of (group, address or range) that are members of their group by a bound port on these networks."""
    texts = sorted({text for _, text in asked})
    subnets = [one for found in subnets_of(tx, networks).values() for one in found]
    held: dict[str, set[str]] = {}
    if asked and subnets:
        marks = ", ".join("?" * len(subnets)), ", ".join("?" * len(texts))
        sql = (
            f"SELECT port_id, address FROM network_address WHERE subnet_id IN ({marks[0]}) AND address IN ({marks[1]})"
        )
        for port, text in tx.all(sql, [*subnets, *texts]):
            held.setdefault(str(port), set()).add(str(text))
    sql = "SELECT id, pairs FROM network_port WHERE network_id IN ({ids}) AND pairs <> '[]'"
    for port, pairs in _each(tx, sql, list(networks)):
        held.setdefault(str(port), set()).update(pair["ip_address"] for pair in json.loads(pairs))
    sql = (
        "SELECT g.port_id, g.group_id FROM network_port_group g JOIN network_port p ON p.id = g.port_id "
        "WHERE g.port_id IN ({ids}) AND p.host <> ''"
    )
    groups = _lists(_each(tx, sql, sorted(held)))
    return {(group, text) for port, own in groups.items() for group in own for text in held[port]} & set(asked)


def availability(tx: Reader, network_ids: Sequence[str]) -> dict[str, int]:
    """Subnet -> how many addresses are taken in it."""
    sql = "SELECT subnet_id, count(*) FROM network_address WHERE network_id IN ({ids}) GROUP BY subnet_id"
    return {str(row[0]): int(row[1]) for row in _each(tx, sql, list(network_ids))}


def members(tx: Reader, groups: Sequence[str], networks: Sequence[str]) -> dict[str, set[str]]:
    """Group -> addresses and ranges of its bound ports on these networks, allowed pairs among them."""
    joined = (
        "FROM network_port_group g JOIN network_port p ON p.id = g.port_id {more} WHERE p.host <> '' "
        f"AND g.group_id IN ({', '.join('?' * len(groups))}) AND p.network_id IN ({', '.join('?' * len(networks))})"
    )
    own = joined.replace("{more}", "JOIN network_address a ON a.port_id = p.id")
    pairs = joined.replace("{more}", "") + " AND p.pairs <> '[]'"
    found: dict[str, set[str]] = {}
    for group, address in tx.all(f"SELECT g.group_id, a.address {own}", [*groups, *networks]):
        found.setdefault(str(group), set()).add(str(address))
    for group, text in tx.all(f"SELECT g.group_id, p.pairs {pairs}", [*groups, *networks]):
        found.setdefault(str(group), set()).update(pair["ip_address"] for pair in json.loads(text))
    return found
