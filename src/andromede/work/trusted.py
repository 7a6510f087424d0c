"""The trusted time of an installation: kept across runs, and said aloud when the machine's clock jumps."""

from __future__ import annotations

from andromede.clock import US, Clock, TrustedTime
from andromede.db import Database
from andromede.log import Log
from andromede.work import trusted_store
from andromede.work.loop import Reconciler

SECONDS = 30.0


def open_trusted(db: Database, clock: Clock) -> TrustedTime:
    """The trusted time of one process, continuing from what the last run knew."""
    return TrustedTime(clock, trusted_store.last(db))


class Watch:
    """Keeps the trusted time in the database, and alerts when the clock is ahead of it or was set back."""

    def __init__(self, db: Database, clock: Clock, trusted: TrustedTime, log: Log) -> None:
        self._db = db
        self._clock = clock
        self._trusted = trusted
        self._log = log
        self._before = (clock.monotonic(), clock.now_us())
        self._ahead = False

    def reconciler(self) -> Reconciler:
        """The watch as a task of the work role."""
        return Reconciler("clock.trusted", SECONDS, self._turn)

    def _turn(self) -> bool:
        now, wall = self._clock.monotonic(), self._clock.now_us()
        slipped = wall - self._before[1] - int((now - self._before[0]) * US)
        self._before = (now, wall)
        ahead = self._trusted.ahead_us()
        if ahead and not self._ahead:
            self._log.alert(
                "clock.ahead", seconds=ahead // US,
                text="nothing expires and no lock ends by the new time before the clock has gone steadily for an hour",
            )  # fmt: skip
        elif slipped < -TrustedTime.SLACK_US:
            self._log.alert("clock.back", seconds=-slipped // US, text="what was to end by the former time ends later")
        elif self._ahead and not ahead:
            self._log.event("clock.trusted", "warning", text="the clock has gone steadily and is believed again")
        self._ahead = bool(ahead)
        with self._db.write() as tx:
            trusted_store.put(tx, self._trusted.now_us())
        return False
