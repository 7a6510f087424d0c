"""The twin of the fabric: keeps parts in memory, polices its caller, fails before or after an effect."""

from __future__ import annotations

import ipaddress
import os
import select
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from andromede.errors import Conflict, NotFound, Unavailable
from andromede.network.engine import NONE, TAP, NetworkChange, NetworkPart, OutsidePart, Part, RouterPart, Wired
from andromede.network.picture import Picture


def _once(what: str, values: Iterable[str]) -> None:
    twice = sorted(value for value, count in Counter(values).items() if count > 1)
    if twice:
        raise AssertionError(f"{what} named twice: {', '.join(twice)}")


def _known(what: str, values: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise AssertionError(f"{what} that the part does not hold: {', '.join(unknown)}")


def _network(part: NetworkPart) -> None:
    subnets = {subnet.id: ipaddress.ip_network(subnet.cidr) for subnet in part.subnets}
    groups = [group.id for group in part.groups]
    ranges = [group.id for group in part.address_groups]
    rules = [rule for group in part.groups for rule in group.rules]
    _once("a port", (port.id for port in part.ports))
    _once("a MAC address", (part.dhcp_mac, *(port.mac for port in part.ports)))
    _once("an address", (fixed.address for port in part.ports for fixed in port.fixed))
    _once("a security group", groups)
    _known("a subnet", (fixed.subnet_id for port in part.ports for fixed in port.fixed), subnets)
    _known("a security group", (group_id for port in part.ports for group_id in port.groups), groups)
    _known("a security group", (rule.group for rule in rules if rule.group), groups)
    _known("an address group", (rule.addresses for rule in rules if rule.addresses), ranges)
    for port in part.ports:
        for fixed in port.fixed:
            assert ipaddress.ip_address(fixed.address) in subnets[fixed.subnet_id], f"{fixed} is outside of its subnet"
    for rule in rules:
        assert sum(map(bool, (rule.prefix, rule.group, rule.addresses))) <= 1, f"{rule} has two other sides"


def _router(part: RouterPart) -> None:
    _once("a port", (leg.port_id for leg in part.legs))
    _once("a floating address", (one.address for one in part.floating))
    _once("a fixed address", (one.fixed for one in part.floating))
    if (part.floating or part.forwards) and part.gateway is None:
        raise AssertionError(f"router {part.id} has floating addresses and no gateway")
    for one in part.forwards:
        assert one.outer[1] - one.outer[0] == one.inner[1] - one.inner[0], f"{one} maps ranges of two sizes"
        assert one.protocol in ("tcp", "udp"), f"{one} has a protocol without ports"


class _Parts(dict[str, Any]):
    """Parts by id. A network that was changed is its picture until somebody asks for the whole."""

    def __getitem__(self, part_id: str) -> Any:
        found = super().__getitem__(part_id)
        return found.part() if isinstance(found, Picture) else found

    def get(self, part_id: str, default: Any = None) -> Any:
        found = super().get(part_id, default)
        return found.part() if isinstance(found, Picture) else found

    def pop(self, part_id: str, *default: Any) -> Any:
        found = super().pop(part_id, *default)
        return found.part() if isinstance(found, Picture) else found

    def values(self) -> Any:
        return [self[part_id] for part_id in self]

    def picture(self, part_id: str) -> Picture | None:
        """A network to be changed."""
        found = super().get(part_id)
        if isinstance(found, NetworkPart):
            found = self[part_id] = Picture(found)
        return found if isinstance(found, Picture) else None


class MemoryFabric:
    """`faults(verb, when)` may raise to simulate a failure; `when` is before or after the effect."""

    def __init__(self, faults: Callable[[str, str], None] | None = None) -> None:
        self.parts = _Parts()
        self.calls: list[tuple[str, str]] = []
        self._faults = faults
        self._taps: dict[str, int] = {}
        self._lock = threading.RLock()

    def _step(self, verb: str, part_id: str, when: str) -> None:
        if when == "before":
            self.calls.append((verb, part_id))
        if self._faults is not None:
            self._faults(verb, when)

    def ensure(self, part: Part) -> None:
        with self._lock:
            if isinstance(part, NetworkPart):
                _network(part)
            elif isinstance(part, RouterPart):
                _router(part)
                self._reaches(part)
            else:
                ipaddress.ip_network(part.cidr)
            self._step("ensure", part.id, "before")
            self.parts[part.id] = part
            self._step("ensure", part.id, "after")

    def change(self, change: NetworkChange) -> bool:
        with self._lock:
            assert change.generation > change.base, f"{change} leads nowhere"
            _once("a port", (*(port.id for port in change.ports), *change.gone))
            _once("a member", (f"{group} {text}" for group, text, _ in change.members))
            _known("a security group", (group for port in change.ports for group in port.groups),
                   (group.id for group in change.groups))  # fmt: skip
            picture = self.parts.picture(change.id)
            plan = picture.plan(change) if picture is not None else None
            if picture is None or plan is None:
                return False
            self._step("change", change.id, "before")
            picture.take(plan)
            self._step("change", change.id, "after")
            return True

    def _reaches(self, part: RouterPart) -> None:
        wanted = [leg.network_id for leg in part.legs]
        if part.gateway is not None:
            wanted.append("outside" if part.gateway.outside else part.gateway.network_id)
        for network_id in wanted:
            if network_id not in self.parts:
                raise Unavailable(f"the bridge of network {network_id} is not there (yet); the next turn finds it")

    def remove(self, part_id: str) -> None:
        with self._lock:
            for part in self.parts.values():
                if isinstance(part, RouterPart) and part_id in {leg.network_id for leg in part.legs}:
                    raise AssertionError(f"network {part_id} goes before the leg that router {part.id} has in it")
            self._step("remove", part_id, "before")
            part_gone = self.parts.pop(part_id, None)
            if isinstance(part_gone, NetworkPart):
                for port in part_gone.ports:
                    self._forget(port.id)
            self._step("remove", part_id, "after")

    def _forget(self, port_id: str) -> None:
        fd = self._taps.pop(port_id, None)
        if fd is not None:
            os.close(fd)

    def observe(self, part_id: str) -> Wired | None:
        with self._lock:
            self._step("observe", part_id, "before")
            part = self.parts.get(part_id)
            if part is None:
                return None
            if isinstance(part, NetworkPart):
                ports = {port.id for port in part.ports if port.kind != NONE and port.up}
                for other in self.parts.values():
                    ports |= _ends(other, part.id)
            elif isinstance(part, OutsidePart):
                ports = set().union(*(_ends(other, "") for other in self.parts.values()))
            else:
                ports = {leg.port_id for leg in part.legs} | ({part.gateway.port_id} if part.gateway else set())
            return Wired(part_id, part.generation, frozenset(ports))

    def listing(self) -> list[str]:
        with self._lock:
            return sorted(self.parts)

    def plug(self, port_id: str) -> int:
        with self._lock:
            self._step("plug", port_id, "before")
            networks = [part for part in self.parts.values() if isinstance(part, NetworkPart)]
            if not any(port.id == port_id and port.kind == TAP for part in networks for port in part.ports):
                raise NotFound(f"port {port_id} is not wired on this host; its network is made first", "port")
            if port_id in self._taps and self._held(self._taps[port_id]):
                raise Conflict(f"the tap of port {port_id} is held by another guest", "held")
            self._forget(port_id)
            watch, fd = os.pipe()
            self._taps[port_id] = watch
            return fd

    @staticmethod
    def _held(watch: int) -> bool:
        poll = select.poll()
        poll.register(watch, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Forget every tap."""
        for port_id in list(self._taps):
            self._forget(port_id)


def _ends(part: Part, network_id: str) -> set[str]:
    """Ports that a router has in a network, or on the external bridge."""
    if not isinstance(part, RouterPart):
        return set()
    ends = {leg.port_id for leg in part.legs if leg.network_id == network_id}
    gateway = part.gateway
    if gateway is not None and (not network_id if gateway.outside else gateway.network_id == network_id):
        ends.add(gateway.port_id)
    return ends
