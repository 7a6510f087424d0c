"""The rules of a network: who may send as whom (table `ps`), and what security groups let through (table `sg`).

A frame from a guest gets its port's number as mark when it enters the bridge, and the number of the port that it is
about to leave through before it is judged there. So groups hold for every copy of a broadcast, and two ports may have
one address (an allowed pair). A mark of 0 stands for a port that nothing is asked of: a router's leg, or one without
port security. Connections are tracked in `inet`, where every kernel has it (br_netfilter).
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator
from functools import lru_cache

from andromede.engines.linux import names
from andromede.engines.linux.ruleset import Chain, Ruleset, Set, Table
from andromede.network.engine import NONE, GroupPart, NetworkPart, PortPart, RulePart

_TARGET = "@th,64,128"
"""The target of a neighbour advertisement: nft 1.0.6 has no word for it."""
METADATA = "169.254.169.254"
WITH_PORTS = frozenset({6, 17, 33, 132, 136})
"""TCP, UDP, DCCP, SCTP, UDP-Lite."""
ICMP = {4: 1, 6: 58}
REASONS = ("mac", "address", "arp", "dhcp", "advert", "other")
_NEIGHBOURS = (
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld-listener-query, "
    "mld-listener-report, mld2-listener-report } accept"
)
_ADVERT = "icmpv6 type nd-router-advert accept"


@lru_cache(maxsize=8192)
def link_local(mac: str) -> str:
    """The address that a MAC address stands for (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    tail = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + tail))


@lru_cache(maxsize=32768)
def _is_range(text: str) -> bool:
    return "/" in text and ipaddress.ip_network(text, strict=False).num_addresses > 1


def _plain(text: str) -> str:
    """An address without the prefix of a range of one."""
    return text if _is_range(text) else text.split("/")[0]


def marks(ports: Iterable[PortPart]) -> dict[str, int]:
    """Port id -> its number, the same as long as nothing collides: a packet on its way while rules change is judged
    as its own port's."""
    numbers: dict[str, int] = {}
    taken: set[int] = set()
    for port in sorted(ports, key=lambda port: port.id):
        number = int(names.short(port.id, 7), 16) or 1
        while number in taken:
            number += 1
        taken.add(number)
        numbers[port.id] = number
    return numbers


def filtered(part: NetworkPart) -> list[PortPart]:
    """The ports here that rules stand for."""
    return [port for port in part.ports if port.kind != NONE and port.secured]


def _pairs(port: PortPart) -> dict[str, list[str]]:
    """MAC address -> the addresses and ranges that may be sent from with it."""
    pairs: dict[str, list[str]] = {port.mac: [fixed.address for fixed in port.fixed]}
    for pair in port.pairs:
        pairs.setdefault(pair.mac, []).append(pair.address)
    return pairs


@lru_cache(maxsize=16384)
def _claims(port: PortPart) -> tuple[tuple[str, frozenset[str]], ...]:
    """Elements of the sets of `ps` that one port stands for. Ports change seldom, networks with many often."""
    found: dict[str, set[str]] = {name: set() for name in _SETS}
    device = f'"{names.tap(port.id)}"'
    found["dev"].add(device)
    for mac, addresses in _pairs(port).items():
        key = f"{device} . {mac}"
        found["okm"].add(key)
        for text in ("::", link_local(mac), *(_plain(text) for text in addresses if not _is_range(text))):
            found["ok6" if ":" in text else "ok4"].add(f"{key} . {text}")
            if ":" in text and text != "::":
                found["nd"].add(f"{device} . {_number(text)}")
        for version, ranges in _ranges(addresses).items():
            found[f"okr{version}"] |= {f"{key} . {text}" for text in ranges}
            if version == 6:
                networks = map(ipaddress.ip_network, ranges)
                found["ndr"] |= {f"{device} . {_number(str(n[0]))}-{_number(str(n[-1]))}" for n in networks}
    return tuple((name, frozenset(elements)) for name, elements in found.items() if elements)


_SETS = {
    "dev": "type ifname",
    "okm": "type ifname . ether_addr",
    "ok4": "type ifname . ether_addr . ipv4_addr",
    "ok6": "type ifname . ether_addr . ipv6_addr",
    "okr4": "type ifname . ether_addr . ipv4_addr",
    "okr6": "type ifname . ether_addr . ipv6_addr",
    "nd": f"typeof iifname . {_TARGET}",
    "ndr": f"typeof iifname . {_TARGET}",
}
"""The sets of `ps`: devices, what MAC addresses and what addresses they may send from, singly and as ranges, and what
they may say they are in a neighbour advertisement (RFC 4861 4.4)."""
_RANGES = ("okr4", "okr6", "ndr")


