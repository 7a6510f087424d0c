"""The commit point: one thread per process that makes writes durable, a batch at a time.

A batch is what arrived during the last commit. Its small bodies go to the segment log with one flush;
then one database transaction runs every write's `work`, updates counters and records all audit events.
Only then are the callers told. A work that raises an `errors.Error` fails alone: the transaction is
undone and run again with each work in a savepoint (docs/decisions/0003).

Every answer names the place of its event in the tenant's log. A write learns it from its own commit. A read
takes a place that was leased before, and its event is written by the next flush; when there is none in stock,
the read's answer waits for a commit too (`audit.leases`).
"""

from __future__ import annotations

import collections
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from andromede.audit import HEADER, Draft, Position, Recorder
from andromede.audit.leases import IDLE, Leases, Read, Turn
from andromede.clock import US, Clock, TrustedTime
from andromede.db import Database, Reach, Tx
from andromede.errors import Error, Unavailable
from andromede.keys import KeyRing
from andromede.log import Log
from andromede.objects import garbage_store
from andromede.objects.batch import Batch
from andromede.objects.blobs import BlobEngine, record_pieces, record_ref
from andromede.objects.model import SmallRecord
from andromede.web.stream.message import Commit, Outcome, Response
from andromede.web.stream.ports import Done, done_many

T = TypeVar("T")
MARK_SECONDS, LONG_SECONDS = 20, 60
"""Reads that last longer than LONG_SECONDS are made known to the garbage collector every MARK_SECONDS."""


@dataclass(slots=True)
class Step(Generic[T]):
    """A write, not yet done. `reach`: what it may change at most."""

    work: Callable[[Tx], T]
    record: SmallRecord | None = None
    reach: Reach = Reach.EVERYTHING

    def then(self, render: Callable[[T], Response]) -> Commit[T]:
        """What a handler returns: commit this, then answer."""
        return Commit(self.work, render, self.record, self.reach)


@dataclass(frozen=True, slots=True)
class CommitLimits:
    """Bounds of one process's committer."""

    batch: int = 256
    queued: int = 4096
    queued_reads: int = 20_000
    read_seconds: float = 0.2


class Footprint:
    """Where the first event of a request lies, for requests of several commits; and what the request read of
    other tenants, each of whom gets an event of its own, once."""

    __slots__ = ("others", "position")

    def __init__(self) -> None:
        self.position: Position | None = None
        self.others: set[tuple[int, str]] = set()

    def add(self, position: Position | None) -> None:
        """An event became durable."""
        if self.position is None:
            self.position = position


class Waiter:
    """Lets a thread wait for one commit."""

    __slots__ = ("_event", "footprint", "outcome")

    def __init__(self, footprint: Footprint | None = None) -> None:
        self._event = threading.Event()
        self.outcome: Any = None
        self.footprint = footprint

    def __call__(self, outcome: Any) -> None:
        self.outcome = outcome
        self._event.set()

    def wait(self) -> Any:
        """The result, or raises the failure."""
        self._event.wait()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@dataclass(slots=True)
class _Job:
    commit: Commit[Any]
    done: Done
    raw: bool
    result: Any = None
    failed: BaseException | None = None
    first: int | None = None
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class CommitTools:
    """What a committer works with."""

    db: Database
    engine: BlobEngine
    recorder: Recorder
    keys: KeyRing
    clock: Clock
    log: Log
    trusted: TrustedTime


