"""Queries over servers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from andromede.compute.model import Device, Server
from andromede.compute.tables import DEVICES, SERVERS
from andromede.db import Tx
from andromede.db.table import Reader

SORTS = {
    "created_at": "created_us",
    "display_name": "name",
    "uuid": "id",
    "id": "id",
    "display_description": "description",
    "host": "host",
    "hostname": "hostname",
    "image_ref": "image_id",
    "instance_type_id": "flavor",
    "key_name": "key_name",
    "launched_at": "launched_us",
    "locked": "locked",
    "power_state": "power",
    "progress": "progress",
    "project_id": "project_id",
    "root_device_name": "root_device_name",
    "task_state": "state",
    "terminated_at": "terminated_us",
    "updated_at": "updated_us",
    "user_id": "user_id",
    "vm_state": "state",
    "availability_zone": "availability_zone",
    "access_ip_v4": "access_ip_v4",
    "access_ip_v6": "access_ip_v6",
    "auto_disk_config": "disk_config",
    "config_drive": "config_drive",
}


@dataclass(frozen=True, slots=True)
class Search:
    """What a list is to hold. `equal`: column -> value; `states`: None is any; `tags`: (all of, any of, not all of,
    not any of); `since`/`before`: of updated_us; `sort`: (column, descending) pairs."""

    equal: Mapping[str, Any] = field(default_factory=dict)
    states: Sequence[str] | None = None
    deleted: bool | None = False
    ids: Sequence[str] | None = None
    since_us: int | None = None
    before_us: int | None = None
    tags: tuple[Sequence[str], Sequence[str], Sequence[str], Sequence[str]] = ((), (), (), ())
    sort: Sequence[tuple[str, bool]] = (("created_us", True),)


def _in(column: str, values: Sequence[Any]) -> str:
    return f"{column} IN ({', '.join('?' * len(values))})" if values else "1 = 0"


def _tagged(search: Search) -> tuple[list[str], list[Any]]:
    parts: list[str] = []
    params: list[Any] = []
    count = "(SELECT count(*) FROM compute_tag g WHERE g.server_id = t.id AND "
    for values, form in zip(search.tags, ("= {n}", "> 0", "< {n}", "= 0"), strict=True):
        if values:
            parts.append(f"{count}{_in('g.name', values)}) {form.format(n=len(set(values)))}")
            params += list(values)
    return parts, params


def search(db: Reader, wanted: Search) -> list[Server]:
    """Servers in order."""
    parts, params = ["1 = 1"], []
    for column, value in wanted.equal.items():
        parts.append(f"t.{column} = ?")
        params.append(value)
    if wanted.deleted is not None:
        parts.append("t.state = 'deleted'" if wanted.deleted else "t.state <> 'deleted'")
    for column, values in (("t.state", wanted.states), ("t.id", wanted.ids)):
        if values is not None:
            parts.append(_in(column, values))
            params += list(values)
    for sign, limit in ((">=", wanted.since_us), ("<=", wanted.before_us)):
        if limit is not None:
            parts.append(f"t.updated_us {sign} ?")
            params.append(limit)
    tagged, more = _tagged(wanted)
    order = ", ".join(f"t.{column} {'DESC' if down else 'ASC'}" for column, down in wanted.sort)
    down = bool(wanted.sort) and wanted.sort[0][1]
    tail = f"WHERE {' AND '.join(parts + tagged)} ORDER BY {order}, t.id {'DESC' if down else 'ASC'}"
    return SERVERS.query(db, tail, params + more)


def _grouped(rows: Sequence[Any], key: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(getattr(row, key), []).append(row)
    return found


def devices(db: Reader, server_ids: Sequence[str]) -> dict[str, list[Device]]:
    """The devices of servers, in order."""
    return _grouped(DEVICES.select(db, {"server_id": list(server_ids)}), "server_id")


def tags(db: Reader, server_ids: Sequence[str]) -> dict[str, list[str]]:
    """The tags of servers."""
    found: dict[str, list[str]] = {}
    if server_ids:
        sql = f"SELECT server_id, name FROM compute_tag WHERE {_in('server_id', server_ids)} ORDER BY server_id, name"
        for server_id, name in db.all(sql, list(server_ids)):
            found.setdefault(str(server_id), []).append(str(name))
    return found


def metadata(tx: Tx, server_id: str) -> dict[str, str]:
    """A server's metadata as it is in the transaction."""
    row = tx.one("SELECT metadata FROM compute_server WHERE id = ?", (server_id,))
    return {} if row is None else dict(json.loads(str(row[0])))


def used_between(db: Reader, project_id: str | None, span: tuple[int, int]) -> list[Server]:
    """Servers that were there at some time of a span, by project."""
    whose, params = ("AND t.project_id = ?", [project_id]) if project_id is not None else ("", [])
    tail = (
        "WHERE t.launched_us > 0 AND t.launched_us <= ? AND (t.terminated_us = 0 OR t.terminated_us > ?) "
        f"{whose} ORDER BY t.project_id, t.launched_us, t.id"
    )
    return SERVERS.query(db, tail, [span[1], span[0], *params])


def deleted_before(db: Reader, before_us: int, limit: int) -> list[str]:
    """Servers that have been deleted for longer."""
    sql = "SELECT id FROM compute_server WHERE state = 'deleted' AND since_us < ? ORDER BY since_us LIMIT ?"
    return [str(row[0]) for row in db.all(sql, (before_us, limit))]


def forget(tx: Tx, server_ids: Sequence[str]) -> None:
    """Remove servers with all that is kept of them."""
    marks = _in("server_id", server_ids)
    for table in ("compute_device", "compute_tag", "compute_action_event", "compute_action", "compute_console"):
        tx.run(f"DELETE FROM {table} WHERE {marks}", list(server_ids))
    tx.run(f"DELETE FROM compute_server WHERE {_in('id', server_ids)}", list(server_ids))
