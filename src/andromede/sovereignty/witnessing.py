"""The side of a log that is witnessed: newest checkpoints go to the witnesses of each log's policy, their cosignatures
come back into the stored note, and a log that a witness saw further on is not signed (docs/decisions/0011).

One thread runs `turn`; exchanges run on few others. A witness that does not answer gets one of them at a time, and
half of them at most go to such witnesses, so that the others are never late because of it.
"""

from __future__ import annotations

import threading
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
from andromede.sovereignty.witness_exchange import Judgement, Outcome, look, merged, submit
from andromede.sovereignty.witness_http import CALL_SECONDS
from andromede.work import Leases

LEASE = "ledger.witnessing"
LEASE_SECONDS = 30
THREADS = 8
PER_WITNESS = 2
LOOK_SECONDS = 4.0
MUTE_SECONDS = 60.0
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

    silent: int = 0
    due: float = 0.0
    busy: int = 0


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
class _Shared:
    """State that the sequencer's thread reads too, under `lock`. `mute`: witnesses that gave no answer to a look, and
    until when they are not asked for one."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    halts: dict[str, str] = field(default_factory=dict)
    checked: set[str] = field(default_factory=set)
    mute: dict[str, float] = field(default_factory=dict)


class Witnessing:
    """Sends checkpoints to witnesses. `may_sign` may be called from any thread, the rest from one."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._circle = Circle(parts.db, parts.clock, parts.private)
        self._shared = _Shared()
        self._views: dict[tuple[str, str], View] = {}
        self._reach: dict[str, Reach] = {}
        self._targets: dict[str, tuple[Stored, float]] = {}
        self._tenants: dict[str, str] = {}
        self._results: SimpleQueue[Done] = SimpleQueue()
        self._wake = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="witness")
        self._flying: set[Future[None]] = set()
        self._next_scan = 0.0
        self._loaded = False
        self._held_until = 0.0

    # The sequencer's question

    def may_sign(self, origin: str, size: int, root: bytes) -> str | None:
        """Why a committed (size, root) must not be signed; None when it may. At the first question about a log the
        views of its witnesses are compared. One that cannot be reached does not hinder: a fork that is signed
        meanwhile never gets its cosignature."""
        shared = self._shared
        with shared.lock:
            if origin in shared.checked:
                return shared.halts.get(origin)
        self._read_halts()
        with shared.lock:
            if origin in shared.halts:
                return shared.halts[origin]
        self._circle.load()
        log = self._parts.logs.by_origin(origin)
        members = self._circle.members(log.tenant) if log else ()
        state = (size, root)
        asked = {self._pool.submit(self._look, member, origin, state): member for member in members
                 if self._awake(member.url)}  # fmt: skip
        done, late = wait(asked, LOOK_SECONDS)
        for future in late:
            future.cancel()
            self._mute(asked[future].url)
        for future in done:
            self._weigh(asked[future], origin, future.result())
        with shared.lock:
            shared.checked.add(origin)
            return shared.halts.get(origin)

    def _look(self, member: Member, origin: str, state: tuple[int, bytes]) -> Judgement:
        try:
            link = self._circle.link(member.url, min(LOOK_SECONDS, self._parts.call_seconds))
            return look(link, self._parts.logs, origin, state)
        except Error as error:
            self._mute(member.url)
            self._parts.log.event("witness.unreached", "warning", origin=origin, url=member.url, cause=error.public)
            return Judgement("none", error.public)

    def _mute(self, url: str) -> None:
        """A witness that is away holds up the first signature of one log, not of every log in turn."""
        with self._shared.lock:
            self._shared.mute[url] = self._parts.clock.monotonic() + MUTE_SECONDS

    def _weigh(self, member: Member, origin: str, judgement: Judgement) -> None:
        if judgement.proved:
            self._halt(member, origin, judgement.text, judgement.note)
        elif judgement.kind == "unproved":
            self._parts.log.alert("witness.strange", origin=origin, url=member.url, cause=judgement.text)

    def _halt(self, member: Member, origin: str, reason: str, note: str) -> None:
        """Forbid signatures of a log, durably, until `andromede witness resume`."""
        text = f"{', '.join(member.names)} at {member.url}: {reason}"
        with self._parts.db.write() as tx:
            store.put_halt(tx, origin, member.url, text, note, self._parts.clock.now_us())
        with self._shared.lock:
            known = origin in self._shared.halts
            self._shared.halts.setdefault(origin, text)
        if not known:
            self._parts.log.alert("ledger.halted", origin=origin, witness=member.url, cause=text)

    def _read_halts(self) -> None:
        found = {str(row[0]): str(row[2]) for row in store.halts(self._parts.db)}
        with self._shared.lock:
            self._shared.checked -= set(self._shared.halts) - set(found)  # resumed: compare again
            self._shared.halts = found

    # The rhythm

    def run(self, stop: threading.Event) -> None:
        """Turns until `stop` is set."""
        while not stop.is_set():
            try:
                self.turn()
            except Exception as error:
                text = error.public if isinstance(error, Error) else repr(error)
                self._parts.log.alert("witnessing.failed", cause=text)
                stop.wait(FIRST_DELAY)
            self._wake.wait(0.25)
            self._wake.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._parts.clock.monotonic() < self._held_until:  # the next process need not wait for it to run out
            self._parts.leases.release(LEASE)

    def turn(self) -> None:
        """Store what came back, see what is new, send what is due."""
        self._collect()
        now = self._parts.clock.monotonic()
        if now >= self._next_scan:
            self._next_scan = now + min(SCAN_SECONDS, self._parts.every)
            self._read_halts()
            self._reload()
            if self._circle.urls and self._held(now):
                self._scan(now)
            else:
                self._targets.clear()
                self._loaded = False
        self._dispatch(now)

    def settle(self, seconds: float) -> None:
        """Wait until nothing is under way, then store what came back; for commands and tests."""
        wait(list(self._flying), seconds)
        self._collect()

    def _held(self, now: float) -> bool:
        if now >= self._held_until and self._parts.leases.claim(LEASE, LEASE_SECONDS):
            self._held_until = now + LEASE_SECONDS / 2
        return now < self._held_until

    def _reload(self) -> None:
        """Read policies again and forget witnesses that are in none of them any more."""
        if not self._circle.load():
            return
        gone = {url for _, url in self._views} | set(self._reach)
        gone = {url for url in gone - self._circle.urls if not self._reach.get(url, Reach()).busy}
        self._views = {at: view for at, view in self._views.items() if at[1] not in gone}
        self._reach = {url: reach for url, reach in self._reach.items() if url not in gone}
        if gone:
            with self._parts.db.write() as tx:
                store.drop_views(tx, sorted(gone))

    def _scan(self, now: float) -> None:
        if not self._loaded:
            self._load()
        for log in self._parts.logs.all():
            self._tenants[log.origin] = log.tenant
            if log.size and log.origin not in self._shared.halts and self._circle.members(log.tenant):
                self._aim(log, now)
            else:
                self._targets.pop(log.origin, None)

    def _load(self) -> None:
        for origin, url, size, cosigned, tried, _, error in store.views(self._parts.db):
            self._views[str(origin), str(url)] = View(size, cosigned, tried, 0, error)
        self._loaded = True

    def _aim(self, log: LogState, now: float) -> None:
        """Choose the checkpoint that every witness of a log is asked about: the same for all, so that their
        cosignatures meet on one note."""
        known = self._targets.get(log.origin)
        if known is not None and (known[0].size >= log.size or now - known[1] < self._parts.every):
            return
        newest = self._parts.logs.newest(log.origin)
        if newest is not None and (known is None or newest.size > known[0].size):
            self._targets[log.origin] = (newest, now)

    def _dispatch(self, now: float) -> None:
        """Start what is due as far as threads are free, the longest waiting first."""
        due = [
            (self._views.setdefault((origin, member.url), View()), member, stored)
            for origin, (stored, _) in self._targets.items()
            for member in self._circle.members(self._tenants[origin])
        ]
        due = [item for item in due if self._is_due(item[0], item[2], now)]
        due.sort(key=lambda item: item[0].tried)
        for view, member, stored in due:
            reach = self._reach.setdefault(member.url, Reach())
            if self._room(reach) and now >= reach.due:
                view.busy, view.tried = True, self._parts.clock.now_us()
                reach.busy += 1
                future = self._pool.submit(self._exchange, member, stored, view.size)
                self._flying.add(future)
                future.add_done_callback(self._flying.discard)

    def _is_due(self, view: View, stored: Stored, now: float) -> bool:
        if view.busy or now < view.due:
            return False
        return view.done < stored.size or self._parts.clock.now_us() - view.cosigned > REFRESH_SECONDS * US

    def _room(self, reach: Reach) -> bool:
        busy = sum(other.busy for other in self._reach.values())
        if not reach.silent:
            return busy < THREADS and reach.busy < PER_WITNESS
        probing = sum(other.busy for other in self._reach.values() if other.silent)
        return busy < THREADS and reach.busy == 0 and probing < THREADS // 2

    def _awake(self, url: str) -> bool:
        now, reach = self._parts.clock.monotonic(), self._reach.get(url)
        with self._shared.lock:
            mute = self._shared.mute.get(url, now) > now
        return not mute and (reach is None or now >= reach.due)

    def _exchange(self, member: Member, stored: Stored, old: int) -> None:
        """On a thread of the pool: ask, and compare views when the answer gives reason to."""
        judgement = None
        try:
            link = self._circle.link(member.url, self._parts.call_seconds)
            outcome = submit(link, self._parts.logs, stored, old, member.keys)
            log = self._parts.logs.by_origin(stored.origin) if outcome.doubt else None
            if log is not None:
                judgement = self._look(member, stored.origin, (log.size, log.root))
        except Exception as error:
            text = error.public if isinstance(error, Error) else repr(error)
            outcome = Outcome(old, error=text)
        self._results.put(Done(member, stored, outcome, judgement))
        self._wake.set()

    # What came back

    def _collect(self) -> None:
        done: list[Done] = []
        while True:
            try:
                done.append(self._results.get_nowait())
            except Empty:
                break
        if done:
            self._store(done)

    def _store(self, done: list[Done]) -> None:
        now, now_us = self._parts.clock.monotonic(), self._parts.clock.now_us()
        changed = []
        for one in done:
            view = self._views.setdefault((one.checkpoint.origin, one.member.url), View())
            self._note(view, self._reach.setdefault(one.member.url, Reach()), one, (now, now_us))
            changed.append(
                (one.checkpoint.origin, one.member.url, view.size, view.cosigned, view.tried, view.failures, view.error)
            )
        with self._parts.db.write() as tx:
            for one in done:
                if one.outcome.lines:
                    self._merge(tx, one.checkpoint, one.outcome.lines)
            store.put_views(tx, changed)
        for one in done:
            self._doubt(one)

    def _note(self, view: View, reach: Reach, one: Done, at: tuple[float, int]) -> None:
        now, now_us = at
        outcome = one.outcome
        view.busy, view.error, view.size = False, outcome.error, outcome.size
        reach.busy -= 1
        reach.silent = reach.silent + 1 if outcome.silent else 0
        reach.due = now + self._delay(reach.silent, LONGEST_SILENCE) if outcome.silent else 0.0
        if outcome.lines:
            view.failures, view.due, view.cosigned, view.done = 0, 0.0, now_us, one.checkpoint.size
        elif outcome.error:
            view.failures += 1
            view.due = now + self._delay(view.failures, LONGEST_REFUSAL)

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
        outcome, judgement = one.outcome, one.judgement
        if not outcome.doubt or judgement is None:
            return
        self._weigh(one.member, one.checkpoint.origin, judgement)
        if judgement.kind == "none" and one.member.ours and outcome.size > one.checkpoint.size:
            self._halt(one.member, one.checkpoint.origin, f"{outcome.error} (it shows no signed checkpoint of it)", "")
        elif not judgement.proved:
            self._parts.log.alert(
                "witness.contradicts", origin=one.checkpoint.origin, url=one.member.url, cause=outcome.error
            )
