"""Lists: filters, order, pages, fields; tags; what the service tells of itself."""

from __future__ import annotations

import pytest

from tests.support.neutron import Neutron
from tests.unit.network.test_groups import kinds


def test_the_versions_need_no_credential(neutron: Neutron) -> None:
    answer = neutron.hosted.call("GET", "/network", None)
    assert answer.status == 200
    assert answer.json == {"versions": [{
        "id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": "http://cloud.test/network/v2.0/"}]
    }]}  # fmt: skip
    assert neutron.hosted.call("GET", "/network/", None).status == 200
    assert neutron.hosted.call("GET", "/network/v2.0/", None).status == 401
    names = {one["name"] for one in neutron.get("")}
    assert {"network", "subnet", "port", "router", "floatingip", "security_group"} <= names


def test_extensions_are_told_one_by_one(neutron: Neutron) -> None:
    every = neutron.get("extensions")
    assert {"router", "security-group", "standard-attr-tag", "extraroute-atomic"} <= {one["alias"] for one in every}
    for one in every:
        assert neutron.get(f"extensions/{one['alias']}") == one
    assert neutron.get("extensions?fields=alias")[0].keys() == {"alias"}
    neutron.no(404, "HTTPNotFound", "GET", "extensions/dvr")


def test_zones_providers_and_workers(neutron: Neutron) -> None:
    assert neutron.get("availability_zones?resource=router") == [
        {"name": "nova", "resource": "router", "state": "available"}
    ]
    assert neutron.get("service-providers")[0]["service_type"] == "L3_ROUTER_NAT"
    assert neutron.get("agents") == []
    assert neutron.get("agents", "admin") == []
    neutron.watch.turn()
    agents = neutron.get("agents", "admin")
    assert {one["agent_type"] for one in agents} == {
        "Open vSwitch agent", "DHCP agent", "L3 agent", "Metadata agent"
    }  # fmt: skip
    assert all(one["alive"] for one in agents)
    assert neutron.get(f"agents/{agents[0]['id']}", "admin") == agents[0]
    assert len(neutron.get("agents?agent_type=L3%20agent&alive=true", "admin")) == 1
    neutron.clock.advance(100)
    assert neutron.get("agents?alive=true", "admin") == []
    assert len(neutron.get("agents?alive=false", "admin")) == 4
    neutron.no(404, "AgentNotFound", "GET", "agents/x", who="admin")
    assert neutron.call("GET", "agents?nothing=1", who="admin").status == 400
    assert neutron.call("GET", "agents/x").status == 403


def test_pages_forward_and_back(neutron: Neutron) -> None:
    for name in "abcde":
        neutron.network(name=name)
    seen: list[str] = []
    path = "networks?limit=2&sort_key=name&sort_dir=desc"
    while path:
        body = neutron.call("GET", path).json
        seen += [one["name"] for one in body["networks"]]
        links = {link["rel"]: link["href"] for link in body.get("networks_links", [])}
        path = links.get("next", "").partition("/v2.0/")[2]
    assert seen == list("edcba")
    assert "next" not in links
    previous = links["previous"].partition("/v2.0/")[2]
    back = neutron.call("GET", previous).json
    assert [one["name"] for one in back["networks"]] == ["c", "b"]
    assert {link["rel"] for link in back["networks_links"]} == {"next", "previous"}
    first = neutron.call("GET", "networks?limit=2&sort_key=name&page_reverse=True").json
    assert [one["name"] for one in first["networks"]] == ["d", "e"]
    assert "networks_links" not in neutron.call("GET", "networks").json
    assert len(neutron.get("networks?limit=0")) == 5
    assert len(neutron.get("networks?limit=99999999")) == 5


