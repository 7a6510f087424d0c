"""Rows of parts: the working side of networks and routers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from andromede.db import Tx
from andromede.db.table import Reader
from andromede.network.model import PartRow
from andromede.network.tables import PARTS
from andromede.work.lifecycle import signal

LOAD, DELETE = "load", "delete"


def add(tx: Tx, part_id: str, project_id: str, kind: str, now_us: int) -> None:
    """A part that nothing was asked of yet."""
    PARTS.insert(tx, PartRow(part_id, project_id, kind, 0, 0, "loaded", now_us))


def wished(tx: Reader, part_id: str) -> int:
    """The newest generation of a part's wishes."""
    row = tx.one("SELECT wished FROM network_part WHERE id = ?", (part_id,))
    return int(row[0]) if row else 0


def loaded(tx: Reader, part_id: str) -> int:
    """The generation in force, -1 where nothing is."""
    row = tx.one("SELECT loaded FROM network_part WHERE id = ?", (part_id,))
    return int(row[0]) if row else -1


def bump(tx: Tx, part_id: str, now_us: int, request_id: str) -> None:
    """The wishes have changed."""
    tx.run("UPDATE network_part SET wished = wished + 1, request_id = ? WHERE id = ?", (request_id, part_id))
    signal(tx, PARTS.name, part_id, LOAD, now_us)


def end(tx: Tx, part_id: str, now_us: int, request_id: str) -> None:
    """The network or router is deleted."""
    tx.run("UPDATE network_part SET wished = wished + 1, request_id = ? WHERE id = ?", (request_id, part_id))
    signal(tx, PARTS.name, part_id, DELETE, now_us)


def in_force(tx: Tx, part_id: str, kind: str, generation: int) -> None:
    """A generation was loaded: what waited for it is active."""
    if kind == "network":
        tx.run(
            "UPDATE network_port SET status = 'ACTIVE', fault = '' WHERE network_id = ? AND host <> '' "
            "AND admin_state_up = 1 AND generation <= ? AND status <> 'ACTIVE' "
            "AND device_owner <> 'network:router_gateway' AND device_owner <> 'network:floatingip'",
            (part_id, generation),
        )
    elif kind == "router":
        tx.run("UPDATE network_router SET status = 'ACTIVE', fault = '' WHERE id = ?", (part_id,))
        tx.run(
            "UPDATE network_port SET status = 'ACTIVE', fault = '' WHERE device_id = ? "
            "AND device_owner = 'network:router_gateway' AND status <> 'ACTIVE'",
            (part_id,),
        )
        tx.run(
            "UPDATE network_floating SET status = 'ACTIVE' WHERE router_id = ? AND generation <= ? "
            "AND (port_id <> '' OR id IN (SELECT floating_id FROM network_forwarding))",
            (part_id, generation),
        )


def refused(tx: Tx, part_id: str, kind: str, why: str) -> None:
    """The engine would not: what waited shows it."""
    if kind == "network":
        tx.run(
            "UPDATE network_port SET status = 'ERROR', fault = ? WHERE network_id = ? AND host <> '' "
            "AND status = 'BUILD'",
            (why, part_id),
        )
    elif kind == "router":
        tx.run("UPDATE network_router SET status = 'ERROR', fault = ? WHERE id = ?", (why, part_id))


def pulse(tx: Tx, host: str, started_us: int, now_us: int) -> None:
    """A host's worker is alive."""
    tx.run(
        "INSERT INTO network_host (host, started_us, seen_us) VALUES (?, ?, ?) "
        "ON CONFLICT (host) DO UPDATE SET started_us = excluded.started_us, seen_us = excluded.seen_us",
        (host, started_us, now_us),
    )


def hosts(tx: Reader) -> list[tuple[str, int, int]]:
    """(host, started, seen) of every host that has ever worked."""
    rows = tx.all("SELECT host, started_us, seen_us FROM network_host ORDER BY host")
    return [(str(row[0]), int(row[1]), int(row[2])) for row in rows]


def asleep(tx: Tx, network_id: str) -> None:
    """A network has nobody on this host: nothing of it is there."""
    tx.run(
        "UPDATE network_port SET status = 'DOWN' WHERE network_id = ? AND device_owner = 'network:dhcp'", (network_id,)
    )


def resting(tx: Reader, after: str, most: int) -> list[PartRow]:
    """Parts that nobody works on, by id."""
    sql = "WHERE t.id > ? AND t.state IN ('loaded', 'error') AND t.due_us IS NULL ORDER BY t.id LIMIT ?"
    return PARTS.query(tx, sql, (after, most))


def known(tx: Reader, ids: Sequence[str]) -> set[str]:
    """Those of the ids that are parts."""
    return {row.id for row in PARTS.select(tx, {"id": list(ids)})}


def changed_holders(tx: Reader, network_id: str, ports: Collection[str]) -> list[tuple[str, str, str]]:
    """(port, status, new status) of guests' ports whose taps somebody holds now, or nobody does any more."""
    rows = tx.all(
        "SELECT id, status FROM network_port WHERE network_id = ? AND host <> '' AND admin_state_up = 1 "
        "AND device_owner LIKE 'compute:%' AND status IN ('ACTIVE', 'DOWN')",
        (network_id,),
    )
    now = {str(row[0]): "ACTIVE" if row[0] in ports else "DOWN" for row in rows}
    return [(str(row[0]), str(row[1]), now[row[0]]) for row in rows if now[row[0]] != row[1]]


def held(tx: Tx, changes: Sequence[tuple[str, str, str]]) -> None:
    """Write what `changed_holders` found."""
    for port_id, was, now in changes:
        tx.run("UPDATE network_port SET status = ? WHERE id = ? AND status = ?", (now, port_id, was))


def held_by(tx: Tx, device_id: str, held: bool) -> None:
    """A guest holds the taps of its ports, or does not any more."""
    was, now = ("DOWN", "ACTIVE") if held else ("ACTIVE", "DOWN")
    tx.run(
        "UPDATE network_port SET status = ? WHERE device_id = ? AND status = ? AND host <> '' AND admin_state_up = 1",
        (now, device_id, was),
    )
