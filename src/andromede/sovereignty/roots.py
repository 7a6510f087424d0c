"""The monthly signed root: once a calendar month (UTC) the installation's log takes in the size and root of every
log, so that one receipt a month holds the whole installation to its word."""

from __future__ import annotations

import base64
import json
from typing import Any

from andromede.audit import INSTALLATION, Draft, Recorder
from andromede.clock import Clock, utc
from andromede.db import Database
from andromede.ids import Ids, request_id
from andromede.sovereignty import policy_store
from andromede.sovereignty.log import Logs, LogState

ACTION = "ledger.root"
LOGS_PER_EVENT = 100


class MonthlyRoots:
    """Writes a month's roots, in one transaction."""

    def __init__(self, db: Database, logs: Logs, recorder: Recorder, clock: Clock, ids: Ids) -> None:
        self._db = db
        self._logs = logs
        self._recorder = recorder
        self._clock = clock
        self._ids = ids

    def turn(self) -> bool:
        """Write this month's roots unless they are written; a month begins with its first turn after an entry."""
        month = utc(self._clock.now_us()).strftime("%Y-%m")
        if policy_store.has_month(self._db, month):
            return False
        logs = sorted((log for log in self._logs.all() if log.size), key=lambda log: log.origin)
        if not logs:
            return False
        pages = [logs[at : at + LOGS_PER_EVENT] for at in range(0, len(logs), LOGS_PER_EVENT)]
        drafts = [self._page(month, number, len(pages), page) for number, page in enumerate(pages, 1)]
        with self._db.write() as tx:
            if policy_store.claim_month(tx, month, self._clock.now_us()):
                positions = self._recorder.record(tx, drafts)
                policy_store.put_month(tx, month, positions[0].index, len(pages), len(logs))
        return False

    def _page(self, month: str, number: int, pages: int, logs: list[LogState]) -> Draft:
        roots = {log.origin: f"{log.size} {base64.b64encode(log.root).decode()}" for log in logs}
        detail: dict[str, str | int] = {"month": month, "page": number, "pages": pages, **roots}
        return Draft(
            INSTALLATION, f"source:{self._recorder.source}", ACTION, f"roots:{month}", request_id(self._ids),
            purpose="OPERATOR_SYSTEM", detail=detail,
        )  # fmt: skip


def months(db: Database, logs: Logs, limit: int) -> list[dict[str, Any]]:
    """The newest months: where their roots stand in the installation's log, and the roots by origin."""
    found = []
    for month, position, pages, count, at_us in policy_store.months(db)[:limit]:
        rows = logs.events(INSTALLATION, int(position), int(position) + int(pages))
        roots: dict[str, Any] = {}
        for _, _, body in rows:
            detail = json.loads(body)["detail"] if body else {}
            roots |= {origin: value.split(" ") for origin, value in detail.items() if "/" in origin}
        found.append({"month": month, "index": position, "pages": pages, "logs": count, "at": at_us, "roots": roots})
    return found
