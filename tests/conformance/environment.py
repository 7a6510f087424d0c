"""Virtual environments for the suites, kept under build/ and made again when what they hold changes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"


def environment(name: str, *packages: str, existing: str = "") -> Path:
    """The folder of a virtual environment with these pip arguments installed. CalledProcessError when pip fails."""
    if existing:
        return Path(existing)
    folder = BUILD / name
    stamp = folder / f"stamp-{hashlib.sha256(repr(packages).encode()).hexdigest()[:16]}"
    if not stamp.exists():
        print(f"preparing {folder.relative_to(BUILD.parent)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "pip"), "--disable-pip-version-check", "install", "--quiet", *packages]
        subprocess.run(pip, check=True)
        stamp.touch()
    return folder
