"""Queries that compare tables with each other."""

from __future__ import annotations

from andromede.db import Row, Tx
from andromede.keys.wrap import OVERHEAD
from andromede.objects.codec import PART_COLUMNS, VERSION_COLUMNS
from andromede.objects.container_store import Reader
from andromede.objects.model import HIDDEN

PLAIN_WRAPPED = 32 + OVERHEAD
"""Size of a wrapped data key that is not also sealed for a customer."""


def counters(tx: Tx) -> list[Row]:
    """(container id, objects, bytes, counted objects, counted bytes) where they differ."""
    return tx.all(
        "SELECT u.container_id, u.objects, u.bytes, coalesce(v.n, 0), coalesce(v.s, 0) FROM container_usage u "
        "LEFT JOIN (SELECT container_id, count(*) AS n, sum(size) AS s FROM version WHERE listed IN (1, 3) "
        "GROUP BY container_id) v ON v.container_id = u.container_id "
        "WHERE u.objects <> coalesce(v.n, 0) OR u.bytes <> coalesce(v.s, 0)"
    )


def accounts(tx: Tx) -> list[Row]:
    """(project id, containers, objects, bytes, and the three as counted) where they differ."""
    return tx.all(
        "SELECT a.project_id, a.containers, a.objects, a.bytes, coalesce(s.n, 0), coalesce(s.o, 0), coalesce(s.b, 0) "
        "FROM account_usage a LEFT JOIN (SELECT c.project_id, count(*) AS n, sum(u.objects) AS o, sum(u.bytes) AS b "
        f"FROM container c JOIN container_usage u ON u.container_id = c.id WHERE substr(c.name, 1, 1) <> '{HIDDEN}' "
        "GROUP BY c.project_id) s "
        "ON s.project_id = a.project_id "
        "WHERE a.containers <> coalesce(s.n, 0) OR a.objects <> coalesce(s.o, 0) OR a.bytes <> coalesce(s.b, 0)"
    )


def wrongly_listed(tx: Tx) -> list[Row]:
    """(container id, key) whose newest version is not the one marked so."""
    return tx.all(
        "SELECT container_id, key FROM version GROUP BY container_id, key "
        "HAVING sum(CASE WHEN listed > 0 THEN 1 ELSE 0 END) <> 1 "
        "OR max(seq) <> max(CASE WHEN listed > 0 THEN seq ELSE 0 END) LIMIT 100"
    )


def versions(reader: Reader, after: tuple[int, str, int], limit: int) -> list[Row]:
    """VERSION_COLUMNS of every version, in order."""
    return reader.all(
        f"SELECT {VERSION_COLUMNS} FROM version WHERE (container_id, key, seq) > (?, ?, ?) "
        "ORDER BY container_id, key, seq LIMIT ?",
        (*after, limit),
    )


def parts(reader: Reader, after: tuple[str, int], limit: int) -> list[Row]:
    """(owner, PART_COLUMNS) of every part, in order."""
    return reader.all(
        f"SELECT owner, {PART_COLUMNS} FROM part WHERE (owner, number) > (?, ?) ORDER BY owner, number LIMIT ?",
        (*after, limit),
    )


def part_sums(reader: Reader, owner: str) -> tuple[int, int]:
    """(count, bytes) of a version's parts."""
    row = reader.one("SELECT count(*), coalesce(sum(size), 0) FROM part WHERE owner = ?", (owner,))
    return (int(row[0]), int(row[1])) if row else (0, 0)


def still_there(reader: Reader, container_id: int, key: str, seq: int) -> bool:
    """Whether a version's row is there now."""
    where = "container_id = ? AND key = ? AND seq = ?"
    return reader.one(f"SELECT 1 FROM version WHERE {where}", (container_id, key, seq)) is not None


def part_still_there(reader: Reader, at: tuple[str, int]) -> bool:
    """Whether a part's row is there now."""
    return reader.one("SELECT 1 FROM part WHERE owner = ? AND number = ?", at) is not None


def file_in_use(reader: Reader, name: str) -> bool:
    """Whether any row refers to a file (a scan: only asked when something is wrong)."""
    low, high = f"{name}:", f"{name};"
    for table in ("version", "part"):
        if reader.one(f"SELECT 1 FROM {table} WHERE ref >= ? AND ref < ? LIMIT 1", (low, high)) is not None:
            return True
    return False


def foreign_keys(tx: Tx) -> list[tuple[str, str]]:
    """(what, id of its key) of containers, versions and parts that stand under a key of another project."""
    rows = tx.all("SELECT c.id, c.kek FROM container c JOIN key k ON k.id = c.kek WHERE k.tenant <> c.project_id")
    found = [(f"container {row[0]}", str(row[1])) for row in rows]
    under = "JOIN container c ON c.id = v.container_id JOIN key k ON k.id = {}.kek WHERE k.tenant <> c.project_id"
    rows = tx.all(f"SELECT v.container_id, v.key, v.id, v.kek FROM version v {under.format('v')}")
    found += [(f"container {row[0]} {row[1]!r} version {row[2]}", str(row[3])) for row in rows]
    rows = tx.all(f"SELECT p.number, p.owner, p.kek FROM part p JOIN version v ON v.id = p.owner {under.format('p')}")
    return found + [(f"part {row[0]} of {row[1]}", str(row[2])) for row in rows]
