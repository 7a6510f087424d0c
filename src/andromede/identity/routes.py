"""The whole route table of the identity service."""

from __future__ import annotations

from typing import Any

from andromede.identity import (
    assignment_routes,
    auth_routes,
    catalog_routes,
    credential_routes,
    domain_routes,
    grant_routes,
    limit_routes,
    project_routes,
    role_routes,
    user_routes,
)
from andromede.identity.service import Identity
from andromede.web.api import Mount
from andromede.web.call import Call
from andromede.web.dialect import Dialect
from andromede.web.routes import Routes

PARTS = (
    assignment_routes,
    auth_routes,
    catalog_routes,
    credential_routes,
    domain_routes,
    grant_routes,
    limit_routes,
    project_routes,
    role_routes,
    user_routes,
)

routes: Routes[Identity] = Routes()
for _part in PARTS:
    routes.merge(_part.routes)


UNTOUCHED = frozenset(
    {
        "identity:discover",  # version documents
        "identity:get_auth_catalog",  # where the services are: the same for every project but for its id in URLs
        "identity:list_services",
        "identity:get_service",
        "identity:list_endpoints",
        "identity:get_endpoint",
        "identity:list_regions",
        "identity:get_region",
        "identity:list_roles",  # the names of roles, and which implies which: of the installation, not of a tenant
        "identity:get_role",
        "identity:list_implied_roles",
        "identity:get_implied_role",
        "identity:check_implied_role",
        "identity:list_role_inference_rules",
        "identity:get_domain_config_default",  # settings that no domain has changed
    }
)
"""Reads that show nothing of any tenant and leave no event. All others do; a test walks the table."""


def untouched(call: Call[Any]) -> bool:
    """Whether a call touches no data of a tenant: `UNTOUCHED`, and the check of the caller's own token, which
    tells its holder what the token itself says."""
    if call.action == "identity:validate_token":
        return call.headers.get("x-subject-token") == call.headers.get("x-auth-token")
    return call.action in UNTOUCHED


PREFIX = "/identity"


def about(origin: str) -> dict[str, Any]:
    """What `GET /` of the port tells of this service, in the form of its own discovery."""
    return {"versions": {"values": [auth_routes.version_document(origin + PREFIX)]}}


def mount(identity: Identity) -> Mount:
    """Keystone under /identity."""
    return Mount(PREFIX, "identity", routes, identity, Dialect("keystone"), untouched=untouched)
