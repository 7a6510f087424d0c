"""Data keys of things that are no object versions: secrets, and whatever else one row stands for.

A *vault* is a container key of one tenant for one purpose, made on first use. Each thing has a data key of its own,
wrapped under the vault, in a row of its own: removing the row is what makes the thing unreadable for ever, and a
rotation of the vault wraps the rows anew before its former version goes (`Wrappings.rewrap`, called by the worker).
"""

from __future__ import annotations

from dataclasses import dataclass

from andromede.db import Migration, Tx
from andromede.errors import Fatal, NotFound
from andromede.ids import Ids
from andromede.keys import store
from andromede.keys.ring import KeyRing, foreign
from andromede.keys.wrap import parent_version

MIGRATION = Migration(
    "keys",
    2,
    "data keys of things that are no objects",
    """
CREATE TABLE key_vault (
  tenant {text} NOT NULL,
  purpose {text} NOT NULL,
  key_id {text} NOT NULL,
  PRIMARY KEY (tenant, purpose)
) {norowid};
CREATE TABLE key_sealed (
  name {text} PRIMARY KEY,
  tenant {text} NOT NULL,
  kek {text} NOT NULL,
  wrapped {blob} NOT NULL
) {norowid};
CREATE INDEX key_sealed_kek ON key_sealed (kek, name);
""",
)


@dataclass(frozen=True, slots=True)
class Vault:
    """The data keys of one purpose (`secrets`), of every tenant. `name` of a key: `<purpose>/<id>`, unique."""

    ring: KeyRing
    ids: Ids
    purpose: str

    def make(self, tx: Tx, tenant: str, thing: str) -> bytes:
        """A new data key of 256 bits for a thing, its wrapping stored. `tx` has the reach EVERYTHING."""
        self.ring.sync(store.changes(tx))
        kek = self.ring.newest(self._key(tx, tenant), tx)
        plain = self.ids.secret(32)
        wrapped = self.ring.seal_data_key(kek, self._name(thing), plain)
        sql = "INSERT INTO key_sealed (name, tenant, kek, wrapped) VALUES (?, ?, ?, ?)"
        tx.run(sql, (self._name(thing), tenant, kek.id, wrapped))
        return plain

    def open(self, reader: store.Reader, tenant: str, thing: str) -> bytes:
        """The data key of a thing. NotFound reason `sealed` once it was dropped; Fatal reason `damage` for a row that
        was altered or moved; Denied reason `kms_disabled` or `kms_destroyed`."""
        name = self._name(thing)
        row = reader.one("SELECT tenant, kek, wrapped FROM key_sealed WHERE name = ?", (name,))
        if row is None:
            raise NotFound(f"the key of {name} was destroyed: what it sealed cannot be read", "sealed")
        if row[0] != tenant:
            raise foreign(str(row[1]), name)
        self.ring.sync(store.changes(reader))
        return self.ring.open_data_key(str(row[1]), name, bytes(row[2]), reader, tenant)

    def drop(self, tx: Tx, thing: str) -> None:
        """Destroy the wrapping of a data key (the database zeroes what it frees)."""
        tx.run("DELETE FROM key_sealed WHERE name = ?", (self._name(thing),))

    def _name(self, thing: str) -> str:
        return f"{self.purpose}/{thing}"

    def _key(self, tx: Tx, tenant: str) -> str:
        row = tx.one("SELECT key_id FROM key_vault WHERE tenant = ? AND purpose = ?", (tenant, self.purpose))
        if row is not None:
            return str(row[0])
        key_id = self.ring.create_container(tx, tenant).id
        sql = "INSERT INTO key_vault (tenant, purpose, key_id) VALUES (?, ?, ?)"
        tx.run(sql, (tenant, self.purpose, key_id))
        return key_id


@dataclass(frozen=True, slots=True)
class Wrappings:
    """Where wrapped data keys lie: a table and its columns for the name that each is bound to, its tenant and the key
    that wraps it; the wrapping itself is in `wrapped`."""

    table: str
    name: str
    tenant: str
    kek: str

    def rewrap(self, tx: Tx, ring: KeyRing, key_id: str, limit: int) -> bool:
        """Wrap what lies under a key anew, under its newest version; whether none is left under a former one."""
        newest = ring.newest(key_id, tx)
        columns = f"{self.name}, {self.tenant}, wrapped"
        rows = tx.all(f"SELECT {columns} FROM {self.table} WHERE {self.kek} = ? ORDER BY {self.name}", (key_id,))
        stale = [row for row in rows if parent_version(bytes(row[2])) != newest.version]
        sql = f"UPDATE {self.table} SET wrapped = ? WHERE {self.name} = ?"
        for name, tenant, wrapped in stale[:limit]:
            plain = ring.open_data_key(key_id, name, bytes(wrapped), tx, tenant)
            tx.run(sql, (ring.seal_data_key(newest, name, plain), name))
        return len(stale) <= limit


SEALED = Wrappings("key_sealed", "name", "tenant", "kek")


def check(reader: store.Reader, ring: KeyRing) -> list[tuple[str, str]]:
    """(name, problem) of every stored data key that does not open."""
    found = []
    for name, tenant, kek, wrapped in reader.all("SELECT name, tenant, kek, wrapped FROM key_sealed ORDER BY name"):
        try:
            ring.open_data_key(str(kek), str(name), bytes(wrapped), reader, str(tenant))
        except Fatal as error:
            found.append((str(name), error.public))
    return found