def _ranges(addresses: Iterable[str]) -> dict[int, list[str]]:
    """The ranges among addresses by version, none within another."""
    found = [ipaddress.ip_network(text, strict=False) for text in addresses if _is_range(text)]
    if not found:
        return {}
    four = ipaddress.collapse_addresses(n for n in found if isinstance(n, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(n for n in found if isinstance(n, ipaddress.IPv6Network))
    return {4: [str(n) for n in four], 6: [str(n) for n in six]}


@lru_cache(maxsize=32768)
def _number(address: str) -> str:
    return f"{int(ipaddress.IPv6Address(address)):#x}"


def _ps_sets(ports: list[PortPart], numbers: dict[str, int]) -> dict[str, Set]:
    found: dict[str, set[str]] = {name: set() for name in _SETS}
    for port in ports:
        for name, elements in _claims(port):
            found[name] |= elements
    sets = {name: Set(head, frozenset(found[name]), name in _RANGES) for name, head in _SETS.items()}
    number = frozenset(f'"{names.tap(port.id)}" : {numbers[port.id]:#x}' for port in ports)
    return {**sets, "number": Set("type ifname : mark", number)}


def _foreign(field: str, version: int) -> str:
    """A test for an address that a device may not send from."""
    key = f"iifname . ether saddr . {field}"
    return f"{key} != @ok{version} {key} != @okr{version}"


def _ps(ports: list[PortPart], numbers: dict[str, int]) -> Table:
    pre = (
        "meta mark set 0",
        "iifname != @dev accept",
        "iifname . ether saddr != @okm counter name c_mac drop",
        "ether type arp iifname . arp saddr ether != @okm counter name c_arp drop",
        "meta mark set iifname map @number",
        "ether type arp arp saddr ip 0.0.0.0 accept",
        "ether type ip ip saddr 0.0.0.0 udp dport 67 accept",
        f"ether type arp {_foreign('arp saddr ip', 4)} counter name c_arp drop",
        f"ether type ip {_foreign('ip saddr', 4)} counter name c_address drop",
        "ether type ip udp sport 67 counter name c_dhcp drop",
        "ether type ip6 udp sport 547 counter name c_dhcp drop",
        "ether type ip6 icmpv6 type nd-router-advert counter name c_advert drop",
        f"ether type ip6 {_foreign('ip6 saddr', 6)} counter name c_address drop",
        "ether type ip6 icmpv6 type nd-neighbor-advert "
        f"iifname . {_TARGET} != @nd iifname . {_TARGET} != @ndr counter name c_arp drop",
        "ether type { arp, ip, ip6 } accept",
        "counter name c_other drop",
    )
    out = ("meta mark set 0", "meta mark set oifname map @number")
    chains = {
        "pre": Chain(pre, "type filter hook prerouting priority -300; policy accept;"),
        "out": Chain(out, "type filter hook forward priority -10; policy accept;"),
    }
    return Table("bridge", "ps", tuple(f"c_{reason}" for reason in REASONS), _ps_sets(ports, numbers), chains)


def rule_text(rule: RulePart) -> str:
    """A rule as nft reads it, without its verdict."""
    words = [f"meta nfproto ipv{rule.version}"]
    protocol = ICMP[rule.version] if rule.protocol in ICMP.values() else rule.protocol
    family, side = ("ip" if rule.version == 4 else "ip6"), ("saddr" if rule.inward else "daddr")
    if rule.prefix and ipaddress.ip_network(rule.prefix, strict=False).prefixlen:
        words.append(f"{family} {side} {rule.prefix}")
    if rule.group:
        words.append(f"{family} {side} @{_name('m', rule.version, rule.group)}")
    if rule.addresses:
        words.append(f"{family} {side} @{_name('a', rule.version, rule.addresses)}")
    if protocol == ICMP[rule.version] and rule.low is not None:
        word = "icmp" if rule.version == 4 else "icmpv6"
        words.append(f"{word} type {rule.low}" + (f" {word} code {rule.high}" if rule.high is not None else ""))
    elif protocol is not None:
        words.append(f"meta l4proto {protocol}")
        if protocol in WITH_PORTS and (rule.low is not None or rule.high is not None):
            low = rule.low if rule.low is not None else 0
            high = rule.high if rule.high is not None else 65535
            words.append(f"th dport {low}" + (f"-{high}" if high != low else ""))
    return " ".join(words)


def _name(kind: str, version: int, group_id: str) -> str:
    return f"{kind}{version}_{names.short(group_id, 32)}"


def _range_sets(part: NetworkPart) -> dict[str, Set]:
    named = {rule.group for group in part.groups for rule in group.rules if rule.group}
    lists = [("m", group.id, group.members) for group in part.groups if group.id in named]
    lists += [("a", group.id, group.ranges) for group in part.address_groups]
    sets = {}
    for kind, group_id, addresses in lists:
        for version in (4, 6):
            own = frozenset(_plain(text) for text in addresses if (":" in text) == (version == 6))
            ranges = kind == "a" or any(map(_is_range, own))
            sets[_name(kind, version, group_id)] = Set(f"type ipv{version}_addr", own, ranges)
    return sets


def _group_chains(group: GroupPart) -> Iterator[tuple[str, Chain]]:
    for inward, word in ((True, "gi"), (False, "go")):
        rules = sorted({rule_text(rule) for rule in group.rules if rule.inward is inward})
        yield f"{word}_{names.short(group.id, 32)}", Chain(tuple(f"{rule} accept" for rule in rules))


def _sg(part: NetworkPart, ports: list[PortPart], numbers: dict[str, int]) -> Table:
    sets = _range_sets(part)
    kinds = sorted({port.groups for port in ports})
    used = {group_id for kind in kinds for group_id in kind}
    chains = dict(chain for group in part.groups if group.id in used for chain in _group_chains(group))
    for way, word in (("in", "gi"), ("out", "go")):
        for kind in kinds:
            jumps = tuple(f"jump {word}_{names.short(group_id, 32)}" for group_id in kind)
            chains[f"{way}_{_kind(kind)}"] = Chain((*jumps, "counter name c_closed drop"))
        verdicts = frozenset(f"{numbers[port.id]:#x} : goto {way}_{_kind(port.groups)}" for port in ports)
        sets[f"to_{way}"] = Set("type mark : verdict", verdicts)
    stateless = {group.id for group in part.groups if not group.stateful}
    loose = frozenset(f"{numbers[port.id]:#x}" for port in ports if stateless & set(port.groups))
    sets["stateless"] = Set("type mark", loose)
    known = "meta mark != @stateless ct state established,related accept"
    odd = "meta mark != @stateless ct state invalid counter name c_closed drop"
    hooks = {"egress": "prerouting", "ingress": "forward"}
    asked = "meta mark 0 accept"
    leases = ("udp sport 68 udp dport 67 accept", "udp sport 546 udp dport 547 accept")
    chains["egress"] = Chain(
        (asked, known, odd, _NEIGHBOURS, *leases, "meta mark vmap @to_out"),
        f"type filter hook {hooks['egress']} priority 0; policy accept;",
    )
    chains["ingress"] = Chain(
        (asked, known, odd, _NEIGHBOURS, _ADVERT, "meta mark vmap @to_in"),
        f"type filter hook {hooks['ingress']} priority 0; policy accept;",
    )
    chains["input"] = Chain(
        (
            "ct state established,related accept",
            'iifname "lo" accept',
            "ip protocol icmp accept",
            "meta l4proto ipv6-icmp accept",
            "udp dport { 53, 67, 547 } accept",
            "tcp dport 53 accept",
            f"ip daddr {METADATA} tcp dport 80 accept",
            "counter name c_closed drop",
        ),
        "type filter hook input priority 0; policy drop;",
    )
    return Table("inet", "sg", ("c_closed",), sets, chains)


def _kind(groups: tuple[str, ...]) -> str:
    """A name for ports of the same groups: they share their chains."""
    return hashlib.sha256(" ".join(groups).encode()).hexdigest()[:16] if groups else "none"


def render(part: NetworkPart) -> Ruleset:
    """All rules of a network's namespace."""
    ports = filtered(part)
    numbers = marks(ports)
    return Ruleset((_sg(part, ports, numbers), _ps(ports, numbers)), part.generation)
