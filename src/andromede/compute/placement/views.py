"""How Placement's things look, by microversion."""

from __future__ import annotations

from typing import Any

from andromede.clock import US, http_date
from andromede.compute.capacity_model import Allocation, Consumer, Inventory, Provider
from andromede.compute.placement.candidates import Candidate, Picture
from andromede.compute.placement.query import PlacementCall, at
from andromede.web.call import Reply

Json = dict[str, Any]
PREFIX = "/placement"


def reply(call: PlacementCall, body: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """An answer, told not to be kept from 1.15 on."""
    if at(call, 15) and call.method in ("GET", "PUT", "POST") and status == 200:
        now = call.services.desk.clock.now_us() // US
        headers = (*headers, ("Cache-Control", "no-cache"), ("Last-Modified", http_date(now)))
    return Reply(body, status, headers)


def provider(call: PlacementCall, one: Provider) -> Json:
    """A provider with links to what it has."""
    where = f"{PREFIX}/resource_providers/{one.id}"
    names = ["inventories", "usages"]
    names += [name for name, minor in (("aggregates", 1), ("traits", 6), ("allocations", 11)) if at(call, minor)]
    links = [{"rel": "self", "href": where}, *({"rel": name, "href": f"{where}/{name}"} for name in names)]
    shown: Json = {"uuid": one.id, "name": one.name, "generation": one.generation, "links": links}
    if at(call, 14):
        shown |= {"parent_provider_uuid": one.parent_id, "root_provider_uuid": one.root_id}
    return shown


def inventory(one: Inventory) -> Json:
    """What a provider has of one class."""
    return {
        "total": one.total,
        "reserved": one.reserved,
        "min_unit": one.min_unit,
        "max_unit": one.max_unit,
        "step_size": one.step_size,
        "allocation_ratio": float(one.allocation_ratio),
    }


def inventories(one: Provider, rows: dict[str, Inventory]) -> Json:
    """Everything that a provider has."""
    shown = {name: inventory(row) for name, row in sorted(rows.items())}
    return {"resource_provider_generation": one.generation, "inventories": shown}


def resource_class(name: str) -> Json:
    """A resource class."""
    return {"name": name, "links": [{"rel": "self", "href": f"{PREFIX}/resource_classes/{name}"}]}


def allocations(
    call: PlacementCall, consumer: Consumer | None, rows: list[Allocation], generations: dict[str, int]
) -> Json:
    """What a consumer holds."""
    by_provider: dict[str, Json] = {}
    for row in rows:
        part = by_provider.setdefault(
            row.provider_id, {"generation": generations.get(row.provider_id, 0), "resources": {}}
        )
        part["resources"][row.resource_class] = row.used
    shown: Json = {"allocations": by_provider}
    if consumer is not None and rows:
        if at(call, 12):
            shown |= {"project_id": consumer.project_id, "user_id": consumer.user_id}
        if at(call, 28):
            shown["consumer_generation"] = consumer.generation
        if at(call, 38):
            shown["consumer_type"] = consumer.consumer_type
    return shown


def candidates(call: PlacementCall, picture: Picture, found: list[Candidate], wanted: set[str]) -> Json:
    """Candidates, and the providers that they name; from 1.29 on with the rest of their trees."""
    involved = {each for one in found for each in (*one.resources, *(p for ps in one.mappings.values() for p in ps))}
    if at(call, 29):
        involved = {each for one in involved for each in picture.trees[picture.providers[one].root_id]}
    summaries = {each: _summary(call, picture, each, wanted) for each in sorted(involved)}
    return {"allocation_requests": [_request(call, one) for one in found], "provider_summaries": summaries}


def _request(call: PlacementCall, one: Candidate) -> Json:
    if not at(call, 12):
        listed = [
            {"resource_provider": {"uuid": each}, "resources": books} for each, books in sorted(one.resources.items())
        ]
        return {"allocations": listed}
    shown: Json = {"allocations": {each: {"resources": books} for each, books in sorted(one.resources.items())}}
    if at(call, 34):
        shown["mappings"] = one.mappings
    return shown


def _summary(call: PlacementCall, picture: Picture, provider_id: str, wanted: set[str]) -> Json:
    taken = picture.used.get(provider_id, {})
    resources = {
        name: {"capacity": row.capacity, "used": taken.get(name, 0)}
        for name, row in sorted(picture.stock[provider_id].items())
        if at(call, 27) or name in wanted
    }
    shown: Json = {"resources": resources}
    if at(call, 17):
        shown["traits"] = sorted(picture.traits(provider_id))
    if at(call, 29):
        one = picture.providers[provider_id]
        shown |= {"parent_provider_uuid": one.parent_id, "root_provider_uuid": one.root_id}
    return shown
