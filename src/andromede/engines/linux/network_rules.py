"""The rules of a network: who may send as whom (table `ps`), and what security groups let through (table `sg`).

A frame from a guest gets its port's number as mark when it enters the bridge, and the number of the port that it is
about to leave through before it is judged there. So groups hold for every copy of a broadcast, and two ports may have
one address (an allowed pair). A mark of 0 stands for a port that nothing is asked of: a router's leg, or one without
port security. Connections are tracked in `inet`, where every kernel has it (br_netfilter).
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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


def plain(text: str) -> str:
    """An address without the prefix of a range of one."""
    return text if _is_range(text) else text.split("/")[0]


def natural(port_id: str) -> int:
    """The number that a port has unless another one has it."""
    return int(names.short(port_id, 7), 16) or 1


def marks(ports: Iterable[PortPart]) -> dict[str, int]:
    """Port id -> its number, the same as long as nothing collides: a packet on its way while rules change is judged
    as its own port's."""
    numbers: dict[str, int] = {}
    taken: set[int] = set()
    for port in sorted(ports, key=lambda port: port.id):
        number = natural(port.id)
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
        for text in ("::", link_local(mac), *(plain(text) for text in addresses if not _is_range(text))):
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
RANGES = ("okr4", "okr6", "ndr")


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


@dataclass(frozen=True, slots=True)
class Piece:
    """What one port adds to the rules: elements by table and set, and what they add to their sum."""

    elements: Mapping[tuple[str, str], frozenset[str]]
    digest: int


def digest(*words: str) -> int:
    """What tells a piece of the rules from others. Those of all pieces are added up."""
    return int.from_bytes(hashlib.sha256("\n".join(words).encode()).digest()[:16], "big")


@lru_cache(maxsize=16384)
def piece(port: PortPart, number: int, loose: bool) -> Piece:
    """The elements of one port, known by `number`; `loose`: in a group that is not stateful."""
    found = {("ps", name): elements for name, elements in _claims(port)}
    found["ps", "number"] = frozenset((f'"{names.tap(port.id)}" : {number:#x}',))
    for way in ("in", "out"):
        found["sg", f"to_{way}"] = frozenset((f"{number:#x} : goto {way}_{kind_of(port.groups)}",))
    if loose:
        found["sg", "stateless"] = frozenset((f"{number:#x}",))
    words = [f"{table} {name} {text}" for (table, name), texts in found.items() for text in sorted(texts)]
    return Piece(found, digest(*words))


def is_loose(port: PortPart, stateful: Mapping[str, bool]) -> bool:
    """Whether a port is in a group that is not stateful."""
    return any(not stateful.get(group, True) for group in port.groups)


def _ps_sets(found: Mapping[tuple[str, str], set[str]]) -> dict[str, Set]:
    sets = {name: Set(head, frozenset(found["ps", name]), name in RANGES) for name, head in _SETS.items()}
    return {**sets, "number": Set("type ifname : mark", frozenset(found["ps", "number"]))}


def _foreign(field: str, version: int) -> str:
    """A test for an address that a device may not send from."""
    key = f"iifname . ether saddr . {field}"
    return f"{key} != @ok{version} {key} != @okr{version}"


def _ps(found: Mapping[tuple[str, str], set[str]]) -> Table:
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
    return Table("bridge", "ps", tuple(f"c_{reason}" for reason in REASONS), _ps_sets(found), chains)


def rule_text(rule: RulePart) -> str:
    """A rule as nft reads it, without its verdict."""
    words = [f"meta nfproto ipv{rule.version}"]
    protocol = ICMP[rule.version] if rule.protocol in ICMP.values() else rule.protocol
    family, side = ("ip" if rule.version == 4 else "ip6"), ("saddr" if rule.inward else "daddr")
    if rule.prefix and ipaddress.ip_network(rule.prefix, strict=False).prefixlen:
        words.append(f"{family} {side} {rule.prefix}")
    if rule.group:
        words.append(f"{family} {side} @{set_name('m', rule.version, rule.group)}")
    if rule.addresses:
        words.append(f"{family} {side} @{set_name('a', rule.version, rule.addresses)}")
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


