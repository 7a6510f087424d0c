"""What every part of the compute service shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from andromede.audit.changes import Desk
from andromede.clock import utc
from andromede.compute.engine import Views
from andromede.compute.neighbours import Door, Images, Networks, Volumes
from andromede.errors import NotFound
from andromede.web.access import is_cloud_admin
from andromede.web.call import Call
from andromede.web.routes import Target

Version = tuple[int, int]


def beside(base: str) -> str:
    """Consoles beside the compute API."""
    return base.removesuffix("/compute") + "/console"


@dataclass(frozen=True, slots=True)
class Core:
    """Shared by all parts; immutable. `network`, `image`, `volume`: whole APIs, for proxies.
    `console_url`: where consoles are opened, for those who reached the API under a base URL."""

    desk: Desk
    images: Images
    networks: Networks
    volumes: Volumes
    views: Views
    network: Door
    image: Door
    volume: Door
    console_url: Callable[[str], str] = beside
    zone: str = "nova"


def version(call: Call[Any]) -> Version:
    """The microversion of a call."""
    return call.microversion or (2, 1)


def stamp(us: int) -> str:
    """`2026-11-21T22:31:08Z`"""
    return utc(us).strftime("%Y-%m-%dT%H:%M:%SZ")


def fine(us: int) -> str | None:
    """`2026-11-21T22:31:08.000000`, None for never."""
    return utc(us).strftime("%Y-%m-%dT%H:%M:%S.%f") if us else None


def is_admin(call: Call[Any]) -> bool:
    """Whether the caller manages the installation."""
    return is_cloud_admin(call.who)


def project_of(call: Call[Any]) -> str:
    """The project that a call is scoped to. Raises `NotFound` without one: there is nothing to see."""
    if call.who.project_id is None:
        raise NotFound("this call needs a credential that is scoped to a project", "project")
    return call.who.project_id


def own_project(call: Call[Any], body: Any) -> Target:
    """The target of what has no owner but the caller's project."""
    return Target(project_id=call.who.project_id, user_id=call.who.user_id)
