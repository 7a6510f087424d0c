"""The key ring: creates, opens and changes wrapping keys, and wraps data keys under them.

Plaintext keys stay in memory for at most `cache_seconds`, and no longer than until `sync` learns
that any key changed: callers read the change counter in the statement that finds the object.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from andromede.clock import Clock
from andromede.db import Database, Tx
from andromede.errors import Conflict, Denied, Fatal, NotFound
from andromede.ids import Ids
from andromede.keys import store, wrap
from andromede.keys.custody import Root
from andromede.keys.model import Kek, Key, Level, State

T = TypeVar("T")
_PERMIT_US = 600_000_000
_DATA_KEYS, _LOOK_SECONDS = 4096, 5.0


def foreign(key_id: str, what: str) -> Fatal:
    """The error of a key that stands where only keys of another project may."""
    return Fatal(f"key {key_id} of {what} belongs to another project: the row was altered or moved", "damage")


class Wrapped(Protocol):
    """Stored bytes with their wrapped data key and the key that wraps it (`objects.model.Location`)."""

    @property
    def blob_id(self) -> str: ...
    @property
    def kek(self) -> str: ...
    @property
    def wrapped(self) -> bytes: ...


class KeyRing:
    """Shared by all threads of a process."""

    def __init__(self, db: Database, root: Root, clock: Clock, ids: Ids, cache_seconds: int = 60) -> None:
        self._db = db
        self._root = root
        self._clock = clock
        self._ids = ids
        self._seconds = cache_seconds
        self._open: dict[tuple[str, int], Kek] = {}
        self._newest: dict[str, Kek] = {}
        self._data: dict[bytes, tuple[tuple[str, str, str | None], float, Any]] = {}
        self._look_at = 0.0
        self._seen = -1
        self._turn = 0
        self._gate = threading.Lock()

    # --- using keys

    def sync(self, changes: int | None) -> None:
        """Forget every plaintext key if any key has changed since the last look."""
        count = changes or 0
        if count != self._seen:
            self.forget()
            self._seen = count

    def forget(self) -> None:
        """Drop every plaintext key."""
        with self._gate:
            self._turn += 1  # what is being loaded now was read before: it is used once and not kept
            self._open.clear()
            self._newest.clear()
            self._data.clear()

    def held(self) -> int:
        """Drop plaintext keys whose time is over; how many wrapping keys are left in memory."""
        now = self._clock.monotonic()
        with self._gate:
            while self._open:  # in the order in which they were opened, all for the same time
                entry, kek = next(iter(self._open.items()))
                if kek.expires > now:
                    break
                del self._open[entry]
                self._newest.pop(kek.id, None)
            if now >= self._look_at:  # data keys end in no order: looked through once in a while
                self._look_at = now + _LOOK_SECONDS
                for wrapped, opened in list(self._data.items()):
                    if opened[1] <= now:
                        del self._data[wrapped]
            return len(self._open)

    def newest(self, key_id: str, reader: store.Reader | None = None) -> Kek:
        """The version of a key that new wrappings use."""
        kek = self._newest.get(key_id)
        if kek is None or kek.expires <= self._clock.monotonic():
            kek = self._load(key_id, None, reader or self._db)
        return kek

    def named(self, tenant: str, name: str) -> Kek:
        """A tenant's own key for SSE-KMS. NotFound reason `kms_key`."""
        key = store.named(self._db, tenant, name)
        if key is None or key.state is State.DESTROYED:
            raise NotFound(f"the project has no key {name!r}: create it first", "kms_key")
        return self.newest(key.id)

    def seal_data_key(self, kek: Kek, blob_id: str, data_key: bytes, iv: bytes | None = None) -> bytes:
        """Wrap a data key for the bytes named `blob_id`. `iv`: 12 fresh random bytes, if the caller has some."""
        iv = iv or self._ids.secret(wrap.IV)
        return wrap.seal(kek.aead, kek.version, iv, data_key, wrap.aad(blob_id, 1, kek.id, kek.tenant))

    def open_data_key(
        self, key_id: str, blob_id: str, wrapped: bytes, reader: store.Reader | None = None, tenant: str | None = None
    ) -> bytes:
        """Unwrap a data key. `tenant`: whose it must be, where the caller knows: a row that was moved to another
        tenant brings its key's id along. Denied reason `kms_disabled` or `kms_destroyed`; Fatal reason `damage`."""
        kek = self._at(key_id, wrap.parent_version(wrapped), reader)
        if tenant is not None and kek.tenant != tenant:
            raise foreign(key_id, f"blob {blob_id}")
        return wrap.unseal(kek.aead, wrapped, wrap.aad(blob_id, 1, kek.id, kek.tenant), f"blob {blob_id}")

    def opened(self, body: Wrapped, tenant: str | None, make: Callable[[bytes, str], T]) -> T:
        """What `make(data key, blob id)` makes of an unwrapped data key, kept as long as the key that wraps it.
        One kind of thing for all callers. `tenant` and errors as `open_data_key`."""
        asked = body.kek, body.blob_id, tenant
        known = self._data.get(body.wrapped)
        if known is not None and known[0] == asked and known[1] > self._clock.monotonic():
            found: T = known[2]
            return found
        turn = self._turn
        made = make(self.open_data_key(body.kek, body.blob_id, body.wrapped, tenant=tenant), body.blob_id)
        kek = self._at(body.kek, wrap.parent_version(body.wrapped), None)
        with self._gate:
            if turn == self._turn:
                if len(self._data) >= _DATA_KEYS:
                    self._data.clear()
                self._data[body.wrapped] = (asked, kek.expires, made)
        return made

    def _at(self, key_id: str, version: int, reader: store.Reader | None) -> Kek:
        kek = self._open.get((key_id, version))
        if kek is None or kek.expires <= self._clock.monotonic():
            kek = self._load(key_id, version, reader or self._db)
        return kek

    def _load(self, key_id: str, version: int | None, reader: store.Reader) -> Kek:
        turn = self._turn
        key = store.get(reader, key_id)
        if key is None:
            raise Fatal(f"key {key_id} is not in the key table", "damage")
        if key.state is State.DESTROYED:
            raise Denied(f"key {key_id} was destroyed: what it protected cannot be read", "kms_destroyed")
        if key.state is not State.ACTIVE:
            raise Denied(f"key {key_id} is disabled: its holder must enable it", "kms_disabled")
        wrapped = key.wrapped if version in (None, key.version) else store.former(reader, key_id, version or 0)
        if wrapped is None:
            raise Fatal(f"key {key_id} has no version {version}", "damage")
        wanted = version or key.version
        parent = self._parent(key.parent, wrap.parent_version(wrapped), reader)
        plain = wrap.unseal(parent, wrapped, wrap.aad(key_id, wanted, key.parent, key.tenant), f"key {key_id}")
        kek = Kek(key_id, wanted, key.tenant, AESGCM(plain), self._clock.monotonic() + self._seconds)
        self.held()
        with self._gate:
            if turn == self._turn:
                self._open.pop((key_id, wanted), None)
                self._open[(key_id, wanted)] = kek
                if wanted == key.version:
                    self._newest[key_id] = kek
        return kek

    def _parent(self, parent: str, version: int, reader: store.Reader) -> AESGCM:
        if parent == "":
            return self._root.aead()
        return self._at(parent, version, reader).aead

    # --- making and changing keys (inside a write transaction)

    def ensure_tenant(self, tx: Tx, tenant: str) -> Key:
        """The tenant's key, made on first use."""
        return store.tenant(tx, tenant) or self._create(tx, Level.TENANT, tenant, "", "")

    def create_container(self, tx: Tx, tenant: str) -> Key:
        """A key for one new container."""
        return self._create(tx, Level.CONTAINER, tenant, self.ensure_tenant(tx, tenant).id, "")

    def create_named(self, tx: Tx, tenant: str, name: str) -> Key:
        """A key for SSE-KMS under a name of the tenant's choice. Conflict reason `kms_key` if taken."""
        if store.named(tx, tenant, name) is not None:
            raise Conflict(f"the project has a key {name!r} already", "kms_key")
        return self._create(tx, Level.NAMED, tenant, self.ensure_tenant(tx, tenant).id, name)

    def _wrap_under(self, tx: Tx, parent: str, plain: bytes, bound: bytes) -> bytes:
        iv = self._ids.secret(wrap.IV)
        if parent == "":
            return wrap.seal(self._root.aead(), self._root.version, iv, plain, bound)
        kek = self._load(parent, None, tx)
        return wrap.seal(kek.aead, kek.version, iv, plain, bound)

    def _create(self, tx: Tx, level: Level, tenant: str, parent: str, name: str) -> Key:
        key_id = self._ids.dashed()
        wrapped = self._wrap_under(tx, parent, self._ids.secret(32), wrap.aad(key_id, 1, parent, tenant))
        origin = self._root.origin
        key = Key(
            key_id,
            parent,
            tenant,
            level,
            name,
            origin,
            "platform",
            State.ACTIVE,
            1,
            wrapped,
            self._clock.now_us(),
            None,
        )
        store.insert(tx, key)
        return key

    def list(self, tenant: str | None = None) -> list[Key]:
        """Every key of a tenant, or of all."""
        return store.keys(self._db, tenant)

    def find(self, reader: store.Reader, key_id: str) -> Key:
        """A key by id. NotFound reason `kms_key`."""
        key = store.get(reader, key_id)
        if key is None:
            raise NotFound(f"there is no key {key_id!r}", "kms_key")
        return key

    def set_enabled(self, tx: Tx, key_id: str, enabled: bool) -> Key:
        """Enable or disable a key and with it everything below. Readers notice at their next look-up."""
        key = self.find(tx, key_id)
        if key.state is State.DESTROYED:
            raise Conflict(f"key {key_id} was destroyed and cannot change", "kms_destroyed")
        store.set_state(tx, key_id, State.ACTIVE if enabled else State.DEACTIVATED)
        self.forget()
        return self.find(tx, key_id)

    def rotate(self, tx: Tx, key_id: str) -> Key:
        """New material for a key. Keys below are wrapped anew at once; data keys under the former
        version stay readable until `objects` has wrapped them anew and calls `retire`."""
        key = self.find(tx, key_id)
        if key.state is not State.ACTIVE or key.wrapped is None:
            raise Conflict(f"key {key_id} is {key.state}: only an active key can be rotated", "kms_state")
        children = [(child, self._plain(tx, child)) for child in store.children(tx, key_id) if child.wrapped]
        formers = {
            child.id: [(v, self._plain_former(tx, child, v, w)) for v, w in store.formers(tx, child.id)]
            for child, _ in children
        }
        store.keep_former(tx, key_id, key.version, key.wrapped)
        version = key.version + 1
        bound = wrap.aad(key_id, version, key.parent, key.tenant)
        store.set_wrapped(tx, key_id, version, self._wrap_under(tx, key.parent, self._ids.secret(32), bound))
        self.forget()
        for child, plain in children:
            bound = wrap.aad(child.id, child.version, key_id, child.tenant)
            store.set_wrapped(tx, child.id, child.version, self._wrap_under(tx, key_id, plain, bound))
            for v, old in formers[child.id]:
                bound = wrap.aad(child.id, v, key_id, child.tenant)
                store.keep_former(tx, child.id, v, self._wrap_under(tx, key_id, old, bound))
        if key.level is Level.TENANT:
            store.drop_former(tx, key_id, key.version)
        return self.find(tx, key_id)

    def _plain(self, tx: Tx, key: Key) -> bytes:
        assert key.wrapped is not None
        return self._plain_former(tx, key, key.version, key.wrapped)

    def _plain_former(self, tx: Tx, key: Key, version: int, wrapped: bytes) -> bytes:
        parent = self._parent(key.parent, wrap.parent_version(wrapped), tx)
        return wrap.unseal(parent, wrapped, wrap.aad(key.id, version, key.parent, key.tenant), f"key {key.id}")

    def retire(self, tx: Tx, key_id: str, version: int) -> None:
        """Forget a former version under which nothing is wrapped any more."""
        store.drop_former(tx, key_id, version)
        tx.take("keys")

    # --- destroying: record, then act

    def prepare_destroy(self, tx: Tx, key_id: str) -> str:
        """Store the intent and return a permit for `execute_destroy`, good once and for ten minutes.
        The caller audits in the same transaction."""
        key = self.find(tx, key_id)
        if key.state is State.DESTROYED:
            raise Conflict(f"key {key_id} was destroyed already", "kms_destroyed")
        permit = self._ids.hex()
        store.add_permit(tx, permit, key_id, self._clock.now_us())
        return permit

    def execute_destroy(self, tx: Tx, permit: str) -> Key:
        """Overwrite the key and all keys below it. Irreversible: what they protect cannot be read again."""
        found = store.use_permit(tx, permit)
        if found is None or self._clock.now_us() - found[1] > _PERMIT_US:
            raise Denied("the permit is unknown, used or older than ten minutes: prepare again", "permit")
        self._destroy_tree(tx, found[0])
        self.forget()
        return self.find(tx, found[0])

    def destroy_container(self, tx: Tx, key_id: str) -> None:
        """Destroy the key of a container that is empty and goes away."""
        store.destroy(tx, key_id, self._clock.now_us())

    def _destroy_tree(self, tx: Tx, key_id: str) -> None:
        for child in store.children(tx, key_id):
            self._destroy_tree(tx, child.id)
        store.destroy(tx, key_id, self._clock.now_us())