class Committer:
    """Implements the edge's `Committer`; `run` serves threads that want to wait."""

    def __init__(self, tools: CommitTools, limits: CommitLimits | None = None) -> None:
        self._tools = tools
        self._limits = limits or CommitLimits()
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._reads: collections.deque[Read] = collections.deque()
        self._leases = Leases(tools.recorder)
        self._woken = False
        self._failing = False
        self._closing = False
        self.oldest_read: Callable[[], int | None] = lambda: None
        self._marked_us = 0
        self._thread = threading.Thread(target=self._loop, name="committer", daemon=True)
        self._thread.start()

    # --- callers

    def submit(self, commit: Commit[Any], done: Done) -> None:
        """Queue a write. Raises `Unavailable` when too many wait."""
        self._put(_Job(commit, done, raw=False))

    def run(self, step: Step[T], footprint: Footprint | None = None) -> T:
        """Commit and wait. Not for the committer's own thread."""
        waiter = Waiter(footprint)
        self._put(_Job(Commit(step.work, _unrendered, step.record, step.reach), waiter, raw=True))
        result: T = waiter.wait()
        return result

    def run_all(self, steps: Sequence[Step[T]], footprint: Footprint | None = None) -> list[T | Error]:
        """Commit many, sharing batches, and wait for all. Failures other than `Error` are raised."""
        waiters = []
        for step in steps:
            waiter = Waiter(footprint)
            self._put(_Job(Commit(step.work, _unrendered, step.record, step.reach), waiter, raw=True))
            waiters.append(waiter)
        results: list[T | Error] = []
        for waiter in waiters:
            try:
                results.append(waiter.wait())
            except Error as error:
                results.append(error)
        return results

    def note(self, draft: Draft) -> None:
        """Queue the event of a read whose answer does not name its place. Raises `Unavailable` when too many are
        not yet durable."""
        self._bound()
        self._reads.append((draft, None))
        self._wake()

    def place(self, draft: Draft) -> str | None:
        """Queue the event of a read at a leased place: what the answer's header says. None: there is no place in
        stock, the event must be committed. Raises `Unavailable` as `note`."""
        self._bound()
        held = self._leases.take(draft.tenant)
        if held is None:
            return None
        self._reads.append((draft, held))
        self._wake()
        return str(held)

    def _bound(self) -> None:
        if len(self._reads) >= self._limits.queued_reads:
            raise Unavailable("audit events cannot be written fast enough; repeat the call later", "audit")

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._queue.put(None)

    def close(self) -> None:
        """Commit what is queued and end the thread."""
        self._leases.close()
        self._closing = True
        self._queue.put(None)
        self._thread.join()

    def _put(self, job: _Job) -> None:
        if self._closing or self._queue.qsize() >= self._limits.queued:
            raise Unavailable("too many writes are waiting; repeat the call later", "queue")
        self._queue.put(job)

    # --- the thread

    def _loop(self) -> None:
        deadline: float | None = None
        while True:
            jobs, woken = self._next(deadline)
            if not woken:
                self._tools.keys.held()
            now = self._tools.clock.monotonic()
            if not jobs and self._reads and not self._closing:
                if deadline is None:
                    deadline = now + self._limits.read_seconds
                if now < deadline and woken:
                    continue
            done = self._commit(jobs, now)
            deadline = None
            if self._closing and self._queue.empty() and not (self._reads and done):
                return

    def _next(self, deadline: float | None) -> tuple[list[_Job], bool]:
        """The next batch: waits for one thing, then takes what else is there. False: the time is up."""
        if deadline is None:
            timeout = IDLE if self._leases.holding else MARK_SECONDS
        else:
            timeout = max(0.0, deadline - self._tools.clock.monotonic())
        try:
            first = self._queue.get(timeout=timeout)
        except queue.Empty:
            return [], False
        jobs = [] if first is None else [first]
        while len(jobs) < self._limits.batch:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is not None:
                jobs.append(job)
        return jobs, True

    def _commit(self, jobs: list[_Job], now: float) -> bool:
        """Commit a batch and tell its callers; False when the database would not have it."""
        self._woken = False  # before the queue is emptied: an event noted from here on wakes us again
        reads = [self._reads.popleft() for _ in range(len(self._reads))]
        turn = self._leases.begin(now)
        if not (jobs or reads or turn.pads or turn.doubtful or self._reading() is not None):
            return True
        able, durable = self._append(jobs), True
        try:
            if not self._transact(able, reads, turn, guarded=False):
                self._transact(able, reads, turn, guarded=True)
            self._leases.done(turn)
            self._lost(turn)
            if self._failing:  # and alerts that could not be written meanwhile are written now
                self._failing = False
                self._tools.log.event("commit.recovered", "warning")
        except BaseException as error:
            self._failing = True
            self._tools.log.alert("commit.failed", writes=len(able), reads=len(reads), cause=_told(error))
            self._reads.extendleft(reversed(reads))
            self._leases.undone(turn)
            durable = False
            for job in able:
                job.failed = _public(error)
        try:
            self._report(jobs)
        except Exception as error:  # a listener that went away must not end this thread
            self._tools.log.alert("commit.report", cause=repr(error))
        return durable

    def _lost(self, turn: Turn) -> None:
        """Places were filled by others because this process did not write for long: its reads took new ones."""
        for lease in turn.lost:
            self._tools.log.alert("ledger.places_lost", origin=lease.origin, first=lease.first, stop=lease.stop)

    def _append(self, jobs: list[_Job]) -> list[_Job]:
        """Put small bodies into the log. The jobs that may go on: all, or those without a body when the
        engine has no room or fails (deleting must stay possible)."""
        records = [job.commit.record for job in jobs if job.commit.record is not None]
        fresh = [record for record in records if not record.extent]
        if not fresh:
            return jobs
        try:
            extents = self._tools.engine.append([record_pieces(record.owner, record.data) for record in fresh])
        except Exception as error:
            self._tools.log.alert("append.failed", writes=len(fresh), cause=_told(error))
            for job in jobs:
                job.failed = _public(error) if job.commit.record is not None else None
            return [job for job in jobs if job.failed is None]
        for record, extent in zip(fresh, extents, strict=True):
            record.extent = record_ref(extent, record.owner)
        return jobs

    def _transact(self, jobs: list[_Job], reads: list[Read], turn: Turn, guarded: bool) -> bool:
        """Run the batch; False when a work failed and the batch must be run again, guarded."""
        try:
            reach = max([job.commit.reach for job in jobs], default=Reach.EVENTS)
            with self._tools.db.write(reach) as tx:
                now_us, trusted = self._tools.clock.now_us(), self._tools.trusted.now_us()
                batch = Batch(tx, self._tools.keys, now_us, len(jobs), trusted, reach)
                if not guarded:
                    batch.look_ahead(_targets(jobs))
                for job in jobs:
                    if guarded:
                        self._attempt(batch, job)
                    else:
                        self._try(batch, job)
                self._mark_reading(tx, batch.now_us)
                batch.finish()
                placed, fresh = self._leases.write(tx, turn, reads)
                positions = self._tools.recorder.record(tx, [*fresh, *batch.drafts], placed)
                self._leases.lease(tx, turn)
                for job in jobs:
                    job.position = None if job.first is None else positions[len(fresh) + job.first]
        except Exception as error:
            if guarded or (isinstance(error, Unavailable) and error.reason == "database"):
                raise  # it may have been durable all the same: nothing is done twice
            if not isinstance(error, Error):
                self._tools.log.event("commit.retry", "warning", cause=repr(error))
            return False
        return True

    def _reading(self) -> int | None:
        """When the oldest long read began, if it is time to tell the collector about it."""
        now = self._tools.clock.now_us()
        oldest = self.oldest_read() if now - self._marked_us >= MARK_SECONDS * US else None
        return oldest if oldest is not None and oldest < now - LONG_SECONDS * US else None

    def _mark_reading(self, tx: Tx, now_us: int) -> None:
        oldest = self._reading()
        if oldest is not None:
            garbage_store.set_reading(tx, self._tools.recorder.source, oldest, now_us)
            self._marked_us = now_us

    def _try(self, batch: Batch, job: _Job) -> None:
        """Run a work without a savepoint. A refusal before its first write needs none."""
        job.failed = job.first = None
        writes, drafts = batch.writes, len(batch.drafts)
        try:
            job.result = job.commit.work(batch)
            job.first = drafts if len(batch.drafts) > drafts else None
        except Error as error:
            if batch.writes != writes or len(batch.drafts) != drafts:
                raise
            self._refuse(batch, job, error)

    def _refuse(self, batch: Batch, job: _Job, error: Exception) -> None:
        job.failed = error
        if job.commit.record is not None and job.commit.record.extent:
            batch.drop(job.commit.record.extent, "")

    def _attempt(self, batch: Batch, job: _Job) -> None:
        """Run a work in a savepoint."""
        job.failed = job.first = None
        mark, drafts = batch.mark(), len(batch.drafts)
        try:
            job.result = batch.guarded(job.commit.work)
            job.first = drafts if len(batch.drafts) > drafts else None
        except Exception as error:
            batch.restore(mark)
            self._refuse(batch, job, error)

    def _report(self, jobs: list[_Job]) -> None:
        outcomes: list[tuple[Done, Outcome]] = []
        for job in jobs:
            if job.failed is not None:
                outcomes.append((job.done, job.failed))
            elif job.raw:
                if isinstance(job.done, Waiter) and job.done.footprint is not None:
                    job.done.footprint.add(job.position)
                job.done(job.result)
            else:
                outcomes.append((job.done, _rendering(job)))
        done_many(outcomes)


