"""A network as it is carried, and what a difference makes of it: the meaning of `NetworkChange`, for every fabric."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from andromede.network.engine import GroupPart, NetworkChange, NetworkPart, PortPart


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of one port; None where it is not there."""

    port_id: str
    old: PortPart | None
    new: PortPart | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change does to a picture. `groups`: security groups whose rules begin to count, or end (None). `joined`,
    `left`: members of groups that rules name, as group and address."""

    generation: int
    moves: tuple[Move, ...]
    groups: Mapping[str, GroupPart | None]
    joined: tuple[tuple[str, str], ...]
    left: tuple[tuple[str, str], ...]


def _names(group: GroupPart | None) -> Iterator[tuple[str, str]]:
    """What the rules of a group name as the other side."""
    for rule in group.rules if group is not None else ():
        if rule.group:
            yield "group", rule.group
        if rule.addresses:
            yield "addresses", rule.addresses


class Picture:
    """One network, taken whole once; what it costs to change it does not depend on how many ports it has."""

    def __init__(self, part: NetworkPart) -> None:
        self.bare = dataclasses.replace(part, ports=(), groups=())
        self.ports = {port.id: port for port in part.ports}
        self.groups = {group.id: group for group in part.groups}
        self.members = {group.id: set(group.members) for group in part.groups}
        self._uses = Counter(group for port in part.ports for group in port.groups)
        self._named = Counter(name for group in part.groups for name in _names(group))
        self._subnets = frozenset(subnet.id for subnet in part.subnets)
        self._whole: NetworkPart | None = part

    @property
    def generation(self) -> int:
        return self.bare.generation

    def plan(self, change: NetworkChange) -> Plan | None:
        """What the change does; None where it does not begin here, or more than ports would have to follow: a group
        that rules begin or cease to name comes with all its members."""
        if (change.id, change.base) != (self.bare.id, self.generation):
            return None
        if any(fixed.subnet_id not in self._subnets for port in change.ports for fixed in port.fixed):
            return None
        found = {port.id: port for port in change.ports}
        wished = {**dict.fromkeys(change.gone), **found}
        moves = tuple(Move(key, self.ports.get(key), new) for key, new in wished.items() if self.ports.get(key) != new)
        groups = self._turned(change, moves)
        if groups is None:
            return None
        told = [one for one in change.members if self._named["group", one[0]]]
        joined = tuple((group, text) for group, text, there in told if there and text not in self.members[group])
        left = tuple((group, text) for group, text, there in told if not there and text in self.members[group])
        return Plan(change.generation, moves, groups, joined, left)

    def _turned(self, change: NetworkChange, moves: tuple[Move, ...]) -> dict[str, GroupPart | None] | None:
        """Groups that get their first port or lose their last one, unless more would follow."""
        steps: Counter[str] = Counter()
        for move in moves:
            steps.subtract(move.old.groups if move.old is not None else ())
            steps.update(move.new.groups if move.new is not None else ())
        given = {group.id: group for group in change.groups}
        turned: dict[str, GroupPart | None] = {}
        names: Counter[tuple[str, str]] = Counter()
        for group_id, step in steps.items():
            before, after = self._uses[group_id], self._uses[group_id] + step
            if bool(before) == bool(after):
                continue
            if after and group_id not in given:
                return None
            turned[group_id] = given[group_id] if after else None
            names.subtract(_names(self.groups.get(group_id)))
            names.update(_names(turned[group_id]))
        same = all(bool(self._named[name]) == bool(self._named[name] + step) for name, step in names.items())
        return turned if same else None

    def take(self, plan: Plan) -> None:
        """The change has happened."""
        self._whole = None
        self.bare = dataclasses.replace(self.bare, generation=plan.generation)
        for move in plan.moves:
            self._uses.subtract(move.old.groups if move.old is not None else ())
            self._uses.update(move.new.groups if move.new is not None else ())
            if move.new is not None:
                self.ports[move.port_id] = move.new
            else:
                del self.ports[move.port_id]
        for group_id, group in plan.groups.items():
            self._turn(group_id, group)
        for group_id, text in plan.joined:
            self.members[group_id].add(text)
        for group_id, text in plan.left:
            self.members[group_id].discard(text)

    def _turn(self, group_id: str, group: GroupPart | None) -> None:
        former = self.groups.get(group_id)
        self._named.subtract(_names(former))
        self._named.update(_names(group))
        if group is None and former is not None and self._named["group", group_id]:
            group = dataclasses.replace(former, rules=())  # only named any more
        if group is None:
            del self.groups[group_id], self.members[group_id]
        else:
            self.groups[group_id] = group
            self.members.setdefault(group_id, set())

    def part(self) -> NetworkPart:
        """The whole of it, in the order of ids."""
        if self._whole is None:
            groups = tuple(
                dataclasses.replace(self.groups[group_id], members=tuple(sorted(self.members[group_id])))
                for group_id in sorted(self.groups)
            )
            ports = tuple(self.ports[port_id] for port_id in sorted(self.ports))
            self._whole = dataclasses.replace(self.bare, ports=ports, groups=groups)
        return self._whole
