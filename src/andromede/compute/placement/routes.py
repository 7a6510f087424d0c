"""The whole route table of Placement: names, allocations, usages, candidates; providers have a file of their own."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from andromede.compute.placement import candidates, names, provider_routes, query, store, views
from andromede.compute.placement.allocations import Want
from andromede.compute.placement.bodies import ClassRequest, ManyAllocations, Reshape, SetAllocations
from andromede.compute.placement.books import dashed
from andromede.compute.placement.provider_routes import rows_of, since
from andromede.compute.placement.query import PlacementCall, at
from andromede.compute.placement.service import Placement
from andromede.compute.placement.views import PREFIX
from andromede.compute.tables import PROVIDERS
from andromede.errors import Conflict, Error, Invalid, NotFound
from andromede.web.api import Mount
from andromede.web.call import Call, Reply
from andromede.web.dialect import Dialect, title_of
from andromede.web.microversions import Microversions, text
from andromede.web.routes import Routes, Target

LOW, HIGH = (1, 0), (1, 39)

routes: Routes[Placement] = Routes()
routes.merge(provider_routes.routes)


@routes.add("GET", "/", "placement:discover", public=True)
def discover(call: PlacementCall) -> dict[str, Any]:
    """The versions of Placement."""
    version = {
        "id": "v1.0", "status": "CURRENT", "min_version": text(LOW), "max_version": text(HIGH),
        "links": [{"rel": "self", "href": ""}],
    }  # fmt: skip
    return {"versions": [version]}


# --- resource classes


@routes.add("GET", "/resource_classes", "placement:list_classes", versions=since(2))
def list_classes(call: PlacementCall) -> Reply:
    """Every resource class."""
    query.only(call)
    every = [*names.CLASSES, *store.own_names(call.services.desk.db, "class")]
    return views.reply(call, {"resource_classes": [views.resource_class(name) for name in every]})


@routes.add("POST", "/resource_classes", "placement:create_class", body=ClassRequest, status=201, versions=since(2))
def create_class(call: PlacementCall, body: ClassRequest) -> Reply:
    """A custom resource class. 409 when it is there."""
    _made_class(call, body.name, True)
    return Reply(None, 201, (("Location", f"{PREFIX}/resource_classes/{body.name}"),))


def _made_class(call: PlacementCall, name: str, new: bool) -> bool:
    made: bool = call.services.books.add_name(call, "class", name)
    if new and not made:
        raise Conflict(f"Conflicting resource class already exists: {name}", "class")
    return made


@routes.add("GET", "/resource_classes/{name}", "placement:get_class", versions=since(2))
def show_class(call: PlacementCall) -> Reply:
    """One resource class."""
    name = call.params["name"]
    if name not in call.services.books.classes(call.services.desk.db):
        raise NotFound(f"No such resource class {name}.", "class")
    return views.reply(call, views.resource_class(name))


@routes.add("PUT", "/resource_classes/{name}", "placement:update_class", body=ClassRequest, versions=((1, 2), (1, 6)))
def rename_class(call: PlacementCall, body: ClassRequest) -> Reply:
    """Another name for a custom class."""
    call.services.books.rename_class(call, call.params["name"], body.name)
    return views.reply(call, views.resource_class(body.name))


@routes.add("PUT", "/resource_classes/{name}", "placement:update_class", versions=since(7))
def ensure_class(call: PlacementCall) -> Reply:
    """A custom class: 201 when it is new, else 204."""
    name = call.params["name"]
    made = _made_class(call, name, False)
    return Reply(None, 201 if made else 204, (("Location", f"{PREFIX}/resource_classes/{name}"),))


@routes.add("DELETE", "/resource_classes/{name}", "placement:delete_class", status=204, versions=since(2))
def delete_class(call: PlacementCall) -> None:
    """Forget a custom class that nobody offers."""
    call.services.books.remove_name(call, "class", call.params["name"])


# --- traits


@routes.add("GET", "/traits", "placement:list_traits", versions=since(6))
def list_traits(call: PlacementCall) -> Reply:
    """Every trait: name=startswith:X or name=in:A,B; associated=true for those that some provider has."""
    query.only(call, "name", "associated")
    db = call.services.desk.db
    every = [*names.TRAITS, *store.own_names(db, "trait")]
    if (how := query.single(call, "name")) is not None:
        word, _, rest = how.partition(":")
        if word not in ("startswith", "in"):
            raise Invalid(f"Badly formatted name parameter: {how!r}; startswith: and in: are possible", query.BAD)
        chosen = set(rest.split(","))
        every = [name for name in every if (name in chosen if word == "in" else name.startswith(rest))]
    if (only := query.single(call, "associated")) is not None:
        if only.lower() not in ("true", "false"):
            raise Invalid(f"The query parameter associated={only!r} is neither true nor false", query.BAD)
        busy = store.traits_in_use(db)
        every = [name for name in every if (name in busy) == (only.lower() == "true")]
    return views.reply(call, {"traits": every})


@routes.add("GET", "/traits/{name}", "placement:get_trait", versions=since(6), status=204)
def show_trait(call: PlacementCall) -> None:
    """Whether a trait exists."""
    if call.params["name"] not in call.services.books.traits(call.services.desk.db):
        raise NotFound(f"No such trait(s): {call.params['name']}.", "trait")


@routes.add("PUT", "/traits/{name}", "placement:create_trait", versions=since(6))
def ensure_trait(call: PlacementCall) -> Reply:
    """A custom trait: 201 when it is new, else 204."""
    name = call.params["name"]
    made = call.services.books.add_name(call, "trait", name)
    return Reply(None, 201 if made else 204, (("Location", f"{PREFIX}/traits/{name}"),))


@routes.add("DELETE", "/traits/{name}", "placement:delete_trait", status=204, versions=since(6))
def delete_trait(call: PlacementCall) -> None:
    """Forget a custom trait that nobody has."""
    call.services.books.remove_name(call, "trait", call.params["name"])


# --- allocations


@routes.add("GET", "/allocations/{consumer}", "placement:get_allocations")
def get_allocations(call: PlacementCall) -> Reply:
    """What a consumer holds; nothing for one that is not known."""
    consumer, rows = call.services.allocations.of(call.params["consumer"].lower())
    wanted = {row.provider_id for row in rows}
    generations = {row.id: row.generation for row in PROVIDERS.select(call.services.desk.db, {"id": wanted})}
    return views.reply(call, views.allocations(call, consumer, rows, generations))


def _want(call: PlacementCall, consumer_id: str, body: SetAllocations, several: bool) -> Want:
    """The wish of one body, its shape checked against the microversion."""
    missing = [
        name
        for name, minor in (("project_id", 8), ("user_id", 8), ("consumer_generation", 28), ("consumer_type", 38))
        if (getattr(body, name) is UNSET) == at(call, minor)
    ]
    listed = isinstance(body.allocations, list)
    if missing or listed == at(call, 12) or (body.mappings is not UNSET and not at(call, 34)):
        what = ", ".join(missing) or "allocations"
        version = text(call.microversion or LOW)
        raise Invalid(f"JSON does not validate: {what} has not the form of microversion {version}", "schema")
    resources = _resources(body)
    if (not resources and not several and not at(call, 28)) or any(not part for part in resources.values()):
        raise Invalid("JSON does not validate: allocations is empty", "schema")
    plain = {name: value for name in ("project_id", "user_id", "consumer_type")
             if isinstance(value := getattr(body, name), str)}  # fmt: skip
    generation = body.consumer_generation if isinstance(body.consumer_generation, int) else None
    return Want(dashed(consumer_id), resources, generation=generation, checked=at(call, 28), **plain)


def _resources(body: SetAllocations) -> dict[str, dict[str, int]]:
    if isinstance(body.allocations, dict):
        return {dashed(each): dict(one.resources) for each, one in body.allocations.items()}
    if any(set(one.resource_provider) != {"uuid"} for one in body.allocations):
        raise Invalid("JSON does not validate: resource_provider has one member, uuid", "schema")
    return {dashed(one.resource_provider["uuid"]): dict(one.resources) for one in body.allocations}


@routes.add("PUT", "/allocations/{consumer}", "placement:set_allocations", body=SetAllocations, status=204)
def put_allocations(call: PlacementCall, body: SetAllocations) -> None:
    """Replace what a consumer holds."""
    consumer_id = query.uuid(call.params["consumer"], "consumer")
    call.services.allocations.set(call, [_want(call, consumer_id, body, False)])


@routes.add("POST", "/allocations", "placement:set_allocations", body=ManyAllocations, status=204, versions=since(13))
def post_allocations(call: PlacementCall, body: dict[str, SetAllocations]) -> None:
    """Replace what several consumers hold, all or none."""
    if not body:
        raise Invalid("JSON does not validate: {} does not have enough properties", "schema")
    call.services.allocations.set(call, [_want(call, each, one, True) for each, one in body.items()])


@routes.add("DELETE", "/allocations/{consumer}", "placement:delete_allocations", status=204)
def delete_allocations(call: PlacementCall) -> None:
    """Give back all that a consumer holds."""
    call.services.allocations.remove(call, call.params["consumer"].lower())


@routes.add("POST", "/reshaper", "placement:reshape", body=Reshape, status=204, versions=since(30))
def reshape(call: PlacementCall, body: Reshape) -> None:
    """Exchange inventories and allocations in one stroke."""
    parts = {
        dashed(each): (one.resource_provider_generation, rows_of(call, dashed(each), one))
        for each, one in body.inventories.items()
    }
    wants = [_want(call, each, one, True) for each, one in body.allocations.items()]
    call.services.allocations.reshape(call, parts, wants)


# --- usages and candidates


def _usage_target(call: PlacementCall, body: Any) -> Target:
    return Target(project_id=call.query.get("project_id"))


@routes.add("GET", "/usages", "placement:get_usages", versions=since(9), target=_usage_target)
def get_usages(call: PlacementCall) -> Reply:
    """What a project uses, or a user in it; by type of consumer from 1.38 on."""
    query.only(call, "project_id", "user_id", *(("consumer_type",) if at(call, 38) else ()))
    project_id, user_id = query.single(call, "project_id"), query.single(call, "user_id")
    if not project_id:
        raise Invalid("Invalid query string parameters: 'project_id' is a required property", query.MISSING)
    rows = store.usage(call.services.desk.db, project_id, user_id)
    if not at(call, 38):
        sums: dict[str, int] = {}
        for _, name, amount in rows:
            sums[name] = sums.get(name, 0) + amount
        return views.reply(call, {"usages": sums})
    return views.reply(call, {"usages": _by_type(call, rows, project_id, user_id)})


def _by_type(
    call: PlacementCall, rows: list[tuple[str, str, int]], project_id: str, user_id: str | None
) -> dict[str, dict[str, int]]:  # fmt: skip
    wanted = query.single(call, "consumer_type")
    counts = store.consumer_counts(call.services.desk.db, project_id, user_id)
    found: dict[str, dict[str, int]] = {}
    for kind, name, amount in rows:
        if wanted in (None, "all", kind):
            key = "all" if wanted == "all" else kind
            part = found.setdefault(key, {"consumer_count": sum(counts.values()) if wanted == "all" else counts[kind]})
            part[name] = part.get(name, 0) + amount
    return found


@routes.add("GET", "/allocation_candidates", "placement:list_candidates", versions=since(10))
def list_candidates(call: PlacementCall) -> Reply:
    """Which providers could serve a request, with the bodies that would take it."""
    asked = query.candidates(call)
    with call.services.desk.db.read() as tx:
        picture = candidates.Picture(tx)
        classes, traits = call.services.books.classes(tx), call.services.books.traits(tx)
    wanted = {name for group in asked.groups.values() for name in group.resources}
    named = asked.root.traits().union(*(group.traits() for group in asked.groups.values()))
    if unknown := sorted((wanted - classes) | (named - traits)):
        raise Invalid(f"Invalid resource class or trait in query string: {', '.join(unknown)}", query.BAD)
    found = candidates.find(picture, asked, at(call, 29))
    return views.reply(call, views.candidates(call, picture, found, wanted))


# --- the mount


def envelope(status: int, message: str, error: Error, request_id: str) -> dict[str, Any]:
    """`{"errors": [{...}]}` as the API-SIG wants it, with a code that clients match on."""
    code = error.reason if error.reason.startswith("placement.") else "placement.undefined_code"
    one: dict[str, Any] = {
        "status": status, "title": title_of(status), "detail": message, "request_id": request_id, "code": code,
    }  # fmt: skip
    if error.reason == "microversion":
        one |= {"min_version": text(LOW), "max_version": text(HIGH)}
    return {"errors": [one]}


def untouched(call: Call[Any]) -> bool:
    """Capacity and names are the operator's; what a project uses is the project's."""
    return call.method in ("GET", "HEAD") and call.action != "placement:get_usages"


def mount(service: Placement) -> Mount:
    """Placement under /placement."""
    versions = Microversions("placement", LOW, HIGH)
    return Mount(PREFIX, "placement", routes, service, Dialect("placement", envelope), versions, untouched=untouched)
