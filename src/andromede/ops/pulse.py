"""A source's start, stop and heartbeat in the audit trail, so that silence shows (docs/ledger.md)."""

from __future__ import annotations

import threading

from andromede.audit import Recorder
from andromede.audit.leases import recover
from andromede.db import Database, Reach
from andromede.errors import Error
from andromede.ids import Ids, request_id
from andromede.log import Log

SECONDS = 60.0


class Pulse:
    """Marks one source from `start` to `stop`, on a thread of its own. A database that is away costs
    one log line a minute, not the role."""

    def __init__(self, db: Database, recorder: Recorder, ids: Ids, log: Log) -> None:
        self._db = db
        self._recorder = recorder
        self._ids = ids
        self._log = log
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def start(self) -> None:
        """Write `source.start` and begin to beat."""
        self._mark("start")
        self._thread.start()

    def stop(self) -> None:
        """Write `source.stop`."""
        self._end.set()
        self._thread.join(5.0)
        self._mark("stop")

    def _beat(self) -> None:
        while not self._end.wait(SECONDS):
            self._mark("heartbeat")

    def _mark(self, word: str) -> None:
        try:
            with self._db.write(Reach.EVENTS) as tx:
                if word == "start":  # what the process before this one held in stock
                    recover(tx, self._recorder, self._recorder.source)
                self._recorder.mark(tx, word, request_id(self._ids))
        except (Error, OSError) as error:
            self._log.event("pulse.lost", "warning", mark=word, error=repr(error))
