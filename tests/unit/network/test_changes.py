"""A difference ends where the whole ends: any sequence of changes, by rows, by values and by lines of nft."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from andromede.db import Database
from andromede.engines.linux import network_rules
from andromede.engines.linux.conntrack import Flow
from andromede.engines.linux.dhcp import network_files
from andromede.engines.linux.ruleset import Ruleset
from andromede.engines.linux.standing import Standing
from andromede.engines.linux.sweeping import lost
from andromede.engines.linux.verdict import Verdicts
from andromede.network import links_store, parts, quota_store
from andromede.network.engine import (
    NONE,
    TAP,
    AddressGroupPart,
    GroupPart,
    NetworkChange,
    NetworkPart,
    OptionPart,
    PairPart,
    PortPart,
    RulePart,
)
from andromede.network.model import AddressRow
from andromede.network.picture import Picture
from andromede.network.tables import PARTS, PORTS
from tests.support import fabric as f
from tests.support.meter import Meter
from tests.support.neutron import Neutron
from tests.support.rules import Tables

# --- values and lines of nft


S, SIX = f.subnet("a", "10.0.0.0/16"), f.subnet("six", "fd00:a::/64", address_mode="dhcpv6-stateful")
MUTUAL = GroupPart(f.ident("mutual"), tuple(RulePart(True, v, group=f.ident("mutual")) for v in (4, 6)))
WEB = GroupPart(f.ident("web"), (RulePart(True, 4, 6, 80, 80), RulePart(False, 4)))
LOOSE = GroupPart(f.ident("loose"), (RulePart(True, 4, 17), RulePart(True, 4, addresses=f.ident("list"))), (), False)
GUARD = GroupPart(f.ident("guard"), (RulePart(True, 4, 6, 22, 22, group=MUTUAL.id),))
GROUPS = (MUTUAL, WEB, LOOSE, GUARD)
LIST = AddressGroupPart(f.ident("list"), ("10.9.0.0/16",))


def _port(chance: random.Random, number: int) -> PortPart:
    addresses = f"10.0.{number >> 8}.{number & 255}"
    made = f.port(f"p{number}", addresses, S, kind=chance.choice([TAP, TAP, TAP, NONE]))
    if chance.random() < 0.3:
        made = replace(made, fixed=(*made.fixed, *f.port("", f"fd00:a::{number:x}", SIX).fixed))
    pairs = ()
    if chance.random() < 0.2:
        pairs = (PairPart(made.mac, chance.choice([f"10.0.99.{number % 250}", "10.0.88.0/28", "fd00:b::/80"])),)
    return replace(
        made,
        groups=tuple(sorted(group.id for group in GROUPS if chance.random() < 0.4)),
        secured=chance.random() < 0.9,
        up=chance.random() < 0.9,
        pairs=pairs,
        options=(OptionPart(4, "67", "boot"),) if chance.random() < 0.1 else (),
        name=chance.choice(["", "web", "db"]),
    )


def _whole(ports: dict[str, PortPart], generation: int) -> NetworkPart:
    """As rows are rendered whole."""
    held = [ports[port_id] for port_id in sorted(ports)]
    used = {group for port in held for group in port.groups}
    shown = [group for group in GROUPS if group.id in used]
    named = {rule.group for group in shown for rule in group.rules if rule.group}
    listed = {rule.addresses for group in shown for rule in group.rules if rule.addresses}
    found = []
    for group in sorted(GROUPS, key=lambda one: one.id):
        if group.id not in used | named:
            continue
        members = [text for port in held if group.id in port.groups for text in _texts(port)]
        wished = tuple(sorted(set(members))) if group.id in named else ()
        found.append(replace(group, rules=group.rules if group.id in used else (), members=wished))
    return f.network(
        "n", (S, SIX), tuple(held), groups=tuple(found), generation=generation, domain="example.org",
        address_groups=(LIST,) if listed else (),
    )  # fmt: skip


def _texts(port: PortPart) -> list[str]:
    return [one.address for one in port.fixed] + [pair.address for pair in port.pairs]


def _change(old: dict[str, PortPart], new: dict[str, PortPart], generation: int, step: int) -> NetworkChange:
    moved = [key for key in old.keys() | new.keys() if old.get(key) != new.get(key)]
    asked = {
        (group, text)
        for key in moved
        for port in (old.get(key), new.get(key))
        if port is not None
        for group in port.groups
        for text in _texts(port)
    }
    there = {(group, text) for port in new.values() for group in port.groups for text in _texts(port)}
    ports = tuple(new[key] for key in moved if key in new)
    names = {group for port in ports for group in port.groups}
    return NetworkChange(
        f.ident("n"), generation, generation + step, ports, tuple(key for key in moved if key not in new),
        tuple(group for group in GROUPS if group.id in names),
        tuple((group, text, (group, text) in there) for group, text in sorted(asked)),
    )  # fmt: skip


def _turn(chance: random.Random, ports: dict[str, PortPart], size: int) -> dict[str, PortPart]:
    new = dict(ports)
    for _ in range(chance.choice([1, 1, 1, 3])):
        number = chance.randrange(size)
        port = _port(chance, number)
        if port.id in new and chance.random() < 0.5:
            del new[port.id]
        else:
            new[port.id] = port
    return new


@pytest.mark.parametrize("seed", range(12))
def test_any_sequence_of_differences_ends_as_the_whole(seed: int) -> None:
    chance = random.Random(seed)
    ports: dict[str, PortPart] = {}
    size = 5 if seed % 3 == 0 else 40  # with few ports, groups come and go too
    for number in range(size // 2):
        ports |= {(port := _port(chance, number)).id: port}
    generation, short = 1, 0
    part = _whole(ports, generation)
    standing, tables = Standing(part), Tables(network_rules.render(part).whole())
    for _ in range(80):
        new = _turn(chance, ports, size)
        step = chance.choice([1, 1, 2])
        change = _change(ports, new, generation, step)
        way = standing.way(change)
        ports, generation = new, generation + step
        part = _whole(ports, generation)
        rules = network_rules.render(part)
        if way is None:
            standing, tables = Standing(part), Tables(rules.whole())
            continue
        short += 1
        files = standing.files()
        tables.run(way.text)
        assert tables == Tables(rules.whole())
        _same_verdicts(chance, standing, part, way)
        assert standing.files(way) == network_files(part)
        standing.take(way)
        assert standing.picture.part() == part
        assert (standing.digest, standing.sum, standing.marks) == (rules.digest, rules.sum, rules.marks)
        assert standing.whole() == rules
        assert standing.files() == network_files(part)
        assert way.files == (files != network_files(part))
    assert short > 15


def _same_verdicts(chance: random.Random, standing: Standing, part: NetworkPart, way: Any) -> None:
    """A connection that stood before the change ends just when a look at all of them would end it."""
    old = standing.picture.part()
    before, after = Verdicts(old), Verdicts(part)
    gone = {one.address for port in old.ports for one in port.fixed}
    gone -= {one.address for port in part.ports for one in port.fixed}
    judge = lost(standing, way)
    everyone = sorted({text for port in old.ports for text in _texts(port) if "/" not in text and ":" not in text})
    for _ in range(60):
        source, target = chance.choice([*everyone, "192.0.2.1"]), chance.choice([*everyone, "192.0.2.2"])
        flow = Flow(6, source, target, 40000, chance.choice([22, 80, 443]), target, source)
        if not before.allows(flow):
            continue  # it cannot have come about
        wanted = not after.allows(flow) or flow.source in gone or flow.target in gone
        found = judge is not None and judge(flow)
        assert found == wanted, (flow, way.plan)


def test_numbers_that_meet_are_for_the_whole() -> None:
    port = f.port("p", "10.0.0.11", S, kind=TAP)
    twin = f.changed_port(port, id=port.id[:-1] + "x", mac=f.mac("x"), fixed=f.port("x", "10.0.0.12", S).fixed)
    part = f.network("n", (S,), (port,))
    change = NetworkChange(part.id, 1, 2, (twin,), (), (f.OPEN,))
    assert Standing(part).way(change) is None
    other = f.port("o", "10.0.0.13", S, kind=TAP)
    more = NetworkChange(part.id, 1, 2, (other,), (), (f.OPEN,))
    assert Standing(part).way(more) is not None
    assert Standing(replace(part, ports=(port, twin))).way(more) is None


def test_what_is_no_change_of_ports_alone_is_for_the_whole() -> None:
    port = f.port("p", "10.0.0.11", S, kind=TAP, groups=(WEB.id,))
    part = f.network("n", (S,), (port,), groups=(WEB,))
    picture = Picture(part)

    def plan(*ports: PortPart, groups: tuple[GroupPart, ...] = (), base: int = 1, gone: tuple[str, ...] = ()) -> Any:
        return picture.plan(NetworkChange(part.id, base, base + 1, ports, gone, groups))

    another = f.port("q", "10.0.0.12", S, kind=TAP, groups=(WEB.id,))
    assert plan(another) is not None
    assert plan(another, base=2) is None, "it is not there yet"
    assert plan(f.port("q", "fd00:a::5", SIX, groups=(WEB.id,))) is None, "the subnet is new"
    assert plan(replace(another, groups=(GUARD.id,))) is None, "the group is not told"
    assert plan(replace(another, groups=(GUARD.id,)), groups=(GUARD,)) is None, "a group that is named has members"
    assert plan(replace(another, groups=(f.OPEN.id,)), groups=(f.OPEN,)) is not None
    assert plan(gone=(port.id,)).groups == {WEB.id: None}
    assert plan(gone=("nobody",)).moves == ()
    for gone in ((port.id,), ()):
        picture.take(plan(gone=gone, base=picture.generation))
    assert picture.part() == f.changed(f.changed(part, ports=(), groups=()))
    only = replace(MUTUAL, rules=(RulePart(True),))
    guard = replace(port, id="q", groups=(GUARD.id,))
    member = replace(port, id="r", groups=(only.id,))
    picture = Picture(replace(part, ports=(port, guard, member), groups=(GUARD, only, WEB)))
    assert plan(gone=("q",)) is None, "nobody names the group any more"
    picture.take(plan(gone=("r",)))
    assert {group.id: group.rules for group in picture.part().groups}[only.id] == (), "only named any more"


def test_the_whole_is_what_the_marks_stand_for() -> None:
    part = f.network("n", (S,), (f.port("p", "10.0.0.11", S, kind=TAP),))
    rules = network_rules.render(part)
    for other in (
        f.changed(part),
        replace(part, ports=()),
        replace(part, ports=(f.changed_port(part.ports[0], mac="fa:16:3e:00:00:01"),)),
        replace(part, groups=(replace(f.OPEN, rules=()), f.SHUT)),
        replace(part, groups=(replace(f.OPEN, stateful=False), f.SHUT)),
    ):
        assert network_rules.render(other).sum != rules.sum
    assert Ruleset(rules.tables, 1).sum != Ruleset(rules.tables, 2).sum


# --- rows


RANGES = ("10.0.0.0/24", "10.0.8.0/22")


class Town:
    """Two networks that a router joins, and what happens in them."""

    def __init__(self, neutron: Neutron, seed: int) -> None:
        self.neutron, self.chance = neutron, random.Random(seed)
        self.networks = [neutron.network(), neutron.network()]
        subnets = [neutron.subnet(one, cidr) for one, cidr in zip(self.networks, RANGES, strict=True)]
        self.router = neutron.make("routers")["id"]
        for subnet in subnets:
            neutron.join(self.router, subnet["id"])
        self.groups = [neutron.make("security-groups", name=name)["id"] for name in ("red", "blue")]
        neutron.make("security-group-rules", security_group_id=self.groups[0], direction="ingress",
                     remote_group_id=self.groups[1])  # fmt: skip
        self.ports: list[str] = []
        for network in self.networks:  # so that what follows is about ports alone
            for groups in (None, [self.groups[0]], [self.groups[1]]):
                more = {} if groups is None else {"security_groups": groups}
                neutron.guest(network, "keeper", **more)

    def act(self) -> None:
        neutron, chance = self.neutron, self.chance
        port = chance.choice(self.ports) if self.ports else None
        what = chance.choice(["make", "make", "bind", "bind", "unbind", "delete", "groups", "address", "pairs", "down"])
        if what == "make" or port is None:
            groups = chance.choice([None, [], self.groups[:1], self.groups])
            more = {} if groups is None else {"security_groups": groups}
            made = neutron.port(chance.choice(self.networks), **more)["id"]
            self.ports.append(made)
            if chance.random() < 0.7:
                neutron.networks.bind(made, f"server-{made[-3:]}", neutron.core.host, "req", 20001)
        elif what == "bind":
            host = chance.choice([neutron.core.host, neutron.core.host, "elsewhere"])
            neutron.networks.bind(port, f"server-{port[-3:]}", host, "req", 20001)
        elif what == "unbind":
            neutron.networks.unbind(port, "req")
        elif what == "delete":
            self.ports.remove(port)
            neutron.networks.delete_port(port, "req")
        elif what == "groups":
            neutron.put("ports", port, security_groups=chance.choice([[], self.groups[:1], self.groups[1:]]))
        elif what == "address":
            neutron.put("ports", port, fixed_ips=[{"subnet_id": neutron.get(f"ports/{port}")["fixed_ips"][0]
                                                   ["subnet_id"]}] * chance.choice([1, 2]))  # fmt: skip
        elif what == "pairs":
            pairs = [{"ip_address": chance.choice(["10.0.0.200", "10.0.8.200"])}] * chance.choice([0, 1])
            neutron.put("ports", port, allowed_address_pairs=pairs)
        else:
            neutron.put("ports", port, admin_state_up=chance.random() < 0.5)


@pytest.mark.parametrize("seed", range(3))
def test_rows_lead_to_the_same_by_difference(neutron: Neutron, db: Database, seed: int) -> None:
    town = Town(neutron, seed)
    neutron.settle()
    neutron.fabric.calls.clear()
    for _ in range(60):
        for _ in range(town.chance.choice([1, 1, 2, 5])):
            town.act()
        neutron.settle()
        with db.read() as tx:
            for network in town.networks:
                row = PARTS.find(tx, id=network)
                assert row is not None and row.loaded == row.wished
                assert neutron.part(network) == parts.render(tx, row, neutron.wiring.place)
            for project in {port.project_id for port in PORTS.select(tx)}:
                count = tx.one("SELECT count(*) FROM network_port WHERE project_id = ?", (project,))
                assert count is not None and quota_store.ports(tx, project) == count[0]
    assert db.one("SELECT count(*) FROM network_shift") == (0,)
    verbs = [verb for verb, part in neutron.fabric.calls if part in town.networks]
    assert verbs.count("ensure") == 0 and verbs.count("change") > 60
    assert {port["status"] for port in neutron.get("ports")} == {"ACTIVE", "DOWN"}


def _one_port(neutron: Neutron, meter: Meter, network: str, wish: dict[str, Any]) -> None:
    """All that happens to a port in its life."""
    port = meter("create", lambda: neutron.port(network))["id"]
    meter("bind", lambda: neutron.networks.bind(port, "late", neutron.core.host, "req", 1))
    meter("load", neutron.runner.settle)
    assert neutron.networks.is_wired(port)
    meter("update", lambda: neutron.put("ports", port, **wish))
    meter("load again", neutron.runner.settle)
    meter("delete", lambda: neutron.ok("DELETE", f"ports/{port}"))
    meter("forget", neutron.runner.settle)


def test_what_one_port_costs_does_not_grow_with_the_network(neutron: Neutron, db: Database) -> None:
    if db.dialect != "sqlite":
        pytest.skip("steps of SQLite's machine are counted")
    neutron.hosted.base.ids.uniform = random.Random(1).random  # type: ignore[method-assign]
    network = neutron.network()
    subnet = neutron.subnet(network, "10.0.0.0/20")["id"]
    other = neutron.make("security-groups", name="web")["id"]
    found = []
    for count in (5, 150):
        for number in range(count):
            neutron.guest(network, f"server-{number}", **({"security_groups": [other]} if number % 5 == 0 else {}))
        neutron.settle()
        neutron.settle()
        meter = Meter(db)
        for _ in range(3):
            _one_port(neutron, meter, network, {"security_groups": [other], "fixed_ips": [{"subnet_id": subnet}] * 2})
        found.append(meter.figures)
    few, many = found
    for what, figures in few.items():
        assert {one[1] for one in figures} == {one[1] for one in many[what]}, f"statements of {what}"
        steps = [max(one[2] for one in side[what]) for side in found]
        assert steps[1] < 1.1 * steps[0] + 100, f"{what} reads more in a network of many ports: {steps}"


def test_a_free_address_is_found_where_few_are_left(neutron: Neutron, db: Database) -> None:
    network = neutron.network()
    pool = [{"start": "10.0.0.10", "end": "10.0.1.14"}]
    subnet = neutron.subnet(network, "10.0.0.0/23", allocation_pools=pool, enable_dhcp=False)["id"]
    port = neutron.port(network)
    with db.write() as tx:
        held = port["fixed_ips"][0]["ip_address"]
        every = [f"10.0.{number >> 8}.{number & 255}" for number in range(10, 271)]
        left = [one for one in every if one != held][::100]
        for text in every:
            if text not in (held, *left):
                links_store.hold(tx, AddressRow(subnet, text, port["id"], network, 1))
    assert {neutron.port(network)["fixed_ips"][0]["ip_address"] for _ in left} == set(left)
    neutron.no(409, "IpAddressGenerationFailure", "POST", "ports", {"port": {"network_id": network}})


def test_ports_are_counted_anew_at_a_start(neutron: Neutron, db: Database) -> None:
    network = neutron.network()
    neutron.subnet(network)
    for _ in range(3):
        neutron.port(network)
    owner = neutron.hosted.project_id
    with db.write() as tx:
        tx.run("UPDATE network_count SET ports = 70 WHERE project_id = ?", (owner,))
    neutron.networks.begin(owner, "req-start")
    assert quota_store.ports(db, owner) == 4
    neutron.ok("PUT", f"quotas/{owner}", {"quota": {"port": 5}}, "admin")
    last = neutron.port(network)
    neutron.no(409, "OverQuota", "POST", "ports", {"port": {"network_id": network}})
    neutron.ok("DELETE", f"ports/{last['id']}")
    neutron.port(network)


def test_the_count_of_a_project_without_ports_goes(neutron: Neutron, db: Database) -> None:
    with db.write() as tx:
        for step in (2, -1, -1):
            quota_store.counted(tx, "p", step)
        assert tx.one("SELECT count(*) FROM network_count WHERE project_id = ?", ("p",)) == (0,)
