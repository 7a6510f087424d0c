"""The side of a log that is witnessed: newest checkpoints go to the witnesses of each log's policy, their cosignatures
come back into the stored note, and a log that a witness saw further on is not signed (docs/decisions/0011).

One thread runs `turn`; exchanges run on few others. A witness that does not answer gets one of them at a time, and
half of them at most go to such witnesses, so that the others are never late because of it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from andromede.clock import US, Clock
from andromede.db import Database, Tx
from andromede.errors import Error
from andromede.ids import Ids
from andromede.log import Log
from andromede.sovereignty import store as rows
from andromede.sovereignty import witness_store as store
from andromede.sovereignty.log import Logs
from andromede.sovereignty.store import LogState, Stored
from andromede.sovereignty.witness_circle import Circle, Member
from andromede.sovereignty.witness_exchange import Judgement, Outcome, merged, submit
from andromede.sovereignty.witness_guard import Ground, Guard
from andromede.sovereignty.witness_http import CALL_SECONDS
from andromede.work import Leases

LEASE = "ledger.witnessing"
LEASE_SECONDS = 30
THREADS = 8
PER_WITNESS = 2
SILENT_OURS, SILENT_THEIRS = 4, 2
"""Threads that witnesses of the operator, and those that tenants named, may hold while they do not answer."""
MOST_PENDING = 512
SCAN_SECONDS = 1.0
FIRST_DELAY = 2.0
LONGEST_SILENCE, LONGEST_REFUSAL = 120.0, 60.0
REFRESH_SECONDS = 6 * 3600
"""Age at which a log that does not grow is cosigned again, well before monitors call it stale."""


@dataclass(slots=True)
class View:
    """What is known of one witness about one log. `size`: what it remembers; `done`: the size last cosigned in this
    process; instants in µs, `due` on the monotonic clock."""

    size: int = 0
    cosigned: int = 0
    tried: int = 0
    failures: int = 0
    error: str = ""
    done: int = -1
    due: float = 0.0
    busy: bool = False


@dataclass(slots=True)
class Reach:
    """How one witness answers at present, whatever the log."""

    ours: bool
    silent: int = 0
    due: float = 0.0
    busy: int = 0


@dataclass(slots=True)
class Aim:
    """The checkpoint that all witnesses of a log are asked about, so that their cosignatures meet on one note.
    `checkpoint` is let go when none of them is to be asked any more. `size`: of the last one; `at`: when chosen."""

    tenant: str
    size: int = 0
    at: float = 0.0
    checkpoint: Stored | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """An exchange that came to its end; `judgement` where the witness's view had to be compared."""

    member: Member
    checkpoint: Stored
    outcome: Outcome
    judgement: Judgement | None


@dataclass(frozen=True, slots=True)
class Parts:
    """What witnessing stands on. `every`: seconds between two checkpoints of one log that are sent."""

    db: Database
    logs: Logs
    leases: Leases
    clock: Clock
    ids: Ids
    log: Log
    every: float = 5.0
    private: bool = False
    call_seconds: float = CALL_SECONDS


@dataclass(slots=True)
class _Memory:
    """What the turning thread knows."""

    views: dict[tuple[str, str], View] = field(default_factory=dict)
    reach: dict[str, Reach] = field(default_factory=dict)
    aims: dict[str, Aim] = field(default_factory=dict)
    loaded: bool = False
    next_scan: float = 0.0
    held_until: float = 0.0


