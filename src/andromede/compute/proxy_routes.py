"""What Nova passed on to the network service until 2.35: security groups, floating IPs, networks."""

from __future__ import annotations

from typing import Any

from andromede.compute.checks import Fields, is_uuid
from andromede.compute.core import is_admin, own_project, project_of
from andromede.compute.neighbours import GroupFacts
from andromede.compute.proxy_views import rule, security_group
from andromede.compute.service import Compute
from andromede.errors import Conflict, Error, Invalid, NotFound
from andromede.web.call import Call
from andromede.web.routes import Routes

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]
TO35 = (None, (2, 35))
SG = "/v2.1/os-security-groups"
RULES = "/v2.1/os-security-group-rules"
FIP = "/v2.1/os-floating-ips"


def _network(call: ComputeCall, method: str, path: str, body: Any = None, **query: str) -> Any:
    try:
        return call.services.core.network(call, method, f"/v2.0/{path}", body, tuple(query.items()))
    except Conflict as error:
        raise Invalid(error.public, error.reason) from error


# --- security groups


def _group(row: Body) -> GroupFacts:
    rules = tuple(row.get("security_group_rules") or ())
    return GroupFacts(row["id"], row["name"], row.get("description") or "", row["project_id"], rules)


def _groups(call: ComputeCall) -> list[GroupFacts]:
    every = is_admin(call) and call.query.flag("all_tenants")
    whose = {} if every else {"project_id": project_of(call)}
    listed = _network(call, "GET", "security-groups", **whose)["security_groups"]
    return [_group(row) for row in listed]


def _names(call: ComputeCall) -> dict[str, str]:
    return {group.id: group.name for group in _groups(call)}


def _one(call: ComputeCall, group_id: str) -> GroupFacts:
    try:
        return _group(_network(call, "GET", f"security-groups/{group_id}")["security_group"])
    except NotFound as error:
        raise NotFound(f"Security group {group_id} not found.", "security_group") from error


@routes.add("GET", SG, "compute:proxy_read", target=own_project, versions=TO35)
def list_groups(call: ComputeCall) -> Body:
    """The project's security groups."""
    found = _groups(call)
    names = {group.id: group.name for group in found}
    start, limit = call.integer("offset", 0, 10**9) or 0, call.integer("limit", 0, 10**9)
    found = sorted(found, key=lambda group: (group.project_id, group.name))[start:]
    return {"security_groups": [security_group(group, names) for group in found[:limit]]}


@routes.add("GET", SG + "/{group_id}", "compute:proxy_read", target=own_project, versions=TO35)
def show_group(call: ComputeCall) -> Body:
    """One of them."""
    return {"security_group": security_group(_one(call, call.params["group_id"]), _names(call))}


def _named(fields: Fields) -> Body:
    fields.only("name", "description")
    fields.need("name", "description")
    name = fields.text("name", 1, 255) or ""
    if not name.strip():
        raise Invalid("Security group name is not a string or unicode", "security_group")
    return {"name": name, "description": fields.text("description", 0, 255) or ""}


@routes.add("POST", SG, "compute:proxy_write", body=Body, target=own_project, versions=TO35)
def create_group(call: ComputeCall, body: Body) -> Body:
    """Make one."""
    values = _named(Fields.of(body, "security_group"))
    made = _network(call, "POST", "security-groups", {"security_group": values})["security_group"]
    return {"security_group": security_group(_group(made))}


@routes.add("PUT", SG + "/{group_id}", "compute:proxy_write", body=Body, target=own_project, versions=TO35)
def update_group(call: ComputeCall, body: Body) -> Body:
    """Change name and description."""
    values = _named(Fields.of(body, "security_group"))
    group = _one(call, call.params["group_id"])
    made = _network(call, "PUT", f"security-groups/{group.id}", {"security_group": values})["security_group"]
    return {"security_group": security_group(_group(made), _names(call))}


@routes.add("DELETE", SG + "/{group_id}", "compute:proxy_write", target=own_project, status=202, versions=TO35)
def delete_group(call: ComputeCall) -> None:
    """Delete one that no server is in; the default one stays."""
    group = _one(call, call.params["group_id"])
    if group.name == "default":
        raise Invalid(f"Cannot delete the default security group {group.id}.", "security_group")
    _network(call, "DELETE", f"security-groups/{group.id}")


