"""Rows of accounts, containers and their counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from andromede.db import Row, Tx
from andromede.errors import NotFound
from andromede.objects import codec
from andromede.objects.codec import CONTAINER_COLUMNS
from andromede.objects.model import HIDDEN, Account, AccountUsage, Container, Usage


class Reader(Protocol):
    """A database or an open transaction."""

    def one(self, sql: str, params: Any = ()) -> Row | None: ...
    def all(self, sql: str, params: Any = ()) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class State:
    """A container with what only the core sees: its key, whether listings use the index of visible
    versions, whether new rows go into that index, and its account's settings."""

    container: Container
    kek: str
    indexed: bool
    indexing: bool
    account: Account


SCANNED, INDEXED, INDEXING = 0, 1, 2
FOLLOWED = ("lifecycle", "logging")
"""Documents that workers act on: who has one is found without reading the others."""
_SHOWN = f"substr({{}}, 1, 1) <> '{HIDDEN}'"
_ITS_ACCOUNT = f"project_id = (SELECT project_id FROM container WHERE id = ? AND {_SHOWN.format('name')})"
_C = ", ".join("c." + name for name in CONTAINER_COLUMNS.split(", "))
_STATE = (
    f"SELECT {_C}, a.generation, a.metadata, a.settings FROM container c "
    "LEFT JOIN account a ON a.project_id = c.project_id"
)


def no_bucket(name: str = "") -> NotFound:
    """The error of a container that is not there."""
    return NotFound(f"there is no container {name!r}" if name else "the container is gone", "bucket", name=name)


def to_state(row: Row) -> State:
    """Fourteen container columns and three of the account."""
    if row[14] is None:
        account = Account(row[1], False)
    else:
        account = codec.account((row[1], *row[14:17]))
    return State(codec.container(row[:14]), row[10], row[9] == INDEXED, row[9] != SCANNED, account)


def state(reader: Reader, container_id: int) -> State | None:
    """By id."""
    row = reader.one(f"{_STATE} WHERE c.id = ?", (container_id,))
    return to_state(row) if row else None


def named(reader: Reader, project_id: str, name: str) -> State | None:
    """By project and name."""
    row = reader.one(f"{_STATE} WHERE c.project_id = ? AND c.name = ?", (project_id, name))
    return to_state(row) if row else None


def s3_named(reader: Reader, name: str) -> State | None:
    """By installation-wide S3 name."""
    row = reader.one(f"{_STATE} WHERE c.s3_name = ?", (name,))
    return to_state(row) if row else None


def stamp(reader: Reader, project_id: str, name: str) -> Row | None:
    """(id, container generation, account generation): tells whether a copy in memory is still true."""
    return reader.one(
        "SELECT c.id, c.generation, a.generation FROM container c "
        "LEFT JOIN account a ON a.project_id = c.project_id WHERE c.project_id = ? AND c.name = ?",
        (project_id, name),
    )


def s3_stamp(reader: Reader, name: str) -> Row | None:
    """`stamp` by installation-wide S3 name."""
    return reader.one(
        "SELECT c.id, c.generation, a.generation FROM container c "
        "LEFT JOIN account a ON a.project_id = c.project_id WHERE c.s3_name = ?",
        (name,),
    )


def insert(tx: Tx, c: Container, kek: str) -> None:
    """Add a container with empty counters."""
    marks = ", ".join("?" * 14)
    tx.run(
        f"INSERT INTO container ({CONTAINER_COLUMNS}) VALUES ({marks})",
        (
            c.id, c.project_id, c.name, c.s3_name, c.owner_id, c.created_us, c.generation, str(c.versioning),
            int(c.lock_enabled), int(c.versioning != "off"), kek, codec.pack_map(c.metadata),
            codec.pack_map(c.settings), codec.pack_documents(c.documents),
        ),
    )  # fmt: skip
    tx.run("INSERT INTO container_usage (container_id, objects, bytes) VALUES (?, 0, 0)", (c.id,))
    if not c.name.startswith(HIDDEN):
        tx.run(
            "INSERT INTO account_usage (project_id, containers, objects, bytes) VALUES (?, 1, 0, 0) "
            "ON CONFLICT (project_id) DO UPDATE SET containers = account_usage.containers + 1",
            (c.project_id,),
        )
    _follow(tx, c)


def _follow(tx: Tx, c: Container) -> None:
    """Keep the list of containers with documents that workers ask for."""
    if kinds := [kind for kind in FOLLOWED if kind in c.documents]:
        tx.many("INSERT INTO container_document (kind, container_id) VALUES (?, ?)", [(kind, c.id) for kind in kinds])


def _unfollow(tx: Tx, container_id: int) -> None:
    tx.many(
        "DELETE FROM container_document WHERE kind = ? AND container_id = ?",
        [(kind, container_id) for kind in FOLLOWED],
    )


