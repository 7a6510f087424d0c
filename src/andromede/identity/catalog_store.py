"""Regions, services, endpoints, limits and small documents in the database."""

from __future__ import annotations

from andromede.identity.model import Document, Endpoint, Limit, Region, RegisteredLimit, Service
from andromede.identity.table_store import Reader, Table

REGIONS = Table("identity_region", Region)
SERVICES = Table("identity_service", Service, order="type, id")
ENDPOINTS = Table("identity_endpoint", Endpoint)
LIMITS = Table("identity_limit", Limit)
REGISTERED = Table("identity_registered_limit", RegisteredLimit)
DOCUMENTS = Table("identity_document", Document)


def entries(tx: Reader) -> list[tuple[Service, list[Endpoint]]]:
    """Every enabled service with its enabled endpoints, in order of type."""
    points: dict[str, list[Endpoint]] = {}
    for endpoint in ENDPOINTS.select(tx, {"enabled": True}):
        points.setdefault(endpoint.service_id, []).append(endpoint)
    return [(service, points.get(service.id, [])) for service in SERVICES.select(tx, {"enabled": True})]
