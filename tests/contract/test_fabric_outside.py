"""The way outside: guests on the external network itself, a joined interface, and what is told of missing parts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from andromede.engines.linux import kernel, names, outside
from andromede.engines.linux.host import Host
from andromede.engines.linux.links import Links
from andromede.errors import Unavailable
from andromede.network.engine import OutsidePart
from tests.contract.test_fabric_packets import Cloud, _root
from tests.support import fabric as f
from tests.support.guests import answer, echo, eventually

pytestmark = pytest.mark.skipif(bool(f.why_not()), reason=f"the kernel's fabric: {f.why_not()}")


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with f.real() as (fabric, host):
        yield Cloud(fabric, host, "10.95.0")


def test_a_guest_on_the_external_network_itself(cloud: Cloud) -> None:
    subnet = f.subnet("ext", "10.95.0.0/24", gateway="10.95.0.1", dhcp_address="10.95.0.2")
    direct = f.port("direct", "10.95.0.50", subnet)
    external = f.network("ext", (subnet,), (direct,), outside=True)
    with pytest.raises(Unavailable, match="external bridge"):
        cloud.fabric.ensure(external)
    cloud.outside()
    for _ in range(2):
        cloud.fabric.ensure(external)
    inner = f.subnet("a")
    port = f.port("p", "10.0.0.11", inner)
    network = f.network("net a", (inner,), (port,))
    cloud.fabric.ensure(network)
    cloud.fabric.ensure(cloud.router("a", 10, network))
    with echo(cloud.guest(direct), 80, "direct") as callers:
        assert eventually(lambda: _root("10.95.0.50", 80) == b"direct")
        assert answer(cloud.guest(port), "10.95.0.50", 80, 3) == "direct"
        assert callers[-1] == "10.95.0.10"
    wired = cloud.fabric.observe("outside")
    assert wired is not None and wired.ports == {external.id, f.ident("gw a")}


def test_an_interface_joins_instead_of_translation(cloud: Cloud) -> None:
    link = f"aj{cloud.host.installation}"
    part = OutsidePart("10.95.0.0/24", "10.95.0.1/24", link, generation=1)
    with pytest.raises(Unavailable, match="does not have"):
        cloud.fabric.ensure(part)
    subprocess.run(["ip", "link", "add", link, "type", "veth", "peer", "name", f"{link}p"], check=True)
    try:
        for _ in range(2):
            cloud.fabric.ensure(part)
        with Links() as links:
            bridge = links.all()[names.bridge(cloud.host.installation)]
            assert (links.all()[link].master, links.all()[link].up) == (bridge.index, True)
        cloud.fabric.remove("outside")
        with Links() as links:
            assert links.all()[link].master is None
    finally:
        subprocess.run(["ip", "link", "del", link], check=True)


def test_what_is_missing_is_told(cloud: Cloud) -> None:
    cloud.outside()
    subprocess.run(["nft", "delete", "table", "inet", names.table(cloud.host.installation)], check=True)
    found = cloud.fabric.observe("outside")
    assert found is not None and found.faults == ("its rules are missing",)
    network = f.network("net", (), ())
    cloud.fabric.ensure(network)
    own = names.namespace(cloud.host.installation, "n", network.id)
    assert f.run_in(own, "ip", "link", "del", "br0").returncode == 0
    wired = cloud.fabric.observe(network.id)
    assert wired is not None and wired.faults == ("its bridge is missing",)
    kernel.destroy(own)
    (names.NAMESPACES / own).touch()
    wired = cloud.fabric.observe(network.id)
    assert wired is not None and wired.faults == ("its namespace is not whole",)
    assert outside.observe(Host("000000", cloud.host.runtime)) is None
