"""Rules as values: what is rendered, the way from one set to another, and when connections may have to end."""

from __future__ import annotations

import dataclasses

import pytest

from andromede.engines.linux import dhcp, names
from andromede.engines.linux.network_rules import link_local, marks, render, rule_text
from andromede.engines.linux.outside import render as render_outside
from andromede.engines.linux.router_rules import render as render_router
from andromede.engines.linux.ruleset import Chain, Ruleset, Set, Table
from andromede.engines.linux.sweeping import ends
from andromede.network.engine import (
    NONE,
    AddressGroupPart,
    FloatingPart,
    ForwardPart,
    GatewayPart,
    GroupPart,
    OutsidePart,
    PairPart,
    RouterPart,
    RulePart,
)
from tests.support import fabric as f


def test_link_local_addresses() -> None:
    assert link_local("fa:16:3e:00:00:01") == "fe80::f816:3eff:fe00:1"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (RulePart(True), "meta nfproto ipv4"),
        (RulePart(True, 6, 6, 22, 22), "meta nfproto ipv6 meta l4proto 6 th dport 22"),
        (RulePart(False, 4, 17, None, 53), "meta nfproto ipv4 meta l4proto 17 th dport 0-53"),
        (RulePart(True, 4, 132, 5), "meta nfproto ipv4 meta l4proto 132 th dport 5-65535"),
        (RulePart(True, 4, 1, 8, 0), "meta nfproto ipv4 icmp type 8 icmp code 0"),
        (RulePart(True, 6, 1, 128), "meta nfproto ipv6 icmpv6 type 128"),
        (RulePart(True, 6, 1), "meta nfproto ipv6 meta l4proto 58"),
        (RulePart(True, 4, 112, 1, 2), "meta nfproto ipv4 meta l4proto 112"),
        (RulePart(True, 4, prefix="0.0.0.0/0"), "meta nfproto ipv4"),
        (RulePart(False, 4, prefix="10.0.0.0/8"), "meta nfproto ipv4 ip daddr 10.0.0.0/8"),
        (RulePart(True, 6, prefix="fd00::/8"), "meta nfproto ipv6 ip6 saddr fd00::/8"),
        (RulePart(True, 4, group="ab-cd"), "meta nfproto ipv4 ip saddr @m4_abcd"),
        (RulePart(False, 6, addresses="ab-cd"), "meta nfproto ipv6 ip6 daddr @a6_abcd"),
    ],
)
def test_a_rule_as_text(rule: RulePart, text: str) -> None:
    assert rule_text(rule) == text


def test_marks_stay_with_their_ports() -> None:
    subnet = f.subnet("a")
    ports = [f.port(f"p{number}", f"10.0.0.{number}", subnet) for number in range(10, 40)]
    all_, some = marks(ports), marks(ports[5:])
    assert {one: all_[one] for one in some} == some
    twins = [f.changed_port(ports[0], id=ports[0].id[:-1] + digit) for digit in "01"]
    assert len(set(marks(twins).values())) == 2
    assert 0 not in marks([f.changed_port(ports[0], id="0" * 32)]).values()


def test_equal_wishes_are_equal_rules_and_ports_elsewhere_have_none() -> None:
    subnet = f.subnet("a")
    ports = (f.port("p", "10.0.0.11", subnet), f.port("q", "10.0.0.12", subnet, kind=NONE))
    network = f.network("n", (subnet,), ports)
    assert render(network).whole() == render(dataclasses.replace(network, ports=ports[::-1])).whole()
    assert names.tap(f.ident("q")) not in render(network).whole()
    assert render(network).sum != render(f.changed(network)).sum


def _rules(generation: int, **sets: Set) -> Ruleset:
    table = Table(
        "inet", "t", ("c",), sets, {"a": Chain(("accept",), "type filter hook input priority 0;"), "b": Chain()}
    )
    return Ruleset((table,), generation)


def test_the_way_from_one_set_of_rules_to_another() -> None:
    old = _rules(1, s=Set("type mark", frozenset({"0x1", "0x2"})), gone=Set("type mark"))
    new = _rules(
        2, s=Set("type mark", frozenset({"0x2", "0x3"})), r=Set("type ipv4_addr", frozenset({"10.0.0.0/8"}), True)
    )
    way = new.after(old)
    assert way is not None
    lines = way.splitlines()
    assert "delete element inet t s { 0x1 }" in lines
    assert "add element inet t s { 0x3 }" in lines
    assert "add set inet t r { type ipv4_addr; flags interval; auto-merge; }" in lines
    assert lines.index("flush set inet t gone") < lines.index("delete set inet t gone")
    assert {f"add chain inet t {mark}" for mark in new.marks} <= set(lines)
    assert {f"delete chain inet t {mark}" for mark in old.marks} <= set(lines)
    assert not [line for line in lines if line.startswith(("flush chain inet t a", "flush chain inet t b"))]