def set_name(kind: str, version: int, group_id: str) -> str:
    return f"{kind}{version}_{names.short(group_id, 32)}"


def _range_sets(part: NetworkPart) -> dict[str, Set]:
    named = {rule.group for group in part.groups for rule in group.rules if rule.group}
    lists = [("m", group.id, group.members) for group in part.groups if group.id in named]
    lists += [("a", group.id, group.ranges) for group in part.address_groups]
    sets = {}
    for kind, group_id, addresses in lists:
        for version in (4, 6):
            own = frozenset(plain(text) for text in addresses if (":" in text) == (version == 6))
            ranges = kind == "a" or any(map(_is_range, own))
            sets[set_name(kind, version, group_id)] = Set(f"type ipv{version}_addr", own, ranges)
    return sets


def group_chains(group: GroupPart) -> Iterator[tuple[str, Chain]]:
    for inward, word in ((True, "gi"), (False, "go")):
        rules = sorted({rule_text(rule) for rule in group.rules if rule.inward is inward})
        yield f"{word}_{names.short(group.id, 32)}", Chain(tuple(f"{rule} accept" for rule in rules))


def kind_chains(kind: tuple[str, ...]) -> Iterator[tuple[str, Chain]]:
    """The chains of all ports that are in the same groups."""
    for way, word in (("in", "gi"), ("out", "go")):
        jumps = tuple(f"jump {word}_{names.short(group_id, 32)}" for group_id in kind)
        yield f"{way}_{kind_of(kind)}", Chain((*jumps, "counter name c_closed drop"))


def _sg(part: NetworkPart, ports: list[PortPart], found: Mapping[tuple[str, str], set[str]]) -> Table:
    sets = _range_sets(part)
    kinds = sorted({port.groups for port in ports})
    used = {group_id for kind in kinds for group_id in kind}
    chains = dict(chain for group in part.groups if group.id in used for chain in group_chains(group))
    chains |= dict(chain for kind in kinds for chain in kind_chains(kind))
    for way in ("in", "out"):
        sets[f"to_{way}"] = Set("type mark : verdict", frozenset(found["sg", f"to_{way}"]))
    sets["stateless"] = Set("type mark", frozenset(found["sg", "stateless"]))
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


def kind_of(groups: tuple[str, ...]) -> str:
    """A name for ports of the same groups: they share their chains."""
    return hashlib.sha256(" ".join(groups).encode()).hexdigest()[:16] if groups else "none"


def chain_digest(table: str, name: str, chain: Chain) -> int:
    """What a chain adds to the sum of the rules."""
    return digest(table, name, chain.hook, *chain.rules)


@lru_cache(maxsize=32768)
def member_digest(name: str, address: str) -> int:
    """What an element of a set of addresses adds to it."""
    return digest("sg", name, address)


def _digest(tables: Iterable[Table], pieces: Iterable[Piece]) -> int:
    """What the rules are, as a number to which each piece of them adds its own."""
    total = sum(one.digest for one in pieces)
    for table in tables:
        total += digest(table.place, *table.counters)
        total += sum(chain_digest(table.name, name, chain) for name, chain in table.chains.items())
        for name, one in table.sets.items():
            total += digest(table.name, name, one.head, *one.flags)
            if name[:2] in _ADDRESSES:
                total += sum(member_digest(name, element) for element in one.elements)
    return total


_ADDRESSES = ("m4", "m6", "a4", "a6")
"""What the names of sets of addresses begin with."""


def render(part: NetworkPart) -> Ruleset:
    """All rules of a network's namespace."""
    ports = filtered(part)
    numbers = marks(ports)
    stateful = {group.id: group.stateful for group in part.groups}
    pieces = [piece(port, numbers[port.id], is_loose(port, stateful)) for port in ports]
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in pieces:
        for place, elements in one.elements.items():
            found[place] |= elements
    tables = (_sg(part, ports, found), _ps(found))
    return Ruleset(tables, part.generation, _digest(tables, pieces))
