"""Resource providers: their inventories, traits, aggregates and what is taken of them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from andromede.compute.capacity_model import Inventory, Provider
from andromede.compute.placement import query, store, views
from andromede.compute.placement.bodies import (
    Aggregates,
    CreateProvider,
    InventoryFields,
    SetAggregates,
    SetInventories,
    SetTraits,
    UpdateProvider,
)
from andromede.compute.placement.books import dashed, inventory
from andromede.compute.placement.candidates import Picture
from andromede.compute.placement.query import PlacementCall, at
from andromede.compute.placement.service import Placement
from andromede.compute.tables import ALLOCATIONS, CONSUMERS
from andromede.errors import Invalid, NotFound
from andromede.web.call import Reply
from andromede.web.routes import Routes, Version

routes: Routes[Placement] = Routes()
ONE = "/resource_providers/{uuid}"


def since(minor: int) -> tuple[Version | None, Version | None]:
    """The microversions from 1.`minor` on."""
    return (1, minor), None


def found(call: PlacementCall) -> Provider:
    """The provider of the path."""
    found: Provider = call.services.books.provider(call.services.desk.db, call.params["uuid"].lower())
    return found


def _location(provider_id: str) -> tuple[tuple[str, str], ...]:
    return (("Location", f"{views.PREFIX}/resource_providers/{provider_id}"),)


@routes.add("GET", "/resource_providers", "placement:list_providers")
def list_providers(call: PlacementCall) -> Reply:
    """Providers: name, uuid; member_of from 1.3, resources from 1.4, in_tree from 1.14, required from 1.18."""
    group, name, uuid = query.providers(call)
    with call.services.desk.db.read() as tx:
        picture = Picture(tx)
        known = call.services.books.classes(tx), call.services.books.traits(tx)
    for what, given, all_of in (
        ("resource class", set(group.resources), known[0]),
        ("trait", group.traits(), known[1]),
    ):
        if unknown := sorted(given - all_of):
            raise Invalid(f"Invalid query string parameters: no such {what} {', '.join(unknown)}", query.BAD)
    rows = []
    for one in picture.providers.values():
        tree = group.in_tree is None or group.in_tree in picture.trees[one.root_id]
        meant = name in (None, one.name) and uuid in (None, one.id)
        if tree and meant and picture.suits(one.id, group):
            rows.append(views.provider(call, one))
    return views.reply(call, {"resource_providers": rows})


@routes.add("POST", "/resource_providers", "placement:create_provider", body=CreateProvider)
def create_provider(call: PlacementCall, body: CreateProvider) -> Reply:
    """A new provider; 201 without a body before 1.20."""
    if body.parent_provider_uuid is not UNSET and not at(call, 14):
        raise Invalid("JSON does not validate: parent_provider_uuid is not possible before 1.14", "schema")
    parent = dashed(body.parent_provider_uuid) if isinstance(body.parent_provider_uuid, str) else None
    uuid = dashed(body.uuid) if isinstance(body.uuid, str) else None
    made = call.services.books.create(call, body.name, uuid, parent)
    if at(call, 20):
        return views.reply(call, views.provider(call, made), headers=_location(made.id))
    return Reply(None, 201, _location(made.id))


@routes.add("GET", ONE, "placement:get_provider")
def show_provider(call: PlacementCall) -> Reply:
    """One provider."""
    return views.reply(call, views.provider(call, found(call)))


@routes.add("PUT", ONE, "placement:update_provider", body=UpdateProvider)
def update_provider(call: PlacementCall, body: UpdateProvider) -> Reply:
    """Another name; another parent from 1.14 on, freely from 1.37 on."""
    parent: tuple[str | None] | None = None
    if body.parent_provider_uuid is not UNSET:
        if not at(call, 14):
            raise Invalid("JSON does not validate: parent_provider_uuid is not possible before 1.14", "schema")
        wanted = body.parent_provider_uuid
        parent = (dashed(wanted) if isinstance(wanted, str) else None,)
    call.services.books.update(call, found(call).id, body.name, parent, at(call, 37))
    return views.reply(call, views.provider(call, found(call)))


@routes.add("DELETE", ONE, "placement:delete_provider", status=204)
def delete_provider(call: PlacementCall) -> None:
    """Remove a provider without allocations and children."""
    call.services.books.remove(call, call.params["uuid"].lower())


# --- inventories


@routes.add("GET", ONE + "/inventories", "placement:get_inventories")
def get_inventories(call: PlacementCall) -> Reply:
    """What the provider offers."""
    one = found(call)
    rows = call.services.books.inventories(call.services.desk.db, one.id)
    return views.reply(call, views.inventories(one, rows))


def rows_of(call: PlacementCall, provider_id: str, body: SetInventories) -> dict[str, Inventory]:
    """The inventories of a body."""
    return {
        name: inventory(provider_id, name, msgspec.structs.asdict(fields), at(call, 26))
        for name, fields in body.inventories.items()
    }


@routes.add("PUT", ONE + "/inventories", "placement:set_inventories", body=SetInventories)
def put_inventories(call: PlacementCall, body: SetInventories) -> Reply:
    """Replace what the provider offers; 409 for an older generation and for classes in use."""
    one = found(call)
    rows = rows_of(call, one.id, body)
    call.services.books.set_inventories(call, one.id, rows, body.resource_provider_generation, True)
    return get_inventories(call)


@routes.add("POST", ONE + "/inventories", "placement:set_inventories", body=InventoryFields, status=201)
def add_inventory(call: PlacementCall, body: InventoryFields) -> Reply:
    """One more class."""
    if body.resource_class is UNSET:
        raise Invalid("JSON does not validate: 'resource_class' is a required property", "schema")
    one, name = found(call), body.resource_class
    row = inventory(one.id, name, msgspec.structs.asdict(body), at(call, 26))
    generation = None if body.resource_provider_generation is UNSET else body.resource_provider_generation
    call.services.books.add_inventory(call, one.id, row, generation)
    shown = {"resource_provider_generation": found(call).generation, "resource_class": name, **views.inventory(row)}
    where = f"{views.PREFIX}/resource_providers/{one.id}/inventories/{name}"
    return views.reply(call, shown, 201, (("Location", where),))


@routes.add("DELETE", ONE + "/inventories", "placement:set_inventories", status=204, versions=since(5))
def delete_inventories(call: PlacementCall) -> None:
    """Stop offering anything."""
    call.services.books.remove_inventory(call, found(call).id, None)


@routes.add("GET", ONE + "/inventories/{resource_class}", "placement:get_inventories")
def get_inventory(call: PlacementCall) -> Reply:
    """What the provider has of one class."""
    one, name = found(call), call.params["resource_class"]
    row = call.services.books.inventories(call.services.desk.db, one.id).get(name)
    if row is None:
        raise NotFound(f"No inventory of class {name} for {one.id}", "inventory")
    return views.reply(call, {"resource_provider_generation": one.generation, **views.inventory(row)})


@routes.add("PUT", ONE + "/inventories/{resource_class}", "placement:set_inventories", body=InventoryFields)
def put_inventory(call: PlacementCall, body: InventoryFields) -> Reply:
    """Change one class that the provider offers."""
    if body.resource_provider_generation is UNSET:
        raise Invalid("JSON does not validate: 'resource_provider_generation' is a required property", "schema")
    one, name = found(call), call.params["resource_class"]
    if name not in call.services.books.inventories(call.services.desk.db, one.id):
        raise Invalid(f"No inventory record with resource class {name} for {one.id}; POST makes one", "inventory")
    row = inventory(one.id, name, msgspec.structs.asdict(body), at(call, 26))
    call.services.books.set_inventories(call, one.id, {name: row}, body.resource_provider_generation, False)
    return get_inventory(call)


@routes.add("DELETE", ONE + "/inventories/{resource_class}", "placement:set_inventories", status=204)
def delete_inventory(call: PlacementCall) -> None:
    """Stop offering one class."""
    call.services.books.remove_inventory(call, found(call).id, call.params["resource_class"])


# --- aggregates and traits


@routes.add("GET", ONE + "/aggregates", "placement:get_aggregates", versions=since(1))
def get_aggregates(call: PlacementCall) -> Reply:
    """The aggregates of the provider; with its generation from 1.19 on."""
    one = found(call)
    each = sorted(store.aggregates(call.services.desk.db, [one.id]).get(one.id, ()))
    generation = {"resource_provider_generation": one.generation} if at(call, 19) else {}
    return views.reply(call, {"aggregates": each, **generation})


@routes.add("PUT", ONE + "/aggregates", "placement:set_aggregates", body=Aggregates, versions=since(1))
def put_aggregates(call: PlacementCall, body: SetAggregates | list[str]) -> Reply:
    """Replace the aggregates: a list before 1.19, with the generation from then on."""
    if isinstance(body, SetAggregates) != at(call, 19):
        raise Invalid("JSON does not validate: a list before 1.19, aggregates with a generation from then on", "schema")
    one = found(call)
    if isinstance(body, SetAggregates):
        call.services.books.set_aggregates(call, one.id, body.aggregates, body.resource_provider_generation)
    else:
        call.services.books.set_aggregates(call, one.id, body, None)
    return get_aggregates(call)


@routes.add("GET", ONE + "/traits", "placement:get_traits", versions=since(6))
def get_traits(call: PlacementCall) -> Reply:
    """The traits of the provider."""
    one = found(call)
    each = sorted(store.traits(call.services.desk.db, [one.id]).get(one.id, ()))
    return views.reply(call, {"traits": each, "resource_provider_generation": one.generation})


@routes.add("PUT", ONE + "/traits", "placement:set_traits", body=SetTraits, versions=since(6))
def put_traits(call: PlacementCall, body: SetTraits) -> Reply:
    """Replace the traits, which must exist."""
    call.services.books.set_traits(call, found(call).id, body.traits, body.resource_provider_generation)
    return get_traits(call)


@routes.add("DELETE", ONE + "/traits", "placement:set_traits", status=204, versions=since(6))
def delete_traits(call: PlacementCall) -> None:
    """Take all traits away."""
    call.services.books.set_traits(call, found(call).id, (), None)


# --- what is taken


@routes.add("GET", ONE + "/usages", "placement:get_provider_usages")
def get_provider_usages(call: PlacementCall) -> Reply:
    """How much of each class is taken."""
    one, db = found(call), call.services.desk.db
    taken = store.used(db, [one.id]).get(one.id, {})
    usages = {name: taken.get(name, 0) for name in sorted(call.services.books.inventories(db, one.id))}
    return views.reply(call, {"resource_provider_generation": one.generation, "usages": usages})


@routes.add("GET", ONE + "/allocations", "placement:get_provider_allocations")
def get_provider_allocations(call: PlacementCall) -> Reply:
    """Who holds what of the provider; with the consumers' generations from 1.28 on."""
    one = found(call)
    shown: dict[str, Any] = {}
    with call.services.desk.db.read() as tx:
        rows = ALLOCATIONS.select(tx, {"provider_id": one.id})
        consumers = {row.id: row for row in CONSUMERS.select(tx, {"id": {row.consumer_id for row in rows}})}
    for row in rows:
        part = shown.setdefault(row.consumer_id, {"resources": {}})
        part["resources"][row.resource_class] = row.used
        if at(call, 28) and row.consumer_id in consumers:
            part["consumer_generation"] = consumers[row.consumer_id].generation
    return views.reply(call, {"allocations": shown, "resource_provider_generation": one.generation})
