"""Networks, subnets and their pools (Networking API v2.0)."""

from __future__ import annotations

import pytest

from tests.support.neutron import Neutron

NETWORK = {
    "id", "name", "description", "tenant_id", "project_id", "admin_state_up", "status", "shared", "router:external",
    "mtu", "port_security_enabled", "subnets", "availability_zones", "availability_zone_hints", "ipv4_address_scope",
    "ipv6_address_scope", "dns_domain", "tags", "created_at", "updated_at", "revision_number",
}  # fmt: skip
PROVIDER = {"provider:network_type", "provider:physical_network", "provider:segmentation_id"}
SUBNET = {
    "id", "name", "description", "tenant_id", "project_id", "network_id", "ip_version", "cidr", "gateway_ip",
    "enable_dhcp", "ipv6_ra_mode", "ipv6_address_mode", "subnetpool_id", "allocation_pools", "dns_nameservers",
    "host_routes", "service_types", "segment_id", "dns_publish_fixed_ip", "tags", "created_at", "updated_at",
    "revision_number",
}  # fmt: skip


def test_a_network_shows_exactly_its_attributes(neutron: Neutron) -> None:
    made = neutron.make("networks", name="net", description="d", dns_domain="example.org.")
    assert set(made) == NETWORK
    assert made["status"] == "ACTIVE"
    assert made["mtu"] == 1450
    assert made["created_at"] == made["updated_at"] == "2026-01-01T00:00:00Z"
    assert made == neutron.get(f"networks/{made['id']}")
    assert set(neutron.get(f"networks/{made['id']}", "admin")) == NETWORK | PROVIDER
    outside = neutron.make("networks", "admin", router__external=True)
    assert set(outside) == NETWORK | PROVIDER | {"is_default"}
    chosen = neutron.get(f"networks/{made['id']}?fields=id&fields=mtu&fields=nothing")
    assert chosen == {"id": made["id"], "mtu": 1450}


def test_a_change_raises_the_revision_and_the_time(neutron: Neutron) -> None:
    made = neutron.make("networks", name="a")
    neutron.clock.advance(5)
    new = neutron.put("networks", made["id"], name="b", mtu=1400, admin_state_up="false")
    assert (new["name"], new["mtu"], new["admin_state_up"], new["revision_number"]) == ("b", 1400, False, 1)
    assert new["updated_at"] == "2026-01-01T00:00:05Z"
    assert new["created_at"] == "2026-01-01T00:00:00Z"
    body = {"network": {"name": "c"}}
    late = neutron.call("PUT", f"networks/{made['id']}", body, **{"if-match": "revision_number=0"})
    assert late.status == 412
    assert late.json["NeutronError"]["type"] == "RevisionNumberConstraintFailed"
    assert neutron.call("PUT", f"networks/{made['id']}", body, **{"if-match": "revision_number=1"}).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {}, {"networks": []}, {"network": []}, {"network": {}, "more": 1}, {"network": {"nothing": 1}},
        {"network": {"name": 7}}, {"network": {"name": "x" * 256}}, {"network": {"admin_state_up": "maybe"}},
        {"network": {"id": "x"}}, {"network": {"status": "ACTIVE"}}, {"network": {"mtu": 9000}},
        {"network": {"mtu": "x"}}, {"network": {"mtu": 67}}, {"network": {"dns_domain": "-x"}},
        {"network": {"tenant_id": "a", "project_id": "b"}}, {"networks": {"name": "x"}}, {"network": {"tags": []}},
        {"network": {"availability_zone_hints": "nova"}}, {"network": {"availability_zone_hints": ["a", "a"]}},
    ],
)  # fmt: skip
def test_a_network_that_is_asked_for_wrongly(neutron: Neutron, body: object) -> None:
    answer = neutron.call("POST", "networks", body)
    assert answer.status == 400, answer.raw
    assert neutron.call("GET", "networks").json == {"networks": []}


