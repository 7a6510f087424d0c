"""Places for the events of reads, held in stock so that a read need not wait for a commit to know its own.

A process leases a block of places of a tenant's log in a transaction that runs anyway; a read takes the next
place at once, and its event is written there by the next flush. The log cannot grow past a place without an
event, so no place stays empty for long: blocks are as large as the demand of the last moment, nothing is held
for tenants at rest, and what is not used within a second is filled by `ledger.pad` events. After a crash the
source itself fills its places when it starts again, or the worker does when the source stays silent.

Invariants: a place belongs to one lease, is given to one read, and gets one event. A lease's row exists until
all its places have events; a source whose row is gone has lost the rest, and takes new places instead.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from andromede.audit import lease_store
from andromede.audit.event import Draft
from andromede.audit.service import Recorder
from andromede.clock import US, Clock
from andromede.db import Database, Row, Tx

HORIZON, WINDOW, IDLE, AGE = 0.5, 0.2, 0.3, 1.0
"""Seconds: how far ahead a stock reaches; over which time demand is counted; after which rest, and at which age
of a lease, its unused places are filled."""
LEAST, MOST, TENANTS = 4, 4000, 1024
"""Places in stock, at least and at most, and tenants that one process counts the demand of."""
FULL = 0.8
"""The part of the wanted stock below which it is filled up: a flush comes every fifth of a second at the latest, and
until the one after the next there must be places."""
_EAGER = 4
PAD = "ledger.pad"
"""The action of an event that fills a place which no request used."""
SILENT_SECONDS = 120


@dataclass(slots=True, eq=False)
class Lease:
    """Places [first, stop) of one log; those from `next` on are not given yet, `open` have no event yet."""

    tenant: str
    origin: str
    first: int
    stop: int
    since: float
    next: int
    open: int


class Held:
    """One place of a lease, given to a read. Its text is the value of the header."""

    __slots__ = ("index", "lease")

    def __init__(self, lease: Lease, index: int) -> None:
        self.lease = lease
        self.index = index

    def __str__(self) -> str:
        return f"{self.lease.origin} {self.index}"


class _Stock:
    """What one tenant's reads may take, and how many there were."""

    __slots__ = ("active", "asked", "leases", "looked", "mark", "missed", "rate", "seen", "since")

    def __init__(self) -> None:
        self.leases: deque[Lease] = deque()
        self.asked = self.looked = self.mark = self.missed = self.seen = 0
        self.rate = 0.0
        self.since: float | None = None
        self.active = 0.0

    def left(self) -> int:
        return sum(lease.stop - lease.next for lease in self.leases)

    def look(self, now: float) -> None:
        """Bring the estimate of the demand up to date."""
        if self.asked != self.looked:
            self.looked, self.active = self.asked, now
        span = WINDOW if self.since is None else now - self.since
        if span >= WINDOW or self.missed >= _EAGER:
            self.seen = self.asked - self.mark
            self.rate = self.seen / max(span, WINDOW / 2)
            self.mark, self.since, self.missed = self.asked, now, 0

    def wish(self) -> int:
        """How many places more; never many more than there were reads lately, so that padding stays in proportion."""
        want = min(MOST, int(self.rate * HORIZON), 3 * self.seen)
        left = self.left()
        return want - left if want >= LEAST and left < want * FULL else 0


@dataclass(slots=True)
class Turn:
    """What one flush does about leases. `pads`: (lease, first, stop) of places to fill; `wishes`: new leases by
    tenant; `made` and `written` are what its transaction did, and count once that is durable. `doubtful`: the one
    before failed, and may have been durable all the same."""

    now: float
    pads: list[tuple[Lease, int, int]] = field(default_factory=list)
    wishes: dict[str, int] = field(default_factory=dict)
    made: list[Lease] = field(default_factory=list)
    written: Counter[Lease] = field(default_factory=Counter)
    lost: list[Lease] = field(default_factory=list)
    doubtful: bool = False


Read = tuple[Draft, Held | None]


