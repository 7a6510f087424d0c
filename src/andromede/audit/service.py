"""Numbering and writing of audit events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from andromede.audit import store
from andromede.audit.event import Draft, event_bytes
from andromede.clock import Clock
from andromede.db import Database, Tx
from andromede.ids import Ids, RandomIds
from andromede.ledger.receipt import SALT_SIZE
from andromede.ledger.tree import EMPTY_ROOT

INSTALLATION = ""
"""The tenant of events that concern no tenant: they form the log of the installation itself."""
_ADOPTED = 1000


@dataclass(frozen=True, slots=True)
class Position:
    """An event's place in the log of its tenant. Its text is the value of the `Andromede-Ledger` header."""

    tenant: str
    origin: str
    index: int

    def __str__(self) -> str:
        return f"{self.origin} {self.index}"


class Recorder:
    """Writes the events of one process, its *source*: `seq` is contiguous within it. A source's name
    is stable over restarts (`objects-0`, `api-0`), so that silence and gaps show."""

    def __init__(self, source: str, clock: Clock, ids: Ids | None = None) -> None:
        self.source = source
        self._clock = clock
        self._ids: Ids = ids or RandomIds()

    def record(self, tx: Tx, drafts: Sequence[Draft]) -> list[Position]:
        """Write the events in the transaction of their effect; the place of each in its tenant's log, which
        holds if the transaction does. Cheaper in one call per transaction than one by one."""
        if not drafts:
            return []
        first = tx.take("audit", len(drafts))
        seq = tx.take("audit/" + self.source, len(drafts))
        now = self._clock.now_us()
        positions = allocate(tx, [draft.tenant for draft in drafts], self._ids)
        salts = self._ids.secret(SALT_SIZE * len(drafts))
        rows = []
        for n, (draft, position) in enumerate(zip(drafts, positions, strict=True)):
            body = event_bytes(draft, self.source, seq + n, now)
            salt = salts[SALT_SIZE * n : SALT_SIZE * (n + 1)]
            rows.append((first + n, draft.tenant, self.source, seq + n, now, body, position.index, salt))
        store.insert(tx, rows)
        return positions

    def mark(self, tx: Tx, word: str, request_id: str) -> None:
        """`source.start`, `source.stop` or `source.heartbeat`: makes silence visible."""
        self.record(
            tx,
            [
                Draft(
                    INSTALLATION,
                    f"source:{self.source}",
                    f"source.{word}",
                    self.source,
                    request_id,
                    purpose="OPERATOR_SYSTEM",
                )
            ],
        )


def allocate(tx: Tx, tenants: Sequence[str], ids: Ids) -> list[Position]:
    """The next place in each tenant's log, in order; a tenant's own places are contiguous."""
    following = {tenant: _reserve(tx, tenant, count, ids) for tenant, count in Counter(tenants).items()}
    positions = []
    for tenant in tenants:
        origin, index = following[tenant]
        positions.append(Position(tenant, origin, index))
        following[tenant] = origin, index + 1
    return positions


def _reserve(tx: Tx, tenant: str, count: int, ids: Ids) -> tuple[str, int]:
    """(origin, first place of `count`) in a tenant's log, which is begun when it does not exist."""
    row = store.allocate(tx, tenant, count)
    if row is None:
        _begin(tx, tenant, ids)
        row = store.allocate(tx, tenant, count)
        assert row is not None
    return str(row[0]), int(row[1]) - count


def _begin(tx: Tx, tenant: str, ids: Ids) -> None:
    """Begin a log. Origins are `<installation>/i/<16 hex>` and `<installation>/t/<16 hex>`, random: they tell
    nothing about the tenant (SOVEREIGNTY.md C1)."""
    first = store.origin(tx, INSTALLATION)
    if first is None:
        first = f"andromede-{ids.secret(6).hex()}/i/{ids.secret(8).hex()}"
        store.add_log(tx, INSTALLATION, first, EMPTY_ROOT)
    if tenant != INSTALLATION:
        installation = first.partition("/")[0]
        store.add_log(tx, tenant, f"{installation}/t/{ids.secret(8).hex()}", EMPTY_ROOT)


def adopt(db: Database, ids: Ids) -> int:
    """Enter events that were written before there were logs; how many. Repeatable, a bounded number at a time."""
    count = 0
    while True:
        with db.write() as tx:
            rows = store.without_position(tx, _ADOPTED)
            positions = allocate(tx, [str(row[1]) for row in rows], ids)
            store.place(
                tx, [(at.index, ids.secret(SALT_SIZE), row[0]) for at, row in zip(positions, rows, strict=True)]
            )
        count += len(rows)
        if len(rows) < _ADOPTED:
            return count
