"""The guest that tells whether an accelerator runs guests: its bytes are what its source makes, and it runs."""

from __future__ import annotations

import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from andromede.engines.qemu import accelerator

SOURCE = Path(str(resources.files("andromede.engines.qemu")))
needs_binutils = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("as", "ld", "objcopy")), reason="binutils is not installed"
)
needs_emulator = pytest.mark.skipif(
    shutil.which(accelerator.PROGRAM) is None, reason="qemu-system-x86 is not installed"
)


@needs_binutils
def test_the_bytes_are_what_the_source_makes(tmp_path: Path) -> None:
    for argv in (
        ["as", "--64", "-o", "p.o", str(SOURCE / "probe.S")],
        ["ld", "-Ttext=0x100000", "-e", "0x100000", "-o", "p.elf", "p.o"],
        ["objcopy", "-O", "binary", "-j", ".text", "p.elf", "probe.bin"],
    ):
        subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert (tmp_path / "probe.bin").read_bytes() == (SOURCE / "probe.bin").read_bytes()


@needs_emulator
def test_it_ends_under_emulation_and_nothing_else_counts() -> None:
    assert accelerator.trial("tcg", seconds=60) == ""
    assert "did not end" in accelerator.trial("tcg", seconds=0.05)
    assert "invalid accelerator" in accelerator.trial("none")


def test_a_machine_without_qemu_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "does not start" in accelerator.trial("tcg")
    with pytest.raises(accelerator.Unavailable, match="install qemu-system-x86"):
        accelerator.version()
