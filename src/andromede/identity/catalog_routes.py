"""Regions, services and endpoints; policies, endpoint groups and consumers."""

from __future__ import annotations

from typing import Any

from andromede.identity import catalog
from andromede.identity.bodies import (
    ConsumerRequest,
    EndpointGroupRequest,
    EndpointRequest,
    PolicyRequest,
    RegionRequest,
    ServiceRequest,
)
from andromede.identity.common import filters
from andromede.identity.model import Document, Endpoint, Region, Service
from andromede.identity.project_views import listing, self_link
from andromede.identity.service import Identity
from andromede.web.call import Call
from andromede.web.routes import Routes

routes: Routes[Identity] = Routes()
IdentityCall = Call[Identity]


def _region(call: IdentityCall, region: Region) -> dict[str, Any]:
    return {
        **region.extra,
        "id": region.id,
        "description": region.description,
        "parent_region_id": region.parent_region_id,
        "links": self_link(call, f"regions/{region.id}"),
    }


@routes.add("POST", "/v3/regions", "identity:create_region", body=RegionRequest, status=201)
def create_region(call: IdentityCall, body: RegionRequest) -> dict[str, Any]:
    """Create a region, with an id of the client's choice or ours."""
    return {"region": _region(call, call.services.catalog.create_region(call, body.region))}


@routes.add("PUT", "/v3/regions/{region_id}", "identity:create_region", body=RegionRequest, status=201)
def put_region(call: IdentityCall, body: RegionRequest) -> dict[str, Any]:
    """Create a region with the id of the path."""
    return {"region": _region(call, call.services.catalog.create_region(call, body.region, call.params["region_id"]))}


@routes.add("GET", "/v3/regions", "identity:list_regions")
def list_regions(call: IdentityCall) -> dict[str, Any]:
    """Regions; filter parent_region_id."""
    rows = catalog.REGIONS.select(call.services.core.db, filters(call, "parent_region_id"))
    return listing(call, "regions", [_region(call, region) for region in rows])


@routes.add("GET", "/v3/regions/{region_id}", "identity:get_region")
def show_region(call: IdentityCall) -> dict[str, Any]:
    """A region."""
    return {"region": _region(call, call.services.catalog.region(call.params["region_id"]))}


@routes.add("PATCH", "/v3/regions/{region_id}", "identity:update_region", body=RegionRequest)
def update_region(call: IdentityCall, body: RegionRequest) -> dict[str, Any]:
    """Change a region."""
    return {"region": _region(call, call.services.catalog.update_region(call, call.params["region_id"], body.region))}


@routes.add("DELETE", "/v3/regions/{region_id}", "identity:delete_region", status=204)
def delete_region(call: IdentityCall) -> None:
    """Delete a region in which nothing lies."""
    call.services.catalog.remove_region(call, call.params["region_id"])


def _service(call: IdentityCall, service: Service) -> dict[str, Any]:
    body = {
        **service.extra,
        "id": service.id,
        "type": service.type,
        "enabled": service.enabled,
        "links": self_link(call, f"services/{service.id}"),
    }
    optional = {"name": service.name, "description": service.description}
    return {**body, **{name: value for name, value in optional.items() if value is not None}}


@routes.add("POST", "/v3/services", "identity:create_service", body=ServiceRequest, status=201)
def create_service(call: IdentityCall, body: ServiceRequest) -> dict[str, Any]:
    """Create a service of the catalog."""
    return {"service": _service(call, call.services.catalog.create_service(call, body.service))}


@routes.add("GET", "/v3/services", "identity:list_services")
def list_services(call: IdentityCall) -> dict[str, Any]:
    """Services; filters type, name."""
    rows = catalog.SERVICES.select(call.services.core.db, filters(call, "type", "name"))
    return listing(call, "services", [_service(call, service) for service in rows])


@routes.add("GET", "/v3/services/{service_id}", "identity:get_service")
def show_service(call: IdentityCall) -> dict[str, Any]:
    """A service."""
    return {"service": _service(call, call.services.catalog.service(call.params["service_id"]))}


@routes.add("PATCH", "/v3/services/{service_id}", "identity:update_service", body=ServiceRequest)
def update_service(call: IdentityCall, body: ServiceRequest) -> dict[str, Any]:
    """Change a service."""
    changed = call.services.catalog.update_service(call, call.params["service_id"], body.service)
    return {"service": _service(call, changed)}


