"""The reconcile loop: each reconciler takes no arguments, compares intended with actual, and does not
retry inside; the next turn is the retry, with back-off and jitter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from andromede.clock import Clock
from andromede.errors import Error
from andromede.ids import Ids
from andromede.log import Log
from andromede.work.leases import Leases

MOST_BACK_OFF = 64


@dataclass(frozen=True, slots=True)
class Reconciler:
    """`run` does a bounded amount of work and says whether more is waiting. `every`: seconds between
    turns at rest. A turn that takes longer than `lease_seconds` may run twice, which does no harm."""

    name: str
    every: float
    run: Callable[[], bool]
    lease_seconds: int = 300


@dataclass(slots=True)
class _Turn:
    reconciler: Reconciler
    due: float
    failures: int = 0


class Loop:
    """Runs reconcilers one after another on the calling thread until told to stop."""

    def __init__(self, reconcilers: Sequence[Reconciler], leases: Leases, clock: Clock, ids: Ids, log: Log) -> None:
        self._turns = [_Turn(reconciler, 0.0) for reconciler in reconcilers]
        self._leases = leases
        self._clock = clock
        self._ids = ids
        self._log = log
        self._wake = threading.Event()

    def wake(self) -> None:
        """Run every reconciler soon."""
        for turn in self._turns:
            turn.due = 0.0
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set (noticed within a second)."""
        while not stop.is_set():
            self.turn()
            left = min((turn.due for turn in self._turns), default=1.0) - self._clock.monotonic()
            self._wake.wait(min(max(left, 0.0), 1.0))
            self._wake.clear()
        for turn in self._turns:  # the next process need not wait for them to run out
            self._leases.release(turn.reconciler.name)

    def turn(self) -> None:
        """Run what is due, once each."""
        for turn in self._turns:
            if turn.due <= self._clock.monotonic():
                self._one(turn)

    def _one(self, turn: _Turn) -> None:
        reconciler = turn.reconciler
        try:
            more = self._leases.claim(reconciler.name, reconciler.lease_seconds) and reconciler.run()
            turn.failures = 0
        except Exception as error:
            more = False
            turn.failures += 1
            text = error.public if isinstance(error, Error) else repr(error)
            self._log.alert("work.failed", reconciler=reconciler.name, failures=turn.failures, cause=text)
        rest = 0.0 if more else reconciler.every * min(2**turn.failures, MOST_BACK_OFF)
        turn.due = self._clock.monotonic() + rest * (0.75 + self._ids.uniform() / 2)
