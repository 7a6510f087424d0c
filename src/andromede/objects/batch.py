"""The transaction that a batch of writes shares: a `Tx` with what they have in common.

The writer gate is held, so what was read once stays true until this batch changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from andromede.audit import Draft
from andromede.db import Reach, Row, Tx
from andromede.keys import KeyRing
from andromede.keys import store as key_store
from andromede.objects import codec, container_store, garbage_store, version_store
from andromede.objects.container_store import State
from andromede.objects.model import Version, Versioning
from andromede.objects.version_store import Name, Newest

T = TypeVar("T")
_AT_ONCE = 64
Mark = tuple[int, dict[int, tuple[int, int]], int]


class Batch:
    """Works get one of these as their `tx`. `now_us`: the time of the commit; `lock_us`: the time that locks end and
    objects expire by, which does not follow a clock that has just jumped ahead."""

    __slots__ = (
        "_checked",
        "_current",
        "_dropped",
        "_last_seq",
        "_next_seq",
        "_pending",
        "_reach",
        "_size",
        "_states",
        "_tx",
        "_usage",
        "drafts",
        "keys",
        "lock_us",
        "now_us",
        "writes",
    )

    def __init__(
        self,
        tx: Tx,
        keys: KeyRing,
        now_us: int,
        size: int = 1,
        lock_us: int | None = None,
        reach: Reach = Reach.EVERYTHING,
    ) -> None:
        self._tx = tx
        self.keys = keys
        self._size = size
        self._reach = reach
        self.writes = 0
        self.now_us = now_us
        self.lock_us = now_us if lock_us is None else lock_us
        self.drafts: list[Draft] = []
        self._checked: set[str] = set()
        self._states: dict[int, State | None] = {}
        self._usage: dict[int, tuple[int, int]] = {}
        self._dropped: list[tuple[str, str]] = []
        self._next_seq = self._last_seq = 0
        self._current: dict[Name, Newest | None] = {}
        self._pending: dict[tuple[int, str, int], Row] = {}

    @staticmethod
    def of(tx: Tx) -> Batch:
        """The batch that a work was given."""
        assert isinstance(tx, Batch)
        return tx

    # --- statements

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        self.lay_down()
        return self._tx.all(sql, params)

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        self.lay_down()
        return self._tx.one(sql, params)

    def run(self, sql: str, params: Sequence[Any] = ()) -> int:
        self._before_write()
        return self._tx.run(sql, params)

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        self._before_write()
        return self._tx.many(sql, rows)

    def insert(self, into: str, rows: Sequence[Sequence[Any]], conflict: str = "") -> None:
        self._before_write()
        self._tx.insert(into, rows, conflict)

    def guarded(self, work: Callable[[Tx], T]) -> T:
        def whole(_: Tx) -> T:
            result = work(self)
            self.lay_down()  # what this work wrote is undone with it
            return result

        self.lay_down()
        return self._tx.guarded(whole)

    def take(self, name: str, count: int = 1) -> int:
        self.writes += 1
        return self._tx.take(name, count)

    def new_epoch(self) -> None:
        self._tx.new_epoch()

    def after(self, call: Callable[[], None]) -> None:
        self._tx.after(call)

    # --- newest versions: read once, written together
    # No statement runs between a `put_newest` and its `lay_down`, so nobody sees the database without the row;
    # after any other write the rows that were read are forgotten, for it may have changed them.

    def _before_write(self) -> None:
        self.writes += 1
        self.lay_down()
        self._current.clear()

    def newest(self, container_id: int, key: str) -> Newest | None:
        """A key's newest version and its `listed`, with what this batch did to it."""
        name = container_id, key
        if name not in self._current:  # then nothing of it waits to be laid down either
            self._current[name] = version_store.current(self._tx, container_id, key)
        return self._current[name]

    def look_ahead(self, names: Iterable[Name]) -> None:
        """Read the newest versions that works of this batch are going to ask for, in few statements."""
        keys: dict[int, list[str]] = {}
        for container_id, key in names:
            keys.setdefault(container_id, []).append(key)
        for container_id, wanted in keys.items():
            state = self._state(container_id)
            if state is None or state.container.versioning is not Versioning.OFF:
                continue
            for first in range(0, len(wanted), _AT_ONCE):
                some = wanted[first : first + _AT_ONCE]
                found = version_store.current_of(self._tx, container_id, some)
                for key in some:
                    self._current[(container_id, key)] = found.get(key)

    def put_newest(self, version: Version, listed: int) -> None:
        """Write a row that is its key's newest, in place of one with its sequence number if there is one."""
        self.writes += 1
        self._pending[(version.container_id, version.key, version.seq)] = codec.version_row(version, listed)
        self._current[(version.container_id, version.key)] = version, listed

    def lay_down(self) -> None:
        """Write what `put_newest` has collected."""
        if self._pending:
            rows, self._pending = list(self._pending.values()), {}
            version_store.lay(self._tx, rows)

    # --- what the works of a batch share

    def next_seq(self) -> int:
        """The next version sequence: rises within every key. Numbers are reserved for the whole batch."""
        if self._next_seq == self._last_seq:
            self._next_seq = self._tx.take("version", self._size)
            self._last_seq = self._next_seq + self._size
        self._next_seq += 1
        return self._next_seq - 1

    def state(self, container_id: int) -> State:
        """The container as it is now. Raises NotFound reason `bucket` when it is gone."""
        state = self._state(container_id)
        if state is None:
            raise container_store.no_bucket()
        return state

    def _state(self, container_id: int) -> State | None:
        if container_id not in self._states:
            self._states[container_id] = container_store.state(self._tx, container_id)
        return self._states[container_id]

    def changed(self, container_id: int) -> None:
        """The container's row was written: read it again next time."""
        assert self._reach is Reach.EVERYTHING, "a write that reaches objects only has changed a container"
        self._states.pop(container_id, None)

    def forget_states(self) -> None:
        """An account was written: read every container again."""
        assert self._reach is Reach.EVERYTHING, "a write that reaches objects only has changed an account"
        self._states.clear()

    def check_key(self, key_id: str) -> None:
        """Raise Denied when a key that bytes were just sealed under is not active any more."""
        if key_id not in self._checked:
            if not self._checked:
                self.keys.sync(key_store.changes(self._tx))
            self.keys.newest(key_id, self._tx)
            self._checked.add(key_id)

    def count(self, container_id: int, objects: int, size: int) -> None:
        """Add to a container's counters."""
        before = self._usage.get(container_id, (0, 0))
        self._usage[container_id] = (before[0] + objects, before[1] + size)

    def settle(self) -> None:
        """Write pending counters, so that statements see them."""
        for container_id, (objects, size) in self._usage.items():
            if objects or size:
                container_store.add_usage(self._tx, container_id, objects, size)
        self._usage.clear()

    def drop(self, ref: str, blob_id: str) -> None:
        """A reference to stored bytes ends with this transaction."""
        if ref:
            self._dropped.append((ref, blob_id))

    def mark(self) -> Mark:
        """A point to go back to when one work fails."""
        return len(self.drafts), dict(self._usage), len(self._dropped)

    def restore(self, mark: Mark) -> None:
        """Forget what was collected since the mark. Sequence numbers are not given back."""
        del self.drafts[mark[0] :]
        self._usage = dict(mark[1])
        del self._dropped[mark[2] :]
        self._states.clear()
        self._next_seq = self._last_seq = 0
        self._pending.clear()
        self._current.clear()

    def finish(self) -> None:
        """Write what was collected; the last thing before the audit events."""
        self.lay_down()
        self.settle()
        if self._dropped:
            garbage_store.add(self._tx, self._dropped, self.now_us)
