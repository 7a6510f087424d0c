"""Security groups, their rules, the rules that new groups get, address groups."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.neutron import Neutron

GROUP = {
    "id", "name", "description", "tenant_id", "project_id", "stateful", "shared", "security_group_rules", "tags",
    "created_at", "updated_at", "revision_number",
}  # fmt: skip
RULE = {
    "id", "description", "tenant_id", "project_id", "security_group_id", "direction", "ethertype", "protocol",
    "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id", "remote_address_group_id",
    "normalized_cidr", "belongs_to_default_sg", "created_at", "updated_at", "revision_number",
}  # fmt: skip


def kinds(group: dict[str, Any]) -> set[tuple[str, str, bool]]:
    """(direction, ethertype, whether it names the group itself) of a group's rules."""
    return {
        (rule["direction"], rule["ethertype"], rule["remote_group_id"] == group["id"])
        for rule in group["security_group_rules"]
    }


def test_a_project_has_a_default_group_once_it_looks(neutron: Neutron) -> None:
    (group,) = neutron.get("security-groups")
    assert set(group) == GROUP
    assert group["name"] == "default"
    assert kinds(group) == {
        ("egress", "IPv4", False), ("egress", "IPv6", False), ("ingress", "IPv4", True), ("ingress", "IPv6", True)
    }  # fmt: skip
    assert len(neutron.get("security-groups")) == 1
    rule = group["security_group_rules"][0]
    assert set(rule) == RULE
    assert rule["belongs_to_default_sg"] is True
    assert neutron.get(f"security-group-rules/{rule['id']}") == rule
    assert neutron.get("security-group-rules?belongs_to_default_sg=False") == []
    assert len(neutron.get("security-group-rules?belongs_to_default_sg=True")) == 4
    where = f"security-groups/{group['id']}"
    neutron.no(409, "SecurityGroupCannotRemoveDefault", "DELETE", where)
    neutron.no(409, "SecurityGroupCannotUpdateDefault", "PUT", where, {"security_group": {"name": "x"}})
    assert neutron.put("security-groups", group["id"], description="mine")["description"] == "mine"
    neutron.no(
        409, "SecurityGroupDefaultAlreadyExists", "POST", "security-groups", {"security_group": {"name": "default"}}
    )
    neutron.ok("DELETE", where, who="admin")


def test_a_group_of_ones_own(neutron: Neutron) -> None:
    group = neutron.make("security-groups", name="web", description="d")
    assert kinds(group) == {("egress", "IPv4", False), ("egress", "IPv6", False)}
    assert neutron.put("security-groups", group["id"], name="www")["name"] == "www"
    where = f"security-groups/{group['id']}"
    neutron.no(409, "SecurityGroupDefaultAlreadyExists", "PUT", where, {"security_group": {"name": "default"}})
    neutron.no(404, "SecurityGroupNotFound", "GET", where, who="other")
    port = neutron.port(neutron.network(), security_groups=[group["id"]])
    neutron.no(409, "SecurityGroupInUse", "DELETE", where)
    neutron.no(409, "SecurityGroupInUse", "PUT", where, {"security_group": {"stateful": False}})
    neutron.ok("DELETE", f"ports/{port['id']}")
    assert neutron.put("security-groups", group["id"], stateful=False)["stateful"] is False
    neutron.ok("DELETE", where)
    assert [rule for rule in neutron.get("security-group-rules") if rule["security_group_id"] == group["id"]] == []


def rule(neutron: Neutron, group_id: str, **values: Any) -> dict[str, Any]:
    return neutron.make("security-group-rules", security_group_id=group_id, **{"direction": "ingress", **values})


