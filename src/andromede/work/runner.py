"""The step runner: claims rows that are due, runs their steps on a few threads, commits each step's answer."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from andromede.audit.changes import SYSTEM
from andromede.audit.event import Draft
from andromede.audit.service import Recorder
from andromede.clock import US, Clock
from andromede.db import Database, Reach, Tx
from andromede.errors import Error, Unavailable
from andromede.ids import Ids
from andromede.log import Log
from andromede.work import lifecycle_store
from andromede.work.lifecycle import Lifecycle, Next, public

LEASE_SECONDS = 60
IDLE_SECONDS = 1.0
"""How late a row is seen at most that nobody woke the runner for."""
BATCH = 100
MOST_BACK_OFF = 30.0
TURNS = 1000
"""Steps that a row may take one after another before others have their turn."""


@dataclasses.dataclass(frozen=True, slots=True)
class Tools:
    """What a runner stands on. `holder` is the name of this process, which ends with it."""

    db: Database
    clock: Clock
    ids: Ids
    log: Log
    recorder: Recorder
    holder: str


class Runner:
    """Runs lifecycles until told to stop. Several may run on several hosts: a row belongs to who holds its lease."""

    def __init__(self, tools: Tools, lifecycles: Sequence[Lifecycle[Any]], threads: int = 8) -> None:
        self._tools = tools
        self._lifecycles = {lifecycle.table.name: lifecycle for lifecycle in lifecycles}
        self._threads = threads
        self._busy: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._prolonged = tools.clock.monotonic()
        self._stop = threading.Event()

    def wake(self) -> None:
        """Look for due rows now."""
        self._wake.set()

    def free(self, ended: Callable[[str], bool]) -> int:
        """Give back the leases of processes that have ended; how many rows."""
        tools, count = self._tools, 0
        for table in self._lifecycles:
            for holder in lifecycle_store.holders(tools.db, table):
                if holder == tools.holder or ended(holder):
                    with tools.db.write(Reach.EVENTS) as tx:
                        count += lifecycle_store.free(tx, table, holder)
        return count

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; steps that run then are waited for, those that would follow are left to the next run."""
        self._stop = stop
        with ThreadPoolExecutor(self._threads, thread_name_prefix="step") as pool:
            while not stop.is_set():
                self._wake.clear()
                try:
                    self._hand_out(pool)
                    self._prolong()
                    rest = self._rest()
                except Exception as error:  # whatever it is, work goes on a second later
                    cause = error.public if isinstance(error, Error) else repr(error)
                    self._tools.log.alert("work.runner", cause=cause)
                    rest = IDLE_SECONDS
                self._wake.wait(rest)

    def settle(self, most: int = TURNS) -> int:
        """Run every step that is due on the calling thread until none is left; how many rows were taken. For tests
        and commands."""
        count = 0
        while count < most:
            found = [(table, row_id) for table in self._lifecycles for row_id in self._due(table)]
            if not found:
                break
            for table, row_id in found:
                self.work(table, row_id)
                count += 1
        return count

    def _due(self, table: str) -> list[str]:
        return lifecycle_store.due(self._tools.db, table, self._tools.clock.now_us(), BATCH)

    def _rest(self) -> float:
        with self._lock:
            if len(self._busy) >= self._threads:
                return IDLE_SECONDS  # what else is due begins when a row ends, which wakes the runner
        now = self._tools.clock.now_us()
        nexts = [lifecycle_store.first_due(self._tools.db, table) for table in self._lifecycles]
        soon = min((at for at in nexts if at is not None), default=now + int(IDLE_SECONDS * US))
        return min(IDLE_SECONDS, max(0.02, (soon - now) / US))

    def _hand_out(self, pool: ThreadPoolExecutor) -> None:
        for table in self._lifecycles:
            for row_id in self._due(table):
                with self._lock:
                    if len(self._busy) >= 2 * self._threads:
                        return  # a row that ends wakes the runner
                    if (table, row_id) in self._busy:
                        continue
                    self._busy.add((table, row_id))
                pool.submit(self._one, table, row_id)

    def _prolong(self) -> None:
        now = self._tools.clock.monotonic()
        if now - self._prolonged < LEASE_SECONDS / 3:
            return
        self._prolonged = now
        with self._lock:
            busy = list(self._busy)
        if not busy:
            return
        until = self._tools.clock.now_us() + LEASE_SECONDS * US
        with self._tools.db.write(Reach.EVENTS) as tx:
            for table in self._lifecycles:
                rows = [row_id for name, row_id in busy if name == table]
                lifecycle_store.prolong(tx, table, rows, self._tools.holder, until)

    def _one(self, table: str, row_id: str) -> None:
        try:
            self.work(table, row_id)
        except Exception as error:
            text = error.public if isinstance(error, Error) else repr(error)
            self._tools.log.alert("work.row", kind=table, id=row_id, cause=text)
            with contextlib.suppress(Exception):  # else its lease runs out
                self._release(table, row_id, IDLE_SECONDS)
        finally:
            with self._lock:
                self._busy.discard((table, row_id))
            self._wake.set()

    def work(self, table: str, row_id: str) -> None:
        """Claim one row and run its steps until it rests, waits, is lost to another, or the runner stops."""
        tools, lifecycle = self._tools, self._lifecycles[table]
        if self._stop.is_set():
            return
        now = tools.clock.now_us()
        with tools.db.write(Reach.EVENTS) as tx:
            if not lifecycle_store.claim(tx, table, row_id, tools.holder, (now, now + LEASE_SECONDS * US)):
                return
        for _ in range(TURNS):
            row = lifecycle.table.find(tools.db, id=row_id)
            if row is None or not self._turn(lifecycle, row):
                return
            if self._stop.is_set():
                break
        self._release(table, row_id)  # others have their turn

    def _release(self, table: str, row_id: str, wait: float = 0.0) -> None:
        due = self._tools.clock.now_us() + int(wait * US)
        with self._tools.db.write(Reach.EVENTS) as tx:
            lifecycle_store.release(tx, table, row_id, self._tools.holder, due)

    def _turn(self, lifecycle: Lifecycle[Any], row: Any) -> bool:
        """One step; whether another is to follow at once."""
        wanted = self._interrupt(lifecycle, row)
        if wanted is not None:
            return self._commit(lifecycle, row, wanted)
        step = lifecycle.steps.get(row.state)
        if step is None:
            return self._commit(lifecycle, row, Next(row.state))
        late = self._late(lifecycle, row)
        if late is not None and lifecycle.deadline(row.state).state != row.state:
            return self._give_up(lifecycle, row, late)
        try:
            return self._commit(lifecycle, row, step(row))
        except Error as error:
            self._note(lifecycle, row, error.public, error.cause)
            if isinstance(error, Unavailable):
                return self._again(lifecycle, row, error.public)
            return self._give_up(lifecycle, row, error.public)
        except Exception as error:
            self._note(lifecycle, row, repr(error), "")
            if row.tries + 1 >= lifecycle.most_tries:
                return self._give_up(lifecycle, row, public(error))
            return self._again(lifecycle, row, public(error))

    @staticmethod
    def _heeds(lifecycle: Lifecycle[Any], state: str, word: str) -> str | None:
        """The state that a wish leads to from where the row stands, if it may go there."""
        wanted = lifecycle.interrupts.get(word)
        return wanted if wanted != state and wanted in lifecycle.moves.get(state, frozenset()) else None

    def _interrupt(self, lifecycle: Lifecycle[Any], row: Any) -> Next | None:
        found = (self._heeds(lifecycle, row.state, word) for word in row.signals.split())
        return next((Next(state) for state in found if state), None)

    def _late(self, lifecycle: Lifecycle[Any], row: Any) -> str | None:
        deadline = lifecycle.deadline(row.state)
        age = (self._tools.clock.now_us() - row.since_us) / US
        if age <= deadline.seconds:
            return None
        self._tools.log.alert("work.deadline", kind=lifecycle.kind, id=row.id, state=row.state, seconds=int(age))
        text = f"{lifecycle.kind} {row.id} was {row.state} for more than {int(deadline.seconds)} seconds"
        return f"{text}: {row.fault}" if row.fault else text

    def _note(self, lifecycle: Lifecycle[Any], row: Any, text: str, cause: str) -> None:
        self._tools.log.event(
            "work.step", "warning", kind=lifecycle.kind, id=row.id, state=row.state, tries=row.tries + 1,
            text=text, cause=cause, request_id=row.request_id,
        )  # fmt: skip

    def _again(self, lifecycle: Lifecycle[Any], row: Any, why: str) -> bool:
        """The next turn is the retry, with back-off and jitter; a deadline ends them, and tells the last cause."""
        wait = min(0.2 * 2.0 ** min(row.tries, 10), MOST_BACK_OFF) * (0.75 + self._tools.ids.uniform() / 2)
        return self._commit(lifecycle, row, Next(row.state, wait, why, {"tries": row.tries + 1}))

    def _give_up(self, lifecycle: Lifecycle[Any], row: Any, why: str) -> bool:
        state = lifecycle.deadline(row.state).state
        if state == row.state:
            return self._again(lifecycle, row, why)
        undo = lifecycle.undo

        def then(tx: Tx) -> None:
            if undo is not None:
                undo(tx, row, why)

        return self._commit(lifecycle, row, Next(state, fault=why, then=then))

    def _commit(self, lifecycle: Lifecycle[Any], row: Any, found: Next) -> bool:
        """Write what a step found, if the lease still holds; whether the next step is to run at once."""
        if found.state != row.state and found.state not in lifecycle.moves.get(row.state, frozenset()):
            raise Error(f"{lifecycle.kind}: {row.state} may not become {found.state}")
        tools, table = self._tools, lifecycle.table
        held = (tools.holder, row.state)
        working = found.state in lifecycle.steps
        with tools.db.write(Reach.EVENTS) as tx:
            if found.state in lifecycle.ends:
                onward = False
                changed = lifecycle_store.remove(tx, table.name, row.id, held)
            else:
                left = self._left(tx, lifecycle, row, found)
                heeded = any(self._heeds(lifecycle, found.state, word) for word in left)
                onward = (working and found.wake_in <= 0) or heeded
                sets = self._sets(lifecycle, row, found, onward) | {"signals": " ".join(left)}
                if not onward and set(left) - set(row.signals.split()):
                    sets["due_us"] = tools.clock.now_us()  # a step may want to know of it
                changed = lifecycle_store.advance(tx, table.name, row.id, held, sets)
            if not changed:
                return False
            if found.then is not None:
                found.then(tx)
            if found.state != row.state:
                self._record(tx, lifecycle, row, found)
            tx.after(self._wake.set)
        return onward

    def _sets(self, lifecycle: Lifecycle[Any], row: Any, found: Next, onward: bool) -> dict[str, Any]:
        """The columns to write, all but the wishes."""
        now = self._tools.clock.now_us()
        sets: dict[str, Any] = {"tries": 0} | {k: lifecycle.table.encode(k, v) for k, v in found.changes.items()}
        if not onward:
            due = now + int(found.wake_in * US) if found.state in lifecycle.steps else None
            sets |= {"due_us": due, "lease_us": 0, "holder": ""}
        if found.state != row.state:
            sets |= {"state": found.state, "since_us": now, "fault": found.fault}
        elif found.fault or (row.tries and not sets["tries"]):
            sets["fault"] = found.fault  # what made it try again is over
        return sets

    @staticmethod
    def _left(tx: Tx, lifecycle: Lifecycle[Any], row: Any, found: Next) -> list[str]:
        """The wishes that remain: those that came in while the step ran too, and not those that are being met or that
        the step says it has met by giving other `signals`."""
        met = set(row.signals.split()) - set(str(found.changes.get("signals", row.signals)).split())
        met |= {word for word, state in lifecycle.interrupts.items() if state in (row.state, found.state)}
        words = lifecycle_store.signals(tx, lifecycle.table.name, row.id).split()
        return [word for word in words if word not in met]

    def _record(self, tx: Tx, lifecycle: Lifecycle[Any], row: Any, found: Next) -> None:
        detail: dict[str, str | int] = {"was": row.state, **({"fault": found.fault} if found.fault else {})}
        outcome = "failure" if found.fault else "success"
        action = f"{lifecycle.kind}:{found.state}"
        event = Draft(row.project_id, SYSTEM, action, f"{lifecycle.kind}/{row.id}", row.request_id, outcome,
                      "CUSTOMER_ACCESS", detail)  # fmt: skip
        self._tools.recorder.record(tx, [event])
