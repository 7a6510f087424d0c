"""Garbage: bytes whose last reference ended a grace time ago, and files that never got one.

The grace, and the oldest read still in progress anywhere, keep bytes for readers that began before the
reference ended. Their wrapped data key is gone from the database since then.
"""

from __future__ import annotations

from andromede.clock import US, Wall
from andromede.db import Database
from andromede.objects import garbage_store
from andromede.objects.blobs import RECORD_LEAST, BlobEngine, Extent, is_log

READING_SECONDS = 120
"""How long the last word of a process about its oldest read counts."""


class Collector:
    """Runs in the `work` role, by a clock that does not jump ahead: the bytes of an upload in progress must not look
    old because the machine's clock was set."""

    def __init__(self, db: Database, engine: BlobEngine, clock: Wall, grace: int, orphan: int) -> None:
        self._db = db
        self._engine = engine
        self._clock = clock
        self._grace = grace
        self._orphan = orphan

    def collect(self, limit: int) -> int:
        """Remove due garbage; how many references were dealt with."""
        now = self._clock.now_us()
        before = now - self._grace * US
        reading = garbage_store.oldest_reading(self._db, now - READING_SECONDS * US)
        rows = garbage_store.due(self._db, before if reading is None else min(before, reading), limit)
        extents = [Extent.parse(row[1]) for row in rows]
        files = [extent.name for extent in extents if not is_log(extent.name)]
        for name in files:
            self._engine.remove(name)
        if rows:
            with self._db.write() as tx:
                for extent in extents:
                    if is_log(extent.name):
                        garbage_store.add_dead(tx, extent.name, extent.length + RECORD_LEAST)
                for name in files:
                    garbage_store.remove_file(tx, name)
                garbage_store.forget(tx, rows)
        return len(rows)

    def orphans(self) -> bool:
        """Remove files that no commit ever referred to: of uploads that broke off or crashed."""
        before = self._clock.now_us() - self._orphan * US
        for info in self._engine.listing():
            young = info.modified_us >= before
            if not info.is_log and not young and not garbage_store.has_file(self._db, info.name):
                self._engine.remove(info.name)
        return False
