"""A tenant's day with the unchanged `openstack` client: a guest on a private network, reached by ssh through a floating
IP, a volume that moves from one guest to another, a console, an image of a guest, a backup that is restored."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients.test_clients import environment
from tests.support import hosted, leaks
from tests.support.clients import program
from tests.support.installation import Installation, wait_until

pytestmark = pytest.mark.timeout(1500)
BOOT_SECONDS = 240.0
BYTES = "0f1e2d3c-bytes-of-the-tenant"


class Tenant:
    """The demo user at a terminal."""

    def __init__(self, cloud: Installation, facts: hosted.Hosted, home: Path) -> None:
        self.cloud, self.facts, self.home = cloud, facts, home
        self.environment = environment(cloud, home)
        self.program = program("openstack")

    def __call__(self, *words: str, check: bool = True) -> str:
        """The standard output of an `openstack` command."""
        done = subprocess.run(
            [self.program, *words], env=self.environment, cwd=self.home, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or not check, (
            f"openstack {' '.join(words)}: {done.stdout[-800:]}{done.stderr[-1500:]}"
        )
        return done.stdout

    def read(self, *words: str) -> Any:
        return json.loads(self(*words, "-f", "json"))

    def server(self, name: str, *words: str) -> str:
        """A new server; its floating IP."""
        self("server", "create", "--image", "tiny", "--flavor", "suite-small", "--key-name", "own", "--network", "home",
             "--security-group", "open", *words, name, "--wait")  # fmt: skip
        address = str(self.read("floating", "ip", "create", self.facts.public_name)["floating_ip_address"])
        self("server", "add", "floating", "ip", name, address)
        return address

    def ssh(self, address: str, command: str) -> str:
        options = [word for option in (
            "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=5", "BatchMode=yes",
            "LogLevel=ERROR",
        ) for word in ("-o", option)]  # fmt: skip
        key = str(self.home / "key")
        done = subprocess.run(
            ["ssh", *options, "-i", key, f"{self.facts.user}@{address}", command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout[-400:]}{done.stderr[-400:]}"
        return done.stdout.strip()

    def reachable(self, address: str) -> None:
        def answers() -> bool:
            try:
                with socket.create_connection((address, 22), 3.0) as found:
                    return found.recv(4) == b"SSH-"
            except OSError:
                return False

        wait_until(f"ssh on {address}", answers, BOOT_SECONDS, 0.5)

    def gone(self, kind: str, name: str) -> None:
        wait_until(f"the end of {kind} {name}", lambda: name not in self(*kind.split(), "list", "-f", "value"), 120.0)


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    if why := hosted.why_not():
        pytest.skip(why)
    if shutil.which("ssh") is None:
        pytest.skip("the program ssh (package openssh-client) is not installed")
    program("openstack")
    installation = Installation.fresh(**{name.replace(".", "__"): value for name, value in hosted.settings().items()})
    home = tmp_path_factory.mktemp("home")
    with installation:
        facts = hosted.prepare(installation, home / "images")
        before = leaks.take(installation)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / "key")], check=True)
        yield Tenant(installation, facts, home)
        assert not leaks.left(installation, before)
    shutil.rmtree(installation.data, ignore_errors=True)


def test_a_day_of_a_tenant(tenant: Tenant) -> None:
    tenant("keypair", "create", "--public-key", str(tenant.home / "key.pub"), "own")
    tenant("network", "create", "home")
    tenant("subnet", "create", "--network", "home", "--subnet-range", "10.0.0.0/24", "home")
    tenant("router", "create", "door")
    tenant("router", "set", "--external-gateway", tenant.facts.public_name, "door")
    tenant("router", "add", "subnet", "door", "home")
    tenant("security", "group", "create", "open")
    tenant("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "open")
    tenant("security", "group", "rule", "create", "--protocol", "icmp", "open")
    first = tenant.server("web1", "--property", "colour=blue")
    tenant.reachable(first)
    told = json.loads(tenant.ssh(first, "curl -s http://169.254.169.254/openstack/latest/meta_data.json"))
    assert told["name"] == "web1" and told["meta"] == {"colour": "blue"}
    assert "web1" in tenant.ssh(first, "hostname")
    tenant("volume", "create", "--size", "1", "data")
    wait_until("the volume", lambda: tenant.read("volume", "show", "data")["status"] == "available", 60.0)
    tenant("server", "add", "volume", "web1", "data")
    wait_until("the disk", lambda: "vdb" in tenant.ssh(first, "ls /dev"), 60.0, 1.0)
    tenant.ssh(first, "sudo mkfs.ext4 -q /dev/vdb; sudo mkdir -p /mnt/d; sudo mount -t ext4 /dev/vdb /mnt/d")
    tenant.ssh(first, f"echo {BYTES} | sudo tee /mnt/d/file; sudo sync; sudo umount /mnt/d")
    tenant("server", "remove", "volume", "web1", "data")
    wait_until("the volume", lambda: tenant.read("volume", "show", "data")["status"] == "available", 120.0)
    second = tenant.server("web2")
    tenant.reachable(second)
    tenant("server", "add", "volume", "web2", "data")
    wait_until("the disk", lambda: "vdb" in tenant.ssh(second, "ls /dev"), 60.0, 1.0)
    read = "sudo mkdir -p /mnt/d; sudo mount -t ext4 /dev/vdb /mnt/d; cat /mnt/d/file; sudo umount /mnt/d"
    assert tenant.ssh(second, read).splitlines()[-1] == BYTES
    assert tenant("console", "log", "show", "web1").strip()
    assert tenant.read("console", "url", "show", "--novnc", "web1")["url"].startswith("http")
    tenant("server", "remove", "volume", "web2", "data")
    wait_until("the volume", lambda: tenant.read("volume", "show", "data")["status"] == "available", 120.0)
    _images_and_backups(tenant, first)
    _clean(tenant)


def _images_and_backups(tenant: Tenant, first: str) -> None:
    tenant.ssh(first, f"echo {BYTES} > kept; sync")
    tenant("server", "image", "create", "--name", "web1-image", "web1", "--wait")
    assert tenant.read("image", "show", "web1-image")["status"] == "active"
    tenant("volume", "backup", "create", "--name", "copy", "data")
    wait_until("the backup", lambda: tenant.read("volume", "backup", "show", "copy")["status"] == "available", 120.0)
    tenant("volume", "create", "--size", "1", "restored")
    wait_until("the volume", lambda: tenant.read("volume", "show", "restored")["status"] == "available", 60.0)
    tenant("volume", "backup", "restore", "copy", "restored", "--force")
    wait_until("the restore", lambda: tenant.read("volume", "show", "restored")["status"] == "available", 120.0)
    tenant("server", "add", "volume", "web1", "restored")
    wait_until("the disk", lambda: "vdb" in tenant.ssh(first, "ls /dev"), 60.0, 1.0)
    read = "sudo mount -t ext4 /dev/vdb /mnt/d; cat /mnt/d/file; sudo umount /mnt/d"
    assert tenant.ssh(first, read).splitlines()[-1] == BYTES
    tenant("server", "remove", "volume", "web1", "restored")
    wait_until("the volume", lambda: tenant.read("volume", "show", "restored")["status"] == "available", 120.0)


def _clean(tenant: Tenant) -> None:
    tenant("server", "delete", "web1", "web2", "--wait")
    for address in tenant.read("floating", "ip", "list"):
        tenant("floating", "ip", "delete", address["ID"])
    tenant("volume", "backup", "delete", "copy")
    tenant.gone("volume backup", "copy")
    tenant("volume", "delete", "data", "restored")
    tenant("image", "delete", "web1-image")
    tenant("router", "remove", "subnet", "door", "home")
    tenant("router", "delete", "door")
    tenant("network", "delete", "home")
    tenant("security", "group", "delete", "open")
    tenant("keypair", "delete", "own")
    tenant.gone("volume", "data")
