"""Who may do what in the network service, after Neutron's default policies. What a caller may see or change of
others' objects is decided with the row: 404 for what it may not see, 403 for what it may only see."""

from __future__ import annotations

from andromede.web.access import AccessTable, Grant

ANYONE = Grant("public")
ADMIN = Grant("cloud", "admin")
READER = Grant("project", "reader", "what it owns, what is shared with it, external networks")
MEMBER = Grant("project", "member", "what it owns")

RESOURCES = {
    "network": "networks", "subnet": "subnets", "port": "ports", "router": "routers", "floatingip": "floatingips",
    "security_group": "security_groups", "security_group_rule": "security_group_rules",
    "default_security_group_rule": "default_security_group_rules", "address_group": "address_groups",
    "subnetpool": "subnetpools", "address_scope": "address_scopes", "rbac_policy": "rbac_policies",
    "port_forwarding": "port_forwardings",
}  # fmt: skip
UNCHANGING = ("security_group_rule", "default_security_group_rule")


def _resources() -> dict[str, tuple[Grant, ...]]:
    rules: dict[str, tuple[Grant, ...]] = {}
    for one, plural in RESOURCES.items():
        write = (ADMIN,) if one == "default_security_group_rule" else (ADMIN, MEMBER)
        rules[f"network:create_{one}"] = rules[f"network:delete_{one}"] = write
        if one not in UNCHANGING:
            rules[f"network:update_{one}"] = write
        rules[f"network:get_{one}"] = rules[f"network:list_{plural}"] = (ADMIN, READER)
    return rules


def _each(grants: tuple[Grant, ...], names: str) -> dict[str, tuple[Grant, ...]]:
    return {f"network:{name}": grants for name in names.split()}


TABLE = AccessTable(
    {
        **_each((ANYONE,), "list_versions"),
        **_resources(),
        **_each((ADMIN, MEMBER), "add_router_interface remove_router_interface add_extraroutes remove_extraroutes"),
        **_each((ADMIN, MEMBER), "add_prefixes remove_prefixes add_addresses remove_addresses"),
        **_each((ADMIN, MEMBER), "set_tag set_tags delete_tag delete_tags"),
        **_each((ADMIN, READER), "get_tag list_tags"),
        **_each((ADMIN, READER), "get_quota get_default_quota get_quota_details"),
        **_each((ADMIN,), "list_quotas update_quota delete_quota"),
        **_each((ADMIN, READER), "list_agents"),
        **_each((ADMIN,), "get_agent list_network_ip_availabilities get_network_ip_availability"),
        **_each((ADMIN, READER), "list_resources list_extensions get_extension list_availability_zones"),
        **_each((ADMIN, READER), "list_service_providers"),
    }
)