@routes.add("DELETE", "/v3/services/{service_id}", "identity:delete_service", status=204)
def delete_service(call: IdentityCall) -> None:
    """Delete a service with its endpoints."""
    call.services.catalog.remove_service(call, call.params["service_id"])


def _endpoint(call: IdentityCall, endpoint: Endpoint) -> dict[str, Any]:
    return {
        **endpoint.extra,
        "id": endpoint.id,
        "interface": endpoint.interface,
        "url": call.services.core.urls.fill(endpoint.url),
        "service_id": endpoint.service_id,
        "region": endpoint.region_id,
        "region_id": endpoint.region_id,
        "enabled": endpoint.enabled,
        "links": self_link(call, f"endpoints/{endpoint.id}"),
    }


@routes.add("POST", "/v3/endpoints", "identity:create_endpoint", body=EndpointRequest, status=201)
def create_endpoint(call: IdentityCall, body: EndpointRequest) -> dict[str, Any]:
    """Create an endpoint of a service."""
    return {"endpoint": _endpoint(call, call.services.catalog.create_endpoint(call, body.endpoint))}


@routes.add("GET", "/v3/endpoints", "identity:list_endpoints")
def list_endpoints(call: IdentityCall) -> dict[str, Any]:
    """Endpoints; filters interface, service_id, region_id (or region)."""
    where = filters(call, "interface", "service_id", "region_id")
    if (region := call.query.get("region")) is not None:
        where["region_id"] = region
    rows = catalog.ENDPOINTS.select(call.services.core.db, where)
    return listing(call, "endpoints", [_endpoint(call, endpoint) for endpoint in rows])


@routes.add("GET", "/v3/endpoints/{endpoint_id}", "identity:get_endpoint")
def show_endpoint(call: IdentityCall) -> dict[str, Any]:
    """An endpoint."""
    return {"endpoint": _endpoint(call, call.services.catalog.endpoint(call.params["endpoint_id"]))}


@routes.add("PATCH", "/v3/endpoints/{endpoint_id}", "identity:update_endpoint", body=EndpointRequest)
def update_endpoint(call: IdentityCall, body: EndpointRequest) -> dict[str, Any]:
    """Change an endpoint."""
    changed = call.services.catalog.update_endpoint(call, call.params["endpoint_id"], body.endpoint)
    return {"endpoint": _endpoint(call, changed)}


@routes.add("DELETE", "/v3/endpoints/{endpoint_id}", "identity:delete_endpoint", status=204)
def delete_endpoint(call: IdentityCall) -> None:
    """Delete an endpoint."""
    call.services.catalog.remove_endpoint(call, call.params["endpoint_id"])


PATHS = {"policy": "policies", "endpoint_group": "OS-EP-FILTER/endpoint_groups", "consumer": "OS-OAUTH1/consumers"}


def _document(call: IdentityCall, document: Document) -> dict[str, Any]:
    path = PATHS[document.kind]
    return {**document.body, "id": document.id, "links": self_link(call, f"{path}/{document.id}")}


def _listed(call: IdentityCall, kind: str, key: str, *names: str) -> dict[str, Any]:
    wanted = {name: value for name in names if (value := call.query.get(name)) is not None}
    rows = [
        document
        for document in call.services.documents.listed(kind)
        if all(document.body.get(name) == value for name, value in wanted.items())
    ]
    return listing(call, key, [_document(call, document) for document in rows])


@routes.add("POST", "/v3/policies", "identity:create_policy", body=PolicyRequest, status=201)
def create_policy(call: IdentityCall, body: PolicyRequest) -> dict[str, Any]:
    """Keep a policy document; it has no effect here."""
    return {"policy": _document(call, call.services.documents.create(call, "policy", body.policy, ("blob", "type")))}


@routes.add("GET", "/v3/policies", "identity:list_policies")
def list_policies(call: IdentityCall) -> dict[str, Any]:
    """Policy documents; filter type."""
    return _listed(call, "policy", "policies", "type")


@routes.add("GET", "/v3/policies/{policy_id}", "identity:get_policy")
def show_policy(call: IdentityCall) -> dict[str, Any]:
    """A policy document."""
    return {"policy": _document(call, call.services.documents.get("policy", call.params["policy_id"]))}


