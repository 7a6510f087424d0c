"""Ending connections that rules do not let through any more.

Looking through the connections of one namespace takes the kernel 20 ms and more, however few they are: its table is
that of all namespaces. So it is done only when a change can end one."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from andromede.engines.linux import conntrack
from andromede.engines.linux.conntrack import Flow
from andromede.engines.linux.host import Host
from andromede.engines.linux.links import Links
from andromede.engines.linux.router_rules import Translations
from andromede.engines.linux.ruleset import Ruleset
from andromede.engines.linux.standing import Standing, Way
from andromede.engines.linux.verdict import Verdicts
from andromede.network.engine import NetworkPart, PortPart, RouterPart
from andromede.network.picture import Picture

Part = NetworkPart | RouterPart


@dataclass(frozen=True, slots=True)
class Swept:
    """The part for whose rules connections were judged last, and the mark of these rules."""

    sum: str
    part: Callable[[], Part]


def sweep(host: Host, links: Links, place: str, wish: tuple[Ruleset, Part], fresh: bool) -> None:
    """Bring the connections of the calling thread's namespace, known as `place`, in line with its rules. The alias of
    `lo` says for which rules this was done. `fresh`: the namespace was made in this call, and has no connections."""
    rules, part = wish
    lo = links.all()["lo"]
    former = host.swept.get(place)
    if lo.alias != rules.sum:
        known = former.part() if former is not None and lo.alias == former.sum else None
        if not fresh and (known is None or ends(known, part)):
            host.step("connections")
            conntrack.drop(_unwanted(known, part))
        host.step("swept")
        links.settle(links.all()["lo"], {"alias": rules.sum})
    host.swept[place] = Swept(rules.sum, lambda: part)


def sweep_after(host: Host, links: Links, place: str, wish: tuple[Standing, Way]) -> None:
    """The same after a change that was judged for up to here, with a look at connections of the addresses that it takes
    something from, and at no others. `wish`: what stood before, and the way from there."""
    standing, way = wish
    unwanted = lost(standing, way)
    if unwanted is not None:
        host.step("connections")
        conntrack.drop(unwanted)
    host.step("swept")
    links.settle(links.all()["lo"], {"alias": way.sum})
    host.swept[place] = Swept(way.sum, standing.picture.part)


def lost(standing: Standing, way: Way) -> Callable[[Flow], bool] | None:
    """Which connections a change ends, None where it can end none."""
    moves = way.plan.moves
    tight = [move.old for move in moves if move.old is not None and (move.new is None or _port(move.old, move.new))]
    if not tight and not way.plan.left:
        return None
    fixed = {one.address for port in tight for one in port.fixed}
    gone = fixed - {one.address for move in moves if move.new is not None for one in move.new.fixed}
    texts = {pair.address for port in tight for pair in port.pairs} | {text for _, text in way.plan.left} | fixed
    touched = {text for text in texts if "/" not in text}
    ranges = [ipaddress.ip_network(text, strict=False) for text in texts if "/" in text]
    verdicts: list[Verdicts] = []  # of the whole network: only if one is needed

    def allows(flow: Flow) -> bool:
        if not verdicts:
            after = Picture(standing.picture.part())
            after.take(way.plan)
            verdicts.append(Verdicts(after.part()))
        return verdicts[0].allows(flow)

    def unwanted(flow: Flow) -> bool:
        ends = (flow.source, flow.target)
        if gone.intersection(ends):
            return True
        near = touched.intersection(ends) or any(ipaddress.ip_address(end) in one for one in ranges for end in ends)
        return bool(near) and not allows(flow)

    return unwanted


def _unwanted(old: Part | None, part: Part) -> Callable[[Flow], bool]:
    if isinstance(part, RouterPart):
        known = Translations(part)
        return lambda flow: not known.knows(flow)
    verdicts = Verdicts(part)
    gone = _addresses(old) - _addresses(part) if isinstance(old, NetworkPart) else set()
    return lambda flow: not verdicts.allows(flow) or flow.source in gone or flow.target in gone


def _addresses(part: NetworkPart) -> set[str]:
    return {fixed.address for port in part.ports for fixed in port.fixed}


def ends(old: Part, new: Part) -> bool:
    """Whether a connection that stands under `old` may have to end under `new`."""
    if isinstance(old, NetworkPart) and isinstance(new, NetworkPart):
        return _network(old, new)
    if isinstance(old, RouterPart) and isinstance(new, RouterPart):
        return _router(old, new)
    return True


def _network(old: NetworkPart, new: NetworkPart) -> bool:
    groups = {group.id: group for group in new.groups}
    for group in old.groups:
        now = groups.get(group.id)
        if now is None or not (set(group.rules) <= set(now.rules) and set(group.members) <= set(now.members)):
            return True
        if group.stateful != now.stateful:
            return True
    ranges = {group.id: set(group.ranges) for group in new.address_groups}
    if any(not set(group.ranges) <= ranges.get(group.id, set()) for group in old.address_groups):
        return True
    ports = {port.id: port for port in new.ports}
    return any(port.id not in ports or _port(port, ports[port.id]) for port in old.ports)


def _port(old: PortPart, new: PortPart) -> bool:
    if (old.secured, old.kind) != (new.secured, new.kind):
        return True
    return not (
        set(old.fixed) <= set(new.fixed) and set(old.pairs) <= set(new.pairs) and set(old.groups) <= set(new.groups)
    )


def _router(old: RouterPart, new: RouterPart) -> bool:
    if (old.up and not new.up) or (old.gateway is not None and old.gateway != new.gateway):
        return True
    return not (set(old.floating) <= set(new.floating) and set(old.forwards) <= set(new.forwards))