def test_order_by_several_keys(neutron: Neutron) -> None:
    for name, mtu in (("b", 1300), ("a", 1400), ("b", 1400), ("a", 1300)):
        neutron.network(name=name, mtu=mtu)
    found = neutron.get("networks?sort_key=name&sort_dir=asc&sort_key=mtu&sort_dir=desc")
    assert [(one["name"], one["mtu"]) for one in found] == [("a", 1400), ("a", 1300), ("b", 1400), ("b", 1300)]
    page = neutron.get(
        f"networks?sort_key=name&sort_dir=asc&sort_key=mtu&sort_dir=desc&limit=2&marker={found[1]['id']}"
    )
    assert [one["id"] for one in page] == [one["id"] for one in found[2:]]
    assert neutron.get("networks?sort_key=created_at&sort_key=updated_at&sort_key=tenant_id&sort_key=admin_state_up")
    group = neutron.make("security-groups", name="g")
    for low in (1, 5):
        neutron.make("security-group-rules", security_group_id=group["id"], direction="ingress", protocol="tcp",
                     port_range_min=low, port_range_max=9)  # fmt: skip
    rules = neutron.get(f"security-group-rules?security_group_id={group['id']}&sort_key=port_range_min&limit=9")
    assert [rule["port_range_min"] for rule in rules] == [None, None, 1, 5]
    where = f"security-group-rules?security_group_id={group['id']}&sort_key=port_range_min&marker={rules[1]['id']}"
    assert [rule["port_range_min"] for rule in neutron.get(where)] == [1, 5]


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1", "limit=x", "marker=nothing", "sort_key=nothing", "sort_key=tags", "sort_dir=up&sort_key=name",
        "sort_key=name&sort_dir=asc&sort_dir=desc", "nothing=1", "mtu=x", "mtu=--5", "mtu=%C2%B2",
        "admin_state_up=perhaps", "changed_since=yesterday", "provider:network_type=vxlan", "subnets=x",
    ],
)  # fmt: skip
def test_lists_refuse_what_they_cannot_honour(neutron: Neutron, query: str) -> None:
    assert neutron.call("GET", f"networks?{query}").status == 400


def test_filters(neutron: Neutron) -> None:
    one = neutron.network(name="a", description="d", mtu=1300, admin_state_up=False)
    neutron.clock.advance(10)
    two = neutron.network(name="b", dns_domain="example.org.")
    ids = {"1": one, "2": two}

    def found(query: str) -> str:
        return "".join(sorted(k for k, v in ids.items() if v in [x["id"] for x in neutron.get(f"networks?{query}")]))

    assert found("name=a") == "1"
    assert found("name=a&name=b") == "12"
    assert found("name=a&mtu=1450") == ""
    assert found("mtu=1300&mtu=1450") == "12"
    assert found("admin_state_up=False") == "1"
    assert found("description=d&status=ACTIVE") == "1"
    assert found("dns_domain=example.org.") == "2"
    assert found(f"id={two}") == "2"
    assert found(f"tenant_id={neutron.hosted.project_id}") == "12"
    assert found("project_id=x") == ""
    assert found("changed_since=2026-01-01T00:00:05Z") == "2"
    assert found("changed_since=2026-01-01T00:00:05") == "2"
    assert found("revision_number=0") == "12"
    assert found("name=") == ""
    assert [one["id"] for one in neutron.get("networks?provider:network_type=vxlan", "admin")] != []


def test_tags_and_their_four_filters(neutron: Neutron) -> None:
    made = {name: neutron.network(name=name) for name in ("red", "both", "none")}
    for name, tags in (("red", ["red"]), ("both", ["red", "blue"])):
        assert neutron.ok("PUT", f"networks/{made[name]}/tags", {"tags": tags}) == sorted(tags)

    def found(query: str) -> set[str]:
        return set(neutron.names(f"networks?{query}"))

    assert found("tags=red,blue") == {"both"}
    assert found("tags=red") == {"red", "both"}
    assert found("tags-any=red,blue") == {"red", "both"}
    assert found("not-tags=red,blue") == {"red", "none"}
    assert found("not-tags-any=red,blue") == {"none"}
    assert neutron.get(f"networks/{made['both']}")["tags"] == ["blue", "red"]


