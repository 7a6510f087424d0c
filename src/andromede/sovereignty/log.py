"""What can be read of the logs: states, checkpoints, tiles, proofs, events. Safe from many threads."""

from __future__ import annotations

from functools import partial

from andromede.db import Database
from andromede.errors import Invalid, NotFound
from andromede.ledger import tree
from andromede.ledger.note import Verifier
from andromede.ledger.tree import HASH_SIZE, TILE_WIDTH, Reader
from andromede.sovereignty import store, tiles
from andromede.sovereignty.logkeys import LogKeys
from andromede.sovereignty.store import LogState, Stored

__all__ = ["LogState", "Logs", "Stored"]

EVENTS_LIMIT = 1000
"""Most events of one call of `Logs.events`."""


class Logs:
    """Every log of an installation."""

    def __init__(self, db: Database, keys: LogKeys) -> None:
        self._db = db
        self._keys = keys

    def log(self, tenant: str) -> LogState | None:
        """The log of a tenant ("" for the installation), None before its first event."""
        return store.log(self._db, tenant)

    def by_origin(self, origin: str) -> LogState | None:
        """The log with this origin."""
        return store.by_origin(self._db, origin)

    def all(self) -> list[LogState]:
        """Every log, in order of tenant."""
        return store.logs(self._db)

    def verifiers(self, origin: str) -> tuple[Verifier, Verifier]:
        """The Ed25519 and the ML-DSA-44 key that sign the checkpoints of a log."""
        return self._keys.verifiers(origin)

    def newest(self, origin: str) -> Stored | None:
        """The row of the newest signed checkpoint."""
        return store.newest(self._db, origin)

    def cosigned(self, origin: str) -> list[Stored]:
        """Rows of the newest checkpoints with cosignatures, newest first (a few are kept)."""
        return store.cosigned(self._db, origin)

    def checkpoint(self, origin: str) -> str | None:
        """The newest signed note with the cosignatures gathered for it."""
        found = store.newest(self._db, origin)
        return found.text if found else None

    def witnessed(self, origin: str) -> str | None:
        """The newest note that has cosignatures."""
        found = store.cosigned(self._db, origin)
        return found[0].text if found else None

    def hashes(self, origin: str) -> Reader:
        """A reader of the log's hashes that remembers the tiles it has read: use it for one proof or a few."""
        known: dict[tuple[int, int], bytes | None] = {}
        find = partial(store.tile, self._db, origin)

        def remembered(level: int, number: int) -> bytes | None:
            at = (level, number)
            if at not in known:
                known[at] = find(level, number)
            return known[at]

        return tiles.reader(remembered, origin)

    def inclusion(self, origin: str, index: int, size: int) -> list[bytes]:
        """The audit path of an entry under the root of `size` entries, leaf side first. `Invalid` outside the log."""
        self._within(origin, size)
        if not 0 <= index < size:
            raise Invalid(f"entry {index} is not among the first {size} of {origin}", "index")
        return tree.inclusion(self.hashes(origin), index, size)

    def consistency(self, origin: str, old: int, size: int) -> list[bytes]:
        """The proof that the log of `old` entries is a prefix of the log of `size`. `Invalid` outside the log."""
        self._within(origin, size)
        if not 0 <= old <= size:
            raise Invalid(f"a log of {size} entries cannot extend one of {old}", "size")
        return tree.consistency(self.hashes(origin), old, size)

    def _within(self, origin: str, size: int) -> None:
        log = self._require(origin)
        if not 0 <= size <= log.size:
            raise Invalid(f"the log {origin} has {log.size} entries, not {size}", "size")

    def _require(self, origin: str) -> LogState:
        log = store.by_origin(self._db, origin)
        if log is None:
            raise NotFound(f"there is no log {origin}", "log")
        return log

    def tile(self, origin: str, level: int, number: int, width: int = TILE_WIDTH) -> bytes:
        """`width` hashes (1 to 256) of a tile. `NotFound` when the log is not that long."""
        found = self._tile(origin, level or tiles.ENTRIES, number, width)
        return found if level else b"".join(map(tree.leaf_hash, tiles.split(found)))

    def entries(self, origin: str, number: int, width: int = TILE_WIDTH) -> bytes:
        """`width` entries (1 to 256) of an entries tile, each after its length in two bytes."""
        found = self._tile(origin, tiles.ENTRIES, number, width)
        return b"".join(HASH_SIZE.to_bytes(2, "big") + entry for entry in tiles.split(found))

    def _tile(self, origin: str, level: int, number: int, width: int) -> bytes:
        data = b""
        if level >= tiles.ENTRIES and 0 <= number < 1 << 55 and 1 <= width <= TILE_WIDTH:
            data = store.tile(self._db, origin, level, number) or b""
        if len(data) < width * HASH_SIZE or not data:
            raise NotFound(f"the log {origin} has no such tile", "tile")
        return data[: width * HASH_SIZE]

    def events(self, tenant: str, first: int, to: int) -> list[tuple[int, bytes | None, bytes]]:
        """(index, salt, event) of first <= index < to, at most `EVENTS_LIMIT`; a pruned event has no salt."""
        return store.events(self._db, tenant, max(first, 0), min(to, (1 << 62)), EVENTS_LIMIT)
