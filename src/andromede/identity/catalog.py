"""Rules of regions, services, endpoints and the small documents beside them (Identity API v3)."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from andromede.db import Tx
from andromede.errors import Conflict, Denied, Invalid
from andromede.identity import catalog_store
from andromede.identity.bodies import DocumentFields, EndpointFields, RegionFields, ServiceFields
from andromede.identity.common import extras, found, given, required
from andromede.identity.core import Core
from andromede.identity.model import Document, Endpoint, Region, Service
from andromede.web.call import Call

REGIONS = catalog_store.REGIONS
SERVICES = catalog_store.SERVICES
ENDPOINTS = catalog_store.ENDPOINTS
DOCUMENTS = catalog_store.DOCUMENTS
INTERFACES = ("public", "internal", "admin")


class Catalog:
    """What the catalog lists."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def region(self, region_id: str) -> Region:
        """A region."""
        return found(REGIONS.find(self._core.db, id=region_id), "region", region_id)

    def create_region(self, call: Call[Any], fields: RegionFields, region_id: str | None = None) -> Region:
        """A new region, its id chosen by the client or here."""
        values = given(fields)
        named = values.get("id") or None
        if region_id is not None and named not in (None, region_id):
            raise Invalid("the region id of the path and of the body differ", "schema")
        region = Region(
            region_id or named or self._core.ids.hex(), values.get("description") or "",
            values.get("parent_region_id"), extras(call.json, "region", fields),
        )  # fmt: skip
        with self._core.change(call, f"region:{region.id}") as change:
            if REGIONS.find(change.tx, id=region.id):
                raise Conflict(f"Conflict occurred attempting to store region - Duplicate ID, {region.id}.", "region")
            self._parent(change.tx, region)
            REGIONS.insert(change.tx, region)
        return region

    @staticmethod
    def _parent(tx: Tx, region: Region) -> None:
        above = region.parent_region_id
        for _ in range(20):
            if above is None:
                return
            if above == region.id:
                raise Invalid("a region cannot lie within itself", "region")
            above = found(REGIONS.find(tx, id=above), "region", above).parent_region_id
        raise Invalid("regions are nested too deeply", "region")

    def update_region(self, call: Call[Any], region_id: str, fields: RegionFields) -> Region:
        """Change a region."""
        values = given(fields)
        with self._core.change(call, f"region:{region_id}") as change:
            old = found(REGIONS.find(change.tx, id=region_id), "region", region_id)
            new: dict[str, Any] = {"extra": {**old.extra, **extras(call.json, "region", fields)}}
            if "description" in values:
                new["description"] = values["description"] or ""
            if "parent_region_id" in values:
                new["parent_region_id"] = values["parent_region_id"]
                self._parent(change.tx, replace(old, parent_region_id=values["parent_region_id"]))
            REGIONS.update(change.tx, {"id": region_id}, **new)
        return self.region(region_id)

    def remove_region(self, call: Call[Any], region_id: str) -> None:
        """Delete a region that no endpoint and no region lies in."""
        with self._core.change(call, f"region:{region_id}") as change:
            found(REGIONS.find(change.tx, id=region_id), "region", region_id)
            if REGIONS.find(change.tx, parent_region_id=region_id) or ENDPOINTS.find(change.tx, region_id=region_id):
                raise Denied(f"Unable to delete region {region_id}: endpoints or regions lie in it.", "in_use")
            REGIONS.remove(change.tx, id=region_id)

    def service(self, service_id: str) -> Service:
        """A service."""
        return found(SERVICES.find(self._core.db, id=service_id), "service", service_id)

    def create_service(self, call: Call[Any], fields: ServiceFields) -> Service:
        """A new service."""
        values = given(fields)
        required(values, "type")
        service = Service(self._core.ids.hex(), **values, extra=extras(call.json, "service", fields))
        with self._core.change(call, f"service:{service.id}") as change:
            return SERVICES.insert(change.tx, service)

    def update_service(self, call: Call[Any], service_id: str, fields: ServiceFields) -> Service:
        """Change a service."""
        with self._core.change(call, f"service:{service_id}") as change:
            old = found(SERVICES.find(change.tx, id=service_id), "service", service_id)
            extra = {**old.extra, **extras(call.json, "service", fields)}
            SERVICES.update(change.tx, {"id": service_id}, **given(fields), extra=extra)
        return self.service(service_id)

    def remove_service(self, call: Call[Any], service_id: str) -> None:
        """Delete a service with its endpoints and limits."""
        with self._core.change(call, f"service:{service_id}") as change:
            if not SERVICES.remove(change.tx, id=service_id):
                found(None, "service", service_id)
            ENDPOINTS.remove(change.tx, service_id=service_id)
            catalog_store.LIMITS.remove(change.tx, service_id=service_id)
            catalog_store.REGISTERED.remove(change.tx, service_id=service_id)

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """An endpoint."""
        return found(ENDPOINTS.find(self._core.db, id=endpoint_id), "endpoint", endpoint_id)

    def create_endpoint(self, call: Call[Any], fields: EndpointFields) -> Endpoint:
        """A new endpoint. The old member `region` names a region too, and makes it when it is new."""
        values = given(fields)
        required(values, "interface", "url", "service_id")
        with self._core.change(call) as change:
            values = self._endpoint_values(change.tx, values)
            endpoint = Endpoint(self._core.ids.hex(), **values, extra=extras(call.json, "endpoint", fields))
            change.object = f"endpoint:{endpoint.id}"
            return ENDPOINTS.insert(change.tx, endpoint)

    @staticmethod
    def _endpoint_values(tx: Tx, values: dict[str, Any]) -> dict[str, Any]:
        values = dict(values)
        legacy = values.pop("region", None)
        if legacy is not None and values.get("region_id") is None:
            values["region_id"] = legacy
            if REGIONS.find(tx, id=legacy) is None:
                REGIONS.insert(tx, Region(legacy))
        if values.get("region_id") is not None and REGIONS.find(tx, id=values["region_id"]) is None:
            raise Invalid(f"region {values['region_id']!r} does not exist", "region")
        if "interface" in values and values["interface"] not in INTERFACES:
            raise Invalid(f"interface {values['interface']!r} must be one of {', '.join(INTERFACES)}", "schema")
        if "url" in values and not _is_url(values["url"]):
            raise Invalid(f"url {values['url']!r} is not an http or https URL", "schema")
        if "service_id" in values and SERVICES.find(tx, id=values["service_id"]) is None:
            raise Invalid(f"service {values['service_id']!r} does not exist", "service")
        return values

    def update_endpoint(self, call: Call[Any], endpoint_id: str, fields: EndpointFields) -> Endpoint:
        """Change an endpoint."""
        with self._core.change(call, f"endpoint:{endpoint_id}") as change:
            old = found(ENDPOINTS.find(change.tx, id=endpoint_id), "endpoint", endpoint_id)
            values = self._endpoint_values(change.tx, given(fields))
            values["extra"] = {**old.extra, **extras(call.json, "endpoint", fields)}
            ENDPOINTS.update(change.tx, {"id": endpoint_id}, **values)
        return self.endpoint(endpoint_id)

    def remove_endpoint(self, call: Call[Any], endpoint_id: str) -> None:
        """Delete an endpoint."""
        with self._core.change(call, f"endpoint:{endpoint_id}") as change:
            if not ENDPOINTS.remove(change.tx, id=endpoint_id):
                found(None, "endpoint", endpoint_id)


