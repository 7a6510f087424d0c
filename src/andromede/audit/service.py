"""Numbering and writing of audit events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from andromede.audit import store
from andromede.audit.event import Draft, event_bytes
from andromede.audit.places import Places, Position
from andromede.clock import Clock
from andromede.db import Database, Tx
from andromede.ids import Ids, RandomIds
from andromede.ledger.receipt import SALT_SIZE
from andromede.ledger.tree import EMPTY_ROOT

INSTALLATION = ""
"""The tenant of events that concern no tenant: they form the log of the installation itself."""
_ADOPTED = 1000


class Recorder:
    """Writes the events of one process, its *source*: `seq` is contiguous within it. A source's name
    is stable over restarts (`objects-0`, `api-0`), so that silence and gaps show."""

    def __init__(self, source: str, clock: Clock, ids: Ids | None = None) -> None:
        self.source = source
        self._clock = clock
        self._ids: Ids = ids or RandomIds()
        self.places: Places | None = None

    def record(self, tx: Tx, drafts: Sequence[Draft], placed: Sequence[tuple[Draft, int]] = ()) -> list[Position]:
        """Write the events in the transaction of their effect; the place of each draft in its tenant's log, which
        holds if the transaction does. `placed` are events whose places were leased before (`audit.leases`).
        Cheaper in one call per transaction than one by one."""
        count = len(drafts) + len(placed)
        if not count:
            return []
        positions = allocate(tx, [draft.tenant for draft in drafts], self._ids)
        first = tx.take("audit", count)
        seq = tx.take("audit/" + self.source, count)
        now = self._clock.now_us()
        salts = self._ids.secret(SALT_SIZE * count)
        every = [*placed, *((draft, at.index) for draft, at in zip(drafts, positions, strict=True))]
        rows = []
        for n, (draft, index) in enumerate(every):
            body = event_bytes(draft, self.source, seq + n, now)
            salt = salts[SALT_SIZE * n : SALT_SIZE * (n + 1)]
            rows.append((first + n, draft.tenant, self.source, seq + n, now, body, index, salt))
        store.insert(tx, rows)
        if self.places is not None:
            self.places.expect(tx, drafts, positions)
        return positions

    def allocate(self, tx: Tx, tenant: str, count: int) -> Position:
        """Reserve `count` places of a tenant's log without their events; the first. Whoever does this must
        see to it that every one of them gets an event soon (`audit.leases`)."""
        origin, first = _reserve(tx, tenant, count, self._ids)
        return Position(tenant, origin, first)

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
    if len(following) == 1:
        ((tenant, (origin, first)),) = following.items()
        return [Position(tenant, origin, first + n) for n in range(len(tenants))]
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
    nothing about the tenant (docs/ledger.md)."""
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
