"""Rows of two tenants swapped, copied and moved below the program: what opens, must be the reader's own.

Whoever can write to the database can put a row of one tenant into the place of another's. Nothing of it may open:
not a wrapped data key under another key, not a whole row in another container, not a container under another project.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from andromede.db import Row
from andromede.errors import Error
from andromede.objects.model import (
    Attributes,
    Conditions,
    Encryption,
    Expected,
    NewContainer,
    Receive,
    Trace,
    Versioning,
)
from tests.support.vault import Bytes, Vault

TENANTS = ("first", "second")
SMALL, LARGE = 300, 150_000
CUSTOMER = b"the same customer key everywhere".ljust(32, b".")
TRACE = Trace(None, "s3:PutObject", "req-rows")
BODY = ("blob_id", "ref", "kek", "wrapped")
KINDS = (
    ("version", (*BODY, "wide", "size", "etag", "kind", "parts"), "listed > 0"),
    ("part", (*BODY, "size", "etag"), "1 = 1"),
    ("key", ("wrapped", "parent", "tenant", "version"), "level = 'container'"),
    ("key", ("wrapped", "parent", "version"), "level = 'tenant'"),
    ("container", ("kek", "project_id", "name"), "1 = 1"),
)
"""(table, columns that are changed, which rows)."""
IDENTITY = {
    "version": ("container_id", "key", "seq"),
    "part": ("owner", "number"),
    "key": ("id",),
    "container": ("id",),
}


@dataclass(frozen=True, slots=True)
class Thing:
    """An object of a tenant and what its bytes are."""

    tenant: str
    box: str
    key: str
    data: bytes
    secret: bool = False


class Rows:
    """Two tenants with the same names and sizes; only the bytes differ."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.things: list[Thing] = []
        for tenant in TENANTS:
            self._fill(tenant)

    def _fill(self, tenant: str) -> None:
        objects = self.vault.objects
        for name, versioning in (("plain", Versioning.OFF), ("versioned", Versioning.ENABLED)):
            new = NewContainer(tenant, name, tenant, want_s3_name="no", versioning=versioning)
            objects.run(objects.create_container(new, TRACE))
            for key, size in (("small", SMALL), ("large", LARGE)):
                self._put(Thing(tenant, name, key, f"{tenant}/{name}/{key}:".encode().ljust(size, b"x")))
        self._put(Thing(tenant, "plain", "customer", f"{tenant}/customer:".encode().ljust(SMALL, b"x"), True))
        self._multipart(Thing(tenant, "plain", "parts", f"{tenant}/parts:".encode().ljust(LARGE, b"x")))

    def _put(self, thing: Thing) -> None:
        objects, box = self.vault.objects, self.vault.objects.container(thing.tenant, thing.box)
        encryption = Encryption("SSE-C", None, "A" * 24) if thing.secret else Encryption()
        want = Receive(len(thing.data), encryption=encryption, customer_key=CUSTOMER if thing.secret else None)
        stored = objects.receive(box, Bytes(thing.data), want)
        objects.run(objects.put(box, thing.key, stored, Attributes(encryption=encryption), Conditions(), TRACE))
        self.things.append(thing)

    def _multipart(self, thing: Thing) -> None:
        objects, box = self.vault.objects, self.vault.objects.container(thing.tenant, thing.box)
        upload = objects.run(objects.create_upload(box, thing.key, Attributes(), None, None, TRACE))
        stored = objects.receive(box, Bytes(thing.data), Receive(len(thing.data)))
        part = objects.run(objects.put_part(upload, 1, stored, TRACE))
        done = objects.complete_upload(upload, [(1, part.etag, None)], Conditions(), Expected(), TRACE)
        objects.run(done)
        self.things.append(thing)

    # --- damage
    @contextmanager
    def damaged(self, rng: random.Random) -> Iterator[str]:
        """One random change of the rows of one table, undone at the end; says what it did."""
        table, columns, which = rng.choice(KINDS)
        with self.vault.db.read() as tx:
            before = tx.all(f"SELECT * FROM {table}")
            names = ", ".join((*IDENTITY[table], *columns))
            rows = tx.all(f"SELECT {names} FROM {table} WHERE {which} ORDER BY 1, 2")
        what = self._change(rng, table, columns, rows)
        self._fresh()
        try:
            yield what
        finally:
            with self.vault.db.write() as tx:
                tx.run(f"DELETE FROM {table}")
                tx.many(f"INSERT INTO {table} VALUES ({', '.join('?' * len(before[0]))})", before)
            self._fresh()

    def _change(self, rng: random.Random, table: str, columns: tuple[str, ...], rows: list[Row]) -> str:
        """Give one row the values of another in some columns, or change the two rows for each other."""
        keys, (one, two) = IDENTITY[table], rng.sample(rows, 2)
        some = tuple(rng.sample(columns, rng.randint(1, len(columns))))
        chosen, swap = rng.choice([BODY if BODY[0] in columns else columns, columns, some]), rng.random() < 0.5
        if table == "container":
            chosen, swap = rng.choice([(("kek",), swap), (("project_id", "name"), True)])
        at = {name: len(keys) + number for number, name in enumerate(columns)}
        where = " AND ".join(f"{name} = ?" for name in keys)
        setting = ", ".join(f"{name} = ?" for name in chosen)
        with self.vault.db.write() as tx:
            if "name" in chosen:  # names are unique at every moment
                tx.run("UPDATE container SET name = 'between-' || id WHERE id IN (?, ?)", (one[0], two[0]))
            for target, source in ((one, two), (two, one)) if swap else ((one, two),):
                values = [source[at[name]] for name in chosen]
                tx.run(f"UPDATE {table} SET {setting} WHERE {where}", (*values, *target[: len(keys)]))
            if table == "container":
                tx.run("UPDATE container SET generation = generation + 1")
        return f"{table}: {chosen} of {two[: len(keys)]} {'changed with' if swap else 'given to'} {one[: len(keys)]}"

    def _fresh(self) -> None:
        """Forget what the program has in memory, as after a start."""
        self.vault.keys.forget()
        self.vault.objects._lookup = type(self.vault.objects._lookup)(self.vault.db)

    # --- looking
    def opened(self) -> Iterator[tuple[str, str]]:
        """(tenant, first bytes) of everything that opens for anybody."""
        objects = self.vault.objects
        for thing in self.things:
            try:
                box = objects.container(thing.tenant, thing.box)
                version = objects.head(box, thing.key)
                data = objects.read_all(version, customer_key=CUSTOMER if version.body and thing.secret else None)
            except Error:
                continue
            if data:
                yield thing.tenant, data[:60].decode("utf-8", "replace").rstrip("x")

    def written(self) -> Iterator[tuple[str, str]]:
        """(tenant, tenant of the key) of new objects that the containers still take."""
        objects = self.vault.objects
        for tenant in TENANTS:
            try:
                box = objects.container(tenant, "plain")
                stored = objects.receive(box, Bytes(b"new"), Receive(3))
            except Error:
                continue
            yield tenant, self.vault.keys.find(self.vault.db, stored.kek).tenant


def offences(rows: Rows, rng: random.Random) -> list[str]:
    """What one random change opened that is another tenant's; empty when all stayed shut."""
    with rows.damaged(rng) as what:
        found = [f"{what}: {tenant} read {text!r}" for tenant, text in rows.opened() if not text.startswith(tenant)]
        found += [f"{what}: {tenant} wrote under a key of {of}" for tenant, of in rows.written() if of != tenant]
    return found
