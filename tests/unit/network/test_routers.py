"""Routers, floating IPs and port forwardings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.neutron import Neutron

ROUTER = {
    "id", "name", "description", "tenant_id", "project_id", "admin_state_up", "status", "external_gateway_info",
    "routes", "availability_zones", "availability_zone_hints", "flavor_id", "tags", "created_at", "updated_at",
    "revision_number",
}  # fmt: skip
FLOATING = {
    "id", "description", "tenant_id", "project_id", "status", "floating_network_id", "floating_ip_address", "port_id",
    "fixed_ip_address", "router_id", "dns_name", "dns_domain", "port_details", "port_forwardings", "tags",
    "created_at", "updated_at", "revision_number",
}  # fmt: skip


class Town:
    """A network outside, a router to it, a network behind it with one port."""

    def __init__(self, neutron: Neutron) -> None:
        self.n = neutron
        self.public = neutron.public()
        self.router = neutron.make("routers", name="r", external_gateway_info={"network_id": self.public})
        self.network = neutron.network(name="inner")
        self.subnet = neutron.subnet(self.network)
        self.leg = neutron.join(self.router["id"], self.subnet["id"])
        self.port = neutron.port(self.network)

    def floating(self, **values: Any) -> dict[str, Any]:
        return self.n.make("floatingips", floating_network_id=self.public, **values)


@pytest.fixture
def town(neutron: Neutron) -> Town:
    return Town(neutron)


def test_a_router_shows_exactly_its_attributes(neutron: Neutron) -> None:
    public = neutron.public()
    made = neutron.make("routers", name="r", external_gateway_info={"network_id": public})
    assert set(made) == ROUTER
    assert made["status"] == "BUILD"
    info = made["external_gateway_info"]
    assert set(info) == {"network_id", "enable_snat", "external_fixed_ips"}
    assert (info["network_id"], info["enable_snat"]) == (public, True)
    assert info["external_fixed_ips"][0]["ip_address"].startswith("203.0.113.")
    assert set(neutron.get(f"routers/{made['id']}", "admin")) == ROUTER | {"distributed", "ha"}
    assert neutron.make("routers")["external_gateway_info"] is None
    ports = neutron.get(f"ports?device_id={made['id']}", "admin")
    assert [port["device_owner"] for port in ports] == ["network:router_gateway"]
    assert neutron.get(f"ports?device_id={made['id']}") == []


def test_the_way_outside_is_set_changed_and_cleared(neutron: Neutron) -> None:
    public = neutron.public()
    router = neutron.make("routers")
    where = f"routers/{router['id']}"
    neutron.no(404, "NetworkNotFound", "PUT", where, {"router": {"external_gateway_info": {"network_id": "x"}}})
    inner = neutron.network()
    neutron.no(400, "BadRequest", "PUT", where, {"router": {"external_gateway_info": {"network_id": inner}}})
    for wrong in ({"network": 1}, 7, {"network_id": public, "more": 1}, {"enable_snat": True}):
        neutron.no(400, "HTTPBadRequest", "PUT", where, {"router": {"external_gateway_info": wrong}})
    for only_admin in ({"enable_snat": False}, {"external_fixed_ips": [{"ip_address": "203.0.113.9"}]}):
        body = {"router": {"external_gateway_info": {"network_id": public, **only_admin}}}
        neutron.no(403, "PolicyNotAuthorized", "PUT", where, body)
    new = neutron.put("routers", router["id"], external_gateway_info={"network_id": public})
    address = new["external_gateway_info"]["external_fixed_ips"]
    info = {"network_id": public, "enable_snat": False, "external_fixed_ips": address}
    same = neutron.put("routers", router["id"], "admin", external_gateway_info=info)
    assert same["external_gateway_info"] == info
    info["external_fixed_ips"] = [{"ip_address": "203.0.113.77"}]
    other = neutron.put("routers", router["id"], "admin", external_gateway_info=info)
    assert other["external_gateway_info"]["external_fixed_ips"][0]["ip_address"] == "203.0.113.77"
    assert neutron.put("routers", router["id"], external_gateway_info={})["external_gateway_info"] is None
    assert neutron.put("routers", router["id"], external_gateway_info=None)["external_gateway_info"] is None
    assert neutron.get("ports", "admin") == []


def test_an_external_network_without_addresses_is_no_way(neutron: Neutron) -> None:
    empty = neutron.network("admin", router__external=True)
    body = {"router": {"external_gateway_info": {"network_id": empty}}}
    neutron.no(400, "BadRequest", "POST", "routers", body)
    neutron.no(409, "IpAddressGenerationFailure", "POST", "floatingips", {"floatingip": {"floating_network_id": empty}})
    assert neutron.get("routers") == []


def test_routers_are_neither_distributed_nor_doubled(neutron: Neutron) -> None:
    for name in ("distributed", "ha"):
        neutron.no(403, "PolicyNotAuthorized", "POST", "routers", {"router": {name: True}})
        neutron.no(400, "InvalidInput", "POST", "routers", {"router": {name: True}}, "admin")
        made = neutron.make("routers", "admin", **{name: False})
        assert made[name] is False
        neutron.no(400, "InvalidInput", "PUT", f"routers/{made['id']}", {"router": {name: True}}, "admin")


def test_legs_come_by_subnet_and_by_port(neutron: Neutron) -> None:
    network, router = neutron.network(), neutron.make("routers")
    subnet = neutron.subnet(network)
    where = f"routers/{router['id']}"
    leg = neutron.join(router["id"], subnet["id"])
    assert set(leg) == {"id", "tenant_id", "project_id", "port_id", "network_id", "subnet_id", "subnet_ids", "tags"}
    assert (leg["id"], leg["subnet_id"], leg["subnet_ids"]) == (router["id"], subnet["id"], [subnet["id"]])
    port = neutron.get(f"ports/{leg['port_id']}")
    assert (neutron.ips(port), port["device_owner"]) == (["10.0.0.1"], "network:router_interface")
    neutron.no(400, "BadRequest", "PUT", f"{where}/add_router_interface", {"subnet_id": subnet["id"]})
    neutron.no(409, "RouterInUse", "DELETE", where)
    assert neutron.ok("PUT", f"{where}/remove_router_interface", {"subnet_id": subnet["id"]}) == leg
    neutron.no(404, "RouterInterfaceNotFound", "PUT", f"{where}/remove_router_interface", {"subnet_id": subnet["id"]})
    port = neutron.port(network)
    by_port = neutron.ok("PUT", f"{where}/add_router_interface", {"port_id": port["id"]})
    assert by_port["port_id"] == port["id"]
    shown = neutron.get(f"ports/{port['id']}")
    assert (shown["device_id"], shown["security_groups"]) == (router["id"], [])
    neutron.no(409, "PortInUse", "PUT", f"{where}/add_router_interface", {"port_id": port["id"]})
    other = neutron.subnet(neutron.network(), "10.5.0.0/24")
    wrong = {"port_id": port["id"], "subnet_id": other["id"]}
    neutron.no(409, "SubnetMismatchForPort", "PUT", f"{where}/remove_router_interface", wrong)
    neutron.ok("PUT", f"{where}/remove_router_interface", {"port_id": port["id"]})
    neutron.no(404, "PortNotFound", "GET", f"ports/{port['id']}")
    neutron.ok("DELETE", where)
    neutron.no(404, "RouterNotFound", "GET", where)


def test_legs_that_cannot_be(neutron: Neutron) -> None:
    router = neutron.make("routers")
    where = f"routers/{router['id']}/add_router_interface"
    one, two = neutron.subnet(neutron.network()), neutron.subnet(neutron.network())
    neutron.join(router["id"], one["id"])
    assert "overlaps" in neutron.no(400, "BadRequest", "PUT", where, {"subnet_id": two["id"]})
    neutron.no(400, "BadRequest", "PUT", where, {})
    neutron.no(400, "HTTPBadRequest", "PUT", where, {"network_id": "x"})
    both = {"subnet_id": two["id"], "port_id": neutron.port(neutron.network())["id"]}
    neutron.no(400, "BadRequest", "PUT", where, both)
    neutron.no(404, "SubnetNotFound", "PUT", where, {"subnet_id": "x"})
    neutron.no(404, "PortNotFound", "PUT", where, {"port_id": "x"})
    local = neutron.subnet(neutron.network(), "fd00::/64", gateway_ip="fe80::1")
    assert neutron.ips(neutron.get(f"ports/{neutron.join(router['id'], local['id'])['port_id']}"))[0].startswith(
        "fd00:"
    )
    closed = neutron.subnet(neutron.network(), "10.7.0.0/24", gateway_ip=None)
    neutron.no(400, "BadRequest", "PUT", where, {"subnet_id": closed["id"]})
    bare = neutron.port(neutron.network())
    neutron.no(400, "BadRequest", "PUT", where, {"port_id": bare["id"]})
    network = neutron.network()
    neutron.subnet(network, "10.8.0.0/24")
    neutron.subnet(network, "10.9.0.0/24")
    wide = neutron.port(network, fixed_ips=[{"ip_address": "10.8.0.9"}, {"ip_address": "10.9.0.9"}])
    neutron.no(400, "BadRequest", "PUT", where, {"port_id": wide["id"]})
    gone = f"routers/{router['id']}/remove_router_interface"
    neutron.no(404, "SubnetNotFound", "PUT", gone, {"subnet_id": "x"})
    neutron.no(404, "RouterInterfaceNotFound", "PUT", gone, {"port_id": "x"})
    foreign = neutron.subnet(neutron.network("other"), "10.3.0.0/24", "other")
    neutron.no(404, "SubnetNotFound", "PUT", where, {"subnet_id": foreign["id"]})
    neutron.no(404, "RouterNotFound", "PUT", where, {"subnet_id": foreign["id"]}, "other")


def test_the_inner_and_the_outer_range_differ(neutron: Neutron) -> None:
    public = neutron.public("10.0.0.0/16")
    inner = neutron.subnet(neutron.network(), "10.0.9.0/24")
    router = neutron.make("routers")
    neutron.join(router["id"], inner["id"])
    body = {"router": {"external_gateway_info": {"network_id": public}}}
    neutron.no(400, "BadRequest", "PUT", f"routers/{router['id']}", body)
    other = neutron.make("routers", external_gateway_info={"network_id": public})
    neutron.no(400, "BadRequest", "PUT", f"routers/{other['id']}/add_router_interface", {"subnet_id": inner["id"]})


def test_a_shared_subnet_is_joined_at_another_address(neutron: Neutron) -> None:
    network = neutron.network()
    subnet = neutron.subnet(network)
    neutron.put("networks", network, "admin", shared=True)
    router = neutron.make("routers", "other")
    where = f"routers/{router['id']}/add_router_interface"
    leg = neutron.ok("PUT", where, {"subnet_id": subnet["id"]}, "other")
    assert neutron.ips(neutron.get(f"ports/{leg['port_id']}", "other")) != ["10.0.0.1"]


def test_static_routes(town: Town) -> None:
    n, router = town.n, town.router["id"]
    one = {"destination": "10.50.0.0/16", "nexthop": "10.0.0.9"}
    two = {"destination": "10.51.0.0/16", "nexthop": "203.0.113.99"}
    assert n.put("routers", router, routes=[one, two])["routes"] == [one, two]
    where = f"routers/{router}"
    for wrong in ({"nexthop": "10.99.0.1"}, {"nexthop": "10.0.0.1"}, {"destination": "fd00::/64"}):
        n.no(400, "InvalidRoutes", "PUT", where, {"router": {"routes": [one | wrong]}})
    for wrong in ({"nexthop": "x"}, {"destination": "x"}):
        n.no(400, "HTTPBadRequest", "PUT", where, {"router": {"routes": [one | wrong]}})
    gone = f"{where}/remove_router_interface"
    n.no(409, "RouterInterfaceInUseByRoute", "PUT", gone, {"subnet_id": town.subnet["id"]})
    left = n.ok("PUT", f"{where}/remove_extraroutes", {"router": {"routes": [two]}})
    assert left["routes"] == [one]
    more = n.ok("PUT", f"{where}/add_extraroutes", {"router": {"routes": [one, two]}})
    assert more["routes"] == [one, two]
    n.no(400, "HTTPBadRequest", "PUT", f"{where}/add_extraroutes", {"router": {"name": "x"}})
    n.no(400, "HTTPBadRequest", "PUT", f"{where}/add_extraroutes", {"routes": []})
    assert n.put("routers", router, routes=None)["routes"] == []
    made = n.make("routers", external_gateway_info={"network_id": town.public}, routes=[two])
    assert made["routes"] == [two]


def test_a_floating_ip_shows_exactly_its_attributes(town: Town) -> None:
    free = town.floating(description="d")
    assert set(free) == FLOATING
    assert (free["status"], free["port_id"], free["router_id"], free["fixed_ip_address"]) == ("DOWN", None, None, None)
    made = town.floating(port_id=town.port["id"])
    assert made["port_id"] == town.port["id"]
    assert made["fixed_ip_address"] == town.n.ips(town.port)[0]
    assert made["router_id"] == town.router["id"]
    assert made["port_details"]["mac_address"] == town.port["mac_address"]
    assert made == town.n.get(f"floatingips/{made['id']}")
    town.n.settle()
    assert town.n.get(f"floatingips/{made['id']}")["status"] == "ACTIVE"
    assert town.n.get(f"floatingips?status=ACTIVE&port_id={town.port['id']}")[0]["id"] == made["id"]
    assert town.n.get("floatingips?port_id=")[0]["id"] == free["id"]
    assert town.n.get(f"floatingips?floating_ip_address={free['floating_ip_address']}")[0]["id"] == free["id"]
    town.n.no(404, "FloatingIPNotFound", "GET", f"floatingips/{made['id']}", who="other")


def test_a_floating_ip_moves(town: Town) -> None:
    n = town.n
    made = town.floating(port_id=town.port["id"])
    other = n.port(town.network)
    where = f"floatingips/{made['id']}"
    moved = n.put("floatingips", made["id"], port_id=other["id"])
    assert moved["fixed_ip_address"] == n.ips(other)[0]
    n.settle()
    (seen,) = n.part(town.router["id"]).floating
    assert (seen.address, seen.fixed) == (made["floating_ip_address"], n.ips(other)[0])
    assert n.put("floatingips", made["id"], description="x")["port_id"] == other["id"]
    free = n.put("floatingips", made["id"], port_id=None)
    assert (free["port_id"], free["router_id"], free["status"]) == (None, None, "DOWN")
    n.settle()
    assert n.part(town.router["id"]).floating == ()
    n.put("floatingips", made["id"], port_id=other["id"])
    second = town.floating()
    n.no(409, "FloatingIPPortAlreadyAssociated", "PUT", f"floatingips/{second['id']}",
         {"floatingip": {"port_id": other["id"]}})  # fmt: skip
    n.ok("DELETE", f"ports/{other['id']}")
    assert n.get(where)["port_id"] is None
    n.ok("DELETE", where)
    n.no(404, "FloatingIPNotFound", "DELETE", where)
    n.no(404, "FloatingIPNotFound", "PUT", where, {"floatingip": {}})


def test_a_floating_ip_of_a_port_with_several_addresses(town: Town) -> None:
    n = town.n
    wide = n.port(town.network, fixed_ips=[{"ip_address": "10.0.0.50"}, {"ip_address": "10.0.0.51"}])
    body = {"floatingip": {"floating_network_id": town.public, "port_id": wide["id"]}}
    n.no(400, "BadRequest", "POST", "floatingips", body)
    made = town.floating(port_id=wide["id"], fixed_ip_address="10.0.0.51")
    assert made["fixed_ip_address"] == "10.0.0.51"
    assert n.put("floatingips", made["id"], fixed_ip_address="10.0.0.50")["fixed_ip_address"] == "10.0.0.50"
    body = {"floatingip": {"port_id": wide["id"], "fixed_ip_address": "10.0.0.99"}}
    n.no(400, "BadRequest", "PUT", f"floatingips/{made['id']}", body)
    n.put("ports", wide["id"], fixed_ips=[{"ip_address": "10.0.0.51"}])
    assert n.get(f"floatingips/{made['id']}")["port_id"] is None


def test_floating_ips_that_cannot_be(town: Town) -> None:
    n = town.n
    lonely = n.network()
    n.subnet(lonely, "10.60.0.0/24")
    away = n.port(lonely)
    base = {"floating_network_id": town.public}
    n.no(404, "ExternalGatewayForFloatingIPNotFound", "POST", "floatingips",
         {"floatingip": base | {"port_id": away["id"]}})  # fmt: skip
    n.no(400, "BadRequest", "POST", "floatingips", {"floatingip": {"floating_network_id": town.network}})
    n.no(404, "NetworkNotFound", "POST", "floatingips", {"floatingip": {"floating_network_id": "x"}})
    n.no(404, "PortNotFound", "POST", "floatingips", {"floatingip": base | {"port_id": "x"}})
    n.no(400, "BadRequest", "POST", "floatingips", {"floatingip": base | {"fixed_ip_address": "10.0.0.3"}})
    n.no(403, "PolicyNotAuthorized", "POST", "floatingips",
         {"floatingip": base | {"floating_ip_address": "203.0.113.200"}})  # fmt: skip
    chosen = n.make("floatingips", "admin", **base, floating_ip_address="203.0.113.200")
    assert chosen["floating_ip_address"] == "203.0.113.200"
    n.no(409, "IpAddressAlreadyAllocated", "POST", "floatingips",
         {"floatingip": base | {"floating_ip_address": "203.0.113.200"}}, "admin")  # fmt: skip
    assert [one["floating_ip_address"] for one in n.get("floatingips")] == []
    bare = n.port(n.network())
    n.no(400, "BadRequest", "POST", "floatingips", {"floatingip": base | {"port_id": bare["id"]}})


def test_the_floating_ips_of_a_full_range_are_gone(neutron: Neutron) -> None:
    public = neutron.public("203.0.113.0/29")
    subnet = neutron.get(f"subnets?network_id={public}", "admin")[0]["id"]
    for _ in range(5):
        neutron.make("floatingips", floating_network_id=public, subnet_id=subnet)
    body = {"floatingip": {"floating_network_id": public, "subnet_id": subnet}}
    neutron.no(409, "IpAddressGenerationFailure", "POST", "floatingips", body)
    neutron.no(
        409, "IpAddressGenerationFailure", "POST", "floatingips", {"floatingip": {"floating_network_id": public}}
    )


def test_what_floating_ips_need_stays(town: Town) -> None:
    n = town.n
    made = town.floating(port_id=town.port["id"])
    where = f"routers/{town.router['id']}"
    n.no(409, "RouterInterfaceInUseByFloatingIP", "PUT", f"{where}/remove_router_interface",
         {"subnet_id": town.subnet["id"]})  # fmt: skip
    n.no(409, "RouterExternalGatewayInUseByFloatingIp", "PUT", where, {"router": {"external_gateway_info": None}})
    n.no(409, "NetworkInUse", "DELETE", f"networks/{town.public}", who="admin")
    n.ok("DELETE", f"floatingips/{made['id']}")
    n.ok("PUT", f"{where}/remove_router_interface", {"subnet_id": town.subnet["id"]})
    n.ok("DELETE", where)
    n.settle()
    assert n.fabric.listing() == []


def test_forwarded_ports(town: Town) -> None:
    n = town.n
    floating = town.floating()
    where = f"floatingips/{floating['id']}/port_forwardings"
    inner = n.ips(town.port)[0]
    base = {"protocol": "tcp", "internal_port_id": town.port["id"], "internal_port": 80, "external_port": 8080}
    made = n.ok("POST", where, {"port_forwarding": base})
    assert made == {
        "id": made["id"], "protocol": "tcp", "internal_port_id": town.port["id"], "internal_ip_address": inner,
        "internal_port": 80, "external_port": 8080, "internal_port_range": "80:80",
        "external_port_range": "8080:8080", "description": "",
    }  # fmt: skip
    assert n.get(f"{where}/{made['id']}") == made
    assert n.get(f"{where}?external_port=8080") == [made]
    assert n.get(f"{where}?external_port=1") == []
    assert "port_forwardings_links" in n.call("GET", f"{where}?limit=1").json
    shown = n.get(f"floatingips/{floating['id']}")
    assert shown["router_id"] == town.router["id"]
    assert shown["port_forwardings"][0]["external_port"] == 8080
    n.settle()
    assert n.get(f"floatingips/{floating['id']}")["status"] == "ACTIVE"
    (seen,) = n.part(town.router["id"]).forwards
    assert (seen.outer, seen.fixed, seen.inner) == ((8080, 8080), inner, (80, 80))
    wide = {"protocol": "udp", "internal_port_id": town.port["id"], "internal_port_range": "90:99",
            "external_port_range": "190:199", "description": "d"}  # fmt: skip
    ranged = n.ok("POST", where, {"port_forwarding": wide})
    assert (ranged["internal_port"], ranged["external_port_range"]) == (None, "190:199")
    body = {"port_forwarding": {"external_port": 8081, "description": "new"}}
    changed = n.ok("PUT", f"{where}/{made['id']}", body)
    assert (changed["external_port"], changed["internal_port"], changed["description"]) == (8081, 80, "new")
    for wrong in (
        base | {"external_port": 8081}, base | {"external_port": 0}, base | {"protocol": "icmp"},
        {name: value for name, value in base.items() if name != "external_port"},
        base | {"external_port_range": "1:2"}, wide | {"external_port_range": "190:198"},
        wide | {"external_port_range": "9:1"}, wide | {"external_port_range": "a:b"},
        wide | {"external_port_range": "\u00b2:\u00b3"},
    ):  # fmt: skip
        assert n.call("POST", where, {"port_forwarding": wrong}).status == 400, wrong
    gone = f"routers/{town.router['id']}/remove_router_interface"
    n.no(409, "RouterInterfaceInUseByFloatingIP", "PUT", gone, {"subnet_id": town.subnet["id"]})
    n.no(409, "FloatingIPPortForwardingInUse", "PUT", f"floatingips/{floating['id']}",
         {"floatingip": {"port_id": town.port["id"]}})  # fmt: skip
    n.ok("DELETE", f"{where}/{made['id']}")
    n.no(404, "PortForwardingNotFound", "DELETE", f"{where}/{made['id']}")
    n.no(404, "FloatingIPNotFound", "GET", "floatingips/x/port_forwardings")
    n.no(404, "FloatingIPNotFound", "GET", "floatingips/x/port_forwardings/y")
    n.ok("DELETE", f"{where}/{ranged['id']}")
    free = n.get(f"floatingips/{floating['id']}")
    assert (free["router_id"], free["status"], free["port_forwardings"]) == (None, "DOWN", [])
    whole = town.floating(port_id=town.port["id"])
    other = f"floatingips/{whole['id']}/port_forwardings"
    n.no(400, "FipInUseByPort", "POST", other, {"port_forwarding": base})


def test_a_page_of_forwardings_holds_one_addresses_own(town: Town) -> None:
    n = town.n
    made: dict[str, list[str]] = {}
    for where in [f"floatingips/{town.floating()['id']}/port_forwardings" for _ in range(2)]:
        for port in range(3):
            body = {
                "protocol": "tcp",
                "internal_port_id": town.port["id"],
                "internal_port": 80,
                "external_port": port + 1,
            }
            made.setdefault(where, []).append(n.ok("POST", where, {"port_forwarding": body})["id"])
    for where, ids in made.items():
        pages = n.get(f"{where}?limit=2")
        pages += n.get(f"{where}?limit=2&marker={pages[-1]['id']}")
        assert [one["id"] for one in pages] == sorted(ids)


def test_a_port_takes_its_forwardings_with_it(town: Town) -> None:
    n = town.n
    floating = town.floating()
    where = f"floatingips/{floating['id']}/port_forwardings"
    base = {"protocol": "tcp", "internal_port_id": town.port["id"], "internal_port": 80, "external_port": 8080}
    n.ok("POST", where, {"port_forwarding": base})
    n.ok("DELETE", f"ports/{town.port['id']}")
    assert n.get(where) == []
    assert n.get(f"floatingips/{floating['id']}")["router_id"] is None
    n.settle()
    assert n.part(town.router["id"]).forwards == ()
    n.ok("DELETE", f"floatingips/{floating['id']}")
