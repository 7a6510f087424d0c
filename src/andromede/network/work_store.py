"""Rows of parts: the working side of networks and routers."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from andromede.db import Tx
from andromede.db.table import Reader
from andromede.network.model import PartRow
from andromede.network.tables import PARTS
from andromede.work.lifecycle import signal

LOAD, DELETE, MEND = "load", "delete", "mend"
"""Wishes: the newest wishes in force, the part gone, and the whole of it made anew."""


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


def shifted(tx: Tx, part_id: str, port_id: str, members: Collection[tuple[str, str]]) -> None:
    """The newest generation of a network differs by this port, and members of groups that may have come or gone."""
    text = json.dumps(sorted(members))
    tx.run(
        "INSERT INTO network_shift (part_id, generation, port_id, members) "
        "SELECT id, wished, ?, ? FROM network_part WHERE id = ?",
        (port_id, text, part_id),
    )


def shifts(tx: Reader, part_id: str, after: int, most: int) -> list[tuple[int, str, list[tuple[str, str]]]]:
    """(generation, port, members) of the generations after one, so many at most."""
    rows = tx.all(
        "SELECT generation, port_id, members FROM network_shift WHERE part_id = ? AND generation > ? "
        "ORDER BY generation, port_id LIMIT ?",
        (part_id, after, most),
    )
    return [(int(row[0]), str(row[1]), [(group, text) for group, text in json.loads(row[2])]) for row in rows]


def settled(tx: Tx, part_id: str, generation: int) -> None:
    """What differed up to a generation is in force."""
    tx.run("DELETE FROM network_shift WHERE part_id = ? AND generation <= ?", (part_id, generation))


def end(tx: Tx, part_id: str, now_us: int, request_id: str) -> None:
    """The network or router is deleted."""
    tx.run("UPDATE network_part SET wished = wished + 1, request_id = ? WHERE id = ?", (request_id, part_id))
    settled(tx, part_id, wished(tx, part_id))
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


def ports_in_force(tx: Tx, ports: Sequence[str], generation: int) -> None:
    """The same of a few ports of a network."""
    if ports:
        tx.run(
            "UPDATE network_port SET status = 'ACTIVE', fault = '' WHERE host <> '' AND admin_state_up = 1 "
            f"AND generation <= ? AND status <> 'ACTIVE' AND id IN ({', '.join('?' * len(ports))})",
            (generation, *ports),
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


def inhabited(tx: Reader, network_id: str, host: str) -> bool:
    """Whether a network has a router's leg or a guest's port on a host."""
    found = tx.one(
        "SELECT 1 FROM network_port WHERE network_id = ? AND device_owner = 'network:router_interface' UNION ALL "
        "SELECT 1 FROM network_port WHERE network_id = ? AND host = ? "
        "AND device_owner NOT IN ('network:dhcp', 'network:router_gateway', 'network:floatingip') LIMIT 1",
        (network_id, network_id, host),
    )
    return found is not None


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