def _is_url(text: str) -> bool:
    if text.startswith(("{api}", "{objects}")):
        return True
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.netloc)
    except ValueError:
        return False


class Documents:
    """Policies, endpoint groups and consumers: kept and shown, without an effect of their own here."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get(self, kind: str, document_id: str) -> Document:
        """A document."""
        return found(DOCUMENTS.find(self._core.db, id=document_id, kind=kind), kind, document_id)

    def listed(self, kind: str) -> list[Document]:
        """Every document of a kind."""
        return DOCUMENTS.select(self._core.db, {"kind": kind})

    def create(self, call: Call[Any], kind: str, fields: DocumentFields, needed: tuple[str, ...]) -> Document:
        """A new document; a consumer gets a secret, stored encrypted."""
        body = {**extras(call.json, kind, fields), **given(fields)}
        required(body, *needed)
        secret = None
        if kind == "consumer":
            raw = base64.urlsafe_b64encode(self._core.ids.secret(32))
            secret = self._core.vault.encrypt(raw, self._core.clock.now_us())
        if len(json.dumps(body)) > 65536:
            raise Invalid(f"the {kind} is larger than 64 KiB", "schema")
        document = Document(self._core.ids.hex(), kind, body, secret)
        with self._core.change(call, f"{kind}:{document.id}") as change:
            return DOCUMENTS.insert(change.tx, document)

    def update(self, call: Call[Any], kind: str, document_id: str, fields: DocumentFields) -> Document:
        """Change members."""
        with self._core.change(call, f"{kind}:{document_id}") as change:
            old = found(DOCUMENTS.find(change.tx, id=document_id, kind=kind), kind, document_id)
            body = {**old.body, **extras(call.json, kind, fields), **given(fields)}
            DOCUMENTS.update(change.tx, {"id": document_id}, body=body)
        return self.get(kind, document_id)

    def remove(self, call: Call[Any], kind: str, document_id: str) -> None:
        """Delete a document."""
        with self._core.change(call, f"{kind}:{document_id}") as change:
            if not DOCUMENTS.remove(change.tx, id=document_id, kind=kind):
                found(None, kind, document_id)

    def secret(self, document: Document) -> str:
        """A consumer's secret."""
        return self._core.vault.decrypt(document.secret or b"").decode()
