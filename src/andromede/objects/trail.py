"""Audit events of the object service."""

from __future__ import annotations

from andromede.audit import Draft
from andromede.objects.model import Container, Trace, Version


def label(container: Container, key: str | None = None, shown: str | None = None) -> str:
    """What an event names: `container`, `container/key` or `container/key?v=<shown id>`."""
    if key is None:
        return container.name
    return f"{container.name}/{key}" if shown is None else f"{container.name}/{key}?v={shown}"


def event(container: Container, trace: Trace, what: str, **detail: str | int) -> Draft:
    """A successful write."""
    return Draft(
        container.project_id,
        trace.actor_label,
        trace.action,
        what,
        trace.request_id,
        purpose=trace.purpose,
        detail={"door": trace.door, **detail},
    )


def version_event(container: Container, trace: Trace, version: Version, **detail: str | int) -> Draft:
    """A successful write of one version."""
    return event(container, trace, label(container, version.key, version.shown_id), **detail)
