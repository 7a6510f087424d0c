"""Background work: leases by row, and loops that reconcile what is with what should be."""

from andromede.work import trusted_store
from andromede.work.leases import MIGRATIONS as _LEASES
from andromede.work.leases import Leases
from andromede.work.loop import Loop, Reconciler
from andromede.work.trusted import Watch, open_trusted

MIGRATIONS = (*_LEASES, trusted_store.MIGRATION)

__all__ = ["MIGRATIONS", "Leases", "Loop", "Reconciler", "Watch", "open_trusted"]
