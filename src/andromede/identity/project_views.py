"""Projects and domains as JSON, and the frame of every list (Identity API v3)."""

from __future__ import annotations

from typing import Any

from andromede.identity.model import Project
from andromede.web.call import Call


def listing(call: Call[Any], key: str, rows: list[dict[str, Any]], next_url: str | None = None) -> dict[str, Any]:
    """`{key: [...], "links": {...}}`"""
    return {key: rows, "links": {"next": next_url, "self": call.url, "previous": None}}


def self_link(call: Call[Any], path: str) -> dict[str, str]:
    """`{"self": url}` of a path below /v3."""
    return {"self": f"{call.base}/v3/{path}"}


def project_view(call: Call[Any], project: Project, tags: list[str]) -> dict[str, Any]:
    """A project; for a domain seen as a project, domain and parent are null."""
    return {
        **project.extra,
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id or None,
        "description": project.description,
        "enabled": project.enabled,
        "parent_id": project.parent_id,
        "is_domain": project.is_domain,
        "tags": tags,
        "options": project.options,
        "links": self_link(call, f"projects/{project.id}"),
    }


def domain_view(call: Call[Any], domain: Project, tags: list[str] | None = None) -> dict[str, Any]:
    """A domain."""
    return {
        **domain.extra,
        "id": domain.id,
        "name": domain.name,
        "description": domain.description,
        "enabled": domain.enabled,
        "tags": tags or [],
        "options": domain.options,
        "links": self_link(call, f"domains/{domain.id}"),
    }
