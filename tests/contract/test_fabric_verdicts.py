"""Two sayings of one thing: what the rendered rules let through, and what `Verdicts` says about connections."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

import pytest

from andromede.engines.linux.conntrack import Flow
from andromede.engines.linux.router_rules import Translations
from andromede.engines.linux.verdict import Verdicts
from andromede.network.engine import (
    AddressGroupPart,
    FloatingPart,
    ForwardPart,
    GroupPart,
    NetworkPart,
    PairPart,
    RouterPart,
    RulePart,
)
from tests.contract.test_fabric_packets import Cloud, pair
from tests.support import fabric as f
from tests.support.guests import Guest, heard, udp4, udp6


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    if why := f.why_not():
        pytest.skip(f"the kernel's fabric: {why}")
    with f.real() as (fabric, host):
        yield Cloud(fabric, host, "10.96.0")


PORTS = (52, 53, 60)


def _rule(draw: random.Random) -> RulePart:
    version = draw.choice((4, 4, 6))
    low = draw.choice((None, 50, 53, 60))
    high = None if low is None else draw.choice((low, 60, 65535))
    other = draw.choice(("", "", "prefix", "group", "addresses"))
    prefixes = {
        4: ("10.0.0.11/32", "10.0.0.8/29", "0.0.0.0/0", "192.0.2.0/24"),
        6: ("fd00:a::11/128", "::/0", "fd00:b::/64"),
    }
    protocol = draw.choice((None, 17, 17, 6, 1))
    return RulePart(
        draw.random() < 0.6,
        version,
        protocol,
        low,
        None if protocol == 1 else high,
        draw.choice(prefixes[version]) if other == "prefix" else "",
        draw.choice((f.ident("g0"), f.ident("g1"))) if other == "group" else "",
        f.ident("ranges") if other == "addresses" else "",
    )


def _wish(draw: random.Random, network: NetworkPart, generation: int) -> NetworkPart:
    groups = []
    for number in range(3):
        members = draw.choice(((), ("10.0.0.11", "fd00:a::12"), ("10.0.0.8/29", "fd00:a::/64")))
        rules = tuple(_rule(draw) for _ in range(draw.randrange(5)))
        groups.append(GroupPart(f.ident(f"g{number}"), rules, members))
    ports = tuple(
        f.changed_port(port, groups=tuple(one.id for one in groups if draw.random() < 0.6)) for port in network.ports
    )
    ranges = (AddressGroupPart(f.ident("ranges"), draw.choice((("10.0.0.0/25", "fd00:a::12/127"), ("10.0.0.64/26",)))),)
    return dataclasses.replace(network, generation=generation, ports=ports, groups=tuple(groups), address_groups=ranges)


def test_the_kernel_and_the_verdict_say_the_same(cloud: Cloud) -> None:
    network, one, two = pair("a")
    a, b = cloud.guest(one), cloud.guest(two)
    seed = random.randrange(1 << 32)
    draw = random.Random(seed)
    count = 0
    for round_ in range(12):
        wish = _wish(draw, network, round_ + 2)
        cloud.fabric.ensure(wish)
        verdicts = Verdicts(wish)
        for source, target, sender, receiver in (("10.0.0.11", "10.0.0.12", a, b), ("10.0.0.12", "10.0.0.11", b, a),
                                                 ("fd00:a::11", "fd00:a::12", a, b)):  # fmt: skip
            for port in PORTS:
                flow = Flow(17, source, target, 1000 + round_, port, target, source)
                assert _passes(sender, receiver, flow) is verdicts.allows(flow), (seed, round_, flow)
                count += 1
    assert count == 108


def _passes(sender: Guest, receiver: Guest, flow: Flow) -> bool:
    text = f"{flow.source} {flow.low} {flow.high}".encode()
    make = udp6 if flow.version == 6 else udp4
    with receiver.raw() as listening:
        ends = (flow.source, flow.low or 0), (flow.target, flow.high or 0)
        sender.send(make((sender.mac, receiver.mac), *ends, text))
        return heard(listening, text, 0.12)


def _flow(protocol: int, source: str, target: str, low: int | None = None, high: int | None = None) -> Flow:
    return Flow(protocol, source, target, low, high, target, source)


def test_verdicts_about_icmp_protocols_and_pairs() -> None:
    rules = (RulePart(True, 4, 1, 8, 0), RulePart(True, 4, 1, 3), RulePart(True, 4, 112), RulePart(True, 6, 1, 128),
             RulePart(True, 4, 6, None, 80))  # fmt: skip
    network, one, two = pair("a")
    one = f.changed_port(one, groups=(f.ident("g"),), pairs=(PairPart(one.mac, "10.9.0.0/16"),))
    verdicts = Verdicts(dataclasses.replace(network, ports=(one, two), groups=(f.OPEN, GroupPart(f.ident("g"), rules))))
    far = "192.0.2.7"
    asked = {
        _flow(1, far, "10.0.0.11", 8, 0): True,
        _flow(1, far, "10.0.0.11", 8, 1): False,
        _flow(1, far, "10.0.0.11", 3, 9): True,
        _flow(1, far, "10.0.0.11", 11, 0): False,
        _flow(112, far, "10.9.3.4"): True,
        _flow(112, far, "10.8.3.4"): True,  # nobody's address here
        _flow(47, far, "10.9.3.4"): False,
        _flow(58, "fd00:9::1", "fd00:a::11", 128, 0): True,
        _flow(6, far, "10.0.0.11", 5, 80): True,
        _flow(6, far, "10.0.0.11", 5, 81): False,
        _flow(6, "10.0.0.11", far, 5, 80): False,  # no rule lets it leave
        _flow(6, "10.0.0.12", far, 5, 80): True,
    }
    assert {flow: verdicts.allows(flow) for flow in asked} == asked


def test_translations_that_are_known() -> None:
    gateway = ROUTER.gateway
    assert gateway is not None
    known = Translations(ROUTER)
    own, caller = "10.99.0.10", "10.99.0.1"
    asked = {
        Flow(6, caller, "10.99.0.20", 5, 80, "10.0.0.11", caller): True,
        Flow(6, caller, "10.99.0.20", 5, 80, "10.0.0.99", caller): False,
        Flow(6, caller, "10.99.0.21", 5, 80, "10.0.0.11", caller): False,
        Flow(6, caller, "10.99.0.30", 5, 8081, "10.0.0.12", caller): True,
        Flow(17, caller, "10.99.0.30", 5, 8081, "10.0.0.12", caller): False,
        Flow(6, "10.0.0.11", caller, 5, 80, caller, "10.99.0.20"): True,
        Flow(6, "10.0.0.11", caller, 5, 80, caller, own): True,
        Flow(6, "10.0.0.12", caller, 5, 80, caller, own): True,
        Flow(6, "10.0.0.12", caller, 5, 80, caller, "10.99.0.20"): False,
        Flow(6, "10.0.0.12", "10.99.0.20", 5, 80, "10.0.0.11", own): True,
        Flow(6, "10.0.0.12", "10.0.1.5", 5, 80, "10.0.1.5", "10.0.0.12"): True,
        Flow(6, "fd00:a::1", "fd00:b::1", 5, 80, "fd00:b::1", "fd00:a::1"): True,
        Flow(1, caller, "10.99.0.30", 8, None, "10.0.0.12", caller): False,
    }
    assert {flow: known.knows(flow) for flow in asked} == asked
    routed = Translations(dataclasses.replace(ROUTER, gateway=dataclasses.replace(gateway, snat=False)))
    assert not routed.knows(Flow(6, "10.0.0.12", caller, 5, 80, caller, own))
    assert routed.knows(Flow(6, "10.0.0.12", "10.99.0.20", 5, 80, "10.0.0.11", own))
    assert not Translations(dataclasses.replace(ROUTER, up=False)).knows(_flow(6, "10.0.0.12", caller))
    assert not Translations(RouterPart("r")).knows(Flow(6, "10.0.0.12", caller, 5, 80, caller, own))


ROUTER = RouterPart(
    f.ident("r"),
    gateway=f.GatewayPart(f.ident("gw"), f.ident("ext"), f.mac("gw"), ("10.99.0.10/24", "fd00:99::10/64")),
    floating=(FloatingPart("f", "10.99.0.20", "10.0.0.11"),),
    forwards=(ForwardPart("p", "10.99.0.30", "tcp", (8080, 8082), "10.0.0.12", (80, 82)),),
)