def _targets(jobs: Sequence[_Job]) -> list[tuple[int, str]]:
    """What the works of a batch are known to be put over."""
    records = (job.commit.record for job in jobs)
    return [record.target for record in records if record is not None and record.target is not None]


def _public(error: BaseException) -> BaseException:
    """What callers are told when a whole batch could not be made durable."""
    if isinstance(error, Error):
        return error
    return Unavailable("the write could not be made durable; repeat the call later", "commit", cause=repr(error))


def _told(error: BaseException) -> str:
    """What the operator reads: what callers may know, and the cause behind it."""
    return f"{error.public} ({error.cause or error.reason})" if isinstance(error, Error) else repr(error)


def _rendering(job: _Job) -> Callable[[], Response]:
    if job.position is None:
        return lambda: job.commit.render(job.result)
    return lambda: _rendered(job)


def _rendered(job: _Job) -> Response:
    """The answer with the place of its event; a refusal that left one names it too."""
    try:
        response = job.commit.render(job.result)
    except Error as error:
        error.detail["headers"] = [*error.detail.get("headers", ()), (HEADER, str(job.position))]
        raise
    response.headers.append((HEADER, str(job.position)))
    return response


def _unrendered(_: Any) -> Response:
    raise AssertionError("a step that is run has no answer to render")
