"""Places of events in the logs of their tenants, and how an answer learns the place of its own."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from andromede.audit.event import Draft
from andromede.db import Tx

HEADER = "Andromede-Ledger"
"""On every answer that left an event: `<origin> <index>` of the first one."""
_MOST = 4096


class Position(msgspec.Struct, frozen=True):
    """An event's place in the log of its tenant. Its text is the value of the `Andromede-Ledger` header."""

    tenant: str
    origin: str
    index: int

    def __str__(self) -> str:
        return f"{self.origin} {self.index}"


class Places:
    """Request id -> the place of the first event that the request left, from its commit until its answer.

    Nothing is known before the transaction is durable, so that an answer never names a place that another
    event will get. Bounded: an id that nobody asks for makes room after 4096 others.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Position] = OrderedDict()

    def expect(self, tx: Tx, drafts: Sequence[Draft], positions: Sequence[Position]) -> None:
        """Publish these places once the transaction is durable."""
        found: dict[str, Position] = {}
        for draft, position in zip(drafts, positions, strict=True):
            found.setdefault(draft.request_id, position)
        tx.after(lambda: self._publish(found))

    def _publish(self, found: dict[str, Position]) -> None:
        with self._lock:
            for request_id, position in found.items():
                self._known.setdefault(request_id, position)
            while len(self._known) > self._most:
                self._known.popitem(last=False)

    def known(self, request_id: str) -> bool:
        """Whether the request left an event."""
        return request_id in self._known

    def take(self, request_id: str) -> Position | None:
        """The place of the request's first event, once."""
        with self._lock:
            return self._known.pop(request_id, None)
