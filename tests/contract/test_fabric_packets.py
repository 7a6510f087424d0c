"""What the kernel's fabric lets through and what it does not, by packets between stand-ins for guests."""

from __future__ import annotations

import random
import socket
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from andromede.engines.linux import kernel, names
from andromede.engines.linux.fabric import LinuxFabric
from andromede.engines.linux.host import Host
from andromede.engines.linux.network_rules import link_local
from andromede.network.engine import (
    AddressGroupPart,
    FloatingPart,
    ForwardPart,
    GatewayPart,
    GroupPart,
    NetworkPart,
    OutsidePart,
    PairPart,
    PortPart,
    RouterPart,
    RulePart,
)
from tests.support import fabric as f
from tests.support.guests import Guest, answer, answers, arp, echo, eventually, heard, icmp6, udp4, udp6

pytestmark = pytest.mark.skipif(bool(f.why_not()), reason=f"the kernel's fabric: {f.why_not()}")

TCP, UDP = 6, 17


@dataclass
class Cloud:
    """A fabric with an external range that nobody else on this machine has."""

    fabric: LinuxFabric | f.Stepwise
    host: Host
    base: str

    def guest(self, port: PortPart, at: int = 0) -> Guest:
        return Guest.of(self.host.installation, port.id, port.fixed[at].address, port.mac)

    def out(self, number: int) -> str:
        return f"{self.base}.{number}"

    def outside(self, *open_ports: int) -> OutsidePart:
        part = OutsidePart(f"{self.base}.0/24", f"{self.base}.1/24", open_ports=open_ports, generation=1)
        self.fabric.ensure(part)
        return part

    def router(self, word: str, number: int, network: NetworkPart, **more: Any) -> RouterPart:
        gateway = GatewayPart(f.ident(f"gw {word}"), f.ident("ext"), f.mac(f"gw {word}"), (f"{self.out(number)}/24",),
                              (self.out(1),), snat=more.pop("snat", True))  # fmt: skip
        legs = more.pop("legs", (f.leg(f"leg {word}", network, "10.0.0.1/24"),))
        return RouterPart(f.ident(f"r {word}"), legs=legs, gateway=gateway, generation=1, **more)

    def dropped(self, network: NetworkPart, why: str) -> int:
        wired = self.fabric.observe(network.id)
        assert wired is not None
        return wired.counters[why]