def _wanted_rule(fields: Fields, call: ComputeCall) -> Body:
    fields.only("parent_group_id", "ip_protocol", "from_port", "to_port", "cidr", "group_id")
    protocol = fields.text("ip_protocol", 0, 32, null=True) or None
    low, high = _port(fields, "from_port"), _port(fields, "to_port")
    if protocol is not None and protocol.lower() not in ("tcp", "udp", "icmp", "icmpv6", "ipv6-icmp"):
        raise Invalid(f"Invalid IP protocol {protocol}.", "rule")
    if protocol is not None and (low is None or high is None):
        raise Invalid("Not enough parameters to build a valid rule.", "rule")
    icmp = protocol is not None and "icmp" in protocol.lower()
    if not icmp and protocol is not None and not (0 <= (low or 0) <= (high or 0) <= 65535):
        raise Invalid(f"Invalid port range {low}:{high}.", "rule")
    cidr, group = fields.text("cidr", 0, 64, null=True) or None, fields.get("group_id")
    body: Body = {
        "security_group_id": fields.text("parent_group_id", 1, 64) or "", "direction": "ingress",
        "ethertype": "IPv6" if cidr and ":" in cidr else "IPv4",
        "protocol": protocol.lower() if protocol else None,
    }  # fmt: skip
    if group:
        body["remote_group_id"] = _one(call, str(group)).id
    else:
        body["remote_ip_prefix"] = None if cidr in (None, "0.0.0.0/0", "::/0") else cidr
    if protocol is not None and low != -1:
        body["port_range_min"] = low
        if high != -1:
            body["port_range_max"] = high
    return body


def _port(fields: Fields, name: str) -> int | None:
    return None if fields.get(name) is None else fields.integer(name, -1, 65535)


@routes.add("POST", RULES, "compute:proxy_write", body=Body, target=own_project, versions=TO35)
def create_rule(call: ComputeCall, body: Body) -> Body:
    """Let something in."""
    fields = Fields.of(body, "security_group_rule")
    fields.need("parent_group_id")
    if not is_uuid(fields.get("parent_group_id")):
        raise Invalid(f"Security group id {str(fields.get('parent_group_id'))[:80]} should be a uuid", "rule")
    group = _one(call, str(fields.get("parent_group_id")))
    wanted = _wanted_rule(fields, call)
    made = _network(call, "POST", "security-group-rules", {"security_group_rule": wanted})["security_group_rule"]
    view = rule(group, made, _names(call))
    if wanted.get("remote_ip_prefix"):
        view["ip_range"] = {"cidr": wanted["remote_ip_prefix"]}  # as the client wrote it
    return {"security_group_rule": view}


@routes.add("DELETE", RULES + "/{rule_id}", "compute:proxy_write", target=own_project, status=202, versions=TO35)
def delete_rule(call: ComputeCall) -> None:
    """Let it in no longer."""
    if not is_uuid(call.params["rule_id"]):
        raise Invalid(f"Security group rule id {call.params['rule_id'][:80]} should be a uuid", "rule")
    _network(call, "DELETE", f"security-group-rules/{call.params['rule_id']}")


# --- floating IPs


def _pools(call: ComputeCall) -> dict[str, str]:
    listed = _network(call, "GET", "networks", **{"router:external": "true"})["networks"]
    return {row["id"]: row["name"] for row in listed}


def _floating(call: ComputeCall, row: Body, pools: dict[str, str]) -> Body:
    server = None
    if row.get("port_id"):
        try:
            server = call.services.core.networks.server_of(row["port_id"]) or None
        except Error:
            server = None
    return {
        "id": row["id"],
        "ip": row["floating_ip_address"],
        "pool": pools.get(row["floating_network_id"], row["floating_network_id"]),
        "fixed_ip": row.get("fixed_ip_address"),
        "instance_id": server,
    }


def _one_floating(call: ComputeCall) -> Body:
    key = call.params["floating_id"]
    if not is_uuid(key) and not key.isdigit():
        raise Invalid(f"Invalid ID received {key[:80]}.", "floating_ip")
    try:
        return dict(_network(call, "GET", f"floatingips/{key}")["floatingip"])
    except NotFound as error:
        raise NotFound(f"Floating IP not found for ID {key}", "floating_ip") from error


