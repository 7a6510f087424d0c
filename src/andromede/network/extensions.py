"""What this service offers beyond its core, by the names that clients know."""

from __future__ import annotations

from typing import Any

UPDATED = "2026-11-28T00:00:00-00:00"
EXTENSIONS: dict[str, tuple[str, str]] = {
    "address-group": ("Address group", "Ranges under one name, for rules of security groups."),
    "address-scope": ("Address scope", "Address scopes of subnet pools."),
    "agent": ("agent", "The workers of hosts."),
    "allowed-address-pairs": ("Allowed Address Pairs", "More addresses that a port may send from."),
    "availability_zone": ("Availability Zone", "The availability zones."),
    "binding": ("Port Binding", "Where ports are bound, for administrators."),
    "default-subnetpools": ("Default Subnetpools", "Subnets from the default pool."),
    "dns-integration": ("DNS Integration", "DNS names of ports."),
    "ext-gw-mode": ("Neutron L3 Configurable external gateway mode", "Routers with and without SNAT."),
    "external-net": ("Neutron external network", "Networks outside."),
    "expose-port-forwarding-in-fip": ("Expose Port Forwarding in FIP", "Floating IPs tell what they forward."),
    "extra_dhcp_opt": ("Neutron Extra DHCP options", "DHCP options of a port."),
    "extraroute": ("Neutron Extra Route", "Static routes of routers."),
    "extraroute-atomic": ("Atomically add/remove extra routes", "One route at a time."),
    "filter-validation": ("Filter parameters validation", "Unknown filters are refused."),
    "fip-port-details": ("Floating IP Port Details Extension", "Floating IPs tell about their port."),
    "floating-ip-port-forwarding": ("Floating IP Port Forwarding", "Single ports of a floating IP."),
    "floating-ip-port-forwarding-description": ("Floating IP Port Forwarding Description", "Described forwardings."),
    "floating-ip-port-forwarding-port-ranges": ("Floating IP Port Forwarding support range ports", "Ranges of ports."),
    "ip-substring-filtering": ("IP address substring filtering", "Ports by a part of their address."),
    "net-mtu": ("Network MTU", "The MTU of networks."),
    "net-mtu-writable": ("Network MTU (writable)", "The MTU of networks can be chosen."),
    "network_availability_zone": ("Network Availability Zone", "Zones of networks."),
    "network-ip-availability": ("Network IP Availability", "How many addresses are free."),
    "pagination": ("Pagination support", "Lists in pages."),
    "port-security": ("Port Security", "Ports with and without filters."),
    "project-id": ("project_id field enabled", "project_id is what was tenant_id."),
    "provider": ("Provider Network", "How networks are carried."),
    "quota_details": ("Quota details management support", "Quotas with what is used of them."),
    "quotas": ("Quota management support", "Quotas of projects."),
    "rbac-address-group": ("Add address_group type to RBAC", "Address groups shown to other projects."),
    "rbac-policies": ("RBAC Policies", "Networks shown to other projects."),
    "rbac-security-groups": ("Add security_group type to network RBAC", "Security groups shown to other projects."),
    "revision-if-match": ("If-Match constraints based on revision_number", "Changes of a known revision only."),
    "router": ("Neutron L3 Router", "Routers and floating IPs."),
    "router_availability_zone": ("Router Availability Zone", "Zones of routers."),
    "security-group": ("security-group", "Security groups."),
    "security-groups-default-rules": ("Default rules for security groups", "What new security groups let through."),
    "security-groups-normalized-cidr": ("Normalized CIDR field for security group rules", "Ranges in their form."),
    "security-groups-remote-address-group": ("Remote address group id field for rules", "Address groups in rules."),
    "security-groups-rules-belongs-to-default-sg": ("Rule belongs to the project default security group", "Told."),
    "security-groups-shared-filtering": ("Security group filtering on the shared field", "Shared groups are told."),
    "service-type": ("Neutron Service Type Management", "Providers of services."),
    "sorting": ("Sorting support", "Lists in an order."),
    "standard-attr-description": ("standard-attr-description", "Everything can be described."),
    "standard-attr-revisions": ("Resource revision numbers", "Revisions of everything."),
    "standard-attr-tag": ("Tag support for resources with standard attribute", "Tags on everything."),
    "standard-attr-timestamp": ("Resource timestamps", "When things were made and changed."),
    "stateful-security-group": ("Stateful security group", "Groups that remember connections or do not."),
    "subnet_allocation": ("Subnet Allocation", "Subnets from pools."),
    "subnet-dns-publish-fixed-ip": ("Subnet DNS publish fixed IP", "The wish to publish addresses is kept."),
    "subnet-service-types": ("Subnet service types", "Subnets for certain ports."),
    "subnetpool-prefix-ops": ("Subnet Pool Prefix Operations", "Single prefixes of pools."),
}  # fmt: skip


def shown(alias: str) -> dict[str, Any]:
    """One extension."""
    name, text = EXTENSIONS[alias]
    return {"name": name, "alias": alias, "description": text, "updated": UPDATED, "links": []}
