"""Ports: addresses, security, allowed pairs (Networking API v2.0, "Ports")."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.support.neutron import Neutron

PORT = {
    "id", "name", "description", "tenant_id", "project_id", "network_id", "mac_address", "admin_state_up", "status",
    "device_id", "device_owner", "fixed_ips", "security_groups", "allowed_address_pairs", "port_security_enabled",
    "extra_dhcp_opts", "dns_name", "dns_assignment", "binding:vnic_type", "tags", "created_at", "updated_at",
    "revision_number",
}  # fmt: skip
BINDING = {"binding:host_id", "binding:profile", "binding:vif_type", "binding:vif_details"}


def test_a_port_shows_exactly_its_attributes(neutron: Neutron) -> None:
    mine = neutron.network()
    subnet = neutron.subnet(mine)
    made = neutron.port(mine, name="p")
    assert set(made) == PORT
    assert made["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.3"}]
    assert made["mac_address"].startswith("fa:16:3e:")
    assert made["status"] == "DOWN"
    assert made["dns_assignment"] == [
        {"hostname": "host-10-0-0-3", "ip_address": "10.0.0.3", "fqdn": "host-10-0-0-3.openstacklocal."}
    ]
    (default,) = neutron.get("security-groups?name=default")
    assert made["security_groups"] == [default["id"]]
    assert made == neutron.get(f"ports/{made['id']}")
    seen = neutron.get(f"ports/{made['id']}", "admin")
    assert set(seen) == PORT | BINDING
    assert (seen["binding:vif_type"], seen["binding:vif_details"]) == ("unbound", {})


def test_names_become_dns_names(neutron: Neutron) -> None:
    mine = neutron.network(dns_domain="example.org.")
    neutron.subnet(mine)
    made = neutron.port(mine, dns_name="web")
    assert made["dns_assignment"][0]["fqdn"] == "web.example.org."
    neutron.no(400, "HTTPBadRequest", "POST", "ports", {"port": {"network_id": mine, "dns_name": "a b"}})


def test_fifty_ports_at_once_get_fifty_addresses(neutron: Neutron) -> None:
    mine = neutron.network()
    neutron.subnet(mine, "10.0.0.0/26")
    found: list[str] = []
    lock = threading.Lock()

    def create() -> None:
        answer = neutron.call("POST", "ports", {"port": {"network_id": mine}})
        with lock:
            found.append(answer.json["port"]["fixed_ips"][0]["ip_address"] if answer.status == 201 else answer.raw)

    neutron.port(mine)
    threads = [threading.Thread(target=create) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 50
    assert all(ip.startswith("10.0.0.") for ip in found)


def test_a_full_network_says_so(neutron: Neutron) -> None:
    mine = neutron.network()
    subnet = neutron.subnet(mine, "10.0.0.0/29", enable_dhcp=False)
    bodies = {"ports": [{"network_id": mine} for _ in range(5)]}
    assert len({one["fixed_ips"][0]["ip_address"] for one in neutron.ok("POST", "ports", bodies)}) == 5
    neutron.no(409, "IpAddressGenerationFailure", "POST", "ports", {"port": {"network_id": mine}})
    wish = {"network_id": mine, "fixed_ips": [{"subnet_id": subnet["id"]}]}
    neutron.no(409, "IpAddressGenerationFailure", "POST", "ports", {"port": wish})
    neutron.subnet(mine, "10.0.1.0/29", enable_dhcp=False)
    assert neutron.ips(neutron.port(mine))[0].startswith("10.0.1.")


def test_large_pools_are_drawn_from_at_random(neutron: Neutron) -> None:
    mine = neutron.network()
    neutron.subnet(mine, "10.0.0.0/16", enable_dhcp=False)
    found = {neutron.ips(neutron.port(mine))[0] for _ in range(20)}
    assert len(found) == 20


@pytest.mark.parametrize(
    ("status", "kind", "fixed"),
    [
        (400, "HTTPBadRequest", {}),
        (400, "HTTPBadRequest", [7]),
        (400, "HTTPBadRequest", [{"address": "10.0.0.9"}]),
        (400, "HTTPBadRequest", [{"ip_address": "x"}]),
        (400, "InvalidInput", [{}]),
        (400, "InvalidInput", [{"subnet_id": "nothing"}]),
        (400, "InvalidIpForSubnet", [{"subnet_id": "S", "ip_address": "10.0.0.255"}]),
        (400, "InvalidIpForSubnet", [{"subnet_id": "S", "ip_address": "10.0.1.1"}]),
        (400, "InvalidIpForSubnet", [{"subnet_id": "S", "ip_address": "fd00::1"}]),
        (400, "InvalidIpForNetwork", [{"ip_address": "10.9.0.9"}]),
        (400, "InvalidInput", [{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.9"}]),
        (409, "IpAddressAlreadyAllocated", [{"ip_address": "10.0.0.2"}]),
    ],
)
def test_addresses_that_cannot_be(neutron: Neutron, status: int, kind: str, fixed: Any) -> None:
    mine = neutron.network()
    subnet = neutron.subnet(mine)
    if isinstance(fixed, list):
        fixed = [
            {**one, "subnet_id": subnet["id"]} if isinstance(one, dict) and one.get("subnet_id") == "S" else one
            for one in fixed
        ]
    neutron.no(status, kind, "POST", "ports", {"port": {"network_id": mine, "fixed_ips": fixed}})
    assert neutron.get("ports?device_owner=") == []


def test_addresses_that_were_asked_for(neutron: Neutron) -> None:
    mine = neutron.network()
    first, second = neutron.subnet(mine, "10.0.0.0/24"), neutron.subnet(mine, "10.0.1.0/24")
    both = neutron.port(mine, fixed_ips=[{"subnet_id": second["id"]}, {"ip_address": "10.0.0.77"}])
    assert neutron.ips(both) == ["10.0.1.3", "10.0.0.77"]
    assert neutron.port(mine, fixed_ips=[])["fixed_ips"] == []
    twice = neutron.port(mine, fixed_ips=[{"subnet_id": first["id"]}, {"subnet_id": first["id"]}])
    assert len(set(neutron.ips(twice))) == 2


def test_addresses_of_version_6_follow_from_the_mac(neutron: Neutron) -> None:
    mine = neutron.network()
    before = neutron.port(mine, mac_address="FA-16-3E-00-00-01")
    assert before["mac_address"] == "fa:16:3e:00:00:01"
    auto = neutron.subnet(mine, "fd00::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    assert neutron.ips(neutron.get(f"ports/{before['id']}")) == ["fd00::f816:3eff:fe00:1"]
    stateful = neutron.subnet(mine, "fd00:1::/64", ipv6_address_mode="dhcpv6-stateful")
    port = neutron.port(mine, mac_address="fa:16:3e:00:00:02")
    assert {one["subnet_id"] for one in port["fixed_ips"]} == {auto["id"], stateful["id"]}
    assert "fd00::f816:3eff:fe00:2" in neutron.ips(port)
    wrong = [{"subnet_id": auto["id"], "ip_address": "fd00::9"}]
    body = {"port": {"network_id": mine, "fixed_ips": wrong}}
    neutron.no(400, "AllocationOnAutoAddressSubnet", "POST", "ports", body)
    named = neutron.port(mine, fixed_ips=[{"subnet_id": auto["id"]}], mac_address="fa:16:3e:00:00:03")
    assert neutron.ips(named) == ["fd00::f816:3eff:fe00:3"]
    (dhcp,) = neutron.get("ports?device_owner=network:dhcp")
    assert len(dhcp["fixed_ips"]) == 2


def test_a_mac_is_once_on_a_network(neutron: Neutron) -> None:
    mine, other = neutron.network(), neutron.network()
    neutron.port(mine, mac_address="fa:16:3e:00:00:01")
    body = {"network_id": mine, "mac_address": "fa:16:3e:00:00:01"}
    neutron.no(409, "MacAddressInUse", "POST", "ports", {"port": body})
    neutron.port(other, mac_address="fa:16:3e:00:00:01")
    for wrong in ("x", "01:00:00:00:00:00", "00:00:00:00:00:00", 7, "fa:16:3e:00:00"):
        body = {"network_id": mine, "mac_address": wrong}
        neutron.no(400, "HTTPBadRequest", "POST", "ports", {"port": body})
    port = neutron.port(mine)
    assert neutron.put("ports", port["id"], mac_address="fa:16:3e:00:00:09")["mac_address"] == "fa:16:3e:00:00:09"
    guest = neutron.guest(mine)
    neutron.no(409, "PortBound", "PUT", f"ports/{guest['id']}", {"port": {"mac_address": "fa:16:3e:00:00:0a"}})


def test_addresses_change_and_stay_where_they_can(neutron: Neutron) -> None:
    mine = neutron.network()
    first, second = neutron.subnet(mine, "10.0.0.0/24"), neutron.subnet(mine, "10.0.1.0/24")
    port = neutron.port(mine)
    (old,) = neutron.ips(port)
    both = neutron.put("ports", port["id"], fixed_ips=[{"subnet_id": first["id"]}, {"subnet_id": second["id"]}])
    assert neutron.ips(both)[0] == old
    one = neutron.put("ports", port["id"], fixed_ips=[{"subnet_id": second["id"]}])
    assert neutron.ips(one) == neutron.ips(both)[1:]
    same = neutron.put("ports", port["id"], fixed_ips=[{"ip_address": neutron.ips(one)[0]}])
    assert same["fixed_ips"] == one["fixed_ips"]
    assert neutron.put("ports", port["id"], fixed_ips=[])["fixed_ips"] == []
    other = neutron.port(mine, fixed_ips=[{"ip_address": old}])
    body = {"port": {"fixed_ips": [{"ip_address": old}]}}
    neutron.no(409, "IpAddressAlreadyAllocated", "PUT", f"ports/{port['id']}", body)
    assert neutron.ips(other) == [old]


def test_security_of_a_port(neutron: Neutron) -> None:
    mine = neutron.network()
    neutron.subnet(mine)
    group = neutron.make("security-groups", name="g")
    port = neutron.port(mine, security_groups=[group["id"], group["id"]][:1])
    assert port["security_groups"] == [group["id"]]
    assert neutron.port(mine, security_groups=[])["security_groups"] == []
    body = {"port": {"network_id": mine, "security_groups": ["nothing"]}}
    neutron.no(404, "SecurityGroupNotFound", "POST", "ports", body)
    foreign = neutron.make("security-groups", "other", name="foreign")
    body = {"port": {"network_id": mine, "security_groups": [foreign["id"]]}}
    neutron.no(404, "SecurityGroupNotFound", "POST", "ports", body)
    kind = "PortSecurityAndIPRequiredForSecurityGroups"
    body = {"port": {"port_security_enabled": False}}
    neutron.no(409, kind, "PUT", f"ports/{port['id']}", body)
    loose = neutron.put("ports", port["id"], port_security_enabled=False, security_groups=[])
    assert (loose["port_security_enabled"], loose["security_groups"]) == (False, [])
    body = {"port": {"security_groups": [group["id"]]}}
    neutron.no(409, kind, "PUT", f"ports/{port['id']}", body)
    open_net = neutron.network(port_security_enabled=False)
    assert neutron.port(open_net)["security_groups"] == []


def test_allowed_pairs(neutron: Neutron) -> None:
    mine = neutron.network()
    neutron.subnet(mine)
    pairs = [{"ip_address": "10.0.0.99"}, {"ip_address": "10.9.0.1/16", "mac_address": "fa:16:3e:00:00:05"}]
    port = neutron.port(mine, allowed_address_pairs=pairs)
    assert port["allowed_address_pairs"] == [
        {"ip_address": "10.0.0.99", "mac_address": port["mac_address"]},
        {"ip_address": "10.9.0.0/16", "mac_address": "fa:16:3e:00:00:05"},
    ]
    where = f"ports/{port['id']}"
    assert neutron.put("ports", port["id"], allowed_address_pairs=[])["allowed_address_pairs"] == []
    same = [{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.9", "mac_address": port["mac_address"]}]
    neutron.no(400, "DuplicateAddressPairInRequest", "PUT", where, {"port": {"allowed_address_pairs": same}})
    for wrong in ([{}], [{"ip_address": "x"}], [{"ip_address": "10.0.0.9", "more": 1}], 7,
                  [{"ip_address": f"10.0.0.{n}"} for n in range(11)]):  # fmt: skip
        neutron.no(400, "HTTPBadRequest", "PUT", where, {"port": {"allowed_address_pairs": wrong}})
    body = {"port": {"port_security_enabled": False, "security_groups": [], "allowed_address_pairs": pairs}}
    neutron.no(409, "AddressPairAndPortSecurityRequired", "PUT", where, body)


def test_options_of_dhcp(neutron: Neutron) -> None:
    mine = neutron.network()
    wish = [{"opt_name": "bootfile-name", "opt_value": "x"}, {"opt_name": "mtu", "opt_value": None, "ip_version": 6}]
    port = neutron.port(mine, extra_dhcp_opts=wish)
    assert port["extra_dhcp_opts"] == [{"ip_version": 4, **wish[0]}, wish[1]]
    body = {"port": {"network_id": mine, "extra_dhcp_opts": [{"opt_name": "x"}]}}
    neutron.no(400, "HTTPBadRequest", "POST", "ports", body)


def test_on_a_shared_network_only_its_owner_chooses_addresses(neutron: Neutron) -> None:
    mine = neutron.network()
    subnet = neutron.subnet(mine)
    neutron.put("networks", mine, "admin", shared=True)
    for wish in (
        {"mac_address": "fa:16:3e:00:00:01"}, {"fixed_ips": [{"ip_address": "10.0.0.9"}]},
        {"port_security_enabled": False}, {"allowed_address_pairs": [{"ip_address": "10.0.0.9"}]},
        {"device_owner": "network:dhcp"}, {"binding:host_id": "h"}, {"binding:profile": {"a": 1}},
    ):  # fmt: skip
        neutron.no(403, "PolicyNotAuthorized", "POST", "ports", {"port": {"network_id": mine, **wish}}, "other")
    port = neutron.port(mine, "other", fixed_ips=[{"subnet_id": subnet["id"]}])
    assert neutron.get(f"ports/{port['id']}", "other")["id"] == port["id"]
    body = {"port": {"mac_address": "fa:16:3e:00:00:01"}}
    neutron.no(403, "PolicyNotAuthorized", "PUT", f"ports/{port['id']}", body, "other")
    neutron.no(404, "PortNotFound", "GET", f"ports/{neutron.port(mine)['id']}", who="other")
    assert neutron.get(f"ports/{port['id']}")["project_id"] == neutron.hosted.other_project


def test_ports_are_found_by_what_they_have(neutron: Neutron) -> None:
    mine = neutron.network()
    subnet = neutron.subnet(mine)
    one = neutron.port(mine, name="one", device_id="d", fixed_ips=[{"ip_address": "10.0.0.10"}])
    two = neutron.port(mine, name="two", security_groups=[], fixed_ips=[{"ip_address": "10.0.0.11"}])

    def names(query: str) -> list[str]:
        return sorted(name for name in neutron.names(f"ports?{query}") if name)

    assert names("fixed_ips=ip_address%3D10.0.0.10") == ["one"]
    assert names("fixed_ips=ip_address%3D10.0.0.10&fixed_ips=ip_address%3D10.0.0.11") == ["one", "two"]
    assert names("fixed_ips=ip_address_substr%3D0.1") == ["one", "two"]
    assert names("fixed_ips=ip_address_substr%3D0_1") == []
    assert names(f"fixed_ips=subnet_id%3D{subnet['id']}&fixed_ips=ip_address%3D10.0.0.11") == ["two"]
    assert names(f"security_groups={one['security_groups'][0]}") == ["one"]
    assert names(f"mac_address={two['mac_address']}") == ["two"]
    assert names("device_id=d") == ["one"]
    assert names("status=DOWN&admin_state_up=True") == ["one", "two"]
    assert names("name=one&name=two") == ["one", "two"]
    for wrong in ("fixed_ips=10.0.0.10", "fixed_ips=x%3D1", "nothing=1", "binding:host_id=x", "admin_state_up=x"):
        assert neutron.call("GET", f"ports?{wrong}").status == 400, wrong
    assert neutron.names("ports?binding:host_id=x", "admin") == []


def test_where_a_port_is_bound(neutron: Neutron) -> None:
    mine = neutron.network()
    neutron.subnet(mine)
    port = neutron.port(mine)
    bound = neutron.put("ports", port["id"], "admin", binding__host_id=neutron.core.host, device_owner="compute:x")
    assert (bound["binding:host_id"], bound["binding:vif_type"], bound["status"]) == (neutron.core.host, "tap", "BUILD")
    neutron.settle()
    assert neutron.get(f"ports/{port['id']}")["status"] == "ACTIVE"
    assert neutron.put("ports", port["id"], admin_state_up=False)["status"] == "DOWN"
    neutron.settle()
    assert neutron.part(mine).ports[0].up is False
    assert neutron.put("ports", port["id"], admin_state_up=True)["status"] == "BUILD"
    neutron.settle()
    assert neutron.get(f"ports/{port['id']}")["status"] == "ACTIVE"
    assert neutron.put("ports", port["id"], "admin", binding__host_id=None)["status"] == "DOWN"
    neutron.settle()
    assert neutron.part(mine) is None


def test_a_port_of_the_program_is_not_removed_directly(neutron: Neutron) -> None:
    mine = neutron.network()
    subnet = neutron.subnet(mine)
    router = neutron.make("routers")
    leg = neutron.join(router["id"], subnet["id"])["port_id"]
    assert "has device owner" in neutron.no(409, "ServicePortInUse", "DELETE", f"ports/{leg}")


def test_a_port_does_not_slip_into_anothers_device(neutron: Neutron) -> None:
    theirs = neutron.network("other")
    router = neutron.make("routers", "other")
    server = neutron.port(theirs, "other", device_id="their-server", device_owner="compute:nova")
    mine = neutron.network()
    for device in (router["id"], "their-server"):
        body = {"port": {"network_id": mine, "device_id": device}}
        neutron.no(409, "DeviceIDNotOwnedByTenant", "POST", "ports", body)
        body = {"port": {"device_id": device}}
        neutron.no(409, "DeviceIDNotOwnedByTenant", "PUT", f"ports/{neutron.port(mine)['id']}", body)
    for owner in ("network:router_interface", "network:dhcp", "network:floatingip", "network:router_gateway"):
        for who in ("member", "admin"):
            body = {"port": {"network_id": mine, "device_owner": owner}}
            neutron.no(400, "InvalidInput", "POST", "ports", body, who)
    subnet = neutron.subnet(mine)
    own = neutron.make("routers")
    leg = neutron.join(own["id"], subnet["id"])["port_id"]
    for other in ("x", ""):
        neutron.no(409, "ServicePortInUse", "PUT", f"ports/{leg}", {"port": {"device_id": other}})
    neutron.no(409, "ServicePortInUse", "PUT", f"ports/{leg}", {"port": {"device_owner": "compute:nova"}})
    assert neutron.put("ports", leg, device_id=own["id"], name="leg")["name"] == "leg"
    assert server["device_id"] == "their-server"


def test_the_owner_of_a_network_removes_ports_of_others(neutron: Neutron) -> None:
    mine = neutron.network()
    neutron.put("networks", mine, "admin", shared=True)
    port = neutron.port(mine, "other")
    neutron.no(404, "PortNotFound", "DELETE", f"ports/{neutron.port(mine)['id']}", who="other")
    neutron.no(403, "PolicyNotAuthorized", "PUT", f"ports/{port['id']}", {"port": {"name": "x"}})
    neutron.ok("DELETE", f"ports/{port['id']}")


def test_subnets_for_certain_ports(neutron: Neutron) -> None:
    mine = neutron.network()
    neutron.subnet(mine, "10.0.0.0/24")
    neutron.subnet(mine, "10.0.1.0/24", service_types=["compute:special"])
    assert neutron.ips(neutron.port(mine, device_owner="compute:special"))[0].startswith("10.0.1.")
    assert neutron.ips(neutron.port(mine))[0].startswith("10.0.0.")
