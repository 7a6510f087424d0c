"""Regions, services, endpoints, limits and small documents in the database."""

from __future__ import annotations

import json
from typing import Any

from andromede.db import Tx
from andromede.db.table import Reader, Table
from andromede.identity.model import Document, Endpoint, Limit, Region, RegisteredLimit, Service

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


def config(tx: Reader, domain_id: str) -> dict[str, dict[str, Any]]:
    """A domain's own options by group."""
    rows = tx.all(
        "SELECT section, name, value FROM identity_domain_config WHERE domain_id = ? ORDER BY section, name",
        (domain_id,),
    )
    found: dict[str, dict[str, Any]] = {}
    for section, name, value in rows:
        found.setdefault(section, {})[name] = json.loads(value)
    return found


def set_config(tx: Tx, domain_id: str, options: dict[str, dict[str, Any]]) -> None:
    """Write options; others stay."""
    for section, values in options.items():
        for name, value in values.items():
            tx.run(
                "INSERT INTO identity_domain_config (domain_id, section, name, value) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (domain_id, section, name) DO UPDATE SET value = excluded.value",
                (domain_id, section, name, json.dumps(value)),
            )


def clear_config(tx: Tx, domain_id: str, section: str = "", name: str = "") -> int:
    """Remove all options of a domain, or of one group, or one option; the number removed."""
    where, params = "domain_id = ?", [domain_id]
    for column, value in (("section", section), ("name", name)):
        if value:
            where += f" AND {column} = ?"
            params.append(value)
    return tx.run(f"DELETE FROM identity_domain_config WHERE {where}", params)
