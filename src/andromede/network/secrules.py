"""Rules of the rules in security groups, and of those that new groups get (Networking API v2.0, "Security group
rules", "Default security group rules")."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from andromede.network import links_store
from andromede.network.core import Job
from andromede.network.faults import bad, clash, forbidden, missing
from andromede.network.model import DefaultRuleRow, GroupRow, RuleRow
from andromede.network.shapes_more import ADDRESS_GROUP, DEFAULT_RULE, GROUP, RULE
from andromede.network.tables import DEFAULT_RULES, GROUPS, RULES

PARENT = "PARENT"
"""In a default rule: the group that gets it."""
PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "icmpv6": 58, "igmp": 2, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43,
    "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
PORTED = {6, 17, 33, 132, 136}
ICMP = {1, 58}


def number(protocol: str | None) -> int | None:
    """IANA's number of a stored protocol; None for any."""
    if protocol is None:
        return None
    return PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol)


def _protocol(value: Any) -> str | None:
    if value is None or value in ("any", "-1", -1, ""):
        return None
    text = str(value).lower()
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        text = "?"
    if text in PROTOCOLS or (re.fullmatch(r"\d{1,3}", text) and int(text) <= 255):
        return str(int(text)) if text.isdigit() else text
    bad(f"Security group rule protocol {value} not supported. Only protocol values [None, {', '.join(PROTOCOLS)}] and "
        "integer representations [0 to 255] are supported.", "SecurityGroupRuleInvalidProtocol")  # fmt: skip


def _port(value: Any, icmp: str = "") -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,9}", str(value)):
        bad(f"Invalid value for port {value}", "SecurityGroupInvalidPortValue")
    found, most = int(value), 255 if icmp else 65535
    if not 0 <= found <= most:
        if icmp:
            bad(f"Invalid value for ICMP {icmp} {found}. It must be 0 to 255.", "SecurityGroupInvalidIcmpValue")
        bad(f"Invalid value for port {found}", "SecurityGroupInvalidPortValue")
    return found


def matched(values: dict[str, Any]) -> dict[str, Any]:
    """What a rule lets through, as fields of its row. Raises `Invalid`."""
    protocol = _protocol(values["protocol"])
    kind = number(protocol)
    icmp = kind in ICMP
    ethertype = _ethertype(values["ethertype"])
    if kind is not None and ethertype == "IPv4" and protocol is not None and protocol.startswith(("ipv6", "icmpv6")):
        bad(f"Invalid ethertype {ethertype} for protocol {protocol}.", "SecurityGroupEthertypeConflictWithProtocol")
    if icmp and ethertype == "IPv6":
        protocol = "ipv6-icmp" if protocol == "icmp" else protocol
    low = _port(values["port_range_min"], "type (port-range-min)" if icmp else "")
    high = _port(values["port_range_max"], "code (port-range-max)" if icmp else "")
    if icmp and low is None and high is not None:
        bad(f"ICMP code (port-range-max) {high} is provided but ICMP type (port-range-min) is missing.",
            "SecurityGroupMissingIcmpType")  # fmt: skip
    if not icmp and (low is not None or high is not None):
        if kind is None:
            bad("Must also specify protocol if port range is given.", "SecurityGroupProtocolRequiredWithPorts")
        if kind not in PORTED:
            bad(f"Port range cannot be specified for protocol {protocol}.", "SecurityGroupInvalidProtocolForPort")
        if low is None or high is None or low > high:
            bad("For TCP/UDP protocols, port_range_min must be <= port_range_max", "SecurityGroupInvalidPortRange")
    prefix = values["remote_ip_prefix"]
    remotes = [prefix, values["remote_group_id"], values["remote_address_group_id"]]
    if sum(one is not None for one in remotes) > 1:
        bad("Only remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.",
            "SecurityGroupMultipleRemoteEntites")  # fmt: skip
    if prefix is not None and f"IPv{ipaddress.ip_network(prefix).version}" != ethertype:
        bad(f"Conflicting value ethertype {ethertype} for CIDR {prefix}", "SecurityGroupRuleParameterConflict")
    return {"direction": values["direction"], "ethertype": ethertype, "protocol": protocol, "low": low, "high": high,
            "prefix": prefix, "remote_group": remotes[1], "remote_addresses": remotes[2]}  # fmt: skip


