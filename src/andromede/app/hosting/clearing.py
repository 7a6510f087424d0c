"""Taking an installation off its machine: guests and networks outlive the program, so something must end them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from andromede.errors import Unavailable
from andromede.ops import hosting

if TYPE_CHECKING:
    from andromede.app.base import Base


def clear(base: Base) -> list[str]:
    """End every guest that runs and remove every network of this installation from this machine; what was there, in
    words. Rows, disks and the memory of suspended servers stay. Raises `Unavailable` without the rights for it."""
    from andromede.app.hosting import network
    from andromede.app.hosting.site import Site
    from andromede.engines.linux.clearing import clear as clear_networks

    able = hosting.able()
    if not able:
        text = f"this needs {', '.join(able.missing)}; mend it with: {able.mend}"
        raise Unavailable(text, "hosting")
    site = Site(base)
    found = []
    for guest_id in site.hypervisor.known():
        if site.hypervisor.live(guest_id) is not None:
            site.hypervisor.remove(guest_id)
            found.append(f"guest {guest_id}")
    return found + clear_networks(network.host(site))