class Witnessing:
    """Sends checkpoints to witnesses. `may_sign` may be called from any thread, the rest from one."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._circle = Circle(parts.db, parts.clock, parts.private)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="witness")
        ground = (parts.db, parts.logs, self._circle, self._pool, parts.clock, parts.log, parts.call_seconds)
        self.guard = Guard(Ground(*ground))
        self.may_sign = self.guard.may_sign
        self._memory = _Memory()
        self._results: SimpleQueue[Done] = SimpleQueue()
        self._wake = threading.Event()
        self._flying: set[Future[None]] = set()

    def run(self, stop: threading.Event) -> None:
        """Turns until `stop` is set."""
        while not stop.is_set():
            try:
                self.turn()
            except Exception as error:
                text = error.public if isinstance(error, Error) else repr(error)
                self._parts.log.alert("witnessing.failed", cause=text)
                stop.wait(FIRST_DELAY)
            self._wake.wait(0.25 if self._memory.aims else SCAN_SECONDS)
            self._wake.clear()
        self._circle.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)  # its threads must not outlive the database
        if self._parts.clock.monotonic() < self._memory.held_until:  # the next process need not wait for it to run out
            self._parts.leases.release(LEASE)

    def turn(self) -> None:
        """Store what came back, see what is new, send what is due."""
        self._collect()
        memory, now = self._memory, self._parts.clock.monotonic()
        if now >= memory.next_scan:
            memory.next_scan = now + min(SCAN_SECONDS, self._parts.every)
            self.guard.reload()
            self._reload()
            if self._circle.urls and self._held(now):
                self._scan(now)
            else:
                memory.aims.clear()
                memory.loaded = False
        self._dispatch(now)

    def settle(self, seconds: float) -> None:
        """Wait until nothing is under way, then store what came back; for commands and tests."""
        wait(list(self._flying), seconds)
        self._collect()

    def _held(self, now: float) -> bool:
        memory = self._memory
        if now >= memory.held_until - LEASE_SECONDS / 2 and self._parts.leases.claim(LEASE, LEASE_SECONDS):
            memory.held_until = now + LEASE_SECONDS
        return now < memory.held_until

    def _reload(self) -> None:
        """Read policies again and forget witnesses that are in none of them any more."""
        memory = self._memory
        if not self._circle.load():
            return
        gone = {url for _, url in memory.views} | set(memory.reach)
        gone = {url for url in gone - self._circle.urls if url not in memory.reach or not memory.reach[url].busy}
        memory.views = {at: view for at, view in memory.views.items() if at[1] not in gone}
        memory.reach = {url: reach for url, reach in memory.reach.items() if url not in gone}
        if gone:
            with self._parts.db.write() as tx:
                store.drop_views(tx, sorted(gone))

    def _scan(self, now: float) -> None:
        memory = self._memory
        if not memory.loaded:
            for origin, url, size, cosigned, tried, _, error in store.views(self._parts.db):
                memory.views[str(origin), str(url)] = View(size, cosigned, tried, 0, error)
            memory.loaded = True
        pending = sum(aim.checkpoint is not None for aim in memory.aims.values())
        for log in self._parts.logs.all():
            if not log.size or self.guard.halted(log.origin) or not self._circle.members(log.tenant):
                memory.aims.pop(log.origin, None)
                continue
            aim = memory.aims.setdefault(log.origin, Aim(log.tenant, at=now - self._parts.every))
            if aim.checkpoint is not None or pending < MOST_PENDING:
                pending += self._choose(log, aim, now)

    def _choose(self, log: LogState, aim: Aim, now: float) -> bool:
        """Take the newest checkpoint as the next aim, when it is time and somebody is to be asked."""
        if now - aim.at < self._parts.every or (aim.checkpoint is not None and aim.size >= log.size):
            return False
        if not any(True for _ in self._asked(log.origin, aim, log.size, now)):
            return False
        newest = self._parts.logs.newest(log.origin)
        if newest is None or newest.size < aim.size:
            return False
        begun = aim.checkpoint is None
        aim.size, aim.at, aim.checkpoint = newest.size, now, newest
        return begun

    def _asked(self, origin: str, aim: Aim, size: int, now: float) -> Iterator[tuple[View, Member]]:
        """The witnesses of a log that are to be asked now about `size` entries, busy ones left out."""
        for member in self._circle.members(aim.tenant):
            view = self._memory.views.setdefault((origin, member.url), View())
            reach = self._memory.reach.setdefault(member.url, Reach(member.ours))
            old = self._parts.clock.now_us() - view.cosigned > REFRESH_SECONDS * US
            if not view.busy and now >= view.due and now >= reach.due and (view.done < size or old):
                yield view, member

    def _dispatch(self, now: float) -> None:
        """Start what is due as far as threads are free: the operator's witnesses first, then the longest waiting."""
        due: list[tuple[View, Member, Stored]] = []
        for origin, aim in self._memory.aims.items():
            if aim.checkpoint is None:
                continue
            found = list(self._asked(origin, aim, aim.size, now))
            due += [(view, member, aim.checkpoint) for view, member in found]
            members = self._circle.members(aim.tenant)
            if not found and not any(self._memory.views[origin, member.url].busy for member in members):
                aim.checkpoint = None
        due.sort(key=lambda item: (not item[1].ours, item[0].tried))
        for view, member, stored in due:
            reach = self._memory.reach[member.url]
            if self._room(reach):
                view.busy, view.tried = True, self._parts.clock.now_us()
                reach.busy += 1
                future = self._pool.submit(self._exchange, member, stored, view.size)
                self._flying.add(future)
                future.add_done_callback(self._flying.discard)

    def _room(self, reach: Reach) -> bool:
        every = list(self._memory.reach.values())
        if sum(other.busy for other in every) >= THREADS:
            return False
        if not reach.silent:
            return reach.busy < PER_WITNESS
        probing = sum(other.busy for other in every if other.silent and other.ours == reach.ours)
        return reach.busy == 0 and probing < (SILENT_OURS if reach.ours else SILENT_THEIRS)

    def _exchange(self, member: Member, stored: Stored, old: int) -> None:
        """On a thread of the pool: ask, and compare views when the answer gives reason to."""
        judgement = None
        try:
            link = self._circle.link(member.url, self._parts.call_seconds)
            outcome = submit(link, self._parts.logs, stored, old, member.keys)
            log = self._parts.logs.by_origin(stored.origin) if outcome.doubt else None
            if log is not None:
                judgement = self.guard.look(member, stored.origin, (log.size, log.root))
        except Exception as error:
            text = error.public if isinstance(error, Error) else repr(error)
            outcome = Outcome(old, error=text)
        self._results.put(Done(member, stored, outcome, judgement))
        self._wake.set()

    def _collect(self) -> None:
        """Store everything that came back, in one transaction."""
        done: list[Done] = []
        while True:
            try:
                done.append(self._results.get_nowait())
            except Empty:
                break
        if not done:
            return
        at = self._parts.clock.monotonic(), self._parts.clock.now_us()
        changed = [self._note(one, at) for one in done]
        with self._parts.db.write() as tx:
            for one in done:
                if one.outcome.lines:
                    self._merge(tx, one.checkpoint, one.outcome.lines)
            store.put_views(tx, changed)
        for one in done:
            self._doubt(one)

    def _note(self, one: Done, at: tuple[float, int]) -> tuple[str, str, int, int, int, int, str]:
        """Remember how an exchange ended; its row."""
        (now, now_us), outcome, where = at, one.outcome, (one.checkpoint.origin, one.member.url)
        view = self._memory.views.setdefault(where, View())
        reach = self._memory.reach.setdefault(one.member.url, Reach(one.member.ours, busy=1))
        view.busy, view.error, view.size = False, outcome.error, outcome.size
        reach.busy -= 1
        reach.silent = reach.silent + 1 if outcome.silent else 0
        reach.due = now + self._delay(reach.silent, LONGEST_SILENCE) if outcome.silent else 0.0
        if outcome.lines:
            view.failures, view.due, view.cosigned, view.done = 0, 0.0, now_us, one.checkpoint.size
        elif outcome.error:
            view.failures += 1
            view.due = now + self._delay(view.failures, LONGEST_REFUSAL)
        return (*where, view.size, view.cosigned, view.tried, view.failures, view.error)

    def _delay(self, failures: int, longest: float) -> float:
        seconds = min(FIRST_DELAY * float(1 << min(failures - 1, 20)), longest)
        return seconds * (0.75 + self._parts.ids.uniform() / 2)

    def _merge(self, tx: Tx, checkpoint: Stored, lines: str) -> None:
        known = store.cosignatures(tx, checkpoint.origin, checkpoint.size)
        if known is None:  # a newer one was published meanwhile
            rows.cosign(tx, checkpoint, lines)
        else:
            store.put_cosignatures(tx, checkpoint.origin, checkpoint.size, merged(known, lines))

    def _doubt(self, one: Done) -> None:
        """A witness said what cannot be if we are right. Proved by our own signature, or said by a witness that the
        operator chose: stop. Said only by one that a tenant chose: tell."""
        outcome, judgement, origin = one.outcome, one.judgement, one.checkpoint.origin
        if not outcome.doubt or judgement is None:
            return
        self.guard.weigh(one.member, origin, judgement)
        if judgement.kind == "none" and one.member.ours and outcome.size > one.checkpoint.size:
            self.guard.halt(one.member, origin, f"{outcome.error} (it shows no signed checkpoint of it)", "")
        elif not judgement.proved:
            self._parts.log.alert("witness.contradicts", origin=origin, url=one.member.url, cause=outcome.error)