class Leases:
    """The stock of one process. `take` is called by any thread, the rest by the thread that flushes."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._lock = threading.Lock()
        self._stocks: dict[str, _Stock] = {}
        self._live: dict[tuple[str, int], Lease] = {}
        self._undone: list[tuple[Lease, int, int]] = []
        self._doubtful = False
        self._recovered = False
        self._closed = False

    def take(self, tenant: str) -> Held | None:
        """The next place for a read of the tenant's, or None: there is no stock."""
        with self._lock:
            stock = self._stocks.get(tenant)
            if stock is None:
                if len(self._stocks) >= TENANTS:
                    return None
                stock = self._stocks[tenant] = _Stock()
            stock.asked += 1
            if not stock.leases:
                stock.missed += 1
                return None
            lease = stock.leases[0]
            index = lease.next
            lease.next = index + 1
            if lease.next == lease.stop:
                stock.leases.popleft()
            return Held(lease, index)

    @property
    def holding(self) -> bool:
        """Whether anything must be looked after soon."""
        return bool(self._stocks or self._undone or self._doubtful)

    def close(self) -> None:
        """Give nothing any more; the next turn fills what is left."""
        with self._lock:
            self._closed = True

    def begin(self, now: float) -> Turn:
        """Withdraw from the stock what must be filled, and see what demand there is."""
        turn = Turn(now)
        with self._lock:
            turn.pads, self._undone = self._undone, []
            turn.doubtful = self._doubtful
            for tenant, stock in list(self._stocks.items()):
                stock.look(now)
                idle = self._closed or now - stock.active >= IDLE
                while stock.leases and (idle or now - stock.leases[0].since >= AGE):
                    lease = stock.leases.popleft()
                    turn.pads.append((lease, lease.next, lease.stop))
                    lease.next = lease.stop
                if idle:
                    del self._stocks[tenant]
                elif count := stock.wish():
                    turn.wishes[tenant] = count
        return turn

    def write(self, tx: Tx, turn: Turn, reads: Sequence[Read]) -> tuple[list[tuple[Draft, int]], list[Draft]]:
        """In the transaction of the flush: (events with their places, events without), to be recorded before
        `lease` is called. Both may be repeated for the same turn after the transaction was undone."""
        turn.made, turn.lost, turn.written = [], [], Counter()
        if turn.wishes and not self._recovered:
            recover(tx, self._recorder, self._recorder.source)
        placed: list[tuple[Draft, int]] = []
        fresh: list[Draft] = []
        rows = (
            lease_store.held(tx, self._recorder.source)
            if turn.doubtful or turn.pads or any(r[1] for r in reads)
            else []
        )
        mine = {(str(row[0]), int(row[1])) for row in rows}
        there = self._there(tx, rows, placed) if turn.doubtful else set()
        for draft, held in reads:
            if held is not None and (held.lease.tenant, held.lease.first) in mine:
                turn.written[held.lease] += 1
                if (held.lease.tenant, held.index) not in there:
                    placed.append((draft, held.index))
            elif held is None or not (turn.doubtful and _written(tx, draft, held)):
                fresh.append(draft)
                if held is not None and held.lease not in turn.lost:
                    turn.lost.append(held.lease)
        for lease, first, stop in turn.pads:
            if (lease.tenant, lease.first) in mine:
                empty = [index for index in range(first, stop) if (lease.tenant, index) not in there]
                placed += pads(self._recorder.source, lease.tenant, empty)
                turn.written[lease] += stop - first
        lease_store.end(tx, [(lease.tenant, lease.first) for lease, n in turn.written.items() if n == lease.open])
        return placed, fresh

    def lease(self, tx: Tx, turn: Turn) -> None:
        """Take new places: behind those of the events that this transaction wrote, whose receipts wait for nothing."""
        for tenant, count in turn.wishes.items():
            at = self._recorder.allocate(tx, tenant, count)
            turn.made.append(Lease(tenant, at.origin, at.index, at.index + count, turn.now, at.index, count))
        lease_store.add(tx, [(lease.tenant, lease.first, lease.open, self._recorder.source) for lease in turn.made])

    def _there(self, tx: Tx, rows: Sequence[Row], placed: list[tuple[Draft, int]]) -> set[tuple[str, int]]:
        """After a transaction of which it is not known whether it was durable: the places of ours that have their
        event. Leases that it granted without our knowing are filled and ended."""
        found: set[tuple[str, int]] = set()
        for tenant, first, count in rows:
            filled = lease_store.filled(tx, tenant, first, first + count)
            found |= {(tenant, index) for index in filled}
            if (tenant, first) not in self._live:
                empty = [index for index in range(first, first + count) if index not in filled]
                placed += pads(self._recorder.source, tenant, empty)
                lease_store.end(tx, [(tenant, first)])
        return found

    def done(self, turn: Turn) -> None:
        """The turn's transaction is durable: its leases may be used."""
        for lease, count in turn.written.items():
            lease.open -= count
        with self._lock:
            self._recovered = self._recovered or bool(turn.made)
            self._doubtful = False
            for ended in [*turn.lost, *(lease for lease in turn.written if not lease.open)]:
                self._live.pop((ended.tenant, ended.first), None)
            self._live |= {(lease.tenant, lease.first): lease for lease in turn.made}
            for lost in turn.lost:
                stock = self._stocks.get(lost.tenant)
                if stock is not None and lost in stock.leases:
                    stock.leases.remove(lost)
            for lease in turn.made:
                self._stocks.setdefault(lease.tenant, _Stock()).leases.append(lease)

    def undone(self, turn: Turn) -> None:
        """The turn's transaction failed: what it would have filled is filled by the next one, unless it is there: a
        database that dies with the commit may have kept it."""
        with self._lock:
            self._undone += turn.pads
            self._doubtful = True


def _written(tx: Tx, draft: Draft, held: Held) -> bool:
    """Whether the place of a read has the read's own event."""
    body = lease_store.body(tx, held.lease.tenant, held.index)
    return body is not None and draft.request_id.encode() in body


def pads(source: str, tenant: str, places: Sequence[int]) -> list[tuple[Draft, int]]:
    """Events that say nothing but that a place was not needed."""
    pad = Draft(tenant, f"source:{source}", PAD, "", "", purpose="OPERATOR_SYSTEM")
    return [(pad, index) for index in places]


def recover(tx: Tx, recorder: Recorder, source: str) -> int:
    """Fill what a source holds and no process of it uses any more; how many places. For the start of the source
    itself, and for the worker when the source is silent."""
    rows = lease_store.held(tx, source)
    placed: list[tuple[Draft, int]] = []
    for tenant, first, count in rows:
        filled = lease_store.filled(tx, tenant, first, first + count)
        empty = [index for index in range(first, first + count) if index not in filled]
        placed += pads(recorder.source, tenant, empty)
    recorder.record(tx, (), placed)
    lease_store.end(tx, [(tenant, first) for tenant, first, _ in rows])
    return len(placed)


def recover_silent(db: Database, recorder: Recorder, clock: Clock) -> int:
    """Fill what sources hold that have been silent for two heartbeats; how many places."""
    before = clock.now_us() - SILENT_SECONDS * US
    with db.read() as tx:
        silent = lease_store.silent(tx, before)
    count = 0
    for source in silent:
        with db.write() as tx:
            if source in lease_store.silent(tx, before):  # it may have come back meanwhile
                count += recover(tx, recorder, source)
    return count
