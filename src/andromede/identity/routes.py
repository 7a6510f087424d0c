"""The whole route table of the identity service."""

from __future__ import annotations

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


def mount(identity: Identity) -> Mount:
    """Keystone under /identity."""
    return Mount("/identity", "identity", routes, identity, Dialect("keystone"))
