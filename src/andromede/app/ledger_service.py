"""The tenant's side of the ledger: for the API port, for the worker and for commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from andromede.app.base import Base
from andromede.app.ledger import ledger_logs
from andromede.errors import Error

if TYPE_CHECKING:
    from andromede.sovereignty.service import Ledger
    from andromede.web.api import Mount
    from andromede.work import Reconciler

RETENTION_SECONDS = 6 * 3600.0
ROOTS_SECONDS = 60.0


def ledger_service(base: Base) -> Ledger:
    """Every log of the installation, to read and to settle. Raises `Fatal` without the key file."""
    from andromede.sovereignty.service import Ledger, Tools
    from andromede.sovereignty.witness_circle import tenant_url

    settings = base.config.ledger
    guard = tenant_url(base.db, settings.private_witnesses)
    return Ledger(Tools(base.db, ledger_logs(base), base.recorder, base.clock, settings.retention_days, guard))


def ledger_mounts(base: Base) -> list[Mount]:
    """The ledger on the API port; without its keys it is missing there and everything else goes on."""
    from andromede.sovereignty.routes import mount

    try:
        return [mount(ledger_service(base))]
    except Error as error:
        base.log.alert("ledger.keys", cause=error.public)
        return []


def ledger_reconcilers(base: Base) -> list[Reconciler]:
    """Retention and the monthly roots."""
    from andromede.sovereignty.retention import Retention, Steady
    from andromede.sovereignty.roots import MonthlyRoots
    from andromede.work import Reconciler

    try:
        logs = ledger_logs(base)
    except Error:
        return []  # the sequencer of the same process alerts
    days = base.config.ledger.retention_days
    retention = Retention(base.db, logs, base.recorder, base.clock, base.ids)
    steady = Steady(base.clock)
    roots = MonthlyRoots(base.db, logs, base.recorder, base.clock, base.ids)
    return [
        Reconciler("ledger.retention", RETENTION_SECONDS, lambda: steady() and retention.turn(days)),
        Reconciler("ledger.roots", ROOTS_SECONDS, roots.turn),
    ]
