"""Statements of block storage beyond the plain tables."""

from __future__ import annotations

from andromede.db import Tx
from andromede.db.table import Reader
from andromede.errors import Unavailable
from andromede.keys.sealed import Wrappings
from andromede.volumes.model import Snapshot, Volume
from andromede.volumes.tables import BACKUPS, SNAPSHOTS, VOLUMES

PASSPHRASES = Wrappings("disk", "id", "project_id", "key_id")
"""Of disks."""


def grow_disk(tx: Tx, disk_id: str, size: int) -> None:
    """Note a larger size."""
    tx.run("UPDATE disk SET size = ? WHERE id = ? AND size < ?", (size, disk_id, size))


def refuse_busy(reader: Reader, disk_id: str) -> None:
    """Raise `Unavailable` reason `in_use` while something reads or writes a volume's disk that no guest has open.
    Copies by a hypervisor that are whole stand in nobody's way."""
    what = ""
    if any(not row.wish.get("whole") for row in SNAPSHOTS.select(reader, {"volume_id": disk_id, "state": "creating"})):
        what = "a snapshot"
    backing_up = BACKUPS.select(reader, {"volume_id": disk_id, "state": "creating", "snapshot_id": ""})
    if any(not row.wish.get("whole") for row in backing_up):
        what = "a backup"
    if any(not row.wish.get("whole") for row in VOLUMES.select(reader, {"source_id": disk_id, "state": "creating"})):
        what = "a copy"
    working = VOLUMES.find(reader, id=disk_id, state=["uploading", "extending"])
    if working is not None and not working.wish.get("whole"):
        what = "an image" if working.state == "uploading" else "more room"
    if what:
        raise Unavailable(f"{what} of volume {disk_id} is being made; it can be attached after that", "in_use")


def sums(reader: Reader, project_id: str) -> dict[str, int]:
    """What a project uses, by the names of its quotas, and by type as `volumes_TYPE-ID` and the like."""
    found: dict[str, int] = {"volumes": 0, "gigabytes": 0, "snapshots": 0, "backups": 0, "backup_gigabytes": 0}
    volumes = (
        "SELECT type_id, count(*), sum(CASE WHEN new_size > size THEN new_size ELSE size END) "
        "FROM volume WHERE project_id = ? GROUP BY type_id"
    )
    snapshots = (
        "SELECT v.type_id, count(*), sum(s.size) FROM volume_snapshot s LEFT JOIN volume v ON v.id = s.volume_id "
        "WHERE s.project_id = ? GROUP BY v.type_id"
    )
    for kind, sql in (("volumes", volumes), ("snapshots", snapshots)):
        for type_id, count, size in reader.all(sql, (project_id,)):
            for name, amount in ((kind, count), ("gigabytes", size)):
                found[name] = found.get(name, 0) + int(amount)
                typed = f"{name}_{type_id}"
                found[typed] = found.get(typed, 0) + int(amount)
    row = reader.one("SELECT count(*), sum(size) FROM volume_backup WHERE project_id = ?", (project_id,))
    found["backups"], found["backup_gigabytes"] = int((row or (0, 0))[0]), int((row or (0, 0))[1] or 0)
    row = reader.one("SELECT count(*) FROM volume_group WHERE project_id = ?", (project_id,))
    found["groups"] = int(row[0]) if row else 0
    return found


def snapshots_of(reader: Reader, volume: Volume) -> list[Snapshot]:
    """Of a volume, the newest first: those of its owner. A snapshot is a copy by itself; one that a former owner has
    kept when the volume changed hands has nothing to do with it any more."""
    rows = SNAPSHOTS.select(reader, {"volume_id": volume.id, "project_id": volume.project_id})
    return sorted(rows, key=lambda row: (row.created_us, row.id), reverse=True)


def has_dependents(reader: Reader, backup_id: str) -> bool:
    """Whether incremental backups build upon it."""
    return reader.one("SELECT 1 FROM volume_backup WHERE parent_id = ? LIMIT 1", (backup_id,)) is not None


