"""From recorded events to signed checkpoints: the only writer of trees.

A turn: read the contiguous prefix of each log's new events, hash it, then in one transaction write the tiles, move
(size, root) by compare-and-set and record what will be signed; only after that commit sign, and publish the note in
a second transaction. A process that dies between two steps leaves a state from which the next turn goes on: tiles
and size move together, and a recorded intent is signed by whoever finds it. What is signed is therefore always a
committed state, and each committed state extends the one before it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from andromede.clock import Clock
from andromede.db import Database, Reach, Tx
from andromede.errors import Error, Fatal
from andromede.ledger.note import checkpoint_text
from andromede.ledger.receipt import entry_of
from andromede.log import Log
from andromede.sovereignty import store
from andromede.sovereignty.logkeys import LogKeys
from andromede.sovereignty.store import LogState, Step, Unsigned
from andromede.sovereignty.tiles import Edge
from andromede.work import Leases

LEASE = "ledger.sequencer"
LEASE_SECONDS = 10
HOLE_SECONDS = 10.0
REPEAT_SECONDS = 60.0
RETRY_SECONDS = 10.0
MaySign = Callable[[str, int, bytes], str | None]
"""(origin, size, root) -> why this checkpoint must not be signed, None when it may."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one turn. `page`: events read at a time; `edges`: logs whose right edge stays in memory."""

    page: int = 1024
    log_events: int = 8192
    batch_events: int = 32_768
    batch_logs: int = 256
    edges: int = 512


@dataclass(frozen=True, slots=True)
class Parts:
    """What a sequencer stands on. `reached` is told the name of each step as it is done."""

    db: Database
    keys: LogKeys
    leases: Leases
    clock: Clock
    log: Log
    may_sign: MaySign = lambda origin, size, root: None
    limits: Limits = Limits()
    reached: Callable[[str], None] = lambda step: None


@dataclass(frozen=True, slots=True)
class Growth:
    """A log's next state, not yet committed. `edge` is already that of the next state."""

    step: Step
    edge: Edge


class Moved(Exception):
    """A log is no longer in the state that was read: another sequencer was faster."""


