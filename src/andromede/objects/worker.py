"""What the `work` role does for objects: expire, collect, compact, forget. Every step may be repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from andromede.objects import expiry, upload_store
from andromede.objects.collect import Collector
from andromede.objects.compact import Compactor
from andromede.objects.rewrap import Rewrap, Rewrapper
from andromede.objects.service import REPEAT_SECONDS, Objects, Tools
from andromede.work import Reconciler

BATCH = 500


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds. `grace`: age of garbage at removal; `orphan`: age of files that nothing refers to;
    `every`: rest between turns."""

    grace: int = 900
    orphan: int = 3600
    every: float = 5.0


def reconcilers(
    tools: Tools, objects: Objects, rhythm: Rhythm, more: Sequence[Reconciler] = (), rewraps: Sequence[Rewrap] = ()
) -> list[Reconciler]:
    """All of them; `more` are those of other modules (lifecycle, log delivery), `rewraps` what others wrap anew."""
    collector = Collector(tools.db, tools.engine, objects.trusted, rhythm.grace, rhythm.orphan)
    compactor = Compactor(tools.db, tools.engine, objects, tools.log)

    def forget() -> bool:
        with tools.db.write() as tx:
            before = tools.clock.now_us() - REPEAT_SECONDS * 1_000_000
            return upload_store.forget_completed(tx, before, BATCH) == BATCH

    return [
        Reconciler("objects.expire", rhythm.every, lambda: expiry.expire_due(objects, tools, BATCH) == BATCH),
        Reconciler("objects.garbage", rhythm.every, lambda: collector.collect(BATCH) == BATCH),
        Reconciler("objects.orphans", max(rhythm.every, rhythm.orphan / 4), collector.orphans),
        Reconciler("objects.compact", rhythm.every * 4, compactor.compact),
        Reconciler("objects.uploads", 600.0, forget),
        Reconciler("objects.rewrap", rhythm.every * 12, Rewrapper(tools.db, tools.keys, rewraps).run),
        *more,
    ]