def test_single_tags(neutron: Neutron) -> None:
    network = neutron.network()
    where = f"networks/{network}/tags"
    assert neutron.call("PUT", f"{where}/a").status == 201
    assert neutron.call("PUT", f"{where}/a").status == 201
    assert neutron.call("GET", f"{where}/a").status == 204
    assert neutron.get(where) == ["a"]
    assert neutron.get(f"networks/{network}")["revision_number"] == 2
    neutron.no(404, "TagNotFound", "GET", f"{where}/b")
    neutron.no(404, "TagNotFound", "DELETE", f"{where}/b")
    assert neutron.call("DELETE", f"{where}/a").status == 204
    neutron.ok("PUT", where, {"tags": ["x", "y"]})
    assert neutron.call("DELETE", where).status == 204
    assert neutron.get(where) == []
    neutron.no(404, "NetworkNotFound", "GET", "networks/x/tags")
    neutron.no(404, "NetworkNotFound", "PUT", where, {"tags": []}, "other")
    neutron.no(404, "HTTPNotFound", "GET", "security-group-rules/x/tags")
    neutron.no(404, "HTTPNotFound", "GET", "nothing/x/tags")
    for wrong in ({"tags": "x"}, {"tags": ["x", "x"]}, {"tags": ["x" * 61]}, {"tags": [1]}, {}):
        neutron.no(400, "HTTPBadRequest", "PUT", where, wrong)
    neutron.ok("PUT", where, {"tags": [f"t{n}" for n in range(50)]})
    neutron.no(400, "HTTPBadRequest", "PUT", f"{where}/more")
    group = neutron.make("security-groups", name="g")
    subnet = neutron.subnet(network)
    for plural, made in (("security-groups", group), ("subnets", subnet), ("ports", neutron.port(network)),
                         ("routers", neutron.make("routers"))):  # fmt: skip
        assert neutron.ok("PUT", f"{plural}/{made['id']}/tags", {"tags": ["z"]}) == ["z"]


def test_quotas(neutron: Neutron) -> None:
    project = neutron.hosted.project_id
    where = f"quotas/{project}"
    default = neutron.get(f"{where}/default")
    assert default["network"] == 100
    assert neutron.get(where) == default
    assert neutron.get("quotas", "admin") == []
    assert neutron.ok("PUT", where, {"quota": {"network": 2, "subnet": "-1"}}, "admin")["subnet"] == -1
    assert neutron.get(where)["network"] == 2
    (own,) = neutron.get("quotas", "admin")
    assert (own["project_id"], own["tenant_id"], own["network"]) == (project, project, 2)
    neutron.network()
    details = neutron.get(f"{where}/details.json")
    assert details["network"] == {"limit": 2, "used": 1, "reserved": 0}
    neutron.network()
    assert "network" in neutron.no(409, "OverQuota", "POST", "networks", {"network": {}})
    assert neutron.call("PUT", where, {"quota": {"network": 5}}).status == 403
    assert neutron.call("GET", f"quotas/{neutron.hosted.other_project}").status == 403
    for wrong in ({"network": "x"}, {"nothing": 1}, {"network": -2}, 7):
        neutron.no(400, "HTTPBadRequest", "PUT", where, {"quota": wrong}, "admin")
    neutron.no(404, "ProjectNotFound", "PUT", "quotas/nobody", {"quota": {"network": 1}}, "admin")
    low = {"quota": {"network": 1, "check_limit": True}}
    assert "below" in neutron.no(400, "HTTPBadRequest", "PUT", where, low, "admin")
    assert neutron.ok("PUT", where, {"quota": {"network": 1, "force": True}}, "admin")["network"] == 1
    neutron.ok("DELETE", where, who="admin")
    assert neutron.get(where) == default
    neutron.no(404, "TenantQuotaNotFound", "DELETE", where, who="admin")
    neutron.no(404, "TenantQuotaNotFound", "DELETE", "quotas/nobody", who="admin")