class Alerts:
    """Alerts that are said once a minute for as long as their cause stays."""

    def __init__(self, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self._said: dict[tuple[str, str], float] = {}

    def say(self, name: str, origin: str, **fields: str | int) -> None:
        """Alert, unless it was said within the last minute."""
        now = self._clock.monotonic()
        if now - self._said.get((name, origin), -REPEAT_SECONDS) >= REPEAT_SECONDS:
            self._said = {about: at for about, at in self._said.items() if now - at < REPEAT_SECONDS}
            self._said[name, origin] = now
            self._log.alert(name, origin=origin, **fields)


class Sequencer:
    """Runs on one thread. Several processes may run one: the lease keeps all but one at rest, and compare-and-set
    makes a second one harmless."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._alerts = Alerts(parts.clock, parts.log)
        self._edges: OrderedDict[str, tuple[bytes, Edge]] = OrderedDict()  # origin -> its root, edge
        self._holes: dict[str, tuple[int, float]] = {}  # origin -> position, since
        self._refused: dict[str, float] = {}  # origin -> when to ask again
        self._held_until = 0.0
        self._look_for_unsigned = 0.0

    def run(self, stop: threading.Event, seconds: float) -> None:
        """A turn every `seconds`, at once again while more is waiting, until `stop` is set."""
        failures = 0
        while not stop.is_set():
            begin = self._parts.clock.monotonic()
            try:
                more = self.turn()
                failures = 0
            except Exception as error:
                more, failures = False, failures + 1
                self._edges.clear()
                text = error.public if isinstance(error, Error) else repr(error)
                self._parts.log.alert("ledger.failed", failures=failures, cause=text)
            rest = seconds * min(2**failures, 64) - (self._parts.clock.monotonic() - begin)
            if not more:
                stop.wait(max(rest, 0.0))
        if self._held_until:  # the next process need not wait for it to run out
            self._parts.leases.release(LEASE)

    def turn(self) -> bool:
        """Bring every log up to date, within bounds; whether more is waiting. At rest this is one indexed query."""
        more, worked, after = False, False, None
        while store.behind(self._parts.db, after, 1):
            if not self._held():
                return False
            worked = True
            after, left = self._batch(after)
            more |= left
            if after is None:
                break
        now = self._parts.clock.monotonic()
        if worked or now >= self._look_for_unsigned:
            self._look_for_unsigned = now + RETRY_SECONDS
            self._sign_all()
        return more

    def _held(self) -> bool:
        """Whether the lease is ours for the time of a turn; claimed with time to spare, and only when there is work."""
        now = self._parts.clock.monotonic()
        if now < self._held_until:
            return True
        if not self._parts.leases.claim(LEASE, LEASE_SECONDS):
            return False
        self._held_until = now + LEASE_SECONDS / 2
        return True

    def _batch(self, after: str | None) -> tuple[str | None, bool]:
        """Append to the logs that follow `after`, as many as the limits allow; the tenant to go on after (None: that
        was the last), and whether one of them has more waiting."""
        limits, more = self._parts.limits, False
        grown: list[Growth] = []
        room, last = limits.batch_events, None
        with self._parts.db.read() as tx:  # one snapshot: states, edges and events fit together
            page = store.behind(tx, after, limits.batch_logs)
            for log in page:
                last, most = log, min(limits.log_events, room)
                growth = self._read(tx, log, most)
                if growth is not None:
                    grown.append(growth)
                    room -= growth.step.size - log.size
                    more |= growth.step.size - log.size == most and growth.step.size < log.allocated
                if room <= 0:
                    break
        self._commit(grown)
        whole = last is None or (last is page[-1] and len(page) < limits.batch_logs)
        return (None if whole or last is None else last.tenant), more

    def _read(self, tx: Tx, log: LogState, most: int) -> Growth | None:
        """The log's next state in memory, None when there is nothing to append."""
        entries: list[bytes] = []
        end = min(log.allocated, log.size + most)
        while log.size + len(entries) < end:
            first = log.size + len(entries)
            rows = store.events(tx, log.tenant, first, end, self._parts.limits.page)
            for position, salt, body in rows:
                if position != log.size + len(entries) or salt is None:
                    break
                entries.append(entry_of(salt, body))
            if log.size + len(entries) < min(end, first + self._parts.limits.page):
                break
        self._watch_hole(log, log.size + len(entries), end)
        if not entries:
            return None
        try:
            edge = self._edge(tx, log)
            tiles = edge.extend(entries)
        except Fatal as error:
            self._alerts.say("ledger.damaged", log.origin, cause=error.public)
            return None
        return Growth(Step(log, edge.size, edge.root(), tiles), edge)

    def _watch_hole(self, log: LogState, position: int, end: int) -> None:
        if position == end:
            self._holes.pop(log.origin, None)
            return
        now = self._parts.clock.monotonic()
        known, since = self._holes.get(log.origin, (-1, now))
        if known != position:
            self._holes[log.origin] = (position, now)
        elif now - since > HOLE_SECONDS:
            self._alerts.say("ledger.hole", log.origin, position=position, seconds=int(now - since))

    def _edge(self, tx: Tx, log: LogState) -> Edge:
        """The right edge of a log; it leads to the stored root, or `Fatal` is raised. It leaves the memory: only a
        commit puts it back."""
        root, edge = self._edges.pop(log.origin, (b"", None))
        if edge is None or edge.size != log.size or root != log.root:
            edge = Edge.load(partial(store.tile, tx, log.origin), log.size)
            if edge.root() != log.root:
                raise Fatal(
                    f"the tiles of {log.origin} do not lead to its root at {log.size}: nothing more of it is signed; "
                    "run andromede fsck and restore a backup",
                    "ledger",
                )
        return edge

    def _commit(self, grown: list[Growth]) -> None:
        if not grown:
            return
        self._parts.reached("read")
        now_us = self._parts.clock.now_us()
        with self._parts.db.write(Reach.EVENTS) as tx:
            try:
                tx.guarded(partial(self._write, [growth.step for growth in grown], now_us))
                done = grown
            except (Moved, Fatal):  # one of them cannot go on: each for itself
                done = [growth for growth in grown if self._alone(tx, growth.step, now_us)]
            self._parts.reached("written")
        self._parts.reached("committed")
        for growth in done:
            self._edges[growth.step.log.origin] = (growth.step.root, growth.edge)
        while len(self._edges) > self._parts.limits.edges:
            self._edges.popitem(last=False)

    def _alone(self, tx: Tx, step: Step, now_us: int) -> bool:
        try:
            tx.guarded(partial(self._write, [step], now_us))
        except Moved:
            return False
        except Fatal as error:
            self._alerts.say("ledger.damaged", step.log.origin, cause=error.public)
            return False
        return True

    def _write(self, steps: list[Step], now_us: int, tx: Tx) -> None:
        if not store.advance(tx, steps):
            raise Moved
        self._parts.reached("advanced")
        if not store.write_tiles(tx, [(step.log.origin, tile) for step in steps for tile in step.tiles]):
            raise Fatal(
                f"a tile of {steps[0].log.origin} is wider than the log: the database is not what it was; "
                "run andromede fsck",
                "ledger",
            )
        self._parts.reached("tiles")
        store.intend(tx, steps, now_us)

    def _sign_all(self) -> None:
        after, limit = "", self._parts.limits.batch_logs
        while page := store.unsigned(self._parts.db, after, limit):
            if not self._held():
                return
            signed = [(row.checkpoint, note) for row in page if (note := self._sign(row))]
            self._publish([(checkpoint.origin, checkpoint.size, note) for checkpoint, note in signed])
            after = page[-1].checkpoint.origin
            if len(page) < limit:
                return

    def _sign(self, found: Unsigned) -> str | None:
        row, now = found.checkpoint, self._parts.clock.monotonic()
        if now < self._refused.get(row.origin, now):
            return None
        reason = self._objection(found)
        if reason is None:
            self._refused.pop(row.origin, None)
            note = self._parts.keys.sign(checkpoint_text(row.origin, row.size, row.root))
            self._parts.reached("signed")
            return note
        self._refused[row.origin] = now + RETRY_SECONDS
        self._alerts.say("ledger.refused", row.origin, size=row.size, reason=reason)
        if reason != row.refusal:
            with self._parts.db.write() as tx:
                store.refuse(tx, row.origin, row.size, reason)
        return None

    def _objection(self, found: Unsigned) -> str | None:
        row, log = found.checkpoint, found.log
        if log is None or log[0] < row.size or (log[0] == row.size and log[1] != row.root):
            return f"the log of {row.origin} is not at the state that was to be signed"
        if found.signed >= row.size:
            return f"a checkpoint of {found.signed} entries was signed before"
        try:
            return self._parts.may_sign(row.origin, row.size, row.root)
        except Exception as error:  # one log's trouble must not keep the others from being signed
            text = error.public if isinstance(error, Error) else repr(error)
            return f"whether it may be signed could not be found out: {text}"

    def _publish(self, notes: list[tuple[str, int, str]]) -> None:
        if not notes:
            return
        with self._parts.db.write(Reach.EVENTS) as tx:
            store.publish(tx, notes)
            self._parts.reached("publishing")
        self._parts.reached("published")
