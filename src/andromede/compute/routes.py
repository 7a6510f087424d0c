"""The compute API as one mount."""

from __future__ import annotations

from typing import Any

from andromede.compute import (
    action_routes,
    detail_routes,
    device_routes,
    flavor_routes,
    group_routes,
    host_routes,
    image_proxy,
    keypair_routes,
    operator_routes,
    proxy_routes,
    quota_routes,
    server_routes,
    version_routes,
    volume_proxy,
)
from andromede.compute.dialect import DIALECT, VERSIONS
from andromede.compute.service import Compute
from andromede.web.api import Mount
from andromede.web.call import Call
from andromede.web.routes import Routes

PREFIX = "/compute"
PARTS = (
    version_routes, flavor_routes, keypair_routes, quota_routes, group_routes, server_routes, action_routes,
    detail_routes, device_routes, host_routes, operator_routes, proxy_routes, volume_proxy, image_proxy,
)  # fmt: skip
UNTOUCHED = frozenset(
    {
        "compute:discover", "compute:list_flavors", "compute:show_flavor", "compute:list_extra_specs",
        "compute:show_extra_spec", "compute:list_extensions", "compute:show_extension", "compute:list_zones",
        "compute:show_quota_defaults",
    }
)  # fmt: skip
"""Actions that touch no data of a tenant."""


def table() -> Routes[Compute]:
    """Every route of the service."""
    found: Routes[Compute] = Routes()
    for part in PARTS:
        found.merge(part.routes)
    return found


def untouched(call: Call[Any]) -> bool:
    """Whether a call needs no event."""
    return call.action in UNTOUCHED


def mount(compute: Compute) -> Mount:
    """The compute API."""
    return Mount(
        PREFIX, "compute", table(), compute, DIALECT, VERSIONS, max_body=1 << 21, untouched=untouched,
        request_header="X-Compute-Request-Id", exact=True,
    )  # fmt: skip
