"""Limits of a guest's process by the kernel (cgroup v2). Where the machine has none or a mixture with version 1, guests
run without them: their memory is still bounded by what QEMU gives them."""

from __future__ import annotations

import contextlib
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "memory", "pids", "io")


class Cgroups:
    """The folder of one installation's guests below the root of version 2."""

    def __init__(self, installation: str, root: Path = ROOT) -> None:
        self._root = root
        self._folder = root / f"andromede-{installation}"
        self.why = self._missing()

    def _missing(self) -> str:
        """Why there are no limits; empty if there are."""
        try:
            offered = (self._root / "cgroup.controllers").read_text(encoding="ascii").split()
        except OSError:
            return "this machine has no cgroup v2 at its root, so guests run without limits of the kernel"
        lacking = [name for name in ("cpu", "memory", "pids") if name not in offered]
        return f"cgroup v2 lacks {', '.join(lacking)}, so guests run without limits of the kernel" if lacking else ""

    def admit(self, guest: str, pid: int, vcpus: int, memory_mb: int) -> None:
        """Put a process under limits: its memory with the hypervisor's own, its processors, its threads."""
        if self.why:
            return
        for folder in (self._root, self._folder):
            folder.mkdir(exist_ok=True)
            for name in CONTROLLERS:
                with contextlib.suppress(OSError):
                    (folder / "cgroup.subtree_control").write_text(f"+{name}", encoding="ascii")
        own = self._folder / guest
        own.mkdir(exist_ok=True)
        limits = {
            "memory.max": str(memory_mb << 20), "memory.swap.max": "0", "cpu.weight": str(min(10000, 100 * vcpus)),
            "cpu.max": f"{vcpus * 100_000} 100000", "pids.max": "256",
        }  # fmt: skip
        for name, value in limits.items():
            with contextlib.suppress(OSError):
                (own / name).write_text(value, encoding="ascii")
        with contextlib.suppress(OSError):
            (own / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def killed(self, guest: str) -> bool:
        """Whether the kernel ended the guest for want of memory."""
        with contextlib.suppress(OSError):
            text = (self._folder / guest / "memory.events").read_text(encoding="ascii")
            return any(line.split() == ["oom_kill", n] and n != "0" for line in text.splitlines() for n in line.split())
        return False

    def remove(self, guest: str) -> None:
        """Forget a guest that has ended."""
        with contextlib.suppress(OSError):
            (self._folder / guest).rmdir()
