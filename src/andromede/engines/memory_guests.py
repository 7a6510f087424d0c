"""The twin of the hypervisor: guests in memory, for tests. It polices its callers, and its guests do what a guest of
`will` does: shut down when asked, let go of devices when asked, or neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from andromede.compute.engine import SLOTS, Copy, Figures, Found, Guest, Job, Observed, Signal
from andromede.errors import Conflict


@dataclass(slots=True)
class _Running:
    power: Found
    disks: dict[str, int] = field(default_factory=dict)
    nics: set[str] = field(default_factory=set)
    jobs: dict[str, Job] = field(default_factory=dict)
    targets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    saved: tuple[frozenset[str], frozenset[str]] | None = None
    pid: int = 0


class MemoryGuests:
    """`wired`: whether a port carries packets, asked before each start. `will`: whether guests cooperate. `starts`
    counts processes; `calls` is (verb, guest)."""

    def __init__(self, wired: Callable[[str], bool] = lambda port: True) -> None:
        self.guests: dict[str, _Running] = {}
        self.wired = wired
        self.will = True
        self.starts = 0
        self.calls: list[tuple[str, str]] = []
        self.lines: dict[str, str] = {}

    def ensure(self, guest: Guest) -> None:
        self.calls.append(("ensure", guest.id))
        had = self.guests.get(guest.id)
        live = had is not None and had.power not in ("off", "suspended", "failed")
        if guest.power == "off":
            if had is not None:
                self.guests[guest.id] = _Running("off")
        elif guest.power == "suspended":
            if had is not None and live:
                self.guests[guest.id] = _Running("suspended", saved=(frozenset(had.disks), frozenset(had.nics)))
        elif had is None or not live or had.power == "shutdown":
            self._start(guest, had)
        else:
            self._tend(guest, had)

    def _start(self, guest: Guest, had: _Running | None) -> None:
        self._police(guest)
        disks = {disk.id: disk.size_bytes for disk in guest.disks}
        nics = {nic.id for nic in guest.nics}
        if had is not None and had.saved is not None and had.saved != (frozenset(disks), frozenset(nics)):
            raise AssertionError(f"guest {guest.id} is resumed with other devices than it was suspended with")
        self.starts += 1
        self.guests[guest.id] = _Running(guest.power, disks, nics, pid=self.starts)

    def _tend(self, guest: Guest, had: _Running) -> None:
        self._police(guest)
        special = [disk.id for disk in guest.disks if disk.bus != "virtio" or disk.cdrom]
        if late := [disk for disk in special if disk not in had.disks]:
            raise AssertionError(f"{late} of guest {guest.id} cannot be plugged in while it runs")
        wished, nics = {disk.id: disk.size_bytes for disk in guest.disks}, {nic.id for nic in guest.nics}
        if self.will and had.power == "running":
            had.disks = {disk: size for disk, size in had.disks.items() if disk in wished}
            had.nics &= nics
        for disk, size in wished.items():
            had.disks[disk] = max(size, had.disks.get(disk, 0))
        had.nics |= nics
        if had.power in ("running", "paused", "io-error"):
            had.power = guest.power

    def _police(self, guest: Guest) -> None:
        slots = [disk.slot for disk in guest.disks] + [nic.slot for nic in guest.nics]
        if len(slots) != len(set(slots)) or any(not 0 <= slot < SLOTS for slot in slots):
            raise AssertionError(f"guest {guest.id} has two devices in one slot: {slots}")
        if not guest.disks and guest.kernel is None:
            raise AssertionError(f"guest {guest.id} is started without anything to boot")
        for other_id, other in self.guests.items():
            if other_id != guest.id and (
                shared := set(other.disks) & {d.id for d in guest.disks} or other.nics & {n.id for n in guest.nics}
            ):
                raise AssertionError(f"{shared} is given to two guests")
        for nic in guest.nics:
            if not self.wired(nic.id):
                raise AssertionError(f"guest {guest.id} is started before port {nic.id} carries packets")

    def remove(self, guest_id: str) -> None:
        self.calls.append(("remove", guest_id))
        self.guests.pop(guest_id, None)

    def observe(self, guest_id: str) -> Observed | None:
        had = self.guests.get(guest_id)
        if had is None:
            return None
        reason = {"failed": "hypervisor process ended: signal 9", "panicked": "guest kernel panicked",
                  "io-error": "host storage full"}.get(had.power, "")  # fmt: skip
        return Observed(had.power, reason, dict(had.disks), frozenset(had.nics), jobs=tuple(had.jobs.values()),
                        pid=had.pid, uid=1000 if had.pid else 0)  # fmt: skip

    def _live(self, guest_id: str) -> _Running:
        had = self.guests.get(guest_id)
        if had is None or had.power in ("off", "suspended", "failed"):
            raise Conflict(f"server {guest_id} does not run; start it first", "power")
        return had

    def signal(self, guest_id: str, what: Signal) -> None:
        self.calls.append((what.verb, guest_id))
        had = self._live(guest_id)
        if what.verb == "powerdown" and had.power == "running" and self.will:
            had.power = "shutdown"
        elif what.verb == "reset":
            had.power = "running"

    def copy(self, guest_id: str, job: Copy) -> None:
        self.calls.append(("dismiss" if job.dismiss else "copy", guest_id))
        had = self._live(guest_id)
        if job.dismiss:
            had.jobs.pop(job.id, None)
            had.targets.pop(job.id, None)
            return
        for source, _ in job.pairs:
            if source not in had.disks:
                raise Conflict(f"disk {source} is not attached, so it cannot be copied from the guest", "copy")
        had.jobs.setdefault(job.id, Job(job.id, 0, 1))
        had.targets[job.id] = tuple(target for _, target in job.pairs)

    def open_disks(self) -> set[str]:
        """Disks that some guest's process has open."""
        live = [had for had in self.guests.values() if had.power not in ("off", "suspended", "failed")]
        return {disk for had in live for disk in (*had.disks, *(t for ts in had.targets.values() for t in ts))}

    def work(self) -> None:
        """Time passes: copies conclude."""
        for had in self.guests.values():
            had.jobs = {name: replace(job, done=job.total, concluded=True) for name, job in had.jobs.items()}

    def known(self) -> list[str]:
        """Guests that have something on this host."""
        return sorted(self.guests)

    def become(self, guest_id: str, power: Found) -> None:
        """Something happens to a guest."""
        self.guests[guest_id].power = power

    def console(self, guest_id: str, lines: int | None) -> str:
        text = self.lines.get(guest_id, "")
        return text if lines is None else "".join(text.splitlines(keepends=True)[-lines:] if lines else [])

    def screenshot(self, guest_id: str) -> bytes:
        self._live(guest_id)
        return b"\x89PNG\r\n\x1a\n"

    def figures(self, guest_id: str) -> Figures:
        had = self._live(guest_id)
        none: Mapping[str, int] = {}
        return Figures(1, (1,), 128, 64, dict.fromkeys(had.disks, none), dict.fromkeys(had.nics, none))
