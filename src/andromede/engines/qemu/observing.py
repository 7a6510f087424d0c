"""What QEMU tells of a guest, as `Observed`."""

from __future__ import annotations

from andromede.compute.engine import Found, Observed
from andromede.engines.qemu import copying
from andromede.engines.qemu.place import Record
from andromede.engines.qemu.plugging import sizes
from andromede.engines.qemu.qmp import Monitor

_FOUND: dict[str, Found] = {
    "running": "running", "suspended": "running", "paused": "paused", "postmigrate": "paused", "debug": "paused",
    "shutdown": "shutdown", "guest-panicked": "panicked", "io-error": "io-error", "internal-error": "failed",
    "watchdog": "failed",
}  # fmt: skip
"""`query-status` -> what it means; the others are on the way to running. `suspended` is the guest's own sleep."""


def found(monitor: Monitor, live: Record) -> Observed:
    """A guest whose process runs."""
    status = monitor.status()
    there = monitor.devices()
    seen = sizes(monitor)
    disks = {name.removeprefix("disk-") for name in there if name.startswith("disk-")}
    return Observed(
        _FOUND.get(status, "starting"), _reason(status, monitor), {disk: seen.get(disk, 0) for disk in disks},
        frozenset(name.removeprefix("nic-") for name in there if name.startswith("nic-")),
        jobs=copying.jobs(monitor), pid=live.pid, uid=live.uid,
    )  # fmt: skip


def _reason(status: str, monitor: Monitor) -> str:
    if status == "guest-panicked":
        return "guest kernel panicked"
    if status == "io-error":
        blocks = monitor.run("query-block")
        full = any(block.get("io-status") == "nospace" for block in blocks)
        return "host storage full" if full else "a disk of the host fails"
    return f"the hypervisor stopped the guest: {status}" if status in ("internal-error", "watchdog") else ""
