"""Background work: leases by row, and loops that reconcile what is with what should be."""

from andromede.work.leases import MIGRATIONS, Leases
from andromede.work.loop import Loop, Reconciler

__all__ = ["MIGRATIONS", "Leases", "Loop", "Reconciler"]
