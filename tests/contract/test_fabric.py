"""One contract for whatever carries packets, tried on the twin and on the kernel; the kernel is ended at every step."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from andromede.engines.linux import kernel, names
from andromede.engines.linux.fabric import LinuxFabric
from andromede.engines.linux.host import Host
from andromede.engines.linux.leaks import leaks
from andromede.engines.linux.links import Links
from andromede.engines.memory_network import MemoryFabric
from andromede.errors import Conflict, NotFound, Unavailable
from andromede.network.engine import (
    NONE,
    OUTSIDE,
    TAP,
    Fabric,
    FloatingPart,
    GatewayPart,
    OutsidePart,
    Part,
    RouterPart,
    Wired,
)
from tests.support import fabric as f
from tests.support.guests import eventually


@dataclass
class Made:
    """A fabric, what was asked of it last, and what it has left behind."""

    fabric: Fabric
    left: Callable[[list[Part]], list[str]]
    host: Host | None = None
    parts: dict[str, Part] = field(default_factory=dict)

    def ensure(self, *parts: Part) -> None:
        for part in parts:
            self.fabric.ensure(part)
            self.parts[part.id] = part


@pytest.fixture
def real() -> Iterator[Made]:
    if why := f.why_not():
        pytest.skip(f"the kernel's fabric: {why}")
    with f.real() as (fabric, host):
        yield Made(fabric, lambda parts: leaks(host, parts), host)


@pytest.fixture(params=["twin", "real", "twin by difference", "real by difference"])
def made(request: pytest.FixtureRequest) -> Iterator[Made]:
    steps = f.Stepwise if request.param.endswith("difference") else lambda fabric: fabric
    if request.param.startswith("real"):
        real = request.getfixturevalue("real")
        yield dataclasses.replace(real, fabric=steps(real.fabric))
        return
    twin = MemoryFabric()
    yield Made(steps(twin), lambda parts: sorted(set(twin.parts) - {part.id for part in parts}))
    twin.close()


S = f.subnet("a")
NET = f.network(
    "net a", (S,), (f.port("t1", "10.0.0.11", S, kind=TAP, uid=1000), f.port("t2", "10.0.0.12", S, kind=TAP))
)
OUT = OutsidePart("10.213.0.0/24", "10.213.0.1/24", generation=1)
GATE = GatewayPart(f.ident("gw"), f.ident("ext"), f.mac("gw"), ("10.213.0.10/24",), ("10.213.0.1",))
ROUTER = RouterPart(f.ident("r"), legs=(f.leg("leg", NET, "10.0.0.1/24"),), gateway=GATE, generation=1)


def test_nothing_is_there_before_and_after(made: Made) -> None:
    assert made.fabric.observe(NET.id) is None
    assert made.fabric.listing() == []
    made.ensure(NET)
    assert made.fabric.listing() == [NET.id]
    for _ in range(2):
        made.fabric.remove(NET.id)
        assert made.fabric.observe(NET.id) is None
    assert made.left([]) == []


def test_a_network_has_the_ports_and_the_generation_that_were_wished(made: Made) -> None:
    for _ in range(2):
        made.ensure(NET)
    wired = made.fabric.observe(NET.id)
    assert wired is not None
    assert (wired.generation, wired.ports, wired.faults) == (1, {f.ident("t1"), f.ident("t2")}, ())
    assert made.left([NET]) == []
    fewer = f.changed(
        NET, ports=(NET.ports[0], f.changed_port(NET.ports[1], up=False), f.port("t3", "10.0.0.13", S, kind=NONE))
    )
    made.ensure(fewer)
    wired = made.fabric.observe(NET.id)
    assert wired is not None
    assert (wired.generation, wired.ports) == (2, {f.ident("t1")})
    made.ensure(f.changed(fewer, ports=()))
    wired = made.fabric.observe(NET.id)
    assert wired is not None
    assert (wired.generation, wired.ports) == (3, frozenset())


def test_a_tap_is_for_one_guest(made: Made) -> None:
    with pytest.raises(NotFound):
        made.fabric.plug(f.ident("t1"))
    made.ensure(NET)
    held = made.fabric.plug(f.ident("t1"))
    with pytest.raises(Conflict):
        made.fabric.plug(f.ident("t1"))
    os.close(made.fabric.plug(f.ident("t2")))
    os.close(held)
    os.close(made.fabric.plug(f.ident("t1")))


def test_a_router_waits_for_its_networks(made: Made) -> None:
    with pytest.raises(Unavailable, match="not there"):
        made.fabric.ensure(ROUTER)
    made.ensure(OUT)
    with pytest.raises(Unavailable, match="not there"):
        made.fabric.ensure(ROUTER)
    made.ensure(NET, ROUTER)
    wired, network, outside = (made.fabric.observe(part.id) for part in (ROUTER, NET, OUT))
    assert wired is not None and network is not None and outside is not None
    assert (wired.generation, wired.ports) == (1, {f.ident("leg"), f.ident("gw")})
    assert network.ports == {f.ident("t1"), f.ident("t2"), f.ident("leg")}
    assert outside.ports == {f.ident("gw")}
    assert set(made.fabric.listing()) == {NET.id, ROUTER.id, OUTSIDE}
    assert made.left([NET, ROUTER, OUT]) == []


def test_a_router_changes_its_legs_and_its_gateway(made: Made) -> None:
    other_subnet = f.subnet("b", "10.0.1.0/24")
    other = f.network("net b", (other_subnet,), ())
    made.ensure(OUT, NET, other, ROUTER)
    moved = f.changed(ROUTER, legs=(f.leg("leg b", other, "10.0.1.1/24"),), gateway=None)
    made.ensure(moved)
    wired, network, outside = (made.fabric.observe(part.id) for part in (moved, NET, OUT))
    assert wired is not None and network is not None and outside is not None
    assert wired.ports == {f.ident("leg b")}
    assert f.ident("leg") not in network.ports
    assert outside.ports == frozenset()
    made.fabric.remove(moved.id)
    left = made.fabric.observe(other.id)
    assert left is not None and left.ports == frozenset()
    assert made.left([NET, other, OUT]) == []


def test_a_gateway_in_an_external_network_of_its_own(made: Made) -> None:
    subnet = f.subnet("x", "10.77.0.0/24")
    elsewhere = f.network("net x", (subnet,), ())
    gateway = GatewayPart(f.ident("gx"), elsewhere.id, f.mac("gx"), ("10.77.0.9/24",), ("10.77.0.1",), outside=False)
    made.ensure(NET, elsewhere, RouterPart(ROUTER.id, legs=ROUTER.legs, gateway=gateway, generation=4))
    network = made.fabric.observe(elsewhere.id)
    assert network is not None and network.ports == {f.ident("gx")}


def test_calls_from_many_threads_do_not_meet(made: Made) -> None:
    subnets = [f.subnet(f"s{n}") for n in range(4)]
    networks = [
        f.network(f"net {n}", (s,), (f.port(f"port {n}", "10.0.0.9", s, kind=TAP),)) for n, s in enumerate(subnets)
    ]
    failed: list[BaseException] = []

    def work(part: Any) -> None:
        try:
            for _ in range(2):
                made.fabric.ensure(part)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(part,)) for part in networks * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for part in networks:
        wired = made.fabric.observe(part.id)
        assert wired is not None and len(wired.ports) == 1


# --- the kernel alone ---


class Ended(BaseException):
    """The process ends here."""


@dataclass
class Killer:
    """Ends a call at its n-th step."""

    at: int
    seen: int = 0

    def __call__(self, step: str) -> None:
        self.seen += 1
        if self.seen == self.at:
            raise Ended(step)


def _killed(host: Host, act: Callable[[LinuxFabric], None], at: int) -> bool:
    """Whether the call was ended midway, as by a signal: what the engine knew is lost with it."""
    try:
        act(LinuxFabric(Host(host.installation, host.runtime, Killer(at))))
    except Ended:
        return True
    return False


def _links() -> list[str]:
    with Links() as links:
        found = links.all()
    named = {link.index: link.name for link in found.values()}
    settled = [link for link in found.values() if link.name != "lo"]
    return [f"{k.name} {k.kind} {k.mtu} {k.up} {k.alias} {named.get(k.master or 0)}" for k in settled]


def picture(host: Host) -> list[str]:
    """The kernel's state of an installation, less what differs from one making to the next."""
    lines = []
    for name in kernel.names(names.prefix(host.installation)):
        lines += [f"{name} {line}" for line in kernel.inside(name, _links)]
        for line in f.run_in(name, "ip", "-br", "addr", "show").stdout.splitlines():
            link, _, *addresses = line.split()
            lines += [f"{name} {link.split('@')[0]} {text}" for text in addresses if not text.startswith("fe80")]
        for words in ("route", "-6 route show proto static"):
            lines += [f"{name} {line.strip()}" for line in f.run_in(name, "ip", *words.split()).stdout.splitlines()]
        lines += [f"{name} {word}" for word in f.run_in(name, "nft", "-s", "list", "ruleset").stdout.split()]
    return sorted(lines)


