"""Networks of the installed program: from Neutron's API to packets, past the end of every process, and nothing left."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from andromede.engines.linux import kernel, names
from andromede.engines.linux.fabric import LinuxFabric
from andromede.engines.linux.host import Host
from tests.support import fabric as f
from tests.support.guests import Guest, answer, answers, echo
from tests.support.installation import Installation, wait_until
from tests.support.keystone import Keystone
from tests.support.processes import processes

pytestmark = [
    pytest.mark.skipif(bool(f.why_not()), reason=f"the kernel's fabric: {f.why_not()}"),
    pytest.mark.timeout(300),
]


@dataclass
class Site:
    """A running installation, and Neutron's API for the administrator."""

    installation: Installation
    admin: Keystone
    runtime: Path

    @property
    def short(self) -> str:
        manifest = json.loads((self.installation.data / "installation.json").read_text())
        return names.short(str(manifest["id"]), 6)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        url = f"http://{self.installation.api}/network/v2.0/{path}"
        found = self.admin.http.request(method, url, json=body, headers={"X-Auth-Token": self.admin.token})
        assert found.status_code < 300, found.text
        return found.json() if found.content else None

    def make(self, kind: str, **values: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.call("POST", f"{kind.replace('_', '-')}s", {kind.replace("-", "_"): values})
        return dict(found[kind.replace("-", "_")])


@pytest.fixture
def site() -> Iterator[Site]:
    runtime = Path(tempfile.mkdtemp(prefix="an-", dir="/run"))
    os.chmod(runtime, 0o755)
    base = f"10.{random.randrange(128, 192)}.{random.randrange(256)}"
    installation = Installation.fresh(
        hosting__enabled="on", hosting__external_cidr=f"{base}.0/24", hosting__runtime=str(runtime), hosting__images=""
    )
    with installation:
        admin = Keystone.admin(installation)
        made = Site(installation, admin, runtime)
        yield made
        admin.http.close()
    host = Host(made.short, runtime / made.short)
    fabric = LinuxFabric(host)
    for part_id in sorted(fabric.listing(), key=lambda one: one == "outside"):
        fabric.remove(part_id)
    for name in kernel.names(names.prefix(made.short)):
        kernel.destroy(name)
    shutil.rmtree(installation.data, ignore_errors=True)
    shutil.rmtree(runtime, ignore_errors=True)


@dataclass
class Web:
    """A service in a namespace of its own behind a floating address."""

    guest: Guest
    network: dict[str, Any]
    group: dict[str, Any]
    rule: dict[str, Any]
    floating: str


def build(site: Site) -> Web:
    """A network, a router, a port of the cloud's own on it, and what lets callers in."""
    public = site.call("GET", "networks?router:external=true")["networks"][0]
    network = site.make("network", name="inner")
    subnet = site.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")
    router = site.make("router", name="way", external_gateway_info={"network_id": public["id"]})
    site.call("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    group = site.make("security_group", name="web")
    rule = site.make("security_group_rule", security_group_id=group["id"], direction="ingress", ethertype="IPv4",
                     protocol="tcp", port_range_min=80, port_range_max=80)  # fmt: skip
    port = site.make("port", network_id=network["id"], device_owner="network:house", device_id=str(uuid.uuid4()),
                     security_groups=[group["id"]], **{"binding:host_id": socket.gethostname()})  # fmt: skip
    floating = site.make("floatingip", floating_network_id=public["id"], port_id=port["id"])
    wait_until("the port is wired", lambda: site.call("GET", f"ports/{port['id']}")["port"]["status"] == "ACTIVE")
    wait_until("the floating IP is", lambda: _floating(site, floating["id"]) == "ACTIVE")
    guest = Guest.of(site.short, port["id"], port["fixed_ips"][0]["ip_address"], port["mac_address"])
    return Web(guest, network, group, rule, floating["floating_ip_address"])


def _floating(site: Site, floating_id: str) -> str:
    return str(site.call("GET", f"floatingips/{floating_id}")["floatingip"]["status"])


def _said(address: str) -> bytes:
    with contextlib.suppress(OSError), socket.create_connection((address, 80), timeout=1) as made:
        return made.recv(10)
    return b""


def test_from_the_api_to_packets_and_past_the_end_of_every_process(site: Site) -> None:
    web = build(site)
    with echo(web.guest, 80, "web"):
        wait_until("the service answers", lambda: _said(web.floating) == b"web")
        with socket.create_connection((web.floating, 80), timeout=5) as held:
            assert held.recv(10) == b"web" and answers(held)
            for process in processes(site.installation.data):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            assert answers(held)  # packets need no process of ours
            site.installation.start()
            assert answers(held)
            _metadata_is_back(web.guest)
            site.call("DELETE", f"security-group-rules/{web.rule['id']}")
            asked = time.monotonic()
            held.settimeout(0.2)
            wait_until("the connection is cut", lambda: not answers(held), 5, 0.05)
            assert time.monotonic() - asked < 5
    assert answer(web.guest, web.floating, 80, 0.5) is None


def _metadata_is_back(guest: Guest) -> None:
    assert f.run_in(guest.namespace, "ip", "route", "replace", "169.254.169.254", "dev", "eth0").returncode == 0

    def refused() -> bool:
        made = guest.connect("169.254.169.254", 80)
        if made is None:
            return False
        with made:
            made.sendall(b"GET /openstack HTTP/1.1\r\n\r\n")
            return made.recv(100).split()[1:2] == [b"404"]  # no server has this port

    wait_until("somebody answers for metadata", refused, 20)


def test_nothing_is_left_and_what_is_left_is_named(site: Site) -> None:
    web = build(site)
    assert site.installation.run("fsck", "--host", check=False).returncode == 0
    router = site.call("GET", "routers")["routers"][0]
    floating = site.call("GET", "floatingips")["floatingips"][0]
    site.call("DELETE", f"floatingips/{floating['id']}")
    subnet = site.call("GET", f"subnets?network_id={web.network['id']}")["subnets"][0]
    for port in site.call("GET", f"ports?network_id={web.network['id']}")["ports"]:
        if port["device_owner"] == "network:house":
            site.call("DELETE", f"ports/{port['id']}")
    site.call("PUT", f"routers/{router['id']}/remove_router_interface", {"subnet_id": subnet["id"]})
    site.call("DELETE", f"routers/{router['id']}")
    site.call("DELETE", f"networks/{web.network['id']}")
    own = names.prefix(site.short)
    wait_until("namespaces are gone", lambda: kernel.names(own) == [], 20)
    assert site.installation.run("fsck", "--host", check=False).returncode == 0
    site.installation.stop()
    stranger = names.namespace(site.short, "n", str(uuid.uuid4()))
    kernel.create(stranger)
    done = site.installation.run("fsck", "--host", check=False)
    assert done.returncode == 4
    assert f"network namespace {stranger}" in done.stdout
    site.installation.start()
    wait_until("the stranger is taken away", lambda: kernel.names(own) == [], 30)