def _ethertype(value: Any) -> str:
    found = {"ipv4": "IPv4", "ipv6": "IPv6"}.get(str(value).lower())
    if found is None:
        bad(f"Security group rule for ethertype '{value}' not supported. Allowed values are ['IPv4', 'IPv6'].",
            "SecurityGroupRuleInvalidEtherType")  # fmt: skip
    return found


def digest(fields: dict[str, Any]) -> str:
    """One text for all rules of a group that let the same through."""
    prefix = fields["prefix"]
    if prefix in ("0.0.0.0/0", "::/0"):
        prefix = None
    parts = (fields["direction"], fields["ethertype"], number(fields["protocol"]), fields["low"], fields["high"],
             prefix, fields["remote_group"], fields["remote_addresses"])  # fmt: skip
    return "|".join("" if part is None else str(part) for part in parts)


def create(job: Job, values: dict[str, Any]) -> RuleRow:
    """A new rule in a group of one's own."""
    group: GroupRow = job.seen(GROUP, values.pop("security_group_id"))
    if not job.who.owns(group):
        forbidden("create_security_group_rule")
    job.concern(group.project_id)
    fields = matched(values)
    if fields["remote_group"] is not None:
        job.seen(GROUP, fields["remote_group"])
    if fields["remote_addresses"] is not None:
        job.seen(ADDRESS_GROUP, fields["remote_addresses"])
    return add(job, group, fields | {"group_id": group.id}, values["description"])


def add(job: Job, group: GroupRow, fields: dict[str, Any], description: str) -> RuleRow:
    """Write a rule. Raises `Conflict` when the group has it."""
    mark = digest(fields)
    other = RULES.find(job.tx, group_id=group.id, digest=mark)
    if other is not None:
        clash(f"Security group rule already exists. Rule id is {other.id}.", "SecurityGroupRuleExists")
    values = {"project_id": group.project_id, "description": description}
    row: RuleRow = job.insert(RULE, values, **fields, digest=mark)
    _loaded(job, group.id)
    return row


def _loaded(job: Job, group_id: str) -> None:
    networks = links_store.networks_of_groups(job.tx, [group_id])
    job.touch(*networks)


def delete(job: Job, row: RuleRow) -> None:
    """Remove a rule."""
    RULES.remove(job.tx, id=row.id)
    _loaded(job, row.group_id)
    group = GROUPS.find(job.tx, id=row.group_id)
    if group is not None:
        job.update(GROUP, group)


def owned(job: Job, rule_id: str) -> RuleRow:
    """A rule that the caller may remove: of a group of its own."""
    row: RuleRow = job.seen(RULE, rule_id)
    group = GROUPS.find(job.tx, id=row.group_id)
    if group is None:
        missing("SecurityGroupRule", rule_id)
    if not job.who.owns(group):
        forbidden("delete_security_group_rule")
    job.concern(group.project_id)
    return row


def create_default(job: Job, values: dict[str, Any]) -> DefaultRuleRow:
    """A rule for groups to come; only administrators."""
    if not job.who.admin:
        forbidden("create_default_security_group_rule")
    fields = matched(values)
    remote = fields["remote_group"]
    if remote is not None and remote != PARENT:
        job.seen(GROUP, remote)
    if fields["remote_addresses"] is not None:
        job.seen(ADDRESS_GROUP, fields["remote_addresses"])
    in_default, in_others = values["used_in_default_sg"], values["used_in_non_default_sg"]
    for other in DEFAULT_RULES.select(job.tx):
        same = all(getattr(other, name) == fields[name] for name in fields)
        if same and ((other.in_default and in_default) or (other.in_others and in_others)):
            clash(f"Default Security group rule already exists. Rule id is {other.id}.",
                  "DefaultSecurityGroupRuleExists")  # fmt: skip
    values = {"project_id": job.who.project_id, "description": values["description"]}
    row: DefaultRuleRow = job.insert(DEFAULT_RULE, values, **fields, in_default=in_default, in_others=in_others)
    return row


def delete_default(job: Job, row: DefaultRuleRow) -> None:
    """Remove a rule for groups to come."""
    if not job.who.admin:
        forbidden("delete_default_security_group_rule")
    DEFAULT_RULES.remove(job.tx, id=row.id)
