"""The rules of a router: what is forwarded, and which addresses stand for which."""

from __future__ import annotations

from collections.abc import Iterator

from andromede.engines.linux.conntrack import Flow
from andromede.engines.linux.names import GATEWAY
from andromede.engines.linux.ruleset import Chain, Ruleset, Set, Table
from andromede.network.engine import ForwardPart, RouterPart

NUMBERS = {"tcp": 6, "udp": 17}
LINK_LOCAL = "169.254.0.0/16"
"""Never forwarded (RFC 3927, 7): where this machine is itself a guest of a cloud, its own metadata are there."""
_TARGET = "type ipv4_addr . inet_service : ipv4_addr . inet_service"


def own_address(part: RouterPart) -> str:
    """The version 4 address of the gateway, under which others leave; empty without one."""
    found = part.gateway.addresses if part.gateway is not None else ()
    return next((text.split("/")[0] for text in found if ":" not in text), "")


def _steps(forward: ForwardPart) -> Iterator[tuple[int, int]]:
    """Outer and inner port of each one of a range."""
    return zip(
        range(forward.outer[0], forward.outer[1] + 1), range(forward.inner[0], forward.inner[1] + 1), strict=False
    )


def _nat(part: RouterPart) -> Table:
    inward = frozenset(f"{one.address} : {one.fixed}" for one in part.floating)
    outward = frozenset(f"{one.fixed} : {one.address}" for one in part.floating)
    sets = {"dn": Set("type ipv4_addr : ipv4_addr", inward), "sn": Set("type ipv4_addr : ipv4_addr", outward)}
    pre = ["dnat to ip daddr map @dn"]
    for word in NUMBERS:
        elements = frozenset(
            f"{one.address} . {outer} : {one.fixed} . {inner}"
            for one in part.forwards
            if one.protocol == word
            for outer, inner in _steps(one)
        )
        sets[f"pf_{word}"] = Set(_TARGET, elements)
        pre.append(f"dnat ip to ip daddr . {word} dport map @pf_{word}")
    own, inside = own_address(part), 'iifname "qr-*" oifname "qr-*" ct status dnat'
    post = [f'oifname "{GATEWAY}" snat to ip saddr map @sn', f"{inside} snat to ip saddr map @sn"]
    if own and part.gateway is not None and part.gateway.snat:
        post.append(f'oifname "{GATEWAY}" snat to {own}')
    if own:
        post.append(f"{inside} snat to {own}")
    chains = {
        "pre": Chain(tuple(pre), "type nat hook prerouting priority -100; policy accept;"),
        "post": Chain(tuple(post), "type nat hook postrouting priority 100; policy accept;"),
    }
    return Table("ip", "nat", (), sets, chains)


def _flt(part: RouterPart) -> Table:
    forward = [
        f"ip daddr {LINK_LOCAL} drop",
        "ct state established,related accept",
        "ct state invalid drop",
        'iifname "qr-*" accept',
    ]
    forward += [f'iifname "{GATEWAY}" ct status dnat accept', f'iifname "{GATEWAY}" meta nfproto ipv6 accept']
    if part.gateway is not None and not part.gateway.snat:
        forward.append(f'iifname "{GATEWAY}" accept')  # routed: whoever is outside knows the way by routes of theirs
    receive = (
        "ct state established,related accept",
        'iifname "lo" accept',
        "ip protocol icmp accept",
        "meta l4proto ipv6-icmp accept",
        'iifname "qr-*" udp dport 547 accept',
    )
    chains = {
        "forward": Chain(tuple(forward) if part.up else (), "type filter hook forward priority 0; policy drop;"),
        "receive": Chain(receive, "type filter hook input priority 0; policy drop;"),
    }
    return Table("inet", "flt", (), {}, chains)


def render(part: RouterPart) -> Ruleset:
    """All rules of a router's namespace."""
    return Ruleset((_flt(part), _nat(part)), part.generation)


class Translations:
    """Which translated connections a router's wish knows."""

    def __init__(self, part: RouterPart) -> None:
        self._inward = {one.address: one.fixed for one in part.floating}
        self._outward = {one.fixed: one.address for one in part.floating}
        self._forwards = {
            (one.address, NUMBERS[one.protocol], outer): one.fixed for one in part.forwards for outer, _ in _steps(one)
        }
        self._own = own_address(part)
        self._snat = part.gateway is not None and part.gateway.snat
        self._up = part.up

    def knows(self, flow: Flow) -> bool:
        """Whether a connection is one that would be made so today. Those that were not translated always are: the
        networks' own rules judge them."""
        if not self._up:
            return False
        if flow.version == 6:
            return True
        inward = flow.answer_source == flow.target or flow.answer_source in (
            self._inward.get(flow.target),
            self._forwards.get((flow.target, flow.protocol, flow.high if flow.high is not None else -1)),
        )
        hairpin = flow.answer_source != flow.target
        names = {self._outward.get(flow.source), self._own if self._snat or hairpin else None}
        return inward and (flow.answer_target == flow.source or flow.answer_target in names)
