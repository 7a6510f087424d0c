"""Statements about floating IPs that ports and routers need."""

from __future__ import annotations

from andromede.db import Tx
from andromede.db.table import Reader


def leave(tx: Tx, port_id: str, address: str | None, now_us: int) -> int:
    """Free floating IPs and forwardings from a port, or from one address of it; how many there were."""
    where, params = (
        ("port_id = ?", [port_id]) if address is None else ("port_id = ? AND fixed_ip = ?", [port_id, address])
    )
    count = tx.run(
        "UPDATE network_floating SET port_id = '', fixed_ip = '', router_id = '', status = 'DOWN', updated_us = ?, "
        f"revision = revision + 1 WHERE {where}",
        [now_us, *params],
    )
    where = where.replace("fixed_ip", "address")
    forwarding = [str(row[0]) for row in tx.all(f"SELECT floating_id FROM network_forwarding WHERE {where}", params)]
    count += tx.run(f"DELETE FROM network_forwarding WHERE {where}", params)
    for floating_id in set(forwarding):
        tx.run(
            "UPDATE network_floating SET router_id = '', status = 'DOWN' WHERE id = ? "
            "AND NOT EXISTS (SELECT 1 FROM network_forwarding w WHERE w.floating_id = network_floating.id)",
            (floating_id,),
        )
    return count


def routers_for(tx: Reader, port_id: str) -> list[str]:
    """Routers that translate addresses for a port."""
    sql = (
        "SELECT router_id FROM network_floating WHERE port_id = ? UNION SELECT f.router_id FROM network_floating f "
        "JOIN network_forwarding w ON w.floating_id = f.id WHERE w.port_id = ?"
    )
    return [str(row[0]) for row in tx.all(sql, (port_id, port_id)) if row[0]]


def through(tx: Reader, router_id: str, subnets: list[str]) -> int:
    """How many floating IPs a router translates for addresses in these subnets."""
    marks = ", ".join("?" * len(subnets)) or "''"
    sql = (
        "SELECT count(*) FROM network_floating f JOIN network_address a ON a.port_id = f.port_id "
        f"AND a.address = f.fixed_ip WHERE f.router_id = ? AND a.subnet_id IN ({marks})"
    )
    row = tx.one(sql, [router_id, *subnets])
    more = tx.one(
        "SELECT count(*) FROM network_forwarding w JOIN network_floating f ON f.id = w.floating_id "
        "JOIN network_address a "
        f"ON a.port_id = w.port_id AND a.address = w.address WHERE f.router_id = ? AND a.subnet_id IN ({marks})",
        [router_id, *subnets],
    )
    return int(row[0] if row else 0) + int(more[0] if more else 0)


def gateways_reaching(tx: Reader, network_id: str, subnet_id: str) -> list[str]:
    """Routers with a gateway on an external network and a leg in a subnet."""
    sql = (
        "SELECT r.id FROM network_router r JOIN network_port p ON p.device_id = r.id "
        "JOIN network_address a ON a.port_id = p.id WHERE r.gateway_network = ? AND a.subnet_id = ? "
        "AND p.device_owner = 'network:router_interface' ORDER BY r.created_us, r.id"
    )
    return [str(row[0]) for row in tx.all(sql, (network_id, subnet_id))]
