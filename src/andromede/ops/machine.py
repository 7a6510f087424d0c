"""What `doctor` looks at on a machine that hosts: rights, programs, kernel, room. Each finding names what mends it.

The kernel's answers are read below `Machine.root`, as in proc(5) and sysfs(5); docs/hosting.md says what needs them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from andromede.ops import hosting
from andromede.ops.doctor import Finding, Level, Patient

GIB, MIB = 1 << 30, 1 << 20
FEW_PLACES, NO_PLACES = 0.10, 0.03
"""Shares of the disk below which no new guest is placed, and below which guests are soon paused."""
GUEST_OVERHEAD_MIB = 64
UNIT = ("SCS-1V-2", 1, 2048)
"""The flavor that capacity is told in: name, virtual CPUs, MiB of memory."""
_V2 = (
    "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&systemd.unified_cgroup_hierarchy=1 /' /etc/default/grub && update-grub && reboot"
)


@dataclass(frozen=True, slots=True)
class Accelerated:
    """What guests run with: `name` kvm or tcg, `why` it is that, `cache_mib` what a guest costs more for it, `error`
    when guests do not run at all."""

    name: str
    why: str
    cache_mib: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine, as far as guests depend on it."""

    root: Path = Path("/")

    def read(self, path: str) -> str:
        """The text of a file of the kernel, empty where there is none."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def has(self, path: str) -> bool:
        return (self.root / path).exists()

    def forward_drops(self) -> bool:
        """Whether a rule set of somebody else drops what this machine forwards, as Docker's does."""
        program = shutil.which("nft", path=hosting.PATH)
        if program is None:
            return False
        command = [program, "list", "chain", "ip", "filter", "FORWARD"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        return "policy drop" in done.stdout

    def memory_mib(self) -> int:
        lines = (line.split() for line in self.read("proc/meminfo").splitlines())
        return next((int(words[1]) >> 10 for words in lines if words[0] == "MemTotal:"), 0)


def examine(patient: Patient, machine: Machine, accelerated: Accelerated | None) -> Iterator[Finding]:
    """Every finding about hosting; one line where the settings say that there is none."""
    if patient.config.hosting.enabled == "off":
        yield Finding("hosting", "ok", "off by setting (hosting.enabled): no guests, networks and volumes here")
        return
    found = hosting.able()
    if not found:
        level: Level = "error" if patient.config.hosting.enabled == "on" else "warning"
        text = f"no guests can run here: this machine lacks {', '.join(found.missing)}"
        yield Finding("hosting", level, text, found.mend)
        return
    yield Finding("hosting", "ok", "the rights and programs for guests, networks and volumes are there")
    if accelerated is not None:
        yield from _accelerator(accelerated)
    if absent := hosting.lacking(hosting.BALANCING):
        packages = " ".join(hosting.BALANCING[name] for name in absent)
        text = f"no load balancers here, and none in the catalog: this machine lacks {', '.join(absent)}"
        yield Finding("balancers", "warning", text, f"apt-get install -y --no-install-recommends {packages}")
    yield from _network(patient, machine)
    yield from _confinement(machine)
    yield from _room(patient, machine)
    if accelerated is not None and not accelerated.error:
        yield _capacity(patient, machine, accelerated)


def _accelerator(found: Accelerated) -> Iterator[Finding]:
    if found.error:
        yield Finding("guests", "error", found.error, "ANDROMEDE_HOSTING_ACCELERATOR=auto andromede up")
    elif found.name == "kvm":
        yield Finding("guests", "ok", f"guests run with KVM ({found.why})")
    else:
        yield Finding("guests", "warning", f"guests run in software emulation, many times slower: {found.why}",
                      "lscpu | grep -i virtualization; ls -l /dev/kvm")  # fmt: skip


def _network(patient: Patient, machine: Machine) -> Iterator[Finding]:
    if machine.has("proc/sys/net/bridge/bridge-nf-call-iptables"):
        yield Finding("bridges", "ok", "security groups see what bridges carry (br_netfilter)")
    else:
        text = "br_netfilter is not loaded: no security group would hold, so no guest is wired"
        yield Finding(
            "bridges", "error", text, "modprobe br_netfilter && echo br_netfilter > /etc/modules-load.d/andromede.conf"
        )
    nat = not patient.config.hosting.external_interface
    if machine.read("proc/sys/net/ipv4/ip_forward") == "1" or not nat:
        yield Finding("forwarding", "ok", "this machine forwards packets of guests")
    else:
        text = "this machine forwards no packets yet; it is turned on with the first external network"
        yield Finding("forwarding", "warning", text, "sysctl -w net.ipv4.ip_forward=1")
    if machine.forward_drops():
        text = "another program's rules (Docker's, as a rule) drop forwarded packets: guests do not reach the outside"
        mend = f"nft insert rule ip filter FORWARD iifname {_bridge(patient)} accept"
        yield Finding("forwarding", "warning", text, mend)


def _bridge(patient: Patient) -> str:
    """The external bridge of this installation."""
    found = patient.place.require() if patient.place.exists() else {}
    return f"ax-{str(found.get('id', ''))[:6]}"


def _confinement(machine: Machine) -> Iterator[Finding]:
    if machine.has("sys/fs/cgroup/cgroup.controllers"):
        yield Finding("cgroups", "ok", "guests have limits of their own (cgroup v2)")
    else:
        yield Finding("cgroups", "warning", "no cgroup v2 here: a guest may take more than its flavor gives", _V2)
    if machine.read("sys/module/apparmor/parameters/enabled") == "Y":
        yield Finding("apparmor", "ok", "AppArmor is on")
    else:
        text = "AppArmor is off: guests are confined by their own user, without capabilities, and by seccomp alone"
        yield Finding("apparmor", "warning", text, "apt-get install -y --no-install-recommends apparmor && reboot")
    open_swap = [name for name in _swaps(machine) if not _encrypted(machine, name)]
    if open_swap:
        text = f"memory of guests may reach the disk in clear: {', '.join(open_swap)} is swap and not encrypted"
        yield Finding("swap", "warning", text, f"swapoff {' '.join(open_swap)}")
    else:
        yield Finding("swap", "ok", "no memory of guests reaches a disk in clear (no swap, or an encrypted one)")


def _swaps(machine: Machine) -> list[str]:
    return [line.split()[0] for line in machine.read("proc/swaps").splitlines()[1:] if line.split()]


def _encrypted(machine: Machine, device: str) -> bool:
    name = os.path.basename(os.path.realpath(device))
    compressed = name.startswith("zram")  # in memory, never on a disk
    return compressed or machine.read(f"sys/class/block/{name}/dm/uuid").startswith("CRYPT-")


def _room(patient: Patient, machine: Machine) -> Iterator[Finding]:
    found = os.statvfs(patient.place.data)
    share = found.f_bavail / max(1, found.f_blocks)
    free = found.f_bavail * found.f_frsize
    text = f"{free // GIB} GiB ({share:.0%}) are free for disks of guests and volumes"
    mend = f"du -xh --max-depth=2 {patient.place.data} | sort -h | tail"
    if share < NO_PLACES:
        yield Finding("room", "error", text + ": guests that write are paused soon", mend)
    elif share < FEW_PLACES:
        yield Finding("room", "warning", text + ": no new guest is placed here", mend)
    else:
        yield Finding("room", "ok", text)


def vcpu_ratio(accelerator: str, wish: float) -> float:
    """Virtual CPUs per core: what the setting `hosting.vcpu_ratio` wishes, if it does."""
    return wish or (4.0 if accelerator == "kvm" else 1.0)


def fits(memory_mib: int, cores: int, accelerated: Accelerated, ratio: float) -> tuple[int, str]:
    """How many guests of UNIT fit into memory that guests may have, and what bounds them: memory or cores."""
    _, cpus, memory = UNIT
    by_memory = max(0, memory_mib) // (memory + GUEST_OVERHEAD_MIB + accelerated.cache_mib)
    by_cores = int(cores * vcpu_ratio(accelerated.name, ratio)) // cpus
    return min(by_memory, by_cores), "memory" if by_memory < by_cores else "cores"


def _capacity(patient: Patient, machine: Machine, accelerated: Accelerated) -> Finding:
    settings = patient.config.hosting
    count, bound = fits(
        machine.memory_mib() - settings.reserved_memory_mb, os.cpu_count() or 1, accelerated, settings.vcpu_ratio
    )
    text = f"{count} x {UNIT[0]} fit, bounded by {bound}"
    if count:
        return Finding("capacity", "ok", text)
    return Finding("capacity", "warning", text, "andromede check-config")