def update(tx: Tx, c: Container) -> None:
    """Write everything that may change. The caller raised `generation`."""
    tx.run(
        "UPDATE container SET owner_id = ?, generation = ?, versioning = ?, lock_enabled = ?, metadata = ?, "
        "settings = ?, documents = ? WHERE id = ?",
        (
            c.owner_id, c.generation, str(c.versioning), int(c.lock_enabled), codec.pack_map(c.metadata),
            codec.pack_map(c.settings), codec.pack_documents(c.documents), c.id,
        ),
    )  # fmt: skip
    _unfollow(tx, c.id)
    _follow(tx, c)


def set_indexed(tx: Tx, container_id: int, state: int) -> None:
    """INDEXING: from now on new rows go into the index of visible versions; INDEXED: listings use it."""
    tx.run("UPDATE container SET indexed = ?, generation = generation + 1 WHERE id = ?", (state, container_id))


def delete(tx: Tx, container_id: int) -> None:
    """Remove an empty container."""
    tx.run(f"UPDATE account_usage SET containers = containers - 1 WHERE {_ITS_ACCOUNT}", (container_id,))
    tx.run("DELETE FROM container_usage WHERE container_id = ?", (container_id,))
    _unfollow(tx, container_id)
    tx.run("DELETE FROM container WHERE id = ?", (container_id,))


def usage(reader: Reader, container_id: int) -> Usage:
    """Counters of one container."""
    row = reader.one("SELECT objects, bytes FROM container_usage WHERE container_id = ?", (container_id,))
    return Usage(row[0], row[1]) if row else Usage(0, 0)


def add_usage(tx: Tx, container_id: int, objects: int, size: int) -> None:
    """Change counters: the container's and its account's."""
    change = "SET objects = objects + ?, bytes = bytes + ?"
    tx.run(f"UPDATE container_usage {change} WHERE container_id = ?", (objects, size, container_id))
    tx.run(f"UPDATE account_usage {change} WHERE {_ITS_ACCOUNT}", (objects, size, container_id))


def account_usage(reader: Reader, project_id: str) -> AccountUsage:
    """Sums over a project's containers."""
    row = reader.one("SELECT containers, objects, bytes FROM account_usage WHERE project_id = ?", (project_id,))
    return AccountUsage(int(row[0]), int(row[1]), int(row[2])) if row else AccountUsage(0, 0, 0)


def page(
    reader: Reader, project_id: str, low: str, high: str | None, limit: int, flags: tuple[bool, bool]
) -> list[Row]:
    """Container columns with (objects, bytes), names >= `low` and < `high` in order; `flags`: descending
    (then from below `high`), and only those with an S3 name."""
    reverse, s3_only = flags
    where = " AND c.name < ?" if high is not None else ""
    where += " AND c.s3_name IS NOT NULL" if s3_only else f" AND {_SHOWN.format('c.name')}"
    order = "DESC" if reverse else "ASC"
    params = (project_id, low, *((high,) if high is not None else ()), limit)
    return reader.all(
        f"SELECT {_C}, u.objects, u.bytes FROM container c JOIN container_usage u ON u.container_id = c.id "
        f"WHERE c.project_id = ? AND c.name >= ?{where} ORDER BY c.name {order} LIMIT ?",
        params,
    )


def account(reader: Reader, project_id: str) -> Account:
    """An account; `exists` is False when nothing is stored about it."""
    row = reader.one(
        "SELECT project_id, generation, metadata, settings FROM account WHERE project_id = ?", (project_id,)
    )
    return codec.account(row) if row else Account(project_id, False)


def put_account(tx: Tx, a: Account) -> None:
    """Write an account."""
    tx.run(
        "INSERT INTO account (project_id, generation, metadata, settings) VALUES (?, ?, ?, ?) ON CONFLICT (project_id) "
        "DO UPDATE SET generation = excluded.generation, metadata = excluded.metadata, settings = excluded.settings",
        (a.project_id, a.generation, codec.pack_map(a.metadata), codec.pack_map(a.settings)),
    )


def delete_account(tx: Tx, project_id: str) -> None:
    """Forget an account's own row."""
    tx.run("DELETE FROM account WHERE project_id = ?", (project_id,))


def with_document(reader: Reader, kind: str, after: int, limit: int) -> list[Container]:
    """Containers that hold a document, in order of id. Of a kind that is not in `FOLLOWED` all are looked at."""
    where, asked = "d.kind = ? AND d.container_id > ?", (kind, after)
    sql = f"SELECT {_C} FROM container_document d JOIN container c ON c.id = d.container_id WHERE {where}"
    if kind not in FOLLOWED:
        sql = f"SELECT {_C} FROM container c WHERE c.documents LIKE ? AND c.id > ?"
        asked = (f'%"{kind}":%', after)
    rows = reader.all(f"{sql} ORDER BY c.id LIMIT ?", (*asked, limit))
    return [codec.container(row) for row in rows]
