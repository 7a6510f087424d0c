"""Guests: the hypervisor of this host, and what the steps of servers stand on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from andromede.app.hosting.site import Duties
from andromede.errors import Unavailable

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.compute.crew import Crew
    from andromede.compute.engine import Layer
    from andromede.engines.qemu.accelerator import Accelerator
    from andromede.engines.qemu.engine import QemuHypervisor

STATES = "memory"
"""Folder of the data directory for the memory of suspended guests."""
SHORT = 6
"""Digits of an installation's id that tell its guests from others' on this machine."""
TRIM_SECONDS = 10.0


def hypervisor(site: Site) -> QemuHypervisor:
    """This host's guests. Nothing is touched before the first is started."""
    from functools import cache
    from pathlib import Path

    from andromede.app.hosting.health import remembered
    from andromede.engines.qemu import accelerator
    from andromede.engines.qemu.cgroups import Cgroups
    from andromede.engines.qemu.engine import QemuHypervisor, Seat, Sources

    config = site.config.hosting
    runtime, short = Path(config.runtime), site.installation[:SHORT]

    @cache
    def chosen() -> Accelerator:
        return accelerator.choose(config.accelerator, remembered(site.config))

    seat = Seat(runtime / short / "g", site.config.data / STATES, runtime / "uids", chosen, Cgroups(short))
    sources = Sources(
        lambda disk_id: _layers(site, disk_id), lambda port_id: _plug(site, port_id), lambda name: _image(site, name),
        lambda disk_id: site.disks.value(disk_id).passphrase.encode("ascii"),
    )  # fmt: skip
    return QemuHypervisor(seat, sources, site.base.clock, site.base.ids)


def _layers(site: Site, disk_id: str) -> Sequence[Layer]:
    from andromede.compute.engine import Layer

    return [
        Layer(layer.fd, layer.format, layer.writable, layer.passphrase.encode("ascii") or None)
        for layer in site.disks.open(disk_id).layers
    ]


def _plug(site: Site, port_id: str) -> int:
    return site.fabric.plug(port_id)


def _image(site: Site, image_id: str) -> BinaryIO:
    raise Unavailable(f"the kernel image {image_id} cannot be read", "image")


def crew(site: Site) -> Crew:
    """What the steps of servers stand on."""
    from andromede.app.hosting import crew as parts
    from andromede.compute.crew import Crew

    return Crew(
        site.base.db, site.base.clock, site.hypervisor, parts.Ports(site), parts.Disks(site), parts.Volumes(site),
        parts.Images(site), lambda server: {}, parts.Books(), site.host,
    )  # fmt: skip


def duties(site: Site) -> Duties:
    """Lifecycles of servers and their devices; the watch over guests; logs of consoles kept short."""
    from andromede.compute import device_lifecycle, lifecycle
    from andromede.compute.watching import Watching
    from andromede.work import Reconciler

    made = crew(site)

    def trim() -> bool:
        site.hypervisor.trim()
        return False

    watch = Watching(made, site.hypervisor.known, lambda: site.desk.wake(), site.base.log)
    return Duties(
        (lifecycle.lifecycle(made), device_lifecycle.lifecycle(made)),
        (watch.reconciler(), Reconciler("compute.consoles", TRIM_SECONDS, trim, 60)),
    )