@pytest.fixture(params=["whole", "difference"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    with f.real() as (fabric, host):
        base = f"10.{random.randrange(64, 128)}.{random.randrange(256)}"
        yield Cloud(fabric if request.param == "whole" else f.Stepwise(fabric), host, base)


SIX = f.subnet("six", "fd00:a::/64", dhcp_address="fd00:a::2", gateway="fd00:a::1")


def pair(word: str, **more: Any) -> tuple[NetworkPart, PortPart, PortPart]:
    """A network with two guests of both versions."""
    subnet = f.subnet(word)
    ports = []
    for number in (11, 12):
        port = f.port(f"{word} {number}", f"10.0.0.{number}", subnet, **more)
        ports.append(f.changed_port(port, fixed=(*port.fixed, *f.port("", f"fd00:a::{number}", SIX).fixed)))
    return f.network(f"net {word}", (subnet, SIX), tuple(ports)), ports[0], ports[1]


def test_two_tenants_with_the_same_addresses_never_meet(cloud: Cloud) -> None:
    cloud.outside()
    sides = []
    for word, number in (("a", 10), ("b", 11)):
        network, one, two = pair(word)
        cloud.fabric.ensure(network)
        floating = FloatingPart(f.ident(f"f {word}"), cloud.out(number + 20), "10.0.0.12")
        cloud.fabric.ensure(cloud.router(word, number, network, floating=(floating,)))
        sides.append((cloud.guest(one), cloud.guest(two)))
    (a1, a2), (b1, b2) = sides
    assert a2.namespace != b2.namespace
    with echo(a2, 80, "A"), echo(b2, 80, "B"), echo(a2, 81, "A6", "fd00:a::12"), echo(b2, 81, "B6", "fd00:a::12"):
        assert (answer(a1, "10.0.0.12", 80), answer(b1, "10.0.0.12", 80)) == ("A", "B")
        assert (answer(a1, "fd00:a::12", 81), answer(b1, "fd00:a::12", 81)) == ("A6", "B6")
        assert (answer(a1, cloud.out(31), 80), answer(b1, cloud.out(30), 80)) == ("B", "A")
    with b2.raw() as listening:
        a1.send(udp4((a1.mac, "ff:ff:ff:ff:ff:ff"), ("10.0.0.11", 9), ("255.255.255.255", 9), b"to everybody"))
        assert not heard(listening, b"to everybody")


def test_what_a_guest_claims_to_be_is_checked(cloud: Cloud) -> None:
    network, one, two = pair("a")
    cloud.fabric.ensure(network)
    a, b = cloud.guest(one), cloud.guest(two)
    foreign, router = "fa:16:3e:99:99:99", "fe80::f816:3eff:fe99:9999"
    own6 = link_local(a.mac)
    advert = struct.pack("!BBHII", 64, 0, 1800, 0, 0)
    neighbour = struct.pack("!I", 0x20000000) + socket.inet_pton(socket.AF_INET6, "fd00:a::1") + b"\x02\x01"
    own = struct.pack("!I", 0x20000000) + socket.inet_pton(socket.AF_INET6, "fd00:a::11") + b"\x02\x01"
    mac = bytes.fromhex(a.mac.replace(":", ""))
    cases: list[tuple[str, bytes, str]] = [
        ("own address", udp4((a.mac, b.mac), ("10.0.0.11", 5), ("10.0.0.12", 5), b"frame-01"), ""),
        ("own address, 6", udp6((a.mac, b.mac), ("fd00:a::11", 5), ("fd00:a::12", 5), b"frame-02"), ""),
        ("own ARP", arp(a.mac, (a.mac, "10.0.0.11"), "10.0.0.12"), ""),
        ("own neighbour advertisement", icmp6((a.mac, b.mac), own6, link_local(b.mac), 136, own + mac), ""),
        ("foreign MAC", udp4((foreign, b.mac), ("10.0.0.11", 5), ("10.0.0.12", 5), b"frame-03"), "mac"),
        ("foreign address", udp4((a.mac, b.mac), ("10.0.0.77", 5), ("10.0.0.12", 5), b"frame-04"), "address"),
        ("no address", udp4((a.mac, b.mac), ("0.0.0.0", 5), ("10.0.0.12", 5), b"frame-05"), "address"),
        ("foreign address, 6", udp6((a.mac, b.mac), ("fd00:a::77", 5), ("fd00:a::12", 5), b"frame-06"), "address"),
        ("ARP for another", arp(a.mac, (a.mac, "10.0.0.1"), "10.0.0.12", 2), "arp"),
        ("ARP of another", arp(a.mac, (foreign, "10.0.0.11"), "10.0.0.12", 2), "arp"),
        (
            "neighbour advertisement for another",
            icmp6((a.mac, b.mac), own6, link_local(b.mac), 136, neighbour + mac),
            "arp",
        ),
        ("DHCP server", udp4((a.mac, b.mac), ("10.0.0.11", 67), ("10.0.0.12", 68), b"frame-07"), "dhcp"),
        ("DHCPv6 server", udp6((a.mac, b.mac), (own6, 547), (link_local(b.mac), 546), b"frame-08"), "dhcp"),
        ("router advertisement", icmp6((a.mac, "33:33:00:00:00:01"), own6, "ff02::1", 134, advert), "advert"),
        (
            "router advertisement of another",
            icmp6((a.mac, "33:33:00:00:00:01"), router, "ff02::1", 134, advert),
            "advert",
        ),
        ("VLAN", bytes.fromhex(b.mac.replace(":", "")) + mac + b"\x81\x00\x00\x05\x08\x00" + b"frame-09" * 8, "other"),
    ]
    for name, frame, why in cases:
        before = cloud.dropped(network, why) if why else 0
        with b.raw() as listening:
            a.send(frame)
            assert heard(listening, frame[14:]) is not bool(why), name
        if why:
            assert cloud.dropped(network, why) == before + 1, name


def test_allowed_pairs_and_ports_without_security(cloud: Cloud) -> None:
    network, one, two = pair("a")
    away = "fa:16:3e:77:00:01"
    pairs = (PairPart(one.mac, "10.0.0.200"), PairPart(away, "10.7.0.0/16"), PairPart(away, "10.7.1.0/24"),
             PairPart(one.mac, "fd00:7::/64"))  # fmt: skip
    one = f.changed_port(one, pairs=pairs)
    free = f.port("free", "10.0.0.13", network.subnets[0], secured=False, groups=())
    network = f.changed(network, ports=(one, two, free))
    cloud.fabric.ensure(network)
    a, b, c = cloud.guest(one), cloud.guest(two), cloud.guest(free)
    for sender, mac, address, let in (
        (a, one.mac, "10.0.0.200", True),
        (a, away, "10.7.3.4", True),
        (a, one.mac, "10.7.3.4", False),
        (a, away, "10.8.0.1", False),
        (c, "fa:16:3e:00:77:77", "10.99.0.1", True),
    ):
        with b.raw() as listening:
            text = f"{mac} {address}".encode()
            sender.send(udp4((mac, b.mac), (address, 5), ("10.0.0.12", 5), text))
            assert heard(listening, text) is let, (mac, address)
    with b.raw() as listening:
        a.send(udp6((one.mac, b.mac), ("fd00:7::5", 5), ("fd00:a::12", 5), b"six from the pair"))
        assert heard(listening, b"six from the pair")


def test_a_rule_opens_and_closes_within_a_second(cloud: Cloud) -> None:
    network, one, two = pair("a", groups=(f.SHUT.id,))
    cloud.fabric.ensure(network)
    a, b = cloud.guest(one), cloud.guest(two)
    way = (RulePart(True, 4, TCP, 80, 80), RulePart(True, 6, TCP, 80, 90))
    opened = GroupPart(f.SHUT.id, (*f.SHUT.rules, *way))
    with echo(b, 80, "4"), echo(b, 80, "6", "fd00:a::12"), echo(b, 91, "9", "fd00:a::12"):
        assert (answer(a, "10.0.0.12", 80), answer(a, "fd00:a::12", 80)) == (None, None)
        network = f.changed(network, groups=(f.OPEN, opened))
        cloud.fabric.ensure(network)
        assert (answer(a, "10.0.0.12", 80), answer(a, "fd00:a::12", 80)) == ("4", "6")
        assert answer(a, "fd00:a::12", 91) is None
        assert answer(a, "10.0.0.12", 91) is None
        held = [a.connect("10.0.0.12", 80), a.connect("fd00:a::12", 80)]
        for connection in held:
            assert connection is not None and connection.recv(10) and answers(connection)
        # another change of the same network leaves them alone
        network = f.changed(network, ports=(*network.ports, f.port("late", "10.0.0.14", network.subnets[0])))
        cloud.fabric.ensure(network)
        assert all(connection is not None and answers(connection) for connection in held)
        network = f.changed(network, groups=(f.OPEN, f.SHUT))
        cloud.fabric.ensure(network)
        for connection in held:
            assert connection is not None and not answers(connection)
            connection.close()
        assert answer(a, "10.0.0.12", 80) is None


def test_remote_groups_and_address_groups_let_their_members_in(cloud: Cloud) -> None:
    members, ranges = f.ident("members"), f.ident("ranges")
    network, one, two = pair("a")
    third = f.port("third", "10.0.0.13", network.subnets[0], groups=(members,))
    rules = (
        *f.SHUT.rules,
        RulePart(True, 4, TCP, 80, 80, group=members),
        RulePart(True, 6, None, group=members),
        RulePart(True, 4, TCP, 81, 81, addresses=ranges),
        RulePart(True, 4, TCP, 82, 82, prefix="10.0.0.13/32"),
    )
    guarded = GroupPart(f.ident("guarded"), rules)
    one, two = f.changed_port(one, groups=(members,)), f.changed_port(two, groups=(guarded.id,))

    def wish(old: NetworkPart, *addresses: str) -> NetworkPart:
        inside = GroupPart(members, f.OPEN.rules, addresses)
        groups = AddressGroupPart(ranges, ("10.0.0.12/30",))
        return f.changed(old, ports=(one, two, third), groups=(guarded, inside), address_groups=(groups,))

    network = wish(network, "10.0.0.11", "fd00:a::11")
    cloud.fabric.ensure(network)
    a, b, c = cloud.guest(one), cloud.guest(two), cloud.guest(third)
    with echo(b, 80, "4"), echo(b, 80, "6", "fd00:a::12"), echo(b, 81, "r"), echo(b, 82, "p"):
        assert (answer(a, "10.0.0.12", 80), answer(a, "fd00:a::12", 80), answer(c, "10.0.0.12", 80)) == ("4", "6", None)
        assert (answer(a, "10.0.0.12", 81), answer(c, "10.0.0.12", 81)) == (None, "r")
        assert (answer(a, "10.0.0.12", 82), answer(c, "10.0.0.12", 82)) == (None, "p")
        held = a.connect("10.0.0.12", 80)
        assert held is not None and held.recv(10) == b"4"
        network = wish(network, "10.0.0.13")
        cloud.fabric.ensure(network)
        assert not answers(held)
        held.close()
        assert (answer(a, "10.0.0.12", 80), answer(a, "fd00:a::12", 80), answer(c, "10.0.0.12", 80)) == (
            None,
            None,
            "4",
        )


def test_what_leaves_is_judged_too_and_broadcasts_are(cloud: Cloud) -> None:
    network, one, two = pair("a")
    only = GroupPart(
        f.ident("only"), (RulePart(False, 4, UDP, 53, 53), RulePart(True, 4, UDP, 9, 9, prefix="10.0.0.12/32"))
    )
    one = f.changed_port(one, groups=(only.id,))
    mute = f.port("mute", "10.0.0.13", network.subnets[0], groups=())
    network = f.changed(network, ports=(one, two, mute), groups=(f.OPEN, only))
    cloud.fabric.ensure(network)
    a, b, c = cloud.guest(one), cloud.guest(two), cloud.guest(mute)
    with echo(b, 80, "b"):
        assert answer(a, "10.0.0.12", 80) is None
        assert answer(c, "10.0.0.12", 80) is None
    with b.udp(53) as listening, a.udp(0) as sending:
        sending.sendto(b"let", ("10.0.0.12", 53))
        assert listening.recv(10) == b"let"
    for target in ("255.255.255.255", "10.0.0.255", "224.0.0.9"):
        for port, let in ((9, True), (10, False)):
            text = f"{target} {port}".encode()
            with a.raw() as listening, c.raw() as deaf:
                b.send(udp4((b.mac, "ff:ff:ff:ff:ff:ff"), ("10.0.0.12", 7), (target, port), text))
                assert heard(listening, text) is let, text
                assert not heard(deaf, text, 0.05)


def test_stateless_groups_keep_no_connection(cloud: Cloud) -> None:
    network, one, two = pair("a")
    rules = (RulePart(True, 4, TCP, 80, 80), RulePart(False, 4, TCP, 1, 65535))
    plain = GroupPart(f.ident("plain"), rules, stateful=False)
    one, two = f.changed_port(one, groups=(plain.id,)), f.changed_port(two, groups=(plain.id,))
    network = f.changed(network, ports=(one, two), groups=(plain,))
    cloud.fabric.ensure(network)
    a, b = cloud.guest(one), cloud.guest(two)
    with echo(b, 80, "b"):
        assert answer(a, "10.0.0.12", 80) is None  # the answer to its port is nobody's rule
        both = GroupPart(plain.id, (*rules, RulePart(True, 4, TCP, 1024, 65535)), stateful=False)
        cloud.fabric.ensure(f.changed(network, groups=(both,)))
        assert answer(a, "10.0.0.12", 80) == "b"


def test_a_port_that_is_down_is_cut_off(cloud: Cloud) -> None:
    network, one, two = pair("a")
    cloud.fabric.ensure(network)
    a, b = cloud.guest(one), cloud.guest(two)
    with echo(b, 80, "b"):
        assert answer(a, "10.0.0.12", 80) == "b"
        down = f.changed(network, ports=(one, f.changed_port(two, up=False)))
        cloud.fabric.ensure(down)
        assert answer(a, "10.0.0.12", 80) is None
        cloud.fabric.ensure(f.changed(down, ports=(one, two)))
        assert eventually(lambda: answer(a, "10.0.0.12", 80) == "b")
        cloud.fabric.ensure(f.changed(down, up=False))
        assert answer(a, "10.0.0.12", 80) is None


def test_floating_addresses(cloud: Cloud) -> None:
    cloud.outside()
    network, one, two = pair("a")
    cloud.fabric.ensure(network)
    other, three, _ = pair("b")
    cloud.fabric.ensure(other)
    floating = FloatingPart(f.ident("f"), cloud.out(30), "10.0.0.12")
    router = cloud.router("a", 10, network, floating=(floating,))
    cloud.fabric.ensure(router)
    cloud.fabric.ensure(cloud.router("b", 11, other))
    a, b, c = cloud.guest(one), cloud.guest(two), cloud.guest(three)
    here = Guest("")
    with echo(b, 80, "b") as callers:
        with socket.create_connection((cloud.out(30), 80), timeout=2) as held:
            assert held.recv(10) == b"b" and answers(held)
            assert callers.pop() == cloud.out(1)  # the caller's own address is seen
            assert answer(c, cloud.out(30), 80) == "b"
            assert callers.pop() == cloud.out(11)
            assert answer(a, cloud.out(30), 80) == "b"  # hairpin
            assert answer(b, cloud.out(30), 80) == "b"  # its own
            assert answer(c, "10.0.0.12", 80) is None or three.fixed[0].address == "10.0.0.11"
            router = f.changed(router, floating=())
            cloud.fabric.ensure(router)
            assert not answers(held)
        with pytest.raises(OSError):
            socket.create_connection((cloud.out(30), 80), timeout=0.5)
        moved = FloatingPart(f.ident("f"), cloud.out(30), "10.0.0.11")
        cloud.fabric.ensure(f.changed(router, floating=(moved,)))
    with echo(a, 80, "a"):
        assert eventually(lambda: _root(cloud.out(30), 80) == b"a")
    assert here.namespace == ""


def _root(address: str, port: int) -> bytes:
    try:
        with socket.create_connection((address, port), timeout=0.5) as made:
            return made.recv(10)
    except OSError:
        return b""


def test_what_leaves_bears_the_gateways_or_its_own_floating_address(cloud: Cloud) -> None:
    cloud.outside()
    network, one, two = pair("a")
    cloud.fabric.ensure(network)
    floating = FloatingPart(f.ident("f"), cloud.out(30), "10.0.0.12")
    router = cloud.router("a", 10, network, floating=(floating,))
    cloud.fabric.ensure(router)
    far_network, far, _ = pair("far")
    cloud.fabric.ensure(far_network)
    entry = FloatingPart(f.ident("g"), cloud.out(40), "10.0.0.11")
    cloud.fabric.ensure(cloud.router("far", 11, far_network, floating=(entry,)))
    a, b, outside = cloud.guest(one), cloud.guest(two), cloud.guest(far)
    with echo(outside, 80, "out") as callers:
        assert (answer(a, cloud.out(40), 80), answer(b, cloud.out(40), 80)) == ("out", "out")
        assert callers == [cloud.out(10), cloud.out(30)]
        cloud.fabric.ensure(f.changed(router, up=False))
        assert answer(a, cloud.out(40), 80) is None
        cloud.fabric.ensure(f.changed(router, gateway=cloud.router("a", 10, network, snat=False).gateway))
        assert answer(a, cloud.out(40), 80) is None  # its private address finds no way back
        assert answer(b, cloud.out(40), 80) == "out"


def test_ports_are_forwarded_each_to_its_own(cloud: Cloud) -> None:
    cloud.outside()
    network, one, two = pair("a")
    cloud.fabric.ensure(network)
    forwards = (
        ForwardPart(f.ident("p1"), cloud.out(30), "tcp", (8080, 8080), "10.0.0.11", (80, 80)),
        ForwardPart(f.ident("p2"), cloud.out(30), "tcp", (9000, 9002), "10.0.0.12", (80, 82)),
        ForwardPart(f.ident("p3"), cloud.out(30), "udp", (8080, 8080), "10.0.0.12", (53, 53)),
    )
    router = cloud.router("a", 10, network, forwards=forwards)
    cloud.fabric.ensure(router)
    a, b = cloud.guest(one), cloud.guest(two)
    with echo(a, 80, "a"), echo(b, 80, "b0"), echo(b, 82, "b2"), b.udp(53) as listening:
        assert [_root(cloud.out(30), port) for port in (8080, 9000, 9002, 9003, 80)] == [b"a", b"b0", b"b2", b"", b""]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            sending.sendto(b"u", (cloud.out(30), 8080))
            assert listening.recv(10) == b"u"
        with socket.create_connection((cloud.out(30), 8080), timeout=2) as held:
            assert held.recv(10) == b"a" and answers(held)
            cloud.fabric.ensure(f.changed(router, forwards=forwards[1:]))
            assert not answers(held)


def test_networks_of_one_router_reach_each_other_in_both_versions(cloud: Cloud) -> None:
    network, one, _ = pair("a")
    subnet = f.subnet("b", "10.0.1.0/24")
    six = f.subnet("b6", "fd00:b::/64", gateway="fd00:b::1", dhcp_address="fd00:b::2")
    port = f.port("b", "10.0.1.11", subnet)
    port = f.changed_port(port, fixed=(*port.fixed, *f.port("", "fd00:b::11", six).fixed))
    other = f.network("net b", (subnet, six), (port,))
    cloud.fabric.ensure(network)
    cloud.fabric.ensure(other)
    legs = (f.leg("l1", network, "10.0.0.1/24"), f.leg("l2", network, "fd00:a::1/64"),
            f.leg("l3", other, "10.0.1.1/24"), f.leg("l4", other, "fd00:b::1/64"))  # fmt: skip
    cloud.fabric.ensure(RouterPart(f.ident("r"), legs=legs, generation=1))
    a, b = cloud.guest(one), cloud.guest(port)
    with echo(b, 80, "4") as callers, echo(b, 80, "6", "fd00:b::11") as callers6:
        assert answer(a, "10.0.1.11", 80) == "4"
        assert answer(a, "fd00:b::11", 80) == "6"
        assert (callers, callers6) == (["10.0.0.11"], ["fd00:a::11"])


def test_the_machine_itself_is_out_of_reach_but_for_open_ports(cloud: Cloud) -> None:
    with socket.create_server(("", 0)) as private, socket.create_server(("", 0)) as public:
        cloud.outside(public.getsockname()[1])
        network, one, _ = pair("a")
        cloud.fabric.ensure(network)
        cloud.fabric.ensure(cloud.router("a", 10, network))
        a = cloud.guest(one)
        mine = {cloud.out(1), *_own_addresses()}
        for address in sorted(mine):
            for listener, let in ((public, True), (private, False)):
                made = a.connect(address, listener.getsockname()[1])
                assert (made is not None) is let, (address, let)
                if made is not None:
                    made.close()
        for address in ("10.0.0.1", "10.0.0.2", cloud.out(10)):
            for listener in (public, private):
                assert a.connect(address, listener.getsockname()[1], 0.3) is None


@pytest.fixture
def world(cloud: Cloud) -> Iterator[tuple[Guest, str]]:
    """Somebody beyond the machine, who knows no way back to the cloud, and the machine's address there."""
    name, link = f"an-{cloud.host.installation}-w", f"aw{cloud.host.installation}"
    kernel.create(name)
    for line in (f"link add {link} type veth peer name eth0 netns {name}", f"addr add 198.18.77.1/30 dev {link}",
                 f"link set {link} up", f"-n {name} addr add 198.18.77.2/30 dev eth0",
                 f"-n {name} link set eth0 up"):  # fmt: skip
        subprocess.run(["ip", *line.split()], check=True)
    kernel.sysctl({f"net/ipv4/conf/{link}/forwarding": 1})
    yield Guest(name, "198.18.77.2"), "198.18.77.1"
    subprocess.run(["ip", "link", "del", link], check=True)
    kernel.destroy(name)


def test_the_machine_stands_for_its_guests_before_the_world(cloud: Cloud, world: tuple[Guest, str]) -> None:
    cloud.outside()
    network, one, _ = pair("a")
    cloud.fabric.ensure(network)
    cloud.fabric.ensure(cloud.router("a", 10, network))
    beyond, own = world
    with echo(beyond, 80, "world") as callers:
        assert answer(cloud.guest(one), "198.18.77.2", 80, 3) == "world"
        assert callers == [own]


def _own_addresses() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return []
        return [probe.getsockname()[0]]


def test_frames_are_as_large_as_was_said(cloud: Cloud) -> None:
    network, one, two = pair("a")
    cloud.fabric.ensure(f.changed(network, mtu=1300))
    a = cloud.guest(one)
    fits = f.run_in(a.namespace, "ping", "-c1", "-W5", "-M", "do", "-s", str(1300 - 28), two.fixed[0].address)
    over = f.run_in(a.namespace, "ping", "-c1", "-W5", "-M", "do", "-s", str(1301 - 28), two.fixed[0].address)
    assert (fits.returncode, over.returncode) == (0, 1), fits.stdout + over.stdout
    own = names.namespace(cloud.host.installation, "n", network.id)
    assert all(
        "mtu 1300" in line for line in f.run_in(own, "ip", "-o", "link").stdout.splitlines() if "lo:" not in line
    )
