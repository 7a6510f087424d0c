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


def start_ledger(base: Base, leases: Leases, ending: threading.Event) -> list[threading.Thread]:
    """The threads that sign checkpoints and have them witnessed, until `ending` is set. Without the keys they are not
    started, with an alert: events are recorded all the same, and signed when the keys are back."""
    from andromede.sovereignty import witnessing
    from andromede.sovereignty.log import Logs
    from andromede.sovereignty.logkeys import LogKeys
    from andromede.sovereignty.sequencer import Parts, Sequencer

    settings = base.config.ledger
    try:
        keys = LogKeys.open(log_key_file(base.config))
    except Error as error:
        base.log.alert("ledger.keys", cause=error.public)
        return []
    about = (base.clock, base.ids, base.log, settings.witness_seconds, settings.private_witnesses)
    sender = witnessing.Witnessing(witnessing.Parts(base.db, Logs(base.db, keys), leases, *about))
    sequencer = Sequencer(Parts(base.db, keys, leases, base.clock, base.log, sender.may_sign))
    threads = [
        threading.Thread(
            target=sequencer.run, args=(ending, settings.checkpoint_seconds), name="sequencer", daemon=True
        ),
        threading.Thread(target=sender.run, args=(ending,), name="witnessing", daemon=True),
    ]
    for thread in threads:
        thread.start()
    return threads


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
