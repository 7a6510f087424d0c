"""Leases: who does a piece of work. Losing one changes nothing, because every step is repeatable."""

from __future__ import annotations

from collections.abc import Callable

from andromede.clock import US, Clock
from andromede.db import Database
from andromede.work import lease_store
from andromede.work.lease_store import MIGRATIONS

__all__ = ["MIGRATIONS", "Leases"]

SKEW_SECONDS = 120
"""By how much the clocks of two hosts may differ. A lease that ends later than any holder could have wished was taken
before the clock was set back: nobody keeps it for a year."""


class Leases:
    """The leases of one process, known by its `holder` name."""

    def __init__(self, db: Database, holder: str, clock: Clock) -> None:
        self._db = db
        self._holder = holder
        self._clock = clock

    def claim(self, name: str, seconds: int) -> bool:
        """Take or prolong a lease. Costs no write while somebody else holds it."""
        now = self._clock.now_us()
        until = now + seconds * US
        believed = until + SKEW_SECONDS * US
        row = lease_store.held(self._db, name)
        if row is not None and row[0] != self._holder and now < row[1] <= believed:
            return False
        with self._db.write() as tx:
            return lease_store.claim(tx, name, self._holder, now, until, believed)

    def release(self, name: str) -> None:
        """Let others have it at once."""
        with self._db.write() as tx:
            lease_store.release(tx, name, self._holder)

    def free(self, ended: Callable[[str], bool]) -> int:
        """Release what holders left behind that have ended: the work of a killed process need not wait until its
        leases run out. How many there were."""
        rows = [row for row in lease_store.holders(self._db, self._clock.now_us()) if ended(row[1])]
        if rows:
            with self._db.write() as tx:
                for name, holder in rows:
                    lease_store.release(tx, name, holder)
        return len(rows)
