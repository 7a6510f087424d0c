"""A ledger on the database under test: events with positions, a sequencer, and what a verifier knows of it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from andromede import audit, work
from andromede.clock import Clock
from andromede.db import Database, Tx, migrate
from andromede.ids import Ids
from andromede.ledger.note import checkpoint_fields, open_note
from andromede.ledger.tree import EMPTY_ROOT
from andromede.log import Log
from andromede.sovereignty import schema
from andromede.sovereignty.log import Logs
from andromede.sovereignty.logkeys import LogKeys
from andromede.sovereignty.sequencer import MaySign, Parts, Sequencer
from andromede.work import Leases
from tests.support.clock import FakeIds

INSTALL = "andromede-0123456789ab"
MIGRATIONS = [*audit.MIGRATIONS, *work.MIGRATIONS, *schema.MIGRATIONS]


def tables(db: Database) -> None:
    """The schema of the ledger and of what it stands on."""
    migrate(db, MIGRATIONS)


def salt_of(tenant: str, position: int) -> bytes:
    return hashlib.sha256(f"salt {tenant} {position}".encode()).digest()


def body_of(tenant: str, position: int) -> bytes:
    return f'{{"action":"s3:PutObject","object":"box/{position}","tenant":"{tenant}"}}'.encode()


def origin_of(tenant: str) -> str:
    kind = "t" if tenant else "i"
    return f"{INSTALL}/{kind}/{hashlib.sha256(tenant.encode()).hexdigest()[:16]}"


def write_events(db: Database, tenant: str, count: int, skip: int = 0) -> int:
    """Allocate `skip + count` positions and write the events of the last `count`; the first position written."""
    with db.write() as tx:
        tx.run(
            "INSERT INTO ledger_log (tenant, origin, allocated, size, root) VALUES (?, ?, 0, 0, ?) "
            "ON CONFLICT (tenant) DO NOTHING",
            (tenant, origin_of(tenant), EMPTY_ROOT),
        )
        sql = "UPDATE ledger_log SET allocated = allocated + ? WHERE tenant = ? RETURNING allocated"
        row = tx.one(sql, (skip + count, tenant))
        assert row is not None
        fill(tx, tenant, int(row[0]) - count, int(row[0]))
    return int(row[0]) - count


def fill(tx: Tx, tenant: str, first: int, to: int) -> None:
    """Write the events of positions first <= position < to."""
    number = tx.take("audit", to - first)
    rows = [
        (
            number + at,
            tenant,
            "test",
            number + at,
            at,
            body_of(tenant, first + at),
            first + at,
            salt_of(tenant, first + at),
        )
        for at in range(to - first)
    ]
    tx.many(
        "INSERT INTO audit_event (id, tenant, source, seq, ts, body, position, salt) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


@dataclass
class Bench:
    """One installation's ledger and its sequencer."""

    db: Database
    clock: Clock
    keys: LogKeys
    alerts: io.StringIO = field(default_factory=io.StringIO)
    holder: str = "host:1"

    @classmethod
    def open(cls, db: Database, clock: Clock, folder: Path, ids: Ids | None = None) -> Bench:
        path = folder / "ledger.json"
        tables(db)
        return cls(db, clock, LogKeys.open(path) if path.exists() else LogKeys.create(path, ids or FakeIds()))

    @property
    def logs(self) -> Logs:
        return Logs(self.db, self.keys)

    def sequencer(
        self,
        may_sign: MaySign = lambda origin, size, root: None,
        reached: Callable[[str], None] = lambda step: None,
        **more: object,
    ) -> Sequencer:
        leases = Leases(self.db, self.holder, self.clock)
        log = Log(self.alerts, clock=self.clock)
        return Sequencer(Parts(self.db, self.keys, leases, self.clock, log, may_sign, reached=reached, **more))  # type: ignore[arg-type]

    def signed(self, tenant: str) -> tuple[int, bytes]:
        """(size, root) of the newest checkpoint, whose signatures verify."""
        note = self.logs.checkpoint(origin_of(tenant))
        assert note is not None
        text, signatures = open_note(note, self.logs.verifiers(origin_of(tenant)))
        assert len(signatures) == 2
        origin, size, root = checkpoint_fields(text)
        assert origin == origin_of(tenant)
        return size, root
