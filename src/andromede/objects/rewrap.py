"""After a key was rotated: data keys under its former versions are wrapped anew, in batches, and a
former version is forgotten once nothing is wrapped under it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from andromede.db import Database, Tx
from andromede.keys import KeyRing
from andromede.keys import store as key_store
from andromede.keys.wrap import parent_version
from andromede.objects import version_store
from andromede.objects.model import Location

BATCH = 500
Rewrap = Callable[[Tx, KeyRing, str, int], bool]
"""(transaction, keys, key id, most) -> whether nothing of its kind is left under a former version of the key."""


class Rewrapper:
    """Runs in the `work` role. Remembers how far it came only within the process: starting over is harmless. `others`
    wrap anew what is no object: secrets, disks."""

    def __init__(self, db: Database, keys: KeyRing, others: Sequence[Rewrap]) -> None:
        self._db = db
        self._keys = keys
        self._others = others
        self._at: dict[str, version_store.Cursor] = {}

    def run(self) -> bool:
        """One batch; True when more is waiting."""
        pending = key_store.all_formers(self._db)
        if not pending:
            return False
        key_id, version = pending[0]
        with self._db.write() as tx:
            if not self._batch(tx, key_id) and all(other(tx, self._keys, key_id, BATCH) for other in self._others):
                self._keys.retire(tx, key_id, version)
                self._at.pop(key_id, None)
        return True

    def _batch(self, tx: Tx, key_id: str) -> bool:
        cursor = self._at.get(key_id) or version_store.Cursor()
        newest = self._keys.newest(key_id, tx)
        rows, after = version_store.wrapped_under(tx, key_id, cursor, BATCH)
        for place, body in rows:
            if parent_version(body.wrapped) != newest.version:
                version_store.set_wrapped(tx, place, self._anew(tx, body))
        self._at[key_id] = after
        return not after.done

    def _anew(self, tx: Tx, body: Location) -> Location:
        plain = self._keys.open_data_key(body.kek, body.blob_id, body.wrapped, tx)
        wrapped = self._keys.seal_data_key(self._keys.newest(body.kek, tx), body.blob_id, plain)
        return msgspec.structs.replace(body, wrapped=wrapped)
