"""Guests: the hypervisor of this host, and what the steps of servers stand on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from andromede.app.hosting import consoles, saved
from andromede.app.hosting.site import Duties
from andromede.errors import Conflict, NotFound, Unavailable

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.compute.crew import Crew
    from andromede.compute.engine import Layer, Open
    from andromede.compute.hosts import Facts
    from andromede.engines.qemu.accelerator import Accelerator
    from andromede.engines.qemu.engine import QemuHypervisor

STATES = "memory"
"""Folder of the data directory for the memory of suspended guests."""
SHORT = 6
"""Digits of an installation's id that tell its guests from others' on this machine."""
TRIM_SECONDS = 10.0
ANNOUNCE_SECONDS = 10.0
COPIES_SECONDS = 60.0


def hypervisor(site: Site, opened: Open | None = None) -> QemuHypervisor:
    """This host's guests. Nothing is touched before the first is started. `opened`: where disks come from, if not from
    block storage."""
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
        opened or (lambda disk_id: _layers(site, disk_id)), lambda port_id: _plug(site, port_id),
        lambda name: _image(site, name), lambda disk_id: site.disks.value(disk_id).passphrase.encode("ascii"),
    )  # fmt: skip
    return QemuHypervisor(seat, sources, site.base.clock, site.base.ids)


def _layers(site: Site, disk_id: str) -> Sequence[Layer]:
    from andromede.compute.engine import Layer

    return [
        Layer(layer.fd, layer.format, layer.writable, layer.passphrase.encode("ascii") or None)
        for layer in site.disks.open(disk_id).layers
    ]


def _plug(site: Site, port_id: str) -> int:
    """The tap of a port. After a restart of the machine it is there a moment later than the rows say, and a process
    that is just ending holds it a moment longer."""
    try:
        return site.fabric.plug(port_id)
    except (NotFound, Conflict) as error:
        raise Unavailable(f"port {port_id} cannot be plugged in yet: {error.public}", "port") from error


def _image(site: Site, image_id: str) -> BinaryIO:
    from andromede.app.hosting.pictures import PicturesHere

    return PicturesHere(site).file(image_id)


def crew(site: Site) -> Crew:
    """What the steps of servers stand on."""
    from andromede.app.hosting import crew as parts
    from andromede.compute.crew import Crew

    return Crew(
        site.base.db, site.base.clock, site.hypervisor, parts.Ports(site), parts.Disks(site), parts.Volumes(site),
        parts.Images(site), lambda server: site.compute.documents(server.id).drive(), parts.Books(), site.host,
    )  # fmt: skip


def facts(site: Site) -> Facts:
    """What this machine offers to guests."""
    from andromede.compute.hosts import Facts
    from andromede.engines.qemu.engine import OVERHEAD_MB
    from andromede.ops.machine import vcpu_ratio

    config, chosen = site.config.hosting, site.hypervisor.seat.accelerator()
    disk = os.statvfs(site.config.data)
    version = [int(part) for part in chosen.version.split("version ")[-1].split()[0].split(".")]
    ratio = vcpu_ratio(chosen.name, config.vcpu_ratio)
    cpu = {"arch": "x86_64", "model": _cpu_model(), "vendor": "", "topology": {"cores": os.cpu_count() or 1}}
    return Facts(
        site.host, os.cpu_count() or 1, _memory_mb(), disk.f_blocks * disk.f_frsize >> 30, config.reserved_memory_mb,
        ratio, OVERHEAD_MB, "127.0.0.1", "QEMU", version[0] * 1_000_000 + version[1] * 1000 + version[2], cpu,
    )  # fmt: skip


def _line(path: str, word: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return next((line.partition(":")[2].strip() for line in file if line.startswith(word)), "")


def _memory_mb() -> int:
    return int(_line("/proc/meminfo", "MemTotal").split()[0]) >> 10


def _cpu_model() -> str:
    return _line("/proc/cpuinfo", "model name")


def _answer(site: Site) -> None:
    """Begin to answer what the API process asks."""
    from andromede.compute.asking import Answering

    Answering(site.place.run, site.hypervisor).start()


def duties(site: Site) -> Duties:
    """Lifecycles of servers and their devices; the watch over guests; the host's sign of life; logs of consoles kept
    short."""
    from andromede.compute import device_lifecycle, lifecycle
    from andromede.compute.cleaning import Cleaning
    from andromede.compute.watching import Watching
    from andromede.work import Reconciler

    made = crew(site)

    def trim() -> bool:
        site.hypervisor.trim()
        return False

    def announce() -> bool:
        site.compute.hosts.announce(facts(site))
        return False

    watch = Watching(made, site.hypervisor.known, lambda: site.desk.wake(), site.base.log)
    return Duties(
        (lifecycle.lifecycle(made), device_lifecycle.lifecycle(made)),
        (
            Reconciler("compute.host", ANNOUNCE_SECONDS, announce, 60),
            watch.reconciler(),
            Cleaning(site.compute.core, site.compute.consoles).reconciler(),
            Reconciler("compute.consoles", TRIM_SECONDS, trim, 60),
            Reconciler("compute.copies", COPIES_SECONDS, lambda: saved.tidy(site), 60),
        ),
        (lambda: _answer(site), lambda: consoles.start(site)),
    )
