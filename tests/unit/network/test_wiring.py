"""From rows to parts: what a fabric is asked for, when, and what it means for statuses; the door for other domains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from andromede.errors import Conflict, Invalid, NotFound, Unavailable
from andromede.network import lifecycle
from andromede.network.engine import (
    HOUSE,
    NONE,
    FixedPart,
    OptionPart,
    PairPart,
    RoutePart,
    RulePart,
    Wired,
)
from andromede.network.metadata_store import port_at
from andromede.network.model import PortWish
from tests.support.neutron import Neutron
from tests.unit.network.test_routers import Town


def test_a_network_without_guests_is_not_made(neutron: Neutron) -> None:
    mine = neutron.network()
    neutron.subnet(mine)
    neutron.port(mine)
    neutron.settle()
    assert neutron.part(mine) is None
    assert all(port["status"] == "DOWN" for port in neutron.get("ports"))


def test_a_guests_port_is_wired(neutron: Neutron) -> None:
    mine = neutron.network(dns_domain="example.org.", mtu=1400)
    subnet = neutron.subnet(mine, dns_nameservers=["9.9.9.9"],
                            host_routes=[{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}])  # fmt: skip
    port = neutron.port(mine, dns_name="web", extra_dhcp_opts=[{"opt_name": "67", "opt_value": "boot"}],
                        allowed_address_pairs=[{"ip_address": "10.0.0.99"}])  # fmt: skip
    networks = neutron.networks
    assert networks.is_wired(port["id"]) is False
    bound = networks.bind(port["id"], "server-1", neutron.core.host, "req-1", 20001)
    assert (bound.status, bound.device_id, bound.device_owner, bound.mtu) == ("BUILD", "server-1", "compute:nova", 1400)
    assert networks.is_wired(port["id"]) is False
    neutron.settle()
    assert networks.is_wired(port["id"]) is True
    part = neutron.part(mine)
    (dhcp,) = neutron.get("ports?device_owner=network:dhcp")
    assert (part.dhcp_mac, part.domain, part.mtu, part.outside) == (dhcp["mac_address"], "example.org", 1400, False)
    (own,) = part.subnets
    assert (own.id, own.dhcp_address, own.gateway, own.servers) == (subnet["id"], "10.0.0.2", "10.0.0.1", ("9.9.9.9",))
    assert own.routes == (RoutePart("10.9.0.0/16", "10.0.0.9"),)
    (guest,) = part.ports
    assert (guest.id, guest.mac, guest.kind, guest.uid, guest.name) == (
        port["id"],
        port["mac_address"],
        "tap",
        20001,
        "web",
    )
    assert guest.fixed == (FixedPart(subnet["id"], "10.0.0.3"),)
    assert guest.pairs == (PairPart(port["mac_address"], "10.0.0.99"),)
    assert guest.options == (OptionPart(4, "67", "boot"),)
    (group,) = part.groups
    assert set(group.members) == {"10.0.0.3", "10.0.0.99"}
    assert RulePart(True, 4, group=group.id) in group.rules
    assert RulePart(False, 6) in group.rules
    assert {p["status"] for p in neutron.get("ports")} == {"ACTIVE"}
    again = networks.bind(port["id"], "server-1", neutron.core.host, "req-2", 20001)
    assert again.status == "ACTIVE"  # nothing changed
    networks.unbind(port["id"], "req-3")
    networks.unbind(port["id"], "req-3")
    neutron.settle()
    assert neutron.part(mine) is None
    assert neutron.get(f"ports/{port['id']}")["device_id"] == ""


def test_many_changes_are_one_call(neutron: Neutron) -> None:
    mine = neutron.network()
    neutron.subnet(mine)
    for number in range(30):
        neutron.guest(mine, f"server-{number}")
    neutron.fabric.calls.clear()
    neutron.settle()
    assert neutron.fabric.calls.count(("ensure", mine)) == 1
    assert len(neutron.part(mine).ports) == 30


@pytest.mark.parametrize("verb", ["ensure", "change"])
def test_a_wish_during_the_work_is_not_lost(neutron: Neutron, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    mine = neutron.network()
    neutron.subnet(mine)
    neutron.guest(mine, "one")
    late: list[str] = []

    def meanwhile(done: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def act(wish: Any) -> Any:
            answer = done(wish)
            if len(late) < 2:
                late.append(neutron.guest(mine, f"late-{len(late)}")["id"])
            return answer

        return act

    if verb == "change":
        neutron.settle()
        neutron.guest(mine, "two")
    monkeypatch.setattr(neutron.fabric, verb, meanwhile(getattr(neutron.fabric, verb)))
    neutron.settle()
    assert late and len(neutron.part(mine).ports) == len(late) + (1 if verb == "ensure" else 2)
    assert {port["status"] for port in neutron.get(f"ports?id={'&id='.join(late)}")} == {"ACTIVE"}


def test_what_the_fabric_refuses_is_told(neutron: Neutron, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = neutron.network()
    neutron.subnet(mine)
    port = neutron.guest(mine)
    router = neutron.make("routers")

    def refuse(part: Any) -> None:
        raise Invalid("the kernel has no bridges")

    monkeypatch.setattr(neutron.fabric, "ensure", refuse)
    neutron.settle()
    assert neutron.get(f"ports/{port['id']}")["status"] == "ERROR"
    assert neutron.get(f"ports/{port['id']}", "admin")["binding:vif_type"] == "binding_failed"
    assert neutron.get(f"routers/{router['id']}")["status"] == "ERROR"
    assert neutron.networks.port(port["id"]).fault == "the kernel has no bridges"
    with pytest.raises(Conflict, match="no bridges"):
        neutron.networks.is_wired(port["id"])
    monkeypatch.undo()
    again = neutron.networks.bind(port["id"], "server-1", neutron.core.host, "req-2", 20001)
    assert again.status == "BUILD"
    neutron.clock.advance(60)
    neutron.watch.turn()
    neutron.settle()
    assert neutron.get(f"routers/{router['id']}")["status"] == "ACTIVE"
    assert neutron.networks.is_wired(port["id"])


def test_a_router_is_rendered(neutron: Neutron) -> None:
    town = Town(neutron)
    guest = neutron.guest(town.network)
    floating = town.floating(port_id=guest["id"])
    neutron.put("routers", town.router["id"], routes=[{"destination": "10.50.0.0/16", "nexthop": "10.0.0.9"}])
    assert neutron.get(f"routers/{town.router['id']}")["status"] == "BUILD"
    neutron.settle()
    part = neutron.part(town.router["id"])
    (leg,) = part.legs
    assert (leg.port_id, leg.network_id, leg.addresses) == (town.leg["port_id"], town.network, ("10.0.0.1/24",))
    assert part.gateway.addresses[0].endswith("/24")
    assert (part.gateway.next_hops, part.gateway.snat, part.gateway.outside) == (("203.0.113.1",), True, False)
    assert part.routes == (RoutePart("10.50.0.0/16", "10.0.0.9"),)
    assert [(one.address, one.fixed) for one in part.floating] == [
        (floating["floating_ip_address"], neutron.ips(guest)[0])
    ]
    assert neutron.part(town.public) is not None  # its gateway lives there
    assert neutron.get(f"routers/{town.router['id']}")["status"] == "ACTIVE"
    assert neutron.get(f"ports/{town.leg['port_id']}")["status"] == "ACTIVE"
    assert neutron.get("ports?device_owner=network:router_gateway", "admin")[0]["status"] == "ACTIVE"
    neutron.put("routers", town.router["id"], admin_state_up=False)
    neutron.put("networks", town.network, mtu=1300)
    neutron.settle()
    part = neutron.part(town.router["id"])
    assert (part.up, part.legs[0].mtu) == (False, 1300)


def test_members_of_groups_are_known_across_routers(neutron: Neutron) -> None:
    one, two = neutron.network(), neutron.network()
    first, second = neutron.subnet(one, "10.1.0.0/24"), neutron.subnet(two, "10.2.0.0/24")
    here, there = neutron.guest(one, "a"), neutron.guest(two, "b")
    neutron.settle()
    (group,) = neutron.part(one).groups
    assert group.members == tuple(neutron.ips(here))
    router = neutron.make("routers")
    neutron.join(router["id"], first["id"])
    neutron.join(router["id"], second["id"])
    neutron.settle()
    (group,) = neutron.part(one).groups
    assert group.members == tuple(sorted(neutron.ips(here) + neutron.ips(there)))
    neutron.networks.delete_port(there["id"], "req-1")
    neutron.networks.delete_port(there["id"], "req-1")
    neutron.settle()
    assert neutron.part(one).groups[0].members == tuple(neutron.ips(here))


def test_rules_reach_the_networks_that_use_them(neutron: Neutron) -> None:
    mine = neutron.network()
    neutron.subnet(mine)
    web, db = neutron.make("security-groups", name="web"), neutron.make("security-groups", name="db")
    ranges = neutron.make("address-groups", name="a", addresses=["192.0.2.0/24"])
    neutron.guest(mine, "a", security_groups=[web["id"]])
    neutron.settle()
    rule = neutron.make("security-group-rules", security_group_id=web["id"], direction="ingress", protocol="tcp",
                        port_range_min=22, port_range_max=23, remote_address_group_id=ranges["id"])  # fmt: skip
    neutron.make("security-group-rules", security_group_id=web["id"], direction="egress", protocol="icmp",
                 ethertype="IPv6", port_range_min=128, remote_group_id=db["id"])  # fmt: skip
    neutron.make("security-group-rules", security_group_id=web["id"], direction="ingress", protocol="udp",
                 remote_ip_prefix="192.0.2.0/24")  # fmt: skip
    neutron.settle()
    part = neutron.part(mine)
    groups = {group.id: group for group in part.groups}
    assert set(groups) == {web["id"], db["id"]}
    assert RulePart(True, 4, 6, 22, 23, addresses=ranges["id"]) in groups[web["id"]].rules
    assert RulePart(False, 6, 58, 128, group=db["id"]) in groups[web["id"]].rules
    assert RulePart(True, 4, 17, prefix="192.0.2.0/24") in groups[web["id"]].rules
    assert part.address_groups[0].ranges == ("192.0.2.0/24",)
    neutron.ok("PUT", f"address-groups/{ranges['id']}/add_addresses", {"addresses": ["198.51.100.0/24"]})
    neutron.settle()
    assert neutron.part(mine).address_groups[0].ranges == ("192.0.2.0/24", "198.51.100.0/24")
    neutron.ok("DELETE", f"security-group-rules/{rule['id']}")
    neutron.settle()
    assert neutron.part(mine).address_groups == ()
    neutron.ok("DELETE", f"security-groups/{db['id']}")
    neutron.settle()
    assert [group.id for group in neutron.part(mine).groups] == [web["id"]]


def test_ports_of_other_hosts_are_known_and_not_here(neutron: Neutron) -> None:
    mine = neutron.network()
    neutron.subnet(mine)
    far = neutron.port(mine)
    neutron.networks.bind(far["id"], "server-9", "elsewhere", "req-1")
    neutron.settle()
    assert neutron.part(mine) is None
    house = neutron.port(mine)
    neutron.networks.bind(house["id"], "lb-1", neutron.core.host, "req-1", owner="Octavia")
    neutron.settle()
    assert {port.id: port.kind for port in neutron.part(mine).ports} == {far["id"]: NONE, house["id"]: HOUSE}


def test_a_router_leaves_before_its_network(neutron: Neutron) -> None:
    network, router = neutron.network(), neutron.make("routers")
    subnet = neutron.subnet(network)
    neutron.join(router["id"], subnet["id"])
    neutron.guest(network)
    neutron.settle()
    for port in neutron.get(f"ports?network_id={network}&device_id=server-1"):
        neutron.networks.delete_port(port["id"], "req-1")
    neutron.ok("PUT", f"routers/{router['id']}/remove_router_interface", {"subnet_id": subnet["id"]})
    neutron.ok("DELETE", f"networks/{network}")
    neutron.settle()
    assert neutron.fabric.listing() == [router["id"]]
    assert neutron.db.all("SELECT id FROM network_part") == [(router["id"],)]


def test_the_watch_mends(neutron: Neutron, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = neutron.network()
    neutron.subnet(mine)
    port = neutron.guest(mine)
    neutron.settle()
    neutron.fabric.parts.clear()  # the host was started anew
    neutron.watch.turn()
    neutron.settle()
    assert neutron.part(mine) is not None
    stray = neutron.part(mine)
    neutron.fabric.parts["11111111-1111-4111-8111-111111111111"] = stray
    neutron.watch.turn()
    assert neutron.fabric.listing() == [mine]
    neutron.fabric.calls.clear()
    neutron.watch.turn()
    neutron.settle()
    assert ("ensure", mine) not in neutron.fabric.calls
    plain = neutron.fabric.observe

    def broken(part_id: str) -> Wired | None:
        found = plain(part_id)
        return None if found is None else Wired(found.id, found.generation, frozenset(), ("dnsmasq ended",))

    monkeypatch.setattr(neutron.fabric, "observe", broken)
    neutron.watch.turn()
    assert neutron.get(f"ports/{port['id']}")["status"] == "DOWN"  # nobody holds its tap
    neutron.settle()
    assert ("ensure", mine) in neutron.fabric.calls


def test_who_holds_a_tap_shows(neutron: Neutron) -> None:
    mine = neutron.network()
    port = neutron.guest(mine)
    neutron.settle()
    neutron.networks.held("server-1", False)
    assert neutron.get(f"ports/{port['id']}")["status"] == "DOWN"
    neutron.networks.held("server-1", True)
    assert neutron.get(f"ports/{port['id']}")["status"] == "ACTIVE"


def test_a_fabric_that_is_away_is_asked_again(neutron: Neutron, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = neutron.network()
    neutron.guest(mine)
    ensure, asked = neutron.fabric.ensure, []

    def away(part: Any) -> None:
        asked.append(part)
        if len(asked) < 4:
            raise Unavailable("not yet")
        ensure(part)

    monkeypatch.setattr(neutron.fabric, "ensure", away)
    neutron.settle()
    assert neutron.part(mine) is not None


def test_a_new_installation_has_a_way_outside(neutron: Neutron) -> None:
    owner = neutron.hosted.project_id
    assert neutron.networks.begin(owner, "req-first") is True
    assert neutron.networks.begin(owner, "req-first") is False
    (public,) = neutron.get("networks?router:external=true", "admin")
    assert (public["name"], public["is_default"], public["project_id"]) == ("public", True, owner)
    (subnet,) = neutron.get(f"subnets?network_id={public['id']}", "admin")
    assert (subnet["cidr"], subnet["gateway_ip"], subnet["enable_dhcp"]) == ("172.24.4.0/24", "172.24.4.1", False)
    neutron.settle()
    outside = neutron.part("outside")
    assert (outside.cidr, outside.address) == ("172.24.4.0/24", "172.24.4.1/24")
    router = neutron.make("routers", external_gateway_info={"network_id": public["id"]})
    neutron.settle()
    assert neutron.part(router["id"]).gateway.outside is True
    assert neutron.part(public["id"]) is None
    assert neutron.get(f"routers/{router['id']}")["status"] == "ACTIVE"


def test_ports_for_servers(neutron: Neutron) -> None:
    networks, project = neutron.networks, neutron.hosted.project_id
    mine = neutron.network(name="net")
    subnet = neutron.subnet(mine)
    group = neutron.make("security-groups", name="web")
    wish = PortWish("p", [(subnet["id"], "10.0.0.9")], ["web", "default"], "server-1", "compute:nova")
    port = networks.create_port(project, mine, wish, "req-1")
    assert port.fixed_ips == ((subnet["id"], "10.0.0.9"),)
    assert len(port.security_groups) == 2
    assert (port.device_id, port.host, port.project_id) == ("server-1", "", project)
    plain = networks.create_port(project, mine, PortWish(mac_address="fa:16:3e:00:00:01"), "req-1")
    assert (plain.mac_address, plain.port_security) == ("fa:16:3e:00:00:01", True)
    by_id = networks.create_port(project, mine, PortWish(security_groups=[group["id"]]), "req-1")
    assert by_id.security_groups == (group["id"],)
    with pytest.raises(NotFound, match="could not be found"):
        networks.create_port(project, mine, PortWish(security_groups=["nothing"]), "req-1")
    neutron.make("security-groups", name="web")
    with pytest.raises(Invalid, match="Multiple"):
        networks.create_port(project, mine, PortWish(security_groups=["web"]), "req-1")
    with pytest.raises(NotFound):
        networks.create_port(neutron.hosted.other_project, mine, PortWish(), "req-1")
    assert [one.id for one in networks.ports_of("server-1")] == [port.id]
    assert networks.ports_of("") == []
    assert networks.port(port.id, project) == networks.port(port.id) == port
    for call in (lambda: networks.port(port.id, neutron.hosted.other_project), lambda: networks.port("x"),
                 lambda: networks.is_wired("x"), lambda: networks.bind("x", "d", "h", "req-1")):  # fmt: skip
        with pytest.raises(NotFound):
            call()
    networks.unbind("x", "req-1")
    networks.delete_port("x", "req-1")


def test_networks_for_servers(neutron: Neutron) -> None:
    networks, project = neutron.networks, neutron.hosted.project_id
    neutron.public()
    mine = neutron.network(name="mine", mtu=1400)
    subnet = neutron.subnet(mine)
    foreign = neutron.network("other", name="foreign")
    assert [one.name for one in networks.networks_for(project)] == ["mine"]
    neutron.put("networks", foreign, "admin", shared=True)
    assert [one.name for one in networks.networks_for(project)] == ["mine", "foreign"]
    found = networks.find(mine, project)
    assert (found.mtu, found.subnets, found.shared, found.external) == (1400, (subnet["id"],), False, False)
    with pytest.raises(NotFound):
        networks.find("x", project)


def test_what_servers_show_of_their_ports(neutron: Neutron) -> None:
    town = Town(neutron)
    networks, project = neutron.networks, neutron.hosted.project_id
    guest = neutron.guest(town.network)
    (inner,) = neutron.ips(guest)
    floating = town.floating()["floating_ip_address"]
    networks.associate(project, floating, guest["id"], inner, "req-1")
    found = networks.addresses("server-1")
    assert [(one.network, one.address, one.kind, one.version) for one in found] == [
        ("inner", inner, "fixed", 4), ("inner", floating, "floating", 4)
    ]  # fmt: skip
    assert found[0].mac == guest["mac_address"]
    networks.associate(project, floating, "", "", "req-1")
    assert len(networks.addresses("server-1")) == 1
    with pytest.raises(NotFound):
        networks.associate(project, "203.0.113.250", "", "", "req-1")
    (link,) = networks.links("server-1")
    assert [row.cidr for row in link.subnets] == ["10.0.0.0/24"]
    assert networks.links("") == []
    assert port_at(neutron.db, town.network, inner) == guest["id"]
    for place in ("10.0.0.2", "10.0.0.250", "nonsense"):
        assert port_at(neutron.db, town.network, place) is None
    more = networks.add_address(guest["id"], "req-1")
    assert len(more.fixed_ips) == 2
    less = networks.remove_address(guest["id"], inner, "req-1")
    assert [ip for _, ip in less.fixed_ips] == [ip for _, ip in more.fixed_ips if ip != inner]
    with pytest.raises(NotFound):
        networks.remove_address(guest["id"], inner, "req-1")
    bare = neutron.port(neutron.network())
    with pytest.raises(Conflict):
        networks.add_address(bare["id"], "req-1")


def test_security_groups_of_servers(neutron: Neutron) -> None:
    networks, project = neutron.networks, neutron.hosted.project_id
    assert [one["name"] for one in networks.security_groups(project, "req-1")] == ["default"]
    mine = neutron.network()
    guest = neutron.guest(mine)
    group = neutron.make("security-groups", name="web")
    networks.change_group("server-1", group["id"], True, "req-1")
    assert networks.groups_of(["server-1", "server-2"])["server-1"][1] == (group["id"], "web")
    networks.change_group("server-1", group["id"], True, "req-1")
    networks.change_group("server-1", group["id"], False, "req-1")
    assert neutron.get(f"ports/{guest['id']}")["security_groups"] == guest["security_groups"]
    with pytest.raises(NotFound):
        networks.change_group("server-1", "nothing", True, "req-1")
    assert networks.default_group("nobody", "req-1") == ""


def test_the_watch_goes_on_where_it_ended(neutron: Neutron, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for _ in range(3):
        made.append(neutron.network())
        neutron.guest(made[-1])
    neutron.settle()
    monkeypatch.setattr(lifecycle, "MOST_OBSERVED", 1)
    neutron.fabric.calls.clear()
    for _ in range(5):
        neutron.watch.turn()
    looked = [part_id for verb, part_id in neutron.fabric.calls if verb == "observe"]
    assert looked[:3] == sorted(made)
    assert looked[3:] == looked[:1]
