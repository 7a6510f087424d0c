"""Numbering and writing of audit events."""

from __future__ import annotations

from collections.abc import Sequence

from andromede.audit import store
from andromede.audit.event import Draft, event_bytes
from andromede.clock import Clock
from andromede.db import Tx


class Recorder:
    """Writes the events of one process, its *source*: `seq` is contiguous within it. A source's name
    is stable over restarts (`objects-0`, `api-0`), so that silence and gaps show."""

    def __init__(self, source: str, clock: Clock) -> None:
        self.source = source
        self._clock = clock

    def record(self, tx: Tx, drafts: Sequence[Draft]) -> int:
        """Write the events in the transaction of their effect; the id of the first. Cheaper in one
        call per transaction than one by one."""
        if not drafts:
            return 0
        first = tx.take("audit", len(drafts))
        seq = tx.take("audit/" + self.source, len(drafts))
        now = self._clock.now_us()
        store.insert(
            tx,
            [
                (first + n, draft.tenant, self.source, seq + n, now, event_bytes(draft, self.source, seq + n, now))
                for n, draft in enumerate(drafts)
            ],
        )
        return first

    def mark(self, tx: Tx, word: str, request_id: str) -> None:
        """`source.start`, `source.stop` or `source.heartbeat`: makes silence visible."""
        self.record(
            tx,
            [Draft("", f"source:{self.source}", f"source.{word}", self.source, request_id, purpose="OPERATOR_SYSTEM")],
        )