@pytest.mark.parametrize(
    "attribute", ["shared", "router:external", "is_default", "provider:network_type", "provider:segmentation_id"]
)
def test_what_only_administrators_may_set(neutron: Neutron, attribute: str) -> None:
    value = {"provider:network_type": "vxlan", "provider:segmentation_id": 7}.get(attribute, True)
    neutron.no(403, "PolicyNotAuthorized", "POST", "networks", {"network": {attribute: value}})
    mine = neutron.network()
    answer = neutron.call("PUT", f"networks/{mine}", {"network": {attribute: value}})
    assert answer.status == (400 if attribute.startswith("provider") else 403)
    if not attribute.startswith("provider"):
        assert neutron.call("POST", "networks", {"network": {attribute: False}}).status == 201  # its default


def test_a_network_for_somebody_else_is_for_administrators(neutron: Neutron) -> None:
    other = neutron.hosted.other_project
    neutron.no(403, "PolicyNotAuthorized", "POST", "networks", {"network": {"project_id": other}})
    assert neutron.make("networks", "admin", tenant_id=other)["project_id"] == other
    neutron.no(400, "HTTPBadRequest", "POST", "networks", {"network": {"project_id": "nobody"}}, "admin")


def test_a_reader_creates_nothing(neutron: Neutron) -> None:
    assert neutron.call("POST", "networks", {"network": {}}, "reader").status == 403
    mine = neutron.network()
    assert neutron.get(f"networks/{mine}", "reader")["id"] == mine
    assert neutron.call("DELETE", f"networks/{mine}", who="reader").status == 403


def test_strangers_see_nothing_until_it_is_shared(neutron: Neutron) -> None:
    mine = neutron.network(name="mine")
    subnet = neutron.subnet(mine)
    assert neutron.get("networks", "other") == []
    neutron.no(404, "NetworkNotFound", "GET", f"networks/{mine}", who="other")
    neutron.no(404, "NetworkNotFound", "PUT", f"networks/{mine}", {"network": {"name": "x"}}, "other")
    neutron.no(404, "NetworkNotFound", "DELETE", f"networks/{mine}", who="other")
    neutron.no(404, "SubnetNotFound", "GET", f"subnets/{subnet['id']}", who="other")
    assert neutron.put("networks", mine, "admin", shared=True)["shared"] is True
    assert neutron.names("networks?shared=true", "other") == ["mine"]
    assert neutron.get("networks?shared=false", "other") == []
    assert neutron.get(f"subnets/{subnet['id']}", "other")["cidr"] == "10.0.0.0/24"
    assert [one["id"] for one in neutron.get("subnets?shared=True", "other")] == [subnet["id"]]
    assert neutron.get("subnets?shared=False", "other") == []
    neutron.no(403, "PolicyNotAuthorized", "PUT", f"networks/{mine}", {"network": {"name": "x"}}, "other")
    neutron.no(403, "PolicyNotAuthorized", "DELETE", f"networks/{mine}", who="other")
    neutron.no(403, "PolicyNotAuthorized", "POST", "subnets",
               {"subnet": {"network_id": mine, "cidr": "10.9.0.0/24", "ip_version": 4}}, "other")  # fmt: skip
    port = neutron.port(mine, "other")
    neutron.no(409, "InvalidSharedSetting", "PUT", f"networks/{mine}", {"network": {"shared": False}}, "admin")
    assert port["id"] in [one["id"] for one in neutron.get("ports")]  # the network's owner sees it
    neutron.ok("DELETE", f"ports/{port['id']}", who="other")
    assert neutron.put("networks", mine, "admin", shared=False)["shared"] is False
    assert neutron.get("networks", "other") == []


