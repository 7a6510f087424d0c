"""The one way in which the hosting services change anything: rows, audit event and wake in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from andromede.audit.answers import draft, own_log
from andromede.audit.event import Draft
from andromede.audit.service import Recorder
from andromede.clock import Clock
from andromede.db import Database, Reach, Tx
from andromede.ids import Ids
from andromede.web.call import Call

SYSTEM = "system:work"
"""The actor of events that no request began."""


@dataclass(slots=True)
class Change:
    """A mutation under way. `object` is what it touches, `tenant` the project that owns it."""

    tx: Tx
    now_us: int
    object: str = ""
    tenant: str = ""
    detail: dict[str, str | int] = field(default_factory=dict)


def nobody() -> None:
    """Wakes nobody: a worker that polls will see the row."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What every hosting service stands on, shared by its parts; immutable. `wake` tells the workers of this machine
    that a row wants work; it may be called too often."""

    db: Database
    clock: Clock
    ids: Ids
    recorder: Recorder
    wake: Callable[[], None] = nobody

    @contextmanager
    def change(
        self, call: Call[Any], object: str = "", tenant: str = "", reach: Reach = Reach.EVENTS
    ) -> Iterator[Change]:
        """One transaction that ends with one audit event of the call; nothing of it stays when it raises. Without a
        `tenant` the event goes into the log of the caller's project. Workers are woken once it is durable. `reach` is
        EVERYTHING where keys, containers or identity change too: the rows of hosting are remembered by nobody."""
        with self.db.write(reach) as tx:
            change = Change(tx, self.clock.now_us(), object, tenant)
            yield change
            log = change.tenant or own_log(call)
            self.recorder.record(tx, [draft(call, change.object, log, detail=change.detail)])
            tx.after(self.wake)

    @contextmanager
    def system(
        self, action: str, object: str, tenant: str, request_id: str, reach: Reach = Reach.EVENTS
    ) -> Iterator[Change]:
        """The same for a change that the program makes by itself, or in the course of an earlier request."""
        with self.db.write(reach) as tx, self.within(tx, action, object, tenant, request_id) as change:
            yield change

    @contextmanager
    def within(self, tx: Tx, action: str, object: str, tenant: str, request_id: str) -> Iterator[Change]:
        """The same as a part of another change, in its transaction: both come to pass, or neither."""
        change = Change(tx, self.clock.now_us(), object, tenant)
        yield change
        event = Draft(
            change.tenant, SYSTEM, action, change.object, request_id, "success", "CUSTOMER_ACCESS",
            change.detail or None,
        )  # fmt: skip
        self.recorder.record(tx, [event])
        tx.after(self.wake)
