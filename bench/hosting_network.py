"""What the network engine costs beside the bare commands that make the same things in the kernel.

    python -m bench.hosting_network [--rounds 20]

Each round makes one network, one port, one router with a leg and a gateway, and one floating IP, once by the engine and
once by a shell script of `ip`, `sysctl`, `nft` and `dnsmasq` with the same rules, in turns. Then: what one more port
costs in networks of 10, 100 and 1,000 ports, by its difference and by rendering the whole, for us alone and in the
kernel; of these also the CPU time, that of the programs which are run among it. As root.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from andromede.engines.linux import kernel, names, network_rules, router_rules
from andromede.engines.linux.fabric import LinuxFabric
from andromede.engines.linux.host import Host
from andromede.engines.linux.ruleset import Ruleset
from andromede.engines.linux.standing import Standing
from andromede.network.engine import (
    TAP,
    FloatingPart,
    GatewayPart,
    NetworkChange,
    NetworkPart,
    OutsidePart,
    RouterPart,
    SubnetPart,
)
from tests.support import fabric as f

Figures = dict[str, list[float]]


def timed(figures: Figures, what: str, act: Callable[[], object]) -> None:
    begun = time.perf_counter()
    act()
    figures[what].append((time.perf_counter() - begun) * 1000)


def wishes(word: str) -> tuple[NetworkPart, NetworkPart, RouterPart, RouterPart]:
    """A network, the same with a port, a router with a leg in it, the same with a floating IP."""
    subnet = f.subnet(word)
    bare = f.network(f"net {word}", (subnet,), ())
    full = f.changed(bare, ports=(f.port(f"port {word}", "10.0.0.11", subnet, kind=TAP),))
    gateway = GatewayPart(
        f.ident(f"gw {word}"), f.ident("ext"), f.mac(f"gw {word}"), ("10.211.0.9/24",), ("10.211.0.1",)
    )
    router = RouterPart(f.ident(f"r {word}"), gateway=gateway, generation=1)
    legged = f.changed(router, legs=(f.leg(f"leg {word}", full, "10.0.0.1/24"),))
    floating = (FloatingPart(f.ident(f"f {word}"), "10.211.0.20", "10.0.0.11"),)
    return bare, full, legged, f.changed(legged, floating=floating)


def shell(script: str, text: str = "") -> None:
    subprocess.run(["sh", "-ec", script], input=text, text=True, check=True, capture_output=True)


def bare_network(space: str, part: NetworkPart, folder: Path) -> None:
    """The commands of one network."""
    server = (f"dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --port=0 --interface=br0 --bind-interfaces "
              f"--except-interface=lo --dhcp-authoritative --leasefile-ro --dhcp-range=10.0.0.0,static,255.255.255.0 "
              f"--dhcp-hostsfile={folder}/hosts --pid-file={folder}/pid")  # fmt: skip
    keys = "net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1 net.ipv4.ip_forward=0"
    shell(
        f"touch {folder}/hosts; ip netns add {space}; ip -n {space} link set lo up; "
        f"ip -n {space} link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0; "
        f"ip -n {space} link set br0 address {part.dhcp_mac} mtu {part.mtu} up; "
        f"ip -n {space} addr add 169.254.169.254/32 dev br0; ip -n {space} addr add 10.0.0.2/24 dev br0; "
        f"ip netns exec {space} sysctl -qw {keys}; ip netns exec {space} nft -f -; ip netns exec {space} {server}",
        network_rules.render(part).whole(),
    )


def bare_port(space: str, part: NetworkPart, folder: Path) -> None:
    tap = names.tap(part.ports[0].id)
    shell(
        f"ip -n {space} tuntap add dev {tap} mode tap user 0 vnet_hdr; ip netns exec {space} nft -f -; "
        f"ip -n {space} link set {tap} master br0 mtu {part.mtu} up; "
        f"echo {part.ports[0].mac},10.0.0.11 > {folder}/hosts; kill -HUP $(cat {folder}/pid)",
        network_rules.render(part).whole(),
    )


def bare_router(spaces: tuple[str, str], bridge: str, part: RouterPart) -> None:
    """The commands of a router with a leg and a gateway."""
    space, away = spaces
    near, far = names.leg(part.legs[0].port_id)
    up, gateway = f"{bridge.replace('ax-', 'ag')}raw", part.gateway
    assert gateway is not None
    keys = "net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=2"
    shell(
        f"ip netns add {away}; ip -n {away} link set lo up; "
        f"ip netns exec {away} sysctl -qw {keys}; "
        f"ip netns exec {away} nft -f -; ip -n {space} link add {near} type veth peer name {far} netns {away}; "
        f"ip -n {space} link set {near} master br0 up; ip -n {away} link set {far} address {part.legs[0].mac} up; "
        f"ip -n {away} addr add 10.0.0.1/24 dev {far}; "
        f"ip link add {up} type veth peer name qg0 netns {away}; ip link set {up} master {bridge} up; "
        f"ip -n {away} link set qg0 address {gateway.mac} up; ip -n {away} addr add {gateway.addresses[0]} dev qg0; "
        f"ip -n {away} route add default via {gateway.next_hops[0]}",
        router_rules.render(part).whole(),
    )


def bare_floating(away: str, part: RouterPart) -> None:
    script = f"ip -n {away} addr add 10.211.0.20/32 dev qg0; ip netns exec {away} nft -f -"
    shell(script, router_rules.render(part).whole())


def rounds(host: Host, fabric: LinuxFabric, count: int) -> tuple[Figures, Figures]:
    """Milliseconds of the engine and of the bare commands."""
    ours: Figures = defaultdict(list)
    bare: Figures = defaultdict(list)
    bridge = names.bridge(host.installation)
    fabric.ensure(OutsidePart("10.211.0.0/24", "10.211.0.1/24", generation=1))
    for number in range(count):
        network, full, legged, floating = wishes(f"w{number}")
        timed(ours, "network", partial(fabric.ensure, network))
        timed(ours, "port", partial(fabric.ensure, full))
        timed(ours, "router, leg, gateway", partial(fabric.ensure, legged))
        timed(ours, "floating IP", partial(fabric.ensure, floating))
        timed(ours, "looking at a network", partial(fabric.observe, full.id))
        timed(ours, "network that is there", partial(fabric.ensure, full))
        timed(ours, "opened tap", partial(open_tap, fabric, full.ports[0].id))
        fabric.remove(legged.id)
        timed(ours, "removed network", partial(fabric.remove, full.id))
        space, away = f"an-{host.installation}-raw-n", f"an-{host.installation}-raw-r"
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            timed(bare, "network", partial(bare_network, space, network, folder))
            timed(bare, "port", partial(bare_port, space, full, folder))
            timed(bare, "router, leg, gateway", partial(bare_router, (space, away), bridge, legged))
            timed(bare, "floating IP", partial(bare_floating, away, floating))
            shell(f"kill $(cat {folder}/pid); ip netns del {space}; ip netns del {away}")
    return ours, bare


def open_tap(fabric: LinuxFabric, port_id: str) -> None:
    os.close(fabric.plug(port_id))


def way(old: Ruleset, part: NetworkPart) -> None:
    """What is done for each change before the kernel is asked."""
    assert network_rules.render(part).after(old)


def crowd(count: int, subnet: SubnetPart) -> NetworkPart:
    ports = tuple(
        f.port(f"p{number}", f"10.0.{number >> 8}.{number & 255}", subnet, kind=TAP) for number in range(3, count + 3)
    )
    return f.network("crowd", (subnet,), ports)


def spent() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in found)


def both(figures: Figures, what: str, act: Callable[[], object]) -> None:
    begun = spent()
    timed(figures, what, act)
    figures[f"{what}, CPU"].append((spent() - begun) * 1000)


def one_more(fabric: LinuxFabric, count: int, times: int = 9) -> Figures:
    """Milliseconds for one more port in a network of `count`."""
    figures: Figures = defaultdict(list)
    subnet = f.subnet("crowd", "10.0.0.0/16")
    part = crowd(count, subnet)
    timed(figures, "whole network at once", partial(fabric.ensure, part))
    assert fabric.change(NetworkChange(part.id, part.generation, part.generation + 1))  # what it knows is built once
    part = f.changed(part)
    for number in range(times):
        late = f.port(f"late {number}", f"10.0.200.{number}", subnet, kind=TAP)
        here = Standing(part)
        change = NetworkChange(part.id, part.generation, part.generation + 1, (late,), (), (f.OPEN,))
        back = NetworkChange(part.id, part.generation + 1, part.generation + 2, (), (late.id,))
        both(figures, "rules by difference", partial(here.way, change))
        both(figures, "port by difference", partial(fabric.change, change))
        both(figures, "its end by difference", partial(fabric.change, back))
        part = f.changed(f.changed(part))
    for number in range(times):
        late = f.port(f"later {number}", f"10.0.201.{number}", subnet, kind=TAP)
        more = f.changed(part, ports=(*part.ports, late))
        both(figures, "rules as a whole", partial(way, network_rules.render(part), more))
        both(figures, "port by the whole", partial(fabric.ensure, more))
        part = more
    fabric.remove(part.id)
    return figures


def median(values: list[float]) -> str:
    return f"{statistics.median(values):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    wished = parser.parse_args()
    if why := f.why_not():
        raise SystemExit(f"cannot be measured here: {why}")
    host = Host(uuid.uuid4().hex[:6], Path(tempfile.mkdtemp(prefix="bench-network-")))
    os.chmod(host.runtime, 0o755)
    fabric = LinuxFabric(host)
    try:
        ours, bare = rounds(host, fabric, wished.rounds)
        print("| what | engine ms | bare commands ms | ratio |\n|---|---|---|---|")
        for what, values in ours.items():
            other = bare.get(what, [])
            ratio = f"{statistics.median(values) / statistics.median(other):.2f}" if other else ""
            print(f"| {what} | {median(values)} | {median(other) if other else ''} | {ratio} |")
        found = [one_more(fabric, 10), one_more(fabric, 100), one_more(fabric, 1000, 5)]
        print("\n| one more port | of 10, ms | of 100, ms | of 1,000, ms |\n|---|---|---|---|")
        for what in found[0]:
            print(f"| {what} | {' | '.join(median(one[what]) for one in found)} |")
    finally:
        for part_id in sorted(fabric.listing(), key=lambda one: one == "outside"):
            fabric.remove(part_id)
        for name in kernel.names(names.prefix(host.installation)):
            kernel.destroy(name)


if __name__ == "__main__":
    main()
