"""Retention: events lose salt and content at an age; their hashes stay, so the tree and other receipts stay valid."""

from __future__ import annotations

from collections.abc import Iterator

from andromede.audit import INSTALLATION, Draft, Recorder
from andromede.clock import US, Clock
from andromede.db import Database
from andromede.ids import Ids, request_id
from andromede.sovereignty import policy_store
from andromede.sovereignty.log import Logs, LogState

MINIMUM_DAYS = 183
"""Six months: no setting makes the rule shorter."""
DAY_US = 86_400 * US
BATCH = 1000
STEADY_SECONDS, SLACK_SECONDS = 3600.0, 600.0


class Steady:
    """Whether the wall clock has gone at the pace of the monotonic one for a while. What is removed for good must not
    be removed because a clock jumped, or was wrong when the machine started."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun = (clock.monotonic(), clock.now_us())

    def __call__(self) -> bool:
        now, wall = self._clock.monotonic(), self._clock.now_us()
        passed = now - self._begun[0]
        if abs((wall - self._begun[1]) / US - passed) > SLACK_SECONDS:
            self._begun = now, wall
            return False
        return passed >= STEADY_SECONDS


class Retention:
    """Applies the rule, a bounded number of events at a time. Every step can be repeated."""

    def __init__(self, db: Database, logs: Logs, recorder: Recorder, clock: Clock, ids: Ids) -> None:
        self._db = db
        self._logs = logs
        self._recorder = recorder
        self._clock = clock
        self._ids = ids

    def turn(self, days: int) -> bool:
        """Go through each log once; whether there is more to do."""
        before = self._clock.now_us() - max(days, MINIMUM_DAYS) * DAY_US
        turns = [self._one(log, before) for log in self._logs.all()]
        return any(turns)

    def _one(self, log: LogState, before: int) -> bool:
        first = policy_store.pruned_upto(self._db, log.tenant)
        rows = policy_store.aged(self._db, log.tenant, first, log.size, BATCH)
        end = first
        for position, ts in rows:
            if int(ts) >= before:
                break
            end = int(position) + 1
        if end == first:
            return False
        with self._db.write() as tx:
            kept = _kept(policy_store.months(tx)) if log.tenant == INSTALLATION else []
            gone = sum(policy_store.blank(tx, log.tenant, low, high) for low, high in _without(first, end, kept))
            policy_store.put_pruned(tx, log.tenant, end)
            if gone:
                self._recorder.record(tx, [self._told(log, first, end, gone)])
        return end - first == BATCH

    def _told(self, log: LogState, first: int, end: int, gone: int) -> Draft:
        return Draft(
            log.tenant, f"source:{self._recorder.source}", "ledger.prune", f"events:{first}-{end - 1}",
            request_id(self._ids), purpose="ERASURE", detail={"first": first, "end": end, "removed": gone},
        )  # fmt: skip


def _kept(months: list[tuple[object, ...]]) -> list[tuple[int, int]]:
    """Ranges of the installation's log that hold signed monthly roots: these stay."""
    return sorted((int(str(row[1])), int(str(row[1])) + int(str(row[2]))) for row in months)


def _without(first: int, end: int, kept: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for low, high in kept:
        if low >= end or high <= first:
            continue
        if first < low:
            yield first, low
        first = max(first, high)
    if first < end:
        yield first, end
