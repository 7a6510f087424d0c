"""Rows of wrapping keys. The sequence `keys` counts every change of a state or version, so that
memory caches notice a change made by another process."""

from __future__ import annotations

from typing import Any, Protocol

from andromede.db import Migration, Row, Tx
from andromede.keys.model import Key, Level, State

MIGRATIONS = (
    Migration(
        "keys",
        1,
        "wrapping keys",
        """
CREATE TABLE key (
  id {text} PRIMARY KEY,
  parent {text} NOT NULL,
  tenant {text} NOT NULL,
  level {text} NOT NULL,
  name {text} NOT NULL,
  origin {text} NOT NULL,
  holder {text} NOT NULL,
  state {text} NOT NULL,
  version {int} NOT NULL,
  wrapped {blob},
  created {int} NOT NULL,
  destroyed {int}
);
CREATE INDEX key_parent ON key (parent, id);
CREATE UNIQUE INDEX key_name ON key (tenant, name) WHERE name <> '';
CREATE UNIQUE INDEX key_tenant ON key (tenant) WHERE level = 'tenant';
CREATE TABLE key_former (
  id {text} NOT NULL,
  version {int} NOT NULL,
  wrapped {blob} NOT NULL,
  PRIMARY KEY (id, version)
) {norowid};
CREATE TABLE key_permit (
  id {text} PRIMARY KEY,
  key_id {text} NOT NULL,
  created {int} NOT NULL
);
""",
    ),
)

_COLUMNS = "id, parent, tenant, level, name, origin, holder, state, version, wrapped, created, destroyed"


class Reader(Protocol):
    """A database or an open transaction."""

    def one(self, sql: str, params: Any = ()) -> Row | None: ...
    def all(self, sql: str, params: Any = ()) -> list[Row]: ...


def _key(row: Row) -> Key:
    return Key(row[0], row[1], row[2], Level(row[3]), row[4], row[5], row[6], State(row[7]), *row[8:])


def insert(tx: Tx, key: Key) -> None:
    """Add a key."""
    tx.run(
        f"INSERT INTO key ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key.id, key.parent, key.tenant, str(key.level), key.name, key.origin, key.holder, str(key.state),
            key.version, key.wrapped, key.created_us, key.destroyed_us,
        ),
    )  # fmt: skip


def get(reader: Reader, key_id: str) -> Key | None:
    """One key by id."""
    row = reader.one(f"SELECT {_COLUMNS} FROM key WHERE id = ?", (key_id,))
    return _key(row) if row else None


def former(reader: Reader, key_id: str, version: int) -> bytes | None:
    """The wrapped material of a rotated version that is still in use."""
    row = reader.one("SELECT wrapped FROM key_former WHERE id = ? AND version = ?", (key_id, version))
    return bytes(row[0]) if row else None


def tenant(reader: Reader, tenant_id: str) -> Key | None:
    """The tenant's own key."""
    row = reader.one(f"SELECT {_COLUMNS} FROM key WHERE tenant = ? AND level = 'tenant'", (tenant_id,))
    return _key(row) if row else None


def named(reader: Reader, tenant_id: str, name: str) -> Key | None:
    """The tenant's key of that name or id."""
    row = reader.one(
        f"SELECT {_COLUMNS} FROM key WHERE level = 'named' AND tenant = ? AND (name = ? OR id = ?)",
        (tenant_id, name, name),
    )
    return _key(row) if row else None


def keys(reader: Reader, tenant_id: str | None) -> list[Key]:
    """Every key of one tenant, or of all."""
    if tenant_id is None:
        return [_key(row) for row in reader.all(f"SELECT {_COLUMNS} FROM key ORDER BY tenant, created, id")]
    return [
        _key(row)
        for row in reader.all(f"SELECT {_COLUMNS} FROM key WHERE tenant = ? ORDER BY created, id", (tenant_id,))
    ]


def any_key(reader: Reader) -> bool:
    """Whether any key was ever made here."""
    return reader.one("SELECT 1 FROM key LIMIT 1") is not None


def children(reader: Reader, parent: str) -> list[Key]:
    """Keys wrapped under this one."""
    return [_key(row) for row in reader.all(f"SELECT {_COLUMNS} FROM key WHERE parent = ? ORDER BY id", (parent,))]


def set_state(tx: Tx, key_id: str, state: State) -> None:
    """Change a state."""
    tx.run("UPDATE key SET state = ? WHERE id = ?", (str(state), key_id))
    tx.take("keys")


def set_wrapped(tx: Tx, key_id: str, version: int, wrapped: bytes) -> None:
    """New wrapping or new material."""
    tx.run("UPDATE key SET wrapped = ?, version = ? WHERE id = ?", (wrapped, version, key_id))
    tx.take("keys")


def keep_former(tx: Tx, key_id: str, version: int, wrapped: bytes) -> None:
    """Keep a rotated version until nothing is wrapped under it (upsert: re-wrapping replaces it)."""
    tx.run(
        "INSERT INTO key_former (id, version, wrapped) VALUES (?, ?, ?) "
        "ON CONFLICT (id, version) DO UPDATE SET wrapped = excluded.wrapped",
        (key_id, version, wrapped),
    )


def formers(reader: Reader, key_id: str) -> list[tuple[int, bytes]]:
    """(version, wrapped) of every rotated version still kept."""
    rows = reader.all("SELECT version, wrapped FROM key_former WHERE id = ? ORDER BY version", (key_id,))
    return [(row[0], bytes(row[1])) for row in rows]


def all_formers(reader: Reader) -> list[tuple[str, int]]:
    """(key id, version) of every rotated version still kept."""
    return [(row[0], row[1]) for row in reader.all("SELECT id, version FROM key_former ORDER BY id, version")]


def drop_former(tx: Tx, key_id: str, version: int) -> None:
    """Forget a rotated version."""
    tx.run("DELETE FROM key_former WHERE id = ? AND version = ?", (key_id, version))


def destroy(tx: Tx, key_id: str, now_us: int) -> None:
    """Overwrite the material (the database zeroes what it frees); the row stays as evidence."""
    tx.run(
        "UPDATE key SET wrapped = NULL, state = 'destroyed', name = '', destroyed = ? WHERE id = ?", (now_us, key_id)
    )
    tx.run("DELETE FROM key_former WHERE id = ?", (key_id,))
    tx.take("keys")


def add_permit(tx: Tx, permit: str, key_id: str, now_us: int) -> None:
    """Store the intent to destroy."""
    tx.run("INSERT INTO key_permit (id, key_id, created) VALUES (?, ?, ?)", (permit, key_id, now_us))


def use_permit(tx: Tx, permit: str) -> tuple[str, int] | None:
    """Take the permit away and tell (key id, created)."""
    rows = tx.all("DELETE FROM key_permit WHERE id = ? RETURNING key_id, created", (permit,))
    return (rows[0][0], rows[0][1]) if rows else None


def changes(reader: Reader) -> int:
    """The count of changes so far."""
    row = reader.one("SELECT value FROM sequence WHERE name = 'keys'")
    return int(row[0]) if row else 0
