"""The key manager: an API over the key tree; the host role destroys what has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from andromede.app.hosting.site import Duties

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.web.api import Mount

EXPIRY_SECONDS = 60.0


def mounts(site: Site) -> list[Mount]:
    """Barbican's API."""
    from andromede.keymanager import routes

    return [routes.mount(site.keymanager)]


def duties(site: Site) -> Duties:
    """Destroy secrets whose time is over."""
    from andromede.work import Reconciler

    return Duties(reconcilers=[Reconciler("keymanager.expired", EXPIRY_SECONDS, site.keymanager.secrets.expire)])