def parents(reader: Reader) -> set[str]:
    """The backups that others build upon."""
    return {str(row[0]) for row in reader.all("SELECT DISTINCT parent_id FROM volume_backup WHERE parent_id <> ''")}


def data_users(reader: Reader, data_id: str) -> int:
    """How many records stand for the same data."""
    row = reader.one("SELECT count(*) FROM volume_backup WHERE data_id = ?", (data_id,))
    return int(row[0]) if row else 0


def set_quota(tx: Tx, project_id: str, name: str, value: int) -> None:
    """Keep a limit."""
    tx.run(
        "INSERT INTO volume_quota (project_id, name, value) VALUES (?, ?, ?) "
        "ON CONFLICT (project_id, name) DO UPDATE SET value = excluded.value",
        (project_id, name, value),
    )


def quotas(reader: Reader, project_id: str) -> dict[str, int]:
    """The limits that were set."""
    rows = reader.all("SELECT name, value FROM volume_quota WHERE project_id = ?", (project_id,))
    return {str(name): int(value) for name, value in rows}


def drop_quotas(tx: Tx, project_id: str) -> None:
    """Back to the defaults."""
    tx.run("DELETE FROM volume_quota WHERE project_id = ?", (project_id,))


def type_projects(reader: Reader, type_id: str) -> list[str]:
    """The projects that may use a private type."""
    sql = "SELECT project_id FROM volume_type_access WHERE type_id = ? ORDER BY project_id"
    return [str(row[0]) for row in reader.all(sql, (type_id,))]


def project_types(reader: Reader, project_id: str) -> set[str]:
    """The private types that a project may use."""
    return {str(r[0]) for r in reader.all("SELECT type_id FROM volume_type_access WHERE project_id = ?", (project_id,))}


def grant_type(tx: Tx, type_id: str, project_id: str) -> bool:
    """Whether the grant is new."""
    sql = "INSERT INTO volume_type_access (type_id, project_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
    return tx.run(sql, (type_id, project_id)) == 1


def revoke_type(tx: Tx, type_id: str, project_id: str | None = None) -> bool:
    """Whether there was one; without a project, all of the type."""
    if project_id is None:
        return tx.run("DELETE FROM volume_type_access WHERE type_id = ?", (type_id,)) > 0
    sql = "DELETE FROM volume_type_access WHERE type_id = ? AND project_id = ?"
    return tx.run(sql, (type_id, project_id)) == 1


def default_types(reader: Reader) -> list[tuple[str, str]]:
    """(project id, type id) of projects with a default of their own."""
    sql = "SELECT project_id, type_id FROM volume_default_type ORDER BY project_id"
    return [(str(project), str(type_id)) for project, type_id in reader.all(sql)]


def set_default_type(tx: Tx, project_id: str, type_id: str | None) -> None:
    """The type of a project's volumes that name none."""
    tx.run("DELETE FROM volume_default_type WHERE project_id = ?", (project_id,))
    if type_id is not None:
        tx.run("INSERT INTO volume_default_type (project_id, type_id) VALUES (?, ?)", (project_id, type_id))


def seen(tx: Tx, agent: tuple[str, str], now_us: int, room: tuple[int, int]) -> None:
    """A part of the service on a host is alive; `agent`: (binary, host), `room`: (free, total) bytes."""
    tx.run(
        "INSERT INTO volume_service (binary_name, host, disabled, reason, seen_us, free_bytes, total_bytes) "
        "VALUES (?, ?, 0, NULL, ?, ?, ?) ON CONFLICT (binary_name, host) DO UPDATE SET seen_us = excluded.seen_us, "
        "free_bytes = excluded.free_bytes, total_bytes = excluded.total_bytes",
        (*agent, now_us, *room),
    )


def drop_messages(tx: Tx, before_us: int) -> int:
    """Forget old messages."""
    return tx.run("DELETE FROM volume_message WHERE created_us < ?", (before_us,))