@routes.add("PATCH", "/v3/policies/{policy_id}", "identity:update_policy", body=PolicyRequest)
def update_policy(call: IdentityCall, body: PolicyRequest) -> dict[str, Any]:
    """Change a policy document."""
    changed = call.services.documents.update(call, "policy", call.params["policy_id"], body.policy)
    return {"policy": _document(call, changed)}


@routes.add("DELETE", "/v3/policies/{policy_id}", "identity:delete_policy", status=204)
def delete_policy(call: IdentityCall) -> None:
    """Delete a policy document."""
    call.services.documents.remove(call, "policy", call.params["policy_id"])


@routes.add(
    "POST", "/v3/OS-EP-FILTER/endpoint_groups", "identity:create_endpoint_group", body=EndpointGroupRequest, status=201
)
def create_group(call: IdentityCall, body: EndpointGroupRequest) -> dict[str, Any]:
    """Keep a named filter of endpoints."""
    made = call.services.documents.create(call, "endpoint_group", body.endpoint_group, ("name", "filters"))
    return {"endpoint_group": _document(call, made)}


@routes.add("GET", "/v3/OS-EP-FILTER/endpoint_groups", "identity:list_endpoint_groups")
def list_groups(call: IdentityCall) -> dict[str, Any]:
    """Endpoint groups; filter name."""
    return _listed(call, "endpoint_group", "endpoint_groups", "name")


@routes.add("GET", "/v3/OS-EP-FILTER/endpoint_groups/{group_id}", "identity:get_endpoint_group")
def show_group(call: IdentityCall) -> dict[str, Any]:
    """An endpoint group."""
    return {"endpoint_group": _document(call, call.services.documents.get("endpoint_group", call.params["group_id"]))}


@routes.add(
    "PATCH", "/v3/OS-EP-FILTER/endpoint_groups/{group_id}", "identity:update_endpoint_group", body=EndpointGroupRequest
)
def update_group(call: IdentityCall, body: EndpointGroupRequest) -> dict[str, Any]:
    """Change an endpoint group."""
    changed = call.services.documents.update(call, "endpoint_group", call.params["group_id"], body.endpoint_group)
    return {"endpoint_group": _document(call, changed)}


@routes.add("DELETE", "/v3/OS-EP-FILTER/endpoint_groups/{group_id}", "identity:delete_endpoint_group", status=204)
def delete_group(call: IdentityCall) -> None:
    """Delete an endpoint group."""
    call.services.documents.remove(call, "endpoint_group", call.params["group_id"])


@routes.add("POST", "/v3/OS-OAUTH1/consumers", "identity:create_consumer", body=ConsumerRequest, status=201)
def create_consumer(call: IdentityCall, body: ConsumerRequest) -> dict[str, Any]:
    """Register a consumer; its secret is in this answer only."""
    made = call.services.documents.create(call, "consumer", body.consumer, ())
    return {"consumer": {**_document(call, made), "secret": call.services.documents.secret(made)}}


@routes.add("GET", "/v3/OS-OAUTH1/consumers", "identity:list_consumers")
def list_consumers(call: IdentityCall) -> dict[str, Any]:
    """Consumers."""
    return _listed(call, "consumer", "consumers")


@routes.add("GET", "/v3/OS-OAUTH1/consumers/{consumer_id}", "identity:get_consumer")
def show_consumer(call: IdentityCall) -> dict[str, Any]:
    """A consumer, without its secret."""
    return {"consumer": _document(call, call.services.documents.get("consumer", call.params["consumer_id"]))}


@routes.add("PATCH", "/v3/OS-OAUTH1/consumers/{consumer_id}", "identity:update_consumer", body=ConsumerRequest)
def update_consumer(call: IdentityCall, body: ConsumerRequest) -> dict[str, Any]:
    """Change a consumer's description."""
    changed = call.services.documents.update(call, "consumer", call.params["consumer_id"], body.consumer)
    return {"consumer": _document(call, changed)}


@routes.add("DELETE", "/v3/OS-OAUTH1/consumers/{consumer_id}", "identity:delete_consumer", status=204)
def delete_consumer(call: IdentityCall) -> None:
    """Delete a consumer."""
    call.services.documents.remove(call, "consumer", call.params["consumer_id"])
