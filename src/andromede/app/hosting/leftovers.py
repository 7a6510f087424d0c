"""What hosting has left on this machine that no row accounts for: networks, guests, disks, load balancers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from andromede.ops import hosting

if TYPE_CHECKING:
    from andromede.app.base import Base
    from andromede.app.hosting.site import Site

SETTLE_SECONDS = 2.0


def findings(base: Base) -> list[dict[str, str]]:
    """As findings of fsck. What is there only for a moment, because work is under way, is not among them."""
    if os.geteuid() or not hosting.able():
        text = "not looked at: that needs root and the programs that doctor names"
        return [{"severity": "notice", "kind": "host", "subject": "this machine", "text": text}]
    from andromede.app.hosting.site import Site

    site = Site(base)
    found = set(_all(site))
    if found:
        base.clock.sleep(SETTLE_SECONDS)
        found &= set(_all(site))
    text = "nothing in the database accounts for it; restart the installation, and remove it if it is still there"
    stray = [{"severity": "error", "kind": "host", "subject": line, "text": text} for line in sorted(found)]
    return [*stray, *missing(site)]


def missing(site: Site) -> list[dict[str, str]]:
    """Volumes and snapshots that rows say are there, and whose files are not on this host."""
    from andromede.volumes.tables import SNAPSHOTS, VOLUMES

    text = "its file is not on this host: unless a backup of the volume holds them, its bytes are lost"
    wanted = [(f"volume {row.id}", row.id) for row in VOLUMES.select(site.base.db, {"state": ["available", "in-use"]})]
    wanted += [(f"snapshot {row.id}", row.id) for row in SNAPSHOTS.select(site.base.db, {"state": "available"})]
    return [
        {"severity": "error", "kind": "host", "subject": subject, "text": text}
        for subject, disk_id in wanted
        if site.disks.observe(disk_id) is None
    ]


def _all(site: Site) -> Iterator[str]:
    yield from _networks(site)
    yield from _guests(site)
    yield from _disks(site)
    yield from _balancers(site)


def _networks(site: Site) -> Iterator[str]:
    from andromede.app.hosting.network import host, place
    from andromede.engines.linux.leaks import leaks
    from andromede.network.parts import render
    from andromede.network.tables import PARTS

    with site.base.db.read() as tx:
        wished = [render(tx, row, place(site)) for row in PARTS.select(tx, {})]
    yield from leaks(host(site), [part for part in wished if part is not None])


def _guests(site: Site) -> Iterator[str]:
    from andromede.compute.tables import SERVERS

    for guest_id in site.hypervisor.known():
        if SERVERS.find(site.base.db, id=guest_id) is None:
            yield f"guest {guest_id}"


def _disks(site: Site) -> Iterator[str]:
    from andromede.volumes.tables import DISKS

    for disk_id in site.disks.engine.names():
        if DISKS.find(site.base.db, id=disk_id) is None:
            yield f"disk {disk_id}"


def _balancers(site: Site) -> Iterator[str]:
    from andromede.app.hosting.balancer import carrier
    from andromede.balancer.store import BALANCERS

    for balancer_id in carrier(site).listing():
        if BALANCERS.find(site.base.db, id=balancer_id) is None:
            yield f"load balancer {balancer_id}"