def test_subnets_from_pools(neutron: Neutron) -> None:
    pool = neutron.make("subnetpools", name="p", prefixes=["10.8.0.0/16", "10.9.0.0/16"], default_prefixlen=24)
    assert pool["prefixes"] == ["10.8.0.0/15"]
    assert (pool["ip_version"], pool["min_prefixlen"], pool["max_prefixlen"]) == (4, 8, 32)
    mine = neutron.network()
    one = neutron.make("subnets", network_id=mine, ip_version=4, subnetpool_id=pool["id"])
    assert (one["cidr"], one["subnetpool_id"]) == ("10.8.0.0/24", pool["id"])
    two = neutron.make("subnets", network_id=mine, ip_version=4, subnetpool_id=pool["id"], prefixlen=16)
    assert two["cidr"] == "10.9.0.0/16"
    three = neutron.make("subnets", network_id=mine, ip_version=4, subnetpool_id=pool["id"], cidr="10.8.7.0/24")
    assert three["cidr"] == "10.8.7.0/24"
    base = {"network_id": mine, "ip_version": 4, "subnetpool_id": pool["id"]}
    for kind, more in (
        ("SubnetAllocationError", {"cidr": "10.8.7.0/25"}), ("SubnetAllocationError", {"cidr": "10.50.0.0/24"}),
        ("SubnetAllocationError", {"prefixlen": 15}), ("InvalidInput", {"ip_version": 6}),
    ):  # fmt: skip
        neutron.no(400, kind, "POST", "subnets", {"subnet": base | more})
    where = f"subnetpools/{pool['id']}"
    neutron.no(400, "SubnetPoolDeleteError", "DELETE", where)
    neutron.no(400, "IllegalSubnetPoolUpdate", "PUT", where, {"subnetpool": {"prefixes": ["10.8.0.0/16"]}})
    bigger = neutron.put("subnetpools", pool["id"], prefixes=["10.8.0.0/14"], name="q", max_prefixlen=28)
    assert (bigger["prefixes"], bigger["name"], bigger["max_prefixlen"]) == (["10.8.0.0/14"], "q", 28)
    neutron.no(400, "MaxPrefixSubnetAllocationError", "POST", "subnets", {"subnet": base | {"prefixlen": 29}})
    neutron.put("subnetpools", pool["id"], min_prefixlen=16)
    neutron.no(400, "MinPrefixSubnetAllocationError", "POST", "subnets", {"subnet": base | {"prefixlen": 15}})
    assert neutron.ok("PUT", f"{where}/add_prefixes", {"prefixes": ["10.20.0.0/16"]}) == ["10.8.0.0/14", "10.20.0.0/16"]
    assert neutron.ok("PUT", f"{where}/remove_prefixes", {"prefixes": ["10.20.0.0/16"]}) == ["10.8.0.0/14"]
    neutron.no(409, "IllegalSubnetPoolPrefixRemoval", "PUT", f"{where}/remove_prefixes", {"prefixes": ["10.8.0.0/14"]})
    neutron.ok("DELETE", f"networks/{mine}")
    neutron.ok("DELETE", where)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("EmptySubnetPoolPrefixList", {"prefixes": []}),
        ("PrefixVersionMismatch", {"prefixes": ["10.0.0.0/8", "fd00::/48"]}),
        ("IllegalSubnetPoolPrefixBounds", {"prefixes": ["10.0.0.0/8"], "min_prefixlen": 25, "max_prefixlen": 24}),
        ("IllegalSubnetPoolPrefixBounds", {"prefixes": ["10.0.0.0/8"], "max_prefixlen": 33}),
        ("HTTPBadRequest", {"prefixes": ["10.0.0.0/33"]}),
        ("HTTPBadRequest", {}),
    ],
)
def test_pools_that_cannot_be(neutron: Neutron, kind: str, values: dict[str, object]) -> None:
    neutron.no(400, kind, "POST", "subnetpools", {"subnetpool": {"name": "p", **values}})


def test_default_pools_and_scopes(neutron: Neutron) -> None:
    scope = neutron.make("address-scopes", "admin", name="s", ip_version=6)
    assert set(scope) == {"id", "name", "project_id", "tenant_id", "ip_version", "shared"}
    pool = neutron.make("subnetpools", "admin", name="p", prefixes=["fd00::/48"], is_default=True, shared=True,
                        address_scope_id=scope["id"])  # fmt: skip
    assert (pool["min_prefixlen"], pool["default_prefixlen"], pool["max_prefixlen"]) == (64, 64, 128)
    body = {"subnetpool": {"name": "q", "prefixes": ["fd01::/48"], "is_default": True}}
    neutron.no(400, "InvalidInput", "POST", "subnetpools", body, "admin")
    neutron.no(403, "PolicyNotAuthorized", "POST", "subnetpools", body)
    assert neutron.names("subnetpools?shared=true") == ["p"]
    neutron.no(403, "PolicyNotAuthorized", "PUT", f"subnetpools/{pool['id']}", {"subnetpool": {"name": "x"}})
    mine = neutron.network()
    made = neutron.make("subnets", network_id=mine, ip_version=6, use_default_subnetpool=True)
    assert made["cidr"] == "fd00::/64"
    assert neutron.get(f"networks/{mine}")["ipv6_address_scope"] == scope["id"]
    neutron.no(409, "AddressScopeInUse", "DELETE", f"address-scopes/{scope['id']}", who="admin")
    kind = "IllegalSubnetPoolIpVersionAssociationToAddressScope"
    body = {"subnetpool": {"name": "r", "prefixes": ["10.0.0.0/8"], "address_scope_id": scope["id"]}}
    neutron.no(400, kind, "POST", "subnetpools", body, "admin")
    neutron.no(404, "AddressScopeNotFound", "POST", "subnetpools", body)
    assert neutron.put("address-scopes", scope["id"], "admin", shared=True)["shared"] is True
    neutron.no(403, "PolicyNotAuthorized", "POST", "subnetpools", body)
    body = {"address_scope": {"shared": False}}
    neutron.no(400, "AddressScopeUpdateError", "PUT", f"address-scopes/{scope['id']}", body, "admin")
    neutron.no(400, "HTTPBadRequest", "POST", "address-scopes", {"address_scope": {"ip_version": 5}})
    assert neutron.put("subnetpools", pool["id"], "admin", address_scope_id=None)["address_scope_id"] is None
    neutron.ok("DELETE", f"address-scopes/{scope['id']}", who="admin")