def _everything() -> tuple[list[Part], list[Part]]:
    six = f.subnet("six", "fd00:a::/64", ra_mode="slaac", address_mode="slaac")
    ports = (*NET.ports, f.port("h1", "10.0.0.21", S), f.port("h2", "fd00:a::22", six, secured=False))
    network = f.changed(NET, subnets=(S, six), ports=ports)
    router = f.changed(ROUTER, legs=(f.leg("leg", network, "10.0.0.1/24"), f.leg("leg6", network, "fd00:a::1/64")),
                       floating=(FloatingPart(f.ident("f"), "10.213.0.20", "10.0.0.21"),))  # fmt: skip
    return [OUT, NET, ROUTER], [f.changed(OUT, open_ports=(8700,)), network, router]


def test_an_engine_that_is_ended_at_any_step_mends_it_at_the_next(real: Made) -> None:
    host = real.host
    assert host is not None
    first, second = _everything()

    def build(parts: list[Part]) -> Callable[[LinuxFabric], None]:
        return lambda fabric: [fabric.ensure(part) for part in parts] and None

    def clear(fabric: LinuxFabric) -> None:
        for part in reversed(second):
            fabric.remove(part.id)

    clean = LinuxFabric(host)
    build(first)(clean)
    build(second)(clean)
    aim = picture(host)
    clear(clean)
    at = 0
    while _killed(host, build(first), at := at + 1):
        build(first)(LinuxFabric(host))
        while _killed(host, build(second), 3 * at):
            build(second)(LinuxFabric(host))
            break
        build(second)(LinuxFabric(host))
        if at % 5 == 0:
            assert picture(host) == aim, f"after the end at step {at}"
        _killed(host, clear, at)
        clear(LinuxFabric(host))
        assert leaks(host, []) == [], f"after the end at step {at}"
    assert at > 25


