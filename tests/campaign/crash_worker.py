"""A load worker: keys of its own, one request at a time, and what each key may hold after answers that were lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.campaign.crash_doors import Answer, Doors, Lost, text_of
from tests.campaign.crash_model import ABSENT, Change, Journal, Version, Violations, fits, shown
from tests.support.installation import Installation
from tests.support.keystone import Keystone

SILENCE_SECONDS = 90.0
"""How long the program may answer nothing after a kill."""
REFUSED = (404, 409, 412)


@dataclass(slots=True)
class Fleet:
    """What all workers share. `epoch` counts kills; `pausing` asks everybody to settle and wait."""

    installation: Installation
    journal: Journal
    violations: Violations
    user: Keystone
    seed: int
    epoch: int = 0
    pace: float = 0.0
    pausing: threading.Event = field(default_factory=threading.Event)
    going: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    workers: list[Worker] = field(default_factory=list)
    checks: int = 0

    def pause(self, seconds: float = SILENCE_SECONDS + 30) -> bool:
        """Wait until every worker has settled and rests; False when one does not come to rest."""
        self.going.clear()
        self.pausing.set()
        end = time.monotonic() + seconds
        return all(worker.parked.wait(max(0.0, end - time.monotonic())) for worker in self.workers)

    def resume(self) -> None:
        self.pausing.clear()
        self.going.set()

    def settled(self) -> bool:
        """Whether every worker has checked what it had touched when the last kill came."""
        return all(worker.settled >= self.epoch or worker.parked.is_set() for worker in self.workers)

    def stop(self) -> None:
        self.stopping.set()
        self.resume()
        for worker in self.workers:
            worker.thread.join()


class Worker:
    """Subclasses say what they do (`step`), and how the state of a key is seen from outside (`observe`)."""

    kind = "worker"

    def __init__(self, fleet: Fleet, number: int) -> None:
        self.fleet = fleet
        self.name = f"{self.kind}{number}"
        self.chance = random.Random(f"{fleet.seed} {self.name}")
        self.doors = Doors(fleet.installation, fleet.user, fleet.violations)
        self.states: dict[str, Any] = {}
        self.open: dict[str, list[Any]] = {}  # after a lost answer: every state that the key may have
        self.late: dict[str, list[Any]] = {}  # the requests of these keys may still be at work: never used again
        self.shadow: dict[str, list[Any]] = {}  # what a lost request may still bring until the next write is there
        self.touched: set[str] = set()
        self.settled = 0
        self.parked = threading.Event()
        self.thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        fleet.workers.append(self)

    # --- for subclasses

    def step(self) -> None:
        """One operation. `Lost` may leave it anywhere."""
        raise NotImplementedError

    def observe(self, key: str) -> Any:
        """The state of a key as a client sees it."""
        raise NotImplementedError

    def prepare(self) -> None:
        """What must be there before the load begins."""

    def close(self) -> None:
        self.doors.close()

    def extra_checks(self) -> None:
        """More than keys, during a whole check."""

    def same(self, expected: Any, seen: Any) -> bool:
        """Whether what was seen is what was expected."""
        if isinstance(expected, tuple) and isinstance(seen, tuple):
            versions = all(isinstance(one, Version) for one in (*expected, *seen))
            return fits(expected, seen) if versions else expected == seen
        return bool(expected == seen)

    def state(self, key: str) -> Any:
        return self.states.get(key, ABSENT)

    def candidates(self, key: str) -> list[Any]:
        """Every state that a reader may see now."""
        return [*self.open.get(key, [self.state(key)]), *self.late.get(key, []), *self.shadow.get(key, [])]

    # --- changing

    def change(
        self,
        key: str,
        operation: str,
        after: Any,
        call: Callable[[], Answer],
        finish: Callable[[Answer], Any] | None = None,
        refusals: Sequence[int] = (),
    ) -> Answer | None:
        """Send a request that changes one key. None when its answer was lost.

        `after` is its state if it is done, `finish` makes it from the answer; `refusals` are statuses that leave
        all as it was."""
        change = self.fleet.journal.intend(key, operation, [after])
        self.touched.add(key)
        try:
            answer = call()
        except Lost as failure:
            self.lose([change], failure)
            return None
        if answer.done:
            self.settle_change(change, finish(answer) if finish is not None else after, answer)
        else:
            self.fleet.journal.outcome(change, "refused", status=answer.status)
            if answer.status not in refusals:
                self.fleet.violations.add("refusal", key, f"{operation} was refused: {text_of(answer)}")
        return answer

    def settle_change(self, change: Change, state: Any, answer: Answer) -> None:
        """An acknowledged change."""
        change.after = [state]
        self.states[change.key] = state
        self.open.pop(change.key, None)
        self.shadow.clear()
        about = {"ledger": answer.headers.get("andromede-ledger"), "status": answer.status}
        self.fleet.journal.outcome(change, "acked", state=shown(state), **about)

    def lose(self, changes: Iterable[Change], failure: Lost) -> None:
        """Answers that were lost: from now on the keys may have their old states or any of the intended ones."""
        for change in changes:
            before = self.open.get(change.key, [self.state(change.key)])
            self.open[change.key] = [*before, *change.after]
            if failure.late:
                self.late[change.key] = [*before, *change.after]
            self.fleet.journal.outcome(change, "lost", why=str(failure)[:200])

    def usable(self, key: str) -> bool:
        return key not in self.late

    # --- checking

    def verify(self, key: str) -> bool:
        """Compare one key with what was promised; what is seen is its state from then on."""
        seen = self.observe(key)
        self.fleet.checks += 1
        expected = self.candidates(key)
        found = next((state for state in expected if self.same(state, seen)), None)
        if found is None:
            self.fleet.violations.add(
                "state", key, "what is there is nothing that was promised", seen=shown(seen),
                expected=[shown(state) for state in expected],
            )  # fmt: skip
            found = seen
        elif key in self.open:
            self.shadow[key] = [state for state in self.open[key] if state is not found]
        if isinstance(found, tuple) and found and isinstance(found[0], Version) and len(found) == len(seen):
            found = tuple(mine.with_seen(other) for mine, other in zip(found, seen, strict=True))
        self.states[key] = found
        self.open.pop(key, None)
        return True

    def settle(self) -> None:
        """Verify every key that was touched since the last time, for as long as it takes the program to answer."""
        keys = sorted(self.touched | self.open.keys())
        end = time.monotonic() + SILENCE_SECONDS
        while keys:
            try:
                self.verify(keys[-1])
                keys.pop()
            except Lost as failure:
                if time.monotonic() > end:
                    self.fleet.violations.add("silence", keys[-1], f"no answer for {SILENCE_SECONDS} s: {failure}")
                    return
                time.sleep(0.03)
        self.touched.clear()

    def verify_all(self) -> None:
        """Every key that this worker ever touched and still knows."""
        self.touched |= self.states.keys()
        self.settle()

    # --- the thread

    def _run(self) -> None:
        try:
            while not self.fleet.stopping.is_set():
                self._turn()
        except BaseException as error:
            self.fleet.violations.add("driver", self.name, f"the worker ended with {error!r}")
            raise
        finally:
            self.close()
            self.settled = 1 << 60
            self.parked.set()

    def _turn(self) -> None:
        epoch = self.fleet.epoch
        if self.fleet.pausing.is_set():
            self.settle()
            self.settled = epoch
            self.parked.set()
            self.fleet.going.wait()
            self.parked.clear()
            return
        if epoch != self.settled or self.open:
            self.settle()
            self.settled = epoch
        try:
            self.step()
        except Lost:
            time.sleep(0.02)
        if self.fleet.pace:
            self.fleet.stopping.wait(self.chance.random() * 2 * self.fleet.pace)
