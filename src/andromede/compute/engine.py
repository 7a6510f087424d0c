"""The port of the hypervisor: guests with their devices as values, five verbs that may be repeated at any time.

A guest is known by its server's id, a disk by the id of the block engine's disk, a nic by the id of its port. The
engine holds no state that rows lack; where a process runs and what it has is found by looking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

SLOTS = 16
"""Disks and nics that a guest can have together: one hot-plug slot each."""

RESCUE_BUSES = ("virtio", "scsi", "usb", "sata", "ide")
RESCUE_DEVICES = ("disk", "cdrom")
"""Where and as what a rescue disk may stand in a guest; the first is what it is without a word."""

Power = Literal["running", "paused", "suspended", "off"]
"""What may be wished. `suspended`: the process is gone and the memory lies encrypted on the host's disk."""

Found = Literal["running", "paused", "suspended", "off", "starting", "shutdown", "panicked", "io-error", "failed"]
"""What may be seen. `off`: no process, and its end was wished or the guest's own; `shutdown`: the guest powered itself
off and its process waits to be told to end; `starting`: a process that does not run the guest yet; `panicked`: the
guest's kernel said so; `io-error`: stopped until the host's storage takes writes again; `failed`: the process ended by
itself, or the hypervisor gave up. `reason` says more for the last three."""

Verb = Literal["powerdown", "reset", "nmi", "link-up", "link-down"]


@dataclass(frozen=True, slots=True)
class DiskDevice:
    """A disk of a guest. `slot`: 0 to 15, its own in the guest for as long as it is attached; `serial`: what the guest
    sees, at most 20 characters; `boot`: order among what may be booted, 0 = never; `size_bytes`: grows a disk that is
    attached, 0 = leave it; `bus`: of RESCUE_BUSES, and `cdrom`: another than virtio, and a CD, only from the start."""

    id: str
    slot: int
    serial: str
    boot: int = 0
    size_bytes: int = 0
    bus: str = "virtio"
    cdrom: bool = False


@dataclass(frozen=True, slots=True)
class NicDevice:
    """A port plugged into a guest. `mac`: with colons; `up`: whether the guest sees a carrier."""

    id: str
    slot: int
    mac: str
    mtu: int = 1450
    up: bool = True


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel to boot directly: image ids, which the engine's `image` callable turns into files."""

    kernel_id: str
    ramdisk_id: str = ""
    command_line: str = ""


@dataclass(frozen=True, slots=True)
class Guest:
    """What is wished of one guest, wholly. `memory_mb`: MiB; `documents`: files of the config drive by their path
    (`openstack/latest/meta_data.json`), empty = no drive; `firmware`: bios or uefi."""

    id: str
    power: Power
    vcpus: int
    memory_mb: int
    disks: tuple[DiskDevice, ...] = ()
    nics: tuple[NicDevice, ...] = ()
    kernel: Kernel | None = None
    documents: Mapping[str, bytes] = field(default_factory=dict)
    firmware: str = "bios"


@dataclass(frozen=True, slots=True)
class Job:
    """A live copy under way or concluded. `done` and `total`: bytes; `error`: why it failed, in the engine's words."""

    id: str
    done: int
    total: int
    concluded: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """What is true of a guest now. `disks`: disk id -> size in bytes as the guest sees it; `nics`: port ids; `leaving`:
    devices that the guest was asked to let go and has not yet; `jobs`: copies."""

    power: Found
    reason: str = ""
    disks: Mapping[str, int] = field(default_factory=dict)
    nics: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()
    jobs: tuple[Job, ...] = ()
    pid: int = 0
    uid: int = 0

    def fits(self, guest: Guest) -> bool:
        """Whether nothing is left to do."""
        if self.power != guest.power:
            return False
        if guest.power in ("off", "suspended"):
            return True
        grown = all(self.disks.get(disk.id, 0) >= disk.size_bytes for disk in guest.disks)
        return grown and set(self.disks) == {d.id for d in guest.disks} and self.nics == {n.id for n in guest.nics}


@dataclass(frozen=True, slots=True)
class Signal:
    """Something done to a running guest once. `device`: the port of link-up and link-down."""

    verb: Verb
    device: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of disks as they are at one instant, made while the guest runs: `pairs` of (disk of the guest, disk of the
    same size that nothing uses). `top`: only what was written to the disk itself, not what shows through from below.
    Kept in `Observed.jobs` until called again with `dismiss`."""

    id: str
    pairs: tuple[tuple[str, str], ...]
    dismiss: bool = False
    top: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """One file of a disk: an open descriptor, which the receiver closes; of O_RDWR if `writable`, else of O_RDONLY.
    `passphrase`: of its LUKS header, ASCII, None where it has none."""

    fd: int
    format: str = "qcow2"
    writable: bool = True
    passphrase: bytes | None = None


Open = Callable[[str], Sequence[Layer]]
"""disk id -> its layers, the one that is written first, the one that all lie on last. Raises `Unavailable`."""

Plug = Callable[[str], int]
"""port id -> an open tap descriptor, which the receiver closes. Raises `Unavailable` while the port is not wired."""


class Hypervisor(Protocol):
    """One host's guests. Every call may be repeated, none waits for a guest, all raise `Unavailable` where the same
    call may succeed later and other errors of `andromede.errors` where it will not."""

    def ensure(self, guest: Guest) -> None:
        """Take a step towards what is wished; call again until `observe` fits."""

    def remove(self, guest_id: str) -> None:
        """End the guest at once and remove what it left on this host, its saved memory included."""

    def observe(self, guest_id: str) -> Observed | None:
        """What is true now; None for a guest that this host knows nothing of."""

    def signal(self, guest_id: str, what: Signal) -> None:
        """Do something once. Raises `Conflict` for a guest that does not run."""

    def copy(self, guest_id: str, job: Copy) -> None:
        """Begin a copy, or forget one that has concluded."""


DISK_COUNTERS = ("read_bytes", "read_requests", "write_bytes", "write_requests", "errors_count")


@dataclass(frozen=True, slots=True)
class Figures:
    """Counters of a running guest (Nova's diagnostics): nanoseconds, bytes, requests. `disks`: disk id ->
    DISK_COUNTERS; `nics`: port id -> what is counted of it."""

    uptime_seconds: int
    cpu_ns: tuple[int, ...] = ()
    memory_mb: int = 0
    memory_used_mb: int = 0
    disks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    nics: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class Views(Protocol):
    """What is only looked at. The API process asks for it across a socket of the host role."""

    def console(self, guest_id: str, lines: int | None) -> str:
        """The end of the serial console's log; all that is kept without `lines`. Empty before the first start."""

    def screenshot(self, guest_id: str) -> bytes:
        """The display as PNG. Raises `Conflict` for a guest that does not run."""

    def figures(self, guest_id: str) -> Figures:
        """Counters. Raises `Conflict` for a guest that does not run."""