def test_external_networks_are_seen_by_all_but_not_their_subnets(neutron: Neutron) -> None:
    public = neutron.public()
    assert [one["id"] for one in neutron.get("networks?router:external=True")] == [public]
    assert neutron.get("networks?router:external=False") == []
    assert neutron.get(f"subnets?network_id={public}") == []
    assert len(neutron.get(f"subnets?network_id={public}", "admin")) == 1
    neutron.no(403, "PolicyNotAuthorized", "POST", "ports", {"port": {"network_id": public}})
    router = neutron.make("routers", external_gateway_info={"network_id": public})
    body = {"network": {"router:external": False}}
    neutron.no(409, "ExternalNetworkInUse", "PUT", f"networks/{public}", body, "admin")
    neutron.ok("DELETE", f"routers/{router['id']}")
    assert neutron.put("networks", public, "admin", router__external=False)["router:external"] is False


def test_there_is_one_default_external_network(neutron: Neutron) -> None:
    neutron.no(400, "InvalidInput", "POST", "networks", {"network": {"is_default": True}}, "admin")
    first = neutron.network("admin", router__external=True, is_default=True)
    body = {"network": {"is_default": True, "router:external": True}}
    neutron.no(409, "DefaultExternalNetworkExists", "POST", "networks", body, "admin")
    assert neutron.put("networks", first, "admin", is_default=True)["is_default"] is True


def test_how_a_network_is_carried(neutron: Neutron) -> None:
    one = neutron.make("networks", "admin", provider__network_type="vxlan", provider__segmentation_id=77)
    assert one["provider:segmentation_id"] == 77
    assert one["provider:physical_network"] is None
    body = {"network": {"provider:segmentation_id": 77}}
    neutron.no(409, "TunnelIdInUse", "POST", "networks", body, "admin")
    neutron.make("networks", "admin", provider__network_type="flat", provider__physical_network="public")
    body = {"network": {"provider:network_type": "flat", "provider:physical_network": "public"}}
    neutron.no(409, "FlatNetworkInUse", "POST", "networks", body, "admin")
    for wrong in ({"provider:network_type": "flat"}, {"provider:physical_network": "public"}):
        neutron.no(400, "InvalidInput", "POST", "networks", {"network": wrong}, "admin")
    neutron.no(400, "HTTPBadRequest", "POST", "networks", {"network": {"provider:network_type": "gre"}}, "admin")
    local = neutron.make("networks", "admin", provider__network_type="local")
    assert local["provider:segmentation_id"] is None


def test_a_network_goes_with_its_subnets_but_not_with_ports(neutron: Neutron) -> None:
    mine = neutron.network()
    subnet = neutron.subnet(mine)
    port = neutron.port(mine)
    assert "still in use" in neutron.no(409, "NetworkInUse", "DELETE", f"networks/{mine}")
    neutron.ok("DELETE", f"ports/{port['id']}")
    neutron.ok("DELETE", f"networks/{mine}")
    neutron.no(404, "SubnetNotFound", "GET", f"subnets/{subnet['id']}")
    neutron.no(404, "NetworkNotFound", "DELETE", f"networks/{mine}")
    for table in ("network_network", "network_subnet", "network_port", "network_address", "network_tag"):
        assert neutron.db.all(f"SELECT * FROM {table}") == [], table


def test_an_external_network_goes_with_floating_ips_that_stand_for_nobody(neutron: Neutron) -> None:
    public = neutron.public()
    neutron.make("floatingips", floating_network_id=public)
    neutron.ok("DELETE", f"networks/{public}", who="admin")
    assert neutron.get("floatingips") == []


def test_several_networks_in_one_request_are_all_or_none(neutron: Neutron) -> None:
    made = neutron.ok("POST", "networks", {"networks": [{"name": "a"}, {"name": "b"}]})
    assert [one["name"] for one in made] == ["a", "b"]
    assert neutron.call("POST", "networks", {"networks": [{"name": "c"}, {"mtu": 1}]}).status == 400
    neutron.ok("PUT", f"quotas/{neutron.hosted.project_id}", {"quota": {"network": 3}}, "admin")
    neutron.no(409, "OverQuota", "POST", "networks", {"networks": [{"name": "c"}, {"name": "d"}]})
    assert sorted(neutron.names("networks")) == ["a", "b"]


