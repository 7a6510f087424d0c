"""What the compute service forgets by itself: servers that were deleted long ago, and console tokens that expired."""

from __future__ import annotations

from andromede.clock import US
from andromede.compute import server_store
from andromede.compute.consoles import Consoles
from andromede.compute.core import Core
from andromede.db import Reach
from andromede.work import Reconciler

KEPT_DAYS = 90
"""For how long deleted servers stay for lists of deleted ones, their history and usage."""
EVERY_SECONDS = 600.0
BATCH = 200


class Cleaning:
    """A bounded amount a turn."""

    def __init__(self, core: Core, consoles: Consoles) -> None:
        self._core = core
        self._consoles = consoles

    def run(self) -> bool:
        """One turn; whether more is waiting."""
        self._consoles.sweep()
        desk = self._core.desk
        before = desk.clock.now_us() - KEPT_DAYS * 86_400 * US
        old = server_store.deleted_before(desk.db, before, BATCH)
        if old:
            with desk.db.write(Reach.EVENTS) as tx:
                server_store.forget(tx, old)
        return len(old) == BATCH

    def reconciler(self) -> Reconciler:
        """For the host role's loop."""
        return Reconciler("compute.cleaning", EVERY_SECONDS, self.run, 120)
