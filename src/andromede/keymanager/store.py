"""Rows of the key manager. Lists are filtered in SQL, what a caller may not read included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from andromede.clock import US
from andromede.db import Tx
from andromede.db.table import Reader, Table, conditions
from andromede.keymanager.model import Acl, Consumer, Container, Member, Order, Quota, Secret

T = TypeVar("T")

SECRETS = Table("secret", Secret, "created_us, id")
CONTAINERS = Table("secret_container", Container, "created_us, id")
MEMBERS = Table("secret_member", Member, "container_id, position")
CONSUMERS = Table("secret_consumer", Consumer, "created_us, id")
ORDERS = Table("secret_order", Order, "created_us, id")
ACLS = Table("secret_acl", Acl, "owner_id")
QUOTAS = Table("secret_quota", Quota, "project_id")


@dataclass(slots=True)
class Listing:
    """What a list asks for. `where`: equalities; `spans`: (column, operator, value) comparisons; `reader`: the user
    for whom what an access list shuts away is left out ("" for nobody: all of the project); `named`: only what names
    this user in its list, whatever the project; `sort`: (column, descending)."""

    project_id: str
    where: dict[str, Any] = field(default_factory=dict)
    spans: list[tuple[str, str, int]] = field(default_factory=list)
    reader: str = ""
    named: str = ""
    sort: list[tuple[str, bool]] = field(default_factory=list)
    limit: int = 10
    offset: int = 0
    now_us: int = 0


_OPERATORS = frozenset({"=", "<", "<=", ">", ">="})


def page(reader: Reader, table: Table[T], asked: Listing) -> tuple[list[T], int]:
    """(one page, how many there are in all)."""
    text, params = conditions(asked.where)
    parts = [text]
    if asked.named:
        parts.append("EXISTS (SELECT 1 FROM secret_acl_user u WHERE u.owner_id = t.id AND u.user_id = ?)")
        params.append(asked.named)
    else:
        parts.append("t.project_id = ?")
        params.append(asked.project_id)
    if asked.reader:
        parts.append(
            "(t.creator_id = ? OR NOT EXISTS (SELECT 1 FROM secret_acl a WHERE a.owner_id = t.id AND"
            " a.project_access = 0))"
        )
        params.append(asked.reader)
    for column, operator, value in asked.spans:
        assert operator in _OPERATORS and column in table.columns
        parts.append(f"t.{column} / {US} {operator} ?")  # whole seconds, as clients see them
        params.append(value // US)
    if table is SECRETS:
        parts.append("(t.expiration_us IS NULL OR t.expiration_us > ?)")
        params.append(asked.now_us)
    where = " AND ".join(parts)
    row = reader.one(f"SELECT count(*) FROM {table.name} t WHERE {where}", params)
    assert all(column in table.columns for column, _ in asked.sort)
    order = ", ".join(
        f"t.{column} {'DESC' if down else 'ASC'}" for column, down in [*asked.sort, ("created_us", False)]
    )
    tail = f"WHERE {where} ORDER BY {order}, t.id LIMIT ? OFFSET ?"
    return table.query(reader, tail, [*params, asked.limit, asked.offset]), int(row[0]) if row else 0


def users(reader: Reader, owner_id: str) -> list[str]:
    """Whom the access list of a secret or container names."""
    sql = "SELECT user_id FROM secret_acl_user WHERE owner_id = ? ORDER BY user_id"
    return [str(row[0]) for row in reader.all(sql, (owner_id,))]


def set_users(tx: Tx, owner_id: str, named: Sequence[str]) -> None:
    """Replace whom it names."""
    tx.run("DELETE FROM secret_acl_user WHERE owner_id = ?", (owner_id,))
    if named:
        tx.insert("secret_acl_user (owner_id, user_id)", [(owner_id, user) for user in dict.fromkeys(named)])


def drop_acl(tx: Tx, owner_id: str) -> bool:
    """Remove an access list; whether there was one."""
    tx.run("DELETE FROM secret_acl_user WHERE owner_id = ?", (owner_id,))
    return ACLS.remove(tx, owner_id=owner_id) > 0


def count(reader: Reader, resource: str, project_id: str) -> int:
    """How many a project has, of what its quota counts."""
    tables = {"secrets": "secret", "containers": "secret_container", "orders": "secret_order",
              "consumers": "secret_consumer"}  # fmt: skip
    row = reader.one(f"SELECT count(*) FROM {tables[resource]} WHERE project_id = ?", (project_id,))
    return int(row[0]) if row else 0


def expired(reader: Reader, now_us: int, limit: int) -> list[Secret]:
    """Secrets whose time is over."""
    return SECRETS.query(reader, "WHERE t.expiration_us <= ? ORDER BY t.expiration_us LIMIT ?", (now_us, limit))


def next_position(reader: Reader, container_id: str) -> int:
    """Where the next member of a container goes."""
    row = reader.one("SELECT max(position) FROM secret_member WHERE container_id = ?", (container_id,))
    return int(row[0]) + 1 if row and row[0] is not None else 0