def test_a_subnet_shows_exactly_its_attributes(neutron: Neutron) -> None:
    mine = neutron.network()
    made = neutron.subnet(mine, "10.1.0.5/24", name="s", dns_nameservers=["9.9.9.9"],
                          host_routes=[{"destination": "10.9.0.0/16", "nexthop": "10.1.0.9"}])  # fmt: skip
    assert set(made) == SUBNET
    assert made["cidr"] == "10.1.0.0/24"
    assert made["gateway_ip"] == "10.1.0.1"
    assert made["allocation_pools"] == [{"start": "10.1.0.2", "end": "10.1.0.254"}]
    assert made == neutron.get(f"subnets/{made['id']}")
    assert neutron.get(f"networks/{mine}")["subnets"] == [made["id"]]


def test_gateways_and_pools(neutron: Neutron) -> None:
    mine = neutron.network()
    middle = neutron.subnet(mine, "10.0.0.0/29", gateway_ip="10.0.0.3")
    assert middle["allocation_pools"] == [
        {"start": "10.0.0.1", "end": "10.0.0.2"}, {"start": "10.0.0.4", "end": "10.0.0.6"}
    ]  # fmt: skip
    none = neutron.subnet(mine, "10.0.1.0/24", gateway_ip=None)
    assert none["gateway_ip"] is None
    assert none["allocation_pools"] == [{"start": "10.0.1.1", "end": "10.0.1.254"}]
    six = neutron.subnet(mine, "fd00:1::/64")
    assert six["gateway_ip"] == "fd00:1::1"
    assert six["allocation_pools"] == [{"start": "fd00:1::2", "end": "fd00:1::ffff:ffff:ffff:ffff"}]
    local = neutron.subnet(mine, "fd00:2::/64", gateway_ip="fe80::1")
    assert local["gateway_ip"] == "fe80::1"
    one = neutron.subnet(mine, "10.0.2.0/32", enable_dhcp=False)
    assert (one["gateway_ip"], one["allocation_pools"]) == (None, [{"start": "10.0.2.0", "end": "10.0.2.0"}])


@pytest.mark.parametrize(
    ("status", "kind", "values"),
    [
        (400, "HTTPBadRequest", {"cidr": "10.0.0.0/33"}),
        (400, "HTTPBadRequest", {"cidr": None}),
        (400, "HTTPBadRequest", {"ip_version": 7}),
        (400, "InvalidInput", {"ip_version": 6}),
        (400, "InvalidInput", {"gateway_ip": "fd00::1"}),
        (400, "GatewayNotValid", {"gateway_ip": "10.0.0.0"}),
        (400, "GatewayNotValid", {"gateway_ip": "10.9.0.1"}),
        (400, "InvalidInput", {"dns_nameservers": ["fd00::1"]}),
        (400, "HTTPBadRequest", {"dns_nameservers": ["9.9.9.9", "9.9.9.9"]}),
        (400, "HTTPBadRequest", {"cidr": "fd00::/64", "ip_version": 6, "dns_nameservers": ["fd00::1%x\nuser=root"]}),
        (400, "HTTPBadRequest", {"cidr": "fd00::%x/64", "ip_version": 6}),
        (400, "HTTPBadRequest", {"dns_nameservers": [f"9.9.9.{n}" for n in range(6)]}),
        (400, "InvalidInput", {"host_routes": [{"destination": "fd00::/64", "nexthop": "fd00::1"}]}),
        (400, "HTTPBadRequest", {"host_routes": [{"destination": "10.9.0.0/16"}]}),
        (400, "HTTPBadRequest", {"host_routes": [{"destination": "10.9.0.0/16", "nexthop": "x"}]}),
        (400, "InvalidAllocationPool", {"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.8"}]}),
        (400, "OutOfBoundsAllocationPool", {"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.1.8"}]}),
        (409, "OverlappingAllocationPools", {"allocation_pools": [
            {"start": "10.0.0.9", "end": "10.0.0.20"}, {"start": "10.0.0.20", "end": "10.0.0.22"}]}),
        (409, "GatewayConflictWithAllocationPools", {"allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.22"}]}),
        (400, "InvalidInput", {"ipv6_ra_mode": "slaac"}),
        (400, "HTTPBadRequest", {"prefixlen": 26}),
        (400, "HTTPBadRequest", {"subnetpool_id": "", "prefixlen": 999}),
        (404, "SubnetPoolNotFound", {"subnetpool_id": "nothing"}),
        (400, "InvalidInput", {"use_default_subnetpool": True}),
    ],
)  # fmt: skip
def test_a_subnet_that_cannot_be(neutron: Neutron, status: int, kind: str, values: dict[str, object]) -> None:
    mine = neutron.network()
    body = {"network_id": mine, "cidr": "10.0.0.0/24", "ip_version": 4, **values}
    neutron.no(status, kind, "POST", "subnets", {"subnet": body})
    assert neutron.get("subnets") == []


