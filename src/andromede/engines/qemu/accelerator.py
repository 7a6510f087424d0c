"""Which accelerator guests really run with: a KVM that opens, makes machines and even runs their firmware may still not
run a guest, so a guest of 286 bytes is run (probe.S)."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from andromede.errors import Unavailable

PROGRAM = "qemu-system-x86_64"
USABLE = 33
"""QEMU's exit status when the probe came to its end."""
_SECONDS = 5.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Accelerator:
    """`name`: kvm or tcg; `why`: why it is not kvm, or how it was found; `version`: QEMU's."""

    name: str
    why: str
    version: str

    @property
    def arguments(self) -> list[str]:
        """Of a guest's command line. `tb-size` in MiB bounds the cache of translated code, which else outgrows the
        guest."""
        if self.name == "kvm":
            return ["-accel", "kvm", "-cpu", "host"]
        return ["-accel", f"tcg,thread=multi,tb-size={TB_SIZE}", "-cpu", "max"]


TB_SIZE = 128


def boot_id() -> str:
    """The name of this run of the machine's kernel."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def version() -> str:
    """QEMU's version line. Raises `Unavailable` where there is none."""
    try:
        done = subprocess.run([PROGRAM, "--version"], capture_output=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{PROGRAM} does not run; install qemu-system-x86", "qemu", cause=repr(error)) from error
    return done.stdout.decode(errors="replace").splitlines()[0]


def trial(accelerator: str, seconds: float = _SECONDS) -> str:
    """Run the probe with an accelerator's arguments (`tcg`, `kvm`); empty if it runs guests, else why not."""
    cpu = "host" if accelerator == "kvm" else "max"
    with resources.as_file(resources.files(__package__) / "probe.bin") as probe:
        argv = [PROGRAM, "-M", "q35", "-accel", accelerator, "-cpu", cpu, "-m", "32", "-nodefaults", "-no-user-config"]
        argv += ["-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        try:
            done = subprocess.run(
                [*argv, "-kernel", str(probe)], stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return f"a guest of a few instructions did not end within {seconds:.0f} seconds"
        except OSError as error:
            return f"{PROGRAM} does not start: {error.strerror}"
    if done.returncode == USABLE:
        return ""
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[0][:300] if lines else f"{PROGRAM} ended with status {done.returncode}"


def _kvm() -> str:
    """Empty if guests run with KVM, else why not, asked in order of cost."""
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"/dev/kvm does not open: {error.strerror}"
    if os.path.exists("/sys/module/kvm_pvm"):
        return "this kernel's KVM is kvm_pvm, which does not run such guests"
    return trial("kvm")


def choose(wish: str, remembered: Path) -> Accelerator:
    """The accelerator for the setting `hosting.accelerator`. A finding holds until the machine or QEMU changes and is
    kept in the file `remembered`. Raises `Unavailable` where kvm is demanded and does not run guests."""
    found = version()
    if wish == "tcg":
        return Accelerator("tcg", "hosting.accelerator = tcg", found)
    key = {"boot": boot_id(), "version": found}
    known = _read(remembered, key)
    if known is None:
        why = _kvm()
        known = Accelerator("kvm", "a guest ran with it", found) if not why else Accelerator("tcg", why, found)
        with contextlib.suppress(OSError):
            remembered.write_text(json.dumps(key | {"found": asdict(known)}), encoding="utf-8")
    if wish == "kvm" and known.name != "kvm":
        raise Unavailable(f"hosting.accelerator = kvm, and no guest runs with it here: {known.why}", "accelerator")
    return known


def _read(remembered: Path, key: dict[str, str]) -> Accelerator | None:
    try:
        stored = json.loads(remembered.read_text(encoding="utf-8"))
        if {name: stored[name] for name in key} == key:
            return Accelerator(**stored["found"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None
