"""The service catalog as tokens carry it."""

from __future__ import annotations

import re
from typing import Any

from andromede.db.table import Reader
from andromede.identity import catalog_store
from andromede.identity.core import HOSTED, Urls
from andromede.identity.model import Endpoint, Service

_HOLES = re.compile(r"[%$]\((project_id|tenant_id|user_id)\)s")


def expand(url: str, urls: Urls, project_id: str | None, user_id: str) -> str | None:
    """An endpoint's URL for one caller; None when it needs a project and there is none."""
    known = {"project_id": project_id, "tenant_id": project_id, "user_id": user_id}
    if any(known[hole] is None for hole in _HOLES.findall(url)):
        return None
    return _HOLES.sub(lambda match: known[match[1]] or "", urls.fill(url))


def catalog(tx: Reader, urls: Urls, project_id: str | None, user_id: str) -> list[dict[str, Any]]:
    """Enabled services with the endpoints that make sense in this scope."""
    found = []
    hidden = urls.hidden if urls.hosts else {kind for kind, _, _ in HOSTED}
    for service, endpoints in catalog_store.entries(tx):
        if service.type in hidden:
            continue
        points = [_point(point, url) for point in endpoints if (url := expand(point.url, urls, project_id, user_id))]
        found.append(_service(service, points))
    return found


def _service(service: Service, points: list[dict[str, Any]]) -> dict[str, Any]:
    return {"endpoints": points, "id": service.id, "type": service.type, "name": service.name or ""}


def _point(endpoint: Endpoint, url: str) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "interface": endpoint.interface,
        "region": endpoint.region_id,
        "region_id": endpoint.region_id,
        "url": url,
    }
