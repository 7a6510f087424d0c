"""The rules of capacity as Placement states them: providers in trees, inventories, traits, aggregates and names. A
writer who has read an older generation is told so (409) and reads again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from andromede.audit.changes import Change, Desk
from andromede.compute.capacity_model import Inventory, Provider
from andromede.compute.placement import names, store
from andromede.compute.tables import ALLOCATIONS, INVENTORIES, PROVIDERS
from andromede.db import Tx
from andromede.db.table import Reader
from andromede.errors import Conflict, Invalid, NotFound
from andromede.web.call import Call

MOST_DEEP = 20
CONCURRENT = "placement.concurrent_update"
IN_USE = "placement.inventory.inuse"


def dashed(text: str) -> str:
    """A UUID in its customary form."""
    plain = text.replace("-", "").lower()
    return "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))


def moved(what: str) -> Conflict:
    """The refusal of a writer who has read an older generation."""
    return Conflict(f"{what}: its generation has changed meanwhile; read it again and repeat", CONCURRENT)


class Books:
    """Everything about providers."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def provider(self, db: Reader, provider_id: str) -> Provider:
        """A provider. NotFound."""
        found = PROVIDERS.find(db, id=provider_id)
        if found is None:
            raise NotFound(
                f"No resource provider with uuid {provider_id} found", "placement.resource_provider.not_found"
            )
        return found

    def _at(self, change: Change, provider_id: str, generation: int | None) -> Provider:
        """A provider that is still of this generation."""
        provider = self.provider(change.tx, provider_id)
        if generation is not None and generation != provider.generation:
            raise moved(f"resource provider {provider_id}")
        return provider

    def create(self, call: Call[Any], name: str, provider_id: str | None, parent: str | None) -> Provider:
        """A new provider, at the root or below another."""
        made = provider_id or self.desk.ids.dashed()
        with self.desk.change(call, f"provider/{made}") as change:
            if PROVIDERS.find(change.tx, name=name) or PROVIDERS.find(change.tx, id=made):
                raise Conflict(f"Conflicting resource provider {name} already exists.", "placement.duplicate_name")
            root = made if parent is None else self._above(change.tx, parent).root_id
            now = change.now_us
            return PROVIDERS.insert(change.tx, Provider(made, name, 0, parent, root, now, now))

    @staticmethod
    def _above(db: Reader, parent: str) -> Provider:
        found = PROVIDERS.find(db, id=parent)
        if found is None:
            raise Invalid(f"parent_provider_uuid {parent} names no resource provider", "parent")
        return found

    def update(
        self, call: Call[Any], provider_id: str, name: str, parent: tuple[str | None] | None, free: bool
    ) -> None:
        """Another name, and another parent if given. `free`: a provider that has a parent may move (from 1.37)."""
        with self.desk.change(call, f"provider/{provider_id}") as change:
            old = self.provider(change.tx, provider_id)
            same = PROVIDERS.find(change.tx, name=name)
            if same is not None and same.id != provider_id:
                raise Conflict(f"Conflicting resource provider {name} already exists.", "placement.duplicate_name")
            PROVIDERS.update(change.tx, {"id": provider_id}, name=name, updated_us=change.now_us)
            if parent is not None and parent[0] != old.parent_id:
                if old.parent_id is not None and not free:
                    raise Invalid("re-parenting a provider is not possible before microversion 1.37", "parent")
                self._move(change.tx, old, parent[0])
            store.turn(change.tx, provider_id, change.now_us)

    def _move(self, tx: Tx, provider: Provider, parent: str | None) -> None:
        root, above = provider.id, parent
        for _ in range(MOST_DEEP):
            if above is None:
                break
            if above == provider.id:
                raise Invalid("a resource provider cannot lie below itself", "parent")
            found = self._above(tx, above)
            root, above = found.id, found.parent_id
        else:
            raise Invalid(f"resource providers lie at most {MOST_DEEP} deep", "parent")
        PROVIDERS.update(tx, {"id": provider.id}, parent_id=parent)
        below = [provider.id]
        while below:
            PROVIDERS.update(tx, {"id": below}, root_id=root)
            below = [row.id for row in PROVIDERS.select(tx, {"parent_id": below})]

    def remove(self, call: Call[Any], provider_id: str) -> None:
        """Remove a provider that nobody uses and that has none below it."""
        with self.desk.change(call, f"provider/{provider_id}") as change:
            self.provider(change.tx, provider_id)
            if PROVIDERS.find(change.tx, parent_id=provider_id):
                text = f"Unable to delete resource provider {provider_id}: it has children"
                raise Conflict(text, "placement.resource_provider.cannot_delete_parent")
            if ALLOCATIONS.find(change.tx, provider_id=provider_id):
                text = f"Unable to delete resource provider {provider_id}: it has allocations"
                raise Conflict(text, "placement.resource_provider.inuse")
            INVENTORIES.remove(change.tx, provider_id=provider_id)
            store.set_traits(change.tx, provider_id, ())
            store.set_aggregates(change.tx, provider_id, ())
            PROVIDERS.remove(change.tx, id=provider_id)

    # --- inventories

    def inventories(self, db: Reader, provider_id: str) -> dict[str, Inventory]:
        """What a provider offers, by resource class."""
        return {row.resource_class: row for row in INVENTORIES.select(db, {"provider_id": provider_id})}

    def set_inventories(
        self, call: Call[Any], provider_id: str, wanted: Mapping[str, Inventory], generation: int | None, whole: bool
    ) -> None:  # fmt: skip
        """Write what a provider offers, all of it (`whole`) or single classes."""
        with self.desk.change(call, f"provider/{provider_id}/inventories") as change:
            self._at(change, provider_id, generation)
            self.write_inventories(change.tx, provider_id, wanted, whole)
            store.turn(change.tx, provider_id, change.now_us)

    def write_inventories(self, tx: Tx, provider_id: str, wanted: Mapping[str, Inventory], whole: bool) -> None:
        """The same within a transaction."""
        known = self.classes(tx)
        for name in wanted:
            if name not in known:
                raise Invalid(
                    f"Unknown resource class in inventory for resource provider {provider_id}: {name}", "class"
                )
        gone = set(self.inventories(tx, provider_id)) - set(wanted) if whole else set()
        self._free(tx, provider_id, gone)
        INVENTORIES.remove(tx, provider_id=provider_id, resource_class=sorted(gone | set(wanted)))
        for row in wanted.values():
            INVENTORIES.insert(tx, row)

    @staticmethod
    def _free(tx: Tx, provider_id: str, classes: Collection[str]) -> None:
        taken = store.used(tx, [provider_id]).get(provider_id, {})
        if busy := sorted(name for name in classes if taken.get(name)):
            text = f"Inventory for {', '.join(busy)} on resource provider {provider_id} in use."
            raise Conflict(text, IN_USE)

    def add_inventory(self, call: Call[Any], provider_id: str, row: Inventory, generation: int | None) -> None:
        """One more class. Conflict when the provider offers it already."""
        with self.desk.change(call, f"provider/{provider_id}/inventories") as change:
            self._at(change, provider_id, generation)
            if row.resource_class in self.inventories(change.tx, provider_id):
                raise Conflict(f"resource provider {provider_id} offers {row.resource_class} already", CONCURRENT)
            self.write_inventories(change.tx, provider_id, {row.resource_class: row}, False)
            store.turn(change.tx, provider_id, change.now_us)

    def remove_inventory(self, call: Call[Any], provider_id: str, name: str | None) -> None:
        """Stop offering one class, or all of them."""
        with self.desk.change(call, f"provider/{provider_id}/inventories") as change:
            self.provider(change.tx, provider_id)
            have = self.inventories(change.tx, provider_id)
            if name is not None and name not in have:
                raise NotFound(f"No inventory of class {name} found for delete", "inventory")
            gone = set(have) if name is None else {name}
            self._free(change.tx, provider_id, gone)
            INVENTORIES.remove(change.tx, provider_id=provider_id, resource_class=sorted(gone))
            store.turn(change.tx, provider_id, change.now_us)

    # --- traits and aggregates

    def set_traits(self, call: Call[Any], provider_id: str, wanted: Collection[str], generation: int | None) -> None:
        """Replace a provider's traits."""
        with self.desk.change(call, f"provider/{provider_id}/traits") as change:
            self._at(change, provider_id, generation)
            if unknown := sorted(set(wanted) - self.traits(change.tx)):
                raise Invalid(f"No such trait {', '.join(unknown)}.", "trait")
            store.set_traits(change.tx, provider_id, set(wanted))
            store.turn(change.tx, provider_id, change.now_us)

    def set_aggregates(
        self, call: Call[Any], provider_id: str, wanted: Collection[str], generation: int | None
    ) -> None:  # fmt: skip
        """Replace a provider's aggregates; with a `generation` (from 1.19 on) it is checked and raised."""
        with self.desk.change(call, f"provider/{provider_id}/aggregates") as change:
            self._at(change, provider_id, generation)
            store.set_aggregates(change.tx, provider_id, {dashed(each) for each in wanted})
            if generation is not None:
                store.turn(change.tx, provider_id, change.now_us)

    # --- names

    def classes(self, db: Reader) -> set[str]:
        """Every resource class."""
        return {*names.CLASSES, *store.own_names(db, "class")}

    def traits(self, db: Reader) -> set[str]:
        """Every trait."""
        return {*names.TRAITS, *store.own_names(db, "trait")}

    def add_name(self, call: Call[Any], kind: str, name: str) -> bool:
        """Make a custom `class` or `trait`; whether it is new."""
        with self.desk.change(call, f"{kind}/{name}") as change:
            return store.add_name(change.tx, kind, names.custom(kind, name), change.now_us)

    def rename_class(self, call: Call[Any], old: str, new: str) -> None:
        """Another name for a custom resource class that no provider offers (before 1.7)."""
        with self.desk.change(call, f"class/{old}") as change:
            self._drop(change.tx, "class", old)
            if not store.add_name(change.tx, "class", names.custom("class", new), change.now_us):
                raise Conflict(f"Resource class already exists: {new}", "class")

    def remove_name(self, call: Call[Any], kind: str, name: str) -> None:
        """Forget a custom name that nobody uses."""
        with self.desk.change(call, f"{kind}/{name}") as change:
            self._drop(change.tx, kind, name)

    @staticmethod
    def _drop(tx: Tx, kind: str, name: str) -> None:
        if name in (names.CLASSES if kind == "class" else names.TRAITS):
            raise Invalid(f"{kind} {name} is a standard one and stays", kind)
        busy = store.class_in_use(tx, name) if kind == "class" else name in store.traits_in_use(tx)
        if busy:
            raise Conflict(f"{kind} {name} is in use", kind)
        if not store.drop_name(tx, kind, name):
            raise NotFound(f"No such {kind} {name}.", kind)


def inventory(provider_id: str, name: str, fields: Mapping[str, Any], full: bool) -> Inventory:
    """The row of an inventory. `full`: all of it may be reserved (from 1.26 on)."""
    row = Inventory(
        provider_id, name, fields["total"], fields["reserved"], fields["min_unit"], fields["max_unit"],
        fields["step_size"], repr(float(fields["allocation_ratio"])),
    )  # fmt: skip
    if row.reserved > row.total or (row.reserved == row.total and not full):
        raise Invalid(
            f"Invalid inventory for {name} on resource provider {provider_id}: reserved exceeds total", "inventory"
        )
    return row
