"""What security groups say about a connection: the same that the rendered rules say, for connections that stand."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from andromede.engines.linux.conntrack import Flow
from andromede.engines.linux.network_rules import ICMP, WITH_PORTS, filtered
from andromede.network.engine import NetworkPart, PortPart, RulePart

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Verdicts:
    """The groups of one network's ports."""

    def __init__(self, part: NetworkPart) -> None:
        self._groups = {group.id: group for group in part.groups}
        self._members = {group.id: _networks(group.members) for group in part.groups}
        self._ranges = {group.id: _networks(group.ranges) for group in part.address_groups}
        self._ports: dict[str, list[PortPart]] = {}
        self._wide: list[tuple[Network, PortPart]] = []
        for port in filtered(part):
            for text in (*(fixed.address for fixed in port.fixed), *(pair.address for pair in port.pairs)):
                network = ipaddress.ip_network(text, strict=False)
                if network.num_addresses == 1:
                    self._ports.setdefault(str(network[0]), []).append(port)
                else:
                    self._wide.append((network, port))

    def _at(self, address: str) -> list[PortPart]:
        found = self._ports.get(address, [])
        if self._wide and not found:
            own = ipaddress.ip_address(address)
            found = [port for network, port in self._wide if own in network]
        return found

    def allows(self, flow: Flow) -> bool:
        """Whether both ends let a connection's first packet through. An address of several ports is judged by all: one
        that lets it through is enough."""
        senders, receivers = self._at(flow.source), self._at(flow.target)
        leaves = not senders or any(self._port(port, flow, inward=False) for port in senders)
        enters = not receivers or any(self._port(port, flow, inward=True) for port in receivers)
        return leaves and enters

    def _port(self, port: PortPart, flow: Flow, inward: bool) -> bool:
        rules = (rule for group_id in port.groups for rule in self._groups[group_id].rules)
        return any(rule.inward is inward and self._rule(rule, flow) for rule in rules)

    def _rule(self, rule: RulePart, flow: Flow) -> bool:
        return rule.version == flow.version and self._protocol(rule, flow) and self._other_side(rule, flow)

    @staticmethod
    def _protocol(rule: RulePart, flow: Flow) -> bool:
        if rule.protocol is None:
            return True
        icmp = ICMP[rule.version]
        protocol = icmp if rule.protocol in ICMP.values() else rule.protocol
        if protocol != flow.protocol:
            return False
        if protocol == icmp:
            return rule.low in (None, flow.low) and rule.high in (None, flow.high)
        if protocol not in WITH_PORTS or flow.high is None:
            return True
        low = rule.low if rule.low is not None else 0
        return low <= flow.high <= (rule.high if rule.high is not None else 65535)

    def _other_side(self, rule: RulePart, flow: Flow) -> bool:
        other = ipaddress.ip_address(flow.source if rule.inward else flow.target)
        if rule.prefix:
            return other in ipaddress.ip_network(rule.prefix, strict=False)
        if rule.group:
            return _within(other, self._members.get(rule.group, ()))
        if rule.addresses:
            return _within(other, self._ranges.get(rule.addresses, ()))
        return True


def _networks(texts: Iterable[str]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