def test_there_is_no_shorter_way_between_rules_of_other_shapes() -> None:
    old = _rules(1, s=Set("type mark"))
    assert _rules(2, s=Set("type ipv4_addr")).after(old) is None
    first = old.tables[0]
    hooks = {"a": Chain((), "type filter hook input priority 5;"), "b": Chain()}
    assert Ruleset((dataclasses.replace(first, chains=hooks),), 2).after(old) is None
    assert Ruleset((dataclasses.replace(first, counters=()),), 2).after(old) is None
    assert Ruleset((first, first), 2).after(old) is None
    ranges = _rules(1, r=Set("type ipv4_addr", frozenset({"10.0.0.0/8"}), True))
    way = _rules(2, r=Set("type ipv4_addr", frozenset({"10.0.0.0/9"}), True)).after(ranges)
    assert way is not None and way.index("flush set inet t r") < way.index("add element inet t r { 10.0.0.0/9 }")


def test_when_connections_may_have_to_end() -> None:
    subnet = f.subnet("a")
    one, two = f.port("p", "10.0.0.11", subnet), f.port("q", "10.0.0.12", subnet)
    members = GroupPart(f.ident("m"), (RulePart(True, 4, 6),), ("10.0.0.11",))
    ranges = AddressGroupPart("r", ("10.0.0.0/8",))
    base = f.network("n", (subnet,), (one,), groups=(f.OPEN, members), address_groups=(ranges,))
    wider = GroupPart(members.id, (*members.rules, RulePart(True, 6)), (*members.members, "10.0.0.12"))
    assert not ends(base, f.changed(base, ports=(one, two), groups=(f.OPEN, wider)))
    pair = f.changed_port(one, pairs=(PairPart(one.mac, "10.0.0.99"),))
    for change in (
        {"ports": ()},
        {"ports": (f.changed_port(one, groups=()),)},
        {"ports": (f.changed_port(one, secured=False),)},
        {"ports": (f.changed_port(one, fixed=two.fixed),)},
        {"groups": (f.OPEN,)},
        {"groups": (f.OPEN, dataclasses.replace(members, rules=()))},
        {"groups": (f.OPEN, dataclasses.replace(members, members=()))},
        {"groups": (f.OPEN, dataclasses.replace(members, stateful=False))},
        {"address_groups": ()},
    ):
        assert ends(base, f.changed(base, **change)), change
    assert ends(f.changed(base, ports=(pair,)), base)
    gateway = GatewayPart("g", "x", f.mac("g"), ("10.9.0.2/24",))
    router = RouterPart("r", gateway=gateway, floating=(FloatingPart("f", "10.9.0.3", "10.0.0.11"),))
    more = f.changed(router, forwards=(ForwardPart("p", "10.9.0.4", "tcp", (1, 1), "10.0.0.11", (1, 1)),))
    assert not ends(router, more)
    assert ends(more, router)
    for other in (f.changed(router, up=False), f.changed(router, gateway=None), f.changed(router, floating=())):
        assert ends(router, other)
    assert ends(router, base)


def test_a_router_without_gateway_translates_nothing() -> None:
    text = render_router(RouterPart("r")).whole()
    assert "snat to 1" not in text and "elements" not in text
    assert "accept" not in render_router(RouterPart("r", up=False)).tables[0].chains["forward"].rules


def test_link_local_addresses_are_never_forwarded() -> None:
    """A machine that is itself a guest has its own metadata at such an address."""
    router = render_router(RouterPart("r")).tables[0].chains["forward"].rules
    assert router[0] == "ip daddr 169.254.0.0/16 drop"
    outside = render_outside(OutsidePart("10.9.0.0/24", "10.9.0.1/24"), "abcdef").tables[0].chains["forward"].rules
    first = next(number for number, rule in enumerate(outside) if rule.startswith('iifname "ax-abcdef"'))
    assert "ip daddr 169.254.0.0/16" in outside[first] and outside[first].endswith("drop")


def test_the_machine_translates_only_where_it_is_the_way_out() -> None:
    def leaves(part: OutsidePart) -> bool:
        return "leave" in render_outside(part, "abcdef").tables[0].chains

    assert leaves(OutsidePart("10.9.0.0/24", "10.9.0.1/24"))
    assert not leaves(OutsidePart("10.9.0.0/24")) and not leaves(OutsidePart("10.9.0.0/24", "10.9.0.1/24", "eth1"))


def test_what_would_end_a_line_of_the_daemon_is_left_out() -> None:
    subnet = f.subnet("a", servers=("0.0.0.0",), gateway="")
    port = f.port("p", "10.0.0.11", subnet, name="we b\n1,evil")
    files = dhcp.network_files(f.network("n", (subnet,), (port,), domain="a\nb"))
    assert files is not None
    assert files.hosts == (f"{port.mac},set:p{names.short(port.id)},10.0.0.11,we b1evil",)
    assert "domain=ab\n" in files.conf and "dns-server" not in files.conf
    assert dhcp.network_files(f.network("n", (), ())) is None
    assert dhcp.router_files(RouterPart("r")) is None


def test_names_in_the_kernel_fit_and_lead_back() -> None:
    part_id = f.ident("x")
    space = names.namespace("abcdef", "n", part_id)
    assert names.part_id(space) == part_id
    assert names.part_id("an-abcdef-n-short") == "" and names.part_id("an-abcdef-n-" + "z" * 32) == ""
    links = (names.tap(part_id), *names.leg(part_id), names.uplink("abcdef", part_id), names.bridge("abcdef"))
    assert max(map(len, links)) <= 15