def test_policies_show_networks_to_others(neutron: Neutron) -> None:
    mine, other = neutron.network(), neutron.hosted.other_project
    wish = {"object_type": "network", "object_id": mine, "action": "access_as_shared", "target_tenant": other}
    made = neutron.make("rbac-policies", **wish)
    assert set(made) == {"id", "project_id", "tenant_id", *wish}
    neutron.no(409, "DuplicateRbacPolicy", "POST", "rbac-policies", {"rbac_policy": wish})
    assert neutron.get(f"networks/{mine}", "other")["shared"] is True
    assert neutron.get(f"networks/{mine}")["shared"] is False
    port = neutron.port(mine, "other")
    where = f"rbac-policies/{made['id']}"
    neutron.no(409, "RbacPolicyInUse", "DELETE", where)
    neutron.no(409, "RbacPolicyInUse", "PUT", where, {"rbac_policy": {"target_tenant": neutron.hosted.project_id}})
    neutron.ok("DELETE", f"ports/{port['id']}", who="other")
    neutron.no(403, "PolicyNotAuthorized", "POST", "rbac-policies", {"rbac_policy": wish | {"target_tenant": "*"}})
    neutron.no(403, "PolicyNotAuthorized", "PUT", where, {"rbac_policy": {"target_tenant": "*"}})
    neutron.no(400, "HTTPBadRequest", "POST", "rbac-policies", {"rbac_policy": wish | {"target_tenant": "nobody"}})
    neutron.no(400, "HTTPBadRequest", "POST", "rbac-policies", {"rbac_policy": wish | {"object_type": "qos_policy"}})
    neutron.no(404, "NetworkNotFound", "POST", "rbac-policies", {"rbac_policy": wish | {"object_id": "x"}})
    foreign = neutron.network("other")
    neutron.no(404, "NetworkNotFound", "POST", "rbac-policies", {"rbac_policy": wish | {"object_id": foreign}})
    assert neutron.put("rbac-policies", made["id"], "admin", target_tenant="*")["target_tenant"] == "*"
    assert neutron.get(f"networks/{mine}", "other")["shared"] is True
    port = neutron.port(mine, "other")
    neutron.no(409, "RbacPolicyInUse", "DELETE", where, who="admin")
    neutron.ok("DELETE", f"ports/{port['id']}", who="other")
    neutron.no(404, "RbacPolicyNotFound", "GET", where, who="other")
    neutron.ok("DELETE", where)
    neutron.no(404, "NetworkNotFound", "GET", f"networks/{mine}", who="other")


def test_who_reads_anothers_leaves_the_event_with_the_owner(neutron: Neutron) -> None:
    mine = neutron.network()
    answer = neutron.call("GET", f"networks/{mine}", who="admin")
    rows = neutron.db.all("SELECT tenant, body FROM audit_event ORDER BY id DESC LIMIT 1")
    assert rows[0][0] == neutron.hosted.project_id
    assert b'"purpose":"OPERATOR_REVIEW"' in bytes(rows[0][1])
    assert answer.headers["x-openstack-request-id"].encode() in bytes(rows[0][1])
    count = neutron.db.one("SELECT count(*) FROM audit_event")
    neutron.get("extensions")
    assert neutron.db.one("SELECT count(*) FROM audit_event") == count


def test_the_default_group_is_the_callers(neutron: Neutron) -> None:
    (mine,), (others,) = neutron.get("security-groups"), neutron.get("security-groups", "other")
    assert mine["id"] != others["id"]
    assert kinds(mine) == kinds(others)
    assert len(neutron.get("security-groups", "admin")) == 3