@pytest.mark.parametrize(
    ("wish", "shown"),
    [
        ({}, {"ethertype": "IPv4", "protocol": None}),
        ({"protocol": "TCP", "port_range_min": "22", "port_range_max": 22}, {"protocol": "tcp", "port_range_min": 22}),
        ({"protocol": 6}, {"protocol": "6"}),
        ({"protocol": "any"}, {"protocol": None}),
        ({"protocol": "icmp", "port_range_min": 8, "port_range_max": 0}, {"port_range_min": 8, "port_range_max": 0}),
        ({"protocol": "icmp", "ethertype": "ipv6"}, {"protocol": "ipv6-icmp", "ethertype": "IPv6"}),
        ({"protocol": "icmp", "port_range_min": 8}, {"port_range_max": None}),
        ({"remote_ip_prefix": "10.0.0.9/24"}, {"remote_ip_prefix": "10.0.0.0/24", "normalized_cidr": "10.0.0.0/24"}),
        ({"remote_ip_prefix": "10.0.0.9"}, {"remote_ip_prefix": "10.0.0.9/32"}),
        ({"protocol": "vrrp"}, {"protocol": "vrrp"}),
        ({"protocol": 0}, {"protocol": "0"}),
    ],
)  # fmt: skip
def test_what_a_rule_may_say(neutron: Neutron, wish: dict[str, Any], shown: dict[str, Any]) -> None:
    group = neutron.make("security-groups", name="g")
    made = rule(neutron, group["id"], **wish)
    assert {name: made[name] for name in shown} == shown
    assert neutron.get(f"security-group-rules/{made['id']}") == made
    assert "already exists" in neutron.no(
        409, "SecurityGroupRuleExists", "POST", "security-group-rules",
        {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress", **wish}},
    )  # fmt: skip
    neutron.ok("DELETE", f"security-group-rules/{made['id']}")
    neutron.no(404, "SecurityGroupRuleNotFound", "DELETE", f"security-group-rules/{made['id']}")


@pytest.mark.parametrize(
    ("kind", "wish"),
    [
        ("SecurityGroupRuleInvalidProtocol", {"protocol": "bad"}),
        ("SecurityGroupRuleInvalidProtocol", {"protocol": 256}),
        ("SecurityGroupRuleInvalidProtocol", {"protocol": [1]}),
        ("SecurityGroupRuleInvalidProtocol", {"protocol": True}),
        ("SecurityGroupRuleInvalidEtherType", {"ethertype": "IPv5"}),
        ("SecurityGroupEthertypeConflictWithProtocol", {"protocol": "ipv6-icmp", "ethertype": "IPv4"}),
        ("SecurityGroupInvalidPortRange", {"protocol": "tcp", "port_range_min": 80, "port_range_max": 79}),
        ("SecurityGroupInvalidPortRange", {"protocol": "tcp", "port_range_max": 79}),
        ("SecurityGroupInvalidPortRange", {"protocol": "udp", "port_range_min": 79}),
        ("SecurityGroupInvalidPortValue", {"protocol": "tcp", "port_range_min": -16, "port_range_max": 79}),
        ("SecurityGroupInvalidPortValue", {"protocol": "tcp", "port_range_min": "x", "port_range_max": 79}),
        ("SecurityGroupInvalidPortValue", {"protocol": "tcp", "port_range_min": True, "port_range_max": 79}),
        ("SecurityGroupInvalidIcmpValue", {"protocol": "icmp", "port_range_min": 300}),
        ("SecurityGroupMissingIcmpType", {"protocol": "icmp", "port_range_max": 3}),
        ("SecurityGroupProtocolRequiredWithPorts", {"port_range_min": 1, "port_range_max": 2}),
        ("SecurityGroupInvalidProtocolForPort", {"protocol": "esp", "port_range_min": 1, "port_range_max": 2}),
        ("SecurityGroupRuleParameterConflict", {"ethertype": "IPv6", "remote_ip_prefix": "10.0.0.0/8"}),
        ("SecurityGroupMultipleRemoteEntites", {"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "x"}),
        ("HTTPBadRequest", {"remote_ip_prefix": "10.0.0.0/33"}),
        ("HTTPBadRequest", {"ethertype": "IPv6", "remote_ip_prefix": "fd00::%x accept\nadd/64"}),
        ("HTTPBadRequest", {"ethertype": "IPv6", "remote_ip_prefix": "fd00::1%x accept\nadd"}),
        ("HTTPBadRequest", {"direction": "sideways"}),
        ("HTTPBadRequest", {"more": 1}),
    ],
)  # fmt: skip
def test_what_a_rule_may_not_say(neutron: Neutron, kind: str, wish: dict[str, Any]) -> None:
    group = neutron.make("security-groups", name="g")
    body = {"security_group_id": group["id"], "direction": "ingress", **wish}
    neutron.no(400, kind, "POST", "security-group-rules", {"security_group_rule": body})
    assert len(neutron.get(f"security-groups/{group['id']}")["security_group_rules"]) == 2


def test_whole_ranges_are_the_same_as_none(neutron: Neutron) -> None:
    group = neutron.make("security-groups", name="g")
    rule(neutron, group["id"])
    body = {"security_group_id": group["id"], "direction": "ingress", "remote_ip_prefix": "0.0.0.0/0"}
    neutron.no(409, "SecurityGroupRuleExists", "POST", "security-group-rules", {"security_group_rule": body})


def test_rules_name_groups_that_one_sees(neutron: Neutron) -> None:
    mine, foreign = neutron.make("security-groups", name="g"), neutron.make("security-groups", "other", name="f")
    base = {"security_group_id": mine["id"], "direction": "ingress"}
    for remote in ("nothing", foreign["id"]):
        body = {"security_group_rule": base | {"remote_group_id": remote}}
        neutron.no(404, "SecurityGroupNotFound", "POST", "security-group-rules", body)
    body = {"security_group_rule": base | {"remote_address_group_id": "nothing"}}
    neutron.no(404, "AddressGroupNotFound", "POST", "security-group-rules", body)
    body = {"security_group_rule": {"security_group_id": foreign["id"], "direction": "ingress"}}
    neutron.no(404, "SecurityGroupNotFound", "POST", "security-group-rules", body)
    named = rule(neutron, mine["id"], remote_group_id=neutron.make("security-groups", name="h")["id"])
    neutron.ok("DELETE", f"security-groups/{named['remote_group_id']}")
    neutron.no(404, "SecurityGroupRuleNotFound", "GET", f"security-group-rules/{named['id']}")
    neutron.no(404, "SecurityGroupRuleNotFound", "DELETE", f"security-group-rules/{named['id']}", who="other")


def test_a_shared_group_is_used_and_not_changed(neutron: Neutron) -> None:
    group = neutron.make("security-groups", name="g")
    wish = {"object_type": "security_group", "object_id": group["id"], "action": "access_as_shared",
            "target_tenant": neutron.hosted.other_project}  # fmt: skip
    neutron.make("rbac-policies", **wish)
    assert neutron.get(f"security-groups/{group['id']}", "other")["shared"] is True
    assert neutron.names("security-groups?shared=true", "other") == ["g"]
    assert neutron.names("security-groups?shared=false", "other") == ["default"]
    assert neutron.get("address-groups?shared=true", "other") == []
    body = {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress"}}
    neutron.no(403, "PolicyNotAuthorized", "POST", "security-group-rules", body, "other")
    port = neutron.port(neutron.network("other"), "other", security_groups=[group["id"]])
    assert port["security_groups"] == [group["id"]]


def test_rules_that_new_groups_get(neutron: Neutron) -> None:
    rules = neutron.get("default-security-group-rules")
    assert len(rules) == 4
    assert set(rules[0]) == {
        "id", "description", "direction", "ethertype", "protocol", "port_range_min", "port_range_max",
        "remote_ip_prefix", "remote_group_id", "remote_address_group_id", "used_in_default_sg",
        "used_in_non_default_sg",
    }  # fmt: skip
    for one in rules:  # SCS-0115
        if one["direction"] == "ingress":
            assert (one["remote_group_id"], one["used_in_non_default_sg"]) == ("PARENT", False)
        else:
            assert one["remote_ip_prefix"] is None
            assert one["used_in_default_sg"] and one["used_in_non_default_sg"]
    wish = {"direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
    body = {"default_security_group_rule": wish}
    neutron.no(403, "PolicyNotAuthorized", "POST", "default-security-group-rules", body)
    made = neutron.make("default-security-group-rules", "admin", **wish)
    assert neutron.get(f"default-security-group-rules/{made['id']}") == made
    neutron.no(409, "DefaultSecurityGroupRuleExists", "POST", "default-security-group-rules", body, "admin")
    body = {"default_security_group_rule": {"direction": "ingress", "remote_group_id": "nothing"}}
    neutron.no(404, "SecurityGroupNotFound", "POST", "default-security-group-rules", body, "admin")
    group = neutron.make("security-groups", name="g")
    assert len(group["security_group_rules"]) == 3
    assert len(neutron.get("default-security-group-rules?used_in_non_default_sg=true")) == 3
    assert neutron.call("DELETE", f"default-security-group-rules/{made['id']}").status == 403
    neutron.ok("DELETE", f"default-security-group-rules/{made['id']}", who="admin")
    assert len(neutron.make("security-groups", name="h")["security_group_rules"]) == 2


def test_new_groups_name_nothing_that_is_gone(neutron: Neutron) -> None:
    """The rules of a group that names what there is not could be loaded by no network."""
    gone = neutron.make("security-groups", "admin", name="gone")["id"]
    held = neutron.make("address-groups", "admin", name="held", addresses=["192.0.2.0/24"])["id"]
    rules = "default-security-group-rules"
    body = {"default_security_group_rule": {"direction": "ingress", "remote_address_group_id": "nothing"}}
    neutron.no(404, "AddressGroupNotFound", "POST", rules, body, "admin")
    neutron.make(rules, "admin", direction="ingress", remote_group_id=gone)
    kept = neutron.make(rules, "admin", direction="ingress", remote_address_group_id=held)["id"]
    neutron.ok("DELETE", f"security-groups/{gone}", who="admin")
    assert [one for one in neutron.get(rules) if one["remote_group_id"] == gone] == []
    neutron.no(409, "AddressGroupInUse", "DELETE", f"address-groups/{held}", who="admin")
    network = neutron.network()
    neutron.subnet(network)
    group = neutron.make("security-groups", name="new")
    port = neutron.guest(network, security_groups=[group["id"]])
    neutron.settle()
    assert neutron.get(f"ports/{port['id']}")["status"] == "ACTIVE"
    neutron.ok("DELETE", f"{rules}/{kept}", who="admin")


def test_address_groups(neutron: Neutron) -> None:
    made = neutron.make("address-groups", name="a", addresses=["10.0.0.1/32", "fd00::/64"])
    assert made["addresses"] == ["10.0.0.1/32", "fd00::/64"]
    where = f"address-groups/{made['id']}"
    more = neutron.ok("PUT", f"{where}/add_addresses", {"addresses": ["10.1.0.0/16"]})
    assert more["addresses"] == ["10.0.0.1/32", "fd00::/64", "10.1.0.0/16"]
    neutron.no(409, "AddressesAlreadyExist", "PUT", f"{where}/add_addresses", {"addresses": ["10.1.0.0/16"]})
    less = neutron.ok("PUT", f"{where}/remove_addresses", {"addresses": ["fd00::/64"]})
    assert less["addresses"] == ["10.0.0.1/32", "10.1.0.0/16"]
    neutron.no(404, "AddressesNotFound", "PUT", f"{where}/remove_addresses", {"addresses": ["fd00::/64"]})
    for wrong in (
        {},
        {"addresses": []},
        {"addresses": ["x"]},
        {"addresses": ["10.0.0.0/8"], "more": 1},
        {"addresses": ["fd00::1%x"]},
    ):
        neutron.no(400, "HTTPBadRequest", "PUT", f"{where}/add_addresses", wrong)
    assert neutron.put("address-groups", made["id"], name="b")["name"] == "b"
    neutron.no(400, "HTTPBadRequest", "PUT", where, {"address_group": {"addresses": []}})
    group = neutron.make("security-groups", name="g")
    named = rule(neutron, group["id"], remote_address_group_id=made["id"])
    neutron.no(409, "AddressGroupInUse", "DELETE", where)
    neutron.ok("DELETE", f"security-group-rules/{named['id']}")
    neutron.ok("DELETE", where)
    assert neutron.get("address-groups") == []
