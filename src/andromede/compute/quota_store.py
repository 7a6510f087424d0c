"""What projects use, counted."""

from __future__ import annotations

from collections.abc import Sequence

from andromede.db.table import Reader


def servers(db: Reader, project_id: str, user_id: str = "") -> tuple[int, int, int]:
    """(servers, virtual CPUs, memory in MiB) of a project, or of one user in it; deleted servers do not count."""
    whose, params = ("AND user_id = ?", [project_id, user_id]) if user_id else ("", [project_id])
    sql = (
        "SELECT count(*), coalesce(sum(vcpus), 0), coalesce(sum(ram_mb), 0) FROM compute_server "
        f"WHERE project_id = ? {whose} AND state <> 'deleted'"
    )
    row = db.one(sql, params)
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2])


def keypairs(db: Reader, user_id: str) -> int:
    """How many keys a user has."""
    row = db.one("SELECT count(*) FROM compute_keypair WHERE user_id = ?", (user_id,))
    return int(row[0]) if row else 0


def groups(db: Reader, project_id: str) -> int:
    """How many server groups a project has."""
    row = db.one("SELECT count(*) FROM compute_group WHERE project_id = ?", (project_id,))
    return int(row[0]) if row else 0


def members(db: Reader, group_ids: Sequence[str]) -> dict[str, list[str]]:
    """The servers of groups, oldest first."""
    found: dict[str, list[str]] = {group_id: [] for group_id in group_ids}
    if group_ids:
        marks = ", ".join("?" * len(group_ids))
        sql = (
            f"SELECT group_id, id FROM compute_server WHERE group_id IN ({marks}) AND state <> 'deleted' "
            "ORDER BY created_us, id"
        )
        for group_id, server_id in db.all(sql, list(group_ids)):
            found[str(group_id)].append(str(server_id))
    return found