def test_what_a_stranger_broke_is_mended(real: Made) -> None:
    host = real.host
    assert host is not None
    first, second = _everything()
    real.ensure(*first, *second)
    aim = picture(host)
    network, router = second[1], second[2]
    own = names.namespace(host.installation, "n", network.id)
    away = names.namespace(host.installation, "r", router.id)
    for space, words in (
        (own, "ip link del br0"),
        (own, f"ip link del {names.tap(f.ident('h1'))}"),
        (own, f"ip link set {names.tap(f.ident('t1'))} nomaster"),
        (own, "nft flush ruleset"),
        (own, "ip addr flush dev br0"),
        (away, "nft flush ruleset"),
        (away, "ip link set qg0 down"),
        (away, "ip addr flush dev qg0"),
        (away, "ip addr add 10.9.9.9/24 dev qg0"),
    ):
        assert f.run_in(space, *words.split()).returncode == 0
        for part in second:
            real.fabric.ensure(part)
        assert picture(host) == aim, words
    subprocess.run(["umount", "-l", f"/run/netns/{own}"], check=True)
    for part in second:
        real.fabric.ensure(part)
    assert picture(host) == aim
    pid = int((host.folder(network.id) / "pid").read_text())
    ended = os.pidfd_open(pid)
    os.kill(pid, 9)
    assert kernel.readable(ended, 10)
    os.close(ended)
    assert (real.fabric.observe(network.id) or Wired("", None)).faults == ("its dnsmasq has ended",)
    real.fabric.ensure(network)
    assert (real.fabric.observe(network.id) or Wired("", None, faults=("gone",))).faults == ()
    assert int((host.folder(network.id) / "pid").read_text()) != pid


def test_no_thread_is_left_in_a_namespace(real: Made) -> None:
    real.ensure(OUT, NET, ROUTER)
    mine = os.stat("/proc/self/ns/net").st_ino

    def spaces() -> set[int | None]:
        return {kernel.inode_of(int(task)) for task in os.listdir("/proc/self/task")} - {None}

    assert eventually(lambda: spaces() == {mine})  # a thread that was joined may end a moment later
    assert os.stat("/proc/thread-self/ns/net").st_ino == mine


def test_leaks_are_named(real: Made) -> None:
    host = real.host
    assert host is not None
    real.ensure(OUT, NET, ROUTER)
    found = "\n".join(leaks(host, []))
    for word in ("an-", "bridge ax-", "link ag", "nft table", "process", "folder"):
        assert word in found
    assert [line.split(" in ")[0] for line in leaks(host, [f.changed(NET, ports=NET.ports[:1]), ROUTER, OUT])] == [
        f"link {names.tap(f.ident('t2'))} ({f.ident('t2')})"
    ]
    assert leaks(host, [NET, OUT, ROUTER]) == []


def test_the_twin_polices_its_caller() -> None:
    twin = MemoryFabric()
    with pytest.raises(AssertionError, match="an address named twice"):
        twin.ensure(f.network("n", (S,), (f.port("x", "10.0.0.5", S), f.port("y", "10.0.0.5", S))))
    with pytest.raises(AssertionError, match="a security group that the part does not hold"):
        twin.ensure(f.network("n", (S,), (f.port("x", "10.0.0.5", S, groups=("nobody",)),)))
    with pytest.raises(AssertionError, match="outside of its subnet"):
        twin.ensure(f.network("n", (S,), (f.port("x", "10.0.9.5", S),)))
    with pytest.raises(AssertionError, match="no gateway"):
        twin.ensure(RouterPart("r", floating=(FloatingPart("f", "10.213.0.9", "10.0.0.9"),)))
    twin.ensure(OUT)
    twin.ensure(NET)
    twin.ensure(ROUTER)
    with pytest.raises(AssertionError, match="goes before the leg"):
        twin.remove(NET.id)


def test_the_twin_fails_when_told_to() -> None:
    def faults(verb: str, when: str) -> None:
        if (verb, when) == ("ensure", "after"):
            raise Unavailable("as told")

    twin = MemoryFabric(faults)
    with pytest.raises(Unavailable):
        twin.ensure(NET)
    assert twin.listing() == [NET.id]
