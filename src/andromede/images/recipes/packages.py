"""Debian packages: fetched by apt as any user may, and read without unpacking them to disk."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from andromede.errors import Unavailable

FETCH_SECONDS = 600
MOST_OUTPUT = 400

Say = Callable[[str], None]
"""Told of each stage of a build, in a few words."""


def wanted(programs: Iterable[tuple[str, str]]) -> None:
    """Raises `Unavailable` naming the packages of the `(program, package)` that are not on this machine."""
    missing = sorted({package for program, package in programs if shutil.which(program, path=_PATH) is None})
    if missing:
        raise Unavailable(
            f"guest images cannot be built here without {', '.join(missing)}; "
            f"run: apt-get install -y --no-install-recommends {' '.join(missing)}",
            "programs",
        )


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(argv: list[str], folder: Path, seconds: float = FETCH_SECONDS) -> bytes:
    """What a program prints. Raises `Unavailable` with the end of its complaint if it fails or takes too long."""
    try:
        done = subprocess.run(
            argv, cwd=folder, capture_output=True, check=False, timeout=seconds,
            env={"PATH": _PATH, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", "HOME": str(folder)},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{argv[0]} did not end within {seconds:.0f} seconds", "program") from None
    if done.returncode:
        told = (done.stderr or done.stdout).decode(errors="replace").strip()[-MOST_OUTPUT:]
        raise Unavailable(f"{argv[0]} failed with exit code {done.returncode}: {told}", "program")
    return done.stdout


def depends(package: str, folder: Path) -> list[str]:
    """The packages that one depends on directly, as apt knows them."""
    lines = run(["apt-cache", "depends", "--important", package], folder).decode().splitlines()
    return [line.split()[1] for line in lines if line.strip().startswith(("Depends:", "PreDepends:"))]


def fetch(names: list[str], folder: Path) -> list[Path]:
    """Download packages into a folder, in the versions that apt would install."""
    try:
        run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *names], folder)
    except Unavailable as error:
        raise Unavailable(f"{error.public}; is the list of packages up to date? run: apt-get update", "apt") from error
    return [max(folder.glob(f"{name}_*.deb")) for name in names]


def files(package: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Every file and link of a package, by its path without a leading `./`."""
    data = run(["dpkg-deb", "--fsys-tarfile", package.name], package.parent)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            member.name = member.name.removeprefix("./")
            if member.isfile():
                source = archive.extractfile(member)
                yield member, source.read() if source else b""
            elif member.issym():
                yield member, b""