def test_subnets_of_a_network_do_not_overlap(neutron: Neutron) -> None:
    mine, other = neutron.network(), neutron.network()
    neutron.subnet(mine, "10.0.0.0/16")
    body = {"network_id": mine, "cidr": "10.0.9.0/24", "ip_version": 4}
    neutron.no(400, "InvalidInput", "POST", "subnets", {"subnet": body})
    neutron.subnet(other, "10.0.9.0/24")
    neutron.no(404, "NetworkNotFound", "POST", "subnets", {"subnet": body | {"network_id": "nothing"}})


@pytest.mark.parametrize(
    "modes",
    [("slaac", "dhcpv6-stateful"), ("dhcpv6-stateless", "slaac"), ("dhcpv6-stateful", "dhcpv6-stateless")],
)
def test_modes_of_version_6_must_agree(neutron: Neutron, modes: tuple[str, str]) -> None:
    mine = neutron.network()
    body = {"network_id": mine, "cidr": "fd00::/64", "ip_version": 6}
    both = body | {"ipv6_ra_mode": modes[0], "ipv6_address_mode": modes[1]}
    neutron.no(400, "InvalidInput", "POST", "subnets", {"subnet": both})
    off = body | {"ipv6_ra_mode": "slaac", "enable_dhcp": False}
    neutron.no(400, "InvalidInput", "POST", "subnets", {"subnet": off})
    narrow = body | {"ipv6_address_mode": "slaac", "cidr": "fd00::/80"}
    neutron.no(400, "InvalidInput", "POST", "subnets", {"subnet": narrow})
    made = neutron.subnet(mine, "fd00::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    neutron.no(400, "InvalidInput", "PUT", f"subnets/{made['id']}", {"subnet": {"enable_dhcp": False}})


def test_a_subnet_changes(neutron: Neutron) -> None:
    mine = neutron.network()
    made = neutron.subnet(mine, allocation_pools=[{"start": "10.0.0.10", "end": "10.0.0.20"}])
    new = neutron.put("subnets", made["id"], name="n", gateway_ip="10.0.0.2", dns_nameservers=["9.9.9.9"],
                      allocation_pools=[{"start": "10.0.0.30", "end": "10.0.0.40"}])  # fmt: skip
    assert (new["name"], new["gateway_ip"], new["dns_nameservers"]) == ("n", "10.0.0.2", ["9.9.9.9"])
    assert new["allocation_pools"] == [{"start": "10.0.0.30", "end": "10.0.0.40"}]
    assert neutron.put("subnets", made["id"], gateway_ip=None)["gateway_ip"] is None
    where = f"subnets/{made['id']}"
    neutron.no(409, "GatewayConflictWithAllocationPools", "PUT", where, {"subnet": {"gateway_ip": "10.0.0.31"}})
    neutron.no(400, "HTTPBadRequest", "PUT", where, {"subnet": {"cidr": "10.0.0.0/25"}})
    neutron.no(400, "HTTPBadRequest", "PUT", where, {"subnet": {"nothing": 1}})


def test_dhcp_has_a_port_while_it_is_served(neutron: Neutron) -> None:
    mine = neutron.network()
    first, second = neutron.subnet(mine, "10.0.0.0/24"), neutron.subnet(mine, "10.0.1.0/24")
    (port,) = neutron.get("ports?device_owner=network:dhcp")
    assert neutron.ips(port) == ["10.0.0.2", "10.0.1.2"]
    assert port["security_groups"] == []
    neutron.put("subnets", first["id"], enable_dhcp=False)
    assert neutron.ips(neutron.get(f"ports/{port['id']}")) == ["10.0.1.2"]
    neutron.put("subnets", second["id"], enable_dhcp=False)
    assert neutron.get("ports") == []
    neutron.put("subnets", second["id"], enable_dhcp=True)
    assert len(neutron.get("ports")) == 1
    neutron.ok("DELETE", f"subnets/{second['id']}")
    assert neutron.get("ports") == []


def test_a_subnet_that_ports_need_stays(neutron: Neutron) -> None:
    mine = neutron.network()
    made = neutron.subnet(mine)
    port = neutron.port(mine)
    neutron.no(409, "SubnetInUse", "DELETE", f"subnets/{made['id']}")
    neutron.ok("DELETE", f"ports/{port['id']}")
    neutron.ok("DELETE", f"subnets/{made['id']}")
    auto = neutron.subnet(mine, "fd00::/64", ipv6_address_mode="slaac", ipv6_ra_mode="slaac")
    port = neutron.port(mine)
    assert len(port["fixed_ips"]) == 1
    neutron.ok("DELETE", f"subnets/{auto['id']}")  # its addresses follow from MACs, nobody asked for them
    assert neutron.get(f"ports/{port['id']}")["fixed_ips"] == []


def test_a_gateway_that_a_router_holds_stays(neutron: Neutron) -> None:
    mine = neutron.network()
    made = neutron.subnet(mine)
    router = neutron.make("routers")
    neutron.join(router["id"], made["id"])
    body = {"subnet": {"gateway_ip": "10.0.0.9", "allocation_pools": [{"start": "10.0.0.20", "end": "10.0.0.30"}]}}
    neutron.no(409, "GatewayIpInUse", "PUT", f"subnets/{made['id']}", body)
    assert neutron.put("subnets", made["id"], gateway_ip="10.0.0.1")["gateway_ip"] == "10.0.0.1"


def test_how_many_addresses_are_taken(neutron: Neutron) -> None:
    mine = neutron.network(name="n")
    neutron.subnet(mine, "10.0.0.0/24")
    neutron.subnet(mine, "fd00::/64")
    neutron.port(mine)
    (found,) = neutron.get("network-ip-availabilities", "admin")
    assert found["network_name"] == "n"
    assert found["used_ips"] == 3  # DHCP in version 4, the port in both
    (four, _) = found["subnet_ip_availability"]
    assert (four["total_ips"], four["used_ips"], four["ip_version"]) == (253, 2, 4)
    only = neutron.get(f"network-ip-availabilities?network_id={mine}&ip_version=6", "admin")
    assert [one["ip_version"] for one in only[0]["subnet_ip_availability"]] == [6]
    assert neutron.get("network-ip-availabilities?network_name=x", "admin") == []
    assert neutron.get("network-ip-availabilities?ip_version=5", "admin") == []
    assert neutron.get(f"network-ip-availabilities/{mine}", "admin") == found
    neutron.no(404, "NetworkNotFound", "GET", "network-ip-availabilities/x", who="admin")
    assert neutron.call("GET", "network-ip-availabilities").status == 403
