"""The ledger of an installation: its keys, the thread that signs, its state in plain words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from andromede.app.base import Base
from andromede.config import Config
from andromede.db import Database
from andromede.errors import Error
from andromede.ops.layout import Layout

if TYPE_CHECKING:
    from andromede.sovereignty.log import Logs
    from andromede.work import Leases


def log_key_file(config: Config) -> Path:
    """The file of the keys that sign checkpoints."""
    return Layout(config.data).keys / "ledger.json"


def ledger_logs(base: Base) -> Logs:
    """Every log, for reading. Raises `Fatal` without the key file."""
    from andromede.sovereignty.log import Logs
    from andromede.sovereignty.logkeys import LogKeys

    return Logs(base.db, LogKeys.open(log_key_file(base.config)))


def start_sequencer(base: Base, leases: Leases, ending: threading.Event) -> threading.Thread:
    """The thread that turns events into signed checkpoints until `ending` is set. Without its keys it alerts and ends:
    events are recorded all the same, and signed when the keys are back."""
    from andromede.sovereignty.logkeys import LogKeys
    from andromede.sovereignty.sequencer import Parts, Sequencer

    def run() -> None:
        try:
            keys = LogKeys.open(log_key_file(base.config))
        except Error as error:
            base.log.alert("ledger.keys", cause=error.public)
            return
        parts = Parts(base.db, keys, leases, base.clock, base.log)
        Sequencer(parts).run(ending, base.config.ledger.checkpoint_seconds)

    thread = threading.Thread(target=run, name="sequencer", daemon=True)
    thread.start()
    return thread


def ledger_findings(base: Base, step: Callable[[], None]) -> list[dict[str, Any]]:
    """What is wrong with the ledger, as findings of fsck."""
    from andromede.sovereignty.check import Problem, check
    from andromede.sovereignty.logkeys import LogKeys

    try:
        keys = LogKeys.open(log_key_file(base.config))
    except Error as error:
        return [Problem("error", "ledger", "keys", error.public)._asdict()]
    return [problem._asdict() for problem in check(base.db, keys, step)]


def ledger_state(config: Config, db: Database) -> dict[str, Any]:
    """What the database tells of the logs, for `status`."""
    from andromede.sovereignty import store

    logs, entries, waiting = store.totals(db)
    refused = [{"origin": origin, "size": size, "reason": reason} for origin, size, reason in store.refusals(db)]
    keys = log_key_file(config).exists()
    return {"logs": logs, "entries": entries, "waiting": waiting, "refused": refused, "keys": keys}
