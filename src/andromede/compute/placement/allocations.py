"""Who has taken what, checked against what there is, all in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from andromede.audit.changes import Change, Desk
from andromede.compute.capacity_model import Allocation, Consumer, Inventory
from andromede.compute.placement import store
from andromede.compute.placement.books import Books, moved
from andromede.compute.tables import ALLOCATIONS, CONSUMERS, INVENTORIES, PROVIDERS
from andromede.db import Tx
from andromede.errors import Conflict, Invalid, NotFound
from andromede.web.call import Call

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Want:
    """What a consumer is to hold: provider -> class -> amount. `generation` is the consumer's, as the writer read it,
    None for a new one; it counts only where `checked` (from 1.28 on)."""

    consumer_id: str
    resources: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    project_id: str = ""
    user_id: str = ""
    consumer_type: str = ""
    generation: int | None = None
    checked: bool = False


class Allocations:
    """The books of consumers."""

    def __init__(self, desk: Desk, books: Books) -> None:
        self._desk = desk
        self._books = books

    def of(self, consumer_id: str) -> tuple[Consumer | None, list[Allocation]]:
        """What a consumer holds."""
        with self._desk.db.read() as tx:
            rows = ALLOCATIONS.select(tx, {"consumer_id": consumer_id})
            return CONSUMERS.find(tx, id=consumer_id), rows

    def set(self, call: Call[Any], wants: list[Want]) -> None:
        """Replace what consumers hold, all or none."""
        with self._desk.change(call, f"allocations/{wants[0].consumer_id}") as change:
            self.write(change, wants)

    def write(self, change: Change, wants: list[Want]) -> None:
        """The same within a change."""
        tx, touched = change.tx, set()
        for want in wants:
            self._consumer(change, want)
            touched |= {row.provider_id for row in ALLOCATIONS.select(tx, {"consumer_id": want.consumer_id})}
            touched |= set(want.resources)
        ALLOCATIONS.remove(tx, consumer_id=[want.consumer_id for want in wants])
        for want in wants:
            for provider_id, resources in want.resources.items():
                if not PROVIDERS.find(tx, id=provider_id):
                    raise Invalid(f"Allocation for resource provider {provider_id} that does not exist.", "provider")
                self._claim(tx, want.consumer_id, provider_id, resources)
            if not want.resources:
                CONSUMERS.remove(tx, id=want.consumer_id)
        for provider_id in sorted(touched):
            store.turn(tx, provider_id, change.now_us)

    @staticmethod
    def _consumer(change: Change, want: Want) -> None:
        tx, now = change.tx, change.now_us
        old = CONSUMERS.find(tx, id=want.consumer_id)
        if want.checked and want.generation != (old.generation if old else None):
            raise moved(f"consumer {want.consumer_id}")
        kind = want.consumer_type or (old.consumer_type if old else UNKNOWN)
        if old is None:
            CONSUMERS.insert(
                tx, Consumer(want.consumer_id, want.project_id, want.user_id, 1, kind, now, now)
            )  # fmt: skip
            return
        CONSUMERS.update(
            tx, {"id": want.consumer_id}, generation=old.generation + 1, consumer_type=kind, updated_us=now,
            project_id=want.project_id or old.project_id, user_id=want.user_id or old.user_id,
        )  # fmt: skip

    @staticmethod
    def _claim(tx: Tx, consumer_id: str, provider_id: str, resources: Mapping[str, int]) -> None:
        stock = {row.resource_class: row for row in INVENTORIES.select(tx, {"provider_id": provider_id})}
        taken = store.used(tx, [provider_id]).get(provider_id, {})
        for name, amount in resources.items():
            row = stock.get(name)
            if row is None or not fits(row, taken.get(name, 0), amount):
                raise Conflict(
                    f"Unable to allocate inventory: Unable to create allocation for '{name}' on resource provider "
                    f"'{provider_id}'. The requested amount would exceed the capacity.",
                    "capacity",
                )
            ALLOCATIONS.insert(tx, Allocation(consumer_id, provider_id, name, amount))

    def remove(self, call: Call[Any], consumer_id: str) -> None:
        """Give back all that a consumer holds. NotFound when it holds nothing."""
        with self._desk.change(call, f"allocations/{consumer_id}") as change:
            rows = ALLOCATIONS.select(change.tx, {"consumer_id": consumer_id})
            if not rows:
                raise NotFound(f"No allocations for consumer '{consumer_id}'", "allocation")
            ALLOCATIONS.remove(change.tx, consumer_id=consumer_id)
            CONSUMERS.remove(change.tx, id=consumer_id)
            for provider_id in sorted({row.provider_id for row in rows}):
                store.turn(change.tx, provider_id, change.now_us)

    def reshape(self, call: Call[Any], inventories: Mapping[str, tuple[int, Mapping[str, Inventory]]],
                wants: list[Want]) -> None:  # fmt: skip
        """Exchange inventories (provider -> its generation and what it offers) and allocations in one stroke: what is
        offered grows first, and shrinks once nobody holds it."""
        with self._desk.change(call, "reshape") as change:
            tx = change.tx
            for provider_id, (generation, rows) in inventories.items():
                if self._books.provider(tx, provider_id).generation != generation:
                    raise moved(f"resource provider {provider_id}")
                self._books.write_inventories(tx, provider_id, rows, False)
            if wants:
                self.write(change, wants)
            for provider_id, (_, rows) in inventories.items():
                self._books.write_inventories(tx, provider_id, rows, True)
                store.turn(tx, provider_id, change.now_us)


def fits(row: Inventory, taken: int, amount: int) -> bool:
    """Whether an amount can be taken of an inventory of which so much is taken."""
    if not row.min_unit <= amount <= row.max_unit or amount % row.step_size:
        return False
    return taken + amount <= row.capacity