@routes.add("GET", FIP, "compute:proxy_read", target=own_project, versions=TO35)
def list_floating(call: ComputeCall) -> Body:
    """The project's floating IPs."""
    pools = _pools(call)
    listed = _network(call, "GET", "floatingips", project_id=project_of(call))["floatingips"]
    return {"floating_ips": [_floating(call, row, pools) for row in listed]}


@routes.add("GET", FIP + "/{floating_id}", "compute:proxy_read", target=own_project, versions=TO35)
def show_floating(call: ComputeCall) -> Body:
    """One of them."""
    return {"floating_ip": _floating(call, _one_floating(call), _pools(call))}


@routes.add("POST", FIP, "compute:proxy_write", target=own_project, versions=TO35)
def create_floating(call: ComputeCall) -> Body:
    """Take one of a pool, the first if none is named."""
    from andromede.web import bodies

    fields = Fields(bodies.parse(call.body) or {}, "body")
    fields.only("pool")
    pools, name = _pools(call), fields.get("pool")
    fits = [key for key, label in pools.items() if name in (None, key, label)]
    if not fits:
        raise NotFound(f"Floating IP pool {name} not found.", "pool")
    made = _network(call, "POST", "floatingips", {"floatingip": {"floating_network_id": fits[0]}})["floatingip"]
    return {"floating_ip": _floating(call, made, pools)}


@routes.add("DELETE", FIP + "/{floating_id}", "compute:proxy_write", target=own_project, status=202, versions=TO35)
def delete_floating(call: ComputeCall) -> None:
    """Give it back."""
    _network(call, "DELETE", f"floatingips/{_one_floating(call)['id']}")


@routes.add("GET", "/v2.1/os-floating-ip-pools", "compute:proxy_read", target=own_project, versions=TO35)
def list_pools(call: ComputeCall) -> Body:
    """The networks that floating IPs come from."""
    return {"floating_ip_pools": [{"name": name} for name in _pools(call).values()]}


# --- networks

_UNKNOWN = (
    "bridge", "vpn_public_port", "dhcp_start", "bridge_interface", "share_address", "updated_at", "cidr_v6",
    "deleted_at", "gateway", "rxtx_base", "priority", "project_id", "vpn_private_address", "deleted", "vlan",
    "broadcast", "netmask", "injected", "cidr", "vpn_public_address", "multi_host", "enable_dhcp", "dns2",
    "created_at", "host", "mtu", "gateway_v6", "netmask_v6", "dhcp_server", "dns1",
)  # fmt: skip


def _networks(call: ComputeCall) -> list[Body]:
    return list(_network(call, "GET", "networks")["networks"])


@routes.add("GET", "/v2.1/os-networks", "compute:proxy_read", target=own_project, versions=TO35)
def list_networks(call: ComputeCall) -> Body:
    """The networks that the caller sees; what only nova-network knew is null."""
    return {
        "networks": [
            {**dict.fromkeys(_UNKNOWN), "id": row["id"], "label": row["name"]} for row in _networks(call)
        ]
    }  # fmt: skip


def _found(call: ComputeCall) -> Body:
    key = call.params["network_id"]
    try:
        return dict(_network(call, "GET", f"networks/{key}")["network"])
    except NotFound as error:
        raise NotFound(f"Network {key} could not be found", "network") from error


@routes.add("GET", "/v2.1/os-networks/{network_id}", "compute:proxy_read", target=own_project, versions=TO35)
def show_network(call: ComputeCall) -> Body:
    """One of them."""
    row = _found(call)
    return {"network": {**dict.fromkeys(_UNKNOWN), "id": row["id"], "label": row["name"]}}


@routes.add("GET", "/v2.1/os-tenant-networks", "compute:proxy_read", target=own_project, versions=TO35)
def list_tenant_networks(call: ComputeCall) -> Body:
    """The same in the form for tenants."""
    return {"networks": [{"id": row["id"], "label": row["name"], "cidr": "None"} for row in _networks(call)]}


@routes.add("GET", "/v2.1/os-tenant-networks/{network_id}", "compute:proxy_read", target=own_project, versions=TO35)
def show_tenant_network(call: ComputeCall) -> Body:
    """One of them."""
    row = _found(call)
    return {"network": {"id": row["id"], "label": row["name"], "cidr": "None"}}
