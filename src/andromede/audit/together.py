"""Events that threads wait for, written in common: what arrives during a commit shares the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable

from andromede.audit.event import Draft
from andromede.audit.service import Recorder
from andromede.db import Database, Reach, Tx

Make = Callable[[Tx], Draft]


class _Event:
    __slots__ = ("done", "failed", "make")

    def __init__(self, make: Make) -> None:
        self.make = make
        self.done = False
        self.failed: BaseException | None = None


class Together:
    """Shared by all threads of a process; its callers are the bound on how much waits."""

    def __init__(self, db: Database, recorder: Recorder) -> None:
        self._db = db
        self._recorder = recorder
        self._turn = threading.Lock()
        self._waiting: list[_Event] = []

    def leave(self, make: Make) -> None:
        """Write the event that `make` tells within the transaction; it is durable on return. Raises what the
        transaction raised, then nothing was written. `make` may be asked twice."""
        event = _Event(make)
        self._waiting.append(event)
        with self._turn:  # whoever gets here writes for all who wait
            if not event.done:
                taken, self._waiting = self._waiting, []
                self._write(taken)
        if event.failed is not None:
            raise event.failed

    def _write(self, events: list[_Event]) -> None:
        try:
            with self._db.write(Reach.EVENTS) as tx:
                self._recorder.record(tx, [event.make(tx) for event in events])
        except BaseException as error:
            if len(events) == 1 or not isinstance(error, Exception):
                for event in events:
                    event.failed = error
            else:  # the trouble of one is not the others': each by itself
                for event in events:
                    self._write([event])
        for event in events:
            event.done = True
