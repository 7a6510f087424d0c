"""How guests come to their addresses: DHCP, router advertisements, DHCPv6 and names, asked by small clients."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator

import pytest

from andromede.engines.linux import daemon, kernel, names
from andromede.engines.linux.network_rules import link_local
from andromede.errors import Unavailable
from andromede.network.engine import (
    TAP,
    NetworkPart,
    OptionPart,
    PortPart,
    RoutePart,
    RouterPart,
    SubnetPart,
)
from tests.contract.test_fabric_packets import Cloud
from tests.support import fabric as f
from tests.support.guests import SOON, Guest, arp, eventually, heard

pytestmark = pytest.mark.skipif(bool(f.why_not()), reason=f"the kernel's fabric: {f.why_not()}")

SCRIPT = '#!/bin/sh\n[ "$1" = bound ] && env | sort\nexit 0\n'


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with f.real() as (fabric, host):
        yield Cloud(fabric, host, "10.97.0")


def lease(cloud: Cloud, port: PortPart) -> dict[str, str] | None:
    """What a DHCP client in a port's namespace is given, by udhcpc's names; None for no answer."""
    if shutil.which("busybox") is None:
        pytest.skip("needs busybox (udhcpc)")
    script = cloud.host.runtime / "udhcpc"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    place = names.namespace(cloud.host.installation, "p", port.id)
    asked = [word for option in ("staticroutes", "mtu", "bootfile", "search", "domain") for word in ("-O", option)]
    words = ["-i", "eth0", "-f", "-q", "-n", "-t", "4", "-T", "1", "-s", str(script), *asked]
    ran = f.run_in(place, "busybox", "udhcpc", *words)
    lines = [line.split("=", 1) for line in ran.stdout.splitlines() if "=" in line]
    return {line[0]: line[1] for line in lines} if ran.returncode == 0 else None


def test_a_lease_tells_everything(cloud: Cloud) -> None:
    routes = (RoutePart("192.168.5.0/24", "10.0.0.9"),)
    subnet = f.subnet("a", servers=("9.9.9.9", "1.1.1.1"), routes=routes)
    boot = (
        OptionPart(4, "no-such-option", "x"),
        OptionPart(4, "bootfile-name", "pxe.0"),
        OptionPart(6, "domain-search", "x\nport=1"),
    )
    port = f.port("p", "10.0.0.11", subnet, name="web1", options=boot)
    other = f.port("q", "10.0.0.12", subnet)
    cloud.fabric.ensure(f.network("net", (subnet,), (port, other), domain="cloud.test."))
    given = lease(cloud, port)
    assert given is not None
    wanted = {
        "ip": "10.0.0.11",
        "subnet": "255.255.255.0",
        "router": "10.0.0.1",
        "dns": "9.9.9.9 1.1.1.1",
        "mtu": "1450",
        "hostname": "web1",
        "domain": "cloud.test",
        "bootfile": "pxe.0",
        "serverid": "10.0.0.2",
    }
    assert {word: given.get(word) for word in wanted} == wanted
    assert given["staticroutes"] == "169.254.169.254/32 10.0.0.2 192.168.5.0/24 10.0.0.9 0.0.0.0/0 10.0.0.1"
    assert (given.get("lease"), (lease(cloud, other) or {}).get("hostname")) == ("86400", "host-10-0-0-12")


def test_a_port_that_was_freed_gives_its_address_to_another_at_once(cloud: Cloud) -> None:
    subnet = f.subnet("a", gateway="", servers=())
    first, stranger = f.port("p", "10.0.0.11", subnet), f.port("s", "", subnet)
    network = f.network("net", (subnet,), (first, stranger))
    cloud.fabric.ensure(network)
    given = lease(cloud, first)
    assert given is not None and given["ip"] == "10.0.0.11" and "router" not in given
    assert given["dns"] == "10.0.0.2"
    assert lease(cloud, stranger) is None
    second = f.port("q", "10.0.0.11", subnet)
    cloud.fabric.ensure(f.changed(network, ports=(second,)))
    assert (lease(cloud, second) or {}).get("ip") == "10.0.0.11"


def test_a_port_that_came_later_is_served_and_those_that_are_down_are_not(cloud: Cloud) -> None:
    subnet, silent = f.subnet("a"), f.subnet("b", "10.0.1.0/24", dhcp=False)
    network = f.network("net", (subnet, silent), (f.port("p", "10.0.0.11", subnet),))
    cloud.fabric.ensure(network)
    assert (lease(cloud, network.ports[0]) or {}).get("ip") == "10.0.0.11"
    late, apart = f.port("q", "10.0.0.12", subnet), f.port("r", "10.0.1.12", silent)
    cloud.fabric.ensure(f.changed(network, ports=(*network.ports, late, apart)))
    assert daemon.running(cloud.host.folder(network.id)) is not None  # dnsmasq 2.90 ended when it was told by a signal
    assert (lease(cloud, network.ports[0]) or {}).get("ip") == "10.0.0.11"
    assert (lease(cloud, late) or {}).get("ip") == "10.0.0.12"
    assert lease(cloud, apart) is None
    cloud.fabric.ensure(f.changed(network, up=False))
    assert not (cloud.host.folder(network.id)).exists()


def test_names_of_a_network_are_known_in_it(cloud: Cloud) -> None:
    subnet = f.subnet("a")
    ports = (f.port("p", "10.0.0.11", subnet, name="web1"), f.port("q", "10.0.0.12", subnet))
    cloud.fabric.ensure(f.network("net", (subnet,), ports, domain="cloud.test"))
    guest = cloud.guest(ports[1])
    question = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\x04web1\x05cloud\x04test\0" + struct.pack("!HH", 1, 1)

    def told() -> bool:
        with guest.udp(0) as asking, contextlib.suppress(TimeoutError):
            asking.sendto(question, ("10.0.0.2", 53))
            return asking.recv(512).endswith(socket.inet_aton("10.0.0.11"))
        return False

    assert eventually(told)


SIX = "fd00:c::/64"


def six(word: str, mode: str, **more: object) -> SubnetPart:
    values = {"gateway": "fd00:c::1", "dhcp_address": "fd00:c::2", "ra_mode": mode, "address_mode": mode}
    return SubnetPart(f.ident(f"subnet {word}"), SIX, **{**values, **more})  # type: ignore[arg-type]


def routed(cloud: Cloud, subnet: SubnetPart, *ports: PortPart) -> tuple[NetworkPart, RouterPart]:
    network = f.network("net", (subnet,), ports)
    cloud.fabric.ensure(network)
    router = RouterPart(f.ident("r"), legs=(f.leg("leg", network, "fd00:c::1/64"),), generation=1)
    cloud.fabric.ensure(router)
    return network, router


def addresses(guest: Guest) -> list[str]:
    shown = f.run_in(guest.namespace, "ip", "-6", "-o", "addr", "show", "dev", "eth0").stdout
    return [line.split()[3] for line in shown.splitlines() if "fe80" not in line]


def accept(guest: Guest) -> None:
    """Let the namespace of a port behave as a guest does that waits for advertisements."""
    words = {"net/ipv6/conf/eth0/accept_ra": 2, "net/ipv6/conf/eth0/router_solicitation_delay": 0}
    kernel.inside(guest.namespace, lambda: kernel.sysctl(dict(words)))
    for line in ("-6 addr flush scope global dev eth0", "-6 route flush dev eth0 proto static", "link set eth0 down",
                 "link set eth0 up"):  # fmt: skip
        assert f.run_in(guest.namespace, "ip", *line.split()).returncode == 0


def slaac(port: PortPart) -> str:
    own = int(ipaddress.IPv6Address(link_local(port.mac))) & 2**64 - 1
    return str(ipaddress.IPv6Network(SIX)[own])


def test_advertisements_give_addresses_route_and_mtu(cloud: Cloud) -> None:
    subnet = six("a", "slaac", servers=("2620:fe::fe",))
    port = f.port("p", "fd00:c::11", subnet)
    own = slaac(port)
    port = f.port("p", own, subnet)
    _, router = routed(cloud, subnet, port)
    guest = cloud.guest(port)
    accept(guest)
    assert eventually(lambda: f"{own}/64" in addresses(guest), 8)
    assert "default via fe80" in f.run_in(guest.namespace, "ip", "-6", "route").stdout
    assert f.run_in(guest.namespace, "ping", "-c1", "-W2", "fd00:c::1").returncode == 0
    cloud.fabric.ensure(f.changed(router, legs=()))
    assert not cloud.host.folder(router.id).exists()


def solicit(guest: Guest, kind: int, want_address: bool) -> bytes | None:
    """The answer to a DHCPv6 message (RFC 8415), None for none."""
    mac = bytes.fromhex(guest.mac.replace(":", ""))
    client = struct.pack("!HH", 1, 10) + struct.pack("!HH", 3, 1) + mac
    ask = struct.pack("!HHH", 6, 2, 23)
    identity = struct.pack("!HHIII", 3, 12, 1, 0, 0) if want_address else b""
    scope = int(kernel.inside(guest.namespace, lambda: socket.if_nametoindex("eth0")))
    made = guest.udp(546, "::")
    with made:
        made.settimeout(2 * SOON)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, scope)
        made.sendto(struct.pack("!I", (kind << 24) | 0x123456) + client + ask + identity, ("ff02::1:2", 547, 0, scope))
        try:
            return made.recv(2048)
        except TimeoutError:
            return None


def test_stateful_dhcpv6_gives_the_address_of_the_port(cloud: Cloud) -> None:
    subnet = six("a", "dhcpv6-stateful", servers=("2620:fe::fe",))
    port = f.port("p", "fd00:c::11", subnet)
    routed(cloud, subnet, port)
    guest = cloud.guest(port)
    assert eventually(lambda: f.run_in(guest.namespace, "ping", "-c1", "-W1", "fd00:c::1").returncode == 0)
    own, server = (ipaddress.IPv6Address(text).packed for text in ("fd00:c::11", "2620:fe::fe"))

    def told() -> bool:
        found = solicit(guest, 1, True) or b""  # a client asks again until it is given an address
        return own in found and server in found

    assert eventually(told)
    accept(guest)
    assert eventually(lambda: "default via fe80" in f.run_in(guest.namespace, "ip", "-6", "route").stdout, 8)
    assert f"{slaac(port)}/64" not in addresses(guest)  # managed: no address by itself


def test_stateless_dhcpv6_gives_servers_and_advertisements_addresses(cloud: Cloud) -> None:
    subnet = six("a", "dhcpv6-stateless", servers=("2620:fe::fe",))
    port = f.port("p", slaac(f.port("p", "fd00:c::11", subnet)), subnet)
    routed(cloud, subnet, port)
    guest = cloud.guest(port)
    found = solicit(guest, 11, False)
    assert found is not None and ipaddress.IPv6Address("2620:fe::fe").packed in found
    accept(guest)
    assert eventually(lambda: f"{slaac(port)}/64" in addresses(guest), 8)


def test_frames_pass_through_an_opened_tap(cloud: Cloud) -> None:
    subnet = f.subnet("a")
    tap, house = f.port("t", "10.0.0.11", subnet, kind=TAP, uid=1000), f.port("h", "10.0.0.12", subnet)
    cloud.fabric.ensure(f.network("net", (subnet,), (tap, house)))
    fd = cloud.fabric.plug(tap.id)
    try:
        header = bytes(10)  # struct virtio_net_hdr
        guest = cloud.guest(house)
        with guest.raw() as listening:
            frame = arp(tap.mac, (tap.mac, "10.0.0.11"), "10.0.0.12")
            os.write(fd, header + frame)
            assert heard(listening, frame[14:])
        seen: list[bytes] = []

        def answered() -> bool:
            if kernel.readable(fd, 0.1):
                seen.append(os.read(fd, 4096)[10:])
            return any(one[12:14] == b"\x08\x06" and socket.inet_aton("10.0.0.12") == one[28:32] for one in seen)

        assert eventually(answered)
    finally:
        os.close(fd)


def test_a_daemon_that_cannot_start_is_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    subnet = f.subnet("a")
    real = subprocess.run

    def run(words: list[str], **more: object) -> subprocess.CompletedProcess[bytes]:
        if words[0] == "dnsmasq":
            return subprocess.CompletedProcess(words, 2, b"", b"\ndnsmasq: failed to create listening socket\n")
        return real(words, **more)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(Unavailable, match="failed to create listening socket"):
        cloud.fabric.ensure(f.network("net", (subnet,), ()))
    monkeypatch.undo()
    cloud.fabric.ensure(f.network("net", (subnet,), ()))
