"""Who asks for metadata, by where the question came in."""

from __future__ import annotations

from andromede.db.table import Reader


def port_at(tx: Reader, network_id: str, address: str) -> str | None:
    """The port of a guest that has an address in a network."""
    row = tx.one(
        "SELECT a.port_id FROM network_subnet s JOIN network_address a ON a.subnet_id = s.id "
        "JOIN network_port p ON p.id = a.port_id "
        "WHERE s.network_id = ? AND a.address = ? AND p.host <> '' AND p.device_owner <> 'network:dhcp'",
        (network_id, address),
    )
    return str(row[0]) if row else None
