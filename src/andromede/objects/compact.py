"""Compaction: live records of mostly dead logs are appended anew, then the log is removed.

Moving a record is an ordinary group commit: the sealed bytes go to the worker's own log, and the row
changes its reference only if it still names the old place. The old place becomes garbage with its grace.
"""

from __future__ import annotations

from dataclasses import dataclass

from andromede.db import Database, Tx
from andromede.log import Log
from andromede.objects import fsck_store, garbage_store, version_store
from andromede.objects.batch import Batch
from andromede.objects.blobs import BlobEngine, BlobInfo, Extent, record_size, records
from andromede.objects.commit import Step
from andromede.objects.model import Location, SmallRecord
from andromede.objects.service import Objects

TOGETHER = 64
LOGS_AT_ONCE = 4
LOOK_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Owner:
    """The row that a record belongs to: a version (container, key, blob id) or a part (owner, number)."""

    kind: str
    scope: str
    blob_id: str
    name: str

    @classmethod
    def parse(cls, raw: bytes) -> Owner:
        """Read a record's header."""
        return cls(*raw.decode().split("\0", 3))

    def body(self, reader: Database | Tx) -> Location | None:
        """Where the row says its bytes are; None when there is no such row."""
        if self.kind == "p":
            part = version_store.one_part(reader, self.scope, int(self.name))
            return part.body if part is not None else None
        found = version_store.by_internal_id(reader, int(self.scope), self.name, self.blob_id)
        if found is None and (moved := garbage_store.where_moved(reader, self.blob_id)) is not None:
            found = version_store.by_internal_id(reader, moved[0], moved[1], self.blob_id)
        return found[0].body if found is not None else None

    def move(self, tx: Tx, old: str, new: str) -> bool:
        """Point the row at the new place if it still names the old one."""
        body = self.body(tx)
        if body is None or body.ref != old:
            return False
        if self.kind == "p":
            version_store.move_part(tx, self.scope, int(self.name), new)
        else:
            version_store.move_bytes(tx, self.blob_id, old, new, self._place(tx))
        return True

    def _place(self, tx: Tx) -> tuple[int, str]:
        moved = garbage_store.where_moved(tx, self.blob_id)
        return (moved[0], moved[1]) if moved is not None else (int(self.scope), self.name)


def _begins_at(body: Location, extent: Extent) -> bool:
    """Whether a row says that its bytes begin where this record's do: then the record's head is wrong."""
    named = Extent.parse(body.ref)
    return (named.name, named.offset) == (extent.name, extent.offset)


class Compactor:
    """Runs in the `work` role."""

    def __init__(
        self, db: Database, engine: BlobEngine, objects: Objects, log: Log | None = None, share: float = 0.5
    ) -> None:
        self._log = log
        self._kept: set[str] = set()
        self._db = db
        self._engine = engine
        self._objects = objects
        self._share = share
        self._looked: dict[str, int] = {}

    def compact(self) -> bool:
        """Deal with a few logs; True when more are waiting."""
        dead = garbage_store.dead(self._db)
        mostly = [
            info
            for info in self._engine.listing(logs_only=True)
            if info.sealed and info.name not in self._kept and self._worth(info, dead.get(info.name, 0))
        ]
        for info in mostly[:LOGS_AT_ONCE]:
            self._empty(info)
        return len(mostly) > LOGS_AT_ONCE

    def _worth(self, info: BlobInfo, dead: int) -> bool:
        """Whether enough of a log is dead. The counted bytes leave out long names of rows, so a log is
        measured whenever the count has grown by a twentieth of its size."""
        if dead >= info.size * self._share:
            return True
        if dead - self._looked.get(info.name, 0) < info.size * LOOK_SHARE:
            return False
        self._looked[info.name] = dead
        return self._live(info) <= info.size * (1 - self._share)

    def _live(self, info: BlobInfo) -> int:
        reader = self._engine.open(Extent(info.name, 0, info.size))
        try:
            return sum(
                record_size(raw, extent)
                for raw, extent in records(reader, info.size, info.name)
                if (body := Owner.parse(raw).body(self._db)) is not None and body.ref == extent.text()
            )
        finally:
            reader.close()

    def _empty(self, info: BlobInfo) -> None:
        steps: list[Step[bool]] = []
        live = end = 0
        whole = True
        reader = self._engine.open(Extent(info.name, 0, info.size))
        try:
            for raw, extent in records(reader, info.size, info.name):
                owner, old = Owner.parse(raw), extent.text()
                body = owner.body(self._db)
                end = extent.offset + extent.length
                if body is None or body.ref != old:
                    whole = whole and (body is None or not _begins_at(body, extent))
                    continue
                live += 1
                steps.append(self._moving(raw, owner, old, self._engine.read(extent)))
                if len(steps) == TOGETHER:
                    self._objects.run_all(steps)
                    steps = []
        finally:
            reader.close()
        if steps:
            self._objects.run_all(steps)
        if not live and not garbage_store.waits(self._db, info.name):
            if not (whole and end == info.size) and fsck_store.file_in_use(self._db, info.name):
                self._keep(info.name, end)
                return
            self._engine.remove(info.name)
            self._looked.pop(info.name, None)
            with self._db.write() as tx:
                garbage_store.forget_log(tx, info.name)

    def _keep(self, name: str, end: int) -> None:
        """A head that does not read hides the records behind it, and rows refer to some: the log must stay."""
        self._kept.add(name)
        if self._log is not None:
            self._log.alert("log.damaged", log=name, offset=end, text="kept as it is; see andromede fsck --deep")

    def _moving(self, raw: bytes, owner: Owner, old: str, data: bytes) -> Step[bool]:
        record = SmallRecord(data)
        record.owner = raw

        def work(tx: Tx) -> bool:
            moved = owner.move(tx, old, record.extent)
            Batch.of(tx).drop(old if moved else record.extent, "")
            return moved

        return Step(work, record)
